"""Which runs a table needs: cells that one run can serve are put together, and each other cell gets its reason."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from lmbench.campaigns.gaps import Gap
from lmbench.config.model import RunConfig, merge
from lmbench.config.resolving import resolve_run
from lmbench.config.setting_types import hints
from lmbench.data.places import default_data_root, prepared_folder
from lmbench.errors import DataError, LmbenchError, UsageError, did_you_mean
from lmbench.papers.published import Cell, tables
from lmbench.papers.rules import Rules
from lmbench.papers.targets import Target, target_of
from lmbench.plugins.loading import Plugins
from lmbench.plugins.registry import is_family
from lmbench.specs import PRESETS

Backbones = Literal["preset", "paper"]


@dataclass(frozen=True)
class Request:
    """How a table is to be reproduced. ``backbones``: the ``preset``'s own, or the ``paper``'s."""

    preset: str = "small"
    seed: int = 0
    dataset_map: Mapping[str, str] = field(default_factory=dict)
    backbones: Backbones = "preset"
    data_root: Path | None = None

    @property
    def paper_backbones(self) -> bool:
        return self.backbones == "paper" or self.preset == "paper"

    def dataset(self, name: str, plugins: Plugins) -> str:
        """What is taken for a dataset of the paper; what stands for CelebA stands for its selections too."""
        if name in self.dataset_map:
            return self.dataset_map[name]
        whole = next((e.spec.selection_of for e in plugins.registry("dataset") if e.spec.name == name), "")
        return self.dataset_map.get(whole, name)


@dataclass
class PlannedRun:
    """One run and the cells (by number) that it serves."""

    config: RunConfig
    targets: dict[int, Target]
    differs: dict[int, str] = field(default_factory=dict)
    """What each cell's run does otherwise than the paper."""
    absent: Gap | None = None
    """Data that is not here: the run cannot be done, but a record of it may be."""
    heads: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What the head of each task that has one says of itself, as a record has it."""


@dataclass
class TablePlan:
    """The cells of a table, the runs behind them, and for each cell without one the reason."""

    request: Request
    cells: list[Cell]
    runs: list[PlannedRun] = field(default_factory=list)
    waiting: list[PlannedRun] = field(default_factory=list)
    """Runs whose data is not here; their cells have gaps."""
    gaps: dict[int, Gap] = field(default_factory=dict)
    notes: dict[int, str] = field(default_factory=dict)


def parse_dataset_map(pairs: Sequence[str], plugins: Plugins) -> dict[str, str]:
    """``["aflw_m=aflw_split"]`` as a mapping; several pairs may stand in one text, with commas.

    Raises UsageError: no pair, a name that no table has on the left, or that no plugin brings on the right.
    """
    cells = [cell for table in tables(plugins).values() for cell in table]
    named = {name for cell in cells for name in (cell.dataset, cell.here("pretrain_dataset")) if name}
    known = sorted(named | {e.spec.name for e in plugins.registry("dataset") if e.spec.selection_of in named})
    found: dict[str, str] = {}
    for pair in (part.strip() for text in pairs for part in text.split(",")):
        printed, equals, ours = (part.strip() for part in pair.partition("="))
        if not equals or not printed or not ours:
            raise UsageError(f"--dataset-map {pair!r}: expected PAPERS=OURS, for instance aflw_m=aflw_split.")
        if printed not in known:
            raise UsageError(
                f"--dataset-map {pair!r}: no table has a dataset {printed!r}; they have {', '.join(known)}."
                f"{did_you_mean(printed, known)}"
            )
        try:
            plugins.find("dataset", ours)
        except UsageError as error:
            raise UsageError(f"--dataset-map {pair!r}: {error}") from None
        if found.setdefault(printed, ours) != ours:
            raise UsageError(f"--dataset-map: {printed} stands for {found[printed]} and for {ours}; give one of them.")
    return found


def plan_table(cells: Sequence[Cell], plugins: Plugins, request: Request) -> TablePlan:
    """The plan of a table, from names and folders alone: no data is opened. Raises UsageError for an unknown preset."""
    if request.preset not in PRESETS:
        raise UsageError(
            f"unknown preset {request.preset!r}; there are {', '.join(PRESETS)}.{did_you_mean(request.preset, PRESETS)}"
        )
    plan = TablePlan(request, list(cells))
    groups: dict[str, dict[int, Target]] = {}
    rules = Rules(plugins)
    for number, cell in enumerate(plan.cells):
        target = target_of(cell, rules)
        if isinstance(target, Target):
            plan.notes[number] = target.note
            target = lacking(target, plugins, request) or target
        if isinstance(target, Gap):
            plan.gaps[number] = target
            continue
        groups.setdefault(_group(target, request), {})[number] = target
    for targets in groups.values():
        try:
            config = resolve(list(targets.values()), plugins, request)
        except LmbenchError as error:
            plan.gaps |= dict.fromkeys(targets, Gap("missing", str(error)))
            continue
        plan.gaps |= (others := _of_another_backbone(targets, config))
        first = next(iter(targets.values()))
        gone = [absent(n, plugins, request) for n in (first.dataset, first.pretrain_on) if n]
        kept = {n: t for n, t in targets.items() if n not in others}
        plan.runs.append(PlannedRun(config, kept, absent=next(filter(None, gone), None)))
    for run in plan.runs:
        run.differs = {n: _differences(target, run.config, plugins, request) for n, target in run.targets.items()}
    return plan


def resolve(targets: Sequence[Target], plugins: Plugins, request: Request) -> RunConfig:
    """The configuration of the one run that measures all of some targets. Raises LmbenchError where there is none."""
    first = targets[0]
    tasks = tuple(dict.fromkeys(t.task for t in targets))
    wanted: dict[str, Any] = {"tasks": tasks, **{task: _numbers(task, targets, plugins) for task in tasks}}
    if request.paper_backbones and first.backbone:
        wanted["backbone"] = first.backbone
    return resolve_run(
        plugins,
        first.method,
        request.dataset(first.dataset, plugins),
        preset=request.preset,
        variant=first.variant,
        pretrain_on=request.dataset(first.pretrain_on, plugins),
        seed=request.seed,
        overrides=[wanted, _settings(first, request)],
    )


def _numbers(task: str, targets: Sequence[Target], plugins: Plugins) -> dict[str, Any]:
    """The settings of a task that say which numbers it makes: those of the targets, and none besides."""
    known = hints(plugins.find("task", task).spec.settings)
    annotations = sorted({t.n_annotations for t in targets if t.task == task}, key=_order)
    wanted = {"annotations": tuple(annotations), "layers_alone": ()}
    return {name: value for name, value in wanted.items() if name in known}


def lacking(target: Target, plugins: Plugins, request: Request) -> Gap | None:
    """What a target needs and no plugin brings: its task, a metric of it, its datasets. None where all is known."""
    if target.task not in plugins.registry("task").names():
        return Gap("missing", f"the task {target.task!r} is not installed")
    metrics = set(target.metrics) & set(plugins.registry("metric").names())
    if not metrics:
        return Gap("missing", f"the metric {' or '.join(target.metrics)} is not installed")
    for name in filter(None, (target.dataset, target.pretrain_on)):
        gap = unknown(name, plugins, request)
        if gap:
            return gap
    judged_by = plugins.find("dataset", request.dataset(target.dataset, plugins)).spec.metrics
    if target.task in _tasks_of(judged_by, plugins) and not metrics & set(judged_by):
        said = f"{request.dataset(target.dataset, plugins)} is judged by {', '.join(judged_by)}, not by {target.metrics[0]}"
        return Gap("missing", said)
    return None


def _tasks_of(metrics: Sequence[str], plugins: Plugins) -> set[str]:
    """The tasks of some metrics: a dataset's judge these."""
    return {e.spec.task for e in plugins.registry("metric") if e.spec.name in metrics}


