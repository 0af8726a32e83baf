"""A board as people read it: first what it can and cannot tell, then its rows in sections, each beside its own control.

The same rows make the tables of documents, those on the terminal and the pages beside the CSVs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from lmbench.errors import DataError, UsageError
from lmbench.printable import counted
from lmbench.results.outputs import CLASSES, CONTROL, FLOOR, Output, Place, head_of, labels, protocol_of
from lmbench.results.ranking import Interval, Ranked, Section, smallest_difference
from lmbench.results.tables import Selection, inside, markdown

COLUMNS = ("place", "method, output", "", "95 %", "seeds", "control", "less its control")


@dataclass(frozen=True)
class Board:
    """The sections of one column, preset and data: what stands in one table."""

    place: Place
    sections: tuple[Section, ...]

    @property
    def rows(self) -> list[Ranked]:
        return [row for section in self.sections for row in section.rows]

    @property
    def whole(self) -> bool:
        """Whether it is of a task's whole, not of a part of it."""
        return not self.place.column[3]

    @property
    def measure(self) -> str:
        """``iod ↓, percent``."""
        row = self.rows[0].output.row
        return f"{row.metric} {'↑' if row.higher_is_better else '↓'}, {row.unit}"

    @property
    def title(self) -> str:
        """The column in words; the data is told in the first line."""
        dataset, _, _, part, n = self.place.column
        drawn = f" ({counted(self.place.draws, 'draw')})" if self.place.draws else ""
        said = [f"{dataset}, preset {self.place.preset}: {self.measure}", part, f"n = {n}{drawn}" if n else ""]
        return ", ".join(filter(None, said))


def boards(sections: Iterable[Section]) -> list[Board]:
    """The boards of sections: the fewest annotations first, and parts behind the whole."""
    found: dict[Place, list[Section]] = {}
    for section in sections:
        found.setdefault(section.place.judged, []).append(section)
    order = list(CLASSES)
    made = [
        Board(place, tuple(sorted(own, key=lambda s: (order.index(s.kind), -len(s.rows), s.place.protocol))))
        for place, own in found.items()
    ]
    return sorted(made, key=lambda board: _in_order(board.place))


def chosen(found: Sequence[Board], selection: Selection) -> list[Board]:
    """The boards of a selection: of the whole, and of the parts that it names; of a task without a whole all parts.

    Raises UsageError for one that names methods, which a board has all, DataError where there is no such board.
    """
    if selection.methods:
        raise UsageError(f"a board has all methods, not {', '.join(selection.methods)} alone; a table shows some.")
    kept = []
    for task in selection.tasks:
        own = [b for b in found if b.place.column[:2] == (selection.dataset, task) and b.place.preset == selection.preset]
        own = with_parts(own, selection.parts)
        kept += [b for b in own if not selection.annotations or b.place.column[4] in ("", *selection.annotations)]
    if not kept:
        raise DataError(
            f"no record has numbers of {selection.dataset} ({', '.join(selection.tasks)}, {selection.preset})."
        )
    return kept


def with_parts(found: Sequence[Board], parts: Sequence[str] = ()) -> list[Board]:
    """The boards of a task's whole and of some parts; all where no board is of a whole."""
    whole = any(board.whole for board in found)
    return [board for board in found if board.whole or board.place.column[3] in parts or not whole]


def as_markdown(found: Sequence[Board]) -> str:
    """The boards one below the other."""
    return "\n".join(
        f"**{inside(board.title)}**\n\n{inside(what_it_tells(board))}\n\n{markdown(columns(board), lines(board, bold=True))}"
        for board in found
    )


def columns(board: Board) -> list[str]:
    """The heads of a board's table."""
    return [name or board.measure for name in COLUMNS]


def lines(board: Board, bold: bool = False) -> list[list[str]]:
    """The cells of a board's table; each section below a line of its name. ``bold``: in Markdown."""
    names = _names(board)
    strong: Callable[[str], str] = (lambda text: f"**{text}**") if bold else (lambda text: text)
    made = []
    for section in board.sections:
        made.append(["", strong(section_name(section, board)), *[""] * (len(COLUMNS) - 2)])
        made += [_cells(row, names, strong) for row in section.rows]
    return made if bold else [[cell.replace("`", "") for cell in line] for line in made]


def section_name(section: Section, board: Board) -> str:
    """The class of a section, and its head where that is not all rows' own; of several protocols of a head what differs."""
    own = section.rows[0].output.row
    protocols = {other.place.protocol: other.rows[0].output.row for other in board.sections}
    alike = [protocol_of(row) for row in protocols.values() if head_of(row) == head_of(own)]
    mine = protocol_of(own)
    names = sorted(name for name in {*mine}.union(*alike) if any(other.get(name) != mine.get(name) for other in alike))
    differs = f"protocol {section.place.protocol}, others differ in {', '.join(names[:4])}" if names else ""
    head = f"head {head_of(own).rpartition(':')[2]}" if head_of(own) else ""
    return ", ".join(filter(None, [CLASSES[section.kind], head if len(protocols) > 1 or head else "", differs]))


