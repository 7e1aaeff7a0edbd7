import dataclasses
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import bert_tf
from bert_tf.model.dropout import dropout_seeds

TINY = bert_tf.BertConfig(
    vocab_size=50,
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=24,
    max_position_embeddings=12,
    type_vocab_size=2,
)


@pytest.fixture(scope="module")
def golden_model(golden_dir):
    folder = golden_dir / "model"
    config = bert_tf.BertConfig.from_json_file(str(folder / "bert_config.json"))
    model = bert_tf.PretrainingModel(bert_tf.BertEncoder(config))
    bert_tf.load_checkpoint(model, str(folder / "bert_model.ckpt"))
    return model


@pytest.fixture(scope="module")
def golden_forward(golden_dir):
    return dict(np.load(golden_dir / "model" / "forward.npz"))


def batch_of(values, prefix):
    return {k.removeprefix(prefix): v for k, v in values.items() if k.startswith(prefix)}


def ids(batch_size=3, length=7, seed=0):
    return np.random.default_rng(seed).integers(0, 50, (batch_size, length)).astype("int32")


def test_every_layer_and_both_heads_agree_with_the_original(golden_model, golden_forward):
    batch = batch_of(golden_forward, "input/")
    heads = golden_model(golden_model.select_features(batch))
    outputs = golden_model.encoder(golden_model.encoder.select_features(batch))

    for name, value in (
        ("embedding_output", outputs["embedding_output"]),
        *((f"layer_{i}", layer) for i, layer in enumerate(outputs["all_encoder_layers"])),
        ("pooled", outputs["pooled_output"]),
        ("mlm_log_probs", tf.reshape(tf.nn.log_softmax(heads["masked_lm_logits"]), [24, 120])),
        ("nsp_log_probs", tf.nn.log_softmax(heads["next_sentence_logits"])),
    ):
        np.testing.assert_allclose(value, golden_forward[name], atol=1e-5, err_msg=name)
    assert outputs["sequence_output"] is outputs["all_encoder_layers"][-1]


def test_mask_and_segments_may_be_left_out():
    encoder = bert_tf.BertEncoder(TINY)
    input_ids = ids()

    short = encoder({"input_ids": input_ids})
    full = encoder(
        {
            "input_ids": input_ids,
            "input_mask": np.ones_like(input_ids),
            "segment_ids": np.zeros_like(input_ids),
        }
    )

    np.testing.assert_array_equal(short["sequence_output"], full["sequence_output"])
    np.testing.assert_array_equal(short["pooled_output"], full["pooled_output"])


def test_padding_does_not_change_the_tokens():
    encoder = bert_tf.BertEncoder(TINY)
    input_ids = ids()
    padded = np.pad(input_ids, ((0, 0), (0, 4)), constant_values=9)
    mask = np.pad(np.ones_like(input_ids), ((0, 0), (0, 4)))

    alone = encoder({"input_ids": input_ids})["sequence_output"]
    with_padding = encoder({"input_ids": padded, "input_mask": mask})["sequence_output"]

    np.testing.assert_allclose(with_padding[:, :7], alone, atol=1e-6)


def test_a_sequence_longer_than_the_position_table_is_refused():
    with pytest.raises(ValueError, match=r"13 tokens .* max_position_embeddings is 12"):
        bert_tf.BertEncoder(TINY)({"input_ids": ids(length=13)})


def test_weights_have_the_published_names(golden_dir):
    reader = tf.train.load_checkpoint(str(golden_dir / "model" / "bert_model.ckpt"))
    published = {
        name: shape
        for name, shape in reader.get_variable_to_shape_map().items()
        if "/adam_" not in name and name != "global_step"
    }
    config = bert_tf.BertConfig.from_json_file(str(golden_dir / "model" / "bert_config.json"))

    weights = {
        w.path: list(w.shape) for w in bert_tf.PretrainingModel(bert_tf.BertEncoder(config)).weights
    }

    assert weights == published


@pytest.mark.data
@pytest.mark.parametrize("name", ["tf1_medium_checkpoint_index", "tf1_chinese_checkpoint_index"])
def test_names_and_shapes_are_those_of_released_checkpoints(data_dir, name):
    folder = data_dir / name
    values = json.loads((folder / "bert_config.json").read_text())
    known = {field.name for field in dataclasses.fields(bert_tf.BertConfig)}
    config = bert_tf.BertConfig(**{key: values[key] for key in known & set(values)})
    shapes = dict(tf.train.list_variables(str(folder / "bert_model.ckpt")))
    model = bert_tf.PretrainingModel(bert_tf.BertEncoder(config))
    for weight in model.weights:
        assert shapes.pop(weight.path) == list(weight.shape), weight.path
    assert all("adam" in name or name == "global_step" for name in shapes)


