"""Implements tasks that select the one of several choices that fits a context.

    context, C choices --> C rows [CLS] context [SEP] choice [SEP] --> BERT --> C logits --> softmax

A task is defined by a reader of its files. Examples may have different numbers of choices; the
missing ones are padding, which the model gives the probability 0.

Source: Devlin et al. 2019, section 4.4; pytorch-pretrained-BERT, run_swag.py.
"""

import collections
import dataclasses
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bert_tf.data.schema import Feature
from bert_tf.metrics.classification import accuracy
from bert_tf.tasks.classification import softmax
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
from bert_tf.text.packing import pack_rows
from bert_tf.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    import tensorflow as tf

logger = logging.getLogger(__name__)

# Where all probabilities are this close to being equal, the model has learned nothing.
_UNIFORM = 0.01


@dataclasses.dataclass(frozen=True, slots=True)
class ChoiceExample:
    """A context and the choices of what follows it."""

    guid: str
    context: str
    choices: tuple[str, ...]
    label: int | None = None  # The index of the right choice; None if unknown.
    where: str = ""  # Its `file:line`, for error messages.


@dataclasses.dataclass(frozen=True, slots=True)
class ChoiceAnswer:
    """The choice for an example."""

    index: int  # On a tie, the first.
    probabilities: tuple[np.float32, ...]  # Of all choices.


_Examples = Sequence[ChoiceExample]
_Answers = Sequence[ChoiceAnswer]


@dataclasses.dataclass(frozen=True)
class MultipleChoice(Task):
    """Selects a choice. An example is one window, with a row for each choice."""

    name: str
    options: Any
    reader: Reader  # Of `ChoiceExample`s.
    # The file that a benchmark's server expects for each split to predict.
    submissions: Mapping[str, str] = dataclasses.field(default_factory=dict)
    default_seq_length: int = 128
    # The largest number of choices of each split that was read.
    _num_choices: dict[str, int] = dataclasses.field(default_factory=dict, compare=False)

    kind = "choice"
    inputs = ("context", "choices")
    labels = ()
    metric = "accuracy"
    measures_accuracy = True

    def read(self, split: str) -> list[ChoiceExample]:
        """Returns all examples of a split, after checking their labels."""
        examples = self.reader.read(split)
        if not examples:
            raise ValueError(f"{', '.join(self.sources(split))}: no examples.")
        if not split.startswith("predict"):
            for each in examples:
                _check_label(each)
        sizes = [len(each.choices) for each in examples]
        self._num_choices[split] = max(sizes)
        places = collections.Counter(each.label for each in examples if each.label is not None)
        counts = ", ".join(f"{place}: {places[place]:,}" for place in sorted(places))
        logger.info(
            "%s, %s: %d examples of %s choices%s",
            *(self.name, split, len(examples)),
            " to ".join(map(str, sorted({min(sizes), max(sizes)}))),
            f"; how often each is right: {counts}" if counts else "",
        )
        return examples

    def features(self, split: str, max_seq_length: int) -> dict[str, Feature]:
        """Returns the encoder's features, a row per choice, and the index of the right one."""
        check_length(max_seq_length, 4, "[CLS], a token, [SEP] and [SEP]")
        rows = (self._size(split), max_seq_length)
        features = dict.fromkeys(("input_ids", "input_mask", "segment_ids"), Feature(rows))
        return features if split.startswith("predict") else features | {"label_ids": Feature(())}

    def _size(self, split: str) -> int:
        if split not in self._num_choices:
            try:
                self.sources(split)
            except ValueError:  # A split without files: only its features' names are needed.
                return 0
            self.read(split)
        return self._num_choices[split]

    def encode(
        self, example: ChoiceExample, split: str, tokenizer: Tokenizer, max_seq_length: int
    ) -> list[Row]:
        """Returns the example's only window.

        Source: pytorch-pretrained-BERT, run_swag.py, `convert_examples_to_features`.
        """
        cls, sep = tokenizer.special_ids.cls, tokenizer.special_ids.sep
        context = tokenizer.encode(example.context)
        pairs = [(context, tokenizer.encode(choice)) for choice in example.choices]
        row, is_cut = pack_rows(pairs, cls, sep, max_seq_length)
        if not split.startswith("predict"):
            row["label_ids"] = [example.label]
        return [TruncatedRow(row) if is_cut else row]

    def loss(self, batch: Batch, outputs: "tf.Tensor") -> "tf.Tensor":
        """Returns float32 [B]: the softmax cross entropy over each example's choices."""
        import tensorflow as tf

        logits = tf.cast(outputs, tf.float32)  # [B, C]
        return tf.nn.sparse_softmax_cross_entropy_with_logits(batch["label_ids"], logits)

    def predict(self, examples: _Examples, windows: Windows, tokenizer: Tokenizer) -> _Answers:
        answers = []
        for example, logits in zip(examples, windows.outputs, strict=True):
            logits = np.asarray(logits[: len(example.choices)], np.float32)
            answers.append(ChoiceAnswer(int(np.argmax(logits)), tuple(softmax(logits[None])[0])))
        return answers

    def score(self, examples: _Examples, answers: _Answers) -> dict[str, float]:
        """Returns the accuracy, a fraction; nothing if a right choice is unknown."""
        gold = [example.label for example in examples]
        if not gold or None in gold:
            return {}
        return {"accuracy": accuracy(gold, [answer.index for answer in answers])}

    def record(self, example: ChoiceExample, answer: ChoiceAnswer) -> dict[str, Any]:
        probabilities = [float(str(number)) for number in answer.probabilities]
        known = example.label is not None
        return {
            "id": example.guid,
            "context": example.context,
            "choices": list(example.choices),
            **({"gold": example.label} if known else {}),
            "label": answer.index,
            "confidence": probabilities[answer.index],
            "probabilities": probabilities,
            **({"correct": example.label == answer.index} if known else {}),
        }

    def is_collapsed(self, examples: _Examples, answers: _Answers) -> bool:
        """Returns whether the same place is always chosen, or all choices have equal scores."""
        gold = {example.label for example in examples}
        spread = max(max(each.probabilities) - min(each.probabilities) for each in answers)
        is_same = len({answer.index for answer in answers}) == 1
        return bool(spread < _UNIFORM) or (is_same and len(gold) > 1)

    def write(self, split: str, examples: _Examples, answers: _Answers, folder: str) -> list[str]:
        """Writes `test_results.tsv` (probabilities), `predictions.jsonl`, and the submission."""
        rows = ("\t".join(map(str, answer.probabilities)) + "\n" for answer in answers)
        contents = {
            "test_results.tsv": "".join(rows),
            "predictions.jsonl": self.predictions(examples, answers),
        }
        if split in self.submissions:
            lines = (f"{number},{answer.index}\n" for number, answer in enumerate(answers))
            contents[f"submission/{self.submissions[split]}"] = "".join((",pred\n", *lines))
        return write_files(folder, contents)


def _check_label(example: ChoiceExample) -> None:
    if example.label is None:
        raise ValueError(f"{example.where}: no label. Remove the row, or name the right choice.")
    if not 0 <= example.label < len(example.choices):
        raise ValueError(
            f"{example.where}: the label is that of choice number {example.label}, counted from 0, "
            f"but the row has {len(example.choices)} choices."
        )
