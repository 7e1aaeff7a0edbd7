"""Requests to TensorFlow Serving's REST API and its answers, as docs/serving.md has them.

The server here is a stand-in, which loads the SavedModels by their signatures as the real one does.
"""

import base64

import numpy as np
import pytest
from serving_stand_in import ServingStandIn

CONTEXT = "The naïve leader was John Smith (1895-1943), who had been to sea. " * 4


@pytest.fixture(scope="module")
def server(exports):
    names = ("classification", "regression", "span", "masked_lm")
    with ServingStandIn({kind: exports[kind] for kind in names}) as server:
        yield server


def ask(server, model, body, verb="predict"):
    return server.request(f"/v1/models/{model}:{verb}", body)


def test_rows_are_answered_by_rows(server, predictors):
    pairs = [("A text.", "Another."), ("Naïve café", "")]
    instances = [{"text_a": a, "text_b": b} for a, b in pairs]
    status, answer = ask(server, "classification", {"instances": instances})
    assert status == 200
    expected = predictors["classification"].predict(pairs)
    for row, of_python in zip(answer["predictions"], expected, strict=True):
        assert row["label"] == of_python.label
        assert row["probability"] == pytest.approx(of_python.probability, abs=1e-5)
        assert dict(zip(row["labels"], row["probabilities"], strict=True)) == pytest.approx(
            dict(of_python.probabilities), abs=1e-5
        )


def test_a_model_of_one_text_takes_a_list_of_strings(server, predictors):
    status, answer = ask(server, "regression", {"instances": ["A text.", ""]})
    assert status == 200
    expected = predictors["regression"].predict(["A text.", ""])
    np.testing.assert_allclose(answer["predictions"], expected, atol=1e-4)


def test_columns_are_answered_by_columns(server, predictors):
    body = {"inputs": {"question": ["Who?", "When?"], "context": [CONTEXT, CONTEXT]}}
    status, answer = ask(server, "span", body)
    assert status == 200
    expected = predictors["span"].predict([("Who?", CONTEXT), ("When?", CONTEXT)])
    outputs = answer["outputs"]
    assert outputs["answer"] == [answer.text for answer in expected]
    assert outputs["start"] == [answer.start for answer in expected]
    assert len(outputs["nbest_answers"][0]) == 6


def test_bytes_can_be_sent_in_base64(server):
    encoded = base64.b64encode("Naïve café".encode()).decode("ascii")
    plain = ask(server, "regression", {"instances": ["Naïve café"]})
    assert ask(server, "regression", {"instances": [{"b64": encoded}]}) == plain
    broken = base64.b64encode(b"Na\xc3\xafve \xffcaf\xc3\xa9").decode("ascii")
    assert ask(server, "regression", {"instances": [{"b64": broken}]}) == plain


def test_a_signature_is_named(server, predictors):
    instances = [{"text_a": "He went.", "text_b": "Then he came back."}]
    body = {"signature_name": "next_sentence", "instances": instances}
    status, answer = ask(server, "masked_lm", body)
    assert status == 200
    expected = predictors["masked_lm"].next_sentence_probability("He went.", "Then he came back.")
    assert answer["predictions"] == [pytest.approx(expected, abs=1e-5)]


def test_masks_are_filled(server, predictors):
    text = "The [MASK] of [MASK]."
    status, answer = ask(server, "masked_lm", {"instances": [text]})
    assert status == 200
    (row,) = answer["predictions"]
    expected = predictors["masked_lm"].fill_mask(text)
    assert row["tokens"] == list(expected.tokens)
    assert [row["tokens"][place] for place in row["positions"]] == ["[MASK]", "[MASK]"]
    assert row["candidates"] == [[c.token for c in mask] for mask in expected.candidates]


def test_ids_are_taken_too(server):
    row = {"input_ids": [2, 30, 3], "input_mask": [1, 1, 1], "segment_ids": [0, 0, 0]}
    status, answer = ask(server, "regression", {"signature_name": "ids", "instances": [row]})
    assert (status, len(answer["predictions"])) == (200, 1)


def test_classify_and_regress_take_examples(server, predictors):
    examples = [{"text_a": "A text.", "text_b": "Another."}]
    body = {"signature_name": "classify", "examples": examples}
    status, answer = ask(server, "classification", body, "classify")
    assert status == 200
    expected = predictors["classification"].predict([("A text.", "Another.")])[0]
    assert dict(answer["results"][0]) == pytest.approx(dict(expected.probabilities), abs=1e-5)
    body = {"signature_name": "regress", "examples": [{"text": "A text."}]}
    status, answer = ask(server, "regression", body, "regress")
    assert status == 200
    assert answer["results"] == [
        pytest.approx(predictors["regression"].predict(["A text."])[0], abs=1e-4)
    ]


@pytest.mark.parametrize(
    "body",
    [
        {"instances": [{"text_a": "only one"}]},
        {"instances": ["a string"]},
        {"instances": [{"text_a": 1, "text_b": 2}]},
        {"inputs": {"text_a": ["a", "b"]}},
        {"inputs": {"text_a": ["a", "b"], "text_b": ["c"]}},
        {"instances": [{"text_a": "a", "text_b": "b"}], "inputs": {}},
        {"signature_name": "no_such", "instances": [{"text_a": "a", "text_b": "b"}]},
        {"signature_name": "text_examples", "instances": [{"b64": "bm8gZXhhbXBsZQ=="}]},
        {},
        b"{not json",
    ],
)
def test_what_cannot_be_answered_is_a_bad_request(server, body):
    status, answer = ask(server, "classification", body)
    assert status == 400
    assert answer["error"]


def test_the_server_tells_of_its_models(server):
    status, answer = server.request("/v1/models/span")
    assert status == 200
    assert answer["model_version_status"][0]["version"] == "1"
    _, metadata = server.request("/v1/models/span/metadata")
    signatures = metadata["metadata"]["signature_def"]["signature_def"]
    assert {"question", "context"} == set(signatures["serving_default"]["inputs"])
    assert server.request("/v1/models/nobody")[0] == 404
