"""Makes sentence pairs with masked tokens from documents, with the original's random draws.

B follows A (label 0) or, in half of the pairs, comes from another document (label 1):

    [CLS] the cat sat . [SEP] it [MASK] on the mat . [SEP]
    \\____ segment 0 ________/ \\____ segment 1 ____________/

Without next-sentence prediction, an example is one segment of consecutive sentences:

    [CLS] the cat sat . it [MASK] on the mat . [SEP]

A token is an id or an object that represents it, such as its serialized bytes.

Source: google-research/bert, create_pretraining_data.py, `create_training_instances`.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Container, Iterator, Sequence
from random import Random
from typing import Any, NamedTuple

from bert_tf.pretraining_data import masking
from bert_tf.pretraining_data.documents import Documents
from bert_tf.pretraining_data.segmentation import Continuations
from bert_tf.settings import PretrainingDataSettings
from bert_tf.settings.pretraining_data import parse_masking_mix
from bert_tf.text.tokenizer import Tokenizer


class Pair(NamedTuple):
    """Holds a pair as indices in `Documents.tokens`; B is empty in a single segment."""

    start_a: int
    end_a: int
    start_b: int
    end_b: int
    is_random_next: bool = False


class Instance(NamedTuple):
    """Holds an example before padding and serialization; unmasked with dynamic masking."""

    tokens: list[Any]  # [CLS] A [SEP] B [SEP], or [CLS] A [SEP]
    num_tokens_a: int
    is_random_next: bool
    positions: Sequence[int] = ()  # of the masked tokens, ascending
    labels: Sequence[Any] = ()  # the original tokens
    word_ids: Sequence[int] = ()  # only with dynamic masking: see docs/data.md


class InstanceMaker:
    """Makes instances of documents, in which `token_of[id]` represents an id."""

    def __init__(
        self, settings: PretrainingDataSettings, tokenizer: Tokenizer, token_of: Sequence[Any]
    ) -> None:
        self._settings = settings
        special, find = tokenizer.special_ids, token_of.__getitem__
        self._cls, self._sep, self._mask = map(find, (special.cls, special.sep, special.mask))
        self._limits = settings.masked_lm_prob, settings.max_predictions_per_seq
        self._mix = parse_masking_mix(settings.masking_mix)
        replacements = masking.replacement_ids(tokenizer.vocab, settings.mend_quirks)
        self._replacements = [token_of[index] for index in replacements]
        self._continuations = find_continuations(settings, tokenizer, token_of)
        # Those that DistilBERT's masks leave out: [UNK] is one of them.
        self._unmasked = frozenset(map(find, special)) if settings.mask_smoothing else ()
        self._segments = segments_of_document

    def make(
        self, documents: Documents, rng: Random, on_document: Callable[[], None]
    ) -> Iterator[Instance]:
        """Shuffles the documents and yields their instances, `dupe_factor` times over."""
        masking.shuffle(documents.documents, rng)
        max_tokens = self._settings.max_seq_length - (3 if self._settings.next_sentence else 2)
        for _ in range(self._settings.dupe_factor):
            for document in range(len(documents)):
                length = max_tokens
                if rng.random() < self._settings.short_seq_prob:  # As fine-tuning has short texts.
                    length = 2 + masking.draw_below(max_tokens - 1, rng)
                for pair in self._pairs(documents, document, length, rng):
                    pair = truncate(pair, max_tokens, rng)
                    yield self._make_instance(documents.tokens, pair, rng)
                on_document()

    def _pairs(
        self, documents: Documents, document: int, target_length: int, rng: Random
    ) -> Iterator[Pair]:
        settings = self._settings
        if not settings.next_sentence:
            return self._segments(documents, document, target_length)
        if settings.mend_quirks and len(documents) == 1:
            return pairs_of_only_document(documents, target_length, rng)
        return pairs_of_document(documents, document, target_length, settings.mend_quirks, rng)

    def _make_instance(self, text: Sequence[Any], pair: Pair, rng: Random) -> Instance:
        tokens, num_tokens_a = self._packed(text, pair), pair.end_a - pair.start_a
        if self._settings.masking == "dynamic":
            word_ids = self._word_ids(tokens, num_tokens_a)
            return Instance(tokens, num_tokens_a, pair.is_random_next, word_ids=word_ids)
        count = masking.num_to_predict(len(tokens), *self._limits)
        if self._settings.do_whole_word_mask:
            places = masking.choose_words(self._group_words(tokens, num_tokens_a), count, rng)
        else:
            places = masking.choose_tokens(self._places(tokens, num_tokens_a), count, rng)
        how = self._mask, self._replacements, self._mix, rng
        masked = masking.mask_tokens(tokens, places, *how)
        return Instance(tokens, num_tokens_a, pair.is_random_next, *masked)

    def _packed(self, text: Sequence[Any], pair: Pair) -> list[Any]:
        tokens = [self._cls, *text[pair.start_a : pair.end_a], self._sep]
        if pair.end_b > pair.start_b:
            tokens += text[pair.start_b : pair.end_b]
            tokens.append(self._sep)
        return tokens

    def _places(self, tokens: list[Any], num_tokens_a: int) -> list[int]:
        """Returns the places of tokens that may be masked."""
        start_b = num_tokens_a + 2
        return [*range(1, start_b - 1), *range(start_b, len(tokens) - 1)]

    def _group_words(self, tokens: list[Any], num_tokens_a: int) -> list[list[int]]:
        """Returns the places of each word that may be masked."""
        mend_quirks = self._settings.mend_quirks
        return masking.group_words(tokens, num_tokens_a, self._continuations, mend_quirks)

    def _word_ids(self, tokens: list[Any], num_tokens_a: int) -> list[int]:
        if self._settings.do_whole_word_mask:
            words = self._group_words(tokens, num_tokens_a)
        else:
            places = self._places(tokens, num_tokens_a)
            words = [[place] for place in places if tokens[place] not in self._unmasked]
        word_ids = [0] * len(tokens)
        for number, word in enumerate(words, start=1):
            for place in word:
                word_ids[place] = number
        return word_ids


def find_continuations(
    settings: PretrainingDataSettings, tokenizer: Tokenizer, token_of: Sequence[Any]
) -> Container[Any]:
    """Returns the tokens that continue the word of the token before."""
    continues_word = tokenizer.continues_word
    pieces = frozenset(
        token_of[index] for token, index in tokenizer.vocab.items() if continues_word(token)
    )
    return Continuations(pieces) if settings.word_segmenter else pieces


def pairs_of_document(
    documents: Documents, document: int, target_length: int, mend_quirks: bool, rng: Random
) -> Iterator[Pair]:
    """Yields the pairs of a document; for about half of them, B is from another document.

    Sentences are collected up to the target length, and a random number of them becomes A. If B
    comes from another document, the next pair starts after A.

    Source: google-research/bert, create_pretraining_data.py, `create_instances_from_document`.
    """
    starts = documents.sentence_starts
    first, past_last = documents.documents[document]
    while first < past_last:
        past_chunk = _end_of_chunk(starts, first, past_last, target_length)
        num_sentences = past_chunk - first
        past_a = first + 1
        if num_sentences > 1:
            past_a += masking.draw_below(num_sentences - 1, rng)
        start_a, end_a = starts[first], starts[past_a]
        is_random_next = num_sentences == 1 or rng.random() < 0.5
        if is_random_next:
            other = draw_other_document(len(documents), document, mend_quirks, rng)
            length_b = target_length - (end_a - start_a)
            start_b, end_b = draw_sentences(documents, other, length_b, rng)
            first = past_a
        else:
            start_b, end_b = end_a, starts[past_chunk]
            first = past_chunk
        yield Pair(start_a, end_a, start_b, end_b, is_random_next)


def pairs_of_only_document(documents: Documents, target_length: int, rng: Random) -> Iterator[Pair]:
    """Yields the pairs of a corpus of one document, in which B always follows A.

    A sentence that reaches the target length alone is split at random; a single token is dropped.
    """
    starts = documents.sentence_starts
    first, past_last = documents.documents[0]
    while first < past_last:
        past_chunk = _end_of_chunk(starts, first, past_last, target_length)
        start_a, end_b = starts[first], starts[past_chunk]
        end_a = start_a
        if past_chunk - first > 1:
            end_a = starts[first + 1 + masking.draw_below(past_chunk - first - 1, rng)]
        elif end_b - start_a > 1:
            end_a = start_a + 1 + masking.draw_below(end_b - start_a - 1, rng)
        if end_a > start_a:
            yield Pair(start_a, end_a, end_a, end_b)
        first = past_chunk


def segments_of_document(documents: Documents, document: int, target_length: int) -> Iterator[Pair]:
    """Yields segments of a document, each of as many whole sentences as fit.

    A sentence longer than the target length is split there; no text is lost.

    Source: Devlin et al. 2018, section 5.1, "No NSP", whose segments the paper does not describe;
    these are the "doc-sentences" of RoBERTa (Liu et al. 2019, section 4.2).
    """
    starts = documents.sentence_starts
    first, past_last = documents.documents[document]
    start, end = starts[first], starts[past_last]
    while start < end:
        goal = min(start + target_length, end)
        stop = starts[bisect_right(starts, goal, first, past_last + 1) - 1]
        if stop <= start:
            stop = goal
        yield Pair(start, stop, stop, stop)
        start = stop


def draw_other_document(num_documents: int, document: int, mend_quirks: bool, rng: Random) -> int:
    """Draws a document other than `document`.

    The original gives up after ten draws. With one document always, and with two once in 1,024
    times, it returns `document` itself, in spite of the label.
    """
    if mend_quirks:
        other = masking.draw_below(num_documents - 1, rng)
        return other + (other >= document)
    for _ in range(10):
        other = masking.draw_below(num_documents, rng)
        if other != document:
            break
    return other


def draw_sentences(
    documents: Documents, document: int, target_length: int, rng: Random
) -> tuple[int, int]:
    """Returns start and end of one or more sentences of a document, from a random one on."""
    starts = documents.sentence_starts
    first, past_last = documents.documents[document]
    first += masking.draw_below(past_last - first, rng)
    return starts[first], starts[_end_of_chunk(starts, first, past_last, target_length)]


def truncate(pair: Pair, max_tokens: int, rng: Random) -> Pair:
    """Shortens A and B until they fit: the longer one (on a tie, B) loses its first or last token.

    The end is drawn for each token, to avoid a bias to either end.

    Source: google-research/bert, create_pretraining_data.py, `truncate_seq_pair`.
    """
    start_a, end_a, start_b, end_b, is_random_next = pair
    length_a, length_b = end_a - start_a, end_b - start_b
    for _ in range(length_a + length_b - max_tokens):
        loses_first = rng.random() < 0.5
        if length_a > length_b:
            length_a -= 1
            start_a += loses_first
        else:
            length_b -= 1
            start_b += loses_first
    return Pair(start_a, start_a + length_a, start_b, start_b + length_b, is_random_next)


def _end_of_chunk(starts: Sequence[int], first: int, past_last: int, target_length: int) -> int:
    """Returns the end of the fewest sentences from `first` on that reach the target length."""
    return bisect_left(starts, starts[first] + target_length, first + 1, past_last)
