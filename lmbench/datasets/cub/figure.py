"""CUB's 35 species with figure and ground for every pixel: the birds of ``cub``, its masks in place of its parts.

A mask is a grey image, brighter where more annotators saw the bird; the figure is what is brighter than half.
"""

from __future__ import annotations

from pathlib import Path

import datasets

from lmbench.data.images import read_grey
from lmbench.data.masks import encode_mask
from lmbench.datasets.cub.loader import GET, benchmark_birds
from lmbench.errors import DataError
from lmbench.originals.lists import Listed, Originals

FIGURE = 0.5 * 255
GET_MASKS = (
    "Unpack segmentations.tgz of CUB-200-2011, so that the folder segmentations lies beside CUB_200_2011 or in it."
)


def load(root: Path) -> dict[str, datasets.Dataset]:
    """The images of ``cub`` in its splits, with masks of two classes. Raises DataError naming what is missing or damaged."""
    originals = Originals("cub_figure", root, GET)
    lists, remark = benchmark_birds(originals)
    folder = mask_folder(root)

    def mask(name: str) -> bytes:
        return read_mask(folder / Path(name).with_suffix(".png"))

    return originals.splits(
        {
            split: Listed([root / "images" / n for n in birds.names], birds.names, mask=mask, remark=remark)
            for split, birds in lists.items()
        }
    )


def mask_folder(root: Path) -> Path:
    """The folder of the masks, in CUB_200_2011 or beside it. Raises DataError where there is none."""
    for folder in (root / "segmentations", root.parent / "segmentations"):
        if folder.is_dir():
            return folder
    raise DataError(f"cub_figure: {root / 'segmentations'} is missing. {GET_MASKS}")


def read_mask(path: Path) -> bytes:
    """Ground 0 and figure 1 as an encoded 8-bit PNG. Raises DataError: missing, no image, or nothing but ground."""
    if not path.is_file():
        raise DataError(f"cub_figure: {path} is missing; every image has a mask. {GET_MASKS}")
    figure = read_grey(path, str(path), "cub_figure") > FIGURE
    if not figure.any():
        raise DataError(f"cub_figure: {path} shows no bird: no pixel is brighter than half.")
    return encode_mask(figure)
