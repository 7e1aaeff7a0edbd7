"""Makes instances as ALBERT does: masked n-grams of words, and pairs whose parts may be swapped.

    words     the | cat ##s | sat | on | the | mat        n-grams from each word on, n drawn with
    bigram              [MASK][MASK] [MASK]               P(n) ~ 1/n

    swapped   [CLS] it slept . [SEP] the cat sat . [SEP]      label 1: the second part came first

Random draws are the original's, call for call. The lengths of n-grams are drawn from numpy's global
generator there, which nothing seeds; here from one with a seed of its own.

Source: google-research/albert, create_pretraining_data.py.
"""

import random
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from bert_tf.pretraining_data import masking
from bert_tf.pretraining_data.documents import Documents
from bert_tf.pretraining_data.examples import (
    Instance,
    InstanceMaker,
    Pair,
    draw_other_document,
    draw_sentences,
)
from bert_tf.pretraining_data.segmentation import Continuations, Continuing
from bert_tf.settings import PretrainingDataSettings
from bert_tf.text.sentencepiece_tokenization import SentencePieceTokenizer
from bert_tf.text.tokenizer import Tokenizer

_WORD_START = "\u2581"
_SPECIAL = frozenset('!"#$%&"()*+,-./:;?@[\\]^_`{|}~')
_IN_WORDS = _SPECIAL | frozenset("abcdefghijklmnopqrstuvwxyz")


def continues_english_word(piece: str) -> bool:
    """Returns whether a SentencePiece piece belongs to the word of the one before it.

    Only pieces of English letters do: one with a digit or another letter is a word of its own.

    Source: google-research/albert, create_pretraining_data.py, `_is_start_piece_sp`.
    """
    if piece.startswith((_WORD_START, "<")) or piece in _SPECIAL:
        return False
    return all(char.lower() in _IN_WORDS for char in piece)


def make_encoder(tokenizer: Tokenizer, token_of: Sequence[bytes]) -> Callable[[str], list[bytes]]:
    """Returns the function that tokenizes a line, with unknown pieces that continue a word marked.

    `token_of`: serialized bytes by id.
    """
    look_up = token_of.__getitem__
    if not isinstance(tokenizer, SentencePieceTokenizer):
        return lambda line: [*map(look_up, tokenizer.encode(line))]
    vocab, unknown = tokenizer.vocab, token_of[tokenizer.special_ids.unk]
    continuing = Continuing(unknown)

    def encode(line: str) -> list[bytes]:
        return [
            look_up(vocab[piece])
            if piece in vocab
            else (continuing if continues_english_word(piece) else unknown)
            for piece in tokenizer.tokenize(line)
        ]

    return encode


class NgramInstanceMaker(InstanceMaker):
    """Makes instances with masked n-grams; `Instance.word_ids` says where words begin: 1, else 0.

    Args:
        seed: of the lengths of n-grams.
        Others: see `InstanceMaker`; tokens are those of `make_encoder`.
    """

    def __init__(
        self,
        settings: PretrainingDataSettings,
        tokenizer: Tokenizer,
        token_of: Sequence[Any],
        seed: int,
    ) -> None:
        super().__init__(settings, tokenizer, token_of)
        is_sentencepiece = isinstance(tokenizer, SentencePieceTokenizer)
        continues = continues_english_word if is_sentencepiece else tokenizer.continues_word
        self._continuations = Continuations(
            frozenset(token_of[i] for piece, i in tokenizer.vocab.items() if continues(piece))
        )
        self._lengths = NgramLengths(settings.ngram, settings.favor_shorter_ngram, seed)

    def _pairs(
        self, documents: Documents, document: int, target_length: int, rng: random.Random
    ) -> Iterator[Pair]:
        if not self._settings.sentence_order:
            return super()._pairs(documents, document, target_length, rng)
        mend_quirks = self._settings.mend_quirks
        return ordered_pairs(documents, document, target_length, mend_quirks, rng)

    def _make_instance(self, text: Sequence[Any], pair: Pair, rng: random.Random) -> Instance:
        tokens = self._packed(text, pair)
        edges = (self._cls, self._sep)
        starts = [int(token in edges or token not in self._continuations) for token in tokens]
        words: list[list[int]] = []
        for place, token in enumerate(tokens):
            if token in edges:
                continue
            if self._settings.do_whole_word_mask and words and not starts[place]:
                words[-1].append(place)
            else:
                words.append([place])
        numbers = list(range(len(words)))
        masking.shuffle(numbers, rng)
        count = masking.num_to_predict(len(tokens), *self._limits)
        places = choose_ngrams(words, numbers, count, self._lengths)
        how = self._mask, self._replacements, self._mix, rng
        masked = masking.mask_tokens(tokens, places, *how)
        masking.shuffle(numbers, rng)  # For the original's permutations, which are not made here.
        num_tokens_a = pair.end_a - pair.start_a
        return Instance(tokens, num_tokens_a, pair.is_random_next, *masked, starts)


