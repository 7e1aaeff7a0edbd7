"""Distillation: a student gives the answers of its teacher, as DistilBERT was trained.

                    tokens of the records, some masked
    student                                             teacher, without dropout
    logits [B, P, V]    --- soft loss: divergence ---   logits [B, P, V]
    hidden [B, L, H]    --- cosine distance ---         hidden [B, L, H]
    logits [B, M, V]    --- masked LM ---               labels of the records

P are all L positions, of which those of padding do not count, or the M masked ones. The loss is the
weighted sum of four terms, each a mean over its tokens; `metrics.jsonl` has the terms with their
weights in training, and without them in evaluation.

Source: Sanh et al. 2019; `distiller.py` in research_projects/distillation of
huggingface/transformers.
"""

import dataclasses
from typing import Any

import keras
import tensorflow as tf

from bert_tf.config import BertConfig
from bert_tf.distillation.losses import cosine_distance, soft_divergence, squared_distance
from bert_tf.distillation.student import CopyReport, copy_weights
from bert_tf.distillation.teacher import Teacher, check_vocabularies, find_teacher
from bert_tf.model.encoder import TransformerEncoder
from bert_tf.model.heads import HeadModel
from bert_tf.model.token_lm import TokenLMModel
from bert_tf.pretraining.model_folder import find_vocabulary
from bert_tf.pretraining.objective import PretrainingObjective, example_weights
from bert_tf.pretraining.objectives.masked_lm import MASKED_LM
from bert_tf.settings import PretrainingSettings
from bert_tf.training.checkpoint import weights_digest
from bert_tf.training.trainer import Batch

_NEARLY_0 = 1e-9  # Added to the number of tokens, for a batch without any.


@dataclasses.dataclass
class PretrainedTeacher:
    """Runs a teacher with a masked-LM head; `load` makes its model."""

    teacher: Teacher
    predicts_all: bool
    shares_graph: bool
    model: TokenLMModel | None = None

    def load(self) -> None:
        self.model = self.teacher.load(lambda encoder: TokenLMModel(encoder, self.predicts_all))
        self.model.encoder.shares_graph = self.shares_graph

    def __call__(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Returns the teacher's outputs, those of `TokenLMModel`."""
        return self.model(self.model.select_features(batch), training=False)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DistillationObjective(PretrainingObjective):
    """The weighted sum of the losses of DistilBERT; those with a factor of 0 are left out."""

    run_teacher: Any  # Batch -> outputs of the teacher, as a `TokenLMModel` returns them.
    temperature: float = 2.0
    on_all_tokens: bool = True  # Whether the soft loss is on all tokens or on the masked ones.

    @property
    def epsilons(self) -> dict[str, float]:
        return dict.fromkeys(self._terms, _NEARLY_0)

    @property
    def _terms(self) -> list[str]:
        return [name for name, factor in self.factors.items() if factor]

    def weights(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Returns the number of tokens of each term."""
        counted = self._counted(batch)
        return {name: tf.reduce_sum(counted[name]) for name in self._terms}

    def _counted(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Returns 1 for each token that counts in a term, float32 [B, P], [B, M] or [B, L]."""
        is_masked = MASKED_LM.weights(batch)
        real = tf.cast(batch["input_mask"], tf.float32) * example_weights(batch)[:, None]
        soft = real if self.on_all_tokens else is_masked
        return {
            "soft_loss": soft,
            "masked_lm_loss": is_masked,
            "cosine_loss": real,
            "logit_mse_loss": soft,
        }

    def plain_sums(self, batch: Batch, outputs: Any) -> dict[str, tf.Tensor]:
        theirs, counted = self.run_teacher(batch), self._counted(batch)
        logits = theirs["logits"], outputs["logits"]
        hidden = (tf.cast(each["sequence_output"], tf.float32) for each in (theirs, outputs))
        losses = {
            "soft_loss": lambda: soft_divergence(*logits, self.temperature),
            "logit_mse_loss": lambda: squared_distance(*logits),
            "cosine_loss": lambda: cosine_distance(*hidden),
        }
        return {
            name: tf.reduce_sum(losses[name]() * counted[name])
            if name in losses
            else MASKED_LM.loss(batch, outputs)
            for name in self._terms
        }

    def fingerprint(self) -> dict[str, str]:
        """Returns what the trained weights depend on besides settings and records."""
        return {"teacher_weights": weights_digest(self.run_teacher.model)}

    def initialize(self, student: HeadModel) -> CopyReport:
        """Gives the student the teacher's weights."""
        return copy_weights(student, self.run_teacher.model)


def check_fit(teacher: Teacher, student: BertConfig, settings: PretrainingSettings) -> None:
    """Raises a ValueError if vocabulary or width of teacher and student differ."""
    check_vocabularies(teacher, find_vocabulary(settings) or "", student.vocab_size)
    sizes = {name: getattr(teacher.config, name) for name in ("vocab_size", "hidden_size")}
    for name, why in (
        ("vocab_size", "so that their logits can be compared"),
        ("hidden_size", "for the angle of hidden states; --cosine_weight=0 leaves it out"),
    ):
        is_needed = name == "vocab_size" or settings.cosine_weight
        if is_needed and sizes[name] != getattr(student, name):
            raise ValueError(
                f"--teacher={teacher.name}: its {name} is {sizes[name]:,}, but "
                f"{getattr(student, name):,} in {settings.bert_config_file}. Both must be the same "
                f"{why}."
            )


def make(settings: PretrainingSettings) -> DistillationObjective:
    """Makes the objective of `settings.teacher`.

    Raises a ValueError if there is no such teacher, or it is not one for masked words.
    """
    lengths = [of_phase.max_seq_length for _, of_phase in settings.by_phase()]
    found = find_teacher(settings.teacher, max(lengths))
    if found.config.is_causal:
        raise ValueError(
            f"--teacher={settings.teacher} is a left-to-right model (is_causal), which predicts "
            "the next token: a student learns masked ones."
        )
    on_all = settings.soft_loss_on == "all"
    teacher = PretrainedTeacher(found, on_all, shares_graph=not settings.xla)

    def make_model(encoder: TransformerEncoder) -> keras.Model:
        check_fit(found, encoder.config, settings)
        student = TokenLMModel(encoder, on_all)
        teacher.load()
        return student

    return DistillationObjective(
        make_model=make_model,
        predictions=(MASKED_LM,),
        run_teacher=teacher,
        temperature=settings.temperature,
        on_all_tokens=on_all,
        factors={
            "soft_loss": settings.soft_loss_weight,
            "masked_lm_loss": settings.masked_lm_weight,
            "cosine_loss": settings.cosine_weight,
            "logit_mse_loss": settings.logit_mse_weight,
        },
    )
