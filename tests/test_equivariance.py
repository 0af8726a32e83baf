"""Equivariance: the accuracy curve, what is looked for and found, and what features of known worth score."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from torch import nn

from lmbench.data.pixels import PixelStore
from lmbench.errors import DataError
from lmbench.features import Extractor, FeatureMaps
from lmbench.metrics.accuracy import THRESHOLDS, acc_20px, acc_curve, accuracy_at, match_distances
from lmbench.metrics.base import Predictions
from lmbench.tasks.equivariance import draw_grid, find_points, judge_layers, move_points
from lmbench.tasks.settings import EquivarianceSettings

CPU = torch.device("cpu")
STILL = EquivarianceSettings(rotation=0, elastic=0)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@pytest.mark.golden
def test_the_accuracy_curve_is_the_brute_forces(golden):
    case = golden("twostep_losses")
    size = case["acc_in_f"].shape[-2:]
    source, target = (
        FeatureMaps((torch.from_numpy(case[name]),), size, "global") for name in ("acc_in_f", "acc_in_f_prime")
    )
    found = find_points(source, target, torch.from_numpy(case["acc_in_y"])).numpy()
    np.testing.assert_array_equal(found, case["acc_out_match"])
    distances = match_distances(found, case["acc_in_y_prime"])
    np.testing.assert_allclose(distances, case["acc_out_distance"], atol=1e-12)
    np.testing.assert_array_equal(accuracy_at(distances, case["acc_thresholds"]), case["acc_out"])


def test_points_are_found_where_a_search_over_all_pixels_finds_them():
    chance = seeded(0)
    maps = [tuple(torch.randn(2, c, n, n, generator=chance, dtype=torch.float64) for c, n in ((6, 3), (4, 7)))] * 2
    source, target = (FeatureMaps(m, (20, 20), "global") for m in maps)
    points = torch.randint(20, (2, 5, 2), generator=chance)
    found = find_points(source, target, points)
    full_source, full_target = source.materialise(), target.materialise()
    for image in range(2):
        for k, (x, y) in enumerate(points[image].tolist()):
            query = full_source[image, :, y, x]
            best, place = -2.0, (0, 0)
            for row in range(20):
                for column in range(20):
                    cosine = float(nn.functional.cosine_similarity(query, full_target[image, :, row, column], dim=0))
                    if cosine > best + 1e-12:
                        best, place = cosine, (column, row)
            assert tuple(found[image, k].tolist()) == place


class Colours(nn.Module):
    """Each pixel's colour as directions: of `images_that_say_where` the place it came from."""

    def forward(self, images):
        angle = images[:, :2] * (torch.pi / 2)
        return {"place": torch.cat((angle.cos(), angle.sin()), 1), "noise": self.noise(images)}

    def noise(self, images):
        draws = torch.Generator().manual_seed(int(images.double().sum() * 1000) % 2**31)
        return torch.randn(len(images), 8, 96, 96, generator=draws)


def images_that_say_where(count=10, side=128, landmarks=8, seed=0):
    """A store whose pixels hold their own coordinates as colour; landmarks lie in the middle part."""
    y, x = np.mgrid[:side, :side] * (255 / (side - 1))
    image = np.stack((x, y, np.full_like(x, 255)), -1).round().astype(np.uint8)
    points = np.random.default_rng(seed).uniform(0.3 * side, 0.7 * side, (count, landmarks, 2)).astype(np.float32)
    return PixelStore(
        np.repeat(image[None], count, 0),
        points,
        np.ones((count, landmarks), bool),
        np.full(count, -1),
        np.array([f"image {i}" for i in range(count)]),
        key=hashlib.sha256(b"where").hexdigest(),
    )


def judged(layers, settings=EquivarianceSettings(), crop=16, seed=0, store=None):  # noqa: B008 (frozen)
    found = judge_layers(
        Extractor(Colours(), layers), store or images_that_say_where(), crop, settings, seeded(seed), CPU
    )
    return {p.subset: p for p in found}


def accuracy(predictions, d):
    """Acc(d) for d in pixels of the images themselves."""
    distances = match_distances(predictions.predicted, predictions.target, predictions.visible)
    return float(accuracy_at(distances, [d])[0])


def test_features_that_know_their_place_are_found_and_random_ones_are_at_chance():
    parts = judged(("place", "noise"))
    assert list(parts) == [None, "place", "noise", "chance"]
    assert accuracy(parts["place"], 2.0) == 1.0
    assert float(acc_20px(parts["place"]).aggregate[0]) == 100.0
    d = 20 * 96 / 128
    expected = np.pi * d**2 / 96**2  # a disc in the image: the points lie far from the border
    assert accuracy(parts["chance"], d) == pytest.approx(expected, abs=0.12)
    assert accuracy(parts["noise"], d) == pytest.approx(expected, abs=0.12)


