"""Leeds Sports Pose Extended."""

from __future__ import annotations

from lmbench.datasets.conventions import PAPERS_BODIES
from lmbench.geometry.framing import Framing
from lmbench.specs import DatasetSpec

JOINTS = (
    "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle", "right_wrist", "right_elbow",
    "right_shoulder", "left_shoulder", "left_elbow", "left_wrist", "neck", "head_top",
)  # fmt: skip

SPECS = [
    DatasetSpec(
        name="lspet",
        summary="Leeds Sports Pose Extended: people in sports, 14 joints; stands in for bodies",
        target="lmbench.datasets.lspet.loader:load",
        paper="Johnson and Everingham 2011",
        year=2011,
        splits={"train": None, "test": None},
        preprocessing=PAPERS_BODIES,
        framing=Framing(kind="landmarks", of="the visible joints", factor=1.4, square=True),
        landmark_names=JOINTS,
        swap_pairs=((0, 5), (1, 4), (2, 3), (6, 11), (7, 10), (8, 9)),
        metrics=("box_error", "pck_5pct"),
        parts={
            "ankle": (0, 5),
            "knee": (1, 4),
            "hip": (2, 3),
            "wrist": (6, 11),
            "elbow": (7, 10),
            "shoulder": (8, 9),
            "head": (12, 13),
        },
        folder="LSPET",
        licence="for non-commercial research; images belong to their owners",
        source="lspet_dataset.zip (sam.johnson.io/research/lspet.html)",
        notes=(
            "not one of the papers' sets: it stands in for bodies where BBC Pose cannot be had",
            "every image that is present; one tests where sha256 of its file name is divisible by 4",
            "crop: a square of 1.4 sides of the visible joints' rectangle; invisible joints have no position",
        ),
    ),
]
