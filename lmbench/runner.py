"""One run, top to bottom: data, stages, FREEZE, frozen maps, tasks, metrics, record."""

from __future__ import annotations

import copy
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lmbench import progress
from lmbench.backbones import build_backbone
from lmbench.config import RunConfig, StageConfig
from lmbench.data.frozen import FrozenMaps, freeze_maps
from lmbench.data.opening import OpenDataset, open_dataset
from lmbench.data.overlap import require_held_out
from lmbench.errors import LmbenchError, StaleError, UsageError
from lmbench.features import Extractor
from lmbench.measuring import check_measurable, measure
from lmbench.metrics.base import Predictions
from lmbench.metrics.pixels import Confusions
from lmbench.plugins import Plugins
from lmbench.provenance import code_state, environment
from lmbench.records import PREDICTIONS, RECORD, SCHEMA, read_record, run_name, write_record
from lmbench.references import references
from lmbench.seeds import initialising
from lmbench.store import explained, locked, write_json
from lmbench.tasks.base import TaskContext
from lmbench.tasks.probe import probe_network
from lmbench.tasks.regression import judged_by
from lmbench.tasks.scale import perfect_at_every_factor
from lmbench.training.loop import resolve_device, resolve_precision
from lmbench.training.objective import Objective
from lmbench.training.stages import Artifact, ensure_stage, load_network, planned, stage_key


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
    leaked: tuple[str, ...] = ()
    """Test images that the method is pretrained on; allowed by the configuration."""

    @property
    def stages_folder(self) -> Path:
        return self.runs / "stages"

    @property
    def folder(self) -> Path:
        c = self.config
        return self.runs / run_name(c.method, c.output, c.dataset, c.preset, c.seed, c.digest())

    def images_of(self, stage: StageConfig) -> OpenDataset:
        """The dataset whose training images a stage learns from, without their labels."""
        if stage.data == "target":
            return self.target
        assert self.source is not None
        return self.source

    def repeated(self, stage: StageConfig) -> StageConfig:
        """A stage as it is trained on the images there are: with more epochs where they are few (`TrainingConfig.over`)."""
        training = stage.training.over(len(self.images_of(stage).splits["train"]))
        return stage.model_copy(update={"training": training})


def prepare(
    config: RunConfig,
    plugins: Plugins,
    data_root: Path | None,
    runs: Path,
    device: str = "auto",
    opened: dict[str, OpenDataset] | None = None,
) -> Job:
    """Opens the data and addresses every stage. Raises UsageError or DataError before anything is computed.

    ``opened``: datasets by name that were opened before; those opened now are added, so that several runs share them.
    """
    opened = {} if opened is None else opened
    for name in filter(None, (config.dataset, config.pretrain_on)):
        if name not in opened:
            opened[name] = open_dataset(name, data_root, plugins)
    target, source = opened[config.dataset], opened.get(config.pretrain_on)
    train_size = min(len(target.splits["train"]), config.train_images or 10**9)
    too_many = [n for n in config.regression.annotations if n != "all" and int(n) > train_size]
    if too_many or any(n != "all" and int(n) < 1 for n in config.regression.annotations):
        raise UsageError(
            f"--annotations {(too_many or [0])[0]}: {config.dataset} has {train_size} training images; "
            f"ask for 1 to {train_size}, or all."
        )
    keys: dict[str, str] = {}
    parent: str | None = None
    for name, stage in config.stages.items():
        objective = plugins.find("objective", stage.objective).spec
        objective.load().check({**objective.settings, **stage.settings})
        images = target if stage.data == "target" else source
        assert images is not None
        steps = replace(images.spec.preprocessing, resize=stage.training.frame, crop=0)
        parent = keys[name] = stage_key(stage, plugins, images.fingerprint, steps, parent, config.seed)
    leaked = require_held_out(config, target, source)
    return Job(config, plugins, target, source, runs.absolute(), resolve_device(device), keys, leaked)


