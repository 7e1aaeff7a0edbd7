"""Replaced token detection as whole runs: resumed, in parts, on two devices, on any records."""

import io
import json

import numpy as np
import pytest
import tensorflow as tf
from script_process import Script

import bert_tf
from bert_tf.data import schema
from bert_tf.pretraining.run import run_pretraining
from bert_tf.settings import PretrainingSettings

LENGTH = 24
CONFIG = {
    "model_type": "electra",
    "vocab_size": 40,
    "embedding_size": 6,
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 24,
    "type_vocab_size": 2,
    "initializer_range": 0.3,
    "generator_hidden_size": 0.5,
}
METRICS = [
    *("disc_accuracy", "disc_loss", "disc_precision", "disc_recall", "global_step", "loss"),
    *("masked_lm_accuracy", "masked_lm_loss", "sampled_masked_lm_accuracy"),
]


def records(masks):
    """Sequences of [CLS] (2), words (5 to 39) and [SEP] (3); some of the words may be masked."""
    rng = np.random.default_rng(7)
    for _ in range(40):
        size = int(rng.integers(9, LENGTH + 1))
        ids = np.zeros(LENGTH, np.int64)
        ids[:size] = [2, *rng.integers(5, 40, size - 2), 3]
        example = {
            "input_mask": (np.arange(LENGTH) < size).astype(np.int64),
            "segment_ids": ((np.arange(LENGTH) >= 5) & (np.arange(LENGTH) < size)).astype(np.int64),
        }
        masked = ids.copy()
        if masks:
            masked[[2, 4]] = 4
            example["masked_lm_positions"] = np.array([2, 4, 0])
            example["masked_lm_ids"] = np.array([ids[2], ids[4], 0])
            example["masked_lm_weights"] = np.array([1, 1, 0], np.float32)
            example["next_sentence_labels"] = np.array([0])
        yield {**example, "input_ids": masked}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("records")
    for name in ("plain", "masked"):
        with tf.io.TFRecordWriter(str(folder / f"{name}.tfrecord")) as writer:
            for example in records(masks=name == "masked"):
                writer.write(schema.encode_example(example))
    (folder / "config.json").write_text(json.dumps(CONFIG))
    without = {**CONFIG, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (folder / "no_dropout.json").write_text(json.dumps(without))
    bert = {name: value for name, value in CONFIG.items() if isinstance(value, int)}
    del bert["embedding_size"]
    (folder / "bert.json").write_text(json.dumps(bert))
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{n}" for n in range(5, 40))]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    return folder


def flags(files, config, name="plain"):
    return {
        "bert_config_file": f"{files}/{config}.json",
        "input_file": f"{files}/{name}.tfrecord",
        "vocab_file": f"{files}/vocab.txt",
        "objective": "replaced_tokens",
        "max_seq_length": LENGTH,
        "max_predictions_per_seq": 3,
        "train_batch_size": 4,
        "num_train_steps": 8,
        "num_warmup_steps": 2,
        "learning_rate": 1e-2,
        "learning_rate_schedule": "product",
        "log_steps": 1,
    }


def train(files, output, config="config", name="plain", **values):
    settings = {**flags(files, config, name), "save_checkpoints_steps": 4, "do_eval": True}
    settings |= {"output_dir": str(output), "do_train": True, **values}
    return run_pretraining(PretrainingSettings(**settings), io.StringIO())


def losses(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


def checkpoint(folder, step):
    reader = tf.train.load_checkpoint(str(folder / f"model.ckpt-{step}"))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def test_a_killed_run_resumes_to_the_same_bytes(files, tmp_path):
    run = tmp_path / "run"
    results = train(files, run)
    assert (run / "eval_results.txt").read_text().count("\n") == len(METRICS)
    assert sorted(results) == METRICS
    whole = {path.name: path.read_bytes() for path in run.glob("model.ckpt-8*")}
    for path in run.glob("model.ckpt-8*"):
        path.unlink()
    assert train(files, run) == results
    assert len(whole) == 2
    assert {path.name: path.read_bytes() for path in run.glob("model.ckpt-8*")} == whole
    names = checkpoint(run, 8)
    weights = {n.split("/adam_")[0] for n in names if n != "global_step"}
    assert {f"{n}/adam_{m}" for n in weights for m in "mv"} < set(names)
    assert {n.split("/")[0] for n in weights} == {
        *("electra", "generator", "generator_predictions", "discriminator_predictions")
    }
    assert names["generator/encoder/layer_0/intermediate/dense/kernel"].shape == (4, 16)
    config = bert_tf.BertConfig.from_json_file(str(run / "bert_config.json"))
    assert (config.model_type, config.generator_hidden_size) == ("electra", 0.5)


def test_two_devices_with_a_batch_in_parts_give_the_losses_of_one(files, tmp_path, scripts_dir):
    train(files, tmp_path / "one", "no_dropout", max_eval_steps=3)
    both = {"num_virtual_devices": 2, "gradient_accumulation_steps": 2, "max_eval_steps": 3}
    both |= flags(files, "no_dropout")
    result = Script(scripts_dir / "run_pretraining.py", tmp_path, both).run(
        "--do_train", "--do_eval"
    )
    assert result.returncode == 0, result.stderr
    np.testing.assert_allclose(losses(tmp_path / "out"), losses(tmp_path / "one"), rtol=2e-5)
    one, two = (
        dict(line.split(" = ") for line in (tmp_path / n / "eval_results.txt").open())
        for n in ("one", "out")
    )
    assert {k: float(v) for k, v in two.items()} == pytest.approx(
        {k: float(v) for k, v in one.items()}, rel=1e-4
    )


def test_masks_of_records_are_undone(files, tmp_path):
    for name in ("plain", "masked"):
        train(files, tmp_path / name, name=name, num_train_steps=3, do_eval=False)
    assert losses(tmp_path / "plain") == losses(tmp_path / "masked")


def test_options_change_the_loss_and_what_is_drawn(files, tmp_path):
    for name, options in (("all", ""), ("generator", "discriminator_weight=0,mask_prob=0.3")):
        values = {"num_train_steps": 3, "do_eval": False, "objective_options": options}
        train(files, tmp_path / name, **values)
    assert losses(tmp_path / "all")[0] > 20 > losses(tmp_path / "generator")[0] > 1
    with pytest.raises(ValueError, match=r"objective_options: .*0\.3.* -> .*0\.15"):
        train(files, tmp_path / "generator", objective_options="mask_prob=0.15")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"objective_options": "mask=0.2"}, r"objective has no option mask\. It has: mask_prob,"),
        ({"objective_options": "mask_prob=x"}, "option mask_prob must be a number. Received: 'x'"),
        ({"objective_options": "mask_prob=0"}, r"mask_prob must be a number in \(0"),
        (
            {"objective": "masked_lm", "objective_options": "mask_prob=0.2"},
            "--objective=masked_lm has no options",
        ),
        ({"vocab_file": ""}, "needs the vocabulary of the records.*--vocab_file"),
    ],
)
def test_what_the_objective_cannot_use_is_refused(files, tmp_path, values, message):
    with pytest.raises(ValueError, match=message):
        train(files, tmp_path, **values)


def test_a_bert_finds_no_replaced_tokens(files, tmp_path):
    with pytest.raises(ValueError, match=r"model_type.: .electra.\. Received: 'bert'"):
        train(files, tmp_path, "bert")
