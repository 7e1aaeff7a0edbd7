"""The search inside of a graph, held to the search in Python."""

import dataclasses
import random
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from offset_passage import OffsetPassage
from span_questions import VOCAB, random_text

from bert_tf.spans.answers import EMPTY, QuestionScores, find_answer
from bert_tf.spans.graph_search import find_answers
from bert_tf.spans.options import SpanOptions
from bert_tf.text.graph_packing import PackedWindows
from bert_tf.text.packing import divide
from bert_tf.text.tokenization import FullTokenizer

OPTIONS = SpanOptions(mask_padding=True)
SIGNATURE = {
    "start_logits": tf.TensorSpec([None, None], tf.float32),
    "end_logits": tf.TensorSpec([None, None], tf.float32),
    "owner": tf.TensorSpec([None], tf.int32),
    "window_start": tf.TensorSpec([None], tf.int32),
    "window_length": tf.TensorSpec([None], tf.int32),
    "passage_start": tf.TensorSpec([None], tf.int32),
    "contexts": tf.TensorSpec([None], tf.string),
    "starts": tf.RaggedTensorSpec([None, None], tf.int32),
    "ends": tf.RaggedTensorSpec([None, None], tf.int32),
}


@pytest.fixture(scope="module")
def tokenizer():
    return FullTokenizer(str(VOCAB))


def in_graph(options):
    """The search as a graph for batches of any size."""

    def call(inputs):
        names = ("owner", "window_start", "window_length", "passage_start")
        windows = PackedWindows({}, *(inputs[name] for name in names))
        others = {name: x for name, x in inputs.items() if name not in names}
        return find_answers(options, windows, **others)

    return tf.function(call, input_signature=[SIGNATURE])


def ragged(rows):
    return tf.RaggedTensor.from_row_lengths(
        tf.constant([value for row in rows for value in row], tf.int32),
        tf.constant([len(row) for row in rows], tf.int64),
    )


def inputs_of(passages, scores):
    """The graph's inputs: scores, windows and passages of all questions together."""
    widest = max((s.start_logits.shape[1] for s in scores), default=0)
    rows = {"start_logits": [], "end_logits": []}
    for name, padded in rows.items():
        for question in scores:
            logits = getattr(question, name)
            # What stands in the padding is higher than all else, and must not matter.
            filled = np.full((len(logits), widest), 99.0, np.float32)
            filled[:, : logits.shape[1]] = logits
            padded.extend(filled)
    windows = [
        (number, *window, question.passage_start)
        for number, question in enumerate(scores)
        for window in question.windows
    ]
    columns = np.array(windows, np.int32).reshape(-1, 4).T
    names = ("owner", "window_start", "window_length", "passage_start")
    return {
        **{
            name: tf.constant(np.reshape(x, (len(windows), widest)), tf.float32)
            for name, x in rows.items()
        },
        **{name: tf.constant(x) for name, x in zip(names, columns, strict=True)},
        "contexts": tf.constant([passage.context for passage in passages], tf.string),
        "starts": ragged([passage.starts for passage in passages]),
        "ends": ragged([passage.ends for passage in passages]),
    }


def answer_with_spans(options, question, passage):
    """The answer of the search in Python, and the characters of each of the n best."""
    tokens = {}

    def text_of(first, last):
        text = passage.text(first, last)
        tokens.setdefault(text, (first, last))  # A text keeps its highest score.
        return text

    found = find_answer(options, question, text_of)
    if not tokens and found.text == EMPTY:  # In a graph it is "".
        nbest = (found.nbest[0]._replace(text=""),)
        found = dataclasses.replace(found, text="", nbest=nbest)
    return found, [passage.span(*tokens.get(entry.text, (-1, -1))) for entry in found.nbest]


