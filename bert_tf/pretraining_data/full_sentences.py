"""Makes examples of full sentences across documents, as RoBERTa was trained on.

    [CLS] the cat sat . it slept . [SEP] dogs bark . they run . [SEP]
          \\___ a document's end ___/     \\___ the next one ___/

Sentences of consecutive documents are collected as long as they fit; a separator stands between
documents, and is never masked. There is one segment, and no label of next sentences. A sentence
longer than an example is divided; no text is lost.

Source: Liu et al. 2019, section 4.2, "full-sentences".
"""

import random
from collections.abc import Callable, Iterator
from typing import Any

from bert_tf.pretraining_data import masking
from bert_tf.pretraining_data.documents import Documents
from bert_tf.pretraining_data.examples import Instance, InstanceMaker, Pair


class FullSentenceMaker(InstanceMaker):
    """Makes instances of documents in a row."""

    def make(
        self, documents: Documents, rng: random.Random, on_document: Callable[[], None]
    ) -> Iterator[Instance]:
        masking.shuffle(documents.documents, rng)
        for _ in range(self._settings.dupe_factor):
            for text in self._texts(documents, rng, on_document):
                size = len(text)
                yield self._make_instance(text, Pair(0, size, size, size), rng)

    def _texts(
        self, documents: Documents, rng: random.Random, on_document: Callable[[], None]
    ) -> Iterator[list[Any]]:
        """Yields the tokens of each example, without those around them."""
        starts, room, text = documents.sentence_starts, self._draw_room(rng), []
        for first, past_last in documents.documents:
            separator = [self._sep] if text else []
            for number in range(first, past_last):
                sentence = documents.tokens[starts[number] : starts[number + 1]]
                if text and len(text) + len(separator) + len(sentence) > room:
                    yield text
                    room, text, separator = self._draw_room(rng), [], []
                while len(sentence) > room:
                    yield sentence[:room]
                    sentence, room = sentence[room:], self._draw_room(rng)
                if sentence:
                    text, separator = [*text, *separator, *sentence], []
            on_document()
        if text:
            yield text

    def _draw_room(self, rng: random.Random) -> int:
        """Returns the most tokens of the next example, without those around them."""
        most, prob = self._settings.max_seq_length - 2, self._settings.short_seq_prob
        is_short = prob > 0 and rng.random() < prob
        return 2 + masking.draw_below(most - 1, rng) if is_short else most

    def _places(self, tokens: list[Any], num_tokens_a: int) -> list[int]:
        return [i for i in super()._places(tokens, num_tokens_a) if tokens[i] != self._sep]

    def _group_words(self, tokens: list[Any], num_tokens_a: int) -> list[list[int]]:
        words = super()._group_words(tokens, num_tokens_a)
        words = [[place for place in word if tokens[place] != self._sep] for word in words]
        return [word for word in words if word]
