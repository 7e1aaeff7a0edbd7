"""Multiple choice: run_swag.py's features, tables with any number of endings, and a whole run."""

import csv
import gzip
import io
import json
import random
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from served_models import VOCAB
from small_finetuning import small_finetuning

import bert_tf
from bert_tf.finetuning.program import run_finetuning
from bert_tf.serving.export import export_saved_model
from bert_tf.settings import ExportSettings
from bert_tf.tasks.choice import ChoiceAnswer, ChoiceExample
from bert_tf.tasks.task import TruncatedRow, Windows, find_task
from bert_tf.text.tokenization import FullTokenizer

SWAG = ",video-id,fold-ind,startphrase,sent1,sent2,gold-source,ending0,ending1,ending2,ending3"


@pytest.fixture(scope="module")
def golden(golden_dir):
    path = golden_dir / "multiple_choice" / "features.json.gz"
    return json.loads(gzip.decompress(path.read_bytes()))


def own_task(folder, **options):
    columns = {"context_column": "context", "ending_columns": "endings", "label_column": "label"}
    return find_task("multiple_choice", {"data_dir": str(folder), **columns, **options})


def refusal(function, *arguments, **options) -> str:
    with pytest.raises(ValueError, match=r"\S") as error:
        function(*arguments, **options)
    return str(error.value)


@pytest.mark.data
@pytest.mark.parametrize("length", [20, 32, 80])
def test_features_are_those_of_run_swag(golden, data_dir, tmp_path, length):
    tokenizer = FullTokenizer(str(data_dir / "vocab" / golden["vocabulary"]), do_lower_case=True)
    (tmp_path / "train.csv").write_text(golden["csv"], newline="")
    swag, codah = (find_task(name, {"data_dir": str(tmp_path)}) for name in ("swag", "codah"))
    sample = {"train_file": str(data_dir / "swag_sample" / "sample.json")}
    full = {"data_dir": str(data_dir / "codah")}
    sources = {
        "swag_sample": find_task("swag", sample).read("train"),
        "codah": find_task("codah", full).read("train"),
    }
    examples = [sources[item["source"]][item["row"]] for item in golden["items"]]
    of_csv = swag.read("train")  # The same rows as the first ones of the sample.
    assert [each.choices for each in of_csv] == [each.choices for each in examples[: len(of_csv)]]
    features = golden["features"][str(length)]
    assert len(examples) == len(features) == 70
    for example, expected in zip(examples, features, strict=True):
        (row,) = (swag if len(example.choices) == 4 else codah).encode(
            example, "train", tokenizer, length
        )
        ids, mask, segments = (
            np.reshape(row[name], (4, length))
            for name in ("input_ids", "input_mask", "segment_ids")
        )
        assert row["label_ids"] == [expected["label"]]
        assert mask.sum(axis=1).tolist() == expected["input_mask"]
        assert segments.sum(axis=1).tolist() == expected["second_segment"]
        assert [r[m > 0].tolist() for r, m in zip(ids, mask, strict=True)] == expected["input_ids"]


def test_accuracy_takes_the_first_of_equal_scores(golden):
    case, task = golden["accuracy"], find_task("swag")
    examples = [ChoiceExample("", "c", tuple("wxyz"), label) for label in case["labels"]]
    logits = np.array(case["logits"])
    answers = task.predict(examples, Windows([1] * len(logits), logits), None)
    assert task.score(examples, answers) == {"accuracy": case["accuracy"]}


def test_swag_is_read_from_its_files_and_predicted_in_its_format(tmp_path):
    row = '0,v,f,He waves. A line,He waves.,A line,gold,"passes, by.",a.,b.,c.'
    (tmp_path / "val.csv").write_text(f"{SWAG},label\n{row},2\n")
    (tmp_path / "test.csv").write_text(f"{SWAG}\n{row}\n{row}\n")
    task = find_task("swag", {"data_dir": str(tmp_path)})
    (example,) = task.read("eval")
    assert example == ChoiceExample(
        *("dev-0", "He waves.", ("A line passes, by.", "A line a.", "A line b.", "A line c.")),
        label=2,
        where=f"{tmp_path}/val.csv:2",
    )
    examples = task.read("predict")
    assert [example.label for example in examples] == [None, None]
    answers = [ChoiceAnswer(i, (np.float32(0.25),) * 4) for i in (3, 0)]
    task.write("predict", examples, answers, str(tmp_path))
    assert (tmp_path / "submission" / "swag.csv").read_text() == ",pred\n0,3\n1,0\n"
    assert (tmp_path / "test_results.tsv").read_text() == "0.25\t0.25\t0.25\t0.25\n" * 2
    assert "There is no train file" in refusal(task.splits, "train")


def test_codah_trains_on_all_its_rows_if_there_is_no_train_file(tmp_path):
    rows = "o\tI am.\tyou are.\the is.\twe are.\tthey are.\t1\n"
    (tmp_path / "full_data.tsv.gz").write_bytes(gzip.compress(rows.encode()))
    task = find_task("codah", {"data_dir": str(tmp_path)})
    (example,) = task.read("train")
    assert (example.context, example.choices[1], example.label) == ("I am.", "he is.", 1)


def test_an_example_is_marked_as_truncated_if_any_of_its_choices_is():
    tokenizer = FullTokenizer(str(VOCAB))
    task = find_task("swag")
    for choices, is_cut in ((("a", "b c"), False), (("a", "b c d"), True)):
        example = ChoiceExample("", "the man", choices, 0)
        (row,) = task.encode(example, "train", tokenizer, 7)
        assert isinstance(row, TruncatedRow) is is_cut


