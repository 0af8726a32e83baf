"""CelebA (Liu et al. 2015), aligned and in the wild, without the faces of MAFL; and its lists, which MAFL shares.

Layout: ``Anno/``, ``Eval/``, ``Img/`` as CelebA ships them, and ``MAFL/{training,testing}.txt`` beside them; lists and
image folders that lie at the top are found too, and so are lists as the ``.csv`` of Kaggle's copy. Coordinates are taken
as they are, as the papers do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import datasets
import numpy as np

from lmbench.errors import DataError
from lmbench.originals.lists import Listed, Originals

POINTS = 5  # left eye, right eye, nose, left and right mouth corner; x and y in turn
TRAINING_PART = 0  # of list_eval_partition.txt; 1 validates, 2 tests
BOX = (0, 30, 178, 178)  # DVE, CL, LEAD: 178x178 from row 30 of the aligned 178x218
ALIGNED = ("Img/img_align_celeba_hq", "Img/img_align_celeba", "img_align_celeba_hq", "img_align_celeba")
WILD = ("Img_in_the_wild", "Img/img_celeba", "img_celeba")
ADVICE = (
    "Unpack CelebA (mmlab.ie.cuhk.edu.hk/projects/CelebA.html) and the MAFL lists "
    "(github.com/zhzhanp/TCDCN-face-alignment) there, or pass --data-root."
)


def load(root: Path) -> dict[str, datasets.Dataset]:
    """Train: partition 0 without both MAFL lists, 146,501 images. Test: MAFL's. Raises DataError, Incomplete."""
    lists = Lists("celeba", root)
    return aligned_splits(lists, lists.training_names(lists.mafl_train | lists.mafl_test))


def load_minus_mafl_test(root: Path) -> dict[str, datasets.Dataset]:
    """Train: partition 0 without MAFL's test list alone, 161,962 images. Test: MAFL's. Raises DataError, Incomplete."""
    lists = Lists("celeba_minus_mafl_test", root)
    return aligned_splits(lists, lists.training_names(lists.mafl_test))


def load_wild(root: Path) -> dict[str, datasets.Dataset]:
    """The images of ``celeba`` before alignment, whole and unlabelled. Raises DataError, Incomplete."""
    lists = Lists("celeba_wild", root)
    names = lists.training_names(lists.mafl_train | lists.mafl_test)
    folder = lists.images(WILD)
    part = Listed([folder / n for n in names], names, remark=f"images of {folder.name}, squashed to a square")
    return lists.originals.splits({"train": part})


def aligned_splits(lists: Lists, training: Sequence[str]) -> dict[str, datasets.Dataset]:
    """``training`` and MAFL's test faces from the aligned images, with their landmarks and the papers' crop."""
    folder = lists.images(ALIGNED)
    table = lists.table("Anno", "list_landmarks_align_celeba.txt", 2 * POINTS)

    def part(names: Sequence[str]) -> Listed:
        points = lists.rows_of(names, table).reshape(-1, POINTS, 2)
        boxes = np.tile(np.array(BOX, np.float32), (len(names), 1))
        return Listed([folder / n for n in names], names, points, boxes=boxes, remark=f"images of {folder.name}")

    return lists.originals.splits({"train": part(training), "test": part(sorted(lists.mafl_test))})


@dataclass(frozen=True)
class Table:
    """A table of CelebA: the row of each image, and the numbers (N, columns)."""

    path: Path
    row: dict[str, int]
    values: np.ndarray


