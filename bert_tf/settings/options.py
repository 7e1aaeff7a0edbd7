"""Reads options of the form name=value, of a task or of an objective, into a dataclass."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any


def split_options(text: str, owner: str = "Task") -> dict[str, str]:
    """Splits "doc_stride=64,labels=a,b" into values by option.

    A comma separates options only if a name and `=` follow it. `owner` is for messages.
    """
    values: dict[str, str] = {}
    for part in re.split(r",(?=\s*[^\W\d]\w*\s*=)", text) if text else []:
        name, equals, value = part.partition("=")
        if not equals or not name.strip().isidentifier():
            raise ValueError(
                f"{owner} options are comma-separated name=value pairs. Received: {text!r}"
            )
        if name.strip() in values:
            raise ValueError(
                f"The {owner.lower()} option {name.strip()} is given twice. Received: {text!r}"
            )
        values[name.strip()] = value
    return values


def parse_options(options_class: type, values: Mapping[str, Any], owner: str = "Task") -> Any:
    """Makes an options dataclass, converting text to the types of its fields' defaults."""
    defaults = {field.name: field.default for field in dataclasses.fields(options_class)}
    unknown = sorted(set(values) - set(defaults))
    if unknown:
        raise ValueError(
            f"The {owner.lower()} has no option {', '.join(unknown)}. It has: "
            f"{', '.join(defaults)}."
        )
    return options_class(
        **{name: _parse(name, value, type(defaults[name]), owner) for name, value in values.items()}
    )


def _parse(name: str, value: Any, to_type: type, owner: str) -> Any:
    if not isinstance(value, str) or to_type is tuple:  # `Settings` splits it.
        return value
    try:
        if to_type is bool:
            return {"true": True, "1": True, "false": False, "0": False}[value.lower()]
        return to_type(value)
    except (KeyError, ValueError):
        kind = {bool: "true or false", int: "a whole number", float: "a number"}[to_type]
        raise ValueError(f"{owner} option {name} must be {kind}. Received: {value!r}") from None
