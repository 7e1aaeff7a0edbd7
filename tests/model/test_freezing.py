"""--freeze: names of parts -> names of weights."""

import pytest

from bert_tf import BertConfig, BertEncoder
from bert_tf.model.layer_rates import frozen_prefixes

NAMES = (
    "bert/embeddings/word_embeddings",
    "bert/encoder/layer_0/output/dense/kernel",
    "bert/encoder/layer_1/output/dense/kernel",
    "bert/encoder/layer_10/output/dense/kernel",
    "bert/pooler/dense/bias",
    "output_weights",
)


@pytest.fixture(scope="module")
def encoder():
    shape = {"hidden_size": 4, "num_attention_heads": 1, "intermediate_size": 4}
    return BertEncoder(BertConfig(vocab_size=5, num_hidden_layers=12, **shape))


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
def test_parts_name_weights(encoder, parts, frozen):
    prefixes = frozen_prefixes(parts, encoder)
    assert [i for i, name in enumerate(NAMES) if name.startswith(prefixes)] == frozen


def test_nothing_is_frozen_by_default(encoder):
    assert frozen_prefixes([], encoder) == ()


@pytest.mark.parametrize("part", ["layers:0-12", "layers:3-2", "layers", "Embeddings", ""])
def test_what_is_no_part_is_refused_with_what_is(encoder, part):
    with pytest.raises(ValueError, match="layers:FIRST-LAST with numbers from 0 to 11"):
        frozen_prefixes([part], encoder)
