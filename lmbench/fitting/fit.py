"""A converged head fitted on the frozen maps of labelled images, and judged on those that it did not see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from lmbench import progress
from lmbench.data.images import read_image
from lmbench.datasets.folders.samples import Sample
from lmbench.detecting.framer import Framed, Framer
from lmbench.detecting.regions import Region
from lmbench.features import Extractor, FeatureMaps
from lmbench.fitting.judging import CrossValidated
from lmbench.fitting.labels import FOLDS, Labels
from lmbench.heads.base import Subset, TensorInputs, mean_shape
from lmbench.heads.converged import Converged
from lmbench.heads.cross_fitted import FittedConverged
from lmbench.heads.frozen import halved
from lmbench.heads.settings import ConvergedSettings

AT_ONCE = 16  # images that are encoded together
WHITE_IMAGES = 3
"""Images whose channels are uncorrelated, that count for the whitening beside the labelled ones: the covariance of a few images
says that channels never change along directions in which those of the next image do, and a head would amplify these."""


@dataclass(frozen=True)
class Fit:
    """A head of all labels with its settings, what it chose (``said``), and what heads of a part of them found on the rest.

    ``pictures``: the images as the network sees them, with labelled and found points (N, L, 2) in their pixels (``drawn``).
    ``beyond``: labelled landmarks outside of what the network sees.
    """

    head: FittedConverged
    settings: ConvergedSettings
    judged: CrossValidated
    pictures: tuple[np.ndarray, ...]
    drawn: tuple[np.ndarray, np.ndarray]
    beyond: int

    @property
    def said(self) -> str:
        return self.head.said[0]


def fit(network: Extractor, framer: Framer, labels: Labels, device: torch.device) -> Fit:
    """The head of all labels. Each image is judged by a head, whitening included, that knows nothing of it and of its neighbours
    by path, so that frames of one video stand on one side as far as can be.

    Raises DataError for labels that no head can be fitted to, for an image that cannot be read, and where maps hold NaN.
    """
    labels.require_usable()
    framed = [_framed(framer, sample) for sample in labels.samples]
    maps = _encoded(network, framed, device)
    frames = np.stack([f.frame for f in framed])
    target = np.stack([np.where(s.visible[:, None], s.points, 0.0) for s in labels.samples])
    visible = np.stack([s.visible for s in labels.samples])
    points, side = framer.seen(target, frames), framer.steps.size
    outside = visible & ((points < -0.5) | (points > side - 0.5)).any(-1)
    on_network, seen = torch.from_numpy(points).float(), torch.from_numpy(visible)
    held = torch.from_numpy(labels.folds)
    found, floor = torch.zeros_like(on_network), torch.zeros_like(on_network)
    folds = int(held.max()) + 1
    with progress.task("fitting heads", folds + 1, "heads") as bar:
        for k in range(folds):
            out, others = held == k, held != k
            with progress.silenced():
                head, _ = fitted(_only(maps, others), side, on_network[others], seen[others])
            found[out] = head.predict(TensorInputs(side, _only(maps, out)))[0]
            floor[out] = mean_shape(on_network[others], seen[others])
            bar.advance(1)
        with progress.silenced():
            head, settings = fitted(maps, side, on_network, seen)
        bar.advance(1)
    judged = CrossValidated(
        names=labels.names,
        images=tuple(s.id for s in labels.samples),
        predicted=framer.restored(found.numpy(), frames),
        mean_shape=framer.restored(floor.numpy(), frames),
        target=target,
        visible=visible,
        sides=frames[:, 2:].max(1).astype(np.float64),
    )
    pictures = tuple(f.pixels for f in framed)
    return Fit(head, settings, judged, pictures, (points, found.numpy()), int(outside.sum()))


def fitted(maps: FeatureMaps, side: int, points: Tensor, visible: Tensor) -> tuple[FittedConverged, ConvergedSettings]:
    """A head of some images in the order of their paths, and its settings: its own folds are blocks of neighbours too.

    ``points`` (N, L, 2) in pixels of what the network sees, ``side`` pixels, where ``visible`` (N, L).
    """
    settings = ConvergedSettings(folds=min(FOLDS, len(maps)))
    every = Subset("all", 0, _interleaved(len(maps), settings.folds))
    head = Converged(settings, ridge=WHITE_IMAGES / len(maps))
    return head.fit(TensorInputs(side, maps), points, visible, [every], torch.Generator()), settings


def encoded(network: Extractor, pixels: Sequence[np.ndarray], device: torch.device) -> FeatureMaps:
    """The frozen maps of images (S, S, 3) uint8 as the network sees them, in the precision that heads see."""
    batch = torch.from_numpy(np.stack(pixels)).to(device).permute(0, 3, 1, 2).float().div_(255)
    maps = network.maps(batch)
    return replace(maps, maps=tuple(halved(m).float() for m in maps.maps))


def region_of(sample: Sample, framer: Framer) -> Region:
    """What is looked at of a labelled image: its box, where images are cut by boxes."""
    boxed = framer.framing is not None and framer.framing.kind == "box"
    return Region(sample.photo, sample.box if boxed else None)


def _framed(framer: Framer, sample: Sample) -> Framed:
    image = read_image(sample.photo, str(sample.photo), "fit", sample.raw)[0]
    return next(framer.framed(image, [region_of(sample, framer)], ""))


def _encoded(network: Extractor, framed: Sequence[Framed], device: torch.device) -> FeatureMaps:
    parts = []
    with progress.task("encoding", len(framed)) as bar:
        for start in range(0, len(framed), AT_ONCE):
            some = framed[start : start + AT_ONCE]
            parts.append(encoded(network, [f.pixels for f in some], device))
            bar.advance(len(some))
    return replace(parts[0], maps=tuple(torch.cat(level) for level in zip(*(p.maps for p in parts), strict=True)))


def _only(maps: FeatureMaps, chosen: Tensor) -> FeatureMaps:
    return replace(maps, maps=tuple(m[chosen.to(m.device)] for m in maps.maps))


def _interleaved(count: int, folds: int) -> Tensor:
    """Images in an order in which every ``folds``-th belongs to one block of neighbours: a head takes these for its folds."""
    blocks = [b.tolist() for b in torch.arange(count).tensor_split(folds)]
    return torch.tensor([b[i] for i in range(len(blocks[0])) for b in blocks if i < len(b)])
