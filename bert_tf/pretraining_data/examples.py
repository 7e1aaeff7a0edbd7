"""Documents -> sentence pairs with hidden tokens, with the original's use of chance.

A pair is cut from a document's sentences. Half the time B is what follows A (label 0), else it
comes from another document (label 1):

    [CLS] the cat sat . [SEP] it [MASK] on the mat . [SEP]
    \\____ segment 0 ________/ \\____ segment 1 ____________/

Without next sentence prediction an example is one segment, filled with consecutive sentences:

    [CLS] the cat sat . it [MASK] on the mat . [SEP]

A token is an id, or whatever stands for it all the way from the text to the record: nothing here
looks into it.

Source: google-research/bert, create_pretraining_data.py, `create_training_instances`.
"""

import random
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from bert_tf.pretraining_data import masking
from bert_tf.pretraining_data.documents import Documents
from bert_tf.settings import PretrainingDataSettings
from bert_tf.text.tokenizer import Tokenizer


class Pair(NamedTuple):
    """A sentence pair: places in `Documents.tokens`, each end past the last token.

    A single segment is A; B is empty then, and a pair's B never is.
    """

    start_a: int
    end_a: int
    start_b: int
    end_b: int
    is_random_next: bool


class Instance(NamedTuple):
    """A sentence pair with hidden tokens, before it is padded and serialized.

    Attributes:
        tokens: [CLS] A [SEP] B [SEP], or [CLS] A [SEP] of a single segment, with what stands in
            place of the masked tokens.
        num_tokens_a: length of A.
        is_random_next: whether B comes from elsewhere.
        positions: places of the hidden tokens, ascending.
        labels: what stood there.
    """

    tokens: list[Any]
    num_tokens_a: int
    is_random_next: bool
    positions: list[int]
    labels: list[Any]


class InstanceMaker:
    """Makes instances of documents.

    Args:
        settings: see `PretrainingDataSettings`.
        tokenizer: of the text.
        token_of: by id, what stands for it in the documents; None: the id itself.
    """

    def __init__(
        self,
        settings: PretrainingDataSettings,
        tokenizer: Tokenizer,
        token_of: Sequence[Any] | None = None,
    ) -> None:
        self.settings = settings
        if token_of is None:
            token_of = range(max(tokenizer.vocab.values()) + 1)
        special = tokenizer.special_ids
        self._cls, self._sep, self._mask = (
            token_of[index] for index in (special.cls, special.sep, special.mask)
        )
        replacements = masking.replacement_ids(tokenizer.vocab, settings.mend_quirks)
        self._replacements = [token_of[index] for index in replacements]
        self._continuations = continuations(tokenizer, token_of)

    def make(
        self,
        documents: Documents,
        rng: random.Random,
        keep: Callable[[Instance], bytes],
        on_document: Callable[[int], None] = lambda num_instances: None,
    ) -> list[bytes]:
        """Makes instances of all documents, and gives them in random order.

        The documents are shuffled in place, then gone through `dupe_factor` times.

        Args:
            documents: may be none.
            rng: where chance comes from.
            keep: turns an instance into what is kept of it: it should be small.
            on_document: called after each document with the number of instances so far.
        """
        masking.shuffle(documents.documents, rng)
        instances: list[bytes] = []
        for _ in range(self.settings.dupe_factor):
            for document in range(len(documents)):
                for pair in self._pairs(documents, document, rng):
                    instances.append(keep(self.instance_of(pair, documents, rng)))
                on_document(len(instances))
        masking.shuffle(instances, rng)
        return instances

    def instance_of(self, pair: Pair, documents: Documents, rng: random.Random) -> Instance:
        """Puts a pair's tokens between [CLS] and [SEP], and hides some if masking is static."""
        tokens = documents.tokens
        chosen = [self._cls, *tokens[pair.start_a : pair.end_a], self._sep]
        if pair.end_b > pair.start_b:
            chosen += tokens[pair.start_b : pair.end_b]
            chosen.append(self._sep)
        num_tokens_a = pair.end_a - pair.start_a
        if self.settings.masking == "dynamic":
            return Instance(chosen, num_tokens_a, pair.is_random_next, [], [])
        places = self._choose(chosen, num_tokens_a, rng)
        positions = sorted(places)
        labels = [chosen[place] for place in positions]
        masking.hide_tokens(chosen, places, self._mask, self._replacements, rng)
        return Instance(chosen, num_tokens_a, pair.is_random_next, positions, labels)

    def _choose(self, tokens: list[Any], num_tokens_a: int, rng: random.Random) -> list[int]:
        settings = self.settings
        count = masking.num_to_predict(
            len(tokens), settings.masked_lm_prob, settings.max_predictions_per_seq
        )
        if not settings.do_whole_word_mask:
            return masking.choose_tokens(num_tokens_a, len(tokens), count, rng)
        words = masking.group_words(tokens, num_tokens_a, self._continuations, settings.mend_quirks)
        return masking.choose_words(words, count, rng)

    def _pairs(self, documents: Documents, document: int, rng: random.Random) -> Iterator[Pair]:
        """The pairs of one document; whoever takes one draws from `rng` before the next."""
        settings = self.settings
        if not settings.next_sentence:
            return segments_of_document(documents, document, settings, rng)
        if settings.mend_quirks and len(documents) == 1:
            return pairs_of_only_document(documents, settings, rng)
        return pairs_of_document(documents, document, settings, rng)


def continuations(tokenizer: Tokenizer, token_of: Sequence[Any]) -> frozenset[Any]:
    """Returns the tokens that continue a word, as `##ing` does."""
    vocab, continues_word = tokenizer.vocab, tokenizer.continues_word
    return frozenset(token_of[index] for token, index in vocab.items() if continues_word(token))


