"""ELECTRA's encoders and heads: the values of google-research/electra."""

import dataclasses

import electra_golden
import keras
import numpy as np
import pytest
import tensorflow as tf
from electra_golden import ENCODER_FEATURES, golden, tensors
from family_golden import family_file

import bert_tf
from bert_tf.config import BertConfig, generator_config
from bert_tf.model.encoders import make_encoder
from bert_tf.model.layer_rates import frozen_prefixes
from bert_tf.model.replaced_tokens import (
    DiscriminatorModel,
    ReplacedTokensModel,
    replace,
    sample_tokens,
    uniform_noise,
)

ELECTRA_BASE = BertConfig(vocab_size=30522, type_vocab_size=2, model_type="electra")


@pytest.fixture(scope="module")
def model():
    return electra_golden.load(ReplacedTokensModel(make_encoder(electra_golden.config())))


def test_layers_and_logits_agree_with_the_original(model):
    values = golden("forward")
    mask = values["input/input_mask"]
    for part, encoder, ids in (
        ("generator", model.generator, values["masked/input_ids"]),
        ("discriminator", model.encoder, values["corrupted/input_ids"]),
    ):
        features = {
            "input_ids": ids,
            "input_mask": mask,
            "segment_ids": values["input/segment_ids"],
        }
        outputs = encoder(features)
        found = {f"layer_{i}": layer for i, layer in enumerate(outputs["all_encoder_layers"])}
        found["embedding_output_projected"] = encoder.project(outputs["embedding_output"])
        assert len(found) == 4
        for name, value in found.items():
            expected = values[f"{part}/{name}"]
            np.testing.assert_allclose(
                value.numpy()[mask == 1], expected[mask == 1], atol=1e-5, err_msg=f"{part}/{name}"
            )
        np.testing.assert_array_equal(outputs["pooled_output"], outputs["sequence_output"][:, 0])
    logits = electra_golden.load(DiscriminatorModel(model.encoder))(features)
    np.testing.assert_allclose(
        logits.numpy()[mask == 1], values["discriminator/logits"][mask == 1], atol=1e-5
    )


def test_the_generators_logits_and_samples_are_the_originals(model):
    values = golden("forward")
    seeds = np.arange(8).reshape(4, 2)
    batch = tensors(values, "masked/") | tensors(values, "input/", ENCODER_FEATURES[1:])
    outputs = model(model.select_features(batch | {"replacement_seed": seeds}))
    np.testing.assert_allclose(outputs["masked_lm_logits"], values["generator/logits"], atol=1e-5)
    sampled = sample_tokens(outputs["masked_lm_logits"], values["draw/uniform_gumbel"])
    np.testing.assert_array_equal(sampled, values["sampled_ids"])
    corrupted = replace(values["input/input_ids"], sampled, batch["masked_lm_positions"])
    np.testing.assert_array_equal(corrupted, values["corrupted/input_ids"])
    is_fake = (corrupted != values["input/input_ids"]).numpy()
    np.testing.assert_array_equal(is_fake, values["corrupted/is_fake"])


def test_the_whole_checkpoint_is_read_and_written_under_its_names(model, tmp_path):
    bert_tf.save_checkpoint(model, str(tmp_path / "model.ckpt"))
    written, original = (
        tf.train.load_checkpoint(str(path))
        for path in (tmp_path / "model.ckpt", family_file("electra/model.ckpt"))
    )
    shapes = original.get_variable_to_shape_map()
    assert written.get_variable_to_shape_map() == shapes
    assert len(shapes) == 114
    for name in shapes:
        np.testing.assert_array_equal(written.get_tensor(name), original.get_tensor(name))


def test_tokens_are_replaced_by_the_mean_at_a_position_that_is_drawn_twice():
    ids = np.array([[2, 5, 6, 7], [2, 8, 9, 3]])
    tokens, positions = np.array([[10, 15, 9], [4, 4, 20]]), np.array([[2, 2, 0], [1, 1, 3]])
    np.testing.assert_array_equal(replace(ids, tokens, positions), [[2, 5, 12, 7], [2, 4, 9, 20]])


def test_tokens_are_drawn_from_the_softmax():
    logits = np.log(np.array([0.5, 0.3, 0.2], np.float32))
    noise = uniform_noise(np.arange(80).reshape(40, 2), (200, 3))
    assert 0 <= float(tf.reduce_min(noise)) < float(tf.reduce_max(noise)) < 1
    drawn = sample_tokens(np.broadcast_to(logits, (40, 200, 3)), noise).numpy()
    shares = np.bincount(drawn.ravel()) / drawn.size
    np.testing.assert_allclose(shares, [0.5, 0.3, 0.2], atol=0.02)
    cold = sample_tokens(np.broadcast_to(logits, (40, 200, 3)), noise, temperature=0.01).numpy()
    assert (cold == 0).mean() > 0.999
    others = sample_tokens(
        np.broadcast_to(logits, (40, 200, 3)), noise, disallowed=np.zeros((40, 200), int)
    )
    np.testing.assert_allclose((others.numpy() == 1).mean(), 0.6, atol=0.02)
    assert not (others.numpy() == 0).any()


