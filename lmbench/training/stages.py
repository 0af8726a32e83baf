"""Stage artifacts: content-addressed, trained once, reused by every run that asks for the same."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import nn

from lmbench import progress
from lmbench.backbones import build_backbone
from lmbench.config.budget import image_views
from lmbench.config.model import Read, Stage, digest_of, plain
from lmbench.data.opening import OpenDataset
from lmbench.errors import DataError, LmbenchError, UsageError
from lmbench.features import Extractor
from lmbench.geometry.framing import Preprocessing
from lmbench.plugins.loading import Plugins
from lmbench.printable import counted, csv_text
from lmbench.results.record import TrainedStage
from lmbench.seeds import initialising
from lmbench.specs import ObjectiveSpec
from lmbench.store import manifests
from lmbench.store.files import building, read_json, write_json
from lmbench.training.loop import Curve, is_probed, train, without_probe
from lmbench.training.objective import Objective

WEIGHTS, NOTE, CURVE, CHECKPOINT = "weights.safetensors", "stage.json", "curve.csv", "state.pt"


@dataclass(frozen=True)
class Artifact:
    """A trained stage on disk: its key, folder, configuration, and whether it was there before."""

    name: str
    key: str
    folder: Path
    config: Stage
    reused: bool
    seconds: float
    curve: Curve
    steps: int
    views: int | None = None
    precision: str = ""
    device: str = ""

    @property
    def weights_sha256(self) -> str:
        """The digest of the weights as they lie there."""
        return manifests.digest_of_file(self.folder / WEIGHTS)

    def stated(self) -> TrainedStage:
        """The stage as records state it."""
        return TrainedStage(
            key=self.key,
            name=self.name,
            objective=self.config.objective,
            backbone=self.config.backbone,
            weights_sha256=self.weights_sha256,
            precision=self.precision,
            device=self.device,
            reused=self.reused,
            seconds=round(self.seconds, 1),
            epochs=self.config.training.epochs,
            steps=self.steps,
            views=self.views,
            curve=tuple(self.curve),
        )


def stage_key(
    config: Stage,
    plugins: Plugins,
    dataset_fingerprint: str,
    steps: Preprocessing,
    parent: str | None,
    seed: int,
    precision: str,
    device_class: str,
) -> str:
    """The address of a stage: what it computes, by which versions, from which data and parent, how and with which seed.

    ``parent`` is the address of the stage it learns from together with how that one is read; ``precision`` the resolved
    one; ``device_class`` is cpu or cuda, whose arithmetic differs.
    """
    what = config.dump()
    what["training"].pop("checkpoint_minutes")  # how often we save changes no number
    components = [plugins.find(kind, getattr(config, kind)).identity() for kind in ("objective", "backbone")]
    files = [files_named(config.settings), files_named(config.backbone_settings)]
    data = [dataset_fingerprint, asdict(steps)]
    return digest_of([what, components, files, data, parent, seed, precision, device_class])


def files_named(settings: Any) -> dict[str, str]:
    """The SHA-256 of every file that settings name, or mean by a word (``files_meant()``): there may be others tomorrow.

    Raises DataError where settings say that what a word stands for is not installed.
    """
    paths = {name: Path(value).expanduser() for name, value in _texts(plain(settings), "")}
    paths |= settings.files_meant() if hasattr(settings, "files_meant") else {}
    return {name: manifests.digest_of_file(path) for name, path in paths.items() if _is_file(path)}


def _texts(settings: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _texts(value, f"{prefix}{name}.")
        elif isinstance(value, str) and value:
            yield f"{prefix}{name}", value


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a text that can be no path
        return False


def planned(folder: Path, key: str) -> str:
    """What a run would do for a stage: ``reuse``, ``continue`` or ``train`` (also where what is there is damaged)."""
    place = folder / key[:20]
    if place.is_dir() and manifests.damage(place) is None:
        return "reuse"
    whole = manifests.damage(_checkpoint(place).parent, CHECKPOINT) is None
    return "continue" if whole else "train"


def ensure_stage(
    name: str,
    config: Stage,
    key: str,
    parent: Artifact | None,
    parent_extractor: Extractor | None,
    dataset: OpenDataset,
    folder: Path,
    *,
    plugins: Plugins,
    seed: int,
    device: torch.device,
    precision: str,
    probe: Callable[[Objective, int], dict[str, float]] | None = None,
    probed: str = "",
) -> Artifact:
    """The artifact of a stage, trained now if it is not there. Another process training it is waited for.

    A damaged one is named, moved aside and trained anew. ``probed``: what the probe's figures depend on besides the stage;
    the curve shows those of no other probe.
    """
    place = folder / key[:20]
    with building(place, aside=True) as draft:
        if draft is None:
            _forget_checkpoint(place)  # of a process that was killed after it had finished the stage
            artifact = open_artifact(name, config, key, place, reused=True, probed=probed)
            if probe is not None and not any(is_probed(row) for row in artifact.curve):
                progress.say(f"stage {name} was trained before, without this probe: its curve has no figures of it")
            return artifact
        objective = build_objective(config, plugins, parent, parent_extractor, seed, name)
        with manifests.relying() as relied_on:
            pixels = dataset.pixels("train", Preprocessing(config.training.frame)).first(config.training.images)
            steps = config.training.steps(len(pixels))
            taken = f"{counted(config.training.epochs, 'epoch')}, {counted(steps, 'step')}"
            amount = f"{counted(len(pixels), 'image')} of {dataset.name}, {taken}"
            progress.say(f"stage {name}: {config.objective} on {config.backbone}, {amount}")
            curve, seconds = train(
                objective,
                pixels,
                config.training,
                seed=seed,
                key=key,
                checkpoint=_checkpoint(place),
                device=device,
                precision=precision,
                label=name,
                probe=None if probe is None else lambda epoch: probe(objective, epoch),
                probed=probed,
            )
        _confirm(relied_on - {_checkpoint(place).parent}, place)
        network = objective.extractor().network.cpu()
        state = {k: v.contiguous() for k, v in network.state_dict().items()}
        (draft / WEIGHTS).write_bytes(safetensors.torch.save(state, metadata={"key": key}))
        note = {
            "key": key,
            "config": config.dump(),
            "dataset": dataset.name,
            "fingerprint": dataset.fingerprint,
            "images": len(pixels),
            "steps": steps,
            "views": image_views(config, plugins, len(pixels)),
            "parent": parent.key if parent else None,
            "seed": seed,
            "precision": precision,
            "device": str(device),
            "seconds": seconds,
            "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "curve": curve,
            "probed": probed,
        }
        write_json(draft / NOTE, note)
        (draft / CURVE).write_text(curve_csv(curve), encoding="utf-8")
    _forget_checkpoint(place)
    return open_artifact(name, config, key, place, reused=False, probed=probed)


def build_objective(
    config: Stage,
    plugins: Plugins,
    parent: Artifact | None,
    parent_extractor: Extractor | None,
    seed: int,
    name: str,
) -> Objective:
    """A new objective on a new backbone, initialised by seed. Raises UsageError where a parent is needed and none is."""
    spec: ObjectiveSpec = plugins.find("objective", config.objective).spec
    if (spec.needs_parent or config.starts_from_parent) and parent is None:
        raise UsageError(f"stage {name}: {config.objective} learns from an earlier stage, and there is none before it.")
    with initialising(seed, "weights", config.backbone):
        backbone = build_backbone(config.backbone, config.backbone_settings, plugins)
    if config.starts_from_parent and parent is not None:
        load_weights(backbone, parent)
    with initialising(seed, "objective", config.objective):
        objective: Objective = spec.make(backbone, parent_extractor, config.settings)
    return objective


def require_buildable(stages: Mapping[str, Stage], plugins: Plugins, read: Read) -> None:
    """Raises what building a stage would raise only after those before it are trained: parts that do not belong together.

    Everything is built where tensors have shapes and no values (``meta``), so that it costs no memory and no chance.
    ``read``: how the next stage is handed what a stage leaves.
    """
    left: tuple[nn.Module, tuple[str, ...]] | None = None
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        for name, stage in stages.items():
            spec: ObjectiveSpec = plugins.find("objective", stage.objective).spec
            try:
                parent = Extractor(left[0].eval(), stage.reads or left[1], read.size, read.normalise) if left else None
                network = build_backbone(stage.backbone, stage.backbone_settings, plugins)
                trained = spec.make(network, parent, stage.settings).extractor().network
                left = trained, all_maps(plugins, stage.backbone)
            except LmbenchError as error:
                raise type(error)(f"stages.{name}: {error}") from None
            except (RuntimeError, NotImplementedError, TypeError, ValueError):
                return  # a plugin that wants values where there are none; what is wrong with it, training tells


def all_maps(plugins: Plugins, backbone: str) -> tuple[str, ...]:
    """The names of all maps of a backbone, deepest first."""
    return tuple(m.name for m in reversed(plugins.find("backbone", backbone).spec.maps))


def open_artifact(name: str, config: Stage, key: str, place: Path, reused: bool, probed: str = "") -> Artifact:
    """An artifact that is there, its curve without the figures of another probe than ``probed``.

    Raises LmbenchError where it is damaged or of another key.
    """
    manifests.require(place, way_out="Move it away and run again: the stage is trained anew.")
    note = read_json(place / NOTE)
    if note.get("key") != key:
        raise LmbenchError(f"{place} does not hold the stage {key[:20]}; move it away and run again.")
    return Artifact(
        name,
        key,
        place,
        config,
        reused,
        0.0 if reused else float(note["seconds"]),
        note["curve"] if note.get("probed") == probed else without_probe(note["curve"]),
        note.get("steps", config.training.steps(note["images"])),
        note.get("views"),
        note["precision"],
        note["device"],
    )


def load_network(artifact: Artifact, plugins: Plugins) -> nn.Module:
    """The frozen network of an artifact, in eval mode."""
    network = build_backbone(artifact.config.backbone, artifact.config.backbone_settings, plugins)
    load_weights(network, artifact)
    return network.eval()


def load_weights(network: nn.Module, artifact: Artifact) -> None:
    """Fills a network with an artifact's weights, strictly. Raises LmbenchError: truncated or foreign."""
    path = artifact.folder / WEIGHTS
    try:
        network.load_state_dict(safetensors.torch.load_file(path))
    except Exception as error:
        raise LmbenchError(
            f"{path} is truncated or holds another network ({str(error).splitlines()[0]}). "
            f"Delete {artifact.folder} and run again: the stage is trained anew."
        ) from None


def curve_csv(curve: list[Mapping[str, float]] | Curve) -> str:
    """The learning curve as CSV, one row an epoch."""
    columns = list(dict.fromkeys(k for row in curve for k in row))
    return csv_text(columns, curve)


def _checkpoint(place: Path) -> Path:
    return place.with_name(f"{place.name}.checkpoint") / CHECKPOINT


def _confirm(relied_on: set[Path], place: Path) -> None:
    """Reads once more what the weights were trained on. Raises DataError where it was damaged, with all that came of it."""
    try:
        manifests.confirm(relied_on)
    except DataError:
        _forget_checkpoint(place)
        raise


def _forget_checkpoint(place: Path) -> None:
    shutil.rmtree(_checkpoint(place).parent, ignore_errors=True)
