"""A board as people read it: first what it can and cannot tell, then its rows in sections, each beside its own control.

The same rows make the tables of documents, those on the terminal and the pages beside the CSVs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from lmbench.printable import counted, inside, markdown, without_folders
from lmbench.results.outputs import (
    CLASSES,
    CONTROL,
    FLOOR,
    SUPERVISED,
    Output,
    Scope,
    grouped,
    head_of,
    labels,
    numbers,
    protocol_of,
)
from lmbench.results.ranking import Interval, Ranked, Section, smallest_difference

COLUMNS = ("place", "method, output", "", "95 %", "seeds", "control", "less its control")


@dataclass(frozen=True)
class Board:
    """The sections of one column, preset and data: what stands in one table."""

    scope: Scope
    sections: tuple[Section, ...]

    @property
    def rows(self) -> list[Ranked]:
        return [row for section in self.sections for row in section.rows]

    @property
    def whole(self) -> bool:
        """Whether it is of a task's whole, not of a part of it."""
        return not self.scope.column[3]

    @property
    def measure(self) -> str:
        """``iod ↓, percent``."""
        row = self.rows[0].output.row
        return f"{row.metric} {'↑' if row.higher_is_better else '↓'}, {row.unit}"

    @property
    def title(self) -> str:
        """The column in words; the data is told in the first line."""
        dataset, _, _, part, n = self.scope.column
        drawn = f" ({counted(self.scope.draws, 'draw')})" if self.scope.draws else ""
        said = [
            f"{without_folders(dataset)}, preset {self.scope.preset}: {self.measure}",
            part,
            f"n = {n}{drawn}" if n else "",
        ]
        return ", ".join(filter(None, said))


def boards(sections: Iterable[Section]) -> list[Board]:
    """The boards of sections: the fewest annotations first, and parts behind the whole."""
    found: dict[Scope, list[Section]] = {}
    for section in sections:
        found.setdefault(section.scope.judged, []).append(section)
    order = list(CLASSES)
    made = [
        Board(scope, tuple(sorted(own, key=lambda s: (order.index(s.kind), _age(s), -len(s.rows), s.scope.protocol))))
        for scope, own in found.items()
    ]
    return sorted(made, key=lambda board: _in_order(board.scope))


def _age(section: Section) -> tuple[int, ...]:
    """Sorts sections of the newest version first."""
    newest = max(numbers(version) for row in section.rows for version in row.output.versions)
    return tuple(-number for number in newest[:2])


def with_parts(found: Sequence[Board], parts: Sequence[str] = ()) -> list[Board]:
    """The boards of a task's whole and of some parts; all of a task whose results have no whole."""
    whole = {board.scope.column[:2] for board in found if board.whole}
    return [b for b in found if b.whole or b.scope.column[3] in parts or b.scope.column[:2] not in whole]


def as_markdown(found: Sequence[Board]) -> str:
    """The boards one below the other."""
    made = []
    for board in found:
        first, *more = map(inside, what_it_tells(board))
        listed = "".join(f"* {said}\n" for said in more)
        made.append(
            f"**{inside(board.title)}**\n\n{first}\n\n{listed}\n{markdown(columns(board), lines(board, bold=True))}"
        )
    return "\n".join(made)


def columns(board: Board) -> list[str]:
    """The heads of a board's table."""
    return [name or board.measure for name in COLUMNS]


def lines(board: Board, bold: bool = False) -> list[list[str]]:
    """The cells of a board's table; each section below a line of its name. ``bold``: in Markdown."""
    names = names_of(board)
    strong: Callable[[str], str] = (lambda text: f"**{text}**") if bold else (lambda text: text)
    marked = any(row.scored for row in board.rows)
    made = []
    for section in board.sections:
        made.append(["", strong(section_name(section, board)), *[""] * (len(COLUMNS) - 2)])
        made += [_cells(row, names, strong, marked) for row in section.rows]
    return made if bold else [[cell.replace("`", "") for cell in line] for line in made]


def section_name(section: Section, board: Board) -> str:
    """The class of a section, and its head where that is not all rows' own; of several protocols of a head what differs."""
    own = section.rows[0].output.row
    protocols = {other.scope.protocol: other.rows[0].output.row for other in board.sections}
    alike = [protocol_of(row) for row in protocols.values() if head_of(row) == head_of(own)]
    mine = protocol_of(own)
    names = sorted(name for name in {*mine}.union(*alike) if any(other.get(name) != mine.get(name) for other in alike))
    differs = f"protocol {section.scope.protocol}, others differ in {', '.join(names[:4])}" if names else ""
    head = f"head {head_of(own).rpartition(':')[2]}" if head_of(own) else ""
    return ", ".join(filter(None, [CLASSES[section.kind], head if len(protocols) > 1 or head else "", differs]))


def what_it_tells(board: Board) -> list[str]:
    """What a board can and cannot tell: what is read of it first, and a line for each kind of verdict."""
    names = _told_apart(board)
    compared = [row for row in board.rows if row.output.kind not in (CONTROL, FLOOR)]
    first = " ".join([_basis(board), _seeds(board), _resolution(board)])
    return [first, *_against_controls(compared, names), *_against_floors(compared, names)]


def _basis(board: Board) -> str:
    scope = board.scope
    versions = sorted({version for row in board.rows for version in row.output.versions}, key=numbers)
    said = [
        counted(scope.images, "test image") if scope.images else "",
        f"{counted(scope.draws, 'draw')} of annotated images" if scope.draws else "",
        f"data {scope.data}" if scope.data else "",
        f"lmbench {', '.join(versions)}",
    ]
    return f"{', '.join(filter(None, said))}."


OF_TWO = (
    "An interval over 2 seeds reaches up to 12.7 standard errors either way (Student's t), even below 0: where it is wide, two "
    "trainings tell too little"
)


