"""All of lmbench that a plugin may import; everything else may change without notice.

Heavy names (those that need torch) are handed out on first use, so that a plugin's hook module imports no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from lmbench.errors import DataError, LmbenchError, PluginError, StaleError, UsageError
from lmbench.hookspecs import hookimpl
from lmbench.specs import (
    API_VERSION,
    BackboneSpec,
    DatasetSpec,
    HeadSpec,
    MapSpec,
    MethodSpec,
    MetricSpec,
    ObjectiveSpec,
    Preprocessing,
    StageSpec,
    TaskSpec,
    VariantSpec,
)

if TYPE_CHECKING:
    from lmbench.backbones import build_backbone as build_backbone
    from lmbench.data.schema import landmark_dataset as landmark_dataset
    from lmbench.features import Extractor as Extractor
    from lmbench.features import FeatureMaps as FeatureMaps
    from lmbench.geometry.heatmaps import soft_argmax as soft_argmax
    from lmbench.heads.base import FittedHeads as FittedHeads
    from lmbench.heads.base import HeadInputs as HeadInputs
    from lmbench.heads.base import Subset as Subset
    from lmbench.metrics.base import MetricResult as MetricResult
    from lmbench.metrics.base import Predictions as Predictions
    from lmbench.tasks.base import TaskContext as TaskContext
    from lmbench.training.augment import ViewSettings as ViewSettings
    from lmbench.training.augment import draw_views as draw_views
    from lmbench.training.objective import Objective as Objective

LAZY = {
    "Extractor": "lmbench.features",
    "FeatureMaps": "lmbench.features",
    "FittedHeads": "lmbench.heads.base",
    "HeadInputs": "lmbench.heads.base",
    "MetricResult": "lmbench.metrics.base",
    "Objective": "lmbench.training.objective",
    "Predictions": "lmbench.metrics.base",
    "Subset": "lmbench.heads.base",
    "TaskContext": "lmbench.tasks.base",
    "ViewSettings": "lmbench.training.augment",
    "build_backbone": "lmbench.backbones",
    "draw_views": "lmbench.training.augment",
    "landmark_dataset": "lmbench.data.schema",
    "soft_argmax": "lmbench.geometry.heatmaps",
}

__all__ = [
    "API_VERSION",
    "BackboneSpec",
    "DataError",
    "DatasetSpec",
    "HeadSpec",
    "LmbenchError",
    "MapSpec",
    "MethodSpec",
    "MetricSpec",
    "ObjectiveSpec",
    "PluginError",
    "Preprocessing",
    "StageSpec",
    "StaleError",
    "TaskSpec",
    "UsageError",
    "VariantSpec",
    "hookimpl",
    *LAZY,
]


def __getattr__(name: str) -> Any:
    if name not in LAZY:
        raise AttributeError(f"lmbench.api has no {name!r}")
    value = getattr(importlib.import_module(LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
