"""The landmark heads: what they find, what they do not look at, and which of their settings change the number."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from made_heads import conditioned_head, linear_head, mean_shape_head, ols_head, ridge_head

from lmbench.errors import LmbenchError, UsageError
from lmbench.features import FeatureMaps
from lmbench.geometry.coordinates import normalise_points
from lmbench.heads import conditioned
from lmbench.heads.base import Subset, TensorInputs, mean_shape
from lmbench.heads.reference import SCHEDULES
from lmbench.heads.softargmax import FittedSoftargmax

SIDE = 64
POINTS = 3


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def bumps(images, seed):
    """(inputs, landmarks (N, L, 2)): maps of 8 x 10 and 4 x 5 cells that hold, among noise, a bump at each landmark."""
    generator = seeded(seed)
    landmarks = 8 + (SIDE - 17) * torch.rand(images, POINTS, 2, generator=generator)
    maps = []
    for height, width, channels in ((4, 5, 4), (8, 10, 7)):
        y, x = torch.meshgrid(torch.linspace(0, SIDE - 1, height), torch.linspace(0, SIDE - 1, width), indexing="ij")
        squared = (x - landmarks[..., 0, None, None]) ** 2 + (y - landmarks[..., 1, None, None]) ** 2
        noise = 0.1 * torch.randn(images, channels, height, width, generator=generator)
        noise[:, :POINTS] += torch.exp(-squared / (2 * 8**2))
        maps.append(noise)
    return TensorInputs(SIDE, FeatureMaps(tuple(maps), (12, 15))), landmarks


def everything(inputs):
    return Subset("all", 0, torch.arange(len(inputs)))


def all_seen(landmarks):
    return torch.ones(landmarks.shape[:2], dtype=torch.bool)


def fit(head, inputs, landmarks, subsets=None, visible=None, seed=0):
    visible = all_seen(landmarks) if visible is None else visible
    return head.fit(inputs, landmarks, visible, subsets or [everything(inputs)], seeded(seed))


def distance(found, truth):
    return float((found - truth).norm(dim=-1).mean())


HEADS = {
    "conditioned": lambda: conditioned_head(steps=4, batch_size=8),
    "linear": lambda: linear_head(recipe="dve_faces", epochs=1, batch_size=8),
}


def test_the_conditioned_head_learns_what_the_maps_show():
    train, landmarks = bumps(32, 0)
    test, truth = bumps(24, 1)
    fitted = fit(conditioned_head(steps=30, batch_size=16), train, landmarks)
    floor = fit(mean_shape_head(), train, landmarks)
    assert distance(fitted.predict(test)[0], truth) < 0.4 * distance(floor.predict(test)[0], truth)


@pytest.mark.parametrize("name", HEADS)
def test_subsets_are_fitted_in_order_whatever_their_sizes(name):
    inputs, landmarks = bumps(20, 0)
    sizes = [3, 12, 3, 1, 12]
    subsets = [Subset(n, k, torch.randperm(20, generator=seeded(k))[:n]) for k, n in enumerate(sizes)]
    fitted = fit(HEADS[name](), inputs, landmarks, subsets)
    assert fitted.predict(inputs).shape == (len(sizes), 20, POINTS, 2)
    assert all(torch.isfinite(v).all() for v in fitted.state().values())
    if name == "conditioned":  # its offset is the mean shape of its own subset
        shapes = torch.stack([normalise_points(landmarks[s.indices], (SIDE, SIDE)).mean(0) for s in subsets])
        torch.testing.assert_close(fitted.state()["offset"], shapes)


@pytest.mark.parametrize("name", HEADS)
def test_the_generator_alone_decides_the_fit(name):
    inputs, landmarks = bumps(20, 0)
    subsets = [Subset(12, k, torch.randperm(20, generator=seeded(k))[:12]) for k in range(2)]
    first = fit(HEADS[name](), inputs, landmarks, subsets, seed=1).predict(inputs)
    torch.manual_seed(99)
    torch.testing.assert_close(
        fit(HEADS[name](), inputs, landmarks, subsets, seed=1).predict(inputs), first, rtol=0, atol=0
    )
    assert not torch.equal(fit(HEADS[name](), inputs, landmarks, subsets, seed=2).predict(inputs), first)


@pytest.mark.parametrize("name", HEADS)
def test_heads_of_one_group_differ_from_each_other(name):
    inputs, landmarks = bumps(20, 0)
    subset = torch.arange(6)
    first, second = fit(HEADS[name](), inputs, landmarks, [Subset(6, 0, subset), Subset(6, 1, subset)]).predict(inputs)
    assert not torch.equal(first, second)  # each has filters of its own


@pytest.mark.parametrize("make", [*HEADS.values(), mean_shape_head], ids=[*HEADS, "mean_shape"])
@pytest.mark.parametrize("elsewhere", [0.0, 1e4, math.nan])
def test_an_invisible_landmark_does_not_influence_the_fit(make, elsewhere):
    inputs, landmarks = bumps(16, 0)
    visible = torch.rand(16, POINTS, generator=seeded(5)) < 0.6
    moved = torch.where(visible[..., None], landmarks, torch.tensor(elsewhere))
    expected = fit(make(), inputs, landmarks, visible=visible).predict(inputs)
    torch.testing.assert_close(fit(make(), inputs, moved, visible=visible).predict(inputs), expected, rtol=0, atol=0)


def test_only_the_subset_is_looked_at():
    inputs, landmarks = bumps(16, 0)
    subset = [Subset(5, 0, torch.tensor([1, 4, 7, 9, 12]))]
    expected = fit(conditioned_head(steps=4), inputs, landmarks, subset).predict(inputs)
    other = landmarks.clone()
    other[[0, 2, 3, 15]] = math.nan
    torch.testing.assert_close(
        fit(conditioned_head(steps=4), inputs, other, subset).predict(inputs), expected, rtol=0, atol=0
    )


def large_bumps(images, seed):
    """(inputs, landmarks): the bumps on maps of 24 x 24 cells that are read on 48 x 48."""
    inputs, landmarks = bumps(images, seed)
    whole = inputs.batch(torch.arange(images))
    maps = tuple(torch.nn.functional.interpolate(m, (24, 24), mode="bilinear", align_corners=False) for m in whole.maps)
    return TensorInputs(SIDE, FeatureMaps(maps, (48, 48))), landmarks


def test_few_shots_on_coarse_maps_find_what_they_find_on_the_whole_grid():
    (train, landmarks), (test, truth) = large_bumps(12, 0), large_bumps(24, 1)
    draw = [Subset(12, 0, torch.arange(12))]
    coarse = fit(conditioned_head(few_shot_steps=60, few_shot_cells=12), train, landmarks, draw).predict(test)[0]
    whole = fit(conditioned_head(steps=60, few_shot=0), train, landmarks, draw).predict(test)[0]
    floor = distance(fit(mean_shape_head(), train, landmarks, draw).predict(test)[0], truth)
    assert distance(whole, truth) < 0.7 * floor
    assert distance(coarse, whole) < 0.1 * floor


def test_few_shot_heads_read_coarse_maps_when_they_predict_and_say_so_in_their_state():
    inputs, landmarks = large_bumps(12, 0)
    subsets = [Subset(6, 0, torch.arange(6)), everything(inputs)]
    fitted = fit(conditioned_head(steps=3, few_shot_steps=3, few_shot_cells=12), inputs, landmarks, subsets)
    coarse = TensorInputs(SIDE, inputs.batch(torch.arange(12)).coarse(12))
    state = fitted.state()
    assert state["cells"].tolist() == [12, 0]
    again = FittedSoftargmax.from_state(state).predict(inputs)
    torch.testing.assert_close(again[0], fitted.predict(coarse)[0])
    torch.testing.assert_close(again[1], fitted.predict(inputs)[1])
    assert not torch.allclose(fitted.predict(coarse)[1], again[1])
    del state["cells"]  # as heads of older runs are: they read maps as they come
    assert FittedSoftargmax.from_state(state).cells == [0, 0]


@pytest.mark.parametrize(("n", "few"), [(1, True), (12, True), (13, False), ("all", False)])
def test_draws_of_few_images_take_the_few_shot_recipe(n, few, monkeypatch):
    inputs, landmarks = bumps(16, 0)
    plans = []
    monkeypatch.setattr(conditioned, "fit_groups", lambda *a: plans.append(a[6]))
    head = conditioned_head(few_shot=12)
    subset = Subset(n, 0, torch.arange(16 if n == "all" else n))
    fit(head, inputs, landmarks, [subset])
    plan = plans[0]([subset])
    assert (plan.steps, plan.batch_size, plan.cells) == ((100, 10, 24) if few else (300, 32, 0))


@pytest.mark.parametrize("name", HEADS)
def test_a_loss_that_is_no_number_ends_the_fit_and_names_the_step(name):
    inputs, landmarks = bumps(16, 0)
    landmarks[3] = math.nan
    with pytest.raises(LmbenchError, match=r"fitting n=all.*loss is nan at step \d of \d"):
        fit(HEADS[name](), inputs, landmarks)


def test_a_channel_that_never_changes_says_nothing():
    inputs, landmarks = bumps(16, 0)
    found = []
    for level in (0.0, 7.0):
        maps = [m.clone() for m in inputs.batch(torch.arange(16)).maps]
        maps[0][:, 1] = level
        constant = TensorInputs(SIDE, FeatureMaps(tuple(maps), (12, 15)))
        fitted = fit(conditioned_head(steps=4), constant, landmarks)
        assert (fitted.state()["filters"][..., 1] == 0).all()
        found.append(fitted.predict(constant))
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-2)


def test_standardising_makes_the_scale_of_a_channel_indifferent():
    inputs, landmarks = bumps(16, 0)
    maps = inputs.batch(torch.arange(16)).maps
    louder = TensorInputs(SIDE, FeatureMaps(tuple(m * 64 for m in maps), (12, 15)))
    expected = fit(conditioned_head(steps=4), inputs, landmarks).predict(inputs)
    torch.testing.assert_close(
        fit(conditioned_head(steps=4), louder, landmarks).predict(louder), expected, rtol=1e-4, atol=1e-2
    )


@pytest.mark.parametrize("make", [conditioned_head, linear_head])
def test_the_number_of_virtual_points_is_a_setting_and_is_stated(make):
    inputs, landmarks = bumps(8, 0)
    short = {"steps": 2} if make is conditioned_head else {"epochs": 1}
    for points in (1, 10):
        head = make(points=points, **short)
        state = fit(head, inputs, landmarks).state()
        assert state["filters"].shape[1] == POINTS * points and state["linear"].shape[-1] == 2 * points
        assert head.description()["points_per_landmark"] == points


def factors_of(scheduler_of, epochs, steps_first):
    """Learning-rate factors of the epochs that a torch scheduler gives, stepped before or after each epoch."""
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = scheduler_of(optimiser)
    factors = []
    for _ in range(epochs):
        optimiser.step()
        if steps_first:
            scheduler.step()
        factors.append(optimiser.param_groups[0]["lr"])
        if not steps_first:
            scheduler.step()
    return factors


@pytest.mark.parametrize(("name", "period"), [("cl_cosine_200", 200), ("cl_cosine", 60)])
def test_the_rate_of_contrastlandmarks_is_torchs_cosine_stepped_before_the_epoch(name, period):
    floor = 0.2**3 * 0.1  # CL: lr * decay_rate^3, times the 0.1 of its call
    expected = factors_of(lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, period, eta_min=floor), 45, True)
    assert [SCHEDULES[name](e, 60) for e in range(45)] == pytest.approx(expected, rel=1e-9)


def test_the_rate_of_dve_drops_tenfold_from_epochs_102_and_252():
    factors = [SCHEDULES["dve_steps"](e, 300) for e in (0, 100, 101, 250, 251, 299)]
    assert factors == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


# Linear heads: the oracle is the normal equations, written out in NumPy.


def shapes(images=40, found=4, points=POINTS, seed=0):
    """(inputs with discovered landmarks, annotated landmarks), float64 pixels, far from the corner and not linear."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(5, SIDE - 5, (images, found, 2))
    mixing = rng.normal(0, 0.4, (2 * found, 2 * points))
    y = (x.reshape(images, -1) @ mixing).reshape(images, points, 2) + 40 + rng.normal(0, 1, (images, points, 2))
    return TensorInputs(SIDE, landmarks=torch.as_tensor(x)), torch.as_tensor(y)


