"""One run, top to bottom: data, stages, FREEZE, frozen maps, tasks, metrics, record."""

from __future__ import annotations

import copy
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from lmbench import progress
from lmbench.backbones import build_backbone
from lmbench.config.model import RunConfig, Stage, digest_of, plain
from lmbench.config.object_scale import object_scales, unequal_scales
from lmbench.data.places import cache_root
from lmbench.errors import ChangedError, DataError, StaleError
from lmbench.features import Extractor
from lmbench.heads.frozen import FrozenMaps, freeze_maps
from lmbench.job import Job, place_of, prepare
from lmbench.metrics.base import Predictions
from lmbench.metrics.pixels import Confusions
from lmbench.references import FOLDER as REFERENCES
from lmbench.references import references
from lmbench.report.drawing import draw_run
from lmbench.results import identity
from lmbench.results.measuring import check_measurable, measure
from lmbench.results.provenance import code_state, environment
from lmbench.results.reading import read_record
from lmbench.results.record import HEADS, PREDICTIONS, RECORD, Data, Record, Row, TrainedStage, write_record
from lmbench.seeds import initialising
from lmbench.store.files import clear_drafts, explained, locked, write_json
from lmbench.store.manifests import confirm, digest_of_file, relying
from lmbench.tasks.base import TaskContext
from lmbench.tasks.probe import probe_network
from lmbench.tasks.regression import judged_by
from lmbench.tasks.scale import perfect_at_every_factor
from lmbench.training.objective import Objective
from lmbench.training.stages import (
    Artifact,
    ensure_stage,
    load_network,
    planned,
    require_buildable,
)


def run(job: Job, resume: str = "auto") -> tuple[Record, bool]:
    """(record, whether it was there before). ``resume``: ``auto``, ``never`` or ``require``; see docs/runs.md."""
    folder = place_of(job, resume)
    if resume != "never" and not folder.exists():
        for place, why in job.earlier()[:1]:
            progress.say(f"{place.name} was made from {why}: it stays as it is, and {folder.name} is made beside it")
        for place, _ in job.earlier():
            if not (place / RECORD).exists():
                identity.clear_scratch(place)
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / "run"), relying() as relied_on:
        if (folder / RECORD).exists():
            shutil.rmtree(folder / identity.FROZEN, ignore_errors=True)  # of a process that was killed after it
            return _recorded(job, folder), True
        try:
            return _measured(job, folder, relied_on), False
        except ChangedError:
            identity.discard(folder)
            raise


def _measured(job: Job, folder: Path, relied_on: set[Path]) -> Record:
    """The record of a run that is trained and judged now. Raises ChangedError where what it reads changes meanwhile."""
    started = time.monotonic()
    for place in (job.stages_folder, job.runs / REFERENCES, cache_root() / "pixels"):
        clear_drafts(place)
    identity.begin(folder, dict(job.identity))
    write_json(folder / "config.json", job.config.dump())
    for said in unequal_scales(job.config, job.plugins):
        progress.say(f"warning: {said}")
    complaints = job.plugins.observe("lmbench_run_started", run=job.config)

    check_judgeable(job)
    check_stages(job)
    artifacts = train_stages(job, folder, complaints)
    identity.begin(folder, dict(job.identity), {a.name: a.weights_sha256 for a in artifacts})
    extractor = freeze(job, artifacts)
    trained = time.monotonic()
    evaluated = evaluate(job, extractor, folder)
    judging = time.monotonic() - trained
    rows = [row for predictions in evaluated for row in measure(predictions, job.plugins)]

    record = describe(job, folder, artifacts, evaluated, rows, time.monotonic() - started)
    complaints += job.plugins.observe("lmbench_run_finished", run=job.config, record=record)
    beside = references(job, partial(_judged, job), judging, time.monotonic() - started)
    test = job.target.pixels("test").first(job.config.test_images)
    draw_run(folder, [a.entry() for a in artifacts], evaluated, rows, test)
    confirm(relied_on)
    job.target.check_unchanged()
    record = write_record(folder, replace(record, observer_errors=tuple(complaints), references=tuple(beside)))
    shutil.rmtree(folder / identity.FROZEN, ignore_errors=True)
    return record


def train_stages(job: Job, folder: Path, complaints: list[str]) -> list[Artifact]:
    """The artifacts of all stages in order: reused, continued or trained."""
    artifacts: list[Artifact] = []
    for name, asked in job.config.stages.items():
        stage = job.repeated(asked)
        parent = artifacts[-1] if artifacts else None
        teacher = _frozen_network(job, parent, stage.reads) if parent else None
        artifact = ensure_stage(
            name, stage, job.keys[name], parent, teacher, job.images_of(stage), job.stages_folder,
            plugins=job.plugins, seed=job.config.seed, device=job.device, precision=job.precision,
            probe=_probe(
                job, stage, folder / identity.FROZEN / "probe", stage.training.epochs // max(1, asked.training.epochs)
            ),
            probed=_probed(job, stage),
        )  # fmt: skip
        artifacts.append(artifact)
        complaints += job.plugins.observe("lmbench_stage_finished", run=job.config, stage=artifact.entry())
    return artifacts


