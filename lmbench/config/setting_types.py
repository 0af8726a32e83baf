"""The settings of a component as types, read from its dataclass: for `describe`, and for whoever checks values.

Neither torch nor pydantic is imported here. Settings are a frozen dataclass with a default for every field.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass, replace
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from lmbench.config.ranges import (
    Ascending,
    BackboneName,
    Ge,
    Gt,
    HeadName,
    Le,
    Lt,
    MapOf,
    MinLen,
    MultipleOf,
    Once,
    OthersWeights,
    Table,
    WeightsFile,
)


def complaints(settings: Any) -> list[str]:
    """Why a class is no type of settings, one line each."""
    frozen = isinstance(settings, type) and is_dataclass(settings) and settings.__dataclass_params__.frozen  # type: ignore[attr-defined]
    if not frozen:
        found = settings.__name__ if isinstance(settings, type) else type(settings).__name__
        return [f"settings: expected a frozen dataclass, found {found}"]
    bare = [f.name for f in fields(settings) if f.default is MISSING and f.default_factory is MISSING]
    if bare:
        return [f"settings: {settings.__name__}.{bare[0]} has no default"]
    try:
        hints(settings)
        settings()
    except Exception as error:
        return [f"settings: {settings.__name__}: {type(error).__name__}: {error}"]
    return []


def hints(kind: Any) -> dict[str, Any]:
    """The annotations of a dataclass by field, ranges included."""
    return _hints(kind)


@functools.lru_cache(maxsize=512)
def _hints(kind: Any) -> dict[str, Any]:
    found = get_type_hints(kind, include_extras=True)
    return {f.name: found[f.name] for f in fields(kind)}


@functools.lru_cache(maxsize=4096)
def nested(hint: Any) -> type | None:
    """The dataclass that a field holds (or may hold, where None is allowed too); None where it holds none."""
    return next((t for t in _alternatives(hint) if isinstance(t, type) and is_dataclass(t)), None)


@functools.lru_cache(maxsize=4096)
def marks(hint: Any) -> tuple[Any, ...]:
    """What stands beside a type (``Gt(0)``, ``MapOf()``), beside its members too."""
    return tuple(_marks(hint))


def _marks(hint: Any) -> Iterator[Any]:
    if get_origin(hint) is Annotated:
        yield from hint.__metadata__
    for inside in get_args(hint) if get_origin(hint) is not Literal else ():
        if get_origin(inside) or isinstance(inside, type):
            yield from _marks(inside)


def without_weights(settings: Any) -> Any:
    """The settings of a network with those that bring weights of others at their defaults, which bring none."""
    of_weights = (WeightsFile, OthersWeights)
    named = [n for n, hint in hints(type(settings)).items() if any(isinstance(m, of_weights) for m in marks(hint))]
    return replace(settings, **{name: getattr(type(settings)(), name) for name in named})


def describe(settings: type, prefix: str = "") -> dict[str, dict[str, Any]]:
    """Each setting by name with its default and its type in words; nested ones as ``view.size``."""
    return dict(_rows(settings, prefix, None))


def _rows(kind: type, prefix: str, base: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    base = kind() if base is None else base
    for name, hint in hints(kind).items():
        default, inside = getattr(base, name), nested(hint)
        if inside is None or default is None:
            yield f"{prefix}{name}", {"default": default, "type": in_words(hint)}
        if inside is not None:
            yield from _rows(inside, f"{prefix}{name}.", default)


def in_words(hint: Any, beside: Sequence[Any] = ()) -> str:
    """A type for reading: ``a number above 0``, ``batch or frozen``, ``a whole number, 1 to 50, or None``."""
    if get_origin(hint) is Annotated:
        return in_words(hint.__origin__, (*hint.__metadata__, *beside))
    return " or ".join(dict.fromkeys(_word(one, beside) for one in _alternatives(hint)))


NAMES = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    type(None): "None",
    Any: "anything",
}


LISTS = {MinLen: "one or more", Once: "none twice", Ascending: "ascending"}


def _word(hint: Any, beside: Sequence[Any]) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return in_words(hint, beside)
    if origin is Literal:
        return " or ".join(str(a) for a in arguments)
    if origin is tuple:
        if arguments[-1] is Ellipsis:
            words = f"a list, each {in_words(arguments[0])}"
            return words + "".join(f", {word}" for mark, word in LISTS.items() if mark in map(type, beside))
        each = dict.fromkeys(in_words(a) for a in arguments)
        return f"{len(arguments)} values, {'each ' if len(each) == 1 else ''}{'; '.join(each)}"
    if (origin is not None and issubclass(origin, Mapping)) or any(isinstance(mark, Table) for mark in beside):
        return "a table"
    if isinstance(hint, type) and is_dataclass(hint):
        return f"a table of {', '.join(f.name for f in fields(hint))}"
    return NAMES.get(hint, str(getattr(hint, "__name__", hint))) + _range(beside)


def _range(beside: Sequence[Any]) -> str:
    """``, 1 to 50`` of the marks beside a type."""
    bounds: dict[type, Any] = {}
    said = []
    for mark in beside:
        match mark:
            case Ge() | Gt() | Le() | Lt():
                bounds[type(mark)] = getattr(mark, fields(mark)[0].name)
            case MultipleOf():
                said.append(f"a multiple of {mark.multiple_of}")
            case MapOf():
                said.append("a map of the " + (f"backbone that `{mark.setting}` names" if mark.setting else "backbone"))
            case BackboneName():
                said.append("a backbone's name")
            case HeadName():
                said.append("a head's name")
            case WeightsFile():
                said.append(" or ".join(["the path of a file", *mark.words]))
    if {Ge, Le} <= set(bounds):
        said.insert(0, f"{bounds.pop(Ge)} to {bounds.pop(Le)}")
    for kind, word in ((Ge, "at least"), (Gt, "above"), (Le, "at most"), (Lt, "below")):
        said += [f"{word} {bounds[kind]}"] if kind in bounds else []
    return "".join(f", {part}" for part in said)


def _alternatives(hint: Any) -> tuple[Any, ...]:
    """The members of a union; a type alone is the one there is."""
    while get_origin(hint) is Annotated:
        hint = hint.__origin__
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
