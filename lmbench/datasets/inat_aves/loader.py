"""The birds of iNaturalist 2017 (Van Horn et al. 2018), unlabelled: what Cheng et al. 2021 and LEAD pretrain on."""

from __future__ import annotations

from pathlib import Path

import datasets

from lmbench.errors import DataError
from lmbench.originals.lists import Listed, Originals
from lmbench.originals.walking import without_hidden

BIRDS = "Aves"
PLACES = (f"train_val_images/{BIRDS}", BIRDS)
LISTS = ("inat_aves_100K.txt", "inat_train_100K.txt")
GET = "Unpack train_val_images.tar.gz (at least its Aves) in the folder inat2017 of the data root."


def load(root: Path) -> dict[str, datasets.Dataset]:
    """The images of the authors' list where it is there, else every ``Aves/SPECIES/*.jpg``.

    Raises DataError: no such folder, no image, a line without Aves; Incomplete where images of the list are missing.
    """
    originals = Originals("inat_aves", root, GET)
    birds = next((root / p for p in PLACES if (root / p).is_dir()), None)
    if birds is None:
        raise DataError(f"inat_aves: neither {root / PLACES[0]} nor {root / PLACES[1]} is there. {GET}")
    listing = next((root / name for name in LISTS if (root / name).is_file()), None)
    names = (
        _listed(originals, listing)
        if listing
        else [f.relative_to(birds).as_posix() for f in without_hidden(birds.glob("*/*.jpg"))]
    )
    if not names:
        raise DataError(f"inat_aves: no SPECIES/*.jpg under {birds}. {GET}")
    return originals.splits({"train": Listed([birds / n for n in names], names)})


def _listed(originals: Originals, path: Path) -> list[str]:
    """The names of a list, whose lines are paths of the authors' machine, from behind ``Aves/`` on."""
    names = []
    for line in originals.names(path):
        _, found, name = f"/{line}".rpartition(f"/{BIRDS}/")
        if not found:
            raise DataError(f"inat_aves: {path}: {line} is no path of an image of Aves.")
        names.append(name)
    return names
