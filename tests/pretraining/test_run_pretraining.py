"""run_pretraining.py as a real process: its files, its resume after real signals, its errors."""

import io
import json
import os
import re
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from script_process import Script, assert_same_weights, wait_for_file
from worker_processes import wait_until

from bert_tf.pretraining.run import run_pretraining
from bert_tf.pretraining_data.program import create_pretraining_data
from bert_tf.released.find_model import find_model
from bert_tf.settings import PretrainingDataSettings, PretrainingSettings

CONFIG = {
    "vocab_size": 30522,
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 128,
    "type_vocab_size": 2,
}


@pytest.fixture(scope="module")
def records(golden_dir):
    return str(golden_dir / "pretraining_data" / "default-*.tfrecord")


def make_script(scripts_dir: Path, folder: Path, records: str) -> Script:
    """The script on small records."""
    (folder / "config.json").write_text(json.dumps(CONFIG))
    flags = {
        "bert_config_file": folder / "config.json",
        "input_file": records,
        "train_batch_size": 8,
        "num_warmup_steps": 5,
        "learning_rate": 1e-2,
        "log_steps": 5,
        "save_checkpoints_steps": 10,
        "max_eval_steps": 5,
    }
    return Script(scripts_dir / "run_pretraining.py", folder, flags)


@pytest.fixture
def script(scripts_dir, tmp_path, records):
    return make_script(scripts_dir, tmp_path, records)


@pytest.fixture(scope="module")
def whole_run(scripts_dir, tmp_path_factory, records):
    """A run of 30 steps that nobody disturbs."""
    script = make_script(scripts_dir, tmp_path_factory.mktemp("whole"), records)
    result = script.run("--do_train", "--do_eval", num_train_steps=30)
    assert result.returncode == 0, result.stderr
    return script, result


def test_it_leaves_the_files_of_the_original(whole_run):
    script, result = whole_run
    names = set(os.listdir(script.folder / "out"))
    for step in (10, 20, 30):
        assert f"model.ckpt-{step}.index" in names
    assert {"checkpoint", "bert_config.json", "eval_results.txt", "metrics.jsonl"} <= names
    assert any(name.startswith("events.out.tfevents") for name in names)
    assert tf.train.latest_checkpoint(str(script.folder / "out")).endswith("model.ckpt-30")
    lines = (script.folder / "out" / "eval_results.txt").read_text().splitlines()
    assert [line.split(" = ")[0] for line in lines] == [
        "global_step",
        "loss",
        "masked_lm_accuracy",
        "masked_lm_loss",
        "next_sentence_accuracy",
        "next_sentence_loss",
    ]
    assert lines[0] == "global_step = 30"
    assert "30/30 steps" in result.stderr
    assert "No --eval_file" in result.stderr


def test_its_folder_has_the_vocabulary_and_case_of_the_records_and_a_readme(
    script, golden_dir, tmp_path
):
    vocab, long = tmp_path / "v.txt", tmp_path / "long.txt"
    long.write_text("x\n" * 40_000)
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocab.write_text("\n".join([*special, *"abcdefghij", *(f"##{c}" for c in "abcdefghij")]) + "\n")
    (tmp_path / "text").write_text("ab cd.\nef gh\n\nij ab\ncd ef\n" * 9)
    made = PretrainingDataSettings(
        input_file=str(tmp_path / "text"),
        vocab_file=str(vocab),
        output_file=str(tmp_path / "r" / "a.tfrecord"),
        do_lower_case=False,
    )
    (tmp_path / "r").mkdir()
    create_pretraining_data(made)
    records = tmp_path / "r" / "a.tfrecord"
    refuse(script, "40,000 rows, but vocab_size", vocab_file=long)
    (script.folder / "config.json").write_text(json.dumps({**CONFIG, "vocab_size": 25}))
    flags = {"num_train_steps": 2, "input_file": records, "num_warmup_steps": 1}
    swapped = vocab.read_text().replace("\na\nb\n", "\nb\na\n")
    (tmp_path / "swapped.txt").write_text(swapped)
    message = r"is not the vocabulary .* made with, .*v\.txt: row 5 is 'b' instead of 'a'\."
    refuse(script, message, vocab_file=tmp_path / "swapped.txt", **flags)
    result = script.run("--do_train", "--do_eval", **flags)
    assert result.returncode == 0, result.stderr
    out = script.folder / "out"
    assert (out / "vocab.txt").read_bytes() == vocab.read_bytes()
    found = find_model(str(out))
    assert (found.vocab_file, found.do_lower_case) == (str(out / "vocab.txt"), False)
    text = (out / "README.md").read_text()
    assert "for 2 steps of 8 examples" in text
    assert "masked_lm_loss: " in text
    (tmp_path / "padded.txt").write_text(vocab.read_text().replace("\nj\n", "\n[unused0]\n"))
    more = {"output_dir": tmp_path / "padded", "vocab_file": tmp_path / "padded.txt"}
    assert script.run("--do_train", **flags, **more).returncode == 0


