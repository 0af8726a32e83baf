"""Part discovery: frozen features of many images factorised, clustered or embedded together, cell by cell, and drawn.

Cheng et al. 2021, Fig. 5, and Karmali et al. 2022 (LEAD), sec. 4.3 and supplement, sec. C and E, show such pictures and print
no number.
"""

from __future__ import annotations

import warnings

import numpy as np
import torch
from torch import Tensor

from lmbench import progress
from lmbench.errors import DataError, UsageError
from lmbench.features import Normalise
from lmbench.report.parts import draw_parts, part_colours
from lmbench.report.plots import draw_embedding
from lmbench.seeds import generator_for
from lmbench.tasks.base import TaskContext
from lmbench.tasks.settings import PartsSettings

IMAGES_AT_ONCE = 8
STARTS = 4  # of k-means; the best is kept
ITERATIONS = 400  # of NMF
PERPLEXITY = 30  # of t-SNE; the paper does not say its own


def run(context: TaskContext, settings: PartsSettings) -> None:
    """Draws ``parts-nmf.png``, ``parts-kmeans.png`` and ``parts-tsne.png`` into the run's folder where they are not there yet.

    Raises UsageError: an unknown layer, fewer cells than parts. DataError: features that are no numbers.
    """
    shown = context.test.first(settings.images)
    paths = {by: context.folder / f"parts-{by}.png" for by in settings.by}
    wanted = {by for by, path in paths.items() if not path.is_file()}
    if "nmf" in wanted:
        draw_parts(shown, [_divided(context, settings, _features(context, settings, "none"), "nmf")], paths["nmf"])
    if not wanted & {"kmeans", "tsne"}:
        return
    features = _features(context, settings, "global")
    clusters = _divided(context, settings, features, "kmeans")
    if "kmeans" in wanted:
        draw_parts(shown, [clusters], paths["kmeans"])
    if "tsne" in wanted:
        generator = generator_for(context.config.seed, "parts", "tsne")
        chosen = torch.randperm(len(features), generator=generator)[: settings.points]
        progress.say(f"parts: {len(chosen)} of {len(features)} cells by t-SNE")
        places = embed(features[chosen], seed=int(torch.randint(2**31, (), generator=generator)))
        labels = clusters.argmax(1).flatten()[chosen].numpy()
        draw_embedding(places, labels, part_colours(settings.k) / 255, paths["tsne"])


def _features(context: TaskContext, settings: PartsSettings, normalise: Normalise) -> Tensor:
    """(cells, dim): the frozen features of the images that are shown, row by row."""
    frozen = context.frozen("test").read(settings.size, normalise)
    frozen = frozen.only(settings.layer) if settings.layer else frozen
    batches = torch.arange(min(settings.images, len(frozen))).split(IMAGES_AT_ONCE)
    return torch.cat([frozen.batch(b).materialise().permute(0, 2, 3, 1).flatten(0, 2).cpu() for b in batches])


def _divided(context: TaskContext, settings: PartsSettings, features: Tensor, by: str) -> Tensor:
    """(N, k, H, W): the parts of the features; see ``find_parts``."""
    seed = int(torch.randint(2**31, (), generator=generator_for(context.config.seed, "parts", by)))
    progress.say(f"parts: {settings.k} by {by} of {len(features)} cells with {features.shape[1]} channels")
    return find_parts(features, settings.k, by, (settings.size, settings.size), seed)


def embed(features: Tensor, seed: int) -> np.ndarray:
    """(N, 2): features (N, dim) embedded in a plane by t-SNE, neighbours beside each other."""
    from sklearn.manifold import TSNE

    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    places: np.ndarray = TSNE(2, perplexity=perplexity, random_state=seed).fit_transform(features.numpy())
    return places


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
