"""Few-shot draws: nested in n, the same for one seed, and told when they cannot be made."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lmbench.errors import UsageError
from lmbench.heads.draws import draw_subsets

NUMBERS = st.lists(st.integers(1, 40), min_size=1, max_size=5, unique=True)


def by_draw(images: int, numbers: list[int], draws: int, seed: int) -> dict[tuple[int, int], list[int]]:
    return {(int(s.n), s.draw): s.indices.tolist() for s in draw_subsets(images, numbers, draws, seed)}


@settings(deadline=None, max_examples=60)
@given(images=st.integers(40, 200), numbers=NUMBERS, draws=st.integers(1, 5), seed=st.integers(0, 2**31))
def test_every_draw_has_n_different_images_and_smaller_ones_lie_in_larger_ones(
    images: int, numbers: list[int], draws: int, seed: int
) -> None:
    found = by_draw(images, numbers, draws, seed)
    assert set(found) == {(n, k) for n in numbers for k in range(draws)}
    for (n, k), indices in found.items():
        assert len(indices) == len(set(indices)) == n
        assert all(0 <= i < images for i in indices)
        for m in numbers:
            if m <= n:
                assert set(found[m, k]) <= set(indices)


@settings(deadline=None, max_examples=40)
@given(numbers=NUMBERS, draws=st.integers(1, 4), seed=st.integers(0, 2**31))
def test_a_draw_depends_on_the_seed_and_its_number_alone(numbers: list[int], draws: int, seed: int) -> None:
    torch.manual_seed(seed % 7)
    alone = by_draw(50, numbers[:1], draws, seed)
    together = by_draw(50, numbers, draws + 2, seed)
    assert all(together[key] == indices for key, indices in alone.items())


def test_another_seed_and_another_draw_choose_other_images() -> None:
    found = by_draw(1000, [10], 2, 0)
    assert found[10, 0] != found[10, 1]
    assert found != by_draw(1000, [10], 2, 1)


def test_the_images_of_a_draw_are_spread_over_the_split() -> None:
    chosen = [i for indices in by_draw(1000, [10], 100, 0).values() for i in indices]
    assert 450 < sum(chosen) / len(chosen) < 550


def test_all_is_one_subset_with_every_image_in_order() -> None:
    (subset,) = draw_subsets(7, ["all"], 10, 3)
    assert (subset.n, subset.draw, subset.indices.tolist()) == ("all", 0, list(range(7)))


def test_as_many_as_there_are_is_allowed() -> None:
    (subset,) = draw_subsets(7, [7], 1, 0)
    assert sorted(subset.indices.tolist()) == list(range(7))


@pytest.mark.parametrize("number", [0, -1, 8, 5000])
def test_a_number_that_cannot_be_drawn_is_refused_with_the_range(number: int) -> None:
    with pytest.raises(UsageError, match=rf"--annotations {number}: the training split has 7 images; ask for 1 to 7"):
        draw_subsets(7, [1, number], 2, 0)
