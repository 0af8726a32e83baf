"""The record of a run: its schema, reading and writing. One immutable JSON a run; tools read nothing else.

A record may come from anybody: it is read through the schema below, and no name in it becomes a path before it was
looked at. What the schema does not name may be there and is kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
from pydantic import ConfigDict, Field, StringConstraints

from lmbench.config.model import digest_of
from lmbench.errors import DataError, LmbenchError, StaleError
from lmbench.store.files import write_json

SCHEMA = 1
RECORD = "record.json"
SEAL = "sha256"
PREDICTIONS = "predictions"
LARGEST_FILE = 256 << 20  # bytes; those of the largest runs have one
LONGEST_PART = 80  # letters of a name within a file name

REQUIRED = (
    "schema", "run", "status", "method", "variant", "dataset", "pretrain_on", "preset", "seed", "backbone",
    "metrics", "stages", "components", "data", "code", "environment", "config", "config_sha256",
)  # fmt: skip

Word = Annotated[str, StringConstraints(max_length=300)]
Text = Annotated[str, StringConstraints(max_length=5000)]
Number = Annotated[float, Field(ge=-1e9, le=1e9)]
FolderName = Annotated[str, StringConstraints(max_length=250, pattern=r"^[A-Za-z0-9_+][A-Za-z0-9._+-]*$")]


class _Part(pydantic.BaseModel):
    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)


class _Metric(_Part):
    task: Word
    metric: Word
    subset: Word | None
    n_annotations: Annotated[int, Field(ge=0, le=10**9)] | Literal["all"] | None
    value: Number
    std: Number | None
    draws: Annotated[int, Field(ge=0, le=10**6)] | None
    ci95: Annotated[list[Number | None], Field(min_length=2, max_length=2)] | None
    unit: Word
    higher_is_better: bool
    settings: dict[str, Any]


class _Stage(_Part):
    key: Annotated[str, StringConstraints(max_length=200, pattern=r"^[A-Za-z0-9]+$")]


class _Data(_Part):
    fingerprint: Word | None = None


class _Code(_Part):
    version: Word = ""


class _Record(_Part):
    run: FolderName
    status: Literal["ok", "failed", "partial"]
    method: Word
    variant: Word
    dataset: Text
    pretrain_on: Text
    preset: Word
    seed: Annotated[int, Field(ge=0, le=2**64)]
    backbone: Word
    supervision: Word = ""
    feature_dim: Annotated[int, Field(ge=0, le=10**9)] | None = None
    metrics: list[_Metric]
    stages: list[_Stage]
    components: list[dict[str, Any]]
    predictions: list[Annotated[str, StringConstraints(pattern=r"^predictions/[^/\\\x00-\x1f]+\.parquet$")]] = []
    heads: dict[Word, Word] = {}
    data: _Data
    code: _Code
    environment: dict[str, Any]
    config: dict[str, Any]
    config_sha256: Word


def run_name(method: str, variant: str, dataset: str, preset: str, seed: int, digest: str) -> str:
    """The folder of a run: readable, and told apart by the digest of its configuration."""
    parts = (method, variant, dataset, preset, f"s{seed}", digest[:8])
    return "_".join(re.sub(r"[^A-Za-z0-9.+-]+", "-", p).strip("-")[:60] for p in parts)


def file_part(name: str) -> str:
    """A name as part of a file name: ``folder:/my/birds`` becomes ``folder-my-birds``. Other names may give the same."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", name).strip("-.")[:LONGEST_PART]


def write_record(folder: Path, record: dict[str, Any]) -> Path:
    """Writes ``record.json`` once, with its own digest. Raises StaleError where one is there: records are never overwritten."""
    missing = [key for key in REQUIRED if key not in record]
    if missing:
        raise LmbenchError(f"record without {', '.join(missing)}")
    path = folder / RECORD
    if path.exists():
        raise StaleError(f"{path} exists; records are never overwritten.")
    record[SEAL] = _seal_of(record)
    write_json(path, record)
    return path


def _seal_of(record: dict[str, Any]) -> str:
    return digest_of({k: v for k, v in record.items() if k != SEAL})


def read_record(path: Path) -> dict[str, Any]:
    """A record.

    Raises LmbenchError (not what a record holds), DataError (not what was written) or StaleError (another schema), naming
    the file. Records of earlier versions carry no digest of themselves and are taken as they are.
    """
    record = _read(path)
    if not isinstance(record, dict) or any(key not in record for key in REQUIRED):
        raise LmbenchError(f"{path} is no lmbench record.")
    if record["schema"] != SCHEMA or isinstance(record["schema"], bool):
        raise StaleError(f"{path} has schema {record['schema']!r:.60}; this lmbench reads {SCHEMA}.")
    try:
        _Record.model_validate(record)
    except pydantic.ValidationError as error:
        found = error.errors(include_url=False)
        more = f" (and {len(found) - 3} more)" if len(found) > 3 else ""
        raise LmbenchError(f"{path} is no lmbench record: {'; '.join(map(_fault, found[:3]))}{more}.") from None
    if SEAL in record and record[SEAL] != _seal_of(record):
        raise DataError(
            f"{path} is damaged: it is not what was written (its SHA-256 differs). Take it from a copy, or measure anew "
            "with --resume never."
        )
    return record


def _read(path: Path) -> Any:
    try:
        if not path.is_file():  # a pipe would be waited for
            raise LmbenchError(f"{path} is no file.")
        if path.stat().st_size > LARGEST_FILE:
            raise LmbenchError(f"{path} is larger than any record ({path.stat().st_size >> 20} MB).")
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        said = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise LmbenchError(f"{path} is damaged ({said:.300}); move it away and give the command again.") from None
    except OSError as error:
        raise LmbenchError(f"{path} cannot be read ({error.strerror or error}).") from None


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no number")


def _fault(error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"])
    return f"{where}: {error['msg'][0].lower()}{error['msg'][1:]}, found {error['input']!r:.60}"


def find_records(runs: Path) -> Iterator[Path]:
    """The record files below a runs folder, in order of their paths."""
    yield from sorted(runs.glob(f"*/{RECORD}"))


def metric_rows(record: dict[str, Any], task: str | None = None) -> list[dict[str, Any]]:
    """The metric entries of a record, of one task or all."""
    rows: Sequence[dict[str, Any]] = record["metrics"]
    return [row for row in rows if task is None or row["task"] == task]
