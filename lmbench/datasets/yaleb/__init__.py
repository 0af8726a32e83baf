"""Extended Yale B, cropped."""

from __future__ import annotations

from lmbench.datasets.conventions import PAPERS_FACES
from lmbench.geometry.framing import Framing
from lmbench.specs import DatasetSpec

SPECS = [
    DatasetSpec(
        name="yaleb",
        summary="Extended Yale B, cropped: 38 subjects under 64 lights, unlabelled",
        target="lmbench.datasets.yaleb.loader:load",
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
]
