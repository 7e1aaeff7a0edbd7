"""--freeze: names of parts -> names of weights."""

import re

import pytest

from bert_tf.model.freezing import frozen_names

NAMES = (
    "bert/embeddings/word_embeddings",
    "bert/encoder/layer_0/output/dense/kernel",
    "bert/encoder/layer_1/output/dense/kernel",
    "bert/encoder/layer_10/output/dense/kernel",
    "bert/pooler/dense/bias",
    "output_weights",
)


@pytest.mark.parametrize(
    ("parts", "frozen"),
    [
        (["embeddings"], [0]),
        (["layers:0-1"], [1, 2]),
        (["layers:1"], [2]),
        (["layers:10", "pooler"], [3, 4]),
        (["encoder"], [0, 1, 2, 3, 4]),
    ],
)
def test_parts_name_weights(parts, frozen):
    pattern = frozen_names(parts, 12)
    assert [i for i, name in enumerate(NAMES) if re.search(pattern, name)] == frozen


def test_nothing_is_frozen_by_default():
    assert frozen_names([], 12) == ""


@pytest.mark.parametrize("part", ["layers:0-12", "layers:3-2", "layers", "Embeddings", ""])
def test_what_is_no_part_is_refused_with_what_is(part):
    with pytest.raises(ValueError, match="layers:FIRST-LAST with numbers from 0 to 11"):
        frozen_names([part], 12)
