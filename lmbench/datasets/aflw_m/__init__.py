"""AFLW_M: the papers' AFLW with MTFL's test crops."""

from __future__ import annotations

from lmbench.datasets.conventions import FACE, FIVE_POINT_SWAPS, FIVE_POINTS, PAPERS_FACES, TEST_CROPS
from lmbench.datasets.mtfl import MTFL_SOURCE, MTFL_TESTING
from lmbench.specs import DatasetSpec

SPECS = [
    DatasetSpec(
        name="aflw_m",
        summary="AFLW_M of the papers: 10,122 AFLW training crops, MTFL's 2,995 test crops",
        target="lmbench.datasets.aflw_m.loader:load",
        object_size=(FACE, 0.19),  # of its test crops, which are aflw_split's
        paper="Koestinger et al. 2011; Zhang et al. 2014; crops of Thewlis et al. 2017",
        year=2017,
        splits={"train": 10122, "test": 2995},
        preprocessing=PAPERS_FACES,
        framing=TEST_CROPS,
        landmark_names=FIVE_POINTS,
        eyes=(0, 1),
        swap_pairs=FIVE_POINT_SWAPS,
        folder="aflw-mtfl",
        licence="AFLW: for non-commercial research, on request; MTFL: for non-commercial research",
        source=f"aflw_10122train_cropped.zip of Thewlis et al. 2017 as aflw_cropped/, and {MTFL_SOURCE} as MTFL/",
        checksums={"MTFL/testing.txt": MTFL_TESTING},
        notes=(
            "coordinates minus one in both lists",
            "no photo of the test list is among the training photos: checked",
        ),
    )
]
