"""A data set as tensorflow-datasets stores it, in the layout of its wikipedia."""

import json
import re

import numpy as np
import pytest

from bert_tf.corpus import sources
from bert_tf.corpus.preparation import prepare_corpus
from bert_tf.settings import CorpusSettings

pytest.importorskip("sentencex", reason="needs: pip install mwparserfromhell sentencex")
tfds = pytest.importorskip("tensorflow_datasets", reason="needs: pip install tensorflow-datasets")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """wikipedia/20230601.de with five articles, and three of another split."""
    tfds.disable_progress_bar()
    folder = tmp_path_factory.mktemp("tfds")

    class Wikipedia(tfds.core.GeneratorBasedBuilder):
        name = "wikipedia"
        VERSION = tfds.core.Version("1.0.0")
        BUILDER_CONFIGS = [  # noqa: RUF012
            tfds.core.BuilderConfig(name="20230601.de", version="1.0.0", description="small")
        ]

        def _info(self):
            text = tfds.features.Text()
            features = tfds.features.FeaturesDict(
                {
                    "title": text,
                    "text": text,
                    "number": np.int64,
                    "tags": tfds.features.Sequence(text),
                }
            )
            return tfds.core.DatasetInfo(builder=self, features=features)

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples(0, 5), "test": self._generate_examples(5, 8)}

        def _generate_examples(self, first, end):
            for n in range(first, end):
                text = f"Ort {n} liegt im 3. Bezirk. Er ist groß.\n\nGeschichte\n\nEr ist alt."
                yield n, {"title": f"Ort {n}", "text": text, "number": n, "tags": ["a", "b"]}

    Wikipedia.__module__ = "__main__"  # It is looked for beside its module, which tests are not in.
    with tfds.core.registered.skip_registration():
        Wikipedia(data_dir=str(folder), config="20230601.de").download_and_prepare()
    return folder


def settings(folder, output, **values):
    return CorpusSettings(
        ("wikipedia/20230601.de",),
        str(output),
        source="tfds",
        tfds_data_dir=str(folder),
        min_characters=1,
        **values,
    )


def test_a_data_set_becomes_sentences_in_the_language_of_its_name(tmp_path, folder, corpus_lines):
    report = prepare_corpus(settings(folder, tmp_path / "one"))
    documents = "\n".join(corpus_lines(tmp_path / "one")).strip().split("\n\n")
    assert sorted(documents) == [
        f"Ort {n} liegt im 3. Bezirk.\nEr ist groß.\nEr ist alt." for n in range(5)
    ]
    assert report.languages["de"]["headings left out"] == 5
    prepare_corpus(settings(folder, tmp_path / "two", num_workers=2, part_megabytes=0.0001))
    assert corpus_lines(tmp_path / "two") == corpus_lines(tmp_path / "one")


def test_another_version_of_the_data_set_is_refused_in_the_same_folder(
    tmp_path, folder, monkeypatch
):
    prepare_corpus(settings(folder, tmp_path / "out"))
    assert prepare_corpus(settings(folder, tmp_path / "out")).was_there
    version = json.loads((tmp_path / "out" / "corpus.json").read_text())["inputs"][0]["version"]
    assert re.fullmatch(r"1\.0\.0, test: 3 .*, \d+ bytes, train: 5 examples, \d+ bytes", version)
    monkeypatch.setattr(sources, "read_version", lambda *_: "1.0.1, train: 5 examples, 9 bytes")
    with pytest.raises(ValueError, match="other input files, or the files have changed"):
        prepare_corpus(settings(folder, tmp_path / "out"))


@pytest.mark.parametrize(
    ("split", "numbers"),
    [
        ("train+test", range(8)),
        ("test", (5, 6, 7)),
        ("train[:2]+test[1:]", None),
        ("all", range(8)),
    ],
)
def test_a_split_may_be_several_or_a_slice(tmp_path, folder, corpus_lines, split, numbers):
    report = prepare_corpus(settings(folder, tmp_path / "out", split=split))
    if numbers is None:
        assert report.total("documents") == 4
    else:
        titles = sorted(line for line in corpus_lines(tmp_path / "out") if "Bezirk" in line)
        assert titles == [f"Ort {n} liegt im 3. Bezirk." for n in numbers]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"text_field": "body"},
            r"'body', which does not exist, but (title, text|text, title)\. .*--text_field",
        ),
        ({"text_field": "number"}, r"no text in 'number', which is .*int64.* but (title|text), t"),
        ({"text_field": "tags"}, r"no text in 'tags', which is Seq.* but (title|text), t"),
        ({"split": "dev"}, r"has no split 'dev', but (train, test|test, train)\. .*train\[:10%\]"),
        ({"split": "train+dev"}, r"has no split 'train\+dev'.* Unknown split 'dev'"),
        ({"split": "train[:x]"}, r"has no split 'train\[:x\]'.* parsing"),
        ({"split": "train[:0]"}, r"has no split 'train\[:0\]'.* It has no examples"),
    ],
)
def test_a_field_or_split_that_there_is_not_is_refused_with_those_that_there_are(
    tmp_path, folder, values, message
):
    with pytest.raises(ValueError, match=message):
        prepare_corpus(settings(folder, tmp_path / "out", **values))
