"""The coreference head, against what the original's own code computes."""

import gzip
import json

import numpy as np
import pytest
import tensorflow as tf

import bert_tf
from bert_tf.model.coreference import antecedent_loss, entities_of_spans, training_window
from bert_tf.model.coreference_head import (
    NO_ANTECEDENT,
    CoreferenceHead,
    bucket_distance,
    candidate_spans,
)
from bert_tf.model.span_selection import select_spans


@pytest.fixture(scope="module")
def functions(golden_dir):
    return json.loads(gzip.open(golden_dir / "coreference" / "functions.json.gz").read())


@pytest.fixture(scope="module")
def golden_head(golden_dir):
    values = np.load(golden_dir / "coreference" / "head.npz")
    settings = json.loads((golden_dir / "coreference" / "head.json").read_text())
    config = settings["config"]
    names = ("max_span_width", "feature_size", "ffnn_size", "ffnn_depth", "max_top_antecedents")
    head = CoreferenceHead(
        token_size=8,
        **{name: config[name] for name in names},
        coref_depth=config["coref_depth"],
        max_training_segments=config["max_training_sentences"],
        dropout_rate=config["dropout_rate"],
    )
    for weight in head.weights:
        weight.assign(values[f"weights/{weight.path}"])
    return head, values, settings["predicted_clusters"]


def head_inputs(values):
    mask = values["input/input_mask"].astype(bool)
    segments = np.arange(len(mask))[:, None] + np.zeros_like(mask, int)
    return (
        tf.constant(values["input/sequence_output"][mask]),
        tf.constant(values["input/sentence_map"]),
        tf.constant(values["input/speaker_ids"][mask]),
        tf.constant(segments[mask], tf.int32),
        tf.constant(values["input/genre"]),
        tf.constant(int(mask.sum() * 0.4)),
    )


def test_weights_have_the_original_names_and_shapes(golden_head):
    head, values, _ = golden_head
    theirs = {
        name.removeprefix("weights/"): values[name].shape
        for name in values.files
        if name.startswith("weights/")
    }
    assert {weight.path: tuple(weight.shape) for weight in head.weights} == theirs


def test_candidates_and_their_scores_are_the_original_ones(golden_head):
    head, values, _ = golden_head
    tokens, sentences, *_ = head_inputs(values)
    is_span = candidate_spans(sentences, 5).numpy()
    starts, extra = np.nonzero(is_span)
    np.testing.assert_array_equal(starts, values["output/candidate_starts"])
    np.testing.assert_array_equal(starts + extra, values["output/candidate_ends"])
    scores, _, _ = head.span_scores(tokens)
    np.testing.assert_allclose(
        scores.numpy()[is_span], values["output/candidate_mention_scores"], rtol=1e-4, atol=1e-5
    )


def test_outputs_loss_and_gradients_are_the_original_ones(golden_head):
    head, values, _ = golden_head
    with tf.GradientTape() as tape:
        outputs = head(*head_inputs(values))
        gold = (values[f"input/{name}"][None] for name in ("gold_starts", "gold_ends"))
        spans = (outputs[name][None] for name in ("span_starts", "span_ends"))
        entities = entities_of_spans(*spans, *gold, values["input/cluster_ids"][None])[0]
        scores = outputs["antecedent_scores"]
        loss = tf.reduce_sum(antecedent_loss(scores, outputs["antecedents"], entities))
    for name in ("starts", "ends"):
        np.testing.assert_array_equal(outputs[f"span_{name}"], values[f"output/top_span_{name}"])
    both = zip(outputs["antecedents"].numpy(), scores.numpy()[:, 1:], strict=True)
    theirs = zip(
        values["output/top_antecedents"], values["output/top_antecedent_scores"][:, 1:], strict=True
    )
    for (mine, my_scores), (their, their_scores) in zip(both, theirs, strict=True):
        expected = {a: s for a, s in zip(their, their_scores, strict=True) if np.isfinite(s)}
        actual = {a: s for a, s in zip(mine, my_scores, strict=True) if s > NO_ANTECEDENT}
        assert actual == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert float(loss) == pytest.approx(float(values["output/loss"]), rel=1e-4)
    gradients = tape.gradient(loss, [weight.value for weight in head.weights])
    for weight, gradient in zip(head.weights, gradients, strict=True):
        expected = values[f"gradients/{weight.path}"]
        scale = np.abs(expected).max()
        np.testing.assert_allclose(
            tf.convert_to_tensor(gradient), expected, rtol=1e-4, atol=1e-4 * scale + 1e-6
        )


def test_buckets(functions):
    distances, buckets = functions["bucket_distance"]
    np.testing.assert_array_equal(bucket_distance(distances), buckets)


def test_candidates(functions):
    for case in functions["candidate_spans"]:
        is_span = candidate_spans(tf.constant(case["sentence_map"]), case["max_span_width"])
        starts, extra = np.nonzero(is_span.numpy())
        assert np.stack([starts, starts + extra], axis=1).tolist() == case["spans"]


