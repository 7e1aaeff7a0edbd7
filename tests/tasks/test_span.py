"""Windows and answers: beside the algorithm written the obvious way, and by hand."""

import pickle
import random
import sys

import numpy as np
import pytest
from span_questions import VOCAB, NoData, ask, load, make_task, random_text
from task_rows import encode_all, predict_spans

import bert_tf
from bert_tf.spans.answers import SpanAnswer
from bert_tf.spans.options import SpanOptions
from bert_tf.spans.windows import answer_words
from bert_tf.tasks.span import SpanExample, SpanExtraction
from bert_tf.text.tokenization import FullTokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return FullTokenizer(str(VOCAB))


@pytest.fixture(scope="module")
def tokenize(tokenizer):
    straightforward = load("straightforward_tokenizer")
    return lambda text: straightforward.tokenize(text, tokenizer.vocab, True)


@pytest.fixture(scope="module")
def straightforward():
    return load("straightforward_squad_features")


def random_article(rng, version_2):
    paragraphs = []
    for number in range(3):
        context = rng.choice(["", " "]) + "x" + random_text(rng, rng.choice([0, 3, 20, 60]))
        qas = []
        for place in range(3):
            start = rng.randrange(len(context))
            text = context[start : start + rng.randrange(1, 20)]
            if rng.random() < 0.2 or not text.strip():  # Blank answers are left out.
                text = "y" + text[1:]
            question = {"id": f"{number}.{place}", "question": random_text(rng, rng.randrange(9))}
            question["answers"] = [{"text": text, "answer_start": start}]
            question["is_impossible"] = version_2 and rng.random() < 0.3
            qas.append(question)
        paragraphs.append({"context": context, "qas": qas})
    return {"paragraphs": paragraphs}


def examples_of(article):
    """As the reader makes them, without files."""
    for paragraph in article["paragraphs"]:
        for qa in paragraph["qas"]:
            answer = qa["answers"][0]
            context = paragraph["context"]
            words = answer_words(context, answer["text"], answer["answer_start"])
            if qa["is_impossible"]:
                words = -1, -1
            if words:
                yield SpanExample(
                    *(qa["id"], qa["question"], context, (answer["text"],), qa["is_impossible"]),
                    *words,
                )


@pytest.mark.parametrize("seed", range(12))
def test_features_are_those_of_the_algorithm_written_the_obvious_way(
    seed, tokenizer, tokenize, straightforward
):
    rng = random.Random(seed)
    stride, max_query = rng.choice([(1, 0), (5, 4), (16, 9), (128, 9)])
    length = max_query + rng.choice([4, 5, 10, 60])
    task = make_task(doc_stride=stride, max_query_length=max_query)
    article = random_article(rng, version_2=seed % 2 == 1)
    expected = straightforward.features_of(
        straightforward.read([article], version_2=True),
        *(tokenize, tokenizer.vocab),
        max_seq_length=length,
        doc_stride=stride,
        max_query=max_query,
    )
    received = list(encode_all(task, list(examples_of(article)), "train", tokenizer, length))
    for row, feature in zip(received, expected, strict=True):
        padding = [0] * (length - len(row["input_ids"]))
        assert row.pop("input_ids") + padding == feature["input_ids"]
        assert row.pop("segment_ids") + padding == feature["segment_ids"]
        assert row == {name: feature[name] for name in row}
        assert set(row) == {"start_positions", "end_positions", "is_impossible"}


def test_features_are_described_as_the_original_writes_them():
    task = make_task()
    assert list(task.features("eval", 384)) == [
        *("unique_ids", "input_ids", "input_mask", "segment_ids")
    ]
    described = task.features("train", 384)
    assert list(described)[4:] == ["start_positions", "end_positions", "is_impossible"]
    assert described["input_ids"].shape == (384,)
    assert described["start_positions"].shape == ()


def test_a_sequence_needs_room_for_question_and_passage():
    assert make_task(max_query_length=64).features("eval", 68)
    with pytest.raises(ValueError, match=r"at least 68: max_query_length = 64.*Received: 67"):
        make_task(max_query_length=64).features("train", 67)


@pytest.mark.parametrize("name", ["doc_stride", "n_best_size", "max_answer_length"])
def test_options_that_answer_nothing_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} must be a whole number of at least 1"):
        SpanOptions(**{name: 0})


def test_an_answer_partly_outside_of_a_window_is_at_cls_in_it(tokenizer):
    context = "a b c d e f g h"
    example = ask(context, "?", answers=("d e",), first_word=3, last_word=4)
    task = make_task(doc_stride=2, max_query_length=1)
    rows = list(encode_all(task, [example], "train", tokenizer, 8))
    assert [row["input_ids"][3:-1] for row in rows] == [
        tokenizer.encode(part) for part in ("a b c d", "c d e f", "e f g h")
    ]
    assert [row["start_positions"] for row in rows] == [[0], [4], [0]]
    assert [row["end_positions"] for row in rows] == [[0], [5], [0]]


def test_a_question_is_cut_to_its_length(tokenizer):
    task = make_task(max_query_length=3)
    (row,) = encode_all(task, [ask("x", "a b c d e f g h i j k l m n")], "eval", tokenizer, 8)
    assert tokenizer.convert_ids_to_tokens(row["input_ids"]) == [
        *("[CLS]", "a", "b", "c", "[SEP]", "x", "[SEP]")
    ]


