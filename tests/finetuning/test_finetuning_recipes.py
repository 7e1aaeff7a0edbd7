"""The recipes of fine-tuning: what each says to expect, and that what it runs can be parsed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from script_flags import flags_of

from bert_tf.tasks.task import options_of, split_options

SCRIPTS = Path(__file__).resolve().parents[2] / "run_scripts"
FOLDER = SCRIPTS / "recipes"
RECIPES = sorted(FOLDER.glob("finetune_*.sh"))

# Recipe -> its arguments, and what is given in the environment besides OUTPUT. DATA is a folder
# with files of the names below.
CALLS = {
    "finetune_albert": ([], {"SQUAD": "DATA"}),
    "finetune_codah": ([], {"CODAH": "DATA"}),
    "finetune_coref": ([], {"ONTONOTES": "DATA"}),
    "finetune_ner": ([], {"DATA": "DATA", "FEATURES": "last"}),
    "finetune_srl": ([], {"TRAIN": "DATA/train.conll", "DEV": "DATA/dev.conll"}),
    "finetune_sts": ([], {"STS": "DATA"}),
    "finetune_superglue": ([], {"SUPERGLUE": "DATA"}),
    "finetune_swag": ([], {"SWAG": "DATA"}),
    "finetune_xnli": (["zero_shot"], {"XNLI": "DATA"}),
    "finetune_xquad": ([], {"SQUAD": "DATA", "XQUAD": "DATA", "MLQA": "DATA"}),
    "ablations": (
        ["--small"],
        {"CORPUS": "DATA/text", "HELD_OUT": "DATA/text", "VOCAB_FILE": "DATA/vocab.txt"}
        | {"GLUE": "DATA", "SQUAD": "DATA", "CONLL": "DATA", "SEEDS": "1"},
    ),
    "paper": ([], {"GLUE": "DATA", "SQUAD": "DATA", "SWAG": "DATA", "CONLL": "DATA"}),
}
FILES = (
    *("vocab.txt", "train-v1.1.json", "train-v2.0.json", "train.csv", "eng.train"),
    *(f"{task}/train.tsv" for task in ("CoLA", "MNLI", "MRPC", "QNLI", "QQP", "RTE", "SST-2")),
    "STS-B/train.tsv",
)
# Records a call of a script, and makes its output folder; what is said with -c is run.
PYTHON = f"""#!/usr/bin/env bash
[[ $1 != -c ]] || exec {sys.executable} "$@"
printf '%s\\n' "${{1##*/}}" "${{@:2}}" "" >> "$CALLS"
for argument; do [[ $argument != --output_dir=* ]] || mkdir -p "${{argument#*=}}"; done
"""


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_says_what_to_expect(recipe):
    text = recipe.read_text()
    assert f"bash run_scripts/recipes/{recipe.name}" in text
    for what in ("Data", "Published", "Time"):
        assert re.search(rf"^# {what} +\S", text, re.MULTILINE), what


def test_every_recipe_is_in_the_list():
    names = {path.stem for path in FOLDER.glob("*.sh")}
    others = {name for name in names if name.startswith("pretrain")} | {"dryrun"}
    assert names - others == CALLS.keys()


@pytest.fixture
def calls_of(tmp_path):
    """Returns the calls of scripts by a recipe: lists of a script and its arguments."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    python = tmp_path / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)

    def calls_of(recipe):
        arguments, given = CALLS[recipe]
        environment = {name: value.replace("DATA", str(tmp_path)) for name, value in given.items()}
        environment |= {"OUTPUT": str(tmp_path / "out"), "CALLS": str(tmp_path / "calls")}
        command = ["bash", FOLDER / f"{recipe}.sh", *arguments]
        environment = {**os.environ, "PYTHON": str(python), **environment}
        result = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        calls = (tmp_path / "calls").read_text().removesuffix("\n\n").split("\n\n")
        return [call.split("\n") for call in calls]

    return calls_of


@pytest.mark.parametrize("recipe", CALLS)
def test_a_recipe_gives_flags_and_options_that_exist(calls_of, recipe):
    calls = [call for call in calls_of(recipe) if call[0] != "compare_with_paper.py"]
    assert any(script == "finetune.py" for script, *_ in calls)
    for script, *arguments in calls:
        flags = dict(argument.removeprefix("--").partition("=")[::2] for argument in arguments)
        known = flags_of(SCRIPTS / script)
        if script == "finetune.py":
            options = {field.name for field in options_of(flags["task"])}
            assert split_options(flags.get("task_options", "")).keys() <= options
            known |= options
        assert flags.keys() <= known
