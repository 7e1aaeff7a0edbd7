import numpy as np
import pytest
import tensorflow as tf

from bert_tf.training.keras_optimizer import clip_by_global_norm
from bert_tf.training.loss_scale import LossScale
from bert_tf.training.optimizer import AdamWeightDecay
from bert_tf.training.schedule import WarmupAndDecay


def rates(schedule, steps):
    return [float(schedule(tf.constant(step, tf.int64))) for step in steps]


def test_the_original_schedule_jumps_down_where_the_warm_up_ends():
    schedule = WarmupAndDecay(1.0, num_train_steps=100, num_warmup_steps=10)
    np.testing.assert_allclose(
        rates(schedule, [0, 1, 9, 10, 11, 55, 99, 100, 500]),
        [0, 0.1, 0.9, 0.9, 0.89, 0.45, 0.01, 0, 0],
        atol=1e-6,
    )
    np.testing.assert_allclose(rates(WarmupAndDecay(1.0, 100, 40), [39, 40]), [0.975, 0.6])


def test_the_continuous_schedule_reaches_its_peak_and_has_no_jump():
    schedule = WarmupAndDecay(1.0, 110, 10, "continuous")
    np.testing.assert_allclose(
        rates(schedule, [0, 5, 10, 60, 110, 200]), [0, 0.5, 1, 0.5, 0, 0], atol=1e-6
    )


def test_without_warm_up_the_first_rate_is_the_peak():
    assert rates(WarmupAndDecay(0.3, 10), [0]) == pytest.approx([0.3])


def reference_adam(w, gradients, rate, decay, bias_correction=False, epsilon=1e-6, beta_2=0.999):
    """Adam in numpy, in double precision."""
    m = v = 0.0
    for t, g in enumerate(gradients, start=1):
        m, v = 0.9 * m + 0.1 * g, beta_2 * v + (1 - beta_2) * g**2
        scale_m, scale_v = (1 / (1 - 0.9**t), 1 / (1 - beta_2**t)) if bias_correction else (1, 1)
        w = w - rate * (m * scale_m / (np.sqrt(v * scale_v) + epsilon) + decay * w)
    return w


@pytest.mark.parametrize("bias_correction", [False, True])
@pytest.mark.parametrize(
    ("name", "decay"),
    [("bert/pooler/dense/kernel", 0.01), ("x/bias", 0.0), ("x/LayerNorm/gamma", 0.0)],
)
def test_adam_is_the_published_one_and_spares_biases_and_layer_norm(name, decay, bias_correction):
    generator = np.random.default_rng(0)
    weight, gradients = generator.normal(size=5), generator.normal(size=(4, 5))
    variable = tf.Variable(weight, dtype=tf.float32)
    adam = AdamWeightDecay({name: variable}, lambda step: 0.1, bias_correction=bias_correction)
    for gradient in gradients:
        adam.apply([tf.constant(gradient, tf.float32)])
    np.testing.assert_allclose(
        variable, reference_adam(weight, gradients, 0.1, decay, bias_correction), rtol=1e-5
    )
    assert int(adam.step) == 4
    assert set(adam.named_variables()) == {"global_step", f"{name}/adam_m", f"{name}/adam_v"}


@pytest.mark.parametrize("bias_correction", [False, True])
def test_adams_epsilon_second_decay_and_weight_decay_can_be_chosen(bias_correction):
    weight, gradients = np.array([1.0, -2.0]), np.array([[1e-3, -1e-4], [0.3, 0.2]])
    variable = tf.Variable(weight, dtype=tf.float32)
    own = {"bias_correction": bias_correction, "epsilon": 0.5, "beta_2": 0.98}
    adam = AdamWeightDecay({"kernel": variable}, lambda step: 0.1, weight_decay_rate=0.2, **own)
    for gradient in gradients:
        adam.apply([tf.constant(gradient, tf.float32)])
    np.testing.assert_allclose(
        variable, reference_adam(weight, gradients, 0.1, 0.2, **own), rtol=1e-6
    )


def test_clipping_scales_all_gradients_by_their_joint_norm():
    gradients = [tf.constant([3.0]), tf.constant([[4.0]])]
    clipped, norm = clip_by_global_norm(gradients, 1.0)
    assert float(norm) == pytest.approx(5.0)
    np.testing.assert_allclose(tf.concat([tf.reshape(g, [-1]) for g in clipped], 0), [0.6, 0.8])
    untouched, _ = clip_by_global_norm(gradients, 10.0)
    np.testing.assert_allclose(untouched[0], [3.0])


def test_zero_gradients_stay_zero():
    clipped, norm = clip_by_global_norm([tf.zeros([2])], 1.0)
    assert float(norm) == 0
    np.testing.assert_array_equal(clipped[0], [0, 0])


def test_an_update_that_is_not_applied_only_counts_the_step():
    variable = tf.Variable([1.0])
    adam = AdamWeightDecay({"w": variable}, lambda step: 0.1)
    adam.apply([tf.constant([np.nan])], is_applied=tf.constant(False))
    assert variable.numpy() == [1.0]
    assert adam.m["w"].numpy() == [0.0]
    assert int(adam.step) == 1


def test_a_weight_may_have_its_own_learning_rate():
    weights = {name: tf.Variable([0.0]) for name in ("encoder/bias", "head/bias")}
    adam = AdamWeightDecay(weights, lambda step: 0.1, rate_scales={"head/bias": 3.0})
    adam.apply([tf.constant([1.0])] * 2)
    encoder, head = (float(weight[0]) for weight in weights.values())
    assert encoder < 0
    assert head == pytest.approx(3 * encoder)


def test_the_loss_scale_halves_on_overflow_and_doubles_after_quiet_steps():
    scale = LossScale(initial=8.0, growth_steps=2)
    seen = []
    for is_finite in (True, False, True, True, True):
        scale.update(tf.constant(is_finite))
        seen.append(float(scale.scale))
    assert seen == [8, 4, 4, 8, 8]


def test_a_power_bends_the_decay_and_leaves_the_warm_up_alone():
    original = WarmupAndDecay(1.0, 100, 10, power=0.5)
    np.testing.assert_allclose(rates(original, [5, 10, 51]), [0.5, 0.9**0.5, 0.7], rtol=1e-6)
    continuous = WarmupAndDecay(1.0, 110, 10, "continuous", power=0.5)
    np.testing.assert_allclose(rates(continuous, [5, 10, 85]), [0.5, 1.0, 0.5], rtol=1e-6)


@pytest.mark.parametrize("bias_correction", [False, True])
def test_a_restart_is_a_run_that_starts_there(bias_correction):
    gradients = np.random.default_rng(2).normal(size=(7, 3)).astype("float32")
    first, second = (WarmupAndDecay(0.1, 4, warmup) for warmup in (1, 2))
    whole = tf.Variable(np.ones(3, "float32"))
    adam = AdamWeightDecay({"w": whole}, first, bias_correction=bias_correction)
    for gradient in gradients[:4]:
        adam.apply([tf.constant(gradient)])
    fresh_weight = tf.Variable(whole.numpy())
    adam.restart(4, second)
    fresh = AdamWeightDecay({"w": fresh_weight}, second, bias_correction=bias_correction)
    for step, gradient in enumerate(gradients[4:]):
        if step == 1:
            adam.restart(4, second)  # As on resume: the moments stay.
        adam.apply([tf.constant(gradient)])
        fresh.apply([tf.constant(gradient)])
    np.testing.assert_array_equal(whole, fresh_weight)
    np.testing.assert_array_equal(adam.v["w"], fresh.v["w"])
