"""Finding a task by its name, its options as texts, and the worked example of docs/own_task.md."""

import dataclasses
import importlib
import re
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from task_rows import encode_all, predict_texts

import bert_tf.tasks
from bert_tf.config import BertConfig
from bert_tf.model.encoder import BertEncoder
from bert_tf.settings.setting import setting
from bert_tf.tasks.task import (
    PURPOSES,
    add_task_module,
    find_task,
    options_of,
    parse_options,
    split_options,
    task_names,
)
from bert_tf.text.tokenization import FullTokenizer

DOCS = Path(__file__).resolve().parent.parent.parent / "docs" / "own_task.md"

# Gives back what it was made with.
ECHO = """
import dataclasses
from bert_tf.settings.setting import setting

VARIANTS = {variants!r}


@dataclasses.dataclass(frozen=True)
class Options:
    doc_stride: int = setting(128, "A number.")
    labels: str = setting("", "A text.")


def make(variant, options, labels):
    return variant, options.doc_stride, options.labels, labels
"""


@dataclasses.dataclass(frozen=True)
class Options:
    """One option of each type."""

    text: str = setting("a", "")
    number: int = setting(1, "")
    share: float = setting(0.5, "")
    is_set: bool = setting(False, "")


def example_of_the_guide() -> str:
    guide = DOCS.read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    return code


@pytest.fixture
def add_task(tmp_path, monkeypatch):
    """Puts a module into the package of tasks, for one test."""
    folder = tmp_path / "tasks"
    folder.mkdir()
    monkeypatch.setattr(bert_tf.tasks, "__path__", [*bert_tf.tasks.__path__, str(folder)])
    added = []

    def add_task(name: str, code: str) -> None:
        (folder / f"{name}.py").write_text(code)
        added.append(name)
        importlib.invalidate_caches()

    yield add_task
    for name in added:
        sys.modules.pop(f"bert_tf.tasks.{name}", None)
        vars(bert_tf.tasks).pop(name, None)


@pytest.fixture
def echo(add_task):
    add_task("echo", ECHO.format(variants=()))
    add_task("choir", ECHO.format(variants=("high", "low-1")))


def test_every_module_with_a_make_is_a_task(echo):
    names = task_names()
    assert {"tsv", "squad", "glue:mnli", "glue:sst-2", "echo", "choir:high", "choir:low-1"} <= {
        *names
    }
    assert not {"task", "classification", "span", "glue", "choir"} & set(names)
    assert len(names) == len(set(names))


def test_a_task_is_given_its_variant_its_options_and_the_saved_labels(echo):
    assert find_task("echo") == (None, 128, "", None)
    assert find_task("Echo", {"doc_stride": "64"}, ["b", "a"]) == (None, 64, "", ("b", "a"))
    assert find_task("choir:Low-1", {"labels": "x,y"}, []) == ("low-1", 128, "x,y", None)


@pytest.mark.parametrize("name", ["ech", "echo:high", "choir", "choir:", "choir:tenor", "", "task"])
def test_an_unknown_task_is_refused_with_those_that_there_are(echo, name):
    with pytest.raises(ValueError, match="There is no task") as error:
        find_task(name)
    assert repr(name) in str(error.value)
    assert {"echo", "choir:high", "choir:low-1", "tsv"} <= set(
        re.findall(r"[\w:-]+", str(error.value))
    )


def test_options_of_a_task_are_listed_with_their_help(echo):
    assert [field.name for field in options_of("choir:high")] == ["doc_stride", "labels"]
    assert options_of("ECHO")[0].metadata["help"] == "A number."
    with pytest.raises(ValueError, match="There is no task 'ech'"):
        options_of("ech")


@pytest.mark.parametrize("name", sorted({name.partition(":")[0] for name in task_names()}))
def test_every_option_of_every_task_has_a_help_text(name):
    for field in options_of(name):
        assert field.metadata["help"].endswith("."), field.name


def test_options_are_divided_at_commas_that_a_name_follows():
    assert split_options("doc_stride=64,n_best_size=5,labels=a,b") == {
        "doc_stride": "64",
        "n_best_size": "5",
        "labels": "a,b",
    }
    assert split_options("labels=a,b,c,regression=true") == {
        "labels": "a,b,c",
        "regression": "true",
    }
    assert split_options("delimiter=,,header=true") == {"delimiter": ",", "header": "true"}
    assert split_options("path=gs://b/x=1,y z=2") == {"path": "gs://b/x=1,y z=2"}
    assert split_options("a=1,b=") == {"a": "1", "b": ""}
    with pytest.raises(ValueError, match="option a is given twice"):
        split_options("a=1,b=,a=2")
    assert split_options("") == {}


def test_an_option_without_a_name_is_refused():
    for text in ("doc_stride", "64,doc_stride=1", "=3"):
        with pytest.raises(ValueError, match="name=value") as error:
            split_options(text)
        assert repr(text) in str(error.value)


def test_options_are_parsed_by_the_types_of_their_defaults():
    texts = {"text": "1", "number": "-3", "share": "1e-3", "is_set": "True"}
    assert parse_options(Options, texts) == Options("1", -3, 0.001, True)
    assert parse_options(Options, {}) == parse_options(Options, {"is_set": "0"}) == Options()
    assert parse_options(Options, {"number": 5, "is_set": True}) == Options(number=5, is_set=True)


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("number", "3.5", "a whole number"),
        ("share", "half", "a number"),
        ("is_set", "yes", "true or false"),
    ],
)
def test_a_value_of_another_type_is_refused(name, value, kind):
    with pytest.raises(ValueError, match=f"option {name} must be {kind}. Received: '{value}'"):
        parse_options(Options, {name: value})


