"""Checks of papers and of the rules by which methods claim printed numbers: files that can be read, and names that fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lmbench.papers.files import text_of
from lmbench.papers.published import Cell, read_paper, read_papers
from lmbench.papers.rules import idle, read_rules
from lmbench.plugins.loading import Plugins
from lmbench.specs import MethodSpec, PaperSpec
from lmbench.testing.plugin_checks import ensure


def rows_can_be_read(spec: PaperSpec, plugins: Plugins) -> None:
    """The CSV has its columns, numbers where numbers belong and each number once; the notes are a text."""
    ensure(bool(_cells(spec, plugins)), f"{spec.rows} has no rows")
    if spec.notes:
        text_of(spec.notes)


def names_and_readings_fit_rows(spec: PaperSpec, plugins: Plugins) -> None:
    """What ``names``, ``brought_by`` and ``readings`` speak of is printed."""
    cells = _cells(spec, plugins)
    spoken = [("names", column, printed) for column, names in spec.names.items() for printed in names]
    spoken += [("brought_by", "method", printed) for printed in spec.brought_by]
    for field, column, printed in spoken:
        ensure(any(c[column] == printed for c in cells), f"{field}: no row has the {column} {printed!r}")
    for number, reading in enumerate(spec.readings):
        fits = any(c.fits(reading.where) for c in cells)
        ensure(fits, f"readings[{number}]: no row has {', '.join(f'{c} {v!r}' for c, v in reading.where.items())}")


def published_rows_fit(spec: MethodSpec, plugins: Plugins) -> None:
    """The rules of ``published`` can be read, fit rows of the papers they are about, and name variants for all of them."""
    entry = next(e for e in plugins.methods if e.spec is spec)
    rules = read_rules(entry)
    cells = [cell for own in read_papers(plugins)[0].values() for cell in own]
    wrong = idle(rules, cells, plugins)
    for cell in cells:
        rule = next((r for r in rules if cell.fits(r.where)), None)
        if rule and not any(reason for reason in (rule.rows.reason, *(r.reason for r in cell.readings))):
            name, known = rule.variant(cell), ", ".join(v.name for v in spec.variants)
            unknown = spec.variant(name) is None
            wrong += [f"{rule.place}: {cell.table} asks for the variant {name!r}; there are {known}"] if unknown else []
    ensure(not wrong, "; ".join(dict.fromkeys(wrong)))


PAPER: tuple[Callable[[Any, Plugins], None], ...] = (rows_can_be_read, names_and_readings_fit_rows)
METHOD: tuple[Callable[[Any, Plugins], None], ...] = (published_rows_fit,)


def _cells(spec: PaperSpec, plugins: Plugins) -> list[Cell]:
    return read_paper(next(e for e in plugins.papers if e.spec is spec))
