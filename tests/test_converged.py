"""The converged head: a property of the features, the mean shape where they carry nothing, its formulas by brute force."""

from __future__ import annotations

import warnings

import pytest
import torch
from made_heads import converged_head

from lmbench.errors import DataError
from lmbench.features import FeatureMaps
from lmbench.heads.base import Subset, TensorInputs, mean_shape
from lmbench.heads.blocks import Blocks
from lmbench.heads.readout import CANDIDATES, readouts
from lmbench.heads.refining import ALPHA, Fit, Prior, points, proposed
from lmbench.heads.whitening import whitening

SIDE, CELLS, POINTS, CHANNELS = 64, 12, 2, 6
FAST = {"strengths": (0.03, 0.01, 0.003, 0.001), "cells": CELLS}


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def bumps(images, seed=0, noise=0.1):
    """(maps (N, C, 12, 12), landmarks (N, 2, 2) in pixels): in noise, a bump of a channel's own at each landmark."""
    generator = seeded(seed)
    middle = torch.tensor([[22.0, 30.0], [42.0, 34.0]])
    landmarks = middle + 5 * torch.randn(images, POINTS, 2, generator=generator)
    y, x = torch.meshgrid(torch.linspace(0, SIDE - 1, CELLS), torch.linspace(0, SIDE - 1, CELLS), indexing="ij")
    squared = (x - landmarks[..., 0, None, None]) ** 2 + (y - landmarks[..., 1, None, None]) ** 2
    maps = noise * torch.randn(images, CHANNELS, CELLS, CELLS, generator=generator)
    maps[:, :POINTS] += torch.exp(-squared / (2 * 6**2))
    return maps, landmarks


def inputs_of(*maps, normalise="none"):
    return TensorInputs(SIDE, FeatureMaps(tuple(maps), (CELLS, CELLS), normalise))


def whole(n):
    return Subset("all", 0, torch.arange(n))


def seen_all(landmarks):
    return torch.ones(landmarks.shape[:2], dtype=torch.bool)


def fitted(maps, landmarks, subsets=None, visible=None, **settings):
    visible = seen_all(landmarks) if visible is None else visible
    head = converged_head(**{**FAST, **settings})
    return head.fit(inputs_of(*maps), landmarks, visible, subsets or [whole(len(landmarks))], seeded(0))


def distance(found, truth):
    return float((found - truth).norm(dim=-1).mean())


def test_it_finds_landmarks_that_a_channel_marks():
    maps, landmarks = bumps(120)
    test, truth = bumps(60, seed=1)
    found = fitted([maps], landmarks).predict(inputs_of(test))[0]
    floor = distance(mean_shape(landmarks, seen_all(landmarks)).expand_as(truth), truth)
    assert distance(found, truth) < 0.35 * floor


def test_refined_filters_are_better_than_their_templates_where_templates_mix_landmarks():
    maps, landmarks = bumps(120, noise=0.4)
    test, truth = bumps(100, seed=1, noise=0.4)
    templates = distance(fitted([maps], landmarks, strengths=()).predict(inputs_of(test))[0], truth)
    refined = fitted([maps], landmarks)
    assert distance(refined.predict(inputs_of(test))[0], truth) < templates
    assert refined.said[0].startswith("strength")


def mixed(channels):
    return torch.randn(channels, channels, generator=seeded(5), dtype=torch.float64)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: torch.einsum("dc,nchw->ndhw", mixed(CHANNELS), m.double()).float(),
        lambda m: m * torch.logspace(-3, 3, CHANNELS)[:, None, None],
        lambda m: torch.cat([m, m, 2 * m[:, :3]], 1),
        lambda m: m + torch.arange(CHANNELS)[:, None, None],
        lambda m: torch.cat([m, torch.ones(len(m), 2, CELLS, CELLS)], 1),
    ],
    ids=["invertible mixing", "rescaling", "duplicates", "a constant added", "constant channels"],
)
def test_what_says_the_same_in_other_channels_scores_the_same(change):
    (maps, landmarks), (test, _) = bumps(60), bumps(20, seed=1)
    expected = fitted([maps], landmarks).predict(inputs_of(test))
    found = fitted([change(maps)], landmarks).predict(inputs_of(change(test)))
    torch.testing.assert_close(found, expected, rtol=0, atol=0.02)


