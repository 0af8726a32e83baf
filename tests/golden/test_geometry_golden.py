"""The warps give the references' numbers (golden: tps_grid).

Tolerances are relative to the largest absolute value of the array, as the golden README states them.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lmbench.geometry.coordinates import denormalise_points, normalise_points, pixel_grid
from lmbench.geometry.strength import TPSStrength
from lmbench.geometry.warps import (
    control_points,
    draw_tps_weights,
    tps_grid,
    tps_kernel,
    warp_images,
    warp_pair_weights,
    warp_pairs,
)

pytestmark = pytest.mark.golden

# dtype, tolerance of grids, tolerance of images
PRECISIONS = [
    pytest.param(torch.float64, 1e-10, 1e-10, id="float64"),
    pytest.param(torch.float32, 1e-5, 5e-5, id="float32"),
]


def assert_close(found, expected, tolerance):
    found = found.numpy() if isinstance(found, torch.Tensor) else np.asarray(found)
    assert found.shape == expected.shape
    worst = np.abs(found.astype(np.float64) - expected).max() / np.abs(expected).max()
    assert worst <= tolerance, f"off by {worst:.2e} of the largest value, allowed {tolerance:.0e}"


def pair_of(case, dtype):
    """The golden pair drawn and warped again; batch axis kept."""
    crop = int(case["pair_hw_crop"][2])
    *deviations, spline, affine = case["pair_params"].tolist()
    return warp_pairs(
        torch.as_tensor(case["pair_in_image"], dtype=dtype)[None],
        torch.as_tensor(case["pair_in_keypoints"], dtype=dtype)[None],
        TPSStrength(*deviations),
        torch.Generator().manual_seed(int(case["pair_seed"])),
        spline,
        affine,
        crop,
    )


def test_the_regular_control_grid_is_the_references(golden):
    expected = golden("tps_grid")["in_ctrl_points"]
    side = round(len(expected) ** 0.5)
    assert_close(control_points(side, torch.float64), expected, 1e-12)


@pytest.mark.parametrize(("dtype", "tolerance", "image_tolerance"), PRECISIONS)
def test_spline_grids_and_warped_images_are_the_references(golden, dtype, tolerance, image_tolerance):
    case = golden("tps_grid")
    size = tuple(case["par_grid_hw"].tolist())
    grid = tps_grid(torch.as_tensor(case["in_weights"], dtype=dtype), size)
    assert_close(grid, case["out_grid"], tolerance)
    assert_close(denormalise_points(grid, size), case["out_grid_pixels"], tolerance)
    image = torch.as_tensor(case["in_image"], dtype=dtype)
    assert_close(warp_images(image.expand(len(grid), -1, -1, -1), grid), case["out_warped"], image_tolerance)


@pytest.mark.parametrize(("dtype", "tolerance", "image_tolerance"), PRECISIONS)
def test_control_points_may_lie_anywhere(golden, dtype, tolerance, image_tolerance):
    case = golden("tps_grid")
    size = tuple(case["par_irr_grid_hw"].tolist())
    control = torch.as_tensor(case["in_irr_ctrl_points"], dtype=dtype)
    grid = tps_grid(torch.as_tensor(case["in_irr_weights"], dtype=dtype)[None], size, control)
    assert_close(grid[0], case["out_irr_grid"], tolerance)

    y, x = np.mgrid[: size[0], : size[1]]
    pixels = normalise_points(torch.as_tensor(np.stack((x, y), -1).reshape(-1, 2), dtype=dtype), size)
    assert_close(tps_kernel(pixels, control), case["out_irr_U"], tolerance)


def test_random_weights_are_the_references_bit_for_bit(golden):
    case = golden("tps_grid")
    for seed, deviations, expected in zip(case["draw_seed"], case["draw_params"], case["draw_weights"], strict=True):
        count, rows, _ = expected.shape
        generator = torch.Generator().manual_seed(int(seed))
        drawn = draw_tps_weights(count, TPSStrength(*deviations.tolist()), generator, rows - 3)
        np.testing.assert_array_equal(drawn.numpy(), expected)


def test_a_pair_draws_its_two_warps_as_the_reference_does(golden):
    case = golden("tps_grid")
    *deviations, spline, affine = case["pair_params"].tolist()
    generator = torch.Generator().manual_seed(int(case["pair_seed"]))
    first, second = warp_pair_weights(1, TPSStrength(*deviations), generator, spline, affine)
    np.testing.assert_array_equal(first[0].numpy(), case["pair_weights1"])
    np.testing.assert_array_equal(second[0].numpy(), case["pair_weights2"])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_warped_pair_is_the_references(golden, dtype):
    case = golden("tps_grid")
    pair = pair_of(case, dtype)
    assert_close(pair.view_a[0], case["pair_out_viewA"], 5e-5 if dtype == torch.float32 else 2e-5)
    assert_close(pair.view_b[0], case["pair_out_viewB"], 5e-5 if dtype == torch.float32 else 2e-5)
    assert_close(pair.grid, case["pair_out_grid"], 2e-5)
    size = pair.grid.shape[1:3]
    assert_close(denormalise_points(pair.grid, size) - pixel_grid(size, dtype), case["pair_out_flow"], 2e-5)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_warped_keypoints_are_the_references_to_the_pixel(golden, dtype):
    case = golden("tps_grid")
    pair = pair_of(case, dtype)
    # The reference's float32 pixel centres are off whole numbers by up to 1e-6.
    np.testing.assert_array_equal(pair.landmarks_a[0].numpy(), np.rint(case["pair_out_kpA"]))
    np.testing.assert_array_equal(pair.landmarks_b[0].numpy(), np.rint(case["pair_out_kpB"]))
