"""CUB-200-2011 (Wah et al. 2011): the 35 species of Cheng et al. 2021, all species, and single ones.

Positions in ``parts/part_locs.txt`` are whole pixels of the original image and taken as they are, as the reference
code does; a part that is not visible stands there as ``0.0 0.0 0``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import datasets
import numpy as np

from lmbench.errors import UsageError, did_you_mean
from lmbench.originals.lists import Listed, Originals, hashed, require_disjoint, require_visible, rows

PARTS = 15
GET = "Unpack CUB_200_2011.tgz so that images.txt lies in the folder CUB_200_2011 of the data root."
# The classes in the split lists of Cheng et al. 2021 (footnote 3: Passeroidea, the biggest bird taxon of iNaturalist).
PASSEROIDEA = (
    14, 15, 16, 17, 20, 21, 34, 35, 47, 48, 54, 55, 56, 57, 76, 99, 109, 113, 114, 115, 116, 117, 139, 158, 159, 160, 161,
    162, 163, 164, 165, 166, 167, 168, 170,
)  # fmt: skip
LISTS_OF_THE_PAPER = "split by the lists of Cheng et al. 2021"
OWN_SPLIT = "split of our own (the lists of Cheng et al. 2021 are not there): no number compares with the papers'"
SIZES = {"train": 1241, "val": 382, "test": 383}  # Cheng et al. 2021, sec. 4.1


@dataclass(frozen=True)
class Birds:
    """The metadata of N images: names as in images.txt, species from 1, parts (N, 15, 2), visible (N, 15)."""

    names: list[str]
    species: np.ndarray
    train: np.ndarray
    parts: np.ndarray
    visible: np.ndarray

    def select(self, indices: np.ndarray) -> Birds:
        return replace(
            self,
            names=[self.names[i] for i in indices],
            species=self.species[indices],
            train=self.train[indices],
            parts=self.parts[indices],
            visible=self.visible[indices],
        )


def load(root: Path) -> dict[str, datasets.Dataset]:
    """Cheng's 35 species by his split lists where ``split/`` holds them, else by a split of our own.

    Raises DataError naming file and line for damaged metadata, Incomplete where images are missing.
    """
    originals = Originals("cub", root, GET)
    parts, remark = benchmark_birds(originals)
    return originals.splits({split: _listed(root, birds, remark) for split, birds in parts.items()})


def benchmark_birds(originals: Originals) -> tuple[dict[str, Birds], str]:
    """Cheng's 35 species by split, and whose split it is. Raises DataError naming file and line for damaged metadata."""
    birds = read_metadata(originals)
    birds = birds.select(np.flatnonzero(np.isin(birds.species, PASSEROIDEA)))
    lists = official_lists(originals)
    remark = LISTS_OF_THE_PAPER if lists else OWN_SPLIT
    lists = lists or own_lists(birds.names)
    known = set(birds.names)
    for split, names in lists.items():
        foreign = next((n for n in names if n not in known), None)
        if foreign:
            raise originals.error(f"{foreign} of the split {split!r} is no image of the 35 species in images.txt.")
    require_disjoint(originals.name, lists)
    return {split: birds.select(rows(birds.names, names)) for split, names in lists.items()}, remark


def load_complete(root: Path) -> dict[str, datasets.Dataset]:
    """All 11,788 images by CUB's own split."""
    originals = Originals("cub_complete", root, GET)
    return _by_official_split(originals, read_metadata(originals))


def load_species(root: Path, argument: str) -> dict[str, datasets.Dataset]:
    """One species by CUB's own split; ``argument``: its number (``1``, ``001``) or name. Raises UsageError: no such one."""
    originals = Originals(f"cub_species:{argument}", root, GET)
    chosen = species_number(originals, argument)
    birds = read_metadata(originals)
    return _by_official_split(originals, birds.select(np.flatnonzero(birds.species == chosen)))


def species_number(originals: Originals, asked: str) -> int:
    """The number of a species by its number, its name or both (``001.Black_footed_Albatross``), in any case."""
    classes, known = originals.root / "classes.txt", dict[str, int]()
    for number, line in enumerate(originals.text(classes).splitlines(), 1):
        words = line.split()
        if not words:
            continue
        if len(words) != 2 or not words[0].isdigit() or "." not in words[1]:
            raise originals.error(f"{classes}:{number}: expected `1 001.Name`, found {line:.60}")
        folder = words[1].lower()
        known |= {folder: int(words[0]), folder.partition(".")[2]: int(words[0])}
    wanted = asked.lower().replace(" ", "_")
    if wanted.isdigit() and int(wanted) in known.values():
        return int(wanted)
    if wanted not in known:
        names = [n for n in known if "." not in n]
        raise UsageError(f"cub_species: no species {asked!r} in classes.txt.{did_you_mean(wanted, names)}")
    return known[wanted]


