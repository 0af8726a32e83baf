"""The method as its paper reads: its stages, what of them is judged, and what was chosen."""

from __future__ import annotations

from lmbench.api import MethodSpec, Optimiser, Stage, Training, VariantSpec

METHOD = MethodSpec(
    name="placeholder",
    summary="one stage of instance contrast, judged on a hypercolumn",
    stages=(
        Stage(
            name="pretrain",
            objective="placeholder",
            training=Training(epochs=20, batch_size=64, frame=96, optimiser=Optimiser(name="adamw", lr=0.001)),
        ),
    ),
    variants=(
        VariantSpec(
            name="hypercolumn",
            summary="the three deepest maps",
            layers=("conv5_x", "conv4_x", "conv3_x"),  # deepest first
            stages=("pretrain",),
        ),
    ),
    presets="lmbench_placeholder:presets",
    choices={"temperature": "0.1: say here what the paper leaves open, what was chosen, and why"},
)
