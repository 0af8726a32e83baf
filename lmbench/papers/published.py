"""The printed numbers of the papers that plugins bring, by table. Nothing heavy is imported."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from lmbench.errors import LmbenchError, PluginError, UsageError, did_you_mean
from lmbench.papers.files import text_of
from lmbench.plugins.loading import Plugins
from lmbench.plugins.registry import Entry
from lmbench.specs import PaperSpec, Reading, Where

COLUMNS = (
    "paper", "table", "method", "method_label", "supervision", "backbone", "feature_dim", "variant", "n_landmarks",
    "pretrain_dataset", "dataset", "task", "pairs", "n_annotations", "part", "metric", "unit", "value", "std",
    "lower_is_better", "note",
)  # fmt: skip
"""Of a paper's CSV. Two rows differ in one of them beside value, std and note."""

NEEDED = ("table", "method", "task", "metric")
WORDS = {"n_annotations": re.compile(r"(all|[1-9]\d*)?"), "lower_is_better": re.compile(r"true|false"),
         "value": re.compile(r"-?\d+(\.\d+)?"), "std": re.compile(r"(\d+(\.\d+)?)?")}  # fmt: skip
EXPECTED = {"n_annotations": "a number, all, or nothing", "lower_is_better": "true or false",
            "value": "a number as it is printed", "std": "a number as it is printed, or nothing"}  # fmt: skip
MOST_TOLD = 3


@dataclass(frozen=True)
class Cell:
    """One printed number: a row of a paper's CSV. ``paper``: by which name the paper is asked for."""

    row: Mapping[str, str]
    spec: PaperSpec
    paper: str

    def __getitem__(self, column: str) -> str:
        """What is printed."""
        return self.row[column]

    def here(self, column: str) -> str:
        """What is printed, in the names of this benchmark; a dataset is called alike where it is pretrained on."""
        names = self.spec.names
        known = names.get(column, names.get("dataset", {}) if column == "pretrain_dataset" else {})
        return known.get(self[column], self[column])

    @property
    def table(self) -> str:
        """``lead2022/table5``: what ``lmbench reproduce`` calls its table."""
        return f"{self.paper}/{slug(self['table'])}"

    @property
    def dataset(self) -> str:
        return self.here("dataset")

    @property
    def n_annotations(self) -> int | str | None:
        """A number, ``all``, or None where nothing is fitted."""
        n = self["n_annotations"]
        return int(n) if n.isdecimal() else (n or None)

    def fits(self, where: Where) -> bool:
        """Whether every column that ``where`` names has one of the values that it accepts."""
        return all(
            any(fnmatchcase(self.here(column), pattern) for pattern in ((value,) if isinstance(value, str) else value))
            for column, value in where.items()
        )

    @property
    def readings(self) -> list[Reading]:
        """How the paper's plugin says it is to be read."""
        return [reading for reading in self.spec.readings if self.fits(reading.where)]


def read_paper(entry: Entry[PaperSpec], name: str = "") -> list[Cell]:
    """The printed numbers of a paper in the order of its CSV. Raises PluginError with file and line for what is wrong in it."""
    spec = entry.spec
    found = csv.reader(io.StringIO(text_of(spec.rows), newline=""), strict=True)
    try:
        lines = [(found.line_num, row) for row in found if row]
    except csv.Error as error:
        raise PluginError(f"{spec.rows}, line {found.line_num}: {error}.") from None
    header = tuple(lines[0][1]) if lines else ()
    unfit = [said for reading in spec.readings for said in unknown_columns(reading.where)]
    unfit += unknown_columns(spec.names)
    if unfit:
        raise PluginError(f"the paper {spec.name!r} of {entry.owner} names {'; '.join(unfit)}")
    wrong = [f"line 1: {said}" for said in _of_header(header)]
    if not wrong:
        wrong = [f"line {line}: {said}" for line, said in _of_rows(header, lines[1:], spec)]
    if wrong:
        more = [f"and {len(wrong) - MOST_TOLD} more"] if len(wrong) > MOST_TOLD else []
        raise PluginError(f"{spec.rows}, {'; '.join(wrong[:MOST_TOLD] + more)}.")
    return [Cell(dict(zip(header, row, strict=True)), spec, name or spec.name) for _, row in lines[1:]]


def read_papers(plugins: Plugins) -> tuple[dict[str, list[Cell]], dict[str, str]]:
    """The cells of every paper by its name, the oldest first; and what is wrong with those that cannot be read."""
    registry = plugins.registry("paper")
    entries: list[Entry[PaperSpec]] = sorted(registry, key=lambda e: (e.spec.year or 9999, e.spec.name, e.owner))
    read: dict[str, list[Cell]] = {}
    damaged: dict[str, str] = {}
    for entry in entries:
        name = name_of(entry, plugins)
        try:
            read[name] = read_paper(entry, name)
        except LmbenchError as error:
            damaged[name] = str(error)
    return read, damaged


