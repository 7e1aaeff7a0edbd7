"""Roles: finds who did what to whom: the roles of a sentence's words for one of its predicates.

sentence, predicate --> [CLS] sentence [SEP] predicate [SEP] --> BERT ... --> a tag per word
"""

import dataclasses
import functools
from typing import ClassVar

import numpy as np
import tensorflow as tf

from bert_tf.kinds.piece_model import TRUNCATED, PieceModel
from bert_tf.kinds.tagging import TaggedWord, Tagger
from bert_tf.kinds.text_model import with_a_column
from bert_tf.model.crf import best_path
from bert_tf.model.role_model import RoleModel
from bert_tf.model.task_heads import TokenClassificationModel
from bert_tf.spans.bio import PREDICATE_ROLE, role_spans, transition_scores
from bert_tf.spans.predicates import NUMBERED, PLAIN, RoleOptions, split_labels
from bert_tf.text.graph_packing import pack_slices
from bert_tf.text.packing import num_between


@dataclasses.dataclass(frozen=True, slots=True)
class Role:
    """A role and what has it, `sentence[start:end]` in characters."""

    role: str
    text: str
    start: int
    end: int
    probability: float  # A fraction: of the least probable of its words' tags.


@dataclasses.dataclass(frozen=True, slots=True)
class RoleAnswer:
    """The roles of a predicate."""

    predicate: str
    start: int  # In characters.
    end: int
    sense: str  # Such as 01; "" if the model knows none.
    sense_probability: float  # A fraction.
    roles: tuple[Role, ...]  # In the order of the sentence, without the predicate's own.
    words: tuple[TaggedWord, ...]  # All words that the model read, with their tags.


