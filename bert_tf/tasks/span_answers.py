"""From a model's scores of tokens to answers: the best spans, and the text that they stand for.

    start and end scores of all windows --> pairs, the highest sum first --> texts, each once
                                                                          --> n best, likelihoods

No TensorFlow.

Source: google-research/bert, run_squad.py, `write_predictions` and `get_final_text`.
"""

import dataclasses
import logging
import math
from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np

from bert_tf.tasks.span_windows import PassageTokenizer, best_windows, split_words
from bert_tf.text.packing import Window
from bert_tf.text.tokenization import BasicTokenizer

logger = logging.getLogger(__name__)

# The answer of version 1.1 where there is nothing to choose from; the original's.
EMPTY = "empty"
# The null odds where there is nothing but the null answer: the original's score to begin with,
# "large and positive". It is finite, so that the official script can sort it.
NO_OTHER_ANSWER = 1_000_000.0


class NbestEntry(NamedTuple):
    """One of a question's likeliest answers.

    text: "" for no answer.
    probability: of the sums of logits of the n best, the softmax.
    start_logit, end_logit: of its first and last token.
    """

    text: str
    probability: float
    start_logit: float
    end_logit: float


@dataclasses.dataclass(frozen=True, slots=True)
class SpanAnswer:
    """What the model says to a question.

    text: the answer; "" for none.
    nbest: the likeliest answers, the best one first.
    null_odds: the score of "no answer" above that of the best answer; None where every question
        has an answer.
    spans: of each of `nbest` the first and the last token in the passage; (-1, -1) where it is none
        of the passage.
    """

    text: str
    nbest: tuple[NbestEntry, ...]
    null_odds: float | None
    spans: tuple[tuple[int, int], ...] = ()

    @property
    def place(self) -> int:
        """Which of `nbest` it is."""
        return next(i for i, entry in enumerate(self.nbest) if entry.text == self.text)


@dataclasses.dataclass(frozen=True, slots=True)
class QuestionScores:
    """What the model gives a question's windows, S of them, L tokens each.

    windows: the passage's.
    num_tokens: how many tokens the passage has.
    passage_start: the place of the passage's first token in each window.
    start_logits, end_logits: float32 [S, L].
    """

    windows: tuple[Window, ...]
    num_tokens: int
    passage_start: int
    start_logits: np.ndarray
    end_logits: np.ndarray


class Span(NamedTuple):
    """A possible answer: its first and last token in the passage, or -1 for no answer."""

    first: int
    last: int
    start_logit: float
    end_logit: float

    @property
    def score(self) -> float:
        return self.start_logit + self.end_logit


class Passage(Protocol):
    """A passage, out of which the text of an answer is cut."""

    def text(self, first: int, last: int) -> str:
        """The text of tokens `first` to `last`."""


@dataclasses.dataclass(frozen=True)
class AnswerSearch:
    """How answers are chosen.

    Args:
        n_best_size: of how many starts and ends the pairs are tried, and how many answers are kept.
        max_answer_length: tokens of an answer at most.
        has_null: whether there may be no answer.
        null_score_diff_threshold: null odds above this make the answer "".
        ignore_padding: whether scores behind the last token do not count; in the original they
            may be among the highest, and take the place of others.
        verbose: whether to log each text that could not be found again.
        empty: the answer where there must be one, and nothing to choose from.
    """

    n_best_size: int = 20
    max_answer_length: int = 30
    has_null: bool = False
    null_score_diff_threshold: float = 0.0
    ignore_padding: bool = False
    verbose: bool = False
    empty: str = EMPTY

    def answer(self, scores: QuestionScores, passage: Passage) -> SpanAnswer:
        """The answer to a question. Arithmetic is in float64."""
        null = self._null(scores) if self.has_null else None
        best: dict[str, Span] = {}  # A text comes with the highest score that it has.
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
        if span is None:  # No start that was tried goes with an end.
            return SpanAnswer("", nbest, NO_OTHER_ANSWER, spans)
        null_odds = null.score - span.start_logit - span.end_logit
        is_null = null_odds > self.null_score_diff_threshold
        return SpanAnswer("" if is_null else text, nbest, null_odds, spans)

    def _null(self, scores: QuestionScores) -> Span:
        """The lowest of the windows' scores of [CLS], the first of equal ones."""
        if not scores.windows:
            return Span(-1, -1, 0.0, 0.0)
        starts, ends = (
            logits[:, 0].astype(np.float64) for logits in (scores.start_logits, scores.end_logits)
        )
        lowest = np.argmin(starts + ends)
        return Span(-1, -1, float(starts[lowest]), float(ends[lowest]))

    def _ranked(self, scores: QuestionScores, null: Span | None) -> Iterator[Span]:
        """All spans, the highest score first.

        Of equal ones, that of the earlier window comes first; in a window that with the better
        start, then that with the better end, then that further to the left; "no answer" last.
        """
        if not scores.windows:
            return iter([null] if null else [])
        starts, start_logits = self._best_places(scores, scores.start_logits)  # [S, n]
        ends, end_logits = self._best_places(scores, scores.end_logits)
        window_starts, lengths = np.array(scores.windows).T[:, :, np.newaxis]  # [S, 1]
        firsts = starts - scores.passage_start  # In the window's part of the passage.
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
        """The places of the highest logits, int [S, n], and these, float64 [S, n]."""
        logits = logits.astype(np.float64)
        if self.ignore_padding:
            lengths = np.array(scores.windows)[:, 1:]
            is_padding = np.arange(logits.shape[1]) > scores.passage_start + lengths
            logits[is_padding] = -np.inf
        places = np.argsort(-logits, axis=1, kind="stable")[:, : self.n_best_size]
        return places, np.take_along_axis(logits, places, axis=1)


