"""The baselines' parts keep the contracts of lmbench."""

from lmbench.testing import parametrize


@parametrize("lmbench_baselines.plugin")
def test_every_part_of_the_baselines_keeps_its_contract(check):
    check()