class NgramLengths:
    """Draws n from 1 to `longest` with P(n) ~ 1/n, or with these probabilities in reverse."""

    def __init__(self, longest: int, favors_shorter: bool, seed: int) -> None:
        self._rng = np.random.RandomState(seed % 2**32)
        self._lengths = np.arange(1, longest + 1, dtype=np.int64)
        shares = 1.0 / np.arange(1, longest + 1)
        shares /= shares.sum(keepdims=True)
        shares = shares if favors_shorter else shares[::-1]
        self._shares = shares / shares.sum(keepdims=True)  # Twice, as in the original.

    def draw(self) -> int:
        """Returns the next length."""
        return int(self._rng.choice(self._lengths, p=self._shares))


def choose_ngrams(
    words: Sequence[list[int]], numbers: Sequence[int], count: int, lengths: NgramLengths
) -> list[int]:
    """Chooses the positions of n-grams of words with at most `count` tokens, in that order.

    Args:
        words: the token positions of each word.
        numbers: of words, the order in which an n-gram is tried from each on. One that is too long
            is shortened; one that overlaps with those before is left out.
    """
    places: list[int] = []
    covered: set[int] = set()
    for number in numbers:
        if len(places) >= count:
            break
        for length in range(lengths.draw(), 0, -1):
            ngram = [place for word in words[number : number + length] for place in word]
            if len(places) + len(ngram) <= count:
                break
        else:
            continue
        if covered.isdisjoint(ngram):
            places += ngram
            covered.update(ngram)
    return places


def ordered_pairs(
    documents: Documents, document: int, target_length: int, mend_quirks: bool, rng: random.Random
) -> Iterator[Pair]:
    """Yields the pairs of a document, about half of them with A and B swapped: label 1.

    Sentences are collected up to the target length, and a random number of them becomes A. For a
    single sentence, B comes from another document, with label 1; with `mend_quirks` the sentence is
    cut in two at a random token instead, and one of one token is dropped.

    Source: google-research/albert, `create_instances_from_document`.
    """
    starts = documents.sentence_starts
    first, past_last = documents.documents[document]
    while first < past_last:
        goal = starts[first] + target_length
        past_chunk = bisect_left(starts, goal, first + 1, past_last)
        num_sentences, start, end = past_chunk - first, starts[first], starts[past_chunk]
        cut = starts[first + 1]
        if num_sentences > 1:
            cut = starts[first + 1 + masking.draw_below(num_sentences - 1, rng)]
        elif mend_quirks:
            cut = start + 1 + masking.draw_below(end - start - 1, rng) if end - start > 1 else end
        first = past_chunk
        if cut < end:
            is_swapped = rng.random() < 0.5
            a, b = (start, cut), (cut, end)
            yield Pair(*b, *a, True) if is_swapped else Pair(*a, *b)
        elif not mend_quirks:
            other = draw_other_document(len(documents), document, False, rng)
            length_b = target_length - (end - start)
            yield Pair(start, end, *draw_sentences(documents, other, length_b, rng), True)
