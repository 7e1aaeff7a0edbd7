"""Workers of one process; those of several are tested as processes, in test_distribution_*.py."""

import io
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from bert_tf.training import run_directory
from bert_tf.training.workers import LOST_WORKER_STATUS, Workers, together


@pytest.fixture
def alone():
    return Workers(tf.distribute.get_strategy())


def test_who_trains_alone_is_the_chief_and_agrees_with_itself(alone):
    assert alone.is_chief
    np.testing.assert_array_equal(alone.exchange(3, 4), [[3, 4]])
    assert alone.agree(False, 5) == (False, 5)
    assert alone.agree(True, 5) == (True, 5)
    alone.check_same_step(7, "folder")
    stream = io.StringIO()
    assert alone.stream(stream) is stream
    with together(tf.distribute.get_strategy()):
        alone.wait()


def several(tables):
    """Workers of which this is the second, and which exchange what is given."""
    workers = Workers(tf.distribute.get_strategy())
    workers.count, workers.index = 2, 1
    workers.exchange = lambda *values: np.array(tables, np.float32)
    return workers


def test_the_others_keep_quiet():
    workers = several([])
    assert not workers.is_chief
    stream = workers.stream(io.StringIO())
    assert stream.write("text") == 4
    log = run_directory.open_log("/nowhere", workers.is_chief, 3)
    log.write(1, {"loss": 2.0})
    assert log.has(1, "loss")
    log.close()


def test_one_that_stops_stops_all_and_the_least_number_of_steps_is_done():
    assert several([[0, 8], [0, 5]]).agree(False, 8) == (False, 5)
    assert several([[0, 8], [1, 5]]).agree(False, 8)[0]


def test_other_checkpoints_on_other_hosts_are_refused():
    several([[20], [20]]).check_same_step(20, "out")
    with pytest.raises(
        ValueError, match=r"out: the workers .* worker 0: 20, worker 1: 0\. It must"
    ):
        several([[20], [0]]).check_same_step(0, "out")


STALL = """
import logging, time
import tensorflow as tf
from bert_tf.training.workers import StallWatch, Workers
logging.basicConfig()
workers = Workers(tf.distribute.get_strategy())
workers.count = 2
with StallWatch(workers, timeout=0.2) as watch:
    for seconds in (3.0, 0.1, 60.0):  # The first call may take any time.
        with watch.call():
            time.sleep(seconds)
"""


def test_a_step_that_does_not_end_ends_the_process():
    result = subprocess.run(
        [sys.executable, "-c", STALL], capture_output=True, text=True, timeout=50, check=False
    )
    assert result.returncode == LOST_WORKER_STATUS, result.stderr
    assert "Worker 0 of 2 lost another one, and ends: no step has ended for 2 s" in result.stderr
