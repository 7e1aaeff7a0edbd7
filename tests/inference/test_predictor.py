"""A model asked in words: every kind, many texts at once, from several threads, and bad input."""

import concurrent.futures
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from offset_passage import OffsetPassage
from served_models import LABELS, MAX_SEQ_LENGTH, VOCAB, small_config, write_model

import bert_tf
from bert_tf.inference.load_model import load_model
from bert_tf.released.find_model import ModelFiles
from bert_tf.text.packing import pack_truncated

CONTEXT = "Naïve John Smith (1895-1943) was the leader of an expedition. " * 12


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    span = {"doc_stride": 12, "max_query_length": 8, "n_best_size": 5}
    return {
        "pair": write_model(folder / "pair", "classification", ("text_a", "text_b")),
        "regression": write_model(folder / "regression", "regression"),
        "tagging": write_model(folder / "tagging", "tagging"),
        "span": write_model(folder / "span", "span", ("question", "context"), span),
        "masked_lm": write_model(folder / "masked_lm", "masked_lm"),
        "encoder": write_model(folder / "encoder", "encoder"),
    }


@pytest.fixture(scope="module")
def predictors(folders):
    return {kind: bert_tf.Predictor(folder) for kind, folder in folders.items()}


@pytest.fixture(scope="module")
def tokenizer():
    return bert_tf.FullTokenizer(str(VOCAB))


@pytest.mark.parametrize(
    ("kind", "short", "long", "limit"),
    [
        ("tagging", ("one",), ("one " * MAX_SEQ_LENGTH,), f"{MAX_SEQ_LENGTH} tokens"),
        ("span", ("who?", CONTEXT), ("who " * 9, CONTEXT), "8 tokens (max_query_length)"),
    ],
)
def test_truncation_is_told_once(folders, caplog, kind, short, long, limit):
    predictor = bert_tf.Predictor(folders[kind])
    predictor.predict([short])
    assert not caplog.text
    for _ in range(2):
        predictor.predict([short, long])
    assert caplog.text.count(f"1 of 2 texts are longer than {limit}") == 1


def alone(model, tokenizer, text_a, text_b=""):
    """A model's outputs for one text, without padding."""
    ids = map(tokenizer.encode, (text_a, text_b))
    cls, sep = tokenizer.convert_tokens_to_ids(["[CLS]", "[SEP]"])
    input_ids, segment_ids = pack_truncated(*ids, cls, sep, MAX_SEQ_LENGTH)
    return model({"input_ids": np.array([input_ids]), "segment_ids": np.array([segment_ids])})


def model_of(predictor):
    return predictor._model.model


def texts_of_many_lengths(number):
    words = ["the", "naïve", "café", "of", "John", "Smith", "1895", "東京", "unaffable", "?"]
    rng = np.random.default_rng(number)
    return [" ".join(rng.choice(words, rng.integers(0, 60))) for _ in range(number)]


def test_a_pair_gets_the_softmax_of_its_scores_by_label(predictors, tokenizer):
    predictor = predictors["pair"]
    (answer,) = predictor.predict([("A naïve text.", "Another one")])
    logits = alone(model_of(predictor), tokenizer, "A naïve text.", "Another one")
    expected = tf.nn.softmax(logits)[0].numpy()
    assert tuple(answer.probabilities) == LABELS["classification"]
    np.testing.assert_allclose(list(answer.probabilities.values()), expected, atol=1e-6)
    assert answer.label == LABELS["classification"][expected.argmax()]
    assert answer.probability == pytest.approx(expected.max(), abs=1e-6)


def test_many_texts_get_the_answers_of_each_alone_in_their_order(predictors):
    predictor = predictors["regression"]
    texts = texts_of_many_lengths(70)
    together = predictor.predict(texts)
    np.testing.assert_allclose(together, [predictor.predict([t])[0] for t in texts], atol=2e-5)
    assert len({round(value, 4) for value in together}) > 40


