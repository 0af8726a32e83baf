"""MAFL (Zhang et al. 2016): 19,000 + 1,000 faces of CelebA; aligned, in the wild, and zoomed out as LEAD does."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np

from lmbench.datasets.celeba.loader import POINTS, WILD, Lists, aligned_splits
from lmbench.errors import UsageError
from lmbench.geometry.framing import Framing
from lmbench.originals.lists import Listed

WILD_FACTORS = (1.1, 1.2)  # LEAD, Supp. A: height and width of the box grow by 10 to 20 percent
SEEN_FACTORS = (1.0, 1.5)  # LEAD, sec. 4.4: zoom-out factors that the regressor is fitted on
LARGEST_FACTOR = 10.0


def load(root: Path) -> dict[str, datasets.Dataset]:
    """MAFL's two lists, aligned images, sorted by file name as in the papers' code. Raises DataError, Incomplete."""
    lists = Lists("mafl", root)
    return aligned_splits(lists, sorted(lists.mafl_train))


def load_wild(root: Path) -> dict[str, datasets.Dataset]:
    """MAFL's lists, images in the wild cut at CelebA's box, which grows by 10 to 20 %. Raises DataError, Incomplete."""
    return _zoomed("mafl_wild", root, WILD_FACTORS, WILD_FACTORS)


def load_unaligned(root: Path, argument: str) -> dict[str, datasets.Dataset]:
    """As ``load_wild``, with zoom-out factors of 1 to 1.5 for training and those of ``argument`` for testing.

    Raises UsageError (no such factors), DataError, Incomplete.
    """
    return _zoomed(f"mafl_unaligned:{argument}", root, SEEN_FACTORS, zoom_factors(argument))


def describe_unaligned(argument: str) -> dict[str, Any]:
    """The field of a member's DatasetSpec that its factors decide: the frame of a new image takes their middle."""
    low, high = zoom_factors(argument)
    return {"framing": Framing(kind="box", of="CelebA's box of the face", factor=(low + high) / 2)}


def zoom_factors(argument: str) -> tuple[float, float]:
    """Smallest and largest factor of ``1-1.5`` or ``1.25``. Raises UsageError."""
    low, _, high = argument.partition("-")
    try:
        factors = float(low), float(high or low)
    except ValueError:
        factors = 0.0, 0.0
    if not 1 <= factors[0] <= factors[1] <= LARGEST_FACTOR:
        raise UsageError(
            f"mafl_unaligned:{argument}: zoom-out factors are written LOW-HIGH or as one number, from 1 to "
            f"{LARGEST_FACTOR:g}: mafl_unaligned:1-2 (LEAD), mafl_unaligned:1.75."
        )
    return factors


def zoomed_boxes(names: Sequence[str], boxes: np.ndarray, factors: tuple[float, float], purpose: str) -> np.ndarray:
    """(N, 4) boxes with both sides scaled about their centre by a factor that is uniform in ``factors``.

    The factor is drawn by a hash of the purpose and the file name: the same on every machine, whatever the order.
    """
    digests = [hashlib.sha256(f"{purpose} {name}".encode()).digest() for name in names]
    uniform = np.array([int.from_bytes(d[:6], "big") / 2**48 for d in digests])
    factor = (factors[0] + (factors[1] - factors[0]) * uniform)[:, None]
    centre = boxes[:, :2] + boxes[:, 2:] / 2
    return np.concatenate([centre - boxes[:, 2:] * factor / 2, boxes[:, 2:] * factor], axis=1)


def _zoomed(
    name: str, root: Path, training: tuple[float, float], testing: tuple[float, float]
) -> dict[str, datasets.Dataset]:
    lists = Lists(name, root)
    folder = lists.images(WILD)
    points = lists.table("Anno", "list_landmarks_celeba.txt", 2 * POINTS)
    boxes = lists.table("Anno", "list_bbox_celeba.txt", 4)
    parts = {}
    for split, names, factors in (("train", lists.mafl_train, training), ("test", lists.mafl_test, testing)):
        ordered = sorted(names)
        faces = lists.rows_of(ordered, boxes)
        empty = int((faces[:, 2:] <= 0).any(1).sum())
        faces[(faces[:, 2:] <= 0).any(1)] = 0  # in the schema: the whole image
        parts[split] = Listed(
            [folder / n for n in ordered],
            ordered,
            lists.rows_of(ordered, points).reshape(-1, POINTS, 2),
            boxes=zoomed_boxes(ordered, faces, factors, "mafl zoom"),
            remark=f"CelebA's boxes times {factors[0]:g} to {factors[1]:g}, {empty} empty ones: the whole image",
        )
    return lists.originals.splits(parts)
