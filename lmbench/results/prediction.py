"""A finished run put to use: its frozen network and heads on images of one's own, framed as the run's images were."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import safetensors.torch
import torch
from PIL import Image

from lmbench.backbones import build_backbone
from lmbench.config.earlier import upgraded
from lmbench.config.model import RunConfig, plain
from lmbench.config.resolving import config_of
from lmbench.data.boxes import central_squares, check_box, frames_of, from_record, made_of, own_frame
from lmbench.data.images import read_image
from lmbench.data.pixels import preprocess_image, restore_points
from lmbench.errors import DataError, LmbenchError, StaleError, UsageError
from lmbench.features import Extractor
from lmbench.heads.base import TensorInputs
from lmbench.heads.frozen import halved
from lmbench.heads.softargmax import FittedSoftargmax
from lmbench.plugins.loading import get_plugins
from lmbench.results.record import RECORD, read_record
from lmbench.seeds import initialising
from lmbench.specs import Framing, Preprocessing
from lmbench.store import manifests
from lmbench.training.loop import resolve_device
from lmbench.training.stages import files_named, load_network, open_artifact

BATCH = 64  # images that are encoded at once, as many as a run's own
HEAD = re.compile(r"regression-n(all|[0-9]+)\.safetensors")
KEY = re.compile(r"[0-9a-f]{20,64}")
Filling = Literal["", "whole", "central"]


@dataclass(frozen=True)
class Predictor:
    """What predicting needs of a run. ``framing`` is ``None`` where its record states none."""

    run: str
    extractor: Extractor
    head: FittedSoftargmax
    steps: Preprocessing
    framing: Framing | None
    landmark_names: tuple[str, ...]
    device: torch.device


@dataclass(frozen=True)
class Region:
    """What is looked at: an image file, and in it the box (left, top, width, height) of an object called ``label``.

    Without a box the image is framed as the run framed its images.
    """

    path: Path
    box: tuple[float, ...] | None = None
    label: str = ""


@dataclass(frozen=True)
class Prediction:
    """Landmarks (L, 2) in pixels of an image as it was read, and the frame (left, top, width, height) they were seen in.

    ``framed``: what the frame was made of, in words.
    """

    region: Region
    image: Image.Image
    frame: tuple[float, ...]
    framed: str
    landmarks: np.ndarray


def load_run(folder: Path, device: str = "auto") -> Predictor:
    """The network and the head of a run: the one of all annotations, else the first draw of the most.

    All else is told by the record, so that the run's data need not be there. Raises DataError for a folder that is no
    finished run, LmbenchError for what is damaged, UsageError for a run without heads on maps.
    """
    if not (folder / RECORD).is_file():
        raise DataError(f"{folder} holds no {RECORD}: name the folder of a finished run.")
    record = read_record(folder / RECORD)
    config = config_of(get_plugins(), upgraded(record["config"], record["schema"]))
    if not config.network:
        raise UsageError(f"{record['run']} has no network: its head looks at no image.")
    place = resolve_device(device)
    path = _head_file(folder)
    manifests.require(path.parent, path.name, way_out="Measure anew with --resume never.")
    if record.get("heads") and record["heads"].get(path.name) != manifests.digest_of_file(path):
        raise DataError(
            f"{path} is a head of another run: its SHA-256 is not the one in the record. Put the run's own there, or measure "
            "anew with --resume never."
        )
    state = _head_state(path, record["run"], config, place)
    data = record["data"]
    names = tuple(data.get("landmarks") or get_plugins().find("dataset", config.dataset).spec.landmark_names)
    predictor = Predictor(
        record["run"],
        _extractor(folder, record, config, place),
        FittedSoftargmax.from_state(state),
        _steps(data["preprocessing"]),
        _framing(data.get("framing"), config),
        names,
        place,
    )
    _check_head(predictor, path)
    return predictor


def predict(predictor: Predictor, regions: Sequence[Region], filling: Filling = "") -> Iterator[Prediction]:
    """The landmarks of each region, in order.

    ``filling``: an object without a box fills the ``whole`` image or its ``central`` square; said by the user, for the run
    cannot know. Raises UsageError where a box is needed, DataError for a file that is no image or a box that is none.
    """
    require_boxes(predictor, regions, filling)
    for start in range(0, len(regions), BATCH):
        part = regions[start : start + BATCH]
        framed = list(_framed(predictor, part, filling))
        pixels = np.stack([preprocess_image(image, frame, predictor.steps)[0] for image, frame, _ in framed])
        frames = np.stack([frame for _, frame, _ in framed])
        found = _landmarks(predictor, pixels)
        points = restore_points(found, frames, frames[:, 2:], predictor.steps)
        for region, (image, frame, said), landmarks in zip(part, framed, points, strict=True):
            yield Prediction(region, image, tuple(frame.tolist()), said, landmarks)


def require_boxes(predictor: Predictor, regions: Sequence[Region], filling: Filling = "") -> None:
    """Raises UsageError, before anything is read, where the run's frames were made of more than the images."""
    without = [r.path for r in regions if r.box is None]
    if filling or not without or (predictor.framing is not None and not predictor.framing.from_labels):
        return
    if predictor.framing is None:
        reason = f"the record of {predictor.run} does not say how its images were framed"
        box = "a box is then read as it is, as the whole frame. Or give the run's command again with --resume never"
    else:
        reason = f"the images of {predictor.run} were cut by {made_of(predictor.framing)}"
        box = "the run's own margin is added"
    raise UsageError(
        f"{reason}, and {without[0]} has no box. Say where the object is: --box LEFT,TOP,WIDTH,HEIGHT in pixels of the image, "
        f"or --boxes FILE.csv with the columns image,left,top,width,height ({box}). Where it fills the image: --boxes whole; "
        "where it fills the central square: --boxes central."
    )


