"""Span: finds the answer to a question in a context of any length."""

import dataclasses
from typing import ClassVar

import tensorflow as tf

from bert_tf.kinds.length_runner import Batch
from bert_tf.kinds.piece_model import TRUNCATED, PieceModel
from bert_tf.kinds.window_batches import in_window_batches
from bert_tf.model.task_heads import SpanModel
from bert_tf.spans.graph_search import find_answers
from bert_tf.spans.offsets import PASSAGE_WORD
from bert_tf.spans.options import SpanOptions
from bert_tf.text.graph_packing import pack_windows


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


class QuestionAnswerer(PieceModel):
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
    word_pattern = PASSAGE_WORD

    @staticmethod
    def make_model(encoder, num_labels):
        return SpanModel(encoder)

    def predict(self, examples):
        try:
            return super().predict(examples)
        except tf.errors.InvalidArgumentError as error:
            raise ValueError(
                f"A question of {self.limit} may leave no room for its passage in max_seq_length="
                f"{self.loaded.max_seq_length}. Lower max_query_length."
            ) from error

    @property
    def limit(self):
        return f"{self.loaded.options.max_query_length} tokens (max_query_length)"

    def of_ids(self, batch):
        """Returns the logits of each token, [N, L]."""
        outputs = self.compute(batch)
        return {name: outputs[name] for name in ("start_logits", "end_logits")}

    def of_pieces(self, texts, pieces):
        (_, context), (question, passage) = texts, pieces
        options, longest = self.loaded.options, self.loaded.options.max_query_length
        windows = pack_windows(
            question.ids[:, :longest],
            passage.ids,
            self.special.cls,
            self.special.sep,
            self.loaded.max_seq_length,
            options.doc_stride,
        )
        # The search needs at least one token, even without windows.
        length = tf.maximum(tf.shape(windows.features["input_ids"])[1], 1)
        logits = in_window_batches(self._logits, windows.features, tf.zeros([0, length, 2]))
        starts, ends = tf.unstack(logits, 2, axis=-1)  # [S, L]
        answers = find_answers(
            options,
            windows,
            start_logits=starts,
            end_logits=ends,
            contexts=context,
            starts=passage.starts,
            ends=passage.ends,
        )
        return {**answers, TRUNCATED: question.ids.row_lengths() > longest}

    def _logits(self, batch: Batch) -> tf.Tensor:
        """Returns the logits of starts and ends, float32 [B, L, 2]."""
        outputs = self.of_ids(batch)
        both = [tf.cast(outputs[name], tf.float32) for name in ("start_logits", "end_logits")]
        return tf.stack(both, axis=-1)

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
