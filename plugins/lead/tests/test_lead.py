"""What LEAD's objectives compute beside their golden numbers: precision, and which views they learn from."""

from __future__ import annotations

import pytest
import torch

from lmbench_lead.distillation import correspondence


@pytest.mark.parametrize("temperature", [0.05, 0.02])
def test_a_correspondence_is_told_as_exactly_within_autocast_as_without(temperature):
    """In bf16, cosines over 0.05 were off by up to 0.44 in log-probability."""
    source, target = torch.randn(2, 2, 64, 12, 12, generator=torch.Generator().manual_seed(0)).relu().unbind()
    exact = correspondence(source.double(), target.double(), temperature)
    with torch.autocast("cpu", torch.bfloat16):
        within = correspondence(source, target, temperature)
    assert within.dtype == torch.float32
    assert float((within - exact).abs().max()) < 1e-4
