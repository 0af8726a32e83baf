"""Bodies, digits, shoes and unlabelled birds: on small trees in the originals' layout, and on the real files where they are."""

from __future__ import annotations

import gzip
import io
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from other_trees import (
    bbc_tree,
    inat_tree,
    landmarks_by_id,
    lspet_tree,
    mnist_tree,
    there,
    write_lines,
)
from PIL import Image
from small_trees import write_image

from lmbench.data.boxes import from_record
from lmbench.data.opening import open_dataset
from lmbench.data.pixels import preprocess_image
from lmbench.data.schema import Incomplete, column
from lmbench.datasets import find_datasets
from lmbench.datasets.bbcpose import loader as bbcpose
from lmbench.datasets.cats import loader as cats
from lmbench.datasets.inat_aves import loader as inat_aves
from lmbench.datasets.lspet import loader as lspet
from lmbench.datasets.mnist import loader as mnist
from lmbench.datasets.zappos import loader as zappos
from lmbench.errors import DataError, LmbenchError, UsageError
from lmbench.geometry.framing import Preprocessing
from lmbench.plugins.loading import get_plugins


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LMBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


# --- BBC Pose ---


def test_frames_annotated_by_hand_are_cut_to_300_pixels_around_the_joints(tmp_path: Path) -> None:
    written = bbc_tree(tmp_path)
    splits = bbcpose.load(tmp_path / "bbcpose")
    videos = {split: set(column(d, "identity")) for split, d in splits.items()}
    assert videos == {"train": {11, 12, 13, 14, 15}, "test": {16, 17, 18, 19, 20}}
    for part in splits.values():
        for i, points, box in zip(
            column(part, "source_id"), column(part, "landmarks"), column(part, "box"), strict=True
        ):
            video, frame = i.removesuffix(".jpg").split("/")
            joints = written[int(video), int(frame)] - 1
            np.testing.assert_allclose(points, joints, atol=1e-4)
            middle = (joints.min(0) + joints.max(0)) / 2
            low, high = np.maximum(np.round(middle - 150), 0), np.minimum(np.round(middle + 150), [720, 405])
            np.testing.assert_allclose(box, [*low, *(high - low)])


def test_training_frames_are_cut_to_their_joints_and_sixty_pixels_without_labels(tmp_path: Path) -> None:
    written = bbc_tree(tmp_path)
    train = bbcpose.load_train(tmp_path / "bbcpose")["train"]
    assert "landmarks" not in train.column_names
    assert set(column(train, "identity")) == set(range(1, 11))
    for i, box in zip(column(train, "source_id"), column(train, "box"), strict=True):
        video, frame = i.removesuffix(".jpg").split("/")
        joints = written[int(video), int(frame)] - 1
        low = np.maximum(np.round(joints.min(0) - 60), 0)
        high = np.minimum(np.round(joints.max(0) + 60), [720, 405])
        np.testing.assert_allclose(box, [*low, *(high - low)])


def test_one_annotated_frame_a_video_is_read_too(tmp_path: Path) -> None:
    bbc_tree(tmp_path, frames=1)
    assert {s: len(d) for s, d in bbcpose.load(tmp_path / "bbcpose").items()} == {"train": 5, "test": 5}


def test_missing_videos_of_bbc_pose_are_counted(tmp_path: Path) -> None:
    bbc_tree(tmp_path, videos=17)
    with pytest.raises(Incomplete, match=r"9 of 30 files are missing under .*bbcpose \(first: 18/180\.jpg\)") as caught:
        bbcpose.load(tmp_path / "bbcpose")
    assert {s: len(d) for s, d in caught.value.splits.items()} == {"train": 15, "test": 6}
    (tmp_path / "bbcpose" / "code" / "bbcpose.mat").unlink()
    with pytest.raises(DataError, match=r"code/bbcpose\.mat is missing\. Unpack the 20 archives"):
        bbcpose.load(tmp_path / "bbcpose")


def bbc_mat(folder: Path, **fields: Any) -> None:
    """``bbcpose.mat`` with the same fields for every video."""
    structs = np.zeros((1, 20), [(name, object) for name in fields])
    for i in range(20):
        structs[0, i] = tuple(fields.values())
    (folder / "code").mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(folder / "code" / "bbcpose.mat", {"bbcpose": structs})


