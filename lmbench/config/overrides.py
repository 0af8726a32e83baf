"""What a user changes of a configuration: ``--set a.b=value`` and TOML files, as tables of plain values."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lmbench import progress
from lmbench.config.model import merge
from lmbench.config.plain import DEEPEST, Tree, briefly, require_plain, shown
from lmbench.errors import LmbenchError, UsageError

LARGEST_FILE = 1 << 20  # of a configuration, in bytes
EXAMPLE = "stages.NAME.training.epochs"


def parse_assignments(assignments: list[str] | tuple[str, ...]) -> dict[str, Any]:
    """``["a.b=1", "a.c=x"]`` as ``{"a": {"b": 1, "c": "x"}}``; values are Python literals, else text.

    Of two values of one setting the last counts, and it is said. Raises UsageError for what is no assignment, for a value that
    is none (a set, infinity), and for one where a table belongs.
    """
    tree: dict[str, Any] = {}
    given: dict[tuple[str, ...], Any] = {}
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        keys = tuple(path.split("."))
        if not equals or not all(keys) or len(keys) > DEEPEST:
            raise UsageError(f"--set {briefly(assignment)}: expected a.b=value, for instance --set {EXAMPLE}=3.")
        value = _literal(text)
        require_plain(value, path)
        if given.get(keys, value) != value:
            progress.say(
                f"--set {shown(path)} is given twice: {briefly(value)} counts, {briefly(given[keys])} does not."
            )
        given[keys] = value
        for known, said in given.items():
            if not isinstance(said, Mapping) and any(k[: len(known)] == known and k != known for k in given):
                place = shown(".".join(known))
                raise UsageError(
                    f"{place} = {briefly(said)}: has settings of its own; set one of them, as {place}.NAME=value."
                )
        for key in reversed(keys):
            value = {key: value}
        tree = merge(tree, value)
    return tree


def dotted(settings: Tree) -> dict[str, Any]:
    """``{"a.b": 1, "c": {"d": 2}}`` as ``{"a": {"b": 1}, "c": {"d": 2}}``. Raises UsageError for what is no plain value."""
    tree: dict[str, Any] = {}
    for path, value in settings.items():
        keys = str(path).split(".")
        if not all(keys) or len(keys) > DEEPEST:
            raise UsageError(f"settings {briefly(path)}: expected a name as {EXAMPLE}.")
        require_plain(value, path)
        for key in reversed(keys):
            value = {key: value}
        tree = merge(tree, value)
    return tree


def _literal(text: str) -> Any:
    """The Python literal that a text is, true, false and none in any case among them; else the text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return {"true": True, "false": False, "none": None}.get(text.lower(), text)


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a configuration file. Raises UsageError with the line of a mistake."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise UsageError(f"--config {path}: {error.strerror or error}.") from None
    if len(content) > LARGEST_FILE:
        raise UsageError(f"--config {path}: larger than {LARGEST_FILE >> 20} MiB; no configuration is.")
    return parse_toml(content, f"--config {path}")


def parse_toml(content: bytes, name: str, kind: type[LmbenchError] = UsageError) -> dict[str, Any]:
    """The tables of a TOML file. Raises an error of that kind with the line of a mistake."""
    try:
        found = tomllib.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:  # of tomllib, of the encoding, of a number of thousands of digits
        raise kind(f"{name}: not valid TOML: {str(error) or 'too deep'}.") from None
    require_plain(found, "")
    return found
