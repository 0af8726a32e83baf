"""The leaderboard as a page: every measured row with its place, interval and control, and every published number.

Places, intervals and what is told apart are found in `lmbench.results`; the page's script chooses, sorts and shows.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lmbench import __version__
from lmbench.pages.skeleton import render, shown
from lmbench.printable import without_folders, without_folders_apart
from lmbench.results.boards import Board, boards, names_of, section_name, what_it_tells
from lmbench.results.forest import axis_of
from lmbench.results.leaderboard import Line, published_lines, remarks
from lmbench.results.outputs import CLASSES, Column, class_of, head_of, protocol_of
from lmbench.results.ranking import Interval, Ranked, Section

DIGITS = 6  # behind the point; the page shows two
COLUMN = ("dataset", "task", "metric", "part", "n_annotations")
FIELDS = (
    "column", "board", "$section", "$class", "$place", "$name", "value", "$printed", "spread", "low", "high", "seeds",
    "$control", "beside", "gain", "gainLow", "gainHigh", "$verdict", "apart", "$head", "$preset", "protocol", "$note",
    "$source", "$backbone", "$pretrained", "$supervision",
)  # fmt: skip
"""Of a row, in this order; ``$``: the place of a text among all texts. ``apart``: 1, told apart from the next row; 0, not; null,
there is none in its section. ``seeds``: pairs of a record and its value."""


def board_page(sections: Iterable[Section], published: Sequence[Line], records: str) -> str:
    """The page of ranked rows and of published ones. ``records``: the folder of records, as links in the page name it."""
    return render("board", data=_Data(boards(sections), published).entry(records), version=__version__)


def link_to(folder: Path, page: Path) -> str:
    """A folder as a page has it in its links: from where the page lies, or its whole address where nothing is in common."""
    try:
        return Path(os.path.relpath(folder.absolute(), page.absolute().parent)).as_posix()
    except ValueError:  # another drive
        return folder.absolute().as_uri()


class _Texts:
    """What stands in many rows, kept once: each thing by its place."""

    def __init__(self) -> None:
        self.places: dict[Hashable, int] = {}
        self.entries: list[Any] = []

    def of(self, key: Hashable, entry: Any) -> int:
        if key not in self.places:
            self.places[key] = len(self.entries)
            self.entries.append(entry)
        return self.places[key]


class _Data:
    """What the script reads: columns, boards and rows, with what many rows share kept once."""

    def __init__(self, found: Sequence[Board], published: Sequence[Line]) -> None:
        self.texts, self.records, self.protocols, self.columns = _Texts(), _Texts(), _Texts(), _Texts()
        names = [board.scope.column[0] for board in found] + [str(line["dataset"]) for line in published]
        self.datasets = without_folders_apart(dict.fromkeys(names))
        self.boards: list[dict[str, Any]] = []
        self.rows: list[list[Any]] = []
        self.spans: dict[int, list[float | None]] = {}
        for board in found:
            self._add(board)
        for column, lines in _by_column(published).items():
            self._add_published(column, lines)
        self.measured = [0] * len(self.columns.entries)
        for board in found:
            self.measured[self.columns.places[board.scope.column]] += len(board.rows) if board.whole else 0

    def entry(self, records: str) -> dict[str, Any]:
        columns = [{**c, "axis": _rounded(axis_of(self.spans[i]))} for i, c in enumerate(self.columns.entries)]
        start = max(range(len(columns)), key=lambda i: self.measured[i], default=None)
        return {
            "folder": shown(records), "classes": CLASSES, "start": start, "columns": columns, "boards": self.boards,
            "records": self.records.entries, "protocols": self.protocols.entries, "texts": self.texts.entries,
            "fields": FIELDS, "rows": self.rows,
        }  # fmt: skip

    def _column(self, column: Column, unit: str, higher_is_better: bool) -> int:
        """The place of a column of numbers."""
        named = dict(zip(("dataset", "task", "metric", "part", "n"), map(shown, column), strict=True))
        named["dataset"] = shown(self.datasets[column[0]])
        place = self.columns.of(column, {**named, "unit": shown(unit), "higher": higher_is_better})
        self.spans.setdefault(place, [])
        return place

    def _add(self, board: Board) -> None:
        scope, row = board.scope, board.rows[0].output.row
        column = self._column(scope.column, row.unit, row.higher_is_better)
        self.boards.append(
            {
                "column": column,
                "preset": shown(scope.preset),
                "title": shown(board.title),
                "tells": [shown(said.replace("`", "")) for said in what_it_tells(board)],
            }
        )
        names = {output: name.replace("`", "") for output, name in names_of(board).items()}
        marked = any(ranked.scored for ranked in board.rows)
        for section in board.sections:
            title = f"{', '.join(filter(None, [scope.preset, scope.data]))}: {section_name(section, board)}"
            for ranked, following in zip(section.rows, [*section.rows[1:], None], strict=True):
                told = None if following is None else (ranked.output, following.output) in section.told
                sign = " °" if marked and not ranked.scored else ""  # as the first line calls them
                measured = _measured(ranked, names[ranked.output] + sign, self)
                measured |= {
                    "column": column, "board": len(self.boards) - 1, "section": title, "class": section.kind,
                    "preset": scope.preset, "apart": None if told is None else int(told),
                    "control": names.get(ranked.control, "") if ranked.control else "",
                }  # fmt: skip
                self._row(measured)
                self.spans[column] += [ranked.output.value, ranked.beside, *(ranked.interval or ())]

    def _add_published(self, key: Column, lines: Sequence[Line]) -> None:
        column = self._column(key, lines[0]["unit"], lines[0]["higher_is_better"] == "true")
        for line in published_lines(lines):
            self.spans[column].append(float(line["value"]))
            self._row(
                {
                    "column": column, "section": "published, ranked by the printed value", "place": str(line["rank"]),
                    "class": class_of(line["supervision"]), "name": ", ".join(filter(None, [line["method"], line["variant"]])),
                    "value": float(line["value"]), "printed": line["value"],
                    "spread": float(line["std"]) if line["std"] else None, "source": line["source"],
                    "note": line["note"], "backbone": line["backbone"], "pretrained": line["pretrain_on"],
                    "supervision": line["supervision"],
                }
            )  # fmt: skip

    def _row(self, cells: Mapping[str, Any]) -> None:
        """Adds a row; what it lacks is empty, and empty ends are not written."""
        made: list[Any] = []
        for name in FIELDS:
            value = cells.get(name.removeprefix("$"))
            if name.startswith("$"):
                made.append(self.texts.of(str(value), shown(str(value))) if value else None)
            else:
                made.append(round(value, DIGITS) if isinstance(value, float) else value)
        while made[-1] is None:
            made.pop()
        self.rows.append(made)


def _measured(ranked: Ranked, name: str, data: _Data) -> dict[str, Any]:
    """What a row says of itself, by field."""
    output, record = ranked.output, ranked.output.record
    low, high = ranked.interval or (None, None)
    gain_low, gain_high = ranked.gain_interval or (None, None)
    protocol = {**protocol_of(output.row), **{k: output.row.settings.get(k) for k in ("layers", "dimension")}}
    head = head_of(output.row).rpartition(":")[2]
    seeds = [
        [
            data.records.of(own.run, [own.run, own.seed, shown(own.version), shown(own.finished)]),
            round(row.value, DIGITS),
        ]
        for own, row in output.measured.values()
    ]
    return {
        "place": ranked.place, "name": name, "value": output.value, "spread": output.spread, "low": low, "high": high,
        "seeds": seeds, "beside": ranked.beside, "gain": ranked.gain, "gainLow": gain_low, "gainHigh": gain_high,
        "verdict": ranked.verdict(ranked.gain_interval) if ranked.gain_interval else None, "head": head,
        "protocol": data.protocols.of(repr(protocol), shown(protocol)), "note": "; ".join(remarks(ranked)),
        "backbone": "" if record.backbone == "none" else record.backbone, "pretrained": without_folders(record.pretrain_on),
        "supervision": record.supervision,
    }  # fmt: skip


def _by_column(published: Iterable[Line]) -> dict[Column, list[Line]]:
    found: dict[Column, list[Line]] = {}
    for line in published:
        dataset, task, metric, part, n = (str(line[name]) for name in COLUMN)
        found.setdefault((dataset, task, metric, part, n), []).append(line)
    return found


def _rounded(interval: Interval) -> list[float]:
    return [round(end, DIGITS) for end in interval]
