"""Both losses of LEAD against literal loops over its formulas (golden: lead_losses)."""

from __future__ import annotations

import pytest
import torch

from lmbench.testing.golden import leaves, relative_error
from lmbench_lead.byol import regression_loss, symmetric_loss
from lmbench_lead.distillation import correspondence, distillation_loss

pytestmark = pytest.mark.golden

# dtype, tolerance of values, tolerance of gradients
PRECISIONS = [
    pytest.param(torch.float64, 1e-10, 1e-10, id="float64"),
    pytest.param(torch.float32, 1e-5, 1e-4, id="float32"),
]


@pytest.mark.parametrize(("dtype", "tolerance", "gradient_tolerance"), PRECISIONS)
def test_byols_loss_is_equation_1_both_ways_and_targets_get_no_gradient(golden, dtype, tolerance, gradient_tolerance):
    case = golden("lead_losses")
    pred1, pred2, target1, target2 = leaves(case, dtype, "pred1", "pred2", "target1", "target2")
    assert relative_error(regression_loss(pred1, target2), case["out_byol_12"]) <= tolerance
    assert relative_error(regression_loss(pred2, target1), case["out_byol_21"]) <= tolerance
    loss = symmetric_loss(pred1, pred2, target1, target2)
    loss.backward()
    assert relative_error(loss, case["out_byol_symmetric_mean"]) <= tolerance
    assert relative_error(pred1.grad, case["out_grad_pred1"]) <= gradient_tolerance
    assert relative_error(pred2.grad, case["out_grad_pred2"]) <= gradient_tolerance
    assert target1.grad is None and target2.grad is None


@pytest.mark.parametrize(("dtype", "tolerance", "gradient_tolerance"), PRECISIONS)
def test_correspondences_of_teacher_and_student_are_equation_2(golden, dtype, tolerance, gradient_tolerance):
    del gradient_tolerance
    case = golden("lead_losses")
    temperature = float(case["par_tau"])
    f_i, f_j, h_i, h_j = leaves(case, dtype, "F_i", "F_j", "H_i", "H_j")
    teacher, student = correspondence(h_i, h_j, temperature).exp(), correspondence(f_i, f_j, temperature).exp()
    assert relative_error(teacher, case["out_p"]) <= tolerance
    assert relative_error(student, case["out_q"]) <= tolerance


@pytest.mark.parametrize(("dtype", "tolerance", "gradient_tolerance"), PRECISIONS)
def test_distillation_is_the_plain_sum_of_equation_3_and_the_teacher_gets_no_gradient(
    golden, dtype, tolerance, gradient_tolerance
):
    case = golden("lead_losses")
    temperature = float(case["par_tau"])
    f_i, f_j, h_i, h_j = leaves(case, dtype, "F_i", "F_j", "H_i", "H_j")
    teacher, student = correspondence(h_i, h_j, temperature), correspondence(f_i, f_j, temperature)
    loss = distillation_loss(student, teacher)
    assert relative_error(loss, case["out_LD_sum"]) <= tolerance
    assert relative_error(loss.mean() / student.shape[1], case["out_LD_per_location_mean"]) <= tolerance
    loss.mean().backward()
    assert relative_error(loss.mean(), case["out_LD_sum_mean"]) <= tolerance
    assert relative_error(f_i.grad, case["out_grad_F_i"]) <= gradient_tolerance
    assert relative_error(f_j.grad, case["out_grad_F_j"]) <= gradient_tolerance
    assert h_i.grad is None and h_j.grad is None
