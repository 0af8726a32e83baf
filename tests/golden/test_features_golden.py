"""FeatureMaps is the hypercolumn of ContrastLandmarks, built and unbuilt (golden: hypercolumn)."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from lmbench.features import FeatureMaps
from lmbench.testing.golden import relative_error

pytestmark = pytest.mark.golden

PRECISIONS = [pytest.param(torch.float64, 1e-10, id="float64"), pytest.param(torch.float32, 1e-5, id="float32")]


def hypercolumns(case, dtype):
    """(name, FeatureMaps, expected) for every hypercolumn in the file; sizes and layers are read from the arrays."""
    stages = sorted(
        (n for n in case if re.fullmatch(r"in_stage\d+", n)), key=lambda n: -int(n.removeprefix("in_stage"))
    )
    found = []
    for name in sorted(n for n in case if n.startswith("out_hyper")):
        layers = re.search(r"(\d+)layers", name)
        used = stages[: int(layers[1])] if layers else stages
        maps = tuple(torch.as_tensor(case[n], dtype=dtype) for n in used)
        found.append((name, FeatureMaps(maps, tuple(case[name].shape[-2:])), case[name]))
    assert found
    return found


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
def test_a_materialised_hypercolumn_is_the_references(golden, dtype, tolerance):
    for name, maps, expected in hypercolumns(golden("hypercolumn"), dtype):
        assert relative_error(maps.materialise(), expected) <= tolerance, name


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
def test_unit_filters_read_the_references_channels_one_by_one(golden, dtype, tolerance):
    for name, maps, expected in hypercolumns(golden("hypercolumn"), dtype):
        assert relative_error(maps.project(torch.eye(maps.dim, dtype=dtype)), expected) <= tolerance, name


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
def test_a_filter_sees_the_references_hypercolumn_without_building_it(golden, dtype, tolerance):
    rng = np.random.default_rng(0)
    for name, maps, expected in hypercolumns(golden("hypercolumn"), dtype):
        filters, bias = rng.standard_normal((7, maps.dim)), rng.standard_normal(7)
        found = maps.project(torch.as_tensor(filters, dtype=dtype), torch.as_tensor(bias, dtype=dtype))
        wanted = np.einsum("kc,bchw->bkhw", filters, expected) + bias[:, None, None]
        assert relative_error(found, wanted) <= tolerance, name


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
def test_descriptors_of_cells_are_the_references_columns(golden, dtype, tolerance):
    for name, maps, expected in hypercolumns(golden("hypercolumn"), dtype):
        height, width = maps.size
        y, x = np.mgrid[:height, :width].reshape(2, -1)
        cells = torch.as_tensor(np.stack((x, y), -1))[None].expand(len(expected), -1, -1)
        assert (
            relative_error(maps.sample(cells), expected.reshape(*expected.shape[:2], -1).transpose(0, 2, 1))
            <= tolerance
        ), name
