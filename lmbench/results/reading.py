"""Reading a record, which may come from anybody: it is taken through the schema below, and no name in it becomes a path
before it was looked at. What the schema does not name may be there and is kept.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
from pydantic import ConfigDict, Field, StringConstraints

from lmbench.errors import DataError, LmbenchError, StaleError
from lmbench.results.record import SCHEMA, SEAL, Record, seal_of

READABLE = (1, SCHEMA)
LARGEST_FILE = 256 << 20  # bytes; those of the largest runs have one

REQUIRED = (
    "schema", "run", "status", "method", "variant", "dataset", "pretrain_on", "preset", "seed", "backbone",
    "metrics", "stages", "components", "data", "code", "environment", "config", "config_sha256",
)  # fmt: skip

Word = Annotated[str, StringConstraints(max_length=300)]
Text = Annotated[str, StringConstraints(max_length=5000)]
Real = Annotated[float, Field(ge=-1e9, le=1e9)]
Seconds = Annotated[float, Field(ge=0, le=1e9)]
FolderName = Annotated[str, StringConstraints(max_length=250, pattern=r"^[A-Za-z0-9_+][A-Za-z0-9._+-]*$")]
Whole = Annotated[int, Field(ge=0, le=10**9)]


class _Part(pydantic.BaseModel):
    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)


class _Number(_Part):
    task: Word
    metric: Word
    subset: Word | None
    n_annotations: Whole | Literal["all"] | None
    value: Real
    std: Real | None
    draws: Annotated[int, Field(ge=0, le=10**6)] | None
    unit: Word
    higher_is_better: bool


class _Metric(_Number):
    ci95: Annotated[list[Real | None], Field(min_length=2, max_length=2)] | None
    settings: dict[str, Any]
    images: Whole | None = None
    points: Whole | None = None
    normaliser: Word | None = None
    curve: list[Annotated[list[Real], Field(min_length=2, max_length=2)]] = []


class _Reference(_Number):
    reference: Word


class _Stage(_Part):
    key: Annotated[str, StringConstraints(max_length=200, pattern=r"^[A-Za-z0-9]+$")]
    name: Word = ""
    reused: bool = False
    seconds: Seconds = 0
    epochs: Whole = 0
    steps: Whole | None = None
    views: Annotated[int, Field(ge=0, le=10**12)] | None = None
    curve: list[dict[str, Any]] = []


class _Leak(_Part):
    images: Whole


class _Data(_Part):
    fingerprint: Word | None = None
    partial: Text | None = None
    counts: dict[str, Any] = {}
    used: dict[str, Any] | None = None
    preprocessing: dict[str, Any] | None = None
    landmarks: list[Word] = []
    pretraining_fingerprint: Word | None = None
    test_images_pretrained_on: _Leak | None = None
    notes: list[Text] = []


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
    feature_dim: Whole | None = None
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
    finished: Word = ""
    seconds: Seconds = 0
    choices: dict[str, Any] = {}
    identity: dict[str, Any] | None = None
    observer_errors: list[Any] = []
    references: list[_Reference] = []


def read_record(path: Path) -> Record:
    """A record of any schema there has been.

    Raises LmbenchError (not what a record holds), DataError (not what was written) or StaleError (a schema to come), naming
    the file. Records of lmbench 0.1 carry no digest of themselves and are taken as they are.
    """
    return checked(_read(path), path)


def checked(document: Any, path: Path) -> Record:
    """The record of a parsed file. Raises as `read_record`."""
    if not isinstance(document, dict) or any(key not in document for key in REQUIRED):
        raise LmbenchError(f"{path} is no lmbench record.")
    schema = document["schema"]
    if schema not in READABLE or isinstance(schema, bool):
        raise StaleError(f"{path} has schema {schema!r:.60}; this lmbench reads {' and '.join(map(str, READABLE))}.")
    try:
        _Record.model_validate(document)
    except pydantic.ValidationError as error:
        found = error.errors(include_url=False)
        more = f" (and {len(found) - 3} more)" if len(found) > 3 else ""
        raise LmbenchError(f"{path} is no lmbench record: {'; '.join(map(_fault, found[:3]))}{more}.") from None
    if SEAL in document and document[SEAL] != seal_of(document):
        raise DataError(
            f"{path} is damaged: it is not what was written (its SHA-256 differs). Take it from a copy, or measure anew "
            "with --resume never."
        )
    return Record.of(document)


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
