"""Numbers as the original's JSON has them: every byte of `json.dumps` and `round(float(x), 6)`."""

import json

import numpy as np
import pytest

from bert_tf.features.original_json import format_line, format_rows


def by_json(values: np.ndarray) -> list[bytes]:
    """What the original writes between the brackets of each row."""
    rows = [[round(float(x), 6) for x in row] for row in values]
    return [json.dumps(row)[1:-1].encode("ascii") for row in rows]


def test_rows_are_written_as_json_lists_of_rounded_numbers():
    values = np.array([[0.5, -1.25, 0.1234567], [1e-5, -0.0, 12.0]], np.float32)
    assert format_rows(values) == [b"0.5, -1.25, 0.123457", b"1e-05, -0.0, 12.0"]


@pytest.mark.parametrize("scale", [1e-8, 1e-6, 1e-5, 1e-4, 0.01, 1, 30, 99, 1e3, 1e9, 1e30])
def test_numbers_of_every_size_are_pythons(scale):
    values = np.random.default_rng(0).standard_normal((500, 32)) * scale
    values = values.astype(np.float32)
    assert format_rows(values) == by_json(values)


def test_floats_of_any_bits_are_pythons():
    bits = np.random.default_rng(1).integers(0, 2**32, (2000, 16), dtype=np.uint64)
    values = bits.astype(np.uint32).view(np.float32)
    assert np.isnan(values).any()
    assert format_rows(values) == by_json(values)


def test_halves_of_a_millionth_are_rounded_as_python_does():
    # These have seven decimals and more, the last of them a 5: exact in binary.
    numerators = np.random.default_rng(2).integers(-(2**23), 2**23, (2000, 16))
    values = (numerators / 2.0 ** np.arange(7, 23)).astype(np.float32)
    assert format_rows(values) == by_json(values)


def test_every_number_of_few_digits_is_pythons():
    millionths = np.arange(-200_000, 200_000).reshape(-1, 100)
    values = (millionths / 1e6).astype(np.float32)
    assert format_rows(values) == by_json(values)


@pytest.mark.parametrize(
    "number", [99.999999, 99.9999995, 100, -100, 123456.789, 1e16, 3.4e38, np.inf, np.nan, 1e-45]
)
def test_a_row_with_an_unusual_number_is_pythons_too(number):
    values = np.array([[0.25, number, -number], [1, 2, 3]], np.float32)
    assert format_rows(values) == by_json(values)


def test_no_rows_and_rows_longer_than_a_chunk_are_written():
    assert format_rows(np.zeros((0, 5), np.float32)) == []
    values = np.random.default_rng(3).standard_normal((3, 20_000)).astype(np.float32)
    assert format_rows(values) == by_json(values)


def test_a_line_has_the_keys_of_the_original_in_its_order():
    vectors = np.array([[[1, 2], [3, 4]], [[5, 6], [7, 8.5]]], np.float32)
    assert format_line(7, ["[CLS]", 'é"'], [-1, 0], vectors) == (
        b'{"linex_index": 7, "features": ['
        b'{"token": "[CLS]", "layers": [{"index": -1, "values": [1.0, 2.0]}, '
        b'{"index": 0, "values": [3.0, 4.0]}]}, '
        b'{"token": "\\u00e9\\"", "layers": [{"index": -1, "values": [5.0, 6.0]}, '
        b'{"index": 0, "values": [7.0, 8.5]}]}]}\n'
    )


def test_pooled_vectors_are_the_only_token_of_their_line():
    vectors = np.array([[1, 2], [3, 4]], np.float32)
    assert json.loads(format_line(3, ["mean"], [-1, 0], vectors)) == {
        "linex_index": 3,
        "features": [
            {
                "token": "mean",
                "layers": [{"index": -1, "values": [1.0, 2.0]}, {"index": 0, "values": [3.0, 4.0]}],
            }
        ],
    }
