"""How many printed numbers have a run behind them, table by table, and why the others have none."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from lmbench.papers.published import Cell, tables
from lmbench.papers.targets import Gap, is_ours, target_of
from lmbench.plugins.loading import Plugins


@dataclass
class TableCoverage:
    """One table: printed numbers, how many are measurements of methods that are here, how many of those have a run."""

    name: str
    cells: int = 0
    ours: int = 0
    mapped: int = 0
    datasets: list[str] = field(default_factory=list)
    unmapped: Counter[str] = field(default_factory=Counter)
    """Of our methods' measurements."""
    foreign: Counter[str] = field(default_factory=Counter)
    """Of everything else."""


def coverage(plugins: Plugins) -> list[TableCoverage]:
    """The coverage of every table, in printed order. Looks at names alone, not at data."""
    return [_of(name, cells, plugins) for name, cells in tables().items()]


def _of(name: str, cells: list[Cell], plugins: Plugins) -> TableCoverage:
    found = TableCoverage(name, len(cells), datasets=list(dict.fromkeys(c.dataset for c in cells if c.dataset)))
    for cell in cells:
        target, ours = target_of(cell, plugins), is_ours(cell, plugins)
        found.ours += ours
        if not isinstance(target, Gap):
            found.mapped += 1
        else:
            (found.unmapped if ours else found.foreign)[target.reason] += 1
    return found
