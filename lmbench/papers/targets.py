"""From a printed number to the measurement that would stand beside it, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lmbench.campaigns.gaps import Gap
from lmbench.config.model import merge
from lmbench.errors import did_you_mean
from lmbench.papers.published import Cell
from lmbench.papers.rules import Rules
from lmbench.results.record import Record, Row
from lmbench.specs import Reading


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


def target_of(cell: Cell, rules: Rules) -> Target | Gap:
    """What is to be measured for a printed number. Looks at names alone: data may still be missing."""
    readings = cell.readings
    refused = next((reading.reason for reading in readings if reading.reason), "")
    if refused:
        return Gap("scope", refused)
    rule = rules.of(cell)
    if rule is None:
        return _nobodys(cell, rules)
    rows, spec = rule.rows, rule.entry.spec
    if rows.reason:
        return Gap("scope", rows.reason)
    wanted = rule.variant(cell)
    variant = spec.variant(wanted)
    if variant is None:
        hint = did_you_mean(wanted, [v.name for v in spec.variants])
        return Gap("scope", f"{spec.name} has no variant {wanted!r}.{hint} ({rule.place})")
    return Target(
        method=spec.name,
        variant=variant.name,
        backbone=rule.backbone(cell),
        pretrain_on=(rows.pretrain_on or cell.here("pretrain_dataset")) if variant.stages else "",
        dataset=rows.dataset or cell.dataset,
        task=cell["task"],
        n_annotations=cell.n_annotations,
        part=rows.part or cell.here("pairs") or cell.here("part") or None,
        metrics=rows.metrics or _metrics(cell, readings),
        settings=rows.settings,
        paper_settings=_paper_settings(readings),
        note="; ".join(filter(None, [*(r.note for r in readings), rows.note])),
        differs="; ".join(filter(None, [rows.differs, *(r.differs for r in readings)])),
    )


def is_ours(cell: Cell, rules: Rules) -> bool:
    """Whether a printed number is a measurement of a method that is known here."""
    if any(reading.reason for reading in cell.readings):
        return False
    return cell["method"] in cell.spec.brought_by or rules.of(cell) is not None


def metric_of(cell: Cell) -> str:
    """The metric of a printed number, in the names of this benchmark."""
    return next((r.metric for r in cell.readings if r.metric), cell.here("metric"))


def _nobodys(cell: Cell, rules: Rules) -> Gap:
    """Why no rule fits a printed number."""
    method, owner = cell["method"], cell.spec.brought_by.get(cell["method"])
    damage = rules.damage(cell)
    if damage:
        return Gap("missing", damage)
    if owner and rules.plugins.lacking([owner]):
        return Gap("missing", f"the method {method!r} is not installed: pip install {owner}")
    if owner:
        return Gap("scope", f"{owner} has no run for it")
    if cell["supervision"] == "supervised":
        return Gap("scope", "a supervised system: out of scope")
    return Gap("scope", f"no plugin brings the method {method!r}")


def _metrics(cell: Cell, readings: list[Reading]) -> tuple[str, ...]:
    return next((r.metrics for r in readings if r.metrics), (metric_of(cell),))


def _paper_settings(readings: list[Reading]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for reading in readings:
        found = merge(found, reading.paper_settings)
    return found
