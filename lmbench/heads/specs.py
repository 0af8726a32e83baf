"""The landmark heads of the core."""

from __future__ import annotations

from lmbench.heads.settings import (
    ConvergedSettings,
    LeastSquaresSettings,
    RidgeSettings,
    SoftargmaxConditionedSettings,
    SoftargmaxLinearSettings,
)
from lmbench.specs import HeadSpec

MEAN_SHAPE = "mean_shape"  # the head, and the floor of what heads are judged by

HEADS = [
    HeadSpec(
        name="converged",
        summary="whitened features, nine template filters a landmark, refined and read out as cross-validation says",
        target="lmbench.heads.converged:Converged",
        paper="lmbench; see docs/head.md",
        year=2026,
        settings=ConvergedSettings,
        presets={"smoke": {"strengths": [0.01]}},
    ),
    HeadSpec(
        name="softargmax_linear",
        summary="50 virtual points per landmark by a 1x1 filter and a soft-argmax, then a linear map; as DVE and Cheng fit it",
        target="lmbench.heads.reference:SoftargmaxLinear",
        paper="Thewlis et al. 2019 (DVE); Cheng et al. 2021",
        year=2019,
        settings=SoftargmaxLinearSettings,
        presets={"smoke": {"epochs": 1, "few_shot_epochs": 1}},
    ),
    HeadSpec(
        name="softargmax_conditioned",
        summary="the same head on standardised channels, with small weights and a lower multiplier: a twentieth of the steps",
        target="lmbench.heads.conditioned:SoftargmaxConditioned",
        paper="lmbench; see docs/protocol.md",
        year=2026,
        settings=SoftargmaxConditionedSettings,
        presets={
            "smoke": {"steps": 8, "few_shot_steps": 8},
            "quick": {"steps": 300, "lr": 0.02},  # fewer left synthfaces near its mean shape
        },
    ),
    HeadSpec(
        name="ols",
        summary="ordinary least squares from discovered landmarks to annotated ones",
        target="lmbench.heads.linear:Linear",
        settings=LeastSquaresSettings,
        inputs="landmarks",
    ),
    HeadSpec(
        name="ridge",
        summary="ridge regression (sum of squares) from discovered landmarks to annotated ones",
        target="lmbench.heads.linear:Linear",
        settings=RidgeSettings,
        inputs="landmarks",
    ),
    HeadSpec(
        name=MEAN_SHAPE,
        summary="the mean of the annotated landmarks, whatever the image: the floor of every comparison",
        target="lmbench.heads.linear:MeanShape",
        inputs="nothing",
    ),
]
