"""The best answers to questions, found inside of a graph: as `AnswerSearch` finds them in Python.

    scores of all questions' windows --> starts, ends: the highest of each window [S, k]
                                     --> pairs of them that can be an answer [P]
                                     --> ranked, those of one question behind those of another
                                     --> cut out of the passages, each text once
                                     --> the n best of each question [N, n], likelihoods

All questions go through each step together; there is no loop. Texts are cut out of one string, that
of all passages behind each other, by the places of its bytes.

Letters for axes: S windows of all questions, N questions, L tokens of a window, k starts or ends
that are tried, P pairs, n answers that are kept.
"""

import dataclasses
from typing import NamedTuple

import tensorflow as tf

from bert_tf.spans.answers import NO_OTHER_ANSWER, AnswerSearch

_NO_SCORE = -float("inf")


@dataclasses.dataclass(frozen=True)
class SpanSearch:
    """How answers are chosen. It has no weights, and can be called in any graph.

        search = SpanSearch(AnswerSearch(n_best_size=5, ignore_padding=True))
        answers = search(...)    # answers["answer"]: string [N]

    Args:
        settings: as for Python. Nothing may depend on padding, which is one thing to a server and
            another to a client: so it must be ignored.

    Raises:
        ValueError: if it is not.
    """

    settings: AnswerSearch

    def __post_init__(self):
        if not self.settings.ignore_padding:
            raise ValueError(
                "In a graph scores of padding do not count: the settings must say ignore_padding="
                f"True. Received: {self.settings}"
            )

    @property
    def num_kept(self) -> int:
        """n, how many answers to a question there are at most.

        As in Python "no answer" is always among them, if need be behind all others.
        """
        return self.settings.n_best_size + int(self.settings.has_null)

    def __call__(
        self,
        *,
        start_logits: tf.Tensor,
        end_logits: tf.Tensor,
        owner: tf.Tensor,
        window_start: tf.Tensor,
        window_length: tf.Tensor,
        passage_start: tf.Tensor,
        contexts: tf.Tensor,
        starts: tf.RaggedTensor,
        ends: tf.RaggedTensor,
    ) -> dict[str, tf.Tensor]:
        """The answers to N questions, in whose passages there are S windows. N or S may be 0.

        Args:
            start_logits, end_logits: float [S, L].
            owner: int [S], the question that a window belongs to. It never decreases; there may be
                questions without windows.
            window_start, window_length: int [S], what part of the passage's tokens it shows.
            passage_start: int [S], the place of the first of them in the window.
            contexts: string [N], the passages, in UTF-8.
            starts, ends: int [N, (T)], of each token of a passage the place of its first character
                and that behind its last one, see `OffsetPassage`.

        Returns:
            answer: string [N], "" for none.
            start, end: int32 [N], its place in the passage in characters; -1 for none.
            probability, score: float32 [N], of the answer, or of there being none: the softmax of
                the n best scores, and the sum of its two logits.
            nbest_answers, nbest_probabilities, nbest_starts, nbest_ends: [N, n], the likeliest
                answers, the best one first, and behind the last one "", 0.0, -1 and -1.
            null_odds: float32 [N], the score of "no answer" above that of the best answer; only
                where there may be no answer.
        """
        windows = _Windows(
            *(
                tf.cast(column, tf.int32)
                for column in (owner, window_start, window_length, passage_start)
            )
        )
        with tf.device("CPU"):  # It is strings and small things, and ties are settled one way.
            spans = self._ranked(windows, start_logits, end_logits, starts.row_lengths())
            texts, places = _cut_out(spans, contexts, starts, ends)
            kept = self._first_of_each_text(spans, texts)
            chosen = _Chosen(
                spans.gather(kept),
                *(tf.gather(column, kept) for column in (texts, *places)),
                tf.shape(contexts)[0],
            )
            return self._answers(chosen)

    def _ranked(
        self,
        windows: "_Windows",
        start_logits: tf.Tensor,
        end_logits: tf.Tensor,
        num_tokens: tf.Tensor,
    ) -> "_Spans":
        """All spans by question and score, "no answer" among them where there may be none."""
        spans = self._spans(windows, start_logits, end_logits, tf.cast(num_tokens, tf.int32))
        if self.settings.has_null:
            null = _null_spans(windows.owner, start_logits, end_logits, tf.size(num_tokens))
            spans = _Spans(*(tf.concat(columns, 0) for columns in zip(spans, null, strict=True)))
        return spans.gather(_ranking(spans))

    def _spans(
        self,
        windows: "_Windows",
        start_logits: tf.Tensor,
        end_logits: tf.Tensor,
        num_tokens: tf.Tensor,
    ) -> "_Spans":
        """All pairs of a start and an end that are tried and can be an answer [P].

        They are in the order in which equal scores rank: by window, start, end.
        """
        starts, start_scores = self._best_places(windows, start_logits)  # [S, k]
        ends, end_scores = self._best_places(windows, end_logits)
        lengths = windows.length[:, tf.newaxis]
        firsts = starts - windows.passage_start[:, tf.newaxis]  # In the window's part.
        lasts = ends - windows.passage_start[:, tf.newaxis]
        has_most = _has_most_context(windows, num_tokens, tf.shape(start_logits)[1])  # [S, L]
        is_start = (firsts >= 0) & (firsts < lengths)
        is_start &= tf.gather(has_most, tf.where(is_start, firsts, 0), batch_dims=1)
        is_end = (lasts >= 0) & (lasts < lengths)
        sizes = lasts[:, tf.newaxis, :] - firsts[:, :, tf.newaxis]  # [S, k, k]
        is_span = is_start[:, :, tf.newaxis] & is_end[:, tf.newaxis, :]
        is_span &= (sizes >= 0) & (sizes < self.settings.max_answer_length)
        window, start, end = tf.unstack(tf.where(is_span), axis=1)
        at_start, at_end = tf.stack([window, start], 1), tf.stack([window, end], 1)
        offsets = tf.gather(windows.start, window)
        return _Spans(
            tf.gather(windows.owner, window),
            offsets + tf.gather_nd(firsts, at_start),
            offsets + tf.gather_nd(lasts, at_end),
            tf.gather_nd(start_scores, at_start),
            tf.gather_nd(end_scores, at_end),
        )

    def _best_places(self, windows: "_Windows", logits: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The places of the highest logits, int32 [S, k], and these, float64 [S, k]."""
        places = tf.range(tf.shape(logits)[1])[tf.newaxis]
        last = windows.passage_start + windows.length  # That of [SEP].
        scores = tf.where(places <= last[:, tf.newaxis], tf.cast(logits, tf.float64), _NO_SCORE)
        # Of equal ones the first comes first.
        scores, places = tf.math.top_k(
            scores, tf.minimum(self.settings.n_best_size, tf.shape(logits)[1])
        )
        return places, scores

    def _first_of_each_text(self, spans: "_Spans", texts: tf.Tensor) -> tf.Tensor:
        """Which of the ranked spans are kept: of each question the first n texts, each once."""
        keys = tf.strings.join([tf.strings.as_string(spans.question), texts], ":")
        _, text_of_span = tf.unique(keys)  # Numbered in the order of their first spans.
        first = tf.math.unsorted_segment_min(
            tf.range(tf.size(keys)),
            text_of_span,
            tf.reduce_max(tf.concat([text_of_span, [-1]], 0)) + 1,
        )
        question = tf.gather(spans.question, first)
        # How many texts of the question come before it.
        rank = tf.range(tf.size(first)) - tf.searchsorted(question, question)
        is_kept = (rank < self.settings.n_best_size) | (tf.gather(spans.first, first) < 0)
        return tf.boolean_mask(first, is_kept)

    def _answers(self, chosen: "_Chosen") -> dict[str, tf.Tensor]:
        """What is returned, from the n best of each question."""
        scores = chosen.spans.start_score + chosen.spans.end_score
        probabilities = _softmax(scores, chosen.spans.question, chosen.num_questions)
        nbest = {
            "answer": chosen.table(chosen.texts, "", self.num_kept),
            "start": chosen.table(chosen.starts, -1, self.num_kept),
            "end": chosen.table(chosen.ends, -1, self.num_kept),
            "probability": chosen.table(tf.cast(probabilities, tf.float32), 0.0, self.num_kept),
            "score": chosen.table(tf.cast(scores, tf.float32), 0.0, self.num_kept),
        }
        odds = {}
        if self.settings.has_null:
            place, null_odds = self._place_of_answer(chosen)
            odds["null_odds"] = tf.cast(null_odds, tf.float32)
        else:
            place = tf.zeros([chosen.num_questions], tf.int32)
            is_empty = (chosen.counts[:, tf.newaxis] == 0) & (tf.range(self.num_kept) == 0)
            nbest["answer"] = tf.where(is_empty, self.settings.empty, nbest["answer"])
            nbest["probability"] = tf.where(is_empty, 1.0, nbest["probability"])
        return {
            **{name: tf.gather(table, place, batch_dims=1) for name, table in nbest.items()},
            "nbest_answers": nbest["answer"],
            "nbest_probabilities": nbest["probability"],
            "nbest_starts": nbest["start"],
            "nbest_ends": nbest["end"],
            **odds,
        }

    def _place_of_answer(self, chosen: "_Chosen") -> tuple[tf.Tensor, tf.Tensor]:
        """Where "no answer" is among the n best: which of them is right, and the null odds [N]."""
        starts = chosen.table(chosen.spans.start_score, 0.0, self.num_kept)
        ends = chosen.table(chosen.spans.end_score, 0.0, self.num_kept)
        firsts = chosen.table(chosen.spans.first, 0, self.num_kept)
        null = tf.argmin(firsts, 1, tf.int32)  # It is there once, at -1.
        best = tf.where(null == 0, 1, 0)
        null_score = tf.gather(starts + ends, null, batch_dims=1)
        odds = null_score - tf.gather(starts, best, batch_dims=1)
        odds -= tf.gather(ends, best, batch_dims=1)
        odds = tf.where(chosen.counts > 1, odds, NO_OTHER_ANSWER)
        is_null = (odds > self.settings.null_score_diff_threshold) | (chosen.counts < 2)
        return tf.where(is_null, null, best), odds


class _Windows(NamedTuple):
    """The windows of all questions, int32 [S]; see `SpanSearch`."""

    owner: tf.Tensor
    start: tf.Tensor
    length: tf.Tensor
    passage_start: tf.Tensor


class _Spans(NamedTuple):
    """Possible answers, [P] each: whose, first and last token (-1: none), logits in float64."""

    question: tf.Tensor
    first: tf.Tensor
    last: tf.Tensor
    start_score: tf.Tensor
    end_score: tf.Tensor

    def gather(self, places: tf.Tensor) -> "_Spans":
        """Those at some places."""
        return _Spans(*(tf.gather(column, places) for column in self))


class _Chosen(NamedTuple):
    """The n best of all questions, one question's behind another's, the best ones first."""

    spans: _Spans
    texts: tf.Tensor
    starts: tf.Tensor
    ends: tf.Tensor
    num_questions: tf.Tensor

    @property
    def counts(self) -> tf.Tensor:
        """How many there are of each question, int32 [N]."""
        ones = tf.ones_like(self.spans.question)
        return tf.math.unsorted_segment_sum(ones, self.spans.question, self.num_questions)

    def table(self, values: tf.Tensor, default: str | float, width: int) -> tf.Tensor:
        """What is known of each, [N, n]."""
        rows = tf.RaggedTensor.from_row_lengths(values, self.counts, validate=False)
        return rows.to_tensor(tf.constant(default, values.dtype), shape=[None, width])


def _has_most_context(windows: _Windows, num_tokens: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
    """Whether no other window shows more of what is around a token, bool [S, L].

    Of the tokens in a window's part of the passage, from its first one. See `best_windows`.
    """
    places = tf.range(width)[tf.newaxis]
    lengths = windows.length[:, tf.newaxis]
    context = tf.cast(tf.minimum(places, lengths - 1 - places), tf.float64)
    context += 0.01 * tf.cast(lengths, tf.float64)
    offsets = tf.gather(tf.cumsum(num_tokens, exclusive=True), windows.owner) + windows.start
    tokens = tf.where(places < lengths, offsets[:, tf.newaxis] + places, -1)  # -1 is left out.
    total = tf.reduce_sum(num_tokens)
    numbers = tf.broadcast_to(tf.range(tf.size(windows.owner))[:, tf.newaxis], tf.shape(tokens))
    seen = tf.maximum(tokens, 0)
    most = tf.math.unsorted_segment_max(context, tokens, total)
    is_most = (tokens >= 0) & (context == _gather_or_empty(most, seen))
    first = tf.math.unsorted_segment_min(numbers, tf.where(is_most, tokens, -1), total)
    return is_most & (numbers == _gather_or_empty(first, seen))


def _gather_or_empty(values: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
    """`values` at `places`; where there are no values, a zero, as nothing is there to be read."""
    return tf.gather(tf.concat([values, tf.zeros([1], values.dtype)], 0), places)


def _null_spans(
    owner: tf.Tensor, start_logits: tf.Tensor, end_logits: tf.Tensor, num_questions: tf.Tensor
) -> _Spans:
    """For each question the lowest of its windows' scores of [CLS], the first of equal ones [N]."""
    starts, ends = (
        # Without windows there may be no column either, and nothing of it is used.
        tf.cast(tf.reduce_sum(logits[:, :1], 1), tf.float64)
        for logits in (start_logits, end_logits)
    )
    scores = starts + ends
    lowest = tf.math.unsorted_segment_min(scores, owner, num_questions)
    numbers = tf.range(tf.size(owner))
    window = tf.math.unsorted_segment_min(
        tf.where(scores == tf.gather(lowest, owner), numbers, tf.size(owner)), owner, num_questions
    )
    # A question without windows has the zero behind the last one.
    window = tf.minimum(window, tf.size(owner))
    none = tf.fill([num_questions], -1)
    return _Spans(
        tf.range(num_questions),
        none,
        none,
        *(tf.gather(tf.concat([x, tf.zeros([1], x.dtype)], 0), window) for x in (starts, ends)),
    )


def _ranking(spans: _Spans) -> tf.Tensor:
    """The order by question, then by score, the highest first; else as it was. int32 [P]"""
    by_score = tf.argsort(spans.start_score + spans.end_score, direction="DESCENDING", stable=True)
    return tf.gather(by_score, tf.argsort(tf.gather(spans.question, by_score), stable=True))


def _cut_out(
    spans: _Spans, contexts: tf.Tensor, starts: tf.RaggedTensor, ends: tf.RaggedTensor
) -> tuple[tf.Tensor, tuple[tf.Tensor, tf.Tensor]]:
    """The spans' texts, string [P], and where they start and end in characters, int32 [P] each.

    "", -1 and -1 for no answer.
    """
    is_text = spans.first >= 0
    tokens_before = tf.gather(tf.cast(starts.row_starts(), tf.int32), spans.question)
    places = [
        _gather_or_empty(
            tf.cast(offsets.flat_values, tf.int32), tf.where(is_text, tokens_before + tokens, 0)
        )
        for offsets, tokens in ((starts, spans.first), (ends, spans.last))
    ]
    whole = tf.strings.reduce_join(contexts)
    # A character begins at each byte that does not go on with one (10......).
    is_first = tf.io.decode_raw(whole, tf.uint8) & 0xC0 != 0x80
    byte_of_character = tf.cast(tf.where(is_first)[:, 0], tf.int32)
    byte_of_character = tf.concat([byte_of_character, tf.strings.length(whole)[tf.newaxis]], 0)
    characters = tf.cumsum(tf.strings.length(contexts, unit="UTF8_CHAR"), exclusive=True)
    before = tf.gather(characters, spans.question)
    first, end = (
        tf.gather(byte_of_character, tf.where(is_text, before + place, 0)) for place in places
    )
    texts = tf.strings.substr(whole, first, end - first)
    return texts, tuple(tf.where(is_text, place, -1) for place in places)


def _softmax(scores: tf.Tensor, question: tf.Tensor, num_questions: tf.Tensor) -> tf.Tensor:
    """The softmax of each question's scores, float64."""
    highest = tf.math.unsorted_segment_max(scores, question, num_questions)
    weights = tf.exp(scores - tf.gather(highest, question))
    totals = tf.math.unsorted_segment_sum(weights, question, num_questions)
    return weights / tf.gather(totals, question)