def plan(job: Job) -> dict[str, Any]:
    """What ``run`` would do, without doing it: for each stage ``reuse``, ``continue`` or ``train``."""
    stages = []
    for name, stage in job.config.stages.items():
        training = job.repeated(stage).training
        stages.append(
            {"stage": name, "objective": stage.objective, "epochs": training.epochs,
             "steps": training.steps(len(job.images_of(stage).splits["train"])),
             "repeated": training.epochs != stage.training.epochs, "key": job.keys[name],
             "action": planned(job.stages_folder, job.keys[name])}
        )  # fmt: skip
    finished = (job.folder / RECORD).exists()
    return {"run": job.folder.name, "finished": finished, "stages": stages, "tasks": list(job.config.tasks)}


def run(job: Job, resume: str = "auto") -> tuple[dict[str, Any], bool]:
    """(record, whether it was there before). ``resume``: ``auto``, ``never`` or ``require``; see docs/runs.md."""
    folder = _place(job, resume)
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / "run"):
        if (folder / RECORD).exists():
            return _recorded(job, folder), True
        started = time.monotonic()
        write_json(folder / "config.json", job.config.model_dump(mode="json"))
        complaints = job.plugins.observe("lmbench_run_started", run=job.config)
        precision = resolve_precision(job.config.precision, job.device)

        check_judgeable(job)
        artifacts = train_stages(job, precision, complaints)
        extractor = freeze(job, artifacts)
        trained = time.monotonic()
        evaluated = evaluate(job, extractor, folder)
        judging = time.monotonic() - trained
        metrics = [row for predictions in evaluated for row in measure(predictions, job.plugins)]

        record = describe(job, folder, artifacts, evaluated, metrics, precision, time.monotonic() - started)
        complaints += job.plugins.observe("lmbench_run_finished", run=job.config, record=record)
        record["observer_errors"] = complaints
        record["references"] = references(job, partial(_judged, job, precision), judging, time.monotonic() - started)
        _draw(job, folder, artifacts, evaluated, metrics)
        write_record(folder, record)
        shutil.rmtree(folder / "frozen", ignore_errors=True)
        return record, False


