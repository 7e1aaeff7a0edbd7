"""SIGTERM and Ctrl-C: a request to save and end, not a death in the middle of a step."""

import signal
import threading


class Interrupted(Exception):
    """A signal ended the work, after all was saved.

    signal_number: which; a program that ends for it has the exit status 128 + this.
    """

    def __init__(self, signal_number: int, message: str):
        super().__init__(message)
        self.signal_number = signal_number


class EvaluationLeft(Exception):
    """A signal came during an evaluation on the way, which is done again when training goes on."""


class StopRequest:
    """Within it, the first SIGTERM or SIGINT is only noted; a second one acts as always.

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
