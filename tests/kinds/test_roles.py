"""Roles of a predicate: the packed rows, the answers, and that a SavedModel gives the same ones."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from served_models import MAX_SEQ_LENGTH, VOCAB, small_config

import bert_tf
from bert_tf.inference.load_model import load_model
from bert_tf.kinds.roles import RoleLabeller, best_paths
from bert_tf.model.task_heads import TokenClassificationModel
from bert_tf.released.model_folder import ModelDescription, write_description
from bert_tf.serving.export import export_saved_model
from bert_tf.settings import ExportSettings
from bert_tf.spans.bio import role_spans, viterbi
from bert_tf.spans.predicates import pack_predicate
from bert_tf.text.tokenization import FullTokenizer

SPANS = ("O", "B-A0", "I-A0", "B-A1", "I-A1", "B-V", "I-V", "sense:01", "sense:02")
HEADS = ("O", "A0", "A1", "C-A1")
SIZES = {"indicator_size": 2, "lstm_units": 6, "mlp_units": 5}
EXAMPLES = [
    ("The man who wanted to eat the apple ate a naïve café.", "ate"),
    ("He ran and she ran, and nobody else ran", "ran#2"),
    ("Who was the leader of the expedition that went to the sea? " * 5, "went#4"),
    ("x" * 250 + " ran", "ran"),
]


def write_role_model(folder, labels, **options):
    """A model with random weights, in a folder as training leaves it."""
    folder.mkdir(parents=True)
    config = small_config()
    (folder / "bert_config.json").write_text(config.to_json_string())
    (folder / "vocab.txt").write_bytes(VOCAB.read_bytes())
    tf.keras.utils.set_random_seed(3)
    encoder = bert_tf.BertEncoder(config)
    if options.get("variant") == "plain":
        model = TokenClassificationModel(encoder, len(labels))
    else:
        model = bert_tf.RoleModel(encoder, len(labels), **SIZES)
        options = {**options, **SIZES}
    rng = np.random.default_rng(5)
    for weight in model.weights:
        weight.assign(weight + rng.normal(size=weight.shape, scale=0.5))
    bert_tf.save_checkpoint(model, str(folder / "bert_model.ckpt"))
    description = ModelDescription(
        "", "roles", ("sentence", "predicate"), labels, options, MAX_SEQ_LENGTH, do_lower_case=True
    )
    write_description(str(folder), description)
    return str(folder)


@pytest.mark.parametrize(
    ("labels", "options"),
    [
        (SPANS, {"constrained": True}),
        (HEADS, {}),
        pytest.param(SPANS, {"variant": "plain"}, marks=pytest.mark.slow),
    ],
)
def test_a_saved_model_answers_as_python_does(tmp_path, labels, options):
    folder = write_role_model(tmp_path / "model", labels, **options)
    export = export_saved_model(
        ExportSettings(model=folder, export_dir=str(tmp_path / "served"), warmup=False)
    )
    assert export.validation.num_examples > 50
    assert export.validation.largest_difference < 1e-4
    python, served = bert_tf.Predictor(folder), bert_tf.Predictor(str(tmp_path / "served"))
    for example, answer, other in zip(
        EXAMPLES, python.predict(EXAMPLES), served.predict(EXAMPLES), strict=True
    ):
        assert RoleLabeller.difference(answer, other) < 1e-4
        assert [(r.role, r.start, r.end) for r in answer.roles] == [
            (r.role, r.start, r.end) for r in other.roles
        ]
        assert (answer.predicate, answer.start, answer.sense) == (
            other.predicate,
            other.start,
            other.sense,
        )
        assert answer.predicate == example[1].partition("#")[0]
        assert (answer.sense in ("01", "02")) == (labels is SPANS)
        for role in answer.roles:
            assert example[0][role.start : role.end] == role.text
    for predictor in (python, served):
        with pytest.raises(ValueError, match="must be words of the sentence"):
            predictor.roles("He ran and ran.", "ran#3")
        with pytest.raises(ValueError, match="must be words of the sentence"):
            predictor.roles("", "")


def test_the_second_of_two_words_is_found_and_long_sentences_keep_what_is_around_it(
    tmp_path, caplog
):
    predictor = bert_tf.Predictor(write_role_model(tmp_path / "model", SPANS))
    answer = predictor.roles(*EXAMPLES[1])
    assert (answer.start, answer.end) == (15, 18)
    assert not caplog.text
    long = predictor.roles(*EXAMPLES[2])
    assert f"1 of 1 texts are longer than {MAX_SEQ_LENGTH} tokens" in caplog.text
    assert long.start == EXAMPLES[2][0].index("went", 200)
    assert long.words[0].start < long.start < long.words[-1].end
    assert 10 < len(long.words) < MAX_SEQ_LENGTH


def test_rows_are_those_of_the_drawing():
    special = FullTokenizer(str(VOCAB)).special_ids
    cls, sep = special.cls, special.sep
    row = pack_predicate([7, 8, 9], 2, 1, special, 16, "shi_lin")
    assert row.input_ids == [cls, 7, 8, 9, sep, 9, sep]
    assert row.segment_ids == [0, 0, 0, 0, 0, 1, 1]
    assert row.predicate_mask == [0, 0, 0, 1, 0, 0, 0]
    row = pack_predicate([7, 8, 9], 2, 1, special, 16, "plain")
    assert row.input_ids == [cls, 7, 8, 9, sep]
    assert row.segment_ids == row.predicate_mask == [0, 0, 0, 1, 0]
    row = pack_predicate(list(range(100, 200)), 50, 2, special, 12, "shi_lin")
    assert row.input_ids == [cls, *range(147, 154), sep, 150, 151, sep]
    assert (row.start, row.length) == (47, 7)
    assert row.predicate_mask == [0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0]


def test_words_are_found_whole_and_by_number(tmp_path):
    predictor = bert_tf.Predictor(write_role_model(tmp_path / "model", SPANS))
    sentence = "a unaffable, a b a # 3"
    for predicate, place in (("a", 0), ("a#2", 13), ("a#3", 17), ("# 3", 19), ("a b", 13)):
        assert predictor.roles(sentence, predicate).start == place
    for predicate in ("a#4", "un", "able", "b a b", "#2", "", "a#0"):
        with pytest.raises(ValueError, match="must be words of the sentence"):
            predictor.roles(sentence, predicate)


def test_the_graph_finds_the_same_best_paths():
    rng, labels = np.random.default_rng(1), SPANS[:7]
    scores = rng.normal(size=(9, 6, 7)).astype(np.float32)
    lengths = rng.integers(0, 7, 9)
    is_word = tf.sequence_mask(lengths, 6)
    paths = best_paths(tf.constant(scores), is_word, labels).numpy()
    for row, length, path in zip(scores, lengths, paths, strict=True):
        assert path[:length].tolist() == viterbi(row[:length], labels)[0]
    assert best_paths(tf.zeros([2, 0, 7]), tf.zeros([2, 0], tf.bool), labels).shape == (2, 0)


def test_tags_without_letters_are_roles_by_themselves():
    assert role_spans(["A0", "O", "A1", "A1"]) == [("A0", 0, 0), ("A1", 2, 2), ("A1", 3, 3)]
    assert role_spans(["B-A0", "I-A0", "O"]) == [("A0", 0, 1)]


def test_the_repeated_predicate_and_padding_do_not_reach_the_lstm():
    config = dataclasses.replace(small_config(), num_hidden_layers=1, initializer_range=0.02)
    model = bert_tf.RoleModel(bert_tf.BertEncoder(config), 3, **SIZES)
    batch = {
        "input_ids": np.array([[2, 5, 6, 3, 6, 3]]),
        "segment_ids": np.array([[0, 0, 0, 0, 1, 1]]),
        "predicate_mask": np.array([[0, 0, 1, 0, 0, 0]]),
    }
    padded = {name: np.pad(ids, [(0, 0), (0, 4)]) for name, ids in batch.items()}
    padded["input_mask"] = np.array([[1] * 6 + [0] * 4])
    logits = model(batch)[0, :4]
    np.testing.assert_allclose(model(padded)[0, :4], logits, atol=1e-6)
    other = {**batch, "predicate_mask": np.array([[0, 1, 0, 0, 0, 0]])}
    assert np.abs(model(other)[0, :4] - logits).max() > 1e-7


def test_a_saved_preset_is_loaded_with_its_sizes(tmp_path):
    model = bert_tf.RoleModel(bert_tf.BertEncoder(small_config()), len(SPANS), **SIZES)
    tokenizer = bert_tf.FullTokenizer(str(VOCAB))
    model.save_to_preset(str(tmp_path / "model"), tokenizer, labels=SPANS)
    loaded = load_model(str(tmp_path / "model"))
    assert (loaded.kind, loaded.options.lstm_units) == ("roles", 6)
    for name, value in zip(loaded.model.weights, model.weights, strict=True):
        np.testing.assert_array_equal(name, value)
