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
from lmbench.plugins.loading import Plugins
from lmbench.printable import csv_text, inside, without_folders
from lmbench.results.boards import Board, as_markdown, boards, with_parts
from lmbench.results.forest import forest
from lmbench.results.outputs import CLASSES, fold
from lmbench.results.ranking import Ranked, ScoresOf, Section, nothing_kept, sections
from lmbench.results.reading import read_record
from lmbench.results.record import Record, Row, file_part, find_records, keep_copy
from lmbench.results.scores import keep_scores
from lmbench.store.files import write_atomically

COLUMNS = (
    "dataset", "task", "metric", "part", "n_annotations", "kind", "class", "protocol", "rank", "rank_last", "method", "variant",
    "recipe", "supervision", "backbone", "feature_dim", "pretrain_on", "preset", "seeds", "seed", "value", "spread", "std",
    "draws", "images", "ci95_low", "ci95_high", "control", "control_value", "difference", "difference_low", "difference_high",
    "unit", "higher_is_better", "source", "version", "data", "note",
)  # fmt: skip
PUBLISHED_ALIKE = ("metric", "part", "n_annotations")
"""What published rows have in common that are ranked as one: a paper states no more of its protocol."""

Line = dict[str, Any]
"""A line of a board: the columns it has, by name."""


@dataclass
class Built:
    """What a build gave: the content of each CSV by name and of the page and the picture beside it, the records behind them,
    and what was left out with the reason."""

    files: dict[str, str] = field(default_factory=dict)
    boards: dict[tuple[str, str], str] = field(default_factory=dict)
    """The CSV of each dataset and task."""
    pages: dict[str, str] = field(default_factory=dict)
    records: dict[str, Record] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)


def build(runs: Path, out: Path, published: Sequence[Line] = (), scores: ScoresOf = nothing_kept) -> Built:
    """The leaderboards of all records below ``runs`` and of those kept in ``out/records``, and of published rows; writes nothing.

    ``scores``: what a record's numbers are the means of, for the intervals of differences. A damaged or foreign record is left
    out and named. Raises StaleError where one run stands in both with other values.
    """
    built = Built()
    built.records, built.left_out = counting_records([*kept_files(out), *find_records(runs)], out)
    found: dict[tuple[str, str], list[Section]] = {}
    for section in ranked_records(built.records.values(), scores):
        found.setdefault(section.scope.column[:2], []).append(section)
    printed: dict[tuple[str, str], list[Line]] = {}
    for line in published:
        printed.setdefault((line["dataset"], line["task"]), []).append(line)
    for board, name in _file_names(sorted({*found, *printed})).items():
        lines = [*measured_lines(found.get(board, ())), *published_lines(printed.get(board, ()))]
        built.boards[board] = f"{name}.csv"
        built.files[f"{name}.csv"] = render(sorted(lines, key=_in_order))
        if board in found:
            built.pages |= _pages(name, boards(found[board]))
    return built


def kept_files(out: Path) -> list[Path]:
    """The copies of records beside the leaderboards."""
    return sorted((out / "records").glob("*.json"))


def counting_records(paths: Iterable[Path], out: Path) -> tuple[dict[str, Record], list[str]]:
    """The records in some files whose numbers are results, by run, and why others are left out.

    Raises StaleError where one run stands there twice with other values.
    """
    records: dict[str, Record] = {}
    left_out = []
    for path in paths:
        try:
            record = read_record(path)
        except LmbenchError as error:
            left_out.append(str(error))
            continue
        if not _counts(record):
            continue
        known = records.setdefault(record.run.casefold(), record)
        if known.run != record.run:
            left_out.append(f"{path}: its run {record.run} differs from {known.run} in case alone.")
        elif _values(known) != _values(record):
            raise StaleError(
                f"{path}: the run {record.run} stands in {out / 'records'} with other values; remove one of the two."
            )
    return {record.run: record for record in records.values()}, left_out


def _counts(record: Record) -> bool:
    """Whether its numbers are results: a smoke run proves that code runs, nothing else."""
    return record.status == "ok" and record.preset != "smoke"


def ranked_records(records: Iterable[Record], scores: ScoresOf = nothing_kept) -> list[Section]:
    """The rows of records in their sections: one a method's output, over its seeds."""
    return sections(fold(records), scores)


def _pages(name: str, found: Sequence[Board]) -> dict[str, str]:
    """The page of a CSV, and its picture."""
    shown = with_parts(found)
    dataset, task, *_ = found[0].scope.column
    words = (
        f"Made by `lmbench leaderboard build` from the records beside it; all columns and parts stand in `{name}.csv`."
    )
    title = f"# {inside(without_folders(dataset))}: {inside(task)}"
    text = f"{title}\n\n{words}\n\n![Values with their intervals]({name}.svg)\n\n{as_markdown(shown)}"
    return {f"{name}.md": text, f"{name}.svg": forest(shown)}