def draw_target_length(settings: PretrainingDataSettings, rng: random.Random) -> int:
    """How many tokens the examples of a document shall hold, special ones left out.

    Mostly as many as fit. Sometimes fewer, because fine-tuning will bring shorter texts.
    """
    max_tokens = settings.max_seq_length - (3 if settings.next_sentence else 2)
    if rng.random() < settings.short_seq_prob:
        return 2 + masking.draw_below(max_tokens - 1, rng)
    return max_tokens


def pairs_of_document(
    documents: Documents, document: int, settings: PretrainingDataSettings, rng: random.Random
) -> Iterator[Pair]:
    """Cuts a document into pairs, with B from another document for about half of them.

    Sentences are gathered until they reach the target length, and a random number of them becomes
    A. Where B comes from elsewhere, the sentences after A begin the next pair.

    Source: google-research/bert, create_pretraining_data.py, `create_instances_from_document`.
    """
    starts = documents.sentence_starts
    first, past_last = documents.documents[document]
    target_length = draw_target_length(settings, rng)
    while first < past_last:
        goal = starts[first] + target_length
        past_chunk = bisect_left(starts, goal, first + 1, past_last)
        num_sentences = past_chunk - first
        past_a = first + (
            1 + masking.draw_below(num_sentences - 1, rng) if num_sentences > 1 else 1
        )
        start_a, end_a = starts[first], starts[past_a]
        is_random_next = num_sentences == 1 or rng.random() < 0.5
        if is_random_next:
            other = draw_other_document(len(documents), document, settings.mend_quirks, rng)
            start_b, end_b = draw_sentences(
                documents, other, target_length - (end_a - start_a), rng
            )
            first = past_a
        else:
            start_b, end_b = end_a, starts[past_chunk]
            first = past_chunk
        yield truncate(start_a, end_a, start_b, end_b, is_random_next, settings, rng)


def pairs_of_only_document(
    documents: Documents, settings: PretrainingDataSettings, rng: random.Random
) -> Iterator[Pair]:
    """Cuts the only document of a corpus into pairs whose B always follows A.

    There is no other document to take a random B from, and a label 1 would be a lie. A sentence
    that reaches the target length alone is parted in two at random; a single token is left out.
    """
    starts = documents.sentence_starts
    first, past_last = documents.documents[0]
    target_length = draw_target_length(settings, rng)
    while first < past_last:
        goal = starts[first] + target_length
        past_chunk = bisect_left(starts, goal, first + 1, past_last)
        start_a, end_b = starts[first], starts[past_chunk]
        if past_chunk - first > 1:
            end_a = starts[first + 1 + masking.draw_below(past_chunk - first - 1, rng)]
        elif end_b - start_a > 1:
            end_a = start_a + 1 + masking.draw_below(end_b - start_a - 1, rng)
        else:
            end_a = None
        if end_a is not None:
            yield truncate(start_a, end_a, end_a, end_b, False, settings, rng)
        first = past_chunk


def segments_of_document(
    documents: Documents, document: int, settings: PretrainingDataSettings, rng: random.Random
) -> Iterator[Pair]:
    """Cuts a document into segments of as many whole sentences as fit, one after the other.

    A sentence that does not fit alone is cut at the target length; nothing of the text is lost.

    Source: Devlin et al. 2018, section 5.1, "No NSP", whose segments the paper does not describe;
    these are the "doc-sentences" of RoBERTa (Liu et al. 2019, section 4.2).
    """
    starts = documents.sentence_starts
    first, past_last = documents.documents[document]
    start, end = starts[first], starts[past_last]
    target_length = draw_target_length(settings, rng)
    while start < end:
        goal = min(start + target_length, end)
        stop = starts[bisect_right(starts, goal, first, past_last + 1) - 1]
        if stop <= start:
            stop = goal
        yield Pair(start, stop, stop, stop, False)
        start = stop


def draw_other_document(
    num_documents: int, document: int, mend_quirks: bool, rng: random.Random
) -> int:
    """Draws a document that is not `document`.

    The original tries ten times and then takes what it has. In a corpus of one document, and once
    in 1,024 times in one of two, that is `document` itself, in spite of the label.
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
    documents: Documents, document: int, target_length: int, rng: random.Random
) -> tuple[int, int]:
    """Sentences of a document from a random one on, until they reach the target length.

    Returns:
        Start and end of them in `documents.tokens`: one sentence at least, whatever the target.
    """
    starts = documents.sentence_starts
    first, past_last = documents.documents[document]
    start = first + masking.draw_below(past_last - first, rng)
    goal = starts[start] + target_length
    return starts[start], starts[bisect_left(starts, goal, start + 1, past_last)]


def truncate(
    start_a: int,
    end_a: int,
    start_b: int,
    end_b: int,
    is_random_next: bool,
    settings: PretrainingDataSettings,
    rng: random.Random,
) -> Pair:
    """Shortens A and B until they fit: the longer one (on a tie, B) loses its first or last token.

    Which end it is, is drawn for each token, so that neither beginnings nor ends are missing.

    Source: google-research/bert, create_pretraining_data.py, `truncate_seq_pair`.
    """
    length_a, length_b = end_a - start_a, end_b - start_b
    for _ in range(length_a + length_b - (settings.max_seq_length - 3)):
        loses_first = rng.random() < 0.5
        if length_a > length_b:
            length_a -= 1
            start_a += loses_first
        else:
            length_b -= 1
            start_b += loses_first
    return Pair(start_a, start_a + length_a, start_b, start_b + length_b, is_random_next)
