"""The one place where values of settings are checked: against the types of a component's dataclass, before anything runs."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import pydantic
from pydantic import ConfigDict, TypeAdapter

from lmbench.config.plain import Tree, as_table, briefly, require_plain, shown
from lmbench.config.ranges import Ascending, Once, WeightsFile
from lmbench.config.setting_types import hints, in_words, marks, nested
from lmbench.errors import DataError, PluginError, UsageError, did_you_mean
from lmbench.specs import Spec

T = TypeVar("T")

STRICT = ConfigDict(strict=True)


def settings_of(spec: Spec, given: Any, place: str = "") -> Any:
    """The settings of a component, an object of their dataclass: those given (a table of them, or such an object already),
    and the defaults of the others.

    Raises UsageError for an unknown name (with the closest ones), a value of a wrong type or out of range, at its place
    (``stages.NAME.settings.view1.size``).
    """
    what = f"{spec.kind} {spec.name!r}"
    return of_type(spec.settings, given, place or what, what)


def of_type(kind: type[T], given: Any, place: str, what: str = "") -> T:
    """An object of a settings dataclass: as it is given, or of a table of what differs from the defaults."""
    if isinstance(given, kind):
        return given
    require_plain(as_table(given, place), place)
    return complete(kind, given, place, what=what)


def complete(kind: type[T], given: Tree, place: str, base: T | None = None, what: str = "") -> T:
    """An object of a settings dataclass: ``given`` laid on ``base`` (or on the defaults). Raises as ``settings_of`` does."""
    known = hints(kind)
    base = kind() if base is None else base
    values = {f.name: getattr(base, f.name) for f in fields(kind)}  # type: ignore[arg-type]
    for name, value in given.items():
        where = f"{place}.{name}" if place else name
        if name not in known:
            has = f"it has {', '.join(known)}" if known else "it has none"
            raise UsageError(
                f"{shown(where)}: {what or place or 'a run'} has no setting {name!r}; {has}.{did_you_mean(name, known)}"
            )
        inside = nested(known[name])
        if inside is not None and isinstance(value, Mapping):
            values[name] = complete(inside, value, where, values[name], name)
        else:
            values[name] = value_of(known[name], value, where)
    try:
        return kind(**values)
    except (UsageError, ValueError, TypeError) as error:
        raise at(place, kind, error) from None


def at(place: str, kind: type, error: Exception) -> UsageError:
    """What settings say of themselves, with its place: one of them that the message begins with stands in it."""
    first = re.match(r"\w+(?= = |: )", str(error))
    joint = "." if first and first[0] in hints(kind) else ": "
    return UsageError(f"{place}{joint}{error}" if place else str(error))


def value_of(hint: Any, value: Any, place: str) -> Any:
    """One value, of the type that a setting has. Raises UsageError: another type, out of range."""
    try:
        found = _adapter(hint).validate_json(json.dumps(value), strict=True)
    except pydantic.errors.PydanticUserError:
        raise PluginError(
            f"{shown(place)}: its type {in_words(hint)} is none that values can be checked against; settings have numbers, "
            "text, truth values, lists and tables of them."
        ) from None
    except (pydantic.ValidationError, TypeError, ValueError, RecursionError):
        raise UsageError(f"{shown(place)} = {briefly(value)}: expected {in_words(hint)}.") from None
    for mark in marks(hint):
        twice = isinstance(mark, Once) and len(set(found)) < len(found)
        if twice or (isinstance(mark, Ascending) and list(found) != sorted(set(found))):
            raise UsageError(f"{shown(place)} = {briefly(value)}: expected {in_words(hint)}.")
    return found


def require_files(settings: Any, place: str) -> None:
    """Raises DataError, with its place, for a file of weights that settings name and that is not there."""
    for name, hint in hints(type(settings)).items():
        value, where = getattr(settings, name), f"{place}.{name}"
        if is_dataclass(value):
            require_files(value, where)
        for mark in marks(hint):
            named = isinstance(mark, WeightsFile) and isinstance(value, str) and value not in mark.words
            if named and not Path(value).is_file():
                others = "".join(f", or {word!r}" for word in mark.words)
                raise DataError(f"{shown(where)}: weights file {value} does not exist. Pass the path of one{others}.")


@functools.lru_cache(maxsize=4096)
def _adapter(hint: Any) -> TypeAdapter[Any]:
    return TypeAdapter(hint)
