"""Boards side by side as one table for a paper: a row an output, a column a number, the best bold where they are told apart.

In Markdown or in LaTeX (booktabs). What is bold is decided within a section of its board alone: of one class and head.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Literal

from lmbench.printable import counted, inside, markdown, printable, without_folders
from lmbench.results.boards import OF_TWO, Board
from lmbench.results.outputs import CLASSES, CONTROL, FLOOR, SUPERVISED, Output, head_of, labels, numbers
from lmbench.results.ranking import Interval, Ranked, Section

Beside = Literal["interval", "spread", "nothing"]
"""What stands beside a value: its 95 % interval, its standard deviation over seeds (of one seed over draws), or nothing."""

MARKS = {SUPERVISED: "†", CONTROL: "‡"}
MEANING = {SUPERVISED: "supervised by the target's labels", CONTROL: "untrained"}
TEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    "†": r"$^\dagger$", "‡": r"$^\ddagger$", "±": r"$\pm$", "↓": r"$\downarrow$", "↑": r"$\uparrow$",
}  # fmt: skip
MINUS = "$-$"
ESCAPED = re.compile("|".join(map(re.escape, TEX)))


@dataclass(frozen=True)
class Cell:
    """One number. ``best``: no other of its section is told to be better, and some are told to be worse."""

    value: float
    interval: Interval | None
    spread: float | None
    best: bool

    def beside(self, what: Beside) -> str:
        if what == "interval" and self.interval is not None:
            return f"[{self.interval[0]:z.2f}, {self.interval[1]:z.2f}]"
        return f"± {self.spread:.2f}" if what == "spread" and self.spread is not None else ""


@dataclass(eq=False)
class SheetLine:
    """An output with a head, and its numbers by their columns."""

    output: Output
    head: str
    cells: dict[int, Cell] = field(default_factory=dict)

    @property
    def runs(self) -> set[str]:
        return {record.run for record, _ in self.output.measured.values()}


@dataclass(frozen=True)
class Sheet:
    """``boards``: one a column; ``groups``: lines of one class and head below their name."""

    boards: tuple[Board, ...]
    groups: tuple[tuple[str, tuple[SheetLine, ...]], ...]

    @property
    def lines(self) -> list[SheetLine]:
        return [line for _, lines in self.groups for line in lines]


def sheet(boards: Sequence[Board]) -> Sheet:
    """The boards as columns of one table.

    Numbers that no head stands behind (matching) belong to every line that the same runs measured.
    """
    lines: dict[tuple[Any, ...], SheetLine] = {}
    headless: list[tuple[int, Cell, Output]] = []
    for column, board in enumerate(boards):
        for section in board.sections:
            for ranked in section.rows:
                cell, head = _cell(ranked, section), head_of(ranked.output.row)
                if not head:
                    headless.append((column, cell, ranked.output))
                    continue
                key = (*_identity(ranked.output), head)
                if column in lines.setdefault(key, SheetLine(ranked.output, head)).cells:
                    key = (*key, section.scope.protocol)  # the same head with other settings
                    lines.setdefault(key, SheetLine(ranked.output, head))
                lines[key].cells[column] = cell
    for column, cell, output in headless:
        own = SheetLine(output, "")
        measured = [line for line in lines.values() if line.head and line.runs & own.runs]
        for line in measured or [lines.setdefault(_identity(output), own)]:
            line.cells[column] = cell
    return Sheet(tuple(boards), tuple(_groups(lines.values())))


def _identity(output: Output) -> tuple[Any, ...]:
    record = output.record
    return record.method, record.variant, record.pretrain_on, output.recipe, output.kind


def _cell(ranked: Ranked, section: Section) -> Cell:
    judged = section.kind not in (CONTROL, FLOOR) and any(row.first > 1 for row in section.rows)
    output = ranked.output
    spread = output.over_draws if output.spread is None else output.spread
    return Cell(output.value, ranked.interval, spread, judged and ranked.first == 1)


def _groups(lines: Iterable[SheetLine]) -> Iterator[tuple[str, tuple[SheetLine, ...]]]:
    order = list(CLASSES)

    def place(line: SheetLine) -> tuple[int, str]:
        return order.index(line.output.kind), line.head

    for (kind, head), own in groupby(sorted(lines, key=place), place):
        named = f"{CLASSES[order[kind]]}, head {head.rpartition(':')[2]}" if head else CLASSES[order[kind]]
        yield named, tuple(sorted(own, key=_order))


def _order(line: SheetLine) -> tuple[Any, ...]:
    """By the first number of a line, the best first."""
    column = min(line.cells)
    sign = -1 if line.output.row.higher_is_better else 1
    return column, sign * line.cells[column].value, line.output.record.method, line.output.record.variant


def as_markdown(made: Sheet, beside: Beside = "interval") -> str:
    """The table, and below it what its signs mean."""
    heads = ["method, output", *(", ".join(filter(None, [board.measure, _column(board)])) for board in made.boards)]
    names, body = _names(made), []
    for title, lines in made.groups:
        body.append([f"**{title}**", *[""] * len(made.boards)])
        for line in lines:
            cells = [_plain(line.cells.get(i), beside) for i in range(len(made.boards))]
            body.append([names[line], *cells])
    return f"{markdown(heads, body)}\n{' '.join(map(inside, notes(made, beside)))}\n"


def _plain(cell: Cell | None, beside: Beside) -> str:
    if cell is None:
        return ""
    value = f"**{cell.value:.2f}**" if cell.best else f"{cell.value:.2f}"
    return " ".join(filter(None, [value, cell.beside(beside)]))


def as_latex(made: Sheet, beside: Beside = "interval") -> str:
    """A ``tabular`` with the rules of booktabs, above it its caption as a comment: what the signs mean. Names are escaped."""
    names, columns = _names(made), len(made.boards)
    heads = [(f"{board.scope.column[1]}, {board.measure}", len(list(same))) for board, same in _spans(made.boards)]
    out = [rf"% \caption{{{tex(' '.join(notes(made, beside)))}}}", r"% \usepackage{booktabs}"]
    out += [rf"\begin{{tabular}}{{l{'r' * columns}}}", r"\toprule"]
    out.append(_row(["", *(rf"\multicolumn{{{n}}}{{c}}{{{tex(head)}}}" for head, n in heads)]))
    starts = [2 + sum(n for _, n in heads[:i]) for i in range(len(heads))]
    out.append(" ".join(rf"\cmidrule(lr){{{a}-{a + n - 1}}}" for a, (_, n) in zip(starts, heads, strict=True)))
    out.append(_row(["method", *(rf"\multicolumn{{1}}{{c}}{{{tex(_column(board))}}}" for board in made.boards)]))
    for title, lines in made.groups:
        out += [r"\midrule", _row([rf"\multicolumn{{{columns + 1}}}{{l}}{{\emph{{{tex(title)}}}}}"])]
        for line in lines:
            cells = [_typeset(line.cells.get(i), beside) for i in range(columns)]
            out.append(_row([tex(names[line].replace("`", "")), *cells]))
    return "\n".join([*out, r"\bottomrule", r"\end{tabular}", ""])


def _spans(boards: Sequence[Board]) -> Iterator[tuple[Board, list[Board]]]:
    """Neighbouring columns of one task and measure, below one head."""
    for _, same in groupby(boards, lambda board: (board.scope.column[:2], board.measure)):
        own = list(same)
        yield own[0], own


def _row(cells: Sequence[str]) -> str:
    return f"{' & '.join(cells)} \\\\"


def _typeset(cell: Cell | None, beside: Beside) -> str:
    if cell is None:
        return r"\multicolumn{1}{c}{--}"
    value = rf"\textbf{{{cell.value:.2f}}}" if cell.best else f"{cell.value:.2f}"
    said = cell.beside(beside)
    return rf"{value} {{\scriptsize {tex(said).replace('-', MINUS)}}}" if said else value


def tex(text: str) -> str:
    """A text as LaTeX shows it, whatever it holds."""
    return ESCAPED.sub(lambda found: TEX[found[0]], " ".join(printable(text).split()))


def _column(board: Board) -> str:
    """What tells a column from its neighbours: part, number of annotations, and the draws behind them."""
    _, _, _, part, n = board.scope.column
    drawn = f" ({counted(board.scope.draws, 'draw')})" if board.scope.draws else ""
    return ", ".join(filter(None, [part, f"n = {n}{drawn}" if n else ""]))


def _names(made: Sheet) -> dict[SheetLine, str]:
    """What lines are called, with a mark for what learned from labels and what was not trained.

    Of one name within a group, the version of lmbench tells lines apart, else what `labels` finds.
    """
    named: dict[SheetLine, str] = {}
    for _, lines in made.groups:
        called = labels([line.output for line in lines])
        for line in lines:
            alike = [other for other in lines if _called(other) == _called(line)]
            if len({other.output.versions for other in alike}) == len(alike) > 1:
                name = f"{_called(line)}, lmbench {', '.join(line.output.versions)}"
            else:
                name = called[line.output]
            named[line] = name + MARKS.get(line.output.kind, "")
    return named


def _called(line: SheetLine) -> str:
    return f"`{line.output.record.method}`, {line.output.record.variant}"


def notes(made: Sheet, beside: Beside) -> list[str]:
    """What stands behind the numbers and what the signs mean, a sentence each."""
    first = made.boards[0]
    records = [record for line in made.lines for record, _ in line.output.measured.values()]
    seeds = sorted({record.seed for record in records})
    versions = sorted({record.version for record in records}, key=numbers)
    kinds = {line.output.kind for line in made.lines}
    cells = [cell for line in made.lines for cell in line.cells.values()]
    told = {
        "interval": "In brackets: 95 % over test images, draws and seeds.",
        "spread": "±: standard deviation over seeds; of one seed over its draws.",
        "nothing": "",
    }
    said = [
        f"{without_folders(first.scope.column[0])}, preset {first.scope.preset}, seed{'s' if len(seeds) > 1 else ''} "
        f"{', '.join(map(str, seeds))}, lmbench {', '.join(versions)}.",
        told[beside],
        f"{OF_TWO}." if beside == "interval" and any(len(line.output.seeds) == 2 for line in made.lines) else "",
        "Bold: not told from the best of its section by the paired test." if any(c.best for c in cells) else "",
        *(f"{mark}: {MEANING[kind]}." for kind, mark in MARKS.items() if kind in kinds),
    ]
    return list(filter(None, said))
