"""The bidirectional LSTM agrees with a computation in float64, and ignores padding."""

import keras
import numpy as np
import pytest

from bert_tf.model.bilstm import BiLstm


@pytest.fixture(scope="module")
def golden(golden_dir):
    return np.load(golden_dir / "tagging" / "bilstm.npz")


@pytest.fixture(scope="module")
def bilstm(golden):
    layer = BiLstm(5)
    layer.build((None, None, 6))
    names = {"forward_lstm": "forward", "backward_lstm": "backward", "lstm_cell/": ""}
    for weight in layer.weights:
        path = weight.path.removeprefix("bilstm/")
        for ours, theirs in names.items():
            path = path.replace(ours, theirs)
        weight.assign(golden[f"weights/{path}"])
    return layer


def test_outputs_of_tokens_are_the_reference_s(golden, bilstm):
    mask = golden["input/mask"]
    assert 0 < mask.sum() < mask.size
    outputs = np.asarray(bilstm(golden["input/embeddings"], mask))
    is_token = mask.astype(bool)
    np.testing.assert_allclose(outputs[is_token], golden["output/layer_1"][is_token], atol=1e-6)
    kernel, bias = golden["weights/classifier/kernel"], golden["weights/classifier/bias"]
    logits = outputs @ kernel + bias
    np.testing.assert_allclose(logits[is_token], golden["output/logits"][is_token], atol=1e-5)


def test_more_padding_changes_nothing(golden, bilstm):
    vectors, mask = golden["input/embeddings"], golden["input/mask"]
    expected = np.asarray(bilstm(vectors, mask))
    padded = np.pad(vectors, ((0, 0), (0, 3), (0, 0)), constant_values=7.0)
    actual = np.asarray(bilstm(padded, np.pad(mask, ((0, 0), (0, 3)))))[:, : mask.shape[1]]
    is_token = mask.astype(bool)
    np.testing.assert_allclose(actual[is_token], expected[is_token], atol=1e-6)


def test_its_weights_have_names_by_layer_and_direction():
    layer = BiLstm(2, num_layers=1)
    layer.build((None, None, 3))
    ends = ("kernel", "recurrent_kernel", "bias")
    assert [weight.path for weight in layer.weights] == [
        f"bilstm/layer_0/{direction}_lstm/lstm_cell/{end}"
        for direction in ("forward", "backward")
        for end in ends
    ]
    kernel, recurrent, bias = layer.weights[:3]
    assert (kernel.shape, recurrent.shape, bias.shape) == ((3, 8), (2, 8), (8,))
    assert isinstance(layer.layers[0], keras.layers.Bidirectional)
