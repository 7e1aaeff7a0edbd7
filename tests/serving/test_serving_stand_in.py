"""The stand-in for a server, held to what TensorFlow Serving's documentation and sources say."""

import base64
import json
import urllib.request

import numpy as np
import pytest
import tensorflow as tf
from serving_stand_in import ServedVersion, ServingStandIn

STRINGS = tf.TensorSpec([None], tf.string)
CLASSES = ["bad", "good"]


def half_plus(addend):
    """The toy of the server's documentation: half of a number, and something more."""

    class HalfPlus(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec(None, tf.float32, "x")])
        def add(self, x):
            return {"y": x / 2.0 + addend}

    return HalfPlus()


class Toy(tf.Module):
    """Signatures of all kinds."""

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, "text"),
            tf.TensorSpec([None], tf.int32, "count"),
        ]
    )
    def repeat(self, text, count):
        places = tf.repeat(tf.range(tf.size(text)), count)
        repeated = tf.math.unsorted_segment_sum(tf.ones_like(places), places, tf.size(text))
        return {
            "shout": tf.strings.upper(text, "utf-8"),
            "count": repeated,
            "text_bytes": text,
            "is_long": tf.strings.length(text) > 3,
            "pair": tf.stack([count, -count], axis=1),
        }

    @tf.function(input_signature=[tf.TensorSpec([], tf.int64, "n")])
    def count_up(self, n):
        return {"numbers": tf.range(n)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text")])
    def echo(self, text):
        return {"text": text, "text_bytes": text, "num_texts": tf.size(text)}

    @tf.function(input_signature=[STRINGS, tf.TensorSpec([None, 2], tf.float32, "b")])
    def fail(self, a, b):
        tf.debugging.assert_equal(tf.shape(a)[0], tf.shape(b)[0], message="not as many")
        return {"c": tf.linalg.matmul(b, tf.transpose(b))}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "inputs")])
    def label(self, inputs):
        score = self._score(inputs)
        classes = tf.tile(tf.constant([CLASSES]), [tf.size(inputs), 1])
        return {"classes": classes, "scores": tf.stack([1 - score, score], axis=1)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "inputs")])
    def rate(self, inputs):
        return {"outputs": self._score(inputs)[:, tf.newaxis]}

    def _score(self, inputs):
        features = tf.io.parse_example(
            inputs,
            {
                "text": tf.io.FixedLenFeature([], tf.string),
                "weight": tf.io.FixedLenFeature([], tf.float32, 1.0),
            },
        )
        length = tf.cast(tf.strings.length(features["text"]), tf.float32)
        return features["weight"] * length / 10.0


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    for version, addend in (("2", 2.0), ("00000010", 3.0)):
        model = half_plus(addend)
        tf.saved_model.save(model, str(folder / "half" / version), {"serving_default": model.add})
    (folder / "half" / "11.tmp").mkdir()  # Not yet there, to a server.
    toy = Toy()
    signatures = {
        "serving_default": toy.repeat,
        "count_up": toy.count_up,
        "fail": toy.fail,
        "label": toy.label,
        "rate": toy.rate,
        "echo": toy.echo,
    }
    tf.saved_model.save(toy, str(folder / "toy" / "1"), signatures)
    return {"half": folder / "half", "toy": folder / "toy"}


@pytest.fixture(scope="module")
def server(models):
    with ServingStandIn(models) as server:
        yield server


def predict(server, body, model="toy"):
    return server.request(f"/v1/models/{model}:predict", body)


def test_one_input_and_one_output_need_no_names(server):
    assert predict(server, {"instances": [1.0, 2.0, 5]}, "half") == (
        *(200, {"predictions": [3.5, 4.0, 5.5]}),
    )
    assert predict(server, {"inputs": [[1.0], [2]]}, "half") == (200, {"outputs": [[3.5], [4.0]]})
    assert predict(server, {"inputs": 3.0}, "half") == (200, {"outputs": 4.5})
    assert predict(server, {"instances": [{"x": 1}]}, "half") == (200, {"predictions": [3.5]})
    assert predict(server, {"inputs": {"x": [1]}}, "half") == (200, {"outputs": [3.5]})


def test_rows_hold_all_inputs_and_outputs_of_an_example(server):
    instances = [{"text": "é", "count": 2}, {"text": {"b64": "bG9uZw=="}, "count": 0}]
    status, answer = predict(server, {"instances": instances})
    assert status == 200
    assert answer == {
        "predictions": [
            {
                "shout": "É",
                "count": 2,
                "is_long": False,
                "pair": [2, -2],
                "text_bytes": {"b64": base64.b64encode("é".encode()).decode()},
            },
            {
                "shout": "LONG",
                "count": 0,
                "is_long": True,
                "pair": [0, 0],
                "text_bytes": {"b64": "bG9uZw=="},
            },
        ]
    }


