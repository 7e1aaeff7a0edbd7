"""Defines settings fields with their defaults, help texts and limits.

The scripts make flags of the fields; `Settings` checks the values when an object is made.
"""

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

from bert_tf.config import check_range

MIXED_PRECISIONS = ("", "bfloat16", "float16")


def setting(
    default: Any,
    help_text: str,
    *,
    needed: bool = False,
    choices: Sequence[str] = (),
    at_least: int | None = None,
    interval: str = "",
    only_with: str = "",
) -> Any:
    """Returns a dataclass field with the help text and the limits of its flag.

    Neither a `needed` value nor its elements may be empty. `interval`: a range such as "[0, 1)".
    `only_with` names a setting without which this one changes nothing, and must have its default.
    """
    if choices:
        help_text += f" One of: {', '.join(filter(None, choices))}."
    rules = {"needed": needed, "choices": choices, "at_least": at_least, "interval": interval}
    metadata = {"help": help_text, "only_with": only_with, **rules}
    return dataclasses.field(default=default, metadata=metadata)


class Settings:
    """Checks the fields of its subclasses, frozen dataclasses of `setting` fields.

    A string for a field with several values is split at its commas, as a flag is.
    """

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.default == () and isinstance(value, (str, os.PathLike)):
                value = tuple(str(value).split(",")) if str(value) else ()
                object.__setattr__(self, field.name, value)
            if field.metadata and (value is not None or field.metadata["needed"]):
                _check(f"--{field.name}", value, field)
            other = field.metadata.get("only_with")
            if other and value != field.default and not getattr(self, other):
                raise ValueError(
                    f"--{field.name} needs --{other}, and changes nothing without it. "
                    f"Received: --{field.name}={value}"
                )

    def own_values(self, *names: str) -> dict[str, Any]:
        """Returns the fields among `names` that are set, which is those that are not None."""
        values = {name: getattr(self, name) for name in names}
        return {name: value for name, value in values.items() if value is not None}


def _check(flag: str, value: Any, field: dataclasses.Field) -> None:
    rules, lowest, interval = field.metadata, field.metadata["at_least"], field.metadata["interval"]
    if rules["needed"] and not (value and all(value)):
        raise ValueError(f"{flag} is needed. Received: {value!r}")
    if rules["choices"] and value not in rules["choices"]:
        listed = ", ".join(map(repr, rules["choices"]))
        raise ValueError(f"{flag} must be one of {listed}. Received: {value!r}")
    if type(field.default) is int or lowest is not None:
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        if not is_whole or (lowest is not None and value < lowest):
            bound = "" if lowest is None else f" of at least {lowest}"
            raise ValueError(f"{flag} must be a whole number{bound}. Received: {value!r}")
    if interval:
        check_range(flag, value, interval)
