"""Patch tokens of timm's ViTs as maps: where they lie, what they hold, and how images get there."""

from __future__ import annotations

import pytest
import timm
import torch

from lmbench.api import Extractor, UsageError
from lmbench_foundation.settings import ViTSettings
from lmbench_foundation.vit import build

TINY = "test_vit"  # timm's own test model: 6 blocks, 64 channels, patch 16, trained at 160 px, mean and std 0.5


@pytest.fixture
def images():
    return torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))


def tiny(name=TINY, **settings):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build(ViTSettings(**settings), name).eval()


@torch.no_grad()
def test_every_block_is_a_map_on_the_patch_grid_and_tokens_are_the_last(images):
    network = tiny(input_size=224)
    maps = network(images)
    assert {m.name: (m.channels, 224 // m.stride) for m in network.maps} == {
        n: tuple(m.shape[1:3]) for n, m in maps.items()
    }
    assert list(maps) == [f"block-{i}" for i in range(1, 7)] + ["tokens"]
    assert {tuple(m.shape) for m in maps.values()} == {(2, 64, 14, 14)}
    assert torch.equal(maps["tokens"], maps["block-6"])
    assert not torch.equal(maps["block-5"], maps["block-6"])


@pytest.mark.parametrize(
    ("input_size", "height", "width", "grid"),
    [
        (160, 96, 96, (10, 10)),
        (225, 96, 96, (14, 14)),
        (160, 50, 100, (5, 10)),
        (16, 96, 96, (1, 1)),
        (64, 300, 7, (4, 1)),
    ],
)
@torch.no_grad()
def test_the_longer_side_is_input_size_and_both_are_whole_patches(input_size, height, width, grid):
    assert tiny(input_size=input_size)(torch.rand(1, 3, height, width))["tokens"].shape[2:] == grid


@pytest.mark.parametrize("name", [TINY, "test_vit3", "vit_tiny_patch16_dinov3_qkvb"])
@torch.no_grad()
def test_tokens_are_the_models_own_features_without_class_and_register_tokens(name):
    network = tiny(name, input_size=64)
    config = timm.get_pretrained_cfg(name)
    mean, std = (torch.tensor(v)[:, None, None] for v in (config.mean, config.std))
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))  # resized to what they are
    features = network.network.forward_features((images - mean) / std)
    patches = features[:, network.network.num_prefix_tokens :]
    assert patches.shape[1] == 16
    expected = patches.unflatten(1, (4, 4)).permute(0, 3, 1, 2)
    torch.testing.assert_close(network(images)["tokens"], expected)


@torch.no_grad()
def test_a_patch_of_the_image_changes_its_own_cell():
    network = tiny(input_size=96)
    for block in network.network.blocks:
        block.attn.proj.weight.zero_()  # no token hears of another
        block.attn.proj.bias.zero_()
    image = torch.full((1, 3, 96, 96), 0.5)
    marked = image.clone()
    marked[:, :, 32:48, 64:80] = 1.0  # row 2, column 4
    changed = (network(image)["tokens"] - network(marked)["tokens"]).abs().sum(1)[0] > 1e-4
    assert changed.nonzero().tolist() == [[2, 4]]


@torch.no_grad()
def test_an_enlarged_image_gives_the_tokens_of_the_image_that_was_enlarged_before():
    """``align_corners=False``: a constant image with a bright half keeps its edge in the middle of the grid."""
    network = tiny(input_size=192)
    halves = torch.zeros(1, 3, 96, 96)
    halves[..., 48:] = 1.0
    large = torch.zeros(1, 3, 192, 192)
    large[..., 96:] = 1.0
    small_maps, large_maps = network(halves)["block-1"], network(large)["block-1"]
    far = [0, 1, 2, 3, 4, 7, 8, 9, 10, 11]  # columns that the smoothed edge does not reach
    torch.testing.assert_close(small_maps[..., far], large_maps[..., far], rtol=0.05, atol=0.05)


def test_the_extractor_reads_blocks_by_name(images):
    extractor = Extractor(tiny(input_size=96), ("tokens", "block-3"), size=24)
    maps = extractor.maps(images)
    assert maps.dim == 128 and maps.materialise().shape == (2, 128, 24, 24)


def test_a_block_that_is_not_there_is_refused_with_those_that_are(images):
    with pytest.raises(UsageError, match=r"no map 'block-9'; it has tokens and block-1 to block-6"):
        Extractor(tiny(input_size=96), ("block-9",)).maps(images)


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("vit_no_such_patch16", {}, "timm has no model 'vit_no_such_patch16'"),
        ("vit_smal_patch16_224", {}, "It has .*vit_small_patch16_224"),
        (
            "test_vit.nonsense",
            {"pretrained": True},
            r"timm has no weights 'test_vit.nonsense'; it has test_vit.r160_in1k",
        ),
        ("test_vit.nonsense", {}, r"timm has no weights 'test_vit.nonsense'"),
        ("resnet18", {}, "vit/resnet18 is no plain ViT.*timm/resnet18"),
        ("swin_tiny_patch4_window7_224", {}, "no plain ViT"),
        (TINY, {"input_size": 8}, "input_size is 8, less than one patch of 16"),
    ],
)
def test_what_cannot_be_built_is_a_usage_error_that_says_why(name, settings, said):
    with pytest.raises(UsageError, match=said):
        build(ViTSettings(**settings), name)
