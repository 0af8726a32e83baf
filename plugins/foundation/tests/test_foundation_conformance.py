"""The foundation plugin's parts keep the contracts of lmbench."""

from lmbench.testing import parametrize


@parametrize("lmbench_foundation.plugin")
def test_every_part_of_foundation_keeps_its_contract(check):
    check()
