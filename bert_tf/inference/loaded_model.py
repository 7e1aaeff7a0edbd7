"""A model with its weights, and all that is needed to ask it in words.

    bert_config.json, vocab.txt, a checkpoint [, task.json] --load--> ServedModel

What it does is its kind:

    kind             asked with            says
    classification   text, or a pair       a class
    regression       text, or a pair       a number
    tagging          text                  a class for each word
    span             question, context     where in the context the answer is
    masked_lm        text with [MASK]      the words behind [MASK]; whether a text follows another
    encoder          text                  vectors
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from bert_tf.config import BertConfig
from bert_tf.model.encoder import BertEncoder, make_encoder
from bert_tf.model.heads import (
    ClassificationModel,
    PretrainingModel,
    SpanModel,
    TokenClassificationModel,
)
from bert_tf.spans.answers import AnswerSearch
from bert_tf.spans.options import SpanOptions
from bert_tf.text.batch_tokenization import BatchTokenizer
from bert_tf.training.checkpoint import find_checkpoint, load_checkpoint

KINDS = ("classification", "regression", "tagging", "span", "masked_lm", "encoder")
PAIR = ("text_a", "text_b")
# Kind -> what its texts are called.
INPUTS: dict[str, tuple[tuple[str, ...], ...]] = {
    "classification": (("text",), PAIR),
    "regression": (("text",), PAIR),
    "tagging": (("text",),),
    "span": (("question", "context"),),
    "masked_lm": (("text",),),
    "encoder": (("text",),),
}
# The usual length of a question's windows, as in training.
_SPAN_LENGTH = 384
# Heads by the start of their names, in the order in which they are looked for.
_HEADS = (
    ("cls/squad/", "span"),
    ("output_weights", "classification"),
    ("cls/predictions/", "masked_lm"),
    ("cls/seq_relationship/", "masked_lm"),
)
# Kind -> the names that a checkpoint of it need not have, as nothing that it says depends on them.
_NOT_NEEDED = {
    "tagging": "^bert/pooler/",
    "span": "^bert/pooler/",
    "masked_lm": "^cls/|^bert/pooler/",
    "encoder": "^bert/pooler/",
}


@dataclasses.dataclass(frozen=True)
class ServedModel:
    """A model and what belongs to it.

    kind: one of KINDS.
    model: its weights are loaded. It returns `logits`, `start_logits`, ..., see `bert_tf.model`.
    config: its shape.
    tokenizer: of its vocabulary.
    inputs: what its texts are called.
    labels: the classes in the order of its outputs; () where there are none.
    max_seq_length: tokens of a sequence at most.
    span: how passages are divided and answers chosen.
    missing: names of weights that the checkpoint lacks, and which are at random values.
    """

    kind: str
    model: keras.Model
    config: BertConfig
    tokenizer: BatchTokenizer
    inputs: tuple[str, ...]
    labels: tuple[str, ...]
    max_seq_length: int
    span: SpanOptions
    missing: tuple[str, ...] = ()

    @property
    def search(self) -> AnswerSearch:
        """How answers to questions are chosen: padding is no possible answer."""
        return AnswerSearch(
            n_best_size=self.span.n_best_size,
            max_answer_length=self.span.max_answer_length,
            has_null=self.span.version_2_with_negative,
            null_score_diff_threshold=self.span.null_score_diff_threshold,
            ignore_padding=True,
            empty="",
        )

    @property
    def encoder(self) -> BertEncoder:
        """The model without what stands on it."""
        return self.model if self.kind == "encoder" else self.model.encoder

    def has(self, start: str) -> bool:
        """Whether no weight whose name begins so is missing."""
        return not any(name.startswith(start) for name in self.missing)


def load_served_model(
    bert_config_file: str,
    vocab_file: str,
    init_checkpoint: str,
    do_lower_case: bool,
    strip_accents: bool | None = None,
    kind: str | None = None,
    inputs: Sequence[str] | None = None,
    labels: Sequence[str] = (),
    max_seq_length: int | None = None,
    span: SpanOptions | None = None,
) -> ServedModel:
    """Reads a model.

    Args:
        bert_config_file, vocab_file, init_checkpoint: its files.
        do_lower_case, strip_accents: as it was trained, see `FullTokenizer`.
        kind: one of KINDS; by default what the checkpoint's names tell.
        inputs: what its texts are called, where there is a choice: one of INPUTS[kind].
        labels: the classes; by default they are called 0, 1, ...
        max_seq_length: tokens of a sequence at most; by default what the model can read, and for
            questions 384.
        span: for questions; by default the defaults of training.

    Raises:
        ValueError: if these do not fit each other, or the checkpoint lacks what is needed.
    """
    config = BertConfig.from_json_file(bert_config_file)
    prefix = find_checkpoint(init_checkpoint)
    shapes = tf.train.load_checkpoint(prefix).get_variable_to_shape_map()
    kind = kind or kind_of_weights(shapes)
    labels = _checked_labels(kind, tuple(labels), shapes, prefix)
    tokenizer = BatchTokenizer(vocab_file, do_lower_case, strip_accents)
    if len(tokenizer.exact.vocab) > config.vocab_size:
        raise ValueError(
            f"{vocab_file} has {len(tokenizer.exact.vocab)} rows, the model's word embeddings have "
            f"{config.vocab_size}: the model was trained with another vocabulary."
        )
    model = _MODELS[kind](config, labels)
    report = load_checkpoint(model, prefix, allow_missing=_NOT_NEEDED.get(kind, "(?!)"))
    served = ServedModel(
        kind=kind,
        model=model,
        config=config,
        tokenizer=tokenizer,
        inputs=_checked_inputs(kind, inputs),
        labels=labels,
        max_seq_length=_checked_length(kind, max_seq_length, config),
        span=span or SpanOptions(),
        missing=report.missing,
    )
    if kind == "masked_lm" and not served.has("cls/predictions") and not served.has("cls/seq"):
        raise ValueError(
            f"{prefix}: neither a masked-LM nor a next-sentence head; it can be used as an encoder."
        )
    return served


def kind_of_weights(names: Any) -> str:
    """What a model does, told from the names of its weights and their shapes.

    A classifier and a tagger have the same names: it is taken for a classifier. With one row of
    scores it is a regression.
    """
    for start, kind in _HEADS:
        if any(name.startswith(start) for name in names):
            is_number = kind == "classification" and names["output_weights"][0] == 1
            return "regression" if is_number else kind
    return "encoder"


def _checked_labels(
    kind: str, labels: tuple[str, ...], shapes: dict[str, list[int]], prefix: str
) -> tuple[str, ...]:
    if kind not in KINDS:
        raise ValueError(f"A model's kind is one of {', '.join(KINDS)}. Received: {kind!r}")
    if kind not in ("classification", "regression", "tagging"):
        return ()
    if "output_weights" not in shapes:
        raise ValueError(f"{prefix}: no output_weights, so it is no model for {kind}.")
    num_outputs = shapes["output_weights"][0]
    if kind == "regression":
        if labels or num_outputs != 1:
            raise ValueError(
                f"{prefix}: a regression has one output and no labels; this has {num_outputs} "
                f"outputs. Received labels: {', '.join(labels) or 'none'}"
            )
        return ()
    labels = labels or tuple(map(str, range(num_outputs)))
    if len(labels) != num_outputs or len(set(labels)) < len(labels):
        raise ValueError(
            f"{prefix}: the model has {num_outputs} outputs, so as many different labels are "
            f"needed, in their order. Received: {', '.join(labels)}"
        )
    return labels


def _checked_inputs(kind: str, inputs: Sequence[str] | None) -> tuple[str, ...]:
    allowed = INPUTS[kind]
    inputs = tuple(inputs or allowed[0])
    if inputs not in allowed:
        choices = " or ".join(",".join(names) for names in allowed)
        raise ValueError(
            f"The inputs of a model for {kind} are {choices}. Received: {','.join(inputs)}"
        )
    return inputs


def _checked_length(kind: str, max_seq_length: int | None, config: BertConfig) -> int:
    longest = config.max_position_embeddings
    if max_seq_length is None:
        return min(longest, _SPAN_LENGTH) if kind == "span" else longest
    if not 3 <= max_seq_length <= longest:
        raise ValueError(
            f"max_seq_length must be from 3 to {longest}, which is all that the model's position "
            f"table holds (max_position_embeddings). Received: {max_seq_length}"
        )
    return max_seq_length


_MODELS: dict[str, Callable[[BertConfig, tuple[str, ...]], keras.Model]] = {
    "classification": lambda config, labels: ClassificationModel(make_encoder(config), len(labels)),
    "regression": lambda config, labels: ClassificationModel(make_encoder(config), 1),
    "tagging": lambda config, labels: TokenClassificationModel(make_encoder(config), len(labels)),
    "span": lambda config, labels: SpanModel(make_encoder(config)),
    "masked_lm": lambda config, labels: PretrainingModel(make_encoder(config)),
    "encoder": lambda config, labels: make_encoder(config),
}
