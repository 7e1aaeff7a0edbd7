"""Runs the search of `answers.py` in a TensorFlow graph, for all questions at once.

    logits of all questions' windows --> the highest starts and ends of each window [S, k]
                                     --> the pairs of them that can be an answer [P]
                                     --> ranked by question, then by score
                                     --> distinct texts from the passages
                                     --> the n best of each question [N, n], probabilities

Axes: S windows of all questions, N questions, L tokens of a window, k candidate starts or ends,
P pairs, n answers (`n_best_size`, plus one where a question may have no answer).
Padding is never an answer, whatever the options say, so answers do not depend on the batch.
"""

from typing import NamedTuple

import tensorflow as tf

from bert_tf.spans.answers import NO_OTHER_ANSWER
from bert_tf.spans.options import SpanOptions
from bert_tf.text.graph_packing import PackedWindows

_NO_SCORE = -float("inf")


class _Spans(NamedTuple):
    """Candidate answers, [P] each; the tokens of "no answer" are -1, the logits float64."""

    question: tf.Tensor
    first: tf.Tensor
    last: tf.Tensor
    start_logit: tf.Tensor
    end_logit: tf.Tensor

    @property
    def score(self) -> tf.Tensor:
        return self.start_logit + self.end_logit


def find_answers(
    options: SpanOptions,
    windows: PackedWindows,
    *,
    start_logits: tf.Tensor,
    end_logits: tf.Tensor,
    contexts: tf.Tensor,
    starts: tf.RaggedTensor,
    ends: tf.RaggedTensor,
) -> dict[str, tf.Tensor]:
    """Returns the answers to N questions with S windows in all; N or S may be 0.

    The answer is "" if there is no candidate.

    Args:
        start_logits, end_logits: float [S, L].
        contexts: string [N], the passages, in UTF-8.
        starts, ends: int [N, (T)], the places of each token in characters.

    Returns: `answer`, `start`, `end`, `probability`, `score` [N]; `nbest_answers`, `nbest_starts`,
        `nbest_ends`, `nbest_probabilities` [N, n], the best answer first; and in version 2.0
        `null_odds` [N]. They are described in `bert_tf.kinds.span`.
    """
    num_questions = tf.shape(contexts)[0]
    with tf.device("CPU"):  # For the strings, and so that ties are always broken the same way.
        spans = _candidates(options, windows, start_logits, end_logits, starts.row_lengths())
        if options.version_2_with_negative:
            null = _null_spans(windows.owner, start_logits, end_logits, num_questions)
            spans = _Spans(*(tf.concat(columns, 0) for columns in zip(spans, null, strict=True)))
        # By question, then by descending score.
        spans = _gather(spans, tf.argsort(spans.score, direction="DESCENDING", stable=True))
        spans = _gather(spans, tf.argsort(spans.question, stable=True))
        texts = _cut_out(spans, contexts, starts, ends)
        kept = _first_of_each_text(options.n_best_size, spans, texts[0])
        return _outputs(options, *_gather((spans, texts), kept), num_questions)


def _gather(columns, indices: tf.Tensor):
    return tf.nest.map_structure(lambda column: tf.gather(column, indices), columns)


def _candidates(
    options: SpanOptions,
    windows: PackedWindows,
    start_logits: tf.Tensor,
    end_logits: tf.Tensor,
    num_tokens: tf.Tensor,
) -> _Spans:
    """Returns all valid pairs of a start and an end [P], ordered by window, start, end."""
    lengths = windows.window_length[:, tf.newaxis]
    passage_start = windows.passage_start[:, tf.newaxis]
    positions = tf.range(tf.shape(start_logits)[1])
    is_token = positions <= passage_start + lengths  # The last one is [SEP].
    k = tf.minimum(options.n_best_size, tf.size(positions))
    (start_scores, firsts), (end_scores, lasts) = (
        tf.math.top_k(tf.where(is_token, tf.cast(logits, tf.float64), _NO_SCORE), k)
        for logits in (start_logits, end_logits)
    )  # [S, k]; of equal ones the first comes first.
    firsts, lasts = firsts - passage_start, lasts - passage_start  # In the window's passage.
    is_start = (firsts >= 0) & (firsts < lengths)
    has_most_context = _has_most_context(windows, num_tokens, positions)  # [S, L]
    is_start &= tf.gather(has_most_context, tf.where(is_start, firsts, 0), batch_dims=1)
    is_end = (lasts >= 0) & (lasts < lengths)
    sizes = lasts[:, tf.newaxis, :] - firsts[:, :, tf.newaxis]  # [S, k, k]
    is_span = is_start[:, :, tf.newaxis] & is_end[:, tf.newaxis, :]
    is_span &= (sizes >= 0) & (sizes < options.max_answer_length)
    window, start, end = tf.unstack(tf.where(is_span), axis=1)
    at_start, at_end = tf.stack([window, start], 1), tf.stack([window, end], 1)
    offsets = tf.gather(windows.window_start, window)
    return _Spans(
        tf.gather(windows.owner, window),
        offsets + tf.gather_nd(firsts, at_start),
        offsets + tf.gather_nd(lasts, at_end),
        tf.gather_nd(start_scores, at_start),
        tf.gather_nd(end_scores, at_end),
    )


