"""DVE's parts keep the contracts of lmbench."""

from lmbench.testing import parametrize


@parametrize("lmbench_dve.plugin")
def test_every_part_of_dve_keeps_its_contract(check):
    check()
