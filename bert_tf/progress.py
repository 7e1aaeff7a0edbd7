"""Shows the progress of long work: a bar on a terminal, plain lines in a log file.

train   42 %  loss 6.12  420/1,000 steps  13.2 steps/s  0:44 left  [########............]

What matters most is first: a narrow terminal shows a shorter bar or none, then no speed, then only
the first parts.
"""

import collections
import shutil
import sys
import time
from typing import TextIO

_REDRAW_SECONDS = 0.2  # on a terminal
_LINE_SECONDS = 10.0  # elsewhere
_SPEED_WINDOW_SECONDS = 30.0
_BAR_WIDTHS = (5, 20)  # The shortest and the longest.


class Progress:
    """Shows work done, speed and time left on a stream, and on closing the final state.

    Args:
        total: the number of units to do; None if unknown.
        stream: None for standard error.
        initial: units that are already done, such as by a run that is resumed.
        clock: returns seconds; for tests.
    """

    def __init__(
        self,
        total: float | None,
        unit: str,
        stream: TextIO | None = None,
        label: str = "",
        initial: float = 0,
        clock=time.monotonic,
    ) -> None:
        self.total = total
        self.unit = unit
        self.done = initial
        self._stream = sys.stderr if stream is None else stream
        self._is_terminal = bool(getattr(self._stream, "isatty", lambda: False)())
        self._label = f"{label}  " if label else ""
        self._clock = clock
        self._start = (clock(), initial)
        self._samples = collections.deque([self._start])  # One each time it was shown.
        self._metrics: dict[str, float | int | str] = {}
        self._closed = False

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *error) -> None:
        self.close()

    def update(self, n: float = 1, **metrics: float | int | str) -> None:
        """Counts `n` more units as done; `metrics`, such as `loss=2.5`, are shown before them."""
        self.done += n
        self._metrics.update(metrics)
        now = self._clock()
        seconds = _REDRAW_SECONDS if self._is_terminal else _LINE_SECONDS
        if now - self._samples[-1][0] >= seconds:
            self._samples.append((now, self.done))
            while len(self._samples) > 2 and now - self._samples[1][0] > _SPEED_WINDOW_SECONDS:
                self._samples.popleft()
            self._show(self._line(self._samples[0], now))

    def close(self) -> None:
        """Shows the final state with the mean speed; further calls do nothing."""
        if not self._closed:
            self._closed = True
            self._show(self._line(self._start, self._clock(), is_last=True))
            if self._is_terminal:
                self._stream.write("\n")
                self._stream.flush()

    def _show(self, parts: list[str]) -> None:
        if self._is_terminal:
            width = max(shutil.get_terminal_size().columns - 1, 20)
            self._stream.write("\r" + self._fitted(parts, width).ljust(width))
        else:
            self._stream.write(self._label + "  ".join(parts) + "\n")
        self._stream.flush()

    def _fitted(self, parts: list[str], width: int) -> str:
        """Returns the parts that fit, without the speed if not all do, and a bar if it fits too."""
        kept = list(parts)
        while len(line := self._label + "  ".join(kept)) > width and len(kept) > 1:
            is_speed_there = self.total and kept == parts and len(parts) > 3
            kept.pop(-2 if is_speed_there else -1)
        if kept != parts:
            return line[:width]
        shortest, longest = _BAR_WIDTHS
        length = min(longest, width - len(line) - 4)
        if self.total and length >= shortest:
            line += f"  [{('#' * int(length * self._fraction())).ljust(length, '.')}]"
        return line[:width]

    def _fraction(self) -> float:
        return min(max(self.done / self.total, 0.0), 1.0) + 1e-8

    def _line(self, since: tuple[float, float], now: float, is_last: bool = False) -> list[str]:
        # Fractions may add up to a whole number, except for rounding errors.
        done = round(self.done) if abs(self.done - round(self.done)) < 1e-6 else self.done
        count = _format_count(done)
        if self.total is not None:
            count += f"/{_format_count(self.total)}"
        parts = [f"{int(100 * self._fraction()):3d} %"] if self.total else []
        parts += [f"{name} {format_number(value)}" for name, value in self._metrics.items()]
        parts.append(f"{count} {self.unit}")
        speed = (self.done - since[1]) / (now - since[0]) if now > since[0] else 0.0
        if speed > 0:
            parts.append(_format_speed(speed, self.unit))
        if is_last:
            parts.append(f"{format_seconds(now - self._start[0])} in all")
        elif speed > 0 and self.total is not None:
            parts.append(f"{format_seconds(max(self.total - self.done, 0) / speed)} left")
        return parts


def _format_count(value: float) -> str:
    return f"{value:,.1f}" if isinstance(value, float) and value % 1 else f"{value:,.0f}"


def _format_speed(speed: float, unit: str) -> str:
    """Formats units per second, minute or hour, so that the number is not below 1 if possible."""
    period, seconds = ("s", 1) if speed >= 1 else ("min", 60) if 60 * speed >= 1 else ("h", 3600)
    value = seconds * speed
    return f"{value:{',.0f' if value >= 100 else '.3g'}} {unit}/{period}"


def format_number(value: float | int | str) -> str:
    """Formats a number with about four digits: `12,345`, `123.4`, `2.346`, `1e-05`."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    if abs(value) >= 100:
        return f"{value:.1f}"
    return f"{value:.2f}" if abs(value) >= 10 else f"{value:.4g}"


def format_seconds(seconds: float) -> str:
    """Formats a duration as `0:07`, `12:34` or `3:45:06`."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
