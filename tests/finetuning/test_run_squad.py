"""run_squad.py as a real process: its flags, its files, its memory of what was done."""

import gzip
import json
import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from script_process import Script

# The 30 flags of the original.
ORIGINAL_FLAGS = {
    *("bert_config_file", "vocab_file", "output_dir", "train_file", "predict_file"),
    *("init_checkpoint", "do_lower_case", "max_seq_length", "doc_stride", "max_query_length"),
    *("do_train", "do_predict", "train_batch_size", "predict_batch_size", "learning_rate"),
    *("num_train_epochs", "warmup_proportion", "save_checkpoints_steps", "iterations_per_loop"),
    *("n_best_size", "max_answer_length", "use_tpu", "tpu_name", "tpu_zone", "gcp_project"),
    *("master", "num_tpu_cores", "verbose_logging", "version_2_with_negative"),
    "null_score_diff_threshold",
}
CONFIG = {
    "vocab_size": 2000,
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
}


def make_script(scripts_dir: Path, golden_dir: Path, folder: Path) -> Script:
    (folder / "config.json").write_text(json.dumps(CONFIG))
    flags = {
        "bert_config_file": folder / "config.json",
        "vocab_file": scripts_dir.parent / "vocab" / "english_uncased_2000.txt",
        "train_file": golden_dir / "squad_v1" / "input.json.gz",
        "predict_file": golden_dir / "squad_v1" / "input.json.gz",
        "max_seq_length": 128,
        "doc_stride": 64,
        "num_train_epochs": 1.0,
        "num_workers": 1,
    }
    return Script(scripts_dir / "run_squad.py", folder, flags)


@pytest.fixture
def run(scripts_dir, golden_dir, tmp_path):
    return make_script(scripts_dir, golden_dir, tmp_path).run


def questions(path: Path) -> list[str]:
    data = json.loads(gzip.decompress(path.read_bytes()))["data"]
    return [qa["id"] for article in data for p in article["paragraphs"] for qa in p["qas"]]


@pytest.fixture(scope="module")
def trained(scripts_dir, golden_dir, tmp_path_factory):
    """The folder of a run that trains, answers and scores."""
    folder = tmp_path_factory.mktemp("trained")
    script = make_script(scripts_dir, golden_dir, folder)
    result = script.run("--do_train=True", "--do_predict=True", "--do_eval")
    assert result.returncode == 0, result.stderr
    assert "input.json.gz is trained on and evaluated" in result.stderr
    return folder


def test_it_trains_answers_and_scores(trained, golden_dir):
    out = trained / "out"
    ids = questions(golden_dir / "squad_v1" / "input.json.gz")
    lines = map(json.loads, (out / "eval_predictions.jsonl").read_text().splitlines())
    correct = {line["id"]: line["correct"] for line in lines if line["question"] and line["gold"]}
    assert list(correct) == ids
    errors = map(json.loads, (out / "eval_errors.jsonl").read_text().splitlines())
    assert [line["id"] for line in errors if line["correct"]] == []
    score = json.loads((out / "eval_report.json").read_text())["metrics"]["eval_exact_match"]
    assert sum(correct.values()) / len(ids) == pytest.approx(score / 100)
    predictions = json.loads((out / "predictions.json").read_text())
    assert list(predictions) == ids
    best = json.loads((out / "nbest_predictions.json").read_text())
    for id_, answers in best.items():
        assert 1 <= len(answers) <= 20
        assert sum(answer["probability"] for answer in answers) == pytest.approx(1.0)
        assert predictions[id_] == answers[0]["text"]
    results = dict(
        line.split(" = ") for line in (out / "eval_results.txt").read_text().splitlines()
    )
    assert {"eval_exact_match", "eval_f1", "global_step"} <= set(results)
    # Steps are counted from questions, not from their windows, as the original does.
    assert int(results["global_step"]) == len(ids) // 32
    assert {"train.tf_record", "eval.tf_record"} <= {path.name for path in out.iterdir()}


