"""Finds the best answers from a model's start and end logits, and cuts out their texts.

    logits of all windows --> (start, end) pairs, the highest sum first --> distinct texts
                                                                        --> n best, probabilities

No TensorFlow.

Source: google-research/bert, run_squad.py, `write_predictions` and `get_final_text`.
"""

import dataclasses
import logging
import math
from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np

from bert_tf.spans.windows import PassageTokenizer, best_windows, split_words
from bert_tf.text.packing import Window

logger = logging.getLogger(__name__)

# The original's answer in version 1.1 if there is nothing to choose from.
EMPTY = "empty"
# The null odds if there is nothing but the null answer: the original's initial score, "large and
# positive". It is finite, so that the official script can sort it.
NO_OTHER_ANSWER = 1_000_000.0


class NbestEntry(NamedTuple):
    """One of the n best answers to a question.

    text: "" for no answer.
    probability: the softmax of the sums of logits, over the n best.
    start_logit, end_logit: of its first and last token.
    """

    text: str
    probability: float
    start_logit: float
    end_logit: float


@dataclasses.dataclass(frozen=True, slots=True)
class SpanAnswer:
    """The answer to a question.

    text: the answer; "" for none.
    nbest: the n best answers, the best one first.
    null_odds: the score of "no answer" minus that of the best answer; None if every question has
        an answer.
    spans: for each of `nbest`, the first and last token in the passage; (-1, -1) if it is not in
        the passage.
    """

    text: str
    nbest: tuple[NbestEntry, ...]
    null_odds: float | None
    spans: tuple[tuple[int, int], ...] = ()

    @property
    def place(self) -> int:
        """The index of the answer in `nbest`."""
        return next(i for i, entry in enumerate(self.nbest) if entry.text == self.text)


@dataclasses.dataclass(frozen=True, slots=True)
class QuestionScores:
    """The logits for the S windows of a question, of L tokens each.

    windows: the passage's windows.
    num_tokens: the number of tokens in the passage.
    passage_start: the position of the passage in each window.
    start_logits, end_logits: float32 [S, L].
    """

    windows: tuple[Window, ...]
    num_tokens: int
    passage_start: int
    start_logits: np.ndarray
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


class Passage(Protocol):
    """A passage that answers are cut out of."""

    def text(self, first: int, last: int) -> str:
        """The text of tokens `first` to `last`."""


