"""UT-Zappos50k: shoes."""

from __future__ import annotations

from lmbench.geometry.framing import Framing, Preprocessing
from lmbench.specs import DatasetSpec

SPECS = [
    DatasetSpec(
        name="zappos",
        summary="UT-Zappos50k: shoes on white, unlabelled",
        target="lmbench.datasets.zappos.loader:load",
        paper="Yu and Grauman 2014",
        year=2014,
        splits={"train": 49525},
        preprocessing=Preprocessing(resize=94, fill=255),  # Thewlis et al. 2017, supplement: 64x64 and 15 white px
        framing=Framing(kind="padded", of="one shoe", rule="lmbench.datasets.zappos.loader:frames_around"),
        folder="ut-zap50k-images",
        licence="for academic, non-commercial use only",
        source="ut-zap50k-images.zip (vision.cs.utexas.edu/projects/finegrained/utzap50k)",
        notes=(
            "each image in a white square whose inner 64 of 94 px hold its longer side, as in the 2017 paper",
            "the 500 images of smallest sha256 of their path are left out; the paper does not say which 500 it leaves out",
        ),
    ),
]
