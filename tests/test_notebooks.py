"""The notebooks: what they may look like, and that they run from top to bottom on a real kernel."""

import ast
import importlib
import importlib.util
import io
import os
import re
import sys
import types
from pathlib import Path
from unittest import mock

import pytest

nbformat = pytest.importorskip("nbformat", reason="needs: pip install '.[notebook]'")

FOLDER = Path(__file__).resolve().parent.parent / "colab"
NAMES = [
    "01_meet_bert",
    "02_pretrain_on_your_text",
    "03_classify_sentences",
    "04_question_answering",
    "05_movie_reviews",
    "06_serve",
]
# Cells whose plots, or marked text, must be there after a run.
PLOTS = {
    "01_meet_bert": {"maps", "vectors"},
    "02_pretrain_on_your_text": {"curves"},
    "03_classify_sentences": {"train", "confusion", "own_table"},
    "04_question_answering": {"curve"},
    "05_movie_reviews": {"curves"},
    "06_serve": {"measure"},
}
MARKED_TEXT = {"01_meet_bert": {"tokenize"}, "04_question_answering": {"answer"}}

for_each_notebook = pytest.mark.parametrize("name", NAMES)


def read(name):
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def nodes(notebook):
    return [node for cell in code_cells(notebook) for node in ast.walk(ast.parse(cell.source))]


def test_these_are_all_notebooks():
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == NAMES


@for_each_notebook
def test_a_notebook_is_short_and_valid(name):
    notebook = read(name)
    nbformat.validate(notebook)
    assert len(notebook.cells) <= 15
    assert sum(cell.cell_type == "markdown" for cell in notebook.cells) >= 5


@for_each_notebook
def test_a_notebook_is_stored_without_outputs(name):
    for cell in code_cells(read(name)):
        assert cell.outputs == []
        assert cell.execution_count is None


@for_each_notebook
def test_a_notebook_defines_no_functions(name):
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
    assert not any(isinstance(node, definitions) for node in nodes(read(name)))


@for_each_notebook
def test_one_cell_near_the_top_holds_the_parameters_and_nothing_else(name):
    cells = code_cells(read(name))
    assert [cell.metadata.get("tags", []) for cell in cells[:2]] == [[], ["parameters"]]
    assert all("tags" not in cell.metadata for cell in cells[2:])
    assert all(isinstance(node, ast.Assign) for node in ast.parse(cells[1].source).body)


@for_each_notebook
def test_every_parameter_is_used(name):
    _, parameters, *others = code_cells(read(name))
    names = {node.targets[0].id for node in ast.parse(parameters.source).body}
    used = {node.id for node in nodes(read(name)) if isinstance(node, ast.Name)}
    loaded = [
        node.id
        for cell in (parameters, *others)
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    ]
    assert names <= used & set(loaded)


@for_each_notebook
def test_what_a_notebook_imports_is_there(name):
    imports = [
        node
        for node in nodes(read(name))
        if isinstance(node, ast.ImportFrom) and node.module.startswith("bert_tf")
    ]
    assert imports
    for node in imports:
        for alias in node.names:
            found = importlib.import_module(node.module)
            assert hasattr(found, alias.name) or importlib.import_module(
                f"{node.module}.{alias.name}"
            )


def test_links_between_notebooks_lead_somewhere():
    for name in NAMES:
        for link in re.findall(r"\]\((?!http)([^)#]+)", str(read(name))):
            assert (FOLDER / link).exists(), link


# The cell that finds the device and installs the package.


def setup_cell(name=NAMES[0]):
    return code_cells(read(name))[0].source


def test_the_first_code_cell_is_the_same_in_all_notebooks():
    assert len({setup_cell(name) for name in NAMES}) == 1
    assert len(setup_cell().splitlines()) < 70


