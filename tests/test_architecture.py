"""The shape of the package: which module may import which, which file prints, how long files are.

What is read here is the installed package's source, so that a wheel is held to it too.
"""

import ast
import importlib
import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest

import bert_tf

PACKAGE = Path(bert_tf.__file__).parent

# Group -> the groups that it may import, besides itself. A group is a folder of the package, or one
# of the four modules at its top.
MAY_IMPORT = {
    "version": set(),
    "config": {"files"},
    "progress": set(),
    "files": {"progress"},
    "metrics": set(),
    "settings": {"config", "files"},
    "text": {"config", "files", "progress"},
    "data": {"config", "files", "settings"},
    "model": {"config"},
    "training": {"config", "files", "model", "progress", "settings"},
    "spans": {"metrics", "settings", "text"},
    "kinds": {*("config", "files", "metrics", "model", "spans", "text", "training")},
    "tasks": {
        *("config", "data", "files", "kinds", "metrics", "model", "settings", "spans", "text")
    },
    "corpus": {"config", "files", "progress", "settings", "text", "version"},
    "pretraining_data": {"config", "data", "files", "progress", "settings", "text"},
    "distillation": {"config", "files", "formats", "model", "released", "text", "training"},
    "pretraining": {
        *("config", "data", "distillation", "files", "model", "progress", "settings", "text"),
        "training",
    },
    "features": {"config", "data", "files", "model", "progress", "settings", "text", "training"},
    "formats": {"config", "files", "kinds", "model", "text", "training"},
    "released": {
        *("config", "files", "formats", "model", "progress", "settings", "tasks", "text"),
        *("kinds", "training", "version"),
    },
    "inference": {"config", "files", "kinds", "model", "released", "text", "training"},
    "finetuning": {
        *("config", "data", "files", "model", "progress", "released", "settings", "tasks", "text"),
        *("distillation", "training"),
    },
    "conversion": {
        *("config", "files", "formats", "kinds", "model", "released", "settings", "training"),
        *("distillation", "text"),
    },
    "planning": {"config", "data", "files", "released", "settings", "text", "version"},
    "explorer": {"files", "inference", "kinds", "settings", "version"},
    "serving": {
        *("config", "files", "inference", "model", "released", "settings"),
        *("kinds", "training", "version"),
    },
    "notebook": {
        *("config", "corpus", "files", "metrics", "pretraining", "pretraining_data", "settings"),
        *("text",),
    },
}

# These are imported in milliseconds and run on machines without an accelerator's libraries.
WITHOUT_TENSORFLOW = (
    "bert_tf",
    "bert_tf.config",
    "bert_tf.settings",
    "bert_tf.files.paths",
    "bert_tf.text.tokenization",
    "bert_tf.text.wordpiece",
    "bert_tf.corpus.documentation",
    "bert_tf.text.packing",
    "bert_tf.tasks.task",
    "bert_tf.tasks.coref",
    "bert_tf.tasks.glue",
    "bert_tf.tasks.ner",
    "bert_tf.tasks.squad",
    "bert_tf.tasks.sts",
    "bert_tf.tasks.srl",
    "bert_tf.tasks.tsv",
    "bert_tf.tasks.multiple_choice",
    "bert_tf.tasks.swag",
    "bert_tf.tasks.codah",
    "bert_tf.tasks.xnli",
    "bert_tf.tasks.xquad",
    "bert_tf.tasks.mlqa",
    "bert_tf.metrics.classification",
    "bert_tf.metrics.conlleval",
    "bert_tf.metrics.multi_label",
    "bert_tf.metrics.coreference",
    "bert_tf.metrics.squad",
    "bert_tf.finetuning.feature_encoding",
    "bert_tf.pretraining_data.masking",
    "bert_tf.pretraining_data.examples",
    "bert_tf.data.schema",
    "bert_tf.finetuning.feature_encoding",
    "bert_tf.finetuning.feature_files",
    "bert_tf.spans.offsets",
    "bert_tf.kinds.table",
    "bert_tf.released.models",
    "bert_tf.formats.huggingface_outputs",
    "bert_tf.released.download",
    "bert_tf.released.find_model",
    "bert_tf.text.graph_characters",
    "bert_tf.corpus.preparation",
    "bert_tf.planning.report",
    "bert_tf.pretraining_data.program",
    "bert_tf.pretraining_data.beam_runner",
    "bert_tf.notebook",
    "bert_tf.notebook.sample_questions",
    "bert_tf.notebook.marked_text",
    "bert_tf.notebook.result_plots",
)

