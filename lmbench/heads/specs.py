"""The landmark heads of the core."""

from __future__ import annotations

from lmbench.specs import HeadSpec

HEADS = [
    HeadSpec(
        name="softargmax_linear",
        summary="50 virtual points per landmark by a 1x1 filter and a soft-argmax, then a linear map; as DVE and Cheng fit it",
        target="lmbench.heads.reference:SoftargmaxLinear",
        paper="Thewlis et al. 2019 (DVE); Cheng et al. 2021",
        year=2019,
        settings={"recipe": "cl_faces", "epochs": None, "batch_size": 32, "points": 50, "few_shot_epochs": None},
    ),
    HeadSpec(
        name="softargmax_conditioned",
        summary="the same head on standardised channels, with small weights and a lower multiplier: a twentieth of the steps",
        target="lmbench.heads.conditioned:SoftargmaxConditioned",
        paper="lmbench; see docs/protocol.md",
        year=2026,
        settings={
            "steps": 300,
            "batch_size": 32,
            "lr": 0.003,
            "multiplier": 10.0,
            "weight_decay": 0.0,
            "points": 50,
            "few_shot": 100,
            "few_shot_steps": 100,
            "few_shot_batch": 10,
            "few_shot_lr": 0.003,
            "few_shot_cells": 24,
        },
    ),
    HeadSpec(
        name="ols",
        summary="ordinary least squares from discovered landmarks to annotated ones",
        target="lmbench.heads.linear:LeastSquares",
        settings={"bias": False, "origin": "corner", "unit": "pixel128"},
        inputs="landmarks",
    ),
    HeadSpec(
        name="ridge",
        summary="ridge regression (sum of squares) from discovered landmarks to annotated ones",
        target="lmbench.heads.linear:Ridge",
        settings={"alpha": 0.1, "bias": False, "origin": "corner", "unit": "pixel128"},
        inputs="landmarks",
    ),
    HeadSpec(
        name="mean_shape",
        summary="the mean of the annotated landmarks, whatever the image: the floor of every comparison",
        target="lmbench.heads.linear:MeanShape",
        inputs="nothing",
    ),
]
