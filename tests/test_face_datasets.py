"""The loaders of the face benchmarks, against the reference code's formulas and an independent parse of the files."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from scipy.io import savemat
from small_face_trees import (
    MAFL_TEST,
    MAFL_TRAIN,
    aflw_m_tree,
    aflw_r_tree,
    celeba_full_tree,
    ids_of,
    jpg,
    yaleb_tree,
)
from small_trees import mtfl_tree, write_image

from lmbench.data.opening import open_prepared
from lmbench.data.prepared import save_prepared
from lmbench.data.schema import Incomplete, column
from lmbench.datasets.aflw_m import loader as aflw_m
from lmbench.datasets.aflw_r import loader as aflw_r
from lmbench.datasets.celeba import loader as celeba
from lmbench.datasets.celeba.loader import Lists
from lmbench.datasets.mafl import loader as mafl
from lmbench.datasets.w300 import loader as w300
from lmbench.datasets.yaleb import loader as yaleb
from lmbench.errors import DataError, UsageError
from lmbench.plugins.loading import get_plugins

Splits = dict[str, datasets.Dataset]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LMBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


# --- CelebA and MAFL ---


def test_celeba_is_its_training_part_without_both_lists_of_mafl(tmp_path: Path) -> None:
    celeba_full_tree(tmp_path)
    splits = celeba.load(tmp_path / "celeba")
    assert ids_of(splits["train"]) == [jpg(n) for n in (1, 4, 6, 7, 8)]
    assert ids_of(splits["test"]) == [jpg(n) for n in sorted(MAFL_TEST)]
    splits = celeba.load_minus_mafl_test(tmp_path / "celeba")
    assert ids_of(splits["train"]) == [jpg(n) for n in (1, 2, 4, 5, 6, 7, 8)]
    splits = celeba.load_wild(tmp_path / "celeba")
    assert ids_of(splits["train"]) == [jpg(n) for n in (1, 4, 6, 7, 8)]
    assert "landmarks" not in splits["train"].column_names


def test_faces_of_mafl_come_sorted_and_move_as_in_the_reference_code(tmp_path: Path, pixels: Any) -> None:
    """DVE, CL: y - 30, then times 136 / 178, then minus 20."""
    written, _, _ = celeba_full_tree(tmp_path)
    splits = mafl.load(tmp_path / "celeba")
    for split, numbers in (("train", MAFL_TRAIN), ("test", MAFL_TEST)):
        ordered = sorted(numbers)
        assert ids_of(splits[split]) == [jpg(n) for n in ordered]
        expected = written[np.array(ordered) - 1].astype(np.float64)
        expected[..., 1] -= 30
        store = pixels("mafl", splits[split])
        np.testing.assert_allclose(store.landmarks, expected * 136 / 178 - 20, atol=1e-4)
        assert store.size == 96
        assert (store.identity == -1).all()  # known ones would change the papers' pairs


@pytest.mark.parametrize(("argument", "low", "high"), [("1-2", 1, 2), ("1.75", 1.75, 1.75), ("1-1.5", 1, 1.5)])
def test_the_zoomed_box_keeps_its_centre_and_landmarks_move_with_it(
    tmp_path: Path, pixels: Any, argument: str, low: float, high: float
) -> None:
    _, written, boxes = celeba_full_tree(tmp_path)
    splits = mafl.load_unaligned(tmp_path / "celeba", argument)
    for split, numbers, limits in (("train", MAFL_TRAIN, (1, 1.5)), ("test", MAFL_TEST, (low, high))):
        rows = np.array(sorted(numbers)) - 1
        found, given = column(splits[split], "box").astype(np.float64), boxes[rows].astype(np.float64)
        factor = found[:, 2] / given[:, 2]
        assert (factor >= limits[0] - 1e-6).all() and (factor <= limits[1] + 1e-6).all()
        np.testing.assert_allclose(found[:, 3] / given[:, 3], factor, rtol=1e-6)
        np.testing.assert_allclose(found[:, :2] + found[:, 2:] / 2, given[:, :2] + given[:, 2:] / 2, atol=1e-4)
        side = (given[:, 2:] * factor[:, None])[:, None]
        corner = (given[:, :2] + given[:, 2:] / 2)[:, None] - side / 2
        expected = (written[rows] - corner) * 136 / side - 20
        np.testing.assert_allclose(pixels("mafl_unaligned:1-2", splits[split]).landmarks, expected, atol=1e-3)


def test_zoom_out_factors_fill_their_range_and_belong_to_the_image_alone() -> None:
    names = [jpg(n) for n in range(2000)]
    boxes = np.tile([10.0, 20.0, 100.0, 100.0], (2000, 1))
    factors = mafl.zoomed_boxes(names, boxes, (1.0, 2.0), "test")[:, 2] / 100
    assert np.abs(np.quantile(factors, [0.01, 0.25, 0.5, 0.75, 0.99]) - [1.01, 1.25, 1.5, 1.75, 1.99]).max() < 0.04
    again = mafl.zoomed_boxes(names[::-1], boxes, (1.0, 2.0), "test")[::-1, 2] / 100
    np.testing.assert_array_equal(factors, again)


def test_mafl_wild_grows_the_boxes_by_ten_to_twenty_percent(tmp_path: Path) -> None:
    _, _, boxes = celeba_full_tree(tmp_path)
    splits = mafl.load_wild(tmp_path / "celeba")
    given = boxes[np.array(sorted(MAFL_TRAIN)) - 1]
    factor = column(splits["train"], "box")[:, 2] / given[:, 2]
    assert (factor >= 1.1).all() and (factor <= 1.2).all()


def test_an_empty_box_of_celeba_stands_for_the_whole_image_and_is_counted(tmp_path: Path) -> None:
    celeba_full_tree(tmp_path)
    path = tmp_path / "celeba" / "Anno" / "list_bbox_celeba.txt"
    path.write_text(re.sub(rf"{jpg(3)}.*", f"{jpg(3)} 0 0 0 0", path.read_text()))
    test = mafl.load_wild(tmp_path / "celeba")["test"]
    assert column(test, "box")[0].tolist() == [0, 0, 0, 0]
    assert "1 empty ones" in test.info.description


@pytest.mark.parametrize("argument", ["", "small", "0.5", "2-1", "1-x", "nan", "1-99", "1-2-3"])
def test_zoom_out_factors_that_make_no_sense_are_refused(argument: str) -> None:
    with pytest.raises(UsageError, match="written LOW-HIGH or as one number"):
        mafl.zoom_factors(argument)


def test_images_of_higher_quality_come_first_and_a_flat_folder_will_do(tmp_path: Path) -> None:
    celeba_full_tree(tmp_path)
    root = tmp_path / "celeba"
    (root / "Img" / "img_align_celeba").rename(root / "Img" / "img_align_celeba_hq")
    assert celeba.load(root)["train"].info.description == "images of img_align_celeba_hq"
    (root / "Img" / "img_align_celeba_hq").rename(root / "img_align_celeba")
    for path in [*(root / "Anno").iterdir(), *(root / "Eval").iterdir()]:
        path.rename(root / path.name)
    assert len(celeba.load(root)["train"]) == 5


def write_real_size_partition(root: Path) -> None:
    """CelebA's parts by number: the first 162,770 train, up to 182,637 validate, the rest of 202,599 test."""
    lines = [f"{jpg(n)} {0 if n <= 162_770 else 1 if n <= 182_637 else 2}" for n in range(1, 202_600)]
    (root / "Eval").mkdir(parents=True)
    (root / "Eval" / "list_eval_partition.txt").write_text("\n".join(lines) + "\n")


