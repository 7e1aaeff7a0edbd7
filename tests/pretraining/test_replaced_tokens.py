"""Replaced token detection: losses, gradients and a training of google-research/electra."""

import dataclasses

import electra_golden
import numpy as np
import pytest
import tensorflow as tf
from electra_golden import ENCODER_FEATURES, golden, tensors
from family_golden import family_file

from bert_tf.data.counter_hash import hash_counters
from bert_tf.data.sampled_masking import SampledMasking
from bert_tf.model.encoders import make_encoder
from bert_tf.model.replaced_tokens import ReplacedTokensModel
from bert_tf.pretraining.objectives import replaced_tokens
from bert_tf.pretraining.objectives.replaced_tokens import ReplacedTokens
from bert_tf.text.vocabulary import load_vocab
from bert_tf.training.checkpoint import named_variables
from bert_tf.training.optimizer import AdamWeightDecay
from bert_tf.training.schedule import WarmupAndDecay
from bert_tf.training.trainer import Trainer

OBJECTIVE = ReplacedTokens(
    make_model=ReplacedTokensModel, predictions=(replaced_tokens.MASKED_LM,), masks_tokens=False
)


class GivenSamples(ReplacedTokensModel):
    """Takes the tokens that the original's generator drew."""

    feature_names = (*ReplacedTokensModel.feature_names[:-1], "sampled_ids")
    unchecked = (*ReplacedTokensModel.unchecked, "sampled_ids")

    def sample(self, logits, labels, seeds):
        return seeds  # The last of the features.


def masking():
    vocab = load_vocab(str(family_file("electra/vocab.txt")))
    special = tuple(vocab[token] for token in ("[MASK]", "[CLS]", "[SEP]"))
    return SampledMasking(0.15, special[0], special)


def batch_of(values, step=...):
    batch = tensors(values, "input/", ENCODER_FEATURES, step)
    batch |= tensors(values, "masked/", step=step)
    return batch | {"sampled_ids": tf.constant(values["sampled_ids"][step])}


def make_trainer(schedule, **values):
    model = electra_golden.load(GivenSamples(make_encoder(electra_golden.config())))
    optimizer = AdamWeightDecay(named_variables(model), schedule)
    return Trainer(model, OBJECTIVE, optimizer, 1, **values)


@pytest.mark.parametrize("name", ["forward", "trajectory"])
def test_tokens_are_masked_as_in_the_original(name):
    values, rule = golden(name), masking()
    for step in range(10) if name == "trajectory" else (...,):
        ids, mask = (values[f"input/input_{part}"][step] for part in ("ids", "mask"))
        assert rule.num_slots(48) == 7
        bits = tf.zeros([4, 7], tf.uint64)
        _, weights = rule.choose(tf.constant(ids), tf.constant(mask), bits)
        drawn = values["draw/categorical"][step]
        fractions = values["draw/uniform_replace"][step]
        masked = rule.mask(tf.constant(ids), tf.constant(drawn), weights, fractions)
        for key, value in masked.items():
            np.testing.assert_array_equal(value, values[f"masked/{key}"][step], err_msg=key)


def test_positions_are_drawn_from_all_but_special_tokens_and_padding():
    rule = SampledMasking(0.5, 4, (2, 3, 4))
    ids = tf.constant(np.tile([2, 9, 9, 3, 9, 4, 3, 0], (3000, 1)), tf.int32)
    mask = tf.constant(np.tile([1, 1, 1, 1, 1, 1, 1, 0], (3000, 1)), tf.int32)
    bits = hash_counters(1, tf.range(3000)[:, None], tf.range(4))
    positions, weights = rule.choose(ids, mask, bits)
    assert weights.numpy().tolist() == [[1.0] * 4] * 3000  # Half of 7 is rounded to 4.
    shares = np.bincount(positions.numpy().ravel(), minlength=8) / positions.numpy().size
    np.testing.assert_allclose(shares, [0, 1 / 3, 1 / 3, 0, 1 / 3, 0, 0, 0], atol=0.02)
    _, weights = rule.choose(ids[:1] * 0 + 2, mask[:1], bits[:1])
    assert not weights.numpy().any()  # There is nothing to mask.


def test_sequences_without_a_masked_token_are_refused():
    with pytest.raises(ValueError, match=r"a sequence of 6 would be masked with mask_prob=0\.15"):
        masking().num_slots(6)