def test_an_unknown_option_is_refused_with_those_that_there_are(echo):
    with pytest.raises(ValueError, match=r"no option stride\. It has: doc_stride, labels"):
        find_task("echo", {"stride": "1"})


@pytest.fixture
def add_module(tmp_path, monkeypatch):
    """Writes a task outside the package and adds it, for one test."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr("bert_tf.tasks.task._added", {})
    written, before = [], set(sys.modules)

    def add_module(name: str, code: str) -> str:
        (tmp_path / "own").mkdir(exist_ok=True)
        path = tmp_path / "own" / name
        path.write_text(code)
        written.append(path.stem)
        importlib.invalidate_caches()
        return add_task_module(str(path))

    yield add_module
    for name in set(written) - before:
        sys.modules.pop(name, None)


def test_a_task_may_be_a_file_anywhere(add_module):
    assert add_module("Own.py", ECHO.format(variants=("high",))) == "own"
    assert "own:high" in task_names()
    assert find_task("own:High", {"doc_stride": "3"}) == ("high", 3, "", None)
    assert [field.name for field in options_of("own")] == ["doc_stride", "labels"]


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("own.txt", "", "must be the path of a Python file. Received: .*own.txt"),
        ("own.py", "def make(): ...", r"own\.py lacks Options, VARIANTS\. See docs/own_task\.md"),
        ("squad.py", ECHO.format(variants=()), r"squad\.py has the name of another task"),
        ("tokenize.py", "", r"tokenize\.py: rename this file, .* its name: .*tokenize\.py"),
        ("broken.py", "x = (", r"broken\.py: SyntaxError: .*line 1"),
        ("broken.py", "import no_such", r"broken\.py: ModuleNotFoundError: .*no_such"),
        ("sys.py", "", r"sys\.py: rename this file, .* its name: sys"),
    ],
)
def test_a_file_that_is_no_task_or_has_a_taken_name_is_refused(add_module, name, code, message):
    with pytest.raises(ValueError, match=message):
        add_module(name, code)


@pytest.mark.parametrize("name", ["csv", "json", "my_data"])
def test_whoever_looks_for_a_table_is_shown_the_way(name):
    with pytest.raises(
        ValueError, match="Your own table, as TSV, CSV or JSON lines, is the task t"
    ):
        find_task(name)


def test_a_similar_name_is_suggested():
    with pytest.raises(ValueError, match=r"no task 'glue:mprc'\. Did you mean glue:mrpc\?"):
        find_task("glue:mprc")


@pytest.fixture
def trec(add_module, tmp_path):
    """The task that docs/own_task.md shows how to write, with a few questions."""
    add_module("trec.py", example_of_the_guide())
    for name in ("train_5500.label", "TREC_10.label"):
        (tmp_path / name).write_text(
            "HUM:ind Who was the great cast ?\n"
            "ENTY:cremat What film is a story and the plot ?\n"
            "DESC:def What is a plot ?\n"
        )
    return find_task("trec", {"data_dir": str(tmp_path)})


def test_the_example_of_the_guide_reads_and_scores(trec, tmp_path):
    assert "trec" in task_names()
    assert [trec.splits(purpose) for purpose in PURPOSES] == [(name,) for name in PURPOSES]
    examples = trec.read("train")
    assert [example.label for example in examples] == ["HUM", "ENTY", "DESC"]
    assert examples[1].text_a == "What film is a story and the plot ?"
    assert examples[1].where == f"{tmp_path}/train_5500.label:2"
    (tmp_path / "TREC_10.label").write_text("WHO:ind Who ?\n")
    with pytest.raises(ValueError, match=r"TREC_10.label:1: label 'WHO' is not one of ABBR"):
        trec.read("eval")
    (tmp_path / "TREC_10.label").unlink()
    with pytest.raises(ValueError, match=r"There is no .*TREC_10\.label"):
        trec.splits("eval")


def test_the_example_of_the_guide_does_all_a_task_must(trec, small_model, tmp_path):
    tokenizer = FullTokenizer(small_model["vocab_file"], do_lower_case=True)
    examples = trec.read("eval")
    features = list(encode_all(trec, examples, "eval", tokenizer, 16))
    assert set(trec.features("eval", 16)) - set(features[0]) == {"input_mask"}
    assert [feature["label_ids"] for feature in features] == [[3], [2], [1]]

    batch = {
        name: np.array([feature[name] + [0] * (16 - len(feature[name])) for feature in features])
        for name in ("input_ids", "segment_ids")
    }
    batch["input_mask"] = (batch["input_ids"] > 0).astype(np.int32)
    keras.utils.set_random_seed(1)
    config = BertConfig.from_json_file(small_model["bert_config_file"])
    model = trec.head(BertEncoder(config))
    inputs = {name: tf.constant(value, tf.int32) for name, value in batch.items()}
    outputs = model(inputs)
    losses = trec.loss({"label_ids": tf.constant([3, 2, 1])}, outputs)
    logits = np.asarray(outputs)
    assert logits.shape == (3, 6)
    expected = np.log(np.exp(logits).sum(-1)) - logits[[0, 1, 2], [3, 2, 1]]
    np.testing.assert_allclose(losses, expected, rtol=1e-5)

    # As if the second and third question were taken for each other.
    answers = predict_texts(trec, examples, np.eye(6)[[3, 1, 2]])
    assert [answer.label for answer in answers] == ["HUM", "DESC", "ENTY"]
    assert trec.score(examples, answers) == {"accuracy": pytest.approx(1 / 3)}
    assert not trec.is_collapsed(examples, answers)
    paths = trec.write("predict", examples, answers, str(tmp_path))
    assert [Path(path).name for path in paths] == ["test_results.tsv", "predictions.jsonl"]
    assert all(len(Path(path).read_text().splitlines()) == 3 for path in paths)
