"""The README and docs/: links lead somewhere, imports work, lists are whole."""

import importlib
import re
from pathlib import Path

import pytest
import yaml

import bert_tf

REPOSITORY = Path(__file__).resolve().parent.parent
PAGES = [
    REPOSITORY / "README.md",
    REPOSITORY / "vocab" / "README.md",
    REPOSITORY / "colab" / "README.md",
    *sorted((REPOSITORY / "docs").glob("*.md")),
]
MAX_CORE_LINES = 2500
MAX_README_LINES = 150

for_each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


@for_each_page
def test_links_to_files_lead_somewhere(page):
    for link in re.findall(r"\]\((?!http)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / link).exists(), link


@for_each_page
def test_what_the_examples_import_exists(page):
    pytest.importorskip("tensorflow", reason="needs: pip install tensorflow")
    text = page.read_text(encoding="utf-8")
    for module, names in re.findall(r"^from (bert_tf[\w.]*) import ([\w, ]+)", text, re.MULTILINE):
        for name in names.split(", "):
            found = importlib.import_module(module)
            assert hasattr(found, name) or importlib.import_module(f"{module}.{name}")
    names = re.findall(r"\bbert_tf\.(\w+)\(", text)
    assert all(hasattr(bert_tf, name) for name in names), names


def test_the_core_path_of_the_readme_is_short_and_counted():
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w/]+\.py)` \|.*\| (\d+) \|$", text, re.MULTILINE)
    assert len(rows) > 8
    (total,) = re.findall(r"^\| \| together \| ([\d,]+) \|$", text, re.MULTILINE)
    assert int(total.replace(",", "")) == sum(int(lines) for _, lines in rows) <= MAX_CORE_LINES
    for path, lines in rows:
        # A few lines more or less need no new README.
        counted = len((REPOSITORY / "bert_tf" / path).read_text(encoding="utf-8").splitlines())
        assert counted == pytest.approx(int(lines), rel=0.1), path


def test_the_readme_is_short():
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MAX_README_LINES


def test_the_citation_has_the_package_s_version():
    citation = (REPOSITORY / "CITATION.cff").read_text(encoding="utf-8")
    assert yaml.safe_load(citation)["version"] == bert_tf.__version__


def test_the_page_on_the_code_lists_every_package_and_script():
    text = (REPOSITORY / "docs" / "code.md").read_text(encoding="utf-8")
    packages = [path.parent.name for path in (REPOSITORY / "bert_tf").glob("*/__init__.py")]
    assert [name for name in packages if f"`{name}/`" not in text] == []
    scripts = [path.name for path in (REPOSITORY / "run_scripts").glob("*.py")]
    missing = [
        name
        for name in scripts
        if name not in ("command_line.py", "console.py", "flag_help.py") and f"`{name}`" not in text
    ]
    assert missing == []
