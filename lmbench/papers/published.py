"""The printed cells of the four papers, by table. Nothing heavy is imported."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass

from lmbench.errors import UsageError, did_you_mean
from lmbench.results.leaderboard import SAME_DATA, read_published

CLAIMS = ("_to_beat_dve", "_to_match_dve", "relative_improvement_pct")
"""Endings of the metrics of sentences such as "with 100 annotations it beats DVE": no cells of a table."""


@dataclass(frozen=True)
class Cell:
    """One printed number: a row of ``published.csv``, with the names that are used here."""

    row: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        return self.row[column]

    @property
    def table(self) -> str:
        """``lead2022/table5``: what ``lmbench reproduce`` calls its table."""
        return f"{self['paper']}/{slug(self['table'])}"

    @property
    def dataset(self) -> str:
        """The name of its dataset here: the 2017 paper calls AFLW_M ``aflw_mtfl``, which is another benchmark here."""
        return SAME_DATA.get(self["dataset"], self["dataset"])

    @property
    def n_annotations(self) -> int | str | None:
        """A number, ``all``, or None where nothing is fitted."""
        n = self["n_annotations"]
        return int(n) if n.isdecimal() else (n or None)

    @property
    def is_claim(self) -> bool:
        return self["metric"].endswith(CLAIMS)


@functools.cache
def read_cells() -> tuple[Cell, ...]:
    """Every printed number, in the order of ``published.csv``."""
    return tuple(Cell(row) for row in read_published())


def tables() -> dict[str, list[Cell]]:
    """The cells of every table by its name, papers and tables in printed order."""
    found: dict[str, list[Cell]] = {}
    for cell in read_cells():
        found.setdefault(cell.table, []).append(cell)
    return found


def find_table(name: str) -> list[Cell]:
    """The cells of a table, ``lead2022/table5`` or ``"lead2022/Supp. Table 7"``. Raises UsageError with the closest names."""
    known = tables()
    paper, slash, table = name.partition("/")
    papers = list(dict.fromkeys(t.partition("/")[0] for t in known))
    if paper not in papers:
        raise UsageError(f"unknown paper {paper!r}; there are {', '.join(papers)}.{did_you_mean(paper, papers)}")
    own = {t: t.partition("/")[2] for t in known if t.startswith(f"{paper}/")}
    found = [t for t, part in own.items() if slash and _bare(part) == _bare(table)]
    if not found:
        said = f"{paper} has no table {table!r}" if slash else f"{name!r} names a paper and no table"
        raise UsageError(f"{said}; it has {', '.join(own.values())}.{did_you_mean(slug(table), own.values())}")
    return known[found[0]]


def slug(table: str) -> str:
    """``Supp. Table 7`` as ``supp_table7``."""
    words = re.sub(r"[^a-z0-9]+", " ", table.lower()).split()
    return re.sub(r"_(?=\d)", "", "_".join(words))


def _bare(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
