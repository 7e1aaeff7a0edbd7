"""Running a model on rows of different lengths."""

import logging

import numpy as np
import tensorflow as tf

from bert_tf.kinds.length_runner import length_runner


def test_each_row_gets_its_outputs_whatever_the_lengths():
    run = length_runner(lambda batch: {"sum": tf.reduce_sum(batch["input_ids"], axis=1)}, 2, 10)
    rows = [([1, 2], [0, 0]), ([3], [0]), ([4, 5, 6], [0, 0, 0])]
    assert [int(outputs["sum"]) for outputs in run(rows)] == [3, 3, 15]


def test_many_models_in_one_process_give_no_warning_of_retracing(caplog, monkeypatch):
    monkeypatch.setattr(tf.get_logger(), "propagate", True)
    row = ([1, 2], [0, 0])
    with caplog.at_level(logging.WARNING):
        for factor in range(10):
            run = length_runner(lambda batch, f=factor: {"y": f * batch["input_ids"]}, 2, 10)
            np.testing.assert_array_equal(run([row])[0]["y"], [factor, 2 * factor])
    assert "retracing" not in caplog.text
