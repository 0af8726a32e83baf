"""The embedded faces: what they promise, and that the renderer keeps to it."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from lmbench.data import places
from lmbench.datasets import synthfaces as constants
from lmbench.datasets.synthfaces.loader import render
from lmbench.datasets.synthfaces.loader.render import Face, render_face

TRAIN, TEST = 200, 100


@pytest.fixture(scope="module")
def faces() -> dict[str, list[Face]]:
    """Faces spread over both splits; the time they took is printed, not judged."""
    started = time.perf_counter()
    found = {
        "train": [render_face("train", i) for i in range(0, 2000, 2000 // TRAIN)],
        "test": [render_face("test", i) for i in range(0, 500, 500 // TEST)],
    }
    print(f"\nsynthfaces: {(TRAIN + TEST) / (time.perf_counter() - started):.0f} faces/s")
    return found


def same(first: Face, second: Face) -> bool:
    arrays = ("image", "landmarks", "visible")
    equal = all(np.array_equal(getattr(first, a), getattr(second, a)) for a in arrays)
    return equal and first.identity == second.identity


def test_a_face_depends_on_nothing_but_its_split_index_and_seed() -> None:
    alone = render_face("test", 7)
    np.random.seed(0)
    for split, index in (("train", 3), ("test", 499), ("test", 8), ("test", 6)):
        render_face(split, index)
    render._identity.cache_clear()
    assert same(alone, render_face("test", 7))
    assert not same(alone, render_face("test", 8))
    assert not same(alone, render_face("test", 7, seed=1))


def test_an_image_is_rgb_at_the_size_that_the_spec_reads(faces: dict[str, list[Face]]) -> None:
    for face in faces["train"][:5]:
        assert face.image.shape == (constants.SPECS[0].preprocessing.size,) * 2 + (3,)
        assert face.image.dtype == np.uint8
        assert face.image.std() > 5


def test_no_identity_is_in_both_splits_and_each_has_five_images() -> None:
    numbers = {s: [render._identity_number(s, i) for i in range(n)] for s, n in constants.SPLIT_SIZES.items()}
    assert not set(numbers["train"]) & set(numbers["test"])
    for found in numbers.values():
        assert set(Counter(found).values()) == {5}


def test_two_images_of_an_identity_show_it_in_different_poses() -> None:
    first, second, other = (render_face("train", i) for i in (0, 1, 5))
    assert first.identity == second.identity != other.identity
    assert np.abs(first.landmarks - second.landmarks).max() > 2


def test_nearly_all_landmarks_are_inside_the_image(faces: dict[str, list[Face]]) -> None:
    points = np.stack([f.landmarks for f in faces["train"] + faces["test"]])
    inside = ((points > -0.5) & (points < render.SIZE - 0.5)).all(-1)
    assert np.isfinite(points).all()
    assert inside.mean() > 0.99


def test_a_landmark_outside_the_image_is_never_visible(faces: dict[str, list[Face]]) -> None:
    for face in faces["train"] + faces["test"]:
        outside = ((face.landmarks <= -0.5) | (face.landmarks >= render.SIZE - 0.5)).any(-1)
        assert not face.visible[outside].any()


def test_eyes_are_more_than_ten_pixels_apart(faces: dict[str, list[Face]]) -> None:
    for face in faces["train"] + faces["test"]:
        assert np.linalg.norm(face.landmarks[0] - face.landmarks[1]) > 10


def test_the_mean_shape_does_not_solve_it(faces: dict[str, list[Face]]) -> None:
    mean = np.mean([f.landmarks for f in faces["train"]], axis=0)
    errors = []
    for face in (faces["test"] + faces["train"])[:200]:
        distance = np.linalg.norm(face.landmarks[0] - face.landmarks[1])
        errors += list(100 * np.linalg.norm(mean - face.landmarks, axis=1)[face.visible] / distance)
    assert 20 < np.mean(errors) < 35


def test_left_is_left_and_up_is_up_on_average(faces: dict[str, list[Face]]) -> None:
    mean = dict(zip(constants.LANDMARK_NAMES, np.mean([f.landmarks for f in faces["train"]], axis=0), strict=True))
    for left, right in constants.SWAP_PAIRS:
        names = constants.LANDMARK_NAMES
        assert mean[names[left]][0] < mean[names[right]][0], names[left]
    heights = [mean[n][1] for n in ("left_brow", "left_eye", "nose_tip", "left_mouth", "chin")]
    assert heights == sorted(heights)


def test_swap_pairs_make_a_mirrored_face_a_face_again(faces: dict[str, list[Face]]) -> None:
    """The mirrored mean shape, with left and right swapped, is close to the mean shape; without it is not."""
    mean = np.mean([f.landmarks for f in faces["train"]], axis=0)
    mirrored = mean * [-1, 1] + [render.SIZE - 1, 0]
    order = np.arange(len(mean))
    for left, right in constants.SWAP_PAIRS:
        order[[left, right]] = order[[right, left]]
    assert np.linalg.norm(mirrored[order] - mean, axis=1).max() < 4
    assert np.linalg.norm(mirrored - mean, axis=1).max() > 15


def test_most_landmarks_are_visible_but_a_fair_share_is_not(faces: dict[str, list[Face]]) -> None:
    visible = np.stack([f.visible for f in faces["train"] + faces["test"]])
    assert 0.7 < visible.mean() < 0.95
    assert (visible.mean(0) > 0.5).all()


def test_the_far_eye_is_hidden_more_often_the_more_the_head_is_turned(faces: dict[str, list[Face]]) -> None:
    """The nose tip's place between the outer eye corners tells the yaw, independently of the renderer's own camera."""
    turned, straight = [], []
    for face in faces["train"] + faces["test"]:
        left, right, nose = (face.landmarks[i][0] for i in (2, 5, 8))
        place = (nose - left) / (right - left)
        far = 2 if place < 0.5 else 5
        (turned if abs(place - 0.5) > 0.5 else straight).append(face.visible[far])
    assert len(turned) > 10
    assert np.mean(turned) < np.mean(straight)


@pytest.mark.parametrize(("split", "index", "error"), [("valid", 0, ValueError), ("test", 500, IndexError)])
def test_an_image_that_does_not_exist_is_refused(split: str, index: int, error: type[Exception]) -> None:
    with pytest.raises(error, match="synthfaces"):
        render_face(split, index)


def test_a_cached_rendering_does_not_outlive_a_change_of_the_renderer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "drawn_set"
    package.mkdir()
    (package / "__init__.py").write_text("from drawn_set.inner import load\n", encoding="utf-8")
    (package / "inner.py").write_text("VERSION = '1'\ndef load(root): ...\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    drawn = constants.SPECS[0]
    spec = type(drawn)(name="drawn", summary="", target="drawn_set:load", splits={}, preprocessing=drawn.preprocessing)
    before = places.loader_version(spec)
    assert places.loader_version(spec) == before
    (package / "inner.py").write_text("VERSION = '2'\ndef load(root): ...\n", encoding="utf-8")
    assert places.loader_version(spec) != before
