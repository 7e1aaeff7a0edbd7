"""Two processes that train together, as real processes with real signals: nothing is lost."""

import json
import os
import random
import re
import shutil
import signal
import time

import pytest
from script_process import Script, assert_same_weights
from worker_processes import (
    WorkerProcess,
    end,
    flip_a_byte,
    free_addresses,
    newest_step,
    start_workers,
    wait_until,
)

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
LOST, STOPPED = 75, 128 + signal.SIGTERM


def make_script(scripts_dir, folder, golden_dir) -> Script:
    (folder / "config.json").write_text(json.dumps(CONFIG))
    flags = {
        "bert_config_file": folder / "config.json",
        "input_file": golden_dir / "pretraining_data" / "default-*.tfrecord",
        "train_batch_size": 8,
        "num_train_steps": STEPS,
        "num_warmup_steps": 5,
        "learning_rate": 1e-2,
        "log_steps": 20,
        "save_checkpoints_steps": SAVED,
        "iterations_per_loop": 5,
        "eval_batch_size": 3,
        "max_eval_steps": 4,
        "worker_timeout": 20,
    }
    return Script(scripts_dir / "run_pretraining.py", folder, flags)


@pytest.fixture
def start(scripts_dir, tmp_path, golden_dir):
    """Starts two workers in one folder; whatever is left of them is killed in the end."""
    script = make_script(scripts_dir, tmp_path, golden_dir)
    started = []

    def start(*arguments, largest_file=None, **flags):
        workers = start_workers(
            lambda hosts, index: script.command(
                *("--do_train", *arguments), worker_hosts=hosts, task_index=index, **flags
            ),
            2,
            tmp_path,
            largest_file,
        )
        started.extend(workers)
        return workers

    start.script, start.folder = script, tmp_path / "out"
    yield start
    end(started)


@pytest.fixture(scope="module")
def whole_run(scripts_dir, tmp_path_factory, golden_dir):
    """A run of two workers that nobody disturbs."""
    folder = tmp_path_factory.mktemp("whole")
    script = make_script(scripts_dir, folder, golden_dir)
    workers = start_workers(
        lambda hosts, index: script.command(
            *("--do_train", "--do_eval"), worker_hosts=hosts, task_index=index
        ),
        2,
        folder,
    )
    try:
        assert [worker.wait() for worker in workers] == [0, 0], workers[0].output
    finally:
        end(workers)
    return script, workers


def wait_for_step(start, step, workers):
    wait_until(lambda: newest_step(start.folder) >= step, workers)


def kill_somewhere(start, workers, victims, rng) -> None:
    """SIGKILL at a random moment after the next checkpoint."""
    before = newest_step(start.folder)
    wait_until(lambda: newest_step(start.folder) > before, workers)
    time.sleep(rng.uniform(0, 0.1))
    for victim in victims:
        victim.send(signal.SIGKILL)


def test_one_of_them_writes_and_both_share_the_work(whole_run):
    script, (chief, other) = whole_run
    names = os.listdir(script.folder / "out")
    assert sum(name.startswith("events.out") for name in names) == 1
    assert len(os.listdir(script.folder / "out" / "eval")) == 1
    assert {"checkpoint", "metrics.jsonl", "eval_results.txt", "run_settings.json"} <= set(names)
    assert not [name for name in names if "tmp" in name]
    assert f"{STEPS}/{STEPS} steps" in chief.output
    assert "steps/s" not in other.output
    steps = [line["step"] for line in script.metrics() if "loss" in line]
    assert steps == list(range(20, STEPS + 1, 20))


def test_whatever_happens_to_workers_a_restart_ends_with_the_same_bits(whole_run, start):
    """The newest checkpoint is never lost, and who is left says so and leaves."""
    script, _ = whole_run
    rng = random.Random(6)

    # One is killed: the other does not hang.
    workers = start()
    kill_somewhere(start, workers, workers[1:], rng)
    assert workers[0].wait(60) == LOST
    assert re.search(
        r"Worker 0 of 2 lost another one, and ends: .*Start all workers again", workers[0].output
    )

    # One hangs, as if its machine did: it is noticed within --worker_timeout.
    workers = start(worker_timeout=10)
    wait_for_step(start, newest_step(start.folder) + SAVED, workers)
    workers[0].send(signal.SIGSTOP)
    began = time.monotonic()
    assert workers[1].wait(120) == LOST
    assert time.monotonic() - began < 60
    assert "Worker 1 of 2 lost another one" in workers[1].output
    end(workers)

    # One is told to stop: both save the same step first.
    workers = start()
    wait_for_step(start, newest_step(start.folder) + SAVED, workers)
    workers[1].send(signal.SIGTERM)
    began = time.monotonic()
    assert [worker.wait(60) for worker in workers] == [STOPPED, STOPPED]
    saved = [
        re.search(r"Stopped by signal 15 at step (\d+), which is saved", worker.output).group(1)
        for worker in workers
    ]
    assert saved == [str(newest_step(start.folder))] * 2
    assert time.monotonic() - began < 30

    workers = start()
    assert [worker.wait() for worker in workers] == [0, 0], workers[0].output
    assert "Resuming from" in workers[0].output
    assert_same_weights(start.script.checkpoint(STEPS), script.checkpoint(STEPS))