def test_one_layer_is_judged_by_its_name_alone():
    assert list(judged(("place",))) == ["place", "chance"]


def test_without_a_deformation_a_point_is_where_it_was():
    parts = judged(("place",), STILL)
    store = images_that_say_where()
    np.testing.assert_allclose(parts["place"].target, store.landmarks.round() - 16, atol=2e-3)
    assert parts["place"].visible.all()


def test_points_move_as_the_deformed_image_does():
    settings = EquivarianceSettings(rotation=40, elastic=0.03)
    grid = draw_grid(3, 128, 96, settings, seeded(1))
    points = torch.randint(40, 88, (3, 6, 2), generator=seeded(2)).double()
    moved, there = move_points(points, grid, 0)
    assert there.all()
    for image in range(3):  # a spot painted at the point is seen where the point is said to be
        for k in range(6):
            x, y = points[image, k].long().tolist()
            spot = torch.zeros(1, 1, 128, 128)
            spot[0, 0, y - 2 : y + 3, x - 2 : x + 3] = 1
            seen = nn.functional.grid_sample(spot, grid[image : image + 1], align_corners=True)[0, 0].double()
            mass = seen.sum()
            centre = [
                float((seen.sum(0) * torch.arange(128)).sum() / mass),
                float((seen.sum(1) * torch.arange(128)).sum() / mass),
            ]
            np.testing.assert_allclose(moved[image, k].numpy(), centre, atol=0.6)


def test_points_that_leave_the_image_are_not_scored():
    settings = EquivarianceSettings(rotation=0, elastic=0)
    store = images_that_say_where()
    store.landmarks[0, 0] = (3, 60)  # cut off by the crop of 16
    store.landmarks[1, 1] = (127, 127)
    store.visible[2, 2] = False
    seen = judged(("place",), settings, store=store)["place"].visible
    expected = np.ones_like(seen)
    expected[0, 0] = expected[1, 1] = expected[2, 2] = False
    np.testing.assert_array_equal(seen, expected)


def test_a_corner_that_turns_out_of_sight_is_told():
    grid = draw_grid(1, 64, 64, EquivarianceSettings(rotation=180, elastic=0), seeded(2))
    corners = torch.tensor([[[0.0, 0.0], [63.0, 0.0], [32.0, 32.0]]])
    _, there = move_points(corners, grid, 0)
    turned = torch.nn.functional.grid_sample(
        torch.ones(1, 1, 64, 64), grid, align_corners=True
    )  # says that it did turn, and not by a multiple of 90 degrees
    assert float(turned.min()) == 0
    assert there.tolist() == [[False, False, True]]


def predictions_at(distances, side=128):
    """Matches so many pixels to the right of the truth."""
    distances = np.asarray(distances, float)
    target = np.full((*distances.shape, 2), 40.0)
    predicted = target.copy()
    predicted[..., 0] += distances
    ids = np.array([f"image{i}" for i in range(len(distances))])
    return Predictions(
        task="equivariance", predicted=predicted[None], target=target, visible=~np.isnan(distances), image_ids=ids,
        image_size=side,
    )  # fmt: skip


def test_the_curve_is_the_share_within_each_distance():
    result = acc_curve(predictions_at([[0.0, 5.0], [20.0, 29.5]]))
    curve = dict(result.curve)
    assert tuple(curve) == THRESHOLDS
    assert [curve[d] for d in (0.0, 4.0, 5.0, 19.0, 20.0, 29.0, 30.0)] == [25, 25, 50, 50, 75, 75, 100]
    fine = np.linspace(0, 20, 20001)
    steps = accuracy_at(np.array([0.0, 5.0, 20.0, 29.5]), fine)
    assert float(result.aggregate[0]) == pytest.approx(100 * steps.mean(), abs=1e-1)


def test_distances_are_pixels_of_a_128_image():
    assert float(acc_20px(predictions_at([[15.0, 15.1]], side=96)).aggregate[0]) == 50.0
    assert float(acc_20px(predictions_at([[15.0, 15.1]], side=128)).aggregate[0]) == 100.0


def test_invisible_points_are_not_scored_and_nan_is_refused():
    predictions = predictions_at([[1.0, np.nan], [30.0, 2.0]])
    assert float(acc_20px(predictions).aggregate[0]) == pytest.approx(200 / 3)
    predictions.visible[:] = True
    with pytest.raises(DataError, match="image0"):
        acc_20px(predictions)


def test_the_same_seed_gives_the_same_points_and_another_does_not():
    first, again, other = (judged(("place",), seed=s)["place"].predicted for s in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
