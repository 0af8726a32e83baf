"""A finished run put to use: its frozen network and heads on images of one's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from PIL import Image

from lmbench.backbones import build_backbone
from lmbench.config import RunConfig, validate
from lmbench.data.pixels import decode, preprocess_image
from lmbench.errors import DataError, UsageError
from lmbench.features import Extractor
from lmbench.heads.base import TensorInputs
from lmbench.heads.softargmax import FittedSoftargmax
from lmbench.plugins import get_plugins
from lmbench.records import RECORD, read_record
from lmbench.seeds import initialising
from lmbench.specs import Preprocessing
from lmbench.training.loop import resolve_device
from lmbench.training.stages import load_network, open_artifact


@dataclass(frozen=True)
class Predictor:
    """What ``predict_image`` needs of a run."""

    extractor: Extractor
    head: FittedSoftargmax
    steps: Preprocessing
    landmark_names: tuple[str, ...]
    device: torch.device


@dataclass(frozen=True)
class Prediction:
    """An image, as it was read, with its landmarks (L, 2) in its own pixels."""

    path: Path
    image: Image.Image
    landmarks: np.ndarray


def load_run(folder: Path, device: str = "auto") -> Predictor:
    """The network and the head of a run: the one of all annotations, else the first draw of the most.

    Raises DataError for a folder that is no finished run, UsageError for a run without heads on maps.
    """
    if not (folder / RECORD).is_file():
        raise DataError(f"{folder} holds no {RECORD}: name the folder of a finished run.")
    record = read_record(folder / RECORD)
    config = validate(record["config"])
    if config.read.backbone == "none":
        raise UsageError(f"{record['run']} has no network: its head looks at no image.")
    place = resolve_device(device)
    heads = sorted((folder / "heads").glob("regression-n*.safetensors"), key=_annotations, reverse=True)
    if not heads:
        raise DataError(f"{folder}: no head is kept there (heads/regression-n*.safetensors).")
    state = safetensors.torch.load_file(heads[0])
    if "filters" not in state:
        raise UsageError(f"{record['run']}: the head {config.regression.head} does not read maps.")
    head = FittedSoftargmax.from_state({k: (v if k == "multiplier" else v[:1].to(place)) for k, v in state.items()})
    spec = get_plugins().find("dataset", config.dataset).spec
    return Predictor(
        _extractor(folder, record["stages"], config, place), head, spec.preprocessing, spec.landmark_names, place
    )


def predict_image(predictor: Predictor, path: Path) -> Prediction:
    """The landmarks of one image file, read through its central square. Raises DataError where it is no image."""
    image = decode({"image": {"path": str(path), "bytes": None}, "source_id": path.name}, "predict").convert("RGB")
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    steps = predictor.steps
    pixels, _ = preprocess_image(image, np.array([left, top, side, side], np.float32), steps)
    batch = torch.from_numpy(pixels.copy()).to(predictor.device).permute(2, 0, 1)[None].float() / 255
    found = predictor.head.predict(TensorInputs(steps.size, predictor.extractor.maps(batch)))[0, 0].numpy()
    return Prediction(path, image, (found + steps.crop) * (side / steps.resize) + np.array([left, top]))


def _annotations(path: Path) -> float:
    n = path.stem.removeprefix("regression-n")
    return float("inf") if n == "all" else float(n)


def _extractor(folder: Path, stages: list[dict[str, str]], config: RunConfig, device: torch.device) -> Extractor:
    plugins = get_plugins().of_recipe(config.method, config.variant)
    if stages:
        last = stages[-1]
        place = folder.parent / "stages" / last["key"][:20]
        if not place.is_dir():
            raise DataError(f"{place} is gone: the run's network was kept there.")
        artifact = open_artifact(last["name"], config.stages[last["name"]], last["key"], place, reused=True)
        network = load_network(artifact, plugins)
    else:
        with initialising(config.seed, "weights", config.read.backbone):
            network = build_backbone(config.read.backbone, config.read.backbone_settings, plugins)
    return Extractor(network, config.read.layers, config.regression.size, config.read.normalise).to(device)
