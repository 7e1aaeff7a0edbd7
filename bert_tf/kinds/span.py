"""Span: the answer to a question, a part of a context of any length."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
import tensorflow as tf

from bert_tf.kinds import inference
from bert_tf.kinds.graph import Batch, ServedGraph
from bert_tf.kinds.length_runner import Row
from bert_tf.kinds.loaded_model import LoadedModel
from bert_tf.model.task_heads import SpanModel
from bert_tf.spans.answers import QuestionScores, SpanAnswer, find_answer
from bert_tf.spans.graph_search import find_answers
from bert_tf.spans.offsets import OffsetPassage
from bert_tf.spans.options import SpanOptions
from bert_tf.spans.windows import divide_passage
from bert_tf.text.graph_packing import pack_windows
from bert_tf.text.packing import pack

Options = SpanOptions

# Windows of passages that go through the model together.
_WINDOWS_PER_BATCH = 32


@dataclasses.dataclass(frozen=True, slots=True)
class AnswerSpan:
    """A possible answer to a question.

    text: `context[start:end]`; "" for no answer.
    probability: among the best answers that were looked at, a fraction.
    start, end: where it is in the context, in characters; -1 for no answer.
    """

    text: str
    probability: float
    start: int
    end: int


@dataclasses.dataclass(frozen=True, slots=True)
class Answer(AnswerSpan):
    """The answer to a question.

    nbest: the best answers, the best one first.
    null_odds: the score of "no answer" above that of the best answer; None where the model was
        trained on questions that all have one.
    """

    nbest: tuple[AnswerSpan, ...]
    null_odds: float | None


def make_model(encoder, num_labels: int) -> SpanModel:
    """Returns the model."""
    return SpanModel(encoder)


class Inference(inference.Inference):
    """Answers questions in Python."""

    def predict(self, examples: Sequence[tuple[str, str]]) -> list[Answer]:
        """Returns the answer to each (question, context), however long the context is."""
        # No text has padding: it is no possible answer.
        options = dataclasses.replace(self.loaded.options, mask_padding=True)
        longest, special = self.loaded.max_seq_length, self.tokenizer.special_ids
        passages, windows, starts, rows = [], [], [], []
        for question, context in examples:
            question_ids = self.tokenizer.encode(question)[: options.max_query_length]
            passage = OffsetPassage(context, self.tokenizer)
            of_passage = divide_passage(
                len(passage.ids), len(question_ids), longest, options.doc_stride
            )
            for window in of_passage:
                ids = passage.ids[window.start : window.start + window.length]
                rows.append(Row(*pack(question_ids, ids, special.cls, special.sep)))
            passages.append(passage)
            windows.append(of_passage)
            starts.append(len(question_ids) + 2)
        outputs = iter(self.runner.run(rows))
        answers = []
        for passage, of_passage, start in zip(passages, windows, starts, strict=True):
            logits = [next(outputs) for _ in of_passage]
            scores = QuestionScores(
                of_passage,
                start,
                _stacked([output["start_logits"] for output in logits]),
                _stacked([output["end_logits"] for output in logits]),
            )
            answer = find_answer(options, scores, passage.text, empty="")
            answers.append(_with_places(answer, passage))
        return answers


def _with_places(answer: SpanAnswer, passage: OffsetPassage) -> Answer:
    """The answer with the places in the passage of all that was found."""
    nbest = tuple(
        AnswerSpan(entry.text, entry.probability, *passage.span(*span))
        for entry, span in zip(answer.nbest, answer.spans, strict=True)
    )
    best = nbest[answer.place]
    return Answer(best.text, best.probability, best.start, best.end, nbest, answer.null_odds)


def _stacked(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Logits of windows that went through the model in batches of different lengths: [S, L]."""
    longest = max((len(row) for row in rows), default=0)
    scores = np.full((len(rows), longest), -np.inf, np.float32)
    for number, row in enumerate(rows):
        scores[number, : len(row)] = row
    return scores


