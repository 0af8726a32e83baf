"""What a task keeps, and how it stands in a run's folder: a table of its values and, written after it, a note of the rest."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lmbench.errors import DataError
from lmbench.store import manifests
from lmbench.store.files import replacing, write_json

if TYPE_CHECKING:
    from lmbench.metrics.base import MetricResult

DAMAGED = (
    OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, NotImplementedError, RecursionError,
    MemoryError, pa.ArrowException,
)  # fmt: skip
"""What comes of files that are cut off or somebody else's, whether of their reading or of what is made of it."""
WAY_OUT = "Of a run that is not finished it is made again; measure a finished one anew with --resume never."

Columns = Mapping[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class StoredResult(ABC):
    """One part of what a task found out: all that its metrics may look at.

    ``image_ids`` (N,): what the images (or pairs of them) are called. ``subset`` names a part of the result (``same``/
    ``different`` pairs, a layer); ``settings`` is the protocol that stands behind the numbers. ``metrics`` names those that
    judge it (empty: the task's).
    """

    task: str
    image_ids: np.ndarray
    n_annotations: int | str | None = None
    subset: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    metrics: tuple[str, ...] = ()

    @abstractmethod
    def table(self) -> tuple[Columns, Sequence[int]]:
        """All arrays as columns of one table, and the shape that makes arrays of them again."""

    @classmethod
    @abstractmethod
    def of_table(cls, columns: Columns, shape: tuple[int, ...], note: dict[str, Any]) -> Self:
        """The result again; ``note`` holds the fields that are no arrays, lists in the place of tuples."""

    @abstractmethod
    def check(self) -> None:
        """Raises ValueError where a field is not what it has to be: files may be damaged, or somebody else's."""

    @abstractmethod
    def scored(self) -> np.ndarray:
        """(S, N, L) bool: where a metric has a value for S draws, N images and L things in each."""

    @classmethod
    @abstractmethod
    def example(cls, task: str, noise: float, settings: Mapping[str, Any]) -> Self:
        """A small result made up for checks of metrics, the further from the truth the more ``noise`` there is."""

    def parts_of(self, result: MetricResult) -> Mapping[str, tuple[int, ...]]:
        """Groups of the L things that a metric is also given for, by name."""
        del result
        return {}

    def truth(self) -> Mapping[str, np.ndarray]:
        """By name, what two results have to have alike to be compared image by image."""
        return {"image ids": self.image_ids}

    def of_images(self, chosen: np.ndarray) -> Self:
        """The same of some images (or pairs) alone, by their places.

        Raises ValueError where the table does not go by images: its shape begins with neither draws and images nor images.
        """
        columns, shape = self.table()
        whole = tuple(self.scored().shape[:2])
        axis = 1 if tuple(shape[:2]) == whole else 0
        if shape[axis] != whole[1]:
            raise ValueError(f"a table of shape {tuple(shape)} does not go by {whole[1]} images")
        kept = {name: np.take(column.reshape(shape), chosen, axis).ravel() for name, column in columns.items()}
        note = {f.name: getattr(self, f.name) for f in fields(self)}
        note = {name: value for name, value in note.items() if not isinstance(value, np.ndarray)}
        return self.of_table(kept, (*shape[:axis], len(chosen), *shape[axis + 1 :]), note)

    @property
    def name(self) -> str:
        """A file name of its own within the run."""
        return stored_name(self.task, self.subset, self.n_annotations)

    def write(self, folder: Path) -> Path:
        """Writes ``<name>.parquet`` and then ``<name>.json`` with all that is no array; returns the table's path."""
        path = folder / f"{self.name}.parquet"
        columns, shape = self.table()
        with replacing(path, listed=True) as draft:
            pq.write_table(pa.table(dict(columns)), draft, compression="zstd")
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        note = {name: value for name, value in values.items() if not isinstance(value, np.ndarray)}
        write_json(folder / f"{self.name}.json", {**note, "shape": list(shape)}, listed=True)
        return path

    @classmethod
    def read(cls, folder: Path, name: str) -> Self | None:
        """The result of that name in a folder of predictions, or None. Raises DataError where it is damaged."""
        if not is_stored(folder, name):
            return None
        with _reading(folder, name) as note:
            shape = tuple(note.pop("shape"))
            table = pq.read_table(folder / f"{name}.parquet")
            columns = {c: table[c].to_numpy() for c in table.column_names}
            note["metrics"] = tuple(note.get("metrics", ()))  # older notes have none
            found = cls.of_table(columns, shape, note)
            found.check()
        return found


def stored_name(task: str, subset: str | None, n_annotations: int | str | None) -> str:
    """A file name of its own within the run."""
    parts = [task, subset, None if n_annotations is None else f"n{n_annotations}"]
    return "-".join(p for p in parts if p)


def is_stored(folder: Path, name: str) -> bool:
    """Whether a result was written to its end: the note comes last."""
    return (folder / f"{name}.json").is_file()


def task_of(folder: Path, name: str) -> str:
    """The task whose result is stored under that name. Raises DataError where it is damaged."""
    with _reading(folder, name) as note:
        return str(note["task"])


@contextmanager
def _reading(folder: Path, name: str) -> Iterator[dict[str, Any]]:
    """The note of a stored result. Raises DataError where it, its table, or what is made of them, is damaged."""
    path = folder / f"{name}.parquet"
    manifests.require(folder, path.name, f"{name}.json", way_out=WAY_OUT)
    try:
        yield json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    except DAMAGED as error:
        raise DataError(f"{path} is damaged ({error}). {WAY_OUT}") from None
