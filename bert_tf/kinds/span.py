"""Span: finds the answer to a question in a context of any length."""

import dataclasses
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
from bert_tf.text.packing import num_between, pack

_WINDOWS_PER_BATCH = 32  # In a SavedModel.


@dataclasses.dataclass(frozen=True, slots=True)
class AnswerSpan:
    """A possible answer: `context[start:end]` in characters; "", -1 and -1 for no answer."""

    text: str
    probability: float  # A fraction: the softmax over the n best answers.
    start: int
    end: int


@dataclasses.dataclass(frozen=True, slots=True)
class Answer(AnswerSpan):
    """The answer to a question."""

    nbest: tuple[AnswerSpan, ...]  # The best answers, best first.
    # Score of "no answer" minus that of the best answer; None if all training questions had one.
    null_odds: float | None


class QuestionAnswerer(TextModel):
    """Answers questions, reading contexts in overlapping windows."""

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
        """Returns the logits of each token, [N, L]."""
        outputs = self.compute(batch)
        return {name: outputs[name] for name in ("start_logits", "end_logits")}

    def predict(self, examples):
        options, longest = self.loaded.options, self.loaded.max_seq_length
        tokenizer = self.loaded.tokenizer
        questions, rows = [], []
        num_truncated = 0
        for question, context in examples:
            ids = OffsetPassage(question, tokenizer).ids
            num_truncated += len(ids) > options.max_query_length
            ids = ids[: options.max_query_length]
            passage = OffsetPassage(context, tokenizer)
            how = longest, options.doc_stride, self.special.sep
            windows = divide_passage(len(passage.ids), len(ids), *how)
            for start, length in windows:
                part = passage.ids[start : start + length]
                rows.append(pack(ids, part, self.special.cls, self.special.sep))
            questions.append((ids, passage, windows))
        limit = f"{options.max_query_length} tokens (max_query_length)"
        self.warn_of_truncated(num_truncated, len(examples), limit)
        outputs = iter(self.run(rows))
        return [
            self._answer(ids, passage, windows, [next(outputs) for _ in windows])
            for ids, passage, windows in questions
        ]

    def _answer(self, question_ids, passage: OffsetPassage, windows, outputs) -> Answer:
        # Start and end logits, [2, S, L]; windows were padded to different lengths.
        logits = np.full((2, len(windows), self.loaded.max_seq_length), -np.inf, np.float32)
        for number, output in enumerate(outputs):
            length = len(output["start_logits"])
            logits[:, number, :length] = output["start_logits"], output["end_logits"]
        # Padding is no possible answer.
        options = dataclasses.replace(self.loaded.options, mask_padding=True)
        passage_start = 1 + len(question_ids) + num_between(self.special.sep)
        scores = QuestionScores(windows, passage_start, *logits)
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
        options, longest = self.loaded.options, self.loaded.max_seq_length
        question_ids = tokenizer.tokenize(question)[:, : options.max_query_length]
        ids, starts, ends = tokenizer.tokenize_with_offsets(context)
        cls, sep = self.special.cls, self.special.sep
        with tf.control_dependencies([self.as_many(question_ids, ids)]):
            windows = pack_windows(question_ids, ids, cls, sep, longest, options.doc_stride)
        return find_answers(
            options,
            windows,
            **self._logits(windows.features),
            contexts=context,
            starts=starts,
            ends=ends,
        )

    def _logits(self, batch: Batch) -> Batch:
        """Returns the logits of all windows, in batches: a long context has hundreds."""
        num_windows, length = tf.unstack(tf.shape(batch["input_ids"]))

        def add_batch(first: tf.Tensor, logits: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            end = first + _WINDOWS_PER_BATCH
            outputs = self.of_ids({name: row[first:end] for name, row in batch.items()})
            both = [tf.cast(outputs[name], tf.float32) for name in ("start_logits", "end_logits")]
            return end, tf.concat([logits, tf.stack(both)], axis=1)

        # The search needs at least one token, even without windows.
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
        # A tie may go either way.
        likely = {entry.text: entry.probability for entry in expected.nbest}.get(actual.text, 0.0)
        return max(abs(actual.probability - likely), abs(expected.probability - likely))


def _span(text: bytes, probability, start, end) -> AnswerSpan:
    return AnswerSpan(text.decode("utf-8"), float(probability), int(start), int(end))
