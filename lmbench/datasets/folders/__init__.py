"""A user's own labelled images."""

from __future__ import annotations

from lmbench.datasets.conventions import OWN_CROPS
from lmbench.specs import DatasetSpec

SPECS = [
    DatasetSpec(
        name="folder:*",
        summary="your own labelled images (COCO, DeepLabCut, imglab, .pts, CSV): folder:DIR[:option=value...]",
        target="lmbench.datasets.folders.loader:load",
        describe="lmbench.datasets.folders.loader:describe",
        splits={"train": None, "test": None},
        preprocessing=OWN_CROPS,
        version="2",
        notes=("landmarks, metrics and splits are those of the folder: lmbench describe dataset folder:DIR",),
    ),
]
