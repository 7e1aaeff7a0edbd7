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
    assert written.endswith("\n")
    assert "100/100 steps  20 steps/s  0:05 in all  [####################]" in written


def test_a_line_covers_the_whole_one_before_it_on_a_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "70")
    written = run(Terminal(), [(1, 50, {"note": "x" * 20}), (1, 50, {"note": "y"})])
    assert {len(line) for line in written.rstrip("\n").split("\r")[1:]} == {69}


def test_a_terminal_line_is_never_wider_than_the_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "50")
    written = run(Terminal(), [(1, 50, {"note": "x" * 200})])
    assert max(len(line) for line in written.rstrip("\n").split("\r")) <= 49


@pytest.mark.parametrize(
    ("columns", "line"),
    [
        (
            90,
            "train   50 %  loss 2.346  50/100 steps  1 steps/s  0:50 left  [##########..........]",
        ),
        (80, "train   50 %  loss 2.346  50/100 steps  1 steps/s  0:50 left  [#######........]"),
        (64, "train   50 %  loss 2.346  50/100 steps  1 steps/s  0:50 left"),
        (40, "train   50 %  loss 2.346  50/100 steps"),
    ],
)
def test_a_narrow_terminal_shows_the_loss_and_less_of_the_rest(monkeypatch, columns, line):
    monkeypatch.setenv("COLUMNS", str(columns))
    written = run(Terminal(), [(50, 50, {"loss": 2.34567})], label="train")
    assert written.split("\r")[1].rstrip() == line


def test_the_time_left_is_more_important_than_the_speed(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    figures = {"loss": 0.4321, "eval_accuracy": 0.8333}
    written = run(Terminal(), [(50, 420, figures)], total=1000, label="train")
    line = "train   42 %  loss 0.4321  eval_accuracy 0.8333  420/1,000 steps  1:09 left"
    assert written.split("\r")[1].rstrip() == line


@pytest.mark.parametrize(
    ("updates", "shown"),
    [
        ([(10, 0.1225, {})], "  3 %  0.1/4 shards  44.1 shards/h  5:17 left"),
        ([(10, 2, {})], " 50 %  2/4 shards  12 shards/min  0:10 left"),
        ([(10, 0.5, {})], " 12 %  0.5/4 shards  3 shards/min  1:10 left"),
    ],
)
def test_parts_of_slow_work_are_readable(updates, shown):
    assert run(io.StringIO(), updates, total=4).splitlines()[0].replace("steps", "shards") == shown


def test_metrics_are_shown_first_and_stay_until_they_change():
    written = run(io.StringIO(), [(10, 1, {"loss": 2.34567}), (10, 1, {})])
    assert [line.strip().split("  ")[1] for line in written.splitlines()] == ["loss 2.346"] * 3


def test_work_of_unknown_length_shows_no_percentage_and_no_time_left():
    written = run(io.StringIO(), [(10, 5, {})], total=None)
    assert written.splitlines()[0] == "5 steps  30 steps/min"


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