def freeze(job: Job, artifacts: list[Artifact]) -> Extractor | None:
    """The FREEZE line: the network of the last stage, or an untrained one, read by its layers; nothing trains after it."""
    judged, layers = job.config.network, job.config.read.layers
    if not judged:
        return None
    if artifacts:
        return _frozen_network(job, artifacts[-1], layers)
    with initialising(job.config.seed, "weights", judged.backbone):
        network = build_backbone(judged.backbone, judged.backbone_settings, job.plugins)
    return _extractor(job, network, layers)


def evaluate(job: Job, extractor: Extractor | None, folder: Path) -> list[Predictions | Confusions]:
    """The predictions of every task, also kept as parquet; those of an interrupted run are not made again."""
    train = job.target.pixels("train").first(job.config.train_images)
    test = job.target.pixels("test").first(job.config.test_images)
    done: dict[str, Predictions | Confusions] = {}

    def keep(predictions: Predictions | Confusions) -> None:
        predictions.write(folder / PREDICTIONS)
        done[predictions.name] = predictions

    def kept(name: str, stored: type[Predictions] | type[Confusions] = Predictions) -> bool:
        try:
            found = stored.read(folder / PREDICTIONS, name)
            if found is not None:
                identity.check_head(folder, name)
        except DataError as damaged:
            progress.say(f"{damaged} It is made again now.")
            return False
        if found is not None:
            done[name] = found
        return found is not None

    def frozen(split: str) -> FrozenMaps:
        assert extractor is not None
        pixels = train if split == "train" else test
        place = folder / identity.FROZEN / split
        return freeze_maps(extractor, pixels, place, job.device, job.config.encode_batch, f"encoding {split}")

    context = TaskContext(
        job.config, job.target, extractor, job.device, job.plugins, train, test, frozen, keep, kept,
        folder / HEADS, folder / identity.FROZEN,
    )  # fmt: skip
    for task in job.config.tasks:
        job.plugins.find("task", task).spec.make(context, job.config.settings_of(task))
    return list(done.values())


def _judged(job: Job, config: RunConfig, folder: Path) -> list[Predictions | Confusions]:
    """The predictions of another configuration on the job's data."""
    opened = {config.dataset: job.target} | ({config.pretrain_on: job.source} if job.source else {})
    other = prepare(config, job.plugins, None, job.runs, str(job.device), opened)
    return evaluate(other, freeze(other, train_stages(other, folder, [])), folder)


def check_judgeable(job: Job) -> None:
    """Raises DataError, before anything is trained, where the test split has an image that a metric cannot judge."""
    config, spec = job.config, job.target.spec
    if not {"regression", "scale"} & set(config.tasks):
        return
    test = job.target.pixels("test").first(config.test_images)
    check_measurable(
        judged_by(spec, test, np.array(test.landmarks)[None], config.settings_of("regression").score), job.plugins
    )
    for perfect in perfect_at_every_factor(spec, config, test) if "scale" in config.tasks else ():
        check_measurable(perfect, job.plugins)


def check_stages(job: Job) -> None:
    """Raises UsageError, before anything is trained, where a later stage could not be built on what an earlier one leaves."""

    def read(network: torch.nn.Module, stage: Stage, reads: tuple[str, ...]) -> Extractor:
        layers = reads or _all_maps(job, stage.backbone)
        return Extractor(network.eval(), layers, job.config.read.size, job.config.read.normalise)

    stages = job.config.stages
    if len(stages) > 1 and any(planned(job.stages_folder, key) == "train" for key in job.keys.values()):
        require_buildable(stages, job.plugins, read)


def describe(
    job: Job,
    folder: Path,
    artifacts: list[Artifact],
    evaluated: list[Predictions | Confusions],
    rows: list[Row],
    seconds: float,
) -> Record:
    """The whole record but for what observers said."""
    config, method = job.config, job.plugins.find("method", job.config.method)
    components = identity.components_of(config, job.plugins, [row.metric for row in rows])
    whole = (row for row in rows if row.task == "regression" and not row.subset)
    return Record(
        run=folder.name,
        method=config.method,
        variant=config.output,
        dataset=job.target.name,
        pretrain_on=job.source.name if job.source else "",
        preset=config.preset,
        seed=config.seed,
        backbone=config.network.backbone,
        supervision="none" if config.untrained else method.spec.supervision,
        feature_dim=next((row.settings.get("dimension") for row in whole), None),
        rows=tuple(rows),
        stages=tuple(TrainedStage.of(a.entry()) for a in artifacts),
        components=tuple(components),
        choices=dict(method.spec.choices),
        data=describe_data(job),
        predictions=tuple(sorted(f"{PREDICTIONS}/{p.name}.parquet" for p in evaluated)),
        heads={p.name: digest_of_file(p) for p in sorted((folder / HEADS).glob("*.safetensors"))},
        code=code_state(),
        environment=environment(job.device, job.precision),
        finished=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        seconds=round(seconds, 1),
        config=config.dump(),
        config_sha256=config.digest(),
        identity=dict(job.identity),
    )


