"""Masks spans of whole words, and makes the single segments they lie in, as SpanBERT does.

    words        the  [cat  slept  all]  day  ,  [un ##aff ##able]  .
    masked             M     M     M              M   M     M

A span's length is drawn in words, from a geometric distribution that is cut off; then a token of
the segment, at whose word it begins. Spans are drawn until 15 % of the tokens, rounded up, are
masked; there the last one ends, even within a word. Spans that touch become one. 80 % of the spans
become [MASK]s, 10 % random tokens of the text, and 10 % stay: one draw decides for a span.

Source: Joshi et al. 2019, "SpanBERT", section 3.1; facebookresearch/SpanBERT,
pretraining/fairseq/data/masking.py, `PairWithSpanMaskingScheme`, and no_nsp_span_bert_dataset.py.
"""

import bisect
import itertools
import math
import random
from collections.abc import Iterator, MutableSequence, Sequence
from typing import Any

from bert_tf.pretraining_data import masking
from bert_tf.pretraining_data.documents import Documents
from bert_tf.pretraining_data.examples import Instance, InstanceMaker, Pair
from bert_tf.settings import PretrainingDataSettings
from bert_tf.settings.pretraining_data import span_length_probabilities
from bert_tf.text.tokenizer import Tokenizer

Span = tuple[int, int]  # The first place and the last.


class SpanDraws:
    """Draws what is random in the masks, in the original's order.

    For each span that is tried a length and an anchor; then, for each span in the order of the
    text, a fraction and perhaps tokens.
    """

    def __init__(self, probabilities: Sequence[float], rng: random.Random) -> None:
        """`probabilities`: of spans of 1, 2, ... words."""
        self._up_to = [*itertools.accumulate(probabilities[:-1])]
        self._rng = rng

    def num_words(self) -> int:
        """Returns the length of a span."""
        return 1 + bisect.bisect_right(self._up_to, self._rng.random())

    def anchor(self, num_tokens: int) -> int:
        """Returns which of a segment's tokens a span begins at, or before."""
        return masking.draw_below(num_tokens, self._rng)

    def fraction(self) -> float:
        """Returns a number from [0, 1) that decides what becomes of a span."""
        return self._rng.random()

    def token(self, tokens: Sequence[Any]) -> Any:
        """Returns one of the corpus's tokens: frequent ones are drawn more often."""
        return tokens[masking.draw_below(len(tokens), self._rng)]


def num_to_mask(num_tokens: int, masked_lm_prob: float, max_predictions_per_seq: int) -> int:
    """Returns how many of a segment's `num_tokens`, without [CLS] and [SEP], are masked."""
    return min(max_predictions_per_seq, math.ceil(num_tokens * masked_lm_prob))


def choose_spans(words: Sequence[Sequence[int]], count: int, draws: SpanDraws) -> list[Span]:
    """Chooses spans with `count` tokens; the last may end within a word, and spans may overlap.

    `words`: the places of each word's tokens, as `masking.group_words` returns them for a segment.
    """
    first_place = words[0][0]
    word_of = [number for number, word in enumerate(words) for _ in word]
    masked: set[int] = set()
    spans = []
    while len(masked) < count:
        num_words = draws.num_words()
        anchor = draws.anchor(len(word_of))
        if first_place + anchor in masked:
            continue
        number = word_of[anchor]
        start = last = words[number][0]
        for place in itertools.chain.from_iterable(words[number : number + num_words]):
            if len(masked) >= count:
                break
            masked.add(place)
            last = place
        spans.append((start, last))
    return spans


def merge_spans(spans: Sequence[Span]) -> list[Span]:
    """Returns the spans in the order of the text, those that touch or overlap as one."""
    merged: list[Span] = []
    for start, last in sorted(spans):
        if merged and start <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((start, last))
    return merged


def mask_spans(
    tokens: MutableSequence[Any],
    spans: Sequence[Span],
    mask: Any,
    corpus: Sequence[Any],
    mix: tuple[float, float],
    draws: SpanDraws,
) -> None:
    """Replaces the tokens of merged spans by `mask`, or by tokens of `corpus`, or keeps them.

    `mix`: as of `masking.mask_tokens`, here of the spans.
    """
    masked, kept = mix
    for start, last in spans:
        fraction = draws.fraction()
        for place in range(start, last + 1):
            if fraction < masked:
                tokens[place] = mask
            elif fraction < 1 - (1 - masked) * kept:
                tokens[place] = draws.token(corpus)


def blocks_of_document(documents: Documents, document: int, target_length: int) -> Iterator[Pair]:
    """Yields segments of a document, each of as many whole sentences as fit.

    As in the original, a sentence longer than the target length is left out, and if it ends the
    document, the sentences since the last full segment are, too.
    """
    starts = documents.sentence_starts
    first, past_last = documents.documents[document]
    begin = end = starts[first]  # The open segment, which is empty at first.
    for sentence in range(first, past_last):
        start, past = starts[sentence], starts[sentence + 1]
        if past - start > target_length:
            continue
        if begin < end and past - begin > target_length:
            yield Pair(begin, end, end, end)
            begin = end
        if begin == end:
            begin = start
        end = past
        if sentence == past_last - 1:
            yield Pair(begin, end, end, end)


class SpanInstanceMaker(InstanceMaker):
    """Makes instances of single segments, in which spans are masked."""

    def __init__(
        self, settings: PretrainingDataSettings, tokenizer: Tokenizer, token_of: Sequence[Any]
    ) -> None:
        super().__init__(settings, tokenizer, token_of)
        self._probabilities = span_length_probabilities(
            settings.span_geometric_p, settings.max_span_words
        )
        if not settings.mend_quirks:
            self._segments = blocks_of_document

    def _make_instance(self, text: Sequence[Any], pair: Pair, rng: random.Random) -> Instance:
        num_tokens = pair.end_a - pair.start_a
        if self._settings.masking == "dynamic":
            return super()._make_instance(text, pair, rng)
        tokens = self._packed(text, pair)
        draws = SpanDraws(self._probabilities, rng)
        words = self._group_words(tokens, num_tokens)
        spans = merge_spans(choose_spans(words, num_to_mask(num_tokens, *self._limits), draws))
        positions = [place for start, last in spans for place in range(start, last + 1)]
        labels = [tokens[place] for place in positions]
        mask_spans(tokens, spans, self._mask, text, self._mix, draws)
        return Instance(tokens, num_tokens, False, positions, labels)
