"""Divides documents into segments for coreference, and turns antecedents into clusters.

    sentences   She saw him . | He waved .            segments of up to L tokens, whole sentences
    segments    [CLS] She saw him . [SEP]             if one fits, or else whole words;
                [CLS] He waved . [SEP]                they do not overlap

Source: mandarjoshi90/coref, preprocess.py, `split_into_segments`, `get_sentence_map`;
independent.py, `get_predicted_clusters`.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from bert_tf.settings.setting import Settings, setting

GENRES = ("bc", "bn", "mz", "nw", "pt", "tc", "wb")
NO_SPEAKER, SPECIAL_SPEAKER, FIRST_SPEAKER = 0, 1, 2
_MAX_SPEAKERS, _FURTHER_SPEAKER = 20, 3


@dataclasses.dataclass(frozen=True)
class CoreferenceOptions(Settings):
    """The options of a coreference model that a trained one keeps."""

    max_span_width: int = setting(30, "Tokens of the longest mention.", at_least=1)
    top_span_ratio: float = setting(0.4, "Mentions kept per token.", interval="(0, 1]")
    max_top_antecedents: int = setting(50, "Antecedents scored per mention.", at_least=1)
    coref_depth: int = setting(2, "Rounds of fine scores; 1: first order.", at_least=1)
    ffnn_size: int = setting(1000, "Units of the scoring networks.", at_least=1)
    ffnn_depth: int = setting(1, "Hidden layers of the scoring networks.", at_least=1)
    feature_size: int = setting(20, "Width of the embeddings of features.", at_least=1)
    max_training_segments: int = setting(11, "Segments in a training step.", at_least=1)
    dropout_rate: float = setting(0.3, "Dropout of the head.", interval="[0, 1)")

    def model_arguments(self) -> dict[str, int | float]:
        """Returns the arguments of `CoreferenceModel`."""
        names = [field.name for field in dataclasses.fields(CoreferenceOptions)]
        return {name: getattr(self, name) for name in names}


class Segment(NamedTuple):
    """A segment's word pieces, from `start` to before `end` in the document's."""

    start: int
    end: int


def divide_document(
    sentence_ends: Sequence[bool], word_ends: Sequence[bool], max_seq_length: int
) -> list[Segment]:
    """Returns the segments of a document's word pieces, without [CLS] and [SEP].

    Args:
        sentence_ends, word_ends: whether each piece is the last one of its sentence, its word.

    Raises a ValueError if a word has more pieces than a segment.
    """
    segments, start, count = [], 0, len(word_ends)
    while start < count:
        limit = min(start + max_seq_length - 2, count)
        for ends in (sentence_ends, word_ends):
            end = next((i + 1 for i in range(limit - 1, start - 1, -1) if ends[i]), 0)
            if end:
                break
        if not end:
            raise ValueError(
                f"A word has more than {max_seq_length - 2} word pieces, which do not fit into a "
                "segment. Use a larger --max_seq_length."
            )
        segments.append(Segment(start, end))
        start = end
    return segments


def speaker_numbers(speakers: Iterable[str]) -> list[int]:
    """Returns the number of each speaker, in the order of appearance; 18 people are told apart."""
    numbers = {"UNK": NO_SPEAKER, "[SPL]": SPECIAL_SPEAKER}
    found = []
    for speaker in speakers:
        if len(numbers) < _MAX_SPEAKERS:
            numbers.setdefault(speaker, len(numbers))
        found.append(numbers.get(speaker, _FURTHER_SPEAKER))
    return found


def genre_number(name: str) -> int:
    """Returns the number of the genre that a document's name begins with; 0 for another."""
    return GENRES.index(name[:2]) if name[:2] in GENRES else 0


@dataclasses.dataclass
class PieceDocument:
    """The word pieces of a document in its sentences, and where its segments place them."""

    ids: list[int]
    words: list[int]  # The number of each piece's word.
    sentence_ends: list[bool]
    segments: list[Segment]

    @classmethod
    def of_words(
        cls, sentences: Iterable[Iterable[Sequence[int]]], max_seq_length: int
    ) -> "PieceDocument":
        """Divides sentences of words, each word's ids; a word may have none."""
        ids: list[int] = []
        words: list[int] = []
        sentence_ends: list[bool] = []
        number = 0
        for sentence in sentences:
            for pieces in sentence:
                ids += pieces
                words += [number] * len(pieces)
                sentence_ends += [False] * len(pieces)
                number += 1
            if sentence_ends:
                sentence_ends[-1] = True
        word_ends = [i + 1 == len(words) or words[i] != words[i + 1] for i in range(len(words))]
        segments = divide_document(sentence_ends, word_ends, max_seq_length)
        return cls(ids, words, sentence_ends, segments)

    def token_of_piece(self) -> list[int]:
        """Returns the number of each piece among all tokens, [CLS] and [SEP] included."""
        return [
            piece + 2 * number + 1
            for number, (start, end) in enumerate(self.segments)
            for piece in range(start, end)
        ]

    def word_of_token(self) -> list[int]:
        """Returns the word of each token: of [CLS] and [SEP], that of the last piece before."""
        found, before = [], 0
        for start, end in self.segments:
            found += [before, *self.words[start:end], self.words[end - 1]]
            before = self.words[end - 1]
        return found

    def sentence_maps(self) -> list[list[int]]:
        """Returns the sentence of each token of each segment.

        After the last piece of a sentence the next one begins, with a [SEP] or [CLS] there, too.
        """
        maps, sentence = [], 0
        for start, end in self.segments:
            found = [sentence]
            for piece in range(start, end):
                found.append(sentence)
                sentence += self.sentence_ends[piece]
            maps.append([*found, sentence])
        return maps


def predicted_clusters(
    starts: np.ndarray, ends: np.ndarray, antecedents: np.ndarray, scores: np.ndarray
) -> list[list[tuple[int, int]]]:
    """Returns the clusters of spans: each joins its best antecedent, if that scores above 0.

    Args: the outputs of `CoreferenceModel` for one document; a span that starts at -1 is none.
    """
    best = np.argmax(scores, axis=1)  # On a tie, no antecedent.
    cluster_of: dict[int, list[tuple[int, int]]] = {}
    clusters = []
    for number in np.flatnonzero((best > 0) & (starts >= 0)).tolist():
        antecedent = int(antecedents[number, best[number] - 1])
        if antecedent not in cluster_of:
            cluster_of[antecedent] = [(int(starts[antecedent]), int(ends[antecedent]))]
            clusters.append(cluster_of[antecedent])
        cluster_of[number] = cluster_of[antecedent]
        cluster_of[number].append((int(starts[number]), int(ends[number])))
    return clusters
