"""The correlation loss against the reference's own numbers (golden: dve_loss)."""

from __future__ import annotations

import pytest
import torch

from lmbench.testing.golden import relative_error
from lmbench_dve.correlation import dense_correlation_loss

pytestmark = pytest.mark.golden

# dtype, tolerance of values, of gradients with raw and with normalised descriptors (golden README)
PRECISIONS = [
    pytest.param(torch.float64, 1e-10, {False: 1e-8, True: 1e-8}, id="float64"),
    pytest.param(torch.float32, 1e-5, {False: 1e-4, True: 3e-3}, id="float32"),
]
EXCHANGE = [pytest.param(True, id="exchange"), pytest.param(False, id="plain")]
NORMALISE = [pytest.param(True, id="normalised"), pytest.param(False, id="raw")]


def loss_of(case, features, exchange, normalise, power=0.5, block_pairs=None):
    grid = torch.as_tensor(case["in_grid"], dtype=features.dtype)
    return dense_correlation_loss(
        features[0::2],
        features[1::2],
        grid,
        exchange=exchange,
        normalise=normalise,
        power=power,
        block_pairs=block_pairs,
    )


def suffix(exchange, normalise):
    return f"{'dve' if exchange else 'plain'}_{'norm' if normalise else 'raw'}"


@pytest.mark.parametrize("block_pairs", [None, 100, 1000, 25_000])  # whole batch, one row, ten rows, two images
@pytest.mark.parametrize("normalise", NORMALISE)
@pytest.mark.parametrize("exchange", EXCHANGE)
@pytest.mark.parametrize(("dtype", "tolerance", "gradient_tolerances"), PRECISIONS)
def test_loss_and_gradient_are_the_references_in_any_blocks(
    golden, dtype, tolerance, gradient_tolerances, exchange, normalise, block_pairs
):
    case = golden("dve_loss")
    features = torch.as_tensor(case["in_feats"], dtype=dtype).requires_grad_(True)
    loss = loss_of(case, features, exchange, normalise, block_pairs=block_pairs)
    loss.backward()
    name = suffix(exchange, normalise)
    assert relative_error(loss, case[f"out_loss_{name}"]) <= tolerance
    assert relative_error(features.grad, case[f"out_grad_{name}"]) <= gradient_tolerances[normalise]


@pytest.mark.parametrize("normalise", NORMALISE)
@pytest.mark.parametrize("exchange", EXCHANGE)
@pytest.mark.parametrize(("dtype", "tolerance", "gradient_tolerances"), PRECISIONS)
def test_the_distance_may_have_another_power(golden, dtype, tolerance, gradient_tolerances, exchange, normalise):
    del gradient_tolerances
    case = golden("dve_loss")
    features = torch.as_tensor(case["in_feats"], dtype=dtype)
    loss = loss_of(case, features, exchange, normalise, power=1.0)
    assert relative_error(loss, case[f"out_loss_{suffix(exchange, normalise)}_pow1"]) <= tolerance


@pytest.mark.parametrize("normalise", NORMALISE)
def test_float32_agrees_with_the_published_code_unpatched(golden, normalise):
    case = golden("dve_loss")
    features = torch.as_tensor(case["in_feats"], dtype=torch.float64)
    loss = loss_of(case, features, True, normalise)
    assert relative_error(loss, case[f"ref_loss_asis_{suffix(True, normalise)}"]) <= 1e-6