def test_the_genuine_lists_of_mafl_give_the_papers_counts_and_matching_pairs(tmp_path: Path, test_data: Path) -> None:
    write_real_size_partition(tmp_path)
    (tmp_path / "MAFL").symlink_to(test_data / "celeba_half" / "MAFL")
    lists = Lists("celeba", tmp_path)
    assert (len(lists.mafl_train), len(lists.mafl_test)) == (19_000, 1_000)
    assert len(lists.training_names(lists.mafl_train | lists.mafl_test)) == 146_501
    assert len(lists.training_names(lists.mafl_test)) == 161_962
    pairs = ["000197", "000756", "000885", "000959", "001051", "001077", "002115", "002646"]
    assert sorted(lists.mafl_test)[:8] == [f"{p}.jpg" for p in pairs]


def spoil(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


ALIGN = "Anno/list_landmarks_align_celeba.txt"


@pytest.mark.parametrize(
    ("path", "old", "new", "said"),
    [
        (ALIGN, "12\n", "202599\n", "says it has 202599 rows, 12 are there"),
        (ALIGN, "12\n", "", "the number of images is expected"),
        (ALIGN, "000003.jpg", "000002.jpg", "000002.jpg stands twice"),
        (
            ALIGN,
            "000003.jpg",
            "999999.jpg",
            r"no row for 1 of 2 images \(first: 000003.jpg\); the lists are of different",
        ),
        (ALIGN, "000001.jpg", "000001.jpg 7", r"row 1 \(000001.jpg\): a file name and 10 numbers .* found 12"),
        ("Eval/list_eval_partition.txt", "000004.jpg 0", "000004.jpg O", "a value is no number"),
        ("Eval/list_eval_partition.txt", "000004.jpg 0", "000004.jpg 7", "parts are 0, 1 and 2; 7 is found"),
        ("Eval/list_eval_partition.txt", "000003.jpg 0\n", "", "the lists are of different versions"),
        ("MAFL/testing.txt", "000003.jpg", "000002.jpg", "1 images stand in both lists"),
        ("MAFL/training.txt", "000009.jpg", "000002.jpg", "000002.jpg stands in line"),
        ("MAFL/training.txt", "000009.jpg", "\x00", "different versions"),
    ],
)
def test_lists_of_celeba_that_are_damaged_or_of_another_version_are_named(
    tmp_path: Path, path: str, old: str, new: str, said: str
) -> None:
    celeba_full_tree(tmp_path)
    spoil(tmp_path / "celeba" / path, old, new)
    with pytest.raises(DataError, match=said):
        celeba.load(tmp_path / "celeba")


def test_kaggles_copy_of_celeba_is_the_same_data(tmp_path: Path) -> None:
    """Lists as CSV at the top, the images' folder twice: github.com/pytorch/vision/issues/2262."""
    celeba_full_tree(tmp_path)
    folder = tmp_path / "celeba"
    before = celeba.load(folder)
    for path, header in (
        (folder / "Anno" / "list_landmarks_align_celeba.txt", 2), (folder / "Eval" / "list_eval_partition.txt", 0)
    ):  # fmt: skip
        rows = [",".join(line.split()) for line in path.read_text().splitlines()[header:]]
        names = "image_id," + ",".join(f"c{i}" for i in range(rows[0].count(",")))
        (folder / f"{path.stem}.csv").write_text("\n".join([names, *rows]) + "\n")
        path.unlink()
    after = celeba.load(folder)
    for split in ("train", "test"):
        assert ids_of(after[split]) == ids_of(before[split])
        np.testing.assert_array_equal(column(after[split], "landmarks"), column(before[split], "landmarks"))
    (folder / "list_eval_partition.csv").write_text("000001.jpg,0\n")
    with pytest.raises(DataError, match=r"list_eval_partition\.csv:1: a line of names from image_id on is expected"):
        celeba.load(folder)


def test_missing_and_renamed_images_of_celeba_are_named_and_the_rest_is_at_hand(tmp_path: Path) -> None:
    celeba_full_tree(tmp_path)
    images = tmp_path / "celeba" / "Img" / "img_align_celeba"
    (images / jpg(4)).unlink()
    with pytest.raises(
        Incomplete, match=rf"1 of 7 files are missing .*\(first: Img/img_align_celeba/{jpg(4)}\)"
    ) as caught:
        celeba.load(tmp_path / "celeba")
    assert ids_of(caught.value.splits["train"]) == [jpg(n) for n in (1, 6, 7, 8)]
    for file in images.iterdir():
        file.rename(file.with_suffix(".png"))
    with pytest.raises(
        DataError, match=r"7 of 7 files are missing .* Beside them lie 11 files of other names \(first: 000001\.png\)"
    ):
        celeba.load(tmp_path / "celeba")


# --- AFLW_M ---


def test_aflw_m_reads_the_papers_splits_and_takes_one_off_every_coordinate(tmp_path: Path, pixels: Any) -> None:
    """DVE, CL: minus 1, then times 136 / 150, then minus 20; x and y in turn, only rows of set 1."""
    training, tested = aflw_m_tree(tmp_path)
    splits = aflw_m.load(tmp_path / "aflw-mtfl")
    assert ids_of(splits["train"]) == ["cropped/39370.jpg", "cropped/39371.jpg", "cropped/39372_b.jpg"]
    moved = pixels("aflw_m", splits["train"]).landmarks
    np.testing.assert_allclose(moved, (training - 1) * 136 / 150 - 20, atol=1e-4)
    assert moved[1, 0, 0] < 0 and moved[1, 0, 1] > 96  # outside, and kept
    np.testing.assert_allclose(column(splits["test"], "landmarks"), np.stack(tested) - 1, atol=1e-5)


def test_mtfl_may_lie_beside_the_folder_of_aflw_m(tmp_path: Path) -> None:
    aflw_m_tree(tmp_path)
    (tmp_path / "aflw-mtfl" / "MTFL").rename(tmp_path / "MTFL")
    assert len(aflw_m.load(tmp_path / "aflw-mtfl")["test"]) == 6


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "image90001.jpg",
            "image00000.jpg",
            r"1 photos of MTFL's test list are marked as training photos .*image00000",
        ),
        (
            "39375,image00002.jpg",
            "39375,image77777.jpg",
            r"does not know 1 photos of MTFL's test list \(first: image00002",
        ),
        ("crop_file", "crop", "the columns image_file, crop_file, set and 10 coordinates .* found face_id"),
        ("39371,image90002.jpg,cropped/39371.jpg,1", "39371,image90002.jpg,cropped/39371.jpg", "row 3 is damaged"),
        ("cropped/39371.jpg", "cropped/39370.jpg", "the id 'cropped/39370.jpg' stands twice"),
    ],
)
def test_leaks_and_damage_in_the_table_of_aflw_m_are_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    aflw_m_tree(tmp_path)
    spoil(tmp_path / "aflw-mtfl" / "aflw_cropped" / "facedata_cropped.csv", old, new)
    with pytest.raises(DataError, match=said):
        aflw_m.load(tmp_path / "aflw-mtfl")


