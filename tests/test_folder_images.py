"""Images of users' folders, from the file to the network's pixels: upright, at full range, with the landmark on its dot."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lmbench.data.opening import OpenDataset, open_dataset
from lmbench.errors import DataError, UsageError
from lmbench.geometry.framing import Preprocessing
from lmbench.originals.verification import verify_dataset

WIDE, HIGH = 120, 80
NAMES = ("nose", "left_eye", "right_eye")
ORIENTATIONS = (1, 3, 6, 8)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LMBENCH_CACHE", str(tmp_path / "cache"))


def picture(points: np.ndarray, size: tuple[int, int] = (WIDE, HIGH), radius: float = 3.0) -> np.ndarray:
    """Black, with a red, a green and a blue dot around the points (3, 2)."""
    y, x = np.mgrid[: size[1], : size[0]]
    away = np.stack([np.hypot(x - px, y - py) for px, py in points], -1)
    return (255 * np.clip(radius + 0.5 - away, 0, 1)).astype(np.uint8)


def points_of(i: int) -> np.ndarray:
    return np.array([[60.0, 50], [40, 25], [85, 30]]) + [(i * 3) % 7, i % 5]


def save_turned(pixels: np.ndarray, path: Path, orientation: int) -> None:
    """A photo whose stored pixels, turned as the orientation says, are ``pixels``."""
    away = {1: None, 3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    stored, way = Image.fromarray(pixels), away[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    (stored if way is None else stored.transpose(way)).save(path, exif=exif, quality=95, subsampling=0)


def write_table(folder: Path, points: dict[str, np.ndarray]) -> None:
    header = ",".join(f"{n}_{a}" for n in NAMES for a in "xy")
    rows = [f"{name},{','.join(str(v) for v in p.ravel())}" for name, p in points.items()]
    (folder / "labels.csv").write_text("\n".join([f"image,{header}", *rows]) + "\n")


def beside_dots(opened: OpenDataset) -> float:
    """The farthest that a landmark lies from the centre of its dot, in pixels of the network's images (infinite: no dot)."""
    worst = 0.0
    for split in opened.splits:
        store = opened.pixels(split)
        rows, columns = np.indices(store.images.shape[1:3])
        for image, landmarks in zip(store.images, store.landmarks, strict=True):
            for k, (x, y) in enumerate(landmarks):
                weight = np.clip(image[..., k].astype(float) - 60, 0, None)  # what JPEG smears is darker
                if not weight.any():
                    return np.inf
                found = (columns * weight).sum() / weight.sum(), (rows * weight).sum() / weight.sum()
                worst = max(worst, float(np.hypot(found[0] - x, found[1] - y)))
    return worst


def phone_photos(folder: Path) -> dict[str, np.ndarray]:
    folder.mkdir(exist_ok=True)
    points = {f"{i}.jpg": points_of(i) for i in range(8)}
    for i, (name, p) in enumerate(points.items()):
        save_turned(picture(p), folder / name, ORIENTATIONS[i % 4])
    return points


def test_phone_photos_are_read_upright_where_labels_are_of_what_viewers_show(tmp_path: Path) -> None:
    write_table(tmp_path / "in", phone_photos(tmp_path / "in"))
    opened = open_dataset(f"folder:{tmp_path / 'in'}")
    assert beside_dots(opened) < 0.5
    assert "6 of 8 images turned upright by their EXIF orientation" in opened.spec.notes
    assert all("raw" not in split.column_names for split in opened.splits.values())
    assert opened.pixels("train").reading.endswith("turned upright by their EXIF orientation")


def coco(folder: Path, sizes: dict[str, tuple[int, int]], points: dict[str, np.ndarray]) -> None:
    names = list(points)
    content = {
        "images": [{"id": i, "file_name": n, "width": sizes[n][0], "height": sizes[n][1]} for i, n in enumerate(names)],
        "annotations": [
            {"id": i, "image_id": i, "category_id": 1, "bbox": [10, 10, 100, 60],
             "keypoints": np.concatenate([points[n], [[2]] * 3], 1).ravel().tolist()} for i, n in enumerate(names)
        ],
        "categories": [{"id": 1, "name": "face", "keypoints": list(NAMES)}],
    }  # fmt: skip
    (folder / "a.json").write_text(json.dumps(content))


def stored_photos(folder: Path) -> dict[str, np.ndarray]:
    """Photos whose labels are of the stored pixels, all to be turned by a viewer."""
    folder.mkdir(exist_ok=True)
    points = {f"{i}.jpg": points_of(i) for i in range(6)}
    for name, p in points.items():
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.fromarray(picture(p)).save(folder / name, exif=exif, quality=95, subsampling=0)
    return points


