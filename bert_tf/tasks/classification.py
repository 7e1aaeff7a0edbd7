"""Implements tasks that assign a class or a number to a text or a pair of texts.

    text_a [, text_b] --> [CLS] a [SEP] (b [SEP]) --> BERT --> a logit per class --> softmax

A task is defined by a reader of its files, its labels and its official metrics. The prediction
files are

    test_results.tsv         0.0218   0.9782                     the original release's file
    predictions.jsonl        {"id": "test-1", "text": "...", "label": "1", "probabilities": ...}
    submission/MRPC.tsv      0   1                               for a benchmark's server

Source: google-research/bert, run_classifier.py.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bert_tf import files
from bert_tf.data.schema import Feature
from bert_tf.metrics import classification as metrics
from bert_tf.spans.long_texts import (
    LongTextOptions,
    aggregated,
    check_window_length,
    pack_pair_windows,
)
from bert_tf.tasks.example_report import report_examples
from bert_tf.tasks.task import (
    Batch,
    Reader,
    Row,
    Task,
    TruncatedRow,
    Windows,
    check_length,
    write_files,
)
from bert_tf.tasks.text_examples import TextAnswer, TextExample, to_number
from bert_tf.text.packing import is_truncated, pack_truncated
from bert_tf.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    import tensorflow as tf

_Examples = Sequence[TextExample]
_Answers = Sequence[TextAnswer]

# Functions of `metrics.classification`, by name.
_CLASS_METRICS = ("accuracy", "f1", "matthews")
_NUMBER_METRICS = ("pearson", "spearman")

_WINDOW_WEIGHT = "window_weight"  # Feature of a window: 1 / the windows of its example.

# With a lower correlation with the labels, a regression ignores its input.
_COLLAPSED_CORRELATION = 0.1


@dataclasses.dataclass(frozen=True)
class TextClassification(Task):
    """Predicts a class or, without labels, a number (one output, no sigmoid, squared error)."""

    name: str
    options: Any
    labels: tuple[str, ...]
    reader: Reader  # Of `TextExample`s.
    metrics: tuple[str, ...]  # What `score` reports: functions of `metrics.classification`.
    metric: str  # The one of `metrics` that models are compared by.
    positive_label: str = "1"  # The class whose F1 is `f1`.
    # The file that a benchmark's server expects for each split to predict.
    submissions: Mapping[str, str] = dataclasses.field(default_factory=dict)
    default_seq_length: int = 128
    is_pair: bool = False  # Whether an example has two texts.
    # By which the losses of the examples of each class are multiplied; () for 1.
    class_weights: tuple[float, ...] = ()

    fewest_labels = 2

    class_metrics = _CLASS_METRICS

    def __post_init__(self):
        num_different = len(set(self.labels) - {""})
        if self.labels and num_different < max(self.fewest_labels, len(self.labels)):
            fewest = {1: "one label", 2: "two different labels"}[self.fewest_labels]
            raise ValueError(
                f"{self.name}: there must be at least {fewest}, none of them empty, or none at all "
                f"for a regression. Received: {', '.join(self.labels)}"
            )
        allowed = self.class_metrics if self.labels else _NUMBER_METRICS
        if not {self.metric} <= set(self.metrics) <= set(allowed):
            raise ValueError(
                f"{self.name}: metrics must be among {', '.join(allowed)}, and the metric to "
                f"compare models by one of them. Received: {', '.join(self.metrics)}; {self.metric}"
            )
        if "f1" in self.metrics and self.positive_label not in self.labels:
            raise ValueError(
                f"{self.name}: positive_label must be one of the labels {', '.join(self.labels)}. "
                f"Received: {self.positive_label}"
            )

    @property
    def kind(self) -> str:
        return "classification" if self.labels else "regression"

    @functools.cached_property
    def long_texts(self) -> LongTextOptions:
        """What is done with long texts, which `options` may say."""
        names = (field.name for field in dataclasses.fields(LongTextOptions))
        given = {name: getattr(self.options, name) for name in names if hasattr(self.options, name)}
        return LongTextOptions(**given)

    @property
    def counts_windows(self) -> bool:
        return self.long_texts.has_windows

    @property
    def measures_accuracy(self) -> bool:
        return bool(self.labels)

    @property
    def inputs(self) -> tuple[str, ...]:
        return ("text_a", "text_b") if self.is_pair else ("text",)

    def read(self, split: str) -> list[TextExample]:
        """Returns all examples of a split with checked labels, which are floats in a regression."""
        examples = self.reader.read(split)
        if not examples:
            raise ValueError(f"{', '.join(self.sources(split))}: no examples.")
        needs_label = not split.startswith("predict")
        found = ((each.where, self.problem(each, needs_label)) for each in examples)
        if problems := [(where, problem) for where, problem in found if problem]:
            where, problem = problems[0]
            raise ValueError(
                f"{where}: {problem}. Of {len(examples):,} examples for {split!r}, "
                f"{len(problems):,} have no usable label: correct or remove them."
            )
        if not self.labels:
            examples = [
                each if each.label is None else dataclasses.replace(each, label=float(each.label))
                for each in examples
            ]
        report_examples(self.name, split, examples, self.labels)
        return examples

    def problem(self, example: TextExample, needs_label: bool) -> str:
        """Returns what is wrong with an example's label; "" if nothing."""
        label = example.label
        if label is None:
            return "no label" if needs_label else ""
        if self.labels and label not in self.labels:
            return f"label {label!r} is not one of {files.some(self.labels, listed=20)}"
        is_number = self.labels or math.isfinite(to_number(label))
        return "" if is_number else f"label {label!r} is not a number"

    def features(self, split: str, max_seq_length: int) -> dict[str, Feature]:
        """Returns the original's features. `label_ids` is 0 where the label is unknown."""
        check_length(max_seq_length, 3, "[CLS], a token and [SEP]")
        sequences = ("input_ids", "input_mask", "segment_ids")
        weights = {}
        if self.long_texts.has_windows:
            check_window_length(max_seq_length)
            weights = {_WINDOW_WEIGHT: Feature((), "float32")}
        return {
            **dict.fromkeys(sequences, Feature((max_seq_length,))),
            **weights,
            "label_ids": self.label_feature,
            "is_real_example": Feature(()),
        }

    @property
    def label_feature(self) -> Feature:
        return Feature((), "int64" if self.labels else "float32")

    def label_values(self, example: TextExample) -> list[int] | list[float]:
        """Returns an example's `label_ids`."""
        if self.labels:
            return [0 if example.label is None else self.labels.index(example.label)]
        return [float(example.label or 0)]

    def encode(
        self, example: TextExample, split: str, tokenizer: Tokenizer, max_seq_length: int
    ) -> list[Row]:
        """Returns the example's only window or, with `long_texts=windows`, one or several.

        Source: google-research/bert, run_classifier.py, `convert_single_example`.
        """
        cls, sep = tokenizer.special_ids.cls, tokenizer.special_ids.sep
        ids_a = tokenizer.encode(example.text_a)
        ids_b = tokenizer.encode(example.text_b) if example.text_b else []
        long_texts, weights = self.long_texts, {}
        if long_texts.has_windows:
            how = cls, sep, max_seq_length, long_texts.window_stride
            packed, is_cut = pack_pair_windows(ids_a, ids_b, *how)
            weights = {_WINDOW_WEIGHT: [1 / len(packed)]}
        else:
            packed = [pack_truncated(ids_a, ids_b, cls, sep, max_seq_length)]
            is_cut = is_truncated(ids_a, ids_b, max_seq_length, sep)
        rest = {"label_ids": self.label_values(example), "is_real_example": [1], **weights}
        row_type = TruncatedRow if is_cut else dict
        return [row_type(input_ids=ids, segment_ids=kinds, **rest) for ids, kinds in packed]

    def loss(self, batch: Batch, outputs: "tf.Tensor") -> "tf.Tensor":
        """Returns float32 [B]: the softmax cross entropy, or the squared error of a regression."""
        import tensorflow as tf

        logits = tf.cast(outputs, tf.float32)  # [B, C]
        if self.labels:
            labels = batch["label_ids"]
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            if not self.class_weights:
                return losses
            return losses * tf.gather(tf.constant(self.class_weights, tf.float32), labels)
        return tf.math.squared_difference(logits[:, 0], tf.cast(batch["label_ids"], tf.float32))

    def loss_weights(self, batch: Batch) -> "tf.Tensor":
        """Returns float32 [B]: 1, or less for windows, those of an example 1 together."""
        return batch[_WINDOW_WEIGHT] if self.counts_windows else super().loss_weights(batch)

    def predict(self, examples: _Examples, windows: Windows, tokenizer: Tokenizer) -> _Answers:
        logits = self.logits_of(windows)
        if not self.labels:
            return [TextAnswer(float(number)) for number in logits[:, 0]]
        return [
            TextAnswer(self.labels[best], tuple(row))
            for best, row in zip(np.argmax(logits, axis=-1), softmax(logits), strict=True)
        ]

    def logits_of(self, windows: Windows) -> np.ndarray:
        """Returns the logits of each example, float32 [N, C], from those of its windows."""
        logits = np.asarray(windows.outputs, np.float32)  # [F, C]
        if not self.counts_windows:
            return logits
        how = self.long_texts.window_aggregate
        return np.stack([aggregated(logits[rows], how) for rows in windows.rows_by_example()])

    def score(self, examples: _Examples, answers: _Answers) -> dict[str, float]:
        """Returns the official metrics, as fractions; none if an example has no label."""
        if not examples or any(example.label is None for example in examples):
            return {}
        pair = _label_arrays(examples, answers)
        extra = {"f1": (self.positive_label,)}
        return {name: getattr(metrics, name)(*pair, *extra.get(name, ())) for name in self.metrics}

    def texts(self, example: TextExample) -> dict[str, Any]:
        """Returns an example's id and texts as they are written."""
        texts = {"text_a": example.text_a, "text_b": example.text_b}
        is_pair = example.text_b is not None
        return {"id": example.guid, **(texts if is_pair else {"text": example.text_a})}

    def record(self, example: TextExample, answer: TextAnswer) -> dict[str, Any]:
        record = self.texts(example)
        gold = {} if example.label is None else {"gold": example.label}
        if not self.labels:
            error = {"error": abs(_short(answer.label - gold["gold"]))} if gold else {}
            return {**record, **gold, "label": _short(answer.label), **error}
        probabilities = dict(zip(self.labels, map(_short, answer.probabilities), strict=True))
        record |= {**gold, "label": answer.label, "confidence": probabilities[answer.label]}
        correct = {"correct": example.label == answer.label} if gold else {}
        return {**record, "probabilities": probabilities, **correct}

    def is_collapsed(self, examples: _Examples, answers: _Answers) -> bool:
        """Returns whether all classes are the same, or the numbers do not correlate with labels."""
        gold = {example.label for example in examples}
        if None in gold or len(gold) < 2:
            return False
        labels, predictions = _label_arrays(examples, answers)
        if self.labels:
            return len(set(predictions.tolist())) == 1
        # The correlation of constant predictions is 0.
        return abs(metrics.pearson(labels, predictions)) < _COLLAPSED_CORRELATION

    def write(self, split: str, examples: _Examples, answers: _Answers, folder: str) -> list[str]:
        """Writes files such as `test_results_mismatched.tsv`, and returns their paths."""
        other = split.removeprefix("predict").removeprefix("_")
        suffix = f"_{other}" if other else ""
        contents = {
            f"test_results{suffix}.tsv": "".join(map(_results_line, answers)),
            f"predictions{suffix}.jsonl": self.predictions(examples, answers),
        }
        if split in self.submissions:
            lines = (f"{index}\t{_submitted(answer)}\n" for index, answer in enumerate(answers))
            contents[f"submission/{self.submissions[split]}"] = "".join(
                ("index\tprediction\n", *lines)
            )
        return write_files(folder, contents)


