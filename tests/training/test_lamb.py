import numpy as np
import pytest
import tensorflow as tf

from bert_tf.training.keras_optimizer import clip_by_global_norm
from bert_tf.training.optimizer import AdamWeightDecay, scale_to_layer

SHAPES = {
    "bert/embeddings/word_embeddings": (7, 4),
    "bert/encoder/layer_0/attention/self/query/kernel": (4, 4),
    "bert/encoder/layer_0/attention/self/query/bias": (4,),
    "bert/encoder/layer_0/output/LayerNorm/gamma": (4,),
    "cls/seq_relationship/output_weights": (2, 4),
}


def reference_lamb(weights, all_gradients, rates):
    """Algorithm 2 of the paper in numpy, in double precision, after clipping to a norm of 1."""
    weights = {name: weight.astype(np.float64) for name, weight in weights.items()}
    m = dict.fromkeys(weights, 0.0)
    v = dict.fromkeys(weights, 0.0)
    for t, (gradients, rate) in enumerate(zip(all_gradients, rates, strict=True), start=1):
        norm = np.sqrt(sum((g.astype(np.float64) ** 2).sum() for g in gradients.values()))
        for name, w in weights.items():
            g = gradients[name].astype(np.float64) / max(norm, 1.0)
            m[name] = 0.9 * m[name] + 0.1 * g
            v[name] = 0.999 * v[name] + 0.001 * g**2
            r = m[name] / (1 - 0.9**t) / (np.sqrt(v[name] / (1 - 0.999**t)) + 1e-6)
            if name.endswith(("bias", "gamma")):
                weights[name] = w - rate * r
            else:
                u = r + 0.01 * w
                weights[name] = w - rate * np.linalg.norm(w) / np.linalg.norm(u) * u
    return weights, m, v


@pytest.mark.parametrize("jit_compile", [False, True])
def test_several_steps_agree_with_the_paper_written_a_second_time(jit_compile):
    rng = np.random.default_rng(0)
    weights = {n: rng.normal(size=shape).astype("float32") for n, shape in SHAPES.items()}
    steps = [
        {n: rng.normal(scale=0.5, size=shape).astype("float32") for n, shape in SHAPES.items()}
        for _ in range(6)
    ]
    rates = [0.02 * (step + 1) for step in range(6)]
    variables = {name: tf.Variable(weight) for name, weight in weights.items()}
    lamb = AdamWeightDecay(variables, lambda step: 0.02 * tf.cast(step + 1, tf.float32), lamb=True)

    @tf.function(jit_compile=jit_compile)
    def update(gradients):
        lamb.apply(clip_by_global_norm(gradients, 1.0)[0])

    for gradients in steps:
        update([tf.constant(gradients[name]) for name in variables])

    expected, m, v = reference_lamb(weights, steps, rates)
    for name, variable in variables.items():
        np.testing.assert_allclose(variable, expected[name], rtol=2e-5, atol=1e-6, err_msg=name)
        np.testing.assert_allclose(lamb.m[name], m[name], rtol=1e-4, atol=1e-7, err_msg=name)
        np.testing.assert_allclose(lamb.v[name], v[name], rtol=1e-4, atol=1e-9, err_msg=name)


def test_a_step_changes_a_layer_by_the_rate_times_its_own_length():
    weight = tf.constant(np.random.default_rng(1).normal(size=(5, 3)).astype("float32"))
    for size in (1e-6, 1.0, 1e6):
        adapted = scale_to_layer(weight, size * tf.ones([5, 3]))
        assert float(tf.norm(adapted)) == pytest.approx(float(tf.norm(weight)), rel=1e-5)


@pytest.mark.parametrize(
    ("weight", "update"),
    [
        ([0.0, 0.0], [1.0, 0.0]),  # A layer of zeros must be able to leave them.
        ([3.0, 4.0], [0.0, 0.0]),
    ],
)
def test_what_has_no_length_of_its_own_takes_the_step_as_it_is(weight, update):
    np.testing.assert_array_equal(scale_to_layer(tf.constant(weight), tf.constant(update)), update)


def test_its_state_has_the_names_of_adams():
    variables = {"x/kernel": tf.Variable([[1.0]])}
    names = {
        lamb: set(AdamWeightDecay(variables, lambda step: 0.1, lamb=lamb).named_variables())
        for lamb in (False, True)
    }
    assert names[True] == names[False] == {"global_step", "x/kernel/adam_m", "x/kernel/adam_v"}
