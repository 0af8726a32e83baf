"""What is compared: an output over its seeds, found by what a user calls it.

A side is named by the folder of a run or its record, several of them with commas, a pattern of folders (``runs/lead_dense64_*``),
or ``METHOD/OUTPUT``: all its runs below the runs folder. Of several runs of one seed the newest counts.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lmbench import progress
from lmbench.errors import DataError, LmbenchError, UsageError
from lmbench.printable import without_folders
from lmbench.results.outputs import flat, recipe_of
from lmbench.results.record import RECORD, Record, find_records, run_part
from lmbench.results.run import Run

Suiting = Callable[[Run], tuple[bool, ...]]
"""What of all that is wanted of a run it has: of several of one seed the newest of those that have most counts."""

UNTRAINED = ", untrained"
PATTERN = "*?["


@dataclass(frozen=True, eq=False)
class Side:
    """One output: its runs by seed, in their order."""

    runs: Mapping[int, Run]

    @property
    def first(self) -> Run:
        return next(iter(self.runs.values()))

    @property
    def name(self) -> str:
        """The run's own name, or what its runs have in common."""
        if len(self.runs) == 1:
            return self.first.name
        record = self.first.record
        return f"{record.method}/{record.variant}, {without_folders(record.dataset)}, {record.preset}"

    @property
    def seeds(self) -> list[int]:
        return list(self.runs)


@dataclass(frozen=True)
class Place:
    """Where sides are looked for: below ``runs``, of one dataset and preset where they are named."""

    runs: Path
    dataset: str = ""
    preset: str = ""

    def known(self) -> Iterator[Run]:
        """The whole runs that are there; what is damaged or foreign is passed over."""
        for path in find_records(self.runs):
            try:
                run = Run.open(path)
            except LmbenchError:
                continue
            if run.record.status == "ok":
                yield run


def side_of(word: str, place: Place) -> Side:
    """The side that a word names.

    Raises DataError where there is none, UsageError where it means outputs or recipes of several kinds, else as `Run.open`.
    """
    return seeds_of(word, runs_of(word, place))


def runs_of(word: str, place: Place) -> list[Run]:
    """The runs that a word names, of whatever outputs. Raises as `side_of` where there is none."""
    parts = [word] if os.path.exists(word) else [part.strip() for part in word.split(",") if part.strip()]
    if not parts:
        raise UsageError(f"{word!r} names no run.")
    return [run for part in parts for run in _runs(part, place)]


def side_of_control(side: Side, place: Place, suiting: Suiting = lambda run: ()) -> Side:
    """The same recipe left untrained, of the same dataset and preset. Raises DataError where there is none."""
    record = side.first.record
    if record.variant.endswith(UNTRAINED):
        raise UsageError(f"{side.name} is a control itself. Name what is to be compared with it as well.")
    wanted = (record.method, record.variant + UNTRAINED, record.dataset, record.preset, record.pretrain_on)
    found = [run for run in place.known() if (*_output(run.record), run.record.pretrain_on) == wanted]
    if not found:
        raise DataError(
            f"{place.runs}: there is no control of {side.name}. `lmbench run` with the command of its runs and --untrained "
            "makes it; or name a run of another untrained network as the second side."
        )
    return seeds_of(f"the control of {side.name}", found, suiting)


def _runs(part: str, place: Place) -> list[Run]:
    for path in (Path(part), place.runs / part):
        if _is_run(path):
            return [Run.open(path)]
    if any(letter in part for letter in PATTERN):
        matching = [Path(p) for pattern in (part, str(place.runs / part)) for p in sorted(glob.glob(pattern))]
        found = [Run.open(path) for path in dict.fromkeys(matching) if _is_run(path)]
        if not found:
            raise DataError(f"{part}: no folder of a finished run is called so, here or in {place.runs}.")
        return found
    method, _, output = part.partition("/")
    if not method or not output or "/" in output:
        return [Run.open(part)]
    known = list(place.known())
    found = [
        run for run in known
        if run.record.method == method and output in (run.record.variant, run_part(run.record.variant))
        and place.dataset in ("", run.record.dataset) and place.preset in ("", run.record.preset)
    ]  # fmt: skip
    if not found:
        there = sorted({f"{run.record.method}/{run_part(run.record.variant)}" for run in known})
        raise DataError(
            f"{part}: there is no record, and no run of such an output in {place.runs}. Name the folder of a finished run, or "
            f"METHOD/OUTPUT of one ({', '.join(there[:20]) or 'there is none'})."
        )
    return found


def _is_run(path: Path) -> bool:
    return os.path.isfile(path) or os.path.isfile(path / RECORD)  # which know no name that is too long


def seeds_of(word: str, runs: Iterable[Run], suiting: Suiting = lambda run: ()) -> Side:
    """The newest run of each seed among those that suit best, all of one output; said where there are several.

    Raises UsageError where they are of several outputs.
    """
    by_seed: dict[int, list[Run]] = {}
    for run in sorted({run.name: run for run in runs}.values(), key=lambda run: (run.record.finished, run.name)):
        by_seed.setdefault(run.record.seed, []).append(run)
    side = Side({seed: max(reversed(by_seed[seed]), key=suiting) for seed in sorted(by_seed)})
    told: dict[str, list[str]] = {}
    for seed, run in side.runs.items():
        if len(own := by_seed[seed]) > 1:
            which = "the newest" if run is own[-1] else "the newest that has what is wanted"
            told.setdefault(which, []).append(f"{run.name} ({len(own)} of seed {seed})")
    for which, names in told.items():
        progress.say(f"{word}: of several runs of a seed {which} counts: {', '.join(names)}")
    for run in side.runs.values():
        difference = more_than_seeds(side.first.record, run.record)
        if difference:
            raise UsageError(
                f"{word}: {side.first.name} and {run.name} are no seeds of one output: their {difference}. Name those of one, "
                "by their folders or with --dataset and --preset."
            )
    return side


def _output(record: Record) -> tuple[str, str, str, str]:
    return record.method, record.variant, record.dataset, record.preset


def more_than_seeds(first: Record, second: Record) -> str:
    """In what two records differ that is more than their seed, in words; empty where they do not."""
    names = ("method", "variant", "dataset", "preset")
    for name, a, b in zip(names, _output(first), _output(second), strict=True):
        if a != b:
            return f"{name} differs ({a} and {b})"
    ours, theirs = (dict(flat(recipe_of(record))) for record in (first, second))
    for name in sorted(ours.keys() | theirs.keys()):
        if ours.get(name) != theirs.get(name):
            return f"setting {name} differs ({ours.get(name)} and {theirs.get(name)})"
    return ""
