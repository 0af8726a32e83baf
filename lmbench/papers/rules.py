"""The rules of the methods: which of their runs a printed number is of. Read from TOML or taken as a plugin states them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from lmbench.errors import LmbenchError, PluginError, did_you_mean
from lmbench.papers.files import text_of
from lmbench.papers.published import COLUMNS, Cell, unknown_columns
from lmbench.plugins.loading import Plugins
from lmbench.plugins.registry import Entry
from lmbench.specs import MethodSpec, PublishedRows

FIELDS = tuple(f.name for f in fields(PublishedRows))
BRACES = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True)
class Rule:
    """A rule of a method. ``place``: file and line, or where in its spec it stands."""

    entry: Entry[MethodSpec]
    rows: PublishedRows
    place: str

    @property
    def where(self) -> dict[str, Any]:
        """Its conditions; the rows of the method's own name where it does not say of which."""
        return {"method": self.entry.spec.name, **self.rows.where}

    def variant(self, cell: Cell) -> str:
        return _filled(self.rows.variant, cell)

    def backbone(self, cell: Cell) -> str:
        return _filled(self.rows.backbone, cell)


class Rules:
    """The rules of all installed methods. ``damaged``: method with its owner -> why its rules cannot be read."""

    def __init__(self, plugins: Plugins) -> None:
        self.plugins = plugins
        self.all: list[Rule] = []
        self.damaged: dict[tuple[str, str], str] = {}
        for entry in plugins.registry("method"):
            try:
                self.all += read_rules(entry)
            except LmbenchError as error:
                self.damaged[entry.owner, entry.spec.name] = str(error)

    def of(self, cell: Cell) -> Rule | None:
        """The first rule that fits a printed number: of the distribution that its paper names, or of any where it names none."""
        owner = cell.spec.brought_by.get(cell["method"], "")
        return next((r for r in self.all if owner in ("", r.entry.owner) and cell.fits(r.where)), None)

    def damage(self, cell: Cell) -> str:
        """Why the rules that would be asked about a printed number cannot be read, or nothing."""
        owner, printed = cell.spec.brought_by.get(cell["method"], ""), cell["method"]
        return next((said for (o, name), said in self.damaged.items() if o == owner or name == printed), "")


def idle(rules: Iterable[Rule], cells: Sequence[Cell], plugins: Plugins) -> list[str]:
    """Which rules fit no row of the papers they are about, so that something in their ``where`` is misspelt.

    A rule is about the papers that its ``where`` names, else about every paper if its distribution brings one itself. What is
    about papers of others alone cannot be told: they may not be installed.
    """
    read = {id(cell.spec) for cell in cells}
    brought = {e.owner for e in plugins.registry("paper") if id(e.spec) in read}
    found = []
    for rule in rules:
        meant = {"paper": rule.where["paper"]} if "paper" in rule.where else {}
        here = [cell for cell in cells if cell.fits(meant)] if meant or rule.entry.owner in brought else []
        if here and not any(cell.fits(rule.where) for cell in here):
            asked = ", ".join(f"{column} {value!r}" for column, value in rule.where.items())
            found.append(f"{rule.place}: no printed number has {asked}")
    return found


def read_rules(entry: Entry[MethodSpec]) -> list[Rule]:
    """The rules of a method in their order. Raises PluginError with file and line."""
    published, name = entry.spec.published, entry.spec.name
    if isinstance(published, str):
        found = [Rule(entry, rows, place) for rows, place in _of_file(published, name)]
    else:
        found = [Rule(entry, rows, f"published[{n}] of the method {name!r}") for n, rows in enumerate(published)]
    wrong = [f"{rule.place}: {said}" for rule in found for said in complaints(rule)]
    if wrong:
        raise PluginError("; ".join(wrong[:3]) + ".")
    return found


def complaints(rule: Rule) -> Iterator[str]:
    """What is wrong with a rule, whatever papers are here: columns that there are not, a variant that the method has not."""
    yield from unknown_columns(rule.rows.where)
    for name in ("variant", "backbone"):
        text = getattr(rule.rows, name)
        asked = BRACES.findall(text)
        unknown = [column for column in asked if column not in COLUMNS]
        yield from (f"{name} {text!r}: {said}" for said in unknown_columns(unknown))
        if name == "variant" and not asked and not rule.rows.reason:
            variants = [v.name for v in rule.entry.spec.variants]
            if text and text not in variants:
                yield f"{rule.entry.spec.name} has no variant {text!r}.{did_you_mean(text, variants)}"


def _of_file(name: str, method: str) -> list[tuple[PublishedRows, str]]:
    text = text_of(name)
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PluginError(f"{name}: {error}.") from None
    rules = content.get(method)
    if rules is None:
        raise PluginError(f"{name} has no [[{method}]].{did_you_mean(method, content)}")
    if not isinstance(rules, list):
        raise PluginError(f"{name}: {method} is no list of rules, written [[{method}]].")
    lines = _lines(text, method)
    found = []
    for number, rule in enumerate(rules):
        place = f"{name}, line {lines[number]}" if number < len(lines) else f"{name}, {method} {number + 1}"
        if not isinstance(rule, Mapping):
            raise PluginError(f"{place}: expected a table, found {rule!r:.40}.")
        found.append((_checked(rule, place), place))
    return found


def _lines(text: str, method: str) -> list[int]:
    """Where the tables ``[[method]]`` of a TOML text begin; its parser does not tell."""
    header = re.compile(rf"\s*\[\[\s*[\"']?{re.escape(method)}[\"']?\s*\]\]")
    return [number for number, line in enumerate(text.splitlines(), 1) if header.match(line)]


def _checked(rule: Mapping[str, Any], place: str) -> PublishedRows:
    """A rule of a TOML file. Raises PluginError naming the field."""
    for name, value in rule.items():
        if name not in FIELDS:
            raise PluginError(
                f"{place}: unknown field {name!r}.{did_you_mean(name, FIELDS)} There are {', '.join(FIELDS)}."
            )
        expected, good = _expectation(name, value)
        if not good:
            raise PluginError(f"{place}: {name}: expected {expected}, found {value!r:.60}.")
    where = {column: tuple(v) if isinstance(v, list) else v for column, v in rule.get("where", {}).items()}
    metrics = tuple(rule.get("metrics", ()))
    return PublishedRows(**{**rule, "where": where, "metrics": metrics})


def _expectation(name: str, value: Any) -> tuple[str, bool]:
    """What a field of a rule is to be, and whether it is."""
    match name:
        case "where":
            said = "a table of columns, each with a text or a list of texts"
            return said, isinstance(value, dict) and all(isinstance(v, str) or _texts(v) for v in value.values())
        case "metrics":
            return "a list of names", _texts(value)
        case "settings":
            return "a table of settings", isinstance(value, dict)
    return "a text", isinstance(value, str)


def _filled(text: str, cell: Cell) -> str:
    """``text`` with ``{column}`` filled in from the row."""
    return BRACES.sub(lambda found: cell[found[1]], text)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(v, str) for v in value)
