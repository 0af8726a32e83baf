"""The pixel store: what it holds, that it is built once, and that neither a kill nor many images do harm."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from small_trees import write_image

from lmbench.data import mapped, pixels
from lmbench.data.pixels import PixelStore, open_pixels, preprocess_image, restore_points, transform_points
from lmbench.data.schema import landmark_dataset
from lmbench.errors import DataError, LmbenchError
from lmbench.geometry.framing import Preprocessing
from lmbench.store.files import locked

STEPS = Preprocessing(resize=34, crop=5)
BOXES = np.array([[0, 0, 0, 0], [3, 4, 40, 40], [-6, 10, 44, 30], [0, 0, 0, 0]], np.float32)


@pytest.fixture
def dataset(tmp_path: Path) -> datasets.Dataset:
    """Four images: whole, boxed, boxed beyond the border, greyscale; with landmarks, one of them hidden."""
    sizes = [(60, 60), (60, 60), (50, 70), (40, 30)]
    files = [
        write_image(tmp_path / f"{i}.png", size, seed=i, mode="L" if i == 3 else "RGB") for i, size in enumerate(sizes)
    ]
    points = np.random.default_rng(0).uniform(5, 30, (4, 3, 2))
    visible = np.ones((4, 3), bool)
    visible[1, 2] = False
    return landmark_dataset(files, ["a", "b", "c", "d"], points, visible, identity=[5, 5, 6, -1], boxes=BOXES)


@pytest.fixture
def store(dataset: datasets.Dataset, tmp_path: Path) -> PixelStore:
    return open_pixels(dataset, "print", "train", STEPS, tmp_path / "cache")


def decode_independently(path: Path, box: np.ndarray) -> np.ndarray:
    """The image as the specification says: box (black outside), antialiased bilinear, crop."""
    whole = Image.open(path).convert("RGB")
    if box[2] > 0:
        left, top, width, height = (int(v) for v in box)
        part = Image.new("RGB", (width, height))
        part.paste(whole, (-left, -top))
        whole = part
    resized = whole.resize((34, 34), Image.Resampling.BILINEAR)
    return np.asarray(resized.crop((5, 5, 29, 29)))


def test_every_image_is_as_pillow_decodes_it(store: PixelStore, tmp_path: Path) -> None:
    assert (len(store), store.size, store.images.dtype) == (4, 24, np.uint8)
    for i in range(4):
        np.testing.assert_array_equal(store.images[i], decode_independently(tmp_path / f"{i}.png", BOXES[i]))


def test_a_greyscale_image_has_three_equal_channels(store: PixelStore) -> None:
    assert (store.images[3] == store.images[3][..., :1]).all()
    assert store.images[3].std() > 0


def test_landmarks_move_with_the_pixels_exactly(store: PixelStore, dataset: datasets.Dataset) -> None:
    """p' = (p - origin) * 34 / side - 5, with the sides of the box or of the whole image."""
    sides = [(60, 60), (40, 40), (44, 30), (40, 30)]
    for i, (width, height) in enumerate(sides):
        points = np.array(dataset[i]["landmarks"], dtype=np.float64)
        x = (points[:, 0] - BOXES[i][0]) * 34 / width - 5
        y = (points[:, 1] - BOXES[i][1]) * 34 / height - 5
        np.testing.assert_allclose(store.landmarks[i], np.stack([x, y], -1), atol=1e-5)
    np.testing.assert_array_equal(store.visible, np.array(dataset["visible"][:]))
    assert store.identity.tolist() == [5, 5, 6, -1]
    assert store.source_ids.tolist() == ["a", "b", "c", "d"]


@settings(deadline=None, max_examples=30)
@given(x=st.integers(3, 20), y=st.integers(3, 20), factor=st.integers(1, 3), crop=st.integers(0, 2))
def test_a_bright_dot_stays_under_its_landmark(x: int, y: int, factor: int, crop: int) -> None:
    """The papers' rule: up to half a source pixel beside it, growing with the enlargement. Users' crops: on it."""
    side = 24
    image = np.zeros((side, side, 3), np.uint8)
    image[y, x] = 255
    papers = Preprocessing(resize=side * factor, crop=crop)
    for steps, beside in ((papers, (factor - 1) / 2), (replace(papers, centres="kept"), 0.0)):
        out, sides = pixels.preprocess_image(Image.fromarray(image), np.zeros(4), steps)
        point = transform_points(np.array([[[x, y]]], float), np.zeros((1, 4)), np.array([sides]), steps)[0, 0]
        weights = out[..., 0].astype(float)
        rows, columns = np.indices(weights.shape)
        centre = [(columns * weights).sum() / weights.sum(), (rows * weights).sum() / weights.sum()]
        np.testing.assert_allclose(np.array(centre) - point, beside, atol=0.05)