class Graph(ServedGraph):
    """Answers questions in a SavedModel: contexts of any length, which are read in windows."""

    outputs: ClassVar = {
        "answer": "string [N]: the best answer; empty for none",
        "probability": "float32 [N]: its probability among the answers that were looked at",
        "start": "int32 [N]: where it starts in the context, in characters; -1 for no answer",
        "end": "int32 [N]: where it ends",
        "score": "float32 [N]: the sum of the answer's two logits",
        "nbest_answers": "string [N, n]: the best answers, the best one first",
        "nbest_probabilities": "float32 [N, n]: their probabilities",
        "nbest_starts": "int32 [N, n]: where each starts",
        "nbest_ends": "int32 [N, n]: where each ends",
        "null_odds": "float32 [N]: the score of no answer above that of the best one; only of "
        "models that know questions without an answer",
    }

    def __init__(self, loaded: LoadedModel, half: bool = False):
        super().__init__(loaded, half)
        self.options = loaded.options

    def of_texts(self, *texts: tf.Tensor) -> Batch:
        question, context = texts
        context = self.tokenizer.valid_text(context)
        question_ids = self.ids_of(question)[:, : self.options.max_query_length]
        ids, starts, ends = self.tokenizer.tokenize_with_offsets(context)
        stride = self.options.doc_stride
        windows = pack_windows(question_ids, ids, self.cls, self.sep, self.max_seq_length, stride)
        return find_answers(
            self.options,
            **self._scores(windows.features),
            owner=windows.owner,
            window_start=windows.window_start,
            window_length=windows.window_length,
            passage_start=windows.passage_start,
            contexts=context,
            starts=starts,
            ends=ends,
            empty="",
        )

    def of_ids(self, batch: Batch) -> Batch:
        """The scores of every place [N, L], as the original gives them."""
        outputs = self.weights(batch)
        return {name: outputs[name] for name in ("start_logits", "end_logits")}

    def _scores(self, batch: Batch) -> Batch:
        """The scores of all windows, some windows at a time: a long context has hundreds."""
        num_windows, length = tf.unstack(tf.shape(batch["input_ids"]))
        # Without any window there still is a place to look at.
        batch = {
            n: tf.pad(row, [[0, 0], [0, tf.maximum(0, 1 - length)]]) for n, row in batch.items()
        }
        num_batches = tf.maximum(1, -(-num_windows // _WINDOWS_PER_BATCH))
        parts = [
            tf.TensorArray(tf.float32, num_batches, infer_shape=False, element_shape=[None, None])
            for _ in range(2)
        ]

        def run(number, starts, ends):
            first = number * _WINDOWS_PER_BATCH
            scores = self.of_ids(
                {n: row[first : first + _WINDOWS_PER_BATCH] for n, row in batch.items()}
            )
            starts = starts.write(number, tf.cast(scores["start_logits"], tf.float32))
            ends = ends.write(number, tf.cast(scores["end_logits"], tf.float32))
            return number + 1, starts, ends

        _, starts, ends = tf.while_loop(
            lambda number, *_: number < num_batches, run, (0, *parts), parallel_iterations=1
        )
        return {"start_logits": starts.concat(), "end_logits": ends.concat()}


def answer_of(example: tuple, outputs: Mapping[str, np.ndarray]) -> Answer:
    """Returns a SavedModel's outputs for one question as an answer."""
    names = ("nbest_answers", "nbest_probabilities", "nbest_starts", "nbest_ends")
    entries = zip(*(outputs[name] for name in names), strict=True)
    nbest = tuple(
        AnswerSpan(text.decode("utf-8"), float(probability), int(start), int(end))
        for text, probability, start, end in entries
        if probability > 0
    )
    return Answer(
        outputs["answer"].decode("utf-8"),
        float(outputs["probability"]),
        int(outputs["start"]),
        int(outputs["end"]),
        nbest,
        float(outputs["null_odds"]) if "null_odds" in outputs else None,
    )


def difference(expected: Answer, actual: Answer) -> float:
    """Returns how far two answers are apart; of equally probable texts either is right."""
    likely = {entry.text: entry.probability for entry in expected.nbest}.get(actual.text, 0.0)
    return max(abs(actual.probability - likely), abs(expected.probability - likely))
