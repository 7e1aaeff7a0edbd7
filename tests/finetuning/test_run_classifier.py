"""run_classifier.py and finetune.py as real processes: flags, kills and signals, errors."""

import json
import os
import re
import signal
import sys
import time
from pathlib import Path

import forked_python
import pytest
from script_process import Script, assert_same_weights, wait_for_file

from bert_tf.inference.predictor import Predictor

# The 25 flags of the original.
ORIGINAL_FLAGS = {
    *("data_dir", "bert_config_file", "task_name", "vocab_file", "output_dir", "init_checkpoint"),
    *("do_lower_case", "max_seq_length", "do_train", "do_eval", "do_predict", "train_batch_size"),
    *("eval_batch_size", "predict_batch_size", "learning_rate", "num_train_epochs"),
    *("warmup_proportion", "save_checkpoints_steps", "iterations_per_loop", "use_tpu", "tpu_name"),
    *("tpu_zone", "gcp_project", "master", "num_tpu_cores"),
}


def make_script(scripts_dir: Path, model: dict[str, str], reviews: str, folder: Path) -> Script:
    flags = {
        **model,
        "task_name": "SST-2",
        "data_dir": reviews,
        "max_seq_length": 24,
        "train_batch_size": 16,
        "learning_rate": 2e-3,
        "num_train_epochs": 5.0,
        "save_checkpoints_steps": 20,
        "num_workers": 1,
    }
    return Script(scripts_dir / "run_classifier.py", folder, flags)


@pytest.fixture
def script(scripts_dir, small_model, reviews, tmp_path):
    return make_script(scripts_dir, small_model, reviews, tmp_path)


LONG = {"eval_steps": 10, "num_train_epochs": 8.0}


@pytest.fixture(scope="module")
def whole_run(scripts_dir, small_model, reviews, tmp_path_factory):
    """A run of 128 steps that nobody disturbs."""
    script = make_script(scripts_dir, small_model, reviews, tmp_path_factory.mktemp("whole"))
    result = script.run("--do_train", "--do_eval", **LONG)
    assert result.returncode == 0, result.stderr
    return script


def test_the_original_s_command_line_trains_evaluates_and_predicts(script):
    result = script.run(
        *("--do_train=true", "--do_eval=true", "--do_predict=True", "--do_lower_case=True"),
        *("--warmup_proportion=0.1", "--iterations_per_loop=1000", "--eval_batch_size=8"),
        *("--predict_batch_size=8", "--use_tpu=False", "--num_tpu_cores=8"),
    )
    assert result.returncode == 0, result.stderr
    assert "80/80 steps" in result.stderr
    text = (script.folder / "out" / "eval_results.txt").read_text()
    number = r"\d+\.\d+(e-\d+)?"
    assert re.fullmatch(
        rf"eval_accuracy = {number}\neval_loss = {number}\nglobal_step = 80\nloss = {number}\n",
        text,
    )
    lines = (script.folder / "out" / "test_results.tsv").read_text().splitlines()
    readme = (script.folder / "out" / "README.md").read_text()
    assert re.search(r"Fine-tuned for the task .*\n.*for 80 steps(.|\n)*eval_accuracy: ", readme)
    assert len(lines) == 11
    for line in lines:
        assert sum(map(float, line.split("\t"))) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("when", ["saved", "evaluated"])
def test_a_killed_run_ends_with_the_weights_of_one_that_was_not(whole_run, script, when):
    process = script.start("--do_train", "--do_eval", **LONG)
    name = "model.ckpt-40.index" if when == "saved" else "best/checkpoint"
    wait_for_file(script.folder / "out" / name, process)
    time.sleep(0.1 if when == "saved" else 0.0)
    process.send(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    again = script.run("--do_train", "--do_eval", fresh=when == "saved", **LONG)
    assert again.returncode == 0, again.stderr
    assert_same_weights(script.checkpoint(128), whole_run.checkpoint(128))
    results = [(each.folder / "out/eval_results.txt").read_text() for each in (script, whole_run)]
    assert results[0] == results[1]


def test_sigterm_saves_and_the_same_command_goes_on(script):
    process = script.start("--do_train", num_train_epochs=200.0)
    wait_for_file(script.folder / "out" / "model.ckpt-20.index", process)
    process.send(signal.SIGTERM)
    assert process.wait(60) == 128 + signal.SIGTERM, process.output
    step = int(re.search(r"at step (\d+), which is saved", process.output)[1])
    assert (script.folder / "out" / f"model.ckpt-{step}.index").exists()


def test_all_flags_of_the_original_are_there(script):
    text = script.run("--helpfull").stdout
    flags = set(re.findall(r"--(?:\[no\])?(\w+)", text))
    assert flags >= ORIGINAL_FLAGS
    assert {"text_a_column", "labels", "num_restarts", "freeze", "language"} <= flags


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"task_name": "SST-3"}, "There is no task 'SST-3'. Did you mean sst-2\\?.* cola"),
        ({"task_name": "csv"}, "no task 'csv'.*Your own table, as TSV, CSV or JSON lines, is the"),
        ({"task_name": "squad"}, "no task 'squad'.*There are: cola, .* xnli"),
        ({"data_dir": "/nowhere"}, "/nowhere"),
        ({"regression": True}, "--regression is for tsv; glue:sst-2 has no such option"),
        ({"max_seq_length": 64}, "max_position_embeddings is 32"),
        ({"vocab_file": "/nowhere/vocab.txt"}, "/nowhere/vocab.txt"),
        ({"learning_rate": -1}, "learning_rate must be a number"),
    ],
)
def test_mistakes_are_one_message_without_a_traceback(script, flags, message):
    result = script.run("--do_train", **flags)
    assert result.returncode == 1
    assert re.search(f"Error: .*{message}", result.stderr, re.DOTALL)
    assert "Traceback" not in result.stderr


