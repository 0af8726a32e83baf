"""A finished run put to use: the landmarks of its heads on images of one's own, framed as the run's images were."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image

from lmbench.data.boxes import central_squares, check_box, frames_of, from_record, made_of, own_frame
from lmbench.data.images import read_image
from lmbench.data.pixels import preprocess_image, restore_points
from lmbench.errors import LmbenchError, UsageError
from lmbench.features import Extractor
from lmbench.geometry.framing import Framing, Preprocessing
from lmbench.heads.base import FittedHeads, HeadInputs, TensorInputs
from lmbench.heads.frozen import halved
from lmbench.results.run import Run
from lmbench.training.loop import resolve_device

BATCH = 64  # images that are encoded at once, as many as a run's own
Filling = Literal["", "whole", "central"]


@dataclass(frozen=True)
class Region:
    """What is looked at: an image file, and in it the box (left, top, width, height) of an object called ``label``.

    Without a box the image is framed as the run framed its images.
    """

    path: Path
    box: tuple[float, ...] | None = None
    label: str = ""


@dataclass(frozen=True)
class Detection:
    """Landmarks (L, 2) in pixels of an image as it was read, and the frame (left, top, width, height) they were seen in.

    ``framed``: what the frame was made of, in words.
    """

    region: Region
    image: Image.Image
    frame: tuple[float, ...]
    framed: str
    landmarks: np.ndarray


@dataclass(frozen=True)
class Detector:
    """The frozen network and one head of a run. ``reads``: what the head looks at, ``maps`` or discovered ``landmarks``.

    ``framing`` is ``None`` where its record states none.
    """

    run: str
    extractor: Extractor
    heads: FittedHeads
    reads: str
    steps: Preprocessing
    framing: Framing | None
    landmark_names: tuple[str, ...]
    device: torch.device

    @classmethod
    def of(cls, run: Run, device: str = "auto") -> Detector:
        """The detector of a run: its head of all annotations, else the first draw of the most.

        Raises UsageError for a run whose head looks at neither maps nor landmarks, else as `Run.extractor` and `Run.heads`.
        """
        place = resolve_device(device)
        extractor, reads = run.extractor(place), run.head.inputs
        if reads not in ("maps", "landmarks"):
            raise UsageError(f"{run.name}: the head {run.head.name} reads neither maps nor landmarks of a network.")
        detector = cls(
            run=run.name,
            extractor=extractor,
            heads=run.heads(device=place if reads == "maps" else "cpu", first=True),
            reads=reads,
            steps=_steps(run),
            framing=_framing(run),
            landmark_names=run.landmark_names,
            device=place,
        )
        detector._try()
        return detector

    def detect(self, regions: Sequence[Region], filling: Filling = "") -> Iterator[Detection]:
        """The landmarks of each region, in order.

        ``filling``: an object without a box fills the ``whole`` image or its ``central`` square; said by the user, for the run
        cannot know. Raises UsageError where a box is needed, DataError for a file that is no image or a box that is none.
        """
        self._require_boxes(regions, filling)
        for start in range(0, len(regions), BATCH):
            part = regions[start : start + BATCH]
            framed = list(self._framed(part, filling))
            pixels = np.stack([preprocess_image(image, frame, self.steps)[0] for image, frame, _ in framed])
            frames = np.stack([frame for _, frame, _ in framed])
            found = self._landmarks(torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div_(255))
            points = restore_points(found, frames, frames[:, 2:], self.steps)
            for region, (image, frame, said), landmarks in zip(part, framed, points, strict=True):
                yield Detection(region, image, tuple(frame.tolist()), said, landmarks)

    def _require_boxes(self, regions: Sequence[Region], filling: Filling) -> None:
        """Raises UsageError, before anything is read, where the run's frames were made of more than the images."""
        without = [r.path for r in regions if r.box is None]
        if filling or not without or (self.framing is not None and not self.framing.from_labels):
            return
        if self.framing is None:
            reason = f"the record of {self.run} does not say how its images were framed"
            box = "a box is then read as it is, as the whole frame. Or give the run's command again with --resume never"
        else:
            reason = f"the images of {self.run} were cut by {made_of(self.framing)}"
            box = "the run's own margin is added"
        raise UsageError(
            f"{reason}, and {without[0]} has no box. Say where the object is: --box LEFT,TOP,WIDTH,HEIGHT in pixels of the "
            f"image, or --boxes FILE.csv with the columns image,left,top,width,height ({box}). Where it fills the image: "
            "--boxes whole; where it fills the central square: --boxes central."
        )

    def _framed(self, regions: Sequence[Region], filling: Filling) -> Iterator[tuple[Image.Image, np.ndarray, str]]:
        """The image of each region, its frame (4,) and what that is made of."""
        read: tuple[Path, Image.Image] | None = None
        framing = self.framing
        for region in regions:
            if read is None or read[0] != region.path:
                raw = framing is not None and framing.raw
                read = region.path, read_image(region.path, str(region.path), "predict", raw)[0]
            image = read[1]
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

    def _landmarks(self, images: torch.Tensor) -> np.ndarray:
        """(B, L, 2) landmarks in pixels of preprocessed images (B, 3, size, size), from what a run keeps of them."""
        return self.heads.predict(self._inputs(images.to(self.device)))[0].numpy()

    def _inputs(self, images: torch.Tensor) -> HeadInputs:
        if self.reads == "landmarks":
            return TensorInputs(self.steps.size, landmarks=self.extractor.landmarks(images).float().cpu())
        maps = self.extractor.maps(images)
        kept = tuple(halved(m).float() for m in maps.maps)
        return TensorInputs(self.steps.size, replace(maps, maps=kept))

    def _try(self) -> None:
        """Raises LmbenchError where the head is not one of this network and these landmarks."""
        side, wanted = self.steps.size, (1, len(self.landmark_names), 2)
        try:
            found = tuple(self._landmarks(torch.zeros(1, 3, side, side)).shape)
            said = f"it gives an array {found}, {wanted} is expected"
        except UsageError:
            raise
        except Exception as error:
            found, said = (), " ".join(str(error).split())
        if found != wanted:
            raise LmbenchError(f"{self.run}: what is kept there is a head of another run: {said}.")


def _steps(run: Run) -> Preprocessing:
    known = {f.name for f in fields(Preprocessing)}
    stated: Any = run.record.data.preprocessing or {}
    try:
        return Preprocessing(**{k: v for k, v in stated.items() if k in known})
    except TypeError:
        raise LmbenchError(f"the record's preprocessing is damaged: {stated}.") from None


def _framing(run: Run) -> Framing | None:
    stated = run.record.data.framing
    ruled = isinstance(stated, dict) and stated.get("rule")
    return from_record(stated, run.plugins.find("dataset", run.config.dataset).spec.framing if ruled else None)
