"""Two runs on the same images: the difference of each number they share, with a paired bootstrap over images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lmbench.errors import DataError, StaleError
from lmbench.metrics.stored import StoredResult
from lmbench.plugins.loading import CORE, Plugins
from lmbench.results.measuring import Measured, interval_of, measured
from lmbench.results.record import Key, Record
from lmbench.results.run import Run

FREE = ("layers", "dimension", "fitted")
"""Settings of a row that describe the features under comparison; all others are the protocol."""


@dataclass(frozen=True)
class Comparison:
    """One number of both runs. ``difference`` is a - b, ``ci95`` its interval over resampled images, None where there
    is one image or one draw.

    ``better_share``: in how many of the resamples A is better, ties counting half.
    """

    task: str
    metric: str
    subset: str | None
    n_annotations: int | str | None
    a: float
    b: float
    difference: float
    ci95: tuple[float, float] | None
    better_share: float | None
    unit: str
    higher_is_better: bool
    images: int

    def entry(self) -> dict[str, Any]:
        """As a JSON object."""
        return {**asdict(self), "ci95": list(self.ci95) if self.ci95 else None}


def compare(
    a: Run, b: Run, plugins: Plugins, tasks: Sequence[str] = (), across_heads: bool = False
) -> list[Comparison]:
    """All numbers that both runs have (of ``tasks``, if any are named), in the order of A.

    ``across_heads``: the head belongs to what is compared. Raises StaleError where the runs were made from other data, under
    another protocol or share no number, DataError where predictions, or what a record says of its data, are missing.
    """
    _same_data(a, b)
    plugins = plugins.preferring(CORE, *a.record.distributions, *b.record.distributions)
    others = {_name(p): p for p in b.results(plugins)}
    found = []
    for mine in a.results(plugins):
        other = others.get(_name(mine))
        if other is None or (tasks and mine.task not in tasks):
            continue
        _same_protocol(mine, other, across_heads)
        theirs = {_key(m, other): m for m in measured(other, plugins)}
        for number in measured(mine, plugins):
            key = _key(number, mine)
            if key in theirs:
                _as_recorded(a, key, number)
                _as_recorded(b, key, theirs[key])
                found.append(_compared(key, number, theirs[key], mine))
    if not found:
        raise StaleError(f"{a.name} and {b.name} share no number: they were judged by other tasks or annotations.")
    return found


def _name(predictions: StoredResult) -> tuple[Any, ...]:
    return predictions.task, predictions.subset, predictions.n_annotations


def _key(number: Measured, predictions: StoredResult) -> Key:
    return predictions.task, number.metric.name, number.subset, predictions.n_annotations


def _compared(key: Key, a: Measured, b: Measured, predictions: StoredResult) -> Comparison:
    differences = a.samples - b.samples
    gains = differences if a.metric.higher_is_better else -differences
    gains = gains[~np.isnan(gains)]
    bounds = interval_of(a, differences, predictions)
    values = float(a.result.aggregate.mean()), float(b.result.aggregate.mean())
    return Comparison(
        *key,
        *values,
        difference=values[0] - values[1],
        ci95=bounds,
        better_share=float(((gains > 0) + 0.5 * (gains == 0)).mean()) if bounds else None,
        unit=a.metric.unit,
        higher_is_better=a.metric.higher_is_better,
        images=a.images,
    )


def _same_data(a: Run, b: Run) -> None:
    """Raises StaleError where the runs were not judged on the same images, DataError where a record does not say which."""
    of_a, of_b = _data_of(a), _data_of(b)
    for what, first in of_a.items():
        second = of_b[what]
        if first != second:
            raise StaleError(
                f"{a.name} and {b.name} cannot be compared: their {what} differs ({_short(first)} and {_short(second)}). "
                "Measure one of them anew on the data of the other."
            )


def _data_of(run: Run) -> dict[str, Any]:
    record: Record = run.record
    found = {
        "dataset": record.dataset,
        "data fingerprint": record.data.fingerprint,
        "images used": record.data.used,
        "preprocessing": record.data.preprocessing,
    }
    absent = [what for what, value in found.items() if value is None]
    absent += [] if record.predictions else ["predictions"]
    if absent:
        raise DataError(f"the record of {run.name} does not state its {' and '.join(absent)}: it cannot be compared.")
    return found


def _same_protocol(a: StoredResult, b: StoredResult, across_heads: bool) -> None:
    """Raises StaleError naming the first setting in which two predictions differ that should be judged alike."""
    row = " ".join(str(part) for part in _name(a) if part is not None)
    one_head = a.settings.get("head") == b.settings.get("head")
    if not one_head and not across_heads:
        raise StaleError(
            f"{row}: the heads differ ({a.settings.get('head')} and {b.settings.get('head')}), and no number of one is to be "
            "compared with a number of the other. Pass --across-heads where the head belongs to the method."
        )
    names = set(a.settings) | set(b.settings) if one_head else {"draw_indices", "warped_copies"}
    for name in sorted(names - set(FREE)):
        first, second = a.settings.get(name), b.settings.get(name)
        if first != second:
            raise StaleError(
                f"{row}: the setting {name} differs ({_short(first)} and {_short(second)}). "
                "Measure one of them anew with the settings of the other, or compare the other task alone (--tasks)."
            )
    theirs = b.truth()
    for name, first in a.truth().items():
        second = theirs.get(name)
        if second is None or first.shape != second.shape or not _equal(first, second):
            raise StaleError(f"{row}: the {name} of the two runs differ, so they cannot be paired.")


def _equal(first: np.ndarray, second: np.ndarray) -> bool:
    return np.array_equal(first, second, equal_nan=first.dtype.kind == "f")


def _as_recorded(run: Run, key: Key, number: Measured) -> None:
    """Raises StaleError where the stored predictions do not give the number in the record."""
    row, value = run.record.find(key), float(number.result.aggregate.mean())
    if row is not None and not np.isclose(row.value, value, rtol=1e-6):
        raise StaleError(
            f"{run.folder}: the record says {key[1]} {row.value:.4f}, its predictions give {value:.4f}. "
            "One of the two was changed; measure anew with --resume never."
        )


def _short(value: Any) -> str:
    text = value[:12] if isinstance(value, str) and len(value) == 64 else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
