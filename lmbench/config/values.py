"""The one place where values of settings are checked: against the types of a component's dataclass, before anything runs."""

from __future__ import annotations

import functools
import json
import math
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

import pydantic
from pydantic import ConfigDict, TypeAdapter

from lmbench.config.ranges import WeightsFile
from lmbench.config.setting_types import hints, in_words, marks, nested, settings_type
from lmbench.errors import DataError, UsageError, did_you_mean
from lmbench.specs import Spec

T = TypeVar("T")

DEEPEST = 12  # tables within tables: twice what any configuration has
LARGEST = 2**63 - 1
STRICT = ConfigDict(strict=True)


def settings_of(spec: Spec, given: Mapping[str, Any], place: str = "") -> Any:
    """The settings of a component, an object of their dataclass: those given, and the defaults of the others.

    Raises UsageError for an unknown name (with the closest ones), a value of a wrong type or out of range, at its place
    (``stages.byol.settings.view1.size``); DataError for a file of weights that is not there.
    """
    require_plain(given, place)
    what = f"{spec.kind} {spec.name!r}"
    return complete(settings_type(spec.settings), given, place or what, what=what)


def arguments(spec: Spec, given: Mapping[str, Any], place: str = "") -> dict[str, Any]:
    """What the target of a component is called with: every setting, nested ones as mappings, and what is fixed.

    Raises as ``settings_of`` does.
    """
    return {**asdict(settings_of(spec, given, place)), **spec.fixed}


def only(complete: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """The given settings alone, of the types they are meant to have (1 for a number is 1.0), from the completed object."""
    found = {}
    for name, value in given.items():
        inside = getattr(complete, name)
        if nested(hints(type(complete))[name]) is not None and isinstance(value, Mapping):
            inside = only(inside, value)
        found[name] = inside
    return found


def complete(kind: type[T], given: Mapping[str, Any], place: str, base: T | None = None, what: str = "") -> T:
    """An object of a settings dataclass: ``given`` laid on ``base`` (or on the defaults). Raises as ``settings_of`` does."""
    known = hints(kind)
    base = kind() if base is None else base
    values = {f.name: getattr(base, f.name) for f in fields(kind)}  # type: ignore[arg-type]
    for name, value in given.items():
        where = f"{place}.{name}"
        if name not in known:
            has = f"it has {', '.join(known)}" if known else "it has none"
            raise UsageError(
                f"{shown(where)}: {what or place} has no setting {name!r}; {has}.{did_you_mean(name, known)}"
            )
        inside = nested(known[name])
        if inside is not None and isinstance(value, Mapping):
            values[name] = complete(inside, value, where, values[name], name)
        else:
            values[name] = value_of(known[name], value, where)
    try:
        return kind(**values)
    except (UsageError, ValueError) as error:
        raise UsageError(f"{place}: {error}") from None


def value_of(hint: Any, value: Any, place: str) -> Any:
    """One value, of the type that a setting has. Raises UsageError: another type, out of range; DataError: no such file."""
    try:
        found = _adapter(hint).validate_json(json.dumps(value), strict=True)
    except (pydantic.ValidationError, TypeError, ValueError, RecursionError):
        raise UsageError(f"{shown(place)} = {briefly(value)}: expected {in_words(hint)}.") from None
    for mark in marks(hint):
        if isinstance(mark, WeightsFile) and isinstance(found, str) and found not in mark.words:
            _require_file(found, place, mark.words)
    return found


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


@functools.lru_cache(maxsize=4096)
def _adapter(hint: Any) -> TypeAdapter[Any]:
    return TypeAdapter(hint)


def _require_file(path: str, place: str, words: tuple[str, ...]) -> None:
    if not Path(path).is_file():
        others = "".join(f", or {word!r}" for word in words)
        raise DataError(f"{shown(place)}: weights file {path} does not exist. Pass the path of one{others}.")


def _a(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
