"""What LEAD's objectives compute beside their golden numbers: precision, and which views they learn from."""

from __future__ import annotations

import pytest
import torch

from lmbench.api import DataError, Extractor, ViewSettings, build_backbone
from lmbench.config.model import RunConfig
from lmbench.config.resolving import resolve_run
from lmbench.plugins.loading import Plugins, get_plugins, installed, load_plugins
from lmbench_lead.distillation import CorrespondenceDistillation, correspondence
from lmbench_lead.recipe import CL, LEAD
from lmbench_lead.settings import DistillationSettings, SecondView


@pytest.mark.parametrize("temperature", [0.05, 0.02])
def test_a_correspondence_is_told_as_exactly_within_autocast_as_without(temperature):
    """In bf16, cosines over 0.05 were off by up to 0.44 in log-probability."""
    source, target = torch.randn(2, 2, 64, 12, 12, generator=torch.Generator().manual_seed(0)).relu().unbind()
    exact = correspondence(source.double(), target.double(), temperature)
    with torch.autocast("cpu", torch.bfloat16):
        within = correspondence(source, target, temperature)
    assert within.dtype == torch.float32
    assert float((within - exact).abs().max()) < 1e-4


def config(variant: str, preset: str, method: str = "lead", plugins: Plugins | None = None) -> RunConfig:
    return resolve_run(plugins or get_plugins(), method, "synthfaces", preset=preset, variant=variant)


def test_the_papers_second_stage_sees_byols_pair_of_views():
    """Supplement D: BYOL's pipeline in both stages; its appendix B: blur 1.0 and 0.1, solarisation 0.0 and 0.2."""
    stages = config("dense64", "paper").stages
    first, second = stages["distillation"].settings.views
    assert (first.blur_p, first.solarise_p, second.blur_p, second.solarise_p) == (1.0, 0.0, 0.1, 0.2)
    byol = stages["byol"].settings
    assert (first, second) == (byol.view1, byol.view2)


@pytest.mark.parametrize("preset", ["quick", "small"])
def test_small_budgets_draw_both_views_alike(preset):
    stages = config("dense64", preset).stages
    first, second = stages["distillation"].settings.views
    assert first == second
    assert stages["byol"].settings.view1 == stages["byol"].settings.view2


def test_a_second_view_without_a_difference_is_drawn_as_the_first():
    first, second = DistillationSettings(view2=SecondView(blur_p=None, solarise_p=None)).views
    assert first == second


def test_the_two_images_of_a_pair_are_changed_by_their_own_settings():
    still = ViewSettings(size=32, scale=(1.0, 1.0), ratio=(1.0, 1.0), jitter_p=0.0, grey_p=0.0, blur_p=1.0)
    settings = DistillationSettings(view=still, view2=SecondView(blur_p=0.0, solarise_p=0.0))
    parent = Extractor(build_backbone("resnet18"), ("conv5_x",))
    objective = CorrespondenceDistillation(build_backbone("resnet18_fpn", {"dim": 4}), parent, settings)
    images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    first, second = objective.views(images, torch.Generator().manual_seed(0))
    assert torch.allclose(second, images.roll(-1, 0), atol=1e-5)
    assert float((first - images).abs().mean()) > 0.01


def test_mocos_stage_is_the_one_of_contrastlandmarks():
    ours = config("moco_dense64", "paper").stages["moco"]
    theirs = config("hypercolumn", "paper", "contrastlandmarks").stages["moco"]
    assert ours.settings.groups == 4  # Cheng et al.: 4 GPUs
    assert (ours.settings, ours.training, ours.objective) == (theirs.settings, theirs.training, theirs.objective)


def test_without_the_other_papers_plugin_only_the_variants_that_cross_its_stages_are_refused():
    alone = load_plugins([c for c in installed() if c.distribution != CL])
    for variant in LEAD.variants:
        for preset in ("smoke", "quick", "small", "paper"):
            if variant.name in ("dense64", "dense128", "dense256", "hypercolumn"):
                assert config(variant.name, preset, plugins=alone).stages == config(variant.name, preset).stages
            else:
                with pytest.raises(DataError, match=f"lead {variant.name} is made of parts of {CL}"):
                    config(variant.name, preset, plugins=alone)