def test_an_eye_without_coordinates_is_named_with_its_row(tmp_path: Path) -> None:
    aflw_m_tree(tmp_path)
    path = tmp_path / "aflw-mtfl" / "aflw_cropped" / "facedata_cropped.csv"
    fields = path.read_text().splitlines()[1].split(",")
    spoil(path, ",".join(fields[4:6]), ",")
    with pytest.raises(DataError, match=r"facedata_cropped\.csv: row 2 is damaged"):
        aflw_m.load(tmp_path / "aflw-mtfl")
    spoil(path, "cropped/39370.jpg,1,,,", "cropped/39370.jpg,1,nan,nan,")
    with pytest.raises(DataError, match=r"NaN or infinite landmarks \(first: cropped/39370\.jpg\)"):
        aflw_m.load(tmp_path / "aflw-mtfl")


def test_every_real_landmark_of_aflw_m_test_agrees_with_an_independent_parse(tmp_path: Path, test_data: Path) -> None:
    """A table that knows the photos of the genuine test list, and one crop to train on."""
    raw = [line.split() for line in (test_data / "MTFL" / "testing.txt").read_text().split("\n")[:-1]]
    photos = sorted({line[0].split("-")[-1] for line in raw})
    aflw_m_tree(tmp_path)
    root = tmp_path / "aflw-mtfl"
    table = root / "aflw_cropped" / "facedata_cropped.csv"
    head, first = table.read_text().splitlines()[:2]
    rows = [f"{i},{photo},cropped/x{i}.jpg,2,{','.join('0' * 10)},0" for i, photo in enumerate(photos)]
    table.write_text("\n".join([head, first, *rows]))
    (root / "MTFL").rename(tmp_path / "small")
    (root / "MTFL").symlink_to(test_data / "MTFL")
    test = aflw_m.load(root)["test"]
    assert len(test) == 2995
    expected = np.array([[[float(line[1 + i]), float(line[6 + i])] for i in range(5)] for line in raw])
    np.testing.assert_allclose(column(test, "landmarks"), expected - 1, atol=1e-4)