def what_it_tells(board: Board) -> str:
    """What a board can and cannot tell, in one paragraph: the first thing that is read of it."""
    rows, names = board.rows, _names(board)
    compared = [row for row in rows if row.output.kind not in (CONTROL, FLOOR)]
    said = [_basis(board), _seeds(rows), _resolution(board), _against_controls(compared, names)]
    return " ".join(filter(None, [*said, _against_floors(compared, names)]))


def _basis(board: Board) -> str:
    place = board.place
    versions = sorted({version for row in board.rows for version in row.output.versions})
    said = [
        counted(place.images, "test image") if place.images else "",
        f"{counted(place.draws, 'draw')} of the annotated images" if place.draws else "",
        f"data {place.data}" if place.data else "",
        f"lmbench {', '.join(versions)}",
    ]
    heads = {section.place.protocol for section in board.sections}
    apart = f" {len(heads)} protocols (heads with their settings), no number of one comparable with another's." if len(heads) > 1 else ""
    return f"{', '.join(filter(None, said))}.{apart}"


def _seeds(rows: Sequence[Ranked]) -> str:
    counts = sorted({len(row.output.seeds) for row in rows}, reverse=True)
    said = [f"{sum(len(row.output.seeds) == count for row in rows)} over {count} seeds" for count in counts if count > 1]
    single = sum(len(row.output.seeds) == 1 for row in rows)
    if single:
        said.append(f"{'all' if single == len(rows) else single} with one seed, whose intervals know nothing of another training")
    return f"{counted(len(rows), 'row')}: {', '.join(said)}."


def _resolution(board: Board) -> str:
    """From what difference on rows are told apart, and how many pairs were."""
    pairs, apart = (sum(getattr(section, name) for section in board.sections) for name in ("pairs", "apart"))
    if not pairs:
        return "No two rows are ranked as one."
    smallest = smallest_difference(board.sections)
    unit = board.rows[0].output.row.unit
    told = f"Told apart: {apart} of {pairs} pairs, each within its section"
    lacking = sum(not row.scored for row in board.rows)
    if lacking == len(board.rows):
        return f"{told}; no scores image by image are kept, so these are pairs whose intervals have nothing in common."
    own = f" {lacking} without kept scores are ranked by their own intervals." if lacking else ""
    typical = f"; the paired interval is typically ± {smallest:.2f} {unit}" if smallest is not None else ""
    return f"{told}, at most one in twenty of them expected to be wrong{typical}.{own}"


def _against_controls(rows: Sequence[Ranked], names: dict[Output, str]) -> str:
    paired = [row for row in rows if row.control is not None]
    verdicts = {row: row.verdict(row.gain_interval) for row in paired}
    said = [
        ("better than their control", [row for row in paired if verdicts[row] == "better"]),
        ("worse", [row for row in paired if verdicts[row] == "worse"]),
        ("not told from it", [row for row in paired if verdicts[row] == "open"]),
        ("beside a control without an interval", [row for row in rows if row.control is None and row.beside is not None]),
        ("without a control", [row for row in rows if row.beside is None]),
    ]
    text = "; ".join(f"{what}: {', '.join(names[row.output] for row in own)}" for what, own in said if own)
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _against_floors(rows: Sequence[Ranked], names: dict[Output, str]) -> str:
    floors = sorted({floor for row in rows for floor in row.floors}, key=lambda floor: floor.order)
    said = []
    for floor in floors:
        behind = [names[row.output] for row in rows if row.verdict(row.floors.get(floor)) != "better"]
        said.append(f"Not told to be better than {names[floor]}: {', '.join(behind) or 'none'}.")
    return " ".join(said)


def _cells(row: Ranked, names: dict[Output, str], strong: Callable[[str], str]) -> list[str]:
    output = row.output
    spread = f" ± {output.spread:.2f}" if output.spread is not None else ""
    gain = "" if row.gain is None else f"{row.gain:+.2f}"
    if row.verdict(row.gain_interval) == "better":
        gain = strong(gain)
    beside = "" if row.beside is None else f"{row.beside:.2f}"
    return [
        row.place,
        names[output] + ("" if row.scored else " °"),
        f"{output.value:.2f}{spread}",
        _range(row.interval),
        "one seed" if len(output.seeds) == 1 else str(len(output.seeds)),
        beside,
        gain + (f" ({_range(row.gain_interval, sign='+')})" if row.gain_interval else ""),
    ]


def _range(interval: Interval | None, sign: str = "") -> str:
    return "" if interval is None else f"{interval[0]:{sign}.2f} .. {interval[1]:{sign}.2f}"


def _names(board: Board) -> dict[Output, str]:
    return labels([row.output for row in board.rows])


def _in_order(place: Place) -> tuple[object, ...]:
    dataset, task, metric, part, n = place.column
    number = (2, 0) if n == "all" else (0, 0) if n == "" else (1, int(n))
    return dataset, task, part != "", place.preset, metric, number, part, place.data, str(place.draws), str(place.images)
