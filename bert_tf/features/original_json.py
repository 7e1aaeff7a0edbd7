"""A line's features as the original's JSON, an order of magnitude faster than by `json.dumps`.

    {"linex_index": 0, "features": [
        {"token": "[CLS]", "layers": [{"index": -1, "values": [0.123456, -1.5, ...]}, ...]}, ...]}

Nearly all of it is numbers: a line of 128 tokens has 400,000 of them with BERT-Base's four layers.
Their texts are put together from tables by numpy, twelve bytes a number:

    | space  sign  two digits | .  three digits | three digits  , |

where 0 is written for what the number's text has not, and dropped in the end.
"""

import json
from collections.abc import Mapping, Sequence

import numpy as np

# Numbers of the usual size: their rounded value has at most two digits before the point.
_TOO_LARGE = 100_000_000  # In millionths.
# Below this (in millionths) Python writes an exponent.
_SMALL = 100
# Rows that are formatted together: their arrays shall stay in the processor's cache.
_CHUNK_NUMBERS = 16384


class JsonFormatter:
    """Formats the features of lines.

    Args:
        layers: as asked for; they are written as `index`.
        tokens: the vocabulary, id -> token.
        pooled_as: what stands in the place of the token where vectors are pooled; "" where there is
            one for each token.
    """

    def __init__(self, layers: Sequence[int], tokens: Mapping[int, str], pooled_as: str = ""):
        self._tokens = tokens
        self._pooled_as = pooled_as
        self._before_layer = [b'{"index": %d, "values": [' % layer for layer in layers]

    def line(self, linex_index: int, token_ids: Sequence[int], vectors: np.ndarray) -> bytes:
        """One line of the file, its newline included.

        Args:
            vectors: <float32>[tokens, layers, H], or pooled [layers, H].
        """
        names = [self._pooled_as] if self._pooled_as else map(self._tokens.get, token_ids)
        rows = iter(format_rows(vectors.reshape(-1, vectors.shape[-1])))
        features = []
        for name in names:
            layers = [before + next(rows) + b"]}" for before in self._before_layer]
            token = json.dumps(name).encode("ascii")
            features.append(b'{"token": %b, "layers": [%b]}' % (token, b", ".join(layers)))
        return b'{"linex_index": %d, "features": [%b]}\n' % (linex_index, b", ".join(features))


def format_rows(values: np.ndarray) -> list[bytes]:
    """Each row of an array as JSON writes a list of its numbers, rounded to six decimals.

    What stands between the brackets of `json.dumps([round(float(x), 6) for x in row])`, to the
    byte, for every float32.

    Args:
        values: <float32>[R, C].
    """
    step = max(1, _CHUNK_NUMBERS // max(values.shape[1], 1))
    return [
        row
        for start in range(0, len(values), step)
        for row in _format_chunk(values[start : start + step])
    ]


def _format_chunk(values: np.ndarray) -> list[bytes]:
    # Exact: float32 has 24 bits of fraction, a million 14. So this is round-half-even of the value
    # itself, as Python's, and nothing of it depends on the size of the value.
    with np.errstate(invalid="ignore"):
        millionths = np.rint(values.astype(np.float64) * 1e6)
    is_usual = np.abs(millionths) < _TOO_LARGE  # Not: infinities and NaN.
    unusual_rows = np.flatnonzero(~is_usual.all(axis=1))
    size = np.abs(np.where(is_usual, millionths, 0.0)).astype(np.int32)
    is_negative = np.signbit(millionths)
    text = np.empty((*values.shape, 3), np.uint32)
    whole, fraction = np.divmod(size, 1_000_000)
    high, low = np.divmod(fraction, 1000)
    text[..., 0] = _WHOLE[whole + 100 * is_negative]
    text[..., 1] = _HIGH[high + 1000 * (low == 0)]
    text[..., 2] = _LOW[low]
    is_small = (size < _SMALL) & (size > 0)
    text[is_small] = _SMALL_TEXT[size[is_small] + _SMALL * is_negative[is_small]]
    characters = text.view(np.uint8)
    characters[:, -1, -1] = ord("\n")
    rows = [row[1:] for row in characters.tobytes().translate(None, b"\0").split(b"\n")]
    for row in unusual_rows:
        numbers = (millionths[row] / 1e6).tolist()
        rows[row] = json.dumps(numbers)[1:-1].encode("ascii")
    return rows[: len(values)]


def _table(texts: Sequence[str], width: int) -> np.ndarray:
    """<uint32>[texts, width / 4]: the texts' bytes, filled up with 0."""
    rows = b"".join(text.encode("ascii").ljust(width, b"\0") for text in texts)
    return np.frombuffer(rows, np.uint32).reshape(len(texts), width // 4)


_SIGNS = ("", "-")
# The digits before the point; after 100 numbers, the same with a minus.
_WHOLE = _table([f" {sign}{i}" for sign in _SIGNS for i in range(100)], 4)[:, 0]
# The first three digits after the point; after 1,000 numbers, those of numbers that end with them.
_HIGH = _table(
    [f".{i:03d}" for i in range(1000)] + [f".{f'{i:03d}'.rstrip('0') or '0'}" for i in range(1000)],
    4,
)[:, 0]
# The last three digits, without zeros at the end; a comma, always at the same place.
_LOW = _table([f"{i:03d}".rstrip("0").ljust(3, "\0") + "," for i in range(1000)], 4)[:, 0]
# Numbers of a few millionths, whole.
_SMALL_TEXT = _table(
    [f" {sign}{i / 1e6!r}".ljust(11, "\0") + "," for sign in _SIGNS for i in range(_SMALL)], 12
)