def name_of(entry: Entry[PaperSpec], plugins: Plugins) -> str:
    """By what a paper is asked for: its name, with its owner where two bring one."""
    alike = [e for e in plugins.registry("paper") if e.spec.name == entry.spec.name]
    return entry.qualified if len(alike) > 1 else entry.spec.name


def tables(plugins: Plugins) -> dict[str, list[Cell]]:
    """The cells of every table by its name, papers in order of their years and tables as printed."""
    found: dict[str, list[Cell]] = {}
    for cells in read_papers(plugins)[0].values():
        for cell in cells:
            found.setdefault(cell.table, []).append(cell)
    return found


def find_table(name: str, plugins: Plugins) -> list[Cell]:
    """The cells of a table, ``lead2022/table5`` or ``"lead2022/Supp. Table 7"``.

    Raises UsageError with the closest names, PluginError where the paper's rows cannot be read.
    """
    read, damaged = read_papers(plugins)
    paper, slash, table = name.partition("/")
    papers = [*read, *damaged]
    if paper in damaged:
        raise PluginError(damaged[paper])
    if paper not in read:
        said = f"there are {', '.join(papers)}" if papers else "no plugin brings a paper"
        raise UsageError(f"unknown paper {paper!r}; {said}.{did_you_mean(paper, papers)}")
    own: dict[str, list[Cell]] = {}
    for cell in read[paper]:
        own.setdefault(cell.table.removeprefix(f"{paper}/"), []).append(cell)
    found = [cells for part, cells in own.items() if slash and _bare(part) == _bare(table)]
    if not found:
        said = f"{paper} has no table {table!r}" if slash else f"{name!r} names a paper and no table"
        raise UsageError(f"{said}; it has {', '.join(own)}.{did_you_mean(slug(table), own)}")
    return found[0]


def slug(table: str) -> str:
    """``Supp. Table 7`` as ``supp_table7``."""
    words = re.sub(r"[^a-z0-9]+", " ", table.lower()).split()
    return re.sub(r"_(?=\d)", "", "_".join(words))


def unknown_columns(where: Iterable[str]) -> list[str]:
    """Which of some columns no paper's rows have, each with the closest one that there is."""
    return [f"no column {column!r}.{did_you_mean(column, COLUMNS)}" for column in where if column not in COLUMNS]


def _of_header(header: tuple[str, ...]) -> Iterator[str]:
    for column in header:
        if column not in COLUMNS:
            yield f"unknown column {column!r}.{did_you_mean(column, COLUMNS)}"
    if len(set(header)) < len(header):
        yield "a column stands there twice"
    missing = [column for column in COLUMNS if column not in header]
    if missing:
        yield f"the column {', '.join(missing)} is missing"


def _of_rows(header: Sequence[str], lines: list[tuple[int, list[str]]], spec: PaperSpec) -> Iterator[tuple[int, str]]:
    if not lines:
        yield 1, "no row follows the header"
    named: dict[str, str] = {}
    seen: dict[tuple[str, ...], int] = {}
    for line, values in lines:
        if len(values) != len(header):
            yield line, f"{len(values)} cells, {len(header)} are expected"
            continue
        row = dict(zip(header, values, strict=True))
        yield from ((line, said) for said in _of_row(row, spec))
        other = named.setdefault(slug(row["table"]), row["table"])
        if other != row["table"]:
            yield line, f"{other!r} and {row['table']!r} are one table to `lmbench reproduce`; rename one"
        key = tuple(row[c] for c in COLUMNS if c not in ("value", "std", "note"))
        first = seen.setdefault(key, line)
        if first != line:
            yield line, f"the number of line {first} stands here again; tell them apart by variant, or drop one"


def _of_row(row: Mapping[str, str], spec: PaperSpec) -> Iterator[str]:
    if row["paper"] != spec.name:
        yield f"paper is {row['paper']!r}, {spec.name!r} is expected"
    if row["table"] and not slug(row["table"]):
        yield f"table is {row['table']!r}, a name with letters or digits is expected"
    yield from (f"{column} is empty" for column in NEEDED if not row[column])
    for column, pattern in WORDS.items():
        if not pattern.fullmatch(row[column]):
            yield f"{column} is {row[column]!r:.40}, expected {EXPECTED[column]}"


def _bare(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
