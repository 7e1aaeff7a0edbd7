"""Calls a SavedModel in a process without this package, with TensorFlow and TensorFlow Text only.

A request is a pair such as ({"text": [b"a text"]}, 1) of inputs and the number of calls, an answer
is a pair of outputs and the seconds of each call; both are pickled.
"""

import pickle
import sys
import time


def main(folder: str, requests_path: str, answers_path: str) -> None:
    sys.modules["bert_tf"] = None  # Importing it fails.
    import tensorflow as tf
    import tensorflow_text  # noqa: F401

    call = tf.saved_model.load(folder).signatures["serving_default"]
    with open(requests_path, "rb") as file:
        requests = pickle.load(file)
    answers = []
    for texts, num_calls in requests:
        inputs = {name: tf.constant(column) for name, column in texts.items()}
        seconds = []
        for _ in range(num_calls):
            start = time.perf_counter()
            outputs = {name: value.numpy() for name, value in call(**inputs).items()}
            seconds.append(time.perf_counter() - start)
        answers.append((outputs, seconds))
    with open(answers_path, "wb") as file:
        pickle.dump(answers, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
