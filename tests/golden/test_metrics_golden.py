"""The metrics give the numbers of the reference code (golden: iod, regressors, matching_dve, matching_cl, pck_cub, bbc_pck)."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lmbench.geometry.coordinates import denormalise_points
from lmbench.metrics.base import Predictions
from lmbench.metrics.iod import inter_ocular_errors
from lmbench.metrics.matching import matching_errors
from lmbench.metrics.scoring import bbc_pck, pck_5pct, pck_6px, pck_cub_truncated

pytestmark = pytest.mark.golden

IMAGE = (75, 96)  # any size: the golden points of ContrastLandmarks are normalised, ours are in pixels


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-10), (np.float32, 1e-5)])
def test_the_inter_ocular_error_is_the_references(golden, dtype, tolerance):
    case = golden("iod")
    arguments = (
        case["in_pred"].astype(dtype),
        case["in_target"].astype(dtype),
        tuple(case["par_eye_idx"].tolist()),
    )
    errors = inter_ocular_errors(*arguments)
    np.testing.assert_allclose(errors.mean((-2, -1)), case["out_error"], rtol=tolerance)
    np.testing.assert_allclose(
        errors.mean(-1),
        case["out_error_per_image"],
        rtol=0,
        atol=tolerance * case["out_error_per_image"].max(),
    )


def test_the_inter_ocular_error_of_real_predictions_is_the_published_protocols(golden):
    case = golden("regressors")
    protocols = sorted(name.removeprefix("out_pred_") for name in case if name.startswith("out_pred_"))
    assert protocols
    for protocol in protocols:
        found = inter_ocular_errors(case[f"out_pred_{protocol}"], case["in_test_gt"], (0, 1)).mean((-2, -1))
        np.testing.assert_allclose(found, case[f"out_error_{protocol}"], rtol=1e-8, err_msg=protocol)


def batched(case):
    """The axes (pair, same or different) as one batch of pairs: matches, true points, and the way back."""
    matches, keypoints = case["out_match"], case["in_keypoints"][:, 1:]
    return matches.reshape(-1, *matches.shape[2:]), keypoints.reshape(matches.reshape(-1, *matches.shape[2:]).shape)


def assert_matching_errors(case, matches, keypoints, size, reading):
    errors = matching_errors(matches, keypoints, size, reading).reshape(case["out_error"].shape)
    np.testing.assert_allclose(errors, case["out_error"], rtol=0, atol=1e-9 * case["out_error"].max())
    for column, name in enumerate(("same", "diff")):
        kind = slice(column, None, 2)
        found = matching_errors(matches[kind], keypoints[kind], size, reading).mean((-2, -1))
        np.testing.assert_allclose(found, case[f"out_mean_{name}"], rtol=1e-9)


def test_the_matching_error_in_the_reading_of_dve_is_exact(golden):
    case = golden("matching_dve")
    side = int(case["par_imwidth"]) - 2 * int(case["par_crop"])
    assert_matching_errors(case, *batched(case), (side, side), "dve")


def test_the_matching_error_in_the_reading_of_contrastlandmarks_is_exact(golden):
    case = golden("matching_cl")
    matches, keypoints = (denormalise_points(torch.as_tensor(points), IMAGE) for points in batched(case))
    assert_matching_errors(case, matches, keypoints, IMAGE, "cl")


def predictions(predicted, target, visible=None, side=48, **more):
    """Stored predictions of one draw."""
    seen = np.ones(target.shape[:2], bool) if visible is None else visible
    ids = np.arange(len(target)).astype(str)
    return Predictions(
        task="regression",
        predicted=predicted[None],
        target=target,
        visible=seen,
        image_ids=ids,
        image_size=side,
        **more,
    )


def birds(case, side=48, part=slice(None)):
    """The golden birds as images of ``side`` pixels."""
    predicted, target = ((case[f"in_{name}"][part] + 1) / 2 * (side - 1) for name in ("pred", "target"))
    return predictions(predicted, target, case["in_visible"][part], side)


@pytest.mark.parametrize("side", [48, 96, 131])
def test_the_truncated_pck_is_that_of_contrastlandmarks_code_at_any_size(golden, side):
    case = golden("pck_cub")
    np.testing.assert_allclose(pck_cub_truncated(birds(case, side)).aggregate, case["out_pck_int"], rtol=1e-6)


def test_each_batch_and_each_part_of_the_truncated_pck_is_the_references(golden):
    case = golden("pck_cub")
    batches = slice(0, 32), slice(32, None)
    found = [float(pck_cub_truncated(birds(case, part=part)).aggregate[0]) for part in batches]
    np.testing.assert_allclose(found, case["out_pck_int_per_batch"], rtol=1e-6)
    first = pck_cub_truncated(birds(case, part=batches[0]))
    for landmark, expected in enumerate(case["out_part_acc_int_batch0"]):
        part = first.part([landmark])
        assert part is None if expected < 0 else part.aggregate[0] == pytest.approx(100 * expected, rel=1e-6)


def test_pck_at_5_percent_is_the_same_code_without_truncation_and_with_the_side_as_its_box(golden):
    """The reference maps to 48 pixels of which the last is the image's edge; at 48 pixels both are one."""
    case = golden("pck_cub")
    for part, expected in zip((slice(0, 32), slice(32, None)), case["out_pck_float_per_batch"], strict=True):
        stored = birds(case, part=part)
        stored.visible[:] &= (stored.target > 0).all(-1)  # the reference drops these as well
        np.testing.assert_allclose(pck_5pct(stored).aggregate, expected, rtol=1e-6)


def test_the_two_readings_of_six_pixels_are_the_references_to_the_last_hit(golden):
    case = golden("bbc_pck")
    full, small = (
        (case[f"in_pred_{n}"].transpose(2, 1, 0), case[f"in_gt_{n}"].transpose(2, 1, 0)) for n in ("full", "128")
    )
    toolkit = bbc_pck(predictions(*full, source_scale=np.ones((len(full[0]), 2))))
    plain = pck_6px(predictions(*small, side=128))
    for found, name in ((toolkit, "nvidia"), (plain, "128")):
        np.testing.assert_array_equal(found.values[0].T / 100, case[f"out_hits_{name}"])
        per_joint = [float(found.part([j]).aggregate[0]) / 100 for j in range(7)]
        np.testing.assert_allclose(per_joint, case[f"out_pck_{name}_per_joint"], rtol=1e-12)
        np.testing.assert_allclose(found.aggregate / 100, case[f"out_pck_{name}"], rtol=1e-12)


def test_the_crop_and_its_scale_give_the_toolkits_figure_back(golden):
    """From the 128-pixel crops and the scale of their boxes alone; a box's place moves both points alike."""
    case = golden("bbc_pck")
    predicted, target = (case[f"in_{n}_128"].transpose(2, 1, 0) for n in ("pred", "gt"))
    scale = np.full((len(target), 2), float(case["par_crop_size"]) / 128)
    found = bbc_pck(predictions(predicted, target, side=128, source_scale=scale)).values[0].T / 100
    full = np.linalg.norm(case["in_pred_full"] - case["in_gt_full"], axis=0)
    clear = np.abs(full - 12) > 1e-6  # exact boundaries do not survive the way there and back
    np.testing.assert_array_equal(found[clear], case["out_hits_nvidia"][clear])
