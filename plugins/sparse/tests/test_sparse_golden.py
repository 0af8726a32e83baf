"""Equations 6 and 8 of Thewlis et al. 2017 against literal sums over their positions (golden: sparse_losses)."""

from __future__ import annotations

import pytest
import torch

from lmbench.testing.golden import relative_error
from lmbench_sparse.alignment import alignment_loss, diversity_loss, probabilities

pytestmark = pytest.mark.golden

# dtype, tolerance of values and of gradients (README of the golden vectors)
PRECISIONS = [
    pytest.param(torch.float64, 1e-10, id="float64"),
    pytest.param(torch.float32, 1e-4, id="float32"),
]


def inputs(case, dtype, *names):
    return [torch.as_tensor(case[name], dtype=dtype) for name in names]


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
def test_scores_become_probabilities_over_all_positions(golden, dtype, tolerance):
    case = golden("sparse_losses")
    for view in "ab":
        (scores,) = inputs(case, dtype, f"in_logits_{view}")
        assert relative_error(probabilities(scores), case[f"in_prob_{view}"]) <= tolerance


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
def test_alignment_is_the_double_sum_of_equation_6(golden, dtype, tolerance):
    case = golden("sparse_losses")
    scores, warped, grid = inputs(case, dtype, "in_logits_a", "in_logits_b", "in_grid")
    scores.requires_grad_(True), warped.requires_grad_(True)
    loss = alignment_loss(probabilities(scores), probabilities(warped), grid)
    assert relative_error(loss, case["out_align"]) <= tolerance
    assert relative_error(loss, case["out_align_factorised"]) <= tolerance
    assert relative_error(loss.mean(), case["out_align_mean"]) <= tolerance
    loss.mean().backward()
    assert relative_error(scores.grad, case["out_grad_align_a"]) <= tolerance
    assert relative_error(warped.grad, case["out_grad_align_b"]) <= tolerance


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
def test_diversity_is_equation_8_on_sums_over_blocks_that_do_not_overlap(golden, dtype, tolerance):
    case = golden("sparse_losses")
    (scores,) = inputs(case, dtype, "in_logits_a")
    scores.requires_grad_(True)
    assert relative_error(diversity_loss(probabilities(scores), 1), case["out_div_eq8"]) <= tolerance
    loss = diversity_loss(probabilities(scores), int(case["par_pool"]))
    assert relative_error(loss, case["out_div_pool5"]) <= tolerance
    loss.mean().backward()
    assert relative_error(scores.grad, case["out_grad_div_pool5"]) <= tolerance


def test_a_port_of_the_method_has_the_same_alignment_and_the_same_diversity_without_pooling(golden):
    case = golden("sparse_losses")
    scores, warped, grid = inputs(case, torch.float32, "port_in_logits_a", "port_in_logits_b", "port_in_grid")
    alignment = alignment_loss(probabilities(scores), probabilities(warped), grid).mean()
    assert relative_error(alignment, case["port_align"]) <= 1e-4
    assert relative_error(alignment, case["port_align_brute"]) <= 1e-4
    assert relative_error(diversity_loss(probabilities(scores), 1).mean(), case["port_div_eq8"]) <= 1e-4
