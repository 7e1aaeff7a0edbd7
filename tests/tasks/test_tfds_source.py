"""Data sets as tensorflow-datasets stores them: small ones of the layout of its GLUE and XNLI."""

import numpy as np
import pytest

from bert_tf.tasks.task import find_task

tfds = pytest.importorskip("tensorflow_datasets", reason="needs: pip install tensorflow-datasets")

LANGUAGES = ("de", "zh")


def store(name, folder, features, splits, config=None):
    """Writes a data set as tensorflow-datasets does. Its key, not its order, places an example."""

    class Stored(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")
        BUILDER_CONFIGS = [
            tfds.core.BuilderConfig(name=config, version="1.0.0", description="small")
        ][: 1 if config else 0]

        def _info(self):
            described = tfds.features.FeaturesDict(features)
            return tfds.core.DatasetInfo(builder=self, features=described)

        def _split_generators(self, dl_manager):
            return {split: self._generate_examples(rows) for split, rows in splits.items()}

        def _generate_examples(self, rows):
            yield from enumerate(rows)

    Stored.name = name
    Stored.__module__ = "__main__"  # It is looked for beside its module, which tests are not in.
    Stored(data_dir=str(folder), config=config).download_and_prepare()


@pytest.fixture(scope="module", autouse=True)
def quiet():
    tfds.disable_progress_bar()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """MRPC, MNLI, STS-B, AX and XNLI, each with a few examples in a random order."""
    folder = tmp_path_factory.mktemp("tfds")
    text, number = tfds.features.Text(), np.int32
    truth = tfds.features.ClassLabel(names=["not_equivalent", "equivalent"])
    pair = {"sentence1": text, "sentence2": text, "idx": number}
    order = np.random.default_rng(0).permutation(20)

    def pairs(names, label, count=20):
        return [
            {names[0]: f"a{i} é", names[1]: f"b{i}", "label": label(i), "idx": i}
            for i in order.tolist()
            if i < count
        ]

    sentences = ("sentence1", "sentence2")
    with tfds.core.registered.skip_registration():
        store(
            *("glue", folder, {**pair, "label": truth}),
            {
                "train": pairs(sentences, lambda i: i % 2),
                "validation": pairs(sentences, lambda i: 1, 3),
                "test": pairs(sentences, lambda i: -1, 3),
            },
            "mrpc",
        )
        store(
            *("glue", folder, {**pair, "label": np.float32}),
            {
                "train": pairs(sentences, lambda i: i / 4),
                "validation": pairs(sentences, lambda i: 5.0, 2),
                "test": pairs(sentences, lambda i: -1.0, 2),
            },
            "stsb",
        )
        relation = tfds.features.ClassLabel(names=["entailment", "neutral", "contradiction"])
        premises = ("premise", "hypothesis")
        nli = {"premise": text, "hypothesis": text, "idx": number, "label": relation}
        store(
            *("glue", folder, nli),
            {
                "train": pairs(premises, lambda i: i % 3, 6),
                "validation_matched": pairs(premises, lambda i: 0, 1),
                "validation_mismatched": pairs(premises, lambda i: 2, 1),
                "test_matched": pairs(premises, lambda i: -1, 1),
                "test_mismatched": pairs(premises, lambda i: -1, 2),
            },
            "mnli",
        )
        store("glue", folder, nli, {"test": pairs(premises, lambda i: -1, 2)}, "ax")
        store(
            *("xnli", folder),
            {
                "premise": tfds.features.Translation(LANGUAGES),
                "hypothesis": tfds.features.TranslationVariableLanguages(LANGUAGES),
                "label": relation,
            },
            {
                "validation": [
                    {
                        "premise": {"de": "Er kam", "zh": "他"},
                        "hypothesis": {"zh": "来", "de": "Ja"},
                        "label": 2,
                    }
                ]
            },
        )
    return str(folder)


def make(name, folder, **options):
    return find_task(name, {"data_dir": folder, "data_source": "tfds", **options})


def read(task, split):
    return [
        (example.guid, example.text_a, example.text_b, example.label)
        for example in task.read(split)
    ]


def test_examples_are_put_into_the_order_of_their_numbers(folder):
    task = make("glue:mrpc", folder)
    assert read(task, "train") == [
        (f"train-{i}", f"a{i} é", f"b{i}", str(i % 2)) for i in range(20)
    ]
    assert read(task, "eval") == [(f"dev-{i}", f"a{i} é", f"b{i}", "1") for i in range(3)]


def test_labels_that_are_kept_back_are_none(folder):
    for name, count in [("glue:mrpc", 3), ("glue:sts-b", 2), ("glue:ax", 2)]:
        assert read(make(name, folder), "predict") == [
            (f"test-{i}", f"a{i} é", f"b{i}", None) for i in range(count)
        ]


def test_a_regressions_labels_are_numbers(folder):
    labels = [row[-1] for row in read(make("glue:stsb", folder), "train")]
    assert labels == [i / 4 for i in range(20)]


def test_mnlis_labels_are_renumbered_and_its_splits_found(folder):
    task = make("glue:mnli", folder)
    assert task.labels == ("contradiction", "entailment", "neutral")
    words = ["entailment", "neutral", "contradiction"]
    assert [row[-1] for row in read(task, "train")] == words * 2
    assert task.splits("eval") == ("eval", "eval_mismatched")
    assert read(task, "eval") == [("dev-0", "a0 é", "b0", "entailment")]
    assert read(task, "eval_mismatched") == [("dev_mismatched-0", "a0 é", "b0", "contradiction")]
    assert task.splits("predict") == ("predict", "predict_mismatched")
    assert len(read(task, "predict_mismatched")) == 2


def test_the_folder_of_the_data_set_itself_will_do(folder):
    expected = read(make("glue:mrpc", folder), "eval")
    assert read(make("glue:mrpc", f"{folder}/glue/mrpc/1.0.0"), "eval") == expected


def test_the_sources_are_the_record_files(folder):
    task = make("glue:mrpc", folder)
    assert task.sources("train") == [f"{folder}/glue/mrpc/1.0.0/glue-train.tfrecord-00000-of-00001"]


@pytest.mark.parametrize(("language", "texts"), [("zh", ("他", "来")), ("de", ("Er kam", "Ja"))])
def test_xnli_is_read_in_the_language_asked_for(folder, language, texts):
    task = make("xnli", folder, language=language)
    assert read(task, "eval") == [("dev-0", *texts, "contradiction")]


def test_a_split_that_there_is_not_is_refused_with_those_that_there_are(folder):
    with pytest.raises(ValueError, match=r"needs the split 'train' of xnli, .* only validation"):
        make("xnli", folder).splits("train")
    with pytest.raises(ValueError, match=r"'train' needs the split 'train' of glue/ax, .* test"):
        make("glue:ax", folder).splits("train")


def test_what_is_not_there_and_cannot_be_got_is_refused_with_what_would_do(tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise ConnectionError("no network")

    monkeypatch.setattr(tfds, "builder", fail)
    with pytest.raises(ValueError, match=r"no glue/rte in .*no network.*tfds build glue/rte"):
        make("glue:rte", str(tmp_path)).splits("train")
