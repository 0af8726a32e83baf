"""The soft-argmax carries the regressor of DVE and ContrastLandmarks (golden: softargmax_regressor)."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from lmbench.geometry.heatmaps import soft_argmax
from lmbench.testing.golden import relative_error

pytestmark = pytest.mark.golden


@pytest.mark.parametrize(
    ("dtype", "tolerance", "gradient_tolerance"),
    [(torch.float64, 1e-10, 1e-10), (torch.float32, 1e-5, 1e-4)],
)
def test_the_regressor_of_the_references_comes_out_of_the_soft_argmax(golden, dtype, tolerance, gradient_tolerance):
    case = golden("softargmax_regressor")
    features, conv, linear, target = (
        torch.as_tensor(case[f"in_{name}"], dtype=dtype)
        for name in ("features", "conv_weight", "linear_weight", "target")
    )
    conv.requires_grad_(True)
    linear.requires_grad_(True)
    landmarks, alpha = int(case["par_num_points"]), float(case["par_alpha"])

    maps = functional.conv2d(features, conv)
    points = soft_argmax(maps, float(case["par_softargmax_mul"])).unflatten(1, (landmarks, -1))
    per_landmark = linear.reshape(landmarks, 2, -1)
    predicted = torch.einsum("bai,aoi->bao", points.flatten(2), per_landmark)
    loss = functional.smooth_l1_loss(alpha * predicted, alpha * target)
    loss.backward()

    assert relative_error(points, case["out_intermediate"]) <= tolerance
    assert relative_error(predicted, case["out_pred"]) <= tolerance
    assert relative_error(loss, case["out_loss"]) <= tolerance
    assert relative_error(conv.grad, case["out_grad_conv"]) <= gradient_tolerance
    assert relative_error(linear.grad, case["out_grad_linear"]) <= gradient_tolerance
