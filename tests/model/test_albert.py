"""ALBERT's encoder: the outputs and gradients of google-research/albert, and shared blocks."""

import dataclasses
import warnings

import numpy as np
import pytest
import tensorflow as tf
from family_golden import family_file

import bert_tf
from bert_tf.model.dropout import dropout_seeds
from bert_tf.model.encoders import make_encoder
from bert_tf.model.layer_rates import frozen_prefixes

SMALL = bert_tf.BertConfig(
    vocab_size=50,
    hidden_size=16,
    num_hidden_layers=6,
    num_attention_heads=2,
    intermediate_size=24,
    max_position_embeddings=12,
    type_vocab_size=2,
    hidden_dropout_prob=0.3,
    attention_probs_dropout_prob=0.3,
    model_type="albert",
    embedding_size=8,
    num_hidden_groups=2,
    inner_group_num=1,
)
SETTINGS = {
    "one block": {"num_hidden_groups": 1},
    "two groups": {},
    "inner groups": {"num_hidden_layers": 3, "num_hidden_groups": 2, "inner_group_num": 2},
}


def read_config(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # The original's files have unused keys.
        return bert_tf.BertConfig.from_json_file(str(folder / "albert_config.json"))


def read_model(folder):
    model = bert_tf.PretrainingModel(make_encoder(read_config(folder)))
    report = bert_tf.load_checkpoint(model, str(folder / "model.ckpt-best"))
    assert (report.missing, report.unused) == ((), ())
    return model


@pytest.mark.parametrize("name", ["albert", "albert/variant"])
def test_layers_and_heads_agree_with_the_original(name):
    folder = family_file(f"{name}/forward.npz").parent
    golden, model = np.load(folder / "forward.npz"), read_model(folder)
    batch = {
        key.removeprefix("input/"): golden[key] for key in golden.files if key.startswith("input/")
    }
    outputs = model.encoder(model.encoder.select_features(batch))
    heads = model(model.select_features(batch))

    is_token = batch["input_mask"] == 1
    values = {f"layer_{i}": layer for i, layer in enumerate(outputs["all_encoder_layers"])}
    values["embedding_output"] = outputs["embedding_output"]
    compared = [key for key in values if key in golden.files]
    assert len(compared) >= 3
    for key in compared:
        np.testing.assert_allclose(
            values[key].numpy()[is_token], golden[key][is_token], atol=1e-5, err_msg=key
        )
    np.testing.assert_allclose(outputs["pooled_output"], golden["pooled_output"], atol=1e-5)
    probs = tf.nn.log_softmax(heads["next_sentence_logits"])
    np.testing.assert_allclose(probs, golden["sentence_order_log_probs"], atol=1e-5)
    if "masked_lm_log_probs" in golden.files:
        probs = tf.nn.log_softmax(heads["masked_lm_logits"])
        probs = tf.reshape(probs, golden["masked_lm_log_probs"].shape)
        np.testing.assert_allclose(probs, golden["masked_lm_log_probs"], atol=1e-5)


def test_layer_i_runs_the_group_of_the_original():
    config = dataclasses.replace(SMALL, num_hidden_layers=5, num_hidden_groups=3, inner_group_num=2)
    encoder = make_encoder(config)
    groups = [encoder.layer_prefix(2 * layer).split("/")[3] for layer in range(5)]
    assert groups == ["group_0", "group_0", "group_1", "group_1", "group_2"]
    assert [encoder.layer_prefix(number).split("/")[4] for number in (0, 1)] == [
        "inner_group_0",
        "inner_group_1",
    ]
    for number, block in enumerate(encoder.blocks):
        paths = [weight.path for weight in block.weights]
        assert len(paths) == 16
        assert all(path.startswith(encoder.layer_prefix(number)) for path in paths)
    assert frozen_prefixes(["layers:0-1"], encoder) == (
        "bert/encoder/transformer/group_0/inner_group_0/",
        "bert/encoder/transformer/group_0/inner_group_1/",
    )


def test_one_block_has_as_many_weights_with_any_number_of_layers():
    few, many = (
        make_encoder(dataclasses.replace(SMALL, num_hidden_layers=n, num_hidden_groups=1))
        for n in (2, 9)
    )
    assert [w.path for w in few.weights] == [w.path for w in many.weights]
    assert len(many(tf.ones([1, 3], tf.int32))["all_encoder_layers"]) == 9


def test_embeddings_as_wide_as_the_layers_are_not_projected():
    encoder = make_encoder(dataclasses.replace(SMALL, embedding_size=16))
    assert not [w.path for w in encoder.weights if "embedding_hidden_mapping_in" in w.path]
    assert make_encoder(SMALL).embeddings.word_embeddings.shape == (50, 8)


def fold_in(place):
    return tf.stack([tf.constant(7, tf.int64), tf.cast(place, tf.int64)])


@pytest.mark.parametrize("name", SETTINGS)
def test_a_shared_block_draws_another_mask_in_each_layer(name):
    """With equal weights, layers of other blocks and of one block give the same numbers."""
    config = dataclasses.replace(SMALL, **SETTINGS[name])
    encoder = make_encoder(config)
    separate = make_encoder(
        dataclasses.replace(
            config,
            num_hidden_layers=len(encoder.blocks),
            num_hidden_groups=len(encoder.blocks),
            inner_group_num=1,
        )
    )
    ours = {weight.path: weight for weight in encoder.weights}
    for weight in separate.weights:
        if weight.path in ours:
            weight.assign(ours[weight.path])
    for number, block in enumerate(separate.blocks):
        for weight, value in zip(block.weights, encoder.blocks[number].weights, strict=True):
            weight.assign(value)
    input_ids = tf.constant(np.random.default_rng(0).integers(0, 50, (4, 9)), tf.int32)
    with dropout_seeds(fold_in):
        shared = encoder(input_ids, training=True)["all_encoder_layers"]
    places = []
    with dropout_seeds(lambda place: fold_in(places.append(int(place)) or place)):
        others = separate(input_ids, training=True)["all_encoder_layers"]
    for one, other in zip(shared, others, strict=True):
        np.testing.assert_array_equal(one, other)
    assert sorted(places) == list(range(encoder.num_dropouts))


def test_without_given_seeds_masks_differ_from_layer_to_layer():
    config = dataclasses.replace(SMALL, num_hidden_groups=1, num_hidden_layers=2)
    block = make_encoder(config).blocks[0]
    hidden = tf.ones([1, 4, 16])
    assert np.any(block(hidden, training=True) != block(hidden, training=True))


def graph_of_a_step(encoder):
    weights = [weight.value for weight in encoder.weights]
    factors = tf.constant(np.random.default_rng(1).normal(size=16), tf.float32)

    @tf.function(autograph=False)
    def compute(input_ids):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights)
            with dropout_seeds(fold_in):
                outputs = encoder({"input_ids": input_ids}, training=True)
            loss = tf.reduce_sum(outputs["sequence_output"] ** 3 * factors)
            loss += tf.reduce_sum(outputs["pooled_output"])
        gradients = tape.gradient(loss, weights, unconnected_gradients="zero")
        return loss, [tf.convert_to_tensor(gradient) for gradient in gradients]

    return compute


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("way", ["shares_graph", "recompute_activations"])
def test_blocks_train_alike_in_one_graph_and_recomputed(name, way):
    encoder = make_encoder(dataclasses.replace(SMALL, **SETTINGS[name]))
    input_ids = tf.constant(np.random.default_rng(0).integers(0, 50, (4, 9)), tf.int32)
    results = []
    for is_on in (False, True):
        setattr(encoder, way, is_on)
        results.append(graph_of_a_step(encoder)(input_ids))
    (loss, expected), (other_loss, gradients) = results
    np.testing.assert_allclose(other_loss, loss, rtol=1e-6)
    for weight, gradient, value in zip(encoder.weights, gradients, expected, strict=True):
        limit = 1e-5 * max(float(tf.reduce_max(tf.abs(value))), 1e-3)
        np.testing.assert_allclose(gradient, value, atol=limit, err_msg=weight.path)


def test_only_the_needed_outputs_of_the_last_layer_are_computed():
    encoder = make_encoder(SMALL)
    ids = np.random.default_rng(0).integers(0, 50, (3, 7)).astype("int32")
    whole = encoder(ids)["sequence_output"]
    outputs = encoder.selected_outputs({"input_ids": ids}, lambda hidden: hidden[:, :1])
    first = outputs["sequence_output"]
    assert first.shape == (3, 1, 16)
    np.testing.assert_allclose(first, whole[:, :1], atol=1e-6)