def _framed(
    predictor: Predictor, regions: Sequence[Region], filling: Filling
) -> Iterator[tuple[Image.Image, np.ndarray, str]]:
    """The image of each region, its frame (4,) and what that is made of."""
    read: tuple[Path, Image.Image] | None = None
    for region in regions:
        if read is None or read[0] != region.path:
            raw = predictor.framing is not None and predictor.framing.raw
            read = region.path, read_image(region.path, str(region.path), "predict", raw)[0]
        image, framing = read[1], predictor.framing
        whole = np.array([[0, 0, *image.size]], np.float64)
        if region.box is None and not filling:
            assert framing is not None
            yield image, own_frame(framing, image.size, str(region.path)), made_of(framing)
            continue
        if region.box is not None:
            check_box(region.box, image.size, str(region.path))
            box, said = np.array([region.box], np.float64), "the given box"
        else:
            box = whole if filling == "whole" else central_squares(whole)
            said = f"the {filling} image as the object's box, as asked for"
        yield image, frames_of(framing, box, whole[:, 2:])[0], said


def _landmarks(predictor: Predictor, pixels: np.ndarray) -> np.ndarray:
    """(B, L, 2) landmarks in pixels of preprocessed images (B, size, size, 3), by maps as a run keeps them."""
    images = torch.from_numpy(pixels).to(predictor.device).permute(0, 3, 1, 2).float().div_(255)
    maps = predictor.extractor.maps(images)
    kept = replace(maps, maps=tuple(halved(m).float() for m in maps.maps))
    return predictor.head.predict(TensorInputs(predictor.steps.size, kept))[0].numpy()


def _steps(stated: dict[str, Any]) -> Preprocessing:
    known = {f.name for f in fields(Preprocessing)}
    try:
        return Preprocessing(**{k: v for k, v in stated.items() if k in known})
    except TypeError:
        raise LmbenchError(f"the record's preprocessing is damaged: {stated}.") from None


