"""The parts of twostep keep the contracts of lmbench."""

from lmbench.testing import parametrize


@parametrize("lmbench_twostep.plugin")
def test_every_part_of_twostep_keeps_its_contract(check):
    check()
