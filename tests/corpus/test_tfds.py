"""A data set as tensorflow-datasets stores it, in the layout of its wikipedia."""

import pytest

from bert_tf.corpus.preparation import prepare_corpus
from bert_tf.settings import CorpusSettings

pytest.importorskip("sentencex")
tfds = pytest.importorskip("tensorflow_datasets")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """wikipedia/20230601.de with five articles."""
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
            features = tfds.features.FeaturesDict({"title": text, "text": text})
            return tfds.core.DatasetInfo(builder=self, features=features)

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples()}

        def _generate_examples(self):
            for n in range(5):
                text = f"Ort {n} liegt im 3. Bezirk. Er ist groß.\n\nGeschichte\n\nEr ist alt."
                yield n, {"title": f"Ort {n}", "text": text}

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


def test_a_field_or_split_that_there_is_not_is_refused_with_those_that_there_are(tmp_path, folder):
    with pytest.raises(
        ValueError, match=r"has no 'body', but (title, text|text, title). .*--text_field"
    ):
        prepare_corpus(settings(folder, tmp_path / "out", text_field="body"))
    with pytest.raises(ValueError, match=r"has no split 'test', but train"):
        prepare_corpus(settings(folder, tmp_path / "out2", split="test"))
