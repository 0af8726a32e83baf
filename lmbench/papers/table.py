"""A table with published and measured numbers side by side: as rows, as CSV, and kept without losing what stood there."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lmbench.campaigns import gaps
from lmbench.errors import StaleError
from lmbench.papers.planning import PlannedRun, Request, TablePlan
from lmbench.printable import csv_text
from lmbench.results.leaderboard import interval_cells
from lmbench.results.reading import read_record
from lmbench.results.record import Record, keep_copy
from lmbench.store.files import write_atomically

COLUMNS = (
    "paper", "table", "method", "label", "variant", "backbone", "feature_dim", "n_landmarks", "pretrain_dataset",
    "dataset", "task", "part", "n_annotations", "metric", "unit", "published", "published_std", "measured", "std",
    "draws", "ci95_low", "ci95_high", "difference", "run_method", "run_variant", "run_backbone", "run_pretrain_on",
    "run_dataset", "run_metric", "preset", "seed", "dataset_map", "backbones", "record", "differs", "reason", "note",
)  # fmt: skip
CONDITIONS = ("paper", "table", "preset", "seed", "dataset_map", "backbones")
IDENTITY = (
    "label", "variant", "backbone", "feature_dim", "n_landmarks", "pretrain_dataset", "dataset", "part", "n_annotations",
    "metric", "published",
)  # fmt: skip

Row = dict[str, Any]


def rows_of(plan: TablePlan, records: Mapping[int, Record]) -> list[Row]:
    """One row a cell, in printed order. ``records``: the record behind each cell that has one."""
    runs = {number: run for run in plan.runs for number in run.targets}
    return [_row(plan, number, runs.get(number), records.get(number)) for number in range(len(plan.cells))]


def render(rows: Sequence[Row]) -> str:
    """The rows as CSV text."""
    return csv_text(COLUMNS, rows)


def place(name: str, request: Request, out: Path) -> Path:
    """The file of a table below ``out``: ``reproduce/lead2022_table5_small.csv``."""
    seed = f"_s{request.seed}" if request.seed else ""
    return out / "reproduce" / f"{re.sub('[/:]', '_', name)}_{request.preset}{seed}.csv"


def refuse_loss(path: Path, rows: Sequence[Row], planned: bool = False) -> None:
    """Raises StaleError where the file at ``path`` is another thing, or has a number that ``rows`` contradict or lack.

    Rows that gained a number may be written over rows that had none. ``planned``: nothing is measured yet, numbers are
    not looked at.
    """
    old = _read(path)
    if old is None:
        return
    new = list(csv.DictReader(io.StringIO(render(rows))))
    way = "pass --force to replace it, or another --out."
    for column in CONDITIONS:
        there, now = ({r.get(column, "") for r in rows_} for rows_ in (old, new))
        if there != now:
            raise StaleError(f"{path} was made with {column} {_words(there)}, this is {_words(now)}: {way}")
    if planned:
        return
    values = {tuple(r[c] for c in IDENTITY): r["measured"] for r in new}
    for row in old:
        key = tuple(row.get(c, "") for c in IDENTITY)
        if row.get("measured") and values.get(key) != row["measured"]:
            raise StaleError(
                f"{path} has {row['measured']} for {row['label']} ({row['dataset']}, n {row['n_annotations'] or '-'}), "
                f"this is {values.get(key) or 'nothing'}: {way}"
            )


def write(path: Path, rows: Sequence[Row], records: Mapping[int, Record], out: Path) -> None:
    """Writes the CSV and, beside the leaderboards, a copy of every record that it links. Raises StaleError."""
    for record in {r.run: r for r in records.values()}.values():
        copy = out / "records" / f"{record.run}.json"
        if copy.exists() and read_record(copy).rows != record.rows:
            raise StaleError(f"{copy} has other values than the run {record.run}; remove one of the two.")
        keep_copy(record, out / "records")
    write_atomically(path, render(rows))


def exit_code(plan: TablePlan, measured: int) -> int:
    """0: every cell that a run can give is measured; 4: some; 5: none, for want of data; 1: none, for the runs failed."""
    return gaps.exit_code(plan.gaps.values(), measured)


def _row(plan: TablePlan, number: int, run: PlannedRun | None, record: Record | None) -> Row:
    cell, request = plan.cells[number], plan.request
    gap = plan.gaps.get(number)
    row: Row = {c: cell.row.get(c, "") for c in COLUMNS}
    row |= {
        "label": cell["method_label"] or cell["method"],
        "dataset": cell.dataset,
        "part": cell["pairs"] or cell["part"],
        "published": cell["value"],
        "published_std": cell["std"],
        "std": "",
        "preset": request.preset,
        "seed": request.seed,
        "dataset_map": " ".join(f"{k}={v}" for k, v in sorted(request.dataset_map.items())),
        "backbones": "paper" if request.paper_backbones else "preset",
        "reason": gap.reason if gap else "",
        "note": "; ".join(filter(None, (plan.notes.get(number, ""), cell["note"]))),
    }
    if run is None or gap is not None:
        return row
    config = run.config
    row |= {
        "run_method": config.method,
        "run_variant": config.variant,
        "run_backbone": config.network.backbone if config.network else "",
        "run_pretrain_on": config.pretrain_on,
        "run_dataset": config.dataset,
        "differs": run.differs.get(number, ""),
    }
    found = run.targets[number].find(record) if record is not None else None
    if record is None or found is None:
        return row
    return row | {
        "measured": f"{found.value:.4f}",
        "std": "" if found.std is None else f"{found.std:.4f}",
        "draws": found.draws or "",
        **dict(zip(("ci95_low", "ci95_high"), interval_cells(found.ci95), strict=True)),
        "difference": f"{found.value - float(cell['value']):+.4f}",
        "run_metric": found.metric,
        "record": f"records/{record.run}.json",
    }


def _read(path: Path) -> list[dict[str, str]] | None:
    """The rows of an earlier table, None where there is none. Raises StaleError for a file that is none."""
    if not path.exists():
        return None
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise StaleError(f"{path} cannot be read ({error}); move it away, or pass --force.") from None
    if not set(CONDITIONS) | set(IDENTITY) | {"measured"} <= set(reader.fieldnames or ()):
        raise StaleError(f"{path} is no table of lmbench; move it away, or pass --force.")
    return rows


def _words(values: set[str]) -> str:
    return " and ".join(repr(v) for v in sorted(values)) or "nothing"
