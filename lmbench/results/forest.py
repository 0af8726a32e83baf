"""A picture of boards: every row's value and interval on one axis a board, its control as a hollow mark.

The SVG is written line by line, so that equal boards give equal bytes whatever is installed.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Iterator, Sequence

from lmbench.printable import printable
from lmbench.results.boards import Board, section_name
from lmbench.results.outputs import CLASSES, CONTROL, FLOOR, LEARNED, PRETRAINED, SUPERVISED, labels

COLOURS = {LEARNED: "#0072b2", PRETRAINED: "#009e73", SUPERVISED: "#d55e00", CONTROL: "#777777", FLOOR: "#cc79a7"}
"""Of the classes; Okabe and Ito's, which colour-blind readers tell apart."""
NAMES, WIDTH, LINE = 300, 520, 18  # px: the column of names, the axis, a row
LONGEST = 46  # letters of a name


def forest(found: Sequence[Board]) -> str:
    """The boards as an SVG, one below the other."""
    body: list[str] = []
    y = 30
    shown = {section.kind for board in found for section in board.sections}
    for number, kind in enumerate(kind for kind in CLASSES if kind in shown):
        body += [_dot(12 + number * 150, 12, COLOURS[kind]), _text(20 + number * 150, 16, kind)]
    for board in found:
        body += _panel(board, y)
        y += _lines(board) * LINE
    size = f'width="{NAMES + WIDTH + 40}" height="{y}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">'
    return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *body, "</svg>", ""])


def _lines(board: Board) -> int:
    """How many lines a board takes: its title, a name a section, its rows, the axis and a gap."""
    return len(board.rows) + len(board.sections) + 4


def _panel(board: Board, top: int) -> Iterator[str]:
    """One board below ``top``: its title, the axis, and a line a row."""
    names = labels([row.output for row in board.rows])
    low, high = axis_of(v for row in board.rows for v in (row.output.value, row.beside, *(row.interval or ())))
    ticks = ticks_of(low, high)

    def x(value: float) -> float:
        return NAMES + WIDTH * (min(max(value, low), high) - low) / (high - low)

    yield _text(12, top + LINE, board.title, weight="bold")
    bottom = top + (_lines(board) - 2) * LINE
    for tick in ticks:
        yield f'<line x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{top + LINE + 6}" y2="{bottom}" stroke="#dddddd"/>'
        yield _text(x(tick), bottom + 14, f"{tick:g}", anchor="middle")
    y = top + LINE
    for section in board.sections:
        colour = COLOURS[section.kind]
        y += LINE
        yield _text(12, y + 4, section_name(section, board), colour="#666666")
        for row in section.rows:
            y += LINE
            name = names[row.output].replace("`", "")
            yield _text(NAMES - 8, y + 4, name if len(name) <= LONGEST else f"{name[: LONGEST - 3]}...", anchor="end")
            if row.interval is not None:
                a, b = map(x, row.interval)
                yield f'<line x1="{a:.1f}" x2="{b:.1f}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="2"/>'
                if row.interval[0] < low:
                    yield _arrow(a, y, -6, colour)
                if row.interval[1] > high:
                    yield _arrow(b, y, 6, colour)
            if row.beside is not None:
                yield _dot(x(row.beside), y, COLOURS[CONTROL], hollow=True)
            yield _dot(x(row.output.value), y, colour)


def axis_of(shown: Iterable[float | None]) -> tuple[float, float]:
    """What an axis shows: all values, but for those that would leave the others no room. There is one at least."""
    values = sorted(value for value in shown if value is not None)
    middle = values[len(values) // 2]
    reach = 4 * max(values[3 * len(values) // 4] - values[len(values) // 4], 1e-6 * max(1.0, abs(middle)))
    inside = [v for v in values if abs(v - middle) <= reach]
    low, high = inside[0], inside[-1]
    margin = 0.04 * (high - low) or max(1e-6, 0.1 * abs(middle))
    return low - margin, high + margin


def ticks_of(low: float, high: float) -> list[float]:
    """Round values within a range, four to ten of them."""
    step = 10.0 ** math.floor(math.log10((high - low) / 4))
    step *= next(factor for factor in (5, 2, 1) if (high - low) / (step * factor) >= 4)
    return [n * step for n in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _dot(x: float, y: float, colour: str, hollow: bool = False) -> str:
    fill = "white" if hollow else colour
    return f'<circle cx="{x:.1f}" cy="{y}" r="4" fill="{fill}" stroke="{colour}" stroke-width="1.5"/>'


def _arrow(x: float, y: float, size: int, colour: str) -> str:
    """The end of an interval that goes on beyond the axis."""
    return f'<path d="M{x:.1f} {y - 4}L{x + size:.1f} {y}L{x:.1f} {y + 4}z" fill="{colour}"/>'


def _text(x: float, y: float, text: str, anchor: str = "start", weight: str = "normal", colour: str = "black") -> str:
    shown = html.escape(printable(text).replace("\n", " "))
    return f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}" font-weight="{weight}" fill="{colour}">{shown}</text>'
