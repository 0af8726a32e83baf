"""Deformations, networks and objectives of twostep: exact correspondences, literal oracles, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lmbench.api import Colours, Extractor, Surroundings, UsageError
from lmbench.config.resolving import resolve_run
from lmbench.plugins.loading import get_plugins
from lmbench_twostep.contrast import PixelNTXent, PixelViews, contrastive_loss
from lmbench_twostep.deformation import deformed_pair, draw_grids, move_back, read_points, whole_grid
from lmbench_twostep.detector import TwoStepDetector
from lmbench_twostep.hourglass import Hourglass
from lmbench_twostep.landmarks import TwoStepLandmarks, diversity_loss, heatmap_variances, spatial_softmax
from lmbench_twostep.settings import (
    Deformation,
    DetectorSettings,
    HourglassSettings,
    PixelNTXentSettings,
    TwoStepLandmarksSettings,
)

UNCHANGED = Colours(jitter_p=0.0, grey_p=0.0)
STRONG = Deformation(rotation=30, zoom=(0.7, 1.4), shift=0.1, shear=0.1, elastic=0.02, smoothness=0.1)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def ramps(count, side, lowest=0.25, highest=0.75):
    """Images whose red is their x and whose green is their y: reading one tells where it was read."""
    axis = torch.linspace(lowest, highest, side)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return torch.stack((x, y, torch.full_like(x, 0.5))).expand(count, -1, -1, -1)


class Ramps(nn.Module):
    """A backbone whose dense map is the image."""

    def forward(self, images):
        return {"dense": images}


def hourglass(width, dim=8, **settings):
    return Hourglass(HourglassSettings(dim=dim, width=width, **settings))


def detector(**settings):
    return TwoStepDetector(DetectorSettings(**{"landmarks": 5, "dim": 8, "width": 4, **settings}))


def contrast(backbone=None, **settings):
    return PixelNTXent(backbone or Ramps(), None, PixelNTXentSettings(**settings))


def frozen(backbone, parent=None):
    """Step 2 on what a network found."""
    return TwoStepLandmarks(backbone, parent and Extractor(parent, ("dense",)), TwoStepLandmarksSettings())


def trained(backbone, **settings):
    """Step 2 without step 1."""
    return TwoStepLandmarks(backbone, None, TwoStepLandmarksSettings(features="trained", **settings))


# Deformations


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 1000),
    side=st.sampled_from([17, 32, 33]),
    window=st.floats(0.3, 1.0),
    strong=st.booleans(),
)
def test_both_views_show_the_same_thing_at_corresponding_points(seed, side, window, strong):
    deformation = STRONG if strong else Deformation(rotation=90, zoom=(0.9, 1.1))
    view, deformed, grid = deformed_pair(ramps(2, 64), side, window, deformation, generator(seed))
    points = whole_grid(2, side).flatten(1, 2)
    seen = (grid.flatten(1, 2).abs() <= 1).all(-1)
    there, here = read_points(deformed, points), read_points(view, move_back(points, grid))
    assert torch.allclose(there[seen], here[seen], atol=2e-5)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), angle=st.floats(0, 180), zoom=st.floats(0.5, 2), shift=st.floats(0, 0.3))
def test_without_elastic_part_and_shear_a_deformation_is_a_similarity(seed, angle, zoom, shift):
    side = 21
    grid = draw_grids(Deformation(rotation=angle, zoom=(zoom, zoom), shift=shift), 3, side, generator(seed))
    right, down = grid[:, 0, -1] - grid[:, 0, 0], grid[:, -1, 0] - grid[:, 0, 0]
    assert torch.allclose((right * down).sum(-1), torch.zeros(3), atol=1e-4)
    assert torch.allclose(right.norm(dim=-1), torch.full((3,), 2 / zoom), rtol=1e-4)
    assert torch.allclose(down.norm(dim=-1), torch.full((3,), 2 / zoom), rtol=1e-4)
    cosine = right[:, 0] * zoom / 2
    assert (cosine >= math.cos(math.radians(angle)) - 1e-4).all()
    assert (grid.mean((1, 2)).abs() <= 2 * shift * side / (side - 1) + 1e-4).all()


def test_zooming_in_shows_a_smaller_part_of_the_image():
    grid = draw_grids(Deformation(zoom=(2.0, 2.0)), 1, 9, generator())
    assert torch.allclose(grid, whole_grid(1, 9) / 2, atol=1e-6)


def test_a_deformation_of_no_strength_changes_nothing():
    images = torch.rand(2, 3, 20, 20, generator=generator())
    view, deformed, grid = deformed_pair(images, 0, 1.0, Deformation(), generator())
    for found in (view, deformed):
        assert torch.allclose(found, images, atol=1e-5)
    assert torch.allclose(grid, whole_grid(2, 20), atol=1e-6)


def test_landmarks_move_back_with_a_gradient_equal_to_the_finite_difference():
    grid = draw_grids(STRONG, 1, 24, generator()).double()
    points = torch.tensor([[[0.11, -0.23], [0.4, 0.35]]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda p: move_back(p, grid), (points,))


# Step 1


def test_places_are_seen_in_both_views_and_differ_from_one_another():
    objective = contrast(locations=100, deformation=STRONG, appearance=UNCHANGED, noise=0.0)
    views = objective.views(ramps(4, 48), generator())
    assert views.seen.all()
    assert (views.points.abs() <= 1).all() and (views.deformed_points.abs() <= 1).all()
    for points in views.deformed_points:
        assert len(points.unique(dim=0)) == 100
    first, second = read_points(views.view, views.points), read_points(views.deformed, views.deformed_points)
    assert torch.allclose(first, second, atol=2e-5)


def test_places_outside_the_other_view_do_not_count():
    # Zoomed out by 4, a sixteenth of the deformed view shows the first one: about 36 of 576 pixels.
    objective = contrast(hourglass(2), locations=500, deformation=Deformation(zoom=(0.25, 0.25)))
    views = objective.views(torch.rand(2, 3, 24, 24, generator=generator()), generator())
    counted = views.seen.sum(1)
    assert ((counted > 20) & (counted < 60)).all()
    poisoned = views._replace(points=torch.where(views.seen[..., None], views.points, 0.123))
    assert objective.loss(views)["total"] == objective.loss(poisoned)["total"]


def test_the_second_view_alone_is_recoloured_unless_both_are_asked_for():
    images = ramps(2, 32)
    for recolour, changed in (("one", False), ("both", True)):
        objective = contrast(recolour=recolour, noise=0.05)
        views = objective.views(images, generator())
        assert not torch.allclose(views.deformed, images, atol=0.01)
        assert torch.allclose(views.view, images, atol=1e-5) is not changed


def test_recolouring_leaves_every_pixel_in_its_place():
    objective = contrast(appearance=UNCHANGED, noise=0.0)
    images = torch.rand(2, 3, 33, 33, generator=generator())
    assert torch.allclose(objective.change_appearance(images, generator()), images, atol=1e-5)


def test_the_loss_of_features_that_agree_and_are_otherwise_orthogonal_is_known():
    count, temperature = 6, 0.1
    features = torch.eye(count, dtype=torch.float64)
    # One positive of cosine 1 against 2 (N - 1) of cosine 0, in both directions.
    expected = 2 * math.log(1 + 2 * (count - 1) * math.exp(-1 / temperature))
    assert contrastive_loss(features, features, temperature).item() == pytest.approx(expected, rel=1e-9)


def test_the_length_of_features_does_not_matter():
    f, g = torch.randn(2, 3, 5, 8, generator=generator(), dtype=torch.float64)
    scale = 1 + torch.rand(3, 5, 1, dtype=torch.float64)
    assert torch.allclose(contrastive_loss(f * scale, g, 0.1), contrastive_loss(f, g, 0.1))


def test_rivals_of_the_own_image_are_equation_7_of_each_image_by_itself():
    f, g = torch.randn(2, 3, 5, 8, generator=generator(), dtype=torch.float64)
    image = torch.arange(3)[:, None].expand(3, 5)
    alone = torch.stack([contrastive_loss(f[i], g[i], 0.1) for i in range(3)]).mean()
    assert torch.allclose(contrastive_loss(f, g, 0.1, image), alone)
    assert contrastive_loss(f, g, 0.1) > alone


# Step 2


def test_diversity_is_zero_for_landmarks_in_patches_of_their_own_and_k_minus_1_for_one_place():
    apart = torch.full((1, 3, 10, 15), -1e3)
    for k in range(3):
        apart[0, k, 9, 5 * k + 4] = 1e3
    together = torch.zeros(1, 3, 10, 15)
    assert diversity_loss(spatial_softmax(apart), 5).item() == pytest.approx(0, abs=1e-5)
    assert diversity_loss(spatial_softmax(together), 5).item() == pytest.approx(2, abs=1e-5)


@settings(max_examples=15, deadline=None)
@given(height=st.integers(1, 11), width=st.integers(1, 11), patch=st.integers(1, 5), seed=st.integers(0, 99))
def test_diversity_equals_its_literal_sum_also_where_patches_do_not_fit(height, width, patch, seed):
    p = spatial_softmax(torch.randn(2, 3, height, width, generator=generator(seed), dtype=torch.float64))
    expected = torch.zeros(2, dtype=torch.float64)
    for top in range(0, height, patch):
        for left in range(0, width, patch):
            sums = p[:, :, top : top + patch, left : left + patch].sum((2, 3))
            expected += sums.sum(1) - sums.max(1).values
    assert torch.allclose(diversity_loss(p, patch), expected)


def test_variance_is_that_of_the_pixels_under_the_heatmap():
    p = torch.zeros(1, 2, 6, 9, dtype=torch.float64)
    p[0, 0, 1, 2] = 1
    p[0, 1, 0, 1] = p[0, 1, 4, 1] = 0.5  # 4 pixels apart: variance 4
    assert torch.allclose(heatmap_variances(p), torch.tensor([[0.0, 4.0]], dtype=torch.float64))


def test_frozen_features_are_those_of_the_stage_before_and_stay_so():
    parent = hourglass(4)
    objective = frozen(detector(), parent)
    views = objective.views(torch.rand(2, 3, 32, 32, generator=generator()), generator())
    optimiser = torch.optim.Adam(objective.trainable(), 0.1)
    objective.loss(views)["total"].backward()
    optimiser.step()
    for name, value in parent.state_dict().items():
        assert torch.equal(value, objective.backbone.features.state_dict()[name])
    assert all(p.grad is None for p in objective.backbone.features.parameters())
    assert any(p.grad.abs().sum() > 0 for p in objective.backbone.detector.parameters())


def test_end_to_end_trains_the_features_by_the_landmark_losses_alone():
    objective = trained(detector())
    views = objective.views(torch.rand(2, 3, 32, 32, generator=generator()), generator())
    objective.loss(views)["total"].backward()
    assert all(p.grad is not None for p in objective.backbone.features.parameters())


def test_landmarks_that_move_with_the_image_cost_nothing():
    class Bright(nn.Module):
        """Heatmaps that are sharp at the brightest pixels of red and green."""

        def forward(self, images):
            return {"heatmaps": 400 * images[:, :2]}

    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    blobs = [torch.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 72) for cx, cy in ((20, 30), (40, 25))]
    images = torch.stack([*blobs, torch.zeros(64, 64)]).expand(3, -1, -1, -1)
    objective = trained(Bright(), deformation=Deformation(rotation=40.0, elastic=0.01))
    view, deformed, grid = objective.views(images, generator())
    moved = objective.loss((view, deformed, grid))["equivariance"]
    unmoved = objective.loss((view, deformed, whole_grid(3, 64)))["equivariance"]
    assert moved < (2 * 0.5 / 63) ** 2  # half a pixel: the blobs are bent and resampled
    assert unmoved > 50 * moved


def test_the_printed_loss_is_the_plain_sum_of_its_terms_in_pixels():
    """Secs. 2 and 4, written out: nothing is divided by K, by the image's side or weighted."""

    class Given(nn.Module):
        def forward(self, images):
            return {"heatmaps": 4 * images}

    count, side, patch = 3, 12, 4
    both = torch.rand(4, count, side, side, generator=generator(), dtype=torch.float64)  # two images, then their copies
    p = (4 * both).flatten(2).softmax(-1).unflatten(2, (side, side)).numpy()
    y, x = np.mgrid[:side, :side]
    means = np.stack([(p * x).sum((2, 3)), (p * y).sum((2, 3))], -1)
    second = np.stack([(p * x**2).sum((2, 3)), (p * y**2).sum((2, 3))], -1)
    equivariance = ((means[:2] - means[2:]) ** 2).sum(-1).mean()
    patches = p.reshape(4, count, side // patch, patch, side // patch, patch).sum((3, 5))
    diversity = (patches.sum(1) - patches.max(1)).sum((1, 2)).mean()
    variance = (second - means**2).sum((1, 2)).mean()

    chosen = {"patch": patch, "equivariance": 1.0, "diversity": 1.0, "variance": 1.0}
    views = both[:2], both[2:], whole_grid(2, side).double()
    printed = trained(Given(), terms="printed", **chosen).loss(views)
    assert float(printed["equivariance"]) == pytest.approx(equivariance, rel=1e-6)
    assert float(printed["diversity"]) == pytest.approx(diversity)
    assert float(printed["variance"]) == pytest.approx(variance)
    assert float(printed["total"]) == pytest.approx(equivariance + diversity + variance, rel=1e-6)
    scaled = trained(Given(), terms="scaled", **chosen).loss(views)
    half_side = (side - 1) / 2
    expected = equivariance / half_side**2, diversity / count, variance / count / half_side**2
    found = [float(scaled[name]) for name in ("equivariance", "diversity", "variance")]
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("method", ["twostep", "end_to_end"])
def test_preset_paper_takes_the_loss_as_it_is_printed(method):
    found = resolve_run(get_plugins(), method, "synthfaces", preset="paper").stages["landmarks"].settings
    assert (found.terms, found.equivariance, found.diversity, found.variance) == ("printed", 1, 1, 1)


def test_cats_have_frames_of_100_pixels_and_patches_of_10():
    run = resolve_run(get_plugins(), "twostep", "cats", preset="paper")
    assert {s.training.frame for s in run.stages.values()} == {100} and run.stages["landmarks"].settings.patch == 10


def test_landmarks_are_in_pixels_x_before_y():
    network = detector(landmarks=2)

    def heatmaps(features):
        logits = torch.full((len(features), 2, 20, 30), -1e3)
        logits[:, 0, 5, 17] = logits[:, 1, 19, 29] = 1e3
        return {"heatmaps": logits}

    network.detector.forward = heatmaps
    found = network.landmarks(torch.zeros(1, 3, 20, 30))
    assert torch.allclose(found, torch.tensor([[[17.0, 5.0], [29.0, 19.0]]]), atol=1e-4)


# Networks


def test_images_brought_to_a_scale_first_give_landmarks_in_their_own_pixels_and_a_map_at_a_quarter():
    whole, half = (detector(landmarks=3, scale=scale).eval() for scale in (1.0, 1 / 3))
    half.load_state_dict(whole.state_dict())
    smooth = torch.rand(2, 3, 4, 4, generator=generator())
    small, large = (
        nn.functional.interpolate(smooth, size=(n, n), mode="bicubic", align_corners=True).clamp(0, 1) for n in (24, 72)
    )
    with torch.no_grad():
        maps, found, expected = half(large), half.landmarks(large), whole.landmarks(small)
    assert maps["dense"].shape[2:] == (24, 24) and maps["dense4"].shape[2:] == (18, 18)
    assert torch.allclose(found / 71, expected / 23, atol=0.02)


@pytest.mark.parametrize("size", [(16, 16), (33, 50), (100, 100)])
def test_maps_have_the_images_own_resolution_at_any_size(size):
    with torch.no_grad():
        maps = hourglass(2)(torch.rand(1, 3, *size))
        heatmaps = detector()(torch.rand(1, 3, *size))
    assert maps["dense"].shape == (1, 8, *size)
    assert maps["dense4"].shape == (1, 8, -(-size[0] // 4), -(-size[1] // 4))
    assert list(heatmaps) == ["dense4", "dense", "layer2", "layer3", "layer4", "heatmaps"]
    assert heatmaps["heatmaps"].shape == (1, 5, *size)


def test_the_hourglass_has_four_blocks_of_two_filters_each_way_and_skips_at_every_resolution():
    network = hourglass(4, dim=64)
    for blocks in (network.encoder, network.decoder):
        assert [sum(isinstance(layer, nn.Conv2d) for layer in block) for block in blocks] == [2, 2, 2, 2]
    seen = []
    for block in network.decoder:
        block.register_forward_hook(lambda module, args, output: seen.append(output.shape[2]))
    network(torch.zeros(1, 3, 64, 64))
    assert seen == [4, 8, 16, 32]  # then doubled, up to 64


# What is refused

REFUSED = {
    "more locations than pixels": lambda: PixelNTXentSettings(locations=101, size=10).fits(around(96)),
    "more locations than the frame's pixels": lambda: PixelNTXentSettings(locations=101).fits(around(10)),
    "a batch of one": lambda: contrast().loss(
        PixelViews(*torch.rand(2, 1, 3, 8, 8), *torch.rand(2, 1, 4, 2), torch.ones(1, 4, dtype=torch.bool))
    ),
    "nothing visible in both": lambda: contrast().loss(
        PixelViews(*torch.rand(2, 2, 3, 8, 8), *torch.rand(2, 2, 4, 2), torch.zeros(2, 4, dtype=torch.bool))
    ),
    "zoom": lambda: Deformation(zoom=(1.2, 0.8)),
    "images too small": lambda: hourglass(2)(torch.zeros(1, 3, 15, 40)),
    "no stage before": lambda: frozen(detector()),
    "a backbone without F": lambda: frozen(hourglass(4), hourglass(4)),
    "another width before": lambda: frozen(detector(), hourglass(2)),
    "more landmarks than pixels": lambda: trained(detector(landmarks=300)).loss(
        (*torch.rand(2, 1, 3, 16, 16), whole_grid(1, 16))
    ),
}


def around(frame):
    return Surroundings(maps_of=lambda name: {}, frame=frame)


@pytest.mark.parametrize("name", REFUSED)
def test_impossible_input_is_refused_with_what_to_do(name):
    with pytest.raises(UsageError) as caught:
        REFUSED[name]()
    assert any(word in str(caught.value) for word in ("expected", "found", "needs", "give", "weaken", "fewer", "has"))


@pytest.mark.parametrize("preset", ["smoke", "quick", "small", "paper"])
def test_the_dense_map_is_judged_by_the_cores_head_after_the_very_training_of_k30(preset):
    plugins = get_plugins()
    own, dense, other = (
        resolve_run(plugins, method, "synthfaces", variant=variant, preset=preset)
        for method, variant in (("end_to_end", "k30"), ("end_to_end", "k30_dense4"), ("random", "dense64"))
    )
    assert dense.stages == own.stages and dense.read.layers == ("dense4",)
    assert dense.settings_of("regression") == other.settings_of("regression")
    assert own.settings_of("regression").head == "ridge" and dense.tasks == ("regression", "matching")
    control = resolve_run(plugins, "end_to_end", "synthfaces", variant="k30_dense4", preset=preset, untrained=True)
    assert {stage.training.epochs for stage in control.stages.values()} == {0}
