"""CelebA and MAFL: what the papers pretrain on, and their first benchmark."""

from __future__ import annotations

from dataclasses import replace

from lmbench.datasets.specs.faces import FACE, FIVE_POINT_SWAPS, FIVE_POINTS, PAPERS_FACES
from lmbench.specs import WHOLE_IMAGE, DatasetSpec, Framing

LICENCE = "non-commercial research only"
SOURCE = (
    "CelebA (mmlab.ie.cuhk.edu.hk/projects/CelebA.html) and the MAFL lists (github.com/zhzhanp/TCDCN-face-alignment)"
)
MAFL_LISTS = {
    "MAFL/training.txt": "sha256:435e0488efcb97dee718118b74b4110d42d9524289238f51692b1d60883ccba6",
    "MAFL/testing.txt": "sha256:0a93fa3202133333045ce4cef5043a2cb1f4b8858b8e96f3ae7f54becfa07f9e",
}
# Sums of CelebA's own files as torchvision pins them for its download.
PARTITION = {"Eval/list_eval_partition.txt": "md5:d32c9cbf5e040fd4025c592c306e6668"}
ALIGNED = {"Anno/list_landmarks_align_celeba.txt": "md5:cc24ecafdb5b50baae59b03474781f8c"}
WILD = {
    "Anno/list_landmarks_celeba.txt": "md5:063ee6ddb681f96bc9ca28c6febb9d1a",
    "Anno/list_bbox_celeba.txt": "md5:00566efa6fedff7a56946cd1c10f1c16",
}
CROP = "178x178 from row 30 of the aligned 178x218; coordinates are taken as they are"
MAFL_ORDER = "sorted by CelebA's file names, which fixes the pairs of matching; identities are left unknown for them"
ALIGNED_SQUARE = Framing(kind="fixed", of="aligned CelebA", box=(0, 30, 178, 178), image=(178, 218))
ZOOM_CHOICES = (
    "LEAD states neither random numbers nor crop: the factor is a hash of the file name, the box keeps its shape until it "
    "is squashed, parts outside the image are black, and the papers' 96 of 136 pixels are kept"
)

# 24.4 of 178 px: CelebA aligns its faces to one mean shape, eyes at about (70, 112) and (107, 111), nose at (90, 134), mouth
# corners at (73, 152) and (104, 153) of its 178x218.
ALIGNED_FACE = (FACE, 0.137)

MAFL = DatasetSpec(
    name="mafl",
    summary="MAFL: 19,000 training and 1,000 test faces of aligned CelebA",
    target="lmbench.datasets.mafl:load",
    paper="Zhang et al. 2016",
    year=2016,
    splits={"train": 19000, "test": 1000},
    preprocessing=PAPERS_FACES,
    framing=ALIGNED_SQUARE,
    object_size=ALIGNED_FACE,
    landmark_names=FIVE_POINTS,
    eyes=(0, 1),
    swap_pairs=FIVE_POINT_SWAPS,
    folder="celeba",
    licence=LICENCE,
    source=SOURCE,
    recipes={"cl_faces": {"epochs": 120}},  # CL README, fixed stop
    checksums=MAFL_LISTS | ALIGNED,
    notes=(MAFL_ORDER, CROP),
)

CELEBA = [
    replace(
        MAFL,
        name="celeba",
        summary="aligned CelebA as DVE, CL and LEAD pretrain on: its training part without both MAFL lists",
        target="lmbench.datasets.celeba:load",
        paper="Liu et al. 2015",
        year=2015,
        splits={"train": 146501, "test": 1000},
        recipes={},
        checksums=MAFL_LISTS | PARTITION | ALIGNED,
        notes=(
            "train: partition 0 (162,770) without MAFL's training and test list; papers quote 162,770 all the same",
            "test: MAFL's 1,000; for pretraining, landmarks are not looked at",
            CROP,
        ),
    ),
    replace(
        MAFL,
        name="celeba_minus_mafl_test",
        summary="aligned CelebA as Sparse, IMM and lmdis-rep pretrain on: its training part without MAFL's test list",
        target="lmbench.datasets.celeba:load_minus_mafl_test",
        selection_of="celeba",
        paper="Liu et al. 2015",
        year=2015,
        splits={"train": 161962, "test": 1000},
        recipes={},
        checksums=MAFL_LISTS | PARTITION | ALIGNED,
        notes=(
            "train: partition 0 (162,770) without MAFL's test list; holds MAFL training faces, as those papers' does",
            "test: MAFL's 1,000; heads fitted on its training part are `regressor_train=celeba` of Thewlis et al. 2017",
            CROP,
        ),
    ),
    DatasetSpec(
        name="celeba_wild",
        summary="CelebA in the wild for pretraining: the images of `celeba` before alignment, unlabelled",
        target="lmbench.datasets.celeba:load_wild",
        paper="Liu et al. 2015",
        year=2015,
        splits={"train": 146501},
        preprocessing=PAPERS_FACES,
        framing=WHOLE_IMAGE,
        folder="celeba",
        licence=LICENCE,
        source=SOURCE,
        checksums=MAFL_LISTS | PARTITION,
        notes=("train: partition 0 without both MAFL lists", "whole images squashed to a square, as CL's code does"),
    ),
    MAFL,
    replace(
        MAFL,
        name="mafl_wild",
        summary="MAFL in the wild as LEAD cuts it: CelebA's box with both sides 10 to 20 percent longer",
        target="lmbench.datasets.mafl:load_wild",
        object_size=None,
        paper="Zhang et al. 2016; LEAD, Supp. Table 8",
        framing=Framing(kind="box", of="CelebA's box of the face", factor=1.15),  # of 1.1 to 1.2
        year=2022,
        checksums=MAFL_LISTS | WILD,
        notes=(MAFL_ORDER, ZOOM_CHOICES),
    ),
    replace(
        MAFL,
        name="mafl_unaligned:*",
        summary="MAFL in the wild, zoomed out 1 to 1.5 times to train, LOW-HIGH times to test: mafl_unaligned:1-2",
        target="lmbench.datasets.mafl:load_unaligned",
        object_size=None,
        paper="Zhang et al. 2016; LEAD, sec. 4.4",
        describe="lmbench.datasets.mafl:describe_unaligned",
        year=2022,
        checksums=MAFL_LISTS | WILD,
        notes=("LEAD's Figure 9: factors up to 1.5 are seen in training, up to 2 are not", MAFL_ORDER, ZOOM_CHOICES),
    ),
    DatasetSpec(
        name="celeba_half",
        summary="10,000 aligned CelebA faces at half size, unlabelled, without MAFL's test faces",
        target="lmbench.datasets.celeba_half:load",
        paper="Liu et al. 2015",
        year=2015,
        splits={"train": 9961},
        preprocessing=PAPERS_FACES,
        framing=Framing(kind="fixed", of="aligned CelebA at half size", box=(0, 15, 89, 89), image=(89, 109)),
        object_size=ALIGNED_FACE,
        folder="celeba_half",
        licence=LICENCE,
        source=(
            "img_align_celeba of CelebA (mmlab.ie.cuhk.edu.hk/projects/CelebA.html), "
            "ids 000001-010000 resized to 89x109"
        ),
        checksums={"MAFL/testing.txt": MAFL_LISTS["MAFL/testing.txt"]},
        notes=("the square of 89x89 from row 15 on: the papers' 178x178 from row 30", "39 MAFL test ids are left out"),
    ),
]
