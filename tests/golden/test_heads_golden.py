"""The heads as the core calls them give the references' numbers (golden: softargmax_regressor, regressors)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from made_heads import mean_shape_head, ols_head, ridge_head

from lmbench.features import FeatureMaps
from lmbench.geometry.coordinates import normalise_points
from lmbench.heads.base import Subset, TensorInputs
from lmbench.heads.settings import SoftargmaxLinearSettings
from lmbench.heads.softargmax import ALPHA, FittedSoftargmax, head_forward, regression_loss
from lmbench.metrics.iod import inter_ocular_errors
from lmbench.testing.golden import relative_error

pytestmark = pytest.mark.golden

# dtype, tolerance of values, tolerance of gradients
PRECISIONS = [
    pytest.param(torch.float64, 1e-10, 1e-10, id="float64"),
    pytest.param(torch.float32, 1e-5, 1e-4, id="float32"),
]

SIDE = 100  # pixels; any side, for the golden points are fractions of it
EYES = (0, 1)


def regressor(case, dtype):
    """(maps, filters (L*P, C), linear (L, 2, 2P), target) of the golden case in our shapes."""
    features, conv, linear, target = (
        torch.as_tensor(case[f"in_{name}"], dtype=dtype)
        for name in ("features", "conv_weight", "linear_weight", "target")
    )
    landmarks = int(case["par_num_points"])
    maps = FeatureMaps((features,), tuple(features.shape[-2:]))
    return maps, conv.flatten(1), linear.reshape(landmarks, 2, -1), target


def test_the_constants_of_the_head_are_the_references(golden):
    case = golden("softargmax_regressor")
    assert (SoftargmaxLinearSettings.points, ALPHA) == (int(case["par_num_intermediate"]), float(case["par_alpha"]))


@pytest.mark.parametrize(("dtype", "tolerance", "gradient_tolerance"), PRECISIONS)
def test_the_head_on_feature_maps_has_the_references_values_and_gradients(golden, dtype, tolerance, gradient_tolerance):
    case = golden("softargmax_regressor")
    maps, filters, linear, target = regressor(case, dtype)
    filters.requires_grad_(True)
    linear.requires_grad_(True)
    predicted = head_forward(maps.project(filters), linear, float(case["par_softargmax_mul"]))
    loss = regression_loss(predicted, target, torch.ones(target.shape[:2], dtype=torch.bool))
    loss.backward()
    assert relative_error(predicted, case["out_pred"]) <= tolerance
    assert relative_error(loss, case["out_loss"]) <= tolerance
    assert (
        relative_error(filters.grad.reshape(case["out_grad_conv"].shape), case["out_grad_conv"]) <= gradient_tolerance
    )
    assert (
        relative_error(linear.grad.reshape(case["out_grad_linear"].shape), case["out_grad_linear"])
        <= gradient_tolerance
    )


@pytest.mark.parametrize(("dtype", "tolerance", "gradient_tolerance"), PRECISIONS)
def test_gradients_of_parts_of_a_batch_add_up_to_the_references(golden, dtype, tolerance, gradient_tolerance):
    case = golden("softargmax_regressor")
    maps, filters, linear, target = regressor(case, dtype)
    filters.requires_grad_(True)
    for part in torch.arange(len(target)).split(max(1, len(target) // 3)):
        some = FeatureMaps(tuple(m[part] for m in maps.maps), maps.size)
        predicted = head_forward(some.project(filters), linear, float(case["par_softargmax_mul"]))
        seen = torch.ones(len(part), target.shape[1], dtype=torch.bool)
        (regression_loss(predicted, target[part], seen) * (len(part) / len(target))).backward()
    assert (
        relative_error(filters.grad.reshape(case["out_grad_conv"].shape), case["out_grad_conv"]) <= gradient_tolerance
    )


@pytest.mark.parametrize(("dtype", "tolerance", "gradient_tolerance"), PRECISIONS)
def test_a_fitted_head_predicts_the_references_points_in_pixels(golden, dtype, tolerance, gradient_tolerance):
    del gradient_tolerance
    case = golden("softargmax_regressor")
    maps, filters, linear, _ = regressor(case, dtype)
    offset = torch.zeros(1, len(linear), 2, dtype=dtype)
    fitted = FittedSoftargmax(filters[None], linear[None], offset, float(case["par_softargmax_mul"]))
    pixels = fitted.predict(TensorInputs(SIDE, maps))
    assert relative_error(normalise_points(pixels[0], (SIDE, SIDE)), case["out_pred"]) <= tolerance


# The protocols of the papers in the words of our heads. Golden points are (y, x) fractions of the side, minus 0.5.
PROTOCOLS = {
    "imm_ols_nobias_pixel128": lambda alpha: ols_head(bias=False, origin="corner", unit="pixel128"),
    "lmdis_ols_nobias_centred": lambda alpha: ols_head(bias=False, origin="centre", unit="unit"),
    "ols_bias": lambda alpha: ols_head(bias=True),
    "ridge01_nobias_pixel128": lambda alpha: ridge_head(alpha=alpha, bias=False, origin="corner", unit="pixel128"),
    "ridge01_nobias_pm1": lambda alpha: ridge_head(alpha=alpha, bias=False, origin="centre", unit="pm1"),
    "ridge01_nobias_unit": lambda alpha: ridge_head(alpha=alpha, bias=False, origin="corner", unit="unit"),
}


def to_pixels(points):
    """Stored fractions (y, x) as float64 pixels, x before y."""
    return torch.as_tensor((points[..., ::-1].astype(np.float64) + 0.5) * (SIDE - 1))


def predicted_by(head, case, dtype=torch.float64):
    """(N, L, 2) stored fractions that a head fitted on the golden training rows predicts for the test rows."""
    train, test = (TensorInputs(SIDE, landmarks=to_pixels(case[f"in_{s}_pred"]).to(dtype)) for s in ("train", "test"))
    landmarks = to_pixels(case["in_train_gt"]).to(dtype)
    subset = Subset("all", 0, torch.arange(len(landmarks)))
    seen = torch.ones(landmarks.shape[:2], dtype=torch.bool)
    fitted = head.fit(train, landmarks, seen, [subset], torch.Generator())
    pixels = fitted.predict(test)[0]
    return (pixels / (SIDE - 1) - 0.5).flip(-1)


def iod(*arguments):
    """The mean over landmarks and images, percent."""
    return inter_ocular_errors(*arguments).mean((-2, -1))


def test_every_protocol_of_the_golden_file_has_its_head(golden):
    in_file = {n.removeprefix("out_pred_") for n in golden("regressors") if n.startswith("out_pred_")}
    assert in_file == set(PROTOCOLS)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_linear_head_predicts_what_the_papers_regressor_does(golden, protocol):
    case = golden("regressors")
    found = predicted_by(PROTOCOLS[protocol](float(case["par_ridge_alpha"])), case)
    assert relative_error(found, case[f"out_pred_{protocol}"]) <= 1e-8
    np.testing.assert_allclose(iod(found, case["in_test_gt"], EYES), case[f"out_error_{protocol}"], rtol=1e-8)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_linear_head_solves_in_float64_whatever_the_points_come_in(golden, protocol):
    case = golden("regressors")
    head = PROTOCOLS[protocol](float(case["par_ridge_alpha"]))
    found = iod(predicted_by(head, case, torch.float32), case["in_test_gt"], EYES)
    # float32 pixels carry 6e-8 of the side; normal equations in float32 would lose three digits more
    np.testing.assert_allclose(found, case[f"out_error_{protocol}"], rtol=1e-4)


def test_the_mean_shape_has_the_golden_error(golden):
    case = golden("regressors")
    found = iod(predicted_by(mean_shape_head(), case), case["in_test_gt"], EYES)
    np.testing.assert_allclose(found, case["out_error_mean_shape"], rtol=1e-8)


def test_a_bias_gives_the_error_of_the_third_reference_as_well(golden):
    case = golden("regressors")
    found = iod(predicted_by(ols_head(bias=True), case), case["in_test_gt"], EYES)
    np.testing.assert_allclose(found, case["out_error_scops_reference"], rtol=1e-8)
