"""XNLI: the original's columns and names, in the language asked for."""

import gzip
import pickle

import pytest
from small_finetuning import small_finetuning
from task_rows import encode_all

from bert_tf.finetuning.program import run_finetuning
from bert_tf.tasks.task import find_task
from bert_tf.text.tokenization import FullTokenizer

HEADER = [
    *("language", "gold_label", "sentence1_binary_parse", "sentence2_binary_parse"),
    *("sentence1_parse", "sentence2_parse", "sentence1", "sentence2", "promptID", "pairID"),
    *("genre", "label1", "label2", "label3", "label4", "label5", "sentence1_tokenized"),
    *("sentence2_tokenized", "match"),
]


def table(*rows):
    return "".join("\t".join(row) + "\n" for row in rows)


def row(language, label, text_a, text_b):
    rest = ["1", "2", "facetoface", *[label] * 5, "tok", "tok", "True"]
    return [language, label, "", "", "", "", text_a, text_b, *rest]


FILES = {
    "multinli/multinli.train.zh.tsv": table(
        ["premise", "hypo", "label"],
        ['从 概念 上 看 , "奶油', "产品", "neutral"],
        ["他 说", "没有", "contradictory"],
        ["c", "d", "entailment"],
    ),
    "multinli/multinli.train.de.tsv": table(["premise", "hypo", "label"], ["e", "f", "neutral"]),
    "xnli.dev.tsv": table(
        HEADER,
        row("ar", "neutral", "g", "h"),
        row("zh", "neutral", "他说 ,妈妈 ,我 回来 了 。", "校车"),
        row("de", "entailment", "Und er", "Er rief"),
        row("zh", "contradiction", "i", "j"),
    ),
    "xnli.test.tsv": table(
        HEADER,
        row("de", "contradiction", "k", "l"),
        row("zh", "entailment", "m", "n"),
        row("zh", "", "o", "p"),
    ),
}


@pytest.fixture
def make(tmp_path):
    """Writes XNLI's files, some of them changed, and makes the task that reads them."""

    def make_task(changes=None, packed=False, **options):
        (tmp_path / "multinli").mkdir()
        for name, text in {**FILES, **(changes or {})}.items():
            content = text.encode("utf-8")
            path = tmp_path / (f"{name}.gz" if packed else name)
            path.write_bytes(gzip.compress(content) if packed else content)
        return find_task("xnli", {"data_dir": str(tmp_path), **options})

    return make_task


def read(task, split):
    return [
        (example.guid, example.text_a, example.text_b, example.label)
        for example in task.read(split)
    ]


@pytest.mark.parametrize("packed", [False, True])
def test_chinese_is_read_as_the_original_reads_it(make, packed):
    task = make(packed=packed)
    assert task.labels == ("contradiction", "entailment", "neutral")
    assert read(task, "train") == [
        ("train-1", '从 概念 上 看 , "奶油', "产品", "neutral"),
        ("train-2", "他 说", "没有", "contradiction"),
        ("train-3", "c", "d", "entailment"),
    ]
    assert read(task, "eval") == [
        ("dev-2", "他说 ,妈妈 ,我 回来 了 。", "校车", "neutral"),
        ("dev-4", "i", "j", "contradiction"),
    ]


def test_another_language_is_read_from_its_own_file_and_its_own_rows(make):
    task = make(language="de")
    assert read(task, "train") == [("train-1", "e", "f", "neutral")]
    assert read(task, "eval") == [("dev-3", "Und er", "Er rief", "entailment")]
    assert read(task, "predict") == [("test-1", "k", "l", "contradiction")]


def test_the_test_set_may_have_labels_and_may_not(make):
    assert read(make(), "predict") == [
        ("test-2", "m", "n", "entailment"),
        ("test-3", "o", "p", None),
    ]


def test_examples_say_where_they_come_from(make, tmp_path):
    task = make()
    assert task.sources("eval") == [str(tmp_path / "xnli.dev.tsv")]
    assert [example.where for example in task.read("eval")] == [
        f"{tmp_path / 'xnli.dev.tsv'}:{line}" for line in (3, 5)
    ]
    assert task.splits("train") == ("train",)


def test_the_texts_are_tokenized_as_they_stand(make, tmp_path):
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "他", "说", "没", "有"]
    (tmp_path / "vocab.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")
    tokenizer = FullTokenizer(str(tmp_path / "vocab.txt"))
    task = make()
    _, features, _ = encode_all(task, task.read("train"), "train", tokenizer, 16)
    assert list(features["input_ids"]) == [2, 5, 6, 3, 7, 8, 3]
    assert features["label_ids"] == [0]


def test_missing_files_are_named():
    task = find_task("xnli", {"data_dir": "nowhere"})
    for purpose, name in [
        ("train", r"multinli/multinli\.train\.zh\.tsv"),
        ("eval", r"xnli\.dev\.tsv"),
        ("predict", r"xnli\.test\.tsv"),
    ]:
        for action in (task.splits, task.read):
            with pytest.raises(ValueError, match=rf"xnli needs {name} .*'nowhere'"):
                action(purpose)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (["zh", "neutral", "", "", "", "", "a"], r"xnli\.dev\.tsv:3: at least 8 columns"),
        (
            row("zh", "contradictions", "a", "b"),
            r"xnli\.dev\.tsv:3: label 'contradictions' is not one of contradiction, entailment, n",
        ),
    ],
)
def test_rows_that_cannot_be_understood_are_refused_with_file_and_line(make, line, message):
    good = row("zh", "neutral", "a", "b")
    with pytest.raises(ValueError, match=message):
        make({"xnli.dev.tsv": table(HEADER, good, line)}).read("eval")


