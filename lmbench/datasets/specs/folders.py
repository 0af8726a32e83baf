"""A user's own images: families whose members are named by a path."""

from __future__ import annotations

from dataclasses import replace

from lmbench.datasets.specs.faces import PAPERS_FACES
from lmbench.specs import DatasetSpec

OWN_CROPS = replace(PAPERS_FACES, centres="kept")  # their frames are enlarged as often as reduced, and by all factors

FOLDERS = [
    DatasetSpec(
        name="images:*",
        summary="any folder of images, unlabelled, for pretraining: images:DIR",
        target="lmbench.datasets.image_folder:load",
        splits={"train": None},
        preprocessing=OWN_CROPS,
        version="2",
        notes=("every image is cut to its central square",),
    ),
    DatasetSpec(
        name="folder:*",
        summary="your own labelled images (COCO, DeepLabCut, imglab, .pts, CSV): folder:DIR[:option=value...]",
        target="lmbench.datasets.folders:load",
        describe="lmbench.datasets.folders:describe",
        splits={"train": None, "test": None},
        preprocessing=OWN_CROPS,
        version="2",
        notes=("landmarks, metrics and splits are those of the folder: lmbench describe dataset folder:DIR",),
    ),
]
