"""Tagging of words given one by one: windows, CRF and frozen layers, in Python and SavedModels."""

import numpy as np
import pytest
import tensorflow as tf
from served_models import LABELS, small_config, write_model

import bert_tf
from bert_tf.conversion.convert import convert
from bert_tf.inference.load_model import load_model
from bert_tf.kinds.tagging import WordTagger
from bert_tf.model import crf
from bert_tf.model.feature_model import named_outputs
from bert_tf.model.tagging_model import tagging_head
from bert_tf.model.task_heads import TokenClassificationModel
from bert_tf.serving.export import export_saved_model
from bert_tf.settings import ConversionSettings, ExportSettings
from bert_tf.spans.words import word_pieces

SHORT = ["The", "leader", "was", "John", "Smith", "(1895-1943)", "."]
LONG = [f"word{number} of naïve" for number in range(40)]
OPTIONS = {
    "plain": {},
    "crf": {"crf": True},
    "features": {"feature_based": "weighted_all", "lstm_units": 8},
    "both": {"feature_based": "concat_last_four", "lstm_units": 8, "crf": True},
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tagging")
    return {
        name: write_model(folder / name, "tagging", ("words",), options)
        for name, options in OPTIONS.items()
    }


@pytest.fixture(scope="module")
def predictors(folders):
    return {name: bert_tf.Predictor(folder) for name, folder in folders.items()}


def test_a_word_has_the_class_of_its_first_piece(folders, predictors):
    loaded = load_model(folders["plain"])
    pieces = word_pieces(loaded.tokenizer, SHORT)
    special = loaded.tokenizer.special_ids
    ids = np.array([[special.cls, *pieces.ids, special.sep]], np.int32)
    probabilities = tf.nn.softmax(loaded.model({"input_ids": ids})[0]).numpy()
    (tagged,) = predictors["plain"].predict([SHORT])
    assert [each.word for each in tagged] == SHORT
    for each, first in zip(tagged, pieces.first, strict=True):
        expected = probabilities[1 + first]
        assert each.label == LABELS["tagging"][expected.argmax()]
        assert each.probability == pytest.approx(expected.max(), abs=1e-5)
        assert " ".join(SHORT)[each.start : each.end] == each.word


def test_the_crf_takes_the_best_sequence_of_a_sentence(folders, predictors):
    loaded = load_model(folders["crf"])
    pieces = word_pieces(loaded.tokenizer, SHORT)
    special = loaded.tokenizer.special_ids
    ids = np.array([[special.cls, *pieces.ids, special.sep]], np.int32)
    outputs = loaded.model({"input_ids": ids})
    logits = np.asarray(outputs["logits"])[:, 1 + np.array(pieces.first)]
    mask = np.ones(logits.shape[:2])
    best, probabilities = crf.best_tags(logits, mask, outputs["transitions"])
    (tagged,) = predictors["crf"].predict([SHORT])
    assert [each.label for each in tagged] == [LABELS["tagging"][i] for i in best[0]]
    np.testing.assert_allclose(
        [each.probability for each in tagged], np.asarray(probabilities)[0], atol=1e-5
    )


@pytest.mark.parametrize("name", OPTIONS)
def test_answers_do_not_depend_on_the_batch_or_the_form_of_the_examples(predictors, name):
    predictor = predictors[name]
    together = predictor.predict([SHORT, LONG, ["a"], ["", "b", ""]])
    assert [len(each) for each in together] == [7, 40, 1, 3]
    for words, expected in ((SHORT, together[0]), (LONG, together[1])):
        for form in ([words], {"words": words}, [(words,)], [tuple(words)], [np.array(words)]):
            (actual,) = predictor.predict(form)
            assert [each.label for each in actual] == [each.label for each in expected]
            np.testing.assert_allclose(
                [each.probability for each in actual],
                [each.probability for each in expected],
                atol=1e-5,
            )
    assert [(each.word, each.label) for each in together[3]][::2] == [("", ""), ("", "")]


@pytest.mark.parametrize("name", ["plain", "crf"])
def test_the_windows_of_a_long_document_are_read_in_batches(folders, name):
    loaded, sizes = load_model(folders[name]), []

    def compute(batch):
        tf.py_function(lambda ids: sizes.append(len(ids)), [batch["input_ids"]], [])
        return named_outputs(loaded.model(loaded.model.select_features(batch)))

    words = [f"word{number}" for number in range(1500)]
    (tagged,) = WordTagger(loaded, compute=compute).predict([(words,)])
    assert [each.word for each in tagged] == words
    assert len(sizes) > 2
    assert max(sizes) <= 32


@pytest.mark.parametrize("wrong", ["a text", ["a", "b"], [[]], [["a", 1]], [[["a"], ["b"]]]])
def test_what_is_no_list_of_words_is_refused(predictors, wrong):
    with pytest.raises(ValueError, match=r"takes words \(a list\)"):
        predictors["plain"].predict(wrong)


def test_the_words_of_a_text_are_tagged_too(folders, predictors):
    for name in ("plain", "crf"):
        of_text = bert_tf.Predictor(folders[name], inputs=("text",))
        (tagged,) = of_text.predict("The leader was John")
        (expected,) = predictors[name].predict([["The", "leader", "was", "John"]])
        assert [(e.word, e.label, e.start, e.end) for e in tagged] == [
            (e.word, e.label, e.start, e.end) for e in expected
        ]
        np.testing.assert_allclose(
            [e.probability for e in tagged], [e.probability for e in expected], atol=1e-5
        )


@pytest.mark.parametrize("name", ["plain", pytest.param("crf", marks=pytest.mark.slow), "both"])
def test_a_saved_model_tags_as_python_does(folders, predictors, tmp_path, name):
    export = export_saved_model(ExportSettings(model=folders[name], export_dir=str(tmp_path)))
    assert export.validation.largest_difference < 1e-4
    default = export.description["signatures"]["serving_default"]
    assert default["inputs"] == {"words": "string [?, ?]"}
    saved = bert_tf.Predictor(export.folder)
    examples = [SHORT, LONG, ["a"], ["", "b", "\u200b"]]
    for actual, expected in zip(
        saved.predict(examples), predictors[name].predict(examples), strict=True
    ):
        assert [(e.word, e.label, e.start) for e in actual] == [
            (e.word, e.label, e.start) for e in expected
        ]
        np.testing.assert_allclose(
            [e.probability for e in actual], [e.probability for e in expected], atol=1e-4
        )
    call = tf.saved_model.load(export.folder).signatures["serving_default"]
    assert call(words=tf.zeros([0, 3], tf.string))["labels"].shape == (0, 3)
    assert call(words=tf.zeros([2, 0], tf.string))["labels"].shape == (2, 0)
    assert not call(words=tf.constant([["", ""]]))["probabilities"].numpy().any()


def test_a_text_s_saved_model_with_a_crf_tags_as_python_does(folders, tmp_path):
    settings = ExportSettings(model=folders["crf"], export_dir=str(tmp_path), inputs=("text",))
    assert export_saved_model(settings).validation.largest_difference < 1e-4


def test_a_model_of_frozen_layers_trains_all_but_the_encoder(folders):
    model = load_model(folders["both"]).model
    trained = {weight.path.split("/")[0] for weight in model.trainable_weights}
    assert trained == {"bilstm", "output_weights", "output_bias", "crf"}
    assert all(not model.may_lack(w.path) for w in model.encoder.blocks[0].weights)
    assert model.may_lack("crf/transitions")


def test_layers_are_those_of_the_paper_s_table():
    encoder = bert_tf.BertEncoder(small_config())
    ids = np.ones((1, 3), "int32")
    outputs = encoder({"input_ids": ids})
    first, second = outputs["all_encoder_layers"]
    expected = {
        "embeddings": outputs["embedding_output"],
        "second_to_last": first,
        "last": second,
        "concat_last_four": np.concatenate([first, second], -1),
        "weighted_last_four": (first + second) / 2,
        "weighted_all": (first + second) / 2,
    }
    for layers, vectors in expected.items():
        model = bert_tf.TaggingModel(encoder, 3, layers, lstm_units=4)
        read = model.bilstm(vectors)
        scores = read @ np.transpose(model.scores.output_weights) + model.scores.output_bias
        np.testing.assert_allclose(model({"input_ids": ids}), scores, atol=1e-5, err_msg=layers)
    with pytest.raises(ValueError, match="feature_layers must be one of embeddings"):
        bert_tf.TaggingModel(encoder, 3, "first")
    assert type(tagging_head(encoder, 3)) is TokenClassificationModel


@pytest.mark.parametrize("name", ["crf", "both"])
def test_a_preset_keeps_its_layers(folders, predictors, tmp_path, name):
    model = bert_tf.TaggingModel.from_preset(folders[name])
    assert (model.has_crf, model.feature_layers) == (
        True,
        load_model(folders[name]).model.feature_layers,
    )
    model.save_to_preset(str(tmp_path / "again"))
    again = bert_tf.Predictor(tmp_path / "again")
    assert again.predict([SHORT]) == predictors[name].predict([SHORT])


def test_only_the_plain_model_has_a_form_of_hugging_face(folders, tmp_path):
    plain = ConversionSettings(source=folders["plain"], to="huggingface", output_dir=str(tmp_path))
    assert "logits" in convert(plain).check
    again = bert_tf.Predictor(tmp_path, inputs=("words",), labels=LABELS["tagging"])
    expected = bert_tf.Predictor(folders["plain"]).predict([SHORT])[0]
    assert [e.label for e in again.predict([SHORT])[0]] == [e.label for e in expected]
    for name in ("crf", "both"):
        settings = ConversionSettings(
            source=folders[name], to="huggingface", output_dir=str(tmp_path / name)
        )
        with pytest.raises(ValueError, match=r"crf/transitions|bilstm"):
            convert(settings)
        assert not (tmp_path / name).exists()
