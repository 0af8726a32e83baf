"""Everything left of the FREEZE line: stages trained in order, and the network that is left of them. Nothing trains after it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import torch

from lmbench import progress
from lmbench.backbones import build_backbone
from lmbench.config.model import Stage, digest_of, plain
from lmbench.features import Extractor
from lmbench.job import Job
from lmbench.results.identity import FROZEN
from lmbench.seeds import initialising
from lmbench.tasks.probe import NetworkProbe
from lmbench.training.objective import Objective
from lmbench.training.stages import Artifact, ensure_stage, load_network, planned, require_buildable


def train_stages(job: Job, folder: Path) -> Iterator[Artifact]:
    """The artifacts of all stages in order, each as soon as it is there: reused, continued or trained."""
    parent: Artifact | None = None
    for name, asked in job.config.stages.items():
        stage = job.repeated(asked)
        teacher = _frozen_network(job, parent, stage.reads) if parent else None
        parent = ensure_stage(
            name, stage, job.keys[name], parent, teacher, job.images_of(stage), job.stages_folder,
            plugins=job.plugins, seed=job.config.seed, device=job.device, precision=job.precision,
            probe=_probe(job, stage, folder, stage.training.epochs // max(1, asked.training.epochs)),
            probed=_probed(job, stage),
        )  # fmt: skip
        yield parent


def freeze(job: Job, artifacts: list[Artifact]) -> Extractor | None:
    """The network of the last stage, or an untrained one, read by its layers; None for a method without one."""
    judged, layers = job.config.network, job.config.read.layers
    if not judged:
        return None
    if artifacts:
        return _frozen_network(job, artifacts[-1], layers)
    with initialising(job.config.seed, "weights", judged.backbone):
        network = build_backbone(judged.backbone, judged.backbone_settings, job.plugins)
    return _extractor(job, network, layers)


def check_stages(job: Job) -> None:
    """Raises UsageError, before anything is trained, where a later stage could not be built on what an earlier one leaves."""

    def read(network: torch.nn.Module, stage: Stage, reads: tuple[str, ...]) -> Extractor:
        layers = reads or _all_maps(job, stage.backbone)
        return Extractor(network.eval(), layers, job.config.read.size, job.config.read.normalise)

    stages = job.config.stages
    if len(stages) > 1 and any(planned(job.stages_folder, key) == "train" for key in job.keys.values()):
        require_buildable(stages, job.plugins, read)


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


def _probe(job: Job, stage: Stage, folder: Path, times: int) -> Callable[[Objective, int], dict[str, float]] | None:
    """The learning curve's probe of a stage, or None where it is off; of images repeated so many ``times`` not more often."""
    settings = job.config.probe
    if settings.every == 0:
        return None
    layers = _probe_layers(job, stage)
    probe = NetworkProbe(job.target, settings, job.config.seed, job.device, job.plugins, folder / FROZEN / "probe")

    def look(objective: Objective, epoch: int) -> dict[str, float]:
        if epoch % (settings.every * max(1, times)) and epoch != stage.training.epochs:
            return {}
        network = copy.deepcopy(objective.extractor().network)
        figures = probe.figures(_extractor(job, network, layers))
        said = ", ".join(f"{k.removeprefix('probe_')} {v:.2f}" for k, v in figures.items())
        progress.say(f"  epoch {epoch}: {said}")
        return figures

    return look