@dataclasses.dataclass(frozen=True)
class AnswerSearch:
    """Finds the answers to a question.

    Args:
        n_best_size: how many starts and ends are combined, and how many answers are kept.
        max_answer_length: maximum tokens of an answer.
        has_null: whether a question may have no answer.
        null_score_diff_threshold: null odds above this make the answer "".
        ignore_padding: whether the logits of padding are ignored; in the original they may be among
            the highest, and displace others.
        verbose: whether to log each text that could not be found in the passage.
        empty: the answer if there must be one and there is no candidate.
    """

    n_best_size: int = 20
    max_answer_length: int = 30
    has_null: bool = False
    null_score_diff_threshold: float = 0.0
    ignore_padding: bool = False
    verbose: bool = False
    empty: str = EMPTY

    def answer(self, scores: QuestionScores, passage: Passage) -> SpanAnswer:
        """Returns the answer to a question, computed in float64."""
        null = self._null(scores) if self.has_null else None
        best: dict[str, Span] = {}  # A text keeps its highest score.
        for span in self._ranked(scores, null):
            best.setdefault(passage.text(span.first, span.last) if span.first >= 0 else "", span)
            if len(best) == self.n_best_size:
                break
        if null:
            best.setdefault("", null)
        best = best or {self.empty: Span(-1, -1, 0.0, 0.0)}
        nbest = _with_probabilities(best)
        spans = tuple((span.first, span.last) for span in best.values())
        if not null:
            return SpanAnswer(nbest[0].text, nbest, None, spans)
        text, span = next(((text, span) for text, span in best.items() if text), ("", None))
        if span is None:  # No start matched an end.
            return SpanAnswer("", nbest, NO_OTHER_ANSWER, spans)
        null_odds = null.score - span.start_logit - span.end_logit
        is_null = null_odds > self.null_score_diff_threshold
        return SpanAnswer("" if is_null else text, nbest, null_odds, spans)

    def _null(self, scores: QuestionScores) -> Span:
        """The lowest score of [CLS] over the windows; the first of equal ones."""
        if not scores.windows:
            return Span(-1, -1, 0.0, 0.0)
        starts, ends = (
            logits[:, 0].astype(np.float64) for logits in (scores.start_logits, scores.end_logits)
        )
        lowest = np.argmin(starts + ends)
        return Span(-1, -1, float(starts[lowest]), float(ends[lowest]))

    def _ranked(self, scores: QuestionScores, null: Span | None) -> Iterator[Span]:
        """Yields all spans, the highest score first.

        Equal ones are in the order of their windows; within a window, of the logits of their
        starts, of their ends, and then from left to right; "no answer" is last.
        """
        if not scores.windows:
            return iter([null] if null else [])
        starts, start_logits = self._best_places(scores, scores.start_logits)  # [S, n]
        ends, end_logits = self._best_places(scores, scores.end_logits)
        window_starts, lengths = np.array(scores.windows).T[:, :, np.newaxis]  # [S, 1]
        firsts = starts - scores.passage_start  # Positions within the window's part of the passage.
        lasts = ends - scores.passage_start
        is_start = (firsts >= 0) & (firsts < lengths)
        is_end = (lasts >= 0) & (lasts < lengths)
        owner = best_windows(scores.windows, scores.num_tokens)
        tokens = np.where(is_start, window_starts + firsts, 0)
        is_start &= owner[tokens] == np.arange(len(scores.windows))[:, np.newaxis]
        sizes = lasts[:, np.newaxis, :] - firsts[:, :, np.newaxis]  # [S, n, n]
        is_span = is_start[:, :, np.newaxis] & is_end[:, np.newaxis, :]
        is_span &= (sizes >= 0) & (sizes < self.max_answer_length)
        window, start, end = np.nonzero(is_span)
        columns = (
            (window_starts + firsts)[window, start],
            (window_starts + lasts)[window, end],
            start_logits[window, start],
            end_logits[window, end],
        )
        if null:
            columns = tuple(
                np.append(column, value) for column, value in zip(columns, null, strict=True)
            )
        order = np.argsort(-(columns[2] + columns[3]), kind="stable")
        return map(Span._make, zip(*(column[order].tolist() for column in columns), strict=True))

    def _best_places(
        self, scores: QuestionScores, logits: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The positions of the highest logits, int [S, n], and these, float64 [S, n]."""
        logits = logits.astype(np.float64)
        if self.ignore_padding:
            lengths = np.array(scores.windows)[:, 1:]
            is_padding = np.arange(logits.shape[1]) > scores.passage_start + lengths
            logits[is_padding] = -np.inf
        places = np.argsort(-logits, axis=1, kind="stable")[:, : self.n_best_size]
        return places, np.take_along_axis(logits, places, axis=1)


class PassageText:
    """A passage that answers are cut out of as in the original.

    Args:
        context: the passage.
        tokenizer: gives its tokens.
        verbose: whether to log each text that could not be found in the passage.
    """

    def __init__(self, context: str, tokenizer: PassageTokenizer, verbose: bool = False):
        self.context = context
        self.tokens = tokenizer.tokens(context)
        self._words = split_words(context)
        self._tokenizer = tokenizer
        self._verbose = verbose

    def text(self, first: int, last: int) -> str:
        """The text that tokens `first` to `last` were made of; whole words if that is unknown."""
        tokenizer = self._tokenizer.tokenizer
        pieces = tokenizer.convert_ids_to_tokens(self.tokens.ids[first : last + 1])
        words = self._words[self.tokens.word_of(first) : self.tokens.word_of(last) + 1]
        return project(
            " ".join(tokenizer.join_tokens(pieces).split()),
            " ".join(words),
            self._tokenizer.normalize(words),
            self._verbose,
        )


def project(predicted: str, original: str, normalized: str, verbose: bool = False) -> str:
    """Finds an answer in the normalized text, and returns the same part of the original text.

        original      Steve Smith's         without spaces  SteveSmith's
        normalized    steve smith ' s                       stevesmith's
        predicted     steve smith                           the characters 0 to 9

    If the two texts differ in length without their spaces (an accent that was a separate
    character, say), characters cannot be matched: the whole original is returned.

    Args:
        predicted: joined word pieces.
        original: words of the passage.
        normalized: the same words, normalized but not split into pieces.
        verbose: whether to log why the whole original is returned.

    Source: google-research/bert, run_squad.py, `get_final_text`.
    """
    is_findable = predicted and predicted == predicted.strip(" ")
    position = normalized.find(predicted) if is_findable else -1
    original_places = [i for i, char in enumerate(original) if char != " "]
    if position == -1:
        if verbose:
            logger.info("Unable to find text: %r in %r", predicted, original)
        return original
    if len(original_places) != len(normalized) - normalized.count(" "):
        if verbose:
            logger.info("Of different length without spaces: %r and %r", original, normalized)
        return original
    first = position - normalized.count(" ", 0, position)
    last = first + len(predicted) - predicted.count(" ") - 1
    return original[original_places[first] : original_places[last] + 1]


def _with_probabilities(best: dict[str, Span]) -> tuple[NbestEntry, ...]:
    """The entries, with the softmax of their scores."""
    highest = max(span.score for span in best.values())
    weights = [math.exp(span.score - highest) for span in best.values()]
    total = sum(weights)
    return tuple(
        NbestEntry(text, weight / total, span.start_logit, span.end_logit)
        for (text, span), weight in zip(best.items(), weights, strict=True)
    )