def test_sizes_in_the_annotations_that_fit_the_stored_pixels_alone_decide(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    points = stored_photos(folder)
    coco(folder, dict.fromkeys(points, (WIDE, HIGH)), points)
    opened = open_dataset(f"folder:{folder}:crop=image")
    assert beside_dots(opened) < 0.5
    assert all(all(split["raw"]) for split in opened.splits.values())
    said = "read as stored, against their EXIF orientation, since the sizes in the annotations fit those pixels"
    assert f"6 of 6 images {said}" in opened.spec.notes
    upright = open_dataset(f"folder:{folder}:crop=image:orientation=upright:accept=swapped")
    assert upright.fingerprint != opened.fingerprint and beside_dots(upright) > 5


def test_orientation_raw_says_by_hand_that_pixels_are_meant_as_stored(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    write_table(folder, stored_photos(folder))
    with pytest.raises(DataError, match=r"x and y are exchanged, it seems.* orientation=raw reads them the other way"):
        open_dataset(f"folder:{folder}")
    assert beside_dots(open_dataset(f"folder:{folder}:accept=swapped")) > 5
    opened = open_dataset(f"folder:{folder}:orientation=raw")
    assert beside_dots(opened) < 0.5
    assert "6 of 6 images read as stored, against their EXIF orientation" in opened.spec.notes
    with pytest.raises(UsageError, match="orientation=sideways: expected one of upright, raw"):
        open_dataset(f"folder:{folder}:orientation=sideways")


def test_a_folder_for_pretraining_is_upright_too_and_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    stored_photos(folder)
    opened = open_dataset(f"images:{folder}")
    as_stored = open_dataset(f"images:{folder}:orientation=raw")
    assert opened.splits["train"].info.description == "6 of 6 images turned upright by their EXIF orientation"
    assert opened.fingerprint != as_stored.fingerprint
    turned = np.rot90(np.asarray(as_stored.pixels("train").images), -1, (1, 2))  # the square in the middle is the same
    np.testing.assert_allclose(opened.pixels("train").images.astype(int), turned, atol=12)
    with pytest.raises(UsageError, match="'crop' is no option; there are orientation"):
        open_dataset(f"images:{folder}:crop=image")


def test_images_of_sixteen_bits_keep_their_greys_on_the_way_to_the_network(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    ramp = np.linspace(0, 65535, WIDE * HIGH).reshape(HIGH, WIDE).astype(np.uint16)
    for i in range(6):
        Image.fromarray(ramp).save(folder / f"{i}.{'png' if i % 2 else 'tif'}")
    write_table(folder, {f"{i}.{'png' if i % 2 else 'tif'}": points_of(i) for i in range(6)})
    opened = open_dataset(f"folder:{folder}:crop=image:margin=0")
    assert "6 of 6 images of integers brought to 8 bits from 0..65535" in opened.spec.notes
    whole = open_dataset(f"images:{folder}").pixels("train")
    assert len(np.unique(opened.pixels("test").images)) > 200
    eight = Image.fromarray(np.rint(ramp / 257).astype(np.uint8))
    square = eight.crop((20, 0, 100, 80)).resize((136, 136), Image.Resampling.BILINEAR).crop((20, 20, 116, 116))
    np.testing.assert_array_equal(whole.images[0, ..., 1], np.asarray(square))
    images = next(c for c in verify_dataset(f"images:{folder}") if c.name == "images")
    assert images.ok and "train 6 of 6 images of integers brought to 8 bits from 0..65535" in images.found


@pytest.mark.parametrize("side", [12, 15, 40, 300])
def test_the_landmark_stays_on_its_dot_at_any_enlargement(tmp_path: Path, side: int) -> None:
    """Faces of 12 pixels, enlarged eight times, and of 300, made smaller."""
    folder = tmp_path / "in"
    folder.mkdir()
    face = np.array([[0.5, 0.75], [0, 0], [1, 0.1]]) * side
    points = {f"{i}.png": np.round(face + 20 + side / 5 + i) for i in range(6)}
    for name, p in points.items():
        Image.fromarray(picture(p, (2 * side + 40, 2 * side + 40), max(1.0, side / 12))).save(folder / name)
    write_table(folder, points)
    assert beside_dots(open_dataset(f"folder:{folder}")) < 0.25


def test_frames_of_other_sizes_keep_the_rule_of_the_dataset(tmp_path: Path) -> None:
    """What tasks ask for: the whole frame, from which they cut the crop themselves."""
    write_table(tmp_path / "in", phone_photos(tmp_path / "in"))
    opened = open_dataset(f"folder:{tmp_path / 'in'}")
    steps = opened.spec.preprocessing
    whole = opened.pixels("test", Preprocessing(steps.resize)).landmarks
    np.testing.assert_allclose(whole, opened.pixels("test").landmarks + steps.crop, atol=1e-4)


def test_what_is_no_photo_of_ones_own_is_left_out_of_pretraining(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    for name in ("a.png", "@eaDir/a.png", ".Trash/b.png", ".ipynb_checkpoints/a.png", "__MACOSX/a.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(points_of(0))).save(folder / name)
    (folder / "._a.png").write_bytes(b"\0\5\x16\7")
    train = open_dataset(f"images:{folder}").splits["train"]
    assert train["source_id"][:] == ["a.png"]
    for said in ("1 hidden file (._a.png)", "2 hidden folders", "2 folders of a system"):
        assert said in train.info.description


def test_photos_that_cannot_be_read_here_are_counted_and_named(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "IMG_1.nef").write_bytes(b"raw")
    with pytest.raises(DataError, match=r"no image file in it.*1 \.nef file is not read: convert them to PNG or JPEG"):
        open_dataset(f"images:{folder}")
    Image.fromarray(picture(points_of(0))).save(folder / "a.png")
    assert "1 .nef file is not read" in open_dataset(f"images:{folder}").splits["train"].info.description


@pytest.mark.parametrize("content", [b"P5\n4 x4\n255\n" + bytes(16), b"", b"<html>"])
def test_a_damaged_image_is_named_before_anything_is_read_through(tmp_path: Path, content: bytes) -> None:
    folder = tmp_path / "in"
    write_table(folder, phone_photos(folder))
    (folder / "2.jpg").write_bytes(content)
    for name in (f"images:{folder}", f"folder:{folder}"):
        with pytest.raises(DataError, match=r"2\.jpg (is|cannot be read)"):
            open_dataset(name)
    assert any(not check.ok and "2.jpg" in check.found for check in verify_dataset(f"images:{folder}"))
