"""The losses of both steps against literal loops over the paper's formulas (golden: twostep_losses)."""

from __future__ import annotations

import pytest
import torch

from lmbench.api import denormalise_points, soft_argmax
from lmbench.testing.golden import leaves, relative_error
from lmbench_twostep.contrast import contrastive_loss, pixel_log_probabilities
from lmbench_twostep.landmarks import diversity_loss, equivariance_loss, heatmap_variances, spatial_softmax

pytestmark = pytest.mark.golden

# dtype, tolerance of values and gradients
PRECISIONS = [
    pytest.param(torch.float64, 1e-10, id="float64"),
    pytest.param(torch.float32, 1e-4, id="float32"),
]


def landmarks(heatmaps):
    return denormalise_points(soft_argmax(heatmaps), tuple(heatmaps.shape[2:]))


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
def test_the_contrastive_loss_is_equation_7(golden, dtype, tolerance):
    case = golden("twostep_losses")
    f, g = leaves(case, dtype, "f", "f_prime")
    log_p, log_q = pixel_log_probabilities(f, g, float(case["par_tau"]))
    assert relative_error(log_p, case["out_log_p"]) <= tolerance
    assert relative_error(log_q, case["out_log_p_prime"]) <= tolerance
    loss = contrastive_loss(f, g, float(case["par_tau"]))
    loss.backward()
    assert relative_error(loss, case["out_contrastive"]) <= tolerance
    assert relative_error(f.grad, case["out_grad_f"]) <= tolerance
    assert relative_error(g.grad, case["out_grad_f_prime"]) <= tolerance


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
def test_the_diversity_loss_is_equation_3_on_pixels_and_on_patches(golden, dtype, tolerance):
    case = golden("twostep_losses")
    (heatmaps,) = leaves(case, dtype, "heatmaps")
    assert relative_error(diversity_loss(spatial_softmax(heatmaps), 1), case["out_div_pixel"]) <= tolerance
    loss = diversity_loss(spatial_softmax(heatmaps), int(case["par_patch"]))
    loss.mean().backward()
    assert relative_error(loss, case["out_div_patch"]) <= tolerance
    assert relative_error(heatmaps.grad, case["out_grad_div_patch"]) <= tolerance


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
def test_the_equivariance_loss_is_equation_2_on_soft_argmax_points(golden, dtype, tolerance):
    case = golden("twostep_losses")
    first, second = leaves(case, dtype, "heatmaps", "heatmaps_prime")
    found, deformed = landmarks(first), landmarks(second)
    assert relative_error(found, case["out_landmarks"]) <= tolerance
    assert relative_error(deformed, case["out_landmarks_prime"]) <= tolerance
    moved = found @ torch.as_tensor(case["in_affine_A"], dtype=dtype).T + torch.as_tensor(
        case["in_affine_t"], dtype=dtype
    )
    assert relative_error(moved, case["out_g_landmarks"]) <= tolerance
    loss = equivariance_loss(deformed, moved)
    loss.mean().backward()
    assert relative_error(loss, case["out_eqv"]) <= tolerance
    assert relative_error(loss.mean(), case["out_eqv_mean"]) <= tolerance
    assert relative_error(first.grad, case["out_grad_eqv"]) <= tolerance
    assert relative_error(second.grad, case["out_grad_eqv_prime"]) <= tolerance


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
def test_the_variance_is_the_trace_of_the_covariance_of_each_heatmap(golden, dtype, tolerance):
    case = golden("twostep_losses")
    (heatmaps,) = leaves(case, dtype, "heatmaps")
    traces = heatmap_variances(spatial_softmax(heatmaps))
    assert relative_error(traces, case["out_trace_cov"]) <= tolerance
    loss = traces.sum(1).mean()
    loss.backward()
    assert relative_error(loss, case["out_variance_sum_over_K"]) <= tolerance
    assert relative_error(traces.mean(), case["alt_variance_mean_over_K"]) <= tolerance
    assert relative_error(heatmaps.grad, case["out_grad_variance"]) <= tolerance
