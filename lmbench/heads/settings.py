"""The settings of the core's heads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from lmbench.config.ranges import Cells, Count, Ge, Le, Natural, NotNegative, Once, Positive, Rate

Points = Annotated[int, Ge(1), Le(1_000)]  # virtual points a landmark


@dataclass(frozen=True)
class SoftargmaxLinearSettings:
    """``recipe``: optimiser and schedule of a paper. ``epochs``, ``few_shot_epochs``: another stop than the recipe's."""

    recipe: Literal["dve_faces", "dve_few", "cl_faces", "cl_few", "cl_birds", "dve_birds", "cl_birds_few"] = "cl_faces"
    epochs: Annotated[int, Ge(1), Le(100_000)] | None = None
    batch_size: Count = 32  # images; DVE, Cheng et al. (reference code)
    points: Points = 50  # DVE model/keypoint_prediction.py; Cheng et al. 2021, sec. 4
    few_shot_epochs: Annotated[int, Ge(1), Le(100_000)] | None = None


@dataclass(frozen=True)
class SoftargmaxConditionedSettings:
    """Draws of at most ``few_shot`` images (0: none) take the settings of that name, on maps of ``few_shot_cells`` a side."""

    steps: Count = 300
    batch_size: Count = 32
    lr: Rate = 0.003
    multiplier: Positive = 10.0
    weight_decay: NotNegative = 0.0
    points: Points = 50  # as softargmax_linear
    few_shot: Natural = 100
    few_shot_steps: Count = 100
    few_shot_batch: Count = 10
    few_shot_lr: Rate = 0.003
    few_shot_cells: Cells = 24


@dataclass(frozen=True)
class ConvergedSettings:
    """``strengths``: of the ridge that holds refined filters at their templates, one after another while cross-validation gains,
    with so many ``steps`` each; none: templates alone. ``cells``: the largest side of the maps and of the grid that are read.
    """

    folds: Annotated[int, Ge(2), Le(20)] = 5
    strengths: Annotated[tuple[Positive, ...], Once()] = (
        0.03, 0.018, 0.011, 0.0065, 0.004, 0.0024, 0.0014, 0.0008, 0.0005, 0.0003, 0.0002, 0.0001,
    )  # fmt: skip
    steps: Count = 1
    cells: Cells = 24


@dataclass(frozen=True)
class LeastSquaresSettings:
    """``origin`` and ``unit`` of coordinates: without a bias both enter the result.

    Defaults: IMM's reference code, scripts/test.py, on pixels of a 128-pixel image with neither bias nor centring.
    """

    bias: bool = False
    origin: Literal["corner", "centre"] = "corner"
    unit: Literal["pixel128", "pm1", "unit"] = "pixel128"


@dataclass(frozen=True)
class RidgeSettings(LeastSquaresSettings):
    """``alpha``: the penalty, on the sum of squares in the unit."""

    alpha: NotNegative = 0.1  # Rahaman et al. 2021, sec. 4.1
