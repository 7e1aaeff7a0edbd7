"""Multiple choice: agrees with Hugging Face's model and run_swag.py's features, and is served."""

import csv
import gzip
import io
import json

import numpy as np
import pytest
import tensorflow as tf
from served_models import write_model

import bert_tf
from bert_tf.conversion.check import keras_model
from bert_tf.conversion.convert import convert
from bert_tf.formats import huggingface
from bert_tf.inference.load_model import load_model
from bert_tf.kinds.choice import Chooser
from bert_tf.serving.export import export_saved_model
from bert_tf.settings import ConversionSettings, ExportSettings

EXAMPLES = [
    ("The man went to the [MASK].", ["He bought milk.", "The moon is café.", "", "x" * 250]),
    ("", ["a", "b"]),
    ("A context far longer than the model can read. " * 20, ["He went.", "She came, too.", "No."]),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("choice") / "model"
    return write_model(path, "choice", ("context", "choices"))


@pytest.fixture(scope="module")
def predictor(folder):
    return bert_tf.Predictor(folder)


def test_logits_and_loss_are_those_of_hugging_face(golden_dir):
    model = huggingface.read(str(golden_dir / "multiple_choice"))
    assert model.head.kind == "choice"
    reference = np.load(golden_dir / "multiple_choice" / "reference.npz")
    names = ("input_ids", "input_mask", "segment_ids")
    aliases = {"input_mask": "attention_mask", "segment_ids": "token_type_ids"}
    inputs = {n: reference[n if n in reference else aliases[n]].astype(np.int32) for n in names}
    logits = keras_model(model)(inputs)
    np.testing.assert_allclose(logits, reference["logits"], atol=1e-5)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(reference["labels"], logits)
    np.testing.assert_allclose(losses, reference["per_example_loss"], atol=1e-5)
    assert float(tf.reduce_mean(losses)) == pytest.approx(float(reference["loss"]), abs=1e-5)


@pytest.mark.data
@pytest.mark.parametrize("length", [20, 32, 80])
def test_rows_of_ids_are_those_of_run_swag(golden_dir, data_dir, tmp_path, length):
    path = golden_dir / "multiple_choice" / "features.json.gz"
    golden = json.loads(gzip.decompress(path.read_bytes()))
    config = bert_tf.BertConfig(
        vocab_size=30522, hidden_size=4, num_hidden_layers=1, num_attention_heads=1,
        intermediate_size=4, max_position_embeddings=128, type_vocab_size=2,
    )  # fmt: skip
    (tmp_path / "bert_config.json").write_text(config.to_json_string())
    vocab = data_dir / "vocab" / golden["vocabulary"]
    (tmp_path / "vocab.txt").write_bytes(vocab.read_bytes())
    model = bert_tf.ChoiceModel(bert_tf.BertEncoder(config))
    bert_tf.save_checkpoint(model, str(tmp_path / "bert_model.ckpt"))
    loaded = load_model(str(tmp_path), "choice", max_seq_length=length, do_lower_case=True)
    rows_of = Chooser(loaded).rows
    for row, features in zip(
        csv.DictReader(io.StringIO(golden["csv"])), golden["features"][str(length)], strict=False
    ):
        choices = [f"{row['sent2']} {row[f'ending{number}']}" for number in range(4)]
        rows = rows_of([(row["sent1"], choice) for choice in choices])
        assert [token_ids for token_ids, _ in rows] == features["input_ids"]
        assert [sum(segment_ids) for _, segment_ids in rows] == features["second_segment"]


def test_a_choice_has_the_softmax_of_the_scores_of_its_own_choices(predictor):
    answers = predictor.predict(EXAMPLES)
    assert [len(answer.probabilities) for answer in answers] == [4, 2, 3]
    for (context, choices), answer in zip(EXAMPLES, answers, strict=True):
        assert sum(answer.probabilities) == pytest.approx(1, abs=1e-6)
        assert answer.choice == choices[answer.index]
        assert answer.index == int(np.argmax(answer.probabilities))
        alone = predictor.choose(context, choices)
        np.testing.assert_allclose(alone.probabilities, answer.probabilities, atol=1e-5)
    context, choices = EXAMPLES[1]
    by_name = {"choices": np.array(choices), "context": context}
    assert predictor.predict(by_name) == predictor.predict([EXAMPLES[1]])
    assert repr(predictor).startswith("<Predictor: choice of (context, choices)")


def test_what_cannot_be_chosen_from_is_refused(predictor, tmp_path):
    for example in ["a", ("a", "b"), ("a", []), ("a", ["b", 1])]:
        with pytest.raises(ValueError, match="takes context, choices"):
            predictor.predict([example])
    for choices in ("abc", {"a": 1, "b": 2}, None):
        with pytest.raises(ValueError, match=r"takes context, choices \(a list\)"):
            predictor.choose("a context", choices)
    with pytest.raises(ValueError, match="cannot choose"):
        bert_tf.Predictor(write_model(tmp_path / "m", "regression")).choose("a", ["b"])


def test_a_saved_model_chooses_as_python_does(folder, predictor, tmp_path):
    export = export_saved_model(ExportSettings(model=folder, export_dir=str(tmp_path)))
    assert export.validation.largest_difference < 1e-5
    default = export.description["signatures"]["serving_default"]
    assert default["inputs"] == {"context": "string [?]", "choices": "string [?, ?]"}
    saved = bert_tf.Predictor(export.folder)
    for actual, expected in zip(saved.predict(EXAMPLES), predictor.predict(EXAMPLES), strict=True):
        assert (actual.choice, actual.index) == (expected.choice, expected.index)
        np.testing.assert_allclose(actual.probabilities, expected.probabilities, atol=1e-5)
    call = tf.saved_model.load(export.folder).signatures["serving_default"]
    for number in (0, 2):
        outputs = call(context=tf.constant([], tf.string), choices=tf.zeros([0, number], tf.string))
        assert outputs["probabilities"].shape == (0, number)
    with pytest.raises(tf.errors.InvalidArgumentError, match="choices must hold at least one"):
        call(context=tf.constant(["a"]), choices=tf.zeros([1, 0], tf.string))


def test_it_is_converted_from_hugging_face_and_back(golden_dir, tmp_path):
    there, back = str(tmp_path / "google"), str(tmp_path / "huggingface")
    source = str(golden_dir / "multiple_choice")
    convert(ConversionSettings(source=source, to="google", output_dir=there))
    assert json.loads((tmp_path / "google" / "task.json").read_text())["kind"] == "choice"
    report = convert(ConversionSettings(source=there, to="huggingface", output_dir=back))
    assert "all_layers, logits" in report.check
    config = json.loads((tmp_path / "huggingface" / "config.json").read_text())
    assert config["architectures"] == ["BertForMultipleChoice"]
    for name, value in huggingface.read(source).weights.items():
        np.testing.assert_array_equal(huggingface.read(back).weights[name], value, err_msg=name)
