"""SuperGLUE: what each official object becomes, the metrics, and the files for the server."""

import dataclasses
import gzip
import json
import pickle
import random

import numpy as np
import pytest
from small_finetuning import small_finetuning
from task_rows import predict_texts

import bert_tf
from bert_tf.finetuning.other_examples import FoldTask
from bert_tf.finetuning.program import run_finetuning
from bert_tf.serving.export import export_saved_model
from bert_tf.settings import ExportSettings
from bert_tf.tasks import superglue
from bert_tf.tasks.superglue_inputs import input_texts
from bert_tf.tasks.task import Windows, find_task

PAIR = {"premise": "It rains.", "hypothesis": "It is wet.", "idx": 4}
COPA = {"premise": "He fell.", "choice1": "Ice.", "choice2": "Sun.", "question": "cause", "idx": 7}
WIC = {
    "word": "ball",
    "sentence1": "Play ball now.",
    "sentence2": "A ball.",
    "idx": 2,
    "start1": 5,
    "end1": 9,
    "start2": 2,
    "end2": 6,
    "version": 1.1,
}
WSC = {
    "text": "Mark told Pete's brother lies, \"which he, Pete, believed.",
    "target": {
        "span1_index": 2,
        "span1_text": "pete's brother",
        "span2_index": 6,
        "span2_text": "he",
    },
    "idx": 3,
}
MULTIRC = {
    "idx": 5,
    "version": 1.1,
    "passage": {
        "text": "Susan had a party.",
        "questions": [
            {
                "question": "Who had it?",
                "idx": 10,
                "answers": [
                    {"text": "Susan", "idx": 20, "label": 1},
                    {"text": "Tom", "idx": 21, "label": 0},
                ],
            },
            {"question": "When?", "idx": 11, "answers": [{"text": "Now", "idx": 22, "label": 0}]},
        ],
    },
}
RECORD = {
    "source": "Daily mail",
    "passage": {
        "text": "Ann met Bob in Rome.\n@highlight\nAnn left",
        "entities": [{"start": s, "end": e} for s, e in ((15, 18), (0, 2), (8, 10), (32, 34))],
    },
    "qas": [
        {
            "query": "@placeholder met Ann",
            "answers": [{"start": 8, "end": 10, "text": "Bob"}],
            "idx": 30,
        },
        {
            "query": "in @placeholder",
            "answers": [{"start": 0, "end": 2, "text": "roma"}],
            "idx": 31,
        },
    ],
    "idx": 6,
}
OBJECTS = {  # By variant: the file, an object with its label, the texts, and the labels.
    "boolq": (
        "val.jsonl",
        {"question": "is it", "passage": "It is.", "idx": 1, "label": True},
        [("It is.", "is it")],
        ["true"],
    ),
    "cb": ("val.jsonl", {**PAIR, "label": "neutral"}, [("It rains.", "It is wet.")], ["neutral"]),
    "rte": (
        "val.jsonl",
        {**PAIR, "label": "entailment"},
        [("It rains.", "It is wet.")],
        ["entailment"],
    ),
    "wic": ("val.jsonl", {**WIC, "label": False}, [("Play *ball* now.", "A *ball*.")], ["false"]),
    "wsc": (
        "val.jsonl",
        {**WSC, "label": True},
        [("Mark told #Pete's brother# lies, \"which *he*, Pete, believed.", None)],
        ["true"],
    ),
    "multirc": (
        "val.jsonl",
        MULTIRC,
        [
            ("Susan had a party.", "Who had it? Susan"),
            ("Susan had a party.", "Who had it? Tom"),
            ("Susan had a party.", "When? Now"),
        ],
        ["1", "0", "0"],
    ),
    "record": (
        "val.jsonl",
        RECORD,
        [
            (RECORD["passage"]["text"], text)
            for text in (
                *("Ann met Ann", "Bob met Ann", "Rome met Ann"),
                *("in Ann", "in Bob", "in Rome"),
            )
        ],
        ["0", "1", "0", "0", "0", "0"],
    ),
    "axb": (
        "AX-b.jsonl",
        {"sentence1": "a", "sentence2": "b", "idx": 0, "label": "not_entailment", "logic": "x"},
        [("a", "b")],
        ["not_entailment"],
    ),
    "axg": (
        "AX-g.jsonl",
        {**PAIR, "label": "entailment", "pair_id": 1},
        [("It rains.", "It is wet.")],
        ["entailment"],
    ),
}


