"""All of lmbench that a plugin may import; everything else may change without notice.

Heavy names (those that need torch) are handed out on first use, so that a plugin's hook module imports no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from lmbench import progress
from lmbench.config.model import Optimiser, Stage, Training
from lmbench.config.ranges import (
    AnnotatedImages,
    Annotations,
    Ascending,
    BackboneName,
    Batch,
    Cells,
    Channels,
    ComponentSettings,
    Count,
    Degrees,
    Draws,
    Fraction,
    Ge,
    Gt,
    HeadName,
    ImageNetWeights,
    Landmarks,
    Le,
    Lt,
    MapName,
    MapOf,
    MinLen,
    Momentum,
    MultipleOf,
    Name,
    Names,
    Natural,
    NotNegative,
    Once,
    Positive,
    Pretrained,
    Probability,
    Rate,
    Side,
    SideOrZero,
    Weights,
    WeightsFile,
)
from lmbench.errors import DataError, LmbenchError, PluginError, StaleError, UsageError
from lmbench.geometry.framing import Framing, Preprocessing
from lmbench.geometry.strength import TRAIN_PAIR, TPSStrength
from lmbench.plugins.hooks import hookimpl
from lmbench.specs import (
    API_VERSION,
    BackboneSpec,
    DatasetSpec,
    HeadSpec,
    MapSpec,
    MethodSpec,
    MetricSpec,
    NoSettings,
    ObjectiveSpec,
    PaperSpec,
    PublishedRows,
    Reading,
    Surroundings,
    TaskSpec,
    VariantSpec,
)
from lmbench.training.cuts import Crops, Cuts, Margin, Shown, Window
from lmbench.training.views import Colours, ViewSettings

if TYPE_CHECKING:
    from lmbench.backbones import build_backbone as build_backbone
    from lmbench.backbones import channels_of as channels_of
    from lmbench.backbones.checkpoints import load_state as load_state
    from lmbench.backbones.checkpoints import read_state as read_state
    from lmbench.backbones.resnet import InputNorm as InputNorm
    from lmbench.data.schema import landmark_dataset as landmark_dataset
    from lmbench.features import Extractor as Extractor
    from lmbench.features import FeatureMaps as FeatureMaps
    from lmbench.geometry.coordinates import denormalise_points as denormalise_points
    from lmbench.geometry.coordinates import normalise_points as normalise_points
    from lmbench.geometry.coordinates import pixel_grid as pixel_grid
    from lmbench.geometry.elastic import elastic_grid as elastic_grid
    from lmbench.geometry.heatmaps import argmax_points as argmax_points
    from lmbench.geometry.heatmaps import soft_argmax as soft_argmax
    from lmbench.geometry.warps import WarpedPairs as WarpedPairs
    from lmbench.geometry.warps import affine_matrices as affine_matrices
    from lmbench.geometry.warps import affine_points as affine_points
    from lmbench.geometry.warps import draw_tps_weights as draw_tps_weights
    from lmbench.geometry.warps import tps_grid as tps_grid
    from lmbench.geometry.warps import warp_images as warp_images
    from lmbench.geometry.warps import warp_pair_weights as warp_pair_weights
    from lmbench.geometry.warps import warp_pairs as warp_pairs
    from lmbench.geometry.warps import warp_points as warp_points
    from lmbench.heads.base import FittedHeads as FittedHeads
    from lmbench.heads.base import HeadInputs as HeadInputs
    from lmbench.heads.base import Subset as Subset
    from lmbench.metrics.base import MetricResult as MetricResult
    from lmbench.metrics.base import Predictions as Predictions
    from lmbench.metrics.pixels import Confusions as Confusions
    from lmbench.metrics.stored import StoredResult as StoredResult
    from lmbench.precision import float32 as float32
    from lmbench.results.record import Record as Record
    from lmbench.results.record import Row as Row
    from lmbench.tasks.base import TaskContext as TaskContext
    from lmbench.training.augment import draw_views as draw_views
    from lmbench.training.objective import Objective as Objective
    from lmbench.training.views import ViewSettings as ViewSettings

LAZY = {
    "Confusions": "lmbench.metrics.pixels",
    "Extractor": "lmbench.features",
    "FeatureMaps": "lmbench.features",
    "FittedHeads": "lmbench.heads.base",
    "HeadInputs": "lmbench.heads.base",
    "InputNorm": "lmbench.backbones.resnet",
    "MetricResult": "lmbench.metrics.base",
    "Objective": "lmbench.training.objective",
    "Predictions": "lmbench.metrics.base",
    "Record": "lmbench.results.record",
    "Row": "lmbench.results.record",
    "StoredResult": "lmbench.metrics.stored",
    "Subset": "lmbench.heads.base",
    "TaskContext": "lmbench.tasks.base",
    "WarpedPairs": "lmbench.geometry.warps",
    "affine_matrices": "lmbench.geometry.warps",
    "affine_points": "lmbench.geometry.warps",
    "argmax_points": "lmbench.geometry.heatmaps",
    "build_backbone": "lmbench.backbones",
    "channels_of": "lmbench.backbones",
    "denormalise_points": "lmbench.geometry.coordinates",
    "draw_tps_weights": "lmbench.geometry.warps",
    "draw_views": "lmbench.training.augment",
    "elastic_grid": "lmbench.geometry.elastic",
    "float32": "lmbench.precision",
    "landmark_dataset": "lmbench.data.schema",
    "load_state": "lmbench.backbones.checkpoints",
    "normalise_points": "lmbench.geometry.coordinates",
    "pixel_grid": "lmbench.geometry.coordinates",
    "read_state": "lmbench.backbones.checkpoints",
    "soft_argmax": "lmbench.geometry.heatmaps",
    "tps_grid": "lmbench.geometry.warps",
    "warp_images": "lmbench.geometry.warps",
    "warp_pair_weights": "lmbench.geometry.warps",
    "warp_pairs": "lmbench.geometry.warps",
    "warp_points": "lmbench.geometry.warps",
}

__all__ = [
    "API_VERSION",
    "AnnotatedImages",
    "Annotations",
    "Ascending",
    "BackboneName",
    "BackboneSpec",
    "Batch",
    "Cells",
    "Channels",
    "Colours",
    "ComponentSettings",
    "Count",
    "Crops",
    "Cuts",
    "DataError",
    "DatasetSpec",
    "Degrees",
    "Draws",
    "Fraction",
    "Framing",
    "Ge",
    "Gt",
    "HeadName",
    "HeadSpec",
    "ImageNetWeights",
    "Landmarks",
    "Le",
    "LmbenchError",
    "Lt",
    "MapName",
    "MapOf",
    "MapSpec",
    "Margin",
    "MethodSpec",
    "MetricSpec",
    "MinLen",
    "Momentum",
    "MultipleOf",
    "Name",
    "Names",
    "Natural",
    "NoSettings",
    "NotNegative",
    "ObjectiveSpec",
    "Once",
    "Optimiser",
    "PaperSpec",
    "PluginError",
    "Positive",
    "Preprocessing",
    "Pretrained",
    "Probability",
    "PublishedRows",
    "Rate",
    "Reading",
    "Shown",
    "Side",
    "SideOrZero",
    "Stage",
    "StaleError",
    "Surroundings",
    "TPSStrength",
    "TRAIN_PAIR",
    "TaskSpec",
    "Training",
    "UsageError",
    "VariantSpec",
    "ViewSettings",
    "Weights",
    "WeightsFile",
    "Window",
    "hookimpl",
    "progress",
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
