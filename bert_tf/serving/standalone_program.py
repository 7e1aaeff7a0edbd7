"""A program that calls a SavedModel where only TensorFlow and TensorFlow Text can be imported.

Requests are pickled pairs of `serving_default`'s inputs and a number of calls, such as
({"text": [b"a text"]}, 1); answers are its outputs and the seconds of each call.
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