def test_another_bbcpose_mat_is_refused(tmp_path: Path) -> None:
    two, joints = np.array([[1.0, 2.0]]), np.ones((2, 7, 2))
    bbc_mat(tmp_path, videoName="a")
    with pytest.raises(DataError, match="video 11 has no test_frames and test_joints"):
        bbcpose.load(tmp_path)
    bbc_mat(tmp_path, test_frames=two, test_joints=np.ones((2, 16, 2)))
    with pytest.raises(DataError, match=r"video 11 has 2 test_frames and test_joints of shape \(2, 16, 2\)"):
        bbcpose.load(tmp_path)
    bbc_mat(tmp_path, test_frames=np.zeros((0, 0)), test_joints=np.zeros((0, 0)))
    with pytest.raises(DataError, match="video 11 has 0 test_frames"):
        bbcpose.load(tmp_path)
    bbc_mat(tmp_path, test_frames=np.array([[2.0, 2.0]]), test_joints=joints)
    with pytest.raises(DataError, match="video 11 names a frame twice"):
        bbcpose.load(tmp_path)
    bbc_mat(tmp_path, test_frames=two, test_joints=joints * np.nan)
    with pytest.raises(DataError, match="video 11 has a joint that is NaN"):
        bbcpose.load(tmp_path)
    (tmp_path / "code" / "bbcpose.mat").write_bytes(b"no MATLAB here")
    with pytest.raises(DataError, match=r"bbcpose\.mat cannot be read as a MATLAB file"):
        bbcpose.load(tmp_path)
    scipy.io.savemat(tmp_path / "code" / "bbcpose.mat", {"results": np.ones(3)})
    with pytest.raises(DataError, match="has no bbcpose; it holds results"):
        bbcpose.load(tmp_path)


def test_frames_that_are_smaller_than_their_joints_say_are_refused(tmp_path: Path) -> None:
    bbc_tree(tmp_path)
    for file in (tmp_path / "bbcpose" / "11").iterdir():
        write_image(file, (20, 20))
    with pytest.raises(DataError, match=r"joints of 3 frames lie outside their image \(first: .*11/110\.jpg\)"):
        bbcpose.load(tmp_path / "bbcpose")


# --- Leeds Sports ---


def test_joints_that_are_not_visible_have_no_place_and_absent_images_are_left_out(tmp_path: Path) -> None:
    joints = lspet_tree(tmp_path)
    found = landmarks_by_id(there(lspet.load, tmp_path / "LSPET"))
    assert sorted(found) == [f"im{i:05}.jpg" for i in range(1, 13)]
    for name, rows in found.items():
        expected = joints[:, :, int(name[2:7]) - 1]
        np.testing.assert_array_equal(rows[:, 2], expected[:, 2])
        seen = expected[:, 2] == 1
        np.testing.assert_allclose(rows[seen, :2], expected[seen, :2], atol=1e-5)
        assert (rows[~seen, :2] == 0).all()


def test_another_joints_mat_renamed_images_and_nothing_visible_are_refused(tmp_path: Path) -> None:
    joints = lspet_tree(tmp_path)
    folder = tmp_path / "LSPET"
    scipy.io.savemat(folder / "joints.mat", {"joints": joints.transpose(1, 0, 2)})
    with pytest.raises(DataError, match=r"has shape \(3, 14, 20\); \(14, 3, images\) is expected"):
        lspet.load(folder)
    scipy.io.savemat(folder / "joints.mat", {"joints": joints * [[[1], [1], [0]]]})
    with pytest.raises(DataError, match="marks no landmark of any of 20 images as visible"):
        lspet.load(folder)
    scipy.io.savemat(folder / "joints.mat", {"joints": joints})
    for file in list((folder / "images").iterdir()):
        file.rename(file.with_name(f"image_{file.name}"))
    with pytest.raises(DataError, match=r"20 of 20 files are missing .*Beside them lie 12 files of other names"):
        lspet.load(folder)


# --- MNIST, shoes, iNaturalist ---


@pytest.mark.parametrize("packed", [True, False])
def test_a_digits_images_are_read_without_its_last_thousand(tmp_path: Path, packed: bool) -> None:
    images, labels = mnist_tree(tmp_path, packed=packed)
    train = open_dataset("mnist:3", tmp_path).splits["train"]
    expected = images[labels == 3][:100]
    assert len(train) == 100
    for i in (0, 99):
        decoded = np.asarray(Image.open(io.BytesIO(train[i]["image"]["bytes"])))
        np.testing.assert_array_equal(decoded, expected[i])