def test_words_are_tagged_as_their_first_pieces_are(predictors, tokenizer):
    predictor = predictors["tagging"]
    text = "Unaffable  café, naïve!"
    (words,) = predictor.predict([text])
    assert [word.word for word in words] == ["Unaffable", "café", ",", "naïve", "!"]
    assert [text[word.start : word.end] for word in words] == [word.word for word in words]
    tokens = tokenizer.tokenize(text)
    firsts = [place for place, token in enumerate(tokens) if not token.startswith("##")]
    assert len(firsts) < len(tokens)
    logits = alone(model_of(predictor), tokenizer, text)
    expected = tf.nn.softmax(logits)[0].numpy()[[1 + place for place in firsts]]
    assert [word.label for word in words] == [
        LABELS["tagging"][best] for best in expected.argmax(axis=-1)
    ]
    np.testing.assert_allclose([w.probability for w in words], expected.max(axis=-1), atol=1e-6)


def test_an_answer_is_a_part_of_a_long_context_with_its_place(predictors):
    predictor = predictors["span"]
    answer = predictor.answer("Who was the leader of it all, and when?", CONTEXT)
    assert answer.text == CONTEXT[answer.start : answer.end] != ""
    assert len(answer.nbest) == 5
    assert sum(entry.probability for entry in answer.nbest) == pytest.approx(1)
    assert answer.null_odds is None


def test_the_answer_is_the_best_span_of_all_windows(predictors, tokenizer):
    """Beside a search the obvious way: every window alone, every pair of places."""
    predictor = predictors["span"]
    question = tokenizer.encode("Who was the leader?")[:8]
    passage = OffsetPassage(CONTEXT, tokenizer)
    room, stride = MAX_SEQ_LENGTH - len(question) - 3, 12
    cls, sep = tokenizer.convert_tokens_to_ids(["[CLS]", "[SEP]"])
    starts = [0]
    while starts[-1] + room < len(passage.ids):
        starts.append(starts[-1] + stride)
    best = (-np.inf, "")
    for place in range(len(passage.ids)):
        windows = [s for s in starts if s <= place < s + room]
        context = [
            min(place - s, min(s + room, len(passage.ids)) - 1 - place)
            + 0.01 * (min(s + room, len(passage.ids)) - s)
            for s in windows
        ]
        start = windows[int(np.argmax(context))]
        tokens = passage.ids[start : start + room]
        ids = [cls, *question, sep, *tokens, sep]
        segments = [0] * (len(question) + 2) + [1] * (len(tokens) + 1)
        outputs = model_of(predictor)(
            {"input_ids": np.array([ids]), "segment_ids": np.array([segments])}
        )
        offset = len(question) + 2 - start
        start_logits = outputs["start_logits"][0].numpy()
        end_logits = outputs["end_logits"][0].numpy()
        likely = set(np.argsort(-start_logits, kind="stable")[:5])
        if place + offset not in likely:
            continue
        for end in np.argsort(-end_logits, kind="stable")[:5] - offset:
            if place <= end < min(place + 30, start + len(tokens)):
                score = float(start_logits[place + offset]) + float(end_logits[end + offset])
                best = max(best, (score, passage.text(place, end)))
    assert predictor.answer("Who was the leader?", CONTEXT).text == best[1]


def test_a_question_that_leaves_no_room_for_its_passage_is_refused(folders):
    predictor = bert_tf.Predictor(folders["span"], span_options={"max_query_length": 64})
    assert predictor.answer("Who?", CONTEXT).text
    with pytest.raises(ValueError, match=r"no room for its passage in .*Lower max_query"):
        predictor.answer("who " * 64, CONTEXT)


def test_there_is_no_answer_in_an_empty_context(predictors):
    answer = predictors["span"].answer("Who?", " \n")
    assert (answer.text, answer.start, answer.end) == ("", -1, -1)