def test_the_repository_is_named_once_in_that_cell_and_the_same_in_all_badges():
    (address,) = re.findall(r'"https://github\.com/([\w-]+/[\w-]+)"', setup_cell())
    for name in NAMES:
        title = read(name).cells[0].source
        (badge,) = re.findall(r'href="https://colab\.research\.google\.com/github/([^"]+)"', title)
        assert badge == f"{address}/blob/main/colab/{name}.ipynb"
        assert "colab-badge.svg" in title
    assert address in (FOLDER / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def machine(monkeypatch):
    """Runs the first part of the cell on a made-up machine. Returns what it gave to pip."""

    def run(repository, files, version=(3, 12)):
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        monkeypatch.setattr("subprocess.run", run := mock.Mock())
        monkeypatch.setattr("glob.glob", lambda pattern: files if "vfio" in pattern else [])
        monkeypatch.setattr(sys, "version_info", version)
        monkeypatch.setattr(os, "environ", {})
        library = types.SimpleNamespace(get_library_path=lambda: "/lib/libtpu.so")
        monkeypatch.setitem(sys.modules, "libtpu", library)
        code = setup_cell().partition("import tensorflow as tf")[0]
        given = {}
        exec(re.sub(r'REPOSITORY = ".*"', f"REPOSITORY = {repository!r}", code), given)
        calls = [call.args[0][3:] for call in run.call_args_list]
        assert all(call.kwargs == {"check": True} for call in run.call_args_list)
        return calls, given["device"]

    return run


@pytest.mark.parametrize(
    ("repository", "installed"),
    [
        ("https://example.org/a/bert_tf", "bert-tf[notebook] @ git+https://example.org/a/bert_tf"),
        ("/content/bert_tf.zip", "/content/bert_tf.zip[notebook]"),
    ],
)
def test_without_a_tpu_the_tensorflow_that_is_there_is_kept(machine, repository, installed):
    calls, device = machine(repository, files=[])
    assert calls == [["install", "-q", installed]]
    assert device != "TPU"


def test_on_a_tpu_the_builds_that_work_are_installed_in_their_order(machine):
    calls, device = machine("/content/bert_tf.whl", files=["/dev/vfio/0"])
    assert device == "TPU"
    assert [call[0] for call in calls] == ["uninstall", "install", "install"]
    assert "tensorflow-tpu==2.19.1" in calls[1]
    assert "tensorflow-datasets" in calls[1]  # It wants protobuf, too.
    assert calls[2] == [
        *("install", "-q", "--no-deps", "tensorflow-text==2.19.0"),
        "/content/bert_tf.whl[notebook]",
    ]
    assert os.environ["TF_PLUGGABLE_DEVICE_LIBRARY_PATH"] == "/lib/libtpu.so"
    assert os.environ["PJRT_DEVICE"] == "TPU"
    assert os.environ["TF_XLA_FLAGS"].split() == [
        "--tf_mlir_enable_mlir_bridge=true",
        "--tf_mlir_enable_convert_control_to_data_outputs_pass=true",
        "--tf_mlir_enable_merge_control_flow_pass=true",
    ]


def test_a_python_without_a_tpu_build_is_named_before_anything_is_removed(machine):
    with pytest.raises(RuntimeError, match=r"needs Python 3\.12.*Runtime version 2026\.07"):
        machine("/content/bert_tf.whl", files=["/dev/vfio/0"], version=(3, 13))


def test_a_repository_without_its_owner_is_asked_for(machine):
    (placeholder,) = re.findall(r'^REPOSITORY = "(.*)"', setup_cell(), re.MULTILINE)
    if "OWNER" in placeholder:
        with pytest.raises(RuntimeError, match="into REPOSITORY"):
            machine(placeholder, files=[])


# Running.


@pytest.fixture(scope="module")
def runner():
    pytest.importorskip("nbclient", reason="needs: pip install '.[notebook]'")
    pytest.importorskip("ipykernel", reason="needs: pip install '.[notebook]'")
    spec = importlib.util.spec_from_file_location("execute", FOLDER / "execute.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def output_dir(tmp_path_factory):
    """The folder of the executed copies, which the documentation embeds."""
    return Path(os.environ.get("EXECUTED_NOTEBOOKS") or tmp_path_factory.mktemp("executed"))


@pytest.fixture(scope="module")
def work_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("work")


def outputs_of(cell, kind):
    return [output.data[kind] for output in cell.outputs if kind in output.get("data", {})]


def assert_no_warning(cell):
    for output in cell.outputs:
        assert output.output_type != "error"
        if output.output_type == "stream":
            assert output.name != "stderr", f"{cell.id}: {output.text}"
            assert not re.search(r"warning", output.text, re.IGNORECASE), (
                f"{cell.id}: {output.text}"
            )


def assert_is_a_picture(png):
    import base64

    from matplotlib import image

    pixels = image.imread(io.BytesIO(base64.b64decode(png)))[..., :3]
    assert min(pixels.shape[:2]) > 100
    # Blank, or an empty pair of axes, has a deviation below this.
    assert pixels.std() > 0.05
    assert (pixels.mean(axis=-1) < 0.99).mean() > 0.02


@pytest.mark.slow
@for_each_notebook
def test_a_notebook_runs_from_top_to_bottom(runner, output_dir, work_dir, name):
    ((path, seconds),) = runner.execute_notebooks(output_dir, [name], work_dir)
    cells = {cell.id: cell for cell in nbformat.read(path, as_version=4).cells}
    for cell in cells.values():
        if cell.cell_type == "code":
            assert cell.execution_count
            assert_no_warning(cell)
    for place in PLOTS[name]:
        (png,) = outputs_of(cells[place], "image/png")
        assert_is_a_picture(png)
    for place in MARKED_TEXT.get(name, ()):
        (html,) = outputs_of(cells[place], "text/html")
        assert "<mark" in html
    print(f"{name}: {seconds} s")  # Two minutes are the aim, of a machine that does nothing else.


@pytest.mark.slow
def test_a_copy_that_is_new_is_not_made_again(runner, tmp_path, monkeypatch):
    done = []

    def execute(source, copy, place, made_from):
        notebook = nbformat.read(source, as_version=4)
        notebook.metadata["bert_tf"] = {"executed_from": made_from, "seconds": 7.0}
        nbformat.write(notebook, copy)
        done.append(copy.stem)
        return 7.0

    monkeypatch.setattr(runner, "_execute", execute)
    names = ["01_meet_bert", "06_serve"]
    assert [seconds for _, seconds in runner.execute_notebooks(tmp_path, names)] == [7.0, 7.0]
    assert len(list(runner.execute_notebooks(tmp_path, names))) == 2
    assert done == names
    copy = nbformat.read(tmp_path / "06_serve.ipynb", as_version=4)
    copy.metadata["bert_tf"]["executed_from"] = "other files"
    nbformat.write(copy, tmp_path / "06_serve.ipynb")
    assert len(list(runner.execute_notebooks(tmp_path, names))) == 2
    assert done == [*names, "06_serve"]


def test_only_what_tensorflow_says_of_the_machine_at_its_import_is_left_out(runner):
    note = (
        "WARNING: All log messages before absl::InitializeLog() is called ...\nI0000 00:1 a.cc:1]"
    )
    warning = f"{note}\nSomeWarning: beware"
    stream = nbformat.v4.new_output
    assert runner._is_import_note(stream("stream", name="stderr", text=note))
    assert not runner._is_import_note(stream("stream", name="stderr", text=warning))
    assert not runner._is_import_note(stream("stream", name="stdout", text="I0000 "))
    assert not runner._is_import_note(stream("display_data"))


@pytest.mark.slow
def test_a_failing_cell_ends_the_run_and_leaves_no_copy(runner, tmp_path, monkeypatch):
    nbclient = importlib.import_module("nbclient")
    monkeypatch.setattr(runner, "FOLDER", tmp_path)
    bad = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 / 0")])
    nbformat.write(bad, tmp_path / "bad.ipynb")
    with pytest.raises(nbclient.exceptions.CellExecutionError, match="ZeroDivisionError"):
        list(runner.execute_notebooks(tmp_path / "out", ["bad"]))
    assert list((tmp_path / "out").iterdir()) == []
