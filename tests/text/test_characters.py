"""Decomposition: Unicode's result, in steps that grow with the length only."""

import random
import types
import unicodedata

import pytest

from bert_tf.text import characters

MARKS = [chr(point) for point in range(0x110000) if unicodedata.combining(chr(point))]
# Letters with marks, Hangul, marks that begin no run but decompose into some, spacing marks.
OTHERS = "aéǖ가İ\u0344\u0f73\u0f75\u0f81\u1100\u302e\U0001d15e"


@pytest.mark.parametrize(("piece_length", "longest"), [(2, 40), (256, 900)])
def test_decomposition_is_unicodes(monkeypatch, piece_length, longest):
    monkeypatch.setattr(characters, "_PIECE_LENGTH", piece_length)
    rng = random.Random(0)
    for _ in range(300):
        share = rng.choice([0.2, 0.9, 0.99])
        length = rng.randint(0, longest)
        text = "".join(rng.choice(MARKS if rng.random() < share else OTHERS) for _ in range(length))
        assert characters.decompose(text) == unicodedata.normalize("NFD", text)


@pytest.mark.parametrize("marks", ["\u0301\u0316", "\u302e\U0001d165", "\u0f73\u0f71"])
def test_a_long_run_of_marks_is_not_put_in_order_by_insertion(monkeypatch, marks):
    lengths = []

    def normalize(form, text):
        lengths.append(len(text))
        return unicodedata.normalize(form, text)

    counted = types.SimpleNamespace(combining=unicodedata.combining, normalize=normalize)
    monkeypatch.setattr(characters, "unicodedata", counted)
    characters.decompose("a" + marks * 20_000)
    assert max(lengths) <= 2 * characters._PIECE_LENGTH
    assert sum(lengths) < 4 * 40_001
