"""Frozen maps of a dataset's splits, as the proofs of heads take them: saved ones, or those of a finished run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lmbench.features import FeatureMaps, Normalise
from lmbench.heads.base import TensorInputs

GRID = 24  # cells a side on which heads read


@dataclass(frozen=True)
class Maps:
    """Maps of N images, deepest first, each (N, C, h, w), with ``landmarks`` (N, L, 2) in pixels of ``side``."""

    name: str
    levels: tuple[Tensor, ...]
    landmarks: Tensor
    visible: Tensor
    eyes: tuple[int, int]
    side: int
    normalise: Normalise = "none"

    def __len__(self) -> int:
        return len(self.landmarks)

    def of(self, images: Tensor) -> Maps:
        """Some images, in float32."""
        levels = tuple(m[images].float() for m in self.levels)
        return replace(self, levels=levels, landmarks=self.landmarks[images], visible=self.visible[images])

    def changed(self, change: Callable[[Tensor], Tensor]) -> Maps:
        """Every level changed."""
        return replace(self, levels=tuple(change(m) for m in self.levels))

    def inputs(self) -> TensorInputs:
        return TensorInputs(self.side, FeatureMaps(self.levels, (GRID, GRID), self.normalise))

    def error(self, predicted: Tensor) -> float:
        """The mean error of visible landmarks (N, L, 2) in percent of the distance of the eyes."""
        eyes = (self.landmarks[:, self.eyes[0]] - self.landmarks[:, self.eyes[1]]).norm(dim=-1)
        return float(100 * ((predicted - self.landmarks).norm(dim=-1) / eyes[:, None])[self.visible].mean())


def opened(place: str, data: Path | None = None) -> tuple[Maps, Maps]:
    """(train, test) of ``NAME.pt`` or the folder of a run; ``NAME.pt@8``: its 8 leading principal directions within images.

    ``NAME.pt`` holds a dictionary: ``train`` and ``test`` lists of maps, ``*_landmarks``, ``*_visible``, ``eyes``, ``side``,
    ``normalise``.
    """
    path, _, rank = place.partition("@")
    found = torch.load(path, mmap=True, weights_only=False) if path.endswith(".pt") else _of_run(Path(path), data)
    name = Path(path).stem + rank
    train, test = (
        Maps(
            name, tuple(found[s]), found[f"{s}_landmarks"].float(), found[f"{s}_visible"].bool(),
            tuple(found["eyes"]), found["side"], found["normalise"],
        )
        for s in ("train", "test")
    )  # fmt: skip
    if not rank:
        return train, test
    directions = [leading(m[:: max(1, len(m) // 1000)].float(), int(rank)) for m in train.levels]
    return tuple(
        replace(
            s,
            levels=tuple(
                torch.einsum("cd,nchw->ndhw", d, m.float()) for m, d in zip(s.levels, directions, strict=True)
            ),
        )
        for s in (train, test)
    )  # type: ignore[return-value]


def leading(maps: Tensor, rank: int) -> Tensor:
    """(C, rank): the leading eigenvectors of the covariance within images."""
    z = (maps - maps.mean((2, 3), keepdim=True)).transpose(0, 1).flatten(1).double()
    return torch.linalg.eigh(z @ z.T).eigenvectors[:, -rank:].float()


def joined(first: Maps, second: Maps) -> Maps:
    """The channels of both."""
    return replace(first, name=f"{first.name} + {second.name}", levels=first.levels + second.levels)


def fit_and_held(count: int) -> tuple[Tensor, Tensor]:
    """Four fifths of some images and the rest: training images to fit to, and to validate on."""
    order = torch.randperm(count, generator=torch.Generator().manual_seed(1000))
    return order[: int(count * 0.8)].sort().values, order[int(count * 0.8) :].sort().values


def _of_run(folder: Path, data: Path | None) -> dict[str, object]:
    from lmbench.data.opening import open_dataset
    from lmbench.heads.frozen import halved
    from lmbench.results.run import Run

    run = Run.open(folder)
    extractor, dataset = run.frozen("cpu"), open_dataset(run.config.dataset, data, run.plugins)
    found: dict[str, object] = {"eyes": dataset.spec.eyes, "normalise": extractor.normalise}
    for split in ("train", "test"):
        pixels = dataset.pixels(split)
        parts: list[Sequence[Tensor]] = [
            [halved(m) for m in extractor.maps(images).maps] for images in pixels.batches(64, torch.device("cpu"))
        ]
        found[split] = [torch.cat(level) for level in zip(*parts, strict=True)]
        found["side"] = pixels.size
        for what in ("landmarks", "visible"):
            found[f"{split}_{what}"] = torch.from_numpy(np.array(getattr(pixels, what)))
    return found
