"""IMM's parts keep the contracts of lmbench."""

from lmbench.testing import parametrize


@parametrize("lmbench_imm.plugin")
def test_every_part_of_imm_keeps_its_contract(check):
    check()