def _has_most_context(
    windows: PackedWindows, num_tokens: tf.Tensor, positions: tf.Tensor
) -> tf.Tensor:
    """Returns whether a token of the passage has its most context here, bool [S, L].

    Position 0 is the window's first passage token. See `best_windows`.
    """
    num_tokens = tf.cast(num_tokens, tf.int32)
    total = tf.reduce_sum(num_tokens)
    lengths = windows.window_length[:, tf.newaxis]
    context = tf.cast(tf.minimum(positions, lengths - 1 - positions), tf.float64)
    context += 0.01 * tf.cast(lengths, tf.float64)
    offsets = tf.gather(tf.cumsum(num_tokens, exclusive=True), windows.owner) + windows.window_start
    # The positions after the window's last token share one number, `total`.
    tokens = tf.where(positions < lengths, offsets[:, tf.newaxis] + positions, total)
    numbers = tf.broadcast_to(tf.range(tf.size(windows.owner))[:, tf.newaxis], tf.shape(tokens))
    most = tf.gather(tf.math.unsorted_segment_max(context, tokens, total + 1), tokens)
    numbers_of_best = tf.where(context == most, numbers, tf.size(windows.owner))
    first = tf.math.unsorted_segment_min(numbers_of_best, tokens, total + 1)
    return numbers == tf.gather(first, tokens)


def _null_spans(
    owner: tf.Tensor, start_logits: tf.Tensor, end_logits: tf.Tensor, num_questions: tf.Tensor
) -> _Spans:
    """Returns each question's lowest-scoring [CLS], the first one on a tie [N]."""
    starts, ends = (  # L may be 0 if S is.
        tf.cast(tf.reshape(logits[:, :1], [-1]), tf.float64)
        for logits in (start_logits, end_logits)
    )
    lowest = tf.math.unsorted_segment_min(starts + ends, owner, num_questions)
    num_windows = tf.size(owner)
    is_lowest = starts + ends == tf.gather(lowest, owner)
    numbers = tf.where(is_lowest, tf.range(num_windows), num_windows)
    window = tf.math.unsorted_segment_min(numbers, owner, num_questions)
    window = tf.minimum(window, num_windows)  # Without windows, the score is the zero appended.
    none = tf.fill([num_questions], -1)
    logits = (tf.gather(tf.pad(x, [[0, 1]]), window) for x in (starts, ends))
    return _Spans(tf.range(num_questions), none, none, *logits)


