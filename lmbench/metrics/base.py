"""Stored predictions, and what a metric makes of them: values per image and landmark, and their aggregate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lmbench.metrics.aggregates import mean_of_scored, resample
from lmbench.metrics.stored import is_stored, reading, stored_name, write_stored

COLUMNS_OF_ARRAYS = {"source_scale": ["scale_x", "scale_y"], "normaliser": ["normaliser"]}


@dataclass(frozen=True)
class Predictions:
    """What an evaluation predicted: all that metrics may look at.

    ``predicted`` (S, N, L, 2) for S draws, ``target`` (N, L, 2), ``visible`` (N, L): scored landmarks; pixels of images of
    ``image_size`` (square). ``subset`` names a part of the result (``same``/``different`` pairs, a layer). ``settings``
    is the protocol that stands behind the numbers. ``normaliser_annotated``: landmarks keep true positions where they
    are invisible, so that an occluded eye may still normalise. ``metrics`` names those that judge it (empty: the task's),
    ``parts`` groups of landmarks that are also scored apart. ``source_scale`` (N, 2): pixels of the source image in one
    pixel here, x and y. ``normaliser`` (N,): a length in pixels, where it is not one between targets.
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
    metrics: tuple[str, ...] = ()
    landmark_names: tuple[str, ...] = ()
    parts: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    source_scale: np.ndarray | None = None
    normaliser: np.ndarray | None = None

    @property
    def name(self) -> str:
        """A file name of its own within the run."""
        return stored_name(self.task, self.subset, self.n_annotations)

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
        for name, columns in COLUMNS_OF_ARRAYS.items():
            if (array := getattr(self, name)) is not None:
                frame[columns] = array.reshape(images, len(columns))[image]
        return write_stored(folder, self.name, frame, vars(self), (draws, images, landmarks))

    @classmethod
    def read(cls, folder: Path, name: str) -> Predictions | None:
        """The predictions of that name in a run's folder, or None. Raises DataError where they are damaged."""
        if not is_stored(folder, name):
            return None
        with reading(folder, name) as (note, shape, frame):
            predicted = frame[["x", "y"]].to_numpy().reshape(*shape, 2)
            first = frame[frame["draw"] == 0]
            note["eyes"] = tuple(note["eyes"]) if note["eyes"] else None
            note["parts"] = {part: tuple(members) for part, members in note.get("parts", {}).items()}
            note |= {key: tuple(note.get(key, ())) for key in ("metrics", "landmark_names")}  # older notes have none
            for key, columns in COLUMNS_OF_ARRAYS.items():
                if set(columns) <= set(frame):
                    note[key] = first[columns].to_numpy()[:: shape[2]].squeeze(-1 if len(columns) == 1 else ())
            found = cls(
                predicted=predicted,
                target=first[["true_x", "true_y"]].to_numpy().reshape(*shape[1:], 2),
                visible=first["visible"].to_numpy().reshape(shape[1:]),
                image_ids=first["image"].to_numpy().reshape(shape[1:])[:, 0],
                **note,
            )
            found.check()
            return found

    def check(self) -> None:
        """Raises ValueError where a field is not what it has to be: files may be damaged, or somebody else's."""
        landmarks = self.predicted.shape[2]
        numbers = [self.predicted, self.target, self.source_scale, self.normaliser]
        whole = all(a.dtype.kind == "f" for a in numbers if a is not None) and self.visible.dtype == bool
        scored = self.target[self.visible] if whole else np.zeros(0)
        groups = [*self.parts.values(), *([self.eyes] if self.eyes else [])]
        facts = {
            "numbers": whole and bool(np.isfinite(self.predicted).all() and np.isfinite(scored).all()),
            "image_size": type(self.image_size) is int and self.image_size > 0,
            "n_annotations": self.n_annotations is None or type(self.n_annotations) in (int, str),
            "task": all(
                type(name) is str for name in (self.task, self.subset or "", *self.metrics, *self.landmark_names)
            ),
            "settings": isinstance(self.settings, Mapping),
            "landmark_names": self.subset is not None or len(self.landmark_names) in (0, landmarks),
            "parts": all(type(i) is int and 0 <= i < landmarks for group in groups for i in group),
        }
        wrong = [name for name, holds in facts.items() if not holds]
        if wrong:
            raise ValueError(f"{' and '.join(wrong)} of another kind than expected")


@dataclass(frozen=True)
class MetricResult:
    """``values`` (S, N, L), NaN where nothing is scored, and ``aggregate`` (S,): one number a draw.

    How the aggregate comes from the values, so that parts of it and its interval are made in the same way: the mean over
    all scored points or, ``macro``, the mean over landmarks of their means; with ``batch``, in batches of so many
    consecutive images, weighted by their size. ``curve``: pairs (x, y) that stand behind the number, for the record and
    its plot.
    """

    values: np.ndarray
    aggregate: np.ndarray
    macro: bool = False
    batch: int | None = None
    curve: tuple[tuple[float, float], ...] = ()

    @classmethod
    def of(
        cls,
        values: np.ndarray,
        macro: bool = False,
        batch: int | None = None,
        curve: tuple[tuple[float, float], ...] = (),
    ) -> MetricResult:
        """The values with their aggregate. Raises DataError where a draw scores nothing."""
        return cls(values, mean_of_scored(values, macro, batch), macro, batch, curve)

    def part(self, landmarks: Sequence[int]) -> MetricResult | None:
        """The same of some landmarks; ``None`` where none of them is scored in any image."""
        values = self.values[:, :, list(landmarks)]
        return None if np.isnan(values).all((1, 2)).any() else MetricResult.of(values, self.macro, self.batch)

    def resampled(self, selections: Sequence[Sequence[int] | None] = (None,), seed: int = 0) -> np.ndarray:
        """(selections, samples): the mean over draws of the aggregate where images are drawn anew; see `resample`."""
        return resample(self.values, selections, self.macro, self.batch, seed)


Metric = Callable[[Any], MetricResult]
