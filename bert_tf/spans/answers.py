"""Finds the best answers from a model's start and end logits, and extracts their texts.

    logits of all windows --> (start, end) pairs, the highest sum first --> distinct texts
                                                                        --> n best, probabilities

`graph_search.py` does the same in a TensorFlow graph.

Source: google-research/bert, run_squad.py, `write_predictions` and `get_final_text`.
"""

import dataclasses
import logging
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from bert_tf.spans.options import SpanOptions
from bert_tf.spans.windows import PassageTokenizer, best_windows, split_words
from bert_tf.text.packing import Window

logger = logging.getLogger(__name__)

EMPTY = "empty"  # The original's answer in version 1.1 if there is no candidate.
# The null odds if "no answer" is the only candidate: as in the original, and finite, so that the
# official script can sort it.
NO_OTHER_ANSWER = 1_000_000.0


class NbestEntry(NamedTuple):
    """One of the n best answers to a question."""

    text: str  # "" for no answer.
    probability: float  # The softmax of the sums of logits, over the n best.
    start_logit: float
    end_logit: float


@dataclasses.dataclass(frozen=True, slots=True)
class SpanAnswer:
    """The answer to a question."""

    text: str  # "" for none.
    nbest: tuple[NbestEntry, ...]  # The best one first.
    # The score of "no answer" minus the best answer's; None if every question has an answer.
    null_odds: float | None


class QuestionScores(NamedTuple):
    """The logits for the S windows of a question, of L tokens each."""

    windows: tuple[Window, ...]
    passage_start: int  # The position of the passage in each window.
    start_logits: np.ndarray  # float32 [S, L]
    end_logits: np.ndarray


class Span(NamedTuple):
    """A candidate answer: its first and last token in the passage, or -1 for no answer."""

    first: int
    last: int
    start_logit: float
    end_logit: float

    @property
    def score(self) -> float:
        return self.start_logit + self.end_logit


def find_answer(
    options: SpanOptions, scores: QuestionScores, text_of: Callable[[int, int], str]
) -> SpanAnswer:
    """Returns the answer to a question, or EMPTY if there is no candidate.

    `text_of` returns the text of tokens `first` to `last` of the passage.
    """
    null = _null_span(scores) if options.version_2_with_negative else None
    best: dict[str, Span] = {}  # A text keeps its highest score.
    for span in _ranked_spans(options, scores, null):
        best.setdefault(text_of(span.first, span.last) if span.first >= 0 else "", span)
        if len(best) == options.n_best_size:
            break
    if null:
        best.setdefault("", null)
    best = best or {EMPTY: Span(-1, -1, 0.0, 0.0)}
    nbest = _with_probabilities(best)
    if not null:
        return SpanAnswer(nbest[0].text, nbest, None)
    text, span = next(((text, span) for text, span in best.items() if text), ("", None))
    if span is None:  # No start matched an end.
        return SpanAnswer("", nbest, NO_OTHER_ANSWER)
    null_odds = null.score - span.start_logit - span.end_logit
    is_null = null_odds > options.null_score_diff_threshold
    return SpanAnswer("" if is_null else text, nbest, null_odds)


def _null_span(scores: QuestionScores) -> Span:
    """Returns the lowest-scoring [CLS] of all windows, the first one on a tie."""
    if not scores.windows:
        return Span(-1, -1, 0.0, 0.0)
    starts, ends = (
        logits[:, 0].astype(np.float64) for logits in (scores.start_logits, scores.end_logits)
    )
    lowest = np.argmin(starts + ends)
    return Span(-1, -1, float(starts[lowest]), float(ends[lowest]))


