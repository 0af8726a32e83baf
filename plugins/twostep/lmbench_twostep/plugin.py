"""What lmbench-twostep brings: a method and its ablation, the objectives of both steps, both networks."""

from lmbench.api import BackboneSpec, MapSpec, MethodSpec, ObjectiveSpec, Window, hookimpl
from lmbench_twostep.paper import lmbench_papers as lmbench_papers
from lmbench_twostep.recipe import END_TO_END, PAPER, TWOSTEP
from lmbench_twostep.settings import DetectorSettings, HourglassSettings, PixelNTXentSettings, TwoStepLandmarksSettings

LMBENCH_API = 2

DENSE = (MapSpec("dense4", "dim", 4), MapSpec("dense", "dim", "stride"))
LAYERS = tuple(MapSpec(f"layer{i}", "dim", "stride") for i in (2, 3, 4))


@hookimpl
def lmbench_methods() -> list[MethodSpec]:
    return [TWOSTEP, END_TO_END]


@hookimpl
def lmbench_backbones() -> list[BackboneSpec]:
    return [
        BackboneSpec(
            name="twostep_hourglass",
            summary="F: encoder and decoder of four blocks with skips, 64 channels at full resolution",
            target="lmbench_twostep.hourglass:Hourglass",
            paper=f"{PAPER}, sec. 4.1",
            year=2021,
            settings=HourglassSettings,
            maps=DENSE,
            min_size=16,
        ),
        BackboneSpec(
            name="twostep_detector",
            summary="T after F: residual blocks to K heatmaps at full resolution; discovers K landmarks",
            target="lmbench_twostep.detector:TwoStepDetector",
            paper=f"{PAPER}, secs. 3-4",
            year=2021,
            settings=DetectorSettings,
            maps=(*DENSE, *LAYERS, MapSpec("heatmaps", "landmarks", "stride")),
            min_size=16,
        ),
    ]


@hookimpl
def lmbench_objectives() -> list[ObjectiveSpec]:
    return [
        ObjectiveSpec(
            name="pixel_ntxent",
            summary="each pixel's feature is found again in a deformed, recoloured copy, among those of the batch (eq. 7)",
            target="lmbench_twostep.contrast:PixelNTXent",
            paper=f"{PAPER}, sec. 4",
            year=2021,
            settings=PixelNTXentSettings,
            needs_maps=("dense",),
            min_batch=2,
            views=2,
            cuts=Window(),
        ),
        ObjectiveSpec(
            name="twostep_landmarks",
            summary="heatmaps that move with the image, lie apart and are narrow (eqs. 2-3, L_variance)",
            target="lmbench_twostep.landmarks:TwoStepLandmarks",
            paper=f"{PAPER}, secs. 2 and 4",
            year=2021,
            settings=TwoStepLandmarksSettings,
            needs_maps=("heatmaps",),
            views=2,
            cuts=Window(),
        ),
    ]
