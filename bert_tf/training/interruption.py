"""Turns SIGTERM and Ctrl-C into a request to save and stop."""

import signal
import threading


class Interrupted(Exception):
    """Raised when a signal has ended training, after everything was saved."""

    def __init__(self, signal_number: int, step: int):
        super().__init__(
            f"Stopped by signal {signal_number} at step {step}, which is saved. The same command "
            "resumes from there."
        )
        self.signal_number = signal_number  # The exit status is 128 + this number.


class EvaluationLeft(Exception):
    """Raised when a signal ends an evaluation during training; it is repeated on resume."""


class StopRequest:
    """Notes the first SIGTERM or SIGINT in `signal_number`; a second one acts as usual."""

    def __init__(self) -> None:
        self.signal_number = 0
        self._previous: dict[int, object] = {}

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():
            signals = (signal.SIGTERM, signal.SIGINT)
            self._previous = {number: signal.signal(number, self._note) for number in signals}
        return self

    def __exit__(self, *error) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def _note(self, signal_number: int, frame) -> None:
        self.signal_number = signal_number
        self.__exit__()
