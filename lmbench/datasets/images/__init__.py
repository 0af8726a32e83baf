"""Any folder of images, unlabelled."""

from __future__ import annotations

from lmbench.datasets.conventions import OWN_CROPS
from lmbench.geometry.framing import Framing
from lmbench.specs import DatasetSpec

SPECS = [
    DatasetSpec(
        name="images:*",
        summary="any folder of images, unlabelled, for pretraining: images:DIR",
        target="lmbench.datasets.images.loader:load",
        describe="lmbench.datasets.images.loader:describe",
        splits={"train": None},
        preprocessing=OWN_CROPS,
        framing=Framing(kind="central"),
        version="2",
        notes=("every image is cut to its central square",),
    ),
]
