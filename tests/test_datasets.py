"""Loaders on small trees in the originals' layout, and on the real files where they are."""

from __future__ import annotations

import hashlib
import importlib
import pkgutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small_trees import celeba_tree, mtfl_line, mtfl_tree, points_of, write_image, write_list

import lmbench.datasets
from lmbench.data.opening import open_dataset
from lmbench.data.pixels import open_pixels, transform_points
from lmbench.data.schema import Incomplete, column, landmark_dataset
from lmbench.datasets import find_datasets
from lmbench.datasets.celeba_half import loader as celeba_half
from lmbench.datasets.conventions import PAPERS_FACES
from lmbench.datasets.mtfl import loader as mtfl
from lmbench.errors import DataError, UsageError
from lmbench.originals.lists import Originals
from lmbench.plugins.loading import get_plugins


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LMBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


# --- MTFL ---


def listed(path: Path) -> mtfl.Annotations:
    return mtfl.read_list(Originals("mtfl", path.parent, mtfl.ADVICE), path)


def test_coordinates_are_read_as_x1_to_x5_then_y1_to_y5_counted_from_one(tmp_path: Path) -> None:
    train, test = mtfl_tree(tmp_path)
    found = listed(tmp_path / "MTFL" / "training.txt")
    np.testing.assert_allclose(found.landmarks, np.stack(train) - 1, atol=1e-6)
    assert found.paths == [f"lfw_5590/Person_{i:04}.jpg" for i in range(4)]
    found = listed(tmp_path / "MTFL" / "testing.txt")
    np.testing.assert_allclose(found.landmarks, np.stack(test) - 1, atol=1e-6)


def test_the_tree_of_these_tests_has_the_traps_of_the_real_one(tmp_path: Path) -> None:
    mtfl_tree(tmp_path)
    raw = (tmp_path / "MTFL" / "training.txt").read_bytes()
    assert raw.count(b"\r\n ") == 3
    assert b"\\" in raw
    assert b"\\" not in (tmp_path / "MTFL" / "testing.txt").read_bytes()


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("AFLW/0002-image00000.jpg 1 2 3", r"testing\.txt:2: expected 15 columns .* found 4"),
        (
            mtfl_line("AFLW/0002-image00000.jpg", points_of(0)) + " 5",
            r"testing\.txt:2: expected 15 columns .* found 16",
        ),
        (mtfl_line("AFLW/0002-image00000.jpg", points_of(0) * np.nan), r"testing\.txt:2: .*image00000\.jpg is NaN"),
        (
            mtfl_line("AFLW/a.jpg", points_of(0)).replace("20.000000", "2O.0"),
            r"testing\.txt:2: a coordinate is no number",
        ),
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, bad: str, said: str) -> None:
    mtfl_tree(tmp_path)
    path = tmp_path / "MTFL" / "testing.txt"
    lines = path.read_text().split("\n")
    path.write_text("\n".join([lines[0], bad, *lines[2:]]))
    with pytest.raises(DataError, match=said):
        listed(path)


def test_an_empty_list_and_a_missing_list_are_named(tmp_path: Path) -> None:
    (tmp_path / "testing.txt").write_bytes(b"\r\n")
    with pytest.raises(DataError, match=r"testing\.txt lists no image"):
        listed(tmp_path / "testing.txt")
    with pytest.raises(DataError, match=r"training\.txt is missing"):
        listed(tmp_path / "training.txt")


@pytest.mark.parametrize("load", [mtfl.load_aflw_split, mtfl.load_aflw_mtfl])
def test_a_line_for_a_missing_image_is_named_and_the_rest_is_at_hand(tmp_path: Path, load: Any) -> None:
    mtfl_tree(tmp_path)
    (tmp_path / "MTFL" / "AFLW" / "0003-image00001.jpg").unlink()
    said = r"1 of \d+ files are missing under .* \(first: AFLW/0003-image00001\.jpg\)"
    with pytest.raises(Incomplete, match=said) as caught:
        load(tmp_path / "MTFL")
    ids = [i for d in caught.value.splits.values() for i in column(d, "source_id") if i.startswith("AFLW")]
    assert len(ids) == 5


def test_the_full_set_says_how_many_of_the_official_images_are_missing(tmp_path: Path) -> None:
    mtfl_tree(tmp_path)
    with pytest.raises(Incomplete, match=r"lists 4 images, the official list 10000 \(9996 missing\)") as caught:
        open_dataset("mtfl", tmp_path)
    assert {s: len(d) for s, d in caught.value.splits.items()} == {"train": 4, "test": 6}


