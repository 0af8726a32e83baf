"""ContrastLandmarks' parts keep the contracts of lmbench."""

from lmbench.testing import parametrize


@parametrize("lmbench_contrastlandmarks.plugin")
def test_every_part_of_contrastlandmarks_keeps_its_contract(check):
    check()
