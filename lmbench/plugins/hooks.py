"""Every hook of lmbench with its contract. A plugin implements the ones it needs with ``lmbench.api.hookimpl``.

No hook sits in the numeric path: component hooks only hand over specs, observers may look and not touch. So no result
depends on which plugins are installed or in which order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    import click

    from lmbench.config.model import RunConfig
    from lmbench.results.record import Record
    from lmbench.specs import (
        BackboneSpec,
        DatasetSpec,
        HeadSpec,
        MethodSpec,
        MetricSpec,
        ObjectiveSpec,
        PaperSpec,
        TaskSpec,
    )

PROJECT = "lmbench"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def lmbench_backbones() -> Sequence[BackboneSpec]:  # type: ignore[empty-body]
    """The backbones this plugin brings."""


@hookspec
def lmbench_objectives() -> Sequence[ObjectiveSpec]:  # type: ignore[empty-body]
    """The pretraining objectives this plugin brings."""


@hookspec
def lmbench_heads() -> Sequence[HeadSpec]:  # type: ignore[empty-body]
    """The landmark heads this plugin brings."""


@hookspec
def lmbench_datasets() -> Sequence[DatasetSpec]:  # type: ignore[empty-body]
    """The datasets this plugin brings."""


@hookspec
def lmbench_metrics() -> Sequence[MetricSpec]:  # type: ignore[empty-body]
    """The metrics this plugin brings."""


@hookspec
def lmbench_tasks() -> Sequence[TaskSpec]:  # type: ignore[empty-body]
    """The evaluations this plugin brings."""


@hookspec
def lmbench_methods() -> Sequence[MethodSpec]:  # type: ignore[empty-body]
    """The methods this plugin brings."""


@hookspec
def lmbench_papers() -> Sequence[PaperSpec]:  # type: ignore[empty-body]
    """The papers whose printed numbers this plugin brings."""


@hookspec
def lmbench_run_started(run: RunConfig) -> None:
    """Called once a run's configuration is resolved and before anything is computed."""


@hookspec
def lmbench_stage_finished(run: RunConfig, stage: dict[str, Any]) -> None:
    """Called when a stage's artifact is there, trained now or reused; ``stage`` is its entry in the record."""


@hookspec
def lmbench_run_finished(run: RunConfig, record: Record) -> None:
    """Called with the finished record, before it is written. What an observer raises is logged into the record."""


@hookspec
def lmbench_commands(cli: click.Group) -> None:
    """Adds verbs to the command line: ``cli.add_command(...)``. A name that exists is refused."""
