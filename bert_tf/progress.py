"""Shows the progress of long work: a bar on a terminal, plain lines in a log file.

steps   42 % [########............]  420/1,000 steps  13.2 steps/s  0:44 left  loss 6.12
"""

import collections
import shutil
import sys
import time
from typing import TextIO

_REDRAW_SECONDS = 0.2  # on a terminal
_LINE_SECONDS = 10.0  # elsewhere
_SPEED_WINDOW_SECONDS = 30.0
_BAR_WIDTH = 20


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
        self._width = 0
        self._closed = False

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *error) -> None:
        self.close()

    def update(self, n: float = 1, **metrics: float | int | str) -> None:
        """Counts `n` more units as done; `metrics`, such as `loss=2.5`, are shown after them."""
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

    def _show(self, line: str) -> None:
        if self._is_terminal:
            line = line[: max(shutil.get_terminal_size().columns - 1, 20)]
            self._stream.write("\r" + line.ljust(self._width))
            self._width = len(line)
        else:
            self._stream.write(line + "\n")
        self._stream.flush()

    def _line(self, since: tuple[float, float], now: float, is_last: bool = False) -> str:
        # Fractions may add up to a whole number, except for rounding errors.
        done = round(self.done) if abs(self.done - round(self.done)) < 1e-6 else self.done
        count = format_number(done)
        if self.total is not None:
            count += f"/{format_number(self.total)}"
        if self.total:
            fraction = min(max(self.done / self.total, 0.0), 1.0) + 1e-8
            bar = "#" * int(_BAR_WIDTH * fraction)
            bar = f"[{bar.ljust(_BAR_WIDTH, '.')}]  " if self._is_terminal else " "
            count = f"{int(100 * fraction):3d} % {bar}{count}"
        speed = (self.done - since[1]) / (now - since[0]) if now > since[0] else 0.0
        parts = [f"{count} {self.unit}"]
        if speed > 0:
            parts.append(f"{format_number(speed)} {self.unit}/s")
        if is_last:
            parts.append(f"{format_seconds(now - self._start[0])} in all")
        elif speed > 0 and self.total is not None:
            parts.append(f"{format_seconds(max(self.total - self.done, 0) / speed)} left")
        parts += [f"{name} {format_number(value)}" for name, value in self._metrics.items()]
        return self._label + "  ".join(parts)


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
