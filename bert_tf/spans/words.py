"""Words given one by one: their pieces, and windows in which each word is scored once.

    words         EU  rejects      German  call
    pieces        eu  re ##ject ##s  german  call
    first pieces  0   1              4       5       whose outputs are those of the words

A sentence with more pieces than the model can read is divided into windows that overlap by half. A
word is scored in the window where its first piece has most context on its shorter side; on a tie,
in the first of them.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from bert_tf.settings.setting import Settings, setting
from bert_tf.text.packing import Window, divide
from bert_tf.text.tokenizer import Tokenizer

FEATURE_LAYERS = (
    *("embeddings", "second_to_last", "last"),
    *("weighted_last_four", "concat_last_four", "weighted_all"),
)


@dataclasses.dataclass(frozen=True)
class TaggingOptions(Settings):
    """Options of models that tag words, which determine their layers."""

    crf: bool = setting(False, "Whether a CRF scores neighbouring tags.")
    feature_based: str = setting(
        "",
        "The layers of a frozen encoder that a BiLSTM reads, as in the paper's table 7.",
        choices=("", *FEATURE_LAYERS),
    )
    lstm_units: int = setting(768, "The width of each direction of the BiLSTM.", at_least=1)


class WordPieces(NamedTuple):
    """The pieces of a sentence, and the index of each word's first one."""

    ids: list[int]
    first: list[int]


def word_pieces(tokenizer: Tokenizer, words: Sequence[str]) -> WordPieces:
    """Returns the pieces of words; a word without any, such as a control character, is [UNK]."""
    ids: list[int] = []
    first: list[int] = []
    for word in words:
        first.append(len(ids))
        ids += tokenizer.encode(tokenizer.word_prefix + word) or [tokenizer.special_ids.unk]
    return WordPieces(ids, first)


def window_stride(max_pieces: int) -> int:
    """Returns how many pieces windows are apart."""
    return max(1, max_pieces // 2)


def word_windows(pieces: WordPieces, max_pieces: int) -> Iterator[tuple[Window, list[int]]]:
    """Yields windows of at most `max_pieces`, and the pieces in each that stand for its words.

    Over all windows, the words have their own order.
    """
    stride = window_stride(max_pieces)
    windows = divide(len(pieces.ids), max_pieces, stride)
    if len(windows) == 1:
        yield windows[0], pieces.first
        return
    first = np.array(pieces.first)
    candidates = first // stride + np.array([[-2], [-1], [0]])
    candidates = np.clip(candidates, 0, max(len(windows) - 1, 0))  # [3, words]
    starts = candidates * stride
    ends = np.minimum(starts + max_pieces, len(pieces.ids))
    context = np.minimum(first - starts, ends - 1 - first)
    best = np.take_along_axis(candidates, context.argmax(axis=0)[np.newaxis], axis=0)[0]
    for number, window in enumerate(windows):
        yield window, (first[best == number] - window.start).tolist()
