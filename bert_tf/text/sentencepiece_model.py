"""Reads the pieces of a SentencePiece model, a protocol buffer, without a library.

    ModelProto     field 1, repeated: SentencePiece; other fields: how it was trained, normalization
    SentencePiece  field 1: the piece, UTF-8; field 2: score; field 3: kind

Source: google/sentencepiece, sentencepiece_model.proto.
"""

from collections.abc import Iterator

from bert_tf import files

_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5
_SIZES = {_FIXED_64: 8, _FIXED_32: 4}


def read_pieces(path: str, model: bytes) -> list[str]:
    """Returns the pieces in the order of their ids.

    Raises a ValueError with `path`, where `model` was read, if it is no SentencePiece model.
    """
    files.refuse_other_kinds(path, "SentencePiece model", model)
    try:
        pieces = [_piece(value) for number, value in _fields(model) if number == 1]
    except (IndexError, UnicodeDecodeError, StopIteration) as error:
        raise ValueError(
            f"{path}: not a SentencePiece model, or a damaged one ({error}). Give the file that "
            "was trained, such as 30k-clean.model."
        ) from error
    if not pieces or len(set(pieces)) < len(pieces):
        raise ValueError(
            f"{path}: not a SentencePiece model, which has different pieces. "
            f"Received: {len(pieces)} pieces, {len(set(pieces))} of them different"
        )
    return pieces


def _piece(message: bytes) -> str:
    return next(value for number, value in _fields(message) if number == 1).decode("utf-8")


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Yields the number and value of each field; the value of numbers is empty."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            _, place = _varint(message, place)
            yield number, b""
            continue
        if kind == _BYTES:
            size, place = _varint(message, place)
        elif kind in _SIZES:
            size = _SIZES[kind]
        else:
            raise IndexError(f"field {number} at byte {place} is of an unknown kind")
        if place + size > len(message):
            raise IndexError(f"field {number} at byte {place} is cut off")
        yield number, message[place : place + size]
        place += size


def _varint(message: bytes, place: int) -> tuple[int, int]:
    """Returns a number and the place after it."""
    number = shift = 0
    while True:
        byte = message[place]
        place += 1
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return number, place
