"""LEAD's method and its two objectives."""

from __future__ import annotations

from lmbench.api import Crops, MethodSpec, ObjectiveSpec, hookimpl
from lmbench_lead.paper import lmbench_papers as lmbench_papers
from lmbench_lead.recipe import LEAD
from lmbench_lead.settings import BYOLSettings, DistillationSettings

LMBENCH_API = 2

PLAIN = {"blur_p": 0.0, "flip_p": 0.0}  # views of settings that named none of these, in records of schema 1


@hookimpl
def lmbench_methods() -> list[MethodSpec]:
    return [LEAD]


@hookimpl
def lmbench_objectives() -> list[ObjectiveSpec]:
    return [
        ObjectiveSpec(
            name="byol",
            summary="instance-level: predict the target network's projection of another view (LEAD eq. 1)",
            target="lmbench_lead.byol:BYOL",
            paper="Grill et al. 2020; LEAD sec. 3.2",
            year=2020,
            settings=BYOLSettings,
            min_batch=2,
            views=2,
            cuts=Crops(("view1", "view2")),
            earlier={"view1": PLAIN, "view2": {**PLAIN, "solarise_p": 0.0}},
        ),
        ObjectiveSpec(
            name="correspondence_distillation",
            summary="dense: agree with the frozen hypercolumn on which positions of two images correspond (LEAD eqs. 2-3)",
            target="lmbench_lead.distillation:CorrespondenceDistillation",
            paper="LEAD sec. 3.3",
            year=2022,
            settings=DistillationSettings,
            needs_parent=True,
            needs_maps=("dense",),
            min_batch=2,
            views=2,
            cuts=Crops(),
            earlier={"view": PLAIN, "view2": {"blur_p": None, "solarise_p": None}},
        ),
    ]