def _cut_out(
    spans: _Spans, contexts: tf.Tensor, starts: tf.RaggedTensor, ends: tf.RaggedTensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns texts, string [P], and character offsets, int32 [P]; "", -1, -1 for no answer."""
    is_text = spans.first >= 0
    tokens_before = tf.gather(tf.cast(starts.row_starts(), tf.int32), spans.question)
    places = [
        tf.gather(
            tf.pad(tf.cast(offsets.flat_values, tf.int32), [[0, 1]]),  # There may be no token.
            tf.where(is_text, tokens_before + tokens, 0),
        )
        for offsets, tokens in ((starts, spans.first), (ends, spans.last))
    ]
    whole = tf.strings.reduce_join(contexts)
    # A character starts at each byte that does not continue one (10......).
    is_first = tf.io.decode_raw(whole, tf.uint8) & 0xC0 != 0x80
    byte_of_character = tf.cast(tf.where(is_first)[:, 0], tf.int32)
    byte_of_character = tf.concat([byte_of_character, tf.strings.length(whole)[tf.newaxis]], 0)
    characters = tf.cumsum(tf.strings.length(contexts, unit="UTF8_CHAR"), exclusive=True)
    before = tf.gather(characters, spans.question)
    first, end = (
        tf.gather(byte_of_character, tf.where(is_text, before + place, 0)) for place in places
    )
    texts = tf.strings.substr(whole, first, end - first)
    return texts, *(tf.where(is_text, place, -1) for place in places)


def _first_of_each_text(n_best_size: int, spans: _Spans, texts: tf.Tensor) -> tf.Tensor:
    """Returns the indices of the first `n_best_size` distinct texts of each question."""
    keys = tf.strings.join([tf.strings.as_string(spans.question), texts], ":")
    unique_keys, key_of_span = tf.unique(keys)  # Numbered in the order of their first spans.
    first = tf.math.unsorted_segment_min(tf.range(tf.size(keys)), key_of_span, tf.size(unique_keys))
    question = tf.gather(spans.question, first)
    rank = tf.range(tf.size(first)) - tf.searchsorted(question, question)
    return tf.boolean_mask(first, (rank < n_best_size) | (tf.gather(spans.first, first) < 0))


def _softmax(scores: tf.Tensor, question: tf.Tensor, num_questions: tf.Tensor) -> tf.Tensor:
    """Returns the softmax over each question's scores, float64 [P]."""
    highest = tf.math.unsorted_segment_max(scores, question, num_questions)
    weights = tf.exp(scores - tf.gather(highest, question))
    totals = tf.math.unsorted_segment_sum(weights, question, num_questions)
    return weights / tf.gather(totals, question)


def _outputs(
    options: SpanOptions,
    spans: _Spans,
    texts: tuple[tf.Tensor, tf.Tensor, tf.Tensor],
    num_questions: tf.Tensor,
) -> dict[str, tf.Tensor]:
    has_null = options.version_2_with_negative
    width = options.n_best_size + int(has_null)
    ones = tf.ones_like(spans.question)
    counts = tf.math.unsorted_segment_sum(ones, spans.question, num_questions)

    def table(values: tf.Tensor, padding: str | float) -> tf.Tensor:  # [N, n]
        rows = tf.RaggedTensor.from_row_lengths(values, counts, validate=False)
        return rows.to_tensor(tf.constant(padding, values.dtype), shape=[None, width])

    answers, starts, ends = table(texts[0], ""), table(texts[1], -1), table(texts[2], -1)
    probabilities = tf.cast(_softmax(spans.score, spans.question, num_questions), tf.float32)
    probabilities = table(probabilities, 0.0)
    if has_null:
        best, null_odds = _answer_or_null(
            *(table(x, 0) for x in (spans.first, spans.start_logit, spans.end_logit)),
            counts,
            options.null_score_diff_threshold,
        )
    else:
        best = tf.zeros([num_questions], tf.int32)
        is_empty = (counts[:, tf.newaxis] == 0) & (tf.range(width) == 0)
        probabilities = tf.where(is_empty, 1.0, probabilities)
    chosen = {
        "answer": answers,
        "start": starts,
        "end": ends,
        "probability": probabilities,
        "score": table(tf.cast(spans.score, tf.float32), 0.0),
    }
    return {
        **{name: tf.gather(values, best, batch_dims=1) for name, values in chosen.items()},
        "nbest_answers": answers,
        "nbest_probabilities": probabilities,
        "nbest_starts": starts,
        "nbest_ends": ends,
        **({"null_odds": tf.cast(null_odds, tf.float32)} if has_null else {}),
    }


def _answer_or_null(
    firsts: tf.Tensor, starts: tf.Tensor, ends: tf.Tensor, counts: tf.Tensor, threshold: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the index of the answer among the n best, int32 [N], and the null odds, float64."""
    null = tf.argmin(firsts, 1, tf.int32)  # Once in each row, at token -1.
    best = tf.where(null == 0, 1, 0)
    odds = tf.gather(starts + ends, null, batch_dims=1)
    odds -= tf.gather(starts, best, batch_dims=1)
    odds -= tf.gather(ends, best, batch_dims=1)
    odds = tf.where(counts > 1, odds, NO_OTHER_ANSWER)
    return tf.where((odds > threshold) | (counts < 2), null, best), odds
