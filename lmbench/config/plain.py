"""Configurations as plain values: what may stand in them, and how messages show it. No pydantic here."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping
from typing import Any

from lmbench.errors import UsageError

DEEPEST = 12  # tables within tables: twice what any configuration has
LARGEST = 2**63 - 1

Tree = Mapping[str, Any]
"""Settings by name, with tables of them among the values: what TOML, ``--set`` and plugins give, and a resolved run dumps."""


def as_table(given: Any, place: str) -> Tree:
    """What is given where settings with names belong. Raises UsageError for a value."""
    if not isinstance(given, Mapping):
        raise UsageError(
            f"{shown(place)} = {briefly(given)}: has settings of its own; set one of them, as {shown(place)}.NAME=value."
        )
    return given


def require_plain(value: Any, place: str, depth: int = 0) -> None:
    """Raises UsageError for anything but text, finite numbers, true, false, None, and lists and tables of these."""
    said = ""
    if isinstance(value, Mapping) and depth < DEEPEST:
        for key, inside in value.items():
            where = f"{place}.{key}" if place else str(key)
            if not isinstance(key, str) or not key or not readable(key):
                raise UsageError(f"{shown(where)}: {briefly(key)} is no name of a setting.")
            require_plain(inside, where, depth + 1)
    elif isinstance(value, list | tuple) and depth < DEEPEST:
        for i, inside in enumerate(value):
            require_plain(inside, f"{place}.{i}", depth + 1)
    elif isinstance(value, Mapping | list | tuple):
        said = f"lies deeper than {DEEPEST} tables"
    elif isinstance(value, float) and not math.isfinite(value):
        said = "is no finite number"
    elif isinstance(value, int) and abs(value) > LARGEST:
        said = "is larger than any number here may be"
    elif isinstance(value, str) and not readable(value):
        said = "has control characters"
    elif not isinstance(value, str | int | float | None):
        said = f"is {_a(type(value).__name__)}; expected a number, text, true, false, a list or a table"
    if said:
        raise UsageError(f"{shown(place)} = {briefly(value)}: {said}.")


def briefly(value: Any) -> str:
    """A value as messages show it: short, and nothing in it that a terminal obeys."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits, tables in tables in tables
        text = f"<{type(value).__name__}>"
    return text if len(text) <= 60 else f"{text[:57]}..."


def shown(place: str) -> str:
    """A place as messages show it."""
    return place if readable(place) and len(place) <= 200 else briefly(place)


def readable(text: str) -> bool:
    """Whether a text has neither control characters nor halves of characters; letters and spaces of any script are fine."""
    if text.isascii():
        return text.isprintable()
    return not any(unicodedata.category(c) in ("Cc", "Cs") for c in text)


def _a(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
