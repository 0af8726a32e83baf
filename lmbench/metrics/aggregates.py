"""From values per image and landmark to one number, and what each image adds to it.

Two means are in use. *Micro*: over all scored points. *Macro*: each landmark is averaged over the images that show it,
then the landmarks are averaged, so that each counts once (PCK). A macro mean may also be taken batch by batch, weighted
by batch size, as ContrastLandmarks' code does.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lmbench.errors import DataError

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


def contributions(values: np.ndarray, macro: bool = False, batch: int | None = None) -> FloatArray:
    """(S, N): what each image adds to `mean_of_scored`, whose value is their mean.

    To first order it is also what the value would be the mean of if images were drawn anew with all their landmarks (an image
    counts by its deviation from the mean of its landmarks, and by how many it shows): its variance is that of a sample's
    mean. An image without a scored landmark stands at the value, and a batch without one counts nothing.
    """
    starts, sizes = _batches(values.shape[1], batch)
    of_batch = np.repeat(np.arange(len(starts)), sizes.astype(int))
    return np.stack([_contributions(draw, macro, starts, sizes, of_batch) for draw in values])


def _contributions(
    values: np.ndarray, macro: bool, starts: np.ndarray, sizes: FloatArray, of_batch: np.ndarray
) -> FloatArray:
    """(N,): those of one draw (N, L)."""
    scored = ~np.isnan(values)
    own, shown = np.where(scored, values, 0), scored.astype(np.float64)
    if not macro:
        own, shown = own.sum(1, keepdims=True), shown.sum(1, keepdims=True)
    totals, counts = np.add.reduceat(own, starts), np.add.reduceat(shown, starts)  # (batches, columns)
    counted = counts > 0
    means = np.divide(totals, counts, out=np.zeros_like(totals), where=counted)
    columns = np.maximum(counted.sum(1), 1)
    there = np.repeat(counted.any(1), sizes.astype(int))
    inverse = np.divide(1, counts, out=np.zeros_like(counts), where=counted) * (sizes / columns)[:, None]
    moved = ((own - means[of_batch] * shown) * inverse[of_batch]).sum(1)
    numbers = (means.sum(1) / columns)[of_batch] + moved
    value = numbers[there].mean()
    return np.asarray(value + np.where(there, numbers - value, 0) * (len(values) / there.sum()))


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
