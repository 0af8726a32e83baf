"""The record of a run: its schema, reading and writing. One immutable JSON a run; tools read nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lmbench.config import digest_of
from lmbench.errors import DataError, LmbenchError, StaleError
from lmbench.store import read_json, write_json

SCHEMA = 1
RECORD = "record.json"
SEAL = "sha256"
PREDICTIONS = "predictions"

REQUIRED = (
    "schema", "run", "status", "method", "variant", "dataset", "pretrain_on", "preset", "seed", "backbone",
    "metrics", "stages", "components", "data", "code", "environment", "config", "config_sha256",
)  # fmt: skip


def run_name(method: str, variant: str, dataset: str, preset: str, seed: int, digest: str) -> str:
    """The folder of a run: readable, and told apart by the digest of its configuration."""
    parts = (method, variant, dataset, preset, f"s{seed}", digest[:8])
    return "_".join(re.sub(r"[^A-Za-z0-9.+-]+", "-", p).strip("-")[:60] for p in parts)


def file_part(name: str) -> str:
    """A name as part of a file name: ``folder:/my/birds`` becomes ``folder-my-birds``."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", name).strip("-")


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
    """A record. Raises LmbenchError (damaged) or StaleError (another schema), naming the file.

    Records of earlier versions carry no digest of themselves and are taken as they are.
    """
    record = read_json(path)
    if not isinstance(record, dict) or any(key not in record for key in REQUIRED):
        raise LmbenchError(f"{path} is no lmbench record.")
    if record["schema"] != SCHEMA:
        raise StaleError(f"{path} has schema {record['schema']}; this lmbench reads {SCHEMA}.")
    if SEAL in record and record[SEAL] != _seal_of(record):
        raise DataError(
            f"{path} is damaged: it is not what was written (its SHA-256 differs). Take it from a copy, or measure anew "
            "with --resume never."
        )
    return record


def find_records(runs: Path) -> Iterator[Path]:
    """The record files below a runs folder, in order of their paths."""
    yield from sorted(runs.glob(f"*/{RECORD}"))


def metric_rows(record: dict[str, Any], task: str | None = None) -> list[dict[str, Any]]:
    """The metric entries of a record, of one task or all."""
    rows: Sequence[dict[str, Any]] = record["metrics"]
    return [row for row in rows if task is None or row["task"] == task]
