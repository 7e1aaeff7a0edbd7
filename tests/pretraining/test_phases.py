"""A run of several phases: one schedule, the right examples, and the same weights when resumed."""

import io
import json
import re
import shutil

import numpy as np
import pytest
import tensorflow as tf

from bert_tf.data import schema
from bert_tf.data.record_set import RecordSet, find_max_predictions
from bert_tf.pretraining.run import run_pretraining
from bert_tf.settings import PretrainingSettings

CONFIG = {
    "vocab_size": 40,
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 16,
    "type_vocab_size": 2,
}
NUM_EXAMPLES = {8: 21, 16: 13}
NUM_PREDICTIONS = {8: 3, 16: 4}  # Not the 15 % that a phase has where its records do not say.


def write_records(path, length, seed):
    rng = np.random.default_rng(seed)
    predictions = NUM_PREDICTIONS[length]
    with tf.io.TFRecordWriter(str(path)) as writer:
        for _ in range(NUM_EXAMPLES[length]):
            arrays = {
                "input_ids": rng.integers(5, 40, length),
                "input_mask": np.ones(length, np.int64),
                "segment_ids": np.arange(length) // (length // 2),
                "masked_lm_positions": np.arange(1, 1 + predictions),
                "masked_lm_ids": rng.integers(5, 40, predictions),
                "masked_lm_weights": np.ones(predictions, np.float32),
                "next_sentence_labels": rng.integers(0, 2, 1),
            }
            writer.write(schema.encode_example(arrays))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("records")
    for length in (8, 16):
        write_records(folder / f"train_{length}.tfrecord", length, seed=length)
        write_records(folder / f"eval_{length}.tfrecord", length, seed=length + 1)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    without = {**CONFIG, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (folder / "no_dropout.json").write_text(json.dumps(without))
    return folder


def settings_of(files, output, config="config.json", steps=(12, 8), **values):
    patterns = [f"seq{n}:{k}:{files}/train_{n}*" for n, k in zip((8, 16), steps, strict=True)]
    values = {
        "phases": ",".join(patterns),
        "train_batch_size": 4,
        "num_warmup_steps": 5,
        "learning_rate": 1e-2,
        "log_steps": 1,
        "save_checkpoints_steps": 5,
        "keep_checkpoint_max": 0,
        **values,
    }
    return PretrainingSettings(
        bert_config_file=str(files / config), output_dir=str(output), do_train=True, **values
    )


def write_phases(folder, files, steps, of_second) -> str:
    """A file of both phases, the second one with settings of its own."""
    phases = [
        {"max_seq_length": length, "num_steps": count, "input_file": f"{files}/train_{length}*"}
        for length, count in zip((8, 16), steps, strict=True)
    ]
    phases[1] |= of_second
    (folder / "phases.json").write_text(json.dumps(phases))
    return str(folder / "phases.json")


def train(files, output, **values):
    return run_pretraining(settings_of(files, output, **values), io.StringIO())


def checkpoint(folder, step):
    reader = tf.train.load_checkpoint(str(folder / f"model.ckpt-{step}"))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def assert_same(actual, expected, leave_out=()):
    assert set(actual) == set(expected)
    for name in set(expected) - set(leave_out):
        np.testing.assert_array_equal(actual[name], expected[name], err_msg=name)


def metrics(folder, name):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return {line["step"]: line[name] for line in lines if name in line}


@pytest.fixture(scope="module")
def whole(files, tmp_path_factory):
    """Both phases with LAMB and dropout, evaluated, that nobody disturbs."""
    output = tmp_path_factory.mktemp("whole")
    held_out = (f"seq8:{files}/eval_8*", f"seq16:{files}/eval_16*")
    values = {"do_eval": True, "eval_file": held_out, "optimizer": "lamb"}
    return output, run_pretraining(settings_of(files, output, **values), io.StringIO()), values


def test_one_learning_rate_goes_over_all_steps(whole):
    output, _, _ = whole
    rates = metrics(output, "learning_rate")
    expected = [1e-2 * (s / 5 if s < 5 else 1 - s / 20) for s in range(20)]
    np.testing.assert_allclose([rates[s + 1] for s in range(20)], expected, rtol=1e-5)


def test_every_phase_leaves_its_checkpoint_and_its_evaluation(whole):
    output, results, _ = whole
    for folder, step in (("phase_1_seq8", 12), ("phase_2_seq16", 20)):
        assert_same(checkpoint(output / folder, step), checkpoint(output, step))
        lines = (output / folder / "eval_results.txt").read_text().splitlines()
        assert lines[0] == f"global_step = {step}"
        figure = float(re.search(r"loss = (.*)", lines[1]).group(1))
        assert figure == pytest.approx(metrics(output, "eval_loss")[step], rel=1e-5)
    assert (output / "eval_results.txt").read_text() == "\n".join(lines) + "\n"
    assert results["global_step"] == 20


def test_the_averages_are_carried_over_the_change_of_length(whole):
    output, _, _ = whole
    name = "bert/encoder/layer_0/attention/self/value/kernel/adam_v"
    before, after = checkpoint(output, 12)[name], checkpoint(output, 15)[name]
    assert np.all(after >= 0.999**3 * before * (1 - 1e-5))
    assert before.max() > 0


@pytest.mark.parametrize("step", [pytest.param(5, marks=pytest.mark.slow), 12, 15])
def test_stopped_anywhere_it_goes_on_in_the_right_phase_at_the_right_example(
    files, whole, tmp_path, monkeypatch, step
):
    output, results, values = whole
    again = tmp_path / "again"
    shutil.copytree(output, again)
    for path in sorted(again.rglob("*")):
        number = re.search(r"model\.ckpt-(\d+)", path.name)
        if path.name == "checkpoint" or (number and int(number.group(1)) > step):
            path.unlink()
    starts = []
    batches = RecordSet.training_batches

    def recorded(records, batch_size, seed, start_step, *hosts):
        starts.append((records.num_examples, start_step))
        return batches(records, batch_size, seed, start_step, *hosts)

    monkeypatch.setattr(RecordSet, "training_batches", recorded)
    resumed = train(files, again, **values)

    expected = {5: [(21, 5), (13, 0)], 12: [(13, 0)], 15: [(13, 3)]}
    assert starts == expected[step]
    assert_same(checkpoint(again, 20), checkpoint(output, 20))
    assert_same(checkpoint(again / "phase_1_seq8", 12), checkpoint(output, 12))
    assert resumed == results
    assert sorted(metrics(again, "loss")) == list(range(1, 21))


def test_a_finished_run_trains_nothing_and_evaluates_alike(files, whole):
    output, results, values = whole
    assert train(files, output, **values) == results
    alone = settings_of(files, output, **values)
    assert run_pretraining(alone, io.StringIO()) == results


def test_other_phases_or_another_optimizer_are_refused_in_its_folder(files, whole):
    output, _, values = whole
    with pytest.raises(ValueError, match=r"phases\[0\]\.num_steps: 12 -> 13"):
        train(files, output, steps=(13, 8), **values)
    with pytest.raises(ValueError, match='optimizer: "lamb" -> "adam"'):
        train(files, output, **{**values, "optimizer": "adam"})


def test_gone_on_with_other_phases_a_phase_keeps_its_new_last_checkpoint(files, tmp_path):
    train(files, tmp_path, steps=(4, 4))
    half_written = tmp_path / "phase_2_seq16" / "model.ckpt-8.tmp-1.index"
    half_written.write_bytes(b"killed while writing")
    train(files, tmp_path, steps=(4, 6), allow_changed_settings=True)
    assert_same(checkpoint(tmp_path / "phase_2_seq16", 10), checkpoint(tmp_path, 10))
    assert not list(tmp_path.glob("phase_2_seq16/*ckpt-8*"))
    assert tf.train.latest_checkpoint(str(tmp_path / "phase_2_seq16")).endswith("ckpt-10")


def test_a_single_phase_is_a_run_without_phases(files, tmp_path):
    train(files, tmp_path / "plain", phases="", input_file=(f"{files}/train_8*",), **PLAIN_8)
    train(files, tmp_path / "phase", phases=f"seq8:6:{files}/train_8*")
    assert_same(checkpoint(tmp_path / "phase", 6), checkpoint(tmp_path / "plain", 6))
    assert not list(tmp_path.glob("phase/phase_*"))


PLAIN_8 = {"max_seq_length": 8, "max_predictions_per_seq": 3, "num_train_steps": 6}


def test_with_a_schedule_each_it_is_the_originals_two_runs_with_their_own_warm_ups(files, tmp_path):
    own = {
        "train_batch_size": 6,
        "gradient_accumulation_steps": 2,
        "learning_rate": 5e-3,
        "num_warmup_steps": 2,
    }
    phases = write_phases(tmp_path, files, (6, 4), own)
    without_dropout = {"config": "no_dropout.json"}
    train(files, tmp_path / "one", phases=phases, phase_schedule="each", **without_dropout)

    plain = {**without_dropout, "phases": ""}
    train(files, tmp_path / "a", input_file=(f"{files}/train_8*",), **PLAIN_8, **plain)
    train(
        files,
        tmp_path / "b",
        **plain,
        input_file=(f"{files}/train_16*",),
        init_checkpoint=str(tmp_path / "a"),
        max_seq_length=16,
        max_predictions_per_seq=4,
        num_train_steps=4,
        train_batch_size=6,
        gradient_accumulation_steps=2,
        learning_rate=5e-3,
        num_warmup_steps=2,
        seed=12346,  # Each phase has its own order of examples.
    )

    assert_same(
        checkpoint(tmp_path / "one", 10), checkpoint(tmp_path / "b", 4), leave_out=["global_step"]
    )
    rates = metrics(tmp_path / "one", "learning_rate")
    np.testing.assert_allclose(
        [rates[s] for s in range(7, 11)], [0, 2.5e-3, 2.5e-3, 1.25e-3], rtol=1e-5
    )


@pytest.mark.parametrize("compression", ["", "GZIP"])
def test_records_say_how_many_tokens_they_hide_though_the_first_is_damaged(tmp_path, compression):
    path = tmp_path / "a.tfrecord"
    with tf.io.TFRecordWriter(str(path), compression) as writer:
        for number in (4, 5, 5):  # As if damaged, in a way that still can be parsed.
            example = tf.train.Example()
            example.features.feature["masked_lm_positions"].int64_list.value.extend([1] * number)
            writer.write(example.SerializeToString())
    assert find_max_predictions([str(path)]) == 5
    if not compression:
        data = bytearray(path.read_bytes())
        data[20] ^= 0xFF
        path.write_bytes(data)
        assert find_max_predictions([str(path)]) == 5


def test_files_that_do_not_fit_any_phase_are_refused_before_the_first_step(files, tmp_path):
    for phases, message in (
        (f"seq8:3:{files}/train_8*,seq16:2:{files}/nothing_*", "nothing_"),
        (f"seq8pred2:3:{files}/train_8*", "must have 2 int64 values"),
        (f"seq8:3:{files}/train_8*,seq16:2:{files}/train_8*", "must have 16 int64 values"),
        (f"seq8:3:{files}/train_8*,seq32:2:{files}/train_16*", "max_position_embeddings is 16"),
    ):
        with pytest.raises(ValueError, match=message):
            train(files, tmp_path, phases=phases, num_warmup_steps=0)
    assert not list(tmp_path.glob("model.ckpt*"))


def test_a_batch_of_a_later_phase_that_cannot_be_had_is_refused_before_the_first_step(
    files, tmp_path
):
    phases = write_phases(tmp_path, files, (3, 3), {"gradient_accumulation_steps": 3})
    with pytest.raises(ValueError, match=r"phase of 16 tokens: .*Received: 4 and 3"):
        train(files, tmp_path, phases=phases, num_warmup_steps=0)
    assert not list(tmp_path.glob("model.ckpt*"))