def test_columns_hold_a_value_for_each_input_and_output(server):
    inputs = {"text": ["a", "long"], "count": [1, 2]}
    status, answer = predict(server, {"signature_name": "serving_default", "inputs": inputs})
    assert status == 200
    assert answer == {
        "outputs": {
            "shout": ["A", "LONG"],
            "count": [1, 2],
            "is_long": [False, True],
            "pair": [[1, -1], [2, -2]],
            "text_bytes": [{"b64": "YQ=="}, {"b64": "bG9uZw=="}],
        }
    }


def test_a_signature_is_chosen_by_its_name(server):
    body = {"signature_name": "count_up", "inputs": 3}
    assert predict(server, body) == (200, {"outputs": [0, 1, 2]})


def test_bytes_that_are_no_text_come_back_as_base64_only_where_the_name_says_so(server):
    body = {"signature_name": "echo", "inputs": [{"b64": "/w=="}]}
    request = urllib.request.Request(
        f"{server.url}/v1/models/toy:predict", json.dumps(body).encode()
    )
    with urllib.request.urlopen(request) as response:
        content = b"".join(response.read().split())
    assert b'"text_bytes":[{"b64":"/w=="}]' in content
    assert b'"text":["\xff"]' in content


def test_numbers_are_those_of_their_type_in_few_digits(server):
    assert predict(server, b'{"instances": [-5.6, NaN, Infinity]}', "half")[0] == 200
    _, answer = predict(server, b'{"instances": [-5.6, NaN, Infinity]}', "half")
    first, second, third = answer["predictions"]
    assert first == float(str(np.float32(-5.6) / np.float32(2) + np.float32(3)))
    assert second != second
    assert third == float("inf")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"instances = [1, 2]",
        b"\xff",
        [1.0],
        {},
        {"instances": []},
        {"instances": 1.0},
        {"instances": [1.0], "inputs": [1.0]},
        {"signature_name": 5, "instances": [1.0]},
        {"instances": ["1"]},
        {"instances": [True]},
        {"instances": [None]},
        {"instances": [{"b64": "YQ=="}]},
        {"instances": [[1.0], [1.0, 2.0]]},
        {"instances": [[1.0], 2.0]},
        {"instances": [1.0, [2.0]]},
        {"instances": [1.0, {"x": 1.0}]},
        {"instances": [{"x": 1.0}, 1.0]},
        {"instances": [{"z": 1.0}]},
        {"instances": [{"x": 1.0, "z": 1.0}]},
        {"inputs": {"z": [1.0]}},
        {"signature_name": "?", "inputs": [1.0]},
    ],
    ids=str,
)
def test_a_bad_request_is_told_what_is_wrong(server, body):
    status, answer = predict(server, body, "half")
    assert (status, list(answer)) == (400, ["error"])
    assert answer["error"]


@pytest.mark.parametrize(
    "body",
    [
        {"instances": ["a"]},
        {"inputs": ["a"]},
        {"instances": [{"text": "a"}]},
        {"inputs": {"text": ["a"]}},
        {"inputs": {"text": ["a"], "count": [1.0]}},
        {"inputs": {"text": ["a"], "count": [2**31]}},
        {"inputs": {"text": [1], "count": [1]}},
        {"inputs": {"text": [{"b64": "*"}], "count": [1]}},
        {"inputs": {"text": [{"b64": "YQ==", "x": 1}], "count": [1]}},
        {"inputs": {"text": [["a"]], "count": [1]}},
        {"inputs": {"text": "a", "count": 1}},
        {"inputs": {"text": ["a", "b"], "count": [1, 2, 3]}},
        {"signature_name": "count_up", "instances": [1]},
        {"signature_name": "fail", "inputs": {"a": ["x"], "b": [[1.0, 2.0], [3.0, 4.0]]}},
        b'{"inputs": {"text": ["\\ud800"], "count": [1]}}',
    ],
    ids=str,
)
def test_inputs_that_do_not_fit_the_signature_are_refused(server, body):
    status, answer = predict(server, body)
    assert (status, list(answer)) == (400, ["error"])


def test_an_error_inside_of_the_graph_is_told(server):
    body = {"signature_name": "fail", "inputs": {"a": ["x"], "b": [[1.0, 2.0], [3.0, 4.0]]}}
    assert "not as many" in predict(server, body)[1]["error"]


def test_keys_of_columns_that_are_no_inputs_are_passed_over(server):
    body = {"inputs": {"x": [1.0], "z": "?"}}
    assert predict(server, body, "half") == (200, {"outputs": [3.5]})


def test_rows_need_outputs_with_rows(server):
    outputs = {"text": ["a"], "text_bytes": [{"b64": "YQ=="}], "num_texts": 1}
    body = {"signature_name": "echo", "inputs": ["a"]}
    assert predict(server, body) == (200, {"outputs": outputs})
    status, answer = predict(server, {"signature_name": "echo", "instances": ["a"]})
    assert (status, list(answer)) == (400, ["error"])


