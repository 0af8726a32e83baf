"""Two outputs on the same images: the difference of each number they share, over the seeds, draws and images of both.

Images, and seeds and draws where both have the same, are paired: what is hard for both is no difference between them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from lmbench.errors import DataError, StaleError
from lmbench.plugins.loading import Plugins
from lmbench.results.record import PREDICTIONS, Key, Record, Row
from lmbench.results.run import Run
from lmbench.results.scores import Scores, difference_of, kept_scores, scores_of, unpaired
from lmbench.results.sides import Side

FREE = ("layers", "dimension", "fitted")
"""Settings of a row that describe the features under comparison; all others are the protocol."""
SEEDED = ("draw_indices", "fitted")
"""Settings that follow from the seed: they are the same for two runs of one seed alone."""
LEVEL = 0.05  # of all that is tried together


@dataclass(frozen=True)
class Comparison:
    """One number of both sides, means over their seeds. ``difference`` is a - b, ``ci95`` its interval, None where one image, or
    one draw of one seed, stands behind it.

    ``p``: how often a difference as large would be seen if there were none. ``survives``: Holm's correction of that for the
    ``tried`` numbers. ``seeds``: those of both, where it says nothing of another training if a side has one; ``paired``:
    whether both have the same. ``spread``: standard deviation of the difference over paired seeds.
    """

    name_a: str
    name_b: str
    task: str
    metric: str
    subset: str | None
    n_annotations: int | str | None
    a: float
    b: float
    difference: float
    ci95: tuple[float, float] | None
    p: float | None
    runs_a: tuple[str, ...]
    runs_b: tuple[str, ...]
    seeds_a: tuple[int, ...]
    seeds_b: tuple[int, ...]
    paired: bool
    spread: float | None
    draws: int | None
    images: int
    unit: str
    higher_is_better: bool
    tried: int = 1
    survives: bool = False

    @property
    def better(self) -> str:
        """``a`` or ``b``, where the interval leaves no difference out, else nothing."""
        if self.ci95 is None or self.ci95[0] <= 0 <= self.ci95[1]:
            return ""
        return "a" if (self.difference > 0) == self.higher_is_better else "b"

    @property
    def one_seed(self) -> bool:
        """Whether it says nothing of another training."""
        return min(len(self.seeds_a), len(self.seeds_b)) == 1

    def entry(self) -> dict[str, Any]:
        """As a JSON object."""
        made = {**asdict(self), "better": self.better, "one_seed": self.one_seed}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in made.items()}


def compare(
    pairs: Sequence[tuple[Side, Side]], plugins: Plugins, tasks: Sequence[str] = (), across_heads: bool = False
) -> list[list[Comparison]]:
    """Of each pair all numbers that its sides share (of ``tasks``, if any are named), in the order of the first.

    ``across_heads``: the head belongs to what is compared. Raises StaleError where runs were made from other data, under another
    protocol or share no number, DataError where predictions, or what a record says of its data, are missing.
    """
    scores: dict[str, Mapping[Key, Scores]] = {}
    for run in (run for pair in pairs for side in pair for run in side.runs.values()):
        if run.name not in scores:
            require_same_data(pairs[0][0].first, run)
            scores[run.name] = _at_hand(run, plugins)
    found = [_compared(a, b, scores, tasks, across_heads) for a, b in pairs]
    chances = [made.p for own in found for made in own]
    tried, survivors = sum(p is not None for p in chances), iter(surviving(chances))
    return [[replace(made, tried=tried, survives=next(survivors)) for made in own] for own in found]


def surviving(chances: Sequence[float | None], level: float = LEVEL) -> list[bool]:
    """Which of several p are told from chance if all together are to be so at ``level``. Source: Holm 1979."""
    known = sorted((p, i) for i, p in enumerate(chances) if p is not None)
    survives = [False] * len(chances)
    for tried, (p, i) in enumerate(known):
        if p > level / (len(known) - tried):
            break
        survives[i] = True
    return survives


def _compared(
    a: Side, b: Side, scores: Mapping[str, Mapping[Key, Scores]], tasks: Sequence[str], across_heads: bool
) -> list[Comparison]:
    found = []
    for key in dict.fromkeys(key for run in a.runs.values() for key in scores[run.name]):
        ours, theirs = (
            {seed: scores[run.name][key] for seed, run in side.runs.items() if key in scores[run.name]}
            for side in (a, b)
        )
        if not theirs or (tasks and key[0] not in tasks):
            continue
        rows = _rows(key, a, ours), _rows(key, b, theirs)
        _same_protocol(key, *rows, across_heads)
        if differs := unpaired(ours, theirs):
            raise StaleError(f"{_called(key)}: the {differs} of the two runs differ, so they cannot be paired.")
        made = difference_of(ours, theirs)
        value_a, value_b = (sum(row.value for row in side.values()) / len(side) for side in rows)
        row = next(iter(rows[0].values()))
        found.append(
            Comparison(
                name_a=a.name, name_b=b.name, task=key[0], metric=key[1], subset=key[2], n_annotations=key[3],
                a=value_a, b=value_b, difference=value_a - value_b,
                ci95=None if made.low is None or made.high is None else (made.low, made.high), p=made.p,
                runs_a=_names(a, ours), runs_b=_names(b, theirs), seeds_a=tuple(ours), seeds_b=tuple(theirs),
                paired=ours.keys() == theirs.keys(), spread=made.spread, draws=made.draws if row.draws else None,
                images=made.images, unit=row.unit, higher_is_better=row.higher_is_better,
            )
        )  # fmt: skip
    if not found:
        raise StaleError(f"{a.name} and {b.name} share no number: they were judged by other tasks or annotations.")
    return found


def _names(side: Side, seeds: Iterable[int]) -> tuple[str, ...]:
    return tuple(side.runs[seed].name for seed in seeds)


def _at_hand(run: Run, plugins: Plugins) -> Mapping[Key, Scores]:
    """What the run's numbers are the means of; of a copy of its record among leaderboards, what is kept beside it."""
    if not (run.folder / PREDICTIONS).is_dir() and (kept := kept_scores(run.folder.parent, run.record)):
        return kept
    return scores_of(run.folder, run.record, plugins)


