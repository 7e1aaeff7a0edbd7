"""TextModel: runs inference on text, in Python and in the graph of a SavedModel.

    predict     texts ──> Python's tokenizer ──> rows of ids ──┐
                                                               ├──> of_ids ──> outputs ──> answer_of
    of_texts    texts ──> the graph's tokenizer ──> rows ──────┘

Each kind of model is a subclass whose `make_model(encoder, num_labels)` returns the Keras model;
`model_for` also takes the options of its training.
"""

import abc
import dataclasses
import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from bert_tf.config import BertConfig
from bert_tf.kinds.length_runner import IDS, Batch, Row, length_runner
from bert_tf.kinds.table import find_kind
from bert_tf.model.encoder import TransformerEncoder
from bert_tf.model.feature_model import named_outputs
from bert_tf.text.graph_packing import pack_texts
from bert_tf.text.graph_tokenization import GraphTokenizer
from bert_tf.text.packing import is_truncated, pack_truncated
from bert_tf.text.tokenizer import Tokenizer

logger = logging.getLogger(__name__)

# A function of tensors, and the named specs of its arguments.
Signature = tuple[Callable[..., Batch], list[tf.TensorSpec]]
_EXAMPLES = tf.TensorSpec([None], tf.string, "examples")


@dataclasses.dataclass(frozen=True)
class LoadedModel:
    """A model with its tokenizer and description."""

    kind: str  # One of `bert_tf.kinds.table.KINDS`.
    model: keras.Model
    tokenizer: Tokenizer
    inputs: tuple[str, ...]  # Names of its texts.
    labels: tuple[str, ...]  # Classes in the order of the outputs, if it has any.
    max_seq_length: int  # In tokens.
    heads: tuple[str, ...]  # Prefixes of the heads in the checkpoint.
    has_pooler: bool  # Whether the checkpoint has one.
    options: Any = None  # Of its `TextModel.Options`.
    # Of layers after the encoder, by name; see `bert_tf.kinds.pooling`.
    pooling_weights: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)

    @property
    def encoder(self) -> TransformerEncoder:
        return getattr(self.model, "encoder", self.model)

    @property
    def config(self) -> BertConfig:
        return self.encoder.config

    @property
    def default_pool(self) -> str:
        """The way of making embeddings: only encoders may have one of their own, which is ""."""
        return "" if self.kind == "encoder" else "mean"


