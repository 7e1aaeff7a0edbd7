"""The training step against 60 steps of the original, and its promises about devices and parts."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

import bert_tf
from bert_tf.pretraining.objective import PretrainingObjective
from bert_tf.pretraining.objectives.masked_lm_next_sentence import OBJECTIVE
from bert_tf.settings import TrainingSettings
from bert_tf.training import loop
from bert_tf.training.checkpoint import named_variables
from bert_tf.training.loss_scale import LossScale
from bert_tf.training.optimizer import AdamWeightDecay
from bert_tf.training.schedule import WarmupAndDecay
from bert_tf.training.trainer import NonFiniteLoss, Trainer, check_weights


@pytest.fixture(scope="module")
def trajectory(golden_dir):
    return dict(np.load(golden_dir / "model" / "trajectory.npz"))


def new_trainer(golden_dir, trajectory, dropout=0.0, policy="float32", **settings):
    folder = golden_dir / "model"
    config = bert_tf.BertConfig.from_json_file(str(folder / "bert_config.json"))
    config = dataclasses.replace(
        config, hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout
    )
    keras.config.set_dtype_policy(policy)
    try:
        model = bert_tf.PretrainingModel(bert_tf.BertEncoder(config))
    finally:
        keras.config.set_dtype_policy("float32")
    schedule = WarmupAndDecay(
        float(trajectory["learning_rate"]),
        int(trajectory["num_train_steps"]),
        int(trajectory["num_warmup_steps"]),
    )
    optimizer = AdamWeightDecay(named_variables(model), schedule)
    bert_tf.load_checkpoint(model, str(folder / "bert_model.ckpt"))
    return Trainer(model=model, objective=OBJECTIVE, optimizer=optimizer, seed=11, **settings)


def batches(trajectory, start=0):
    arrays = {k[6:]: v[start:] for k, v in trajectory.items() if k.startswith("batch_")}
    return iter(tf.data.Dataset.from_tensor_slices(arrays))


@pytest.mark.parametrize(
    "settings", [{}, {"accumulation_steps": 2}, {"jit_compile": True}], ids=str
)
def test_sixty_steps_agree_with_the_original(golden_dir, trajectory, settings):
    trainer = new_trainer(golden_dir, trajectory, **settings)
    iterator = batches(trajectory)

    losses = [trainer.run(iterator, 1) for _ in range(60)]

    names = ("loss", "masked_lm_loss", "next_sentence_loss")
    actual = np.array([[figures[name] for name in names] for figures in losses])
    np.testing.assert_allclose(actual, trajectory["losses"], atol=1e-5)
    reader = tf.train.load_checkpoint(str(golden_dir / "model" / "after_training.ckpt"))
    state = trainer.state()
    assert set(state) == set(reader.get_variable_to_shape_map())
    for name, variable in state.items():
        np.testing.assert_allclose(variable, reader.get_tensor(name), atol=1e-5, err_msg=name)


def test_a_batch_of_any_length_is_computed_in_parts(golden_dir, trajectory):
    def without_length(batch):
        return {
            name: tf.raw_ops.PlaceholderWithDefault(input=x, shape=[x.shape[0], None])
            for name, x in batch.items()
        }

    arrays = {k[6:]: v[:1] for k, v in trajectory.items() if k.startswith("batch_")}
    dataset = tf.data.Dataset.from_tensor_slices(arrays).map(without_length)
    trainer = new_trainer(golden_dir, trajectory, accumulation_steps=2)
    assert trainer.run(iter(dataset), 1)["loss"] == pytest.approx(trajectory["losses"][0, 0], 1e-5)


def test_dropout_draws_the_same_masks_with_xla_and_without(golden_dir, trajectory):
    settings = {"dropout": 0.3, "accumulation_steps": 2}
    plain, compiled = (
        new_trainer(golden_dir, trajectory, jit_compile=is_compiled, **settings)
        for is_compiled in (False, True)
    )
    for step in range(3):
        losses = [t.run(batches(trajectory, step), 1)["loss"] for t in (plain, compiled)]
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_the_gradients_agree_with_the_original(golden_dir, trajectory):
    trainer = new_trainer(golden_dir, trajectory)
    forward = np.load(golden_dir / "model" / "forward.npz")
    batch = {k[6:]: tf.constant(forward[k]) for k in forward.files if k.startswith("input/")}
    weights = trainer.objective.weights(batch)
    divisors = {name: weights[name] + trainer.objective.epsilons.get(name, 0) for name in weights}

    losses, gradients = trainer._part(batch, divisors, None, tf.constant(0, tf.int64))

    np.testing.assert_allclose(losses["masked_lm_loss"], forward["mlm_loss"], rtol=1e-5)
    np.testing.assert_allclose(losses["next_sentence_loss"], forward["nsp_loss"], rtol=1e-5)
    expected = np.load(golden_dir / "model" / "gradients.npz")
    assert set(expected.files) == set(trainer.optimizer.variables)
    for name, gradient in zip(trainer.optimizer.variables, gradients, strict=True):
        size = np.abs(expected[name]).max()
        np.testing.assert_allclose(gradient, expected[name], atol=1e-5 * size + 1e-8, err_msg=name)


def test_steps_in_one_graph_call_equal_steps_one_by_one(golden_dir, trajectory):
    one_by_one, together = (new_trainer(golden_dir, trajectory, dropout=0.1) for _ in range(2))
    iterator = batches(trajectory)
    single = [one_by_one.run(iterator, 1) for _ in range(6)]
    summed = together.run(batches(trajectory), 6)
    assert summed["loss"] == pytest.approx(sum(figures["loss"] for figures in single), rel=1e-6)
    for name, variable in together.state().items():
        np.testing.assert_array_equal(variable, one_by_one.state()[name], err_msg=name)


def test_a_run_that_goes_on_from_its_state_ends_bit_identical(golden_dir, trajectory):
    whole, first = (new_trainer(golden_dir, trajectory, dropout=0.1) for _ in range(2))
    whole.run(batches(trajectory), 8)
    first.run(batches(trajectory), 5)
    second = new_trainer(golden_dir, trajectory, dropout=0.1)
    for name, variable in second.state().items():
        variable.assign(first.state()[name])
    second.run(batches(trajectory, start=5), 3)
    for name, variable in second.state().items():
        np.testing.assert_array_equal(variable, whole.state()[name], err_msg=name)


def test_dropout_differs_from_step_to_step_and_between_parts_of_a_batch(golden_dir, trajectory):
    trainer = new_trainer(golden_dir, trajectory)
    seeds = {
        tuple(trainer._seeds(tf.constant(part, tf.int64))(place).numpy())
        for part in (0, 1)
        for place in (0, 1, 2)
    }
    trainer.optimizer.step.assign(1)
    seeds |= {tuple(trainer._seeds(tf.constant(0, tf.int64))(place).numpy()) for place in (0, 1)}
    assert len(seeds) == 8


def test_a_non_finite_loss_stops_at_its_step(golden_dir, trajectory):
    trainer = new_trainer(golden_dir, trajectory)
    iterator = batches(trajectory)
    trainer.run(iterator, 3)
    trainer.optimizer.variables["bert/pooler/dense/bias"].assign(np.full(32, np.nan))
    with pytest.raises(NonFiniteLoss, match="loss of step 3 or its gradient is not"):
        trainer.run(iterator, 5)


def test_a_finite_loss_whose_gradient_is_not_finite_stops_too(golden_dir, trajectory):
    trainer = new_trainer(golden_dir, trajectory)

    class Steep(PretrainingObjective):
        def sums(self, batch, outputs):
            sums = super().sums(batch, outputs)
            # The root of zero: its value is 0, its slope is infinite.
            zero = tf.sqrt(0.0 * tf.reduce_sum(outputs["next_sentence_logits"]))
            return {**sums, "masked_lm_loss": sums["masked_lm_loss"] + zero}

    trainer.objective = Steep(OBJECTIVE.make_model, OBJECTIVE.predictions)
    with pytest.raises(NonFiniteLoss, match="step 0 or its gradient"):
        trainer.run(batches(trajectory), 2)


def test_weights_that_are_not_finite_are_found_before_they_are_saved(golden_dir, trajectory):
    trainer = new_trainer(golden_dir, trajectory)
    check_weights(trainer.optimizer)
    trainer.optimizer.variables["bert/pooler/dense/bias"].assign(np.full(32, np.inf))
    with pytest.raises(NonFiniteLoss, match="a value of bert/pooler/dense/bias is not"):
        check_weights(trainer.optimizer)


@pytest.mark.parametrize(
    ("policy", "scale"), [("mixed_bfloat16", None), ("mixed_float16", LossScale)]
)
def test_half_precision_follows_the_same_path(golden_dir, trajectory, policy, scale):
    trainer = new_trainer(
        golden_dir, trajectory, policy=policy, loss_scale=scale(1024.0) if scale else None
    )
    iterator = batches(trajectory)
    losses = [trainer.run(iterator, 1)["loss"] for _ in range(10)]
    np.testing.assert_allclose(losses, trajectory["losses"][:10, 0], atol=0.03)
    assert ("loss_scale" in trainer.state()) == (scale is not None)


def test_a_float16_overflow_skips_the_update_and_lowers_the_scale(golden_dir, trajectory):
    trainer = new_trainer(
        golden_dir, trajectory, policy="mixed_float16", loss_scale=LossScale(2.0**60)
    )
    before = {n: v.numpy() for n, v in trainer.optimizer.variables.items()}
    figures = trainer.run(batches(trajectory), 2)
    assert figures["skipped_steps"] == 2
    assert figures["gradient_norm"] == 0
    for name, variable in trainer.optimizer.variables.items():
        np.testing.assert_array_equal(variable, before[name], err_msg=name)
    assert float(trainer.loss_scale.scale) == 2.0**58
    assert int(trainer.optimizer.step) == 2


def loop_settings(**periods) -> TrainingSettings:
    return TrainingSettings(
        bert_config_file="config.json", output_dir="out", iterations_per_loop=3, **periods
    )


def test_the_loop_yields_what_is_due_and_stops_when_asked(golden_dir, trajectory):
    trainer = new_trainer(golden_dir, trajectory)
    periods = loop_settings(log_steps=5, save_checkpoints_steps=4, eval_steps=6)

    def run(last_step, **settings):
        iterator = batches(trajectory, int(trainer.optimizer.step))
        return list(loop.train(trainer, iterator, last_step, periods, **settings))

    events = run(13)
    due = [(type(e).__name__, e.step) for e in events if isinstance(e, (loop.Evaluate, loop.Save))]
    assert due == [
        ("Save", 4),
        ("Evaluate", 6),
        ("Save", 8),
        ("Evaluate", 12),
        ("Save", 12),
        ("Save", 13),
    ]
    logs = [event for event in events if isinstance(event, loop.Log)]
    assert [event.step for event in logs] == [5, 10, 13]
    counts = [event.count for event in events if isinstance(event, loop.Steps)]
    assert sum(counts) == 13
    assert max(counts) <= 3
    mean = trajectory["losses"][5:10, 0].mean()
    assert logs[1].metrics["loss"] == pytest.approx(mean, abs=1e-5)
    assert run(20, agree=lambda num_steps: 0) == []
    assert run(20, agree=lambda num_steps: 1)[-1] == loop.Save(20)


def test_the_last_step_is_evaluated_if_wanted_and_saved_once(golden_dir, trajectory):
    trainer = new_trainer(golden_dir, trajectory)
    periods = loop_settings(log_steps=9, save_checkpoints_steps=4, eval_steps=3)
    events = list(loop.train(trainer, batches(trajectory), 4, periods, evaluate_last=True))
    due = [event for event in events if not isinstance(event, (loop.Steps, loop.Log))]
    assert due == [loop.Evaluate(3), loop.Evaluate(4), loop.Save(4)]