def in_unit(points, side_length, centred):
    flat = points.numpy().reshape(len(points), -1)
    return flat / (SIDE - 1) * side_length - (side_length / 2 if centred else 0)


def normal_equations(x, y, alpha, bias):
    """The affine map as a function; an appended column of ones is not penalised."""
    ones = np.ones((len(x), int(bias)))
    a = np.concatenate([x, ones], 1)
    penalty = alpha * np.diag([1.0] * x.shape[1] + [0.0] * int(bias))
    weights = np.linalg.solve(a.T @ a + penalty, a.T @ y)
    return lambda z: np.concatenate([z, np.ones((len(z), int(bias)))], 1) @ weights


LENGTHS = {"pixel128": 128, "pm1": 2, "unit": 1}


@pytest.mark.parametrize("unit", LENGTHS)
@pytest.mark.parametrize("origin", ["corner", "centre"])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("alpha", [0.0, 0.1, 10.0])
def test_ridge_solves_the_normal_equations_in_its_unit_and_origin(unit, origin, bias, alpha):
    inputs, landmarks = shapes()
    found = fit(ridge_head(alpha=alpha, bias=bias, origin=origin, unit=unit), inputs, landmarks).predict(inputs)[0]
    length, centred = LENGTHS[unit], origin == "centre"
    x, y = in_unit(inputs.landmarks(), length, centred), in_unit(landmarks, length, centred)
    expected = normal_equations(x, y, alpha, bias)(x)
    expected = (expected + (length / 2 if centred else 0)) / length * (SIDE - 1)
    np.testing.assert_allclose(found.numpy().reshape(len(x), -1), expected, rtol=1e-7)