def check_labels(name: str, own: tuple[str, ...], trained: tuple[str, ...] | None) -> None:
    """Raises a ValueError if a trained model has other labels than a task, in any order."""
    if trained and set(trained) != set(own):
        raise ValueError(
            f"{name} has the labels {', '.join(own) or '(none: a number)'}, but the model was "
            f"trained for {', '.join(trained)}."
        )


def softmax(logits: np.ndarray) -> np.ndarray:
    """Returns the softmax of each row, float32 [N, C] -> float32 [N, C]."""
    shifted = np.exp(logits - np.max(logits, axis=-1, keepdims=True))
    return shifted / np.sum(shifted, axis=-1, keepdims=True)


def _label_arrays(examples: _Examples, answers: _Answers) -> tuple[np.ndarray, np.ndarray]:
    gold, predicted = ([each.label for each in group] for group in (examples, answers))
    return np.array(gold), np.array(predicted)


def _results_line(answer: TextAnswer) -> str:
    """Returns a line as the original writes it: with `str` of float32, at most nine digits."""
    return "\t".join(map(str, answer.probabilities or (np.float32(answer.label),))) + "\n"


def _short(number: float) -> float:
    return float(str(np.float32(number)))  # No more digits than float32 has.


def _submitted(answer: TextAnswer) -> str:
    """Returns the class, or a number from 0 to 5 (STS-B, the only regression)."""
    if isinstance(answer.label, str):
        return answer.label
    return f"{round(min(max(answer.label, 0.0), 5.0), 3) + 0.0:.3f}"  # + 0.0 turns -0.0 into 0.0.
