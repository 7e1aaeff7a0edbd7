"""Span: the answer to a question, a part of a context of any length."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
import tensorflow as tf

from bert_tf.kinds.length_runner import Batch
from bert_tf.kinds.text_model import TextModel
from bert_tf.model.task_heads import SpanModel
from bert_tf.spans.answers import QuestionScores, find_answer
from bert_tf.spans.graph_search import find_answers
from bert_tf.spans.offsets import OffsetPassage
from bert_tf.spans.options import SpanOptions
from bert_tf.spans.windows import divide_passage
from bert_tf.text.graph_packing import pack_windows
from bert_tf.text.packing import Window, pack

# Windows that go through the model together in a SavedModel.
_WINDOWS_PER_BATCH = 32


@dataclasses.dataclass(frozen=True, slots=True)
class AnswerSpan:
    """A possible answer: `context[start:end]` in characters; "", -1 and -1 for no answer.

    Its probability, a fraction, is that among the best answers.
    """

    text: str
    probability: float
    start: int
    end: int


@dataclasses.dataclass(frozen=True, slots=True)
class Answer(AnswerSpan):
    """The answer to a question, and the best answers, the best one first."""

    nbest: tuple[AnswerSpan, ...]
    # The score of "no answer" above that of the best answer; None where the model was trained on
    # questions that all have one.
    null_odds: float | None


class QuestionAnswerer(TextModel):
    """Answers questions; contexts are read in windows."""

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
    Options = SpanOptions

    @staticmethod
    def make_model(encoder, num_labels):
        return SpanModel(encoder)

    def of_ids(self, batch):
        """Returns the logits of each token [N, L], as the original does."""
        outputs = self.compute(batch)
        return {name: outputs[name] for name in ("start_logits", "end_logits")}

    def predict(self, examples):
        options, longest = self.loaded.options, self.loaded.max_seq_length
        tokenizer = self.loaded.tokenizer.exact
        questions, passages, windows, rows = [], [], [], []
        for question, context in examples:
            ids = tokenizer.encode(question)[: options.max_query_length]
            passage = OffsetPassage(context, tokenizer)
            of_passage = divide_passage(len(passage.ids), len(ids), longest, options.doc_stride)
            for start, length in of_passage:
                part = passage.ids[start : start + length]
                rows.append(pack(ids, part, self.special.cls, self.special.sep))
            questions.append(ids)
            passages.append(passage)
            windows.append(of_passage)
        outputs = iter(self.run(rows))
        return [
            self._answer(ids, passage, of_passage, [next(outputs) for _ in of_passage])
            for ids, passage, of_passage in zip(questions, passages, windows, strict=True)
        ]

    def _answer(
        self,
        question_ids: Sequence[int],
        passage: OffsetPassage,
        windows: tuple[Window, ...],
        outputs: Sequence[Mapping[str, np.ndarray]],
    ) -> Answer:
        # Windows in batches of different lengths: [S, L].
        logits = np.full((2, len(windows), self.loaded.max_seq_length), -np.inf, np.float32)
        for number, output in enumerate(outputs):
            length = len(output["start_logits"])
            logits[:, number, :length] = output["start_logits"], output["end_logits"]
        # No text has padding: it is no possible answer.
        options = dataclasses.replace(self.loaded.options, mask_padding=True)
        scores = QuestionScores(windows, len(question_ids) + 2, *logits)
        answer = find_answer(options, scores, passage.text, empty="")
        nbest = tuple(
            AnswerSpan(entry.text, entry.probability, *passage.span(*span))
            for entry, span in zip(answer.nbest, answer.spans, strict=True)
        )
        best = nbest[answer.place]
        return Answer(best.text, best.probability, best.start, best.end, nbest, answer.null_odds)

    def of_texts(self, tokenizer, *texts):
        question, context = texts
        context = tokenizer.valid_text(context)
        question_ids = tokenizer.tokenize(question)[:, : self.loaded.options.max_query_length]
        ids, starts, ends = tokenizer.tokenize_with_offsets(context)
        options, special = self.loaded.options, self.special
        windows = pack_windows(
            *(question_ids, ids, special.cls, special.sep),
            *(self.loaded.max_seq_length, options.doc_stride),
        )
        return find_answers(
            options,
            **self._logits(windows.features),
            owner=windows.owner,
            window_start=windows.window_start,
            window_length=windows.window_length,
            passage_start=windows.passage_start,
            contexts=context,
            starts=starts,
            ends=ends,
            empty="",
        )

    def _logits(self, batch: Batch) -> Batch:
        """Returns the logits of all windows, computed in batches: a long context has hundreds."""
        num_windows, length = tf.unstack(tf.shape(batch["input_ids"]))

        def add_batch(first: tf.Tensor, logits: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            end = first + _WINDOWS_PER_BATCH
            outputs = self.of_ids({name: row[first:end] for name, row in batch.items()})
            both = [tf.cast(outputs[name], tf.float32) for name in ("start_logits", "end_logits")]
            return end, tf.concat([logits, tf.stack(both)], axis=1)

        # Where there is no window, there still is a token to search.
        nothing = tf.zeros([2, 0, tf.maximum(length, 1)])
        _, logits = tf.while_loop(
            lambda first, _: first < num_windows,
            add_batch,
            (0, nothing),
            shape_invariants=(tf.TensorShape([]), tf.TensorShape([2, None, None])),
            parallel_iterations=1,
        )
        return {"start_logits": logits[0], "end_logits": logits[1]}

    @staticmethod
    def answer_of(example, outputs):
        names = ("nbest_answers", "nbest_probabilities", "nbest_starts", "nbest_ends")
        entries = zip(*(outputs[name] for name in names), strict=True)
        nbest = tuple(_span(*entry) for entry in entries if entry[1] > 0)
        null_odds = float(outputs["null_odds"]) if "null_odds" in outputs else None
        best = _span(*(outputs[name] for name in ("answer", "probability", "start", "end")))
        return Answer(best.text, best.probability, best.start, best.end, nbest, null_odds)

    @staticmethod
    def difference(expected, actual):
        # Of equally probable texts either is right.
        likely = {entry.text: entry.probability for entry in expected.nbest}.get(actual.text, 0.0)
        return max(abs(actual.probability - likely), abs(expected.probability - likely))


def _span(text: bytes, probability, start, end) -> AnswerSpan:
    return AnswerSpan(text.decode("utf-8"), float(probability), int(start), int(end))