@pytest.fixture
def make(tmp_path):
    """Writes objects to a file, a line each, and makes the task that reads it."""

    def make_task(variant, name, *objects, folder="", packed=False):
        (tmp_path / folder).mkdir(exist_ok=True)
        text = "".join(json.dumps(each) + "\n" for each in objects).encode()
        path = tmp_path / folder / (f"{name}.gz" if packed else name)
        path.write_bytes(gzip.compress(text) if packed else text)
        return find_task(f"superglue:{variant}", {"data_dir": str(tmp_path)})

    return make_task


@pytest.mark.parametrize("variant", OBJECTS)
def test_each_object_becomes_its_texts_and_labels(make, variant):
    name, content, texts, labels = OBJECTS[variant]
    task = make(variant, name, content)
    examples = task.read("eval")
    assert [(each.text_a, each.text_b) for each in examples] == texts
    assert [each.label for each in examples] == labels
    assert set(labels) <= set(task.labels)
    assert task.inputs == (("text",) if variant == "wsc" else ("text_a", "text_b"))
    inputs = [texts_ if texts_[1] is not None else texts_[:1] for texts_ in texts]
    assert input_texts(variant, content) == inputs
    assert pickle.loads(pickle.dumps(task)).read("eval") == examples


def test_copa_asks_for_a_cause_or_an_effect(make):
    other = {**COPA, "question": "effect", "idx": 8, "label": 1}
    task = make("copa", "val.jsonl", {**COPA, "label": 0}, other)
    first, second = task.read("eval")
    assert (first.context, first.choices) == (
        "He fell. What was the cause of this?",
        ("Ice.", "Sun."),
    )
    assert second.context == "He fell. What happened as a result?"
    assert (first.label, second.label) == (0, 1)
    assert input_texts("copa", COPA) == [(first.context, first.choices)]


def test_tasks_are_found_in_their_own_folder_and_gzipped(make):
    task = make("boolq", "train.jsonl", OBJECTS["boolq"][1], folder="BoolQ", packed=True)
    assert task.sources("train")[0].endswith("BoolQ/train.jsonl.gz")
    assert len(task.read("train")) == 1
    with pytest.raises(ValueError, match=r"superglue:boolq needs test\.jsonl .*subfolder BoolQ"):
        task.splits("predict")


def test_the_diagnostics_are_evaluated_and_predicted_but_not_trained_on(make):
    task = make("axb", "AX-b.jsonl", OBJECTS["axb"][1])
    assert task.splits("eval") == ("eval",)
    assert task.sources("eval") == task.sources("predict")
    with pytest.raises(ValueError, match=r"superglue:rte"):
        task.splits("train")


def logits(*likely):
    return np.log([[1 - each, each] for each in np.asarray(likely, np.float32)])


def submission(task, examples, answers, folder):
    paths = task.write("predict", examples, answers, str(folder))
    (path,) = [each for each in paths if "/submission/" in each]
    with open(path, encoding="utf-8") as file:
        return path.rpartition("/")[2], [json.loads(line) for line in file]


@pytest.mark.parametrize(
    ("variant", "lines"),
    [
        ("boolq", [{"idx": 1, "label": "true"}]),
        ("wic", [{"idx": 2, "label": "true"}]),
        ("wsc", [{"idx": 3, "label": "True"}]),
        ("axg", [{"idx": 4, "label": "not_entailment"}]),
    ],
)
def test_submissions_have_the_servers_labels(make, tmp_path, variant, lines):
    name, content, *_ = OBJECTS[variant]
    unlabelled = {key: value for key, value in content.items() if key != "label"}
    task = make(variant, name if "AX" in name else "test.jsonl", unlabelled)
    examples = task.read("predict")
    assert examples[0].label is None
    answers = predict_texts(task, examples, logits(0.9))
    assert task.score(examples, answers) == {}
    assert submission(task, examples, answers, tmp_path) == (
        f"{superglue._CORPORA[variant].folder}.jsonl",
        lines,
    )


def test_folds_keep_the_answers_of_a_passage_together(make):
    task = make("multirc", "train.jsonl", *({**MULTIRC, "idx": number} for number in range(5)))
    for number in (1, 2, 3):
        passages = {each.idx[0] for each in FoldTask(task, 3, number, seed=1).read("eval")}
        others = {each.idx[0] for each in FoldTask(task, 3, number, seed=1).read("train")}
        assert passages
        assert others
        assert not passages & others


