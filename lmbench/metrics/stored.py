"""How a result stands in a run's folder: a table of its values and, written after it, a note of everything else."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from lmbench.errors import DataError
from lmbench.store import manifests
from lmbench.store.files import replacing, write_json

DAMAGED = (
    OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, NotImplementedError, RecursionError,
    MemoryError, pa.ArrowException,
)  # fmt: skip
"""What comes of files that are cut off or somebody else's, whether of their reading or of what is made of it."""


def stored_name(task: str, subset: str | None, n_annotations: int | str | None) -> str:
    """A file name of its own within the run."""
    parts = [task, subset, None if n_annotations is None else f"n{n_annotations}"]
    return "-".join(p for p in parts if p)


def write_stored(folder: Path, name: str, frame: pd.DataFrame, fields: Mapping[str, Any], shape: Sequence[int]) -> Path:
    """Writes ``<name>.parquet`` and then ``<name>.json`` with all ``fields`` that are no arrays; returns the table's path."""
    path = folder / f"{name}.parquet"
    with replacing(path, listed=True) as draft:
        pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), draft, compression="zstd")
    note = {k: v for k, v in fields.items() if not isinstance(v, np.ndarray)}
    write_json(folder / f"{name}.json", {**note, "shape": list(shape)}, listed=True)
    return path


def is_stored(folder: Path, name: str) -> bool:
    """Whether a result was written to its end: the note comes last."""
    return (folder / f"{name}.json").is_file()


@contextmanager
def reading(folder: Path, name: str) -> Iterator[tuple[dict[str, Any], tuple[int, ...], pd.DataFrame]]:
    """The note, the shape and the table of a stored result. Raises DataError where they, or what is made of them, are damaged."""
    path = folder / f"{name}.parquet"
    way_out = "Of a run that is not finished it is made again; measure a finished one anew with --resume never."
    manifests.require(folder, path.name, f"{name}.json", way_out=way_out)
    try:
        note = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        shape = tuple(note.pop("shape"))
        yield note, shape, pd.read_parquet(path)
    except DAMAGED as error:
        raise DataError(f"{path} is damaged ({error}). {way_out}") from None
