"""Turns SIGTERM and Ctrl-C into a request to save and stop, instead of a sudden end."""

import signal
import threading


class Interrupted(Exception):
    """Raised when a signal has ended the work, after everything was saved.

    signal_number: the signal; a program that ends for it has the exit status 128 + this number.
    """

    def __init__(self, signal_number: int, message: str):
        super().__init__(message)
        self.signal_number = signal_number


class EvaluationLeft(Exception):
    """Raised when a signal ends an evaluation during training; it is done again on resume."""


class StopRequest:
    """Within it, the first SIGTERM or SIGINT is only noted; a second one acts as usual.

    signal_number: the signal that came, or None.
    """

    _SIGNALS = (signal.SIGTERM, signal.SIGINT)

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self._previous: dict[int, object] = {}

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():
            self._previous = {s: signal.signal(s, self._note) for s in self._SIGNALS}
        return self

    def __exit__(self, *error) -> None:
        self._restore()

    def __bool__(self) -> bool:
        return self.signal_number is not None

    def _note(self, signal_number: int, frame) -> None:
        self.signal_number = signal_number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}
