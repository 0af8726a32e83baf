"""CelebA, aligned and in the wild: what the papers pretrain on."""

from __future__ import annotations

from dataclasses import replace

from lmbench.datasets.conventions import FACE, FIVE_POINT_SWAPS, FIVE_POINTS, PAPERS_FACES
from lmbench.geometry.framing import WHOLE_IMAGE, Framing
from lmbench.specs import DatasetSpec

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
CROP = "178x178 from row 30 of the aligned 178x218; coordinates are taken as they are"
ALIGNED_SQUARE = Framing(kind="fixed", of="aligned CelebA", box=(0, 30, 178, 178), image=(178, 218))
# 24.4 of 178 px: CelebA aligns its faces to one mean shape, eyes at about (70, 112) and (107, 111), nose at (90, 134), mouth
# corners at (73, 152) and (104, 153) of its 178x218.
ALIGNED_FACE = (FACE, 0.137)

CELEBA = DatasetSpec(
    name="celeba",
    summary="aligned CelebA as DVE, CL and LEAD pretrain on: its training part without both MAFL lists",
    target="lmbench.datasets.celeba.loader:load",
    paper="Liu et al. 2015",
    year=2015,
    splits={"train": 146501, "test": 1000},
    preprocessing=PAPERS_FACES,
    framing=ALIGNED_SQUARE,
    object_size=ALIGNED_FACE,
    landmark_names=FIVE_POINTS,
    eyes=(0, 1),
    swap_pairs=FIVE_POINT_SWAPS,
    folder="celeba",
    licence=LICENCE,
    source=SOURCE,
    checksums=MAFL_LISTS | PARTITION | ALIGNED,
    notes=(
        "train: partition 0 (162,770) without MAFL's training and test list; papers quote 162,770 all the same",
        "test: MAFL's 1,000; for pretraining, landmarks are not looked at",
        CROP,
    ),
)

SPECS = [
    CELEBA,
    replace(
        CELEBA,
        name="celeba_minus_mafl_test",
        summary="aligned CelebA as Sparse, IMM and lmdis-rep pretrain on: its training part without MAFL's test list",
        target="lmbench.datasets.celeba.loader:load_minus_mafl_test",
        selection_of="celeba",
        splits={"train": 161962, "test": 1000},
        notes=(
            "train: partition 0 (162,770) without MAFL's test list; holds MAFL training faces, as those papers' does",
            "test: MAFL's 1,000; heads fitted on its training part are `regressor_train=celeba` of Thewlis et al. 2017",
            CROP,
        ),
    ),
    DatasetSpec(
        name="celeba_wild",
        summary="CelebA in the wild for pretraining: the images of `celeba` before alignment, unlabelled",
        target="lmbench.datasets.celeba.loader:load_wild",
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
]
