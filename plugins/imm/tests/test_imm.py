"""IMM's objective: views, mask, losses, running averages, and what it refuses."""

from __future__ import annotations

import math
import socket

import pytest
import torch
from safetensors.torch import save_file

from lmbench.api import DataError, Surroundings, TPSStrength, UsageError, denormalise_points
from lmbench.config.resolving import resolve_run
from lmbench.plugins.loading import get_plugins
from lmbench_imm.detector import Detector
from lmbench_imm.imm import IMM, centre_crop, clipped, smooth_mask
from lmbench_imm.perceptual import INITIAL_WEIGHTS, VGG, PerceptualLoss, load_vgg, masked_square, pixel_loss
from lmbench_imm.settings import DetectorSettings, IMMSettings

STILL = TPSStrength(warpsd_all=0.0, warpsd_subset=0.0, transsd=0.0, scalesd=0.0, rotsd=0.0)


def detector(**settings):
    return Detector(DetectorSettings(**{"landmarks": 5, "width": 4, "levels": 3, **settings}))


def objective(**settings):
    torch.manual_seed(0)
    return IMM(detector(), None, IMMSettings(**{"size": 32, "window": 1.0, "reconstruction": "pixel", **settings}))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def images(count=4, side=32, seed=0):
    return torch.rand(count, 3, side, side, generator=generator(seed))


def vgg_state(seed=0):
    """Random weights of VGG-16 up to conv5_2, with torchvision's names and shapes."""
    widths = [(0, 3, 64), (2, 64, 64), (5, 64, 128), (7, 128, 128), (10, 128, 256), (12, 256, 256), (14, 256, 256)]
    widths += [(17, 256, 512), (19, 512, 512), (21, 512, 512), (24, 512, 512), (26, 512, 512)]
    state = {}
    for index, inputs, outputs in widths:
        weight = torch.randn(outputs, inputs, 3, 3, generator=generator(seed + index))
        state[f"features.{index}.weight"] = weight * math.sqrt(2 / (9 * inputs))
        state[f"features.{index}.bias"] = torch.randn(outputs, generator=generator(seed + index)) / 10
    return state


@pytest.fixture(scope="module")
def vgg():
    return VGG(vgg_state(), "random weights")


class TwoMaps(torch.nn.Module):
    """Stands for VGG: six maps of known numbers at two sizes."""

    def forward(self, x):
        small = torch.nn.functional.avg_pool2d(x, 4)
        return {name: (n + 1) * (x if n % 2 else small) for n, name in enumerate(INITIAL_WEIGHTS)}


# The mask


def loop_mask(size):
    margin, step = round(10 * size / 128), round(20 * size / 128)

    def strip(i):
        i = min(i, size - 1 - i)
        if i < margin:
            return 0.0
        if i < margin + step:
            return 0.5 + 0.5 * math.tanh((2 * (i - margin) / (step - 1) - 1) / 0.4)
        return 1.0

    return torch.tensor([[strip(i) * strip(j) for j in range(size)] for i in range(size)])


@pytest.mark.parametrize("size", [128, 64, 48, 32])
def test_the_mask_is_zero_on_the_border_and_rises_by_tanh_to_one(size):
    torch.testing.assert_close(smooth_mask(size), loop_mask(size), rtol=0, atol=1e-6)


def test_the_mask_of_128_pixels_has_a_border_of_10_and_a_step_of_20():
    middle = smooth_mask(128)[64]
    assert (middle[:10] == 0).all() and middle[10] > 0
    assert (middle[30:98] == 1).all() and middle[29] < 1


# The views


def test_the_two_warps_are_the_papers():
    assert vars(IMMSettings().target_warp) == {
        "warpsd_all": 0.001, "warpsd_subset": 0.005, "transsd": 0.1, "scalesd": 0.0, "rotsd": 0.0
    }  # fmt: skip
    assert vars(IMMSettings().source_warp) == {
        "warpsd_all": 0.001, "warpsd_subset": 0.01, "transsd": 0.1, "scalesd": 0.1, "rotsd": 5.0
    }  # fmt: skip