class TextModel(abc.ABC):
    """Runs inference on text with one kind of model. It is thread-safe.

    Args:
        batch_size: rows per batch in Python.
        compute: maps `IDS` to the model's outputs by name; by default it calls the model.
    """

    outputs: ClassVar[Mapping[str, str]] = {}  # Descriptions of a SavedModel's outputs.
    arguments: ClassVar[tuple[str, ...]] = ()  # Further constructor arguments: export settings.
    signature: ClassVar[str] = "serving_default"  # The SavedModel's signature for texts.
    # A method of TensorFlow Serving's tf.Example API, and our outputs by their names there.
    api: ClassVar[tuple[str, Mapping[str, str]] | None] = None
    Options: ClassVar[type | None] = None  # Dataclass of the options in `task.json`.

    def __init__(
        self,
        loaded: LoadedModel,
        batch_size: int = 32,
        compute: Callable[[Batch], Batch] | None = None,
    ):
        self.loaded = loaded
        self.special = loaded.tokenizer.special_ids
        self.compute = compute or self._run_model
        self.run = length_runner(self.of_ids, batch_size, loaded.max_seq_length)
        self._has_warned = False

    @classmethod
    def model_for(cls, encoder: TransformerEncoder, num_labels: int, options: Any) -> keras.Model:
        """Returns the Keras model for the `Options` in `task.json`, or None."""
        return cls.make_model(encoder, num_labels)

    @abc.abstractmethod
    def of_ids(self, batch: Batch) -> Batch:
        """Returns the outputs for rows of ids, `IDS` int32 [N, L]."""

    @staticmethod
    @abc.abstractmethod
    def answer_of(example: tuple, outputs: Mapping[str, Any]) -> Any:
        """Converts the outputs of one example to an answer."""

    @staticmethod
    def difference(expected: Any, actual: Any) -> float:
        """Returns the difference of two answers' numbers; inf if their words differ."""
        return largest_difference(expected, actual)

    def sample(self, texts: tuple) -> tuple:
        """Returns an example, made of any texts, with which an export is validated."""
        return texts

    def is_answerable(self, example: tuple) -> bool:
        """Returns whether `predict` accepts this example rather than raise a ValueError."""
        return True

    def predict(self, examples: Sequence[tuple]) -> list[Any]:
        """Returns the answer to each example, a tuple with a text for each input."""
        outputs = self.run(self.rows(examples))
        return [self.answer_of(*both) for both in zip(examples, outputs, strict=True)]

    def prepare(self) -> None:
        """Makes the graph and runs it once, so that the first answer is as quick as the others."""
        ids = [self.special.cls, self.special.mask, self.special.sep]
        self.run([(ids, [0] * len(ids))])

    def encode(self, text: str) -> list[int]:
        """Returns the ids of a text's word pieces."""
        return self.loaded.tokenizer.encode(text)

    def rows(self, examples: Sequence[tuple]) -> list[Row]:
        """Returns texts or pairs as truncated rows of ids."""
        cls, sep, longest = self.special.cls, self.special.sep, self.loaded.max_seq_length
        pairs = [[*map(self.encode, (*texts, "")[:2])] for texts in examples]
        self.warn_of_truncated(sum(is_truncated(*pair, longest, sep) for pair in pairs), len(pairs))
        return [pack_truncated(*pair, cls, sep, longest) for pair in pairs]

    @property
    def limit(self) -> str:
        """How long texts may be, for the warning that some are not read to their ends."""
        return f"{self.loaded.max_seq_length} tokens (max_seq_length)"

    def warn_of_truncated(self, num_truncated: int, num_texts: int) -> None:
        """Logs a warning, once, if texts were truncated."""
        if num_truncated and not self._has_warned:
            self._has_warned = True
            logger.warning(
                "%d of %d texts are longer than %s: parts of them are not read. A classifier can "
                "read all in windows, see docs/long_texts.md. Further texts are truncated without "
                "a warning.",
                *(num_truncated, num_texts, self.limit),
            )

    def of_texts(self, tokenizer: GraphTokenizer, *texts: tf.Tensor) -> Batch:
        """Returns the outputs for string tensors, one for each input."""
        return self.of_ids(self.packed(*map(tokenizer.tokenize, texts)))

    def packed(self, ids_a: tf.RaggedTensor, ids_b: tf.RaggedTensor | None = None) -> Batch:
        """Does in a graph what `rows` does; token ids are [N, (T)]."""
        longest = self.loaded.max_seq_length
        with tf.control_dependencies([self.as_many(ids_a, ids_a if ids_b is None else ids_b)]):
            rows = pack_texts(ids_a, ids_b, self.special.cls, self.special.sep, longest)
        return with_a_column(rows)

    def as_many(self, *ids: tf.RaggedTensor) -> tf.Operation:
        """Returns an operation that fails unless there are as many texts for each input."""
        counts = [rows.nrows() for rows in ids]
        message = f"{' and '.join(self.loaded.inputs)} must be as many. Received:"
        return tf.debugging.Assert(counts[0] == counts[1], [message, *counts])

    def of_text_examples(self, tokenizer: GraphTokenizer, examples: tf.Tensor) -> Batch:
        """Returns the outputs for serialized tf.Examples of strings."""
        features = {
            name: tf.io.FixedLenSequenceFeature([], tf.string, allow_missing=True)
            if name in find_kind(self.loaded.kind).list_inputs
            else tf.io.FixedLenFeature([], tf.string)
            for name in self.loaded.inputs
        }
        parsed = tf.io.parse_example(examples, features)
        return self.of_texts(tokenizer, *(parsed[name] for name in self.loaded.inputs))

    def signatures(self, tokenizer: GraphTokenizer) -> dict[str, Signature]:
        """Returns the signatures of a SavedModel by name."""
        kind = find_kind(self.loaded.kind)
        texts = [
            tf.TensorSpec([None, None] if name in kind.list_inputs else [None], tf.string, name)
            for name in self.loaded.inputs
        ]
        signatures: dict[str, Signature] = {
            "serving_default": (functools.partial(self.of_texts, tokenizer), texts),
            "text_examples": (functools.partial(self.of_text_examples, tokenizer), [_EXAMPLES]),
            **self.id_signatures(),
        }
        if self.api:
            name, outputs = self.api

            def call(inputs: tf.Tensor) -> Batch:
                found = self.of_text_examples(tokenizer, inputs)
                return {theirs: found[ours] for theirs, ours in outputs.items()}

            signatures[name] = call, [tf.TensorSpec([None], tf.string, "inputs")]
        return signatures

    def id_signatures(self) -> dict[str, Signature]:
        """Returns those of the signatures that take ids; {} where ids alone are not enough."""
        rank = find_kind(self.loaded.kind).ids_rank
        ids = [tf.TensorSpec([None] * rank, tf.int32, name) for name in IDS]
        signatures: dict[str, Signature] = {
            "ids": (lambda *rows: self._of_checked(dict(zip(IDS, rows, strict=True))), ids)
        }
        if rank == 2:
            signatures["examples"] = lambda rows: self._of_checked(_parsed_ids(rows)), [_EXAMPLES]
        return signatures

    def probabilities(self, batch: Batch) -> tf.Tensor:
        """Returns the softmax of the logits, float32 [..., C]."""
        return tf.nn.softmax(tf.cast(self.compute(batch)["logits"], tf.float32))

    def _of_checked(self, batch: Batch) -> Batch:
        """Returns the outputs for rows of ids from outside; those that no model has are refused."""
        encoder, ids = self.loaded.encoder, batch["input_ids"]
        longest, shape = encoder.config.longest_sequence, tf.shape(ids)
        fits = (shape[-1] > 0) & (shape[-1] <= longest) | (shape[0] == 0)
        checks = [tf.debugging.Assert(fits, [f"input_ids must have 1 to {longest} columns", shape])]
        for name, limit in encoder.feature_limits.items():
            value, message = batch[name], f"{name} must be from 0 to {limit - 1}. Received:"
            same = tf.reduce_all(tf.shape(value) == shape)
            checks += [
                tf.debugging.Assert(same, [f"{name} must have the shape of input_ids", shape]),
                tf.debugging.Assert(
                    tf.reduce_all((value >= 0) & (value < limit)),
                    [message, tf.reduce_min(value), tf.reduce_max(value)],
                ),
            ]
        with tf.control_dependencies(checks):
            return self.of_ids(with_a_column(batch))

    def _run_model(self, batch: Batch) -> Batch:
        model = self.loaded.model
        return named_outputs(model(model.select_features(batch), training=False))


