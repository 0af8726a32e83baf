"""From a plan to measured numbers: what is finished is taken, the rest is run, and one failure does not stop the others."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lmbench import job as jobs
from lmbench import progress
from lmbench.campaigns import running
from lmbench.campaigns.gaps import Gap, said
from lmbench.campaigns.prospects import Prospect, mark_shared
from lmbench.config.earlier import upgraded
from lmbench.config.model import RunConfig, merge, plain
from lmbench.config.ranges import HeadName
from lmbench.config.resolving import config_of
from lmbench.config.setting_types import hints, marks
from lmbench.data.opening import OpenDataset
from lmbench.errors import DataError, LmbenchError
from lmbench.papers.planning import PlannedRun, TablePlan
from lmbench.plugins.loading import Plugins
from lmbench.results.reading import read_record
from lmbench.results.record import RECORD, Record, Row, find_records
from lmbench.training.loop import resolve_device

Enough = Callable[[Iterable[bool]], bool]

UNRELATED = {"tasks", "probe", "encode_batch", "references"}
"""Settings that say which numbers a run makes, or how fast, and change none of them."""


class TableProspect(Prospect):
    """What stands before a planned run, and the cells that hang on it."""

    def __init__(
        self,
        run: PlannedRun,
        job: jobs.Job | None = None,
        record: Record | None = None,
        actions: Sequence[jobs.PlannedStage] = (),
    ) -> None:
        super().__init__(run.config, job, record, list(actions))
        self.run = run


def look(
    plan: TablePlan, plugins: Plugins, runs: Path, kept: Path, device: str = "auto", partly: bool = False
) -> list[TableProspect]:
    """What each run of a plan needs, without doing it; cells that turn out impossible move to the plan's gaps.

    Records are looked for below ``runs`` and in the folder ``kept`` (copies beside the leaderboards). ``partly``: one that
    has some of a run's numbers is taken as well. ``plan`` is changed.
    """
    enough = any if partly else all
    resolve_device(device)  # a mistake of the command line is told at once
    opened: dict[str, OpenDataset] = {}
    records = [*_records(find_records(runs)), *_records(sorted(kept.glob("*.json")))]
    prospects = []
    for run in plan.runs:
        try:
            run.heads = heads_of(run.config, plugins)
            prospect = _prospect(run, plan, plugins, runs, records, opened, device, enough)
        except DataError as error:  # the folder is there, and not whole
            run.absent = Gap("missing", said(error))
            prospect = _from_records_alone(run, plan, plugins, records, enough)
        except Exception as error:  # one run that cannot be prepared does not take the other rows along
            plan.gaps |= dict.fromkeys(run.targets, Gap("failed", said(error)))
            continue
        if run.targets:
            prospects.append(prospect)
    plan.runs = [p.run for p in prospects]
    mark_shared(prospects)
    return prospects


def carry_out(plan: TablePlan, prospects: list[TableProspect]) -> None:
    """Runs what has no record; the reason of each failure becomes that of its cells. ``plan`` and prospects are changed."""
    running.carry_out(prospects)
    for prospect in prospects:
        if prospect.gap is not None:
            plan.gaps |= dict.fromkeys(prospect.run.targets, prospect.gap)
    for prospect in prospects:
        if prospect.record is None:
            continue
        for cell, target in prospect.run.targets.items():
            if target.find(prospect.record) is None:
                made = sorted({r.metric for r in prospect.record.rows if r.task == target.task})
                reason = f"{prospect.record.run} measured {', '.join(made) or 'nothing'} here, not {target.metrics[0]}"
                plan.gaps[cell] = Gap("failed", reason)


def leave_undone(plan: TablePlan, prospects: list[TableProspect]) -> None:
    """Runs nothing: the cells that no record has get that as their reason. ``plan`` is changed."""
    for prospect in prospects:
        for cell, target in prospect.run.targets.items():
            if prospect.record is None or target.find(prospect.record) is None:
                plan.gaps[cell] = Gap("missing", "not measured yet (--no-run)")


def records_of(plan: TablePlan, prospects: list[TableProspect]) -> dict[int, Record]:
    """The record behind each cell that was measured."""
    return {
        cell: prospect.record
        for prospect in prospects
        if prospect.record is not None
        for cell in prospect.run.targets
        if cell not in plan.gaps
    }


def _prospect(
    run: PlannedRun,
    plan: TablePlan,
    plugins: Plugins,
    runs: Path,
    records: list[Record],
    opened: dict[str, OpenDataset],
    device: str,
    enough: Enough,
) -> TableProspect:
    config = run.config
    if run.absent is not None:
        return _from_records_alone(run, plan, plugins, records, enough)
    everything = _with_numbers(config, lambda n: False)
    target_data = jobs.prepare(everything, plugins, plan.request.data_root, runs, device, opened).target
    size = min(len(target_data.splits["train"]), config.train_images or 10**9)
    too_many = {c: t for c, t in run.targets.items() if isinstance(t.n_annotations, int) and t.n_annotations > size}
    for cell, target in too_many.items():
        few = f"{config.dataset} has {size} training images in preset {config.preset}"
        plan.gaps[cell] = Gap("missing", f"{target.n_annotations} annotations: {few}")
        del run.targets[cell]
    if not run.targets:
        return TableProspect(run)
    run.config = config = _with_numbers(config, lambda n: n <= size)
    job = jobs.prepare(config, plugins, plan.request.data_root, runs, device, opened)
    what = jobs.plan(job)
    record = _best(records, run, plugins, enough, job)
    if what["finished"]:
        finished = read_record(job.folder / RECORD)
        # One of other data is left to the runner, which refuses to go on beside it and says what to do.
        record = finished if finished.data.fingerprint == job.target.fingerprint else record
    return TableProspect(run, job, record, what["stages"])


def _from_records_alone(
    run: PlannedRun, plan: TablePlan, plugins: Plugins, records: list[Record], enough: Enough
) -> TableProspect:
    """A record of a run whose data is not here; without one, its cells get the reason."""
    record = _best(records, run, plugins, enough)
    if record is None:
        assert run.absent is not None
        plan.gaps |= dict.fromkeys(run.targets, run.absent)
        plan.waiting.append(replace(run))  # with its cells, which this one loses
        run.targets = {}
    said_so = "from the record alone, the data is not here"
    run.differs = {n: f"{told}; {said_so}".removeprefix("; ") for n, told in run.differs.items()}
    return TableProspect(run, None, record)


def _best(
    records: list[Record], run: PlannedRun, plugins: Plugins, enough: Enough, job: jobs.Job | None = None
) -> Record | None:
    """The record with most of a run's numbers among those that have ``enough`` of them (all, or any), if there is one."""
    serving = [r for r in records if _serves(r, run, plugins, enough, job)]
    return max(serving, key=lambda r: sum(t.find(r) is not None for t in run.targets.values()), default=None)