def test_without_warps_source_target_and_image_are_one():
    x = images()
    source, target, mask = objective(target_warp=STILL, source_warp=STILL).views(x, generator())
    torch.testing.assert_close(source, x, rtol=0, atol=1e-5)
    torch.testing.assert_close(target, x, rtol=0, atol=1e-5)
    torch.testing.assert_close(mask, smooth_mask(32).expand(4, 1, 32, 32), rtol=0, atol=1e-5)


def test_the_source_is_the_target_warped_once_more():
    x = images()
    source, target, _ = objective(source_warp=STILL).views(x, generator())
    torch.testing.assert_close(source, target, rtol=0, atol=1e-5)
    assert not torch.allclose(target, x, atol=0.1)


def test_the_mask_moves_with_the_target_and_hides_what_lies_outside_the_image():
    white = torch.ones(16, 3, 32, 32)
    _, target, mask = objective().views(white, generator())
    assert (target[:, :1] < 0.99).any()  # black came in from outside
    assert mask[target[:, :1] < 0.99].max() == 0


def test_a_real_border_shows_no_black_and_leaves_the_mask_where_it_is():
    x = torch.ones(8, 3, 64, 64)
    source, target, mask = objective(border="real", window=0.5).views(x, generator())
    assert target.shape == source.shape == (8, 3, 32, 32)
    torch.testing.assert_close(source, torch.ones_like(source))
    torch.testing.assert_close(target, torch.ones_like(target))
    assert torch.equal(mask, smooth_mask(32).expand(8, 1, 32, 32))


def test_with_a_real_border_the_source_is_the_whole_target_warped_once_more():
    x = images(side=64)
    still = objective(border="real", window=0.5, source_warp=STILL, target_warp=STILL).views(x, generator())
    torch.testing.assert_close(still[0], centre_crop(x, 0.5, 32), rtol=0, atol=1e-5)
    torch.testing.assert_close(still[1], centre_crop(x, 0.5, 32), rtol=0, atol=1e-5)
    source, target, _ = objective(border="real", window=0.5, source_warp=STILL).views(x, generator())
    torch.testing.assert_close(source, target, rtol=0, atol=1e-5)


def test_the_centre_is_cut_and_resized():
    x = images(side=160)
    assert torch.equal(centre_crop(x, 0.8, 128), x[..., 16:144, 16:144])
    assert centre_crop(x, 0.5, 32).shape == (4, 3, 32, 32)


# The losses


def test_the_pixel_loss_is_the_masked_mean_square_of_0_to_255_images_times_1000_over_255():
    x, y, mask = images(seed=1).double(), images(seed=2).double(), images(seed=3)[:, :1].double()
    total = 0.0
    for b in range(4):
        for c in range(3):
            total += ((255 * x[b, c] - 255 * y[b, c]) ** 2 * mask[b, 0]).sum().item()
    assert pixel_loss(x, y, mask).item() == pytest.approx(1000 / 255 * total / x.numel(), rel=1e-5)


def test_the_perceptual_loss_divides_each_map_by_its_updated_running_average():
    x, y, mask = images(seed=1), images(seed=2), images(seed=3)[:, :1]
    module = PerceptualLoss(TwoMaps()).train()
    averages = list(INITIAL_WEIGHTS.values())
    assert averages == [100.0, 1.6, 2.3, 1.8, 2.8, 100.0]
    for step in range(3):
        rendered = x + 0.1 * step
        expected = 0.0
        for n, (found, wanted) in enumerate(zip(TwoMaps()(rendered).values(), TwoMaps()(y).values(), strict=True)):
            difference = masked_square(found, wanted, mask).item()
            averages[n] = 0.99 * averages[n] + 0.01 * difference
            expected += 1000 * difference / averages[n]
        assert module(rendered, y, mask).item() == pytest.approx(expected, rel=1e-5)
    torch.testing.assert_close(module.averages, torch.tensor(averages), rtol=1e-5, atol=0)


def test_the_running_averages_are_kept_by_a_checkpoint_and_stand_still_outside_training():
    x, y, mask = images(seed=1), images(seed=2), images(seed=3)[:, :1]
    module = PerceptualLoss(TwoMaps()).train()
    module(x, y, mask)
    restored = PerceptualLoss(TwoMaps())
    restored.load_state_dict(module.state_dict())
    assert torch.equal(restored.averages, module.averages)
    restored.eval()(x, y, mask)
    assert torch.equal(restored.averages, module.averages)
    assert restored.train()(x, y, mask) == module(x, y, mask)