@dataclass(frozen=True)
class Lists:
    """The lists below ``root``, read when asked for. Raises DataError where one is missing, cut off or of another set."""

    dataset: str
    root: Path

    @cached_property
    def mafl_train(self) -> frozenset[str]:
        """File names of MAFL's 19,000 training images."""
        return self._mafl("training.txt")

    @cached_property
    def mafl_test(self) -> frozenset[str]:
        """File names of MAFL's 1,000 test images."""
        names = self._mafl("testing.txt")
        if both := sorted(names & self.mafl_train):
            raise DataError(
                f"{self.dataset}: {len(both)} images stand in both lists of {self.root / 'MAFL'} (first: {both[0]}); "
                "fetch the lists again."
            )
        return names

    @cached_property
    def partition(self) -> Table:
        """The part of every image: 0, 1 or 2."""
        table = self.table("Eval", "list_eval_partition.txt", 1, header=False)
        if strange := sorted(set(np.unique(table.values).tolist()) - {0.0, 1.0, 2.0}):
            raise DataError(f"{table.path}: parts are 0, 1 and 2; {strange[0]:g} is found.")
        return table

    def training_names(self, withheld: frozenset[str]) -> list[str]:
        """File names of partition 0 but for ``withheld``, sorted."""
        self.rows_of(sorted(withheld), self.partition)
        training = self.partition.values[:, 0] == TRAINING_PART
        return sorted(n for n, i in self.partition.row.items() if training[i] and n not in withheld)

    def rows_of(self, names: Sequence[str], table: Table) -> np.ndarray:
        """The numbers (N, columns) of some images. Raises DataError where the table lacks one."""
        absent = [n for n in names if n not in table.row]
        if absent:
            raise DataError(
                f"{self.dataset}: {table.path} has no row for {len(absent)} of {len(names)} images (first: {absent[0]}); "
                "the lists are of different versions or one is cut off. Fetch CelebA's and MAFL's lists again."
            )
        return table.values[[table.row[n] for n in names]]

    def table(self, folder: str, name: str, columns: int, header: bool = True) -> Table:
        """One of CelebA's tables: with ``header``, the number of rows and the columns' names come first.

        Kaggle's copy has the same rows as ``.csv``, after a line of the columns' names.
        """
        places = [self.root / folder, self.root]
        named = [place / n for n in (name, f"{Path(name).stem}.csv") for place in places]
        path = next((p for p in named if p.is_file()), named[0])
        lines = self.originals.lines(path)
        if path.suffix == ".csv":
            rows = [[cell.strip() for cell in line.split(",")] for line in lines[1:]]
            if not lines or lines[0].split(",")[0].strip() != "image_id":
                raise DataError(
                    f"{path}:1: a line of names from image_id on is expected; this is not Kaggle's {path.name}."
                )
        else:
            if header and (len(lines) < 2 or not lines[0].isdigit()):
                raise DataError(f"{path}:1: the number of images is expected; this is not CelebA's {name}.")
            rows = [line.split() for line in lines[2 * header :]]
            if header and int(lines[0]) != len(rows):
                raise DataError(f"{path} says it has {lines[0]} rows, {len(rows)} are there; fetch it again.")
        for i, fields in enumerate(rows):
            if len(fields) != 1 + columns:
                said = f"a file name and {columns} numbers are expected, found {len(fields)} columns"
                raise DataError(f"{path}: row {i + 1} ({fields[0]}): {said}.")
        try:
            values = np.array([fields[1:] for fields in rows], dtype=np.float64).reshape(-1, columns)
        except ValueError as error:
            raise DataError(f"{path}: a value is no number ({error}).") from None
        return Table(path, _unique([fields[0] for fields in rows], path), values)

    def images(self, candidates: Sequence[str]) -> Path:
        """The first of the folders that is there; the archive's own folder of the same name inside it counts."""
        for candidate in candidates:
            folder = self.root / candidate
            if folder.is_dir():
                return folder / folder.name if (folder / folder.name).is_dir() else folder
        raise DataError(f"{self.dataset}: none of {', '.join(candidates)} is a folder under {self.root}. {ADVICE}")

    @property
    def originals(self) -> Originals:
        return Originals(self.dataset, self.root, ADVICE)

    def _mafl(self, name: str) -> frozenset[str]:
        return frozenset(self.originals.names(self.root / "MAFL" / name))


def _unique(names: Sequence[str], path: Path) -> dict[str, int]:
    """The position of each name. Raises DataError for a name that stands twice."""
    row: dict[str, int] = {}
    for i, name in enumerate(names):
        if row.setdefault(name, i) != i:
            raise DataError(f"{path}: {name} stands twice; fetch it again.")
    return row
