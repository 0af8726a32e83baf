"""The method of ContrastLandmarks, its three objectives, and its compact hypercolumns."""

from __future__ import annotations

from lmbench.api import BackboneSpec, Crops, MapSpec, MethodSpec, ObjectiveSpec, hookimpl
from lmbench_contrastlandmarks import settings
from lmbench_contrastlandmarks.paper import lmbench_papers as lmbench_papers
from lmbench_contrastlandmarks.recipe import CONTRASTLANDMARKS

LMBENCH_API = 2

PAPER = "Cheng et al. 2021"
COMPACT = (
    ("proj", "projection:ProjectedHypercolumn", settings.ProjectedSettings, "projected by 1x1 filters", "sec. 3.2"),
    ("nmf", "nmf:FactorisedHypercolumn", settings.FactorisedSettings, "as non-negative codes", "Table 4"),
)

# What records of schema 1 left unsaid: the defaults of all views, then.
PLAIN = {"size": 96, "centre": 0, "scale": (0.08, 1.0), "grey_p": 0.2, "jitter_p": 0.8}
THEN = {**PLAIN, "jitter": (0.4, 0.4, 0.2, 0.1), "jpeg": False, "lighting": 0.0}


@hookimpl
def lmbench_methods() -> list[MethodSpec]:
    return [CONTRASTLANDMARKS]


@hookimpl
def lmbench_backbones() -> list[BackboneSpec]:
    return [
        BackboneSpec(
            name=f"{encoder}_{kind}",
            summary=f"{encoder}'s hypercolumn, {made}: one map at 1/4 resolution",
            target=f"lmbench_contrastlandmarks.{target}",
            paper=f"{PAPER}, {where}",
            year=2021,
            settings=own,
            fixed={"encoder": encoder},
            maps=(MapSpec("dense", "dim", "stride"),),
        )
        for encoder in ("resnet18", "resnet50")
        for kind, target, own, made, where in COMPACT
    ]


@hookimpl
def lmbench_objectives() -> list[ObjectiveSpec]:
    return [
        ObjectiveSpec(
            name="moco",
            summary="instance-level: tell another view of the image from a queue of others (Cheng eq. 5)",
            target="lmbench_contrastlandmarks.moco:MoCo",
            paper=f"He et al. 2020; {PAPER}, sec. 3.1",
            year=2020,
            settings=settings.MoCoSettings,
            views=2,
            cuts=Crops(),
            earlier={"groups": 1, "view": THEN},
        ),
        ObjectiveSpec(
            name="cl_projection",
            summary="dense: positions of one image are told apart in a projection of its frozen hypercolumn (eq. 3)",
            target="lmbench_contrastlandmarks.projection:CLProjection",
            paper=f"{PAPER}, sec. 3.2",
            year=2021,
            settings=settings.CLProjectionSettings,
            views=1,
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
            settings=settings.NMFSettings,
            views=1,
            cuts=Crops(),
            earlier={"view": {**PLAIN, "ratio": (3 / 4, 4 / 3)}},
            needs_parent=True,
            needs_maps=("dense",),
            closed_form=True,
        ),
    ]