def test_all_languages_are_evaluated_beside_the_one_trained_on(make):
    task = make(language="de", eval_languages="zh,de")
    assert task.splits("train") == ("train",)
    assert task.splits("eval") == ("eval", "eval_zh")
    assert task.splits("predict") == ("predict", "predict_zh")
    assert read(task, "train") == [("train-1", "e", "f", "neutral")]
    assert read(task, "eval") == [("dev-3", "Und er", "Er rief", "entailment")]
    assert [row[0] for row in read(task, "eval_zh")] == ["dev-2", "dev-4"]
    assert [row[0] for row in read(task, "predict_zh")] == ["test-2", "test-3"]
    assert list(map(task.split_title, task.splits("eval"))) == ["de", "zh"]
    everything = find_task("xnli", {"language": "en", "eval_languages": "all"})
    assert len(everything.reader.readers) == 15
    assert pickle.loads(pickle.dumps(task)).read("eval_zh") == task.read("eval_zh")


def test_the_test_set_can_be_evaluated(make):
    task = make(language="de", eval_set="test")
    assert read(task, "eval") == [("dev-1", "k", "l", "contradiction")]


def test_translations_to_english_have_files_of_their_own(make, tmp_path):
    (tmp_path / "xnli").mkdir()
    rows = ["premise", "hypo", "label"], ["He said", "nothing", "contradictory"]
    (tmp_path / "xnli" / "xnli.dev.zh.en.tsv").write_text(table(*rows))
    (tmp_path / "xnli" / "xnli.dev.ar.tsv").write_text(table(*rows))
    english = row("en", "neutral", "q", "r")
    changes = {"xnli.dev.tsv": table(HEADER, english)}
    task = make(changes, language="en", eval_languages="zh,ar", translated="true")
    assert read(task, "eval") == [("dev-1", "q", "r", "neutral")]
    for split in ("eval_zh", "eval_ar"):
        assert read(task, split) == [("dev-1", "He said", "nothing", "contradiction")]
    with pytest.raises(ValueError, match=r"xnli/xnli\.test\.zh\.en\.tsv or .* for 'predict'"):
        task.splits("predict")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"eval_languages": "de,it"}, "no language it. There are: ar, bg"),
        ({"translated": "true"}, "needs language=en"),
        ({"eval_set": "train"}, "must be one of 'dev', 'test'"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        find_task("xnli", options)


def test_a_language_without_examples_is_refused(make):
    with pytest.raises(ValueError, match=r"xnli\.dev\.tsv: no examples whose language is 'fr'"):
        make(language="fr").read("eval")


@pytest.mark.parametrize("options", [{"language": "it"}, {"data_source": "web"}])
def test_unknown_languages_and_sources_are_refused(options):
    with pytest.raises(ValueError, match="must be one of"):
        find_task("xnli", options)


def test_other_labels_than_xnlis_are_refused_but_not_another_order():
    order = ("neutral", "entailment", "contradiction")
    assert find_task("xnli", labels=order).labels == order
    with pytest.raises(ValueError, match="xnli has the labels contradiction"):
        find_task("xnli", labels=("0", "1"))


def test_the_task_survives_pickling(make):
    task = make()
    assert pickle.loads(pickle.dumps(task)).read("eval") == task.read("eval")


@pytest.mark.slow
def test_one_run_gives_a_score_for_each_language_and_their_mean(small_model, make, tmp_path):
    words = {"contradiction": "bad", "entailment": "good", "neutral": "film"}
    rows = [[label, text] for label, text in words.items()] * 8
    train = [["the plot", text, label] for label, text in rows]
    dev = [
        row(language, label, "the plot", text)
        for language in ("en", "de")
        for label, text in rows[:6]
    ]
    changes = {
        "multinli/multinli.train.en.tsv": table(["premise", "hypo", "label"], *train),
        **dict.fromkeys(("xnli.dev.tsv", "xnli.test.tsv"), table(HEADER, *dev)),
    }
    task = make(changes, language="en", eval_languages="de")
    options = (f"data_dir={task.options.data_dir}", "language=en", "eval_languages=de")
    out = tmp_path / "out"
    run_finetuning(
        small_finetuning(
            small_model,
            "xnli",
            out,
            options,
            max_seq_length=12,
            train_batch_size=8,
            do_predict=True,
        )
    )
    text = (out / "eval_results_by_split.tsv").read_text()
    lines = [line.split("\t") for line in text.splitlines()]
    assert [line[0] for line in lines] == ["split", "en", "de", "mean"]
    assert lines[0][1:] == ["accuracy", "loss"]
    assert float(lines[3][1]) == pytest.approx((float(lines[1][1]) + float(lines[2][1])) / 2)
    assert len((out / "predictions_de.jsonl").read_text().splitlines()) == 6
