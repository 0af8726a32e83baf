"""Frozen features of test images made visible: three colours, a plane, parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lmbench.errors import DataError, UsageError
from lmbench.features import FeatureMaps
from lmbench.figures.asking import Asked, Drawn, basis, require_same_images
from lmbench.figures.images import frozen_maps, shown, test_images
from lmbench.figures.tiles import Tile, grid, named
from lmbench.report.parts import part_colours
from lmbench.report.style import CYCLE, legend_below, legend_lines, look, new_figure, wrapped
from lmbench.tasks.parts import embed, find_parts

PCA_IMAGES, TSNE_IMAGES, PARTS_IMAGES = 8, 60, 8
CELLS = 48  # a side of the grid on which features are read
COARSE = 24  # of parts, whose factorisation takes its time
CUT = 1.0  # percent of all values at either end that saturate
OPACITY = 0.7
PARTS = 6
NEUTRAL = 0.85  # of the grey under parts


def pca(asked: Asked) -> Drawn:
    """A row of images, and below it a row for each method: the first three principal components of its features, all images
    together, as red, green and blue.
    """
    require_same_images(asked.lines, headed=False)
    pixels = test_images(asked.first.first, asked.data_root).first(asked.images or PCA_IMAGES)
    rows = [[Tile(image) for image in shown(pixels, range(len(pixels)))]]
    explained = []
    for line in asked.lines:
        maps = frozen_maps(line.first, pixels, asked.device)
        colours, share = three_colours(_cells(maps, CELLS), len(pixels))
        rows.append([Tile(image) for image in colours])
        explained.append(f"{line.name} {share:.0f} %")
    made = grid(asked.page, rows, ["image", *(line.name for line in asked.lines)])
    said = [
        "The first three principal components of frozen features, of all images together, as red, green and blue",
        f"they hold of the variance: {', '.join(explained)}",
        *basis(asked.lines, headed=False, runs=[line.first for line in asked.lines]),
    ]
    return Drawn.saying(made.figure, said)


def three_colours(cells: np.ndarray, images: int) -> tuple[np.ndarray, float]:
    """((N, H, W, 3) from 0 to 1, percent of the variance): features (N * H * W, dim), row by row, by their first components.

    Each component goes from black to full between its percentiles ``CUT`` and 100 - ``CUT``. Of fewer than three channels the
    colours that are missing are dark.
    """
    from sklearn.decomposition import PCA

    count = min(3, cells.shape[1])
    fitted = PCA(count, random_state=0)
    values = np.zeros((len(cells), 3))
    values[:, :count] = fitted.fit_transform(cells)
    low, high = np.percentile(values, [CUT, 100 - CUT], axis=0)
    side = round((len(cells) / images) ** 0.5)
    scaled = np.clip((values - low) / np.maximum(high - low, 1e-12), 0, 1)
    return scaled.reshape(images, side, side, 3), 100 * float(fitted.explained_variance_ratio_.sum())


def tsne(asked: Asked) -> Drawn:
    """A panel a method: its features at the annotated landmarks of many images, in a plane by t-SNE, coloured by landmark."""
    require_same_images(asked.lines, headed=False)
    pixels = test_images(asked.first.first, asked.data_root).first(asked.images or TSNE_IMAGES)
    seen = np.array(pixels.visible)
    looks = [look(k) for k in range(seen.shape[1])]
    names = asked.first.first.landmark_names
    handles = named(names, looks) if len(names) <= 40 else []
    page = asked.page
    columns = min(len(asked.lines), max(1, int(page.width / 40)))
    rows = -(-len(asked.lines) // columns)
    height = rows * (page.width / columns + 1.5 * page.line)
    figure = new_figure(page, height + legend_lines(handles, page) * page.line + 2)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes[len(asked.lines) :]:
        axis.axis("off")
    for line, axis in zip(asked.lines, axes, strict=False):
        descriptors, which = at_landmarks(
            frozen_maps(line.first, pixels, asked.device), pixels.landmarks, seen, pixels.size
        )
        if len(descriptors) < 8:
            raise UsageError(
                f"{line.name}: {len(descriptors)} landmarks are visible in {len(pixels)} images; t-SNE needs 8."
            )
        places = embed(descriptors, seed=0)
        for k, (colour, marker) in enumerate(looks):
            own = places[which == k]
            axis.plot(*own.T, marker, color=colour, markersize=2.2, markeredgewidth=0)
        axis.set(xticks=[], yticks=[], title=wrapped(line.name, page.width / columns, page))
        axis.spines[["top", "right"]].set_visible(True)
    legend_below(figure, page, handles)
    said = [
        f"Frozen features at the annotated landmarks of {len(pixels)} test images, of unit length, in a plane by t-SNE; near "
        "means alike, distances between groups mean nothing",
        *basis(asked.lines, headed=False, runs=[line.first for line in asked.lines]),
    ]
    return Drawn.saying(figure, said)


def at_landmarks(maps: FeatureMaps, landmarks: Any, seen: np.ndarray, side: int) -> tuple[Tensor, np.ndarray]:
    """(descriptors (M, dim) of unit length, landmark (M,)) of all visible landmarks (N, L, 2), at their nearest cells."""
    read = maps.read(side, "global")
    cells = torch.from_numpy(np.array(landmarks)).round()
    cells = torch.where(torch.from_numpy(seen)[..., None], cells, torch.zeros_like(cells))
    sampled = read.sample(cells)
    keep = torch.from_numpy(seen)
    return sampled[keep], np.nonzero(seen)[1]


def parts(asked: Asked) -> Drawn:
    """A row of images, and below it a row for each method: the parts that a non-negative factorisation of its features, of all
    images together, divides them into (Cheng et al. 2021, Fig. 5).
    """
    require_same_images(asked.lines, headed=False)
    pixels = test_images(asked.first.first, asked.data_root).first(asked.images or PARTS_IMAGES)
    pictures = shown(pixels, range(len(pixels)))
    k = asked.parts or PARTS
    rows = [[Tile(image) for image in pictures]]
    for line in asked.lines:
        cells = torch.from_numpy(_cells(frozen_maps(line.first, pixels, asked.device), COARSE))
        strengths = find_parts(cells, k, "nmf", (COARSE, COARSE), seed=0)
        rows.append([Tile(image) for image in _painted(pictures, strengths, k)])
    made = grid(asked.page, rows, ["image", *(line.name for line in asked.lines)])
    said = [
        f"{k} parts of frozen features by non-negative matrix factorisation of all images together; a colour is a part, the "
        "stronger the more opaque; parts of two methods have nothing to do with each other",
        *basis(asked.lines, headed=False, runs=[line.first for line in asked.lines]),
    ]
    return Drawn.saying(made.figure, said)


def _painted(pictures: Sequence[np.ndarray], strengths: Tensor, k: int) -> list[np.ndarray]:
    """Grey images under the colours of their strongest parts."""
    size = pictures[0].shape[:2]
    full = torch.nn.functional.interpolate(strengths, size, mode="bilinear", align_corners=False).numpy()
    colours = _colours(k)
    made = []
    for picture, own in zip(pictures, full, strict=True):
        grey = NEUTRAL * picture.mean(-1, keepdims=True) / 255 * np.ones(3)
        opacity = OPACITY * own.max(0)[..., None]
        made.append(np.clip(grey * (1 - opacity) + colours[own.argmax(0)] * opacity, 0, 1))
    return made


def _colours(k: int) -> np.ndarray:
    """(k, 3), 0 to 1: those that the colour-blind tell apart, as far as there are enough."""
    from matplotlib.colors import to_rgb

    return np.array([to_rgb(c) for c in CYCLE[:k]]) if k < len(CYCLE) else part_colours(k) / 255


def _cells(maps: FeatureMaps, side: int) -> np.ndarray:
    """(N * side * side, dim): all cells, row by row, a few images at a time."""
    read = maps.read(side, maps.normalise)
    found = []
    for start in range(0, len(read), 4):
        part = FeatureMaps(tuple(m[start : start + 4] for m in read.maps), read.size, read.normalise)
        found.append(part.materialise().permute(0, 2, 3, 1).flatten(0, 2))
    cells = torch.cat(found)
    if not bool(cells.isfinite().all()):
        raise DataError("the frozen features have NaN or infinite values; the network is damaged.")
    return np.asarray(cells.numpy())
