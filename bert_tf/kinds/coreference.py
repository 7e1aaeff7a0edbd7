"""Coreference: finds the mentions of each entity in a text of any length.

    text ──> word pieces ──> sentences ──> segments ──> spans with antecedents ──> clusters
             Python's or the graph's tokenizer; all that follows is one graph

A text of several lines has a sentence on each. One of a single line is divided by a rule, see
`bert_tf.spans.sentences`. As in training, a segment holds whole sentences if one fits.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
import tensorflow as tf

from bert_tf.kinds.piece_model import PieceModel, is_first
from bert_tf.model.coreference import CoreferenceModel
from bert_tf.spans.coreference import FIRST_SPEAKER, SPECIAL_SPEAKER, CoreferenceOptions
from bert_tf.spans.sentences import ABBREVIATIONS, CLOSES, ENDS

_LINE_END = ord("\n")


@dataclasses.dataclass(frozen=True, slots=True)
class MentionSpan:
    """A mention, `text[start:end]` in characters."""

    text: str
    start: int
    end: int


class CoreferenceResolver(PieceModel):
    """Returns the mentions of each entity; M is the most mentions of a text."""

    outputs: ClassVar = {
        "mentions": "string [N, M]: the mentions, in the order of the text",
        "starts": "int32 [N, M]: where each starts in the text, in characters; -1 for none",
        "ends": "int32 [N, M]: where each ends",
        "entities": "int32 [N, M]: the number of each mention's entity, from 0; -1 for none",
    }
    Options = CoreferenceOptions
    max_batch_tokens = 4096

    def __init__(self, loaded, batch_size=32, compute=None):
        super().__init__(loaded, batch_size, compute)
        vocab = list(loaded.tokenizer.vocab)
        self._ends, self._closes, self._abbreviates = (
            np.array([token.lower() in tokens for token in vocab])
            for tokens in (ENDS, CLOSES, ABBREVIATIONS)
        )

    @staticmethod
    def make_model(encoder, num_labels):
        return CoreferenceModel(encoder)

    @classmethod
    def model_for(cls, encoder, num_labels, options):
        return CoreferenceModel(encoder, **options.model_arguments())

    def of_ids(self, batch):
        """Returns the spans of documents in segments, and their antecedents."""
        return self.compute(batch)

    def id_signatures(self):
        return {}

    def of_pieces(self, texts, pieces):
        (texts,), (pieces,) = texts, pieces
        ids = pieces.ids
        rows = tf.cast(ids.value_rowids(), tf.int32)
        is_last = _differs_from_next(rows)
        continues = tf.concat([tf.gather(self.continues, ids.flat_values)[1:], [False]], axis=0)
        word_ends = is_last | ~continues
        sentence_ends = is_last | self._sentence_ends(texts, ids, pieces.starts, rows)
        segments = _segments(sentence_ends, word_ends, is_last, self.loaded.max_seq_length - 2)
        batch, piece_of_token = self._packed(ids, rows, sentence_ends, segments, tf.size(texts))
        found = self.of_ids(batch)
        spans = [tf.cast(found[name], tf.int32) for name in ("span_starts", "span_ends")]
        entities = _entities(found, spans[0])  # [N, K]
        is_mention = entities >= 0
        # The column more is for texts without pieces.
        of_tokens = tf.pad(piece_of_token.to_tensor(), [[0, 0], [0, 1]])
        first, last = (
            tf.ragged.boolean_mask(
                tf.gather(of_tokens, tf.maximum(span, 0), batch_dims=1), is_mention
            )
            for span in spans
        )
        # Whole words: from the first piece of the first one to the last piece of the last one.
        words = self.words_of(pieces)
        number = tf.cumsum(tf.cast(word_ends, tf.int32), exclusive=True)
        mention_starts = tf.gather(words.start, tf.gather(number, first.flat_values))
        mention_ends = tf.gather(words.end, tf.gather(number, last.flat_values))
        sources = tf.gather(texts, first.value_rowids())
        lengths = mention_ends - mention_starts
        mentions = tf.strings.substr(sources, mention_starts, lengths, "UTF8_CHAR")
        return {
            "mentions": first.with_flat_values(mentions).to_tensor(""),
            "starts": first.with_flat_values(mention_starts).to_tensor(-1),
            "ends": first.with_flat_values(mention_ends).to_tensor(-1),
            "entities": tf.ragged.boolean_mask(entities, is_mention).to_tensor(-1),
        }

    def _sentence_ends(self, texts, ids, starts, rows):
        """Returns whether each piece ends a line or, in a text of one line, a sentence."""
        characters = tf.strings.unicode_decode(tf.strings.join([texts, " "]), "UTF-8")
        lines = tf.cumsum(tf.cast(characters.flat_values == _LINE_END, tf.int32))
        of_texts = tf.cast(tf.gather(characters.row_starts(), rows), tf.int32)
        lines = tf.gather(lines, of_texts + starts.flat_values)
        num_texts = tf.size(texts)
        first = tf.math.unsorted_segment_min(lines, rows, num_texts)
        has_lines = tf.math.unsorted_segment_max(lines, rows, num_texts) > first
        by_rule = self._ends_by_rule(ids.flat_values, rows)
        return tf.where(tf.gather(has_lines, rows), _differs_from_next(lines), by_rule)

    def _ends_by_rule(self, ids, rows):
        """Does what `spans.sentences.sentence_ends` does for the pieces of each text."""
        is_end, closes, abbreviates = (
            tf.gather(table, ids) for table in (self._ends, self._closes, self._abbreviates)
        )
        is_point = ids == self.loaded.tokenizer.vocab.get(".", -1)
        is_end &= ~(is_point & tf.concat([[False], abbreviates[:-1]], 0) & ~is_first(rows))
        # Closing signs belong to the sentence before them.
        places = tf.range(tf.size(ids))
        last = _last_before(~closes | is_first(rows), places)
        is_over = tf.gather(is_end, last)
        more = tf.concat([closes[1:], tf.zeros_like(closes[:1])], 0) & ~_differs_from_next(rows)
        return is_over & ~more

    def _packed(self, ids, rows, sentence_ends, segments, num_texts):
        """Returns the model's inputs [N, S, L], and the piece of each text's tokens [N, (T)]."""
        firsts = segments.row_starts()
        lasts = segments.row_limits() - 1
        owner = tf.gather(rows, firsts)
        numbers = tf.cumsum(tf.cast(sentence_ends, tf.int32), exclusive=True)
        after = tf.gather(numbers, lasts) + tf.cast(tf.gather(sentence_ends, lasts), tf.int32)
        starts_text = tf.gather(is_first(rows), firsts)
        before = tf.where(starts_text, firsts, firsts - 1)
        pieces = tf.range(tf.size(rows))
        columns = {
            "input_ids": (self.special.cls, ids.flat_values, self.special.sep),
            "input_mask": (1, tf.ones_like(rows), 1),
            "segment_ids": (0, tf.zeros_like(rows), 0),
            "sentence_map": (tf.gather(numbers, firsts), numbers, after),
            "speaker_ids": (SPECIAL_SPEAKER, FIRST_SPEAKER + tf.zeros_like(rows), SPECIAL_SPEAKER),
            "pieces": (tf.cast(before, tf.int32), pieces, tf.cast(lasts, tf.int32)),
        }
        by_text = {}
        for name, (first, values, last) in columns.items():
            ends = [tf.zeros_like(owner) + each for each in (first, last)]
            middle = segments.with_values(values)
            tokens = tf.concat([ends[0][:, None], middle, ends[1][:, None]], axis=1)
            by_text[name] = tf.RaggedTensor.from_value_rowids(
                tokens, tf.cast(owner, tf.int64), tf.cast(num_texts, tf.int64), validate=False
            )
        piece_of_token = by_text.pop("pieces").merge_dims(1, 2)
        batch = {name: _not_empty(each.to_tensor()) for name, each in by_text.items()}
        return {**batch, "genre": tf.zeros([num_texts, 1], tf.int32)}, piece_of_token

    @staticmethod
    def answer_of(example, outputs):
        """Returns the entities in the order of their first mentions: tuples of `MentionSpan`s."""
        entities: dict[int, dict[tuple[int, int], MentionSpan]] = {}
        seen = set()
        names = ("mentions", "starts", "ends", "entities")
        for text, start, end, entity in zip(*(outputs[name] for name in names), strict=True):
            place = int(start), int(end)
            if entity < 0 or place in seen:  # Spans of pieces may be the same words.
                continue
            seen.add(place)
            entities.setdefault(int(entity), {})[place] = MentionSpan(text.decode("utf-8"), *place)
        found = (tuple(spans.values()) for spans in entities.values())
        return tuple(spans for spans in found if len(spans) > 1)

    @staticmethod
    def difference(expected, actual):
        return 0.0 if expected == actual else float("inf")


def join_words(sentences: Sequence[Sequence[str]]) -> tuple[str, list[tuple[int, int]]]:
    """Returns the text of sentences of words, a line each, and the characters of each word."""
    lines, places, start = [], [], 0
    for sentence in sentences:
        for word in sentence:
            places.append((start, start + len(word)))
            start += len(word) + 1
        if sentence:
            lines.append(" ".join(sentence))
    return "\n".join(lines), places


def in_words(
    entities: Sequence[Sequence[MentionSpan]], places: Sequence[tuple[int, int]]
) -> list[list[tuple[int, int]]]:
    """Returns entities with the first and the last word of each mention."""
    starts, ends = zip(*places, strict=True) if places else ((), ())
    found = []
    for spans in entities:
        mentions = {
            (
                int(np.searchsorted(ends, span.start, side="right")),
                int(np.searchsorted(starts, span.end, side="left")) - 1,
            )
            for span in spans
        }
        found.append(sorted(mentions))
    return [mentions for mentions in found if len(mentions) > 1]


def _entities(found: Mapping[str, tf.Tensor], starts: tf.Tensor) -> tf.Tensor:
    """Returns the number of each span's entity, int32 [N, K], -1 for spans that are no mention."""
    best = tf.argmax(found["antecedent_scores"], axis=-1, output_type=tf.int32)  # 0: none.
    antecedents = tf.cast(found["antecedents"], tf.int32)
    chosen = tf.gather(antecedents, tf.maximum(best - 1, 0), batch_dims=2)
    places = tf.zeros_like(best) + tf.range(tf.shape(best)[1])
    parents = tf.where((best > 0) & (starts >= 0), chosen, places)
    _, roots = tf.while_loop(
        lambda parents, roots: tf.reduce_any(parents != roots),
        lambda parents, roots: (roots, tf.gather(roots, roots, batch_dims=1)),
        (parents, tf.gather(parents, parents, batch_dims=1)),
    )
    is_member = roots != places
    size = tf.shape(places)[1]
    rows = tf.range(tf.shape(places)[0])[:, None] * size
    sizes = tf.math.unsorted_segment_sum(
        tf.reshape(tf.cast(is_member, tf.int32), [-1]),
        tf.reshape(rows + roots, [-1]),
        tf.size(places),
    )
    has_members = tf.reshape(sizes, tf.shape(places)) > 0
    numbers = tf.cumsum(tf.cast(has_members, tf.int32), axis=1) - 1
    is_mention = is_member | has_members
    return tf.where(is_mention, tf.gather(numbers, roots, batch_dims=1), -1)


