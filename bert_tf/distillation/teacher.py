"""Finds a teacher by name or path, checks that it reads what its student reads, and loads it.

The vocabulary must be the same to the piece, as both read the same ids. Everything else of the
encoders may differ.
"""

import dataclasses
from collections.abc import Callable

from bert_tf import files
from bert_tf.config import BertConfig
from bert_tf.formats.source import folders_of
from bert_tf.formats.tokenizer_files import read_vocabulary
from bert_tf.model.encoder import TransformerEncoder
from bert_tf.model.encoders import make_encoder
from bert_tf.model.heads import HeadModel
from bert_tf.model.initial_weights import undrawn_weights
from bert_tf.released.find_model import ModelFiles, find_model
from bert_tf.released.model_folder import ModelDescription, description_beside
from bert_tf.training.checkpoint import load_checkpoint


@dataclasses.dataclass(frozen=True)
class Teacher:
    """A trained model whose outputs a student learns."""

    name: str  # As given: a released model's name, a folder, a checkpoint.
    files: ModelFiles
    config: BertConfig

    @property
    def description(self) -> ModelDescription | None:
        """Its `task.json`, if it is a fine-tuned model."""
        return description_beside(self.files.init_checkpoint)

    @property
    def folders(self) -> list[str]:
        """The folders where its files may be; the first is that of its weights."""
        return folders_of(self.files.init_checkpoint)

    def load(self, make_model: Callable[[TransformerEncoder], HeadModel]) -> HeadModel:
        """Returns the model with the teacher's weights, which are not trained.

        Raises a ValueError if a weight that the outputs depend on is missing or has another shape.
        """
        with undrawn_weights():
            model = make_model(make_encoder(self.config))
        try:
            missing = load_checkpoint(model, self.files.init_checkpoint).missing
        except ValueError as error:
            raise ValueError(f"--teacher={self.name}: {error}") from error
        if lacking := [name for name in missing if not model.is_unneeded(name)]:
            raise ValueError(
                f"--teacher={self.name}: {self.files.init_checkpoint} has no "
                f"{files.some(lacking)}: a teacher needs the head whose outputs the student learns."
            )
        model.trainable = False
        return model


def find_teacher(name: str, max_seq_length: int) -> Teacher:
    """Returns a teacher, see `bert_tf.released.find_model`; the model may be of any format.

    Raises a ValueError if there is none, or sequences are longer than it can read.
    """
    found = find_model(name)
    teacher = Teacher(name, found, BertConfig.from_json_file(found.bert_config_file))
    longest = teacher.config.longest_sequence
    if max_seq_length > longest:
        raise ValueError(
            f"--teacher={name} reads at most {longest} tokens. Received: sequences of "
            f"{max_seq_length}"
        )
    return teacher


def check_vocabularies(teacher: Teacher, vocab_file: str, vocab_size: int) -> None:
    """Raises a ValueError if the student's vocabulary is not the teacher's.

    Args:
        vocab_file: the student's, or "" if it is unknown: then only the sizes are compared.
        vocab_size: rows of the student's word embeddings.
    """
    theirs = teacher.files.vocab_file
    if vocab_file and theirs:
        ours, other = read_vocabulary(vocab_file), read_vocabulary(theirs)
        pairs = enumerate(zip(ours, other, strict=False))
        place = next((i for i, pair in pairs if pair[0] != pair[1]), min(len(ours), len(other)))
        if ours != other:
            here, there = (repr(v[place]) if place < len(v) else "its end" for v in (ours, other))
            raise ValueError(
                f"--teacher={teacher.name} has another vocabulary, but both must read the same "
                f"ids: row {place} is {here} in {vocab_file}, {there} in {theirs}."
            )
    elif vocab_size != teacher.config.vocab_size:
        raise ValueError(
            f"--teacher={teacher.name} has a vocabulary of {teacher.config.vocab_size:,} pieces, "
            f"the student one of {vocab_size:,}: both must read the same ids."
        )
