"""Intervals over images, draws and seeds: they hold where the truth is known, and are those of brute force and of textbooks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from lmbench.results.resampling import Estimate, difference, estimate

EFFECTS = {
    "seeds as much as images": {"images": 1.0, "seeds": 1.0, "draws": 1.0, "both": 1.0},
    "seeds most": {"images": 1.0, "seeds": 5.0, "draws": 3.0, "both": 1.0},
    "draws most": {"images": 1.0, "seeds": 0.3, "draws": 5.0, "both": 0.5},
    "what seeds and images do together": {"images": 0.3, "seeds": 0.3, "draws": 0.3, "both": 2.0},
}
"""Standard deviations, those of seeds and draws in standard errors of the images."""
TRIALS, IMAGES = 1000, 40  # of 1,000 trials a share of 95 % is known to 1.4, one of 98 % to 0.9


def made(rng, seeds, draws, images, effects, alike=None):
    """Values of a true mean of 0, by seed: (draws, images). ``alike``: what two methods have in common."""
    error = effects["images"] / np.sqrt(images)
    own, shared = rng.normal(0, effects["images"], images), alike or {}
    return {
        seed: own
        + shared.get("images", 0)
        + rng.normal(0, effects["seeds"] * error)
        + rng.normal(0, effects["draws"] * error, (draws, 1))
        + rng.normal(0, effects["both"], images)
        + rng.normal(0, effects["both"], (draws, images))
        for seed in range(seeds)
    }


def covered(samples):
    """The share of estimates whose interval holds the true 0, in percent."""
    return 100 * np.mean([e.low <= 0 <= e.high for e in samples])


@pytest.mark.parametrize("effects", EFFECTS.values(), ids=EFFECTS)
@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_the_interval_over_seeds_covers_the_truth_as_often_as_it_says(seeds, effects):
    rng = np.random.default_rng(seeds)
    found = covered(estimate(made(rng, seeds, 3, IMAGES, effects)) for _ in range(TRIALS))
    assert (
        93.5 <= found <= (99.2 if seeds == 2 else 98.7)
    )  # of two seeds one difference is known: it errs to the wide side


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_a_plain_bootstrap_of_images_does_not(seeds):
    """What intervals were made of before: the simulation can tell."""
    rng, low = np.random.default_rng(seeds), []
    for _ in range(TRIALS):
        means = np.mean([v.mean(0) for v in made(rng, seeds, 3, IMAGES, EFFECTS["seeds most"]).values()], 0)
        low.append(abs(means.mean()) < 1.96 * means.std() / np.sqrt(IMAGES))
    assert np.mean(low) < 0.75


@pytest.mark.parametrize("draws", [2, 3, 10])
def test_the_interval_of_one_seed_covers_its_own_truth_over_images_and_draws(draws):
    rng = np.random.default_rng(draws)
    effects = {"images": 1.0, "seeds": 0.0, "draws": 2.0, "both": 0.5}
    found = covered(estimate(made(rng, 1, draws, IMAGES, effects), few_shot=True) for _ in range(TRIALS))
    assert 93.5 <= found <= (99.2 if draws == 2 else 98.7)


@pytest.mark.parametrize(
    "other", [range(3), range(3, 6), range(2, 7)], ids=["the same seeds", "others", "other in number"]
)
def test_the_interval_of_a_difference_covers_the_truth(other):
    rng = np.random.default_rng(7)
    found = []
    for _ in range(TRIALS):
        shared = {"images": rng.normal(0, 3, IMAGES)}
        a = made(rng, 3, 2, IMAGES, EFFECTS["seeds as much as images"], shared)
        b = made(rng, len(other), 2, IMAGES, EFFECTS["seeds as much as images"], shared)
        found.append(difference(a, dict(zip(other, b.values(), strict=True))))
    assert 93.5 <= covered(found) <= 98.7
    assert covered(found) == 100 * np.mean([e.p > 0.05 for e in found])
    assert (
        np.mean([e.high - e.low for e in found]) < 6
    )  # the images that both share would make it wider than that alone


def test_one_seed_without_draws_is_the_t_test_of_its_images():
    values = np.random.default_rng(0).normal(3, 2, (1, 30))
    found, tested = estimate({0: values}), stats.ttest_1samp(values[0], 0)
    np.testing.assert_allclose((found.low, found.high), tested.confidence_interval(0.95))
    assert found.p == pytest.approx(tested.pvalue, rel=1e-6)
    assert (found.seeds, found.spread, found.draws, found.images) == (1, None, 1, 30)


def test_seeds_that_alone_vary_are_the_t_test_of_their_means():
    means = [2.0, 3.0, 7.0]
    found, tested = estimate({s: np.full((4, 20), m) for s, m in enumerate(means)}), stats.ttest_1samp(means, 0)
    np.testing.assert_allclose((found.low, found.high), tested.confidence_interval(0.95))
    assert found.p == pytest.approx(tested.pvalue, rel=1e-6)
    assert found.spread == pytest.approx(np.std(means, ddof=1))


def test_sides_of_other_seeds_that_alone_vary_are_the_t_test_of_welch():
    means = {0: 2.0, 1: 3.0, 2: 7.0}, {3: 1.0, 4: 1.5}
    a, b = ({seed: np.full((1, 20), mean) for seed, mean in side.items()} for side in means)
    found, tested = difference(a, b), stats.ttest_ind(*(list(side.values()) for side in means), equal_var=False)
    np.testing.assert_allclose((found.low, found.high), tested.confidence_interval(0.95))
    assert found.p == pytest.approx(tested.pvalue, rel=1e-6) and found.spread is None


def test_many_seeds_and_images_give_what_brute_force_gives():
    """Seeds, draws and images drawn anew, each at its level, 3,000 times; what they do together, counted twice then, is small."""
    rng = np.random.default_rng(1)
    effects = {"images": 1.0, "seeds": 1.0, "draws": 2.0, "both": 0.1}
    table = np.stack(list(made(rng, 40, 5, 60, effects).values()))
    drawn = []
    for _ in range(3000):
        seeds, images = rng.integers(0, 40, 40), rng.integers(0, 60, 60)
        draws = rng.integers(0, 5, (40, 5))
        drawn.append(table[seeds[:, None], draws][:, :, images].mean())
    low, high = np.quantile(drawn, (0.025, 0.975))
    found = estimate(dict(enumerate(table)))
    assert found.value == pytest.approx(table.mean())
    assert found.high - found.low == pytest.approx(high - low, rel=0.06)


def test_pairs_of_one_seed_take_out_what_seeds_draws_and_images_do_to_both():
    rng = np.random.default_rng(2)
    a = made(rng, 3, 4, IMAGES, EFFECTS["seeds most"])
    b = {seed: values + 0.5 + rng.normal(0, 0.01, values.shape) for seed, values in a.items()}
    paired = difference(a, b)
    assert paired.high < -0.4 and paired.p < 0.001
    unpaired = difference(a, {seed + 10: values for seed, values in b.items()})
    assert unpaired.low < 0 < unpaired.high


@pytest.mark.parametrize(
    ("by_seed", "few_shot"),
    [
        ({0: np.ones((1, 1))}, False),
        ({0: np.ones((1, 9)), 1: np.ones((1, 9))}, None),
        ({0: np.arange(9.0)[None]}, True),
    ],
    ids=["one image", "", "one draw of one seed"],
)
def test_nothing_that_can_be_drawn_anew_gives_no_interval(by_seed, few_shot):
    found = estimate(by_seed, bool(few_shot))
    if few_shot is None:
        assert (found.low, found.high) == (1.0, 1.0)  # two seeds and many images that agree do say something
    else:
        assert (found.low, found.high, found.p) == (None, None, None)


def test_seeds_on_other_images_are_refused():
    with pytest.raises(ValueError, match="expected"):
        estimate({0: np.ones((1, 4)), 1: np.ones((1, 5))})
    with pytest.raises(ValueError, match="images are paired"):
        difference({0: np.ones((1, 4))}, {1: np.ones((1, 5))})
    with pytest.raises(ValueError, match="expected"):
        estimate({})


def test_no_difference_at_all_is_certain():
    same = {0: np.arange(6.0).reshape(2, 3)}
    assert difference(same, same) == Estimate(0.0, 0.0, 0.0, 1.0, 1, None, 2, 3)
