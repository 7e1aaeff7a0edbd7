"""Answers from scores: by hand, and beside the algorithm written the obvious way."""

import logging
import math
import random

import numpy as np
import pytest
from span_questions import VOCAB, ask, load, make_task, random_text
from task_rows import encode_all, predict_spans

from bert_tf.spans.answers import NO_OTHER_ANSWER, NbestEntry, SpanAnswer, project
from bert_tf.text.tokenization import BasicTokenizer, FullTokenizer


def get_final_text(pred_text, orig_text, do_lower_case):
    """The part of a text that a tokenized answer was made of, as the original's function."""
    words = BasicTokenizer(do_lower_case).tokenize(orig_text)
    found = project(pred_text, orig_text, " ".join(words))
    return orig_text if found is None else found


@pytest.fixture(scope="module")
def tokenizer():
    return FullTokenizer(str(VOCAB))


@pytest.fixture(scope="module")
def straightforward():
    return load("straightforward_squad_features")


@pytest.mark.parametrize(
    ("predicted", "original", "text"),
    [
        ("steve smith", "Steve Smith's", "Steve Smith"),
        ("1895", "(1895-1943).", "1895"),
        ("cafe", "Café,", "Café"),  # One character each.
        ("cafe", "Cafe\u0301,", "Cafe\u0301,"),  # Two became one: no telling what is where.
        ("京", "北京,", "京"),
        ("[UNK]", "☃!", "☃!"),  # Not in the text.
        ("", "x", "x"),
        (" x", "a x", "a x"),
        ("a b", "A  B C", "A  B"),
        ("i\u0307stanbul", "\u0130stanbul", "\u0130stanbul"),
    ],
)
def test_the_text_of_an_answer_is_cut_out_of_the_passage(predicted, original, text):
    assert get_final_text(predicted, original, do_lower_case=True) == text


def test_a_cased_answer_is_found_as_it_is_written():
    assert get_final_text("Steve Smith", "Steve Smith's", do_lower_case=False) == "Steve Smith"
    assert get_final_text("steve smith", "Steve Smith's", do_lower_case=False) == "Steve Smith's"


def obvious_answer(words, window_features, logits, tokenizer, options):
    """The answer to a question, pair by pair, as the original looks for it.

    words: of the passage. window_features: for each window its tokens, for each of them in the
    passage its word, and which have most context there. logits: for each window starts and ends.
    """
    found = []
    null = None
    for (tokens, word_at, has_most), (starts, ends) in zip(window_features, logits, strict=True):
        places = range(len(starts))
        best_starts = sorted(places, key=lambda i: starts[i], reverse=True)[: options.n_best_size]
        best_ends = sorted(places, key=lambda i: ends[i], reverse=True)[: options.n_best_size]
        if null is None or starts[0] + ends[0] < null[0] + null[1]:
            null = (starts[0], ends[0], None, None)
        for start in best_starts:
            for end in best_ends:
                is_in_passage = start in word_at and end in word_at and has_most[start]
                if is_in_passage and start <= end < start + options.max_answer_length:
                    pieces = " ".join(tokens[start : end + 1])
                    spanned = " ".join(words[word_at[start] : word_at[end] + 1])
                    found.append((starts[start], ends[end], pieces, spanned))
    if options.version_2_with_negative:
        found.append(null)
    nbest = {}
    for start, end, pieces, spanned in sorted(found, key=lambda x: x[0] + x[1], reverse=True):
        if len(nbest) == options.n_best_size:
            break
        text = ""
        if pieces is not None:
            pieces = pieces.replace(" ##", "").replace("##", "")
            text = get_final_text(pieces, spanned, tokenizer.basic_tokenizer.do_lower_case)
        nbest.setdefault(text, (start, end))
    if options.version_2_with_negative:
        nbest.setdefault("", null[:2])
    total = sum(math.exp(start + end) for start, end in nbest.values())
    nbest = [NbestEntry(t, math.exp(s + e) / total, s, e) for t, (s, e) in nbest.items()]
    nbest = nbest or [NbestEntry("empty", 1.0, 0.0, 0.0)]
    if not options.version_2_with_negative:
        return SpanAnswer(nbest[0].text, tuple(nbest), None)
    best = next((entry for entry in nbest if entry.text), None)
    if best is None:
        return None
    odds = null[0] + null[1] - best.start_logit - best.end_logit
    text = "" if odds > options.null_score_diff_threshold else best.text
    return SpanAnswer(text, tuple(nbest), odds)


def described_windows(task, example, tokenizer, length, straightforward):
    """What `obvious_answer` must know of the windows, from the algorithm in the benchmarks."""
    words, _ = straightforward.split(example.context)
    question = {"question": example.question, "words": words, "is_impossible": True}
    word_of_token = [number for number, word in enumerate(words) for _ in tokenizer.tokenize(word)]
    question_length = len(tokenizer.encode(example.question)[: task.options.max_query_length])
    windows = straightforward.windows_of(
        len(word_of_token), length - question_length - 3, task.options.doc_stride
    )
    features = straightforward.features_of(
        *([question], tokenizer.tokenize, tokenizer.vocab),
        max_seq_length=length,
        doc_stride=task.options.doc_stride,
        max_query=task.options.max_query_length,
    )
    described = []
    for feature, (start, size) in zip(features, windows, strict=True):
        first = question_length + 2
        word_at = {first + i: word_of_token[start + i] for i in range(size)}
        tokens = tokenizer.convert_ids_to_tokens(feature["input_ids"])
        described.append((tokens, word_at, feature["has_most_context"]))
    return words, described


