"""The task coref: its features and metrics on real documents, and what it refuses."""

import gzip
import json

import pytest

import bert_tf
from bert_tf.metrics import coreference
from bert_tf.tasks.coref import Coreference, Options
from bert_tf.tasks.coreference_files import read_conll
from bert_tf.tasks.task import find_task

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "ann", "saw", "her", "cat", "##s", "."]
TEXT = """#begin document (nw/a); part 000
nw/a 0 0 Ann (1)
nw/a 0 1 saw -
nw/a 0 2 her (2|(1)
nw/a 0 3 cats 2)
nw/a 0 4 /. -

nw/a 0 0 Saw -

#end document
"""


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    path = tmp_path_factory.mktemp("vocab") / "vocab.txt"
    path.write_text("\n".join(WORDS) + "\n")
    return bert_tf.FullTokenizer(str(path), do_lower_case=True)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "train.x.conll").write_text(TEXT)
    return tmp_path


def golden(golden_dir, name):
    return json.loads(gzip.decompress((golden_dir / "coreference" / name).read_bytes()))


def real_document(data_dir, case, name):
    folder = "coref_conll" if "gold_conll" in case["file"] else "litbank/coref"
    documents = read_conll(str(data_dir / folder / case["file"]))
    return next(d for d in documents if case["document"] == name(d))


def test_features_of_a_small_document(folder, tokenizer):
    task = find_task("coref", {"data_dir": str(folder), "max_segments": "3", "max_mentions": "4"})
    (example,) = task.read("train")
    (row,) = task.encode(example, "train", tokenizer, 8)
    first, second = (row["input_ids"][i : i + 8] for i in (0, 8))
    assert [WORDS[i] for i in first] == [
        *("[CLS]", "ann", "saw", "her", "cat", "##s", ".", "[SEP]")
    ]
    assert [WORDS[i] for i in second[:3]] == ["[CLS]", "saw", "[SEP]"]
    assert row["sentence_map"][:11] == [0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 2]
    assert row["speaker_ids"][:8] == [1, 2, 2, 2, 2, 2, 2, 1]
    assert (row["genre"], sum(row["input_mask"])) == ([3], 11)
    # In the order of the entities' first closing brackets.
    assert row["gold_starts"] == [1, 3, 3]
    assert row["gold_ends"] == [1, 3, 5]
    assert row["gold_entities"] == [1, 1, 2]


def test_documents_are_never_truncated(folder, tokenizer):
    task = find_task("coref", {"data_dir": str(folder), "max_segments": "1"})
    (example,) = task.read("train")
    with pytest.raises(ValueError, match=r"train.x.conll:1: .* 2 segments .*max_segments=2"):
        list(task.encode(example, "train", tokenizer, 8))
    with pytest.raises(ValueError, match=r"train.x.conll:1: A word has more than 1 word pieces"):
        list(task.encode(example, "train", tokenizer, 3))
    task = find_task("coref", {"data_dir": str(folder), "max_mentions": "2"})
    with pytest.raises(ValueError, match=r"3 mentions, and max_mentions is 2"):
        list(task.encode(example, "train", tokenizer, 8))


def test_missing_files_are_named(folder):
    task = find_task("coref", {"data_dir": str(folder)})
    assert task.splits("train") == ("train",)
    with pytest.raises(ValueError, match=r"no dev\*conll in data_dir=.* or dev_file"):
        task.splits("eval")


def test_metrics_say_how_singletons_were_treated(folder):
    task = find_task("coref", {"data_dir": str(folder)})
    (example,) = task.read("train")
    scores = task.score([example], [[[(0, 0), (2, 2)]]])
    assert scores["no_singletons_conll_f1"] == 100.0
    assert scores["conll_f1"] < 100.0
    assert (scores["key_entities"], scores["key_singletons"]) == (2, 1)
    assert task.metric == "no_singletons_conll_f1"


@pytest.mark.data
def test_segments_of_real_documents_are_the_original_ones(golden_dir, data_dir):
    vocab = data_dir / "vocab" / "cased.txt"
    paths = [path for path in vocab.parent.glob("*cased*") if "uncased" not in path.name]
    tokenizer = bert_tf.FullTokenizer(str(paths[0]), do_lower_case=False)
    task = Coreference(Options(max_segments=200))
    for case in golden(golden_dir, "functions.json.gz")["segmenting"]:
        document = real_document(data_dir, case, lambda d: f"{d.name}_{int(d.part)}")
        length = case["segment_length"]
        pieces = task._pieces(document, tokenizer, length)
        assert [end - start + 2 for start, end in pieces.segments] == case["segment_sizes"]
        assert [s for row in pieces.sentence_maps() for s in row] == case["sentence_map"]
        assert pieces.word_of_token() == case["subtoken_map"]
        (row,) = task.encode(document, "train", tokenizer, length)
        clusters = {}
        names = ("gold_starts", "gold_ends", "gold_entities")
        for start, end, entity in zip(*(row[name] for name in names), strict=True):
            clusters.setdefault(entity, []).append([start, end])
        expected = sorted(map(sorted, case["clusters"]))
        assert sorted(map(sorted, clusters.values())) == expected


@pytest.mark.data
def test_metrics_of_made_up_predictions_for_real_documents(golden_dir, data_dir):
    cases = golden(golden_dir, "predictions.json.gz")["predictions"]
    assert len(cases) == 40
    for case in cases:
        document = real_document(data_dir, case, lambda d: d.id)
        assert len(document.words) == case["tokens"]
        assert len(document.clusters) == case["key_entities"]
        response = [list(map(tuple, cluster)) for cluster in case["clusters"]]
        for name, change in (
            ("official", list),
            ("official_without_singletons", coreference.without_singletons),
        ):
            scores = coreference.evaluate([(change(document.clusters), change(response))])
            for metric in ("mentions", "muc", "bcub", "ceafm", "ceafe"):
                for part in ("recall", "precision"):
                    actual = getattr(scores[metric], f"{part}_parts")
                    assert actual == pytest.approx(case[name][metric][part], rel=1e-9)
            average = 100 * coreference.conll_average(scores)
            assert average == pytest.approx(case[name]["conll_average"], rel=1e-9)
        scores = coreference.evaluate([(document.clusters, response)])
        lea = [100 * getattr(scores["lea"], part) for part in ("recall", "precision", "f1")]
        assert lea == pytest.approx(case["coval"]["lea"], rel=1e-9)
        official = case["official"]["blanc"]["coreference_links"]
        assert list(scores["blanc"].coreference.recall_parts) == official["recall"]
