"""Stored predictions, and what a metric makes of them: values per image and landmark, an aggregate, an interval."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from lmbench.errors import DataError
from lmbench.store import replacing, write_json

BOOTSTRAP_SAMPLES = 2000


@dataclass(frozen=True)
class Predictions:
    """What an evaluation predicted: all that metrics may look at.

    ``predicted`` (S, N, L, 2) for S draws, ``target`` (N, L, 2), ``visible`` (N, L): scored landmarks; pixels of images of
    ``image_size`` (square). ``subset`` names a part of the result (``same``/``different`` pairs, a layer). ``settings``
    is the protocol that stands behind the numbers. ``normaliser_annotated``: landmarks keep true positions where they
    are invisible, so that an occluded eye may still normalise.
    """

    task: str
    predicted: np.ndarray
    target: np.ndarray
    visible: np.ndarray
    image_ids: np.ndarray
    image_size: int
    n_annotations: int | str | None = None
    subset: str | None = None
    eyes: tuple[int, int] | None = None
    normaliser_annotated: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """A file name of its own within the run."""
        parts = [self.task, self.subset, None if self.n_annotations is None else f"n{self.n_annotations}"]
        return "-".join(p for p in parts if p)

    def write(self, folder: Path) -> Path:
        """Writes ``<name>.parquet`` (one row a draw, image and landmark) and its protocol as JSON; returns the table's path."""
        draws, images, landmarks = self.predicted.shape[:3]
        draw, image, landmark = (i.ravel() for i in np.indices((draws, images, landmarks)))
        frame = pd.DataFrame(
            {
                "image": self.image_ids[image],
                "draw": draw.astype(np.int32),
                "landmark": landmark.astype(np.int32),
                "x": self.predicted[..., 0].ravel(),
                "y": self.predicted[..., 1].ravel(),
                "true_x": self.target[image, landmark, 0],
                "true_y": self.target[image, landmark, 1],
                "visible": self.visible[image, landmark],
            }
        )
        path = folder / f"{self.name}.parquet"
        with replacing(path) as draft:
            pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), draft, compression="zstd")
        note = {k: v for k, v in vars(self).items() if not isinstance(v, np.ndarray)}
        write_json(folder / f"{self.name}.json", {**note, "shape": [draws, images, landmarks]})
        return path

    @classmethod
    def read(cls, folder: Path, name: str) -> Predictions | None:
        """The predictions of that name in a run's folder, or None. Raises DataError where they are damaged."""
        path, note_path = folder / f"{name}.parquet", folder / f"{name}.json"
        if not note_path.is_file():  # written last: without it the table may be of an interrupted write
            return None
        try:
            note = json.loads(note_path.read_text(encoding="utf-8"))
            shape = tuple(note.pop("shape"))
            frame = pd.read_parquet(path)
            predicted = frame[["x", "y"]].to_numpy().reshape(*shape, 2)
            first = frame[frame["draw"] == 0]
            note["eyes"] = tuple(note["eyes"]) if note["eyes"] else None
            return cls(
                predicted=predicted,
                target=first[["true_x", "true_y"]].to_numpy().reshape(*shape[1:], 2),
                visible=first["visible"].to_numpy().reshape(shape[1:]),
                image_ids=first["image"].to_numpy().reshape(shape[1:])[:, 0],
                **note,
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path} is damaged ({error}); delete it, its head is fitted again.") from None


@dataclass(frozen=True)
class MetricResult:
    """``values`` (S, N, L), NaN where nothing is scored, and ``aggregate`` (S,): one number a draw.

    ``curve``: pairs (x, y) that stand behind the number, for the record and its plot.
    """

    values: np.ndarray
    aggregate: np.ndarray
    curve: tuple[tuple[float, float], ...] = ()


Metric = Callable[[Any], MetricResult]


def mean_of_scored(values: np.ndarray) -> np.ndarray:
    """(S,): the mean over all scored images and landmarks of each draw. Raises DataError where nothing is scored."""
    if np.isnan(values).all():
        raise DataError("no landmark is scored: none is visible in any image.")
    return np.asarray(np.nanmean(values.reshape(len(values), -1), axis=1))


def bootstrap_interval(values: np.ndarray, seed: int = 0, samples: int = BOOTSTRAP_SAMPLES) -> tuple[float, float]:
    """The 95 % interval of the mean over images: images are drawn anew, with all their landmarks and draws.

    ``values`` (S, N, L) with NaN where nothing is scored. The spread over draws is not in it; records state it apart.
    """
    scored = ~np.isnan(values)
    totals = np.where(scored, values, 0).sum((0, 2))
    counts = scored.sum((0, 2))
    rng = np.random.default_rng(seed)
    means = np.empty(samples)
    for i in range(samples):
        drawn = rng.integers(0, len(totals), len(totals))
        means[i] = totals[drawn].sum() / max(counts[drawn].sum(), 1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)