def _rows(key: Key, side: Side, scores: Mapping[int, Scores]) -> dict[int, Row]:
    """By seed, what the records say of a number. Raises StaleError where one says nothing."""
    rows = {seed: side.runs[seed].record.find(key) for seed in scores}
    if missing := [seed for seed, row in rows.items() if row is None]:
        raise StaleError(
            f"the record of {side.runs[missing[0]].name} has no {key[1]} of {key[0]}, which its predictions give. "
            "One of the two was changed; measure anew with --resume never."
        )
    return {seed: row for seed, row in rows.items() if row is not None}


def require_same_data(a: Run, b: Run) -> None:
    """Raises StaleError where the runs were not judged on the same images, DataError where a record does not say which."""
    of_a, of_b = _data_of(a), _data_of(b)
    for what, first in of_a.items():
        second = of_b[what]
        if first != second:
            raise StaleError(
                f"{a.name} and {b.name} cannot be compared: their {what} differs ({_short(first)} and {_short(second)}). "
                "Measure one of them anew on the data of the other."
            )


def _data_of(run: Run) -> dict[str, Any]:
    record: Record = run.record
    found = {
        "dataset": record.dataset,
        "data fingerprint": record.data.fingerprint,
        "images used": record.data.used,
        "preprocessing": record.data.preprocessing,
    }
    absent = [what for what, value in found.items() if value is None]
    absent += [] if record.predictions else ["predictions"]
    if absent:
        raise DataError(f"the record of {run.name} does not state its {' and '.join(absent)}: it cannot be compared.")
    return found


def _same_protocol(key: Key, a: Mapping[int, Row], b: Mapping[int, Row], across_heads: bool) -> None:
    """Raises StaleError naming the first setting in which rows differ that should be judged alike: of all seeds of both."""
    first_seed, first = next(iter(a.items()))
    for seed, row in [*a.items(), *b.items()]:
        _alike(key, first, row, across_heads, SEEDED if seed != first_seed else ())
    for seed in a.keys() & b.keys():
        _alike(key, a[seed], b[seed], across_heads, ())


def _alike(key: Key, first: Row, second: Row, across_heads: bool, but_for: Sequence[str]) -> None:
    ours, theirs = first.settings, second.settings
    one_head = ours.get("head") == theirs.get("head")
    if not one_head and not across_heads:
        raise StaleError(
            f"{_called(key)}: the heads differ ({ours.get('head')} and {theirs.get('head')}), and no number of one is to be "
            "compared with a number of the other. Pass --across-heads where the head belongs to the method."
        )
    names = set(ours) | set(theirs) if one_head else {"draw_indices", "warped_copies"}
    for name in sorted(names - {*FREE, *but_for}):
        if ours.get(name) != theirs.get(name):
            raise StaleError(
                f"{_called(key)}: the setting {name} differs ({_short(ours.get(name))} and {_short(theirs.get(name))}). "
                "Measure one of them anew with the settings of the other, or compare the other task alone (--tasks)."
            )


def _called(key: Key) -> str:
    task, _, subset, n = key
    return " ".join(str(part) for part in (task, subset, n) if part is not None)


def _short(value: Any) -> str:
    text = value[:12] if isinstance(value, str) and len(value) == 64 else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
