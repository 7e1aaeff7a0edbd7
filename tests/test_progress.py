"""The progress display: on a terminal, in a log file, and its figures."""

import io

import pytest

from bert_tf.progress import Progress, format_number, format_seconds


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Terminal(io.StringIO):
    def isatty(self):
        return True


def run(stream, updates, total=100, **options):
    """Does `updates` = [(seconds that pass, units, figures), ...] and gives what was written."""
    clock = Clock()
    with Progress(total, "steps", stream, clock=clock, **options) as progress:
        for seconds, units, figures in updates:
            clock.now += seconds
            progress.update(units, **figures)
    return stream.getvalue()


def test_a_log_file_gets_a_line_every_ten_seconds_and_one_at_the_end():
    written = run(io.StringIO(), [(1.0, 1, {})] * 25)
    lines = written.splitlines()
    assert lines == [
        " 10 %  10/100 steps  1 steps/s  1:30 left",
        " 20 %  20/100 steps  1 steps/s  1:20 left",
        " 25 %  25/100 steps  1 steps/s  0:25 in all",
    ]


def test_a_terminal_line_is_rewritten_at_most_five_times_a_second():
    written = run(Terminal(), [(0.05, 1, {})] * 100)
    assert 20 <= written.count("\r") <= 26
    assert written.count("\n") == 1
    assert written.endswith("in all\n")
    assert "[####################]  100/100 steps" in written


def test_a_shorter_line_covers_a_longer_one_on_a_terminal():
    written = run(Terminal(), [(1, 50, {"note": "x" * 20}), (1, 50, {"note": "y"})])
    first, second = written.split("\r")[1:3]
    assert len(second.rstrip("\n")) == len(first)


def test_a_terminal_line_is_never_wider_than_the_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "50")
    written = run(Terminal(), [(1, 50, {"note": "x" * 200})])
    assert max(len(line) for line in written.rstrip("\n").split("\r")) <= 49


def test_metrics_are_shown_last_and_stay_until_they_change():
    written = run(io.StringIO(), [(10, 1, {"loss": 2.34567}), (10, 1, {})])
    assert [line.split("  ")[-1] for line in written.splitlines()] == ["loss 2.346"] * 3


def test_work_of_unknown_length_shows_no_percentage_and_no_time_left():
    written = run(io.StringIO(), [(10, 5, {})], total=None)
    assert written.splitlines()[0] == "5 steps  0.5 steps/s"


def test_work_done_by_an_earlier_run_does_not_count_for_the_speed():
    written = run(io.StringIO(), [(10, 10, {})], initial=80)
    assert written.splitlines()[0] == " 90 %  90/100 steps  1 steps/s  0:10 left"


def test_the_speed_is_that_of_the_last_half_minute():
    written = run(io.StringIO(), [(100, 1, {})] + [(10, 10, {})] * 6)
    assert "1 steps/s" in written.splitlines()[-2]


def test_closing_twice_shows_the_end_once():
    stream = io.StringIO()
    progress = Progress(1, "steps", stream)
    progress.close()
    progress.close()
    assert len(stream.getvalue().splitlines()) == 1


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (12345, "12,345"),
        (1234.5, "1,234"),
        (123.456, "123.5"),
        (12.345, "12.35"),
        (1.23456, "1.235"),
        (0.00001, "1e-05"),
        (0.5, "0.5"),
        ("a", "a"),
    ],
)
def test_numbers_are_short(value, text):
    assert format_number(value) == text


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (3661, "1:01:01")])
def test_times_are_short(seconds, text):
    assert format_seconds(seconds) == text


def test_parts_that_add_up_to_all_but_for_rounding_are_all():
    written = run(io.StringIO(), [(1, 0.1, {})] * 10, total=1)
    assert written.startswith("100 %  1/1 steps")


def test_metrics_that_are_text_or_tiny_are_shown():
    figures = {"a": float("nan"), "b": float("inf"), "c": 2e-7}
    written = run(io.StringIO(), [(10, 1, figures)])
    assert "a nan  b inf  c 2e-07" in written
