"""The programs on several processes and devices: the files of one process, by one of them."""

import json
import os
import shutil
import sys

import forked_python
import numpy as np
import pytest
from script_process import Script
from worker_processes import WorkerProcess, end, free_addresses, start_workers

import bert_tf
from bert_tf.model.encoder import BertEncoder
from bert_tf.training.checkpoint import save_checkpoint


@pytest.fixture
def finetuning(scripts_dir, small_model, reviews, tmp_path):
    flags = {
        **small_model,
        "task": "glue:sst-2",
        "task_options": f"data_dir={reviews}",
        "max_seq_length": 24,
        "train_batch_size": 16,
        "eval_batch_size": 7,
        "predict_batch_size": 3,
        "learning_rate": 2e-3,
        "num_train_epochs": 2.0,
        "num_workers": 1,
        "eval_steps": 16,
        "worker_timeout": 60,
    }
    return Script(scripts_dir / "finetune.py", tmp_path, flags)


def read_results(script: Script, output: str) -> dict[str, float]:
    text = (script.folder / output / "eval_results.txt").read_text()
    return {name: float(value) for name, value in (line.split(" = ") for line in text.splitlines())}


def read_predictions(script: Script, output: str) -> np.ndarray:
    return np.loadtxt(script.folder / output / "test_results.tsv")


def test_two_workers_of_tf_config_fine_tune_evaluate_and_predict_as_one_process_does(finetuning):
    script = finetuning
    asked = ("--do_train", "--do_eval", "--do_predict")
    hosts = free_addresses(2)
    cluster = {"chief": hosts[:1], "worker": hosts[1:]}
    workers = [
        WorkerProcess(
            script.command(*asked),
            script.folder / f"{job}.log",
            {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": job, "index": 0}})},
        )
        for job in ("worker", "chief")
    ]
    try:
        assert [worker.wait() for worker in workers] == [0, 0], workers[1].output
    finally:
        end(workers)
    # One process evaluates and predicts the same with these weights.
    shutil.copytree(script.folder / "out", script.folder / "alone")
    for name in ("eval_results.txt", "test_results.tsv"):
        (script.folder / "alone" / name).unlink()
    alone = script.run("--do_eval", "--do_predict", output="alone")
    assert alone.returncode == 0, alone.stderr
    assert read_results(script, "out") == pytest.approx(read_results(script, "alone"), abs=1e-5)
    np.testing.assert_allclose(
        read_predictions(script, "out"), read_predictions(script, "alone"), atol=1e-5
    )
    # The chief made the features; the other found them.
    assert "Wrote features" in workers[1].output
    assert "Wrote features" not in workers[0].output
    assert "Reusing the features" in workers[0].output
    assert set(os.listdir(script.folder / "out")) >= {"best", "task.json", "test_results.tsv"}


@pytest.fixture
def extraction(scripts_dir, small_model, tmp_path):
    """A text of 21 lines of all lengths, and a model."""
    encoder = BertEncoder(bert_tf.BertConfig.from_json_file(small_model["bert_config_file"]))
    save_checkpoint(encoder, str(tmp_path / "bert_model.ckpt"))
    words = ["the film", "is good", "a very dull plot", "fine"]
    lines = [" ".join(words[n % 4] for n in range(i, i + 1 + i % 5)) for i in range(21)]
    (tmp_path / "input.txt").write_text("\n".join(lines) + "\n")
    flags = {
        **small_model,
        "input_file": tmp_path / "input.txt",
        "init_checkpoint": tmp_path / "bert_model.ckpt",
        "layers": "-1",
        "max_seq_length": 32,
        "output_format": "npz",
        "pool": "mean",
    }

    def command(output: str, **more) -> list[str]:
        given = {**flags, "output_file": tmp_path / output, **more}
        return [
            sys.executable,
            str(scripts_dir / "extract_features.py"),
            *(f"--{name}={value}" for name, value in given.items()),
        ]

    return command


def features_in(folder, name: str) -> dict[str, np.ndarray]:
    return dict(np.load(folder / name))


def assert_same_features(folder, names: list[str]) -> None:
    first, *others = (features_in(folder, name) for name in names)
    for other in others:
        assert set(other) == set(first)
        for key, value in first.items():
            np.testing.assert_allclose(other[key], value, atol=1e-5, err_msg=key)


def test_features_are_the_same_on_three_devices_in_batches_of_seven(extraction, tmp_path):
    forked_python.run(extraction("one.npz", batch_size=5), check=True)
    forked_python.run(extraction("three.npz", batch_size=7, num_virtual_devices=3), check=True)
    assert_same_features(tmp_path, ["one.npz", "three.npz"])


@pytest.mark.slow
def test_features_are_the_same_of_two_workers(extraction, tmp_path):
    forked_python.run(extraction("one.npz", batch_size=5), check=True)
    workers = start_workers(
        lambda hosts, index: extraction(
            "two.npz", batch_size=3, worker_hosts=hosts, task_index=index
        ),
        2,
        tmp_path,
    )
    try:
        assert [worker.wait() for worker in workers] == [0, 0], workers[0].output
    finally:
        end(workers)
    assert_same_features(tmp_path, ["one.npz", "two.npz"])


@pytest.mark.slow
def test_two_workers_do_restarts_and_keep_the_best(finetuning):
    script = finetuning
    workers = start_workers(
        lambda hosts, index: script.command(
            *("--do_train", "--do_eval"), worker_hosts=hosts, task_index=index, num_restarts=2
        ),
        2,
        script.folder,
    )
    try:
        assert [worker.wait() for worker in workers] == [0, 0], workers[0].output
    finally:
        end(workers)
    content = json.loads((script.folder / "out" / "runs.json").read_text())
    assert len({run["seed"] for run in content["runs"]}) == 2
    best = next(run for run in content["runs"] if run["name"] == content["best"])
    assert read_results(script, "out")["eval_accuracy"] == pytest.approx(best["value"])
