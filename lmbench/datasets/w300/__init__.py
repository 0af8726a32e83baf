"""300-W: 68 landmarks."""

from __future__ import annotations

from lmbench.datasets.conventions import FACE, PAPERS_FACES
from lmbench.geometry.framing import Framing
from lmbench.specs import DatasetSpec

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

SPECS = [
    DatasetSpec(
        name="300w",
        summary="300-W of the papers: 3,148 training and 689 test faces, 68 landmarks",
        target="lmbench.datasets.w300.loader:load",
        paper="Sagonas et al. 2013",
        year=2013,
        splits={"train": 3148, "test": 689},
        preprocessing=PAPERS_FACES,
        framing=Framing(
            kind="box",
            of="the face box of 300-W (the extent of its 68 landmarks)",
            rule="lmbench.datasets.w300.loader:frames_around",
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
]
