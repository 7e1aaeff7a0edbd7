"""Asks a SavedModel where only TensorFlow and TensorFlow Text are: a program of its own.

    python standalone_check.py SAVED_MODEL REQUESTS.json ANSWERS.json

    requests   [{"signature": "serving_default", "inputs": {"text": ["YmFzZTY0"]}, "times": 1}]
    answers    [{"outputs": {"value": {"shape": [1], "values": [0.5]}}, "seconds": [0.01]}]

Strings are in base64, as they need not be UTF-8.
"""

import base64
import json
import sys
import time


def main(folder: str, requests_path: str, answers_path: str) -> None:
    """Loads the SavedModel and answers all requests."""
    sys.modules["bert_tf"] = None  # Whoever imports it here fails.
    import tensorflow as tf
    import tensorflow_text  # noqa: F401

    loaded = tf.saved_model.load(folder)
    with open(requests_path, encoding="utf-8") as file:
        requests = json.load(file)
    answers = []
    for request in requests:
        inputs = {name: tf.constant(as_bytes(texts)) for name, texts in request["inputs"].items()}
        seconds = []
        for _ in range(request["times"]):
            start = time.perf_counter()
            outputs = loaded.signatures[request["signature"]](**inputs)
            outputs = {name: value.numpy() for name, value in outputs.items()}
            seconds.append(time.perf_counter() - start)
        values = {name: encoded(value) for name, value in outputs.items()}
        answers.append({"outputs": values, "seconds": seconds})
    with open(answers_path, "w", encoding="utf-8") as file:
        json.dump(answers, file)


def as_bytes(texts):
    """A text in base64, or a list of them, as bytes."""
    return base64.b64decode(texts) if isinstance(texts, str) else [as_bytes(t) for t in texts]


def encoded(array) -> dict:
    """An array as JSON values."""
    values = array.ravel().tolist()
    if array.dtype == object:
        values = [base64.b64encode(value).decode("ascii") for value in values]
    return {"shape": list(array.shape), "is_text": array.dtype == object, "values": values}


if __name__ == "__main__":
    main(*sys.argv[1:])
