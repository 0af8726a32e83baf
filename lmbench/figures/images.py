"""The test images of finished runs, and their frozen networks on them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lmbench import progress
from lmbench.data.opening import OpenDataset, open_dataset
from lmbench.data.pixels import PixelStore
from lmbench.errors import StaleError, UsageError
from lmbench.features import Extractor, FeatureMaps
from lmbench.heads.frozen import halved
from lmbench.results.run import Run
from lmbench.training.loop import resolve_device

BATCH = 16


def opened(run: Run, data_root: Path | None) -> OpenDataset:
    """The dataset that a run was judged on. Raises StaleError where other data has that name now, else as `open_dataset`."""
    dataset = open_dataset(run.config.dataset, data_root, run.plugins, run.config.partial)
    if dataset.fingerprint != run.record.data.fingerprint:
        then = run.record.data.fingerprint or "none"
        raise StaleError(
            f"{run.name} was judged on other data than {dataset.name} is now (fingerprint {then}, found {dataset.fingerprint}): "
            "its predictions would stand on other images. Give its command again."
        )
    return dataset


def test_images(run: Run, data_root: Path | None) -> PixelStore:
    """The images that a run was judged on, in its order. Raises as `opened`."""
    return opened(run, data_root).pixels("test").first(run.config.test_images)


def extractor_of(run: Run, device: str) -> tuple[Extractor, torch.device]:
    """The frozen network on a device. Raises as `Run.frozen`."""
    place = resolve_device(device)
    return run.frozen(place), place


@torch.no_grad()
def frozen_maps(run: Run, pixels: PixelStore, device: str) -> FeatureMaps:
    """The frozen maps of some images, as heads see them, read as the run reads them; on the CPU."""
    extractor, place = extractor_of(run, device)
    parts: list[FeatureMaps] = []
    with progress.task("encoding", len(pixels)) as bar:
        for images in pixels.batches(BATCH, place):
            parts.append(extractor.maps(images))
            bar.advance(len(images))
    maps = tuple(torch.cat([halved(part.maps[i]).cpu().float() for part in parts]) for i in range(len(parts[0].maps)))
    return FeatureMaps(maps, parts[0].size, parts[0].normalise)


@torch.no_grad()
def discovered_landmarks(run: Run, pixels: PixelStore, device: str) -> np.ndarray:
    """(N, K, 2) in pixels of the images. Raises UsageError for a method that discovers none."""
    extractor, place = extractor_of(run, device)
    if not extractor.discovers_landmarks:
        raise UsageError(
            f"{run.name}: {run.record.method}/{run.record.variant} discovers no landmarks; the figure is of methods that do: "
            "their heads read landmarks (`lmbench describe method NAME`)."
        )
    return torch.cat([extractor.landmarks(images).float().cpu() for images in pixels.batches(BATCH, place)]).numpy()


def by_rank(errors: np.ndarray, count: int) -> np.ndarray:
    """``count`` places at equal steps of the rank of errors (N,), the smallest first; NaN is passed over."""
    order = np.argsort(errors, kind="stable")[: int((~np.isnan(errors)).sum())]
    return np.asarray(order[np.unique(np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int))])


def shown(pixels: PixelStore, places: Sequence[int] | np.ndarray) -> list[np.ndarray]:
    """The images at some places, (H, W, 3) of 8 bits."""
    return [np.asarray(pixels.images[int(i)]) for i in places]


def as_pictures(images: torch.Tensor) -> list[Any]:
    """Images (B, 3, H, W) in [0, 1] as (H, W, 3) of 8 bits."""
    return list((images.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy())
