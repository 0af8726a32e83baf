"""The metrics give the numbers of the reference code (golden: iod, regressors, matching_dve, matching_cl)."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lmbench.geometry.coordinates import denormalise_points
from lmbench.metrics.iod import inter_ocular_errors, iod
from lmbench.metrics.matching import matching_error, matching_errors

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
    np.testing.assert_allclose(iod(*arguments), case["out_error"], rtol=tolerance)
    errors = inter_ocular_errors(*arguments)
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
        found = iod(case[f"out_pred_{protocol}"], case["in_test_gt"], (0, 1))
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
        found = matching_error(matches[kind], keypoints[kind], size, reading)
        np.testing.assert_allclose(found, case[f"out_mean_{name}"], rtol=1e-9)


def test_the_matching_error_in_the_reading_of_dve_is_exact(golden):
    case = golden("matching_dve")
    side = int(case["par_imwidth"]) - 2 * int(case["par_crop"])
    assert_matching_errors(case, *batched(case), (side, side), "dve")


def test_the_matching_error_in_the_reading_of_contrastlandmarks_is_exact(golden):
    case = golden("matching_cl")
    matches, keypoints = (denormalise_points(torch.as_tensor(points), IMAGE) for points in batched(case))
    assert_matching_errors(case, matches, keypoints, IMAGE, "cl")
