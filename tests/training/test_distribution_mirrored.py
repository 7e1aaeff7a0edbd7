"""Two devices of one process: killed, out of room on the disk, with a damaged checkpoint."""

import json
import os
import re
import signal

import pytest
from script_process import Script, assert_same_weights
from worker_processes import WorkerProcess, end, flip_a_byte, newest_step, wait_until

CONFIG = {
    "vocab_size": 30522,
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 128,
    "type_vocab_size": 2,
}
STEPS, SAVED = 120, 10


@pytest.fixture
def script(scripts_dir, tmp_path, golden_dir):
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    flags = {
        "bert_config_file": tmp_path / "config.json",
        "input_file": golden_dir / "pretraining_data" / "default-*.tfrecord",
        "train_batch_size": 8,
        "num_train_steps": STEPS,
        "num_warmup_steps": 5,
        "learning_rate": 1e-2,
        "log_steps": 20,
        "save_checkpoints_steps": SAVED,
        "keep_checkpoint_max": 0,
        "iterations_per_loop": 5,
        "distribution_strategy": "mirrored",
        "num_virtual_devices": 2,
    }
    return Script(scripts_dir / "run_pretraining.py", tmp_path, flags)


def test_whatever_happens_a_restart_ends_with_the_same_bits(script, tmp_path):
    whole = script.run("--do_train", "--do_eval", output="whole", eval_batch_size=3)
    assert whole.returncode == 0, whole.stderr
    folder, log = tmp_path / "out", tmp_path / "log"

    # Killed in the middle of a checkpoint that is being written.
    process = WorkerProcess(script.command("--do_train"), log)
    try:
        wait_until(
            lambda: (
                newest_step(folder) >= 2 * SAVED
                and any(".tmp-" in name for name in os.listdir(folder))
            ),
            [process],
        )
        process.send(signal.SIGKILL)
        process.wait()
    finally:
        end([process])
    killed_at = newest_step(folder)
    assert 2 * SAVED <= killed_at < STEPS

    # The disk is full: no file may be larger than 1 MB.
    process = WorkerProcess(script.command("--do_train"), log, largest_file=1 << 20)
    assert process.wait() == 1, process.output
    expected = rf"Error: .*/model\.ckpt-{killed_at + SAVED}: the checkpoint cannot be written"
    assert re.search(expected, process.output)
    assert "Traceback" not in process.output
    assert newest_step(folder) == killed_at
    assert not [name for name in os.listdir(folder) if "tmp" in name]

    # The newest checkpoint is damaged: the one before it is taken.
    flip_a_byte(folder / f"model.ckpt-{killed_at}.data-00000-of-00001")
    last = script.run("--do_train")
    assert last.returncode == 0, last.stderr
    assert f"model.ckpt-{killed_at}: the checkpoint cannot be read" in last.stderr
    assert "Trying the one before it" in last.stderr
    assert_same_weights(script.checkpoint(STEPS), script.checkpoint(STEPS, "whole"))


def test_a_batch_that_the_devices_cannot_share_is_refused(script):
    result = script.run("--do_train", train_batch_size=9)
    assert result.returncode == 1
    assert "--train_batch_size=9 cannot be split evenly over 2 devices" in result.stderr
