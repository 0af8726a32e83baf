"""A run before anything of it is computed: its data opened, its stages addressed, its place, its plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypedDict

import torch

from lmbench.config.budget import image_views
from lmbench.config.model import RunConfig, Stage, digest_of
from lmbench.config.object_scale import StatedScale, object_scales
from lmbench.config.ranges import AnnotatedImages
from lmbench.config.setting_types import hints, marks
from lmbench.data.opening import NotMade, OpenDataset, open_dataset
from lmbench.errors import StaleError, UsageError
from lmbench.plugins.loading import Plugins
from lmbench.results import identity
from lmbench.results.reading import read_record
from lmbench.results.record import RECORD
from lmbench.training.held_out import require_held_out
from lmbench.training.loop import resolve_device, resolve_precision
from lmbench.training.stages import files_named, planned, stage_key


class PlannedStage(TypedDict):
    """What a run does for a stage. ``action``: ``reuse``, ``continue``, ``train``, or of many runs ``share``; what depends on
    data that is not made yet is None."""

    stage: str
    objective: str
    epochs: int
    steps: int | None
    views: int | None
    repeated: bool
    key: str | None
    action: str
    object_scale: StatedScale | None


class Plan(TypedDict):
    """What a run would do. ``beside``: the runs that the same command made before from something else, and why they are
    others; ``unknown``: why its name is not known yet."""

    run: str | None
    finished: bool
    stages: list[PlannedStage]
    tasks: list[str]
    beside: list[str]
    unknown: str | None


@dataclass(frozen=True)
class Job:
    """A resolved run with its places: nothing is computed yet."""

    config: RunConfig
    plugins: Plugins
    target: OpenDataset
    source: OpenDataset | None
    runs: Path
    device: torch.device
    keys: dict[str, str]
    precision: str
    identity: Mapping[str, Any]
    leaked: tuple[str, ...] = ()
    """Test images that the method is pretrained on; allowed by the configuration."""

    @property
    def stages_folder(self) -> Path:
        return self.runs / "stages"

    @property
    def folder(self) -> Path:
        return identity.folder_of(self.runs, self.config, self.target.name, dict(self.identity))

    def earlier(self) -> list[tuple[Path, str]]:
        """(folder, why it is another) of the runs that the same command began before."""
        return list(identity.earlier(self.folder, self.config, dict(self.identity)))

    def images_of(self, stage: Stage) -> OpenDataset:
        """The dataset whose training images a stage learns from, without their labels."""
        if stage.data == "target":
            return self.target
        assert self.source is not None
        return self.source

    def repeated(self, stage: Stage) -> Stage:
        """A stage as it is trained on the images there are: with more epochs where they are few (`Training.over`)."""
        training = stage.training.over(len(self.images_of(stage).splits["train"]))
        return replace(stage, training=training)


def prepare(
    config: RunConfig,
    plugins: Plugins,
    data_root: Path | None,
    runs: Path,
    device: str = "auto",
    opened: dict[str, OpenDataset] | None = None,
    make: bool = True,
) -> Job:
    """Opens the data and addresses every stage. Raises UsageError or DataError before anything is computed, and before data
    is opened for what is not installed.

    ``opened``: datasets by name that were opened before; those opened now are added, so that several runs share them.
    Without ``make`` nothing is rendered or written: raises NotMade where a dataset would have to be.
    """
    place = resolve_device(device)
    plugins = plugins.of_recipe(config.method, config.variant)
    opened = {} if opened is None else opened
    files = files_named(config.network.backbone_settings)
    for name in filter(None, (config.dataset, config.pretrain_on)):
        if name not in opened:
            opened[name] = open_dataset(name, data_root, plugins, config.partial, make)
    target, source = opened[config.dataset], opened.get(config.pretrain_on)
    train_size = min(len(target.splits["train"]), config.train_images or 10**9)
    precision = resolve_precision(config.precision, place)
    for setting, n in _annotated(config):
        if n > train_size:
            raise UsageError(
                f"{setting} {n}: {config.dataset} has {train_size} training images; ask for 1 to {train_size}, or all."
            )
    keys: dict[str, str] = {}
    parent: str | None = None
    for name, stage in config.stages.items():
        images = target if stage.data == "target" else source
        assert images is not None
        _require_batch(name, stage, images, plugins)
        steps = replace(images.spec.preprocessing, resize=stage.training.frame, crop=0)
        taught = None if parent is None else digest_of([parent, config.read.size, config.read.normalise])
        parent = keys[name] = stage_key(
            stage, plugins, images.fingerprint, steps, taught, config.seed, precision, place.type
        )
    leaked = require_held_out(config, target, source)
    found = identity.identity_of(
        config, plugins, target.fingerprint, source.fingerprint if source else None, keys,
        files, precision, place.type,
    )  # fmt: skip
    return Job(config, plugins, target, source, runs.absolute(), place, keys, precision, found, leaked)


def _annotated(config: RunConfig) -> Iterator[tuple[str, int]]:
    """(setting, number) of all numbers of annotated images that the tasks are asked for."""
    for task, settings in config.settings.items():
        for name, hint in hints(type(settings)).items():
            if any(isinstance(mark, AnnotatedImages) for mark in marks(hint)):
                yield from ((f"{task}.{name}", n) for n in getattr(settings, name) if n != "all")


def _require_batch(name: str, stage: Stage, images: OpenDataset, plugins: Plugins) -> None:
    """Raises UsageError where a stage is trained on fewer images than one batch of its objective needs."""
    least = plugins.find("objective", stage.objective).spec.min_batch
    found = min(len(images.splits["train"]), stage.training.images or least)
    if stage.training.epochs and found < least:
        raise UsageError(
            f"stage {name}: {stage.objective} needs at least {least} training images, for it compares those of a batch; "
            f"{images.name} has {found}. Add images, or pretrain on others: --pretrain-on."
        )


def preview(
    config: RunConfig, plugins: Plugins, data_root: Path | None, runs: Path, device: str, resume: str = "auto"
) -> Plan:
    """What ``run`` would do, found out without computing or writing anything; ``unknown`` says what that leaves open."""
    try:
        return plan(prepare(config, plugins, data_root, runs, device, make=False), resume)
    except NotMade as missing:
        scales = object_scales(config, plugins)
        stages: list[PlannedStage] = [
            {
                "stage": name,
                "objective": stage.objective,
                "epochs": stage.training.epochs,
                "steps": None,
                "views": None,
                "repeated": False,
                "key": None,
                "action": "train",
                "object_scale": None if (scale := scales[name]) is None else scale.entry(),
            }
            for name, stage in config.stages.items()
        ]
        return {
            "run": None, "finished": False, "stages": stages, "tasks": list(config.tasks), "beside": [],
            "unknown": str(missing),
        }  # fmt: skip


def place_of(job: Job, resume: str = "auto") -> Path:
    """The run's folder; a new one beside it for ``never``. Raises StaleError where ``require`` finds nothing to go on from."""
    if resume == "never":
        number = 2
        while (place := job.folder.with_name(f"{job.folder.name}-{number}")).exists():
            number += 1
        return place if job.folder.exists() else job.folder
    actions = [planned(job.stages_folder, key) for key in job.keys.values()]
    if resume == "require" and not job.folder.exists() and "continue" not in actions:
        why = "".join(f" {place.name} is there, made from {said}." for place, said in job.earlier()[:1])
        raise StaleError(f"--resume require: there is no interrupted run {job.folder} to go on from.{why}")
    return job.folder


def plan(job: Job, resume: str = "auto") -> Plan:
    """What ``run`` would do, without doing it: for each stage ``reuse``, ``continue`` or ``train``.

    Raises as `place_of`, and as `read_record` where the record that ``run`` would show is damaged.
    """
    scales = object_scales(job.config, job.plugins)
    stages: list[PlannedStage] = []
    for name, stage in job.config.stages.items():
        training, scale = job.repeated(stage).training, scales[name]
        stages.append(
            {"stage": name, "objective": stage.objective, "epochs": training.epochs,
             "steps": training.steps(images := len(job.images_of(stage).splits["train"])),
             "views": image_views(stage, job.plugins, images),
             "repeated": training.epochs != stage.training.epochs, "key": job.keys[name],
             "action": planned(job.stages_folder, job.keys[name]),
             "object_scale": None if scale is None else scale.entry()}
        )  # fmt: skip
    folder = place_of(job, resume)
    finished = (folder / RECORD).exists()
    if finished:
        read_record(folder / RECORD)
    beside = [f"{place.name} was made from {why}" for place, why in job.earlier()]
    return {
        "run": folder.name, "finished": finished, "stages": stages, "tasks": list(job.config.tasks), "beside": beside,
        "unknown": None,
    }  # fmt: skip