def predictions_of(**settings):
    inputs, landmarks = shapes(images=12)
    return fit(ridge_head(**settings), inputs, landmarks).predict(inputs)


def same(first, second):
    return torch.allclose(first, second, rtol=1e-9, atol=1e-9)


def test_without_a_penalty_the_unit_does_not_matter_and_the_origin_does_unless_there_is_a_bias():
    plain = predictions_of(alpha=0.0)
    assert same(plain, predictions_of(alpha=0.0, unit="unit"))
    assert not same(plain, predictions_of(alpha=0.0, origin="centre"))
    assert not same(plain, predictions_of(alpha=0.0, bias=True))
    assert same(predictions_of(alpha=0.0, bias=True), predictions_of(alpha=0.0, bias=True, origin="centre"))


def test_with_a_penalty_the_unit_matters_and_the_origin_does_unless_there_is_a_bias():
    penalised = predictions_of(alpha=0.1)
    assert not same(penalised, predictions_of(alpha=0.1, unit="unit"))
    assert not same(penalised, predictions_of(alpha=0.1, origin="centre"))
    biased = predictions_of(alpha=0.1, bias=True)
    assert same(biased, predictions_of(alpha=0.1, bias=True, origin="centre"))
    assert not same(biased, predictions_of(alpha=0.1, bias=True, unit="unit"))