def test_a_digit_has_a_black_border_of_five_pixels(tmp_path: Path) -> None:
    _, labels = mnist_tree(tmp_path)
    pixels = open_dataset("mnist:3", tmp_path).pixels("train")
    assert pixels.images.shape == (100, 45, 45, 3)
    assert (pixels.images[:, :4] == 0).all()
    assert (pixels.images[:, :, -4:] == 0).all()
    assert pixels.images[:, 7:-7, 7:-7].mean() > 100
    assert (labels == 3).sum() == 1100


@pytest.mark.parametrize("asked", ["mnist:13", "mnist:x", "mnist:3/val"])
def test_what_is_no_digit_is_refused(tmp_path: Path, asked: str) -> None:
    mnist_tree(tmp_path)
    with pytest.raises(UsageError, match="a digit is expected"):
        open_dataset(asked, tmp_path)


def test_damaged_and_missing_files_of_mnist_are_named(tmp_path: Path) -> None:
    mnist_tree(tmp_path)
    folder = tmp_path / "MNIST"
    images = folder / "train-images-idx3-ubyte.gz"
    whole = gzip.decompress(images.read_bytes())
    images.write_bytes(images.read_bytes()[:1000])
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz cannot be unpacked"):
        mnist.load(folder, "3")
    images.write_bytes(gzip.compress(whole[:-5], 1))
    with pytest.raises(DataError, match=r"which does not fit its shape \(2200, 28, 28\)"):
        mnist.load(folder, "3")
    images.write_bytes(gzip.compress(b"<html>", 1))
    with pytest.raises(DataError, match="is no idx file of bytes"):
        mnist.load(folder, "3")
    images.write_bytes((folder / "train-labels-idx1-ubyte.gz").read_bytes())
    with pytest.raises(DataError, match=r"are images of shape \(2200,\) and labels of shape \(2200,\)"):
        mnist.load(folder, "3")
    images.unlink()
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte is missing .* mnist:3/t10k"):
        mnist.load(folder, "3")


def test_a_shoe_lies_in_a_white_square(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zappos, "HELD_OUT", 2)
    for i in range(6):
        write_image(tmp_path / "ut-zap50k-images" / "Shoes" / "Oxfords" / f"Brand{i % 2}" / f"{i}.1.jpg", (136, 102), i)
    train = zappos.load(tmp_path / "ut-zap50k-images")["train"]
    assert len(train) == 4
    box = column(train, "box")[0]
    image = Image.open(train[0]["image"]["path"])
    shown, _ = preprocess_image(image, box, Preprocessing(resize=94, fill=255))
    assert (shown[:14] == 255).all()
    assert (shown[:, :14] == 255).all()
    assert (shown[24:70, 16:78] < 250).mean() > 0.9
    monkeypatch.setattr(zappos, "HELD_OUT", 500)
    with pytest.raises(DataError, match=r"6 \*\.jpg under .*; 50025 are expected"):
        zappos.load(tmp_path / "ut-zap50k-images")


def test_birds_of_inaturalist_are_all_images_or_those_of_the_papers_list(tmp_path: Path) -> None:
    names = inat_tree(tmp_path)
    folder = tmp_path / "inat2017"
    assert list(column(inat_aves.load(folder)["train"], "source_id")) == names
    write_lines(folder / "inat_aves_100K.txt", [f"/mnt/somebody/Aves/{n}" for n in names[:2]])
    assert list(column(inat_aves.load(folder)["train"], "source_id")) == names[:2]
    write_lines(folder / "inat_aves_100K.txt", [f"/mnt/somebody/Aves/{n}" for n in (names[0], "Gone/a.jpg")])
    with pytest.raises(Incomplete, match=r"1 of 2 files are missing under .* \(first: .*Aves/Gone/a\.jpg\)") as caught:
        inat_aves.load(folder)
    assert len(caught.value.splits["train"]) == 1


