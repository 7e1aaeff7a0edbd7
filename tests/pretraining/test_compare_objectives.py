"""The study of objectives at equal processor time, in miniature."""

import json
import sys

import forked_python
import pytest


@pytest.mark.slow
def test_every_system_gets_its_time_and_a_score_at_each_quarter(reviews, scripts_dir, tmp_path):
    (tmp_path / "glue").mkdir()
    (tmp_path / "glue" / "SST-2").symlink_to(reviews)
    command = [
        *(sys.executable, scripts_dir / "recipes" / "compare_objectives.py", "--minutes=0.01"),
        *(
            f"--corpus={scripts_dir.parent}/LICENSE",
            f"--glue={tmp_path}/glue",
            f"--output={tmp_path}/study",
        ),
        *("--tasks=sst-2", "--vocab_size=300", "--layers=1", "--width=16", "--length=32"),
        *("--systems=bert,electra", "--finetuning_epochs=0.2"),
    ]
    first = forked_python.run(command)
    assert first.returncode == 0, first.stderr[-2000:]
    rows = json.loads((tmp_path / "study" / "results.json").read_text())
    assert [row["system"] for row in rows] == ["bert", "electra"]
    for row in rows:
        assert row["steps"] % 4 == 0
        assert row["of_a_step"] > 0
        assert len(row["scores"]["sst-2"]) == 4
        assert all(0 <= score <= 100 for score in row["scores"]["sst-2"])
    assert "| electra |" in first.stdout
    again = forked_python.run(command)
    assert again.returncode == 0, again.stderr[-2000:]
    assert "steps" not in again.stdout.partition("|")[0]  # Nothing is trained anew.
    wrong = forked_python.run([*command, "--systems=bart"])
    assert wrong.returncode == 1
    assert "Unknown: bart. Known: bert, roberta, electra, spanbert" in wrong.stderr