def test_the_gradient_treats_the_running_averages_as_constants():
    x, y, mask = images(seed=1).requires_grad_(), images(seed=2), images(seed=3)[:, :1]
    module = PerceptualLoss(TwoMaps()).train()
    module(x, y, mask).backward()
    weights = module.averages.clone()
    again = x.detach().clone().requires_grad_()
    terms = zip(TwoMaps()(again).values(), TwoMaps()(y).values(), weights, strict=True)
    (1000 * sum(masked_square(f, w, mask) / a for f, w, a in terms)).backward()
    torch.testing.assert_close(x.grad, again.grad)


# VGG


def test_vgg_gives_the_maps_of_torchvisions_network(vgg):
    from torchvision.models.vgg import cfgs, make_layers

    reference = make_layers(cfgs["D"])  # its vgg16.features
    missing, _ = reference.load_state_dict(
        {k.removeprefix("features."): v for k, v in vgg_state().items()}, strict=False
    )
    assert missing == ["28.weight", "28.bias"]
    x = images(2, 32)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    expected, y = {"input": 255 * x}, (x - mean[:, None, None]) / std[:, None, None]
    with torch.no_grad():
        found = vgg(x)
        for index, layer in enumerate(reference[:28]):
            y = layer(y)
            name = {3: "conv1_2", 8: "conv2_2", 13: "conv3_2", 20: "conv4_2", 27: "conv5_2"}.get(index)
            if name:
                expected[name] = y.clone()
    assert list(found) == list(INITIAL_WEIGHTS)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-4)


def test_vgg_is_neither_trained_nor_kept_in_checkpoints(vgg):
    module = PerceptualLoss(vgg)
    assert list(module.parameters()) == []
    assert list(module.state_dict()) == ["averages"]


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_the_perceptual_objective_trains_with_weights_from_a_file(tmp_path, suffix):
    path = tmp_path / f"vgg16.{suffix}"
    torch.save(vgg_state(), path) if suffix == "pth" else save_file(vgg_state(), path)
    imm = objective(reconstruction="perceptual", perceptual_weights=str(path)).train()
    before = imm.reconstruction.averages.clone()
    losses = imm.loss(imm.views(images(), generator()))
    losses["total"].backward()
    assert imm.backbone.filters.weight.grad.abs().sum() > 0
    assert not torch.equal(imm.reconstruction.averages, before)
    assert "reconstruction.averages" in imm.state_dict()
    assert not any("vgg" in name for name in imm.state_dict())


