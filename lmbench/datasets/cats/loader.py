"""Cat heads of the CAT dataset (Zhang, Sun and Tang 2008): seven of its nine points, as the papers use them.

``CAT_NN/NAME.jpg.cat`` is one line: the number of points, then x y of each. Points may lie outside the image.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import datasets
import numpy as np

from lmbench.errors import DataError
from lmbench.originals.lists import Listed, Originals, hashed, require_disjoint, rows, square_boxes
from lmbench.originals.walking import without_hidden

POINTS = 9
KEPT = [0, 1, 2, 3, 5, 6, 8]  # without the tips of the ears, as in the evaluation code of Zhang et al. 2018
FRAME = 1.3  # side of the box in sides of the nine points' rectangle; the papers' own crops are not described
TEST_PART = 8  # one head in eight, about the 1,388 that Thewlis et al. 2017 leave for validation
LISTS_OF_THE_PAPERS = "split by the lists of Zhang et al. 2018"
OWN_SPLIT = "split of our own (the lists of Zhang et al. 2018 are not there): no number compares with the papers'"
GET = (
    "Unpack CAT_DATASET_01.zip and CAT_DATASET_02.zip so that CAT_00 to CAT_06 lie in the folder CAT of the data root."
)
# In the archives this image has no annotation, and this annotation no image; the authors offer the first as a file.
KNOWN_BAD = {"00000003_015.jpg", "00000003_019.jpg"}


@dataclass(frozen=True)
class Heads:
    """N annotated images: file names, their paths, all nine points (N, 9, 2)."""

    names: list[str]
    files: list[Path]
    points: np.ndarray


def load(root: Path) -> dict[str, datasets.Dataset]:
    """Heads cut to a square around their nine points, by the papers' lists where they are, else by our own split.

    Raises DataError naming a damaged annotation, Incomplete where an annotation or an image has no partner.
    """
    originals = Originals("cats", root, GET)
    heads = read_heads(originals)
    lists = official_lists(originals, set(heads.names))
    remark = LISTS_OF_THE_PAPERS if lists else OWN_SPLIT
    lists = lists or own_lists(heads.names)
    images = {f for f in without_hidden(root.glob("CAT_0[0-6]/*.jpg")) if f.name not in KNOWN_BAD}
    parts = {split: _part(root, heads, names, remark) for split, names in lists.items()}
    return originals.splits(parts, beside=[_annotation(f) for f in sorted(images - set(heads.files))])


def read_heads(originals: Originals) -> Heads:
    """Every annotation below ``CAT_00`` .. ``CAT_06``, in order. Raises DataError: none, damaged, or a name twice."""
    found = without_hidden(originals.root.glob("CAT_0[0-6]/*.jpg.cat"))
    files = [f.with_suffix("") for f in found]
    files = [f for f in files if f.name not in KNOWN_BAD or f.is_file()]
    if not files:
        raise DataError(f"cats: no CAT_00/*.jpg.cat under {originals.root}. {GET}")
    folder: dict[str, str] = {}
    for file in files:
        if file.name in folder:
            raise DataError(f"cats: {file.name} lies in {folder[file.name]} and in {file.parent.name}; remove one.")
        folder[file.name] = file.parent.name
    return Heads([f.name for f in files], files, np.stack([read_points(originals, _annotation(f)) for f in files]))


def read_points(originals: Originals, path: Path) -> np.ndarray:
    """(9, 2) points of an annotation. Raises DataError naming file and line."""
    words = originals.text(path).split()
    try:
        values = [float(w) for w in words]
    except ValueError:
        raise DataError(f"cats: {path}:1: a coordinate is no number: {' '.join(words):.80}") from None
    if len(values) != 1 + 2 * POINTS or values[0] != POINTS or not np.isfinite(values).all():
        raise DataError(f"cats: {path}:1: expected `{POINTS}` and {2 * POINTS} numbers, found {' '.join(words):.80}")
    return np.array(values[1:]).reshape(POINTS, 2)


def official_lists(originals: Originals, known: set[str]) -> dict[str, list[str]]:
    """Names by split from ``cat_{train,test}_images.txt``, or nothing where neither is there. Raises DataError."""
    paths = {split: originals.root / f"cat_{split}_images.txt" for split in ("train", "test")}
    if not any(p.is_file() for p in paths.values()):
        return {}
    both = replace(originals, advice="The two lists belong together.")
    lists = {}
    for split, path in paths.items():
        lists[split] = [Path(n).name for n in both.names(path)]
        lists[split] = [n if n.endswith(".jpg") else f"{n}.jpg" for n in lists[split]]
        foreign = next((n for n in lists[split] if n not in known), None)
        if foreign:
            raise DataError(f"cats: {path} lists {foreign}, which has no annotation under {originals.root}. {GET}")
    require_disjoint("cats", lists)
    return lists


def own_lists(names: list[str]) -> dict[str, list[str]]:
    """A head is a test head where the hash of its name is divisible by eight."""
    test = {n for n in names if hashed(n) % TEST_PART == 0}
    return {"train": [n for n in names if n not in test], "test": [n for n in names if n in test]}


def _annotation(image: Path) -> Path:
    return image.with_name(f"{image.name}.cat")


def _part(root: Path, heads: Heads, names: list[str], remark: str) -> Listed:
    chosen = rows(heads.names, names)
    points, files = heads.points[chosen], [heads.files[i] for i in chosen]
    boxes = square_boxes(points, np.ones(points.shape[:2], bool), FRAME)
    return Listed(files, [str(f.relative_to(root)) for f in files], points[:, KEPT], boxes=boxes, remark=remark)
