"""What lmbench-dve brings: two methods, their objective, two networks."""

from lmbench.api import BackboneSpec, MapSpec, Margin, MethodSpec, ObjectiveSpec, hookimpl
from lmbench_dve.recipe import DENSE3D, DENSE3D_PAPER, DVE, DVE_PAPER
from lmbench_dve.settings import DVESettings, HourglassSettings, SmallNetSettings

LMBENCH_API = 2


@hookimpl
def lmbench_methods() -> list[MethodSpec]:
    return [DVE, DENSE3D]


@hookimpl
def lmbench_objectives() -> list[ObjectiveSpec]:
    return [
        ObjectiveSpec(
            name="dve",
            summary="dense: find each cell's content in another view, through another image's descriptors (or straight)",
            target="lmbench_dve.dve:DVE",
            paper=DVE_PAPER,
            year=2019,
            settings=DVESettings,
            needs_maps=("dense",),
            min_batch=2,
            views=2,
            cuts=Margin(fraction=True),
        )
    ]


@hookimpl
def lmbench_backbones() -> list[BackboneSpec]:
    return [
        BackboneSpec(
            name="smallnet",
            summary="six layers with dilated filters, 0.35 million parameters: one dense map at 1/2 resolution",
            target="lmbench_dve.smallnet:SmallNet",
            paper=DENSE3D_PAPER,
            year=2017,
            settings=SmallNetSettings,
            maps=(MapSpec("dense", "dim", 2),),
            min_size=16,
            resizes_to="resize",
        ),
        BackboneSpec(
            name="hourglass",
            summary="one stack of four levels, 12.6 million parameters: one dense map at 1/2 resolution",
            target="lmbench_dve.hourglass:Hourglass",
            paper=DVE_PAPER,
            year=2019,
            settings=HourglassSettings,
            maps=(MapSpec("dense", "dim", 2),),
            min_size=32,
            resizes_to="resize",
        ),
    ]
