"""Damaged copies of a file's bytes: cut, altered, of other JSON types, deeply nested, ..."""

import copy
import json
from collections.abc import Iterator
from typing import Any

OTHER_VALUES = (None, True, -1, 10**9, 10**30, 1.5, float("nan"), "x", "", [], [[]], {}, {"a": 1})


def damaged(content: bytes, num_places: int) -> Iterator[tuple[str, bytes]]:
    """Yields what was done and the bytes; `num_places` places are cut, and altered."""
    yield "empty", b""
    yield "NUL", b"\0" * 64
    yield "UTF-16", "{} text".encode("utf-16")
    for number in range(num_places):
        place = number * len(content) // num_places
        yield f"cut at {place}", content[:place]
        for mask in (0x01, 0x80, 0xFF):
            altered = bytearray(content)
            altered[place] ^= mask
            yield f"byte {place} ^ {mask:#x}", bytes(altered)
    yield "garbage at the end", content + b"\xff\xfe{"


def damaged_json(content: Any) -> Iterator[tuple[str, bytes]]:
    """Yields what was done and a JSON text, with each part removed and of each other type."""
    for place in _places(content):
        for number, value in enumerate(OTHER_VALUES):
            yield f"{place} = {value!r}", json.dumps(_changed(content, place, value)).encode()
            if number == 0 and place:
                yield f"without {place}", json.dumps(_changed(content, place)).encode()
    for name, text in (("[", "[" * 100_000), ("{", '{"a":' * 100_000), ("digits", "9" * 10_000)):
        yield f"nested or long: {name}", text.encode()


def _places(content: Any, place: tuple = ()) -> Iterator[tuple]:
    yield place
    if isinstance(content, (dict, list)):
        keys = list(content) if isinstance(content, dict) else range(len(content))
        for key in keys:
            yield from _places(content[key], (*place, key))


def _changed(content: Any, place: tuple, *value: Any) -> Any:
    """Returns a copy with another value at a place, or without the place if there is no value."""
    if not place:
        return value[0]
    content = copy.deepcopy(content)
    parent = content
    for key in place[:-1]:
        parent = parent[key]
    if value:
        parent[place[-1]] = value[0]
    else:
        del parent[place[-1]]
    return content
