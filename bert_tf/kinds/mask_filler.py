"""Fills [MASK] in sentences, which shows what a pre-trained BERT has learned.

    filler = MaskFiller.load("bert_config.json", "vocab.txt", "bert_model.ckpt")
    (filled,) = filler.fill(["The man went to the [MASK] to buy milk."], top_k=2)
    filled.candidates    # ((Candidate("store", 0.58), Candidate("market", 0.11)),)
    filled.best          # "the man went to the store to buy milk ."

One [MASK] is one word piece; a word of two pieces needs two of them.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from bert_tf.config import BertConfig
from bert_tf.files.paths import exists, join_path
from bert_tf.model.encoder import make_encoder
from bert_tf.model.heads import PretrainingModel
from bert_tf.text.tokenizer import Tokenizer, load_tokenizer
from bert_tf.training.checkpoint import find_checkpoint, load_checkpoint

MASK = "[MASK]"
# Sentences that go through the model together.
_BATCH_SIZE = 32
# Never predicted, though a model that has learned little may give them high probabilities.
_SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A word piece and its probability, a fraction."""

    token: str
    probability: float


@dataclasses.dataclass(frozen=True)
class FilledSentence:
    """A sentence and, for each of its [MASK]s, the most probable word pieces, best first."""

    text: str
    tokens: tuple[str, ...]
    candidates: tuple[tuple[Candidate, ...], ...]

    @property
    def best(self) -> str:
        """The sentence's tokens with every [MASK] filled, pieces joined to words."""
        best = iter(candidates[0].token for candidates in self.candidates)
        tokens = [next(best) if token == MASK else token for token in self.tokens]
        return " ".join(tokens).replace(" ##", "")


