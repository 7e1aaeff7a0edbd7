"""Packs a sentence and its predicate for a model of semantic roles; the options of such models.

shi_lin   [CLS] the cat sat [SEP] sat [SEP]      plain   [CLS] the cat sat [SEP]
segment     0    0   0   0    0    1    1                  0    0   0   1    0
predicate   0    0   0   1    0    0    0                  0    0   0   1    0
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

from bert_tf.settings.setting import Settings, setting
from bert_tf.text.packing import num_between, num_special_tokens, pack

SHI_LIN, PLAIN = "shi_lin", "plain"
SENSE = "sense:"  # Begins the labels that are senses of a predicate rather than tags of words.


@dataclasses.dataclass(frozen=True)
class RoleOptions(Settings):
    """The options that a trained model is used with."""

    variant: str = setting(
        SHI_LIN,
        "shi_lin: the predicate is repeated after the sentence; an embedding marks it; BiLSTM and "
        "MLP follow BERT. plain: segment ids mark it; a linear layer follows.",
        choices=(SHI_LIN, PLAIN),
    )
    constrained: bool = setting(
        False,
        "Whether the tags are the most probable valid BIO sequence (Viterbi on log-probabilities) "
        "rather than the most probable one of each word.",
    )
    indicator_size: int = setting(10, "shi_lin: width of the predicate's embedding.", at_least=1)
    lstm_units: int = setting(768, "shi_lin: width of each direction of the LSTM.", at_least=1)
    mlp_units: int = setting(300, "shi_lin: width of the hidden layer.", at_least=1)


class PackedPredicate(NamedTuple):
    """A row for the model."""

    input_ids: list[int]
    segment_ids: list[int]
    predicate_mask: list[int]  # 1 at the predicate in the sentence.
    start: int  # The index in the sentence of the row's first piece after [CLS].
    length: int  # Pieces of the sentence in the row.
    is_truncated: bool  # Whether pieces of the sentence or of the repeated predicate are left out.


def pack_predicate(
    ids: Sequence[int], first: int, length: int, special, max_seq_length: int, variant: str
) -> PackedPredicate:
    """Packs a sentence's pieces, of which `length` from `first` on are the predicate.

    Of a sentence that is too long, the pieces around the predicate are kept. Raises a ValueError
    for `plain` with a tokenizer whose texts have one segment.
    """
    if variant == PLAIN and num_between(special.sep) > 1:
        raise ValueError(
            "variant=plain marks predicates by segment ids, and this model has one segment. Give "
            f"variant={SHI_LIN}."
        )
    predicate = [] if variant == PLAIN else list(ids[first : first + length])
    repeated = predicate[: (max_seq_length - 3) // 2]
    room = max_seq_length - num_special_tokens(special.sep, bool(repeated)) - len(repeated)
    start = max(0, min(first - room // 2, len(ids) - room))
    window = ids[start : start + room]
    input_ids, segment_ids = pack(window, repeated, special.cls, special.sep)
    mask = [0] * len(input_ids)
    for place in range(first - start, min(first - start + length, len(window))):
        mask[1 + place] = 1
    segment_ids = mask if variant == PLAIN else segment_ids
    is_truncated = len(window) < len(ids) or len(repeated) < len(predicate)
    return PackedPredicate(input_ids, segment_ids, mask, start, len(window), is_truncated)


# A word, and which of its occurrences in the sentence, from 1.
NUMBERED = r"(.+)#([1-9][0-9]?)"


def split_labels(labels: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns the tags of words, and the senses of predicates, which come after them."""
    senses = tuple(label.removeprefix(SENSE) for label in labels if label.startswith(SENSE))
    return tuple(labels[: len(labels) - len(senses)]), senses
