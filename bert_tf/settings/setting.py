"""Fields of settings classes, and the checks that these classes share."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

MIXED_PRECISIONS = ("", "bfloat16", "float16")


def setting(default: Any, help_text: str) -> Any:
    """Returns a dataclass field; its help text is also its flag's."""
    return dataclasses.field(default=default, metadata={"help": help_text})


def check_whole_numbers(settings: Any, lowest: Mapping[str, int]) -> None:
    """Raises a ValueError unless each field is an integer of at least its lowest value."""
    for name, low in lowest.items():
        value = getattr(settings, name)
        if isinstance(value, bool) or not isinstance(value, int) or value < low:
            raise ValueError(
                f"--{name} must be a whole number of at least {low}. Received: {value!r}"
            )


def check_choices(settings: Any, choices: Mapping[str, Sequence[str]]) -> None:
    """Raises a ValueError unless each field has one of its values."""
    for name, allowed in choices.items():
        value = getattr(settings, name)
        if value not in allowed:
            listed = ", ".join(repr(choice) for choice in allowed)
            raise ValueError(f"--{name} must be one of {listed}. Received: {value!r}")
