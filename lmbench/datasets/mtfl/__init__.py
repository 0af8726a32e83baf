"""MTFL and the two AFLW benchmarks that its files allow."""

from __future__ import annotations

from lmbench.datasets.conventions import FACE, FIVE_POINT_SWAPS, FIVE_POINTS, PAPERS_FACES, TEST_CROPS
from lmbench.specs import DatasetSpec

MTFL_SOURCE = "MTFL.zip of Zhang et al. 2014 (mmlab.ie.cuhk.edu.hk/projects/TCDCN.html)"
MTFL_LICENCE = "for non-commercial research; images belong to their owners"
MTFL_TESTING = "sha256:91e3ddbf2fe394728a2c4307de800b77f53bfb9dd1a67d32ff3916ff40f41476"


def _mtfl(name: str, summary: str, target: str, splits: dict[str, int | None], notes: tuple[str, ...]) -> DatasetSpec:
    return DatasetSpec(
        name=name,
        summary=summary,
        target=f"lmbench.datasets.mtfl.loader:{target}",
        object_size=None if name == "mtfl" else (FACE, 0.19),  # AFLW's test crops: 1 / 5.26, see aflw_mtfl
        paper="Zhang et al. 2014",
        year=2014,
        splits=splits,
        preprocessing=PAPERS_FACES,
        framing=TEST_CROPS,
        landmark_names=FIVE_POINTS,
        eyes=(0, 1),
        swap_pairs=FIVE_POINT_SWAPS,
        folder="MTFL",
        licence=MTFL_LICENCE,
        source=MTFL_SOURCE,
        checksums={"testing.txt": MTFL_TESTING},
        notes=notes,
    )


SPECS = [
    _mtfl(
        "mtfl",
        "MTFL with its official 10,000 training and 2,995 test images",
        "load_mtfl",
        {"train": 10000, "test": 2995},
        ("training faces are framed far looser than test crops; both are resized whole",),
    ),
    _mtfl(
        "aflw_split",
        "the papers' AFLW_M test crops divided by source photo: two thirds fit, one third tests",
        "load_aflw_split",
        {"train": 1995, "test": 1000},
        (
            "not the papers' AFLW_M: their 10,122 training crops are not among MTFL's files; never quote as aflw_m",
            "a photo (the imageNNNNN part of the name) is a test photo where sha256 of it is divisible by 3",
        ),
    ),
    _mtfl(
        "aflw_mtfl",
        "heads fitted on MTFL's training faces cropped to the test framing, tested on all 2,995 AFLW_M crops",
        "load_aflw_mtfl",
        {"train": None, "test": 2995},
        (
            "not the papers' AFLW_M: across domains, near-frontal LFW (and whatever else is present) to AFLW",
            (
                "training box from the landmarks: side 5.26 s, centre + (0.067, 0.063) s, s their RMS distance from "
                "their mean; medians of the aflw_split training crops"
            ),
        ),
    ),
]