def test_the_highest_version_answers_and_no_other_is_there(server):
    body = {"instances": [2.0]}
    assert predict(server, body, "half/versions/10") == (200, {"predictions": [4.0]})
    for path in ("half/versions/2", "none", "none/versions/1"):
        status, answer = predict(server, body, path)
        assert (status, list(answer)) == (404, ["error"])
    assert server.request("/v1/models/none")[0] == 404
    assert server.request("/v1/models/half/versions/2")[0] == 404


@pytest.mark.parametrize("path", ["half", "half/versions/10"])
def test_the_status_says_which_version_can_be_asked(server, path):
    version = {
        "version": "10",
        "state": "AVAILABLE",
        "status": {"error_code": "OK", "error_message": ""},
    }
    answer = {"model_version_status": [version]}
    assert server.request(f"/v1/models/{path}") == (200, answer)


def test_the_metadata_say_what_can_be_asked(server):
    status, answer = server.request("/v1/models/half/metadata")
    assert status == 200
    assert answer["model_spec"] == {"name": "half", "signature_name": "", "version": "10"}
    signature = answer["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["method_name"] == "tensorflow/serving/predict"
    assert signature["inputs"]["x"]["dtype"] == "DT_FLOAT"
    assert signature["inputs"]["x"]["tensor_shape"] == {"dim": [], "unknown_rank": True}
    assert list(signature["outputs"]) == ["y"]
    _, answer = server.request("/v1/models/toy/metadata")
    signatures = answer["metadata"]["signature_def"]["signature_def"]
    assert {"serving_default", "count_up", "fail", "label", "rate"} <= signatures.keys()
    shape = signatures["serving_default"]["inputs"]["text"]["tensor_shape"]
    assert shape == {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/foo", None),
        ("/v1/models/half:predict", None),
        ("/v1/models/half", {"instances": [1.0]}),
        ("/v1/models/half/version/10:predict", {"instances": [1.0]}),
        ("/v1/models/half/versions/ten:predict", {"instances": [1.0]}),
        ("/v1/models/half:guess", {"instances": [1.0]}),
    ],
)
def test_other_paths_are_refused(server, path, body):
    status, answer = server.request(path, body)
    assert (status, list(answer)) == (400, ["error"])


def test_examples_are_classified(server):
    body = {
        "signature_name": "label",
        "examples": [{"text": "abc"}, {"text": ["abcdef"], "weight": 0.5}],
    }
    status, answer = server.request("/v1/models/toy:classify", body)
    assert status == 200
    # The number nearest to 0.7 and 0.3 in float32, as few digits say it.
    assert answer == {"results": [[["bad", 0.7], ["good", 0.3]], [["bad", 0.7], ["good", 0.3]]]}


def test_numbers_are_computed_for_examples(server):
    body = {
        "signature_name": "rate",
        "context": {"weight": [2.0]},
        "examples": [{"text": {"b64": "YWJj"}}, {"text": "ab", "weight": 1.0}],
    }
    assert server.request("/v1/models/toy:regress", body) == (200, {"results": [0.6, 0.2]})


@pytest.mark.parametrize(
    "body",
    [
        {"examples": [{"text": "a"}]},  # Of the signature serving_default, which takes none.
        {"signature_name": "rate", "examples": [{"text": "a"}]},
        {"signature_name": "label"},
        {"signature_name": "label", "examples": []},
        {"signature_name": "label", "examples": {"text": "a"}},
        {"signature_name": "label", "examples": ["a"]},
        {"signature_name": "label", "examples": [{"text": None}]},
        {"signature_name": "label", "examples": [{"text": {"a": 1}}]},
        {"signature_name": "label", "examples": [{"text": [["a"]]}]},
        {"signature_name": "label", "examples": [{"text": ["a", 1]}]},
        {"signature_name": "label", "examples": [{"text": 1}]},
        {"signature_name": "label", "examples": [{"text": "a", "weight": 1}]},
        {"signature_name": "label", "examples": [{}]},
        {"signature_name": "?", "examples": [{"text": "a"}]},
    ],
    ids=str,
)
def test_what_cannot_be_classified_is_refused(server, body):
    status, answer = server.request("/v1/models/toy:classify", body)
    assert (status, list(answer)) == (400, ["error"])


def test_a_model_that_calls_python_is_refused(tmp_path):
    class Calls(tf.Module):
        @tf.function(input_signature=[STRINGS])
        def call(self, x):
            return tf.numpy_function(lambda text: text, [x], tf.string)

    calls = Calls()
    tf.saved_model.save(calls, str(tmp_path / "1"), {"serving_default": calls.call})
    with pytest.raises(ValueError, match="PyFunc"):
        ServedVersion("calls", tmp_path)


def test_a_folder_without_versions_is_refused(tmp_path):
    (tmp_path / "latest").mkdir()
    with pytest.raises(ValueError, match="no folder whose name is a number"):
        ServingStandIn({"model": tmp_path})
