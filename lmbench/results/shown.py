"""A record as `lmbench run` shows it: its numbers beside what they are to be read beside, and what its stages took."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import TypedDict

from lmbench.printable import counted, plain_table, printable, without_folders
from lmbench.results.outputs import fold
from lmbench.results.record import Key, Record, Row


class OverSeeds(TypedDict):
    """A number of an output over several runs as JSON: its mean and ``spread`` over ``seeds``."""

    method: str
    variant: str
    dataset: str
    pretrain_on: str
    preset: str
    task: str
    subset: str | None
    n_annotations: int | str | None
    draws: int | None
    metric: str
    value: float
    spread: float | None
    unit: str
    higher_is_better: bool
    seeds: list[int]
    runs: list[str]


def heading(record: Record) -> str:
    """What was run, in a line."""
    pretrained = f", pretrained on {without_folders(record.pretrain_on)}" if record.pretrain_on else ""
    settings = f"(preset {record.preset}, seed {record.seed})"
    return f"{record.method} / {record.variant} on {without_folders(record.dataset)}{pretrained} {settings}"


def table(record: Record) -> tuple[list[str], list[list[str]]]:
    """(columns, rows) of its numbers; each reference has a column of its own."""
    beside: dict[str, dict[Key, str]] = {}
    for found in record.references:
        beside.setdefault(found.reference.replace("_", " "), {})[found.key] = f"{found.value:.2f}"
    columns = ["task", "part", "annotations", "metric", "value", "unit", "95 % over images", *beside]
    return columns, [[*_cells(row), *(values.get(row.key, "") for values in beside.values())] for row in record.rows]


def remarks(record: Record) -> list[str]:
    """What stands below its numbers, in lines: where a head did no better than the mean shape, and what each stage took."""
    return [*_mean_shapes(record), *_stages(record)]


def _mean_shapes(record: Record) -> list[str]:
    """Numbers of which every draw is the mean shape: equal ones of different methods are no accident then."""
    found: dict[str, dict[str, None]] = {}
    for row in record.rows:
        said = row.settings.get("fitted")
        if isinstance(said, list) and said and all(str(one).startswith("mean shape") for one in said):
            found.setdefault(" ".join(filter(None, (row.task, row.subset))), {})[str(row.n_annotations)] = None
    return [
        f"{name}, n = {', '.join(of)}: the head found nothing better than the mean shape, and predicts it"
        for name, of in found.items()
    ]


def _stages(record: Record) -> list[str]:
    """A line for each stage: what it took, or that it was there."""
    lines = []
    for stage in record.stages:
        took = "reused" if stage.reused else f"trained in {stage.seconds:.0f} s"
        amount = [] if stage.steps is None else [counted(stage.steps, "step")]
        amount += [] if stage.views is None else [f"{stage.views:,} image views"]
        steps = f" ({', '.join(amount)})" if amount else ""
        lines.append(f"stage {stage.name}: {took}{steps}")
    return lines


def over_seeds(records: Iterable[Record]) -> list[OverSeeds]:
    """The numbers of several runs, one for each of an output; by dataset, task and number of annotations, and within these the
    best first."""
    return [
        {
            "method": output.record.method,
            "variant": output.record.variant,
            "dataset": output.record.dataset,
            "pretrain_on": output.record.pretrain_on,
            "preset": output.record.preset,
            "task": output.row.task,
            "subset": output.row.subset,
            "n_annotations": output.row.n_annotations,
            "draws": output.row.draws,
            "metric": output.row.metric,
            "value": output.value,
            "spread": output.spread,
            "unit": output.row.unit,
            "higher_is_better": output.row.higher_is_better,
            "seeds": list(output.seeds),
            "runs": [record.run for record, _ in output.measured.values()],
        }
        for output in fold(records)
    ]


def table_over_seeds(results: Sequence[OverSeeds]) -> tuple[list[str], list[list[str]]]:
    """(columns, rows) of `over_seeds`."""
    columns = [
        "method", "output", "dataset", "task", "part", "annotations", "metric", "mean", "spread", "unit", "seeds",
    ]  # fmt: skip
    rows = [
        [
            r["method"], r["variant"], without_folders(r["dataset"]), r["task"], r["subset"] or "",
            _annotated(r["n_annotations"], r["draws"]), _metric(r["metric"], r["higher_is_better"]),
            f"{r['value']:.2f}", "" if r["spread"] is None else f"{r['spread']:.2f}", r["unit"], " ".join(map(str, r["seeds"])),
        ]
        for r in results
    ]  # fmt: skip
    return columns, rows


def as_text(record: Record) -> str:
    """All of it, as it is shown where there is no terminal."""
    columns, rows = table(record)
    lines = [[name.upper() for name in columns], *([printable(cell) for cell in row] for row in rows)]
    return "\n".join([printable(heading(record)), plain_table(lines), *map(printable, remarks(record))])


OVERLAY = "overlay.png"
LARGEST_PICTURE = 4 << 20  # bytes of a picture that is shown in a notebook: they are kept in its file


def as_html(record: Record, folder: Path) -> str:
    """A run for a notebook: its numbers, and the picture of its predictions where it lies in its folder."""
    columns, rows = table(record)
    lines = "".join(f"<div>{_html(line)}</div>" for line in remarks(record))
    return (
        f"<div><strong>{_html(heading(record))}</strong></div><table><thead>{_html_row('th', columns)}</thead>"
        f"<tbody>{''.join(_html_row('td', row) for row in rows)}</tbody></table>{lines}{_picture(folder / OVERLAY)}"
    )


def _html_row(kind: str, cells: Sequence[str]) -> str:
    return f"<tr>{''.join(f'<{kind} style=text-align:left>{_html(cell)}</{kind}>' for cell in cells)}</tr>"


def _html(text: str) -> str:
    return escape(printable(text))


def _picture(path: Path) -> str:
    try:
        content = path.read_bytes() if path.stat().st_size <= LARGEST_PICTURE else b""
    except OSError:
        return ""
    if not content.startswith(b"\x89PNG"):
        return ""
    said = "Test images from the best to the worst predicted: rings where landmarks are annotated, dots where they are predicted"
    data = base64.b64encode(content).decode()
    return f'<img alt="{said}" title="{said}" style="max-width:100%" src="data:image/png;base64,{data}">'


def annotations_of(row: Row) -> str:
    """How many annotated images a number took, and how many choices of them."""
    return _annotated(row.n_annotations, row.draws)


def _annotated(n: int | str | None, draws: int | None) -> str:
    return "" if n is None else str(n) + (f" x {counted(draws, 'draw')}" if draws else "")


def _metric(name: str, higher_is_better: bool) -> str:
    return f"{name} {'↑' if higher_is_better else '↓'}"


def _cells(row: Row) -> list[str]:
    spread = f" ± {row.std:.2f}" if row.std is not None else ""
    interval = "-" if row.ci95 is None else f"{row.ci95[0]:.2f} .. {row.ci95[1]:.2f}"
    metric = _metric(row.metric, row.higher_is_better)
    return [
        row.task, row.subset or "", annotations_of(row), metric, f"{row.value:.2f}{spread}", row.unit, interval,
    ]  # fmt: skip
