"""Tasks of one kind: a text, or a pair of texts, is put into a class or given a number.

    text_a [, text_b] --> [CLS] a [SEP] (b [SEP]) --> BERT --> a score for each class --> softmax

A task of this kind is a reader of its files, its labels and its official figures. Everything else
is here: what the model is fed, its head and loss, what is predicted, scored and written.

Source: google-research/bert, run_classifier.py.
"""

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from bert_tf import files
from bert_tf.data.schema import Feature
from bert_tf.metrics import classification as metrics
from bert_tf.text.packing import pack_truncated
from bert_tf.text.tokenization import FullTokenizer

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

# By name, what `TextClassification.figures` may hold: functions of labels and predictions.
CLASS_FIGURES = ("accuracy", "f1", "matthews")
NUMBER_FIGURES = ("pearson", "spearman")

# Of a regression's correlation; below it, the model does not look at its input.
_COLLAPSED_CORRELATION = 0.1


@dataclasses.dataclass(frozen=True, slots=True)
class TextExample:
    """A text, or a pair of texts, to be classified.

    Args:
        guid: names the example, as the original release does: `dev-17`.
        text_a: the text.
        text_b: the second text of a pair. One without any token is as good as none.
        label: its class, or its number (a reader may give a number as text, too). None where it is
            not known: where predictions are wanted.
        where: `file:line` that it was read from, for errors.
    """

    guid: str
    text_a: str
    text_b: str | None = None
    label: str | float | None = None
    where: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class TextAnswer:
    """What the model says of an example.

    Args:
        label: the likeliest class, or the number.
        probabilities: float32, one for each class, in the order of the labels; () for numbers.
    """

    label: str | float
    probabilities: tuple[np.float32, ...] = ()


class TextReader(Protocol):
    """Reads a task's files. It can be pickled: a frozen dataclass at the top of a module.

    The splits for a purpose are called as it is (`train`, `eval`, `predict`), or begin with it and
    `_` (`eval_mismatched`).
    """

    def splits(self, purpose: str) -> tuple[str, ...]:
        """See `bert_tf.tasks.task.Task`."""

    def sources(self, split: str) -> list[str]:
        """See `bert_tf.tasks.task.Task`."""

    def read(self, split: str) -> Sequence[TextExample]:
        """All examples of a split, their labels as they stand in the file: they are checked here.

        Raises:
            ValueError: for rows that cannot be understood, with file and line.
        """


@dataclasses.dataclass(frozen=True)
class Submission:
    """The files that a benchmark's server wants, in `<folder>/submission/`.

        index   prediction
        0       entailment

    Args:
        names: pairs of a split and its file's name.
        lowest, highest: numbers beyond these are moved to them.
    """

    names: tuple[tuple[str, str], ...]
    lowest: float = -math.inf
    highest: float = math.inf

    def name(self, split: str) -> str | None:
        """The name of the file for a split, if there is one."""
        return dict(self.names).get(split)

    def word(self, answer: TextAnswer) -> str:
        """An answer as the server wants it: the class, or a number with three decimals."""
        if isinstance(answer.label, str):
            return answer.label
        return f"{min(max(answer.label, self.lowest), self.highest):.3f}"