def check(options, graph, passages, scores):
    """Holds each answer of the graph to that of `find_answer`."""
    outputs = {name: x.numpy() for name, x in graph(inputs_of(passages, scores)).items()}
    has_null = options.version_2_with_negative
    width = options.n_best_size + has_null
    assert ("null_odds" in outputs) == has_null
    for row, (passage, question) in enumerate(zip(passages, scores, strict=True)):
        expected, spans = answer_with_spans(options, question, passage)
        size = len(expected.nbest)
        texts = [entry.text for entry in expected.nbest]
        probabilities = [entry.probability for entry in expected.nbest]
        place = texts.index(expected.text)
        chosen = expected.nbest[place]
        found = {name: output[row] for name, output in outputs.items()}
        padding = [-1] * (width - size)
        assert [t.decode() for t in found["nbest_answers"]] == texts + [""] * (width - size)
        assert found["nbest_starts"].tolist() == [start for start, _ in spans] + padding
        assert found["nbest_ends"].tolist() == [end for _, end in spans] + padding
        np.testing.assert_allclose(
            found["nbest_probabilities"], probabilities + [0.0] * (width - size), rtol=1e-6
        )
        assert found["answer"].decode() == expected.text
        assert (found["start"], found["end"]) == spans[place]
        np.testing.assert_allclose(found["probability"], chosen.probability, rtol=1e-6)
        assert found["score"] == np.float32(chosen.start_logit + chosen.end_logit)
        if has_null:
            assert found["null_odds"] == np.float32(expected.null_odds)
        start, end = spans[place]
        assert start < 0 or passage.context[start:end] == expected.text


def random_question(rng, tokenizer, draw):
    """A passage of 0 to 40 words, and scores with many equal ones for its windows."""
    context = random_text(rng, rng.choice([0, 1, 2, 5, 10, 40]))
    passage = OffsetPassage(rng.choice(["", " ", "x"]) + context, tokenizer)
    return passage, random_scores(rng, passage, draw)


def random_scores(rng, passage, draw):
    max_tokens, stride = rng.choice([(1, 1), (3, 2), (8, 3), (20, 7), (60, 10), (500, 128)])
    windows = tuple(divide(len(passage.ids), max_tokens, stride))
    passage_start = rng.randrange(2, 9)
    width = passage_start + max((window.length for window in windows), default=0) + 1
    spread = rng.choice([0.0, 1.0, 3.0])
    logits = draw.normal(0, spread, (2, len(windows), width))
    if rng.random() < 0.7:
        logits = np.round(logits * 2) / 2
    return QuestionScores(windows, passage_start, *logits.astype(np.float32))


@pytest.mark.parametrize("has_null", [False, True], ids=["always an answer", "perhaps none"])
@pytest.mark.parametrize(
    ("n_best_size", "max_answer_length", "threshold"),
    [(1, 30, 0.0), (2, 1, 1.0), (3, 5, -1.0), (5, 30, -0.5), (20, 30, 0.0), (20, 4, 3.0)],
)
def test_answers_are_those_of_the_search_in_python(
    has_null, n_best_size, max_answer_length, threshold, tokenizer
):
    options = SpanOptions(
        n_best_size=n_best_size,
        max_answer_length=max_answer_length,
        version_2_with_negative=has_null,
        null_score_diff_threshold=threshold,
        mask_padding=True,
    )
    graph = in_graph(options)
    seed = n_best_size * 100 + max_answer_length
    rng, draw = random.Random(seed), np.random.default_rng(seed)
    for _ in range(80):
        size = rng.choice([0, 1, 2, 6, 12])
        questions = [random_question(rng, tokenizer, draw) for _ in range(size)]
        check(options, graph, *([x[i] for x in questions] for i in range(2)))


def test_equal_scores_everywhere_rank_as_in_python(tokenizer):
    passage = OffsetPassage("the the the the a the the the the", tokenizer)
    for has_null in (False, True):
        options = dataclasses.replace(OPTIONS, version_2_with_negative=has_null)
        graph = in_graph(options)
        for max_tokens, stride in [(9, 9), (5, 1), (4, 4), (2, 1)]:
            windows = tuple(divide(len(passage.ids), max_tokens, stride))
            logits = np.zeros((2, len(windows), max_tokens + 4), np.float32)
            check(options, graph, [passage], [QuestionScores(windows, 3, *logits)])


