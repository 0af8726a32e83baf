"""CUB and CAT: on small trees in the originals' layout, and on the real files where they are."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from other_trees import (
    cat_tree,
    cub_lists,
    cub_tree,
    landmarks_by_id,
    there,
    write_cat,
    write_lines,
)
from PIL import Image

from lmbench.data.opening import open_dataset
from lmbench.data.pixels import transform_points
from lmbench.data.schema import Incomplete, column
from lmbench.datasets.cats import loader as cats
from lmbench.datasets.cub import loader as cub
from lmbench.errors import DataError, UsageError
from lmbench.geometry.framing import Preprocessing
from lmbench.originals.lists import Originals
from lmbench.originals.verification import verify_dataset


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LMBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def edit(path: Path, line: int, new: str | None) -> None:
    """Puts ``new`` in place of a line (counted from one), or takes the line out."""
    lines = path.read_text().splitlines()
    lines[line - 1 : line] = [] if new is None else [new]
    write_lines(path, lines)


# --- CUB ---


def test_parts_of_a_bird_are_read_as_they_stand(tmp_path: Path) -> None:
    parts = cub_tree(tmp_path)
    found = landmarks_by_id(cub.load_complete(tmp_path / "CUB_200_2011"))
    assert found.keys() == parts.keys()
    for name, rows in parts.items():
        np.testing.assert_array_equal(found[name], rows)


def test_lines_of_part_locs_may_stand_in_any_order(tmp_path: Path) -> None:
    cub_tree(tmp_path)
    folder = tmp_path / "CUB_200_2011"
    before = landmarks_by_id(cub.load_complete(folder))
    path = folder / "parts" / "part_locs.txt"
    write_lines(path, sorted(path.read_text().splitlines(), key=lambda line: line[::-1]))
    after = landmarks_by_id(cub.load_complete(folder))
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_cub_takes_the_lists_of_the_paper_where_they_are_and_says_so(tmp_path: Path) -> None:
    parts = cub_tree(tmp_path)
    birds = [n for n in parts if not n.startswith("001")]
    lists = {"train": birds[:4][::-1], "val": birds[4:6], "test": birds[6:]}
    cub_lists(tmp_path / "CUB_200_2011", lists)
    splits = cub.load(tmp_path / "CUB_200_2011")
    assert {s: list(column(d, "source_id")) for s, d in splits.items()} == lists
    assert {d.info.description for d in splits.values()} == {cub.LISTS_OF_THE_PAPER}


def test_without_the_lists_cub_says_that_the_split_is_our_own(tmp_path: Path) -> None:
    cub_tree(tmp_path)
    splits = cub.load(tmp_path / "CUB_200_2011")
    assert {d.info.description for d in splits.values()} == {cub.OWN_SPLIT}
    assert not any(i.startswith("001") for d in splits.values() for i in column(d, "source_id"))


def test_split_lists_of_cub_that_cannot_be_meant_are_refused(tmp_path: Path) -> None:
    parts = cub_tree(tmp_path)
    birds = [n for n in parts if not n.startswith("001")]
    folder = tmp_path / "CUB_200_2011"
    cub_lists(folder, {"train": birds[:4], "val": birds[4:6], "test": birds[5:]})
    with pytest.raises(DataError, match="stands in the lists of val and test"):
        cub.load(folder)
    write_lines(folder / "split" / "val.txt", [birds[4], birds[4]])
    with pytest.raises(DataError, match=r"val\.txt:2: .* stands in line 1 already"):
        cub.load(folder)
    write_lines(folder / "split" / "val.txt", ["/images/001.Black_footed_Albatross/Bird_0000_1.jpg"])
    with pytest.raises(DataError, match=r"Bird_0000_1\.jpg of the split 'val' is no image of the 35 species"):
        cub.load(folder)
    (folder / "split" / "val.txt").unlink()
    with pytest.raises(DataError, match=r"val\.txt is missing; .* The split lists .* belong together"):
        cub.load(folder)


@pytest.mark.parametrize("asked", ["170", "mourning_warbler", "Mourning Warbler", "170.Mourning_Warbler"])
def test_a_species_has_a_number_and_a_name(tmp_path: Path, asked: str) -> None:
    cub_tree(tmp_path)
    opened = open_dataset(f"cub_species:{asked}", tmp_path)
    assert {s: len(d) for s, d in opened.splits.items()} == {"train": 2, "test": 2}
    assert all(i.startswith("170.") for d in opened.splits.values() for i in column(d, "source_id"))


def test_an_unknown_species_gets_a_suggestion(tmp_path: Path) -> None:
    cub_tree(tmp_path)
    with pytest.raises(UsageError, match=r"no species 'mourning_warbles'.*Did you mean 'mourning_warbler'"):
        open_dataset("cub_species:mourning_warbles", tmp_path)
    with pytest.raises(UsageError, match="no species '3'"):
        open_dataset("cub_species:3", tmp_path)


@pytest.mark.parametrize(
    ("file", "line", "new", "said"),
    [
        ("images.txt", 3, "4 x/y.jpg", r"images\.txt:3: expected `3 NAME`"),
        (
            "images.txt",
            2,
            "2 001.Black_footed_Albatross/Bird_0000_1.jpg",
            r"images\.txt:2: .*Bird_0000_1\.jpg stands in another line already",
        ),
        ("parts/part_locs.txt", 17, "2 2 31.0 x 1", r"part_locs\.txt:17: numbers are expected, found: 2 2 31\.0 x 1"),
        ("parts/part_locs.txt", 17, "2 2 31.0 nan 1", r"part_locs\.txt:17: numbers are expected"),
        ("parts/part_locs.txt", 17, "2 2 31.0 1", r"part_locs\.txt:17: 5 columns are expected, 4 found"),
        ("parts/part_locs.txt", 17, "2 1 31.0 5.0 1", r"part_locs\.txt:17 repeats the entry of another line"),
        ("parts/part_locs.txt", 17, "2 16 31.0 5.0 1", r"part_locs\.txt:17: no such image or part"),
        ("parts/part_locs.txt", 17, None, r"part_locs\.txt has 179 lines; 180 are expected"),
        ("image_class_labels.txt", 5, "50 14", r"image_class_labels\.txt:5: no such image"),
        ("train_test_split.txt", 5, None, r"train_test_split\.txt has 11 lines; 12 are expected"),
    ],
)
def test_damaged_metadata_of_cub_is_named(tmp_path: Path, file: str, line: int, new: str | None, said: str) -> None:
    cub_tree(tmp_path)
    edit(tmp_path / "CUB_200_2011" / file, line, new)
    with pytest.raises(DataError, match=said):
        cub.load_complete(tmp_path / "CUB_200_2011")


def test_metadata_of_cub_without_any_visible_part_is_refused_and_one_such_image_is_kept(tmp_path: Path) -> None:
    cub_tree(tmp_path)
    path = tmp_path / "CUB_200_2011" / "parts" / "part_locs.txt"
    lines = [" ".join([*line.split()[:2], "0.0 0.0 0"]) for line in path.read_text().splitlines()]
    whole = path.read_text().splitlines()
    write_lines(path, lines[:15] + whole[15:])
    found = landmarks_by_id(cub.load_complete(tmp_path / "CUB_200_2011"))
    assert sum(not rows[:, 2].any() for rows in found.values()) == 1
    said = {c.name: c.found for c in verify_dataset("cub_complete", tmp_path)}["landmarks"]
    assert "1 images without a visible one" in said
    write_lines(path, lines)
    with pytest.raises(DataError, match="marks no landmark of any of 12 images as visible"):
        cub.load_complete(tmp_path / "CUB_200_2011")


def test_a_partial_download_of_cub_is_counted_and_a_wrong_folder_named(tmp_path: Path) -> None:
    parts = cub_tree(tmp_path)
    folder = tmp_path / "CUB_200_2011"
    (folder / "images" / next(iter(parts))).unlink()
    with pytest.raises(Incomplete, match=r"1 of 12 files are missing under .* \(first: .*Bird_0000_1\.jpg\)") as caught:
        cub.load_complete(folder)
    assert sum(map(len, caught.value.splits.values())) == 11
    (folder / "images").rename(folder / "pictures")
    with pytest.raises(DataError, match="12 of 12 files are missing under"):
        cub.load_complete(folder)
    with pytest.raises(DataError, match=r"images\.txt is missing; .* Unpack CUB_200_2011\.tgz"):
        cub.load(folder / "pictures")


def test_the_spec_expects_the_counts_of_cub(tmp_path: Path) -> None:
    cub_tree(tmp_path)
    with pytest.raises(DataError, match=r"cub: the split 'train' has 8 images under .* 1241 are expected"):
        open_dataset("cub", tmp_path)


# --- cats ---


def test_seven_of_a_cats_nine_points_are_read_without_the_tips_of_its_ears(tmp_path: Path) -> None:
    points = cat_tree(tmp_path)
    splits = cats.load(tmp_path / "CAT")
    found = {Path(i).name: rows for i, rows in landmarks_by_id(splits).items()}
    assert found.keys() == points.keys()
    for name, rows in found.items():
        np.testing.assert_array_equal(rows[:, :2], points[name][[0, 1, 2, 3, 5, 6, 8]])
    assert {d.info.description for d in splits.values()} == {cats.OWN_SPLIT}


def test_a_cats_box_is_a_square_around_all_nine_points(tmp_path: Path) -> None:
    points = cat_tree(tmp_path)
    for part in cats.load(tmp_path / "CAT").values():
        for i, box in zip(column(part, "source_id"), column(part, "box"), strict=True):
            nine = points[Path(i).name]
            assert box[2] == box[3] == round(1.3 * (nine.max(0) - nine.min(0)).max())
            assert (box[:2] <= nine.min(0)).all()
            assert (box[:2] + box[2:] >= nine.max(0)).all()
            assert np.abs(box[:2] + box[2:] / 2 - (nine.min(0) + nine.max(0)) / 2).max() <= 0.5


def test_cats_take_the_papers_lists_by_file_name(tmp_path: Path) -> None:
    names = list(cat_tree(tmp_path))
    write_lines(tmp_path / "CAT" / "cat_train_images.txt", [f"CAT_00/{n}" for n in names[:12]])
    write_lines(tmp_path / "CAT" / "cat_test_images.txt", [n.removesuffix(".jpg") for n in names[12:15]])
    splits = cats.load(tmp_path / "CAT")
    assert [Path(i).name for i in column(splits["train"], "source_id")] == names[:12]
    assert [Path(i).name for i in column(splits["test"], "source_id")] == names[12:15]
    assert {d.info.description for d in splits.values()} == {cats.LISTS_OF_THE_PAPERS}
    write_lines(tmp_path / "CAT" / "cat_test_images.txt", [names[0]])
    with pytest.raises(DataError, match="stands in the lists of train and test"):
        cats.load(tmp_path / "CAT")
    write_lines(tmp_path / "CAT" / "cat_test_images.txt", ["dog.jpg"])
    with pytest.raises(DataError, match=r"cat_test_images\.txt lists dog\.jpg, which has no annotation"):
        cats.load(tmp_path / "CAT")


def test_the_corrected_annotation_brings_its_cat_back(tmp_path: Path) -> None:
    points = cat_tree(tmp_path)
    write_cat(tmp_path / "CAT" / "CAT_00" / "00000003_015.jpg.cat", next(iter(points.values())))
    assert sum(map(len, cats.load(tmp_path / "CAT").values())) == len(points) + 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("9 1 2 3", "expected `9` and 18 numbers, found 9 1 2 3"),
        ("", "expected `9` and 18 numbers"),
        ("8 " + "1 2 " * 9, "expected `9` and 18 numbers"),
        ("9 x " + "1 " * 17, "a coordinate is no number"),
        ("9 nan " + "1 " * 17, "expected `9` and 18 numbers"),
    ],
)
def test_a_damaged_annotation_of_a_cat_is_named(tmp_path: Path, content: str, said: str) -> None:
    cat_tree(tmp_path)
    (tmp_path / "CAT" / "CAT_00" / "00000000_002.jpg.cat").write_text(content)
    with pytest.raises(DataError, match=rf"00000000_002\.jpg\.cat:1: .*{said}|00000000_002\.jpg\.cat:1: {said}"):
        cats.load(tmp_path / "CAT")


def test_cats_without_partners_twice_or_elsewhere_are_named(tmp_path: Path) -> None:
    points = cat_tree(tmp_path)
    folder = tmp_path / "CAT"
    (folder / "CAT_00" / "00000000_002.jpg").unlink()
    (folder / "CAT_00" / "00000000_004.jpg.cat").unlink()
    with pytest.raises(
        Incomplete, match=r"2 of 20 files are missing under .* \(first: .*00000000_002\.jpg\)"
    ) as caught:
        cats.load(folder)
    assert sum(map(len, caught.value.splits.values())) == len(points) - 2
    write_cat(folder / "CAT_01" / "00000000_000.jpg.cat", next(iter(points.values())))
    with pytest.raises(DataError, match=r"00000000_000\.jpg lies in CAT_00 and in CAT_01"):
        cats.load(folder)
    with pytest.raises(DataError, match=r"no CAT_00/\*\.jpg\.cat under"):
        cats.load(folder / "CAT_00")


# --- the real files ---


def test_the_real_metadata_of_cub_have_the_papers_counts(test_data: Path) -> None:
    folder = test_data / "CUB_200_2011"
    birds = cub.read_metadata(Originals("cub", folder, cub.GET))
    assert len(birds.names) == 11788
    assert birds.train.sum() == 5994
    labels = Counter(int(line.split()[1]) for line in (folder / "image_class_labels.txt").read_text().splitlines())
    assert len(cub.PASSEROIDEA) == 35
    assert sum(labels[c] for c in cub.PASSEROIDEA) == 2076
    passerines = [n for n, c in zip(birds.names, birds.species, strict=True) if c in cub.PASSEROIDEA]
    lists = cub.own_lists(passerines)
    assert {s: len(n) for s, n in lists.items()} == {"train": 1241, "val": 382, "test": 383}
    assert len(set().union(*lists.values())) == 2006
    assert cub.own_lists(passerines[::-1]) == lists


def test_every_real_part_agrees_with_an_independent_parse_and_the_references_scaling(test_data: Path) -> None:
    """The reference code keeps x / width and multiplies by 96."""
    folder = test_data / "CUB_200_2011"
    name_of = dict(line.split() for line in (folder / "images.txt").read_text().splitlines())
    present = {str(f.relative_to(folder / "images")) for f in (folder / "images").rglob("*.jpg")}
    expected: dict[str, np.ndarray] = {n: np.zeros((15, 3)) for n in present}
    for line in (folder / "parts" / "part_locs.txt").read_text().splitlines():
        image, part, x, y, seen = line.split()
        if name_of[image] in present:
            expected[name_of[image]][int(part) - 1] = float(x), float(y), float(seen)
    found = landmarks_by_id(there(cub.load_complete, folder))
    assert found.keys() == present
    assert len(present) == 75
    for name, rows in expected.items():
        np.testing.assert_array_equal(found[name], rows)
        size = np.array(Image.open(folder / "images" / name).size, float)
        moved = transform_points(rows[None, :, :2], np.zeros((1, 4)), size[None], Preprocessing(resize=96))[0]
        np.testing.assert_allclose(moved, rows[:, :2] / size * 96, atol=1e-4)
        assert (rows[:, :2] <= size - 1)[rows[:, 2] == 1].all()


def test_every_real_point_of_a_cat_agrees_with_an_independent_parse(test_data: Path) -> None:
    found = landmarks_by_id(there(cats.load, test_data / "CAT"))
    files = sorted((test_data / "CAT").rglob("*.jpg.cat"))
    assert len(found) == len(files) == 12
    for file in files:
        words = file.read_bytes().split()
        x, y = ([int(w) for w in words[start::2]] for start in (1, 2))
        kept = [0, 1, 2, 3, 5, 6, 8]
        rows = found[f"{file.parent.name}/{file.name.removesuffix('.cat')}"]
        np.testing.assert_array_equal(rows[:, 0], np.array(x)[kept])
        np.testing.assert_array_equal(rows[:, 1], np.array(y)[kept])