@pytest.mark.parametrize("version_2", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_answers_are_those_of_the_algorithm_written_the_obvious_way(
    seed, version_2, tokenizer, straightforward
):
    rng = random.Random(seed)
    length = rng.choice([16, 40])
    task = make_task(
        doc_stride=rng.choice([2, 6, 128]),
        max_query_length=8,
        n_best_size=rng.choice([1, 3, 20]),
        max_answer_length=rng.choice([1, 5, 30]),
        version_2_with_negative=version_2,
        null_score_diff_threshold=rng.choice([0.0, -2.0, 2.0]),
    )
    examples = [ask("x" + random_text(rng, 25), random_text(rng, 6)) for _ in range(8)]
    rows = list(encode_all(task, examples, "eval", tokenizer, length))
    # Halves, so that there are equal scores.
    draw = np.random.default_rng(seed)
    logits = np.round(draw.normal(0, 3, (2, len(rows), length)) * 2).astype(np.float32) / 2
    outputs = {"start_logits": logits[0], "end_logits": logits[1]}
    answers = predict_spans(task, examples, outputs, tokenizer, length)
    row = 0
    for example, answer in zip(examples, answers, strict=True):
        words, described = described_windows(task, example, tokenizer, length, straightforward)
        scores = logits[:, row : row + len(described)].astype(np.float64)
        row += len(described)
        pairs = list(zip(*scores.tolist(), strict=True))
        expected = obvious_answer(words, described, pairs, tokenizer, task.options)
        if expected is None:  # The original's crash; see the tests below.
            assert math.isfinite(answer.null_odds)
            continue
        assert answer.text == expected.text
        assert answer.null_odds == expected.null_odds
        assert [entry._replace(probability=0) for entry in answer.nbest] == [
            entry._replace(probability=0) for entry in expected.nbest
        ]
        np.testing.assert_allclose(
            [entry.probability for entry in answer.nbest],
            [entry.probability for entry in expected.nbest],
            rtol=1e-9,
        )


def logits_of(length, **scores):
    """One window's outputs: 0, but for `start_3=5.0` and so on."""
    outputs = {name: np.zeros((1, length), np.float32) for name in ("start_logits", "end_logits")}
    for name, score in scores.items():
        side, place = name.split("_")
        outputs[f"{side}_logits"][0, int(place)] = score
    return outputs


def test_the_best_answer_stands_unless_no_answer_is_likelier_by_more_than_the_threshold(tokenizer):
    # [CLS] who ? [SEP] John was here [SEP]
    outputs = logits_of(8, start_4=3.0, end_4=2.0, start_0=4.0, end_0=2.5)
    for threshold, text in [(0.0, ""), (1.4, ""), (1.5, "John"), (2.0, "John")]:
        task = make_task(version_2_with_negative=True, null_score_diff_threshold=threshold)
        (answer,) = predict_spans(
            task, [ask("John was here", "?")], shifted(outputs, 1), tokenizer, 100
        )
        assert (answer.text, answer.null_odds) == (text, 1.5)
        assert [entry.text for entry in answer.nbest[:2]] == ["", "John"]


def shifted(outputs, places):
    """The same with all but [CLS] that many places to the left."""
    return {
        name: np.concatenate([logits[:, :1], logits[:, 1 + places :]], axis=1)
        for name, logits in outputs.items()
    }


def test_no_answer_but_null_is_no_crash(tokenizer):
    """google-research/bert#476, #211, #417: `best_non_null_entry` was None."""
    task = make_task(version_2_with_negative=True, n_best_size=1)
    # The best start is behind the best end: there is no pair.
    outputs = logits_of(7, start_5=3.0, end_3=3.0, start_0=1.0, end_0=1.0)
    (answer,) = predict_spans(task, [ask("a b c", "?")], outputs, tokenizer, 100)
    assert (answer.text, answer.null_odds) == ("", NO_OTHER_ANSWER)
    assert answer.nbest == (NbestEntry("", 1.0, 1.0, 1.0),)


@pytest.mark.parametrize(("version_2", "text"), [(False, "empty"), (True, "")])
def test_an_empty_paragraph_is_no_crash(tokenizer, caplog, version_2, text):
    """google-research/bert#353: an IndexError."""
    task = make_task(version_2_with_negative=version_2)
    examples = [ask("", name="1"), ask("John", "?", "2"), *(ask(" \n", name=n) for n in "3456")]
    assert len(list(encode_all(task, examples, "eval", tokenizer, 384))) == 1
    with caplog.at_level(logging.WARNING):
        answers = predict_spans(task, examples, logits_of(5, start_3=1, end_3=1), tokenizer, 384)
    assert [answer.text for answer in answers] == [text, "John", *[text] * 4]
    assert [answer.null_odds for answer in answers[::2]] == [None if not version_2 else 1e6] * 3
    assert [record.getMessage() for record in caplog.records] == [
        "5 questions have a passage without text, and get no answer, such as ['1', '3', '4']"
    ]


def test_an_answer_that_cannot_be_found_again_is_logged_if_wanted(tokenizer, caplog):
    outputs = logits_of(6, start_3=2, end_3=2)
    for verbose, num_lines in [(False, 0), (True, 1)]:
        task = make_task(verbose_logging=verbose, n_best_size=1)
        with caplog.at_level(logging.INFO):
            (answer,) = predict_spans(task, [ask("\ue000", "?")], outputs, tokenizer, 384)
        assert answer.text == "\ue000"
        assert len(caplog.records) == num_lines