def _seeds(board: Board) -> str:
    """How many seeds stand behind the rows; floors learn nothing that a seed could change."""
    rows = [row for row in board.rows if row.output.kind != FLOOR]
    if not rows:
        return "Floors alone."
    counts = sorted({len(row.output.seeds) for row in rows} - {1}, reverse=True)
    said = [f"{sum(len(row.output.seeds) == count for row in rows)} over {count} seeds" for count in counts]
    single = sum(len(row.output.seeds) == 1 for row in rows)
    if single:
        said.append(f"{single} with one seed, whose interval and place know nothing of another training")
    pair = f" {OF_TWO}; ± is the standard deviation over seeds." if 2 in counts else ""
    return f"{counted(len(rows), 'row')} besides floors: {', '.join(said)}.{pair}"


def _resolution(board: Board) -> str:
    """From what difference on rows are told apart, and how many pairs were."""
    protocols = {section.scope.protocol for section in board.sections}
    apart = f" The {len(protocols)} heads and settings of heads are never ranked as one." if len(protocols) > 1 else ""
    pairs, told = (sum(getattr(section, name) for section in board.sections) for name in ("pairs", "apart"))
    if not pairs:
        return f"No two rows are ranked as one.{apart}"
    lacking = sum(not row.scored for row in board.rows)
    said = f"{told} of {pairs} pairs within a section are told apart"
    if lacking == len(board.rows):
        said += ": those whose intervals have nothing in common, for no scores image by image are kept"
        return f"{said}.{apart}"
    smallest = smallest_difference(board.sections)
    if smallest is not None:
        said += f", typically from a difference of {smallest:.2f} {board.rows[0].output.row.unit} on"
    own = f" {lacking} (°) without kept scores: ranked by intervals that have nothing in common." if lacking else ""
    return f"{said}; at most one in twenty of them is expected to be wrong.{own}{apart}"


VERDICTS = {
    "better": "Better than their control",
    "open": "Not told from their control",
    "worse": "Worse than their control",
}
NO_INTERVAL, NO_CONTROL = "Beside a control that has no interval", "Without a control"


def _against_controls(rows: Sequence[Ranked], names: Mapping[Output, str]) -> list[str]:
    """Which rows beat their own control; what the labels of the target train has none."""
    said: dict[str, list[str]] = {what: [] for what in (*VERDICTS.values(), NO_INTERVAL, NO_CONTROL)}
    for row in rows:
        if row.control is not None:
            said[VERDICTS[row.verdict(row.gain_interval)]].append(names[row.output])
        elif row.beside is not None or row.output.kind != SUPERVISED:
            said[NO_CONTROL if row.beside is None else NO_INTERVAL].append(names[row.output])
    return [f"{what}: {_listed(found)}." for what, found in said.items() if found]


def _against_floors(rows: Sequence[Ranked], names: Mapping[Output, str]) -> list[str]:
    floors = sorted({floor for row in rows for floor in row.floors}, key=lambda floor: floor.order)
    said = []
    for floor in floors:
        behind = [names[row.output] for row in rows if row.verdict(row.floors.get(floor)) != "better"]
        said.append(f"Not told to be better than the floor {names[floor]}: {_listed(behind) or 'none'}.")
    return said


def _listed(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))


def _cells(row: Ranked, names: Mapping[Output, str], strong: Callable[[str], str], marked: bool) -> list[str]:
    """``marked``: a row without kept scores gets a sign, for others have them."""
    output = row.output
    spread = f" ± {output.spread:.2f}" if output.spread is not None else ""
    gain = "" if row.gain is None else f"{row.gain:+.2f}"
    if row.verdict(row.gain_interval) == "better":
        gain = strong(gain)
    beside = "" if row.beside is None else f"{row.beside:.2f}"
    if row.control is not None and not row.control.untrained_of(output):
        beside += f", {names[row.control].replace('`', '')}"
    return [
        row.place,
        names[output] + (" °" if marked and not row.scored else ""),
        f"{output.value:.2f}{spread}",
        _range(row.interval),
        "one seed" if len(output.seeds) == 1 else str(len(output.seeds)),
        beside,
        gain + (f" ({_range(row.gain_interval, sign='+')})" if row.gain_interval else ""),
    ]


def _range(interval: Interval | None, sign: str = "") -> str:
    return "" if interval is None else f"{interval[0]:{sign}z.2f} .. {interval[1]:{sign}z.2f}"


def names_of(board: Board, short: bool = False) -> dict[Output, str]:
    """What its rows are called; names are told apart within one protocol, outside of which no two are compared."""
    named: dict[Output, str] = {}
    for own in grouped((row.output for row in board.rows), lambda output: output.scope.protocol).values():
        named |= labels(own, short)
    return named


def _told_apart(board: Board) -> dict[Output, str]:
    """What its rows are called in a sentence on all of them: those of one name by their heads too, or by their protocols."""
    names = names_of(board, short=True)
    facts: tuple[Callable[[Output], str], ...] = (
        lambda output: head_of(output.row).rpartition(":")[2],
        lambda output: output.scope.protocol,
    )
    for fact in facts:
        for own in grouped(names, names.__getitem__).values():
            if len({fact(output) for output in own}) > 1:
                names = names | {output: f"{names[output]} ({fact(output)})" for output in own}
    return names


def _in_order(scope: Scope) -> tuple[object, ...]:
    dataset, task, metric, part, n = scope.column
    number = (2, 0) if n == "all" else (0, 0) if n == "" else (1, int(n))
    return (
        dataset,
        task,
        part != "",
        scope.preset,
        metric,
        number,
        part,
        scope.data,
        str(scope.draws),
        str(scope.images),
    )