def test_questions_without_right_answers_are_counted_before_training_and_predicted(
    run, golden_dir, tmp_path
):
    content = json.loads(gzip.decompress((golden_dir / "squad_v1" / "input.json.gz").read_bytes()))
    paragraph = content["data"][0]["paragraphs"][0]
    del paragraph["qas"][0]["answers"]
    ids = [qa["id"] for qa in paragraph["qas"]]
    content["data"] = [{"paragraphs": [paragraph]}]
    (tmp_path / "dev.json").write_text(json.dumps(content))
    flags = ("--do_train", "--do_predict", "--do_eval")
    result = run(*flags, predict_file=tmp_path / "dev.json", num_train_epochs=0.4)
    assert result.returncode == 0, result.stderr
    before, _, _ = result.stderr.partition("1 steps of 32 examples")
    assert f"1 of {len(ids)} questions have no correct answers" in before
    assert f"such as data[0].paragraphs[0].qas[0] ({ids[0]})" in before
    assert list(json.loads((tmp_path / "out" / "predictions.json").read_text())) == ids
    results = (tmp_path / "out" / "eval_results.txt").read_text()
    assert f"eval_total = {len(ids) - 1}.0\n" in results


def test_the_pooler_of_which_no_answer_depends_is_not_trained(trained):
    reader = tf.train.load_checkpoint(str(trained / "out"))
    names = set(reader.get_variable_to_shape_map())
    assert "cls/squad/output_weights/adam_m" in names
    assert "bert/pooler/dense/kernel" in names
    assert "bert/pooler/dense/kernel/adam_m" not in names


def test_version_2_writes_null_odds_and_the_best_threshold(run, golden_dir, tmp_path):
    path = golden_dir / "squad_v2" / "input.json.gz"
    result = run(
        *("--do_train", "--do_predict", "--do_eval", "--version_2_with_negative"),
        train_file=path,
        predict_file=path,
    )
    assert result.returncode == 0, result.stderr
    odds = json.loads((tmp_path / "out" / "null_odds.json").read_text())
    assert list(odds) == questions(path)
    assert all(np.isfinite(value) for value in odds.values())
    results = (tmp_path / "out" / "eval_results.txt").read_text()
    assert "eval_best_f1_thresh" in results
    assert "eval_HasAns_f1" in results


def test_padding_can_be_left_out_of_the_reckoning(run, tmp_path):
    """With mask_padding batches are as long as their longest window, whatever the batch."""
    assert run("--do_train", "--mask_padding", "--do_predict").returncode == 0
    first = json.loads((tmp_path / "out" / "nbest_predictions.json").read_text())
    result = run(
        *("--mask_padding", "--do_predict", "--nolength_buckets", "--predict_batch_size=3")
    )
    assert result.returncode == 0, result.stderr
    again = json.loads((tmp_path / "out" / "nbest_predictions.json").read_text())
    for id_, answers in first.items():
        assert [a["text"] for a in answers] == [a["text"] for a in again[id_]]
        for a, b in zip(answers, again[id_], strict=True):
            assert a["probability"] == pytest.approx(b["probability"], abs=1e-5)


def test_all_flags_of_the_original_are_there(run):
    flags = set(re.findall(r"--(?:\[no\])?(\w+)", run("--helpfull").stdout))
    assert flags >= ORIGINAL_FLAGS


@pytest.mark.parametrize(
    ("arguments", "flags", "message"),
    [
        ([], {}, "Nothing to do"),
        (["--do_train"], {"train_file": None}, "--do_train needs --train_file"),
        (["--do_predict"], {"predict_file": None}, "--do_predict needs --predict_file"),
        (["--do_predict", "--untrained"], {"max_seq_length": 67}, "max_query_length"),
        (["--do_predict"], {"max_seq_length": 1024}, "max_position_embeddings is 512"),
        (["--do_train"], {"train_file": "/nowhere.json"}, "/nowhere.json"),
    ],
)
def test_mistakes_are_one_message(run, arguments, flags, message):
    result = run(*arguments, **flags)
    assert result.returncode == 1
    assert "Error: " in result.stderr
    assert message in result.stderr
    assert "Traceback" not in result.stderr