def test_lists_and_folders_of_inaturalist_that_cannot_be_meant_are_refused(tmp_path: Path) -> None:
    names = inat_tree(tmp_path)
    folder = tmp_path / "inat2017"
    listing = folder / "inat_aves_100K.txt"
    write_lines(listing, ["/mnt/somebody/Plantae/Rosa/r.jpg"])
    with pytest.raises(DataError, match=r"r\.jpg is no path of an image of Aves"):
        inat_aves.load(folder)
    write_lines(listing, [f"/mnt/a/Aves/{names[0]}", f"/mnt/a/Aves/{names[1]}", f"/mnt/a/Aves/{names[0]}"])
    with pytest.raises(DataError, match=r"100K\.txt:3: .* stands in line 1 already"):
        inat_aves.load(folder)
    listing.write_bytes(b"\xff\xd8\xff\xe0 a picture")
    with pytest.raises(DataError, match="is no text file"):
        inat_aves.load(folder)
    write_lines(listing, [""])
    with pytest.raises(DataError, match="lists no image"):
        inat_aves.load(folder)
    with pytest.raises(DataError, match=r"neither .*Aves nor .*Aves is there"):
        inat_aves.load(folder / "train_val_images" / "Plantae")


def test_every_dataset_of_these_names_a_metric_that_it_can_be_judged_by() -> None:
    """Without eyes there is no inter-ocular distance."""
    named = {spec.name: spec for spec in find_datasets() if spec.has_landmarks}
    for name in ("cub", "cub_complete", "cub_species:*", "bbcpose", "lspet"):
        assert named[name].eyes is None
        assert "iod" not in named[name].metrics
    assert named["cats"].metrics == ("iod",)
    parts = named["bbcpose"].parts
    assert sorted(i for group in parts.values() for i in group) == list(range(7))


# --- the real files ---


def test_every_real_joint_agrees_with_the_matrix_and_the_splits_do_not_change(test_data: Path) -> None:
    splits = there(lspet.load, test_data / "LSPET")
    assert {s: len(d) for s, d in splits.items()} == {"train": 222, "test": 78}
    joints = scipy.io.loadmat(test_data / "LSPET" / "joints.mat")["joints"]
    found = landmarks_by_id(splits)
    assert sorted(found) == sorted(f.name for f in (test_data / "LSPET" / "images").iterdir())
    for name, rows in found.items():
        expected = joints[:, :, int(name[2:7]) - 1]
        seen = expected[:, 2] == 1
        np.testing.assert_array_equal(rows[:, 2] == 1, seen)
        np.testing.assert_allclose(rows[seen, :2], expected[seen, :2], atol=1e-3)


def test_the_real_digits_are_as_many_as_mnist_says(test_data: Path) -> None:
    """Counts of the test set as published: 980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009."""
    folder = test_data / "MNIST"
    images = mnist.read_idx(folder / "t10k-images-idx3-ubyte.gz")
    labels = mnist.read_idx(folder / "t10k-labels-idx1-ubyte.gz")
    assert images.shape == (10000, 28, 28)
    assert np.bincount(labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    train = mnist.load(folder, "5/t10k")["train"]
    assert len(train) == 892
    decoded = np.asarray(Image.open(io.BytesIO(train[0]["image"]["bytes"])))
    np.testing.assert_array_equal(decoded, images[8])
    assert labels[8] == 5


def test_real_landmarks_lie_in_their_boxes(test_data: Path) -> None:
    for load, folder in ((cats.load, "CAT"), (lspet.load, "LSPET")):
        for part in there(load, test_data / folder).values():
            boxes, points = column(part, "box"), column(part, "landmarks")
            inside = (points >= boxes[:, None, :2]) & (points <= boxes[:, None, :2] + boxes[:, None, 2:])
            assert inside[column(part, "visible").astype(bool)].all()


def test_a_rule_of_an_earlier_record_is_the_datasets_own_wherever_its_loader_stands_now() -> None:
    stated = get_plugins().find("dataset", "bbcpose").spec.framing
    assert stated is not None
    recorded = {**asdict(stated), "rule": "lmbench.datasets.bbcpose:frames_around"}
    assert from_record(recorded, stated) == stated
    for foreign in ("lmbench.datasets.bbcpose.loader:training_frames", "os:system"):
        with pytest.raises(LmbenchError, match="not how its dataset is framed here"):
            from_record({**recorded, "rule": foreign}, stated)
