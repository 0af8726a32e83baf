"""The supervised baseline: trains on its subset alone, predicts in pixels, warps images and landmarks alike."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from lmbench.api import LmbenchError, Subset, UsageError, build_backbone, denormalise_points, normalise_points
from lmbench.config.resolving import resolve_run
from lmbench.plugins.loading import get_plugins
from lmbench_baselines.regressors import LandmarkNetwork, build_regressor, resized
from lmbench_baselines.settings import SupervisedSettings
from lmbench_baselines.supervised import SupervisedNetwork, endless, landmark_loss, mean_landmarks

SIDE = 32
SMALL = {"backbone": "sixconv_pooled", "backbone_settings": {"filters": 16, "kernel": 3}, "batch_size": 16, "grid": 8}


class Dots:
    """Images of ``count`` faces of two dots, a red and a green one, and where they are: (N, 2, 2) pixels."""

    device = torch.device("cpu")

    def __init__(self, count, side=SIDE, seed=0):
        self.image_size = side
        chance = torch.Generator().manual_seed(seed)
        self.points = (0.15 + 0.7 * torch.rand(count, 2, 2, generator=chance)) * (side - 1)
        y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
        squared = (x - self.points[..., 0, None, None]) ** 2 + (y - self.points[..., 1, None, None]) ** 2
        spots = (-squared / (0.004 * side**2)).exp()
        self.pictures = torch.cat([spots, torch.full((count, 1, side, side), 0.2)], 1)
        self.asked = []

    def __len__(self):
        return len(self.points)

    def images(self, indices):
        self.asked += indices.tolist()
        return self.pictures[indices]


def everything(count, n="all"):
    return Subset(n, 0, torch.arange(count))


def seen(dots):
    return torch.ones(dots.points.shape[:2], dtype=torch.bool)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def fit(dots, subsets, seed=0, visible=None, points=None, **settings):
    head = SupervisedNetwork(SupervisedSettings(**{**SMALL, "steps": 2, **settings}))
    points = dots.points if points is None else points
    return head.fit(dots, points, seen(dots) if visible is None else visible, subsets, generator(seed))


@pytest.mark.parametrize(
    "settings",
    [{"layers": ("conv6", "conv2"), "warp": 0.2, "side": 24}, {"regressor": "connected", "warp": 0.0}],
    ids=["softargmax on smaller images with warps", "connected"],
)
def test_it_learns_where_the_landmarks_are_in_pixels_of_the_images_given(settings):
    train, test = Dots(96), Dots(40, seed=1)
    fitted = fit(train, [everything(96)], steps=60, lr=5e-3, **settings)
    error = (fitted.predict(test)[0] - test.points).norm(dim=-1).mean()
    floor = (train.points.mean(0) - test.points).norm(dim=-1).mean()
    assert error < 0.5 * floor


def test_a_network_sees_no_image_outside_its_subset():
    dots = Dots(20)
    fit(dots, [Subset(3, 0, torch.tensor([4, 11, 7]))])
    assert set(dots.asked) == {4, 11, 7}


def test_each_subset_has_its_own_network_and_those_after_it_change_nothing():
    dots, test = Dots(12), Dots(5, seed=1)
    first, second = Subset(4, 0, torch.arange(4)), Subset(4, 1, torch.arange(4, 8))
    both, alone = fit(dots, [first, second]).predict(test), fit(dots, [first]).predict(test)
    assert both.shape == (2, 5, 2, 2)
    assert torch.equal(both[0], alone[0]) and not torch.allclose(both[0], both[1])


def test_the_generator_decides_whatever_torchs_own_holds():
    dots, test = Dots(8), Dots(4, seed=1)
    found = []
    for seed in (0, 0, 1):
        torch.manual_seed(len(found))
        found.append(fit(dots, [everything(8)], seed=seed).predict(test))
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])


def test_one_annotated_image_is_enough():
    assert fit(Dots(1), [everything(1, 1)], regressor="connected").predict(Dots(3, seed=1)).isfinite().all()


@pytest.mark.parametrize("absent", [1e4, float("nan")])
def test_coordinates_of_invisible_landmarks_are_not_looked_at(absent):
    dots, test = Dots(8), Dots(4, seed=1)
    visible = seen(dots)
    visible[2, 0] = visible[3] = False
    elsewhere = torch.where(visible[..., None], dots.points, absent)
    expected = fit(dots, [everything(8)], visible=visible).predict(test)
    assert expected.isfinite().all()
    assert torch.equal(fit(dots, [everything(8)], visible=visible, points=elsewhere).predict(test), expected)


@pytest.mark.parametrize("regressor", ["softargmax", "connected"])
def test_a_network_starts_at_the_mean_shape(regressor):
    shape = torch.tensor([[-0.4, 0.2], [0.5, -0.6], [0.0, 0.1]])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        backbone = build_backbone("sixconv_pooled")
        network = LandmarkNetwork(
            backbone, build_regressor(SupervisedSettings(regressor=regressor, grid=16), backbone, 64, shape), 64
        )
    with torch.no_grad():
        found = network.eval()(torch.rand(5, 3, 64, 64, generator=generator()))
    assert (found - shape).abs().max() < (1e-6 if regressor == "connected" else 0.3)


def test_warped_landmarks_stay_on_what_they_mark():
    dots = Dots(40, side=64)
    head = SupervisedNetwork(SupervisedSettings(warp=1.0))
    target = normalise_points(dots.points, (64, 64))
    images, moved, visible = head._warped(dots.pictures, target, seen(dots), generator())
    points = denormalise_points(moved, (64, 64))
    brightest = images[:, :2].flatten(2).argmax(-1)
    peaks = torch.stack([brightest % 64, brightest // 64], -1)
    inside = visible & ((points > 3) & (points < 60)).all(-1)
    assert inside.float().mean() > 0.5
    assert (peaks - points).norm(dim=-1)[inside].max() < 2.5
    assert (points - dots.points).norm(dim=-1)[inside].mean() > 3  # they did move


def test_a_landmark_that_a_warp_moves_out_is_no_longer_visible():
    dots = Dots(30, side=48)
    corners = torch.tensor([[-0.999, -0.999], [0.0, 0.0]]).expand(30, 2, 2)
    _, moved, visible = SupervisedNetwork(SupervisedSettings(warp=1.0))._warped(
        dots.pictures, corners, seen(dots), generator()
    )
    assert 0 < visible[:, 0].sum() < 30 and visible[:, 1].all()
    assert (moved[visible].abs() < 1).all()


def test_resizing_leaves_normalised_landmarks_where_they_are():
    dots = Dots(20, side=65)
    small = resized(dots.pictures, 33)
    brightest = small[:, :2].flatten(2).argmax(-1)
    peaks = torch.stack([brightest % 33, brightest // 33], -1).float()
    expected = denormalise_points(normalise_points(dots.points, (65, 65)), (33, 33))
    assert (peaks - expected).abs().max() <= 0.75
    assert abs(float((peaks - expected).mean())) < 0.1


def test_the_loss_is_smooth_l1_of_ten_times_the_error_over_all_landmarks():
    chance = np.random.default_rng(0)
    predicted, target = chance.normal(size=(2, 3, 4, 2)) * 0.1
    visible = chance.random((3, 4)) > 0.3
    total = 0.0
    for b, landmark, axis in itertools.product(range(3), range(4), range(2)):
        error = abs(10 * (predicted[b, landmark, axis] - target[b, landmark, axis])) * visible[b, landmark]
        total += error**2 / 2 if error < 1 else error - 0.5
    found = landmark_loss(*(torch.from_numpy(a) for a in (predicted, target, visible)))
    assert float(found) == pytest.approx(total / 24, rel=1e-12)


def test_the_mean_shape_counts_visible_landmarks_alone():
    points = torch.tensor([[[0.0, 0.2], [5.0, 5.0], [9.0, 9.0]], [[0.4, 0.0], [0.1, 0.3], [9.0, 9.0]]])
    visible = torch.tensor([[True, False, False], [True, True, False]])
    expected = torch.tensor([[0.2, 0.1], [0.1, 0.3], [0.0, 0.0]])
    torch.testing.assert_close(mean_landmarks(points, visible), expected)


@pytest.mark.parametrize(("count", "batch"), [(1, 4), (3, 4), (10, 4), (8, 8)])
def test_batches_are_full_and_show_every_image_equally_often(count, batch):
    indices = torch.arange(100, 100 + count)
    drawn = [b.tolist() for b in itertools.islice(endless(indices, batch, generator()), count)]
    assert all(len(b) == batch for b in drawn)
    flat = list(itertools.chain(*drawn))
    assert sorted(flat) == sorted(indices.tolist() * batch)


def test_the_kept_tensors_make_the_same_predictions_again():
    dots, test = Dots(8), Dots(4, seed=1)
    subsets = [everything(4, 4), everything(8)]
    fitted = fit(dots, subsets)
    state = fitted.state()
    assert all(isinstance(v, torch.Tensor) for v in state.values())
    other = fit(dots, subsets, seed=5)
    for i, network in enumerate(other.networks):
        network.load_state_dict({k.removeprefix(f"{i}."): v for k, v in state.items() if k.startswith(f"{i}.")})
    assert torch.equal(other.predict(test), fitted.predict(test))


def test_a_loss_that_is_no_number_stops_the_training_and_names_the_subset():
    dots = Dots(4)
    dots.pictures[:] = float("nan")
    with pytest.raises(
        LmbenchError, match=r"training n=4 draw 2 \(1/1\): the loss is nan at step 2 of 2.*head_settings.lr"
    ):
        fit(dots, [Subset(4, 2, torch.arange(4))])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"layers": ("conv4_x",)}, "no map 'conv4_x'; it has conv2, conv6."),
        ({"side": 4}, "images of 4 pixels do not make cells of 8"),
        ({"side": 36, "regressor": "connected"}, "images of 36 pixels do not make cells of 8"),
        ({"backbone": "no_such_net"}, "no_such_net"),
    ],
)
def test_settings_that_make_no_sense_are_usage_errors(settings, said):
    with pytest.raises(UsageError, match=said):
        fit(Dots(4), [everything(4)], **settings)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"side": 4}, "regression.head_settings: images of 4 pixels do not make cells of 8"),
        ({"backbone_settings": {"kernel": 4}}, "regression.head_settings.backbone_settings: kernel 4 must be odd"),
        ({"backbone_settings": {"kernl": 3}}, "has no setting 'kernl'; it has filters, kernel. Did you mean 'kernel'"),
        ({"layers": ["conv7"]}, "has no map 'conv7'; it has conv2, conv6. Did you mean 'conv6'"),
    ],
)
def test_settings_that_do_not_fit_its_network_are_told_before_data_is_opened(settings, said):
    overrides = [{"regression": {"head_settings": settings}}]
    with pytest.raises(UsageError, match=said):
        resolve_run(get_plugins(), "supervised", "synthfaces", variant="connected", overrides=overrides)
