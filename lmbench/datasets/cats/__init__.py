"""The CAT dataset: cat heads."""

from __future__ import annotations

from lmbench.geometry.framing import Framing, Preprocessing
from lmbench.specs import DatasetSpec

POINTS = ("left_eye", "right_eye", "mouth", "left_ear_outer", "left_ear_inner", "right_ear_inner", "right_ear_outer")

SPECS = [
    DatasetSpec(
        name="cats",
        summary="cat heads with seven of their nine points: eyes, mouth, and the roots of the ears",
        target="lmbench.datasets.cats.loader:load",
        paper="Zhang et al. 2008",
        year=2008,
        splits={"train": None, "test": None},
        preprocessing=Preprocessing(resize=100),  # Rahaman et al. 2021, sec. 6: 100x100
        framing=Framing(
            kind="landmarks", of="the nine annotated points (eyes, mouth, three of each ear)", factor=1.3, square=True
        ),
        landmark_names=POINTS,
        eyes=(0, 1),
        swap_pairs=((0, 1), (3, 6), (4, 5)),
        metrics=("iod",),
        folder="CAT",
        licence="none is stated; for research",
        source="CAT_DATASET_01.zip, CAT_DATASET_02.zip and 00000003_015.jpg.cat (archive.org/details/CAT_DATASET)",
        notes=(
            (
                "split: cat_{train,test}_images.txt of Zhang et al. 2018 where they lie in the folder, else our own (a head "
                "tests where sha256 of its file name is divisible by 8), not the papers'"
            ),
            "heads are cut to a square of 1.3 sides of the nine points' rectangle; the papers' crops are not described",
            "left and right are the viewer's; points outside the image are kept and scored",
        ),
    ),
]
