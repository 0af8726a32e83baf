"""Whether the fields of a spec hold what they promise, looked at before a plugin's spec is let in.

Without this, one plugin's ``maps=["conv5_x"]`` would break ``lmbench list`` for everybody else.
"""

from __future__ import annotations

import functools
import re
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from lmbench.config import setting_types
from lmbench.printable import printable

LONGEST_TEXT, DEEPEST, MOST_VALUES = 20_000, 20, 100_000
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*(/[A-Za-z0-9_.+-]+)*(/\*|:\*)?")


def complaints(spec: Any) -> list[str]:
    """What is wrong with the fields of a spec, one line each: ``maps[0]: expected MapSpec, found 'conv5_x'``."""
    found = _compare(spec, type(spec), "") or setting_types.complaints(spec.settings)
    if isinstance(spec.name, str) and not (len(spec.name) <= 100 and NAME.fullmatch(spec.name)):
        found.append(
            "name: letters, digits and _.+- are expected (up to 100), '/' between parts, '/*' or ':*' behind a family"
        )
    return found or _unfit_texts(spec)


def _unfit_texts(spec: Any) -> list[str]:
    """Texts that no terminal, record or table takes: control characters, half letters, a novel, one inside the other for ever."""
    found, left = [], [(f.name, getattr(spec, f.name), 0) for f in fields(spec)]
    looked_at = 0
    while left:
        where, value, depth = left.pop()
        looked_at += 1
        if depth > DEEPEST or looked_at > MOST_VALUES:
            return [f"{where}: nested deeper than {DEEPEST} levels, or more than {MOST_VALUES:,} values"]
        if isinstance(value, str):
            if len(value) > LONGEST_TEXT:
                found.append(f"{where}: {len(value):,} letters, up to {LONGEST_TEXT:,} are expected")
            elif printable(value) != value.replace("\t", "\\x09"):
                found.append(f"{where}: control characters, or letters that are none ({printable(value):.60})")
        elif isinstance(value, Mapping):
            left += [(f"{where}: a key", key, depth + 1) for key in value]
            left += [(f"{where}[{key!r:.40}]", inner, depth + 1) for key, inner in value.items()]
        elif isinstance(value, list | tuple | set | frozenset):
            left += [(where, v, depth + 1) for v in value]
        elif is_dataclass(value) and not isinstance(value, type):
            left += [(f"{where}.{f.name}", getattr(value, f.name), depth + 1) for f in fields(value)]
    return found


def _compare(value: Any, hint: Any, where: str) -> list[str]:
    """The differences between a value and a type annotation, as far down as the specs' annotations go."""
    if hint is Any:
        return []
    if is_dataclass(hint) and isinstance(hint, type) and isinstance(value, hint):
        inside = _hints(type(value))
        return [
            c for f in fields(value) for c in _compare(getattr(value, f.name), inside[f.name], _join(where, f.name))
        ]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return [] if any(not _compare(value, a, where) for a in arguments) else [_expected(hint, value, where)]
    if origin is Literal:
        return [] if value in arguments else [_expected(hint, value, where)]
    if origin is tuple and isinstance(value, tuple):
        each = arguments[:1] * len(value) if arguments[-1] is Ellipsis else arguments
        if len(each) != len(value):
            return [_expected(hint, value, where)]
        return [c for i, (v, a) in enumerate(zip(value, each, strict=True)) for c in _compare(v, a, f"{where}[{i}]")]
    if origin is not None and isinstance(value, Mapping) and issubclass(Mapping, origin):
        keys = [_expected(arguments[0], k, f"a key of {where}") for k in value if not isinstance(k, arguments[0])]
        return keys or [c for k, v in value.items() for c in _compare(v, arguments[1], f"{where}[{k!r}]")]
    accepted = (int, float) if hint is float else hint
    if origin is None and isinstance(value, accepted) and (hint is bool or not isinstance(value, bool)):
        return []
    return [_expected(hint, value, where)]


def _expected(hint: Any, value: Any, where: str) -> str:
    name = hint.__name__ if isinstance(hint, type) and get_origin(hint) is None else str(hint)
    name = re.sub(r"\b(lmbench\.specs|collections\.abc|typing)\.", "", name)
    return f"{where}: expected {name}, found {value!r:.60}"


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


@functools.cache
def _hints(spec_type: type) -> dict[str, Any]:
    return get_type_hints(spec_type)