def read_metadata(originals: Originals) -> Birds:
    """All of CUB's metadata. Raises DataError naming the file, and the line where one does not parse."""
    root, images, parts = originals.root, originals.root / "images.txt", originals.root / "parts" / "part_locs.txt"
    numbered = [line.split(maxsplit=1) for line in originals.names(images)]
    seen: set[str] = set()
    for line, words in enumerate(numbered, 1):
        if len(words) != 2 or words[0] != str(line):
            raise originals.error(f"{images}:{line}: expected `{line} NAME`, found {' '.join(words):.60}")
        if words[1] in seen:
            raise originals.error(f"{images}:{line}: {words[1]} stands in another line already.")
        seen.add(words[1])
    count = len(numbered)
    locations = originals.numbers(parts, 5)
    keys = (locations[:, 0] - 1) * PARTS + locations[:, 1] - 1
    inside = (locations[:, 1] >= 1) & (locations[:, 1] <= PARTS)
    order = _each_once(originals, parts, keys, inside, count * PARTS, f"{PARTS} parts an image")
    locations = locations[order].reshape(count, PARTS, 5)
    visible = locations[..., 4] == 1
    require_visible(visible, originals.name, parts)
    return Birds(
        names=[words[1] for words in numbered],
        species=_column(originals, root / "image_class_labels.txt", count),
        train=_column(originals, root / "train_test_split.txt", count) == 1,
        parts=locations[..., 2:4],
        visible=visible,
    )


def official_lists(originals: Originals) -> dict[str, list[str]]:
    """Names by split from ``split/{train,val,test}.txt``, or nothing where that folder holds none of them.

    Their lines are paths of the authors' machine; the last two parts are the name.
    """
    paths = {split: originals.root / "split" / f"{split}.txt" for split in SIZES}
    if not any(p.is_file() for p in paths.values()):
        return {}
    lists = replace(
        originals, advice="The split lists of Cheng et al. 2021 belong together: put all three there, or none."
    )
    return {split: ["/".join(line.split("/")[-2:]) for line in lists.names(path)] for split, path in paths.items()}


def own_lists(names: list[str]) -> dict[str, list[str]]:
    """As many names a split as Cheng et al. took, in the order of a hash of the name; 70 images stay unused."""
    order = sorted(names, key=hashed)
    lists, start = {}, 0
    for split, size in SIZES.items():
        lists[split] = sorted(order[start : start + size])
        start += size
    return lists


def _column(originals: Originals, path: Path, count: int) -> np.ndarray:
    table = originals.numbers(path, 2)
    order = _each_once(originals, path, table[:, 0] - 1, np.ones(len(table), bool), count, "one line an image")
    return table[order, 1].astype(int)


def _each_once(
    originals: Originals, path: Path, keys: np.ndarray, inside: np.ndarray, count: int, what: str
) -> np.ndarray:
    """The order that sorts ``keys``, which must be 0 .. count - 1, each once. Raises DataError naming a line."""
    inside = inside & (keys >= 0) & (keys < count) & (keys % 1 == 0)
    if not inside.all():
        line = int((~inside).argmax()) + 1
        raise originals.error(f"{path}:{line}: no such image or part in images.txt and parts.txt.")
    found, first = np.unique(keys, return_index=True)
    if len(found) < len(keys):
        line = int(np.setdiff1d(np.arange(len(keys)), first)[0]) + 1
        raise originals.error(f"{path}:{line} repeats the entry of another line; {what} is expected.")
    if len(found) != count:
        raise originals.error(f"{path} has {len(keys)} lines; {count} are expected ({what}).")
    return np.argsort(keys)


def _by_official_split(originals: Originals, birds: Birds) -> dict[str, datasets.Dataset]:
    sides = {"train": np.flatnonzero(birds.train), "test": np.flatnonzero(~birds.train)}
    return originals.splits({split: _listed(originals.root, birds.select(indices)) for split, indices in sides.items()})


def _listed(root: Path, birds: Birds, remark: str = "") -> Listed:
    files = [root / "images" / n for n in birds.names]
    return Listed(files, birds.names, birds.parts, birds.visible, remark=remark)
