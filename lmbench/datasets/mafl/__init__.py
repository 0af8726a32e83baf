"""MAFL: faces of CelebA, aligned and in the wild; the papers' first benchmark."""

from __future__ import annotations

from dataclasses import replace

from lmbench.datasets.celeba import ALIGNED, CELEBA, CROP, MAFL_LISTS
from lmbench.geometry.framing import Framing

WILD = {
    "Anno/list_landmarks_celeba.txt": "md5:063ee6ddb681f96bc9ca28c6febb9d1a",
    "Anno/list_bbox_celeba.txt": "md5:00566efa6fedff7a56946cd1c10f1c16",
}
MAFL_ORDER = "sorted by CelebA's file names, which fixes the pairs of matching; identities are left unknown for them"
ZOOM_CHOICES = (
    "LEAD states neither random numbers nor crop: the factor is a hash of the file name, the box keeps its shape until it "
    "is squashed, parts outside the image are black, and the papers' 96 of 136 pixels are kept"
)

MAFL = replace(
    CELEBA,
    name="mafl",
    summary="MAFL: 19,000 training and 1,000 test faces of aligned CelebA",
    target="lmbench.datasets.mafl.loader:load",
    paper="Zhang et al. 2016",
    year=2016,
    splits={"train": 19000, "test": 1000},
    recipes={"cl_faces": {"epochs": 120}},  # CL README, fixed stop
    checksums=MAFL_LISTS | ALIGNED,
    notes=(MAFL_ORDER, CROP),
)

SPECS = [
    MAFL,
    replace(
        MAFL,
        name="mafl_wild",
        summary="MAFL in the wild as LEAD cuts it: CelebA's box with both sides 10 to 20 percent longer",
        target="lmbench.datasets.mafl.loader:load_wild",
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
        target="lmbench.datasets.mafl.loader:load_unaligned",
        object_size=None,
        paper="Zhang et al. 2016; LEAD, sec. 4.4",
        describe="lmbench.datasets.mafl.loader:describe_unaligned",
        year=2022,
        checksums=MAFL_LISTS | WILD,
        notes=("LEAD's Figure 9: factors up to 1.5 are seen in training, up to 2 are not", MAFL_ORDER, ZOOM_CHOICES),
    ),
]