@pytest.mark.slow
def test_twenty_kills_at_random_moments_change_no_bit(whole_run, start):
    """Of one worker, of the other, of both, and of both while a checkpoint is being written."""
    script, _ = whole_run
    rng = random.Random(2026)
    kills, rounds = 0, 0
    while kills < 20:
        rounds += 1
        if newest_step(start.folder) >= STEPS - SAVED:  # Too near to its end: begun anew.
            finish(start, script)
            shutil.rmtree(start.folder)
        workers = start()
        if rounds % 5 == 0:
            wait_until(lambda: is_writing(start.folder), workers)
            victims = workers
            for victim in victims:
                victim.send(signal.SIGKILL)
        else:
            victims = rng.choice([workers[:1], workers[1:], workers])
            kill_somewhere(start, workers, victims, rng)
        kills += 1
        statuses = [worker.wait(90) for worker in workers]
        for worker, status in zip(workers, statuses, strict=True):
            assert status == (-signal.SIGKILL if worker in victims else LOST), worker.output
    finish(start, script)


def finish(start, whole: Script) -> None:
    workers = start()
    assert [worker.wait() for worker in workers] == [0, 0], workers[0].output
    assert_same_weights(start.script.checkpoint(STEPS), whole.checkpoint(STEPS))
    assert not is_writing(start.folder)


def is_writing(folder) -> bool:
    """Whether there is a checkpoint that is not whole, beside one that is."""
    return newest_step(folder) > 0 and any(".tmp-" in name for name in os.listdir(folder))


@pytest.mark.slow
def test_a_full_disk_and_a_damaged_checkpoint_change_no_bit(whole_run, start):
    script, _ = whole_run
    workers = start()
    wait_for_step(start, 2 * SAVED, workers)
    for worker in workers:
        worker.send(signal.SIGKILL)
    for worker in workers:
        worker.wait()
    before = set(os.listdir(start.folder))

    # No file may be larger than 1 MB, as on a disk with no more room.
    workers = start(largest_file=1 << 20)
    statuses = [worker.wait(90) for worker in workers]
    assert statuses == [1, LOST], workers[0].output
    assert re.search(
        r"Error: .*/model\.ckpt-\d+: the checkpoint cannot be written", workers[0].output
    )
    assert {name for name in before if "tmp" not in name} <= set(os.listdir(start.folder))
    assert not is_writing(start.folder)

    flip_a_byte(start.folder / f"model.ckpt-{newest_step(start.folder)}.data-00000-of-00001")
    workers = start()
    assert [worker.wait() for worker in workers] == [0, 0], workers[0].output
    for worker in workers:
        assert "Trying the one before it" in worker.output
    assert_same_weights(start.script.checkpoint(STEPS), script.checkpoint(STEPS))


@pytest.mark.parametrize("index", [0, 1])
def test_a_worker_whose_others_do_not_come_says_so(scripts_dir, tmp_path, golden_dir, index):
    script = make_script(scripts_dir, tmp_path, golden_dir)
    hosts = free_addresses(2)
    result = script.run(
        "--do_train", worker_hosts=",".join(hosts), task_index=index, worker_timeout=2
    )
    assert result.returncode == 1
    assert re.search(
        rf"Error: Worker {index} of .* did not meet the others within 2 s", result.stderr
    )
    if index == 0:
        assert f"nobody answers at {hosts[1]}" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(("index", "number"), [(0, signal.SIGTERM), (1, signal.SIGINT)])
def test_a_signal_ends_a_worker_that_waits_for_others(
    scripts_dir, tmp_path, golden_dir, index, number
):
    script = make_script(scripts_dir, tmp_path, golden_dir)
    command = script.command(
        *("--do_train", f"--worker_hosts={','.join(free_addresses(2))}", f"--task_index={index}"),
        "--worker_timeout=300",
    )
    worker = WorkerProcess(command, tmp_path / "worker.log")
    try:
        wait_until(lambda: "waits for the others" in worker.output, [worker])
        time.sleep(1)
        worker.send(number)
        assert worker.wait(30) in (-number, 128 + number)
    finally:
        end([worker])