NUMBERS = st.floats(-500, 500)
SIDES = st.floats(1, 500)


@settings(deadline=None)
@given(
    point=st.tuples(NUMBERS, NUMBERS),
    box=st.tuples(NUMBERS, NUMBERS, SIDES, SIDES),
    steps=st.builds(
        Preprocessing, st.integers(40, 300), st.integers(0, 19), centres=st.sampled_from(["papers", "kept"])
    ),
)
def test_landmarks_go_to_the_crop_and_back(
    point: tuple[float, float], box: tuple[float, float, float, float], steps: Preprocessing
) -> None:
    boxes = np.array([box])
    there = transform_points(np.array([[point]]), boxes, boxes[:, 2:], steps)
    back = restore_points(there, boxes, boxes[:, 2:], steps)
    size = np.abs(there).max() * max(box[2:]) / steps.resize + np.abs(box).max() + 1
    np.testing.assert_allclose(back[0, 0], point, atol=1e-5 * size)  # stored landmarks are float32


def test_the_scale_of_the_source_is_that_of_its_box_or_of_the_whole_image(store: PixelStore) -> None:
    sides = np.array([(60, 60), (40, 40), (44, 30), (40, 30)])
    assert store.source_scale is not None
    np.testing.assert_allclose(store.source_scale, sides / 34)
    for indices in ([2, 0], [1, 2]):
        part = store.select(np.array(indices)).source_scale
        assert part is not None
        np.testing.assert_array_equal(part, store.source_scale[indices])


def test_a_store_of_an_earlier_format_is_built_again_not_misread(
    dataset: datasets.Dataset, store: PixelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "older"
    monkeypatch.setattr(pixels, "FORMAT", 1)
    open_pixels(dataset, "print", "train", STEPS, cache)
    (file,) = (cache / "pixels").glob("*/annotations.npz")
    with np.load(file) as kept:
        np.savez(file, **{name: kept[name] for name in kept if name != "source_scale"})
    monkeypatch.undo()
    assert open_pixels(dataset, "print", "train", STEPS, cache).source_scale is not None


def test_batches_are_rgb_in_zero_to_one_in_order(store: PixelStore) -> None:
    found = torch.cat(list(store.batches(3)))
    assert found.shape == (4, 3, 24, 24)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.permute(0, 2, 3, 1).numpy() * 255, store.images, atol=1e-4)
    np.testing.assert_array_equal(store.batch(torch.tensor([2, 0])), found[[2, 0]])


def test_a_part_of_a_store_keeps_images_and_annotations_together(store: PixelStore) -> None:
    for indices in ([2, 0], [1, 2], []):
        part = store.select(np.array(indices, dtype=int))
        assert part.source_ids.tolist() == [["a", "b", "c", "d"][i] for i in indices]
        np.testing.assert_array_equal(part.images, np.asarray(store.images)[indices])
        np.testing.assert_array_equal(part.landmarks, store.landmarks[indices])
        assert part.key != store.key
    assert store.first(2).source_ids.tolist() == ["a", "b"]
    assert store.first(2).key == store.select(np.arange(2)).key != store.select(np.array([0, 2])).key
    assert store.first(None) is store
    assert store.first(99) is store


def test_a_first_part_is_still_mapped_not_read(store: PixelStore) -> None:
    assert isinstance(store.first(2).images, np.memmap)


