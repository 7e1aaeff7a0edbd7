"""Steps of fine-tuning against the original's: run_classifier.py's model and optimizer, no dropout.

`one_hot/` was computed with one-hot look-ups, as on TPUs, where the norm that gradients are clipped
by sums the rows of a word first; `lookup/` with `tf.gather`, where it does not: see
docs/differences.md.
"""

import numpy as np
import tensorflow as tf

import bert_tf
from bert_tf.finetuning.objective import TaskObjective
from bert_tf.tasks.classification import TextClassification
from bert_tf.training.checkpoint import load_checkpoint, named_variables
from bert_tf.training.optimizer import AdamWeightDecay
from bert_tf.training.schedule import WarmupAndDecay
from bert_tf.training.trainer import Trainer


def test_losses_norms_and_weights_are_those_of_the_original_s_one_hot_look_ups(golden_dir):
    folder = golden_dir / "classifier_finetuning"
    golden = dict(np.load(folder / "finetuning.npz"))
    task = TextClassification("test", None, ("a", "b", "c"), None, ("accuracy",), "accuracy")
    config = bert_tf.BertConfig.from_json_file(str(folder / "bert_config.json"))
    model = task.head(bert_tf.BertEncoder(config))
    model.dropout.rate = 0.0
    load_checkpoint(model, str(folder / "bert_model.ckpt"))
    names = ("init_lr", "num_train_steps", "num_warmup_steps")
    schedule = WarmupAndDecay(*(golden[f"setting/{name}"].item() for name in names))
    optimizer = AdamWeightDecay(named_variables(model), schedule)
    trainer = Trainer(model, TaskObjective(task), optimizer, 1)
    batches = {n.removeprefix("input/"): v for n, v in golden.items() if n.startswith("input/")}
    batches["is_real_example"] = np.ones_like(batches["label_ids"], np.float32)
    iterator = iter(tf.data.Dataset.from_tensor_slices(batches))
    steps = [trainer.run(iterator, 1) for _ in golden["one_hot/loss"]]

    losses, norms = ([step[name] for step in steps] for name in ("loss", "gradient_norm"))
    np.testing.assert_allclose(losses, golden["one_hot/loss"], atol=2e-5)
    np.testing.assert_allclose(norms, golden["one_hot/global_norm_of_graph"], rtol=2e-4)
    assert np.abs(norms - golden["lookup/global_norm_of_graph"]).max() > 0.02
    weights = named_variables(model)
    after = {n.removeprefix("one_hot/after/"): v for n, v in golden.items() if "/after/" in n}
    assert set(after) == set(weights)
    for name, value in after.items():
        np.testing.assert_allclose(weights[name], value, atol=5e-5, err_msg=name)
    assert {"accuracy", "loss"} <= set(steps[0])