def test_a_row_that_is_wrong_is_named_with_file_and_line(script, reviews, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    lines = Path(reviews, "train.tsv").read_text().splitlines()
    lines[7] = lines[7][:-1] + "7"
    (data / "train.tsv").write_text("\n".join(lines) + "\n")
    result = script.run("--do_train", data_dir=data)
    assert result.returncode == 1
    assert re.search(r"train\.tsv:8.*'7'.*0, 1", result.stderr)
    assert not list((script.folder / "out").glob("*.tf_record"))


def test_own_data_needs_no_code(script, reviews, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for name in ("train", "dev"):
        rows = [
            line.split("\t") for line in Path(reviews, f"{name}.tsv").read_text().splitlines()[1:]
        ]
        content = [{"review": text, "verdict": ["bad", "good"][int(label)]} for text, label in rows]
        text = "".join(json.dumps(row) + "\n" for row in content)
        (data / f"{name}.jsonl").write_text(text)
    flags = {"task_name": "tsv", "data_dir": data, "text_a_column": "review"}
    result = script.run(
        "--do_train", "--do_eval", label_column="verdict", num_train_epochs=12, **flags
    )
    assert result.returncode == 0, result.stderr
    assert json.loads((tmp_path / "out" / "task.json").read_text())["labels"] == ["bad", "good"]
    # Predictions know the labels without the training file.
    os.remove(data / "train.jsonl")
    (data / "test.jsonl").write_text('{"review": "a good film"}\n{"review": "the plot is bad"}\n')
    result = script.run("--do_predict", label_column="verdict", **flags)
    assert result.returncode == 0, result.stderr
    rows = (tmp_path / "out" / "predictions.jsonl").read_text().splitlines()
    assert [json.loads(row)["label"] for row in rows] == ["good", "bad"]


def test_finetune_is_the_general_form(script, scripts_dir, reviews):
    script.program = str(scripts_dir / "finetune.py")
    script.flags.pop("task_name")
    result = script.run("--task=glue:sst-2", "--do_train", "--do_eval")
    assert result.returncode == 0, result.stderr
    first = (script.folder / "out" / "eval_results.txt").read_text()
    script.flags.pop("data_dir")
    options = f"--task_options=data_dir={reviews}"
    result = script.run("--task=glue:sst-2", options, "--do_eval")
    assert result.returncode == 0, result.stderr
    assert (script.folder / "out" / "eval_results.txt").read_text() == first


def test_the_guide_s_own_task_is_trained_from_any_folder(script, scripts_dir, tmp_path):
    guide = (scripts_dir.parent / "docs" / "own_task.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    (tmp_path / "trec.py").write_text(code)
    # So many that they are encoded by other processes, which must find the task too.
    questions = ["HUM:ind Who is the cast ?\n", "DESC:def What is a plot ?\n"] * 1001
    (tmp_path / "train_5500.label").write_text("".join(questions))
    (tmp_path / "TREC_10.label").write_text("".join(questions[:6]))
    script.program = str(scripts_dir / "finetune.py")
    script.flags |= {"task_name": None, "data_dir": "."}
    flags = {"num_train_epochs": 0.02, "num_workers": 2}
    command = script.command("--task_module=trec.py", "--do_train", "--do_eval", **flags)
    result = forked_python.run(command, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "trec, train: 6 labels: 'DESC': 1,001, 'HUM': 1,001, 'ABBR': 0" in result.stderr
    assert "eval_accuracy" in (script.folder / "out" / "eval_results.txt").read_text()
    # Whoever uses the model needs no such file.
    (tmp_path / "trec.py").unlink()
    (answer,) = Predictor(str(script.folder / "out")).predict(["Who is the cast ?"])
    assert answer.label in ("HUM", "DESC")


def test_finetune_lists_all_tasks_and_their_options(script, scripts_dir):
    script.program = str(scripts_dir / "finetune.py")
    result = forked_python.run([sys.executable, script.program, "--list_tasks"], check=True)
    for name in ("glue:cola", "glue:ax", "xnli", "tsv", "squad"):
        assert name in result.stdout
    assert "doc_stride=128: " in result.stdout
