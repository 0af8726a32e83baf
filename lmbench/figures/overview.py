"""Every number of some methods beside their untrained controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lmbench.errors import LmbenchError, UsageError
from lmbench.figures.asking import Asked, Drawn, Line, basis, head_name, require_same_images, suiting
from lmbench.figures.catalogue import find_figure
from lmbench.heads.specs import MEAN_SHAPE
from lmbench.printable import counted
from lmbench.report.plots import look_of
from lmbench.report.style import GREY, legend_below, new_figure, wrapped
from lmbench.results.boards import OF_TWO, Board, boards, with_parts
from lmbench.results.leaderboard import ranked_records
from lmbench.results.outputs import CONTROL, kind_of, untrained_of
from lmbench.results.ranking import Ranked
from lmbench.results.record import Record
from lmbench.results.sides import Place, side_of_control

NARROW = 38.0  # mm; a panel is no narrower
ROW = 5.0  # mm at least, of a method


def overview(asked: Asked) -> Drawn:
    """A panel a number, a row a method: its value with the 95 % interval, hollow its untrained control, dashed the mean shape.

    Controls are those that are given, else those that lie beside the runs, else what the records say beside their numbers.
    """
    require_same_images(asked.lines)
    rows = [line for line in asked.lines if not _shown_beside(line, asked.lines)]
    lines = [line for line in rows if head_name(line.record) != MEAN_SHAPE] or rows
    records = {run.name: run.record for line in asked.lines for run in line.runs}
    for line in lines:
        records |= {record.run: record for record in _controls(line, records, asked.task)}
    found = with_parts(boards(ranked_records(records.values())))
    order = [row.key for record in records.values() for row in record.rows]
    found.sort(key=lambda board: order.index(board.rows[0].output.row.key))  # the tasks as the runs were asked for them
    panels = [b for b in found if asked.task in ("", b.scope.column[1]) and any(_rows_of(b, lines))]
    if not panels:
        raise UsageError(f"--task {asked.task}: no number of it stands in the records of {asked.names}.")
    floors = [_floor(board, asked.lines) for board in panels]
    said = [
        "Numbers of each method with their 95 % intervals over test images, draws and seeds",
        OF_TWO if any(len(line.runs) == 2 for line in lines) else "",
        "hollow: the same recipe untrained",
        "dashed: the mean shape" if any(floor is not None for floor in floors) else "",
        *basis(asked.lines),
    ]
    return Drawn.saying(_draw(asked, panels, lines, floors), said)


def _shown_beside(line: Line, lines: Sequence[Line]) -> bool:
    """Whether it is the control of another line, in whose row it stands."""
    return any(untrained_of(line.record, other.record) for other in lines)


def _controls(line: Line, records: Mapping[str, Record], task: str) -> list[Record]:
    own = line.record
    if kind_of(own) == CONTROL or any(untrained_of(record, own) for record in records.values()):
        return []
    try:
        side = side_of_control(line.side, Place(line.first.folder.parent), suiting(find_figure("overview"), task))
    except LmbenchError:
        return []
    return [run.record for run in side.runs.values()]


def _rows_of(board: Board, lines: Sequence[Line]) -> list[Ranked | None]:
    """Of each line its row on a board."""
    by_run = {record.run: row for row in board.rows for record, _ in row.output.measured.values()}
    return [next((by_run[run.name] for run in line.runs if run.name in by_run), None) for line in lines]


def _draw(asked: Asked, panels: Sequence[Board], lines: Sequence[Line], floors: Sequence[float | None]) -> Any:
    from matplotlib.lines import Line2D

    page, titles = asked.page, _titles(panels)
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
        for line, middle, ranked in zip(lines, middles, _rows_of(board, lines), strict=True):
            if ranked is not None:
                _row(axis, middle, ranked, asked.looks[line][0])
        floor = floors[place]
        if floor is not None:
            axis.axvline(floor, color=GREY, linestyle="--", linewidth=0.9)
        axis.set(ylim=(height, 0), title=wrapped(titles[place], room / columns, page))
        axis.set_yticks(middles, names if place % columns == 0 else [""] * len(lines))
        row0 = board.rows[0].output.row
        better = "right is better" if row0.higher_is_better else "left is better"
        axis.set_xlabel(f"{row0.metric}, {row0.unit}\n({better})")
        axis.grid(False, axis="y")
        axis.margins(x=0.12)
        if all(row.output.value >= 0 for row in board.rows):
            axis.set_xlim(left=max(0.0, axis.get_xlim()[0]))  # an interval of two seeds may reach below
    handles = [
        Line2D([], [], color="black", marker="o", label="trained, 95 %"),
        Line2D([], [], color="black", marker="o", markerfacecolor="white", linestyle="", label="untrained"),
    ]
    if any(floor is not None for floor in floors):
        handles.append(Line2D([], [], color=GREY, linestyle="--", label="mean shape"))
    legend_below(figure, page, handles)
    return figure


def _row(axis: Any, row: float, ranked: Ranked, number: int) -> None:
    solid, hollow = (look_of(number, kind) | {"linestyle": ""} for kind in ("measured", "control"))
    if ranked.beside is not None:
        axis.plot([ranked.beside, ranked.output.value], [row, row], color="#bbbbbb", linewidth=0.8, zorder=1)
        axis.plot(ranked.beside, row, zorder=2, **hollow)
    if ranked.interval is not None:
        axis.plot(ranked.interval, [row, row], color=solid["color"], linewidth=1.4, zorder=2)
    untrained = ranked.output.kind == CONTROL
    axis.plot(ranked.output.value, row, zorder=3, **(hollow if untrained else solid))


def _floor(board: Board, lines: Sequence[Line]) -> float | None:
    """What the mean shape gives of a board's number: measured among the lines, or stated by a record beside its own."""
    keys = {row.output.row.key for row in board.rows}
    for ranked in board.rows:
        if head_name(ranked.output.record) == MEAN_SHAPE:
            return ranked.output.value
    for line in lines:
        for beside in line.record.references:
            if beside.reference == MEAN_SHAPE and beside.key in keys:
                return beside.value
    return None


def _titles(panels: Sequence[Board]) -> list[str]:
    """What each board is of; of several alike also how many draws it has."""
    made = []
    for board in panels:
        _, task, _, part, n = board.scope.column
        made.append(", ".join(filter(None, [task, part, f"n = {n}" if n else ""])))
    drawn = [f" ({counted(board.scope.draws, 'draw')})" if board.scope.draws else "" for board in panels]
    return [title + drawn[i] if made.count(title) > 1 else title for i, title in enumerate(made)]