class MaskFiller:
    """Predicts the word pieces at [MASK] with a pre-training model and its tokenizer.

    Args:
        model: a model with weights.
        tokenizer: with the vocabulary and the lower-casing that the model was trained with.

    Raises:
        ValueError: if the vocabulary has more rows than the model's embeddings.
    """

    def __init__(self, model: PretrainingModel, tokenizer: Tokenizer):
        if len(tokenizer.vocab) > model.config.vocab_size:
            raise ValueError(
                f"The vocabulary has {len(tokenizer.vocab)} rows, the model's word embeddings have "
                f"{model.config.vocab_size}: the model was trained with another vocabulary."
            )
        self.model = model
        self.tokenizer = tokenizer
        self.never = never_filled(tokenizer.vocab)
        spec = tf.TensorSpec([None, None], tf.int32)
        self._run = tf.function(self._log_probs, input_signature=[spec] * 3)

    @classmethod
    def load(
        cls,
        bert_config_file: str,
        vocab_file: str,
        init_checkpoint: str | None,
        do_lower_case: bool = True,
    ) -> "MaskFiller":
        """Reads a model's files.

        Args:
            bert_config_file: its `bert_config.json`.
            vocab_file: its vocabulary.
            init_checkpoint: its weights, of the encoder and the masked LM head; None leaves the
                model at random initial weights, to see what training adds.
            do_lower_case: whether it was trained on lower-cased text.

        Raises:
            ValueError: if they do not fit each other.
        """
        model = PretrainingModel(make_encoder(BertConfig.from_json_file(bert_config_file)))
        if init_checkpoint is not None:
            # Next sentence prediction is not needed here, everything else is.
            load_checkpoint(model, init_checkpoint, allow_missing="^cls/seq_relationship/")
        return cls(model, load_tokenizer(vocab_file, do_lower_case))

    def fill(self, sentences: Sequence[str], top_k: int = 5) -> list[FilledSentence]:
        """Returns the most probable word pieces for every [MASK] of every sentence.

        Raises:
            ValueError: if a sentence has no [MASK], or is longer than the model can read.
        """
        if not 1 <= top_k <= len(self.tokenizer.vocab) - len(self.never):
            raise ValueError(
                f"top_k must be above 0 and below the vocabulary's size. Received: {top_k}"
            )
        tokenized = [self._tokenize(text) for text in sentences]
        order = sorted(range(len(sentences)), key=lambda place: len(tokenized[place]))
        filled: dict[int, FilledSentence] = {}
        for start in range(0, len(sentences), _BATCH_SIZE):
            places = order[start : start + _BATCH_SIZE]
            texts, tokens = ([x[place] for place in places] for x in (sentences, tokenized))
            filled.update(zip(places, self._fill_batch(texts, tokens, top_k), strict=True))
        return [filled[place] for place in range(len(sentences))]

    def _tokenize(self, text: str) -> list[str]:
        """[CLS] sentence [SEP], where [MASK] stays whole: to the tokenizer it is three tokens."""
        check_has_mask(text)
        parts = [self.tokenizer.tokenize(part) for part in text.split(MASK)]
        tokens = ["[CLS]", *parts[0]]
        for part in parts[1:]:
            tokens += [MASK, *part]
        tokens.append("[SEP]")
        longest = self.model.config.max_position_embeddings
        if len(tokens) > longest:
            raise ValueError(
                f"A sentence has {len(tokens)} tokens, [CLS] and [SEP] included; the model reads "
                f"{longest} at most (max_position_embeddings). Received: {text!r:.200}"
            )
        return tokens

    def _fill_batch(
        self, texts: Sequence[str], batch: Sequence[list[str]], top_k: int
    ) -> list[FilledSentence]:
        places = [[i for i, token in enumerate(tokens) if token == MASK] for tokens in batch]
        ids = [self.tokenizer.convert_tokens_to_ids(tokens) for tokens in batch]
        input_mask = _pad([[1] * len(row) for row in ids])
        log_probs = self._run(_pad(ids), input_mask, _pad(places)).numpy()  # [B, M, V]
        log_probs = log_probs[:, :, : len(self.tokenizer.vocab)]
        log_probs[:, :, self.never] = -np.inf
        filled = []
        for text, tokens, row_places, row in zip(texts, batch, places, log_probs, strict=True):
            candidates = tuple(self._best(row[m], top_k) for m in range(len(row_places)))
            filled.append(FilledSentence(text, tuple(tokens[1:-1]), candidates))
        return filled

    def _log_probs(self, input_ids, input_mask, positions):
        inputs = {
            "input_ids": input_ids,
            "input_mask": input_mask,
            "masked_lm_positions": positions,
        }
        return tf.nn.log_softmax(self.model(inputs, training=False)["masked_lm_logits"])

    def _best(self, log_probs: np.ndarray, top_k: int) -> tuple[Candidate, ...]:
        best = np.argsort(-log_probs, kind="stable")[:top_k]
        tokens = self.tokenizer.convert_ids_to_tokens(best.tolist())
        probabilities = np.exp(log_probs[best]).tolist()
        return tuple(map(Candidate, tokens, probabilities))


def check_has_mask(text: str) -> None:
    """Refuses a text without [MASK].

    Raises:
        ValueError: with the text.
    """
    if MASK not in text:
        raise ValueError(f"There is no {MASK} to fill. Received: {text!r}")


def never_filled(vocab: Mapping[str, int]) -> list[int]:
    """Returns the ids of special tokens, which are never predicted."""
    return [i for token, i in vocab.items() if token in _SPECIAL_TOKENS]


def files_of_model(model_dir: str) -> dict[str, str]:
    """Returns the files in a training output folder, as arguments of `MaskFiller.load`.

    The checkpoint is the newest one. `vocab_file` is left out where the folder has no `vocab.txt`.
    """
    files = {
        "bert_config_file": join_path(model_dir, "bert_config.json"),
        "init_checkpoint": find_checkpoint(model_dir),
    }
    vocab_file = join_path(model_dir, "vocab.txt")
    return {**files, "vocab_file": vocab_file} if exists(vocab_file) else files


def _pad(rows: Sequence[Sequence[int]]) -> np.ndarray:
    """Rows of different lengths as one int32 array, zeros at their ends."""
    padded = np.zeros((len(rows), max(map(len, rows))), np.int32)
    for number, row in enumerate(rows):
        padded[number, : len(row)] = row
    return padded
