"""An excerpt of CelebA at half size."""

from __future__ import annotations

from lmbench.datasets.celeba import ALIGNED_FACE, LICENCE, MAFL_LISTS
from lmbench.datasets.conventions import PAPERS_FACES
from lmbench.geometry.framing import Framing
from lmbench.specs import DatasetSpec

SPECS = [
    DatasetSpec(
        name="celeba_half",
        summary="10,000 aligned CelebA faces at half size, unlabelled, without MAFL's test faces",
        target="lmbench.datasets.celeba_half.loader:load",
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