def test_least_squares_takes_the_smallest_solution_where_there_are_fewer_images_than_unknowns():
    inputs, landmarks = shapes(images=10)
    few = Subset(3, 0, torch.tensor([2, 5, 8]))
    fitted = fit(ols_head(unit="unit"), inputs, landmarks, [few])
    expected = np.linalg.pinv(in_unit(inputs.landmarks()[few.indices], 1, False)) @ in_unit(
        landmarks[few.indices], 1, False
    )
    np.testing.assert_allclose(fitted.state()["weight"][0].numpy(), expected, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(fitted.predict(inputs)[0, few.indices], landmarks[few.indices])


@pytest.mark.parametrize("make", [ols_head, lambda: ridge_head(alpha=0.1, bias=True)], ids=["ols", "ridge"])
def test_an_invisible_landmark_is_left_out_of_its_own_equation_alone(make):
    inputs, landmarks = shapes()
    visible = torch.rand(landmarks.shape[:2], generator=seeded(3)) < 0.7
    together = fit(make(), inputs, torch.where(visible[..., None], landmarks, math.nan), visible=visible).predict(
        inputs
    )[0]
    for point in range(POINTS):
        rows = Subset("all", 0, visible[:, point].nonzero()[:, 0])
        alone = fit(make(), inputs, landmarks[:, point : point + 1], [rows]).predict(inputs)[0]
        torch.testing.assert_close(together[:, point], alone[:, 0])


def test_a_landmark_that_no_annotation_shows_is_an_error():
    inputs, landmarks = shapes()
    visible = all_seen(landmarks)
    visible[:, 1] = False
    with pytest.raises(UsageError, match="at least one visible annotation"):
        fit(ridge_head(), inputs, landmarks, visible=visible)


def test_the_mean_shape_is_the_mean_of_what_is_seen():
    points = torch.tensor([[[0.0, 2], [9, 9]], [[4, 6], [1, 1]], [[8, 8], [5, 3]]])
    visible = torch.tensor([[True, False], [True, False], [False, False]])
    # the second landmark is seen nowhere: then all annotations count
    torch.testing.assert_close(mean_shape(points, visible), torch.tensor([[2.0, 4], [5, 13 / 3]]))


def test_each_subset_has_its_own_mean_shape():
    inputs, landmarks = bumps(10, 0)
    subsets = [Subset(2, 0, torch.tensor([0, 3])), Subset("all", 0, torch.arange(10))]
    found = fit(mean_shape_head(), inputs, landmarks, subsets).predict(inputs)
    torch.testing.assert_close(found[0], landmarks[[0, 3]].mean(0).expand(10, -1, -1))
    torch.testing.assert_close(found[1], landmarks.mean(0).expand(10, -1, -1))


def test_every_head_states_its_protocol():
    assert ridge_head(alpha=0.5, bias=True, origin="centre", unit="pm1").description() == {
        "alpha": 0.5, "bias": True, "origin": "centre", "unit": "pm1", "loss": "sum of squares",
    }  # fmt: skip
    for name, make in HEADS.items():
        stated = make().description()
        assert {"points_per_landmark", "multiplier", "bias", "units", "batch_size"} <= set(stated), name