def test_another_number_of_images_than_the_spec_expects_is_an_error(tmp_path: Path) -> None:
    mtfl_tree(tmp_path)
    with pytest.raises(DataError, match=r"aflw_mtfl: the split 'test' has 6 images under .*MTFL; 2995 are expected"):
        open_dataset("aflw_mtfl", tmp_path)


def test_a_missing_folder_is_named_with_its_source(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"MTFL is not there\. Get it from MTFL\.zip .* --data-root") as caught:
        open_dataset("aflw_split", tmp_path)
    assert str(tmp_path / "MTFL") in str(caught.value)


def test_an_unknown_dataset_gets_a_suggestion(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Did you mean 'aflw_split'"):
        open_dataset("aflw_splt", tmp_path)


def test_no_photo_of_aflw_split_is_on_both_sides(tmp_path: Path) -> None:
    mtfl_tree(tmp_path, test=40)
    splits = mtfl.load_aflw_split(tmp_path / "MTFL")
    photos = {s: {p[-9:] for p in column(d, "source_id")} for s, d in splits.items()}
    assert not photos["train"] & photos["test"]
    assert sum(map(len, photos.values())) == 20


def test_the_side_of_a_photo_is_a_hash_of_its_name_alone() -> None:
    for number in (1, 77, 65_000):
        name = f"image{number:05}"
        expected = int(hashlib.sha256(name.encode()).hexdigest(), 16) % 3 == 0
        assert mtfl.is_test_photo(f"AFLW/0001-{name}.jpg") == mtfl.is_test_photo(f"AFLW/2999-{name}.jpg") == expected
    with pytest.raises(DataError, match="does not name its photo"):
        mtfl.is_test_photo("AFLW/portrait.jpg")


def test_training_boxes_follow_the_face_wherever_and_however_large_it_is() -> None:
    face = points_of(0)[None]
    box = mtfl.framing_boxes(face)[0]
    assert box[2] == box[3]
    inside = (face[0] > box[:2]) & (face[0] < box[:2] + box[2:])
    assert inside.all()
    moved = mtfl.framing_boxes(face + [100, -30])[0]
    np.testing.assert_allclose(moved - box, [100, -30, 0, 0], atol=1e-9)
    larger = mtfl.framing_boxes(face * 3)[0]
    assert abs(larger[2] / box[2] - 3) < 0.05


def test_training_images_that_are_not_there_are_left_out_of_aflw_mtfl(tmp_path: Path) -> None:
    mtfl_tree(tmp_path)
    (tmp_path / "MTFL" / "lfw_5590" / "Person_0002.jpg").unlink()
    splits = mtfl.load_aflw_mtfl(tmp_path / "MTFL")
    assert list(column(splits["train"], "source_id")) == [f"lfw_5590/Person_{i:04}.jpg" for i in (0, 1, 3)]
    assert (column(splits["train"], "box")[:, 2] > 0).all()
    assert (column(splits["test"], "box") == 0).all()


def test_aflw_mtfl_without_any_training_image_is_refused(tmp_path: Path) -> None:
    mtfl_tree(tmp_path)
    for file in (tmp_path / "MTFL" / "lfw_5590").iterdir():
        file.unlink()
    with pytest.raises(DataError, match=r"none of the 4 images of training\.txt"):
        mtfl.load_aflw_mtfl(tmp_path / "MTFL")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"GIF89a but not really", "begins as a GIF, but is damaged"),
        (b"hello", "is no image of a format that is recognised"),
    ],
)
def test_a_file_that_is_no_image_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    write_image(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(content)
    dataset = landmark_dataset([tmp_path / "a.png", tmp_path / "b.png"], ["a", "b"])
    with pytest.raises(DataError, match=rf"b\.png.*({said})"):
        open_pixels(dataset, "f", "train", PAPERS_FACES, tmp_path / "cache")


def test_a_truncated_image_is_named(tmp_path: Path) -> None:
    whole = write_image(tmp_path / "a.jpg").read_bytes()
    (tmp_path / "b.jpg").write_bytes(whole[: len(whole) // 2])
    dataset = landmark_dataset([tmp_path / "b.jpg"], ["b"])
    with pytest.raises(DataError, match=r"b\.jpg is cut off"):
        open_pixels(dataset, "f", "train", PAPERS_FACES, tmp_path / "cache")


# --- CelebA, folders ---


def test_celeba_half_leaves_out_the_test_faces_of_mafl(tmp_path: Path) -> None:
    train = celeba_half.load(celeba_tree(tmp_path))["train"]
    assert list(column(train, "source_id")) == ["000001.jpg", "000003.jpg", "000005.jpg"]
    assert "landmarks" not in train.column_names


def test_celeba_half_is_refused_without_the_list_of_those_faces(tmp_path: Path) -> None:
    folder = celeba_tree(tmp_path)
    (folder / "MAFL" / "testing.txt").unlink()
    with pytest.raises(
        DataError, match=r"testing\.txt is missing; .* Without it MAFL's test faces would be trained on"
    ):
        celeba_half.load(folder)


def test_celeba_half_is_cut_as_the_papers_cut_it(tmp_path: Path) -> None:
    """Their 178x178 from row 30 of 178x218, at half size: 89x89 from row 15."""
    box = column(celeba_half.load(celeba_tree(tmp_path))["train"], "box")
    np.testing.assert_array_equal(box * 2, np.tile([0, 30, 178, 178], (3, 1)))


def test_any_folder_of_images_is_a_dataset(tmp_path: Path) -> None:
    write_image(tmp_path / "mine" / "b.png", (40, 30), seed=1)
    write_image(tmp_path / "mine" / "deep" / "a.jpg", (20, 50), seed=2)
    (tmp_path / "mine" / "notes.txt").write_text("no image")
    opened = open_dataset(f"images:{tmp_path / 'mine'}")
    assert list(column(opened.splits["train"], "source_id")) == ["b.png", "deep/a.jpg"]
    np.testing.assert_array_equal(column(opened.splits["train"], "box"), [[5, 0, 30, 30], [0, 15, 20, 20]])
    assert len(opened.pixels("train")) == 2


def test_a_folder_without_images_with_a_broken_one_or_none_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such folder"):
        open_dataset(f"images:{tmp_path / 'nowhere'}")
    (tmp_path / "mine").mkdir()
    with pytest.raises(DataError, match="no image file in it"):
        open_dataset(f"images:{tmp_path / 'mine'}")
    (tmp_path / "mine" / "a.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"a\.png is empty"):
        open_dataset(f"images:{tmp_path / 'mine'}")
    (tmp_path / "mine" / "a.png").write_bytes(b"text")
    with pytest.raises(DataError, match=r"a\.png is no image"):
        open_dataset(f"images:{tmp_path / 'mine'}")


# --- the schema ---


def test_a_repeated_id_unequal_lengths_and_nan_landmarks_are_named() -> None:
    with pytest.raises(DataError, match="the id 'a' stands twice"):
        landmark_dataset([b"x", b"y"], ["a", "a"])
    with pytest.raises(DataError, match="2 images but 1 entries of 'identity'"):
        landmark_dataset([b"x", b"y"], ["a", "b"], identity=[1])
    points = np.zeros((2, 3, 2))
    points[1, 0, 0] = np.inf
    with pytest.raises(DataError, match=r"1 images have NaN or infinite landmarks \(first: b\)"):
        landmark_dataset([b"x", b"y"], ["a", "b"], points)
    with pytest.raises(DataError, match=r"\(images, landmarks, 2\) is expected"):
        landmark_dataset([b"x"], ["a"], np.zeros((1, 2)))


# --- the real files ---


def parse_independently(path: Path) -> dict[str, list[float]]:
    """``{name: [x1 .. x5, y1 .. y5]}`` by the words of a line, as the file has them."""
    found = {}
    for line in path.read_bytes().split(b"\r\n"):
        words = line.decode("latin-1").split()
        if words:
            found[words[0].replace("\\", "/")] = [float(w) for w in words[1:11]]
    return found


def test_every_real_landmark_agrees_with_an_independent_parse_and_the_papers_preprocessing(test_data: Path) -> None:
    """The reference code: (p - 1) * 136 / 150 - 20 for 150x150 test crops."""
    raw = parse_independently(test_data / "MTFL" / "testing.txt")
    assert len(raw) == 2995
    splits = open_dataset("aflw_split", test_data).splits
    ids = [i for d in splits.values() for i in column(d, "source_id")]
    points = np.concatenate([column(d, "landmarks") for d in splits.values()])
    expected = np.array([np.reshape(raw[i], (2, 5)).T for i in ids])
    np.testing.assert_allclose(points, expected - 1, atol=1e-4)
    sides, boxes = np.full((len(ids), 2), 150.0), np.zeros((len(ids), 4))
    moved = transform_points(points, boxes, sides, PAPERS_FACES)
    np.testing.assert_allclose(moved, (expected - 1) * 136 / 150 - 20, atol=1e-4)


def test_the_real_aflw_split_has_its_counts_and_no_photo_on_both_sides(test_data: Path) -> None:
    first, second = (open_dataset("aflw_split", test_data).splits for _ in range(2))
    photos = {s: {p.split("-")[1] for p in column(d, "source_id")} for s, d in first.items()}
    assert {s: len(d) for s, d in first.items()} == {"train": 1995, "test": 1000}
    assert len(photos["train"]) + len(photos["test"]) == 2863
    assert not photos["train"] & photos["test"]
    for split in first:
        assert list(column(first[split], "source_id")) == list(column(second[split], "source_id"))


def test_the_real_training_faces_are_framed_as_the_test_crops_are(test_data: Path) -> None:
    """After boxing, eyes stand as far apart and as high as on the test crops, up to a few percent."""
    splits = mtfl.load_aflw_mtfl(test_data / "MTFL")
    raw = parse_independently(test_data / "MTFL" / "training.txt")
    train = splits["train"]
    expected = np.array([np.reshape(raw[i], (2, 5)).T - 1 for i in column(train, "source_id")])
    np.testing.assert_allclose(column(train, "landmarks"), expected, atol=1e-4)
    boxes = column(train, "box")
    boxed = (expected - boxes[:, None, :2]) / boxes[:, None, 2:]
    crops = column(splits["test"], "landmarks") / 150
    assert np.abs(np.median(boxed, 0) - np.median(crops, 0)).max() < 0.04


def test_no_test_face_of_mafl_is_in_the_real_celeba_half(test_data: Path) -> None:
    train = open_dataset("celeba_half", test_data).splits["train"]
    held_out = set((test_data / "celeba_half" / "MAFL" / "testing.txt").read_text().split())
    assert len(held_out) == 1000
    assert not held_out & set(column(train, "source_id"))
    assert len(train) == 10_000 - 39


def test_a_greyscale_image_becomes_rgb(tmp_path: Path) -> None:
    mtfl_tree(tmp_path)
    assert Image.open(tmp_path / "MTFL" / "AFLW" / "0002-image00000.jpg").mode == "L"
    splits = mtfl.load_aflw_split(tmp_path / "MTFL")
    for split, dataset in splits.items():
        if "AFLW/0002-image00000.jpg" in (ids := list(column(dataset, "source_id"))):
            store = open_pixels(dataset, "f", split, PAPERS_FACES, tmp_path / "cache")
            pixels = store.images[ids.index("AFLW/0002-image00000.jpg")]
            assert (pixels == pixels[..., :1]).all()


def test_lists_with_lines_that_end_in_lf_are_read_too(tmp_path: Path) -> None:
    write_list(tmp_path / "crlf.txt", [mtfl_line("a.jpg", points_of(0)), mtfl_line("b.jpg", points_of(1))])
    (tmp_path / "lf.txt").write_bytes((tmp_path / "crlf.txt").read_bytes().replace(b"\r\n", b"\n"))
    first, second = (listed(tmp_path / name) for name in ("crlf.txt", "lf.txt"))
    assert first.paths == second.paths
    np.testing.assert_array_equal(first.landmarks, second.landmarks)


# --- where datasets stand ---


def test_a_dataset_stands_in_one_package_with_its_loader() -> None:
    for package in pkgutil.iter_modules(lmbench.datasets.__path__):
        if package.ispkg:
            place = f"lmbench.datasets.{package.name}"
            for spec in importlib.import_module(place).SPECS:
                assert spec.target.startswith(f"{place}.")
                assert callable(spec.load())


def test_a_package_that_is_put_beside_the_others_is_a_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = 'DatasetSpec(name="ponies", summary="", splits={"train": None}, preprocessing=Preprocessing(resize=8))'
    (tmp_path / "ponies").mkdir()
    (tmp_path / "ponies" / "__init__.py").write_text(
        f"from lmbench.specs import DatasetSpec, Preprocessing\n\nSPECS = [{spec}]\n"
    )
    before = find_datasets()
    monkeypatch.setattr(lmbench.datasets, "__path__", [*lmbench.datasets.__path__, str(tmp_path)])
    assert [s.name for s in find_datasets() if s not in before] == ["ponies"]


def test_an_unlabelled_folder_is_described_by_what_it_holds(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    (tmp_path / ".b.png").touch()
    notes = get_plugins().find("dataset", f"images:{tmp_path}").spec.notes
    assert notes == ("1 images, each cut to its central square", "left out: 1 hidden file (.b.png)")
    with pytest.raises(DataError, match="no image file in it"):
        get_plugins().find("dataset", f"images:{write_image(tmp_path / 'c' / '.d.png').parent}")
