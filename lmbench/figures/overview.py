"""Every number of some methods beside their untrained controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lmbench.errors import LmbenchError, UsageError
from lmbench.figures.asking import Asked, Drawn, Line, basis, require_same_images
from lmbench.report.style import CYCLE, GREY, MARKERS, Page, legend_below, new_figure, wrapped
from lmbench.results.boards import Board, boards, with_parts
from lmbench.results.leaderboard import ranked_records
from lmbench.results.outputs import CONTROL
from lmbench.results.ranking import Ranked
from lmbench.results.record import Record
from lmbench.results.sides import UNTRAINED, Place, control_of

FLOOR = "mean_shape"
NARROW = 38.0  # mm; a panel is no narrower
ROW = 5.0  # mm at least, of a method


def overview(asked: Asked) -> Drawn:
    """A panel a number, a row a method: its value with the 95 % interval, hollow its untrained control, dashed the mean shape.

    Controls are those that are given, else those that lie beside the runs, else what the records say beside their numbers.
    """
    require_same_images(asked.lines)
    lines = [line for line in asked.lines if not _shown_beside(line, asked.lines)]
    records = {run.name: run.record for line in asked.lines for run in line.runs}
    for line in lines:
        records |= {record.run: record for record in _controls(line, records)}
    found = with_parts(boards(ranked_records(records.values())))
    order = [row.key for record in records.values() for row in record.rows]
    found.sort(key=lambda board: order.index(board.rows[0].output.row.key))  # the tasks as the runs were asked for them
    panels = [b for b in found if asked.task in ("", b.scope.column[1]) and any(_rows_of(b, lines))]
    if not panels:
        raise UsageError(f"--task {asked.task}: no number of it stands in the records of {asked.names}.")
    said = [
        "Numbers of each method with their 95 % intervals over test images, draws and seeds; hollow: the same recipe untrained; "
        "dashed: the mean shape",
        *basis(asked.lines),
    ]
    return Drawn.saying(_draw(asked.page, panels, lines), said)


def _shown_beside(line: Line, lines: Sequence[Line]) -> bool:
    """Whether it is the control of another line, in whose row it stands."""
    own = line.record
    return any((own.method, own.variant) == (other.record.method, other.record.variant + UNTRAINED) for other in lines)


def _controls(line: Line, records: Mapping[str, Record]) -> list[Record]:
    own = line.record
    there = [r for r in records.values() if (r.method, r.variant) == (own.method, own.variant + UNTRAINED)]
    if there or own.variant.endswith(UNTRAINED):
        return []
    try:
        side = control_of(line.side, Place(line.first.folder.parent))
    except LmbenchError:
        return []
    return [run.record for run in side.runs.values()]


def _rows_of(board: Board, lines: Sequence[Line]) -> list[Ranked | None]:
    """Of each line its row on a board."""
    by_run = {record.run: row for row in board.rows for record, _ in row.output.measured.values()}
    return [next((by_run[run.name] for run in line.runs if run.name in by_run), None) for line in lines]


def _draw(page: Page, panels: Sequence[Board], lines: Sequence[Line]) -> Any:
    from matplotlib.lines import Line2D

    names = [wrapped(line.label, 0.24 * page.width, page) for line in lines]
    room = page.width * 0.76
    columns = max(1, min(len(panels), int(room / NARROW)))
    heights = [max(ROW, (1.3 + name.count("\n")) * page.line) for name in names]
    height = sum(heights)
    middles = np.cumsum(heights) - np.array(heights) / 2
    count = -(-len(panels) // columns)
    figure = new_figure(page, count * (height + 6.5 * page.line) + page.line + 2)
    axes = figure.subplots(count, columns, squeeze=False)
    for place, axis in enumerate(axes.ravel()):
        if place >= len(panels):
            axis.axis("off")
            continue
        board = panels[place]
        for number, ranked in enumerate(_rows_of(board, lines)):
            if ranked is not None:
                _row(axis, middles[number], ranked, number)
        floor = _floor(board, lines)
        if floor is not None:
            axis.axvline(floor, color=GREY, linestyle="--", linewidth=0.9)
        axis.set(ylim=(height, 0), title=wrapped(_title(board), room / columns, page))
        axis.set_yticks(middles, names if place % columns == 0 else [""] * len(lines))
        row0 = board.rows[0].output.row
        better = "right is better" if row0.higher_is_better else "left is better"
        axis.set_xlabel(f"{row0.metric}, {row0.unit}\n({better})")
        axis.grid(False, axis="y")
        axis.margins(x=0.12)
    handles = [
        Line2D([], [], color="black", marker="o", label="trained, 95 %"),
        Line2D([], [], color="black", marker="o", markerfacecolor="white", linestyle="", label="untrained"),
    ]
    if any(_floor(board, lines) is not None for board in panels):
        handles.append(Line2D([], [], color=GREY, linestyle="--", label="mean shape"))
    legend_below(figure, page, handles)
    return figure


def _row(axis: Any, row: float, ranked: Ranked, number: int) -> None:
    colour, marker = CYCLE[number % len(CYCLE)], MARKERS[number % len(MARKERS)]
    hollow = {"marker": marker, "color": colour, "markerfacecolor": "white", "linestyle": ""}
    if ranked.beside is not None:
        axis.plot([ranked.beside, ranked.output.value], [row, row], color="#bbbbbb", linewidth=0.8, zorder=1)
        axis.plot(ranked.beside, row, zorder=2, **hollow)
    if ranked.interval is not None:
        axis.plot(ranked.interval, [row, row], color=colour, linewidth=1.4, zorder=2)
    untrained = ranked.output.kind == CONTROL
    axis.plot(ranked.output.value, row, zorder=3, **(hollow if untrained else {"marker": marker, "color": colour}))


def _floor(board: Board, lines: Sequence[Line]) -> float | None:
    """What the mean shape gives of a board's number, as a record states it beside its own."""
    keys = {row.output.row.key for row in board.rows}
    for line in lines:
        for beside in line.record.references:
            if beside.reference == FLOOR and beside.key in keys:
                return beside.value
    return None


def _title(board: Board) -> str:
    _, task, _, part, n = board.scope.column
    return ", ".join(filter(None, [task, part, f"n = {n}" if n else ""]))
