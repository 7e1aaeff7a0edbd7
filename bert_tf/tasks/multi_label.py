"""Implements tasks that assign any number of labels to a text or a pair of texts.

    text_a [, text_b] --> BERT --> a logit per label --> sigmoid --> labels above their thresholds

Training minimizes the mean of the labels' binary cross entropies. The rest is as in
`classification.py`; `label` is a list in `predictions.jsonl`.
"""

import dataclasses
import itertools
import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from bert_tf import files
from bert_tf.data.schema import Feature
from bert_tf.metrics import multi_label as metrics
from bert_tf.tasks.classification import TextClassification
from bert_tf.tasks.task import Batch, Windows
from bert_tf.tasks.text_examples import TextAnswer, TextExample
from bert_tf.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    import tensorflow as tf

logger = logging.getLogger(__name__)

_MAX_SHOWN = 20  # Labels whose F1 is among the metrics; `eval_report.json` has those of all.


@dataclasses.dataclass(frozen=True)
class MultiLabelClassification(TextClassification):
    """Predicts labels. `TextExample.label` is the tuple of an example's labels.

    `options.thresholds` is "auto", to be chosen on the evaluation examples, or numbers. Of
    `class_weights`, each multiplies the loss of the examples that have the label.
    """

    metrics: tuple[str, ...] = ("micro_f1", "macro_f1", "accuracy")
    metric: str = "micro_f1"

    kind = "multi_label"
    fewest_labels = 1
    class_metrics = ("micro_f1", "macro_f1", "accuracy")

    def __post_init__(self):
        super().__post_init__()
        metrics.parse_thresholds(self.options.thresholds, len(self.labels))

    @property
    def thresholds(self) -> tuple[float, ...]:
        return metrics.parse_thresholds(self.options.thresholds, len(self.labels))

    def problem(self, example: TextExample, needs_label: bool) -> str:
        if example.label is None:
            return "no labels" if needs_label else ""
        unknown = [label for label in example.label if label not in self.labels]
        known = files.some(self.labels, listed=20)
        return f"label {unknown[0]!r} is not one of {known}" if unknown else ""

    @property
    def needs_calibration(self) -> bool:
        return self.options.thresholds == "auto"

    @property
    def label_feature(self) -> Feature:
        return Feature((len(self.labels),), "float32")

    def label_values(self, example: TextExample) -> list[float]:
        return [float(label in (example.label or ())) for label in self.labels]

    def loss(self, batch: Batch, outputs: "tf.Tensor") -> "tf.Tensor":
        """Returns float32 [B]: the mean binary cross entropy of an example's C labels."""
        import tensorflow as tf

        logits, labels = tf.cast(outputs, tf.float32), batch["label_ids"]  # [B, C]
        weights = tf.constant(self.class_weights or (1.0,) * len(self.labels), tf.float32)
        losses = tf.nn.weighted_cross_entropy_with_logits(labels, logits, weights)
        return tf.reduce_mean(losses, axis=-1)

    def hits(self, batch: Batch, outputs: "tf.Tensor") -> "tf.Tensor":
        """Returns 1 for examples whose labels are all right, at a threshold of 0.5."""
        import tensorflow as tf

        is_right = (outputs > 0) == (batch["label_ids"] > 0.5)
        return tf.cast(tf.reduce_all(is_right, axis=-1), tf.float32)

    def predict(
        self, examples: list[TextExample], windows: Windows, tokenizer: Tokenizer
    ) -> list[TextAnswer]:
        logits = self.logits_of(windows)  # [N, C]
        probabilities = np.exp(-np.logaddexp(np.float32(0), -logits))  # The sigmoid.
        is_chosen = probabilities >= np.float32(self.thresholds)
        return [
            TextAnswer(tuple(itertools.compress(self.labels, row)), tuple(values))
            for row, values in zip(is_chosen, probabilities, strict=True)
        ]

    def score(self, examples: list[TextExample], answers: list[TextAnswer]) -> dict[str, float]:
        """Returns the metrics, as fractions; none if an example has no label."""
        if not examples or any(example.label is None for example in examples):
            return {}
        gold, found = self._arrays(examples), self._arrays(answers)
        results = metrics.scores(gold, found)
        if len(self.labels) <= _MAX_SHOWN:
            each = metrics.label_metrics(gold, found)
            results |= {f"f1_{x}": m["f1"] for x, m in zip(self.labels, each, strict=True)}
        return results

    def calibrated(
        self, examples: list[TextExample], answers: list[TextAnswer]
    ) -> "MultiLabelClassification":
        """Returns the task with the thresholds that give each label its best F1."""
        probabilities = [answer.probabilities for answer in answers]
        found = metrics.best_thresholds(self._arrays(examples), probabilities)
        logger.info(
            "Thresholds with the best F1 on the evaluation examples: %s",
            files.some(f"{x}: {t:g}" for x, t in zip(self.labels, found, strict=True)),
        )
        text = ",".join(map(str, found))
        options = dataclasses.replace(self.options, thresholds=text)
        return dataclasses.replace(self, options=options)

    def record(self, example: TextExample, answer: TextAnswer) -> dict[str, Any]:
        numbers = [float(str(number)) for number in answer.probabilities]
        record = {
            **self.texts(example),
            **({} if example.label is None else {"gold": list(example.label)}),
            "label": list(answer.label),
            "probabilities": dict(zip(self.labels, numbers, strict=True)),
        }
        if example.label is None:
            return record
        if set(example.label) == set(answer.label):
            return {**record, "correct": True}
        distances = np.abs(np.subtract(self.label_values(example), numbers))
        return {**record, "correct": False, "error": float(f"{max(distances):.6g}")}

    def is_collapsed(self, examples: list[TextExample], answers: list[TextAnswer]) -> bool:
        """Returns whether all answers are the same although the right ones differ."""
        gold = {example.label for example in examples}
        return len(gold) > 1 and len({answer.label for answer in answers}) == 1

    def _arrays(self, group: list[TextExample] | list[TextAnswer]) -> np.ndarray:
        """Returns bool [N, C]: whether each has each label."""
        return np.array([[label in each.label for label in self.labels] for each in group])