def test_masks_are_filled_one_text_or_several(predictors):
    predictor = predictors["masked_lm"]
    one = predictor.fill_mask("The [MASK] of [MASK].", top_k=3)
    assert [len(candidates) for candidates in one.candidates] == [3, 3]
    several = predictor.fill_mask(["The [MASK] of [MASK].", "[MASK]"], top_k=3)
    assert [c.token for c in several[0].candidates[1]] == [c.token for c in one.candidates[1]]
    assert "[MASK]" not in one.best


def test_the_next_sentence_s_probability_is_that_of_the_head(predictors, tokenizer):
    predictor = predictors["masked_lm"]
    outputs = model_of(predictor)
    cls, sep = tokenizer.convert_tokens_to_ids(["[CLS]", "[SEP]"])
    ids, segments = pack_truncated(
        tokenizer.encode("He went."), tokenizer.encode("Then?"), cls, sep, 64
    )
    expected = outputs(
        {
            "input_ids": np.array([ids]),
            "segment_ids": np.array([segments]),
            "masked_lm_positions": np.zeros((1, 1), np.int32),
        }
    )["next_sentence_logits"]
    probability = predictor.next_sentence_probability("He went.", "Then?")
    assert probability == pytest.approx(float(tf.nn.softmax(expected)[0, 0]), abs=1e-6)


@pytest.mark.parametrize("kind", ["encoder", "pair"])
def test_texts_have_vectors_whatever_the_model_was_trained_for(predictors, tokenizer, kind):
    predictor = predictors[kind]
    model = model_of(predictor)
    outputs = alone(model if kind == "encoder" else model.encoder, tokenizer, "A naïve text.")
    tokens = outputs["sequence_output"][0].numpy()
    one = predictor.embed("A naïve text.", pool="tokens")
    np.testing.assert_allclose(one, tokens, atol=1e-5)
    both = predictor.embed(["Longer than the other one, by far.", "A naïve text."])
    np.testing.assert_allclose(both[1], tokens.mean(axis=0), atol=1e-5)
    pooled = predictor.embed("A naïve text.", pool="pooled")
    np.testing.assert_allclose(pooled, outputs["pooled_output"][0], atol=1e-5)


def test_threads_get_the_answers_of_one_after_the_other(predictors):
    texts = texts_of_many_lengths(24)
    expected = predictors["regression"].predict(texts)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda t: predictors["regression"].predict([t])[0], texts * 4))
    np.testing.assert_allclose(answers, expected * 4, atol=2e-5)


def test_no_examples_have_no_answers(predictors):
    assert predictors["pair"].predict([]) == []
    assert predictors["masked_lm"].fill_mask([]) == []


TWO = ["A naïve text.", "Another one"]


class Table:
    """As a data frame of pandas or polars: iterating it gives the names of its columns."""

    columns = ("text",)
    to_dict = None

    def __iter__(self):
        return iter(self.columns)

    def __getitem__(self, name):
        return np.array(TWO)


MANY = {
    "a generator": lambda: (text for text in TWO),
    "an array": lambda: np.array(TWO),
    "an array of objects": lambda: np.array(TWO, object),
    "a tensor": lambda: tf.constant(TWO),
    "a ragged tensor": lambda: tf.ragged.constant([TWO[:1], TWO[1:]]),
    "tuples": lambda: [(text,) for text in TWO],
    "dicts": lambda: [{"text": text} for text in TWO],
    "columns": lambda: {"text": np.array(TWO)},
    "a table": lambda: Table(),
}


@pytest.mark.parametrize("form", MANY)
def test_texts_are_read_in_any_form_that_is_certain(predictors, form):
    predictor = predictors["regression"]
    assert predictor.predict(MANY[form]()) == predictor.predict(TWO)
    np.testing.assert_array_equal(predictor.embed(MANY[form]()), predictor.embed(TWO))


