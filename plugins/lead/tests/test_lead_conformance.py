"""LEAD's parts keep the contracts of lmbench."""

from lmbench.testing import parametrize


@parametrize("lmbench_lead.plugin")
def test_every_part_of_lead_keeps_its_contract(check):
    check()
