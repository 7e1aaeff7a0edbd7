"""What a pre-training record must hold for a model: fast for many records, in words for one."""

from collections.abc import Mapping
from typing import NoReturn

import tensorflow as tf

from bert_tf.data.schema import Feature

# Feature -> the flag that its length has to agree with.
_LENGTH_FLAGS = {
    "input_ids": "max_seq_length",
    "input_mask": "max_seq_length",
    "segment_ids": "max_seq_length",
    "word_ids": "max_seq_length",
    "masked_lm_positions": "max_predictions_per_seq",
    "masked_lm_ids": "max_predictions_per_seq",
    "masked_lm_weights": "max_predictions_per_seq",
}
_KIND_NAMES = {"int64_list": "int64", "float_list": "float32", "bytes_list": "bytes"}


class ContentRules:
    """The features that every record must have, and between which values they lie.

    Args:
        features: name, shape and dtype of each.
        vocab_size: ids are below this.
        type_vocab_size: segment ids are below this.
    """

    def __init__(
        self, features: Mapping[str, Feature], vocab_size: int, type_vocab_size: int
    ) -> None:
        self.features = dict(features)
        length = features["input_ids"].shape[0]
        limits = {  # The least and the greatest value, and what the latter comes from.
            "input_ids": (0, vocab_size - 1, f"the model's vocab_size={vocab_size}"),
            "masked_lm_ids": (0, vocab_size - 1, f"the model's vocab_size={vocab_size}"),
            "input_mask": (0, 1, "a mask"),
            "segment_ids": (0, type_vocab_size - 1, f"type_vocab_size={type_vocab_size}"),
            "masked_lm_positions": (0, length - 1, f"max_seq_length={length}"),
            "masked_lm_weights": (0, 1, "a weight"),
            "next_sentence_labels": (0, 1, "a label"),
            "word_ids": (0, length, f"max_seq_length={length}"),
        }
        self.limits = {name: limits[name] for name in features}

    def are_met(self, records: tf.Tensor) -> tf.Tensor:
        """<bool>[]: whether all values of serialized records <string>[B] lie between their limits.

        Raises:
            tf.errors.InvalidArgumentError: if a record lacks a feature or has too many values.
        """
        description = {
            name: tf.io.FixedLenFeature(feature.shape, tf.as_dtype(feature.dtype))
            for name, feature in self.features.items()
        }
        parsed = tf.io.parse_example(records, description)
        met = [  # In this form it is also wrong for not-a-number.
            tf.reduce_all((parsed[name] >= low) & (parsed[name] <= high))
            for name, (low, high, _) in self.limits.items()
        ]
        return tf.reduce_all(tf.stack(met))

    def explain(self, record: bytes, path: str, number: int) -> None:
        """Says what is wrong with one serialized record.

        Args:
            record: a serialized `tf.train.Example`.
            path: its file.
            number: its place there, from 0.

        Raises:
            ValueError: if it does not meet the rules.
        """
        place = f"{path}: record {number:,}"
        try:
            stored = tf.train.Example.FromString(record).features.feature
        except Exception as error:  # DecodeError, whose place differs with protobuf's version.
            raise ValueError(f"{place}: it is not a tf.train.Example ({error}).") from error
        for name, feature in self.features.items():
            if name not in stored:
                self._explain_missing(place, name, stored)
            kind = stored[name].WhichOneof("kind")
            values = list(getattr(stored[name], kind).value) if kind else []
            if kind and _KIND_NAMES[kind] != feature.dtype:
                raise ValueError(
                    f"{place}: {name} must hold {feature.dtype} values. "
                    f"Received: {_KIND_NAMES[kind]}"
                )
            if len(values) != feature.shape[0]:
                self._explain_length(place, name, len(values))
            low, high, source = self.limits[name]
            for position, value in enumerate(values):
                if not low <= value <= high:
                    raise ValueError(
                        f"{place}: {name} must lie between {low} and {high} ({source}). "
                        f"Received: {value} at place {position}"
                    )

    def _explain_missing(self, place: str, name: str, stored: Mapping) -> NoReturn:
        advice = ""
        if "word_ids" in stored and name.startswith("masked_lm"):
            advice = (
                " It was made with --masking=dynamic and holds no masks; the manifest.json "
                "that was written beside it is needed to draw them."
            )
        elif name == "word_ids":
            advice = " The manifest.json beside it says --masking=dynamic, the record does not."
        elif name == "next_sentence_labels":
            advice = " Give --objective=masked_lm or left_to_right, which do not need it."
        raise ValueError(
            f"{place}: it has no feature {name}.{advice} Received: {', '.join(sorted(stored))}"
        )

    def _explain_length(self, place: str, name: str, length: int) -> NoReturn:
        expected = self.features[name].shape[0]
        flag = _LENGTH_FLAGS.get(name)
        advice = f" Give --{flag}={length}, or make the records anew." if flag and length else ""
        raise ValueError(
            f"{place}: {name} must have {expected} values"
            f"{f' ({flag}={expected})' if flag else ''}.{advice} Received: {length}"
        )
