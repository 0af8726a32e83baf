"""Stored predictions of points, and what a metric makes of them: values per image and landmark, and their aggregate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from lmbench.metrics.aggregates import contributions, mean_of_scored
from lmbench.metrics.stored import Columns, StoredResult

COLUMNS_OF_ARRAYS = {"source_scale": ("scale_x", "scale_y"), "normaliser": ("normaliser",)}
LANDMARKS_APART = 20
"""Up to so many landmarks a macro mean is also given landmark by landmark, where the dataset names no parts."""


@dataclass(frozen=True, kw_only=True)
class Predictions(StoredResult):
    """Points that an evaluation predicted.

    ``predicted`` (S, N, L, 2) for S draws, ``target`` (N, L, 2), ``visible`` (N, L): scored landmarks; pixels of images of
    ``image_size`` (square). ``normaliser_annotated``: landmarks keep true positions where they are invisible, so that an
    occluded eye may still normalise. ``parts``: groups of landmarks that are also scored apart. ``source_scale`` (N, 2):
    pixels of the source image in one pixel here, x and y. ``normaliser`` (N,): a length in pixels, where it is not one
    between targets.
    """

    predicted: np.ndarray
    target: np.ndarray
    visible: np.ndarray
    image_size: int
    eyes: tuple[int, int] | None = None
    normaliser_annotated: bool = False
    landmark_names: tuple[str, ...] = ()
    parts: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    source_scale: np.ndarray | None = None
    normaliser: np.ndarray | None = None

    def table(self) -> tuple[Columns, Sequence[int]]:
        """One row a draw, image and landmark."""
        draws, images, landmarks = self.predicted.shape[:3]
        draw, image, landmark = (i.ravel() for i in np.indices((draws, images, landmarks)))
        columns = {
            "image": self.image_ids[image],
            "draw": draw.astype(np.int32),
            "landmark": landmark.astype(np.int32),
            "x": self.predicted[..., 0].ravel(),
            "y": self.predicted[..., 1].ravel(),
            "true_x": self.target[image, landmark, 0],
            "true_y": self.target[image, landmark, 1],
            "visible": self.visible[image, landmark],
        }
        for name, own in COLUMNS_OF_ARRAYS.items():
            if (array := getattr(self, name)) is not None:
                columns |= dict(zip(own, array.reshape(images, len(own))[image].T, strict=True))
        return columns, (draws, images, landmarks)

    @classmethod
    def of_table(cls, columns: Columns, shape: tuple[int, ...], note: dict[str, Any]) -> Self:
        first = columns["draw"] == 0
        note["eyes"] = tuple(note["eyes"]) if note["eyes"] else None
        note["parts"] = {part: tuple(members) for part, members in note.get("parts", {}).items()}
        note["landmark_names"] = tuple(note.get("landmark_names", ()))  # older notes have none
        for name, own in COLUMNS_OF_ARRAYS.items():
            if set(own) <= set(columns):
                array = np.stack([columns[c][first][:: shape[2]] for c in own], -1)
                note[name] = array.squeeze(-1) if len(own) == 1 else array
        return cls(
            predicted=np.stack([columns["x"], columns["y"]], -1).reshape(*shape, 2),
            target=np.stack([columns[c][first] for c in ("true_x", "true_y")], -1).reshape(*shape[1:], 2),
            visible=columns["visible"][first].reshape(shape[1:]),
            image_ids=columns["image"][first].reshape(shape[1:])[:, 0],
            **note,
        )

    def check(self) -> None:
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

    def scored(self) -> np.ndarray:
        return np.broadcast_to(self.visible, self.predicted.shape[:-1])

    @classmethod
    def example(cls, task: str, noise: float, settings: Mapping[str, Any]) -> Self:
        """Two draws for six images, ``noise`` pixels off; one landmark (no eye) of one image is invisible."""
        side, chance = 64, np.random.default_rng(0)
        target = chance.uniform(4, side - 4, (6, 3, 2))
        visible = np.ones((6, 3), dtype=bool)
        visible[1, 2] = False
        return cls(
            task=task,
            predicted=target + noise * chance.standard_normal((2, *target.shape)),
            target=target,
            visible=visible,
            image_ids=np.array([f"image{i}" for i in range(6)]),
            image_size=side,
            eyes=(0, 1),
            settings=settings,
            source_scale=np.full((6, 2), 2.0),
            normaliser=np.full(6, side / 2),
        )

    def parts_of(self, result: MetricResult) -> Mapping[str, tuple[int, ...]]:
        """The parts of the dataset, or each landmark of a macro mean over few; a layer or the backward error is a whole."""
        if self.subset is not None:
            return {}
        if self.parts or not result.macro or len(self.landmark_names) > LANDMARKS_APART:
            return self.parts
        return {name: (i,) for i, name in enumerate(self.landmark_names)}

    def truth(self) -> Mapping[str, np.ndarray]:
        if self.normaliser is not None:  # the targets are landmarks that a method discovered: each at its own places
            return {**super().truth(), "visible": np.asarray(self.visible.any(1))}
        return {**super().truth(), "visible": self.visible, "target": self.target}


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

    def contributions(self) -> np.ndarray | None:
        """(S, N): what each image adds to the aggregate, see `lmbench.metrics.aggregates.contributions`.

        ``None`` where the aggregate is another than that of the values: a metric's own.
        """
        made = contributions(self.values, self.macro, self.batch)
        return made if np.allclose(made.mean(1), self.aggregate, rtol=1e-6, atol=1e-9) else None


Metric = Callable[[Any], MetricResult]