def train_stages(job: Job, precision: str, complaints: list[str]) -> list[Artifact]:
    """The artifacts of all stages in order: reused, continued or trained."""
    artifacts: list[Artifact] = []
    for name, asked in job.config.stages.items():
        stage = job.repeated(asked)
        parent = artifacts[-1] if artifacts else None
        teacher = _frozen_network(job, parent, stage.reads) if parent else None
        artifact = ensure_stage(
            name, stage, job.keys[name], parent, teacher, job.images_of(stage), job.stages_folder,
            plugins=job.plugins, seed=job.config.seed, device=job.device, precision=precision,
            probe=_probe(job, stage, stage.training.epochs // max(1, asked.training.epochs)),
        )  # fmt: skip
        artifacts.append(artifact)
        complaints += job.plugins.observe("lmbench_stage_finished", run=job.config, stage=artifact.entry())
    return artifacts


def freeze(job: Job, artifacts: list[Artifact]) -> Extractor | None:
    """The FREEZE line: the network of the last stage, or an untrained one, read by its layers; nothing trains after it."""
    read = job.config.read
    if read.backbone == "none":
        return None
    if artifacts:
        return _frozen_network(job, artifacts[-1], read.layers)
    with initialising(job.config.seed, "weights", read.backbone):
        network = build_backbone(read.backbone, read.backbone_settings, job.plugins)
    return _extractor(job, network, read.layers)


def evaluate(job: Job, extractor: Extractor | None, folder: Path) -> list[Predictions | Confusions]:
    """The predictions of every task, also kept as parquet; those of an interrupted run are not made again."""
    train = job.target.pixels("train").first(job.config.train_images)
    test = job.target.pixels("test").first(job.config.test_images)
    done: dict[str, Predictions | Confusions] = {}

    def keep(predictions: Predictions | Confusions) -> None:
        predictions.write(folder / PREDICTIONS)
        done[predictions.name] = predictions

    def kept(name: str, stored: type[Predictions] | type[Confusions] = Predictions) -> bool:
        found = stored.read(folder / PREDICTIONS, name)
        if found is not None:
            done[name] = found
        return found is not None

    def frozen(split: str) -> FrozenMaps:
        assert extractor is not None
        pixels = train if split == "train" else test
        place = folder / "frozen" / split
        return freeze_maps(extractor, pixels, place, job.device, job.config.encode_batch, f"encoding {split}")

    context = TaskContext(
        job.config, job.target, extractor, job.device, job.plugins, train, test, frozen, keep, kept, folder / "heads",
        folder / "frozen",
    )  # fmt: skip
    for task in job.config.tasks:
        job.plugins.find("task", task).spec.load()(context)
    return list(done.values())


def _judged(job: Job, precision: str, config: RunConfig, folder: Path) -> list[Predictions | Confusions]:
    """The predictions of another configuration on the job's data."""
    opened = {config.dataset: job.target} | ({config.pretrain_on: job.source} if job.source else {})
    other = prepare(config, job.plugins, None, job.runs, str(job.device), opened)
    return evaluate(other, freeze(other, train_stages(other, precision, [])), folder)


def check_judgeable(job: Job) -> None:
    """Raises DataError, before anything is trained, where the test split has an image that a metric cannot judge."""
    config, spec = job.config, job.target.spec
    if not {"regression", "scale"} & set(config.tasks):
        return
    test = job.target.pixels("test").first(config.test_images)
    check_measurable(judged_by(spec, test, np.array(test.landmarks)[None], config.regression.score), job.plugins)
    for perfect in perfect_at_every_factor(spec, config, test) if "scale" in config.tasks else ():
        check_measurable(perfect, job.plugins)


def describe(
    job: Job,
    folder: Path,
    artifacts: list[Artifact],
    evaluated: list[Predictions | Confusions],
    metrics: list[dict[str, Any]],
    precision: str,
    seconds: float,
) -> dict[str, Any]:
    """The whole record but for what observers said."""
    config, method = job.config, job.plugins.find("method", job.config.method)
    used = [("method", config.method), ("dataset", config.dataset), *(("task", t) for t in config.tasks)]
    used += [("backbone", config.read.backbone)] if config.read.backbone != "none" else []
    used += [("objective", s.objective) for s in config.stages.values()]
    used += [("dataset", config.pretrain_on)] if config.pretrain_on else []
    used += [("head", config.regression.head)] if {"regression", "scale"} & set(config.tasks) else []
    used += [("metric", row["metric"]) for row in metrics]
    components = [job.plugins.find(kind, name).identity() for kind, name in dict.fromkeys(used)]
    preprocessing = job.target.spec.preprocessing
    return {
        "schema": SCHEMA,
        "run": folder.name,
        "status": "ok",
        "method": config.method,
        "variant": config.output,
        "dataset": config.dataset,
        "pretrain_on": config.pretrain_on,
        "preset": config.preset,
        "seed": config.seed,
        "backbone": config.read.backbone,
        "supervision": "none" if config.untrained else method.spec.supervision,
        "feature_dim": next(
            (r["settings"].get("dimension") for r in metrics if r["task"] == "regression" and not r["subset"]), None
        ),
        "metrics": metrics,
        "stages": [a.entry() for a in artifacts],
        "components": components,
        "choices": dict(method.spec.choices),
        "data": {
            "fingerprint": job.target.fingerprint,
            "counts": {split: len(d) for split, d in job.target.splits.items()},
            "used": {"train": config.train_images, "test": config.test_images},
            "preprocessing": {
                "resize": preprocessing.resize,
                "crop": preprocessing.crop,
                "size": preprocessing.size,
                **({"fill": preprocessing.fill} if preprocessing.fill else {}),
            },
            "framing": asdict(job.target.spec.framing) if job.target.spec.framing else None,
            "landmarks": list(job.target.spec.landmark_names),
            "pixels_sha256": {s: job.target.pixels(s).pixels_sha256 for s in ("train", "test")},
            "pretraining_fingerprint": job.source.fingerprint if job.source else None,
            **(
                {"test_images_pretrained_on": {"images": len(job.leaked), "first": job.leaked[0]}} if job.leaked else {}
            ),
            "notes": list(job.target.spec.notes),
            "remarks": {s: d.info.description for s, d in job.target.splits.items() if d.info.description},
        },
        "predictions": sorted(f"{PREDICTIONS}/{p.name}.parquet" for p in evaluated),
        "code": code_state(),
        "environment": environment(job.device, precision),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": round(seconds, 1),
        "config": config.model_dump(mode="json"),
        "config_sha256": config.digest(),
    }


def _place(job: Job, resume: str) -> Path:
    """The run's folder; a new one beside it for ``never``. Raises StaleError where ``require`` finds nothing."""
    if resume == "never":
        number = 2
        while (place := job.folder.with_name(f"{job.folder.name}-{number}")).exists():
            number += 1
        return place if job.folder.exists() else job.folder
    actions = [s["action"] for s in plan(job)["stages"]]
    if resume == "require" and not job.folder.exists() and "continue" not in actions:
        raise StaleError(f"--resume require: there is no interrupted run {job.folder} to go on from.")
    return job.folder


def _recorded(job: Job, folder: Path) -> dict[str, Any]:
    """The record that is there. Raises StaleError where it was made from other data than lies there now."""
    record = read_record(folder / RECORD)
    if record["data"]["fingerprint"] != job.target.fingerprint:
        raise StaleError(
            f"{folder / RECORD} was made from other data ({record['data']['fingerprint'][:12]}) than {job.target.origin} "
            f"holds now ({job.target.fingerprint[:12]}). Pass --resume never to measure anew beside it."
        )
    return record


def _frozen_network(job: Job, artifact: Artifact, layers: tuple[str, ...]) -> Extractor:
    """The network of a stage, read by ``layers``; by all its maps, deepest first, where none are named."""
    layers = layers or _all_maps(job, artifact.config.backbone)
    return _extractor(job, load_network(artifact, job.plugins), layers)


def _all_maps(job: Job, backbone: str) -> tuple[str, ...]:
    return tuple(m.name for m in reversed(job.plugins.find("backbone", backbone).spec.maps))


def _extractor(job: Job, network: torch.nn.Module, layers: tuple[str, ...]) -> Extractor:
    return Extractor.of(network, layers, job.config.regression.size, job.config.read.normalise).to(job.device)


def _probe(job: Job, stage: StageConfig, times: int) -> Callable[[Objective, int], dict[str, float]] | None:
    """The learning curve's probe of a stage, or None where it is off; of images repeated so many ``times`` not more often."""
    settings = job.config.probe
    if settings.every == 0:
        return None
    maps = _all_maps(job, stage.backbone)
    layers = job.config.read.layers if set(job.config.read.layers) <= set(maps) else maps

    def probe(objective: Objective, epoch: int) -> dict[str, float]:
        if epoch % (settings.every * max(1, times)) and epoch != stage.training.epochs:
            return {}
        extractor = _extractor(job, copy.deepcopy(objective.extractor().network), layers)
        figures = probe_network(extractor, job.target, settings, job.config.seed, job.device, "conv4_x", job.plugins)
        said = ", ".join(f"{k.removeprefix('probe_')} {v:.2f}" for k, v in figures.items())
        progress.say(f"  epoch {epoch}: {said}")
        return figures

    return probe


def _draw(
    job: Job,
    folder: Path,
    artifacts: list[Artifact],
    evaluated: list[Predictions | Confusions],
    metrics: list[dict[str, Any]],
) -> None:
    """Pictures beside the record; a picture that fails is no reason to lose a measurement."""
    from lmbench.report.pictures import draw_overlay
    from lmbench.report.plots import draw_accuracy, draw_curve, draw_scale
    from lmbench.report.weights import draw_regressor

    drawings = [partial(draw_curve, [a.entry() for a in artifacts], folder / "curve.png")] if artifacts else []
    curves = [row for row in metrics if row["metric"] == "acc_curve"]
    drawings += [partial(draw_accuracy, curves, folder / "accuracy.png")] if curves else []
    zooms = [row for row in metrics if row["task"] == "scale"]
    drawings += [partial(draw_scale, zooms, folder / "scale.png")] if zooms else []
    fitted = [p for p in evaluated if isinstance(p, Predictions) and p.task == "regression"]
    regression = next((p for p in fitted if p.subset is None and p.n_annotations == "all"), None)
    regression = regression or next(iter(fitted), None)
    if regression is not None:
        test = job.target.pixels("test").first(job.config.test_images)
        drawings.append(partial(draw_overlay, regression, test, folder / "overlay.png"))
        drawings.append(partial(draw_regressor, folder, regression, test))
    for draw in drawings:
        try:
            draw()
        except (OSError, ValueError, LmbenchError) as error:
            progress.say(f"warning: no picture: {error}")