def test_metrics_have_a_line_each_log_steps_and_the_loss_falls(whole_run):
    script, _ = whole_run
    lines = script.metrics()
    training = [line for line in lines if "loss" in line]
    assert [line["step"] for line in training] == [5, 10, 15, 20, 25, 30]
    assert set(training[0]) == {
        *("step", "loss", "masked_lm_loss", "next_sentence_loss", "learning_rate"),
        *("gradient_norm", "examples_per_second", "tokens_per_second"),
    }
    assert training[-1]["loss"] < training[0]["loss"] - 0.5
    # The rates of steps 5 to 9: the schedule of the original, 1 - step / 30 after the warm-up.
    rate = np.mean([1e-2 * (1 - step / 30) for step in range(5, 10)])
    assert training[1]["learning_rate"] == pytest.approx(rate, rel=1e-5)
    assert lines[-1]["step"] == 30
    assert lines[-1]["eval_loss"] > 0


def test_killed_between_checkpoints_it_ends_with_bit_identical_weights(whole_run, script):
    whole, _ = whole_run
    for step in (10, 20):  # Killed twice, each time somewhere after a checkpoint.
        process = script.start("--do_train", num_train_steps=30)
        wait_for_file(script.folder / "out" / f"model.ckpt-{step}.index", process)
        process.send(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert not (script.folder / "out" / "model.ckpt-30.index").exists()

    result = script.run("--do_train", num_train_steps=30, fresh=True)

    assert result.returncode == 0, result.stderr
    assert "Resuming from" in result.stderr
    assert_same_weights(script.checkpoint(30), whole.checkpoint(30))
    steps = [line["step"] for line in script.metrics() if "loss" in line]
    assert steps == [5, 10, 15, 20, 25, 30]


def test_sigterm_saves_first_and_the_run_goes_on_to_the_same_weights(whole_run, script):
    whole, _ = whole_run
    process = script.start("--do_train", num_train_steps=30, iterations_per_loop=1)
    wait_for_file(script.folder / "out" / "model.ckpt-10.index", process)
    process.send(signal.SIGTERM)
    assert process.wait(60) == 128 + signal.SIGTERM, process.output
    stopped = r"Stopped by signal 15 at step (\d+), which is saved"
    saved = int(re.search(stopped, process.output).group(1))
    assert 10 <= saved < 30
    assert (script.folder / "out" / f"model.ckpt-{saved}.index").exists()

    assert script.run("--do_train", num_train_steps=30).returncode == 0
    assert_same_weights(script.checkpoint(30), whole.checkpoint(30))


def test_a_finished_run_started_again_trains_nothing_and_evaluates_alike(whole_run):
    script, _ = whole_run
    before = (script.folder / "out" / "eval_results.txt").read_text()
    result = script.run("--do_train", "--do_eval", num_train_steps=30)
    assert result.returncode == 0
    assert "complete at step 30" in result.stderr
    assert (script.folder / "out" / "eval_results.txt").read_text() == before
    alone = script.run("--do_eval")
    assert alone.returncode == 0
    assert (script.folder / "out" / "eval_results.txt").read_text() == before


def test_init_checkpoint_gives_the_weights_but_neither_step_nor_averages(whole_run, script):
    whole, _ = whole_run
    result = script.run(
        "--do_train",
        num_train_steps=1,
        num_warmup_steps=1,  # So that the one step has rate 0.
        init_checkpoint=whole.folder / "out" / "model.ckpt-30",
    )
    assert result.returncode == 0, result.stderr
    trained, began = script.checkpoint(1), whole.checkpoint(30)
    weights = [n for n in began if "adam" not in n and n != "global_step"]
    assert_same_weights({n: trained[n] for n in weights}, {n: began[n] for n in weights})
    assert trained["global_step"] == 1
    name = "bert/pooler/dense/kernel/adam_m"
    assert np.abs(trained[name] - began[name]).max() > 0


def test_next_sentence_accuracy_is_shown_beside_the_majority_s(whole_run):
    script, result = whole_run
    (shown,) = re.findall(r"next_sentence_majority_accuracy = (0\.\d+)", result.stderr)
    (line,) = [line for line in script.metrics() if "eval_loss" in line]
    assert 0.5 <= float(shown) < 1.0
    assert line["eval_next_sentence_majority_accuracy"] == pytest.approx(float(shown), abs=1e-4)


def test_random_weights_and_a_released_model_s_folder_are_refused(script):
    alone = script.run("--do_eval", output="empty", init_checkpoint=None)
    assert alone.returncode == 1
    assert "these weights are random" in alone.stderr.splitlines()[-1]
    released = script.folder / "released"
    released.mkdir()
    (released / "bert_model.ckpt.index").touch()
    inside = script.run("--do_train", output="released")
    assert inside.returncode == 1
    assert "folder of a finished model (bert_model.ckpt.index)" in inside.stderr
    assert [path.name for path in released.iterdir()] == ["bert_model.ckpt.index"]


def test_eval_file_and_evaluation_during_training(script, golden_dir):
    held_out = golden_dir / "pretraining_data" / "default-1.tfrecord"
    result = script.run(
        "--do_train",
        "--do_eval",
        input_file=golden_dir / "pretraining_data" / "default-0.tfrecord",
        eval_file=held_out,
        eval_steps=4,
        num_train_steps=10,
        max_eval_steps=0,
    )
    assert result.returncode == 0, result.stderr
    assert "No --eval_file" not in result.stderr
    assert [line["step"] for line in script.metrics() if "eval_loss" in line] == [4, 8, 10]


def test_sigterm_in_an_evaluation_leaves_it_and_it_is_done_after_the_restart(
    whole_run, script, golden_dir
):
    whole, _ = whole_run
    for number in range(40):  # Some ten thousand batches: nobody waits for their end.
        shutil.copy(
            golden_dir / "pretraining_data" / "default-0.tfrecord", script.folder / f"{number}.tf"
        )
    flags = {"num_train_steps": 30, "eval_steps": 14, "eval_batch_size": 1, "log_steps": 1}
    process = script.start(
        "--do_train", eval_file=script.folder / "*.tf", max_eval_steps=0, **flags
    )
    wait_for_file(script.folder / "out" / "metrics.jsonl", process)
    wait_until(lambda: script.metrics() and script.metrics()[-1]["step"] >= 14, [process])
    process.send(signal.SIGTERM)
    assert process.wait(60) == 128 + signal.SIGTERM, process.output
    assert "at step 14, which is saved" in process.output
    assert (script.folder / "out" / "model.ckpt-14.index").exists()
    assert not any("eval_loss" in line for line in script.metrics())

    result = script.run("--do_train", eval_file=script.folder / "*.tf", max_eval_steps=3, **flags)
    assert result.returncode == 0, result.stderr
    assert [line["step"] for line in script.metrics() if "eval_loss" in line] == [14, 28]
    assert_same_weights(script.checkpoint(30), whole.checkpoint(30))


@pytest.mark.parametrize(
    ("precision", "xla"),
    [pytest.param("bfloat16", "--xla", marks=pytest.mark.slow), ("float16", "--noxla")],
)
def test_half_precision_trains_and_resumes(script, precision, xla):
    flags = {"mixed_precision": precision, "num_train_steps": 12}
    first = script.run("--do_train", xla, **flags)
    assert first.returncode == 0, first.stderr
    assert ("loss_scale" in script.checkpoint(12)) == (precision == "float16")
    shutil.copytree(script.folder / "out", script.folder / "again")
    for name in os.listdir(script.folder / "again"):
        if "ckpt-12" in name or name == "checkpoint":
            (script.folder / "again" / name).unlink()
    second = script.run("--do_train", xla, output="again", **flags)
    assert second.returncode == 0, second.stderr
    assert "Resuming from" in second.stderr
    assert_same_weights(script.checkpoint(12, "again"), script.checkpoint(12))


def test_weights_do_not_depend_on_how_many_steps_a_call_of_the_graph_has(script):
    """float16 shows the least difference: its smallest numbers are coarse."""
    flags = {"mixed_precision": "float16", "num_train_steps": 12}
    for output, steps in (("one", 1), ("five", 5)):  # Of five, five, and two steps.
        result = script.run("--do_train", output=output, iterations_per_loop=steps, **flags)
        assert result.returncode == 0, result.stderr
    assert_same_weights(script.checkpoint(12, "five"), script.checkpoint(12, "one"))


def test_other_settings_in_the_folder_are_refused_with_the_difference(whole_run):
    script, _ = whole_run
    result = script.run("--do_train", num_train_steps=40, learning_rate=3e-3)
    assert result.returncode == 1
    assert "Error:" in result.stderr
    assert "Traceback" not in result.stderr
    assert "learning_rate: 0.01 -> 0.003" in result.stderr
    assert "num_train_steps: 30 -> 40" in result.stderr
    assert "--allow_changed_settings" in result.stderr


def test_another_model_in_the_folder_is_refused_with_the_difference(whole_run, tmp_path):
    script, _ = whole_run
    other = tmp_path / "other.json"
    other.write_text(json.dumps({**CONFIG, "num_hidden_layers": 3}))
    result = script.run("--do_train", num_train_steps=30, bert_config_file=other)
    assert result.returncode == 1
    assert "num_hidden_layers: 2 -> 3" in result.stderr


def truncated(golden_dir, folder):
    data = (golden_dir / "pretraining_data" / "default-0.tfrecord").read_bytes()
    (folder / "cut.tfrecord").write_bytes(data[: len(data) // 2 + 11])
    return folder / "cut.tfrecord"


def flipped(golden_dir, folder):
    data = bytearray((golden_dir / "pretraining_data" / "default-0.tfrecord").read_bytes())
    data[len(data) // 2] ^= 0x10
    (folder / "flipped.tfrecord").write_bytes(bytes(data))
    return folder / "flipped.tfrecord"


def test_damaged_records_are_left_out_and_counted_on_request(script, golden_dir):
    path = flipped(golden_dir, script.folder)
    result = script.run("--do_train", num_train_steps=5, input_file=path, on_corrupt="skip")
    assert result.returncode == 0, result.stderr
    assert "1 damaged places left out" in result.stderr


def refuse(script: Script, match: str, **values) -> None:
    """Runs the library half in this process, and expects it to refuse before the first step."""
    flags = {**script.flags, "output_dir": script.folder / "out", "num_train_steps": 30, **values}
    flags = {k: str(v) if isinstance(v, Path) else v for k, v in flags.items()}
    for name in ("input_file", "eval_file"):
        if name in flags:
            flags[name] = (flags[name],)
    with pytest.raises(ValueError, match=match):
        run_pretraining(PretrainingSettings(**{"do_train": True, **flags}), io.StringIO())
    assert not list(script.folder.glob("out/model.ckpt*"))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"num_warmup_steps": 31}, "warm-up is longer than the training"),
        ({"max_seq_length": 64}, "max_seq_length"),
        ({"max_seq_length": 256}, "max_position_embeddings is 128"),
        ({"max_predictions_per_seq": 0}, "--max_predictions_per_seq must be a whole number"),
        ({"max_predictions_per_seq": 25}, "max_predictions_per_seq"),
        ({"input_file": "/nowhere/*.tfrecord"}, "/nowhere"),
        ({"init_checkpoint": "/nowhere.ckpt"}, r"No checkpoint at /nowhere\.ckpt"),
        ({"output_dir": "/dev/null/out"}, "nothing can be written there"),
        ({"mixed_precision": "half"}, "'half'"),
        ({"train_batch_size": 9, "gradient_accumulation_steps": 2}, "must be a multiple"),
        ({"learning_rate": -1.0}, "learning_rate"),
        ({"do_train": False}, "at least one of --do_train and --do_eval"),
        ({"output_dir": ""}, "--output_dir is needed"),
    ],
    ids=str,
)
def test_bad_input_is_refused_before_the_first_step(script, flags, message):
    refuse(script, message, **flags)


