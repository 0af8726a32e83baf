"""The core's backbones beside independent implementations: which weights are meant, and LEAD's pyramid."""

from __future__ import annotations

from collections import OrderedDict

import pytest
import torch
import torchvision
from torchvision.ops import FeaturePyramidNetwork

from lmbench.backbones import build_backbone
from lmbench.backbones.fpn import LEVELS


@pytest.mark.parametrize(
    ("model", "file"),
    [("resnet18", "resnet18-f37072fd.pth"), ("resnet50", "resnet50-0676ba61.pth")],  # those of 2021
)
def test_imagenet_means_the_weights_that_the_papers_of_2021_had(model, file, monkeypatch):
    asked = []

    def download(url, *args, **kwargs):
        asked.append(url.rsplit("/", 1)[-1])
        return getattr(torchvision.models, model)(weights=None).state_dict()

    monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", download)
    build_backbone(model, {"weights": "imagenet"})
    assert asked == [file]


def test_leads_decoder_has_the_top_down_pathway_of_feature_pyramids():
    """torchvision's pyramid (Lin et al. 2017) with the same filters gives the same maps."""
    torch.manual_seed(0)
    network = build_backbone("resnet18_fpn").eval()
    widths, side = (64, 128, 256, 512), 24
    levels = [torch.randn(2, c, side // 2**i, side // 2**i) for i, c in enumerate(widths)]
    oracle = FeaturePyramidNetwork(list(widths), 128)
    for ours, theirs in ((network.lateral, oracle.inner_blocks), (network.smooth, oracle.layer_blocks)):
        for one, other in zip(ours, theirs, strict=True):
            other[0].load_state_dict(one.state_dict())
    expected = oracle(OrderedDict(zip(LEVELS, levels, strict=True)))
    for found, name in zip(network.pyramid(levels), LEVELS, strict=True):
        assert torch.allclose(found, expected[name], atol=1e-5)


@pytest.mark.parametrize("side", [64, 72, 100])
def test_what_the_deepest_map_says_reaches_every_level_of_the_pyramid(side):
    """Also where sides are no multiple of 32: maps are brought to the size of the next."""
    torch.manual_seed(0)
    network = build_backbone("resnet18_fpn").eval()
    maps = network(torch.rand(1, 3, side, side))
    levels = [maps[name].detach() for name in LEVELS]
    changed = [*levels[:3], levels[3] + 1]
    for one, other in zip(network.pyramid(levels), network.pyramid(changed), strict=True):
        assert float((one - other).detach().abs().max()) > 1e-3
    assert maps["dense"].shape[2:] == maps["conv2_x"].shape[2:]