def test_noise_of_a_row_depends_on_its_seed_only():
    seeds = np.array([[1, 2], [3, 4], [1, 2]])
    whole = uniform_noise(seeds, (3, 5)).numpy()
    np.testing.assert_array_equal(whole[0], whole[2])
    assert (whole[0] != whole[1]).all()
    np.testing.assert_array_equal(uniform_noise(seeds[1:2], (3, 5))[0], whole[1])


@pytest.mark.parametrize(
    ("config", "sizes"),
    [
        (  # Small.
            dataclasses.replace(
                ELECTRA_BASE, hidden_size=256, num_attention_heads=4, intermediate_size=1024
            ),
            (64, 12, 1, 256),
        ),
        (dataclasses.replace(ELECTRA_BASE, generator_hidden_size=1 / 3), (256, 12, 4, 1024)),
        (dataclasses.replace(ELECTRA_BASE, generator_layers=0.25), (192, 3, 3, 768)),
        (dataclasses.replace(ELECTRA_BASE, generator_hidden_size=1.0), (768, 12, 12, 3072)),
    ],
)
def test_a_generators_sizes_are_the_originals(config, sizes):
    generator = generator_config(config)
    assert sizes == (
        generator.hidden_size,
        generator.num_hidden_layers,
        generator.num_attention_heads,
        generator.intermediate_size,
    )
    assert generator.embedding_size == 768 == config.embedding_size or config.hidden_size


def test_a_width_of_the_generator_that_its_heads_do_not_divide_is_refused():
    config = dataclasses.replace(ELECTRA_BASE, generator_hidden_size=0.3)
    with pytest.raises(ValueError, match=r"generator_hidden_size=0.3.*hidden_size=230.*heads=3"):
        generator_config(config)


def test_embeddings_of_the_encoders_width_are_not_projected():
    config = dataclasses.replace(electra_golden.config(), embedding_size=32)
    for of_width in (config, dataclasses.replace(config, embedding_size=0)):
        encoder = make_encoder(of_width)
        assert not [w.path for w in encoder.weights if "project" in w.path]
    model = ReplacedTokensModel(encoder)
    assert [w.path for w in model.weights if "project" in w.path] == [
        "generator/embeddings_project/kernel",
        "generator/embeddings_project/bias",
    ]


def test_the_gelu_is_exact_by_any_of_its_names():
    config = dataclasses.replace(ELECTRA_BASE, hidden_act="gelu")
    assert config.hidden_act == ELECTRA_BASE.hidden_act == "gelu_erf"
    with pytest.raises(ValueError, match="generator_layers is a key of electra"):
        BertConfig(vocab_size=9, generator_layers=1.0)


def test_parts_are_frozen_by_name():
    encoder = make_encoder(electra_golden.config())
    assert frozen_prefixes(["embeddings", "layers:1"], encoder) == (
        "electra/embeddings/",
        "electra/encoder/layer_1/",
    )


def test_both_encoders_train_the_shared_embeddings_once(model):
    paths = [weight.path for weight in model.trainable_weights]
    assert len(paths) == len(set(paths)) == 114
    assert not model.non_trainable_weights


def test_first_weights_are_drawn_as_the_originals():
    keras.utils.set_random_seed(1)
    config = dataclasses.replace(
        ELECTRA_BASE, vocab_size=50, hidden_size=64, embedding_size=128, num_hidden_layers=1,
        num_attention_heads=1, intermediate_size=64,
    )  # fmt: skip
    model = ReplacedTokensModel(make_encoder(config))
    kernels = {weight.path: weight.numpy() for weight in model.weights if "kernel" in weight.path}
    limit = np.sqrt(6 / (128 + 64))  # Of Glorot's uniform distribution.
    assert 0.98 * limit < np.abs(kernels["electra/embeddings_project/kernel"]).max() < limit
    limit = np.sqrt(6 / 65)
    assert 0.8 * limit < np.abs(kernels["discriminator_predictions/dense_1/kernel"]).max() < limit
    assert np.abs(kernels["discriminator_predictions/dense/kernel"]).max() < 0.05  # 0.02 twice.