def describe_data(job: Job) -> Data:
    """What a record says of the images and labels behind it."""
    config, target, source = job.config, job.target, job.source
    steps = target.spec.preprocessing
    return Data(
        fingerprint=target.fingerprint,
        partial=target.partial or None,
        counts={split: len(d) for split, d in target.splits.items()},
        used={"train": config.train_images, "test": config.test_images},
        preprocessing={
            "resize": steps.resize,
            "crop": steps.crop,
            "size": steps.size,
            **({"centres": steps.centres} if steps.centres != "papers" else {}),
            **({"fill": steps.fill} if steps.fill else {}),
        },
        framing=asdict(target.spec.framing) if target.spec.framing else None,
        landmarks=target.spec.landmark_names,
        pixels_sha256={s: target.pixels(s).pixels_sha256 for s in ("train", "test")},
        reading={s: said for s in ("train", "test") if (said := target.pixels(s).reading)},
        pretraining_fingerprint=source.fingerprint if source else None,
        test_images_pretrained_on={"images": len(job.leaked), "first": job.leaked[0]} if job.leaked else None,
        object_scale={n: s and s.entry() for n, s in object_scales(config, job.plugins).items()},
        notes=tuple(target.spec.notes),
        remarks={s: d.info.description for s, d in target.splits.items() if d.info.description},
        pretraining_remarks=source.splits["train"].info.description if source else "",
    )


def _recorded(job: Job, folder: Path) -> Record:
    """The record that is there. Raises StaleError where it was made from something else than the job says."""
    record = read_record(folder / RECORD)
    if record.identity != job.identity:
        why = identity.differences(dict(record.identity or {}), dict(job.identity))
        raise StaleError(f"{folder / RECORD} was made from {why}. Pass --resume never to measure anew beside it.")
    return record


def _frozen_network(job: Job, artifact: Artifact, layers: tuple[str, ...]) -> Extractor:
    """The network of a stage, read by ``layers``; by all its maps, deepest first, where none are named."""
    layers = layers or _all_maps(job, artifact.config.backbone)
    return _extractor(job, load_network(artifact, job.plugins), layers)


def _all_maps(job: Job, backbone: str) -> tuple[str, ...]:
    return tuple(m.name for m in reversed(job.plugins.find("backbone", backbone).spec.maps))


def _extractor(job: Job, network: torch.nn.Module, layers: tuple[str, ...]) -> Extractor:
    return Extractor.of(network, layers, job.config.read.size, job.config.read.normalise).to(job.device)


def _probed(job: Job, stage: Stage) -> str:
    """What the figures of a stage's probe depend on besides the stage itself; nothing where it is off."""
    if job.config.probe.every == 0:
        return ""
    config, steps = plain(job.config.probe), asdict(job.target.spec.preprocessing)
    read = [_probe_layers(job, stage), job.config.read.size, job.config.read.normalise]
    return digest_of([config, read, job.target.fingerprint, steps])


def _probe_layers(job: Job, stage: Stage) -> tuple[str, ...]:
    maps = _all_maps(job, stage.backbone)
    return job.config.read.layers if set(job.config.read.layers) <= set(maps) else maps


def _probe(job: Job, stage: Stage, scratch: Path, times: int) -> Callable[[Objective, int], dict[str, float]] | None:
    """The learning curve's probe of a stage, or None where it is off; of images repeated so many ``times`` not more often."""
    settings = job.config.probe
    if settings.every == 0:
        return None
    layers = _probe_layers(job, stage)

    def probe(objective: Objective, epoch: int) -> dict[str, float]:
        if epoch % (settings.every * max(1, times)) and epoch != stage.training.epochs:
            return {}
        extractor = _extractor(job, copy.deepcopy(objective.extractor().network), layers)
        figures = probe_network(
            extractor, job.target, settings, job.config.seed, job.device, "conv4_x", job.plugins, scratch
        )
        said = ", ".join(f"{k.removeprefix('probe_')} {v:.2f}" for k, v in figures.items())
        progress.say(f"  epoch {epoch}: {said}")
        return figures

    return probe
