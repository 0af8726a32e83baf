"""What lmbench finds: one objective and one method that trains it."""

from __future__ import annotations

from lmbench.api import Crops, MethodSpec, ObjectiveSpec, hookimpl

from lmbench_placeholder.recipe import METHOD
from lmbench_placeholder.settings import Settings

LMBENCH_API = 2


@hookimpl
def lmbench_objectives() -> list[ObjectiveSpec]:
    return [
        ObjectiveSpec(
            name="placeholder",
            summary="two views of an image are more alike than views of different images",
            target="lmbench_placeholder.objective:InstanceContrast",
            settings=Settings,
            min_batch=2,
            cuts=Crops(("view",)),
            views=2,
        )
    ]


@hookimpl
def lmbench_methods() -> list[MethodSpec]:
    return [METHOD]