def test_examples_of_one_passage_are_sent_to_a_worker_with_one_copy_of_it():
    context = "word " * 2000
    one = len(pickle.dumps([ask(context)]))
    assert len(pickle.dumps([ask(context, name=f"q{i}") for i in range(10)])) < one + 1000
    assert not hasattr(ask(context), "__dict__")
    assert sys.getsizeof(ask(context)) < 150


def test_a_task_and_its_examples_go_to_other_processes(tokenizer):
    task, examples = make_task(doc_stride=2, max_query_length=5), [ask("a b c d e f g h", "a?")]
    rows = list(encode_all(task, examples, "eval", tokenizer, 10))
    task, examples = pickle.loads(pickle.dumps((task, examples)))
    assert list(encode_all(task, examples, "eval", tokenizer, 10)) == rows


def logits_of(length, **scores):
    """One window's outputs: 0, but for `start_3=5.0` and so on."""
    outputs = {name: np.zeros((1, length), np.float32) for name in ("start_logits", "end_logits")}
    for name, score in scores.items():
        side, place = name.split("_")
        outputs[f"{side}_logits"][0, int(place)] = score
    return outputs


@pytest.mark.parametrize("num_windows", [0, 1, 3])
def test_outputs_of_other_features_are_refused(tokenizer, num_windows):
    outputs = {name: np.zeros((num_windows, 9)) for name in ("start_logits", "end_logits")}
    with pytest.raises(ValueError, match=f"outputs of {num_windows} windows"):
        predict_spans(make_task(), [ask("a"), ask("b")], outputs, tokenizer, 384)


def test_padding_takes_the_place_of_answers_unless_it_is_masked(tokenizer):
    example = ask("a b c", "?")
    outputs = logits_of(40, start_3=1.0, end_3=1.0)
    for name in outputs:
        outputs[name][:, 7:] = 9.0  # Padding, all of it better than any token.
    (answer,) = predict_spans(make_task(), [example], outputs, tokenizer, 40)
    assert answer.text == "empty"
    task = make_task(mask_padding=True)
    (masked,) = predict_spans(task, [example], outputs, tokenizer, 40)
    assert masked.text == "a"
    short = {name: logits[:, :7] for name, logits in outputs.items()}
    assert predict_spans(task, [example], short, tokenizer, 40) == [masked]
    assert (make_task().padding_matters, task.padding_matters) == (True, False)


@pytest.mark.parametrize("mask_padding", [False, True])
def test_the_loss_is_the_mean_of_two_cross_entropies(mask_padding):
    tf = pytest.importorskip("tensorflow", reason="needs: pip install tensorflow")
    start, end = np.array([[1.0, 2.0, 0.5, 3.0]]), np.array([[0.0, -1.0, 2.0, 1.0]])
    num_tokens = 3 if mask_padding else 4
    batch = {
        "start_positions": tf.constant([1]),
        "end_positions": tf.constant([2]),
        "input_mask": tf.constant([[1, 1, 1, 0]]),
    }
    outputs = {"start_logits": tf.constant(start), "end_logits": tf.constant(end)}
    loss = make_task(mask_padding=mask_padding).loss(batch, outputs).numpy()

    def cross_entropy(logits, position):
        return np.log(np.exp(logits[0, :num_tokens]).sum()) - logits[0, position]

    expected = (cross_entropy(start, 1) + cross_entropy(end, 2)) / 2
    np.testing.assert_allclose(loss, [expected], rtol=1e-6)
    assert loss.dtype == np.float32


def test_the_head_scores_starts_and_ends():
    pytest.importorskip("tensorflow", reason="needs: pip install tensorflow")
    from bert_tf.config import BertConfig

    config = BertConfig(
        vocab_size=30,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        type_vocab_size=2,
    )
    task = make_task()
    model = task.head(bert_tf.BertEncoder(config))
    names = [variable.path for variable in model.weights]
    assert "cls/squad/output_weights" in names
    assert [name for name in names if model.is_unneeded(name)] == [
        "bert/pooler/dense/kernel",
        "bert/pooler/dense/bias",
    ]


def test_a_model_that_always_says_the_same_is_collapsed():
    task = make_task()
    examples = [ask("c", answers=answers) for answers in [("a",), ("b",), ()]]

    def answer(*texts):
        return [SpanAnswer(text, (), None) for text in texts]

    assert task.is_collapsed(examples, answer("", "", ""))
    assert task.is_collapsed(examples, answer("a", "a", "a"))
    assert not task.is_collapsed(examples, answer("a", "b", ""))
    assert not task.is_collapsed([examples[2]] * 3, answer("", "", ""))


def test_a_place_outside_of_the_window_costs_nothing():
    """An answer of white space before the first word has one, in the original too."""
    import tensorflow as tf

    task = SpanExtraction("squad", SpanOptions(), data=NoData(), metric="f1")
    logits = tf.constant([[0.5, 1.0, -1.0]] * 3)
    batch = {
        "start_positions": tf.constant([1, 14, -4]),
        "end_positions": tf.constant([2, 2, -1]),
        "input_mask": tf.ones([3, 3], tf.int32),
    }
    outputs = {"start_logits": logits, "end_logits": logits}
    log_probs = tf.nn.log_softmax(logits[0]).numpy()
    expected = [-(log_probs[1] + log_probs[2]) / 2, -log_probs[2] / 2, 0.0]
    np.testing.assert_allclose(task.loss(batch, outputs), expected, rtol=1e-6)