@pytest.mark.parametrize("one", [TWO[0], np.str_(TWO[0]), {"text": TWO[0]}, tf.constant(TWO[0])])
def test_one_text_has_one_answer(predictors, one):
    predictor = predictors["regression"]
    assert predictor.predict(one) == predictor.predict(TWO[:1])
    assert predictor.embed(one).shape == (16,)
    assert len(predictors["tagging"].predict(one)) == 1


def test_texts_of_several_inputs_are_read_by_their_names(predictors):
    question = {"context": CONTEXT, "question": "Who was the leader?"}
    expected = predictors["span"].predict([("Who was the leader?", CONTEXT)])
    columns = {name: [text] for name, text in question.items()}
    for form in (question, [question], columns, np.array([["Who was the leader?", CONTEXT]])):
        assert predictors["span"].predict(form) == expected
    masked = {"text": "The [MASK]."}
    assert predictors["masked_lm"].fill_mask(masked).best.startswith("the ")
    assert len(predictors["masked_lm"].fill_mask([masked, "[MASK]"])) == 2


@pytest.mark.parametrize(
    ("kind", "examples", "message"),
    [
        ("tagging", None, "list of examples.*NoneType"),
        ("tagging", 5, "list of examples.*int 5"),
        ("tagging", b"a text", "list of examples.*bytes"),
        ("tagging", {"a", "b"}, "list of examples.*set"),
        ("tagging", ["a", None], "Example 1.*takes text.*NoneType"),
        ("tagging", ["a", float("nan")], "Example 1.*float nan"),
        ("tagging", np.array([1, 2]), "Example 0.*int 1"),
        ("tagging", [b"a"], "Example 0.*bytes"),
        ("tagging", [("a", "b")], "Example 0"),
        ("tagging", [["a"], [["a"]]], "Example 1"),
        ("tagging", {"texts": "a"}, "Example 0.*texts"),
        ("tagging", [{"text": "a"}, {"text": "a", "text_b": "b"}], "Example 1.*text_b"),
        ("tagging", {"text": ["a"], "label": [1]}, r"columns text.*label \(1\)"),
        ("regression", [("a", "b")], r"Example 0.*Predictor inputs=\('text',\) or \('text_a', "),
        ("pair", ["a", "b"], "Example 0.*text_a, text_b.*str 'a'"),
        ("pair", "a text", "Example 0"),
        ("pair", {"text_a": ["a"], "text_b": ["b", "c"]}, "one length"),
        ("span", [{"question": "Who?"}], "Example 0.*question, context"),
        ("span", [("Who?", None)], "Example 0"),
    ],
)
def test_what_is_no_example_is_refused_with_its_number(predictors, kind, examples, message):
    with pytest.raises(ValueError, match=message):
        predictors[kind].predict(examples)


def test_every_question_to_a_model_is_judged_alike(predictors):
    ask = predictors["masked_lm"].next_sentence_probability
    for call in (
        lambda: predictors["encoder"].embed(["a", None]),
        lambda: predictors["pair"].embed([("a", "b")]),
        lambda: predictors["masked_lm"].fill_mask(["[MASK]", 1]),
        lambda: ask("a", None),
        lambda: predictors["span"].answer("Who?", float("nan")),
    ):
        with pytest.raises(ValueError, match=r"Example \d: the model takes"):
            call()


def test_pairs_are_taken_by_a_model_whose_files_do_not_say_so_if_they_are_named(folders):
    with pytest.raises(ValueError, match="are text or text_a,text_b"):
        bert_tf.Predictor(folders["regression"], inputs=("text", "other"))
    pairs = bert_tf.Predictor(folders["regression"], inputs=("text_a", "text_b"))
    assert len(pairs.predict([("a", "b")])) == 1


