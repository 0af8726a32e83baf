"""The projection and the factorisation of a frozen hypercolumn, against independent computations, and what they refuse."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from lmbench.api import Extractor, FeatureMaps, UsageError, build_backbone
from lmbench.config.resolving import resolve_run
from lmbench.plugins.loading import get_plugins
from lmbench_contrastlandmarks.nmf import NMF, multiplicative_codes
from lmbench_contrastlandmarks.projection import CLProjection, spatial_contrast
from lmbench_contrastlandmarks.settings import HYPERCOLUMN, CLProjectionSettings, NMFSettings, View


class Small(nn.Module):
    """One map, no encoder."""

    def __init__(self):
        super().__init__()
        self.filter = nn.Conv2d(3, 6, 3, 2, 1)

    def forward(self, images):
        return {"deep": self.filter(images)}


def seeded(number=0):
    return torch.Generator().manual_seed(number)


def images(count=4, side=32):
    return torch.rand(count, 3, side, side, generator=seeded())


# -- projection -------------------------------------------------------------------------------------------------------


def test_the_spatial_contrast_is_the_double_sum_of_equation_3_on_maps_that_are_not_square():
    features = torch.randn(2, 5, 3, 4, generator=seeded(), dtype=torch.float64)
    total = 0.0
    for image in features:
        unit = {(y, x): image[:, y, x] / image[:, y, x].norm() for y in range(3) for x in range(4)}
        for u, f in unit.items():
            weights = {v: math.exp(6.0 * float(f @ g)) for v, g in unit.items()}
            distance = {v: 8 * math.hypot(u[0] - v[0], u[1] - v[1]) for v in unit}
            total += sum(weights[v] * distance[v] ** 0.5 for v in unit) / sum(weights.values())
    assert math.isclose(float(spatial_contrast(features, 8, 6.0)), total / 24, rel_tol=1e-12)


@pytest.fixture(scope="module")
def parent():
    torch.manual_seed(1)
    return Extractor(build_backbone("resnet18"), HYPERCOLUMN, 12)


SETTINGS = {CLProjection: CLProjectionSettings, NMF: NMFSettings}


def compact(parent, kind, objective, backbone_settings, **changes):
    torch.manual_seed(0)
    network = build_backbone(f"resnet18_{kind}", backbone_settings)
    return objective(network, parent, SETTINGS[objective](view=View(size=64), **changes)).train()


def test_the_projection_is_the_1x1_filter_of_the_concatenated_hypercolumn(parent):
    network = compact(parent, "proj", CLProjection, {"dim": 7, "multiplier": 0.0}).backbone.eval()
    batch = images(2, 64)
    whole = torch.cat(
        [
            nn.functional.interpolate(parent.network(batch)[name], (16, 16), mode="bilinear", align_corners=False)
            for name in HYPERCOLUMN
        ],
        dim=1,
    )
    assert torch.allclose(network(batch)["dense"], network.projection(whole), atol=1e-4)


def test_each_projected_channel_is_a_softmax_over_the_image_of_mean_one(parent):
    dense = compact(parent, "proj", CLProjection, {"dim": 7}).backbone(images(2, 64))["dense"]
    assert dense.min() >= 0 and torch.allclose(dense.mean((2, 3)), torch.ones(2, 7), atol=1e-4)


def test_the_projection_learns_on_the_parents_frozen_encoder(parent):
    objective = compact(parent, "proj", CLProjection, {"dim": 8})
    before = {k: v.clone() for k, v in parent.network.state_dict().items()}
    optimiser = torch.optim.Adam(objective.trainable(), 1e-2)
    views = objective.views(images(4, 64), seeded())
    losses = []
    for _ in range(6):
        loss = objective.loss(views)["total"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
    assert len(objective.trainable()) == 2
    assert all(torch.equal(v, before[k]) for k, v in objective.backbone.encoder.state_dict().items())


def resolved(variant, stage, **backbone_settings):
    changes = {"stages": {stage: {"backbone_settings": backbone_settings}}}
    return resolve_run(
        get_plugins(), "contrastlandmarks", "synthfaces", preset="smoke", variant=variant, overrides=[changes]
    )


@pytest.mark.parametrize(("variant", "stage"), [("proj256", "projection"), ("nmf64", "nmf")])
def test_a_compact_form_wider_than_its_hypercolumn_is_refused(variant, stage):
    with pytest.raises(UsageError, match=r"1280 dimensions .* 960 channels of resnet18 .* expected 1 to 960"):
        resolved(variant, stage, dim=1280)


@pytest.mark.parametrize(("kind", "objective"), [("proj", CLProjection), ("nmf", NMF)])
def test_a_compact_form_needs_a_parent_and_its_own_kind_of_backbone(parent, kind, objective):
    settings = SETTINGS[objective]()
    with pytest.raises(UsageError, match="needs a stage before it"):
        objective(build_backbone(f"resnet18_{kind}"), None, settings)
    with pytest.raises(UsageError, match="needs a stage before it and a backbone with an encoder"):
        objective(Small(), parent, settings)
    other = "nmf" if kind == "proj" else "proj"
    with pytest.raises(UsageError, match="needs a backbone with"):
        objective(build_backbone(f"resnet18_{other}"), parent, settings)


def test_the_spatial_contrast_also_trains_another_decoder_on_a_frozen_encoder(parent):
    torch.manual_seed(0)
    settings = CLProjectionSettings(view=View(size=64))
    objective = CLProjection(build_backbone("resnet18_fpn", {"dim": 8}), parent, settings).train()
    objective.loss(objective.views(images(2, 64), seeded()))["total"].backward()
    assert objective.backbone.output.weight.grad.abs().sum() > 0
    assert not any(p.requires_grad for p in objective.encoder.parameters()) and not objective.encoder.training


def test_a_parent_of_another_kind_is_named():
    with pytest.raises(UsageError, match="the stage before trained another network"):
        CLProjection(build_backbone("resnet18_proj"), Extractor(Small(), ("deep",), 12), CLProjectionSettings())


def test_layers_of_a_compact_form_can_be_chosen():
    assert build_backbone("resnet18_proj", {"layers": ("conv4_x", "conv1"), "dim": 320}).channels == 320
    assert resolved("proj256", "projection", layers=["conv4_x", "conv1"], dim=320)
    with pytest.raises(UsageError, match=r"resnet18 has no map 'conv9'; it has conv1"):
        resolved("proj256", "projection", layers=["conv9"])


# -- NMF --------------------------------------------------------------------------------------------------------------


def test_codes_come_from_projections_alone_and_reconstruct_better_with_every_update():
    components = torch.rand(4, 9, generator=seeded(), dtype=torch.float64)
    truth = torch.rand(1, 4, 3, 2, generator=seeded(1), dtype=torch.float64)
    vectors = torch.einsum("bdhw,dc->bchw", truth, components)
    projected = FeatureMaps((vectors,), (3, 2)).project(components)
    errors = []
    for iterations in (1, 5, 50, 5000):
        codes = multiplicative_codes(projected, components, iterations)
        assert codes.min() >= 0
        errors.append(float((torch.einsum("bdhw,dc->bchw", codes, components) - vectors).square().sum()))
    assert errors == sorted(errors, reverse=True) and errors[-1] < 1e-8


def test_codes_are_those_of_a_non_negative_least_squares_solver():
    from scipy.optimize import nnls

    components = torch.rand(3, 8, generator=seeded(), dtype=torch.float64)
    vectors = torch.rand(1, 8, 2, 2, generator=seeded(1), dtype=torch.float64)
    codes = multiplicative_codes(FeatureMaps((vectors,), (2, 2)).project(components), components, 20000)
    for y, x in np.ndindex(2, 2):
        expected, _ = nnls(components.T.numpy(), vectors[0, :, y, x].numpy())
        assert np.allclose(codes[0, :, y, x].numpy(), expected, atol=1e-3)


@pytest.mark.parametrize("solver", ["minibatch", "full"])
def test_nmf_collects_without_training_and_solves_at_the_last_step(parent, solver):
    changes = {"samples": 40, "per_image": 6, "iterations": 4, "solver": solver}
    objective = compact(parent, "nmf", NMF, {"dim": 5}, **changes)
    assert objective.trainable() == []
    before = objective.backbone.components.clone()
    for step in (1, 2):
        objective.loss(objective.views(images(4, 64), seeded(step)))
        objective.after_step(step, 2)
        assert int(objective.collected) == (24, 40)[step - 1]  # the room for samples ends before the second batch does
        assert torch.equal(before, objective.backbone.components) == (step == 1)
    assert objective.backbone.components.min() >= 0
    assert objective.backbone(images(2, 64))["dense"].min() >= 0


def test_nmf_refuses_fewer_vectors_than_components_and_negative_features(parent):
    objective = compact(parent, "nmf", NMF, {"dim": 30}, per_image=2)
    objective.loss(objective.views(images(4, 64), seeded()))
    with pytest.raises(UsageError, match="8 vectors were collected for 30 components"):
        objective.after_step(1, 1)
    objective.backbone.encoder.conv5_x = nn.Conv2d(256, 512, 1, stride=2)
    with pytest.raises(UsageError, match="nmf factorises non-negative features"):
        objective.loss(objective.views(images(4, 64), seeded()))