def test_multirc_is_scored_and_submitted_by_question(make, tmp_path):
    task = make("multirc", "val.jsonl", MULTIRC)
    examples = task.read("eval")
    answers = predict_texts(task, examples, logits(0.9, 0.8, 0.1))
    assert task.score(examples, answers) == {
        "f1a": pytest.approx(2 / 3),
        "em": 0.5,
        "score": pytest.approx((2 / 3 + 0.5) / 2),
        "f1m": pytest.approx(1 / 3),
    }
    assert submission(task, examples, answers, tmp_path)[1] == [
        {
            "idx": 5,
            "passage": {
                "questions": [
                    {"idx": 10, "answers": [{"idx": 20, "label": 1}, {"idx": 21, "label": 1}]},
                    {"idx": 11, "answers": [{"idx": 22, "label": 0}]},
                ]
            },
        }
    ]


def test_each_passage_of_multirc_is_submitted_under_its_own_number(make, tmp_path):
    task = make("multirc", "val.jsonl", *({**MULTIRC, "idx": number} for number in (5, 7, 6)))
    examples = task.read("eval")
    answers = predict_texts(task, examples, logits(*[0.9, 0.8, 0.1] * 3))
    lines = submission(task, examples, answers, tmp_path)[1]
    assert [line["idx"] for line in lines] == [5, 7, 6]
    assert lines[0]["passage"] == lines[1]["passage"] == lines[2]["passage"]


def test_record_takes_the_most_probable_entity(make, tmp_path):
    task = make("record", "val.jsonl", RECORD)
    examples = task.read("eval")
    # Of the first query Bob, though 0 is more probable; of the second, a tie, the first by name.
    answers = predict_texts(task, examples, logits(0.1, 0.4, 0.2, 0.1, 0.3, 0.3))
    assert task.score(examples, answers) == {"em": 0.5, "f1": 0.5, "score": 0.5}
    assert submission(task, examples, answers, tmp_path)[1] == [
        {"idx": 30, "label": "Bob"},
        {"idx": 31, "label": "Bob"},
    ]
    assert not task.is_collapsed(examples, answers)
    assert task.is_collapsed(examples, predict_texts(task, examples, logits(*[0.2] * 6)))


def test_copa_is_scored_and_submitted(make, tmp_path):
    task = make("copa", "test.jsonl", COPA)
    examples = task.read("predict")
    answers = task.predict(examples, Windows([1], np.array([[0.0, 1.0]])), None)
    assert submission(task, examples, answers, tmp_path) == ("COPA.jsonl", [{"idx": 7, "label": 1}])


def test_cb_reports_the_mean_of_accuracy_and_f1(make):
    other = {**PAIR, "idx": 5, "label": "entailment"}
    task = make("cb", "val.jsonl", {**PAIR, "label": "neutral"}, other)
    examples = task.read("eval")
    scores = np.eye(3)[[task.labels.index("neutral")] * 2]
    found = task.score(examples, predict_texts(task, examples, scores))
    assert found["accuracy"] == 0.5
    assert found["f1"] == pytest.approx((2 / 3 + 0 + 0) / 3)
    assert found["score"] == pytest.approx((0.5 + 2 / 9) / 2)


@pytest.mark.parametrize(
    ("index", "words", "marked"),
    [
        (4, "He", "He said that Bob, (*he*) won."),  # In another case, in brackets.
        (4, "he.", "He said that Bob, (*he*) won."),
        (3, "Rob", "He said that *Bob,* (he) won."),  # Another spelling: the words there.
        (0, "He", "*He* said that Bob, (he) won."),
    ],
)
def test_wsc_finds_spans_that_are_spelled_otherwise(make, index, words, marked):
    target = {"span1_index": 5, "span1_text": "won", "span2_index": index, "span2_text": words}
    content = {"text": "He said that Bob, (he) won.", "target": target, "idx": 0}
    ((text,),) = input_texts("wsc", content)
    assert text == marked.replace("won", "#won#")


@pytest.mark.parametrize(
    ("variant", "changes", "message"),
    [
        ("boolq", {"passage": 3}, r"val\.jsonl:1: the line .* 'passage' is a text. Received: 3"),
        ("boolq", {"label": "maybe"}, r"val\.jsonl:1: label 'maybe' is not one of false, true"),
        ("boolq", {"label": None}, "'label' is a text. Received: None"),
        ("boolq", {"idx": "1"}, "'idx' is a whole number"),
        ("wic", {"end1": 90}, r"start1 and end1 must lie in sentence1, .* Received: 5, 90"),
        (
            "wsc",
            {"target": {**WSC["target"], "span2_index": 40}},
            "no 1 words from span2_index = 40",
        ),
        ("multirc", {"passage": {"text": "a"}}, r"passage .* 'questions' is a list"),
        ("record", {"passage": {"text": "a", "entities": []}}, "needs entities"),
        ("record", {"qas": [{"query": "who", "idx": 1}]}, "no @placeholder in the query 'who'"),
    ],
)
def test_bad_objects_are_refused_with_file_and_line(make, variant, changes, message):
    with pytest.raises(ValueError, match=message):
        make(variant, "val.jsonl", {**OBJECTS[variant][1], **changes}).read("eval")


