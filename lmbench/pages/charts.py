"""Charts of a page as SVG in its text: lines with their points, and bars of values with intervals.

Colours come from the page's style, so that a chart is legible on a dark page too; a line is told from another by its dashes as
well. Written line by line: equal values give equal bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from lmbench.pages.skeleton import shown
from lmbench.results.forest import ticks_of
from lmbench.results.ranking import Interval

WIDTH, HEIGHT = 360, 210  # as wide as a phone, so that letters are as large there
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 10, 38  # px around the axes
LEGEND_LINE = 18
LETTER = 7  # px, about as wide as one is
STYLES = 6  # of lines, which then begin anew
LONGEST = 44  # letters of a name in a legend
POINTS_SHOWN = 24  # of a line that has no more, each as a dot


@dataclass(frozen=True)
class Series:
    """A line through points (x, y), and the interval of each, where it has one."""

    name: str
    points: Sequence[tuple[float, float]]
    intervals: Sequence[Interval | None] = ()


def line_chart(
    series: Sequence[Series],
    x: str,
    y: str,
    alt: str,
    ticks: Sequence[tuple[float, str]] = (),
    logarithmic: bool = False,
    above: Interval | None = None,
) -> Markup:
    """Lines on one pair of axes, called ``x`` and ``y``; ``alt``: what it shows, for who does not see it.

    ``ticks``: of the x axis, with their words, where they are not round numbers. ``above``: the range of the y axis.
    """
    if logarithmic:
        series = [Series(s.name, [(math.log10(a), b) for a, b in s.points], s.intervals) for s in series]
        ticks = [(math.log10(a), said) for a, said in ticks]
    ends = [end for s in series for interval in s.intervals if interval for end in interval]
    left, right = _padded([a for s in series for a, _ in s.points], 0.03 if logarithmic else 0.0)
    low, high = above or _padded([*(b for s in series for _, b in s.points), *ends], 0.06)
    bottom = HEIGHT - BOTTOM

    def at(a: float, b: float) -> tuple[float, float]:
        across = LEFT + (a - left) / (right - left) * (WIDTH - LEFT - RIGHT)
        return across, bottom - (b - low) / (high - low) * (bottom - TOP)

    named = [s for s in series if s.name]
    height = HEIGHT + LEGEND_LINE * len(named)
    body = [f'<title>{_text(alt)}</title><g class="axes">']
    for tick in ticks_of(low, high):
        _, h = at(left, tick)
        body.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{h:.1f}" y2="{h:.1f}"/>')
        body.append(f'<text x="{LEFT - 5}" y="{h + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for tick, said in ticks or [(tick, f"{tick:g}") for tick in ticks_of(left, right)]:
        w, _ = at(tick, low)
        anchor = "middle" if w + LETTER * len(said) / 2 < WIDTH else "end"  # the last one ends where the page does
        body.append(
            f'<text x="{w if anchor == "middle" else WIDTH:.1f}" y="{bottom + 15}" text-anchor="{anchor}">{_text(said)}</text>'
        )
    middle = (LEFT + WIDTH - RIGHT) / 2
    body.append(f'<text x="{middle}" y="{bottom + 32}" text-anchor="middle">{_text(x)}</text>')
    body.append(
        f'<text x="11" y="{(TOP + bottom) / 2}" text-anchor="middle" transform="rotate(-90 11 {(TOP + bottom) / 2})">'
    )
    body.append(f"{_text(y)}</text></g>")
    for number, s in enumerate(series):
        body += _drawn(s, _style(number), at)
    for line, s in enumerate(named):
        h = HEIGHT + LEGEND_LINE * line + 6
        body.append(
            f'<g class="{_style(series.index(s))}"><line x1="{LEFT}" x2="{LEFT + 26}" y1="{h - 4}" y2="{h - 4}"/>'
        )
        name = s.name if len(s.name) <= LONGEST else f"{s.name[: LONGEST - 3]}..."
        body.append(f'<text x="{LEFT + 32}" y="{h}">{_text(name)}</text></g>')
    head = f'<svg class="chart" viewBox="0 0 {WIDTH} {height}" role="img">'
    return Markup("\n".join([head, *body, "</svg>"]))


def bar(value: float, interval: Interval | None, axis: Interval, alt: str, beside: Sequence[float] = ()) -> Markup:
    """A value as a dot on an axis, its interval as a line, and what it is read ``beside`` as hollow dots."""
    low, high = axis

    def x(found: float) -> float:
        return 4 + 192 * (min(max(found, low), high) - low) / (high - low)

    parts = ['<line class="axis" x1="0" x2="200" y1="9" y2="9"/>']
    if interval is not None:
        a, b = map(x, interval)
        parts.append(f'<line class="interval" x1="{a:.1f}" x2="{max(b, a + 1):.1f}" y1="9" y2="9"/>')
    parts += [f'<circle class="beside" cx="{x(found):.1f}" cy="9" r="4"/>' for found in beside]
    parts.append(f'<circle class="value" cx="{x(value):.1f}" cy="9" r="4"/>')
    head = f'<svg class="bar" viewBox="0 0 200 18" role="img"><title>{_text(alt)}</title><g class="learned">'
    return Markup("".join([head, *parts, "</g></svg>"]))


def _style(number: int) -> str:
    """The classes of the n-th line: a colour and a pattern of dashes; as colours begin anew, each has the next pattern."""
    return f"line s{number % STYLES} d{(number + number // STYLES) % STYLES}"


def _drawn(series: Series, style: str, at: object) -> Iterator[str]:
    assert callable(at)
    places = [at(a, b) for a, b in series.points]
    yield f'<g class="{style}"><polyline points="{" ".join(f"{w:.1f},{h:.1f}" for w, h in places)}"/>'
    for (a, _), interval in zip(series.points, series.intervals, strict=False):
        if interval is not None:
            (w, bottom), (_, top) = at(a, interval[0]), at(a, interval[1])
            yield f'<line class="whisker" x1="{w:.1f}" x2="{w:.1f}" y1="{bottom:.1f}" y2="{top:.1f}"/>'
    if len(places) <= POINTS_SHOWN:
        yield from (f'<circle cx="{w:.1f}" cy="{h:.1f}" r="3"/>' for w, h in places)
    yield "</g>"


def _padded(values: Sequence[float], share: float) -> Interval:
    """The range of some values with a margin; one of some width where all are alike."""
    low, high = min(values), max(values)
    margin = share * (high - low) if high > low else 0.1 * abs(high) or 1.0
    return low - margin, high + margin


def _text(text: str) -> str:
    """A text as it stands between tags: in one line, printable, escaped."""
    return str(escape(shown(text).replace("\n", " ")))
