"""BBC Pose: sign-language signers."""

from __future__ import annotations

from lmbench.datasets.conventions import PAPERS_BODIES
from lmbench.geometry.framing import Framing
from lmbench.specs import DatasetSpec

BBC_LICENCE = "for non-commercial research; frames belong to the BBC"
BBC_SOURCE = "bbcpose_data_1.0.zip and bbcpose_extbbcpose_code_1.0.tgz (www.robots.ox.ac.uk/~vgg/data/pose/index.html)"

JOINTS = ("head", "right_wrist", "left_wrist", "right_elbow", "left_elbow", "right_shoulder", "left_shoulder")

SPECS = [
    DatasetSpec(
        name="bbcpose",
        summary="BBC Pose: frames of signers that were annotated by hand, seven joints of the upper body",
        target="lmbench.datasets.bbcpose.loader:load",
        paper="Charles et al. 2013",
        year=2013,
        splits={"train": 1000, "test": 1000},
        preprocessing=PAPERS_BODIES,
        framing=Framing(
            kind="landmarks", of="the seven annotated joints", rule="lmbench.datasets.bbcpose.loader:frames_around"
        ),
        landmark_names=JOINTS,
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
        target="lmbench.datasets.bbcpose.loader:load_train",
        selection_of="bbcpose",
        paper="Charles et al. 2013",
        year=2013,
        splits={"train": None},
        preprocessing=PAPERS_BODIES,
        framing=Framing(
            kind="landmarks", of="the seven tracked joints", rule="lmbench.datasets.bbcpose.loader:training_frames"
        ),
        folder="bbcpose",
        licence=BBC_LICENCE,
        source=BBC_SOURCE,
        notes=(
            "videos 1-10; crop: the rectangle of the tracked joints and 60 px on each side, clipped, as in the reference",
        ),
    ),
]
