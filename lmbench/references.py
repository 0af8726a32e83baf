"""What a result is read beside: the mean shape of the same annotations, and the same recipe left untrained."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lmbench import progress
from lmbench.config.fitting import named_in
from lmbench.config.model import RunConfig, digest_of, plain
from lmbench.config.resolving import left_untrained
from lmbench.errors import LmbenchError
from lmbench.heads.draws import draw_subsets
from lmbench.heads.linear import MeanShape
from lmbench.job import Job
from lmbench.metrics.base import Predictions
from lmbench.metrics.pixels import Confusions
from lmbench.plugins.loading import Plugins
from lmbench.results.measuring import results
from lmbench.results.record import Reference
from lmbench.seeds import generator_for
from lmbench.specs import NoSettings
from lmbench.store.files import building, read_json, write_json
from lmbench.tasks.inputs import NoInputs
from lmbench.tasks.regression import judged_by
from lmbench.training.stages import files_named

FOLDER, NOTE = "references", "reference.json"
JUDGED = ("regression", "matching")
FEW_IMAGES = 300  # a small folder, whose numbers say least without their control: it is always made
SHARE = 0.5  # of a run's time, beyond which a control of many images is left out
MEAN_SHAPE, UNTRAINED = "mean_shape", "untrained"


Judge = Callable[[RunConfig, Path], list[Predictions | Confusions]]
"""The predictions of a configuration on the job's own data, its files below a folder."""


def references(job: Job, judge: Judge, judging: float, total: float) -> list[Reference]:
    """The numbers to read a run's own beside, one a row, as far as its tasks have any; none where they are turned off.

    ``judging`` and ``total``: the seconds that the run's own evaluation, and all of it, took: a control by regression is
    as dear as that evaluation, and left out where it would make a run of many images a quarter longer; one that is kept is
    shown. They are no metrics of the run: no leaderboard ranks them, and no interval is made of them.
    """
    config = job.config
    if not config.references:
        return []
    rows = list(_mean_shapes(job)) if "regression" in config.tasks else []
    for task in JUDGED:
        control = control_of(config, job.plugins, task)
        if control is None:
            continue
        cost = judging / len(_numbers(config))
        few = min(len(job.target.splits["train"]), config.train_images or FEW_IMAGES) <= FEW_IMAGES
        if task == "regression" and not few and cost > SHARE * total and _kept(*_place(job, control)) is None:
            progress.say(
                f"no untrained control of the regression beside the result: it would take some {cost:.0f} s, more than "
                "half of the run; the same command with --untrained makes it"
            )
            continue
        try:
            rows += _untrained(job, control, judge)
        except LmbenchError as error:  # the run's own numbers are made: they are not lost for want of these
            progress.say(f"warning: no untrained control beside the result: {error}")
    return rows


def control_of(config: RunConfig, plugins: Plugins, task: str) -> RunConfig | None:
    """The same recipe untrained, judged by one task: by regression with all annotations, else the most of the run.

    None for a task that the run does not have, and where nothing is trained. Stages that are solved in closed form are
    solved all the same, as by ``--untrained``.
    """
    stages = {name: left_untrained(plugins, stage) for name, stage in config.stages.items()}
    if task not in config.tasks or stages == config.stages:
        return None
    settings = {task: config.settings_of(task)}
    if task == "regression":
        numbers = _numbers(config)
        most = "all" if "all" in numbers else max(n for n in numbers if n != "all")
        settings = {task: replace(settings[task], annotations=(most,), layers_alone=())}
    return replace(
        config,
        untrained=True,
        references=False,
        stages=stages,
        tasks=(task,),
        settings=settings,
        probe=replace(config.probe, every=0),
    )


def _numbers(config: RunConfig) -> tuple[int | str, ...]:
    """The numbers of annotated images that the run's regression is asked for."""
    return config.settings["regression"].annotations if "regression" in config.settings else ("all",)


def _mean_shapes(job: Job) -> Iterator[Reference]:
    """The error of the mean of the annotated landmarks, by the same draws; nothing for a run that is judged by just that."""
    config, spec = job.config, job.target.spec
    settings = config.settings_of("regression")
    if job.plugins.find("head", config.settings_of("regression").head).spec.inputs == "nothing":
        return
    train = job.target.pixels("train").first(config.train_images)
    test = job.target.pixels("test").first(config.test_images)
    landmarks, visible = torch.from_numpy(np.array(train.landmarks)), torch.from_numpy(np.array(train.visible))
    inputs = NoInputs(len(test), test.size, torch.device("cpu"))
    subsets = draw_subsets(len(train), settings.annotations, settings.draws, config.seed)
    for n in settings.annotations:
        own = [s for s in subsets if s.n == n]
        fitted = MeanShape(NoSettings()).fit(inputs, landmarks, visible, own, generator_for(config.seed, "mean shape"))
        predictions = judged_by(spec, test, fitted.predict(inputs).numpy(), settings.score)
        yield from _rows(MEAN_SHAPE, predictions, job.plugins, n)


def _untrained(job: Job, control: RunConfig, judge: Judge) -> list[Reference]:
    """The control's rows: made once, and shared by all runs that it is the control of."""
    place, key = _place(job, control)
    kept = _kept(place, key)
    if kept is not None:
        return kept
    with building(place) as draft:
        if draft is not None:
            progress.say("beside the result: the same recipe untrained")
            started = time.monotonic()
            judged = judge(control, draft)
            rows = [vars(row) for p in judged if p.task != "regression" or p.subset is None for row in _rows_of(p, job)]
            for scratch in ("frozen", "heads"):
                shutil.rmtree(draft / scratch, ignore_errors=True)
            note = {"key": key, "rows": rows, "rows_sha256": digest_of(rows), "config": control.dump()}
            write_json(draft / NOTE, {**note, "seconds": round(time.monotonic() - started, 1)})
    return _kept(place, key) or []


def _rows_of(predictions: Predictions | Confusions, job: Job) -> list[Reference]:
    return list(_rows(UNTRAINED, predictions, job.plugins, predictions.n_annotations))


def _rows(
    name: str, predictions: Predictions | Confusions, plugins: Plugins, n: int | str | None
) -> Iterator[Reference]:
    for metric, result in results(predictions, plugins):
        draws = len(result.aggregate)
        yield Reference(
            reference=name,
            task=predictions.task,
            metric=metric.name,
            subset=predictions.subset,
            n_annotations=n,
            value=float(result.aggregate.mean()),
            std=float(result.aggregate.std(ddof=1)) if draws > 1 else None,
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
