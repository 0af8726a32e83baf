"""What lmbench expects of a plugin, one test a promise, and what the loss should do."""

from __future__ import annotations

import torch
from lmbench.testing import Check, parametrize

from lmbench_placeholder.objective import similarities


@parametrize("lmbench_placeholder.plugin")
def test_the_plugin_keeps_its_contract(check: Check) -> None:
    check()


def test_a_descriptor_is_most_similar_to_its_own_whatever_its_length() -> None:
    descriptors = torch.randn(6, 16, generator=torch.Generator().manual_seed(0))
    found = similarities(descriptors, 3 * descriptors)
    assert found.diagonal().allclose(torch.ones(6))
    assert found.argmax(1).tolist() == [0, 1, 2, 3, 4, 5]
