"""What the network, the views and the losses of sparse do, against brute force and by hand."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lmbench.api import Colours, Surroundings, TPSStrength, UsageError, normalise_points, pixel_grid, warp_images
from lmbench.config.resolving import resolve_run
from lmbench.plugins.loading import get_plugins
from lmbench_sparse.alignment import (
    SparseAlignment,
    Triplet,
    alignment_loss,
    cells_of_grid,
    diversity_loss,
    probabilities,
)
from lmbench_sparse.network import SparseNet, cells_to_pixels, expected_cells
from lmbench_sparse.recipe import SPARSE
from lmbench_sparse.settings import SparseAlignmentSettings, SparseNetSettings

STILL = TPSStrength(0.0, 0.0, 0.0, 0.0, 0.0)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def images(count=2, height=40, width=40):
    return torch.rand(count, 3, height, width, generator=generator(7))


def peaked(cells, height, width, dtype=torch.float64):
    """(1, K, h, w) probability maps with everything in one cell (x, y) each."""
    maps = torch.zeros(1, len(cells), height, width, dtype=dtype)
    for k, (x, y) in enumerate(cells):
        maps[0, k, y, x] = 1
    return maps


class Scores(nn.Module):
    """A backbone whose score maps are parameters, whatever the image."""

    def __init__(self, maps):
        super().__init__()
        self.scores = nn.Parameter(maps)

    def forward(self, images):
        return {"heatmaps": self.scores.expand(len(images), -1, -1, -1)}


def network(**settings):
    return SparseNet(SparseNetSettings(**{"kernel": 3, **settings})).eval()


def objective(scores, **settings):
    return SparseAlignment(Scores(scores), None, SparseAlignmentSettings(**settings))


# The network


@pytest.mark.parametrize("size", [(64, 64), (48, 80)])
def test_maps_are_half_the_image_whatever_its_shape(size):
    maps = network(landmarks=7)(images(2, *size))
    assert list(maps) == ["conv1", "conv2", "conv3", "conv4", "conv5", "heatmaps"]
    assert [m.shape[1] for m in maps.values()] == [20, 48, 64, 80, 256, 7]
    assert {tuple(m.shape[2:]) for m in maps.values()} == {(size[0] // 2, size[1] // 2)}
    assert all(float(m.detach().min()) >= 0 for m in maps.values())  # a ReLU after every filter, also the last


def test_images_with_odd_sides_are_covered_whole():
    assert network(landmarks=2)(images(1, 41, 47))["heatmaps"].shape[2:] == (
        20,
        24,
    )  # of 40 and 48 pixels; 20.5 rounds to even


def test_zoom_resizes_before_the_first_filter_and_landmarks_stay_in_pixels_of_the_image():
    torch.manual_seed(0)
    small = network(landmarks=4, zoom=0.5)
    assert small(images(1, 64, 64))["heatmaps"].shape[2:] == (16, 16)
    with torch.no_grad():
        found = small.landmarks(images(1, 64, 64))
    assert found.shape == (1, 4, 2)
    assert float((found - 31.5).abs().max()) < 20  # untrained maps are broad: near the middle of 64 pixels


@given(st.integers(1, 4), st.integers(0, 11), st.integers(0, 8), st.sampled_from([(12, 9), (13, 20), (12, 16)]))
@settings(max_examples=30, deadline=None)
def test_a_landmark_lies_in_the_middle_of_the_pixels_its_cell_was_pooled_from(stride, x, y, size):
    width, height = size
    maps = peaked([(x, y)], height, width)
    picture = torch.zeros(1, 3, height * stride, width * stride)
    point = cells_to_pixels(expected_cells(maps), maps, picture)[0, 0]
    pixels = pixel_grid((height * stride, width * stride))[y * stride : (y + 1) * stride, x * stride : (x + 1) * stride]
    assert torch.allclose(point, pixels.double().mean((0, 1)))


def test_landmarks_move_with_the_image_where_nothing_is_at_the_border():
    torch.manual_seed(1)
    sharp = network(landmarks=3, multiplier=300.0)  # the background has no share in the expectation
    sharp.norm = nn.Identity()  # so that a black background is what 'same' padding adds
    picture = torch.zeros(1, 3, 64, 64)
    picture[..., 24:34, 22:36] = torch.rand(1, 3, 10, 14, generator=generator())
    with torch.no_grad():
        before, after = sharp.landmarks(picture), sharp.landmarks(picture.roll((6, -4), (2, 3)))
        assert bool((sharp(picture)["heatmaps"].amax((2, 3)) > 30).all())
    assert torch.allclose(after - before, torch.tensor([-4.0, 6.0]).expand(1, 3, 2), atol=0.05)


# Views


def test_the_second_view_is_the_first_read_at_the_grid():
    views = objective(torch.zeros(1, 2, 20, 20), crop=0).views(images(3), generator())
    again = warp_images(views.x, normalise_points(views.grid, (40, 40)))
    assert torch.allclose(again, views.x_warped, atol=1e-5)


def test_cropping_comes_after_both_warps_and_the_grid_counts_in_pixels_of_the_crop():
    whole, cropped = (
        objective(torch.zeros(1, 2, 20, 20), crop=c).views(images(2, 40, 40), generator()) for c in (0, 6)
    )
    assert cropped.x.shape == (2, 3, 28, 28)
    assert torch.equal(cropped.x, whole.x[..., 6:34, 6:34])
    assert torch.equal(cropped.x_warped, whole.x_warped[..., 6:34, 6:34])
    assert torch.allclose(cropped.grid, whole.grid[:, 6:34, 6:34] - 6)


def test_no_warp_gives_the_image_twice_and_the_identity():
    views = objective(torch.zeros(1, 2, 20, 20), g1=STILL, g2=STILL, crop=4).views(images(), generator())
    assert torch.allclose(views.x, images()[..., 4:36, 4:36], atol=1e-5)
    assert torch.allclose(views.x, views.x_warped, atol=1e-5)
    assert torch.allclose(views.grid, pixel_grid((32, 32)).expand(2, -1, -1, -1), atol=1e-3)


def test_colours_change_but_nothing_moves():
    colour = Colours(jitter=(0.5, 0.5, 0.5, 0.1), jitter_p=1.0)
    plain, coloured = (
        objective(torch.zeros(1, 2, 20, 20), colour=c).views(images(), generator()) for c in (None, colour)
    )
    assert torch.equal(plain.grid, coloured.grid)
    assert not torch.allclose(plain.x, coloured.x, atol=0.02)
    grey = torch.rand(2, 1, 40, 40, generator=generator()).expand(-1, 3, -1, -1) * 0.4 + 0.3
    plain, coloured = (
        objective(torch.zeros(1, 2, 20, 20), g1=STILL, g2=STILL, colour=c).views(grey, generator()).x
        for c in (None, Colours(jitter=(0.2, 0.0, 0.0, 0.0), jitter_p=1.0, grey_p=0.0))
    )
    ratio = coloured / plain
    assert float((ratio - ratio.mean((1, 2, 3), keepdim=True)).abs().max()) < 1e-3


# Losses


@given(st.integers(1, 3), st.integers(1, 3), st.integers(2, 6), st.integers(2, 6), st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_alignment_is_the_sum_over_all_pairs_of_cells(count, landmarks, height, width, seed):
    draw = generator(seed)
    scores, warped = torch.randn(2, count, landmarks, height, width, generator=draw, dtype=torch.float64)
    grid = 8 * torch.rand(count, height, width, 2, generator=draw, dtype=torch.float64) - 2
    p, q = probabilities(scores), probabilities(warped)
    expected = torch.zeros(count, dtype=torch.float64)
    for u_y in range(height):
        for u_x in range(width):
            u = torch.tensor([u_x, u_y], dtype=torch.float64)
            distance = (u - grid).square().sum(-1)
            expected += (distance[:, None] * q).sum((2, 3)).mul(p[:, :, u_y, u_x]).mean(1)
    assert torch.allclose(alignment_loss(p, q, grid), expected, rtol=1e-9, atol=1e-9)


def test_alignment_is_zero_where_each_landmark_follows_the_warp_exactly():
    grid = pixel_grid((9, 12)).double()[None] + torch.tensor([2.0, -1.0], dtype=torch.float64)
    at_u, at_v = [(5, 3), (8, 6)], [(3, 4), (6, 7)]  # g(v) = v + (2, -1) = u
    assert float(alignment_loss(peaked(at_u, 9, 12), peaked(at_v, 9, 12), grid)) == pytest.approx(0, abs=1e-12)
    assert float(alignment_loss(peaked(at_u, 9, 12), peaked(at_u, 9, 12), grid)) == pytest.approx(5)


def test_alignment_keeps_its_precision_under_autocast():
    p, q = probabilities(torch.randn(2, 2, 3, 20, 20, generator=generator())).unbind(0)
    grid = pixel_grid((20, 20)).expand(2, -1, -1, -1) + 1.5
    with torch.autocast("cpu", torch.bfloat16):
        found = alignment_loss(p, q, grid)
    assert torch.allclose(found, alignment_loss(p, q, grid), rtol=1e-6)


@pytest.mark.parametrize("size", [(20, 20), (7, 11)])
def test_diversity_is_zero_for_landmarks_in_blocks_of_their_own_and_largest_for_copies(size):
    apart = peaked([(0, 0), (size[1] - 1, size[0] - 1), (size[1] - 1, 0)], *size)  # the last block may be a small one
    assert float(diversity_loss(apart, 5)) == pytest.approx(0)
    assert float(diversity_loss(apart[:, :1].expand(-1, 3, -1, -1), 5)) == pytest.approx(2)
    together = peaked([(0, 0), (1, 1), (6, 6)], *size)  # two in one block
    assert float(diversity_loss(together, 5)) == pytest.approx(1)
    assert float(diversity_loss(together, 1)) == pytest.approx(0)


@given(st.integers(1, 4), st.integers(1, 7), st.integers(1, 7), st.integers(0, 9))
@settings(max_examples=30, deadline=None)
def test_a_grid_between_views_becomes_a_grid_between_cells_and_affine_motion_stays_exact(stride, height, width, seed):
    matrix = torch.eye(2, dtype=torch.float64) + 0.2 * torch.randn(2, 2, generator=generator(seed), dtype=torch.float64)
    size = (height * stride, width * stride)
    cells = cells_of_grid((pixel_grid(size, torch.float64) @ matrix)[None], (height, width))[0]
    middle = (pixel_grid((height, width), torch.float64) + 0.5) * stride - 0.5
    assert torch.allclose(cells, (middle @ matrix + 0.5) / stride - 0.5, atol=1e-9)


def test_the_total_is_alignment_in_its_unit_plus_gamma_times_diversity():
    scores = torch.randn(1, 3, 10, 10, generator=generator())
    found = {}
    for unit in ("cell", "pixel", "side"):
        weighted = objective(scores, gamma=20.0, unit=unit, crop=0)
        found[unit] = weighted.loss(weighted.views(images(2, 40, 40), generator()))
        total, alignment, diversity = (float(found[unit][n].detach()) for n in ("total", "alignment", "diversity"))
        assert total == pytest.approx(alignment + 20 * diversity, rel=1e-6)
    found = {unit: losses["alignment"].detach() for unit, losses in found.items()}
    cell = float(found["cell"])
    assert float(found["pixel"]) == pytest.approx(cell * 4**2, rel=1e-5)  # 40 pixels, 10 cells
    assert float(found["side"]) == pytest.approx(cell * (2 / 10) ** 2, rel=1e-5)


def test_following_the_objective_makes_landmarks_follow_a_shift():
    followed = objective(0.1 * torch.randn(1, 4, 12, 12, generator=generator()), gamma=100.0, pool=3)
    identity = Triplet(torch.zeros(1, 3, 24, 24), torch.zeros(1, 3, 24, 24), pixel_grid((24, 24))[None])
    optimiser = torch.optim.Adam(followed.parameters(), lr=0.3)
    for _ in range(150):
        optimiser.zero_grad()
        losses = followed.loss(identity)
        losses["total"].backward()
        optimiser.step()
    assert float(losses["alignment"].detach()) < 1  # of 48 for uniform maps: concentrated
    assert float(losses["diversity"].detach()) < 0.3  # of 6: apart


# What the paper reports, as data


@pytest.mark.parametrize("preset", ["smoke", "quick", "small", "paper"])
@pytest.mark.parametrize("variant", SPARSE.variants, ids=lambda v: v.name)
def test_every_preset_trains_both_stages_on_one_network_with_the_variants_landmarks(preset, variant):
    run = resolve_run(get_plugins(), "sparse", "synthfaces", preset=preset, variant=variant.name)
    networks = {stage.backbone_settings for stage in run.stages.values()}
    assert len(networks) == 1 and variant.name.startswith(f"k{networks.pop().landmarks}")


def test_finetuning_starts_from_the_first_stage_and_sees_only_the_targets_images():
    first, second = SPARSE.stages
    assert (first.starts_from_parent, first.data) == (False, "pretrain")
    assert (second.starts_from_parent, second.data) == (True, "target")
    assert first.objective == second.objective


def test_paper_views_are_the_papers_80_of_100_pixels():
    stage = resolve_run(get_plugins(), "sparse", "mafl", preset="paper").stages["alignment"]
    side, view = stage.training.frame, stage.training.frame - 2 * stage.settings.crop
    assert view / side == pytest.approx(0.8, abs=0.01)
    assert round(view * stage.backbone_settings.zoom) == 80


def test_cats_are_trained_and_read_at_their_own_100_pixels():
    run = resolve_run(get_plugins(), "sparse", "cats", preset="paper", variant="k50_finetuned")
    found = {(s.training.frame, s.settings.crop, s.backbone_settings.zoom) for s in run.stages.values()}
    assert found == {(100, 10, 1.0)} and run.network.backbone_settings.zoom == 1.0


def test_copies_of_annotated_images_are_warped_as_the_papers_training_images():
    regression = resolve_run(get_plugins(), "sparse", "mafl", preset="paper").settings_of("regression")
    assert regression.warped_copies == 4 and regression.head_settings.bias is False
    assert regression.warp == TPSStrength(0.001, 0.01, 0.1, 0.05, 20.0)  # g2 of Table 1, faces


# Bad input


def test_filters_with_an_even_side_are_refused():
    with pytest.raises(UsageError, match="odd number"):
        SparseNetSettings(kernel=4)


def test_images_that_the_network_cannot_see_are_refused():
    with pytest.raises(UsageError, match="at least 8"):
        network(landmarks=2, zoom=0.25)(images(1, 24, 24))


def test_a_crop_that_leaves_nothing_is_refused():
    around = Surroundings(maps_of=lambda name: {}, frame=40)
    SparseAlignmentSettings(crop=16).fits(around)
    with pytest.raises(UsageError, match="crop = 17 on every side leaves less than 8 pixels of a frame of 40"):
        SparseAlignmentSettings(crop=17).fits(around)


@pytest.mark.parametrize(("landmarks", "pool"), [(10, 1), (2, 4)])
def test_more_landmarks_than_cells_and_blocks_wider_than_maps_are_refused(landmarks, pool):
    crowded = objective(torch.zeros(1, landmarks, 3, 3), pool=pool, crop=0)
    with pytest.raises(UsageError, match="score maps of 3x3 cells"):
        crowded.loss(crowded.views(images(), generator()))


@pytest.mark.parametrize("preset", ["smoke", "quick", "small", "paper"])
def test_the_dense_map_is_judged_by_the_cores_head_after_the_very_training_of_k50(preset):
    plugins = get_plugins()
    own, dense, other = (
        resolve_run(plugins, method, "synthfaces", variant=variant, preset=preset)
        for method, variant in (("sparse", "k50"), ("sparse", "k50_conv5"), ("random", "dense64"))
    )
    assert dense.stages == own.stages and dense.read.layers == ("conv5",)
    assert dense.settings_of("regression") == other.settings_of("regression")
    assert own.settings_of("regression").head == "ridge" and dense.tasks == ("regression", "matching")
    control = resolve_run(plugins, "sparse", "synthfaces", variant="k50_conv5", preset=preset, untrained=True)
    assert {stage.training.epochs for stage in control.stages.values()} == {0}
