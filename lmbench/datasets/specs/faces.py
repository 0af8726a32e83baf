"""Faces: the papers' benchmarks, what they pretrain on, and the embedded synthetic set."""

from __future__ import annotations

from lmbench.specs import DatasetSpec, Preprocessing

FIVE_POINTS = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
FIVE_POINT_SWAPS = ((0, 1), (3, 4))
MTFL_SOURCE = "MTFL.zip of Zhang et al. 2014 (mmlab.ie.cuhk.edu.hk/projects/TCDCN.html)"
MTFL_LICENCE = "for non-commercial research; images belong to their owners"
PAPERS_FACES = Preprocessing(resize=136, crop=20)  # DVE, CL, LEAD: resize 136, centre crop 96


def _mtfl(name: str, summary: str, target: str, splits: dict[str, int | None], notes: tuple[str, ...]) -> DatasetSpec:
    return DatasetSpec(
        name=name,
        summary=summary,
        target=f"lmbench.datasets.mtfl:{target}",
        paper="Zhang et al. 2014",
        year=2014,
        splits=splits,
        preprocessing=PAPERS_FACES,
        landmark_names=FIVE_POINTS,
        eyes=(0, 1),
        swap_pairs=FIVE_POINT_SWAPS,
        folder="MTFL",
        licence=MTFL_LICENCE,
        source=MTFL_SOURCE,
        notes=notes,
    )


SYNTHFACES = DatasetSpec(
    name="synthfaces",
    summary="procedural faces of a posed 3-D template: embedded, deterministic, 15 landmarks with true visibility",
    target="lmbench.datasets.synthfaces:load",
    paper="lmbench",
    year=2026,
    splits={"train": 2000, "test": 500},
    preprocessing=Preprocessing(resize=96),
    landmark_names=(
        "left_eye",
        "right_eye",
        "left_eye_outer",
        "left_eye_inner",
        "right_eye_inner",
        "right_eye_outer",
        "left_brow",
        "right_brow",
        "nose_tip",
        "nose_bridge",
        "left_mouth",
        "right_mouth",
        "upper_lip",
        "lower_lip",
        "chin",
    ),
    eyes=(0, 1),
    swap_pairs=((0, 1), (2, 5), (3, 4), (6, 7), (10, 11)),
    hidden_annotated=True,
    licence="Apache-2.0",
    source="made by lmbench itself",
    notes=("five images an identity, no identity in both splits", "scores count visible landmarks only"),
)

FACES = [
    SYNTHFACES,
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
    DatasetSpec(
        name="helen",
        summary="HELEN faces with a part for every pixel, resized whole: ten classes, no landmarks",
        target="lmbench.datasets.helen:load",
        paper="Smith et al. 2013",
        year=2013,
        splits={"train": None, "test": None},
        preprocessing=Preprocessing(resize=128),
        classes=(
            "background",
            "skin",
            "left_brow",
            "right_brow",
            "left_eye",
            "right_eye",
            "nose",
            "upper_lip",
            "inner_mouth",
            "lower_lip",
        ),
        folder="SmithCVPR2013_dataset_resized",
        licence="for non-commercial research; images belong to their owners",
        source="SmithCVPR2013_dataset_resized.zip of Smith et al. 2013",
        notes=(
            "fitted on exemplars.txt and tuning.txt, tested on testing.txt: 2,330 images in all",
            "ten classes of the eleven labelled: hair counts as background; Thewlis et al. 2017 do not say which ten",
        ),
    ),
    DatasetSpec(
        name="celeba_half",
        summary="10,000 aligned CelebA faces at half size, unlabelled, without MAFL's test faces",
        target="lmbench.datasets.celeba_half:load",
        paper="Liu et al. 2015",
        year=2015,
        splits={"train": 9961},
        preprocessing=PAPERS_FACES,
        folder="celeba_half",
        licence="non-commercial research only",
        source=(
            "img_align_celeba of CelebA (mmlab.ie.cuhk.edu.hk/projects/CelebA.html), "
            "ids 000001-010000 resized to 89x109"
        ),
        notes=("the square of 89x89 from row 15 on: the papers' 178x178 from row 30", "39 MAFL test ids are left out"),
    ),
]
