"""`lmbench data verify` on the face benchmarks, and the page that each of them has."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_face_trees import (
    MAFL_TEST,
    aflw_m_tree,
    aflw_r_tree,
    celeba_full_tree,
    jpg,
    w300_tree,
    yaleb_tree,
)

from lmbench.datasets import find_datasets
from lmbench.originals.verification import verify_dataset
from lmbench.plugins.loading import get_plugins
from lmbench.specs import DatasetSpec

LANDMARKS = "Anno/list_landmarks_align_celeba.txt"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LMBENCH_CACHE", str(tmp_path / "cache"))


class Counted:
    """The installed datasets, one of them with other counts and checksums, so that a small tree is complete."""

    def __init__(self, name: str, splits: dict[str, int], checksums: dict[str, str]) -> None:
        entry = get_plugins().find("dataset", name)
        self.entry = replace(entry, spec=replace(entry.spec, splits=splits, checksums=checksums))

    def find(self, kind: str, name: str) -> Any:
        return self.entry


def verified(
    name: str, root: Path, splits: dict[str, int], checksums: dict[str, str] | None = None
) -> dict[str, tuple[bool, str]]:
    few: Any = Counted(name, splits, checksums or {})
    return {check.name: (check.ok, check.found) for check in verify_dataset(name, root, few)}


@pytest.mark.parametrize(
    ("name", "make", "splits"),
    [
        ("celeba", celeba_full_tree, {"train": 5, "test": 2}),
        ("celeba_minus_mafl_test", celeba_full_tree, {"train": 7, "test": 2}),
        ("celeba_wild", celeba_full_tree, {"train": 5}),
        ("mafl", celeba_full_tree, {"train": 3, "test": 2}),
        ("mafl_wild", celeba_full_tree, {"train": 3, "test": 2}),
        ("mafl_unaligned:1-2", celeba_full_tree, {"train": 3, "test": 2}),
        ("aflw_m", aflw_m_tree, {"train": 3, "test": 6}),
        ("aflw_r", aflw_r_tree, {"train": 4, "test": 3}),
        ("300w", w300_tree, {"train": 6, "test": 6}),
        ("yaleb", yaleb_tree, {"train": 4}),
    ],
)
def test_a_sound_tree_passes_every_check(tmp_path: Path, name: str, make: Any, splits: dict[str, int]) -> None:
    make(tmp_path)
    checks = verified(name, tmp_path, splits)
    assert {n: found for n, (ok, found) in checks.items() if not ok} == {}
    if name.startswith("celeba"):
        assert checks["held out"][1].endswith("trained on: none by name, none by content")
    if name == "aflw_m":
        assert checks["landmarks"][1].startswith("train 15 of 15 finite, 1 visible ones outside")
    if name == "aflw_r":
        assert "repeated within a split: none; further entries of an image: 1 in test" in checks["images twice"][1]
        assert "1 of 3 entries repeat an earlier image" in checks["remarks"][1]


def test_a_test_face_of_mafl_under_another_name_is_found_by_its_bytes(tmp_path: Path) -> None:
    celeba_full_tree(tmp_path)
    images = tmp_path / "celeba" / "Img" / "img_align_celeba"
    (images / jpg(4)).write_bytes((images / jpg(MAFL_TEST[0])).read_bytes())
    checks = verified("celeba", tmp_path, {"train": 5, "test": 2})
    assert not checks["held out"][0] and "1 by content" in checks["held out"][1]
    assert not checks["images twice"][0]


def test_a_published_list_that_was_changed_is_told(tmp_path: Path) -> None:
    celeba_full_tree(tmp_path)
    sums = {
        f"MAFL/{name}": "sha256:" + hashlib.sha256((tmp_path / "celeba" / "MAFL" / name).read_bytes()).hexdigest()
        for name in ("training.txt", "testing.txt")
    }
    assert verified("mafl", tmp_path, {"train": 3, "test": 2}, sums)["checksums"][0]
    with (tmp_path / "celeba" / "MAFL" / "training.txt").open("a") as file:
        file.write("\n")
    ok, found = verified("mafl", tmp_path, {"train": 3, "test": 2}, sums)["checksums"]
    assert (ok, found) == (False, "2 of 2 published files are there, differing: MAFL/training.txt")


def test_another_version_and_a_partial_download_are_told_by_their_counts(tmp_path: Path) -> None:
    celeba_full_tree(tmp_path)
    checks = verified("mafl", tmp_path, {"train": 19000, "test": 2})
    assert checks["counts"] == (False, "train 3 of 19000: 18997 missing, test 2 of 2")
    (tmp_path / "celeba" / "Img" / "img_align_celeba" / jpg(2)).unlink()
    checks = verified("mafl", tmp_path, {"train": 3, "test": 2})
    assert not checks["complete"][0] and "1 of 5 files are missing" in checks["complete"][1]


def test_two_eyes_in_one_place_are_found(tmp_path: Path) -> None:
    written, _, _ = celeba_full_tree(tmp_path)
    row = written[MAFL_TEST[0] - 1].copy()
    row[1] = row[0]
    path = tmp_path / "celeba" / LANDMARKS
    path.write_text(
        re.sub(rf"{jpg(MAFL_TEST[0])}.*", f"{jpg(MAFL_TEST[0])} {' '.join(map(str, row.ravel()))}", path.read_text())
    )
    ok, found = verified("mafl", tmp_path, {"train": 3, "test": 2})["eye distance"]
    assert not ok and f"1 times zero (first: {jpg(MAFL_TEST[0])})" in found


def test_the_genuine_lists_have_the_sums_that_the_specs_state(test_data: Path) -> None:
    for name, folder in (("mafl", "celeba_half"), ("mtfl", "MTFL"), ("celeba_half", "celeba_half")):
        sums = get_plugins().find("dataset", name).spec.checksums
        there = {p: s for p, s in sums.items() if (test_data / folder / p).is_file()}
        assert there
        for path, expected in there.items():
            assert "sha256:" + hashlib.sha256((test_data / folder / path).read_bytes()).hexdigest() == expected


# --- the pages ---


PAGES = [
    spec for spec in find_datasets() if spec.name not in ("folder:*", "images:*")
]  # a user's own have one in common


@pytest.mark.parametrize("spec", PAGES, ids=lambda spec: spec.name)
def test_every_dataset_has_a_page_with_its_counts(spec: DatasetSpec) -> None:
    pages = [
        path.read_text(encoding="utf-8") for path in (Path(__file__).parent.parent / "docs" / "datasets").iterdir()
    ]
    name = spec.name.partition(":")[0]
    texts = [text for text in pages if re.search(rf"\b{name}\b", text.splitlines()[0])]
    assert len(texts) == 1
    if name != "mafl_wild" and name != "mafl_unaligned":
        for count in spec.splits.values():
            assert count is None or f"{count:,}" in texts[0]