@pytest.mark.parametrize(
    "argument",
    [
        {"labels": "no"},
        {"inputs": "text"},
        {"do_lower_case": "false"},
        {"batch_size": 0},
        {"span_options": {"doc_strid": 3}},
    ],
)
def test_an_argument_of_another_form_is_refused_by_its_name(folders, argument):
    names = "|".join([*argument, "doc_strid"])
    with pytest.raises(ValueError, match=f"({names}).* (Received|It has)"):
        bert_tf.Predictor(Path(folders["regression"]), **argument)


def test_an_empty_name_is_no_model():
    with pytest.raises(ValueError, match="folder or name is needed"):
        bert_tf.Predictor("")


def test_other_inputs_are_proposed_only_for_another_number_of_texts(predictors):
    for example in (None, float("nan"), b"a"):
        with pytest.raises(ValueError, match="Example 0") as error:
            predictors["regression"].predict([example])
        assert "Predictor inputs" not in str(error.value)


def test_what_a_model_cannot_be_asked_is_said(predictors):
    with pytest.raises(ValueError, match="cannot answer questions"):
        predictors["pair"].answer("Who?", "He.")
    with pytest.raises(ValueError, match="masked-LM head"):
        predictors["regression"].fill_mask("A [MASK].")
    with pytest.raises(ValueError, match="next-sentence head"):
        predictors["encoder"].next_sentence_probability("a", "b")
    with pytest.raises(ValueError, match="Example 1: the model takes text"):
        predictors["tagging"].predict(["a", ("b", "c")])
    with pytest.raises(ValueError, match=r"no \[MASK\]"):
        predictors["masked_lm"].fill_mask("Nothing to fill.")
    with pytest.raises(ValueError, match=r"top_k.*'5'"):
        predictors["masked_lm"].fill_mask("[MASK]", top_k="5")
    with pytest.raises(ValueError, match="pool must be one of"):
        predictors["encoder"].embed("a", pool="max")


def test_a_folder_without_a_description_is_told_from_its_weights(tmp_path, folders):
    folder = write_model(tmp_path / "original", "classification")
    (tmp_path / "original" / "task.json").unlink()
    predictor = bert_tf.Predictor(folder, do_lower_case=True)
    assert predictor.kind == "classification"
    assert list(predictor.predict(["a"])[0].probabilities) == ["0", "1", "2"]
    named = bert_tf.Predictor(folder, labels=["x", "y", "z"], do_lower_case=True)
    assert list(named.predict(["a"])[0].probabilities) == ["x", "y", "z"]
    with pytest.raises(ValueError, match="3 outputs"):
        bert_tf.Predictor(folder, labels=["x", "y"], do_lower_case=True)


def test_the_best_weights_of_a_folder_are_taken(tmp_path):
    write_model(tmp_path / "run", "regression")
    best = tmp_path / "run" / "best"
    write_model(best, "regression")
    names = (best / "bert_config.json", VOCAB, best / "bert_model.ckpt")
    model = load_model(ModelFiles(*map(str, names), True, None)).model
    model.weights[-1].assign([7.0])
    bert_tf.save_checkpoint(model, str(best / "model.ckpt-5"), global_step=5)
    (best / "checkpoint").write_text('model_checkpoint_path: "model.ckpt-5"\n')
    newest, chosen = (bert_tf.Predictor(str(folder)) for folder in (tmp_path / "run", best))
    assert newest.predict(["a"]) == chosen.predict(["a"])


def test_a_missing_model_and_a_vocabulary_of_another_are_refused(tmp_path):
    with pytest.raises(ValueError, match="There is no file or folder"):
        bert_tf.Predictor(str(tmp_path / "nowhere"))
    folder = write_model(tmp_path / "model", "regression")
    vocab = tmp_path / "model" / "vocab.txt"
    vocab.write_text(vocab.read_text() + "anotherword\n")
    with pytest.raises(ValueError, match="2001 rows"):
        bert_tf.Predictor(folder)
    assert small_config().vocab_size == 2000
