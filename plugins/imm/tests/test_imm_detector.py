"""The factorised soft-argmax and the Gaussian maps against loops in float64, and the detector as a network."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lmbench.api import UsageError, soft_argmax
from lmbench_imm.detector import Detector, factorised_soft_argmax, gaussian_maps
from lmbench_imm.settings import DetectorSettings

SIZES = st.tuples(st.integers(2, 9), st.integers(2, 9))


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def loop_soft_argmax(heatmap):
    """The point of one map (h, w), by loops over plain numbers."""
    height, width = heatmap.shape
    point = []
    for length, values in (
        (width, [sum(heatmap[i, j].item() for i in range(height)) / height for j in range(width)]),
        (height, [sum(heatmap[i, j].item() for j in range(width)) / width for i in range(height)]),
    ):
        weights = [math.exp(v) for v in values]
        axis = [2 * n / (length - 1) - 1 for n in range(length)]
        point.append(sum(w * a for w, a in zip(weights, axis, strict=True)) / sum(weights))
    return point


@settings(max_examples=25, deadline=None)
@given(size=SIZES, seed=st.integers(0, 10**6))
def test_soft_argmax_is_a_softmax_of_the_means_over_the_other_axis(size, seed):
    heatmaps = 3 * random(2, 3, *size, seed=seed)
    expected = torch.tensor([[loop_soft_argmax(m) for m in image] for image in heatmaps], dtype=torch.float64)
    torch.testing.assert_close(factorised_soft_argmax(heatmaps), expected, rtol=0, atol=1e-12)


def test_soft_argmax_is_not_that_of_one_softmax_over_all_cells():
    heatmaps = 3 * random(1, 8, 16, 16)
    difference = (factorised_soft_argmax(heatmaps) - soft_argmax(heatmaps)).abs().mean()
    assert difference > 0.1


def test_a_sharp_row_and_column_put_the_point_where_they_cross():
    heatmaps = torch.zeros(1, 1, 16, 16, dtype=torch.float64)
    heatmaps[..., 3, :] += 1000
    heatmaps[..., :, 12] += 1000
    x, y = factorised_soft_argmax(heatmaps)[0, 0].tolist()
    assert x == pytest.approx(2 * 12 / 15 - 1, abs=1e-12)
    assert y == pytest.approx(2 * 3 / 15 - 1, abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(size=SIZES, std=st.floats(0.05, 1), seed=st.integers(0, 10**6))
def test_gaussian_maps_are_exp_of_minus_squared_distance_over_squared_std(size, std, seed):
    points = random(2, 3, 2, seed=seed)
    height, width = size
    expected = torch.empty(2, 3, height, width, dtype=torch.float64)
    for b in range(2):
        for k in range(3):
            for i in range(height):
                for j in range(width):
                    across = 2 * j / (width - 1) - 1 - points[b, k, 0].item()
                    down = 2 * i / (height - 1) - 1 - points[b, k, 1].item()
                    expected[b, k, i, j] = math.exp(-(across**2 + down**2) / std**2)
    torch.testing.assert_close(gaussian_maps(points, size, std), expected, rtol=1e-10, atol=1e-14)


def test_both_have_the_gradients_of_finite_differences():
    heatmaps, points = random(1, 2, 4, 5).requires_grad_(), (random(1, 2, 2) / 2).requires_grad_()
    assert torch.autograd.gradcheck(factorised_soft_argmax, heatmaps)
    assert torch.autograd.gradcheck(lambda p: gaussian_maps(p, (4, 5), 0.3), points)


def test_half_precision_points_are_computed_in_single():
    heatmaps = random(1, 4, 16, 16).float()
    found = factorised_soft_argmax(heatmaps.bfloat16())
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, factorised_soft_argmax(heatmaps.bfloat16().float()))


def test_the_papers_detector_makes_16_x_16_maps_of_128_pixels_with_eight_filters():
    detector = Detector(DetectorSettings(landmarks=30)).eval()
    with torch.no_grad():
        maps = detector(torch.rand(1, 3, 128, 128))
    assert maps["features"].shape == (1, 256, 16, 16)
    assert maps["heatmaps"].shape == (1, 30, 16, 16)
    filters = [m for m in detector.encoder if isinstance(m, torch.nn.Conv2d)]
    assert [f.out_channels for f in filters] == [32, 32, 64, 64, 128, 128, 256, 256]
    assert [f.kernel_size[0] for f in filters] == [7, 3, 3, 3, 3, 3, 3, 3]
    assert [f.stride[0] for f in filters] == [1, 1, 2, 1, 2, 1, 2, 1]


def test_landmarks_are_pixels_of_the_given_images_whatever_the_detector_resizes_to():
    torch.manual_seed(0)
    detector = Detector(DetectorSettings(landmarks=4, width=4, side=32)).eval()
    images = torch.rand(2, 3, 96, 96)
    with torch.no_grad():
        points, landmarks = detector.points(images), detector.landmarks(images)
    assert landmarks.shape == (2, 4, 2)
    torch.testing.assert_close(landmarks, (points + 1) / 2 * 95)
    assert 0 <= landmarks.min() and landmarks.max() <= 95


def test_x_comes_before_y_on_images_that_are_not_square():
    torch.manual_seed(0)
    detector = Detector(DetectorSettings(landmarks=3, width=4)).eval()
    images = torch.rand(1, 3, 32, 64)
    with torch.no_grad():
        torch.testing.assert_close(
            detector.landmarks(images), (detector.points(images) + 1) / 2 * torch.tensor([63.0, 31.0])
        )


def test_images_smaller_than_two_cells_are_refused():
    with pytest.raises(UsageError, match="need a side of 16"):
        Detector(DetectorSettings(width=4))(torch.rand(1, 3, 15, 20))
