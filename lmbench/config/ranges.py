"""Types of settings: what a value may be, said beside its default, so that a wrong one is refused before anything is trained.

Plain annotations, without torch and pydantic: `lmbench list` reads them. Any other range is written out,
``Annotated[float, Ge(0), Lt(0.5)]``; a choice is a ``Literal``. The upper bounds are far above what anybody trains: they
keep a slip of the keyboard from filling the memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt, MinLen, MultipleOf


@dataclass(frozen=True)
class MapOf:
    """Marks a setting that names maps of a backbone: of the stage's own, or of the one that another setting names."""

    setting: str = ""


@dataclass(frozen=True)
class BackboneName:
    """Marks a setting that names a backbone, with the setting that holds this backbone's own settings."""

    settings: str = ""


@dataclass(frozen=True)
class HeadName:
    """Marks a setting that names a landmark head, with the setting that holds this head's own settings."""

    settings: str = "head_settings"


@dataclass(frozen=True)
class Table:
    """Marks a setting that holds the settings of another component: a table where it is written, their object in a run."""


@dataclass(frozen=True)
class AnnotatedImages:
    """Marks a setting that says how many training images are annotated: never more than there are."""


@dataclass(frozen=True)
class Once:
    """Marks a list that names nothing twice."""


@dataclass(frozen=True)
class Ascending:
    """Marks a list whose values rise."""


@dataclass(frozen=True)
class WeightsFile:
    """Marks a setting that names a file of weights, or is one of ``words``."""

    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class OthersWeights:
    """Marks a setting that says whether a network has the weights that its authors trained."""


Count = Annotated[int, Ge(1), Le(10_000_000)]
Natural = Annotated[int, Ge(0), Le(10_000_000)]
Channels = Annotated[int, Ge(1), Le(65_536)]
Landmarks = Annotated[int, Ge(1), Le(1_000)]
Side = Annotated[int, Ge(8), Le(4_096)]  # pixels
SideOrZero = Annotated[int, Ge(0), Le(4_096)]  # pixels; 0: as they come
Cells = Annotated[int, Ge(2), Le(1_024)]  # side of a grid
Positive = Annotated[float, Gt(0), Le(1_000_000)]
NotNegative = Annotated[float, Ge(0), Le(1_000_000)]
Rate = Annotated[float, Gt(0), Le(1_000)]  # a learning rate
Probability = Annotated[float, Ge(0), Le(1)]
Fraction = Annotated[float, Gt(0), Le(1)]
Degrees = Annotated[float, Ge(0), Le(360)]
Name = Annotated[str, MinLen(1)]
MapName = Annotated[str, MinLen(1), MapOf()]
Names = Annotated[tuple[Name, ...], Once()]
ComponentSettings = Annotated[Any, Table()]
Momentum = Annotated[float, Ge(0), Lt(1)]
Batch = Annotated[int, Ge(1), Le(65_536)]
Draws = Annotated[int, Ge(1), Le(10_000)]  # random choices of each number of annotated images
Annotations = Annotated[tuple[Count | Literal["all"], ...], MinLen(1), Once(), AnnotatedImages()]
Weights = Annotated[str, MinLen(1), WeightsFile()] | None
ImageNetWeights = Annotated[str, MinLen(1), WeightsFile(("imagenet",))] | None
Pretrained = Annotated[bool, OthersWeights()]

__all__ = [
    "AnnotatedImages",
    "Annotations",
    "Ascending",
    "BackboneName",
    "Batch",
    "Cells",
    "Channels",
    "ComponentSettings",
    "Count",
    "Degrees",
    "Draws",
    "Fraction",
    "Ge",
    "Gt",
    "HeadName",
    "ImageNetWeights",
    "Landmarks",
    "Le",
    "Lt",
    "MapName",
    "MapOf",
    "MinLen",
    "Momentum",
    "MultipleOf",
    "Name",
    "Names",
    "Natural",
    "NotNegative",
    "Once",
    "OthersWeights",
    "Positive",
    "Pretrained",
    "Probability",
    "Rate",
    "Side",
    "SideOrZero",
    "Table",
    "Weights",
    "WeightsFile",
]
