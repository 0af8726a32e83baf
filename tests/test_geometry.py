"""Coordinates, heatmaps and warps against their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lmbench.geometry.coordinates import denormalise_points, normalise_points, pixel_grid
from lmbench.geometry.elastic import elastic_grid
from lmbench.geometry.heatmaps import argmax_points, soft_argmax
from lmbench.geometry.strength import EVAL_PAIR, SINGLE, TRAIN_PAIR, TPSStrength
from lmbench.geometry.warps import (
    affine_matrices,
    affine_points,
    draw_tps_weights,
    tps_grid,
    warp_images,
    warp_once,
    warp_pairs,
    warp_points,
)

quick = settings(max_examples=20, deadline=None)
sides = st.integers(2, 40)
seeds = st.integers(0, 2**31 - 1)
strengths = st.sampled_from([TRAIN_PAIR, EVAL_PAIR, SINGLE])
STILL = TPSStrength(0, 0, 0, 0, 0)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def random_points(count, size, seed, margin=0.0):
    """Points ``(1, count, 2)`` inside an image, ``margin`` (a fraction of each side) away from its border."""
    fraction = margin + (1 - 2 * margin) * torch.rand(1, count, 2, generator=seeded(seed), dtype=torch.float64)
    return fraction * torch.tensor([size[1] - 1, size[0] - 1])


def random_grid(strength, size, seed, count=1):
    return tps_grid(draw_tps_weights(count, strength, seeded(seed)).double(), size)


def assume_no_fold(grid):
    """Leave out grids that turn somewhere: there a point has several inverses, or none."""
    size = grid.shape[1:3]
    pixels = denormalise_points(grid, tuple(size))
    right, down = pixels[:, :-1, 1:] - pixels[:, :-1, :-1], pixels[:, 1:, :-1] - pixels[:, :-1, :-1]
    assume((right[..., 0] * down[..., 1] - right[..., 1] * down[..., 0]).min() > 0.1)


def read_off(grid, points):
    """What the bilinearly interpolated grid holds at ``points``, both in pixels; one image, plain loops."""
    height, width = grid.shape[1:3]
    pixels = denormalise_points(grid, (height, width))[0].numpy()
    values = []
    for x, y in points[0].tolist():
        left, top = min(int(x), width - 2), min(int(y), height - 2)
        u, v = x - left, y - top
        upper = (1 - u) * pixels[top, left] + u * pixels[top, left + 1]
        lower = (1 - u) * pixels[top + 1, left] + u * pixels[top + 1, left + 1]
        values.append((1 - v) * upper + v * lower)
    return torch.as_tensor(np.array(values))[None]


# Coordinates


@quick
@given(height=sides, width=sides, seed=seeds)
def test_denormalising_undoes_normalising(height, width, seed):
    points = random_points(7, (height, width), seed) * 3 - width
    back = denormalise_points(normalise_points(points, (height, width)), (height, width))
    torch.testing.assert_close(back, points, rtol=0, atol=1e-9)


def test_the_corner_pixels_are_at_minus_one_and_one():
    corners = torch.tensor([[0, 0], [63, 31]])
    assert normalise_points(corners, (32, 64)).tolist() == [[-1, -1], [1, 1]]


def test_an_axis_of_one_pixel_is_at_minus_one():
    assert normalise_points(torch.tensor([0, 2]), (5, 1)).tolist() == [-1, 0]
    assert denormalise_points(torch.tensor([-1.0, 0]), (5, 1)).tolist() == [0, 2]


# Heatmaps


@quick
@given(height=sides, width=sides, seed=seeds)
def test_the_soft_argmax_is_the_expected_position(height, width, seed):
    logits = 5 * torch.randn(2, 3, height, width, generator=seeded(seed), dtype=torch.float64)
    probability = torch.softmax(2 * logits.reshape(6, -1), 1).reshape(6, height, width).numpy()
    expected = np.zeros((6, 2))
    for y in range(height):
        for x in range(width):
            place = np.array([2 * x / (width - 1) - 1, 2 * y / (height - 1) - 1])
            expected += probability[:, y, x, None] * place
    np.testing.assert_allclose(soft_argmax(logits, 2.0).reshape(6, 2).numpy(), expected, atol=1e-12)


@quick
@given(height=sides, width=sides, seed=seeds)
def test_both_argmaxes_find_a_single_peak(height, width, seed):
    x, y = (int(torch.randint(n, (), generator=seeded(seed))) for n in (width, height))
    logits = torch.zeros(height, width)
    logits[y, x] = 1
    assert argmax_points(logits).tolist() == [x, y]
    found = denormalise_points(soft_argmax(logits, 1000.0), (height, width))
    torch.testing.assert_close(found, torch.tensor([x, y]).float(), rtol=0, atol=1e-4)


@quick
@given(shift_x=st.integers(-5, 5), shift_y=st.integers(-4, 4), seed=seeds)
def test_the_soft_argmax_moves_with_its_map(shift_x, shift_y, seed):
    size = (25, 31)
    logits = torch.full(size, -torch.inf, dtype=torch.float64)
    logits[8:16, 10:20] = torch.randn(8, 10, generator=seeded(seed), dtype=torch.float64)
    before, after = (
        denormalise_points(soft_argmax(maps), size) for maps in (logits, logits.roll((shift_y, shift_x), (0, 1)))
    )
    torch.testing.assert_close(after - before, torch.tensor([shift_x, shift_y]).double(), rtol=0, atol=1e-10)


def test_of_equal_values_the_argmax_takes_the_first_row_by_row():
    assert argmax_points(torch.tensor([[0, 3.0], [3, 3]])).tolist() == [1, 0]


def test_half_precision_maps_give_float32_points():
    logits = torch.randn(4, 48, 40, generator=seeded(0)).bfloat16()
    assert soft_argmax(logits).dtype == torch.float32
    torch.testing.assert_close(soft_argmax(logits), soft_argmax(logits.float()))


def test_the_gradient_of_the_soft_argmax_is_its_derivative():
    logits = torch.randn(2, 4, 5, generator=seeded(0), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda maps: soft_argmax(maps, 3.0), (logits,))


# Warps


@quick
@given(
    height=st.integers(4, 40),
    width=st.integers(4, 40),
    seed=seeds,
    mode=st.sampled_from(["nearest", "exact"]),
)
def test_the_identity_warp_changes_nothing(height, width, seed, mode):
    images = torch.rand(2, 3, height, width, generator=seeded(seed), dtype=torch.float64)
    points = random_points(5, (height, width), seed).round().expand(2, -1, -1)
    pair = warp_pairs(images, points, STILL, seeded(seed), points=mode)
    for view, landmarks in ((pair.view_a, pair.landmarks_a), (pair.view_b, pair.landmarks_b)):
        torch.testing.assert_close(view, images, rtol=0, atol=1e-12)
        torch.testing.assert_close(landmarks, points, rtol=0, atol=1e-9)
    still = pixel_grid((height, width), torch.float64).expand(2, -1, -1, -1)
    torch.testing.assert_close(denormalise_points(pair.grid, (height, width)), still, rtol=0, atol=1e-12)


@quick
@given(seed=seeds, strength=strengths, height=st.integers(24, 60), width=st.integers(24, 60))
def test_exactly_warped_points_are_read_from_where_they_were(seed, strength, height, width):
    grid = random_grid(strength, (height, width), seed)
    assume_no_fold(grid)
    points = random_points(20, (height, width), seed, margin=0.1)
    moved = warp_points(points, grid, "exact")
    last = torch.tensor([width - 1, height - 1])
    inside = ((moved > 0) & (moved < last)).all(-1)
    error = (read_off(grid, moved) - points).norm(dim=-1)[inside]
    assert (error < 1e-3).all()


@quick
@given(seed=seeds, strength=strengths)
def test_points_warp_forth_and_back(seed, strength):
    size = (40, 52)
    grid = random_grid(strength, size, seed)
    assume_no_fold(grid)
    positions = random_points(20, size, seed, margin=0.02)
    back = warp_points(read_off(grid, positions), grid, "exact")
    torch.testing.assert_close(back, positions, rtol=0, atol=5e-3)


@quick
@given(seed=seeds, strength=strengths)
def test_the_nearest_mode_finds_the_nearest_pixel_of_the_grid(seed, strength):
    size = (17, 23)
    grid = random_grid(strength, size, seed, count=3)
    points = random_points(12, size, seed).reshape(3, 4, 2)
    pixels = denormalise_points(grid, size).numpy()
    found = warp_points(points, grid).numpy()
    for image in range(3):
        for landmark in range(4):
            distance = np.linalg.norm(pixels[image] - points[image, landmark].numpy(), axis=-1)
            y, x = np.unravel_index(distance.argmin(), size)
            assert found[image, landmark].tolist() == [x, y]


@quick
@given(seed=seeds, strength=strengths)
def test_a_blob_and_its_centre_move_together(seed, strength):
    size = (60, 72)
    centre = random_points(1, size, seed, margin=0.35)
    blob = torch.exp(-(pixel_grid(size, torch.float64) - centre[0]).square().sum(-1) / 18)
    warped = warp_once(blob.expand(1, 1, -1, -1), centre, strength, seeded(seed), crop=4, points="exact")
    assume_no_fold(warped.grid)
    assert warped.images.shape[-2:] == (52, 64)
    peak = argmax_points(warped.images)[0, 0]
    assert (peak - warped.landmarks[0, 0]).abs().max() <= 1.01


@quick
@given(seed=seeds)
def test_the_grid_of_a_pair_leads_from_view_a_to_view_b(seed):
    size, crop = (64, 56), 8
    pair = warp_pairs(
        torch.rand(1, 1, *size),
        random_points(8, size, seed, margin=0.3),
        EVAL_PAIR,
        seeded(seed),
        1,
        1,
        crop,
        "exact",
    )
    height, width = pair.view_a.shape[-2:]
    assert (height, width) == (48, 40) == tuple(pair.grid.shape[1:3])
    inside = ((pair.landmarks_a > 0) & (pair.landmarks_a < torch.tensor([width - 1, height - 1]))).all(-1)
    led = read_off(pair.grid.double(), pair.landmarks_a)
    assert ((led - pair.landmarks_b).norm(dim=-1)[inside] < 2e-3).all()


def affine_grid(matrices, size):
    """The sampling grid ``(B, H, W, 2)`` under which image content moves as `affine_points` moves points."""
    inverse = torch.linalg.inv(matrices[..., :2])
    pixels = pixel_grid(size, matrices.dtype, matrices.device).reshape(1, -1, 2)
    read_from = affine_points(pixels - matrices[:, None, :, 2], torch.nn.functional.pad(inverse, (0, 1)))
    return normalise_points(read_from, size).reshape(-1, *size, 2)


def test_a_point_that_leaves_the_image_stays_on_its_border():
    size = (20, 30)
    matrix = affine_matrices(torch.zeros(1), torch.ones(1), torch.tensor([[25.0, 0]]), size)
    points = torch.tensor([[[10.0, 7.5]]])
    grid = affine_grid(matrix, size)
    assert warp_points(points, grid, "exact")[0, 0].tolist() == pytest.approx([29, 7.5], abs=1e-3)
    assert warp_points(points, grid, "nearest")[0, 0, 0] == 29


@pytest.mark.parametrize("mode", ["nearest", "exact"])
def test_a_missing_point_stays_missing(mode):
    points = torch.tensor([[[torch.nan, 3.0], [4.0, 5.0]]])
    moved = warp_points(points, random_grid(SINGLE, (20, 20), 0), mode)
    assert moved[0, 0].isnan().all()
    assert moved[0, 1].isfinite().all()


def test_images_are_warped_each_on_its_own():
    images = torch.rand(4, 3, 30, 26, generator=seeded(1), dtype=torch.float64)
    landmarks = random_points(5, (30, 26), 2).expand(4, -1, -1)
    together = warp_pairs(images, landmarks, TRAIN_PAIR, seeded(3))
    generator = seeded(3)
    for index in range(4):
        alone = warp_pairs(images[index : index + 1], landmarks[index : index + 1], TRAIN_PAIR, generator)
        torch.testing.assert_close(alone.view_a[0], together.view_a[index], rtol=0, atol=1e-10)
        assert torch.equal(alone.landmarks_a[0], together.landmarks_a[index])


def test_an_empty_batch_gives_empty_views():
    pair = warp_pairs(torch.rand(0, 3, 20, 20), torch.rand(0, 5, 2), TRAIN_PAIR, seeded(0), crop=2)
    assert pair.view_a.shape == (0, 3, 16, 16)
    assert pair.landmarks_a.shape == (0, 5, 2)


def test_warping_leaves_the_global_generator_alone():
    before = torch.random.get_rng_state()
    warp_pairs(torch.rand(1, 1, 20, 20, generator=seeded(0)), None, TRAIN_PAIR, seeded(0))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_grid_built_in_inference_mode_serves_training_afterwards():
    weights = draw_tps_weights(1, SINGLE, seeded(0), control=16)
    with torch.inference_mode():
        tps_grid(weights, (13, 17))
    weights.requires_grad_(True)
    tps_grid(weights, (13, 17)).sum().backward()
    assert weights.grad.abs().max() > 0


def test_autocast_does_not_blur_the_grid():
    weights = draw_tps_weights(2, TRAIN_PAIR, seeded(0))
    with torch.autocast("cpu", torch.bfloat16):
        inside = tps_grid(weights, (20, 24))
    assert torch.equal(inside, tps_grid(weights, (20, 24)))


def test_half_precision_images_are_sampled_at_full_precision():
    images = torch.rand(1, 3, 200, 200, generator=seeded(0)).bfloat16()
    grid = random_grid(SINGLE, (200, 200), 0).float()
    expected = warp_images(images.float(), grid).bfloat16()
    assert torch.equal(warp_images(images, grid), expected)


@pytest.mark.parametrize(("strength", "mean", "high"), [(TRAIN_PAIR, 13.2, 26.8), (EVAL_PAIR, 6.6, 13.4)])
def test_warps_move_pixels_as_far_as_the_references_do(strength, mean, high):
    # Mean and 95 % quantile of the flow at 136 pixels cropped to 96, measured on the reference code.
    grid = random_grid(strength, (34, 34), 0, count=300)[:, 5:-5, 5:-5]
    length = (grid - random_grid(STILL, (34, 34), 0)[:, 5:-5, 5:-5]).norm(dim=-1) * 135 / 2
    assert length.mean().item() == pytest.approx(mean, rel=0.1)
    assert length.flatten().quantile(0.95).item() == pytest.approx(high, rel=0.1)


def test_a_number_of_weights_that_makes_no_square_grid_is_refused():
    with pytest.raises(ValueError, match="found 24 kernel rows"):
        tps_grid(torch.zeros(1, 27, 2), (8, 8))
    with pytest.raises(ValueError, match="25 control points for weights with 24"):
        tps_grid(torch.zeros(1, 27, 2), (8, 8), torch.zeros(25, 2))


@quick
@given(degrees=st.floats(-180, 180), scale=st.floats(0.5, 2), x=st.floats(-5, 5), y=st.floats(-5, 5), seed=seeds)
def test_affine_grids_move_images_as_affine_points_move_points(degrees, scale, x, y, seed):
    size = (41, 57)
    numbers = (torch.tensor([value], dtype=torch.float64) for value in (degrees, scale))
    matrices = affine_matrices(*numbers, torch.tensor([[x, y]], dtype=torch.float64), size)
    points = random_points(10, size, seed, margin=0.4)
    moved = affine_points(points, matrices)

    angle, centre = math.radians(degrees), np.array([28, 20])
    rotation = scale * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    expected = (points[0].numpy() - centre) @ rotation.T + centre + [x, y]
    np.testing.assert_allclose(moved[0].numpy(), expected, atol=1e-9)
    torch.testing.assert_close(read_off(affine_grid(matrices, size), moved), points, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("strength", "smoothness"), [(1.5, 4.0), (3.0, 9.0)])
def test_an_elastic_field_moves_pixels_as_far_as_it_says_and_as_smoothly(strength, smoothness):
    size = (40, 32)
    grid = elastic_grid(60, size, torch.Generator().manual_seed(1), strength, smoothness)
    moved = denormalise_points(grid, size) - pixel_grid(size)
    assert moved.std(0).mean().item() == pytest.approx(strength, rel=0.1)
    slope = moved.diff(dim=2)[..., 0].std().item()
    assert slope == pytest.approx(strength / (math.sqrt(2) * smoothness), rel=0.1)
    again = elastic_grid(60, size, torch.Generator().manual_seed(1), strength, smoothness)
    assert torch.equal(grid, again)


def test_an_elastic_field_without_strength_is_the_identity_and_impossible_ones_are_refused():
    grid = elastic_grid(2, (7, 9), torch.Generator().manual_seed(0), 0.0, 2.0)
    torch.testing.assert_close(denormalise_points(grid, (7, 9)), pixel_grid((7, 9)).expand(2, -1, -1, -1))
    with pytest.raises(ValueError, match="smoothness > 0"):
        elastic_grid(1, (7, 9), torch.Generator(), 1.0, 0.0)
