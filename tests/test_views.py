"""Views of whole batches: they are what their settings say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp
from torch.nn import functional
from torchvision.transforms import RandomResizedCrop
from torchvision.transforms import functional as reference

from lmbench.training.augment import ViewSettings, draw_views


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


PLAIN = ViewSettings(size=16, scale=(1, 1), ratio=(1, 1), jitter_p=0, grey_p=0)
fewer = settings(max_examples=25, deadline=None)


@fewer
@given(
    count=st.integers(1, 3),
    height=st.integers(8, 30),
    width=st.integers(8, 30),
    size=st.integers(6, 24),
    seed=st.integers(0, 999),
)  # fmt: skip
def test_views_have_their_size_lie_in_0_1_and_depend_on_the_generator_alone(count, height, width, size, seed):
    everything = ViewSettings(size=size, rotation=30, flip_p=0.5, blur_p=0.7, solarise_p=0.3, window=0.8)
    images = torch.rand(count, 3, height, width, generator=seeded(seed))
    kept = images.clone()
    views = draw_views(images, everything, seeded(seed))
    assert views.shape == (count, 3, size, size)
    assert views.min() >= -1e-6 and views.max() <= 1 + 1e-6
    torch.rand(7)
    assert torch.equal(draw_views(images, everything, seeded(seed)), views)
    assert not torch.equal(draw_views(images, everything, seeded(seed + 1)), views)
    assert torch.equal(images, kept)


@fewer
@given(height=st.integers(4, 30), width=st.integers(4, 30), size=st.integers(4, 40), flip=st.booleans())
def test_without_randomness_a_view_is_the_resized_image_or_its_mirror(height, width, size, flip):
    images = torch.rand(2, 3, height, width, generator=seeded())
    expected = functional.interpolate(images, size=(size, size), mode="bilinear", align_corners=False)
    found = draw_views(images, replace(PLAIN, size=size, flip_p=float(flip)), seeded())
    torch.testing.assert_close(found, expected.flip(-1) if flip else expected, rtol=0, atol=1e-5)


def coordinates(side, count):
    """Images whose first two channels are the place in the frame, x and y in [0, 1] from edge to edge."""
    place = (torch.arange(side) + 0.5) / side
    image = torch.stack((place.expand(side, -1), place[:, None].expand(-1, side), torch.zeros(side, side)))
    return image.expand(count, -1, -1, -1)


@fewer
@given(low=st.floats(0.1, 0.9), window=st.floats(0.5, 1), seed=st.integers(0, 999))
def test_crops_have_the_area_and_aspect_asked_for_and_lie_in_the_window(low, window, seed):
    wanted = replace(PLAIN, size=32, scale=(low, 1), ratio=(0.75, 4 / 3), window=window)
    views = draw_views(coordinates(64, 50), wanted, seeded(seed))
    steps = (
        torch.stack((views[:, 0, 16, 17] - views[:, 0, 16, 15], views[:, 1, 17, 16] - views[:, 1, 15, 16]), -1) / 2 * 32
    )
    fraction = steps / window
    assert (fraction <= 1 + 1e-4).all()
    assert (fraction.prod(-1) <= 1 + 1e-4).all()
    inside = (fraction < 1 - 1e-4).all(-1)  # not the whole window, which is what is left after ten tries
    assert (fraction[inside].prod(-1) >= low - 1e-4).all()
    aspect = fraction[inside, 0] / fraction[inside, 1]
    assert (aspect >= 0.75 - 1e-3).all() and (aspect <= 4 / 3 + 1e-3).all()
    centre = views[:, :2, 15:17, 15:17].mean((2, 3))
    assert (centre - steps / 2 >= (1 - window) / 2 - 1e-3).all() and (
        centre + steps / 2 <= (1 + window) / 2 + 1e-3
    ).all()


def drawn_sides(wanted, count):
    """(count, 2): width and height of drawn crops as fractions of the window."""
    views = draw_views(coordinates(64, count), replace(wanted, size=4), seeded(1))
    spans = torch.stack((views[:, 0, 1, 2] - views[:, 0, 1, 1], views[:, 1, 2, 1] - views[:, 1, 1, 1]), -1) * 4
    return spans / wanted.window


@pytest.mark.parametrize(
    ("scale", "ratio"),
    [((0.08, 1.0), (3 / 4, 4 / 3)), ((0.85, 1.0), (0.9, 1.1)), ((0.9, 1.0), (0.5, 2.0)), ((0.6, 1.0), (1.2, 1.5))],
)
def test_crops_are_distributed_as_torchvisions_random_resized_crop(scale, ratio):
    torch.manual_seed(0)
    canvas = torch.empty(1, 2000, 2000)  # so large that its whole pixels do not tell
    count = 3000
    boxes = [RandomResizedCrop.get_params(canvas, list(scale), list(ratio)) for _ in range(count)]
    expected = np.array([(width, height) for _, _, height, width in boxes]) / 2000
    found = drawn_sides(replace(PLAIN, scale=scale, ratio=ratio, window=0.8), count).numpy()
    for name, of in {
        "width": lambda s: s[:, 0],
        "height": lambda s: s[:, 1],
        "area": lambda s: s.prod(1),
        "aspect": lambda s: s[:, 0] / s[:, 1],
    }.items():
        gap = ks_2samp(of(found).round(3), of(expected).round(3)).statistic  # the whole window is exactly 1
        assert gap < 0.045, f"{name}: {gap:.3f}"  # 1.36 sqrt(2 / 3000) = 0.035 is the 5 % level of one of them


def test_a_crop_that_never_fits_is_the_largest_central_one():
    whole = replace(PLAIN, scale=(1.0, 1.0), ratio=(1.2, 1.5))
    torch.testing.assert_close(drawn_sides(whole, 5), torch.tensor([[1, 1 / 1.2]] * 5), rtol=0, atol=1e-3)


def soft_colours(count=6):
    """Images that no jitter of 0.3 drives out of [0, 1]."""
    return 0.35 + 0.2 * torch.rand(count, 3, 16, 16, generator=seeded())


def jittered(images, **jitter):
    strengths = tuple(jitter.get(name, 0.0) for name in ("brightness", "contrast", "saturation", "hue"))
    return draw_views(images, replace(PLAIN, jitter=strengths, jitter_p=1.0), seeded(3))


def test_brightness_contrast_and_saturation_are_torchvisions():
    images = soft_colours()
    spread = {
        "brightness": lambda i: i.mean(),
        "contrast": lambda i: reference.rgb_to_grayscale(i).std(),
        "saturation": lambda i: (i[0] - i[2]).std(),
    }
    for name, measure in spread.items():
        views = jittered(images, **{name: 0.3})
        factors = [float(measure(v) / measure(i)) for v, i in zip(views, images, strict=True)]
        assert min(factors) < 0.95 and max(factors) > 1.05 and all(0.699 <= f <= 1.301 for f in factors)
        for view, image, factor in zip(views, images, factors, strict=True):
            expected = getattr(reference, f"adjust_{name}")(image, factor)
            torch.testing.assert_close(view, expected, rtol=0, atol=1e-3, msg=name)


def test_greyscale_is_torchvisions_and_greyscale_of_one_image_leaves_the_others():
    images = soft_colours(40)
    grey = draw_views(images, replace(PLAIN, grey_p=1.0), seeded())
    torch.testing.assert_close(grey, reference.rgb_to_grayscale(images, 3), rtol=0, atol=1e-3)
    some = draw_views(images, replace(PLAIN, grey_p=0.5), seeded())
    is_grey = ((some - grey).abs() < 1e-5).flatten(1).all(1)
    is_same = ((some - images).abs() < 1e-5).flatten(1).all(1)
    assert (is_grey ^ is_same).all() and 5 < is_grey.sum() < 35


def test_hue_turns_colours_and_keeps_their_luminance():
    images = soft_colours()
    views = jittered(images, hue=0.3)
    assert (views - images).abs().max() > 0.02
    torch.testing.assert_close(reference.rgb_to_grayscale(views), reference.rgb_to_grayscale(images), rtol=0, atol=2e-3)


def test_blur_is_a_gaussian_and_solarisation_inverts_the_bright():
    images = torch.rand(3, 3, 40, 40, generator=seeded())
    blurred = draw_views(images, replace(PLAIN, size=40, blur_p=1.0, blur=(1.3, 1.3)), seeded())
    torch.testing.assert_close(blurred, reference.gaussian_blur(images, [5, 5], [1.3, 1.3]), rtol=0, atol=1e-5)
    inverted = draw_views(images, replace(PLAIN, size=40, solarise_p=1.0), seeded())
    torch.testing.assert_close(inverted, reference.solarize(images, 0.5), rtol=0, atol=1e-5)