def test_lines_that_are_not_json_objects_are_refused(make, tmp_path):
    task = make("rte", "val.jsonl", OBJECTS["rte"][1])
    path = tmp_path / "val.jsonl"
    for line, message in (("{", r"jsonl:2.* not JSON"), ("[]", "must be a JSON object")):
        path.write_text(json.dumps(OBJECTS["rte"][1]) + f"\n{line}\n")
        with pytest.raises(ValueError, match=message):
            task.read("eval")


@pytest.mark.parametrize("variant", ["rte", "multirc", "record"])
def test_an_example_that_is_there_twice_is_refused(make, variant):
    item = OBJECTS[variant][1]
    with pytest.raises(ValueError, match=r"val\.jsonl:2.* the idx .* was already at .*jsonl:1"):
        make(variant, "val.jsonl", item, item).read("eval")


def test_unknown_tasks_are_refused():
    with pytest.raises(ValueError, match="SuperGLUE's tasks are boolq, "):
        input_texts("mnli", {})
    with pytest.raises(ValueError, match="no task 'superglue:mnli'"):
        find_task("superglue:mnli")
    with pytest.raises(ValueError, match="has the labels false, true"):
        find_task("superglue:wic", labels=("0", "1"))


def write_objects(folder, name, contents):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("".join(json.dumps(each) + "\n" for each in contents))


def opinions(size, rng, with_labels=True):
    """Objects of multirc about what is good."""
    for number in range(size):
        answers = []
        for index in range(rng.randint(2, 3)):
            is_good = rng.random() < 0.5
            text = rng.choice(["good", "fine", "great"] if is_good else ["bad", "poor", "awful"])
            answers.append({"text": text, "idx": index})
            if with_labels:
                answers[-1]["label"] = int(is_good)
        questions = [{"question": "the plot", "answers": answers, "idx": number}]
        yield {"passage": {"text": "the film is", "questions": questions}, "idx": number}


@pytest.mark.slow
def test_it_learns_and_answers_alike_from_the_folder_and_the_saved_model(small_model, tmp_path):
    rng = random.Random(1)
    for name, size in (("train", 120), ("val", 12), ("test", 5)):
        lines = list(opinions(size, rng, with_labels=name != "test"))
        write_objects(tmp_path / "MultiRC", f"{name}.jsonl", lines)
    settings = small_finetuning(
        small_model,
        "superglue:multirc",
        tmp_path / "out",
        (f"data_dir={tmp_path}",),
        max_seq_length=16,
        learning_rate=5e-3,
        num_train_epochs=6.0,
        do_predict=True,
    )
    metrics = run_finetuning(settings)
    assert metrics["eval_score"] > 0.9
    export = export_saved_model(
        ExportSettings(model=settings.output_dir, export_dir=str(tmp_path / "served"))
    )
    submitted = (tmp_path / "out" / "submission" / "MultiRC.jsonl").read_text().splitlines()
    for folder in (settings.output_dir, export.folder):
        predictor = bert_tf.Predictor(folder)
        for content, line in zip(lines, map(json.loads, submitted), strict=True):
            found = predictor.predict(input_texts("multirc", content))
            (question,) = line["passage"]["questions"]
            labels = [str(answer["label"]) for answer in question["answers"]]
            assert [answer.label for answer in found] == labels


@pytest.mark.slow
def test_the_diagnostics_are_for_models_of_rte(small_model, tmp_path):
    pairs = [
        {
            "premise": "the film is good",
            "hypothesis": word,
            "idx": number,
            "label": "entailment" if word == "great" else "not_entailment",
        }
        for number, word in enumerate(["great", "bad"] * 8)
    ]
    write_objects(tmp_path / "RTE", "train.jsonl", pairs)
    write_objects(tmp_path / "AX-g", "AX-g.jsonl", pairs[:4])
    options = (f"data_dir={tmp_path}",)
    trained = small_finetuning(
        small_model,
        "superglue:rte",
        tmp_path / "out",
        options,
        max_seq_length=12,
        train_batch_size=8,
        do_eval=False,
    )
    run_finetuning(trained)
    metrics = run_finetuning(
        dataclasses.replace(
            trained, task="superglue:axg", do_train=False, do_eval=True, do_predict=True
        )
    )
    assert {"eval_accuracy", "eval_gender_parity"} <= metrics.keys()
    assert len((tmp_path / "out" / "submission" / "AX-g.jsonl").read_text().splitlines()) == 4
