"""XNLI: the original's columns and names, in the language asked for."""

import gzip
import pickle

import pytest
from task_rows import encode_all

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
