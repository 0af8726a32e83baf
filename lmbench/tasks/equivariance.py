"""Equivariance of frozen features: annotated points found again in a deformed copy of their own image.

Rahaman et al. 2021, sec. 3: the descriptor at a landmark is compared, by cosine similarity, with that of every pixel of
the deformed image; the best one should lie where the deformation took the landmark. Every layer is judged by itself,
beside locations drawn at random.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lmbench import progress
from lmbench.data.pixels import PixelStore
from lmbench.features import Extractor, FeatureMaps
from lmbench.geometry.coordinates import denormalise_points, normalise_points
from lmbench.geometry.elastic import elastic_grid
from lmbench.geometry.framing import Preprocessing
from lmbench.geometry.heatmaps import argmax_points
from lmbench.geometry.warps import affine_matrices, affine_points, warp_images, warp_points
from lmbench.metrics.base import Predictions
from lmbench.report.plots import draw_accuracy
from lmbench.results.record import Row
from lmbench.seeds import generator_for
from lmbench.tasks.base import TaskContext
from lmbench.tasks.settings import EquivarianceSettings

IMAGES_AT_ONCE = 16
CHANCE = "chance"
FOUND_WITHIN = 0.1  # pixels; where the grid does not come so near to a point, the point has left the image


def run(context: TaskContext, settings: EquivarianceSettings) -> None:
    """Keeps the points found by each layer, by all layers joined where there are several, and by chance."""
    parts = [*_readings(context.network.layers), CHANCE]
    if all(context.kept(f"equivariance-{part}" if part else "equivariance") for part in parts):
        return
    steps = context.dataset.spec.preprocessing
    whole = context.dataset.pixels("test", Preprocessing(steps.resize)).first(context.config.test_images)
    shown = whole.first(settings.images)
    generator = generator_for(context.config.seed, "equivariance")
    for found in judge_layers(context.network, shown, steps.crop, settings, generator, context.device):
        context.keep(found)


def judge_layers(
    extractor: Extractor,
    pixels: PixelStore,
    crop: int,
    settings: EquivarianceSettings,
    generator: torch.Generator,
    device: torch.device,
) -> list[Predictions]:
    """The predictions of every layer, of all joined (``subset`` None, where there are several) and of chance.

    ``pixels`` holds uncropped images; they are deformed before the crop. A landmark is taken at its nearest pixel, and its
    true place is where the deformation takes that pixel. It counts where it is visible and in both crops.
    """
    side = pixels.size - 2 * crop
    readings = _readings(extractor.layers)
    found: dict[str | None, list[Tensor]] = {name: [] for name in (*readings, CHANCE)}
    targets, counted = [], []
    channels: tuple[int, ...] = ()
    with progress.task("equivariance", len(pixels)) as bar:
        for start in range(0, len(pixels), IMAGES_AT_ONCE):
            rows = np.arange(start, min(start + IMAGES_AT_ONCE, len(pixels)))
            images = pixels.batch(rows, device)
            grid = draw_grid(len(rows), pixels.size, side, settings, generator).to(device)
            points = torch.from_numpy(np.array(pixels.landmarks[rows])).to(device).double().round()
            moved, there = move_points(points, grid, crop)
            points = points - crop
            inside = ((points >= 0) & (points <= side - 1)).all(-1)
            seen = torch.from_numpy(np.array(pixels.visible[rows])).to(device)
            source, target = (
                extractor.maps(_cropped(view, crop)) for view in (images, warp_images(images, grid.to(images)))
            )
            channels = source.channels
            for name, indices in readings.items():
                before, after = (_at_full_size(maps, indices, side) for maps in (source, target))
                found[name].append(find_points(before, after, points).cpu())
            found[CHANCE].append(torch.rand(moved.shape, generator=generator, dtype=torch.float64) * (side - 1))
            targets.append(moved.cpu())
            counted.append((seen & inside & there).cpu())
            bar.advance(len(rows))
    protocol: Mapping[str, Any] = {
        "deformation": {"rotation": settings.rotation, "elastic": settings.elastic, "smoothness": settings.smoothness},
        "similarity": "cosine",
        "grid": [side, side],
        "images": len(pixels),
        "scale": "px of a 128x128 image (sides)",
    }
    results = []
    for name, matches in found.items():
        read: dict[str, Any] = {"layers": [], "dimension": None}
        if name != CHANCE:
            indices = readings[name]
            read = {
                "layers": [extractor.layers[i] for i in indices],
                "dimension": sum(channels[i] for i in indices),
            }
        results.append(
            Predictions(
                task="equivariance",
                predicted=torch.cat(matches)[None].numpy(),
                target=torch.cat(targets).numpy(),
                visible=torch.cat(counted).numpy(),
                image_ids=pixels.source_ids,
                image_size=side,
                subset=name,
                settings={**protocol, **read},
            )
        )
    return results


def draw(
    context: TaskContext, settings: EquivarianceSettings, results: Sequence[Predictions], rows: Sequence[Row]
) -> None:
    """Draws ``accuracy.png``, the curves of all layers."""
    del settings, results
    draw_accuracy([row for row in rows if row.curve], context.folder / "accuracy.png")


def find_points(source: FeatureMaps, target: FeatureMaps, points: Tensor) -> Tensor:
    """(B, L, 2): the cells of ``target`` most similar to what ``source`` holds at ``points``, by the dot product.

    ``points`` (B, L, 2) are whole cells of the output grid, x before y; cosine similarity is had by reading both maps with
    ``normalise="global"``. Of equally similar cells the first in row order. Source: Rahaman et al. 2021, eqs. 4 and 5.
    """
    return argmax_points(target.similarity(source.sample(points))).double()


def draw_grid(count: int, size: int, side: int, settings: EquivarianceSettings, generator: torch.Generator) -> Tensor:
    """(count, size, size, 2): sampling grids of random rotations about the centre after elastic displacements.

    The displacement is measured in ``side``, the part of the ``size`` pixels that the network sees.
    """
    angles = settings.rotation * (2 * torch.rand(count, generator=generator) - 1)
    still, centred = torch.ones(count), torch.zeros(count, 2)
    matrices = affine_matrices(angles, still, centred, (size, size))
    grid = elastic_grid(count, (size, size), generator, settings.elastic * side, settings.smoothness * side)
    points = denormalise_points(grid, (size, size)).flatten(1, 2)
    return normalise_points(affine_points(points, matrices), (size, size)).unflatten(1, (size, size))


def move_points(points: Tensor, grid: Tensor, crop: int) -> tuple[Tensor, Tensor]:
    """(moved (B, L, 2), there (B, L)): where pixels of the image come to lie in the cropped copy, and which lie in it.

    ``there`` is false as well where the grid folds and takes no pixel to the point.
    """
    size = (grid.shape[1], grid.shape[2])
    moved = warp_points(points.double(), grid, "exact")
    pixels = denormalise_points(grid.double(), size).permute(0, 3, 1, 2)
    again = warp_images(pixels, normalise_points(moved, size)[:, :, None])[..., 0].mT
    there = (again - points).norm(dim=-1) <= FOUND_WITHIN
    moved = moved - crop
    return moved, there & ((moved >= 0) & (moved <= size[1] - 2 * crop - 1)).all(-1)


def _readings(layers: tuple[str, ...]) -> dict[str | None, tuple[int, ...]]:
    """What is judged: the indices of its layers, by the name of the part; None: all joined."""
    single: dict[str | None, tuple[int, ...]] = {name: (i,) for i, name in enumerate(layers)}
    return single if len(layers) == 1 else {None: tuple(range(len(layers))), **single}


def _at_full_size(maps: FeatureMaps, indices: tuple[int, ...], side: int) -> FeatureMaps:
    return FeatureMaps(tuple(maps.maps[i] for i in indices), (side, side), "global")


def _cropped(images: Tensor, crop: int) -> Tensor:
    return images[..., crop : images.shape[-2] - crop, crop : images.shape[-1] - crop]
