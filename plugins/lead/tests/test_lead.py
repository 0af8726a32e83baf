"""What LEAD's objectives compute beside their golden numbers: precision, and which views they learn from."""

from __future__ import annotations

import pytest
import torch

from lmbench.api import Extractor, build_backbone, view_settings
from lmbench.config.model import RunConfig
from lmbench.config.resolving import resolve_run
from lmbench.plugins.loading import get_plugins
from lmbench_lead.distillation import CorrespondenceDistillation, correspondence, views_of


@pytest.mark.parametrize("temperature", [0.05, 0.02])
def test_a_correspondence_is_told_as_exactly_within_autocast_as_without(temperature):
    """In bf16, cosines over 0.05 were off by up to 0.44 in log-probability."""
    source, target = torch.randn(2, 2, 64, 12, 12, generator=torch.Generator().manual_seed(0)).relu().unbind()
    exact = correspondence(source.double(), target.double(), temperature)
    with torch.autocast("cpu", torch.bfloat16):
        within = correspondence(source, target, temperature)
    assert within.dtype == torch.float32
    assert float((within - exact).abs().max()) < 1e-4


def config(variant: str, preset: str, method: str = "lead") -> RunConfig:
    return resolve_run(get_plugins(), method, "synthfaces", preset=preset, variant=variant)


def test_the_papers_second_stage_sees_byols_pair_of_views():
    """Supplement D: BYOL's pipeline in both stages; its appendix B: blur 1.0 and 0.1, solarisation 0.0 and 0.2."""
    settings = config("dense64", "paper").stages["distillation"].settings
    first, second = views_of(settings["view"], settings["view2"])
    assert (first.blur_p, first.solarise_p, second.blur_p, second.solarise_p) == (1.0, 0.0, 0.1, 0.2)
    byol = config("dense64", "paper").stages["byol"].settings
    assert (first, second) == (view_settings(byol["view1"]), view_settings(byol["view2"]))


@pytest.mark.parametrize("preset", ["quick", "small"])
def test_small_budgets_draw_both_views_alike(preset):
    settings = config("dense64", preset).stages["distillation"].settings
    first, second = views_of(settings["view"], settings["view2"])
    assert first == second


def test_the_two_images_of_a_pair_are_changed_by_their_own_settings():
    still = {"size": 32, "scale": (1.0, 1.0), "ratio": (1.0, 1.0), "jitter_p": 0.0, "grey_p": 0.0}
    parent = Extractor(build_backbone("resnet18"), ("conv5_x",))
    objective = CorrespondenceDistillation(
        build_backbone("resnet18_fpn", {"dim": 4}), parent, view={**still, "blur_p": 1.0}, view2={"blur_p": 0.0}
    )
    images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    first, second = objective.views(images, torch.Generator().manual_seed(0))
    assert torch.allclose(second, images.roll(-1, 0), atol=1e-5)
    assert float((first - images).abs().mean()) > 0.01


def test_mocos_stage_is_the_one_of_contrastlandmarks():
    ours = config("moco_dense64", "paper").stages["moco"]
    theirs = config("hypercolumn", "paper", "contrastlandmarks").stages["moco"]
    assert ours.settings["groups"] == 4  # Cheng et al.: 4 GPUs
    assert (ours.settings, ours.training, ours.objective) == (theirs.settings, theirs.training, theirs.objective)
