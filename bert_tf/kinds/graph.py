"""The signatures of a SavedModel: the same graph from raw text, from ids, and from tf.Examples.

    serving_default   text [N], or text_a, text_b; question, context    ──tokenizer──┐
    text_examples     tf.Examples with these, as strings                ──parsed─────┤
    ids               input_ids, input_mask, segment_ids [N, L]         ─────────────┼──> model ──>
    examples          tf.Examples with these, as the records of training──parsed─────┘    outputs

Strings are bytes in UTF-8; bytes that are not are left out. Numbers of rows and lengths are free:
rows are padded to the longest of a call, and texts are cut to what the model reads (questions to a
longer context are answered from windows over it). What a kind of model answers is in its module.

A saved graph has everything that it needs, and is loaded where this package is not installed.
"""

import abc
from collections.abc import Mapping, Sequence
from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf

from bert_tf.kinds.loaded_model import LoadedModel
from bert_tf.kinds.table import find_kind
from bert_tf.model.feature_model import named_outputs
from bert_tf.text.graph_packing import pack_texts

Batch = dict[str, tf.Tensor]
IDS = ("input_ids", "input_mask", "segment_ids")


class Weights(tf.Module):
    """A model that computes with these variables: its own, or copies of half the size.

    Args:
        model: a Keras model.
        half: whether its weights are kept as float16. Its layers are then those of a model made
            under the policy `mixed_float16`, which multiplies matrices in float16.
    """

    def __init__(self, model: keras.Model, half: bool = False):
        super().__init__()
        self.half = half
        if half:
            weights = model.trainable_variables + model.non_trainable_variables
            self.values = [
                tf.Variable(_halved(tf.convert_to_tensor(w.value)), trainable=False)
                for w in weights
            ]
        else:
            self.values = [weight.value for weight in model.weights]
        num_trained = len(model.trainable_variables)

        def with_copies(batch):
            values = [
                tf.cast(value, tf.float32) if value.dtype == tf.float16 else value
                for value in self.values
            ]
            features = model.select_features(batch)
            outputs, _ = model.stateless_call(
                values[:num_trained], values[num_trained:], features, training=False
            )
            return named_outputs(outputs)

        def as_it_is(batch):
            return named_outputs(model(model.select_features(batch), training=False))

        # All signatures share one graph of it.
        run = tf.function(with_copies if half else as_it_is, autograph=False)
        # A function hides the model: what stands in an attribute is saved, layers and all, and its
        # weights twice.
        self._outputs = lambda batch: run(batch)

    def __call__(self, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The model's outputs."""
        return self._outputs(batch)


class ServedGraph(tf.Module):
    """The signatures of a model; a kind of model is a subclass.

    Args:
        loaded: the model.
        half: see `Weights`.
    """

    # Output -> what it is, for whoever reads it.
    outputs: ClassVar[dict[str, str]] = {}

    def __init__(self, loaded: LoadedModel, half: bool = False):
        super().__init__()
        self.inputs = loaded.inputs
        self._list_inputs = find_kind(loaded.kind).list_inputs
        self.max_seq_length = loaded.max_seq_length
        exact = loaded.tokenizer.exact
        basic = exact.basic_tokenizer
        # tensorflow_text, which takes a while to load, is for graphs only.
        from bert_tf.text.graph_tokenization import GraphTokenizer

        self.tokenizer = GraphTokenizer(list(exact.vocab), basic.do_lower_case, basic.strip_accents)
        self.cls, self.sep, self.mask = exact.convert_tokens_to_ids(["[CLS]", "[SEP]", "[MASK]"])
        self.weights = Weights(loaded.model, half)
        texts = tf.TensorSpec([None], tf.string)
        ids_of = tf.function(self.tokenizer.tokenize, input_signature=[texts], autograph=False)
        self.ids_of = lambda texts: ids_of(texts)  # As above.

    def of_texts(self, *texts: tf.Tensor) -> Batch:
        """Answers texts: a string tensor for each of `inputs`, see `text_specs`."""
        ids_a, *ids_b = map(self.ids_of, texts)
        batch = pack_texts(ids_a, *(ids_b or [None]), self.cls, self.sep, self.max_seq_length)
        return self.of_ids(batch)

    @abc.abstractmethod
    def of_ids(self, batch: Batch) -> Batch:
        """Answers rows of ids: IDS, int32 [N, L]."""

    def signatures(self) -> dict[str, tf.types.experimental.ConcreteFunction]:
        """The concrete functions, by the name of their signature."""
        ids = [tf.TensorSpec([None, None], tf.int32, name) for name in IDS]
        examples = tf.TensorSpec([None], tf.string, "examples")
        return {
            "serving_default": function(self.of_texts, self.text_specs()),
            "text_examples": function(self.of_text_examples, [examples]),
            "ids": function(lambda *rows: self.of_ids(dict(zip(IDS, rows, strict=True))), ids),
            "examples": function(lambda rows: self.of_ids(parse_ids(rows)), [examples]),
        }

    def text_specs(self) -> list[tf.TensorSpec]:
        """Returns the specs of `inputs`: string [N], or [N, C] for those of several texts."""
        return [
            tf.TensorSpec([None, None] if name in self._list_inputs else [None], tf.string, name)
            for name in self.inputs
        ]

    def of_text_examples(self, examples: tf.Tensor) -> Batch:
        """Answers texts that are strings in tf.Examples."""
        features = {
            name: tf.io.FixedLenSequenceFeature([], tf.string, allow_missing=True)
            if name in self._list_inputs
            else tf.io.FixedLenFeature([], tf.string)
            for name in self.inputs
        }
        parsed = tf.io.parse_example(examples, features)
        return self.of_texts(*(parsed[name] for name in self.inputs))


def _halved(value: tf.Tensor) -> tf.Tensor:
    return tf.cast(value, tf.float16) if value.dtype.is_floating else value


def parse_ids(examples: tf.Tensor) -> Batch:
    """tf.Examples -> IDS, int32 [N, L], padded to the longest row.

    `input_mask` and `segment_ids` may be left out: then all are tokens, of the first segment.
    """
    parsed = tf.io.parse_example(examples, {name: tf.io.RaggedFeature(tf.int64) for name in IDS})
    ids, masks, segments = (tf.cast(parsed[name], tf.int32) for name in IDS)
    input_ids = ids.to_tensor()
    shape = [None, None]
    lengths = ids.row_lengths()
    length = tf.shape(input_ids)[1]
    all_tokens = tf.sequence_mask(lengths, length, tf.int32)
    has_mask = masks.row_lengths() > 0
    mask = tf.where(has_mask[:, tf.newaxis], _as_wide(masks, length), all_tokens)
    rows = input_ids, mask, _as_wide(segments, length)
    return {name: tf.ensure_shape(row, shape) for name, row in zip(IDS, rows, strict=True)}


def _as_wide(rows: tf.RaggedTensor, length: tf.Tensor) -> tf.Tensor:
    return rows.to_tensor(shape=tf.stack([-1, length]))


def as_bytes(strings: Sequence[str]) -> np.ndarray:
    """<object>[n]: the strings in UTF-8, which a graph takes for a constant."""
    return np.array([text.encode("utf-8") for text in strings], object)


def function(call, specs: Sequence[tf.TensorSpec]) -> tf.types.experimental.ConcreteFunction:
    """The concrete function of a Python one, whose arguments get the specs' names."""
    return tf.function(call, autograph=False).get_concrete_function(*specs)