@dataclasses.dataclass(frozen=True)
class TextClassification:
    """A task that puts texts into classes or, where there are no labels, gives them numbers.

    Args:
        name, options, labels, default_seq_length: see `bert_tf.tasks.task.Task`. Without labels
            it is a regression: one output, no sigmoid, squared error.
        reader: reads the files.
        figures: what `score` reports: some of CLASS_FIGURES or, without labels, NUMBER_FIGURES.
        metric: the one of `figures` that tells the better of two models.
        positive_label: the class that `f1` is about.
        submission: what a benchmark's server wants, if there is one.

    Raises:
        ValueError: for labels or figures with which nothing can be learned or reported.
    """

    name: str
    options: Any
    labels: tuple[str, ...]
    reader: TextReader
    figures: tuple[str, ...]
    metric: str
    positive_label: str = "1"
    submission: Submission | None = None
    default_seq_length: int = 128

    output_names = ("logits",)
    padding_matters = False
    unused_weights = ()

    def __post_init__(self):
        if len(self.labels) == 1 or len(set(self.labels)) < len(self.labels):
            raise ValueError(
                f"{self.name}: labels are at least two different words, or none at all for a "
                f"regression. Received: {', '.join(self.labels)}"
            )
        allowed = CLASS_FIGURES if self.labels else NUMBER_FIGURES
        if not set(self.figures) <= set(allowed) or self.metric not in self.figures:
            raise ValueError(
                f"{self.name}: figures must be of {', '.join(allowed)}, and the metric one of "
                f"them. Received: {', '.join(self.figures)}; {self.metric}"
            )
        if "f1" in self.figures and self.positive_label not in self.labels:
            raise ValueError(
                f"{self.name}: F1 is that of one of the labels, {', '.join(self.labels)}. "
                f"Received: {self.positive_label}"
            )

    def splits(self, purpose: str) -> tuple[str, ...]:
        return self.reader.splits(purpose)

    def sources(self, split: str) -> list[str]:
        return self.reader.sources(split)

    def read(self, split: str) -> list[TextExample]:
        """All examples of a split, every label checked; a regression's are numbers.

        Raises:
            ValueError: for rows that cannot be understood, for unknown labels and missing ones,
                with file and line; and if there are no examples at all.
        """
        examples = [self._checked(example, split) for example in self.reader.read(split)]
        if not examples:
            raise ValueError(f"{', '.join(self.sources(split))}: no examples.")
        return examples

    def features(self, split: str, max_seq_length: int) -> dict[str, Feature]:
        """The original's features. `label_ids` is 0 where the label is not known."""
        if max_seq_length < 3:
            raise ValueError(
                f"A text needs at least 3 tokens with [CLS] and [SEP]. Received: {max_seq_length}"
            )
        return {
            "input_ids": Feature((max_seq_length,)),
            "input_mask": Feature((max_seq_length,)),
            "segment_ids": Feature((max_seq_length,)),
            "label_ids": Feature((), "int64" if self.labels else "float32"),
            "is_real_example": Feature(()),
        }

    def encode(
        self,
        examples: Sequence[TextExample],
        split: str,
        tokenizer: FullTokenizer,
        max_seq_length: int,
    ) -> Iterator[dict[str, Sequence[int] | Sequence[float]]]:
        """One dict of features an example.

        Source: google-research/bert, run_classifier.py, `convert_single_example`.
        """
        cls, sep = tokenizer.convert_tokens_to_ids(["[CLS]", "[SEP]"])
        numbers = {label: number for number, label in enumerate(self.labels)}
        for example in examples:
            ids_a = tokenizer.encode(example.text_a)
            ids_b = tokenizer.encode(example.text_b) if example.text_b else []
            input_ids, segment_ids = pack_truncated(ids_a, ids_b, cls, sep, max_seq_length)
            if self.labels:
                label_id = 0 if example.label is None else numbers[example.label]
            else:
                label_id = float(example.label or 0)
            yield {
                "input_ids": input_ids,
                "segment_ids": segment_ids,
                "label_ids": [label_id],
                "is_real_example": [1],
            }

    def head(self, config) -> "keras.Model":
        """A `ClassificationModel` with an output for each label, or one for a number."""
        from bert_tf.model.heads import ClassificationModel

        return ClassificationModel(config, len(self.labels) or 1)

    def loss(
        self, batch: Mapping[str, "tf.Tensor"], outputs: Mapping[str, "tf.Tensor"]
    ) -> "tf.Tensor":
        """float32 [B]: cross entropy of softmax and label, or the squared difference.

        Args:
            batch: `label_ids` [B].
            outputs: `logits` [B, C].
        """
        import tensorflow as tf

        logits = tf.cast(outputs["logits"], tf.float32)  # [B, C]
        if self.labels:
            return tf.nn.sparse_softmax_cross_entropy_with_logits(batch["label_ids"], logits)
        return tf.math.squared_difference(logits[:, 0], tf.cast(batch["label_ids"], tf.float32))

    def predict(
        self,
        examples: Sequence[TextExample],
        outputs: Mapping[str, np.ndarray],
        tokenizer: FullTokenizer,
        max_seq_length: int,
    ) -> list[TextAnswer]:
        """An answer for each example, from `logits` [N, C]."""
        logits = np.asarray(outputs["logits"], np.float32)
        if not self.labels:
            return [TextAnswer(float(number)) for number in logits[:, 0]]
        return [
            TextAnswer(self.labels[best], tuple(row))
            for best, row in zip(np.argmax(logits, axis=-1), softmax(logits), strict=True)
        ]

    def score(
        self, examples: Sequence[TextExample], answers: Sequence[TextAnswer]
    ) -> dict[str, float]:
        """The official figures, as fractions. Empty where an example has no label."""
        if not examples or any(example.label is None for example in examples):
            return {}
        labels, predictions = _gold_and_predicted(examples, answers)
        return {name: self._figure(name, labels, predictions) for name in self.figures}

    def is_collapsed(self, examples: Sequence[TextExample], answers: Sequence[TextAnswer]) -> bool:
        """Whether all get one class though they should not, or numbers without correlation."""
        if len({example.label for example in examples} - {None}) < 2:
            return False
        labels, predictions = _gold_and_predicted(examples, answers)
        if self.labels:
            return len(set(predictions.tolist())) == 1
        # That of constant predictions is 0.
        return abs(metrics.pearson(labels, predictions)) < _COLLAPSED_CORRELATION

    def write(
        self,
        split: str,
        examples: Sequence[TextExample],
        answers: Sequence[TextAnswer],
        folder: str,
    ) -> list[str]:
        """Writes `test_results.tsv`, `predictions.jsonl` and the submission's file, if any.

        `test_results.tsv` is the original's: a line an example, in their order, of probabilities
        in the order of the labels, with tabs between them; no header. A regression's numbers stand
        there alone. Of further splits the names end with theirs: `test_results_mismatched.tsv`.

        Returns: the paths.
        """
        suffix = split.removeprefix("predict")
        suffix = f"_{suffix.removeprefix('_')}" if suffix else ""
        results = (_results_line(answer) for answer in answers)
        rows = (
            json.dumps(self._as_json(example, answer), ensure_ascii=False)
            for example, answer in zip(examples, answers, strict=True)
        )
        paths = [
            _write_lines(files.join_path(folder, f"test_results{suffix}.tsv"), results),
            _write_lines(files.join_path(folder, f"predictions{suffix}.jsonl"), rows),
        ]
        submission_name = self.submission.name(split) if self.submission else None
        if submission_name:
            submission_folder = files.join_path(folder, "submission")
            files.make_directories(submission_folder)
            words = [self.submission.word(answer) for answer in answers]
            lines = ["index\tprediction", *(f"{i}\t{word}" for i, word in enumerate(words))]
            paths.append(_write_lines(files.join_path(submission_folder, submission_name), lines))
        return paths

    def _checked(self, example: TextExample, split: str) -> TextExample:
        """The example, if its label will do: as a float in a regression."""
        if example.label is None:
            if split.partition("_")[0] == "predict":
                return example
            raise ValueError(f"{example.where}: no label, which {split!r} needs.")
        if self.labels:
            if example.label not in self.labels:
                raise ValueError(
                    f"{example.where}: label {example.label!r} is not one of "
                    f"{', '.join(self.labels)}."
                )
            return example
        try:
            number = float(example.label)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise ValueError(f"{example.where}: label {example.label!r} is not a number.")
        return dataclasses.replace(example, label=number)

    def _figure(self, name: str, labels: np.ndarray, predictions: np.ndarray) -> float:
        if name == "f1":
            return metrics.f1(labels, predictions, self.positive_label)
        return getattr(metrics, name)(labels, predictions)

    def _as_json(self, example: TextExample, answer: TextAnswer) -> dict[str, Any]:
        row: dict[str, Any] = {"id": example.guid, "label": answer.label}
        if self.labels:
            # As many digits as float32 has.
            numbers = [float(str(probability)) for probability in answer.probabilities]
            row["probabilities"] = dict(zip(self.labels, numbers, strict=True))
        return row


def softmax(logits: np.ndarray) -> np.ndarray:
    """float32 [N, C] -> float32 [N, C]: positive, and each row's sum is 1."""
    shifted = np.exp(logits - np.max(logits, axis=-1, keepdims=True))
    return shifted / np.sum(shifted, axis=-1, keepdims=True)


def _gold_and_predicted(
    examples: Sequence[TextExample], answers: Sequence[TextAnswer]
) -> tuple[np.ndarray, np.ndarray]:
    return (
        np.array([example.label for example in examples]),
        np.array([answer.label for answer in answers]),
    )


def _results_line(answer: TextAnswer) -> str:
    """As the original writes it: `str` of float32, which has at most nine digits."""
    return "\t".join(map(str, answer.probabilities or (np.float32(answer.label),)))


def _write_lines(path: str, lines: Sequence[str] | Iterator[str]) -> str:
    with files.atomic_write(path, "w") as file:
        file.writelines(f"{line}\n" for line in lines)
    return path
