"""HELEN with a part for every pixel."""

from __future__ import annotations

from lmbench.geometry.framing import WHOLE_IMAGE, Preprocessing
from lmbench.specs import DatasetSpec

CLASSES = (
    "background", "skin", "left_brow", "right_brow", "left_eye", "right_eye", "nose", "upper_lip", "inner_mouth",
    "lower_lip",
)  # fmt: skip

SPECS = [
    DatasetSpec(
        name="helen",
        summary="HELEN faces with a part for every pixel, resized whole: ten classes, no landmarks",
        target="lmbench.datasets.helen.loader:load",
        paper="Smith et al. 2013",
        year=2013,
        splits={"train": None, "test": None},
        preprocessing=Preprocessing(resize=128),
        framing=WHOLE_IMAGE,
        classes=CLASSES,
        folder="SmithCVPR2013_dataset_resized",
        licence="for non-commercial research; images belong to their owners",
        source="SmithCVPR2013_dataset_resized.zip of Smith et al. 2013",
        notes=(
            "fitted on exemplars.txt and tuning.txt, tested on testing.txt: 2,330 images in all",
            "ten classes of the eleven labelled: hair counts as background; Thewlis et al. 2017 do not say which ten",
        ),
    ),
]
