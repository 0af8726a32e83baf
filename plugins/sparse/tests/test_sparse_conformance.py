"""The parts of lmbench-sparse keep the contracts of lmbench."""

from lmbench.testing import parametrize


@parametrize("lmbench_sparse.plugin")
def test_every_part_of_sparse_keeps_its_contract(check):
    check()
