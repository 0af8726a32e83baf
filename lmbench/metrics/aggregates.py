"""From values per image and landmark to one number, and how that number moves when the images are drawn anew.

Two means are in use. *Micro*: over all scored points. *Macro*: each landmark is averaged over the images that show it,
then the landmarks are averaged, so that each counts once (PCK). A macro mean may also be taken batch by batch, weighted
by batch size, as ContrastLandmarks' code does.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from lmbench.errors import DataError

BOOTSTRAP_SAMPLES = 2000
NUMBERS_AT_ONCE = 2_000_000

FloatArray = npt.NDArray[np.float64]


def mean_of_scored(values: np.ndarray, macro: bool = False, batch: int | None = None) -> np.ndarray:
    """(S,): the mean of each draw of ``values`` (S, N, L), NaN being unscored. Raises DataError where nothing is scored."""
    scored = ~np.isnan(values)
    if not scored.any((1, 2)).all():
        raise DataError("no landmark is scored: none is visible in any image.")
    if not macro and batch is None:
        return np.asarray(np.nanmean(values.reshape(len(values), -1), axis=1))
    starts, sizes = _batches(values.shape[1], batch)
    totals = np.add.reduceat(np.where(scored, values, 0), starts, axis=1)
    counts = np.add.reduceat(scored.astype(np.float64), starts, axis=1)
    if not macro:
        totals, counts = totals.sum(-1, keepdims=True), counts.sum(-1, keepdims=True)
    return _mean_of_means(totals, counts, sizes)


def resample(
    values: np.ndarray,
    selections: Sequence[Sequence[int] | None] = (None,),
    macro: bool = False,
    batch: int | None = None,
    seed: int = 0,
    samples: int = BOOTSTRAP_SAMPLES,
) -> FloatArray:
    """(selections, samples): the mean over draws of `mean_of_scored`, of images drawn anew with all their landmarks.

    ``selections``: landmarks that are aggregated by themselves (``None``: all). The images drawn depend on their number
    and ``seed`` alone, so two results on the same images are resampled in pairs. NaN where a sample has nothing scored.
    """
    totals, counts, widths = _columns(values, selections, macro)
    images = values.shape[1]
    edges = np.cumsum([0, *widths])
    rng = np.random.default_rng(seed)
    result = np.empty((len(selections), samples))
    width = images * (totals.shape[1] if batch else 1)
    chunk = max(1, NUMBERS_AT_ONCE // width)
    for start in range(0, samples, chunk):
        drawn = rng.integers(0, images, (min(chunk, samples - start), images))
        if batch:
            begins, sizes = _batches(images, batch)
            sums = np.add.reduceat(totals[drawn], begins, axis=1)
            numbers = np.add.reduceat(counts[drawn], begins, axis=1)
        else:
            sizes = np.ones(1)
            times = _times_drawn(drawn)
            sums = (times @ totals)[:, None]
            even = (counts == counts[0]).all()
            numbers = np.broadcast_to(counts[0] * images, sums.shape) if even else (times @ counts)[:, None]
        for k, (first, last) in enumerate(pairwise(edges)):
            part = _mean_of_means(sums[..., first:last], numbers[..., first:last], sizes)
            result[k, start : start + len(drawn)] = part
    return result


def interval(samples: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of bootstrap samples (percentiles)."""
    low, high = np.nanquantile(samples, (0.025, 0.975))
    return float(low), float(high)


def _columns(
    values: np.ndarray, selections: Sequence[Sequence[int] | None], macro: bool
) -> tuple[FloatArray, FloatArray, list[int]]:
    """Totals and counts (N, C) over draws, the columns of each selection side by side, and their numbers.

    A macro mean has one column a landmark, any other one in all.
    """
    scored = ~np.isnan(values)
    totals = np.where(scored, values, 0).sum(0)
    counts = scored.sum(0).astype(np.float64)
    everything = range(values.shape[2])
    columns = [list(everything if s is None else s) for s in selections]
    if macro:
        order = [landmark for members in columns for landmark in members]
        return totals[:, order], counts[:, order], [len(members) for members in columns]
    summed = [np.stack([t[:, members].sum(1) for members in columns], 1) for t in (totals, counts)]
    return summed[0], summed[1], [1] * len(columns)


def _times_drawn(drawn: np.ndarray) -> FloatArray:
    """(samples, images): how often each image is among those drawn."""
    samples, images = drawn.shape
    flat = drawn + images * np.arange(samples)[:, None]
    return np.bincount(flat.ravel(), minlength=samples * images).reshape(samples, images).astype(np.float64)


def _batches(images: int, batch: int | None) -> tuple[np.ndarray, FloatArray]:
    """Where each batch of consecutive images starts, and how many it holds; one batch for ``None``."""
    starts = np.arange(0, images, batch or images)
    return starts, np.diff([*starts, images]).astype(np.float64)


def _mean_of_means(totals: np.ndarray, counts: np.ndarray, sizes: np.ndarray) -> FloatArray:
    """(...): mean over the columns of (..., batches, columns) that count something, then over batches by their sizes."""
    counted = counts > 0
    means = np.divide(totals, counts, out=np.zeros(np.broadcast_shapes(totals.shape, counts.shape)), where=counted)
    columns = counted.sum(-1)
    weights = sizes * (columns > 0)
    of_batch = means.sum(-1) / np.maximum(columns, 1)
    total = weights.sum(-1)
    return np.divide((of_batch * weights).sum(-1), total, out=np.full(total.shape, np.nan), where=total > 0)
