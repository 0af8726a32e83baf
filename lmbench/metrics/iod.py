"""Landmark error in percent of the inter-ocular distance (lower is better)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lmbench.errors import DataError

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


def inter_ocular_errors(
    predicted: Any,
    target: Any,
    eyes: tuple[int, int],
    visible: Any | None = None,
    image_ids: Sequence[Any] | None = None,
    hidden_eyes_count: bool = False,
) -> FloatArray:
    """The error ``(..., N, L)`` of every landmark, in percent of the true inter-ocular distance of its image.

    Args:
        predicted: ``(..., N, L, 2)``, array or tensor; leading axes are draws, methods and the like.
        target: ``(N, L, 2)``, in the unit of ``predicted``; the axes must have one scale (pixels; for a
            square image normalised coordinates as well).
        eyes: the two landmarks between which the distance is taken.
        visible: ``(N, L)`` bool; an invisible landmark scores NaN and its coordinates are not looked at.
        image_ids: ``(N,)``, names for error messages; without them images are called by their index.
        hidden_eyes_count: invisible landmarks keep their true positions, so an invisible eye still normalises.

    Raises:
        DataError: naming the image: an eye is invisible (unless ``hidden_eyes_count``), NaN or on the other eye, in an
            image with visible landmarks; or a visible landmark is predicted or annotated as NaN or infinite.
        ValueError: the shapes do not fit.

    Source: ``inter_ocular_error`` of DVE and ContrastLandmarks. The eyes themselves are scored too.
    """
    predictions, truth = as_float64(predicted), as_float64(target)
    if truth.ndim != 3 or truth.shape[-1] != 2 or predictions.shape[-3:] != truth.shape:
        raise ValueError(f"iod: expected (..., N, L, 2) and (N, L, 2), found {predictions.shape} and {truth.shape}")
    scored = scored_points(visible, truth.shape[:2])
    names = names_of("image", image_ids, len(truth))
    landmarks = truth.shape[1]
    if len(set(eyes)) != 2 or not all(0 <= eye < landmarks for eye in eyes):
        raise DataError(f"iod: needs two different eye landmarks of {landmarks}, found {tuple(eyes)}.")

    in_use = np.asarray(scored.any(1))
    if not hidden_eyes_count:
        refuse(in_use & ~scored[:, list(eyes)].all(1), names, f"iod: eye landmarks {tuple(eyes)} are not visible")
    refuse_missing(predictions, truth, scored, names, "iod")
    distance = np.linalg.norm(truth[:, eyes[0]] - truth[:, eyes[1]], axis=-1)
    refuse(in_use & ~(distance > 0), names, f"iod: eye landmarks {tuple(eyes)} are at one place")

    errors = np.full(predictions.shape[:-1], np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = 100 * np.linalg.norm(predictions - truth, axis=-1) / distance[:, None]
    np.copyto(errors, relative, where=scored)
    return errors


def as_float64(values: Any) -> FloatArray:
    """The values as a float64 array, also of a tensor on any device, in any precision, with a gradient."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().double().numpy()
    return np.asarray(values, dtype=np.float64)


def scored_points(visible: Any | None, shape: tuple[int, ...]) -> BoolArray:
    """Which landmarks count, ``(N, L)`` bool: the visible ones, or all where visibility is unknown."""
    if visible is None:
        return np.ones(shape, dtype=bool)
    mask = np.asarray(visible.detach().cpu() if hasattr(visible, "detach") else visible, dtype=bool)
    if mask.shape != shape:
        raise ValueError(f"visible: expected shape {shape}, found {mask.shape}")
    return mask


def names_of(kind: str, ids: Sequence[Any] | None, count: int) -> list[str]:
    """What error messages call the images or pairs: kind and id, else kind and index."""
    names = [f"{kind} {name}" for name in (ids if ids is not None else [f"#{i}" for i in range(count)])]
    if len(names) != count:
        raise ValueError(f"expected {count} {kind} ids, found {len(names)}")
    return names


def refuse(bad: npt.ArrayLike, names: Sequence[str], what: str) -> None:
    """Raise a `DataError` of ``what`` that names the first image or pair where ``bad`` holds, if one is."""
    found = np.flatnonzero(np.asarray(bad))
    if len(found):
        raise DataError(
            f"{what} in {names[found[0]]} ({len(found)} of {len(names)} are so). "
            "Mend the annotation or the prediction, or leave it out."
        )


def refuse_missing(
    predictions: FloatArray, truth: FloatArray, scored: BoolArray, names: Sequence[str], metric: str
) -> None:
    """Raise a `DataError` naming the first image where a scored landmark or its prediction is no number."""
    unknown = ~np.isfinite(truth).all(-1) & scored
    refuse(unknown.any(1), names, f"{metric}: a landmark counted as visible is annotated as NaN or infinite")
    failed = ~np.isfinite(predictions).all(-1) & scored
    across = tuple(axis for axis in range(failed.ndim) if axis != failed.ndim - 2)
    refuse(failed.any(across), names, f"{metric}: a prediction is NaN or infinite")
