"""The frozen network and one head of a run: the landmarks of images, framed as the run's images were."""

from __future__ import annotations

import os
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import groupby, islice
from typing import Any

import numpy as np
import torch
from PIL import Image

from lmbench import progress
from lmbench.config.model import digest_of
from lmbench.data.images import suffixes
from lmbench.detecting.framer import Framed, Framer
from lmbench.detecting.images import batch_of, network_input, regions_of
from lmbench.detecting.regions import Detection, Filling, Landmarks, LeftOut, Region
from lmbench.detecting.video import Frames, is_video
from lmbench.errors import DataError, LmbenchError, UsageError
from lmbench.features import Extractor
from lmbench.heads.base import FittedHeads, HeadInputs, TensorInputs
from lmbench.heads.frozen import digest_of_state, halved

BATCH = 64  # images that are encoded at once, as many as a run's own
BATCH_WITH_IMAGES = 16  # where the images themselves are kept for a while: so many may be large
READERS = 8  # threads that decode at most

Prepared = list[Framed | LeftOut]


@dataclass(frozen=True)
class Detector:
    """A frozen network and one landmark head. ``reads``: what the head looks at, ``maps`` or discovered ``landmarks``."""

    framer: Framer
    extractor: Extractor
    heads: FittedHeads
    reads: str
    landmark_names: tuple[str, ...]
    device: torch.device

    def require_fitting(self) -> None:
        """Raises LmbenchError where the head is not one of this network and these landmarks."""
        side, wanted = self.framer.steps.size, (1, len(self.landmark_names), 2)
        try:
            found = tuple(self.landmarks(torch.zeros(1, 3, side, side)).shape)
            said = f"it gives an array {found}, {wanted} is expected"
        except UsageError:
            raise
        except Exception as error:
            found, said = (), " ".join(str(error).split())
        if found != wanted:
            raise LmbenchError(f"{self.framer.name}: what is kept there is a head of another run: {said}.")

    @property
    def digest(self) -> str:
        """The SHA-256 of network, head and framing: of another one, results are others."""
        states = [digest_of_state(state) for state in (self.extractor.network.state_dict(), self.heads.state())]
        read = [self.extractor.layers, self.extractor.size, self.extractor.normalise, self.reads]
        framing = self.framer.framing
        return digest_of([states, read, self.device.type, asdict(self.framer.steps), framing and asdict(framing)])

    def predict(self, images: Any, boxes: Any = None) -> Landmarks:
        """The landmarks of images of any kind (see `lmbench.detecting.images`), in pixels of these images."""
        batch = batch_of(images)
        if batch is None:
            regions, filling = regions_of(images, boxes)
            found = list(self.detect(regions, filling))
            for one in found:
                if isinstance(one, LeftOut):  # the end of a video
                    progress.say(one.why)
            return Landmarks.of([one for one in found if isinstance(one, Detection)], self.landmark_names)
        points, sure = self.located(network_input(batch, boxes, self.framer))
        frames = np.tile([0.0, 0.0, *2 * (self.framer.steps.size,)], (len(batch), 1))
        return Landmarks(points, sure, self.landmark_names, frames, tuple(f"image {i}" for i in range(len(batch))))

    def landmarks(self, images: torch.Tensor) -> np.ndarray:
        """The landmarks of `located` alone."""
        return self.located(images)[0]

    def located(self, images: torch.Tensor) -> tuple[np.ndarray, np.ndarray | None]:
        """(B, L, 2) landmarks in pixels of preprocessed images (B, 3, size, size) in [0, 1], from what a run keeps of them.

        And (B, L) how probable it is that each is right to 5 % of the side, as it was on held-out annotated images: None where
        the head states none. Raises UsageError for images of another size.
        """
        side = self.framer.steps.size
        if tuple(images.shape[1:]) != (3, side, side):
            raise UsageError(
                f"a tensor {tuple(images.shape)}: {self.framer.name} sees images (B, 3, {side}, {side}), framed as its own. Give "
                "arrays, PIL images or paths, which are framed so."
            )
        points = [np.zeros((0, len(self.landmark_names), 2), np.float32)]
        sure = [np.zeros((0, len(self.landmark_names)), np.float32)]
        stating = getattr(self.heads, "predict_with_confidence", None)
        for some in images.split(BATCH) if len(images) else ():
            inputs = self._inputs(some.to(self.device))
            if stating is None:
                points.append(self.heads.predict(inputs)[0].numpy())
            else:
                found, confidence = stating(inputs)
                points.append(found[0].numpy())
                sure.append(confidence[0].numpy())
        stated = np.concatenate(sure)
        return np.concatenate(points), None if stating is None or np.isnan(stated).any() else stated

    def detect(
        self, regions: Sequence[Region], filling: Filling = "", keep_images: bool = False
    ) -> Iterator[Detection | LeftOut]:
        """The landmarks of each region, in order; memory does not grow with their number.

        ``filling``: an object without a box fills the ``whole`` image or its ``central`` square; said by the user, for the run
        cannot know. Raises UsageError where a box is needed, DataError for a file that is no image or a box that is none;
        one that was chanced upon is given back as `LeftOut`.
        """
        self.framer.require_boxes(regions, filling)
        size = BATCH_WITH_IMAGES if keep_images else BATCH
        prepared = (one for several in self._prepared(regions, filling, keep_images, size) for one in several)
        while batch := list(islice(prepared, size)):
            framed = [one for one in batch if isinstance(one, Framed)]
            found = iter(self._detected(framed))
            for one in batch:
                yield one if isinstance(one, LeftOut) else next(found)

    def _detected(self, framed: Sequence[Framed]) -> Iterator[Detection]:
        if not framed:
            return
        pixels = torch.from_numpy(np.stack([f.pixels for f in framed]))
        frames = np.stack([f.frame for f in framed])
        found, sure = self.located(pixels.to(self.device).permute(0, 3, 1, 2).float().div_(255))
        for i, (f, landmarks) in enumerate(zip(framed, self.framer.restored(found, frames), strict=True)):
            own = None if sure is None else sure[i]
            yield Detection(f.region, f.size, tuple(f.frame.tolist()), f.said, landmarks, own, f.image)

    def _prepared(
        self, regions: Iterable[Region], filling: Filling, keep_images: bool, ahead: int
    ) -> Iterator[Prepared]:
        """Each image with its regions, decoded and cut by other threads while the network is at those before it."""
        suffixes()  # registers the plugins of Pillow, once
        pool = ThreadPoolExecutor(min(READERS, os.cpu_count() or 1))
        waiting: deque[Future[Prepared]] = deque()
        try:
            with warnings.catch_warnings():  # which the readers change, each on his own
                for (path, _), group in groupby(regions, lambda region: (region.path, id(region.pixels))):
                    own = list(group)
                    for part, image in _images(own) if is_video(path) else [(own, own[0].pixels)]:
                        if isinstance(part, LeftOut):
                            yield from (w.result() for w in waiting)
                            waiting.clear()
                            yield [part]
                            continue
                        waiting.append(pool.submit(self._prepare, part, image, filling, keep_images))
                        if len(waiting) > ahead:
                            yield waiting.popleft().result()
                yield from (w.result() for w in waiting)
        finally:
            pool.shutdown(cancel_futures=True)

    def _prepare(self, regions: Sequence[Region], image: Image.Image | None, filling: Filling, keep: bool) -> Prepared:
        try:
            image = image or self.framer.read(regions[0].path)
            return list(self.framer.framed(image, regions, filling, keep))
        except DataError as error:
            if not all(r.chanced_upon for r in regions):
                raise
            return [LeftOut(r, str(error)) for r in regions]

    def _inputs(self, images: torch.Tensor) -> HeadInputs:
        if self.reads == "landmarks":
            return TensorInputs(self.framer.steps.size, landmarks=self.extractor.landmarks(images).float().cpu())
        maps = self.extractor.maps(images)
        kept = tuple(halved(m).float() for m in maps.maps)
        return TensorInputs(self.framer.steps.size, replace(maps, maps=kept))


def _images(regions: Sequence[Region]) -> Iterator[tuple[Sequence[Region] | LeftOut, Image.Image | None]]:
    """The regions of each frame of a video, with its image; what could not be read of it comes last."""
    frames = Frames(regions[0].path)
    for number, seconds, image in frames:
        yield [replace(r, moment=(number, seconds)) for r in regions], image
    if frames.broken:
        yield LeftOut(regions[0], frames.broken), None
