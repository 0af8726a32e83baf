"""What a result is read beside: what needs no learning (the mean shape), and the same recipe left untrained."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lmbench import progress
from lmbench.config.fitting import named_in
from lmbench.config.model import RunConfig, digest_of, plain
from lmbench.config.resolving import untrained_of
from lmbench.errors import ChangedError, LmbenchError
from lmbench.freezing import freeze, train_stages
from lmbench.job import Job, prepare
from lmbench.metrics.stored import StoredResult
from lmbench.plugins.loading import Plugins
from lmbench.results.measuring import results
from lmbench.results.record import Reference
from lmbench.store.files import building, read_json, write_json
from lmbench.tasks.base import TaskContext, evaluate
from lmbench.training.stages import files_named

FOLDER, NOTE = "references", "reference.json"
FEW_IMAGES = 300  # a small folder, whose numbers say least without their control: it is always made
SHARE = 0.5  # of a run's time, beyond which a control of many images is left out
UNTRAINED = "untrained"


def references(job: Job, context: TaskContext, total: float) -> list[Reference]:
    """The numbers to read a run's own beside, one a row, as far as its tasks have any; none where they are turned off.

    ``total``: the seconds that the whole run took: a control by a task whose own evaluation takes more than half of that
    is left out for a run of many images; one that is kept is shown. They are no metrics of the run: no leaderboard ranks
    them, and no interval is made of them.
    """
    config = job.config
    if not config.references:
        return []
    specs = [job.plugins.find("task", task).spec for task in config.tasks]
    beside = replace(context, extractor=None)
    rows: list[Reference] = []
    for spec in specs:
        for name, floor in spec.floors.items():
            try:
                found = spec.load(floor)(beside, context.settings_of(spec.name))
                rows += [row for result in found for row in _rows(name, result, job.plugins)]
            except ChangedError:
                raise  # nothing of the run is kept then
            except Exception as error:  # a task's own code: the run's numbers are made, and not lost for it
                progress.say(
                    f"warning: no {name} of the {spec.name} beside the result: {type(error).__name__}: {error}"
                )
    few = min(len(job.target.splits["train"]), config.train_images or FEW_IMAGES) <= FEW_IMAGES
    for spec in specs:
        control = config_of_control(config, job.plugins, spec.name)
        if control is None:
            continue
        cost = context.seconds[spec.name] / len(getattr(context.settings_of(spec.name), "annotations", (None,)))
        dear = spec.control == "affordable" and not few and cost > SHARE * total
        if dear and _kept(*_place(job, control)) is None:
            progress.say(
                f"no untrained control of the {spec.name} beside the result: it would take some {cost:.0f} s, more than "
                "half of the run; the same command with --untrained makes it"
            )
            continue
        try:
            rows += _untrained(job, control)
        except LmbenchError as error:  # the run's own numbers are made: they are not lost for want of these
            progress.say(f"warning: no untrained control beside the result: {error}")
    return rows


def config_of_control(config: RunConfig, plugins: Plugins, task: str) -> RunConfig | None:
    """The same recipe untrained, judged by one task alone as its settings say of a control.

    None for a task that has none, and where neither the method nor others trained anything. Stages that are solved in closed
    form are solved all the same, as by ``--untrained``.
    """
    left, spec = untrained_of(plugins, config), plugins.find("task", task).spec
    if not spec.control or left == config:
        return None
    settings = {name: config.settings_of(name) for name in (spec.name, *spec.uses)}
    if hasattr(settings[spec.name], "of_control"):
        settings[spec.name] = settings[spec.name].of_control()
    return replace(
        left,
        untrained=True,
        references=False,
        tasks=(task,),
        settings=settings,
        probe=replace(config.probe, every=0),
    )


def _untrained(job: Job, control: RunConfig) -> list[Reference]:
    """The control's rows: made once, and shared by all runs that it is the control of."""
    place, key = _place(job, control)
    kept = _kept(place, key)
    if kept is not None:
        return kept
    with building(place) as draft:
        if draft is not None:
            progress.say("beside the result: the same recipe untrained")
            started = time.monotonic()
            rows = [
                vars(row) for result in _judged(job, control, draft) for row in _rows(UNTRAINED, result, job.plugins)
            ]
            for scratch in ("frozen", "heads"):
                shutil.rmtree(draft / scratch, ignore_errors=True)
            note = {"key": key, "rows": rows, "rows_sha256": digest_of(rows), "config": control.dump()}
            write_json(draft / NOTE, {**note, "seconds": round(time.monotonic() - started, 1)})
    return _kept(place, key) or []


