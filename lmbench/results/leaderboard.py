"""Records + published numbers -> one CSV a dataset and task. Equal inputs give byte-equal files; no torch, no pandas.

A row is *measured* (and links its record) or *published* (and names paper and table); the two are ranked apart, for a
published number was made under another protocol.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lmbench.config.model import digest_of
from lmbench.errors import LmbenchError, StaleError
from lmbench.printable import csv_text
from lmbench.results.reading import read_record
from lmbench.results.record import Record, Row, file_part, find_records, keep_copy
from lmbench.store.files import write_atomically

COLUMNS = (
    "dataset", "task", "metric", "part", "n_annotations", "kind", "rank", "method", "variant", "supervision", "backbone",
    "feature_dim", "pretrain_on", "preset", "seed", "value", "std", "draws", "ci95_low", "ci95_high", "unit",
    "higher_is_better", "source", "version", "data", "note",
)  # fmt: skip
ALIKE = ("metric", "part", "n_annotations", "kind", "preset", "data")
"""What the rows have in common that are ranked as one."""
DIGITS = 8  # of a data's fingerprint

Line = dict[str, Any]
"""A line of a board: the columns it has, by name."""


@dataclass
class Built:
    """What a build gave: the content of each file by name, the records behind it, and what was left out with the reason."""

    files: dict[str, str] = field(default_factory=dict)
    records: dict[str, Record] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)


def build(runs: Path, out: Path, published: Sequence[Line] = ()) -> Built:
    """The leaderboards of all records below ``runs`` and of those kept in ``out/records``, and of published rows; writes nothing.

    A damaged or foreign record is left out and named. Raises StaleError where one run stands in both with other values.
    """
    built = Built()
    records: dict[str, Record] = {}
    for path in [*sorted((out / "records").glob("*.json")), *find_records(runs)]:
        try:
            record = read_record(path)
        except LmbenchError as error:
            built.left_out.append(str(error))
            continue
        if record.status != "ok" or record.preset == "smoke":  # a smoke run proves that code runs, nothing else
            continue
        known = records.setdefault(record.run.casefold(), record)
        if known.run != record.run:
            built.left_out.append(f"{path}: its run {record.run} differs from {known.run} in case alone.")
            continue
        if _values(known) != _values(record):
            raise StaleError(
                f"{path}: the run {record.run} stands in {out / 'records'} with other values; remove one of the two."
            )
    built.records = {record.run: record for record in records.values()}
    measured = [row for record in built.records.values() for row in measured_rows(record)]
    rows = [*measured, *published]
    boards: dict[tuple[str, str], list[Line]] = {}
    for row in rows:
        boards.setdefault((row["dataset"], row["task"]), []).append(row)
    for board, name in _file_names(sorted(boards)).items():
        built.files[name] = render(ranked(boards[board]))
    return built


def _file_names(boards: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """The file of each dataset and task; names that a file system could take for each other get a digest of their own."""
    plain = {board: f"{file_part(board[0])}_{file_part(board[1])}" for board in boards}
    counts = Counter(name.casefold() for name in plain.values())
    told_apart = {
        board: name if counts[name.casefold()] == 1 else f"{name}_{digest_of(board)[:8]}"
        for board, name in plain.items()
    }
    return {board: f"{name}.csv" for board, name in told_apart.items()}


def write(built: Built, out: Path) -> list[Path]:
    """Writes the files of a build and a copy of every record, so that each measured row's source is found beside it."""
    written = []
    for name, content in built.files.items():
        path = out / name
        if not path.is_file() or path.read_text(encoding="utf-8") != content:  # what is there is not synced again
            write_atomically(path, content)
        written.append(path)
    for record in built.records.values():
        keep_copy(record, out / "records")
    return written