def with_a_column(batch: Batch) -> Batch:
    """Gives a column to an empty batch that has none, as models read the first."""
    ids = batch["input_ids"]
    is_needed = tf.cast(tf.shape(ids)[-1] == 0, tf.int32)
    padding = [*[(0, 0)] * (ids.shape.rank - 1), (0, is_needed)]
    return {name: tf.pad(value, padding) for name, value in batch.items()}


def _parsed_ids(examples: tf.Tensor) -> Batch:
    """Parses ids in tf.Examples, where `input_mask` and `segment_ids` are optional."""
    parsed = tf.io.parse_example(examples, {name: tf.io.RaggedFeature(tf.int64) for name in IDS})
    # Clipped, as casting an id that is too large would give another one.
    clipped = (tf.minimum(tf.maximum(parsed[name], -1), tf.int32.max) for name in IDS)
    ids, masks, segments = (tf.cast(rows, tf.int32) for rows in clipped)
    input_ids = ids.to_tensor()
    length = tf.shape(input_ids)[1]
    shape = tf.stack([-1, length])
    all_tokens = tf.sequence_mask(ids.row_lengths(), length, tf.int32)
    for name, rows in (("input_mask", masks), ("segment_ids", segments)):
        fits = (rows.row_lengths() == 0) | (rows.row_lengths() == ids.row_lengths())
        message = f"{name} must be as long as input_ids, or be left out"
        tf.debugging.Assert(tf.reduce_all(fits), [message, rows.row_lengths()])
    has_mask = masks.row_lengths() > 0
    mask = tf.where(has_mask[:, tf.newaxis], masks.to_tensor(shape=shape), all_tokens)
    rows = input_ids, mask, segments.to_tensor(shape=shape)
    return {name: tf.ensure_shape(row, [None, None]) for name, row in zip(IDS, rows, strict=True)}


def largest_difference(expected, actual) -> float:
    """Returns the largest difference of two arrays, over the largest expected number if above 1."""
    if np.shape(expected) != np.shape(actual):
        return float("inf")
    scale = np.max(np.abs(expected), initial=1.0)
    return float(np.max(np.abs(np.subtract(actual, expected)), initial=0.0) / scale)