def unknown(printed: str, plugins: Plugins, request: Request) -> Gap | None:
    """Why no dataset here is the paper's, or what stands for it; None where one is."""
    name = request.dataset(printed, plugins)
    try:
        plugins.find("dataset", name)
    except UsageError as error:
        known = any(e.spec.name == name for e in plugins.registry("dataset"))
        return Gap("missing", str(error) if known else f"no plugin brings the dataset {name!r}; {_way(printed)}")
    return None


def absent(printed: str, plugins: Plugins, request: Request) -> Gap | None:
    """Where the files of a known dataset were looked for and how to get them; None where its folder is there."""
    entry = plugins.find("dataset", request.dataset(printed, plugins))
    root, name = request.data_root or default_data_root(), entry.spec.name
    folder = root / entry.spec.folder
    if is_family(name) or not entry.spec.folder or folder.is_dir() or prepared_folder(entry, root).is_dir():
        return None
    source = entry.spec.source or "its authors"
    return Gap("missing", f"{name} is not at {folder}: get it from {source} and unpack it there; {_way(printed)}")


def _way(printed: str) -> str:
    return f"--dataset-map {printed}=NAME takes another"


def _group(target: Target, request: Request) -> str:
    """Equal for targets that one run can measure."""
    backbone = target.backbone if request.paper_backbones else ""
    names = (target.method, target.variant, backbone, target.dataset, target.pretrain_on)
    return json.dumps([*names, _settings(target, request)], sort_keys=True)


