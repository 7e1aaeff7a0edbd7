"""The notebook: what it may look like, and that it runs from top to bottom on a real kernel."""

import ast
import importlib
import importlib.util
import json
from pathlib import Path
from unittest import mock

import pytest

from bert_tf.config import read_json

nbformat = pytest.importorskip("nbformat", reason="needs: pip install '.[notebook]'")

# Put behind the parameters cell: the same work in a minute, and nothing that pip could download.
SMALL_SETTING = """
OUTPUT = {output!r}
DOCUMENTED_PACKAGES = ["keras"]
VOCAB_SIZE = 1000
DUPE_FACTOR = 1
HIDDEN_SIZE = 16
NUM_LAYERS = 1
BATCH_SIZE = 8
NUM_STEPS = 20
NUM_FINETUNING_PAIRS = 32
"""


@pytest.fixture
def notebook_path():
    return Path(__file__).resolve().parent.parent / "colab" / "pretrain_on_your_text.ipynb"


@pytest.fixture
def notebook(notebook_path):
    return nbformat.read(notebook_path, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def is_parameters(cell):
    return "parameters" in cell.metadata.get("tags", [])


def test_the_notebook_is_short_and_valid(notebook):
    nbformat.validate(notebook)
    assert len(notebook.cells) <= 15


def test_the_notebook_is_stored_without_outputs(notebook):
    for cell in code_cells(notebook):
        assert cell.outputs == []
        assert cell.execution_count is None


def test_the_notebook_defines_no_functions(notebook):
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
    for cell in code_cells(notebook):
        assert not any(isinstance(node, definitions) for node in ast.walk(ast.parse(cell.source)))


def test_one_cell_holds_the_parameters_and_nothing_else(notebook):
    (cell,) = [cell for cell in notebook.cells if is_parameters(cell)]
    assert all(isinstance(node, ast.Assign) for node in ast.parse(cell.source).body)


def test_what_the_notebook_imports_is_there(notebook):
    imports = [
        node
        for cell in code_cells(notebook)
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, ast.ImportFrom) and node.module.startswith("bert_tf")
    ]
    assert imports
    for node in imports:
        for alias in node.names:
            assert hasattr(importlib.import_module(node.module), alias.name)


WHEEL = "bert_tf-0.1.0-py3-none-any.whl"


@pytest.mark.parametrize(
    ("install", "there", "installed"),
    [
        ("", WHEEL, f"/{WHEEL}[vocab,notebook]"),
        ("", "bert_tf-main.zip", "/bert_tf-main.zip[vocab,notebook]"),
        ("", "bert_tf-main/setup.py", "/bert_tf-main[vocab,notebook]"),
        ("", "setup.py", "[vocab,notebook]"),
        ("a.whl", WHEEL, "a.whl[vocab,notebook]"),
        ("git+https://a/b", WHEEL, "bert-tf[vocab,notebook] @ git+https://a/b"),
        ("", "other.txt", None),
    ],
)
def test_the_first_cell_installs_what_lies_around_it_or_says_what_to_do(
    notebook, tmp_path, monkeypatch, install, there, installed
):
    (cell,) = [cell for cell in notebook.cells if cell.id == "device"]
    (tmp_path / there).parent.mkdir(exist_ok=True)
    (tmp_path / there).touch()
    (tmp_path / "notebook").mkdir()
    monkeypatch.chdir(tmp_path / "notebook")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr("subprocess.run", run := mock.Mock())
    code = cell.source.partition("import keras")[0]
    if installed is None:
        with pytest.raises(FileNotFoundError, match=r"not on this machine\. Upload a wheel"):
            exec(code, {"INSTALL": install})
        return
    exec(code, {"INSTALL": install})
    assert run.call_args.args[0][-1].endswith(installed)


@pytest.mark.parametrize(
    ("held_out_files", "label"),
    [("held_out.txt", "held out"), ("", "evaluation on the training records")],
)
def test_the_curves_say_what_was_evaluated_on(notebook, tmp_path, held_out_files, label):
    (cell,) = [cell for cell in notebook.cells if cell.id == "curves"]
    names = ("masked_lm_loss", "masked_lm_accuracy", "next_sentence_accuracy")
    trained = {"step": 1, "loss": 1.0, **dict.fromkeys(names, 0.5)}
    evaluated = {"step": 1, "eval_loss": 1.0, **{f"eval_{name}": 0.5 for name in names}}
    (tmp_path / "metrics.jsonl").write_text(f"{json.dumps(trained)}\n{json.dumps(evaluated)}\n")
    plots, losses, accuracies = mock.MagicMock(), mock.MagicMock(), mock.MagicMock()
    plots.subplots.return_value = (mock.MagicMock(), (losses, accuracies))
    given = {"json": json, "Path": Path, "plt": plots, "model_dir": str(tmp_path)}

    exec(cell.source, {**given, "held_out_files": held_out_files})
    labels = [call.kwargs["label"] for call in losses.plot.call_args_list]
    assert labels == ["training", label]
    assert accuracies.set.call_args.kwargs["title"] == f"Accuracy, {label}"


def run_notebook(notebook, folder, output, monkeypatch):
    """Executes a notebook in `folder`, where nothing can be downloaded."""
    nbclient = pytest.importorskip("nbclient", reason="needs: pip install '.[notebook]'")
    pytest.importorskip("ipykernel", reason="needs: pip install '.[notebook]'")
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # Nobody listens at the discard port.
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    (place,) = [i for i, cell in enumerate(notebook.cells) if is_parameters(cell)]
    setting = nbformat.v4.new_code_cell(SMALL_SETTING.format(output=str(output)))
    notebook.cells.insert(place + 1, setting)
    client = nbclient.NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    return client.execute()


def text_of(cell):
    """What a cell printed."""
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


@pytest.mark.slow
def test_the_notebook_runs_from_top_to_bottom(notebook, notebook_path, tmp_path, monkeypatch):
    executed = run_notebook(notebook, notebook_path.parent, tmp_path / "out", monkeypatch)
    cells = {cell.id: cell for cell in executed.cells}
    assert "on a " in text_of(cells["device"])
    assert any("image/png" in output.get("data", {}) for output in cells["curves"].outputs)
    for name in ("before", "after"):
        assert "[MASK]" in text_of(cells[name])
        assert "%" in text_of(cells[name])
    assert text_of(cells["before"]) != text_of(cells["after"])
    model = tmp_path / "out" / "model"
    assert (model / "model.ckpt-20.index").exists()
    lines = [json.loads(line) for line in (model / "metrics.jsonl").read_text().splitlines()]
    assert {"loss", "masked_lm_loss", "examples_per_second"} <= set(lines[0])
    assert read_json(model / "bert_config.json")["hidden_size"] == 16
