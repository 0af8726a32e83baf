"""What the converged head finds is the optimum of what it says it minimises, wherever and however it is looked for."""

from __future__ import annotations

from typing import Any, ClassVar
from unittest.mock import patch

import numpy as np
import pytest
import scipy.optimize
import torch
from other_heads import ByLBFGS, ByLBFGSFromElsewhere, Jittered, Turned

from lmbench.features import FeatureMaps
from lmbench.heads import converged
from lmbench.heads.base import Subset, TensorInputs
from lmbench.heads.refining import ALPHA
from lmbench.heads.settings import ConvergedSettings

SIDE = 64


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def cluttered(images, landmarks, channels, cells, seed=0):
    """(maps, landmarks in pixels): each channel a mixture of bumps at the landmarks and at other places, in noise."""
    g = seeded(seed)
    middle = SIDE / 2 + 10 * torch.randn(landmarks, 2, generator=seeded(9))
    found = middle + 5 * torch.randn(images, landmarks, 2, generator=g)
    sources = torch.cat([found, SIDE * torch.rand(images, 3, 2, generator=g)], 1)
    y, x = torch.meshgrid(torch.linspace(0, SIDE - 1, cells), torch.linspace(0, SIDE - 1, cells), indexing="ij")
    squared = (x - sources[..., 0, None, None]) ** 2 + (y - sources[..., 1, None, None]) ** 2
    bumps = torch.exp(-squared / (2 * 7**2))
    mixing = torch.randn(channels, bumps.shape[1], generator=seeded(8))
    return torch.einsum("cs,nshw->nchw", mixing, bumps) + 0.2 * torch.randn(
        images, channels, cells, cells, generator=g
    ), found


def fitted(maps, landmarks, one=converged._CrossFitted, **settings):
    inputs = TensorInputs(SIDE, FeatureMaps((maps,), tuple(maps.shape[2:])))
    visible = torch.ones(landmarks.shape[:2], dtype=torch.bool)
    with patch.object(converged, "_CrossFitted", one):
        head = converged.Converged(ConvergedSettings(**settings))
        return head.fit(inputs, landmarks, visible, [Subset("all", 0, torch.arange(len(maps)))], seeded(0))


class Watched(converged._CrossFitted):
    """Remembers where its filters stood after the last step, and what they were refined on."""

    last: ClassVar[dict[str, Any]] = {}

    def _stepped(self, start, v, at, priors, strength, *given):
        v, at = super()._stepped(start, v, at, priors, strength, *given)
        images = self.images[self.folds[0][0]]
        self.last.update(
            start=start[0], v=v[0], prior=priors[0], strength=strength, basis=self.white.basis, images=images
        )
        return v, at


def objective(v, maps, target, start, basis, centres, precision, strength):
    """The formula of docs/head.md for one landmark, word for word, in float64."""
    cells = torch.linspace(-1, 1, maps.shape[-1], dtype=torch.float64)
    place = torch.stack(torch.meshgrid(cells, cells, indexing="xy"), -1).flatten(0, 1)
    prior = -(place - centres[:, None]).square().sum(-1) * precision[:, None] / 2
    heat = torch.softmax((start + v @ basis.T) @ maps.flatten(2) + prior, -1)
    x = (heat @ place).flatten(1)
    x, y = x - x.mean(0), target - target.mean(0)
    variance = y.square().mean()
    gram = x.T @ x / len(x) + ALPHA * variance * torch.eye(x.shape[1], dtype=torch.float64)
    linear = torch.linalg.solve(gram, x.T @ y / len(x))
    return (y - x @ linear).square().sum(1).mean() + variance * (
        ALPHA * linear.square().sum() + strength * v.square().sum()
    )


def value_and_gradient(maps, landmarks):
    """The objective of the first fold's filters as a function of numbers in a row, and where the head left them."""
    last = dict(Watched.last)
    target = (2 * landmarks / (SIDE - 1) - 1)[last["images"], 0].double()
    given = [t.double() for t in (last["start"], last["basis"], last["prior"].centres, last["prior"].precision)]
    seen = maps[last["images"]].double()

    def both(flat):
        v = torch.from_numpy(flat).view_as(last["v"]).requires_grad_()
        value = objective(v, seen, target, *given, last["strength"])
        return float(value.detach()), torch.autograd.grad(value, v)[0].flatten().numpy()

    return both, last["v"].double().flatten().numpy()


def test_refined_filters_are_as_good_as_many_starts_of_another_optimiser_find(monkeypatch):
    monkeypatch.setattr(converged, "PATIENCE", 99)  # every strength is tried, whatever cross-validation says
    maps, landmarks = cluttered(40, 1, channels=3, cells=8)
    values = {}
    for steps in (1, 30):
        fitted(maps, landmarks, Watched, cells=8, strengths=(0.03, 0.018, 0.011, 0.0065, 0.004), steps=steps)
        both, left = value_and_gradient(maps, landmarks)
        values[steps] = both(left)[0]
    rng, found = np.random.default_rng(0), []
    for size in (0.0, *[0.5] * 3, *[1.0] * 3, 3.0):
        first = size * rng.standard_normal(len(left))
        found.append(scipy.optimize.minimize(both, first, jac=True, method="L-BFGS-B", options={"maxiter": 250}).fun)
    templates = both(np.zeros(len(left)))[0]
    assert templates > 1.5 * min(found)  # there was something to find
    assert values[30] < 1.01 * found[0]  # the optimum next to the templates
    assert values[30] < 1.15 * min(found)  # others are little better
    assert values[1] < 1.25 * min(found)  # a step a strength comes near, and scores the same: see tests/proofs


@pytest.mark.slow
@pytest.mark.parametrize("other", [ByLBFGS, ByLBFGSFromElsewhere, Jittered, Turned])
def test_another_optimiser_and_another_start_give_the_same_score(other):
    maps, landmarks = cluttered(500, 3, channels=12, cells=16)
    (train, test), (known, truth) = maps.split([300, 200]), landmarks.split([300, 200])
    inputs = TensorInputs(SIDE, FeatureMaps((test,), (16, 16)))
    scores = [
        float((fitted(train, known, one).predict(inputs)[0] - truth).norm(dim=-1).mean())
        for one in (converged._CrossFitted, other)
    ]
    floor = float((known.mean(0) - truth).norm(dim=-1).mean())
    assert scores[0] < 0.7 * floor
    assert abs(scores[0] - scores[1]) < 0.02 * floor
