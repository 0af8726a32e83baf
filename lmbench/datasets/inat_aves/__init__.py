"""The birds of iNaturalist 2017."""

from __future__ import annotations

from lmbench.datasets.conventions import PAPERS_BIRDS
from lmbench.geometry.framing import WHOLE_IMAGE
from lmbench.specs import DatasetSpec

SPECS = [
    DatasetSpec(
        name="inat_aves",
        summary="birds of iNaturalist 2017, unlabelled: what Cheng et al. 2021 and LEAD pretrain on",
        target="lmbench.datasets.inat_aves.loader:load",
        paper="Van Horn et al. 2018",
        year=2018,
        splits={"train": None},
        preprocessing=PAPERS_BIRDS,
        framing=WHOLE_IMAGE,
        folder="inat2017",
        licence="for non-commercial research; every image has its own licence",
        source="train_val_images.tar.gz of iNaturalist 2017 (github.com/visipedia/inat_comp/tree/master/2017)",
        notes=(
            "the papers' 100,000 images where their list inat_aves_100K.txt lies in the folder, else all images of Aves",
            "images are squashed to 96x96",
        ),
    ),
]