def _judged(job: Job, control: RunConfig, folder: Path) -> list[StoredResult]:
    """What the tasks of another configuration find out on the job's data."""
    opened = {control.dataset: job.target} | ({control.pretrain_on: job.source} if job.source else {})
    other = prepare(control, job.plugins, None, job.runs, str(job.device), opened)
    extractor = freeze(other, list(train_stages(other, folder)))
    context = TaskContext(control, other.target, other.device, other.plugins, folder, extractor)
    evaluate(context)
    return list(context.results.values())


def _rows(name: str, result: StoredResult, plugins: Plugins) -> Iterator[Reference]:
    for metric, found in results(result, plugins):
        draws, n = len(found.aggregate), result.n_annotations
        yield Reference(
            reference=name,
            task=result.task,
            metric=metric.name,
            subset=result.subset,
            n_annotations=n,
            value=float(found.aggregate.mean()),
            std=float(found.aggregate.std(ddof=1)) if draws > 1 else None,
            draws=draws if n not in (None, "all") else None,
            unit=metric.unit,
            higher_is_better=metric.higher_is_better,
        )


def _place(job: Job, control: RunConfig) -> tuple[Path, str]:
    key = _key(job, control)
    return job.runs / FOLDER / key[:20], key


def _key(job: Job, control: RunConfig) -> str:
    """The address of a control: all that its numbers depend on, and nothing of how the trained run was trained."""
    stages, files, solved = [], [files_named(control.network.backbone_settings)], False
    for stage in control.stages.values():
        closed = stage.training.epochs > 0
        solved |= closed
        stages.append({k: v for k, v in stage.dump().items() if closed or k != "training"})
        files += [files_named(stage.settings), files_named(stage.backbone_settings)]
    metrics = [*job.target.spec.metrics, *(m for t in control.tasks for m in job.plugins.find("task", t).spec.metrics)]
    named = [("dataset", control.dataset), *(("metric", m) for m in metrics)]
    named += [("backbone", control.network.backbone), *(("task", t) for t in control.tasks)]
    named += [(part.kind, part.name) for section in control.settings.values() for part in named_in(section)]
    named += [(kind, getattr(s, kind)) for s in control.stages.values() for kind in ("objective", "backbone")]
    parts = ("network", "read", "tasks", "settings", "seed", "train_images", "test_images")
    return digest_of(
        [
            stages,
            {part: plain(getattr(control, part)) for part in parts},
            [job.plugins.find(kind, name).identity() for kind, name in named],
            files,
            job.target.fingerprint,
            job.source.fingerprint if solved and job.source else None,
            job.device.type,
            job.precision if solved else None,
        ]
    )


def _kept(place: Path, key: str) -> list[Reference] | None:
    """The rows of a control that is there and whole; a damaged one is put away, to be made again."""
    if not place.is_dir():
        return None
    try:
        note: Mapping[str, Any] = read_json(place / NOTE)
        if note["key"] == key and digest_of(note["rows"]) == note["rows_sha256"]:
            return [Reference(**row) for row in note["rows"]]
    except (OSError, LmbenchError, KeyError, TypeError):
        pass
    progress.say(f"{place} is damaged; it is made again")
    shutil.rmtree(place, ignore_errors=True)
    return None