def _segments(sentence_ends, word_ends, is_last, most: int) -> tf.RaggedTensor:
    """Returns the numbers of the pieces of each segment, as `divide_document` makes them.

    A word that is longer than a segment is divided.
    """
    places = tf.range(tf.size(is_last))
    sentences, words = (_last_before(ends, places) for ends in (sentence_ends, word_ends))
    text_ends = _next_after(is_last, places)

    def add(start, starts):
        limit = tf.minimum(start + most - 1, text_ends[start])
        by_word = tf.where(words[limit] >= start, words[limit], limit)
        end = tf.where(sentences[limit] >= start, sentences[limit], by_word)
        return end + 1, tf.concat([starts, [start]], axis=0)

    _, starts = tf.while_loop(
        lambda start, _: start < tf.size(places),
        add,
        (tf.constant(0), tf.zeros([0], tf.int32)),
        shape_invariants=(tf.TensorShape([]), tf.TensorShape([None])),
    )
    return tf.RaggedTensor.from_row_starts(places, tf.cast(starts, tf.int64), validate=False)


def _last_before(condition, places):
    """Returns the last place up to each one where a condition holds; -1 if there is none."""
    holds = tf.cast(tf.where(condition)[:, 0], tf.int32)
    counts = tf.searchsorted(holds, places, side="right")
    return tf.gather(tf.concat([[-1], holds], axis=0), counts)


def _next_after(condition, places):
    """Returns the first place from each one on where a condition holds."""
    holds = tf.cast(tf.where(condition)[:, 0], tf.int32)
    return tf.gather(holds, tf.searchsorted(holds, places, side="left"))


def _differs_from_next(values):
    """Returns whether each value differs from the next one; True for the last."""
    return tf.concat([values[1:] != values[:-1], tf.ones_like(values[:1], tf.bool)], axis=0)


def _not_empty(values):
    """Returns a batch of documents [N, S, L] with at least one segment and token."""
    shape = tf.shape(values)
    more = [tf.maximum(1 - shape[axis], 0) for axis in (1, 2)]
    return tf.pad(values, [[0, 0], [0, more[0]], [0, more[1]]])