def test_the_best_spans_that_do_not_cross(functions):
    for case in functions["top_spans"]:
        starts, ends = np.array(case["starts"]), np.array(case["ends"])
        width = int((ends - starts).max()) + 1
        scores = np.zeros((ends.max() + 1, width), np.float32)
        is_span = np.zeros_like(scores, bool)
        scores[starts, ends - starts], is_span[starts, ends - starts] = case["scores"], True
        numbers = select_spans(scores, tf.constant(is_span), case["k"]).numpy()
        expected = [(case["starts"][i], case["ends"][i]) for i in case["selected"]]
        assert [(n // width, n // width + n % width) for n in numbers] == expected


def test_too_few_spans_are_all_taken_and_none_twice():
    is_span = tf.constant([[True, True], [True, False]])
    assert select_spans(tf.constant([[1.0, 2.0], [3.0, 0.0]]), is_span, 9).numpy().tolist() == [
        *(0, 1, 2)
    ]
    nothing = select_spans(tf.zeros([0, 2]), tf.zeros([0, 2], tf.bool), 3)
    assert nothing.numpy().tolist() == []


def test_loss_on_given_scores(functions):
    for case in functions["antecedents_and_loss"]:
        scores = np.array(
            [[NO_ANTECEDENT if s is None else s for s in row] for row in case["scores_with_dummy"]],
            np.float32,
        )
        losses = antecedent_loss(
            tf.constant(scores), tf.constant(case["antecedents"]), tf.constant(case["cluster_ids"])
        )
        np.testing.assert_allclose(losses, case["loss_per_span"], rtol=1e-4, atol=1e-4)
        assert float(tf.reduce_sum(losses)) == pytest.approx(case["loss"], rel=1e-4)


def test_training_windows(functions):
    case = functions["training_window"]
    lengths = np.array(case["text_len"])
    mask = (np.arange(lengths.max()) < lengths[:, None]).astype("int32")
    for window in case["windows"]:
        size = case["max_training_sentences"]
        inside = training_window(tf.constant(mask[None]), tf.constant([window["offset"]]), size)
        kept = inside.numpy()[0].sum(axis=1)
        assert kept[kept > 0].tolist() == window["text_len"]


CONFIG = bert_tf.BertConfig(
    vocab_size=50,
    hidden_size=8,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=16,
    max_position_embeddings=16,
    type_vocab_size=2,
)


def documents(lengths, num_segments, length=10):
    """Documents whose segments have these lengths."""
    shape = (len(lengths), num_segments, length)
    mask = np.zeros(shape, "int32")
    for document, of_segments in enumerate(lengths):
        for segment, number in enumerate(of_segments):
            mask[document, segment, :number] = 1
    rng = np.random.default_rng(1)
    return {
        "input_ids": rng.integers(1, 50, shape).astype("int32") * mask,
        "input_mask": mask,
        "segment_ids": mask * 0,
        "sentence_map": np.arange(num_segments)[:, None].astype("int32") * mask,
        "speaker_ids": mask * 2,
        "genre": np.zeros((len(lengths), 1), "int32"),
    }


def small_model(**options):
    sizes = {"max_span_width": 4, "ffnn_size": 6, "feature_size": 3, "max_top_antecedents": 5}
    return bert_tf.CoreferenceModel(bert_tf.BertEncoder(CONFIG), **{**sizes, **options})


def test_a_document_has_the_same_outputs_alone_and_beside_others():
    model = small_model()
    inputs = documents([[10, 9], [4], [7, 10, 10], []], 3)
    together = model(inputs)
    for number in range(3):
        alone = model({name: value[number : number + 1] for name, value in inputs.items()})
        count, width = alone["antecedents"].shape[1:]
        for name in ("span_starts", "span_ends"):
            assert (
                together[name][number, :count].numpy().tolist() == alone[name][0].numpy().tolist()
            )
        assert (together["span_starts"][number, count:].numpy() == -1).all()
        np.testing.assert_allclose(
            together["antecedent_scores"][number, :count, : 1 + width],
            alone["antecedent_scores"][0],
            rtol=1e-4,
            atol=1e-4,
        )
    assert (together["span_starts"][3].numpy() == -1).all()


def test_training_sees_a_window_of_the_document_and_counts_tokens_from_its_start():
    model = small_model(max_training_segments=1)
    inputs = documents([[10, 6, 9]], 3)
    seen = set()
    for _ in range(20):
        starts = model(inputs, training=True)["span_starts"].numpy()[0]
        bounds = [(0, 10, 4), (10, 16, 2), (16, 25, 3)]
        (window,) = [
            (first, end, number)
            for first, end, number in bounds
            if first <= starts.min() and starts.max() < end
        ]
        assert len(starts) == window[2]
        seen.add(window)
    assert len(seen) == 3