def test_a_store_is_built_once(
    dataset: datasets.Dataset, store: PixelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr(pixels, "decode", refuse)
    again = open_pixels(dataset, "print", "train", STEPS, tmp_path / "cache")
    np.testing.assert_array_equal(again.images, store.images)
    assert again.key == store.key


def test_a_crop_is_a_slice_of_the_images_that_were_decoded_whole(
    dataset: datasets.Dataset, store: PixelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pixels, "decode", None)  # nothing is decoded again
    whole = open_pixels(dataset, "print", "train", Preprocessing(STEPS.resize), tmp_path / "cache")
    assert (whole.size, store.size) == (34, 24) and whole.key != store.key
    np.testing.assert_array_equal(store.images, whole.images[:, 5:-5, 5:-5])
    np.testing.assert_allclose(store.landmarks, whole.landmarks - 5, atol=1e-5)
    np.testing.assert_array_equal(store.source_scale, whole.source_scale)
    assert store.pixels_sha256 == hashlib.sha256(whole.images[:, 5:-5, 5:-5].tobytes()).hexdigest()
    assert len(list((tmp_path / "cache" / "pixels").glob("*/images.npy"))) == 1


@pytest.mark.parametrize(
    ("fingerprint", "split", "steps"),
    [("other", "train", STEPS), ("print", "test", STEPS), ("print", "train", Preprocessing(resize=34, crop=4))],
)
def test_other_data_or_preprocessing_has_another_store(
    dataset: datasets.Dataset, store: PixelStore, tmp_path: Path, fingerprint: str, split: str, steps: Preprocessing
) -> None:
    assert open_pixels(dataset, fingerprint, split, steps, tmp_path / "cache").key != store.key


def test_an_empty_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the split 'train' is empty"):
        open_pixels(landmark_dataset([], []), "f", "train", STEPS, tmp_path / "cache")


def test_unlabelled_images_have_no_landmarks(tmp_path: Path) -> None:
    dataset = landmark_dataset([write_image(tmp_path / "a.png")], ["a"])
    store = open_pixels(dataset, "f", "train", STEPS, tmp_path / "cache")
    assert store.landmarks.shape == (1, 0, 2)
    assert store.visible.shape == (1, 0)


@pytest.mark.parametrize("name", ["images.npy", "annotations.npz", "store.json", "manifest.json"])
def test_a_damaged_store_is_named_and_built_anew(
    dataset: datasets.Dataset, store: PixelStore, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (folder,) = (tmp_path / "cache" / "pixels").iterdir()
    whole, expected = (folder / name).read_bytes(), np.array(store.images)
    for damaged in (flipped(whole), whole[:-5], b"", None):
        if damaged is None:
            (folder / name).unlink()
        else:
            (folder / name).write_bytes(damaged)
        again = open_pixels(dataset, "print", "train", STEPS, tmp_path / "cache")
        assert np.array_equal(again.images, expected)
        assert f"{folder} is damaged" in (said := capsys.readouterr().err) and "made anew" in said


def flipped(content: bytes) -> bytes:
    """The bytes with one bit of a byte in the middle changed."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :]


def test_a_store_of_an_earlier_version_is_built_anew(
    dataset: datasets.Dataset, store: PixelStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder,) = (tmp_path / "cache" / "pixels").iterdir()
    (folder / "manifest.json").unlink()
    open_pixels(dataset, "print", "train", STEPS, tmp_path / "cache")
    assert "it has no manifest.json" in capsys.readouterr().err


def test_a_full_disk_is_told_and_leaves_no_store(
    dataset: datasets.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(mapped.os, "posix_fallocate", full)
    with pytest.raises(LmbenchError, match="the disk is full"):
        open_pixels(dataset, "print", "train", STEPS, tmp_path / "cache")
    assert [f for f in (tmp_path / "cache" / "pixels").iterdir() if f.suffix != ".lock"] == []


SCRIPT = """
import io, os, sys
from pathlib import Path
import numpy as np
from PIL import Image
from lmbench.data import pixels
from lmbench.data.schema import landmark_dataset
from lmbench.geometry.framing import Preprocessing

def buffer(seed):
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(out, "PNG")
    return out.getvalue()

def dataset(count):
    return landmark_dataset([buffer(i) for i in range(count)], [str(i) for i in range(count)])
"""


def run_script(body: str, cache: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", SCRIPT + body, str(cache)]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


def test_a_build_that_is_killed_leaves_nothing_under_the_name_and_can_be_repeated(tmp_path: Path) -> None:
    body = """
original = pixels.preprocess_image
done = 0
def dying(*arguments):
    global done
    done += 1
    if done == 5:
        os.kill(os.getpid(), 9)
    return original(*arguments)
pixels.preprocess_image = dying
pixels.open_pixels(dataset(8), "f8", "train", Preprocessing(resize=16), Path(sys.argv[1]))
"""
    assert run_script(body, tmp_path).returncode == -9
    named = [f for f in (tmp_path / "pixels").iterdir() if f.is_dir() and not f.name.startswith(".")]
    assert named == []
    content = write_image(tmp_path / "a.png").read_bytes()
    dataset = landmark_dataset([content] * 8, [str(i) for i in range(8)])
    assert len(open_pixels(dataset, "f8", "train", Preprocessing(resize=16), tmp_path)) == 8


def test_a_second_process_waits_for_the_first_and_uses_what_it_made(
    dataset: datasets.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    cache = tmp_path / "cache"
    made = open_pixels(dataset, "print", "train", STEPS, cache)
    folder = next((cache / "pixels").glob("*/images.npy")).parent
    aside = folder.rename(tmp_path / "aside")
    waiting = threading.Event()
    monkeypatch.setattr("lmbench.store.files.progress.say", lambda line: waiting.set())
    monkeypatch.setattr(pixels, "decode", lambda *_: pytest.fail("built a second time"))
    found: list[PixelStore] = []
    with locked(folder):
        other = threading.Thread(
            target=lambda: found.append(open_pixels(dataset, "print", "train", STEPS, cache)), daemon=True
        )
        other.start()
        assert waiting.wait(20)
        assert found == []
        aside.rename(folder)
    other.join(20)
    assert found[0].key == made.key


def test_memory_does_not_grow_with_the_number_of_images(tmp_path: Path) -> None:
    """The peak of the process's own memory (RssAnon) while a store is built, beyond what it had before: 1,800 further
    images of 96x96 are 50 MB of pixels, of which a twentieth may pass for names and annotations."""
    body = """
def own():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024

peak = 0
original = pixels.preprocess_image
def watched(*arguments):
    global peak
    peak = max(peak, own())
    return original(*arguments)
pixels.preprocess_image = watched

def growth(count):
    global peak
    data = dataset(count)
    peak = before = own()
    pixels.open_pixels(data, f"f{count}", "train", Preprocessing(resize=96), Path(sys.argv[1]))
    return peak - before

growth(100)  # what is loaded once
print(growth(200), growth(2000))
"""
    if not Path("/proc/self/status").is_file():
        pytest.skip("memory is read from /proc, which this system has not")
    done = run_script(body, tmp_path)
    few, many = map(float, done.stdout.split())
    print(f"growth: {few:.1f} MB for 200 images, {many:.1f} MB for 2,000")
    assert many - few < 2.5, done.stderr


def test_images_are_kept_in_the_record_or_read_from_their_path(tmp_path: Path) -> None:
    file = write_image(tmp_path / "a.png")
    for source in (file, file.read_bytes()):
        store = open_pixels(landmark_dataset([source], ["a"]), "f", "train", STEPS, tmp_path / str(type(source)))
        np.testing.assert_array_equal(store.images[0], decode_independently(file, np.zeros(4)))


def test_an_image_that_is_too_large_to_be_one_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    out = io.BytesIO()
    Image.new("RGB", (64, 64)).save(out, "PNG")
    with pytest.raises(DataError, match=r"huge has 4,096 pixels; at most 200 are read\. Make it smaller"):
        pixels.decode({"image": {"bytes": out.getvalue(), "path": None}, "source_id": "huge"}, "train")


def test_the_store_of_another_user_can_be_read(store: PixelStore, tmp_path: Path) -> None:
    folder = next((tmp_path / "cache" / "pixels").glob("*/images.npy")).parent
    assert os.stat(folder).st_mode & 0o555 == 0o555


@pytest.mark.parametrize("box", [(10.0, 20.0, 60.0, 60.0), (10.3, 20.8, 60.45, 51.7), (33.37, 12.61, 40.0, 90.2)])
def test_a_box_may_begin_and_end_within_a_pixel(box: tuple[float, float, float, float]) -> None:
    """A ramp stays a ramp: pixel i of the result shows the source at (i + 1/2) * side / size - 1/2 from the box's corner."""
    left, top, width, height = box
    yy, xx = np.mgrid[:128, :128].astype(np.uint8)
    image = Image.fromarray(np.stack([xx * 2, yy * 2, xx], axis=2))
    found, sides = preprocess_image(image, np.array(box, np.float32), Preprocessing(resize=24, crop=2))
    np.testing.assert_allclose(sides, (width, height), atol=1e-4)
    i = np.arange(2, 22) + 0.5
    inner = slice(1, -1)  # the filter is cut off at the box's edge
    np.testing.assert_allclose(found[5, inner, 0], (2 * (left + i * width / 24 - 0.5))[inner], atol=1.01)
    np.testing.assert_allclose(found[inner, 5, 1], (2 * (top + i * height / 24 - 0.5))[inner], atol=1.01)
