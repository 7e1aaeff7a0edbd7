"""What the panels answer: what the model answers, in the form that the page shows."""

import base64

import numpy as np
import pytest

from bert_tf.explorer.explorer import Explorer
from bert_tf.explorer.panels import MAX_ATTENTION_TOKENS, MAX_CHARACTERS, MAX_SENTENCES

PAIR = {"text_a": "Unaffable café, was it?", "text_b": "Another."}


@pytest.fixture(scope="module")
def explorers(predictors):
    return {kind: Explorer(predictor, kind) for kind, predictor in predictors.items()}


@pytest.mark.parametrize(
    ("kind", "panels"),
    [
        ("masked_lm", ["fill_mask", "nearest", "attention"]),
        ("classification", ["classification", "nearest", "attention"]),
        ("regression", ["classification", "nearest", "attention"]),
        ("span", ["answer", "nearest", "attention"]),
        ("tagging", ["nearest", "attention"]),
        ("encoder", ["nearest", "attention"]),
    ],
)
def test_a_model_has_the_panels_that_it_can_answer(explorers, kind, panels):
    assert [panel["name"] for panel in explorers[kind].description["panels"]] == panels


def test_every_example_has_an_answer(explorers):
    for kind in ("masked_lm", "classification", "span"):
        explorer = explorers[kind]
        for panel in explorer.description["panels"]:
            inputs = {field["name"]: field["example"] for field in panel["fields"]}
            assert explorer.answer(panel["name"], inputs)


def test_masks_have_the_candidates_of_fill_mask(explorers):
    text = "The [MASK] was a [MASK]."
    answer = explorers["masked_lm"].answer("fill_mask", {"text": text})
    filled = explorers["masked_lm"].predictor.fill_mask(text)
    assert answer["best"] == filled.best
    assert [[c["token"] for c in mask] for mask in answer["masks"]] == [
        [c.token for c in mask] for mask in filled.candidates
    ]
    assert answer["masks"][1][0]["probability"] == filled.candidates[1][0].probability


def test_classes_have_their_probabilities_and_words_their_parts(explorers):
    explorer = explorers["classification"]
    quick = explorer.answer("classification", PAIR)
    assert quick["attributions"] is None
    answer = explorer.answer("classification", {**PAIR, "label": "good"})
    assert answer["labels"] == quick["labels"]
    (found,) = explorer.predictor.predict([tuple(PAIR.values())])
    assert {c["label"]: c["probability"] for c in answer["labels"]} == pytest.approx(
        found.probabilities
    )
    assert [c["label"] for c in answer["labels"] if c["is_chosen"]] == [found.label]
    explained = explorer.predictor.attributions(tuple(PAIR.values()), "good")
    for parts, text in zip(answer["attributions"]["texts"], PAIR.values(), strict=True):
        assert "".join(part["text"] for part in parts) == text
    values = [part["value"] for parts in answer["attributions"]["texts"] for part in parts]
    values = [value for value in values if value is not None]
    assert values == pytest.approx([word.value for word in explained.words], abs=1e-4)
    assert answer["attributions"]["sum"] == pytest.approx(
        explained.score - explained.baseline_score + explained.error, abs=1e-4
    )


def test_a_text_that_is_too_long_shows_what_is_not_read(explorers):
    answer = explorers["regression"].answer("classification", {"text": "one " * 60, "label": ""})
    last = answer["attributions"]["texts"][0][-1]
    assert last == {"text": " one" * 14 + " ", "value": None, "is_read": False}


def test_an_answer_has_its_place_in_the_passage(explorers):
    inputs = {"question": "Who was it?", "context": "It was a good man, they said. " * 9}
    answer = explorers["span"].answer("answer", inputs)
    found = explorers["span"].predictor.answer(*inputs.values())
    best = answer["nbest"][answer["best"]]
    assert (best["text"], best["start"], best["end"]) == (found.text, found.start, found.end)
    assert answer["null_odds"] == pytest.approx(found.null_odds, abs=1e-4)


def test_sentences_come_in_the_order_of_search(explorers):
    sentences = ["The house was small.", "A good man.", "It is a small house."]
    inputs = {"query": "a house", "sentences": "\n".join(["", *sentences, " "])}
    hits = explorers["encoder"].answer("nearest", inputs)["hits"]
    found = explorers["encoder"].predictor.search("a house", sentences)
    assert [(hit["text"], hit["score"]) for hit in hits] == [(h.text, h.score) for h in found]


def test_attention_is_that_of_the_model_to_five_digits(explorers):
    answer = explorers["span"].answer("attention", {"text": "A good man.", "text_b": "He was."})
    maps = explorers["span"].predictor.attention("A good man.", "He was.")
    assert answer["tokens"] == maps.tokens
    shape = (answer["num_layers"], answer["num_heads"], len(maps.tokens), len(maps.tokens))
    numbers = np.frombuffer(base64.b64decode(answer["probabilities"]), "<u2").reshape(shape)
    np.testing.assert_allclose(numbers / 65535, maps.probabilities, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "panel", "inputs", "message"),
    [
        ("masked_lm", "fill_mask", {"text": "no mask"}, r"no \[MASK\] to fill"),
        ("masked_lm", "fill_mask", {"text": " \n"}, "Text with masks is empty"),
        ("masked_lm", "fill_mask", {}, "Text with masks is empty"),
        ("masked_lm", "fill_mask", {"text": 7}, "must be a text"),
        ("masked_lm", "fill_mask", {"text": "a" * (MAX_CHARACTERS + 1)}, "at most 20,000 char"),
        ("masked_lm", "fill_mask", {"text": "[MASK]", "x": "y"}, "takes text. Received: text, x"),
        ("masked_lm", "fill_mask", ["text"], "takes text. Received: "),
        ("masked_lm", "answer", {"text": "a"}, "has the panels fill_mask, nearest, attention"),
        ("span", "answer", {"question": "Who?", "context": ""}, "Passage is empty"),
        ("encoder", "nearest", {"query": "a", "sentences": "b\n" * (MAX_SENTENCES + 1)}, "1,000"),
    ],
)
def test_what_cannot_be_answered_is_said(explorers, kind, panel, inputs, message):
    with pytest.raises(ValueError, match=message):
        explorers[kind].answer(panel, inputs)


def test_the_class_is_shown_even_if_it_cannot_be_explained(explorers):
    answer = explorers["classification"].answer("classification", {**PAIR, "label": "none"})
    assert len(answer["labels"]) == 3
    assert answer["attributions"] is None
    assert "label must be one of bad, good, naïve" in answer["note"]


def test_attention_of_very_long_texts_is_refused(explorers, monkeypatch):
    monkeypatch.setattr("bert_tf.explorer.panels.MAX_ATTENTION_TOKENS", 10)
    with pytest.raises(ValueError, match="for at most 10"):
        explorers["encoder"].answer("attention", {"text": "one " * 20, "text_b": ""})
    assert MAX_ATTENTION_TOKENS == 128
