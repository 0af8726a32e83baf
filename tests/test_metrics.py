"""The metrics against their definitions, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lmbench.errors import DataError
from lmbench.metrics.iod import inter_ocular_errors
from lmbench.metrics.matching import matching_errors


def faces(images=4, landmarks=5, seed=0):
    rng = np.random.default_rng(seed)
    target = rng.uniform(10, 80, (images, landmarks, 2))
    return target + rng.normal(0, 3, (3, images, landmarks, 2)), target


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 6), st.integers(2, 7), st.integers(0, 1000))
def test_each_error_is_the_distance_over_the_eye_distance_of_its_image(images, landmarks, seed):
    predicted, target = faces(images, landmarks, seed)
    errors = inter_ocular_errors(predicted, target, (0, landmarks - 1))
    for draw in range(3):
        for image in range(images):
            eyes = np.hypot(*(target[image, 0] - target[image, -1]))
            for landmark in range(landmarks):
                distance = np.hypot(*(predicted[draw, image, landmark] - target[image, landmark]))
                assert errors[draw, image, landmark] == pytest.approx(100 * distance / eyes, rel=1e-12)


def test_invisible_landmarks_are_not_scored_and_not_looked_at():
    predicted, target = faces()
    visible = np.ones(target.shape[:2], bool)
    visible[1, 3] = visible[2, 4] = False
    expected = inter_ocular_errors(predicted, target, (0, 1))
    predicted[:, 1, 3] = np.nan
    target[2, 4] = np.nan
    errors = inter_ocular_errors(predicted, target, (0, 1), visible)
    np.testing.assert_array_equal(np.isnan(errors), np.broadcast_to(~visible, errors.shape))
    np.testing.assert_array_equal(errors[:, visible], expected[:, visible])


def test_tensors_with_gradients_and_in_half_precision_are_read():
    predicted, target = faces()
    found = inter_ocular_errors(torch.tensor(predicted, requires_grad=True), torch.tensor(target), (0, 1))
    np.testing.assert_array_equal(found, inter_ocular_errors(predicted, target, (0, 1)))
    assert np.isfinite(inter_ocular_errors(torch.tensor(predicted).bfloat16(), torch.tensor(target), (0, 1))).all()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("coincide", "at one place"),
        ("unknown", "annotated as NaN"),
        ("hidden", "not visible"),
        ("failed", "a prediction is NaN or infinite"),
        ("infinite", "a prediction is NaN or infinite"),
    ],
)
@pytest.mark.parametrize("named", [True, False])
def test_an_image_without_a_number_is_named(damage, message, named):
    predicted, target = faces()
    visible = np.ones(target.shape[:2], bool)
    if damage == "coincide":
        target[2, 0] = target[2, 1]
    if damage == "unknown":
        target[2, 1, 0] = np.nan
    if damage == "hidden":
        visible[2, 0] = False
    if damage == "failed":
        predicted[1, 2, 4, 1] = np.nan
    if damage == "infinite":
        predicted[1, 2, 4, 1] = np.inf
    ids = ["a.jpg", "b.jpg", "c.jpg", "d.jpg"] if named else None
    with pytest.raises(DataError, match=message) as caught:
        inter_ocular_errors(predicted, target, (0, 1), visible, ids)
    assert ("image c.jpg (1 of 4 " if named else "image #2 (1 of 4 ") in str(caught.value)


def test_an_image_with_nothing_visible_scores_nothing():
    predicted, target = faces()
    visible = np.ones(target.shape[:2], bool)
    visible[3] = False
    assert np.isnan(inter_ocular_errors(predicted, target, (0, 1), visible)[:, 3]).all()


@pytest.mark.parametrize("eyes", [(0, 0), (0, 5), (-1, 2)])
def test_eyes_that_are_no_two_landmarks_are_refused(eyes):
    with pytest.raises(DataError, match="two different eye landmarks of 5"):
        inter_ocular_errors(*faces(), eyes)


def test_shapes_that_do_not_fit_are_refused():
    predicted, target = faces()
    with pytest.raises(ValueError, match=r"found \(3, 4, 4, 2\) and \(4, 5, 2\)"):
        inter_ocular_errors(predicted[:, :, 1:], target, (0, 1))
    with pytest.raises(ValueError, match=r"expected shape \(4, 5\)"):
        inter_ocular_errors(predicted, target, (0, 1), np.ones((4, 4), bool))


def test_the_two_readings_of_the_matching_error_differ_by_their_scale():
    matches, target = faces()
    dve, cl = (matching_errors(matches, target, (96, 96), reading) for reading in ("dve", "cl"))
    pixels = np.hypot(*np.moveaxis(matches - target, -1, 0))
    np.testing.assert_allclose(dve, pixels * 70 / 96)
    np.testing.assert_allclose(cl, pixels * 69 / 95)
    np.testing.assert_allclose(dve / cl, 1.003925, rtol=1e-6)  # protocol, sec. 3


def test_a_failed_match_is_named_and_an_invisible_one_left_out():
    matches, target = faces()
    visible = np.ones(target.shape[:2], bool)
    expected = matching_errors(matches, target, (96, 96))
    matches[0, 1, 2] = np.nan
    with pytest.raises(DataError, match="pair 1001-1002"):
        matching_errors(matches, target, (96, 96), pair_ids=[f"100{index}-100{index + 1}" for index in range(4)])
    visible[1, 2] = False
    found = matching_errors(matches, target, (96, 96), visible=visible)
    np.testing.assert_array_equal(found[:, visible], expected[:, visible])
    assert np.isnan(found[:, ~visible]).all()
