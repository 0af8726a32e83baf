"""Part discovery: frozen features of many images factorised or clustered together, cell by cell, and drawn.

Cheng et al. 2021, Fig. 5, and Karmali et al. 2022 (LEAD), supplement, sec. C, show such pictures and print no number.
"""

from __future__ import annotations

import warnings

import numpy as np
import torch
from torch import Tensor

from lmbench import progress
from lmbench.errors import DataError, UsageError
from lmbench.features import FeatureMaps
from lmbench.report.parts import draw_parts
from lmbench.seeds import generator_for
from lmbench.tasks.base import TaskContext

IMAGES_AT_ONCE = 8
STARTS = 4  # of k-means; the best is kept
ITERATIONS = 400  # of NMF


def run(context: TaskContext) -> None:
    """Draws ``parts-nmf.png`` and ``parts-kmeans.png`` into the run's folder where they are not there yet.

    Raises UsageError: no network, an unknown layer, fewer cells than parts. DataError: features that are no numbers.
    """
    settings = context.config.parts
    if context.extractor is None:
        raise UsageError("parts needs a network; this method has none (use --tasks regression).")
    for by in settings.by:
        path = context.folder / f"parts-{by}.png"
        if path.is_file():
            continue
        frozen = context.frozen("test").read(settings.size, "global" if by == "kmeans" else "none")
        frozen = frozen.only(settings.layer) if settings.layer else frozen
        shown = context.test.first(settings.images)
        starts = range(0, len(shown), IMAGES_AT_ONCE)
        batches = (frozen.batch(torch.arange(s, min(s + IMAGES_AT_ONCE, len(shown)))) for s in starts)
        features = torch.cat([_cells(maps) for maps in batches])
        seed = int(torch.randint(2**31, (), generator=generator_for(context.config.seed, "parts", by)))
        progress.say(f"parts: {settings.k} by {by} of {features.shape[1]} channels in {len(shown)} images")
        draw_parts(shown, [find_parts(features, settings.k, by, (settings.size, settings.size), seed)], path)


def find_parts(features: Tensor, k: int, by: str, size: tuple[int, int], seed: int) -> Tensor:
    """(N, k, H, W): how strongly each part is present in each cell, 0 to 1, of features (N * H * W, dim) in row order.

    ``kmeans`` gives each cell to one part. ``nmf``: the coefficients of a non-negative factorisation, each part over its
    largest; of features with signs, positive and negative values are channels of their own.
    """
    if len(features) < k:
        raise UsageError(f"parts: {len(features)} cells cannot be divided into {k} parts; set parts.k lower.")
    if not bool(features.isfinite().all()):
        raise DataError("parts: the frozen features have NaN or infinite values; the network is damaged.")
    strengths = (_clusters if by == "kmeans" else _factors)(features.numpy(), k, seed)
    return torch.from_numpy(strengths).view(-1, *size, k).permute(0, 3, 1, 2)


def _factors(features: np.ndarray, k: int, seed: int) -> np.ndarray:
    """(cells, k) float32."""
    from sklearn.decomposition import NMF
    from sklearn.exceptions import ConvergenceWarning

    if features.min() < 0:
        features = np.concatenate([features.clip(min=0), (-features).clip(min=0)], axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the pictures no longer change by then
        strengths = NMF(k, max_iter=ITERATIONS, random_state=seed).fit_transform(features)
    return (strengths / np.maximum(strengths.max(0), 1e-12)).astype(np.float32)


def _clusters(features: np.ndarray, k: int, seed: int) -> np.ndarray:
    """(cells, k) float32, one-hot."""
    from sklearn.cluster import KMeans

    labels = KMeans(k, n_init=STARTS, random_state=seed).fit(features).labels_
    return np.eye(k, dtype=np.float32)[labels]


def _cells(maps: FeatureMaps) -> Tensor:
    """(B * H * W, dim): the descriptors of all cells, row by row."""
    return maps.materialise().permute(0, 2, 3, 1).flatten(0, 2).cpu()
