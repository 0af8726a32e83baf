"""The core's own parts, registered through the same hooks as anybody's."""

from __future__ import annotations

from lmbench.backbones.specs import BACKBONES
from lmbench.datasets import find_datasets
from lmbench.heads.specs import HEADS
from lmbench.metrics.specs import METRICS
from lmbench.plugins.hooks import hookimpl
from lmbench.specs import BackboneSpec, DatasetSpec, HeadSpec, MetricSpec, TaskSpec
from lmbench.tasks.specs import TASKS

LMBENCH_API = 2


@hookimpl
def lmbench_backbones() -> list[BackboneSpec]:
    return BACKBONES


@hookimpl
def lmbench_heads() -> list[HeadSpec]:
    return HEADS


@hookimpl
def lmbench_datasets() -> list[DatasetSpec]:
    return find_datasets()


@hookimpl
def lmbench_metrics() -> list[MetricSpec]:
    return METRICS


@hookimpl
def lmbench_tasks() -> list[TaskSpec]:
    return TASKS
