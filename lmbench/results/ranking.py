"""Places on a board: rows share those that the paired test cannot tell apart, and stand beside their own controls.

Rows are ranked within a section: one scope (column, preset, data, protocol) and one class of what they learned from. All pairs of
a section are tested (`lmbench.results.scores.difference_of`: the same images for both, seeds and draws too where both have
them), and a pair is *told apart* where its p is below the bound of Benjamini and Hochberg (1995) over the section's pairs: of the
pairs told apart at most one in twenty is expected to be wrong, however many were tried. (Holm's bound on any error at all asks
of three seeds, whose Student's factor grows fast, for differences that few boards have.) A row's place is every place that it
takes in the orders which agree with all pairs told apart: ``1-3`` is somewhere from first to third.
A row whose kept scores are not there is told apart from another only where the two rows' own intervals have nothing in common.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from statistics import fmean, median

from lmbench.results.outputs import CLASSES, FLOOR, Output, Scope, beside_of, control_among, grouped
from lmbench.results.record import Key, Record
from lmbench.results.resampling import Estimate
from lmbench.results.scores import Scores, difference_of, estimate_of, unpaired

FALSE_SHARE = 0.05  # of the pairs told apart, how many may be expected to be wrong

ScoresOf = Callable[[Record], Mapping[Key, Scores]]
"""What each number of a run is the mean of, as far as it was kept."""
Interval = tuple[float, float]


def nothing_kept(record: Record) -> Mapping[Key, Scores]:
    """No scores: what boards of records alone are made with."""
    del record
    return {}


@dataclass(frozen=True, eq=False)
class Ranked:
    """A row with its place, ``first`` to ``last`` of its section. ``scored``: the scores of all its seeds are kept.

    ``beside``: the control's value, that of the row ``control`` or, where there is none, of the records' own references, which
    give no interval. ``gain``: the row less its control.
    """

    output: Output
    first: int
    last: int
    interval: Interval | None
    scored: bool
    control: Output | None = None
    beside: float | None = None
    gain: float | None = None
    gain_interval: Interval | None = None
    floors: Mapping[Output, Interval | None] = field(default_factory=dict)
    """The row less each floor of the same images, whatever head that has."""

    @property
    def place(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"

    def verdict(self, interval: Interval | None) -> str:
        """``better``, ``worse`` or ``open``, by an interval of this row less another."""
        if interval is None or interval[0] <= 0 <= interval[1]:
            return "open"
        return "better" if (interval[0] > 0) == self.output.row.higher_is_better else "worse"


@dataclass(frozen=True, eq=False)
class Section:
    """Rows that are ranked as one. ``pairs`` were tried, ``told`` (better, worse) are those that were told apart; ``widths``:
    half the paired intervals."""

    scope: Scope
    kind: str
    rows: tuple[Ranked, ...]
    pairs: int
    told: frozenset[tuple[Output, Output]]
    widths: tuple[float, ...]

    @property
    def apart(self) -> int:
        """How many pairs were told apart."""
        return len(self.told)


def sections(outputs: Sequence[Output], scores: ScoresOf = nothing_kept) -> list[Section]:
    """The rows in their sections: by scope, and within one in the order of the classes."""
    judge = _Judge(outputs, scores)
    found = []
    for scope, here in grouped(outputs, lambda output: output.scope).items():
        by_class = grouped(here, lambda output: output.kind)
        found += [judge.section(scope, kind, by_class[kind], here) for kind in CLASSES if kind in by_class]
    return found


def told_apart(chances: Sequence[float], share: float = FALSE_SHARE) -> list[bool]:
    """Which of some p are below the bound of Benjamini and Hochberg: the largest i-th smallest that is at most i / n of
    ``share``, and all that are no larger."""
    ordered = sorted(chances)
    passing = [p for i, p in enumerate(ordered, 1) if p <= share * i / len(ordered)]
    return [bool(passing) and p <= passing[-1] for p in chances]


def places(ordered: Sequence[Output], told: Iterable[tuple[Output, Output]]) -> dict[Output, tuple[int, int]]:
    """The first and the last place that each row takes in any order that agrees with the pairs ``told`` (better, worse).

    ``ordered``: the best first, so that no pair runs against it.
    """
    ahead: dict[Output, set[Output]] = {row: set() for row in ordered}
    for better, worse in told:
        ahead[worse].add(better)
    for row in ordered:  # what is better than a better row is better too
        ahead[row] |= {further for better in ahead[row] for further in ahead[better]}
    behind = Counter(better for rows in ahead.values() for better in rows)
    return {row: (1 + len(ahead[row]), len(ordered) - behind[row]) for row in ordered}


class _Judge:
    """Intervals of rows and of their differences, the scores of each run read once."""

    def __init__(self, outputs: Sequence[Output], scores: ScoresOf) -> None:
        kept = {record.run: scores(record) for output in outputs for record, _ in output.measured.values()}
        self.scores: dict[Output, dict[int, Scores] | None] = {}
        for output in outputs:
            found = {seed: kept[record.run].get(row.key) for seed, (record, row) in output.measured.items()}
            whole = {seed: scores for seed, scores in found.items() if scores is not None}
            self.scores[output] = whole if len(whole) == len(found) and not unpaired(whole, whole) else None
        self.intervals = {output: self.interval(output) for output in outputs}
        self.floors = grouped((o for o in outputs if o.kind == FLOOR), lambda output: output.scope.judged)

    def section(self, scope: Scope, kind: str, rows: Sequence[Output], here: Sequence[Output]) -> Section:
        pairs = list(combinations(rows, 2))
        paired = {pair: found for pair in pairs if (found := self.paired(*pair)) is not None}
        chances = [1.0 if found.p is None else found.p for found in paired.values()]
        apart = {pair for pair, told in zip(paired, told_apart(chances), strict=True) if told}
        apart |= {pair for pair in pairs if pair not in paired and self.nothing_in_common(*pair)}
        ordered = sorted(rows, key=lambda row: row.order)
        told = frozenset((a, b) if a.better(b) else (b, a) for a, b in apart)
        spans = places(ordered, told)
        ranked = [self.ranked(row, *spans[row], here) for row in ordered]
        widths = [
            (found.high - found.low) / 2
            for found in paired.values()
            if found.low is not None and found.high is not None
        ]
        return Section(scope, kind, tuple(ranked), len(pairs), told, tuple(widths))

    def ranked(self, row: Output, first: int, last: int, here: Sequence[Output]) -> Ranked:
        control = control_among(row, here)
        beside = beside_of(row) if control is None else control.value
        floors = [] if row.kind == FLOOR else self.floors.get(row.scope.judged, [])
        return Ranked(
            row,
            first,
            last,
            self.intervals[row],
            self.scores[row] is not None,
            control,
            beside,
            None if beside is None else row.value - beside,
            None if control is None else self.less(row, control),
            {floor: self.less(row, floor) for floor in floors},
        )

    def paired(self, a: Output, b: Output) -> Estimate | None:
        """a - b image by image; None where scores are not kept, or not of the same images and labels."""
        ours, theirs = self.scores[a], self.scores[b]
        if ours is None or theirs is None or unpaired(ours, theirs):
            return None
        return difference_of(ours, theirs)

    def less(self, a: Output, b: Output) -> Interval | None:
        """The interval of a - b; unpaired, and so wider, where scores are not kept."""
        found = self.paired(a, b)
        if found is not None:
            return _interval(found)
        ours, theirs = self.intervals[a], self.intervals[b]
        if ours is None or theirs is None:
            return None
        half = math.hypot(ours[1] - ours[0], theirs[1] - theirs[0]) / 2
        return a.value - b.value - half, a.value - b.value + half

    def interval(self, row: Output) -> Interval | None:
        """The interval of a row: of its scores, else of what its records say."""
        scores = self.scores[row]
        return _of_records(row) if scores is None else _interval(estimate_of(scores))

    def nothing_in_common(self, a: Output, b: Output) -> bool:
        ours, theirs = self.intervals[a], self.intervals[b]
        return bool(ours and theirs and (ours[1] < theirs[0] or theirs[1] < ours[0]))


def smallest_difference(found: Sequence[Section]) -> float | None:
    """What two rows typically have to differ by to be told apart: the median half-width of the paired intervals."""
    widths = [width for section in found for width in section.widths]
    return median(widths) if widths else None


def _interval(found: Estimate) -> Interval | None:
    return None if found.low is None or found.high is None else (found.low, found.high)


def _of_records(row: Output) -> Interval | None:
    """What records say without scores: images and draws by their own intervals, which seeds share, and Student's factor on the
    spread over seeds."""
    from scipy.special import stdtrit

    intervals = [measured.ci95 for _, measured in row.measured.values()]
    if any(interval is None for interval in intervals):
        return None
    of_images = fmean(((high - low) / 2) ** 2 for low, high in filter(None, intervals))
    count = len(intervals)
    if count == 1:
        return intervals[0]
    of_seeds = float(stdtrit(count - 1, 0.975) * (row.spread or 0.0)) ** 2 / count
    half = math.sqrt(of_images + of_seeds)
    return row.value - half, row.value + half
