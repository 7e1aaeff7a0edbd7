"""XQuAD and MLQA: a split, a score by the official rules, and files for each language."""

import dataclasses
import json
import pickle

import pytest
from small_finetuning import small_finetuning

import bert_tf
from bert_tf.finetuning.program import run_finetuning
from bert_tf.spans.answers import SpanAnswer
from bert_tf.tasks.task import find_task


def questions(context, *answers):
    """A file in SQuAD's format: one passage, a question for each answer."""
    qas = [
        {
            "id": f"q{number}",
            "question": "which?",
            "answers": [{"text": text, "answer_start": context.index(text)}],
        }
        for number, text in enumerate(answers)
    ]
    return json.dumps({"data": [{"paragraphs": [{"context": context, "qas": qas}]}]})


@pytest.fixture
def make(tmp_path):
    """Writes files by name, and makes the task that reads them."""

    def make_task(task, files, **options):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return find_task(task, {"data_dir": str(tmp_path), **options})

    return make_task


XQUAD = {
    "xquad.en.json": questions("The old house", "The old house"),
    "xquad.de.json": questions("Das alte Haus", "Das alte Haus"),
    "xquad.zh.json": questions("老房子", "老房子"),
}


def answer_with(*texts):
    return [SpanAnswer(text, (), 0.0) for text in texts]


def test_every_language_with_a_file_is_evaluated_english_first(make):
    task = make("xquad", XQUAD)
    assert task.splits("eval") == task.splits("predict") == ("eval", "eval_de", "eval_zh")
    assert [*map(task.split_title, task.splits("eval"))] == ["en", "de", "zh"]
    assert task.sources("eval_de")[0].endswith("xquad.de.json")
    assert task.read("eval_zh")[0].context == "老房子"
    assert pickle.loads(pickle.dumps(task)).read("eval") == task.read("eval")


def test_languages_can_be_chosen_and_must_then_have_files(make):
    task = make("xquad", XQUAD, language="zh", eval_languages="de")
    assert [*map(task.split_title, task.splits("eval"))] == ["zh", "de"]
    with pytest.raises(
        ValueError, match=r"xquad\.el\.json, or that with \.gz\. Received: data_dir="
    ):
        make("xquad", XQUAD, eval_languages="el").splits("eval")
    with pytest.raises(ValueError, match="no language fr"):
        make("xquad", XQUAD, eval_languages="fr")


def test_training_needs_a_file_in_squads_format(make, tmp_path):
    with pytest.raises(ValueError, match=r"Give train_file, or a data_dir with train-v1\.1\.json"):
        make("xquad", XQUAD).splits("train")
    task = make("xquad", {"de_squad.json": XQUAD["xquad.de.json"]})
    task = make("xquad", XQUAD, train_file=str(tmp_path / "de_squad.json"))
    assert len(task.read("train")) == 1


def test_xquad_has_squads_rules_in_every_language(make):
    task = make("xquad", XQUAD)
    english, german = task.read("eval"), task.read("eval_de")
    assert task.score(english, answer_with("old house"))["exact"] == 100.0
    found = task.score(german, answer_with("alte Haus"))
    assert (found["exact"], found["f1"]) == (0.0, pytest.approx(80.0))


MLQA = {
    f"test/test-context-{context}-question-{question}.json": questions(text, text)
    for context, text in (("en", "The old house"), ("de", "Das alte Haus"), ("zh", "老房子"))
    for question in ("en", "de", "zh")
}


def test_mlqa_has_the_rules_of_the_passages_language(make):
    task = make("mlqa", MLQA, eval_set="test", eval_languages="de,zh")
    assert task.splits("eval") == ("eval", "eval_de", "eval_zh")
    assert task.score(task.read("eval_de"), answer_with("alte Haus"))["exact"] == 100.0
    found = task.score(task.read("eval_zh"), answer_with("房子"))  # 2 of 2 found, of 3.
    assert found["f1"] == pytest.approx(80.0)
    assert task.metric in found


def test_mlqa_pairs_passages_and_questions_in_other_languages(make):
    options = {"eval_set": "test", "eval_languages": "de", "question_languages": "all"}
    task = make("mlqa", MLQA, **options)
    assert task.sources("eval_de_zh")[0].endswith("test-context-de-question-zh.json")
    assert task.split_title("eval_de_zh") == "de_zh"
    assert task.read("eval_de_zh")[0].language == "de"
    with pytest.raises(ValueError, match=r"test-context-en-question-es\.json"):
        task.splits("eval")  # All were asked for.
    task = make("mlqa", MLQA, **{**options, "question_languages": "zh"})
    assert task.splits("eval") == ("eval", "eval_en_zh", "eval_de_zh")


def test_predictions_of_each_language_have_their_own_files(make, tmp_path):
    task = make("mlqa", MLQA, eval_set="test", eval_languages="de")
    for split, name in (("eval", "predictions.json"), ("eval_de", "predictions_de.json")):
        examples = task.read(split)
        paths = task.write(split, examples, answer_with("Haus"), str(tmp_path / "out"))
        assert paths[0].endswith(f"/{name}")
        assert json.loads((tmp_path / "out" / name).read_text()) == {"q0": "Haus"}


@pytest.mark.slow
def test_a_model_of_squad_is_evaluated_in_many_languages(small_model, tmp_path):
    passage = "the film is good the plot is bad"
    train = questions(passage, "good", "bad", "the film")
    for name in ("squad/train-v1.1.json", "xquad/xquad.en.json", "xquad/xquad.de.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(train)
    options = ("max_query_length=8", "mask_padding=true")
    trained = small_finetuning(
        small_model,
        "squad",
        tmp_path / "out",
        (*options, f"data_dir={tmp_path / 'squad'}"),
        train_batch_size=3,
        do_eval=False,
    )
    run_finetuning(trained)
    metrics = run_finetuning(
        dataclasses.replace(
            trained,
            task="xquad",
            task_options=(*options, f"data_dir={tmp_path / 'xquad'}"),
            do_train=False,
            do_eval=True,
            do_predict=True,
        )
    )
    assert metrics["eval_f1"] == metrics["eval_f1_de"]
    table = (tmp_path / "out" / "eval_results_by_split.tsv").read_text().splitlines()
    assert [line.split("\t")[0] for line in table] == ["split", "en", "de", "mean"]
    answers = json.loads((tmp_path / "out" / "predictions_de.json").read_text())
    predictor = bert_tf.Predictor(str(tmp_path / "out"))
    assert predictor.predict([("which?", passage)])[0].text == answers["q0"]
