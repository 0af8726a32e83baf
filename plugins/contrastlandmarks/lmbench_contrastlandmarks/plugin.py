"""The method of ContrastLandmarks, its three objectives, and its compact hypercolumns."""

from __future__ import annotations

from lmbench.api import BackboneSpec, Crops, MapSpec, MethodSpec, ObjectiveSpec, hookimpl
from lmbench_contrastlandmarks.recipe import CONTRASTLANDMARKS
from lmbench_contrastlandmarks.settings import (
    CLProjectionSettings,
    FactorisedSettings,
    MoCoSettings,
    NMFSettings,
    ProjectedSettings,
)

LMBENCH_API = 2

PAPER = "Cheng et al. 2021"

# What records of schema 1 left unsaid: the defaults of all views, then.
PLAIN = {"size": 96, "centre": 0, "scale": (0.08, 1.0), "grey_p": 0.2, "jitter_p": 0.8}
THEN = {**PLAIN, "jitter": (0.4, 0.4, 0.2, 0.1), "jpeg": False, "lighting": 0.0}


@hookimpl
def lmbench_methods() -> list[MethodSpec]:
    return [CONTRASTLANDMARKS]


def compact(encoder: str, kind: str, target: str, summary: str, settings: type) -> BackboneSpec:
    return BackboneSpec(
        name=f"{encoder}_{kind}",
        summary=f"{encoder}'s hypercolumn, {summary}: one map at 1/4 resolution",
        target=f"lmbench_contrastlandmarks.{target}",
        paper=f"{PAPER}, {'sec. 3.2' if kind == 'proj' else 'Table 4'}",
        year=2021,
        settings=settings,
        fixed={"encoder": encoder},
        maps=(MapSpec("dense", "dim", 4),),
    )


@hookimpl
def lmbench_backbones() -> list[BackboneSpec]:
    projected = ("proj", "projection:ProjectedHypercolumn", "projected by 1x1 filters", ProjectedSettings)
    factorised = ("nmf", "nmf:FactorisedHypercolumn", "as codes over non-negative components", FactorisedSettings)
    return [compact(encoder, *kind) for encoder in ("resnet18", "resnet50") for kind in (projected, factorised)]


@hookimpl
def lmbench_objectives() -> list[ObjectiveSpec]:
    return [
        ObjectiveSpec(
            name="moco",
            summary="instance-level: tell another view of the image from a queue of others (Cheng eq. 5)",
            target="lmbench_contrastlandmarks.moco:MoCo",
            paper=f"He et al. 2020; {PAPER}, sec. 3.1",
            year=2020,
            settings=MoCoSettings,
            cuts=Crops(),
            earlier={"groups": 1, "view": THEN},
        ),
        ObjectiveSpec(
            name="cl_projection",
            summary="dense: positions of one image are told apart in a projection of its frozen hypercolumn (eq. 3)",
            target="lmbench_contrastlandmarks.projection:CLProjection",
            paper=f"{PAPER}, sec. 3.2",
            year=2021,
            settings=CLProjectionSettings,
            cuts=Crops(),
            earlier={"view": THEN},
            needs_parent=True,
            needs_maps=("dense",),
        ),
        ObjectiveSpec(
            name="nmf",
            summary="closed form: non-negative matrix factorisation of the frozen hypercolumn (Table 4)",
            target="lmbench_contrastlandmarks.nmf:NMF",
            paper=f"{PAPER}, Table 4",
            year=2021,
            settings=NMFSettings,
            cuts=Crops(),
            earlier={"view": {**PLAIN, "ratio": (3 / 4, 4 / 3)}},
            needs_parent=True,
            needs_maps=("dense",),
            closed_form=True,
        ),
    ]
