"""The recipes of fine-tuning: what each says to expect, and that its flags exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "run_scripts" / "recipes"
RECIPES = sorted(FOLDER.glob("finetune_*.sh"))


@pytest.fixture(scope="module")
def known_flags():
    command = [sys.executable, FOLDER.parent / "finetune.py", "--helpfull"]
    text = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    found = re.findall(r"^\s+(?:-\w,)?--(\[no\])?(\w+)", text, re.MULTILINE)
    return {name for _, name in found} | {f"no{name}" for prefix, name in found if prefix}


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_says_what_to_expect_and_can_be_parsed(recipe, known_flags):
    subprocess.run(["bash", "-n", recipe], check=True)
    text = recipe.read_text()
    assert f"bash run_scripts/recipes/{recipe.name}" in text
    for what in ("Data", "Published", "Time"):
        assert re.search(rf"^# {what} +\S", text, re.MULTILINE), what
    command = text.partition("finetune.py")[2]
    flags = set(re.findall(r"(?<!\S)--(\w+)", re.sub(r"(?m)^\s*#.*", "", command)))
    assert flags
    assert flags <= known_flags