# Layers, width, heads, vocabulary, and the published number of the encoder's weights.
RELEASED = [
    (12, 768, 12, 30522, 109_482_240),
    (24, 1024, 16, 30522, 335_141_888),
    (12, 768, 12, 28996, 108_310_272),
    (24, 1024, 16, 28996, 333_579_264),
    (12, 768, 12, 21128, 102_267_648),
    (12, 768, 12, 119547, 177_853_440),
    *(
        (layers, width, width // 64, 30522, count)
        for width, counts in {
            128: (4_385_920, 4_782_464, 5_179_008, 5_575_552, 5_972_096, 6_368_640),
            256: (9_591_040, 11_170_560, 12_750_080, 14_329_600, 15_909_120, 17_488_640),
            512: (22_458_880, 28_763_648, 35_068_416, 41_373_184, 47_677_952, 53_982_720),
            768: (38_603_520, 52_779_264, 66_955_008, 81_130_752, 95_306_496, 109_482_240),
        }.items()
        for layers, count in zip((2, 4, 6, 8, 10, 12), counts, strict=True)
    ),
]


@pytest.mark.parametrize(("layers", "width", "heads", "vocab_size", "published"), RELEASED)
def test_released_sizes_follow_from_the_formula(layers, width, heads, vocab_size, published):
    per_block = 12 * width**2 + 13 * width
    embeddings = (vocab_size + 512 + 2 + 2) * width
    assert embeddings + layers * per_block + width**2 + width == published


@pytest.mark.parametrize(("layers", "width"), [(2, 128), (4, 256)])
def test_the_encoder_has_as_many_weights_as_the_formula(layers, width):
    config = bert_tf.BertConfig(
        vocab_size=30522,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=width // 64,
        intermediate_size=4 * width,
        type_vocab_size=2,
    )
    counts = {(layers, width): count for layers, width, _, v, count in RELEASED if v == 30522}
    assert bert_tf.BertEncoder(config).count_params() == counts[(layers, width)]


def test_weights_start_as_the_paper_says():
    weights = {
        w.path: w.numpy() for w in bert_tf.PretrainingModel(bert_tf.BertEncoder(TINY)).weights
    }
    for path, value in weights.items():
        if path.endswith(("beta", "bias")):
            assert not value.any(), path
        elif path.endswith("gamma"):
            assert (value == 1).all(), path
        else:
            assert 0 < np.abs(value).max() <= 0.04, path  # Truncated at two deviations of 0.02.
    kernels = [v for p, v in weights.items() if p.endswith("attention/self/query/kernel")]
    assert (kernels[0] != kernels[1]).all()


def test_gelu_is_the_tanh_form_unless_the_config_says_erf():
    model = bert_tf.BertEncoder(TINY)
    exact = bert_tf.BertEncoder(dataclasses.replace(TINY, hidden_act="gelu_erf"))
    exact.set_weights([10 * w for w in model.get_weights()])
    model.set_weights(exact.get_weights())
    x = tf.constant([1.0, -2.0, 0.5])
    tanh_form = 0.5 * x * (1 + tf.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    np.testing.assert_allclose(model.blocks[0].intermediate.activate(x), tanh_form, atol=1e-6)
    np.testing.assert_allclose(
        exact.blocks[0].intermediate.activate(x),
        0.5 * x * (1 + tf.math.erf(x / np.sqrt(2.0))),
        atol=1e-6,
    )


def test_dropout_is_a_function_of_the_seed_and_the_place():
    config = dataclasses.replace(TINY, hidden_dropout_prob=0.5)
    encoder = bert_tf.BertEncoder(config)
    batch = {"input_ids": ids()}
    places = []

    def run(seed):
        def fold_in(place):
            places.append(place)
            return tf.constant([seed, place])

        with dropout_seeds(fold_in):
            return encoder(batch, training=True)["sequence_output"].numpy()

    first = run(1)
    assert sorted(places) == list(range(1 + 3 * config.num_hidden_layers))
    np.testing.assert_array_equal(first, run(1))
    assert np.abs(first - run(2)).max() > 0.1
    np.testing.assert_array_equal(
        encoder(batch)["sequence_output"], encoder(batch)["sequence_output"]
    )


@pytest.mark.parametrize(("dtype", "rounding"), [("float32", 1e-6), ("bfloat16", 4e-3)])
def test_dropout_zeroes_its_share_and_keeps_the_mean(dtype, rounding):
    from bert_tf.model.layers import Dropout

    ones = tf.ones([2000, 2000], dtype)
    dropped = Dropout(0.1, place=0)(ones, training=True)
    assert dropped.dtype == dtype
    dropped = tf.cast(dropped, tf.float32).numpy()
    assert abs((dropped == 0).mean() - 0.1) < 7e-4  # Of bfloat16's own numbers it would be 0.1015.
    np.testing.assert_allclose(dropped[dropped != 0], 1 / 0.9, rtol=rounding)


@pytest.mark.parametrize("shape", [[30, 7], [None, 7]])
def test_dropout_draws_the_same_with_xla_and_without(shape):
    from bert_tf.model.layers import Dropout

    layer = Dropout(0.4, place=3)

    def drop(x):
        with dropout_seeds(lambda place: tf.constant([5, place])):
            return layer(x, training=True)

    signature = [tf.TensorSpec(shape)]
    plain = tf.function(drop, input_signature=signature)
    compiled = tf.function(drop, input_signature=signature, jit_compile=True)
    x = tf.random.normal([30, 7])
    np.testing.assert_array_equal(drop(x), plain(x))
    np.testing.assert_array_equal(plain(x), compiled(x))


def test_without_seeds_dropout_follows_keras_global_seed():
    from bert_tf.model.layers import Dropout

    keras.utils.set_random_seed(3)
    layer = Dropout(0.3, place=0)
    first = layer(tf.ones([50, 50]), training=True).numpy()
    second = layer(tf.ones([50, 50]), training=True).numpy()
    assert (first != second).any()


def test_half_precision_keeps_float32_weights_and_comes_close():
    batch = {"input_ids": ids(), "masked_lm_positions": ids(length=2) % 7}
    model = bert_tf.PretrainingModel(bert_tf.BertEncoder(TINY))
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        half = bert_tf.PretrainingModel(bert_tf.BertEncoder(TINY))
    finally:
        keras.config.set_dtype_policy("float32")
    half.set_weights(model.get_weights())

    outputs, expected = half(batch), model(batch)

    assert {w.dtype for w in half.weights} == {"float32"}
    assert half.encoder.blocks[0].intermediate.dense.compute_dtype == "bfloat16"
    assert set(outputs) == {"masked_lm_logits", "next_sentence_logits"}
    for name in outputs:
        assert outputs[name].dtype == tf.float32
        np.testing.assert_allclose(outputs[name], expected[name], atol=0.05)


@pytest.mark.parametrize("length", [7, None])
def test_the_model_is_an_ordinary_keras_model(length):
    encoder = bert_tf.BertEncoder(TINY)
    inputs = {"input_ids": keras.Input([length], dtype="int32", name="input_ids")}
    logits = keras.layers.Dense(2)(encoder(inputs)["pooled_output"])
    classifier = keras.Model(inputs, logits)
    classifier.compile(
        optimizer="adam", loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    input_ids = ids(32)
    history = classifier.fit({"input_ids": input_ids}, input_ids[:, 0] % 2, epochs=3, verbose=0)
    assert len(history.history["loss"]) == 3

    clone = bert_tf.BertEncoder.from_config(encoder.get_config())
    assert clone.config == encoder.config


@pytest.mark.parametrize("is_causal", [False, True])
def test_a_bilstm_on_top_takes_the_last_block_s_vectors(is_causal):
    plain = bert_tf.BertEncoder(dataclasses.replace(TINY, is_causal=is_causal))
    config = dataclasses.replace(TINY, is_causal=is_causal, bilstm_layers=1)
    encoder = bert_tf.BertEncoder(config)
    added = encoder.weights[len(plain.weights) :]
    assert [weight.path.split("/")[0] for weight in added] == ["bilstm"] * 6
    for ours, theirs in zip(encoder.weights, plain.weights, strict=False):
        ours.assign(theirs)
    ids = np.array([[2, 5, 6, 3], [2, 7, 3, 0]])
    inputs = {"input_ids": ids, "input_mask": (ids > 0).astype("int32")}
    hidden = plain(inputs)["sequence_output"]
    expected = encoder.bilstm(hidden, inputs["input_mask"])
    outputs = encoder(inputs)
    np.testing.assert_allclose(outputs["sequence_output"], expected, atol=1e-6)
    assert outputs["sequence_output"].shape == hidden.shape
    pooled_from = expected.numpy()[[0, 1], [3, 2] if is_causal else [0, 0]]
    pooled = encoder.pooler(pooled_from[:, None])
    np.testing.assert_allclose(outputs["pooled_output"], pooled, atol=1e-6)
