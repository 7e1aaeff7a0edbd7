"""The commands of the README and docs/ have flags that their scripts know, with possible values.

Other programs than the scripts are named in a table, with the reason why they are not run here.
"""

import importlib.metadata
import re
from pathlib import Path

from documented_commands import (
    SCRIPTS,
    Command,
    commands_of,
    indented_commands,
    parse_all,
    snippets_of,
)

REPOSITORY = Path(__file__).resolve().parent.parent
PAGES = [
    REPOSITORY / "README.md",
    REPOSITORY / "vocab" / "README.md",
    *sorted((REPOSITORY / "docs").glob("*.md")),
]
# Programs other than scripts -> why they are not run.
PROGRAMS = {
    "pip": "needs a network; the extras that it names are looked up",
    "python": "makes a virtual environment, or needs a GPU or a TPU",
    "source": "a virtual environment's",
    "bash": "a recipe, whose _dryrun.sh tests/pretraining runs, or a whole environment; it exists",
    "docker": "needs Docker",
    "curl": "needs a server; tests/serving has a stand-in",
    "tensorboard": "serves until it is stopped",
    "perl": "needs the official conlleval.pl",
    "ruff": "run on every change, by continuous integration",
    "unzip": "needs a downloaded file",
    "COMMAND": "stands for a command above it; Beam's runners need their clusters",
    "--bert_config_file=$BERT/bert_config.json": "flags that continue the command above it",
}


def all_commands() -> list[Command]:
    fenced = [
        command
        for page in PAGES
        for snippet in snippets_of(page)
        if snippet.language == "bash"
        for command in commands_of(snippet)
    ]
    return fenced + [command for page in PAGES for command in indented_commands(page)]


def test_the_flags_of_every_command_are_the_script_s_own():
    commands = [each for each in all_commands() if each.script.endswith(".py")]
    commands = [each for each in commands if "/" not in each.script]  # Recipes have other flags.
    assert len(commands) > 100
    wrong = {c.place: text for c, text in zip(commands, parse_all(commands), strict=True) if text}
    assert wrong == {}


def test_a_flag_that_a_script_does_not_have_and_a_value_that_it_cannot_take_are_found():
    calls = ["fill_mask.py --top=3", "fill_mask.py --top_k=three", "fill_mask.py --top_k=3"]
    commands = [Command("here", ("python", *f"run_scripts/{call}".split())) for call in calls]
    unknown, impossible, right = parse_all(commands)
    assert "--top" in unknown
    assert "three" in impossible
    assert right == ""


def test_every_other_command_has_a_reason_not_to_run_and_names_what_exists():
    extras = importlib.metadata.metadata("bert-tf").get_all("Provides-Extra")
    for command in all_commands():
        if command.script:
            assert (SCRIPTS / command.script).exists(), command
            continue
        assert command.words[0] in PROGRAMS, command
        named = re.findall(r"\.\[([\w,]+)\]", " ".join(command.words))
        assert {extra for part in named for extra in part.split(",")} <= {*extras}, command


def test_no_reason_is_left_over():
    assert {*PROGRAMS} - {command.words[0] for command in all_commands()} == set()
