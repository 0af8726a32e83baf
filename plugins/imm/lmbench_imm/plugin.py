"""IMM (Jakab et al., NeurIPS 2018): landmarks through conditional image generation."""

from __future__ import annotations

from lmbench.api import BackboneSpec, MapSpec, MethodSpec, ObjectiveSpec, Window, hookimpl
from lmbench_imm.recipe import IMM, PAPER
from lmbench_imm.settings import DetectorSettings, IMMSettings

LMBENCH_API = 2


@hookimpl
def lmbench_methods() -> list[MethodSpec]:
    return [IMM]


@hookimpl
def lmbench_objectives() -> list[ObjectiveSpec]:
    return [
        ObjectiveSpec(
            name="imm",
            summary="render a warped image from another warp's appearance and its own landmarks",
            target="lmbench_imm.imm:IMM",
            paper=PAPER,
            year=2018,
            settings=IMMSettings,
            needs_maps=("features", "heatmaps"),
            views=2,
            cuts=Window(),
        )
    ]


@hookimpl
def lmbench_backbones() -> list[BackboneSpec]:
    return [
        BackboneSpec(
            name="imm_detector",
            summary="IMM's pose encoder: eight filters to 1/8 of the image, a map for each landmark, factorised soft-argmax",
            target="lmbench_imm.detector:Detector",
            paper=PAPER,
            year=2018,
            settings=DetectorSettings,
            maps=(MapSpec("features", "channels", "stride"), MapSpec("heatmaps", "landmarks", "stride")),
            min_size=16,
            resizes_to="side",
        )
    ]
