"""run_scripts/benchmark.py: every suite runs with this package alone; ratios; the page."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from comparison import report
from comparison.case import Case
from comparison.environments import python_of
from comparison.results import Results, ratio
from comparison.settings import SUITES, ComparisonSettings

CASE = Case("small", "A small case", "train", ("bert_tf", "keras_hub"), ("step_seconds",))
OURS = [{"round": 0, "step_seconds": 1.0}, {"round": 1, "step_seconds": 3.0}]
THEIRS = [{"round": 0, "step_seconds": 2.0}, {"round": 1, "step_seconds": 4.0}]
SLOW = ("finetune", "quality", "infer", "start", "tokenize")


def run_script(scripts_dir: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(scripts_dir / "benchmark.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "suite",
    [pytest.param(suite, marks=pytest.mark.slow if suite in SLOW else ()) for suite in SUITES],
)
def test_every_suite_runs_with_this_package_alone(suite, scripts_dir, tmp_path):
    places = [f"--results_dir={tmp_path}/results", f"--work_dir={tmp_path}/files"]
    done = run_script(scripts_dir, f"--suite={suite}", "--quick", *places)
    assert done.returncode == 0, done.stderr
    kept = json.loads((tmp_path / "results" / f"{suite}.json").read_text(encoding="utf-8"))
    for case in kept["cases"].values():
        assert case["machine"]["processor"]
        (first, *_) = case["runs"]["bert_tf"]
        assert all(first[measure] is not None for measure in case["measures"])


def test_a_missing_environment_is_named_with_the_command_that_makes_it(scripts_dir, tmp_path):
    done = run_script(
        scripts_dir, "--suite=train", "--peers=keras_hub", f"--environments_dir={tmp_path}"
    )
    assert done.returncode == 1
    assert f"bash benchmarks/environments/make_environment.sh keras_hub {tmp_path}" in done.stderr


@pytest.mark.parametrize("package", ["keras_hub", "bert_tf"])
def test_an_environment_is_found_by_the_name_of_its_package(tmp_path, package):
    python = tmp_path / package / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    assert python_of(package, str(tmp_path)) == str(python)


def test_without_an_environment_this_package_runs_where_the_program_does(tmp_path):
    assert python_of("bert_tf", str(tmp_path)) == sys.executable


@pytest.mark.parametrize("flag", ["suite", "peers"])
def test_unknown_suites_and_peers_are_refused(flag):
    with pytest.raises(ValueError, match=f"--{flag}=nobody: the choices are"):
        ComparisonSettings(**{"suite": ("train",), flag: ("nobody",)})


def test_a_ratio_is_that_of_the_medians_with_the_spread_of_the_rounds():
    found = ratio(OURS, THEIRS, "step_seconds")
    assert (found.of_medians, found.lowest, found.highest) == pytest.approx((2 / 3, 0.5, 0.75))
    assert ratio(OURS, [], "step_seconds") is None


def test_runs_are_kept_if_they_are_of_the_same_work(tmp_path):
    before = Results(str(tmp_path), "train")
    before.start(CASE, keep_runs=False)
    before.add("small", "bert_tf", OURS[0])
    after = Results(str(tmp_path), "train")
    after.start(CASE, keep_runs=True)
    assert after.has("small", "bert_tf", 0)
    assert not after.has("small", "bert_tf", 1)
    after.start(Case("small", "", "train", (), (), {"batch_size": 1}), keep_runs=True)
    assert not after.has("small", "bert_tf", 0)


def test_the_page_gets_a_table_of_medians_and_ratios(tmp_path, monkeypatch):
    page = tmp_path / "performance.md"
    page.write_text("Before.\n\n<!-- train -->\nOld.\n<!-- end of train -->\n\nAfter.\n")
    monkeypatch.setattr(report, "_PAGE", page)
    results = Results(str(tmp_path / "results"), "train")
    results.start(CASE, keep_runs=False)
    for ours, theirs in zip(OURS, THEIRS, strict=True):
        results.add("small", "bert_tf", ours)
        results.add("small", "keras_hub", theirs)
    report.write_report(str(tmp_path / "results"))
    text = page.read_text()
    assert "| | bert_tf | keras-hub |\n|---|---|---|\n" in text
    assert "| step, s | 2 | 3 (0.67, 0.50-0.75) |" in text
    assert text.startswith("Before.")
    assert text.endswith("After.\n")
    assert "Old." not in text
