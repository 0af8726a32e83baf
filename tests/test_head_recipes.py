"""How heads are fitted: the papers' recipes by the number of annotated images, and statistics of what is read."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from made_heads import conditioned_head, linear_head

from lmbench.features import FeatureMaps
from lmbench.heads import conditioned, reference
from lmbench.heads.base import Subset, TensorInputs
from lmbench.heads.frozen import FrozenMaps
from lmbench.tasks.inputs import with_copies


def noise(images, size=(6, 6), normalise="none", seed=0):
    """Maps of 2 x 2 and 5 x 4 cells, of levels and spreads that differ widely from channel to channel."""
    generator = torch.Generator().manual_seed(seed)
    maps = []
    for height, width, channels in ((2, 2, 3), (5, 4, 2)):
        level, spread = (
            torch.randn(channels, 1, 1, generator=generator),
            0.1 + torch.rand(channels, 1, 1, generator=generator),
        )
        maps.append(level + spread * torch.randn(images, channels, height, width, generator=generator))
    return FeatureMaps(tuple(maps), size, normalise)


def plan_of(head, module, subset, monkeypatch, images=60):
    """The plan by which a head fits a subset of so many images."""
    plans = []
    monkeypatch.setattr(module, "fit_groups", lambda *given: plans.append(given[6]))
    inputs = TensorInputs(64, noise(images))
    landmarks = torch.rand(images, 2, 2) * 63
    head.fit(inputs, landmarks, torch.ones(images, 2, dtype=torch.bool), [subset], torch.Generator().manual_seed(0))
    return plans[0]([subset])


def subset_of(n, images=60):
    return Subset(n, 0, torch.arange(images if n == "all" else n))


def test_epochs_of_the_full_set_do_not_cut_the_fits_of_draws(monkeypatch):
    steps = {
        (n, epochs): plan_of(linear_head(epochs=epochs), reference, subset_of(n), monkeypatch).steps
        for n in ("all", 5)
        for epochs in (None, 2)
    }
    assert steps["all", 2] == 2 * math.ceil(60 / 32) and steps["all", None] == 45 * math.ceil(60 / 32)
    assert steps[5, 2] == steps[5, None] == 1000 * math.ceil(60 / 32)  # 5 images, repeated to the 60 there are
    shorter = plan_of(linear_head(few_shot_epochs=3), reference, subset_of(5), monkeypatch)
    assert shorter.steps == 3 * math.ceil(60 / 32)


def test_a_record_says_the_epochs_of_both():
    said = linear_head(epochs=7).description()
    assert said["recipe"]["epochs"] == 7 and said["few_shot_recipe"]["epochs"] == 1000


@pytest.mark.parametrize(("n", "decay"), [(10, 5e-2), (100, 5e-2), (101, 5e-3), (250, 5e-3), ("all", 5e-3)])
def test_birds_have_less_weight_decay_above_100_annotations(n, decay, monkeypatch):
    head = linear_head(recipe="cl_birds")  # eval_animal.py and README: 5e-2 up to 100 images, else 5e-3
    plan = plan_of(head, reference, subset_of(n, 300), monkeypatch, 300)
    optimiser = plan.make([torch.zeros(1, requires_grad=True)])
    assert optimiser.param_groups[0]["weight_decay"] == decay
    assert optimiser.param_groups[0]["lr"] == 1e-2
    assert head.description()["few_shot_up_to"] == 100


def test_birds_on_dves_features_decay_alike_at_every_number(monkeypatch):
    for n in (10, 250, "all"):
        plan = plan_of(linear_head(recipe="dve_birds"), reference, subset_of(n, 300), monkeypatch, 300)
        assert plan.make([torch.zeros(1, requires_grad=True)]).param_groups[0]["weight_decay"] == 5e-4


@pytest.mark.parametrize("n", [1, 10, 12, 13])
@pytest.mark.parametrize("head", ["conditioned", "cl_faces", "dve_faces", "cl_birds"])
def test_warped_copies_change_no_recipe(head, n, monkeypatch):
    made, module = (
        (conditioned_head(few_shot=12), conditioned) if head == "conditioned" else (linear_head(recipe=head), reference)
    )
    plain = subset_of(n)
    _, (copied,) = with_copies([plain], 60, 10)
    assert len(copied.indices) == 11 * n and copied.annotated == n
    plans = [plan_of(made, module, plain, monkeypatch), plan_of(made, module, copied, monkeypatch, 60 + 10 * n)]
    assert len({(p.steps, p.batch_size, p.cells) for p in plans}) == 1


@pytest.mark.parametrize("normalise", ["none", "layer", "global"])
@pytest.mark.parametrize(("size", "cells"), [((6, 6), 0), ((3, 7), 0), ((6, 6), 3), ((9, 9), 4)])
def test_statistics_are_of_what_is_read(normalise, size, cells):
    maps = noise(7, size, normalise)
    read = (maps.coarse(cells) if cells else maps).materialise().double()
    mean, deviation = TensorInputs(64, maps).statistics(cells)
    torch.testing.assert_close(mean.double(), read.mean((0, 2, 3)), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(deviation.double(), read.std((0, 2, 3), correction=0), rtol=1e-4, atol=1e-6)


def test_statistics_of_kept_maps_are_those_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("lmbench.heads.frozen.STATISTICS_BATCH", 3)
    monkeypatch.setattr("lmbench.features.CELLS_AT_ONCE", 500)  # two images of 5 channels on 6 x 6 cells at a time
    maps = noise(8)
    for name, values in zip(("deep", "shallow"), maps.maps, strict=True):
        np.save(tmp_path / f"{name}.npy", values.numpy())
    for normalise in ("none", "layer", "global"):
        kept = FrozenMaps(tmp_path, ["deep", "shallow"], 64, torch.device("cpu"), 6, normalise).statistics()
        expected = TensorInputs(64, maps.read(6, normalise)).statistics()
        for found, wanted in zip(kept, expected, strict=True):
            torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)


def test_a_channel_far_from_zero_keeps_its_deviation():
    values = 4000 + 0.5 * torch.randn(20, 1, 6, 6, generator=torch.Generator().manual_seed(1))
    _, deviation = TensorInputs(64, FeatureMaps((values,), (6, 6))).statistics()
    assert float(deviation) == pytest.approx(float(values.double().std(correction=0)), rel=1e-4)


def test_a_normalised_map_is_standardised_as_it_is_read():
    generator = torch.Generator().manual_seed(0)
    direction = torch.randn(30, 3, 6, 6, generator=generator)
    loud = direction * (
        1 + 50 * torch.rand(30, 1, 6, 6, generator=generator)
    )  # the length says nothing once normalised
    landmarks = 63 * torch.rand(30, 2, 2, generator=generator)
    every, seen = [Subset("all", 0, torch.arange(30))], torch.ones(30, 2, dtype=torch.bool)
    found = []
    for values in (direction, loud):
        inputs = TensorInputs(64, FeatureMaps((values,), (6, 6), "global"))
        fitted = conditioned_head(steps=3).fit(inputs, landmarks, seen, every, torch.Generator().manual_seed(2))
        found.append(fitted.predict(inputs))
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-2)