def _file_names(boards: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """The file of each dataset and task; names that a file system could take for each other get a digest of their own."""
    plain = {board: f"{file_part(without_folders(board[0]))}_{file_part(board[1])}" for board in boards}
    counts = Counter(name.casefold() for name in plain.values())
    return {
        board: name if counts[name.casefold()] == 1 else f"{name}_{digest_of(board)[:8]}"
        for board, name in plain.items()
    }


def write(built: Built, out: Path) -> list[Path]:
    """Writes the files of a build and a copy of every record, so that each measured row's source is found beside it; returns the
    CSVs."""
    for name, content in {**built.files, **built.pages}.items():
        path = out / name
        if not path.is_file() or path.read_text(encoding="utf-8") != content:  # what is there is not synced again
            write_atomically(path, content)
    for record in built.records.values():
        keep_copy(record, out / "records")
    return [out / name for name in built.files]


def keep_all_scores(runs: Path, out: Path, plugins: Plugins) -> list[str]:
    """Keeps the scores of the runs below ``runs`` whose predictions are at hand; returns why those of others cannot be."""
    lost = []
    for path in find_records(runs):
        try:
            record = read_record(path)
        except LmbenchError:
            continue  # a build leaves it out and says so
        if _counts(record):
            try:
                keep_scores(out, path.parent, record, plugins)
            except LmbenchError as error:
                lost.append(f"scores of {record.run}: {error}")
    return lost


def stale_files(built: Built, out: Path) -> list[str]:
    """What in ``out`` differs from a build: one line a file."""
    complaints = []
    made = {**built.files, **built.pages}
    present = {path.name for kind in ("*.csv", "*.svg") for path in out.glob(kind)}
    for name, content in made.items():
        if not (out / name).is_file():
            complaints.append(f"{out / name} is missing")
        elif (out / name).read_text(encoding="utf-8") != content:
            complaints.append(f"{out / name} is not what its records and the published numbers give")
    return complaints + [f"{out / name} has no source" for name in sorted(present - set(made))]


def measured_lines(found: Iterable[Section]) -> list[Line]:
    """The lines of ranked rows."""
    return [_line(section, row) for section in found for row in section.rows]


def _line(section: Section, ranked: Ranked) -> Line:
    output = ranked.output
    record, row, scope = output.record, output.row, section.scope
    dataset, task, metric, part, n = scope.column
    control = ranked.control
    ours = sorted(record.run for record, _ in output.measured.values())
    low, high = interval_cells(ranked.interval)
    difference_low, difference_high = interval_cells(ranked.gain_interval)
    return {
        "dataset": without_folders(dataset),
        "task": task,
        "metric": metric,
        "part": part,
        "n_annotations": n,
        "kind": "measured",
        "class": section.kind,
        "protocol": scope.protocol,
        "rank": ranked.first,
        "rank_last": ranked.last,
        "method": record.method,
        "variant": record.variant,
        "recipe": output.recipe,
        "supervision": record.supervision,
        "backbone": "" if record.backbone == "none" else record.backbone,
        "feature_dim": record.feature_dim or "",
        "pretrain_on": without_folders(record.pretrain_on),
        "preset": record.preset,
        "seeds": len(output.seeds),
        "seed": " ".join(map(str, output.seeds)),
        "value": f"{output.value:.4f}",
        "spread": _number(output.spread),
        "std": _number(output.over_draws),
        "draws": row.draws or "",
        "images": "" if row.images is None else row.images,
        "ci95_low": low,
        "ci95_high": high,
        "control": f"{control.record.method}, {control.record.variant}" if control else "",
        "control_value": _number(ranked.beside),
        "difference": _number(ranked.gain),
        "difference_low": difference_low,
        "difference_high": difference_high,
        "unit": row.unit,
        "higher_is_better": _flag(row.higher_is_better),
        "source": " ".join(f"records/{run}.json" for run in ours),
        "version": " ".join(output.versions),
        "data": scope.data,
        "note": "; ".join([*remarks(ranked), *filter(None, [_note(row)])]),
    }


def remarks(ranked: Ranked) -> list[str]:
    """What a reader must know of a row before he believes it, in words."""
    output = ranked.output
    leaks = [
        found["images"] for record, _ in output.measured.values() if (found := record.data.test_images_pretrained_on)
    ]
    return [
        *([f"pretrained on {max(leaks)} of its test images"] if leaks else []),
        *(["one seed"] if len(output.seeds) == 1 else []),
        *([] if ranked.scored else ["ranked by its own interval, for its scores are not kept"]),
        *(
            ["its control by the record's own reference"]
            if ranked.beside is not None and ranked.control is None
            else []
        ),
        *output.replaced,
    ]


def interval_cells(interval: Sequence[float | None] | None) -> tuple[str, str]:
    """Both ends of an interval as cells, empty where there is none."""
    low, high = interval or (None, None)
    return ("", "") if low is None or high is None else (f"{low:.4f}", f"{high:.4f}")


def published_lines(rows: Iterable[Line]) -> list[Line]:
    """Published rows in order, each with its rank by the printed value alone; equal values share one."""
    groups: dict[tuple[str, ...], list[Line]] = {}
    for row in rows:
        groups.setdefault(tuple(str(row[k]) for k in PUBLISHED_ALIKE), []).append(row)
    result = []
    for group in groups.values():
        sign = -1 if group[0]["higher_is_better"] == "true" else 1
        group.sort(key=lambda r: (sign * float(r["value"]), r["method"], r["variant"], r["source"]))
        values = [float(r["value"]) for r in group]
        result += [{**row, "rank": 1 + values.index(float(row["value"]))} for row in group]
    return result


def _in_order(line: Line) -> tuple[Any, ...]:
    """By column, measured before published, the classes in their order; within these lines stay as they are."""
    n = line["n_annotations"]
    number = (2, 0) if n == "all" else (0, 0) if n == "" else (1, int(n))
    kinds = list(CLASSES)
    own = kinds.index(line["class"]) if line.get("class") else len(kinds)
    shared = (line.get("preset", ""), line.get("data", ""), line.get("protocol", ""))
    return line["metric"], line["part"], number, line["kind"], *shared, own


def render(rows: Sequence[Line]) -> str:
    """Rows as CSV text with the columns of ``COLUMNS``."""
    return csv_text(COLUMNS, rows)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


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
