"""ALBERT's pre-training: losses, gradients and whole trainings of google-research/albert."""

import warnings

import numpy as np
import pytest
import tensorflow as tf
from family_golden import family_file

import bert_tf
from bert_tf.data.record_set import open_record_set
from bert_tf.model.encoders import make_encoder
from bert_tf.model.lookup_rows import LookupRows
from bert_tf.pretraining.objectives import find_objective
from bert_tf.pretraining_data.program import create_pretraining_data
from bert_tf.settings import PretrainingDataSettings
from bert_tf.training.checkpoint import named_variables
from bert_tf.training.optimizer import AdamWeightDecay
from bert_tf.training.schedule import WarmupAndDecay
from bert_tf.training.trainer import Trainer

OBJECTIVE = find_objective("masked_lm+sentence_order")


def start(name="albert"):
    folder = family_file(f"{name}/model.ckpt-best").parent
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # The original's files have unused keys.
        config = bert_tf.BertConfig.from_json_file(str(folder / "albert_config.json"))
    model = OBJECTIVE.make_model(make_encoder(config))
    bert_tf.load_checkpoint(model, str(folder / "model.ckpt-best"))
    return model


def inputs(golden, step=...):
    return {
        key.removeprefix("input/"): tf.constant(golden[key][step])
        for key in golden.files
        if key.startswith("input/")
    }


def trainer_of(model, schedule, lookups=True, **values):
    optimizer = AdamWeightDecay(
        named_variables(model),
        schedule,
        **{k: values.pop(k) for k in ("lamb",) if k in values},
        bias_correction=False,
    )
    lookups = LookupRows.of(model) if lookups else None
    return Trainer(model, OBJECTIVE, optimizer, 1, lookups=lookups, **values)


@pytest.mark.parametrize("name", ["albert", "albert/variant"])
def test_the_losses_are_the_originals(name):
    golden, model = np.load(family_file(f"{name}/forward.npz")), start(name)
    batch = inputs(golden)
    totals = OBJECTIVE.metrics(batch, model(model.select_features(batch)), lambda x: x)
    total, weight = totals["loss"]
    np.testing.assert_allclose(total / weight, golden["total_loss"], atol=1e-5)
    for term in ("masked_lm_loss", "sentence_order_loss"):
        value, weight = totals[term]
        np.testing.assert_allclose(value / weight, golden[term], atol=1e-5)
    assert {"masked_lm_accuracy", "sentence_order_accuracy"} < set(totals)


@pytest.mark.parametrize("parts", [1, 2])
def test_gradients_and_both_norms_are_the_originals(parts):
    golden, model = np.load(family_file("albert/gradients.npz")), start()
    batch = inputs(np.load(family_file("albert/forward.npz")))
    norms = {}
    for lookups in (True, False):
        trainer = trainer_of(model, lambda step: 0.0, lookups, accumulation_steps=parts)
        step = tf.function(trainer._replica_step, autograph=False)
        norms[lookups] = float(step(batch)["gradient_norm"])
    assert norms[True] == pytest.approx(float(golden["global_norm_of_graph"]), rel=1e-5)
    assert norms[False] == pytest.approx(float(golden["global_norm_dense"]), rel=1e-5)
    # With a rate of 0, a tenth of the clipped gradient is all that the first moment holds.
    for name, moment in trainer.optimizer.m.items():
        gradient = np.asarray(moment) * 10 * norms[False]
        limit = 1e-5 * max(np.abs(golden[name]).max(), 1e-3)
        np.testing.assert_allclose(gradient, golden[name], atol=limit, err_msg=name)


@pytest.mark.parametrize(("optimizer", "lamb"), [("lamb", True), ("adamw", False)])
def test_a_training_follows_the_originals(optimizer, lamb):
    golden, model = np.load(family_file(f"albert/trajectory_{optimizer}.npz")), start()
    schedule = WarmupAndDecay(
        float(golden["setting/init_lr"]),
        int(golden["setting/num_train_steps"]),
        int(golden["setting/num_warmup_steps"]),
    )
    trainer = trainer_of(model, schedule, lamb=lamb)
    num_steps = len(golden["total_loss"])
    batches = iter(tf.data.Dataset.from_tensor_slices(inputs(golden)))
    for step in range(num_steps):
        metrics = trainer.run(batches, 1)
        assert metrics["loss"] == pytest.approx(float(golden["total_loss"][step]), abs=1e-5)
        for term in ("masked_lm_loss", "sentence_order_loss"):
            assert metrics[term] == pytest.approx(float(golden[term][step]), abs=1e-5)
    if lamb:
        expected = tf.train.load_checkpoint(str(family_file("albert/after_lamb.ckpt")))
        compared = [name for name in trainer.state() if name != "global_step"]
        assert int(expected.get_tensor("global_step")) == int(trainer.optimizer.step)
        value_of = expected.get_tensor
    else:
        value_of = np.load(family_file("albert/after_adamw.npz")).__getitem__
        compared = list(trainer.optimizer.variables)
    for name in compared:
        np.testing.assert_allclose(trainer.state()[name], value_of(name), atol=2e-5, err_msg=name)


def test_the_rows_of_lookups_are_counted_only_where_there_are_such():
    config = bert_tf.BertConfig(
        vocab_size=9,
        hidden_size=4,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=4,
        type_vocab_size=2,
    )
    encoder = make_encoder(config)
    classifier = bert_tf.ClassificationModel(encoder, num_labels=2)
    assert LookupRows.of(classifier).tables == {"bert/embeddings/word_embeddings"}
    with pytest.raises(ValueError, match="gradient_norm=rows changes nothing"):
        LookupRows.of(bert_tf.PretrainingModel(encoder))


@pytest.mark.parametrize(
    ("is_swapped", "objective"),
    [(True, "masked_lm+next_sentence"), (False, "masked_lm+sentence_order")],
)
def test_records_whose_labels_mean_something_else_are_refused(is_swapped, objective, tmp_path):
    vocab, text, records = (tmp_path / name for name in ("vocab.txt", "text", "records"))
    vocab.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b"]) + "\n")
    text.write_text("\n\n".join(["a b a a\nb a b\nb b"] * 4) + "\n")
    made = {"max_seq_length": 16, "max_predictions_per_seq": 2}
    made |= {"ngram": 1, "sentence_order": True} if is_swapped else {}
    create_pretraining_data(PretrainingDataSettings(str(text), str(vocab), str(records), **made))
    use = find_objective(objective)
    received = f"Received: .*--sentence_order={str(is_swapped).lower()}"
    with pytest.raises(ValueError, match=f"{records}: .*{received}"):
        open_record_set([str(records)], 16, 2, 7, 2, use)
