"""The embedded dataset: procedural faces."""

from __future__ import annotations

from lmbench.datasets.conventions import FACE
from lmbench.geometry.framing import Framing, Preprocessing
from lmbench.specs import DatasetSpec

LANDMARK_NAMES = (
    "left_eye", "right_eye", "left_eye_outer", "left_eye_inner", "right_eye_inner", "right_eye_outer",
    "left_brow", "right_brow", "nose_tip", "nose_bridge", "left_mouth", "right_mouth",
    "upper_lip", "lower_lip", "chin",
)  # fmt: skip
EYES = (0, 1)
SWAP_PAIRS = ((0, 1), (2, 5), (3, 4), (6, 7), (10, 11))
SPLIT_SIZES = {"train": 2000, "test": 500}

SPECS = [
    DatasetSpec(
        name="synthfaces",
        summary="procedural faces of a posed 3-D template: embedded, deterministic, 15 landmarks with true visibility",
        target="lmbench.datasets.synthfaces.loader:load",
        paper="lmbench",
        year=2026,
        splits=SPLIT_SIZES,
        preprocessing=Preprocessing(resize=96),
        framing=Framing(kind="whole", of="one drawn face"),
        object_size=(FACE, 0.14),  # of its training images
        landmark_names=LANDMARK_NAMES,
        eyes=EYES,
        swap_pairs=SWAP_PAIRS,
        hidden_annotated=True,
        licence="Apache-2.0",
        source="made by lmbench itself",
        notes=("five images an identity, no identity in both splits", "scores count visible landmarks only"),
    )
]
