"""MoCo and the projection against the public reference code (golden: moco, cl_projection_loss)."""

from __future__ import annotations

import pytest
import torch

from lmbench.api import FeatureMaps
from lmbench.testing.golden import leaves, relative_error
from lmbench_contrastlandmarks.moco import contrast, enqueue, info_nce
from lmbench_contrastlandmarks.projection import spatial_contrast, spatial_softmax

pytestmark = pytest.mark.golden

# dtype, tolerance of values, tolerance of gradients
PRECISIONS = [
    pytest.param(torch.float64, 1e-10, 1e-10, id="float64"),
    pytest.param(torch.float32, 1e-5, 1e-4, id="float32"),
]


@pytest.mark.parametrize(("dtype", "tolerance", "gradient_tolerance"), PRECISIONS)
def test_two_steps_of_moco_give_the_references_logits_losses_gradients_and_queue(
    golden, dtype, tolerance, gradient_tolerance
):
    case = golden("moco")
    temperature = float(case["par_temperature"])
    queue = torch.as_tensor(case["in_queue"], dtype=dtype)
    index = torch.as_tensor(case["in_index"])
    for step, ending in enumerate(("", "_step2")):
        q, k = leaves(case, dtype, f"q{ending}", f"k{ending}")
        logits = contrast(q, k, queue, temperature)
        loss = info_nce(logits)
        loss.backward()
        enqueue(queue, index, k.detach())
        assert relative_error(logits, case[f"out_logits{ending}"]) <= tolerance
        assert relative_error(loss, case[f"out_loss{ending}"]) <= tolerance
        assert relative_error(queue, case[f"out_queue{ending}"]) <= (0 if dtype == torch.float64 else tolerance)
        assert int(index) == int(case[f"out_index{ending}"])
        assert k.grad is None
        if step == 0:
            assert relative_error(q.grad, case["out_grad_q"]) <= gradient_tolerance


@pytest.mark.parametrize(("dtype", "tolerance", "gradient_tolerance"), PRECISIONS)
@pytest.mark.parametrize("at_once", [1 << 25, 7], ids=["whole", "row by row"])
@pytest.mark.parametrize("blocks", [True, False], ids=["layers", "one block"])
def test_the_spatial_contrast_is_the_references_dense_correlation_loss(
    golden, dtype, tolerance, gradient_tolerance, at_once, blocks
):
    case = golden("cl_projection_loss")
    (features,) = leaves(case, dtype, "feats")
    sizes = case["par_spectral"].tolist() if blocks else None
    stride, temperature = float(case["par_stride"]), float(case["par_temperature"])
    loss = spatial_contrast(features, stride, temperature, blocks=sizes, pairs_at_once=at_once)
    loss.backward()
    ending = "" if blocks else "_single_block"
    assert relative_error(loss, case[f"out_loss{ending}"]) <= tolerance
    assert relative_error(features.grad, case[f"out_grad{ending}"]) <= gradient_tolerance


@pytest.mark.parametrize(("dtype", "tolerance", "gradient_tolerance"), PRECISIONS)
def test_the_projection_and_its_gradients_are_the_references(golden, dtype, tolerance, gradient_tolerance):
    case = golden("cl_projection_loss")
    x, weight, bias = leaves(case, dtype, "proj_x", "proj_weight", "proj_bias")
    maps = FeatureMaps((x,), (x.shape[2], x.shape[3]))
    projected = spatial_softmax(maps.project(weight.flatten(1), bias), float(case["par_softargmax_mul"]))
    loss = spatial_contrast(projected, float(case["par_stride"]), float(case["par_temperature"]))
    loss.backward()
    assert relative_error(projected, case["out_proj"]) <= tolerance
    assert relative_error(loss, case["out_proj_loss"]) <= tolerance
    assert relative_error(weight.grad, case["out_proj_grad_weight"]) <= gradient_tolerance
    assert (bias.grad - torch.as_tensor(case["out_proj_grad_bias"])).abs().max() <= 1e-6