MAX_LINES = 420

SOURCES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imported_modules(tree: ast.AST) -> set[str]:
    """Full names of what a file imports, anywhere in it; `from a import b` gives `a` and `a.b`."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "Imports are written with the package's full name."
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def group_of(module: str) -> str:
    """bert_tf.text.packing -> text; bert_tf.config -> config."""
    return module.split(".")[1]


def called_names(tree: ast.AST) -> set[str]:
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return {func.id for func in calls if isinstance(func, ast.Name)}


@pytest.mark.parametrize("source", SOURCES)
def test_a_module_imports_only_the_groups_before_its_own(source):
    if source == "__init__.py":
        return  # Its names are looked up when first used: see the test below.
    module = "bert_tf." + source.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    group = group_of(module)
    ours = {
        name for name in imported_modules(parse(PACKAGE / source)) if name.startswith("bert_tf.")
    }
    groups = {group_of(name) for name in ours} - {group}
    assert groups <= MAY_IMPORT[group], f"{source} imports {sorted(groups - MAY_IMPORT[group])}"


@pytest.mark.parametrize("source", SOURCES)
def test_only_scripts_print_and_define_flags(source):
    tree = parse(PACKAGE / source)
    assert "print" not in called_names(tree)
    assert not {name for name in imported_modules(tree) if re.match(r"absl(\.flags|\.app)?$", name)}


@pytest.mark.parametrize("source", SOURCES)
def test_a_file_is_one_idea_and_says_which(source):
    text = (PACKAGE / source).read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MAX_LINES
    assert ast.get_docstring(ast.parse(text)), "Its first lines say what the file is for."


def test_importing_the_package_and_what_prepares_data_does_not_import_tensorflow():
    code = (
        "import importlib, sys\n"
        f"for name in {WITHOUT_TENSORFLOW!r}:\n"
        "    importlib.import_module(name)\n"
        "    loaded = {'tensorflow', 'keras', 'tensorflow_text'} & set(sys.modules)\n"
        "    assert not loaded, (name, loaded)\n"
        "import bert_tf\n"
        "bert_tf.FullTokenizer, bert_tf.BertConfig\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    _run(code)


def test_models_do_not_import_tensorflow_text():
    _run(
        "import sys, keras, bert_tf\n"
        "for name in bert_tf.__all__:\n"
        "    getattr(bert_tf, name)\n"
        "assert 'tensorflow_text' not in sys.modules\n"
    )


def _run(code):
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("source", SOURCES)
def test_every_module_can_be_imported(source):
    module = "bert_tf." + source.removesuffix(".py").replace("/", ".")
    assert importlib.import_module(module.removesuffix(".__init__")).__doc__


def test_every_public_name_can_be_had_and_is_listed():
    assert "FullTokenizer" in dir(bert_tf)
    for name in bert_tf.__all__:
        assert getattr(bert_tf, name) is not None
    missing = "no_such_name"
    with pytest.raises(AttributeError, match=missing):
        getattr(bert_tf, missing)


def test_the_version_is_that_of_the_distribution():
    assert importlib.metadata.version("bert-tf") == bert_tf.__version__


def test_every_script_says_what_it_does_and_the_command(scripts_dir):
    scripts = set(scripts_dir.glob("*.py")) - {
        scripts_dir / name for name in ("command_line.py", "console.py", "flag_help.py")
    }
    assert scripts
    for script in sorted(scripts):
        docstring = ast.get_docstring(parse(script)) or ""
        assert f"python run_scripts/{script.name}" in docstring, script.name


@pytest.mark.parametrize(
    "script", ["quickstart.sh", "test.sh", "setup_environment.sh", "setup_beam_environment.sh"]
)
def test_shell_scripts_can_be_parsed(scripts_dir, script):
    subprocess.run(["bash", "-n", scripts_dir / script], check=True)