def test_a_weights_file_that_is_missing_or_foreign_is_named_with_the_setting(tmp_path):
    with pytest.raises(DataError, match=r"perceptual_weights=.*nowhere.pth"):
        objective(reconstruction="perceptual", perceptual_weights=str(tmp_path / "nowhere.pth"))
    torch.save({"features.0.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "half.pth")
    with pytest.raises(DataError, match=r"it has no features.0.bias.*perceptual_weights"):
        objective(reconstruction="perceptual", perceptual_weights=str(tmp_path / "half.pth"))


def test_without_a_network_connection_the_error_names_both_ways_out(monkeypatch, tmp_path):
    def refuse(*args, **kwargs):
        raise OSError("no connection")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    with pytest.raises(DataError, match=r"perceptual_weights=/path.*reconstruction=pixel"):
        load_vgg("imagenet")


# The objective


def test_geometry_reaches_the_renderer_through_the_landmarks_alone():
    imm = objective().eval()
    source = images()
    with torch.no_grad():
        at_left = imm.render(source, torch.full((4, 5, 2), -0.5))
        at_right = imm.render(source, torch.full((4, 5, 2), 0.5))
    assert at_left.shape == (4, 3, 32, 32)
    assert not torch.allclose(at_left, at_right)
    points = imm.backbone.points(images(seed=1)).detach().requires_grad_()
    imm.render(source, points).square().mean().backward()
    assert points.grad.abs().sum() > 0


def test_motion_and_spread_of_landmarks_that_never_move_are_told():
    imm = objective()
    torch.nn.init.zeros_(imm.backbone.filters.weight)
    losses = imm.loss(imm.views(images(), generator()))
    assert losses["motion"] == 0 and losses["spread"] == 0


def test_each_tensors_gradient_is_clipped_on_its_own():
    assert clipped(torch.tensor([3.0, 4.0]), 1.0).tolist() == pytest.approx([0.6, 0.8])
    assert clipped(torch.tensor([0.3, 0.4]), 1.0).tolist() == pytest.approx([0.3, 0.4])
    assert clipped(torch.zeros(2), 1.0).tolist() == [0, 0]
    imm, free = objective(clip=0.5).train(), objective(clip=0.0).train()
    for one in (imm, free):
        one.loss(one.views(images(), generator()))["total"].backward()
    norms = {name: p.grad.norm().item() for name, p in imm.named_parameters()}
    assert max(norms.values()) == pytest.approx(0.5, rel=1e-4)
    for name, p in free.named_parameters():
        assert norms[name] == pytest.approx(min(0.5, p.grad.norm().item()), rel=1e-3, abs=1e-6)


def test_a_few_steps_on_one_batch_render_it_better_and_move_landmarks_apart():
    imm = objective().train()
    optimiser = torch.optim.Adam(imm.parameters(), 3e-3)
    views = imm.views(images(8).cumsum(-1) / 32, generator())
    found = []
    for _ in range(25):
        losses = imm.loss(views)
        optimiser.zero_grad()
        losses["total"].backward()
        optimiser.step()
        found.append(losses["total"].item())
    assert found[-1] < found[0] / 4
    assert losses["motion"] > 0.01


def test_landmarks_of_the_frozen_network_are_those_that_were_trained():
    imm = objective().eval()
    x = images()
    network = imm.extractor().network
    stored = detector().eval()
    stored.load_state_dict(network.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(stored.landmarks(x), denormalise_points(imm.backbone.points(x), (32, 32)))


@pytest.mark.parametrize(
    ("size", "network", "message"),
    [
        (30, {}, "size=30 is no multiple"),
        (12, {"levels": 4}, "at least twice"),
        (8, {}, "5 landmarks on maps of 2 x 2"),
        (64, {"side": 32}, "size=64, but the detector resizes to side=32"),
    ],
)
def test_views_landmarks_and_sides_that_do_not_fit_the_maps_are_named(size, network, message):
    settings = DetectorSettings(**{"landmarks": 5, "levels": 3, **network})
    with pytest.raises(UsageError, match=message):
        IMMSettings(size=size).fits(Surroundings(maps_of=dict, backbone_settings=settings))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"backbone_settings": {"levels": 9}},
            UsageError,
            "backbone_settings.levels = 9: expected a whole number, 1 to 8",
        ),
        ({"settings": {"border": "white"}}, UsageError, r"settings.border = 'white': expected black or real"),
        ({"settings": {"source_warp": {"rotation": 5}}}, UsageError, "no setting 'rotation'; it has warpsd_all"),
        ({"settings": {"perceptual_weights": "vgg.pth"}}, DataError, "settings.perceptual_weights: .*vgg.pth"),
    ],
)
def test_what_cannot_be_is_told_with_its_place_before_anything_is_computed(change, error, message):
    with pytest.raises(error, match=message):
        resolve_run(get_plugins(), "imm", "synthfaces", preset="paper", overrides=[{"stages": {"imm": change}}])


@pytest.mark.parametrize("preset", ["smoke", "quick", "small", "paper"])
def test_the_dense_map_is_judged_by_the_cores_head_after_the_very_training_of_k50(preset):
    plugins = get_plugins()
    own, dense, other = (
        resolve_run(plugins, method, "synthfaces", variant=variant, preset=preset)
        for method, variant in (("imm", "k50"), ("imm", "k50_features"), ("random", "dense64"))
    )
    assert dense.stages == own.stages and dense.read.layers == ("features",)
    assert dense.settings_of("regression") == other.settings_of("regression")
    assert own.settings_of("regression").head == "ols" and dense.tasks == ("regression", "matching")
    control = resolve_run(plugins, "imm", "synthfaces", variant="k50_features", preset=preset, untrained=True)
    assert {stage.training.epochs for stage in control.stages.values()} == {0}
