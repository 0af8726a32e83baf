"""Networks of the baselines that learn nothing: the image itself, and timm's pyramids."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest
import torch

from lmbench.api import UsageError, build_backbone
from lmbench.cli.main import run_cli
from lmbench.config.resolving import resolve_run
from lmbench.plugins.loading import get_plugins
from lmbench_baselines.pixels import Pixels
from lmbench_baselines.settings import PixelsSettings, SixConvSettings


@pytest.fixture
def images():
    return torch.rand(2, 3, 16, 24, generator=torch.Generator().manual_seed(0))


def cells(images, stride):
    """Mean colours in [-1, 1] by literal loops, float64."""
    array = images.double().numpy()
    rows, columns = array.shape[2] // stride, array.shape[3] // stride
    found = np.zeros((*array.shape[:2], rows, columns))
    for r in range(rows):
        for c in range(columns):
            block = array[:, :, r * stride : (r + 1) * stride, c * stride : (c + 1) * stride]
            found[:, :, r, c] = 2 * block.mean((2, 3)) - 1
    return found


def test_rgb_is_the_mean_colour_of_a_cell_of_two_pixels(images):
    np.testing.assert_allclose(Pixels(PixelsSettings())(images)["rgb"].numpy(), cells(images, 2), atol=1e-6)


@pytest.mark.parametrize("patch", [1, 3, 5])
def test_a_patch_holds_the_cells_around_it_and_repeats_those_of_the_border(images, patch):
    coarse = cells(images, 4)
    rows, columns = coarse.shape[2:]
    expected = np.zeros((2, 3, patch, patch, rows, columns))
    for i in range(patch):
        for j in range(patch):
            for r in range(rows):
                for c in range(columns):
                    y = min(max(r + i - patch // 2, 0), rows - 1)
                    x = min(max(c + j - patch // 2, 0), columns - 1)
                    expected[:, :, i, j, r, c] = coarse[:, :, y, x]
    found = Pixels(PixelsSettings(patch))(images)["patch"]
    np.testing.assert_allclose(found.numpy(), expected.reshape(2, -1, rows, columns), atol=1e-6)


def test_pixels_have_nothing_to_learn_and_take_any_size():
    network = Pixels(PixelsSettings())
    assert not list(network.parameters()) and not network.state_dict()
    maps = network(torch.rand(1, 3, 95, 7))
    assert maps["rgb"].shape[2:] == (48, 4) and maps["patch"].shape[2:] == (24, 2)


def test_a_window_and_a_filter_without_a_centre_are_refused():
    with pytest.raises(UsageError, match="patch is 4; it is the side of a window with a centre"):
        PixelsSettings(patch=4)
    with pytest.raises(UsageError, match="kernel 4 must be odd"):
        SixConvSettings(kernel=4)


def test_the_supervised_network_pools_after_its_first_three_convolutions():
    network = build_backbone("sixconv_pooled").eval()
    convolutions = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    assert [c.out_channels for c in convolutions] == [20, 48, 64, 80, 256, 50]  # Thewlis et al. 2017, sec. 4.1
    maps = network(torch.rand(1, 3, 64, 64))
    assert maps["conv2"].shape == (1, 48, 16, 16) and maps["conv6"].shape == (1, 50, 8, 8)


@pytest.mark.parametrize(
    "model", ["vit_tiny_patch16_224", "vit_small_patch14_dinov2.lvd142m", "vit_small_patch16_dinov3"]
)
def test_a_vit_asked_of_timms_pyramids_is_sent_to_the_backbone_for_vits(model):
    pytest.importorskip("timm")
    with pytest.raises(UsageError, match=f"--method vit --set backbone=vit/{model}"):
        build_backbone(f"timm/{model}")


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("timm/NONEXISTENT", "network.backbone: timm has no model 'NONEXISTENT'"),
        ("timm/resnet10", "timm has no model 'resnet10'. It has .*resnet10t"),
        ("timm/vit_tiny_patch16_224", "network.backbone: timm/vit_tiny_patch16_224: a plain ViT"),
    ],
)
def test_a_model_that_timm_does_not_have_is_refused_by_a_dry_run(setting, said, capsys):
    pytest.importorskip("timm")
    command = ["run", "--method", "timm", "--dataset", "synthfaces", "--dry-run", "--set", f"backbone={setting}"]
    assert run_cli(command) == 2
    out, err = capsys.readouterr()
    assert re.search(said, err) and not out


def test_without_timm_a_name_of_it_is_left_to_what_builds_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    plugins = get_plugins()
    assert resolve_run(plugins, "timm", "synthfaces", overrides=[{"backbone": "timm/x"}]).network.backbone == "timm/x"


def test_timms_pyramids_are_counted_from_the_deepest():
    pytest.importorskip("timm")
    network = build_backbone("timm/resnet10t").eval()
    with torch.no_grad():
        maps = network(torch.rand(1, 3, 64, 64))
    assert [m.shape[2] for m in maps.values()][:4] == [2, 4, 8, 16]
    assert list(maps)[:4] == ["map-1", "map-2", "map-3", "map-4"]
    assert {m.name: (m.channels, 64 // m.stride) for m in network.maps} == {
        n: tuple(m.shape[1:3]) for n, m in maps.items()
    }


@pytest.mark.parametrize("size", [(96, 96), (32, 48)])
def test_every_place_is_most_like_itself_whatever_the_images_show(size):
    images = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
    first, second = build_backbone("position")(images)["place"].half().float().flatten(2)
    assert torch.equal((first.T @ second).argmax(1), torch.arange(first.shape[1]))
