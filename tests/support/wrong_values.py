"""Values that a setting must not have, and such as it just may, made from its type: for tests of what is refused."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, get_args, get_origin

from lmbench.config.model import RunConfig, Stage
from lmbench.config.ranges import Ge, Gt, Le, Lt, MapOf, MinLen
from lmbench.config.setting_types import _alternatives, hints, nested

OF_NO_TYPE = (True, 7, 0.25, "a_word_that_is_none", ["x"], {"no_such": 1}, None)


def wrong_values(hint: Any, beside: tuple[Any, ...] = ()) -> Iterator[Any]:
    """Values of another type, sign, word or length than a setting's type allows."""
    while get_origin(hint) is Annotated:
        hint, beside = hint.__origin__, (*beside, *hint.__metadata__)
    kinds = {get_origin(t) or t for t in map(_bare, _alternatives(hint))}
    yield from (value for value in OF_NO_TYPE if not _might_be(value, kinds))
    for one in _alternatives(hint):
        yield from _out_of_range(one, beside)


def _out_of_range(hint: Any, beside: tuple[Any, ...]) -> Iterator[Any]:
    while get_origin(hint) is Annotated:
        hint, beside = hint.__origin__, (*beside, *hint.__metadata__)
    if get_origin(hint) is Literal:
        words = get_args(hint)
        yield from (bad for word in words for bad in (word.upper(), f"{word}n", word[:-1]) if bad not in words)
    if hint is float:
        yield from (math.nan, math.inf, -math.inf, "0.5")
    if hint in (int, float):
        step = 1 if hint is int else 1e-6
        for mark in beside:
            match mark:
                case Ge():
                    yield mark.ge - step
                case Gt():
                    yield mark.gt
                case Le():
                    yield mark.le + step
                case Lt():
                    yield mark.lt
        yield from (2**70,) if hint is int else ()
    if hint is str:
        yield from ("",) if any(isinstance(m, MinLen) for m in beside) else ()
        yield from ("no_such_map",) if any(isinstance(m, MapOf) for m in beside) else ()
        yield "a\x1bb"
    if get_origin(hint) is tuple:
        inside = get_args(hint)
        if inside[-1] is Ellipsis:
            yield from ([bad] for bad in wrong_values(inside[0]) if not isinstance(bad, dict))
        else:
            yield [0.5] * (len(inside) + 1)
            yield [0.5] * (len(inside) - 1)


def edges(hint: Any, beside: tuple[Any, ...] = ()) -> Iterator[Any]:
    """The smallest and largest values that a number may have, every word, None where it is allowed."""
    while get_origin(hint) is Annotated:
        hint, beside = hint.__origin__, (*beside, *hint.__metadata__)
    for one in _alternatives(hint):
        marks = beside + (one.__metadata__ if get_origin(one) is Annotated else ())
        if get_origin(one) is Literal:
            yield from get_args(one)
        yield from (getattr(mark, name) for mark in marks for name in ("ge", "le") if hasattr(mark, name))
        yield from (None,) if one is type(None) else ()


def fields_of(kind: type, base: Any = None, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted name, type) of every setting of a dataclass, the nested ones and those in them."""
    for name, hint in hints(kind).items():
        yield f"{prefix}{name}", hint
        inside = nested(hint)
        if inside is not None:
            yield from fields_of(inside, None, f"{prefix}{name}.")


def fields_of_run() -> Iterator[tuple[str, Any]]:
    """The same of a run's configuration, its stage byol standing for every stage; without the settings of components."""
    for name, hint in fields_of(RunConfig):
        if name == "stages":
            stage = ((f"stages.byol.{inside}", hint) for inside, hint in fields_of(Stage) if inside != "name")
            yield from ((inside, hint) for inside, hint in stage if not inside.endswith("settings"))
        elif not name.endswith("settings") and not name.startswith("network"):  # of a variant without stages
            yield name, hint


def as_set(place: str, value: Any) -> str:
    """The assignment that `--set` takes."""
    return f"{place}={'1e999' if value == math.inf else '-1e999' if value == -math.inf else value!r}"


def as_toml(place: str, value: Any) -> str | None:
    """The line of a configuration file; None for what TOML cannot say."""
    text = _toml(value)
    return None if text is None else f"{place} = {text}\n"


def _toml(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k} = {_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        inside = [_toml(v) for v in value]
        return None if None in inside else f"[{', '.join(map(str, inside))}]"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return json.dumps(value)


def _bare(hint: Any) -> Any:
    while get_origin(hint) is Annotated:
        hint = hint.__origin__
    return hint


def _might_be(value: Any, kinds: set[Any]) -> bool:
    """Whether a value is of one of the kinds, its range aside."""
    if Any in kinds:
        return True
    if isinstance(value, dict):
        return any(isinstance(k, type) and issubclass(k, Mapping) for k in kinds)
    if isinstance(value, list):
        return tuple in kinds and value != ["x"]
    if isinstance(value, bool) or value is None:
        return type(value) in kinds
    if isinstance(value, int):
        return bool({int, float} & kinds)
    return type(value) in kinds