def test_records_with_ids_beyond_the_config_are_refused(script):
    (script.folder / "config.json").write_text(json.dumps({**CONFIG, "vocab_size": 1000}))
    refuse(script, "vocab_size")


@pytest.mark.parametrize("damage", [truncated, flipped])
def test_damaged_records_are_named(script, golden_dir, damage):
    path = damage(golden_dir, script.folder)
    refuse(script, re.escape(str(path)), input_file=path)


def test_records_that_are_no_records_are_named(script):
    (script.folder / "text.tfrecord").write_text("This is no TFRecord.\n" * 50)
    refuse(script, "text.tfrecord", input_file=script.folder / "text.tfrecord")
    (script.folder / "empty.tfrecord").write_bytes(b"")
    refuse(script, "empty.tfrecord", input_file=script.folder / "empty.tfrecord")


def test_a_non_finite_loss_names_its_step_and_saves_nothing(script):
    refuse(script, r"The loss of step \d+ or its gradient is not a finite", learning_rate=1e30)


def test_a_run_that_failed_at_first_may_be_corrected_in_its_folder(script):
    config = json.dumps(CONFIG)
    (script.folder / "config.json").write_text(config.replace("30522", "1000"))
    refuse(script, "vocab_size")
    (script.folder / "config.json").write_text(config)
    refuse(script, "No checkpoint", init_checkpoint="/nowhere.ckpt")
    refuse(script, "not a finite number", learning_rate=1e30)
    result = script.run("--do_train", num_train_steps=2, num_warmup_steps=0)
    assert result.returncode == 0, result.stderr


def test_words_that_are_no_flags_are_refused(script):
    result = script.run("--do_train", "--do_eval", "False")
    assert result.returncode == 1
    assert "not understood: 'False'" in result.stderr


def test_a_user_error_is_one_message_and_status_1(script):
    result = script.run("--do_train", num_train_steps=5, bert_config_file="/nowhere.json")
    assert result.returncode == 1
    assert "Error: " in result.stderr
    assert "/nowhere.json" in result.stderr
    assert "Traceback" not in result.stderr
