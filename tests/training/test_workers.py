"""Workers of one process; those of several are tested as processes, in test_distribution_*.py."""

import concurrent.futures
import io
import sys
import threading
import types

import forked_python
import numpy as np
import pytest
import tensorflow as tf

from bert_tf import training
from bert_tf.settings import PretrainingSettings
from bert_tf.training import run_directory
from bert_tf.training.workers import LOST_WORKER_STATUS, Workers, together

SETTINGS = PretrainingSettings(
    bert_config_file="a", input_file=("b",), output_dir="c", do_train=True, seed=5
)


@pytest.fixture
def alone():
    return Workers(tf.distribute.get_strategy())


def test_who_trains_alone_is_the_chief_and_agrees_with_itself(alone):
    assert alone.is_chief
    np.testing.assert_array_equal(alone.exchange(3, 4), [[3, 4]])
    assert alone.agree(False, 5) == 5
    assert alone.agree(True, 5) == 0
    alone.check_same({"the newest checkpoint's step": 7})
    stream = io.StringIO()
    assert alone.stream(stream) is stream
    with together(tf.distribute.get_strategy(), SETTINGS):
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
    with run_directory.MetricsLog("/nowhere", 3, workers.is_chief) as log:
        log.write(1, {"loss": 2.0})


def test_one_that_stops_stops_all_and_the_least_number_of_steps_is_done():
    assert several([[8], [5]]).agree(False, 8) == 5
    assert several([[8], [0]]).agree(False, 8) == 0


def check_same_together(*told):
    """What each of several workers, here threads, raises or returns when told something."""
    given, meeting = [None] * len(told), threading.Barrier(len(told))

    def check(index: int):
        workers = Workers(tf.distribute.get_strategy())
        workers.count, workers.index = len(told), index

        def exchange(*values):
            given[index] = values
            meeting.wait(20)
            table = np.array(given, np.float32)
            meeting.wait(20)
            return table

        workers.exchange = exchange
        try:
            return workers.check_same(told[index])
        except ValueError as error:
            return str(error)

    with concurrent.futures.ThreadPoolExecutor() as pool:
        return list(pool.map(check, range(len(told))))


def test_workers_that_were_told_other_things_are_refused_by_name():
    same = {"seed": 1, "rate": 0.5, "files": ("a", "b")}
    assert check_same_together(same, {**same, "files": ["a", "b"]}) == [None, None]
    first, second = check_same_together(same, {**same, "rate": 0.1, "seed": 2})
    assert "The workers differ: rate (here: 0.5), seed (here: 1). Start all" in first
    assert "The workers differ: rate (here: 0.1), seed (here: 2). Start all" in second
    for message in check_same_together({"step": 20}, {"step": 0}):
        assert "step (here: " in message
        assert "--output_dir must be a folder that all hosts share" in message


def test_what_is_a_workers_own_may_differ():
    seen = []
    workers = several([])
    workers.check_same = seen.append
    workers.check_same_settings(SETTINGS)
    assert seen[0]["seed"] == 5
    assert not {"task_index", "output_dir", "input_file", "bert_config_file"} & set(seen[0])


@pytest.mark.parametrize(
    ("message", "may_be_a_file"),
    [("Collective ops is aborted by: x", False), ("gs://bucket/a: no connection", True)],
)
def test_an_error_that_may_be_a_file_s_says_so(message, may_be_a_file, monkeypatch):
    reasons = []
    fake = types.SimpleNamespace(
        count=2, is_chief=False, check_same_settings=lambda settings: None, wait=lambda: None
    )
    monkeypatch.setattr(training.workers, "Workers", lambda strategy: fake)
    monkeypatch.setattr(
        training.workers, "_exit_for_loss", lambda reason, _: reasons.append(reason)
    )
    with training.workers.together(tf.distribute.get_strategy(), SETTINGS):
        raise tf.errors.UnavailableError(None, None, message)
    assert reasons[0].startswith(message)
    assert ("a file or service that it names has failed" in reasons[0]) == may_be_a_file


STALL = """
import logging, time
import tensorflow as tf
from bert_tf.training.workers import StallWatch, Workers
logging.basicConfig()
workers = Workers(tf.distribute.get_strategy())
workers.count = 2
with StallWatch(workers, timeout=0.2) as watch:
    for seconds in (3.0, 0.1, {in_call}):  # The first one may take any time.
        time.sleep(seconds)
        watch.progressed()
    time.sleep(60.0)
"""


@pytest.mark.parametrize("in_call", [60.0, 0.1])
def test_what_does_not_end_in_a_step_or_after_it_ends_the_process(in_call):
    code = STALL.format(in_call=in_call)
    result = forked_python.run([sys.executable, "-c", code], timeout=50)
    assert result.returncode == LOST_WORKER_STATUS, result.stderr
    assert "Worker 0 of 2 lost another one, and ends: no progress for 2 s" in result.stderr