def test_rows_may_have_different_numbers_of_choices_in_every_format(tmp_path):
    rows = [("c", ["x", "y"], 1), ("d", ["x", "y", "z"], 0)]
    lines = [json.dumps({"context": c, "endings": e, "label": n}) for c, e, n in rows]
    (tmp_path / "train.jsonl").write_text("\n".join(lines) + "\n")
    table = io.StringIO()
    csv.writer(table).writerows([["context", 0, 1, 2, "label"], ["c", "x", "y", "", "B"]])
    (tmp_path / "dev.csv").write_text(table.getvalue(), newline="")
    task = own_task(tmp_path)
    assert [(e.context, list(e.choices), e.label) for e in task.read("train")] == rows
    assert task.features("train", 8)["input_ids"].shape == (3, 8)
    named = own_task(tmp_path, ending_columns="1,2,3", labels="A,B,C")
    assert [(e.choices, e.label) for e in named.read("eval")] == [(("x", "y"), 1)]


def test_what_is_no_multiple_choice_is_refused_with_its_place(tmp_path):
    path = tmp_path / "train.jsonl"

    def message(**row) -> str:
        row = {"context": "c", "endings": ["x", "y"], "label": 0, **row}
        path.write_text(json.dumps(row) + "\n")
        return refusal(own_task(tmp_path).read, "train")

    assert message(label=2).startswith(f"{path}:1: the label is that of choice number 2")
    assert "'A' is not a whole number, 0 for the first choice" in message(label="A")
    assert "no label" in message(label="")
    assert "no text in column 'context'" in message(context=" ")
    assert "choice number 0 is empty" in message(endings=["", "y"])
    assert "1 choices in endings" in message(endings=["x", " "])
    assert "must be a string or a number" in message(endings=[["x"], "y"])
    assert "must be a string or a number" in message(context=["c"])
    assert "--ending_columns is needed" in refusal(own_task, tmp_path, ending_columns="")
    assert "given twice" in refusal(own_task, tmp_path, ending_columns="endings,context")
    assert "--label_column is needed" in refusal(
        own_task(tmp_path, label_column="").splits, "train"
    )


def test_a_choice_without_tokens_is_never_chosen(small_model):
    model = bert_tf.ChoiceModel.from_config(
        bert_tf.ChoiceModel(
            bert_tf.BertEncoder(bert_tf.BertConfig.from_json_file(small_model["bert_config_file"]))
        ).get_config()
    )
    ids = np.random.default_rng(0).integers(5, 20, (2, 3, 6)).astype(np.int32)
    mask = np.ones_like(ids)
    mask[0, 2] = 0
    logits = model({"input_ids": ids, "input_mask": mask}).numpy()
    assert tf.nn.softmax(logits).numpy()[0, 2] == 0
    np.testing.assert_allclose(logits[0, :2], model({"input_ids": ids[:1, :2]})[0], atol=1e-6)


@pytest.mark.parametrize(
    ("probabilities", "collapsed"),
    [
        (((0.25, 0.75), (0.9, 0.1)), False),
        (((0.25, 0.75), (0.1, 0.9)), True),  # Always the second.
        (((0.501, 0.499), (0.499, 0.501)), True),  # All alike.
    ],
)
def test_a_model_that_has_learned_nothing_is_collapsed(probabilities, collapsed, tmp_path):
    task = find_task("codah", {"data_dir": str(tmp_path)})
    examples = [ChoiceExample("", "c", ("x", "y"), label) for label in (1, 0)]
    rows = [tuple(map(np.float32, row)) for row in probabilities]
    answers = [ChoiceAnswer(int(np.argmax(row)), row) for row in rows]
    # A sweep writes it as JSON, which knows no numpy.
    assert task.is_collapsed(examples, answers) is collapsed


def write_questions(folder: Path, size: int, name: str, rng: random.Random) -> None:
    """Rows of 2 to 4 endings, of which one is praise."""
    lines = []
    for _ in range(size):
        endings = [f"is {rng.choice(['bad', 'poor', 'awful', 'dull'])}" for _ in range(4)]
        endings = endings[: rng.randint(2, 4)]
        label = rng.randrange(len(endings))
        endings[label] = f"is {rng.choice(['good', 'fine', 'great', 'lovely'])}"
        row = {"context": rng.choice(["the film", "the plot"]), "endings": endings, "label": label}
        lines.append(json.dumps(row))
    (folder / name).write_text("\n".join(lines) + "\n")


@pytest.mark.slow
def test_it_learns_and_answers_alike_from_the_folder_and_the_saved_model(small_model, tmp_path):
    rng = random.Random(2)
    for name, size in (("train.jsonl", 192), ("dev.jsonl", 25), ("test.jsonl", 7)):
        write_questions(tmp_path, size, name, rng)
    columns = ("context_column=context", "ending_columns=endings", "label_column=label")
    settings = small_finetuning(
        small_model,
        "multiple_choice",
        tmp_path / "out",
        (f"data_dir={tmp_path}", *columns),
        max_seq_length=12,
        learning_rate=5e-3,
        num_train_epochs=6.0,
        do_predict=True,
    )
    metrics = run_finetuning(settings)
    assert metrics["eval_accuracy"] > 0.9
    assert 0 < metrics["eval_loss"] < 0.5
    lines = (tmp_path / "out" / "predictions.jsonl").read_text().splitlines()
    expected = [json.loads(line) for line in lines]
    examples = [(line["context"], line["choices"]) for line in expected]
    export = export_saved_model(
        ExportSettings(model=settings.output_dir, export_dir=str(tmp_path / "served"))
    )
    assert export.validation.largest_difference < 1e-5
    for folder in (settings.output_dir, export.folder):
        for line, answer in zip(expected, bert_tf.Predictor(folder).predict(examples), strict=True):
            assert answer.index == line["label"]
            np.testing.assert_allclose(answer.probabilities, line["probabilities"], atol=1e-5)
