"""From a printed number to the measurement that would stand beside it, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal

from lmbench.config.model import merge
from lmbench.papers.mapping import CORE, PAPER_SETTINGS
from lmbench.papers.published import Cell
from lmbench.plugins.loading import Plugins
from lmbench.plugins.registry import Entry
from lmbench.results.record import Record, Row
from lmbench.specs import MethodSpec, PublishedRows

METRIC_NAMES = {"matching_error_px": "matching_error", "matching_error_iod": "matching_error"}
OWNERS = {"lead": "lead", "contrastlandmarks": "contrastlandmarks", "dve": "dve", "dense3d": "dve", "sparse": "sparse",
          "twostep": "twostep", "end_to_end": "twostep", "imm": "imm"}  # fmt: skip


@dataclass(frozen=True)
class Gap:
    """Why a printed number has no measured one.

    ``scope``: nothing is to be done about it here. ``missing``: data, a plugin or a metric is. ``failed``: the run broke off.
    """

    kind: Literal["scope", "missing", "failed"]
    reason: str


@dataclass(frozen=True)
class Target:
    """The measurement that a printed number stands for, in the names of this benchmark.

    ``backbone`` is the paper's, empty where the variant decides. ``metrics``: the first that a record has counts.
    """

    method: str
    variant: str
    backbone: str
    pretrain_on: str
    dataset: str
    task: str
    n_annotations: int | str | None
    part: str | None
    metrics: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    paper_settings: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    differs: str = ""

    def find(self, record: Record) -> Row | None:
        """The entry of a record that measured this, or None."""
        keys = ((self.task, metric, self.part, self.n_annotations) for metric in self.metrics)
        return next((row for key in keys if (row := record.find(key)) is not None), None)


def target_of(cell: Cell, plugins: Plugins) -> Target | Gap:
    """What is to be measured for a printed number. Looks at names alone: data may still be missing."""
    if cell["task"] == "cost":
        return Gap("scope", "a cost (parameters, FLOPs), no measurement of landmarks")
    if cell.is_claim:
        return Gap("scope", "a claim of the text, worked out from other numbers")
    method, rows = _rule(cell, plugins)
    if rows is None:
        if cell["supervision"] == "supervised":
            return Gap("scope", "a supervised system: out of scope")
        return Gap("scope", f"no plugin brings the method {cell['method']!r}")
    if rows.reason:
        return Gap("scope", rows.reason)
    spec = _method(method, plugins)
    if spec is None:
        return Gap(
            "missing", f"the method {method!r} is not installed: pip install lmbench-{OWNERS.get(method, 'baselines')}"
        )
    variant = spec.variant(_fill(rows.variant, cell))
    if variant is None:
        return Gap("scope", f"{method} has no variant {_fill(rows.variant, cell)!r}")
    printed = cell["pairs"] or cell["part"]
    return Target(
        method=method,
        variant=variant.name,
        backbone=_fill(rows.backbone, cell),
        pretrain_on=(rows.pretrain_on or cell["pretrain_dataset"]) if variant.stages else "",
        dataset=rows.dataset or cell.dataset,
        task=cell["task"],
        n_annotations=cell.n_annotations,
        part=rows.part or (printed if printed and printed != "avg" else None),
        metrics=rows.metrics or (METRIC_NAMES.get(cell["metric"], cell["metric"]),),
        settings=rows.settings,
        paper_settings=_paper_settings(cell),
        note=rows.note,
        differs=rows.differs,
    )


def is_ours(cell: Cell, plugins: Plugins) -> bool:
    """Whether a printed number is a measurement of a method that is known here."""
    return cell["task"] != "cost" and not cell.is_claim and _rule(cell, plugins)[1] is not None


def _rule(cell: Cell, plugins: Plugins) -> tuple[str, PublishedRows | None]:
    return next(((method, rows) for method, rows in _rules(plugins) if _fits(cell, rows.where)), ("", None))


def _rules(plugins: Plugins) -> Iterator[tuple[str, PublishedRows]]:
    """The rules of the methods' own distributions first: nobody else's rule takes their rows."""
    for entry in _own_first(plugins):
        yield from ((entry.spec.name, rows) for rows in entry.spec.published)
    for method, entries in CORE:
        yield from ((method, rows) for rows in entries)


def _fits(cell: Cell, where: Mapping[str, tuple[str, ...]]) -> bool:
    return all(any(fnmatchcase(_value(cell, c), pattern) for pattern in accepted) for c, accepted in where.items())


def _value(cell: Cell, column: str) -> str:
    return cell.dataset if column == "dataset" else cell.row.get(column, "")


def _fill(text: str, cell: Cell) -> str:
    """``text`` with ``{column}`` filled in from the row."""
    return text.format_map(dict(cell.row))


def _method(name: str, plugins: Plugins) -> MethodSpec | None:
    return next((entry.spec for entry in _own_first(plugins) if entry.spec.name == name), None)


def _own_first(plugins: Plugins) -> list[Entry[MethodSpec]]:
    ours = {f"lmbench-{owner}" for owner in OWNERS.values()}
    return sorted(plugins.registry("method"), key=lambda entry: entry.owner not in ours)


def _paper_settings(cell: Cell) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for where, settings in PAPER_SETTINGS:
        if _fits(cell, where):
            found = merge(found, settings)
    return found
