"""Whether the fields of a spec hold what they promise, looked at before a plugin's spec is let in.

The one check by hand that stays: `lmbench list` reads every plugin's specs, so that one with ``maps=["conv5_x"]`` or a summary
of five million letters would spoil it for everybody. Importing pydantic for it would take longer than `list` does.
"""

from __future__ import annotations

import functools
import importlib.util
import re
import types
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from lmbench.config import setting_types
from lmbench.config.model import OWN_FIELDS
from lmbench.printable import printable
from lmbench.specs import MetricSpec, TaskSpec

LONGEST_TEXT = 20_000
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*(/[A-Za-z0-9_.+-]+)*(/\*|:\*)?")
RECORDED = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
"""Names that stand in records: of tasks and metrics."""
TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def complaint(spec: Any) -> str:
    """The first thing that is wrong with a spec: ``maps[0]: expected MapSpec, found 'conv5_x'``; empty where nothing is."""
    if isinstance(spec.settings, Mapping):
        return 'settings: a frozen dataclass is expected, no mapping: docs/plugins.md, "Moving from API 1"'
    wrong = _first(setting_types.complaints(spec.settings)) or _misfit(spec, type(spec), "")
    if wrong:
        return wrong
    if not (len(spec.name) <= 100 and NAME.fullmatch(spec.name)):
        return (
            "name: letters, digits and _.+- are expected (up to 100), '/' between parts, '/*' or ':*' behind a family"
        )
    if isinstance(spec, TaskSpec | MetricSpec) and not RECORDED.fullmatch(spec.name):
        return f"name: letters, digits, '_' and '-' are expected of a {spec.kind}, found {spec.name!r}: records are named by it"
    if isinstance(spec, TaskSpec) and spec.name in OWN_FIELDS:
        return f"name: {spec.name!r} is a setting of every run, where a task's section stands under its name"
    if spec.has_target and not TARGET.fullmatch(spec.target):
        return f"target: expected 'package.module:Name', found {spec.target!r:.60}"
    for field in fields(spec):
        text = getattr(spec, field.name)
        if isinstance(text, str) and len(text) > LONGEST_TEXT:
            return f"{field.name}: {len(text):,} letters, up to {LONGEST_TEXT:,} are expected"
        if isinstance(text, str) and printable(text) != text:
            return f"{field.name}: control characters, or letters that are none ({printable(text):.60})"
    folder = getattr(spec, "presets", None)
    package = folder.partition(":")[0] if isinstance(folder, str) else "lmbench"
    found = importlib.util.find_spec(package) if package else None
    if found is None or found.submodule_search_locations is None:
        return f"presets: expected 'package:folder', found {folder!r:.60}; there is no package {package!r:.60}"
    return ""


def _misfit(value: Any, hint: Any, where: str) -> str:
    """Where a value first differs from its annotation, as far down as the specs' annotations go."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        fits = not all(_misfit(value, one, where) for one in arguments)
    elif origin is Literal or hint is Any:
        fits = hint is Any or value in arguments
    elif is_dataclass(hint) and isinstance(hint, type) and isinstance(value, hint):
        known = _hints(type(value))
        return _first(_misfit(getattr(value, n), h, f"{where}.{n}".lstrip(".")) for n, h in known.items())
    elif origin is tuple and isinstance(value, tuple):
        each = arguments[:1] * len(value) if arguments[-1] is Ellipsis else arguments
        if len(each) == len(value):
            return _first(_misfit(v, h, f"{where}[{i}]") for i, (v, h) in enumerate(zip(value, each, strict=True)))
        fits = False
    elif origin is not None and isinstance(value, Mapping) and issubclass(Mapping, origin):
        keys = (_misfit(key, arguments[0], f"a key of {where}") for key in value)
        return _first(keys) or _first(_misfit(v, arguments[1], f"{where}[{k!r}]") for k, v in value.items())
    else:
        kind = (int, float) if hint is float else origin or hint
        fits = isinstance(value, kind) and (hint is bool or not isinstance(value, bool))
    return "" if fits else f"{where}: expected {_word(hint)}, found {value!r:.60}"


def _first(found: Iterable[str]) -> str:
    return next(filter(None, found), "")


def _word(hint: Any) -> str:
    name = hint.__name__ if isinstance(hint, type) and get_origin(hint) is None else str(hint)
    return re.sub(r"\b(lmbench\.\w+|collections\.abc|typing)\.", "", name)


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    known = get_type_hints(kind)
    return {field.name: known[field.name] for field in fields(kind)}
