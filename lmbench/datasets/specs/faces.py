"""Faces but for CelebA's: the papers' benchmarks and the embedded synthetic set."""

from __future__ import annotations

from lmbench.specs import WHOLE_IMAGE, DatasetSpec, Framing, Preprocessing

FIVE_POINTS = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
FIVE_POINT_SWAPS = ((0, 1), (3, 4))
MTFL_SOURCE = "MTFL.zip of Zhang et al. 2014 (mmlab.ie.cuhk.edu.hk/projects/TCDCN.html)"
MTFL_LICENCE = "for non-commercial research; images belong to their owners"
MTFL_TESTING = "sha256:91e3ddbf2fe394728a2c4307de800b77f53bfb9dd1a67d32ff3916ff40f41476"
TEST_CROPS = Framing(kind="whole", of="a loose crop of one face")
FACE = (
    "RMS distance of eyes, nose and mouth corners from their mean"  # the unit of object_size, in fractions of a frame
)
PAPERS_FACES = Preprocessing(resize=136, crop=20)  # DVE, CL, LEAD: resize 136, centre crop 96


def _mtfl(name: str, summary: str, target: str, splits: dict[str, int | None], notes: tuple[str, ...]) -> DatasetSpec:
    return DatasetSpec(
        name=name,
        summary=summary,
        target=f"lmbench.datasets.mtfl:{target}",
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


SYNTHFACES = DatasetSpec(
    name="synthfaces",
    summary="procedural faces of a posed 3-D template: embedded, deterministic, 15 landmarks with true visibility",
    target="lmbench.datasets.synthfaces:load",
    paper="lmbench",
    year=2026,
    splits={"train": 2000, "test": 500},
    preprocessing=Preprocessing(resize=96),
    framing=Framing(kind="whole", of="one drawn face"),
    object_size=(FACE, 0.14),  # of its training images
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

AFLW_M = DatasetSpec(
    name="aflw_m",
    summary="AFLW_M of the papers: 10,122 AFLW training crops, MTFL's 2,995 test crops",
    target="lmbench.datasets.aflw_m:load",
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
    notes=("coordinates minus one in both lists", "no photo of the test list is among the training photos: checked"),
)

AFLW_R = DatasetSpec(
    name="aflw_r",
    summary="AFLW_R of the papers: tighter recrops, 10,122 for training, 2,991 for testing",
    target="lmbench.datasets.aflw_r:load",
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

LEFT_RIGHT_68 = (
    *((i, 16 - i) for i in range(8)),  # jaw
    *((17 + i, 26 - i) for i in range(5)),  # brows
    *((31, 35), (32, 34)),  # nostrils
    *((36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46)),  # eyes
    *((48, 54), (49, 53), (50, 52), (59, 55), (58, 56), (60, 64), (61, 63), (67, 65)),  # lips
)
PARTS_68 = {
    "jaw": 17, "left_brow": 5, "right_brow": 5, "nose_bridge": 4, "nostrils": 5, "left_eye": 6, "right_eye": 6,
    "outer_lip": 12, "inner_lip": 8,
}  # fmt: skip

W300 = DatasetSpec(
    name="300w",
    summary="300-W of the papers: 3,148 training and 689 test faces, 68 landmarks",
    target="lmbench.datasets.w300:load",
    paper="Sagonas et al. 2013",
    year=2013,
    splits={"train": 3148, "test": 689},
    preprocessing=PAPERS_FACES,
    framing=Framing(
        kind="box",
        of="the face box of 300-W (the extent of its 68 landmarks)",
        rule="lmbench.datasets.w300:frames_around",
    ),
    landmark_names=tuple(f"{part}_{i}" for part, count in PARTS_68.items() for i in range(count)),
    object_size=(FACE, 0.142),  # 0.273 of the width of the landmarks' box (30 images), which is 0.52 of the canvas
    eyes=(36, 45),
    swap_pairs=LEFT_RIGHT_68,
    recipes={"cl_faces": {"epochs": 80}},  # CL README, fixed stop
    folder="300w",
    licence="for research; images belong to their owners (ibug.doc.ic.ac.uk/resources/300-W)",
    source="afw, helen, lfpw, ibug and `Bounding Boxes` of ibug.doc.ic.ac.uk/resources/300-W",
    notes=(
        "normalised by the outer eye corners (landmarks 36 and 45, counted from zero)",
        "train: AFW 337, HELEN train 2,000, LFPW train 811; test: HELEN 330, LFPW 224, IBUG 135",
        "canvas of DVE: the face box is 52 of 100 pixels wide, lifted by two; landmarks move exactly as there",
        "the canvas is cut from the source at once: DVE shrinks to it (nearest neighbour), CL too (bicubic), then to 136",
        "a face box whose .mat is missing is the extent of the landmarks; the split's description says so",
    ),
)

YALEB = DatasetSpec(
    name="yaleb",
    summary="Extended Yale B, cropped: 38 subjects under 64 lights, unlabelled",
    target="lmbench.datasets.yaleb:load",
    paper="Georghiades et al. 2001; Lee et al. 2005",
    year=2005,
    splits={"train": 2414},
    preprocessing=PAPERS_FACES,
    framing=Framing(kind="fixed", of="cropped Yale B", box=(0, 12, 168, 168), image=(168, 192)),
    folder="CroppedYale",
    licence="for research; publications cite both papers",
    source="CroppedYale.zip of the Extended Yale Face Database B (vision.ucsd.edu/~leekc/ExtYaleDatabase)",
    notes=(
        "the central 168x168 of 168x192; Thewlis et al. 2017 use it for pictures alone and do not say their crop",
        "18 of 38 x 64 images are damaged in the release (.pgm.bad) and left out, as are the ambient ones",
    ),
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
        framing=WHOLE_IMAGE,
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
    AFLW_M,
    AFLW_R,
    W300,
    YALEB,
]