class PassageText:
    """A passage, out of which the text of an answer is cut.

    Args:
        context: the passage.
        tokenizer: its tokens are those of `tokens`.
        verbose: whether to log each text that could not be found again.
    """

    def __init__(self, context: str, tokenizer: PassageTokenizer, verbose: bool = False):
        self.context = context
        self.tokens = tokenizer.tokens(context)
        self._words = split_words(context)
        self._tokenizer = tokenizer
        self._verbose = verbose

    def text(self, first: int, last: int) -> str:
        """The text that tokens `first` to `last` were made of; whole words if that is unclear."""
        tokenizer = self._tokenizer.tokenizer
        pieces = tokenizer.convert_ids_to_tokens(self.tokens.ids[first : last + 1])
        words = self._words[self.tokens.word_of(first) : self.tokens.word_of(last) + 1]
        return project(
            " ".join(tokenizer.join_tokens(pieces).split()),
            " ".join(words),
            self._tokenizer.normalize(words),
            self._verbose,
        )


def get_final_text(pred_text: str, orig_text: str, do_lower_case: bool) -> str:
    """The part of a text that a tokenized answer was made of.

    get_final_text("steve smith", "Steve Smith's", True)    # "Steve Smith"
    """
    words = BasicTokenizer(do_lower_case).tokenize(orig_text)
    return project(pred_text, orig_text, " ".join(words))


def project(predicted: str, original: str, normalized: str, verbose: bool = False) -> str:
    """Finds an answer in the normalized text, and gives what stands there in the original one.

        original      Steve Smith's         without spaces  SteveSmith's
        normalized    steve smith ' s                       stevesmith's
        predicted     steve smith                           the characters 0 to 9

    If the two texts differ in length without their spaces (an accent that was a character of its
    own, say), there is no telling which character became which: then it is the whole original.

    Args:
        predicted: pieces put together.
        original: words of the passage.
        normalized: the same words and their punctuation, before they were split into pieces.
        verbose: whether to log why it is the whole original.
    """
    is_findable = predicted and predicted == predicted.strip(" ")
    place = normalized.find(predicted) if is_findable else -1
    original_places = [i for i, char in enumerate(original) if char != " "]
    if place == -1:
        if verbose:
            logger.info("Unable to find text: %r in %r", predicted, original)
        return original
    if len(original_places) != len(normalized) - normalized.count(" "):
        if verbose:
            logger.info("Of different length without spaces: %r and %r", original, normalized)
        return original
    first = place - normalized.count(" ", 0, place)
    last = first + len(predicted) - predicted.count(" ") - 1
    return original[original_places[first] : original_places[last] + 1]


def _with_probabilities(best: dict[str, Span]) -> tuple[NbestEntry, ...]:
    """The entries with their softmax."""
    highest = max(span.score for span in best.values())
    weights = [math.exp(span.score - highest) for span in best.values()]
    total = sum(weights)
    return tuple(
        NbestEntry(text, weight / total, span.start_logit, span.end_logit)
        for (text, span), weight in zip(best.items(), weights, strict=True)
    )