def stale_files(built: Built, out: Path) -> list[str]:
    """What in ``out`` differs from a build: one line a file."""
    complaints = []
    present = {p.name for p in out.glob("*.csv")}
    for name, content in built.files.items():
        if name not in present:
            complaints.append(f"{out / name} is missing")
        elif (out / name).read_text(encoding="utf-8") != content:
            complaints.append(f"{out / name} is not what its records and the published numbers give")
    return complaints + [f"{out / name} has no source" for name in sorted(present - set(built.files))]


def measured_rows(record: Record) -> list[Line]:
    """The rows of a record, one a number."""
    seen = record.data.test_images_pretrained_on
    leaked = f"pretrained on {seen['images']} of its test images" if seen else ""
    about = {
        "dataset": record.dataset,
        "kind": "measured",
        "method": record.method,
        "variant": record.variant,
        "supervision": record.supervision,
        "backbone": "" if record.backbone == "none" else record.backbone,
        "feature_dim": record.feature_dim or "",
        "pretrain_on": record.pretrain_on,
        "preset": record.preset,
        "seed": record.seed,
        "source": f"records/{record.run}.json",
        "version": record.version,
        "data": (record.data.fingerprint or "")[:DIGITS],
    }
    rows = []
    for row in record.rows:
        low, high = interval_cells(row.ci95)
        rows.append(
            {
                **about,
                "task": row.task,
                "metric": row.metric,
                "part": row.subset or "",
                "n_annotations": "" if row.n_annotations is None else str(row.n_annotations),
                "value": f"{row.value:.4f}",
                "std": "" if row.std is None else f"{row.std:.4f}",
                "draws": row.draws or "",
                "ci95_low": low,
                "ci95_high": high,
                "unit": row.unit,
                "higher_is_better": _flag(row.higher_is_better),
                "note": "; ".join(filter(None, (leaked, _note(row)))),
            }
        )
    return rows


def interval_cells(interval: Sequence[float | None] | None) -> tuple[str, str]:
    """Both ends of an interval as cells, empty where there is none."""
    low, high = interval or (None, None)
    return ("", "") if low is None or high is None else (f"{low:.4f}", f"{high:.4f}")


def ranked(rows: Iterable[Line]) -> list[Line]:
    """The rows in order, each with its rank among rows of its kind that measure the same thing (equal values share one)."""
    groups: dict[tuple[str, ...], list[Line]] = {}
    for row in rows:
        key = tuple(str(row[k]) for k in ALIKE if k in row)
        groups.setdefault(key, []).append(row)
    result = []
    for key in sorted(groups, key=_group_order):
        group = groups[key]
        sign = -1 if group[0]["higher_is_better"] == "true" else 1
        group.sort(
            key=lambda r: (sign * float(r["value"]), r["method"], r["variant"], r["source"], str(r.get("seed", "")))
        )
        values = [float(r["value"]) for r in group]
        result += [{**row, "rank": 1 + values.index(float(row["value"]))} for row in group]
    return result


def render(rows: Sequence[Line]) -> str:
    """Rows as CSV text with the columns of ``COLUMNS``."""
    return csv_text(COLUMNS, rows)


def _group_order(key: tuple[str, ...]) -> tuple[Any, ...]:
    metric, part, n, kind, *rest = key
    number = (2, 0) if n == "all" else (0, 0) if n == "" else (1, int(n))
    return (metric, part, number, kind, *rest)


def _note(row: Row) -> str:
    """The protocol of a measured row in a few words; all of it stands in the record."""
    settings: Mapping[str, Any] = row.settings
    few_shot = row.n_annotations not in (None, "all")
    names = ("head", "recipe", "few_shot", "reading", "pairs", "grid", "normalise")
    parts = []
    for name in names:
        value = settings.get(name) if few_shot or name != "few_shot" else None
        if isinstance(value, list):
            value = "x".join(map(str, value))
        if value is not None and not isinstance(value, dict):
            parts.append(f"{name.replace('_', ' ')} {value}")
    return "; ".join(parts)


def _values(record: Record) -> list[Any]:
    return [(row.key, row.value) for row in record.rows]


def _flag(value: bool) -> str:
    return "true" if value else "false"