def test_the_losses_are_the_originals():
    values = golden("forward")
    model = electra_golden.load(GivenSamples(make_encoder(electra_golden.config())))
    batch = batch_of(values)
    outputs = model(model.select_features(batch))
    np.testing.assert_array_equal(outputs["is_replaced"], values["corrupted/is_fake"])
    totals = OBJECTIVE.metrics(batch, outputs, lambda sums: sums)
    metrics = {name: float(total / weight) for name, (total, weight) in totals.items()}
    assert metrics["loss"] == pytest.approx(float(values["total_loss"]), abs=1e-5)
    assert metrics["masked_lm_loss"] == pytest.approx(float(values["generator/loss"]), abs=1e-5)
    assert metrics["disc_loss"] == pytest.approx(float(values["discriminator/loss"]), abs=1e-5)
    mask = values["input/input_mask"] == 1
    found, fake = (values[f"{x}"][mask] for x in ("discriminator/preds", "corrupted/is_fake"))
    assert metrics["disc_accuracy"] == pytest.approx((found == fake).mean())
    assert metrics["disc_recall"] == pytest.approx(found[fake == 1].mean())
    assert metrics["disc_precision"] == pytest.approx(fake[found == 1].mean())
    is_used = values["masked/masked_lm_weights"] == 1
    labels = values["masked/masked_lm_ids"][is_used]
    sampled = values["sampled_ids"][is_used]
    assert metrics["sampled_masked_lm_accuracy"] == pytest.approx((sampled == labels).mean())


@pytest.mark.parametrize("parts", [1, 2])
def test_the_gradients_are_the_originals(parts):
    values, batch = golden("gradients"), batch_of(golden("forward"))
    trainer = make_trainer(lambda step: 0.0, accumulation_steps=parts)
    norm = float(tf.function(trainer._replica_step, autograph=False)(batch)["gradient_norm"])
    assert norm == pytest.approx(float(values["global_norm_of_graph"]), rel=1e-5)
    # With a rate of 0, a tenth of the clipped gradient is all that the first moment holds.
    assert len(trainer.optimizer.m) == 114
    for name, moment in trainer.optimizer.m.items():
        gradient = np.asarray(moment) * 10 * norm
        # In exact arithmetic a key's bias has a gradient of 0; the norm of all is 98.
        limit = 1e-5 * max(np.abs(values[name]).max(), 1e-2 if "key/bias" in name else 1e-3)
        np.testing.assert_allclose(gradient, values[name], atol=limit, err_msg=name)


def test_a_training_follows_the_originals():
    values = golden("trajectory")
    trainer = make_trainer(WarmupAndDecay(0.002, 8, 3, "product"))
    batches = iter(tf.data.Dataset.from_tensor_slices(batch_of(values)))
    for step in range(10):
        metrics = trainer.run(batches, 1)
        for name, key in (
            ("loss", "total_loss"),
            ("masked_lm_loss", "generator_loss"),
            ("disc_loss", "discriminator_loss"),
        ):
            assert metrics[name] == pytest.approx(float(values[key][step]), abs=2e-5), (step, name)
        assert metrics["weighted_disc_loss"] == pytest.approx(50 * metrics["disc_loss"])
    expected = tf.train.load_checkpoint(str(family_file("electra/after_training.ckpt")))
    names = set(expected.get_variable_to_shape_map())
    assert names == set(trainer.state())
    for name, value in trainer.state().items():
        np.testing.assert_allclose(value, expected.get_tensor(name), atol=2e-5, err_msg=name)


def test_weights_of_the_losses_are_options():
    values, batch = golden("forward"), batch_of(golden("forward"))
    model = electra_golden.load(GivenSamples(make_encoder(electra_golden.config())))
    options = replaced_tokens.Options(generator_weight=2.0, discriminator_weight=3.0)
    objective = dataclasses.replace(OBJECTIVE, options=options)
    totals = objective.metrics(batch, model(model.select_features(batch)), lambda sums: sums)
    total, weight = totals["loss"]
    expected = 2 * values["generator/loss"] + 3 * values["discriminator/loss"]
    assert float(total / weight) == pytest.approx(float(expected), rel=1e-6)
    total, weight = totals["masked_lm_loss"]
    assert float(total / weight) == pytest.approx(float(values["generator/loss"]), rel=1e-5)
