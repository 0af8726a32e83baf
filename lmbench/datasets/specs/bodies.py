"""Bodies: sign-language signers and sports."""

from __future__ import annotations

from lmbench.specs import DatasetSpec, Framing, Preprocessing

PAPERS_BODIES = Preprocessing(resize=128)  # Jakab et al. 2018 and Rahaman et al. 2021: loose crops at 128x128
BBC_LICENCE = "for non-commercial research; frames belong to the BBC"
BBC_SOURCE = "bbcpose_data_1.0.zip and bbcpose_extbbcpose_code_1.0.tgz (www.robots.ox.ac.uk/~vgg/data/pose/index.html)"

BODIES = [
    DatasetSpec(
        name="bbcpose",
        summary="BBC Pose: frames of signers that were annotated by hand, seven joints of the upper body",
        target="lmbench.datasets.bbcpose:load",
        paper="Charles et al. 2013",
        year=2013,
        splits={"train": 1000, "test": 1000},
        preprocessing=PAPERS_BODIES,
        framing=Framing(
            kind="landmarks", of="the seven annotated joints", rule="lmbench.datasets.bbcpose:frames_around"
        ),
        landmark_names=(
            "head",
            "right_wrist",
            "left_wrist",
            "right_elbow",
            "left_elbow",
            "right_shoulder",
            "left_shoulder",
        ),
        swap_pairs=((1, 2), (3, 4), (5, 6)),
        metrics=("pck_6px", "bbc_pck"),
        parts={"head": (0,), "wrist": (1, 2), "elbow": (3, 4), "shoulder": (5, 6)},
        folder="bbcpose",
        licence=BBC_LICENCE,
        source=BBC_SOURCE,
        notes=(
            "train: videos 11-15, the validation set that the papers fit their regressors on; test: videos 16-20",
            "pretrain on bbcpose_train (videos 1-10), as the papers do",
            "crop: 300x300 px around the middle of the annotated joints' rectangle, clipped; it uses the annotation",
        ),
    ),
    DatasetSpec(
        name="bbcpose_train",
        summary="BBC Pose: the frames of its ten training videos, unlabelled",
        target="lmbench.datasets.bbcpose:load_train",
        selection_of="bbcpose",
        paper="Charles et al. 2013",
        year=2013,
        splits={"train": None},
        preprocessing=PAPERS_BODIES,
        framing=Framing(
            kind="landmarks", of="the seven tracked joints", rule="lmbench.datasets.bbcpose:training_frames"
        ),
        folder="bbcpose",
        licence=BBC_LICENCE,
        source=BBC_SOURCE,
        notes=(
            "videos 1-10; crop: the rectangle of the tracked joints and 60 px on each side, clipped, as in the reference",
        ),
    ),
    DatasetSpec(
        name="lspet",
        summary="Leeds Sports Pose Extended: people in sports, 14 joints; stands in for bodies",
        target="lmbench.datasets.lspet:load",
        paper="Johnson and Everingham 2011",
        year=2011,
        splits={"train": None, "test": None},
        preprocessing=PAPERS_BODIES,
        framing=Framing(kind="landmarks", of="the visible joints", factor=1.4, square=True),
        landmark_names=(
            "right_ankle",
            "right_knee",
            "right_hip",
            "left_hip",
            "left_knee",
            "left_ankle",
            "right_wrist",
            "right_elbow",
            "right_shoulder",
            "left_shoulder",
            "left_elbow",
            "left_wrist",
            "neck",
            "head_top",
        ),
        swap_pairs=((0, 5), (1, 4), (2, 3), (6, 11), (7, 10), (8, 9)),
        metrics=("box_error", "pck_5pct"),
        parts={
            "ankle": (0, 5),
            "knee": (1, 4),
            "hip": (2, 3),
            "wrist": (6, 11),
            "elbow": (7, 10),
            "shoulder": (8, 9),
            "head": (12, 13),
        },
        folder="LSPET",
        licence="for non-commercial research; images belong to their owners",
        source="lspet_dataset.zip (sam.johnson.io/research/lspet.html)",
        notes=(
            "not one of the papers' sets: it stands in for bodies where BBC Pose cannot be had",
            "every image that is present; one tests where sha256 of its file name is divisible by 4",
            "crop: a square of 1.4 sides of the visible joints' rectangle; invisible joints have no position",
        ),
    ),
]