# --- AFLW_R ---


def test_aflw_r_swaps_y_and_x_and_squashes_each_crop(tmp_path: Path, pixels: Any) -> None:
    """DVE, CL: x times 136 / w, y times 136 / h, then minus 20; nothing is taken off."""
    made = aflw_r_tree(tmp_path)
    splits = aflw_r.load(tmp_path / "aflw")
    for split, (points, sizes) in made.items():
        expected = points * 136 / sizes[:, None, :] - 20
        np.testing.assert_allclose(pixels("aflw_r", splits[split]).landmarks, expected, atol=1e-3)


def test_repeated_test_images_of_aflw_r_are_kept_under_ids_of_their_own_and_counted(tmp_path: Path) -> None:
    aflw_r_tree(tmp_path)
    test = aflw_r.load(tmp_path / "aflw")["test"]
    assert ids_of(test) == ["0/image01000_50.jpg", "1/image01001_51.jpg", "0/image01000_50.jpg#2"]
    assert "1 of 3 entries repeat an earlier image" in test.info.description
    entry = get_plugins().find("dataset", "aflw_r")
    save_prepared(entry, {"test": test}, tmp_path / "copy", "here")
    assert open_prepared("aflw_r", entry, tmp_path / "copy").splits["test"].info.description == test.info.description


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"gt": np.zeros((4, 5, 2))}, "has no hw; it holds gt"),
        ({"bounding_boxes": np.zeros(3)}, "has no gt and no hw; it holds bounding_boxes"),
        ({"gt": np.zeros((3, 5, 2)), "hw": np.ones((3, 2))}, r"gt of shape \(4, 5, 2\) .* found \(3, 5, 2\)"),
        ({"gt": np.zeros((4, 1, 2)), "hw": np.ones((4, 2))}, r"found \(4, 1, 2\) and \(4, 2\)"),
        ({"gt": np.zeros((4, 5, 2)), "hw": np.zeros((4, 2))}, "hw holds sizes that are not positive"),
        ({"gt": np.full((4, 5, 2), np.nan), "hw": np.ones((4, 2))}, "4 images have NaN or infinite landmarks"),
    ],
)
def test_a_mat_of_another_dataset_or_with_too_few_landmarks_is_refused(
    tmp_path: Path, content: dict[str, Any], said: str
) -> None:
    aflw_r_tree(tmp_path)
    savemat(tmp_path / "aflw" / "aflw_release-2" / "aflw_train_keypoints.mat", content)
    with pytest.raises(DataError, match=said):
        aflw_r.load(tmp_path / "aflw")


