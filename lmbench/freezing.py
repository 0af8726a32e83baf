"""Everything left of the FREEZE line: stages trained in order, and the network that is left of them. Nothing trains after it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch

from lmbench.backbones import build_backbone
from lmbench.config.model import Stage
from lmbench.features import Extractor
from lmbench.job import Job
from lmbench.results.identity import FROZEN
from lmbench.seeds import initialising
from lmbench.tasks.probe import StageProbe
from lmbench.training.stages import Artifact, all_maps, ensure_stage, load_network, planned, require_buildable


def train_stages(job: Job, folder: Path) -> Iterator[Artifact]:
    """The artifacts of all stages in order, each as soon as it is there: reused, continued or trained."""
    parent: Artifact | None = None
    for name, asked in job.config.stages.items():
        stage = job.repeated(asked)
        teacher = _frozen_network(job, parent, stage.reads) if parent else None
        probe = _probe(job, stage, folder, stage.training.epochs // max(1, asked.training.epochs))
        parent = ensure_stage(
            name, stage, job.keys[name], parent, teacher, job.images_of(stage), job.stages_folder,
            plugins=job.plugins, seed=job.config.seed, device=job.device, precision=job.precision,
            probe=probe.look if probe else None, probed=probe.key if probe else "",
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
    stages = job.config.stages
    if len(stages) > 1 and any(planned(job.stages_folder, key) == "train" for key in job.keys.values()):
        require_buildable(stages, job.plugins, job.config.read)


def _frozen_network(job: Job, artifact: Artifact, layers: tuple[str, ...]) -> Extractor:
    """The network of a stage, read by ``layers``; by all its maps, deepest first, where none are named."""
    layers = layers or all_maps(job.plugins, artifact.config.backbone)
    return _extractor(job, load_network(artifact, job.plugins), layers)


def _extractor(job: Job, network: torch.nn.Module, layers: tuple[str, ...]) -> Extractor:
    return Extractor.of(network, layers, job.config.read.size, job.config.read.normalise).to(job.device)


def _probe(job: Job, stage: Stage, folder: Path, times: int) -> StageProbe | None:
    """The learning curve's probe of a stage, or None where it is off; of images repeated so many ``times`` not more often."""
    config, settings = job.config, job.config.probe
    if settings.every == 0:
        return None
    maps = all_maps(job.plugins, stage.backbone)
    return StageProbe(
        job.target, settings, config.seed, job.device, job.plugins, folder / FROZEN / "probe",
        config.read.layers if set(config.read.layers) <= set(maps) else maps, config.read.size, config.read.normalise,
        every=settings.every * max(1, times), last=stage.training.epochs,
    )  # fmt: skip