class RoleLabeller(PieceModel):
    """Labels roles. Of a sentence that is too long, the model reads the part around the predicate.

    A predicate is one or more words of the sentence; `run#2` is the second "run" in it.
    """

    outputs: ClassVar = {
        "words": "string [N, W]: the words, as they stand in the sentence",
        "labels": "string [N, W]: the tag of each",
        "probabilities": "float32 [N, W]: their probabilities",
        "starts": "int32 [N, W]: where each starts in the sentence, in characters",
        "ends": "int32 [N, W]: where each ends",
        "predicate_start": "int32 [N]: where the predicate starts; -1 if it is not there",
        "predicate_end": "int32 [N]: where it ends",
        "sense": "string [N]: the sense of the predicate; empty if the model knows none",
        "sense_probability": "float32 [N]: its probability",
    }
    Options = RoleOptions
    make_model = TokenClassificationModel

    def __init__(self, loaded, batch_size=32, compute=None):
        super().__init__(loaded, batch_size, compute)
        self.tags, self.senses = split_labels(loaded.labels)

    @classmethod
    def model_for(cls, encoder, num_labels, options):
        if options.variant == PLAIN:
            return cls.make_model(encoder, num_labels)
        sizes = options.indicator_size, options.lstm_units, options.mlp_units
        return RoleModel(encoder, num_labels, *sizes)

    def of_ids(self, batch):
        """Returns log-probabilities of the tags, [N, L, T], and of the predicate's senses, [N, S].

        Only tags of sentences have a meaning.
        """
        logits = tf.cast(self.compute(batch)["logits"], tf.float32)
        place = tf.argmax(batch["predicate_mask"], axis=1, output_type=tf.int32)
        tags, senses = tf.split(logits, [len(self.tags), len(self.senses)], axis=-1)
        of_predicate = tf.gather(senses, place, batch_dims=1)
        return {"tags": tf.nn.log_softmax(tags), "senses": tf.nn.log_softmax(of_predicate)}

    def id_signatures(self):
        """Returns none: ids would need `predicate_mask`, too."""
        return {}

    def sample(self, texts):
        words = texts[-1].split()
        return texts[-1], words[len(words) // 3] if words else b""

    def is_answerable(self, example):
        try:
            return bool(self.predict([example]))
        except ValueError:
            return False

    def of_pieces(self, texts, pieces):
        sentence, predicate = texts
        pieces, wanted = pieces
        rewrite = functools.partial(tf.strings.regex_replace, predicate, f"(?s)^{NUMBERED}$")
        name = rewrite(r"\1")  # As it is, if it has no number.
        numbers = tf.where(name == predicate, "1", rewrite(r"\2"))
        size = tf.strings.length(name, "UTF8_CHAR")[:, tf.newaxis]
        wanted = tf.ragged.boolean_mask(wanted.ids, wanted.starts < size)
        words = self.words_of(pieces)
        first, length = _find_words(
            pieces.ids, words, wanted, tf.strings.to_number(numbers, tf.int32)
        )
        batch, start, kept = self._packed(pieces.ids, first, length)
        outputs = self.of_ids(batch)
        return {
            **self._tagged(sentence, words, start, kept, outputs["tags"]),
            "predicate_start": _at(pieces.starts, first, length > 0),
            "predicate_end": _at(pieces.ends, first + length - 1, length > 0),
            **self._sense(outputs["senses"]),
            TRUNCATED: (kept < tf.cast(pieces.ids.row_lengths(), tf.int32)),
        }

    def _packed(self, ids, first, length):
        """Does in a graph what `pack_predicate` does; also returns `start` and `length`."""
        longest, is_plain = self.loaded.max_seq_length, self.loaded.options.variant == PLAIN
        total = tf.cast(ids.row_lengths(), tf.int32)
        repeated = tf.minimum(length, 0 if is_plain else (longest - 3) // 2)
        beside = repeated + num_between(self.special.sep)
        room = longest - 2 - tf.where(repeated > 0, beside, 0)
        start = tf.maximum(0, tf.minimum(first - room // 2, total - room))
        kept = tf.minimum(total - start, room)
        slices = (start, kept), (first, repeated)
        rows = pack_slices(ids, *slices, self.special.cls, self.special.sep)
        batch = with_a_column(rows)
        places = tf.range(tf.shape(batch["input_ids"])[1])[tf.newaxis] - 1
        begin = (first - start)[:, tf.newaxis]
        end = tf.minimum(begin + length[:, tf.newaxis], kept[:, tf.newaxis])
        mask = tf.cast((places >= begin) & (places < end), tf.int32)
        batch["predicate_mask"] = mask
        return {**batch, "segment_ids": mask} if is_plain else batch, start, kept

    def _tagged(self, sentence, words, start, kept, tags):
        """Returns the outputs of words: those whose first piece is among the pieces kept."""
        places = words.first - tf.gather(start, words.row)  # In the window.
        is_kept = (places >= 0) & (places < tf.gather(kept, words.row))
        words, places = tf.nest.map_structure(
            lambda each: tf.boolean_mask(each, is_kept), (words, places)
        )
        scores = tf.gather_nd(tags, tf.stack([words.row, places + 1], axis=1))
        scores = words.dense(sentence, scores, 0.0)  # [N, W, T]
        scores = tf.ensure_shape(scores, [None, None, len(self.tags)])
        is_word = words.dense(sentence, tf.ones_like(places), 0) > 0
        if self.loaded.options.constrained:
            path = best_paths(scores, is_word, self.tags)
        else:
            path = tf.argmax(scores, axis=-1, output_type=tf.int32)
        chosen = tf.exp(tf.gather(scores, path, batch_dims=2))
        return {
            **words.outputs(sentence),
            "labels": tf.where(is_word, tf.gather(tf.constant(self.tags), path), ""),
            "probabilities": tf.where(is_word, chosen, 0.0),
        }

    def _sense(self, scores):
        if not self.senses:
            rows = tf.shape(scores)[:1]
            return {"sense": tf.fill(rows, ""), "sense_probability": tf.zeros(rows)}
        sense = tf.gather(tf.constant(self.senses), tf.argmax(scores, axis=-1))
        return {"sense": sense, "sense_probability": tf.exp(tf.reduce_max(scores, axis=-1))}

    @staticmethod
    def answer_of(example, outputs):
        sentence = example[0]
        start, end = int(outputs["predicate_start"]), int(outputs["predicate_end"])
        if start < 0:
            raise _no_predicate(*example)
        words = Tagger.answer_of(example, outputs)
        roles = tuple(
            Role(
                span.role,
                sentence[words[span.first].start : words[span.last].end],
                words[span.first].start,
                words[span.last].end,
                min(word.probability for word in words[span.first : span.last + 1]),
            )
            for span in role_spans([word.label for word in words])
            if span.role != PREDICATE_ROLE
        )
        sense = outputs["sense"].decode(), float(outputs["sense_probability"])
        return RoleAnswer(sentence[start:end], start, end, *sense, roles, words)

    @staticmethod
    def difference(expected, actual):
        # A tie may go either way.
        if (expected.start, expected.end) != (actual.start, actual.end):
            return float("inf")
        of_senses = abs(expected.sense_probability - actual.sense_probability)
        return max(Tagger.difference(expected.words, actual.words), of_senses)


def best_paths(scores: tf.Tensor, is_word: tf.Tensor, labels) -> tf.Tensor:
    """Does in a graph what `viterbi` does, for a batch, [N, W, C] and [N, W]; W may be 0."""
    transitions = tf.tile(transition_scores(labels)[np.newaxis], [tf.shape(scores)[0], 1, 1])
    # There is a column, if only of no words.
    scores, is_word = tf.pad(scores, [[0, 0], [0, 1], [0, 0]]), tf.pad(is_word, [[0, 0], [0, 1]])
    return best_path(scores, is_word, transitions)[:, :-1]


def _no_predicate(sentence: str, predicate: str) -> ValueError:
    return ValueError(
        f"The predicate must be words of the sentence, as they are written there; word#2 is the "
        f"second such word. Received: {predicate!r:.200} in {sentence!r:.200}"
    )


def _find_words(ids, all_words, wanted, numbers):
    """Returns where whole words have these pieces for the given time, from 1, in each text.

    Returns: places and numbers of pieces, 0 for none, int32 [N].
    """
    sizes = tf.cast(wanted.row_lengths(), tf.int32)
    sentence, words = ids.to_tensor(-1), wanted.to_tensor(-1)
    longest, num_wanted = tf.shape(sentence)[1], tf.shape(words)[1]
    is_token = tf.sequence_mask(ids.row_lengths(), longest)
    # A word also ends where the sentence ends.
    begins = tf.pad(~is_token, [[0, 0], [0, 1]], constant_values=True)
    firsts = tf.stack([all_words.row, all_words.first], axis=1)
    begins = tf.tensor_scatter_nd_update(begins, firsts, tf.ones_like(all_words.row, tf.bool))
    padded = tf.pad(sentence, [[0, 0], [0, num_wanted]], constant_values=-2)

    def compare(place, matches):
        wanted_here = words[:, place : place + 1]
        same = padded[:, place : place + longest] == wanted_here
        return place + 1, matches & (same | (wanted_here < 0))

    matches = begins[:, :longest] & is_token & (sizes > 0)[:, tf.newaxis]
    _, matches = tf.while_loop(
        lambda place, _: place < num_wanted,
        compare,
        (0, matches),
        shape_invariants=(tf.TensorShape([]), tf.TensorShape([None, None])),
    )
    ends = tf.minimum(tf.range(longest)[tf.newaxis] + sizes[:, tf.newaxis], longest)
    matches &= tf.gather(begins, ends, batch_dims=1)
    rank = tf.cumsum(tf.cast(matches, tf.int32), axis=1)
    hits = tf.cast(matches & (rank == numbers[:, tf.newaxis]), tf.int32)
    hits = tf.pad(hits, [[0, 0], [0, 1]])  # There may be no token at all.
    found = tf.reduce_max(hits, axis=1)
    return tf.argmax(hits, axis=1, output_type=tf.int32), sizes * found


def _at(values, places, is_there):
    """Returns the value at a place of each row, int32 [N]; -1 where there is none."""
    flat = tf.cast(values.row_starts(), tf.int32) + places
    found = tf.gather(tf.pad(values.values, [[0, 1]]), tf.where(is_there, flat, 0))
    return tf.where(is_there, found, -1)
