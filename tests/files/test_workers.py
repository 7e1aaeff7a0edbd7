"""Work in several processes: order, errors, ends."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bert_tf.files.workers import WorkerKilled, report_progress, run_in_order, run_unordered


def slow_square(number):
    time.sleep(0.02 * (number % 3))
    report_progress(1)
    return number * number


def fail_at_three(number):
    if number == 3:
        raise ValueError("text:3: three is not wanted.")
    return number


def die_at_two(number):
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.2)
    return number


def write_slowly(path):
    """Writes a temporary file, which it removes if it is ended."""
    try:
        Path(path).write_text("half")
        time.sleep(60)
    finally:
        Path(path).unlink(missing_ok=True)


def send_much(number):
    return bytes(2_000_000)


@pytest.mark.parametrize("num_workers", [1, 3])
def test_results_are_those_of_the_function(num_workers):
    numbers = range(30)
    squares = [number * number for number in numbers]
    assert list(run_in_order(slow_square, numbers, num_workers)) == squares
    told = []
    found = list(run_unordered(slow_square, numbers, num_workers, told.append))
    assert sorted(found) == squares
    assert told[-1] == 30
    assert told == sorted(told)


@pytest.mark.parametrize("num_workers", [1, 2])
@pytest.mark.parametrize("run", [run_in_order, run_unordered])
def test_the_error_of_a_worker_is_raised(run, num_workers):
    with pytest.raises(ValueError, match="three is not wanted"):
        list(run(fail_at_three, range(10), num_workers))


@pytest.mark.parametrize("run", [run_in_order, run_unordered])
def test_an_error_of_the_input_is_raised(run):
    def works():
        yield 1
        raise OSError("no such file")

    with pytest.raises(OSError, match="no such file"):
        list(run(fail_at_three, works(), 2))


@pytest.mark.parametrize("run", [run_in_order, run_unordered])
def test_a_killed_worker_is_an_error_that_knows_the_work(run):
    with pytest.raises(WorkerKilled, match=r"exit status -9.*fewer workers") as error:
        list(run(die_at_two, range(20), 2))
    assert error.value.work == 2


@pytest.mark.parametrize("run", [run_in_order, run_unordered])
def test_input_is_read_only_as_fast_as_it_is_worked_on(run):
    read = []

    def works():
        for number in range(1000):
            read.append(number)
            yield number

    with contextlib.closing(run(slow_square, works(), 2)) as results:
        for count, _ in enumerate(results, start=1):
            assert len(read) <= count + 3 * 2
            if count == 20:
                break


def test_closing_the_results_ends_workers_that_are_sending_and_those_that_are_working(tmp_path):
    for _ in range(3):
        with contextlib.closing(run_in_order(send_much, range(100), 2)) as results:
            next(results)
    paths = [str(tmp_path / "a"), str(tmp_path / "b"), str(tmp_path / "c")]

    def works():
        yield from paths
        while not (tmp_path / "a").exists():
            time.sleep(0.01)
        raise ValueError("stop")

    start = time.monotonic()
    with pytest.raises(ValueError, match="stop"):
        list(run_unordered(write_slowly, works(), 2))
    assert time.monotonic() - start < 30
    assert list(tmp_path.iterdir()) == []


PROGRAM = """
import sys
from test_workers import write_slowly
from bert_tf.files.workers import run_unordered
list(run_unordered(write_slowly, sys.argv[1:], 2))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_workers_end_with_the_program_and_leave_nothing_half_written(tmp_path, number):
    paths = [tmp_path / "a", tmp_path / "b"]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([*sys.path, str(Path(__file__).parent)])
    }
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *map(str, paths)], env=environment, stderr=subprocess.PIPE
    )

    def wait_until(condition, seconds):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    wait_until(lambda: program.poll() is not None or all(map(Path.exists, paths)), 300)
    assert program.poll() is None
    program.send_signal(number)
    program.communicate(timeout=60)
    wait_until(lambda: not any(map(Path.exists, paths)), 30)  # They sleep for 60 seconds.
