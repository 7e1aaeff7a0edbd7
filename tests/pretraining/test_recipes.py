"""The recipes: what each says to expect; and its dry run goes from a corpus to a checkpoint."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

RECIPES = [
    f"pretrain_{size}_{devices}"
    for size in ("base", "large")
    for devices in ("tpu", "mirrored", "multi_worker")
]
RECIPES += ["pretrain_mini_laptop", "pretrain_base_one_gpu", "pretrain_medium_colab_tpu"]
RECIPES += ["pretrain_spanbert_mirrored", "pretrain_electra_small_one_gpu"]
RECIPES += ["pretrain_roberta_mirrored"]
# In a dry run.
LAYERS = {"mini": 1, "medium": 2, "base": 2, "large": 4}
LAYERS |= {"spanbert": 2, "electra": 2, "roberta": 2}
# Folders of checkpoints, with their steps: of two lengths, or of one.
TWO_LENGTHS = (("phase_1_seq32", 90), ("phase_2_seq64", 100))
FOLDERS = dict.fromkeys(RECIPES[-3:], ((".", 100),))


@pytest.fixture(scope="session")
def recipes_dir(scripts_dir):
    return scripts_dir / "recipes"


@pytest.fixture(scope="session")
def corpus(scripts_dir, tmp_path_factory):
    """The sections of this project's own documentation, a document a line."""
    pytest.importorskip("sentencex", reason="needs: pip install mwparserfromhell sentencex")
    texts = [path.read_text() for path in sorted((scripts_dir.parent / "docs").glob("*.md"))]
    documents = [section for text in texts for section in re.split(r"\n## ", text)]
    path = tmp_path_factory.mktemp("corpus") / "documentation.jsonl"
    path.write_text("".join(json.dumps({"text": document}) + "\n" for document in documents))
    return path


def dry_run(recipes_dir: Path, name: str, corpus: Path, output: Path):
    """Runs a recipe's dry run with a tenth of its steps: 90 and 10 of the two lengths."""
    values = {
        "CORPUS": corpus,
        "OUTPUT": output,
        "PYTHON": sys.executable,
        "DRYRUN_PART": 10_000,
        "NUM_WORKERS": 1,
    }
    return subprocess.run(
        ["bash", recipes_dir / f"{name}_dryrun.sh"],
        env={**os.environ, **{name: str(value) for name, value in values.items()}},
        capture_output=True,
        text=True,
        check=False,
        timeout=1200,
    )


def check_outcome(result, output: Path, num_layers: int, folders=TWO_LENGTHS) -> None:
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-5000:]
    lines = [json.loads(line) for line in (output / "model" / "metrics.jsonl").open()]
    losses = {line["step"]: line["loss"] for line in lines if "loss" in line}
    assert max(losses) == 100
    assert losses[90] < losses[10]
    assert {step for _, step in folders} <= {
        line["step"] for line in lines if "eval_masked_lm_accuracy" in line
    }
    for folder, step in folders:
        reader = tf.train.load_checkpoint(str(output / "model" / folder / f"model.ckpt-{step}"))
        assert reader.get_tensor("global_step") == step
        layer = f"encoder/layer_{num_layers - 1}/output/dense/kernel"
        scope = next(s for s in ("bert", "electra", "roberta") if reader.has_tensor(f"{s}/{layer}"))
        weight = reader.get_tensor(f"{scope}/{layer}")
        assert np.isfinite(weight).all()
        assert f"global_step = {step}" in result.stdout


def test_a_dry_run_goes_from_a_corpus_to_a_checkpoint_and_on_where_it_was(
    recipes_dir, corpus, tmp_path
):
    result = dry_run(recipes_dir, "pretrain_base_mirrored", corpus, tmp_path / "out")
    check_outcome(result, tmp_path / "out", num_layers=2)
    assert "2 devices of this machine share each batch" in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_every_dry_run_goes_from_a_corpus_to_a_checkpoint(recipes_dir, corpus, tmp_path, name):
    result = dry_run(recipes_dir, name, corpus, tmp_path / "out")
    folders = FOLDERS.get(name, TWO_LENGTHS)
    check_outcome(result, tmp_path / "out", LAYERS[name.split("_")[1]], folders)

    again = dry_run(recipes_dir, name, corpus, tmp_path / "out")
    assert again.returncode == 0, again.stderr
    assert "Training is complete at step 100" in again.stderr
    assert "== 1/4" not in again.stdout


def test_a_step_that_fails_ends_the_recipe_with_its_message(recipes_dir, corpus, tmp_path):
    broken = tmp_path / "broken.jsonl"
    broken.write_text("no JSON\n")
    result = dry_run(recipes_dir, "pretrain_base_mirrored", broken, tmp_path / "out")
    assert result.returncode != 0
    assert "Error:" in result.stderr
    assert "== 2/4" not in result.stdout


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_says_its_command_and_what_is_to_be_expected(recipes_dir, name):
    text = (recipes_dir / f"{name}.sh").read_text()
    assert f"bash run_scripts/recipes/{name}.sh" in text
    for what in ("Time", "Memory", "Storage", "Quality"):
        assert re.search(rf"^# {what} +\S", text, re.MULTILINE), what
    assert "masked_lm_loss" in text
    assert f"bash run_scripts/recipes/{name}_dryrun.sh" in (
        (recipes_dir / f"{name}_dryrun.sh").read_text()
    )


def test_every_script_of_a_recipe_can_be_parsed(recipes_dir):
    scripts = [*sorted(recipes_dir.glob("pretrain*.sh")), recipes_dir / "dryrun.sh"]
    assert len(scripts) == 2 * len(RECIPES) + 3  # And pretraining_steps.sh, pretrain_on_domain.sh.
    for script in scripts:
        subprocess.run(["bash", "-n", script], check=True)
