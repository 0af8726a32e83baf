"""AFLW_R: the papers' AFLW, recropped more tightly."""

from __future__ import annotations

from lmbench.datasets.conventions import FIVE_POINT_SWAPS, FIVE_POINTS, PAPERS_FACES, TEST_CROPS
from lmbench.specs import DatasetSpec

SPECS = [
    DatasetSpec(
        name="aflw_r",
        summary="AFLW_R of the papers: tighter recrops, 10,122 for training, 2,991 for testing",
        target="lmbench.datasets.aflw_r.loader:load",
        paper="Koestinger et al. 2011; recrops of Zhang et al. 2018",
        year=2018,
        splits={"train": 10122, "test": 2991},
        preprocessing=PAPERS_FACES,
        framing=TEST_CROPS,
        landmark_names=FIVE_POINTS,
        eyes=(0, 1),
        swap_pairs=FIVE_POINT_SWAPS,
        folder="aflw",
        licence="AFLW: for non-commercial research, on request",
        source="aflw_data.tar.gz of lmdis-rep (Zhang et al. 2018), or aflw-recrop.tar.gz of DVE",
        notes=(
            "132 test entries repeat others and are scored again, as in the papers; ids end in #2",
            "whole crops are squashed to a square; coordinates are taken as they are, y before x in the file",
            "labels are known to be shifted or mistaken in part; SCE-MAE re-annotated them (AFLW_RC)",
        ),
    )
]