def test_nothing_is_drawn_by_chance():
    maps, landmarks = bumps(40)
    head = converged_head(**FAST)
    given = inputs_of(maps), landmarks, seen_all(landmarks), [whole(40)]
    first, second = head.fit(*given, seeded(0)), head.fit(*given, seeded(1))
    assert all(torch.equal(first.state()[k], second.state()[k]) for k in first.state())


def silent(maps, landmarks, subsets=None, visible=None):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return fitted(maps, landmarks, subsets, visible)


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_maps_that_say_nothing_give_the_mean_shape_and_say_why(value):
    _, landmarks = bumps(20)
    constant = torch.full((20, 3, CELLS, CELLS), value)
    found = silent([constant], landmarks)
    assert found.said == ["mean shape: no channel changes within an image"]
    expected = landmarks.mean(0).expand(1, 20, -1, -1)
    torch.testing.assert_close(found.predict(inputs_of(constant)), expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("n", [1, 3, 4])
def test_fewer_images_than_folds_give_their_mean_shape(n):
    maps, landmarks = bumps(20)
    found = silent([maps], landmarks, [Subset(n, 0, torch.arange(n))])
    assert "fewer than 5 annotated images" in found.said[0]
    expected = landmarks[:n].mean(0).expand(1, 20, -1, -1)
    torch.testing.assert_close(found.predict(inputs_of(maps)), expected, rtol=0, atol=1e-3)


def test_noise_gives_the_mean_shape_whatever_the_number_of_annotations():
    noise = torch.randn(80, 8, CELLS, CELLS, generator=seeded(3))
    _, landmarks = bumps(80)
    found = silent([noise], landmarks, [Subset(n, 0, torch.arange(n)) for n in (5, 10, 40)])
    assert all("beyond doubt" in said for said in found.said)


def test_draws_of_mean_shapes_and_of_filters_stand_in_one_state():
    maps, landmarks = bumps(60)
    found = fitted([maps], landmarks, [Subset(3, 0, torch.arange(3)), Subset(40, 0, torch.arange(40))])
    predicted = found.predict(inputs_of(maps))
    assert predicted.shape == (2, 60, POINTS, 2)
    again = converged_head(**FAST).restored({k: v.clone() for k, v in found.state().items()}).predict(inputs_of(maps))
    torch.testing.assert_close(again, predicted, rtol=0, atol=0)
    alone = fitted([maps], landmarks, [Subset(40, 0, torch.arange(40))]).predict(inputs_of(maps))
    torch.testing.assert_close(predicted[1:], alone, rtol=0, atol=0)


def test_nan_in_a_map_is_refused():
    maps, landmarks = bumps(20)
    maps[7, 2, 3, 3] = float("nan")
    with pytest.raises(DataError, match="NaN"):
        fitted([maps], landmarks)


def test_all_landmarks_at_one_place_are_found_there():
    maps, landmarks = bumps(30)
    landmarks[:] = landmarks[0, 0]
    found = silent([maps], landmarks)
    torch.testing.assert_close(found.predict(inputs_of(maps))[0], landmarks, rtol=0, atol=1e-2)


def test_a_landmark_that_is_never_visible_costs_the_others_nothing():
    maps, landmarks = bumps(60)
    visible = seen_all(landmarks)
    visible[:, 1] = False
    unknown = landmarks.clone()
    unknown[:, 1] = 20.0
    found = silent([maps], unknown, visible=visible).predict(inputs_of(maps))[0]
    assert found.isfinite().all()
    floor = distance(landmarks[:, 0].mean(0).expand(60, 2), landmarks[:, 0])
    assert distance(found[:, 0], landmarks[:, 0]) < 0.5 * floor


def test_where_a_landmark_is_not_visible_its_annotation_changes_nothing():
    maps, landmarks = bumps(60)
    visible = torch.rand(60, POINTS, generator=seeded(9)) > 0.2
    other = torch.where(visible[..., None], landmarks, torch.tensor(float("nan")))
    expected = fitted([maps], landmarks, visible=visible).predict(inputs_of(maps))
    found = fitted([maps], other, visible=visible).predict(inputs_of(maps))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


def test_warped_copies_stay_in_the_fold_of_their_image():
    """Copies that repeat their image would be predicted by heart otherwise, from noise."""
    noise, (_, landmarks) = torch.randn(30, 8, CELLS, CELLS, generator=seeded(3)), bumps(30)
    repeated = torch.arange(30).repeat_interleave(4)
    found = fitted([noise[repeated]], landmarks[repeated], [Subset(30, 0, torch.arange(120), copies=3)])
    assert "mean shape" in found.said[0]


def test_whitened_features_have_unit_covariance_within_images():
    generator = seeded(1)
    maps = torch.einsum(
        "dc,nchw->ndhw", torch.randn(5, 5, generator=generator), torch.randn(30, 5, 8, 8, generator=generator)
    )
    white = whitening(Blocks(TensorInputs(SIDE, FeatureMaps((maps,), (8, 8))), 8))
    z = torch.einsum("nchw,cr->nrhw", maps, white.basis).flatten(2)
    z = (z - z.mean(2, keepdim=True)).transpose(0, 1).flatten(1)
    torch.testing.assert_close(z @ z.T / z.shape[1], torch.eye(5), rtol=0, atol=1e-3)


def test_rank_counts_what_is_independent():
    maps, _ = bumps(30)
    twice = torch.cat([maps, maps[:, :3] - maps[:, 3:]], 1)
    assert whitening(Blocks(inputs_of(twice), CELLS)).basis.shape == (CHANNELS + 3, CHANNELS)


def test_derivatives_of_points_are_those_of_autograd():
    maps, _ = bumps(5)
    coarse = torch.randn(5, 4, 3, 3, generator=seeded(2))
    blocks = Blocks(inputs_of(maps, coarse), CELLS)
    filters = torch.randn(3, CHANNELS + 4, generator=seeded(4))
    prior = Prior(torch.zeros(3, 2), torch.full((3,), 4.0))
    derivatives = torch.empty(3, 5, 2, CHANNELS + 4)
    found = points(blocks, torch.arange(5), filters, prior, derivatives)
    jacobian = torch.autograd.functional.jacobian(lambda f: points(blocks, torch.arange(5), f, prior), filters)
    for k in range(3):
        torch.testing.assert_close(derivatives[k], jacobian[k, :, :, k], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(found, points(blocks, torch.arange(5), filters, prior))


def problem(n=12, each=2, rank=4):
    """A small problem of two landmarks: (fit at v, v, derivatives, basis, its parts)."""
    generator = seeded(8)
    target = torch.randn(2, n, 2, generator=generator)
    at = torch.randn(2 * each, n, 2, generator=generator)
    weight = torch.ones(2, n)
    weight[1, :3] = 0
    weight = weight / weight.mean(1, keepdim=True)
    v = 0.1 * torch.randn(2 * each, rank, generator=generator)
    derivatives = torch.randn(2 * each, n, 2, 5, generator=generator)
    return (
        Fit.of(at, target, weight, v, 0.3),
        v,
        derivatives,
        torch.randn(5, rank, generator=generator),
        (at, target, weight),
    )


def test_the_objective_is_the_one_that_is_stated():
    fit, v, _, _, (at, target, weight) = problem()
    for landmark in range(2):
        x = at[2 * landmark : 2 * landmark + 2].permute(1, 0, 2).flatten(1).double()
        y, w = target[landmark].double(), weight[landmark].double()[:, None]
        spread = float((w * (y - (w * y).mean(0)).square()).mean())
        rows = torch.cat([x, torch.ones(len(x), 1)], 1)
        penalty = torch.diag(torch.tensor([ALPHA * spread] * 4 + [0.0], dtype=torch.float64))
        solved = torch.linalg.solve(rows.T @ (w * rows) / len(x) + penalty, rows.T @ (w * y) / len(x))
        left = float((w * (y - rows @ solved).square()).sum() / len(x) + ALPHA * spread * solved[:4].square().sum())
        own = float(v[2 * landmark : 2 * landmark + 2].double().square().sum())
        assert float(fit.value[landmark]) == pytest.approx(left + 0.3 * spread * own, rel=1e-4)


def test_a_step_solves_the_damped_normal_equations():
    fit, v, derivatives, basis, _ = problem()
    damping = torch.tensor([[0.5], [0.2]])
    change, promised = proposed(fit, v, damping, derivatives, basis)
    for landmark in range(2):
        members = slice(2 * landmark, 2 * landmark + 2)
        a, n = fit.linear[landmark].double(), 12
        q = (derivatives[members].double() @ basis.double()).permute(1, 2, 0, 3)  # n, axis, point, r
        rows = torch.einsum("napr,pao->nopr", q, a.unflatten(0, (2, 2))).flatten(2).flatten(0, 1)  # (n o), (p r)
        w, xc = fit.weight[landmark].double(), fit.centred[landmark].double()
        mean = torch.eye(n, dtype=torch.float64) - torch.ones(n, 1, dtype=torch.float64) @ w.T / n
        project = (
            torch.eye(n, dtype=torch.float64) - xc @ torch.linalg.solve(fit.gram[landmark], (w * xc).T / n)
        ) @ mean
        rows = torch.einsum("nm,mok->nok", project, rows.unflatten(0, (n, 2)))
        plain = torch.einsum("napr,pao->nopr", q, a.unflatten(0, (2, 2))).flatten(2)
        curved = torch.einsum("nok,noj->kj", plain * w[:, :, None], rows) / n
        ridge = float(fit.ridge[landmark])
        gradient = (
            torch.einsum("nok,no->k", plain * w[:, :, None], fit.residual[landmark].double()) / n
            - ridge * v[members].double().flatten()
        )
        identity = torch.eye(len(gradient), dtype=torch.float64)
        expected = torch.linalg.solve(curved + (ridge + float(damping[landmark])) * identity, gradient)
        torch.testing.assert_close(change[members].double().flatten(), expected, rtol=0.05, atol=0.02)
        assert float(promised[landmark]) > 0


@pytest.mark.parametrize("hidden", [False, True])
def test_read_outs_are_the_ridges_that_are_stated(hidden):
    generator = seeded(6)
    at, target = torch.randn(6, 15, 2, generator=generator), torch.randn(15, 3, 2, generator=generator)
    seen = torch.ones(15, 3)
    if hidden:
        seen[:4, 1] = 0
    linear, offset = readouts(at, target, seen)
    x = at.transpose(0, 1).flatten(1).double()
    for k, (alpha, towards) in enumerate(CANDIDATES):
        for landmark in range(3):
            w = seen[:, landmark, None].double()
            goal = torch.zeros(12, 2, dtype=torch.float64)
            goal[4 * landmark : 4 * landmark + 4] = towards * torch.eye(2, dtype=torch.float64).repeat(2, 1) / 2
            middle = (w * x).sum(0) / w.sum()
            scale = (w * (x - middle).square()).sum() / 12
            rows = torch.cat([x, torch.ones(15, 1)], 1)
            penalty = torch.diag(torch.tensor([float(alpha * scale)] * 12 + [0.0], dtype=torch.float64))
            right = rows.T @ (w * target[:, landmark].double()) + penalty @ torch.cat([goal, torch.zeros(1, 2)])
            expected = torch.linalg.solve(rows.T @ (w * rows) + penalty, right)
            columns = slice(2 * landmark, 2 * landmark + 2)
            torch.testing.assert_close(linear[k][:, columns].double(), expected[:12], rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(offset[k][columns].double(), expected[12], rtol=1e-4, atol=1e-5)


def test_maps_that_do_not_fit_in_memory_are_read_again_with_the_same_result(monkeypatch):
    maps, landmarks = bumps(40)
    expected = fitted([maps], landmarks)
    monkeypatch.setattr("lmbench.heads.blocks.KEPT", 0)
    again = fitted([maps], landmarks)
    assert all(torch.equal(expected.state()[k], again.state()[k]) for k in expected.state())


def test_landmarks_refined_one_after_another_are_those_refined_together(monkeypatch):
    maps, landmarks = bumps(40)
    expected = fitted([maps], landmarks).predict(inputs_of(maps))
    monkeypatch.setattr("lmbench.heads.converged.NUMBERS", 2 * 9 * CHANNELS * 33)
    found = fitted([maps], landmarks).predict(inputs_of(maps))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-2)