def _framing(stated: Any, config: RunConfig) -> Framing | None:
    ruled = isinstance(stated, dict) and stated.get("rule")
    return from_record(stated, get_plugins().find("dataset", config.dataset).spec.framing if ruled else None)


def _head_file(folder: Path) -> Path:
    """The kept head of all annotations, else of the most."""
    heads = {path: m[1] for path in (folder / "heads").glob("*") if (m := HEAD.fullmatch(path.name))}
    if not heads:
        raise DataError(f"{folder}: no head is kept there (heads/regression-n*.safetensors).")
    return max(heads, key=lambda p: float("inf") if heads[p] == "all" else int(heads[p]))


def _head_state(path: Path, run: str, config: RunConfig, device: torch.device) -> dict[str, torch.Tensor]:
    """The tensors of the first head in a file. Raises LmbenchError (damaged) or UsageError (another kind of head)."""
    try:
        state = safetensors.torch.load_file(path)
    except Exception as error:
        raise LmbenchError(
            f"{path} is damaged ({str(error).splitlines()[0]}). Give the run's command again with --resume never: stages are "
            "reused, heads are fitted anew."
        ) from None
    if not {"filters", "linear", "offset", "multiplier"} <= set(state):
        raise UsageError(f"{run}: the head {config.settings_of('regression').head} does not read maps.")
    return {k: (v if k == "multiplier" else v[:1].to(device)) for k, v in state.items()}


def _check_head(predictor: Predictor, path: Path) -> None:
    """Raises LmbenchError where the head is not one of this network and these landmarks, or holds no numbers."""
    head, count = predictor.head, len(predictor.landmark_names)
    side = predictor.steps.size
    dim = predictor.extractor.maps(torch.zeros(1, 3, side, side, device=predictor.device)).dim
    if head.filters.ndim != 3 or head.linear.shape[1:3] != (count, 2) or head.filters.shape[2] != dim:
        raise LmbenchError(
            f"{path} is a head of another run: {count} landmarks read from {dim} channels are expected, found filters of shape "
            f"{tuple(head.filters.shape)} and maps of shape {tuple(head.linear.shape)} to landmarks."
        )
    if not all(bool(t.isfinite().all()) for t in (head.filters, head.linear, head.offset)):
        raise LmbenchError(f"{path} is damaged: it holds values that are no numbers.")


def _extractor(folder: Path, record: dict[str, Any], config: RunConfig, device: torch.device) -> Extractor:
    plugins, stages = get_plugins().of_recipe(config.method, config.variant), record["stages"]
    if stages:
        name, key = str(stages[-1].get("name")), str(stages[-1].get("key"))
        if name not in config.stages or not KEY.fullmatch(key):
            raise LmbenchError(f"{folder / RECORD} is damaged: its last stage {name} is not one of its configuration.")
        place = folder.parent / "stages" / key[:20]
        if not place.is_dir():
            raise DataError(
                f"{place} is gone: the run's network was kept there. Put it back, or give the run's command again with "
                "--resume never: the stage is trained anew."
            )
        artifact = open_artifact(name, config.stages[name], key, place, reused=True)
        if stages[-1].get("weights_sha256", artifact.weights_sha256) != artifact.weights_sha256:
            raise StaleError(
                f"{place} was trained anew after {folder.name} was measured: its heads belong to other weights. "
                "Measure anew with --resume never."
            )
        network = load_network(artifact, plugins)
    else:
        then = (record.get("identity") or {}).get("files")
        if then is not None and files_named(config.network.backbone_settings) != then:
            raise StaleError(
                f"the file of weights that {folder.name} was measured with is another one now, or gone "
                f"({', '.join(map(str, plain(config.network.backbone_settings).values()))}). Put it back, or measure anew."
            )
        with initialising(config.seed, "weights", config.network.backbone):
            network = build_backbone(config.network.backbone, config.network.backbone_settings, plugins)
    return Extractor.of(network, config.read.layers, config.read.size, config.read.normalise).to(device)
