"""The recipes of the paper's tables and ablations: their table, and a run of each in miniature."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def recipes_dir(scripts_dir):
    return scripts_dir / "recipes"


def compare(recipes_dir, *arguments):
    return subprocess.run(
        [sys.executable, recipes_dir / "compare_with_paper.py", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def write_results(folder: Path, **metrics: float) -> None:
    folder.mkdir(parents=True)
    text = "".join(f"{name} = {value}\n" for name, value in metrics.items())
    (folder / "eval_results.txt").write_text(text)


def test_a_table_has_the_mean_of_the_seeds_beside_the_published_figure(recipes_dir, tmp_path):
    for seed, accuracy in ((1, 0.80), (2, 0.82)):
        write_results(tmp_path / f"runs/no_nsp/seed-{seed}/mrpc", eval_accuracy=accuracy)
    write_results(tmp_path / "runs/bert/seed-1/squad", eval_f1=71.5, eval_exact=60)
    result = compare(recipes_dir, "--tables=table_5", tmp_path)
    assert result.returncode == 0, result.stderr
    assert (
        "| No NSP | - (83.9) | - (84.9) | 81.0 ± 1.4 (86.5) | - (92.6) | - (87.9) |"
        in result.stdout
    )
    assert (
        "| BERT-Base | - (84.4) | - (88.4) | - (86.7) | - (92.7) | 71.5 (88.5) |" in result.stdout
    )
    assert (tmp_path / "comparison.md").read_text() in result.stdout
    (table,) = json.loads((tmp_path / "comparison.json").read_text())
    assert table["rows"]["No NSP"]["MRPC"] == {"values": [80.0, 82.0], "published": 86.5}


def test_perplexity_is_e_to_the_loss(recipes_dir, tmp_path):
    write_results(tmp_path / "runs/size_1/seed-1/pretraining", masked_lm_loss=2.0)
    result = compare(recipes_dir, "--tables=table_6", tmp_path)
    assert "| 3, 768, 12 | 7.4 (5.84) |" in result.stdout


def test_f1_of_entities_is_in_percent_already(recipes_dir, tmp_path):
    write_results(tmp_path / "runs/fine_tuned/seed-1/ner", eval_f1=86.6)
    result = compare(recipes_dir, "--tables=table_7", tmp_path)
    assert "| fine-tuned, BERT-Base | 86.6 (96.4) |" in result.stdout


def test_a_folder_of_something_else_is_refused(recipes_dir, tmp_path):
    result = compare(recipes_dir, tmp_path)
    assert result.returncode == 2
    assert "has no folder runs/" in result.stderr


def test_a_table_that_is_none_is_refused(recipes_dir, tmp_path):
    result = compare(recipes_dir, "--tables=table_9", tmp_path)
    assert result.returncode == 2
    assert "there is no table_9; there are table_1," in result.stderr


@pytest.fixture(scope="module")
def studied(recipes_dir, tmp_path_factory):
    """The output of two studies in miniature, of a corpus of this project's documentation."""
    folder = tmp_path_factory.mktemp("study")
    words = sorted({word for line in SENTENCES for word in line.split()})
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    document = "\n".join(SENTENCES * 3)
    (folder / "text.txt").write_text("\n\n".join([document] * 6) + "\n")
    glue = folder / "glue" / "MRPC"
    glue.mkdir(parents=True)
    header = "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String"
    pairs = [f"{i % 2}\t{i}\t{i}\t{SENTENCES[i % 4]}\t{SENTENCES[-(i % 3)]}" for i in range(40)]
    for name in ("train", "dev"):
        (glue / f"{name}.tsv").write_text("\n".join([header, *pairs]) + "\n")
    small = {"STEPS": 8, "BATCH": 4, "LENGTH": 16, "WIDTH": 8, "LAYERS": 1, "HEADS": 2, "EPOCHS": 1}
    values = {
        "CORPUS": folder / "text.txt",
        "HELD_OUT": folder / "text.txt",
        "VOCAB_FILE": folder / "vocab.txt",
        "GLUE": folder / "glue",
        "OUTPUT": folder / "ablations",
        "STUDIES": "objectives,steps",
        "SEEDS": "1",
        "NUM_WORKERS": 1,
        "NUM_SHARDS": 2,
        "PYTHON": sys.executable,
        **small,
    }
    environment = {**os.environ, **{name: str(value) for name, value in values.items()}}
    command = ["bash", recipes_dir / "ablations.sh", "--small"]
    runs = [
        subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        for _ in range(2)
    ]
    return folder / "ablations", runs


SENTENCES = (
    "the cat sat on the mat .",
    "it was warm there , and it slept .",
    "a dog came by and saw the cat .",
    "the cat woke up and ran away .",
)


@pytest.mark.slow
def test_the_ablations_end_with_a_table_of_every_row(studied):
    folder, (first, _) = studied
    assert first.returncode == 0, first.stdout[-2000:] + first.stderr[-4000:]
    content = json.loads((folder / "comparison.json").read_text())
    tables = {table["name"]: table for table in content}
    for row in ("BERT-Base", "No NSP", "LTR & No NSP", "+ BiLSTM"):
        assert len(tables["table_5"]["rows"][row]["MRPC"]["values"]) == 1, row
    assert len(tables["figure_5"]["rows"]) == 6
    for cells in tables["figure_5"]["rows"].values():
        assert len(cells["MRPC"]["values"]) == 1
    config = json.loads(
        (folder / "runs/left_to_right_bilstm/seed-1/mrpc/bert_config.json").read_text()
    )
    assert config["is_causal"]
    assert config["bilstm_layers"] == 1


@pytest.mark.slow
def test_started_again_nothing_is_trained_twice(studied):
    _, (_, second) = studied
    assert second.returncode == 0
    assert "== Pre-training:" not in second.stdout
    assert "== Fine-tuning:" not in second.stdout
    assert "== Our figures" in second.stdout
