"""The recipes that start from a model: what each says to expect, and whether their flags exist."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from script_flags import flags_of

import bert_tf
from bert_tf.tasks.task import options_of, split_options

SCRIPTS = Path(__file__).resolve().parents[2] / "run_scripts"
FOLDER = SCRIPTS / "recipes"
RECIPES = sorted([*FOLDER.glob("finetune_*.sh"), *FOLDER.glob("distill_*.sh")])
RECIPES += [FOLDER / "pretrain_on_domain.sh"]

# Recipe -> its arguments, and what is given in the environment besides OUTPUT. DATA is a folder
# with files of the names below.
CALLS = {
    "distill_compact": ([], {"DATA": "DATA"}),
    "distill_distilbert": ([], {"RECORDS": "DATA/train.tfrecord"}),
    "distill_study": ([], {"DATA": "DATA"}),
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
    "pretrain_on_domain": (
        ["--mixed_precision=bfloat16"],
        {"TEXT": "DATA/text", "HELD_OUT": "DATA/text", "GENERAL": "DATA/text"}
        | {"NEW_WORDS": "DATA/words", "APPEND_WORDS": "1"},
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
    assert names - (others - {"pretrain_on_domain"}) == CALLS.keys()


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
    reports = ("compare_with_paper.py", "distill_report.py", "domain_report.py")
    calls = [call for call in calls_of(recipe) if call[0] not in reports]
    pretrains = recipe in ("distill_distilbert", "pretrain_on_domain")
    main = "run_pretraining.py" if pretrains else "finetune.py"
    assert any(script == main for script, *_ in calls)
    for script, *arguments in calls:
        flags = dict(argument.removeprefix("--").partition("=")[::2] for argument in arguments)
        known = flags_of(SCRIPTS / script)
        if script == "finetune.py":
            options = {field.name for field in options_of(flags["task"])}
            assert split_options(flags.get("task_options", "")).keys() <= options
            known |= options
        assert flags.keys() <= known


@pytest.mark.slow
def test_the_study_of_distillation_in_miniature(small_model, reviews, tmp_path):
    model = bert_tf.BertEncoder(bert_tf.BertConfig.from_json_file(small_model["bert_config_file"]))
    model.save_to_preset(str(tmp_path / "model"), bert_tf.FullTokenizer(small_model["vocab_file"]))
    given = {"MODEL": tmp_path / "model", "DATA": reviews, "OUTPUT": tmp_path / "study"}
    given |= {"LAYERS": 1, "SEEDS": 2, "RATE": 2e-3, "EPOCHS": 8, "LENGTH": 24}
    environment = {**os.environ, "PYTHON": sys.executable, **{n: str(v) for n, v in given.items()}}
    command = ["bash", FOLDER / "distill_study.sh", "--train_batch_size=16"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    table = (tmp_path / "study" / "results.md").read_text()
    assert table in result.stdout
    rows = {row["model"]: row for row in json.loads((tmp_path / "study/results.json").read_text())}
    assert list(rows) == ["teacher", "student_1_alone", "student_1_distilled"]
    assert [row["layers"] for row in rows.values()] == [2, 1, 1]
    for row in rows.values():
        assert len(row["scores"]) == 2
        assert row["mean"] > 0.8
        assert row["texts_per_second"] > 0
    assert rows["student_1_alone"]["weights"] < rows["teacher"]["weights"]


@pytest.mark.slow
def test_a_domain_in_miniature_is_learned_with_new_words(small_model, tmp_path):
    config = bert_tf.BertConfig.from_json_file(small_model["bert_config_file"])
    model = bert_tf.PretrainingModel(bert_tf.BertEncoder(config))
    folder = tmp_path / "model"
    folder.mkdir()
    bert_tf.save_checkpoint(model, str(folder / "bert_model.ckpt"))
    for name in ("vocab_file", "bert_config_file"):
        shutil.copy(small_model[name], folder)
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": true}')
    (tmp_path / "words.txt").write_text("verywas\n")
    sentences = {"domain": "verywas the film . a verywas plot .", "general": "good cast is bad ."}
    for name, text in sentences.items():
        documents = ["\n".join([text] * 6)] * 8
        (tmp_path / f"{name}.txt").write_text("\n\n".join(documents) + "\n")
    given = {"TEXT": tmp_path / "domain.txt", "HELD_OUT": tmp_path / "domain.txt"}
    given |= {"GENERAL": tmp_path / "general.txt", "OUTPUT": tmp_path / "out", "MODEL": folder}
    given |= {"NEW_WORDS": tmp_path / "words.txt", "APPEND_WORDS": 1, "NUM_SHARDS": 1}
    given |= {"STEPS": 30, "WARMUP": 3, "BATCH": 8, "RATE": 1e-2, "LENGTH": 24, "PREDICTIONS": 4}
    environment = {**os.environ, "PYTHON": sys.executable, **{n: str(v) for n, v in given.items()}}
    command = ["bash", FOLDER / "pretrain_on_domain.sh"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "out" / "results.md").read_text() in result.stdout
    rows = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [row["domain"] for row in rows] == ["domain", "general"]
    losses = {row["domain"]: (row["before"], row["after"]) for row in rows}
    before, after = (metrics["masked_lm_loss"] for metrics in losses["domain"])
    assert after < before / 2
    assert losses["general"][1]["masked_lm_loss"] > after
    assert bert_tf.FullTokenizer.from_preset(str(tmp_path / "out/model")).tokenize("Verywas") == [
        "verywas"
    ]
