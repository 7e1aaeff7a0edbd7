"""Sentences classified by this package's Predictor."""

from reporting import read_settings, report_versions
from texts import time_answers

settings = read_settings()


def load():
    import bert_tf

    predictor = bert_tf.Predictor(f"{settings.work_dir}/{settings.weights}/google")
    second = predictor.labels[1]
    return lambda texts: [answer.probabilities[second] for answer in predictor.predict(texts)]


time_answers(load, settings)
report_versions("tensorflow", "keras")