def _serves(record: Record, run: PlannedRun, plugins: Plugins, enough: Enough, job: jobs.Job | None = None) -> bool:
    """Whether a record, of whatever selection of tasks and annotations, has this run's numbers, from the job's data."""
    if job is not None:
        keys = [s.key for s in record.stages]
        if record.data.fingerprint != job.target.fingerprint or keys != list(job.keys.values()):
            return False
    recorded = upgraded(record.config, record.schema)
    return (
        record.status == "ok"
        and _comparable(recorded, run, plugins) == _comparable(run.config.dump(), run, plugins)
        and all(_fitted_alike(target.find(record), run) for target in run.targets.values())
        and enough(target.find(record) is not None for target in run.targets.values())
    )


def _comparable(config: Mapping[str, Any], run: PlannedRun, plugins: Plugins) -> dict[str, Any] | None:
    """What of a configuration decides the numbers of a run; None where it is none of this lmbench's."""
    # Older records state what the settings of a head were under each number alone: with the run's own they are whole.
    own = {task: {setting: plain(getattr(section, setting))}
           for task, section in run.config.settings.items() if task in config
           for _, setting in _heads_in(section)}  # fmt: skip
    try:
        whole = config_of(plugins, merge(config, {t: merge(s, config[t]) for t, s in own.items()})).dump()
    except LmbenchError:
        return None
    others = set(plugins.tasks.names()) - set(run.config.settings)
    kept = {k: v for k, v in whole.items() if k not in UNRELATED | others}
    unrelated = {"annotations", "layers_alone"}
    unrelated |= set() if any(isinstance(t.n_annotations, int) for t in run.targets.values()) else {"draws"}
    for stage in kept["stages"].values():  # sets of the papers have the steps of their epochs
        stage["training"].pop("least_steps")
    return {
        k: {s: v for s, v in kept[k].items() if s not in unrelated} if k in run.config.settings else kept[k]
        for k in kept
    }


def heads_of(config: RunConfig, plugins: Plugins) -> dict[str, dict[str, Any]]:
    """What the head of each task says of itself, as it stands behind a record's numbers."""
    plugins, found = plugins.of_recipe(config.method, config.variant), {}
    for task in config.tasks:
        section = config.settings_of(task)
        for name, settings in _heads_in(section):
            head = plugins.find("head", getattr(section, name)).spec.make(getattr(section, settings))
            found[task] = json.loads(json.dumps(head.description()))
    return found


def _heads_in(section: Any) -> list[tuple[str, str]]:
    """The settings of a task that name a head, each with the one that holds this head's own."""
    marked = {name: [m for m in marks(hint) if isinstance(m, HeadName)] for name, hint in hints(type(section)).items()}
    return [(name, found[0].settings) for name, found in marked.items() if found]


def _fitted_alike(entry: Row | None, run: PlannedRun) -> bool:
    """Whether the head behind a number, as its record describes it, is the head of a planned run."""
    if entry is None:
        return True
    few = isinstance(entry.n_annotations, int)
    head = run.heads.get(entry.task, {})
    return all(entry.settings.get(k) == v for k, v in head.items() if few or k != "few_shot")


def _with_numbers(config: RunConfig, wanted: Callable[[int], bool]) -> RunConfig:
    """The configuration with those numbers of annotations alone that are wanted, and ``all`` where none is left."""
    sections = dict(config.settings)
    for task, section in config.settings.items():
        numbers = tuple(n for n in getattr(section, "annotations", ()) if n == "all" or wanted(int(n)))
        if hasattr(section, "annotations"):
            sections[task] = replace(section, annotations=numbers or ("all",))
    return replace(config, settings=sections)


def _records(paths: Iterator[Path] | list[Path]) -> Iterator[Record]:
    """The records that can be read; a damaged one is no reason to measure nothing."""
    for path in paths:
        try:
            yield read_record(path)
        except LmbenchError as error:
            progress.say(f"left out: {error}")