def _ranked_spans(
    options: SpanOptions, scores: QuestionScores, null: Span | None
) -> Iterator[Span]:
    """Yields all spans, the highest float64 score first.

    Ties are broken by window, start logit, end logit, then from left to right; "no answer" is last.
    """
    if not scores.windows:
        return iter([null] if null else [])
    starts, start_logits = _best_positions(options, scores, scores.start_logits)  # [S, n]
    ends, end_logits = _best_positions(options, scores, scores.end_logits)
    window_starts, lengths = np.array(scores.windows).T[:, :, np.newaxis]  # [S, 1]
    firsts = starts - scores.passage_start  # Positions within the window's part of the passage.
    lasts = ends - scores.passage_start
    is_start = (firsts >= 0) & (firsts < lengths)
    is_end = (lasts >= 0) & (lasts < lengths)
    tokens = np.where(is_start, window_starts + firsts, 0)
    window_numbers = np.arange(len(scores.windows))[:, np.newaxis]
    is_start &= best_windows(scores.windows)[tokens] == window_numbers
    sizes = lasts[:, np.newaxis, :] - firsts[:, :, np.newaxis]  # [S, n, n]
    is_span = is_start[:, :, np.newaxis] & is_end[:, np.newaxis, :]
    is_span &= (sizes >= 0) & (sizes < options.max_answer_length)
    window, start, end = np.nonzero(is_span)
    columns = (
        (window_starts + firsts)[window, start],
        (window_starts + lasts)[window, end],
        start_logits[window, start],
        end_logits[window, end],
    )
    if null:
        columns = tuple(np.append(*pair) for pair in zip(columns, null, strict=True))
    order = np.argsort(-(columns[2] + columns[3]), kind="stable")
    return map(Span._make, zip(*(column[order].tolist() for column in columns), strict=True))


def _best_positions(
    options: SpanOptions, scores: QuestionScores, logits: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the positions of the highest logits, int [S, n], and the logits, float64 [S, n].

    Unless `mask_padding` is set, padding may displace other positions, as in the original.
    """
    logits = logits.astype(np.float64)
    if options.mask_padding:
        lengths = np.array(scores.windows)[:, 1:]
        is_padding = np.arange(logits.shape[1]) > scores.passage_start + lengths
        logits[is_padding] = -np.inf
    positions = np.argsort(-logits, axis=1, kind="stable")[:, : options.n_best_size]
    return positions, np.take_along_axis(logits, positions, axis=1)


def _with_probabilities(best: dict[str, Span]) -> tuple[NbestEntry, ...]:
    highest = max(span.score for span in best.values())
    weights = [math.exp(span.score - highest) for span in best.values()]
    total = sum(weights)
    return tuple(
        NbestEntry(text, weight / total, span.start_logit, span.end_logit)
        for (text, span), weight in zip(best.items(), weights, strict=True)
    )


class PassageText:
    """Extracts answers from a passage as the original does; `verbose` logs each failure."""

    def __init__(self, context: str, tokenizer: PassageTokenizer, verbose: bool = False):
        self.context = context
        self.tokens = tokenizer.tokens(context)
        self._words = split_words(context)
        self._tokenizer = tokenizer
        self._verbose = verbose

    def text(self, first: int, last: int) -> str:
        """Returns the original text of tokens `first` to `last`, or of their words if not found."""
        tokenizer = self._tokenizer.tokenizer
        pieces = tokenizer.convert_ids_to_tokens(self.tokens.ids[first : last + 1])
        predicted = " ".join(tokenizer.join_tokens(pieces).split())
        words = self._words[self.tokens.word_of(first) : self.tokens.word_of(last) + 1]
        original = " ".join(words)
        found = project(predicted, original, self._tokenizer.normalize(words))
        if found is None and self._verbose:
            logger.info("Unable to find text: %r in %r", predicted, original)
        return original if found is None else found


def project(predicted: str, original: str, normalized: str) -> str | None:
    """Finds an answer in the normalized text and returns the same part of the original text.

        original      Steve Smith's         without spaces  SteveSmith's
        normalized    steve smith ' s                       stevesmith's
        predicted     steve smith                           the characters 0 to 9

    Returns None if it is not found, or if the texts differ in length without spaces (because of a
    combining accent, say), so that their characters cannot be aligned.

    Source: google-research/bert, run_squad.py, `get_final_text`.
    """
    is_findable = predicted and predicted == predicted.strip(" ")
    position = normalized.find(predicted) if is_findable else -1
    original_places = [i for i, char in enumerate(original) if char != " "]
    if position == -1 or len(original_places) != len(normalized) - normalized.count(" "):
        return None
    first = position - normalized.count(" ", 0, position)
    last = first + len(predicted) - predicted.count(" ") - 1
    return original[original_places[first] : original_places[last] + 1]
