"""What stands in a folder of runs: runs, the stages they share, how much room each takes, and what may be removed with what."""

from __future__ import annotations

import fnmatch
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lmbench.errors import BusyError, LmbenchError, UsageError, did_you_mean
from lmbench.results.identity import IDENTITY
from lmbench.results.reading import read_record
from lmbench.results.record import RECORD, Record
from lmbench.store.files import free, read_json

STAGES, LOCK, CHECKPOINT = "stages", ".lock", ".checkpoint"
KEY_SHOWN = 20  # characters of a stage's key that name its folder

State = Literal["finished", "interrupted", "in work", "damaged"]


@dataclass(frozen=True, eq=False)
class KeptRun:
    """A run in its folder, last ``changed`` so many seconds after the epoch.

    ``record``: of a finished one. ``stages``: the names of its stages' folders, as far as they are known.
    """

    folder: Path
    state: State
    bytes: int
    changed: float
    stages: tuple[str, ...] = ()
    record: Record | None = None

    @property
    def name(self) -> str:
        return self.folder.name


@dataclass(frozen=True, eq=False)
class KeptStage:
    """A trained stage, or the checkpoint of one. ``runs``: those that need it."""

    folder: Path
    bytes: int
    runs: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.folder.name


def kept_runs(runs: Path) -> list[KeptRun]:
    """All runs below a folder, the last changed first; a folder that is none is left out. Nothing is written."""
    if not runs.is_dir():
        raise UsageError(f"--runs {runs}: there is no such folder.")
    folders = (p for p in runs.iterdir() if p.is_dir() and not p.is_symlink() and not p.name.startswith("."))
    found = [_kept(p) for p in folders if (p / RECORD).is_file() or (p / IDENTITY).is_file()]
    return sorted(found, key=lambda run: (-run.changed, run.name))


def kept_stages(runs: Path, found: Sequence[KeptRun]) -> list[KeptStage]:
    """The stages below a folder, by name, with the runs among ``found`` that need each."""
    folder = runs / STAGES
    places = sorted(p for p in folder.iterdir() if p.is_dir() and not p.is_symlink()) if folder.is_dir() else []
    return [
        KeptStage(p, _size(p), tuple(run.name for run in found if p.name.removesuffix(CHECKPOINT) in run.stages))
        for p in places
        if not p.name.startswith(".")
    ]


def chosen(found: Sequence[KeptRun], names: Sequence[str]) -> list[KeptRun]:
    """The runs of some names or patterns (``lead_*``), in order. Raises UsageError for a name that none has."""
    picked = []
    for name in names:
        fitting = [run for run in found if fnmatch.fnmatchcase(run.name, name)]
        if not fitting:
            raise UsageError(f"no run {name!r} is there.{did_you_mean(name, [run.name for run in found])}")
        picked += fitting
    return list(dict.fromkeys(picked))


def freed_with(runs: Path, found: Sequence[KeptRun], going: Sequence[KeptRun]) -> list[KeptStage]:
    """The stages that no run needs once some are gone, among those that these needed."""
    left = [run for run in found if run not in going]
    needed = {key for run in left for key in run.stages}
    theirs = {key for run in going for key in run.stages} - needed
    return [s for s in kept_stages(runs, found) if s.name.removesuffix(CHECKPOINT) in theirs]


def remove_run(run: KeptRun) -> None:
    """Removes a run's folder, its record first: what a kill leaves of it is an interrupted run. Raises BusyError."""
    with free(run.folder / "run") as idle:
        if not idle:
            raise BusyError(f"another process is at {run.name}: it stays. End that process first.")
        (run.folder / RECORD).unlink(missing_ok=True)
        shutil.rmtree(run.folder)


def remove_stage(stage: KeptStage) -> None:
    """Removes a stage's folder. Raises BusyError where another process trains or reads it."""
    target = stage.folder.with_name(stage.name.removesuffix(CHECKPOINT))
    with free(target) as idle:
        if not idle:
            raise BusyError(f"another process is at the stage {stage.name}: it stays.")
        shutil.rmtree(stage.folder)
    target.with_name(target.name + LOCK).unlink(missing_ok=True)


def _kept(folder: Path) -> KeptRun:
    record: Record | None = None
    keys: Iterator[str] = iter(())
    state: State = "interrupted"
    try:
        if (folder / RECORD).is_file():
            record, state = read_record(folder / RECORD), "finished"
            keys = (stage.key for stage in record.stages)
        else:
            keys = iter(dict(read_json(folder / IDENTITY)["identity"]["stages"]).values())
        stages = tuple(str(key)[:KEY_SHOWN] for key in keys)
    except (LmbenchError, KeyError, TypeError, ValueError):
        state, stages = "damaged", ()
    if record is None and (folder / f"run{LOCK}").exists():
        with free(folder / "run") as idle:
            state = state if idle else "in work"
    return KeptRun(folder, state, _size(folder), folder.stat().st_mtime, stages, record)


def _size(folder: Path) -> int:
    """Bytes of all files below; what goes away meanwhile counts nothing."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.lstat().st_size if path.is_file() else 0
        except OSError:
            continue
    return total
