"""How many printed numbers have a run behind them, table by table, and why the others have none."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from lmbench.campaigns.gaps import Gap
from lmbench.papers.published import Cell, read_papers, tables
from lmbench.papers.rules import Rules, idle
from lmbench.papers.targets import is_ours, target_of
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


def coverage(plugins: Plugins, paper: str = "") -> list[TableCoverage]:
    """The coverage of every table (of one paper), in printed order. Looks at names alone, not at data."""
    rules = Rules(plugins)
    chosen = {name: cells for name, cells in tables(plugins).items() if not paper or cells[0].paper == paper}
    return [_of(name, cells, rules) for name, cells in chosen.items()]


def damage(plugins: Plugins) -> list[str]:
    """What is wrong with papers and rules, in which file and line: those that cannot be read, and rules that fit nothing."""
    read, damaged = read_papers(plugins)
    rules = Rules(plugins)
    cells = [cell for own in read.values() for cell in own]
    return list(dict.fromkeys([*damaged.values(), *rules.damaged.values(), *idle(rules.all, cells, plugins)]))


def _of(name: str, cells: list[Cell], rules: Rules) -> TableCoverage:
    found = TableCoverage(name, len(cells), datasets=list(dict.fromkeys(c.dataset for c in cells if c.dataset)))
    for cell in cells:
        target, ours = target_of(cell, rules), is_ours(cell, rules)
        found.ours += ours
        if not isinstance(target, Gap):
            found.mapped += 1
        else:
            (found.unmapped if ours else found.foreign)[target.reason] += 1
    return found