def test_scores_that_float32_cannot_tell_apart_as_sums_rank_as_in_float64(tokenizer):
    # 2**24 + 1 is 2**24 in float32.
    passage = OffsetPassage("a b", tokenizer)
    starts = [0, 0, 0, 2.0**24, 2.0**24, 0]
    ends = [0, 0, 0, 0.0, 1.0, 0]
    logits = np.array([[starts], [ends]], np.float32)
    question = QuestionScores(tuple(divide(2, 9, 9)), 3, *logits)
    assert find_answer(OPTIONS, question, passage.text).text == "a b"
    check(OPTIONS, in_graph(OPTIONS), [passage], [question])


def test_a_longer_window_counts_for_more_as_in_python(tokenizer):
    passage = OffsetPassage("a " * 401, tokenizer)
    windows = tuple(divide(401, 400, 150))
    assert windows == ((0, 400), (150, 251))
    # Token 275 has 124 tokens behind it in the first window, 125 before it in the second one.
    logits = np.zeros((2, 2, 404), np.float32)
    logits[:, 0, 3 + 275] = 1.0
    logits[:, 1, 3 + 125] = 2.0
    options = dataclasses.replace(OPTIONS, n_best_size=1)
    question = QuestionScores(windows, 3, *logits)
    assert find_answer(options, question, passage.text).nbest == (("a", 1.0, 1.0, 1.0),)
    check(options, in_graph(options), [passage], [question])


def test_what_nothing_can_be_chosen_from_is_what_it_is_in_python(tokenizer):
    passages = [OffsetPassage(context, tokenizer) for context in ("", "a", " \n", "b")]
    draw = np.random.default_rng(0)
    scores = [random_scores(random.Random(i), passage, draw) for i, passage in enumerate(passages)]
    graph = in_graph(OPTIONS)
    assert graph(inputs_of(passages, scores))["answer"].numpy()[0] == b""
    check(OPTIONS, graph, passages, scores)
    check(OPTIONS, graph, passages[:1], scores[:1])  # No window at all.


ASK_SAVED = """
import sys
import numpy as np
import tensorflow as tf

search = tf.saved_model.load(sys.argv[1])
inputs = dict(np.load(sys.argv[2], allow_pickle=False))
for name in ("starts", "ends"):
    lengths = inputs.pop(name + "_lengths")
    inputs[name] = tf.RaggedTensor.from_row_lengths(inputs[name], lengths)
inputs["contexts"] = tf.constant([bytes(row) for row in inputs["contexts"]])
outputs = search.find({name: tf.convert_to_tensor(x) if isinstance(x, np.ndarray) else x
                       for name, x in inputs.items()})
assert not any(name.split(".")[0] == "bert_tf" for name in sys.modules)
sys.stdout.buffer.write(b"|".join(outputs["answer"].numpy()))
"""


def test_a_saved_model_answers_in_a_process_without_this_package(tokenizer, tmp_path):
    options = dataclasses.replace(OPTIONS, version_2_with_negative=True, n_best_size=4)
    module = tf.Module()
    module.find = in_graph(options)
    tf.saved_model.save(module, str(tmp_path / "model"))
    rng, draw = random.Random(3), np.random.default_rng(3)
    questions = [random_question(rng, tokenizer, draw) for _ in range(12)]
    passages, scores = zip(*questions, strict=True)
    inputs = inputs_of(passages, scores)
    arrays = {name: x.numpy() for name, x in inputs.items() if isinstance(x, tf.Tensor)}
    arrays["contexts"] = np.array([passage.context.encode() for passage in passages])
    for name in ("starts", "ends"):
        arrays[name] = inputs[name].flat_values.numpy()
        arrays[name + "_lengths"] = inputs[name].row_lengths().numpy()
    np.savez(tmp_path / "inputs.npz", **arrays)
    answered = subprocess.run(
        [sys.executable, "-c", ASK_SAVED, tmp_path / "model", tmp_path / "inputs.npz"],
        capture_output=True,
        check=False,
        cwd=tmp_path,
    )
    assert answered.returncode == 0, answered.stderr.decode()
    expected = [find_answer(options, s, p.text).text for p, s in questions]
    assert answered.stdout.decode() == "|".join(expected)
    assert len(set(expected)) > 4