@pytest.mark.parametrize("keep", [0, 3, 100, 150, 200, 300])
def test_a_mat_that_is_cut_off_is_named(tmp_path: Path, keep: int) -> None:
    aflw_r_tree(tmp_path)
    path = tmp_path / "aflw" / "aflw_release-2" / "aflw_test_keypoints.mat"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"aflw_test_keypoints\.mat (cannot be read as a MATLAB file|has no)"):
        aflw_r.load(tmp_path / "aflw")


# --- 300-W ---


def test_yaleb_leaves_out_ambient_and_damaged_images_and_knows_its_subjects(tmp_path: Path) -> None:
    train = yaleb.load(yaleb_tree(tmp_path))["train"]
    assert ids_of(train)[0] == "yaleB01/yaleB01_P00A+000E+00.pgm"
    assert len(train) == 4
    assert column(train, "identity").tolist() == [1, 1, 39, 39]
    assert "landmarks" not in train.column_names


# --- the folder of another dataset ---


@pytest.mark.parametrize(
    ("load", "said"),
    [
        (celeba.load, r"celeba: MAFL/training\.txt is missing; .* holds MTFL, notes\.txt"),
        (celeba.load_wild, r"celeba_wild: MAFL/"),
        (mafl.load, r"mafl: MAFL/training\.txt is missing"),
        (mafl.load_wild, r"mafl_wild: none of Img_in_the_wild, .* is a folder under"),
        (aflw_m.load, r"aflw_m: aflw_cropped/facedata_cropped\.csv is missing; .* holds MTFL"),
        (aflw_r.load, r"aflw_r: aflw_train_images\.txt is missing"),
        (w300.load, r"300w: none of afw, helen/trainset"),
        (yaleb.load, r"yaleb: no yaleBNN/yaleBNN_P00A\+000E\+00\.pgm under .* which holds MTFL, notes\.txt"),
    ],
)
def test_the_folder_of_another_dataset_is_told_by_what_it_holds(
    tmp_path: Path, load: Callable[[Path], Splits], said: str
) -> None:
    mtfl_tree(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match=said):
        load(tmp_path)


def test_a_list_that_is_no_text_is_named(tmp_path: Path) -> None:
    celeba_full_tree(tmp_path)
    write_image(tmp_path / "celeba" / "MAFL" / "x.jpg").rename(tmp_path / "celeba" / "MAFL" / "testing.txt")
    with pytest.raises(DataError, match=r"testing\.txt is no text file"):
        celeba.load(tmp_path / "celeba")
