"""The script: it serves until Ctrl-C, saves one answer as a page, and says what it cannot do."""

import json
import re
import signal
import subprocess
import sys
import urllib.request

import pytest

from bert_tf.explorer.explorer import export_page
from bert_tf.settings import ExploreSettings


def saved_in(path):
    page = path.read_text(encoding="utf-8")
    (text,) = re.findall(r'<script type="application/json" id="saved">(.*?)</script>', page)
    return page, json.loads(text)


def test_the_script_serves_until_ctrl_c(model_folders, scripts_dir):
    command = [sys.executable, scripts_dir / "explore.py", f"--model={model_folders['encoder']}"]
    process = subprocess.Popen(
        [*command, "--noopen_browser", "--do_lower_case"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        address = process.stdout.readline().split()[0]
        with urllib.request.urlopen(f"{address}model", timeout=30) as response:
            assert json.load(response)["name"] == "encoder"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 0, errors
    assert "Traceback" not in errors


def test_an_answer_is_saved_as_a_page_that_nothing_in_it_can_leave(model_folders, tmp_path):
    path = tmp_path / "page.html"
    text = "</script><script>alert(1)</script> <!-- [MASK]"
    settings = ExploreSettings(model=model_folders["masked_lm"], export=str(path), text=text)
    assert export_page(settings) == "fill_mask"
    page, saved = saved_in(path)
    assert saved["inputs"] == {"text": text}
    assert len(saved["answer"]["masks"][0]) == 5
    assert saved["model"]["name"] == "masked_lm"
    assert str(model_folders["masked_lm"]) not in page
    assert text not in page
    (policy,) = re.findall('http-equiv="Content-Security-Policy" content="(.*?)"', page)
    assert "default-src 'none'" in policy
    assert "connect-src 'none'" in policy


def test_the_second_text_and_the_class_of_an_export(model_folders, tmp_path):
    path = tmp_path / "page.html"
    settings = ExploreSettings(
        model=model_folders["classification"],
        export=str(path),
        text="A good man.",
        second_text="He was.",
        label="good",
    )
    export_page(settings)
    _, saved = saved_in(path)
    assert saved["inputs"] == {"text_a": "A good man.", "text_b": "He was.", "label": "good"}
    assert saved["answer"]["attributions"]["label"] == "good"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"panel": "answer"}, "--panel must be one of fill_mask, nearest, attention"),
        ({"second_text": "b"}, "--second_text: Fill mask takes one text"),
        ({"label": "good"}, "--label is of the panel classification"),
        ({"text": "no mask"}, r"no \[MASK\] to fill"),
        ({"panel": "nearest"}, "one per line is empty"),
    ],
)
def test_an_export_that_cannot_be_made_writes_nothing(model_folders, tmp_path, changes, message):
    path = tmp_path / "page.html"
    values = {"model": model_folders["masked_lm"], "export": str(path), "text": "a [MASK]"}
    with pytest.raises(ValueError, match=message):
        export_page(ExploreSettings(**{**values, **changes}))
    assert not path.exists()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "--model is needed"),
        ({"model": "m", "export": "page.html"}, "--text is needed"),
        ({"model": "m", "text": "a", "panel": "answer"}, "--panel, --text: only with --export"),
        ({"model": "m", "port": 70000}, "--port"),
        ({"model": "m", "export": "p", "text": "a", "panel": "x"}, "--panel must be one of"),
    ],
)
def test_settings_that_do_not_fit_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        ExploreSettings(**values)