def _settings(target: Target, request: Request) -> dict[str, Any]:
    return merge(target.settings, target.paper_settings if request.preset == "paper" else {})


def _order(n: int | str | None) -> tuple[bool, int]:
    return (n == "all", 0 if n in ("all", None) else int(n))


def _of_another_backbone(targets: Mapping[int, Target], config: RunConfig) -> dict[int, Gap]:
    """The cells that the table compares with others of the run by backbone: one number may not stand for both."""
    printed = {t.backbone for t in targets.values() if t.backbone}
    if len(printed) < 2 or config.backbone not in printed:
        return {}
    said = f"preset {config.preset} has {config.backbone}; --backbones paper measures the paper's"
    return {n: Gap("scope", said) for n, t in targets.items() if t.backbone not in ("", config.backbone)}


def _differences(target: Target, config: RunConfig, plugins: Plugins, request: Request) -> str:
    """What is otherwise than in the paper, in words; empty where nothing is but chance and code."""
    told = []
    if config.dataset != target.dataset:
        told.append(f"measured on {config.dataset}, not {target.dataset}")
    if config.pretrain_on != target.pretrain_on:
        told.append(f"pretrained on {config.pretrain_on}, not {target.pretrain_on}")
    if target.backbone and config.backbone != target.backbone:
        told.append(f"{config.backbone}, not {target.backbone}")
    if target.differs:
        told.append(target.differs)
    if config.preset != "paper":
        told.append(
            "preset smoke: proof that code runs" if config.preset == "smoke" else f"preset {config.preset}, not paper"
        )
        try:
            paper = resolve([target], plugins, Request(preset="paper", dataset_map=request.dataset_map))
        except (UsageError, DataError):
            return "; ".join(told)
        told += _words_apart(config.settings_of(target.task), paper.settings_of(target.task))
    told += otherwise() if (otherwise := getattr(config.settings_of(target.task), "otherwise", None)) else []
    return "; ".join(told)


def _words_apart(ours: Any, papers: Any) -> list[str]:
    """Where a task is done in another way than in the paper: its settings that are words."""
    apart = {name: (getattr(ours, name), getattr(papers, name)) for name in hints(type(ours))}
    return [f"{name} {a}, not {b}" for name, (a, b) in apart.items() if isinstance(a, str) and a != b]
