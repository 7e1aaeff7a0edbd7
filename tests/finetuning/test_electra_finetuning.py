"""Fine-tuning with layer-wise learning rates, against google-research/electra and /bert."""

import electra_golden
import numpy as np
import pytest
import tensorflow as tf
from electra_golden import golden
from family_golden import family_file

import bert_tf
from bert_tf.finetuning.objective import TaskObjective
from bert_tf.model.encoders import make_encoder
from bert_tf.model.layer_rates import layer_rate_scales
from bert_tf.model.lookup_rows import LookupRows
from bert_tf.tasks.classification import TextClassification
from bert_tf.training.checkpoint import named_variables
from bert_tf.training.optimizer import AdamWeightDecay
from bert_tf.training.schedule import WarmupAndDecay
from bert_tf.training.trainer import Trainer

TASK = TextClassification("test", None, ("a", "b", "c"), None, ("accuracy",), "accuracy")
HEAD = {
    "task_specific/mnli/dense/kernel": "output_weights",
    "task_specific/mnli/dense/bias": "output_bias",
}


def batches_of(values, label="label_ids"):
    batch = {n.removeprefix("input/"): values[n] for n in values.files if n.startswith("input/")}
    batch["is_real_example"] = np.ones_like(batch[label], np.float32)
    return iter(tf.data.Dataset.from_tensor_slices(batch))


def test_a_training_with_layer_wise_rates_follows_the_originals():
    values = golden("finetuning")
    model = TASK.head(make_encoder(electra_golden.config()))
    model.dropout.rate = 0.0
    bert_tf.load_checkpoint(model, str(family_file("electra/model.ckpt")))
    model.scores.output_weights.assign(values["head/task_specific/mnli/dense/kernel"].T)
    model.scores.output_bias.assign(values["head/task_specific/mnli/dense/bias"])
    weights = named_variables(model)
    rate, steps, warmup, decay = (
        values[f"setting/{name}"].item()
        for name in ("learning_rate", "num_train_steps", "warmup_proportion", "layerwise_lr_decay")
    )
    optimizer = AdamWeightDecay(
        weights,
        WarmupAndDecay(rate, steps, steps * warmup, "product"),
        rate_scales=layer_rate_scales(weights, model.encoder, decay),
    )
    objective = TaskObjective(TASK, "sum")
    lookups = LookupRows.of(model)
    trainer = Trainer(model, objective, optimizer, 1, lookups=lookups)
    batches = batches_of(values)
    for step, loss in enumerate(values["loss"]):
        metrics = trainer.run(batches, 1)
        assert metrics["loss"] == pytest.approx(float(loss), abs=2e-5), step
        if step == 0:
            norm = float(values["global_norm_of_graph"])
            assert metrics["gradient_norm"] == pytest.approx(norm, rel=1e-5)
    after = golden("after_finetuning")
    assert len(after.files) == len(weights)
    for name in after.files:
        ours = weights[HEAD.get(name, name)]
        expected = after[name].T if name.endswith("mnli/dense/kernel") else after[name]
        np.testing.assert_allclose(ours, expected, atol=2e-5, err_msg=name)


@pytest.mark.parametrize("is_whole", [False, True])
def test_berts_training_clips_by_rows_as_the_original_off_tpus(golden_dir, is_whole):
    folder = golden_dir / "classifier_finetuning"  # It has the norms only.
    if is_whole:
        folder = family_file("bert_finetuning/bert_model.ckpt").parent
    values = np.load(folder / "finetuning.npz")
    model = TASK.head(make_encoder(bert_tf.BertConfig.from_json_file(f"{folder}/bert_config.json")))
    model.dropout.rate = 0.0
    bert_tf.load_checkpoint(model, str(folder / "bert_model.ckpt"))
    names = ("init_lr", "num_train_steps", "num_warmup_steps")
    schedule = WarmupAndDecay(*(values[f"setting/{name}"].item() for name in names))
    weights = named_variables(model)
    optimizer = AdamWeightDecay(weights, schedule)
    lookups = LookupRows.of(model)
    trainer = Trainer(model, TaskObjective(TASK), optimizer, 1, lookups=lookups)
    batches = batches_of(values)
    for step, norm in enumerate(values["lookup/global_norm_of_graph"]):
        metrics = trainer.run(batches, 1)
        assert metrics["gradient_norm"] == pytest.approx(float(norm), rel=2e-4)
        if is_whole:
            assert metrics["loss"] == pytest.approx(float(values["lookup/loss"][step]), abs=2e-5)
    for name, weight in weights.items() if is_whole else ():
        np.testing.assert_allclose(weight, values[f"lookup/after/{name}"], atol=5e-5, err_msg=name)


def test_rates_fall_from_the_head_to_the_embeddings():
    encoder = make_encoder(electra_golden.config())  # Three layers.
    names = [
        *("output_weights", "electra/encoder/layer_2/output/dense/bias"),
        *("electra/encoder/layer_0/output/dense/bias", "electra/embeddings_project/kernel"),
        "electra/embeddings/LayerNorm/beta",
    ]
    scales = layer_rate_scales(names, encoder, 0.5)
    assert list(scales.values()) == [1.0, 0.5**2, 0.5**4, 0.5**5, 0.5**5]
    config = bert_tf.BertConfig(50, 8, 12, 2, 8, max_position_embeddings=8)
    bert = make_encoder(config)
    names = [f"bert/encoder/layer_{n}/output/dense/bias" for n in (1, 10, 11)]
    names += ["bert/pooler/dense/kernel", "bert/embeddings/word_embeddings"]
    scales = layer_rate_scales(names, bert, 0.9)
    assert list(scales.values()) == [0.9**12, 0.9**3, 0.9**2, 1.0, 0.9**14]


def test_layers_that_share_weights_have_one_rate():
    config = bert_tf.BertConfig(
        50, 8, 4, 2, 8, max_position_embeddings=8, model_type="albert", embedding_size=4,
        num_hidden_groups=1, inner_group_num=1,
    )  # fmt: skip
    with pytest.raises(ValueError, match="the 4 layers of this albert share 1 blocks"):
        layer_rate_scales([], make_encoder(config), 0.8)
