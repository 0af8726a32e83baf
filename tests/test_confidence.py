"""The confidence of a prediction: as often right on new images as it says."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made_heads import converged_head

from lmbench.features import FeatureMaps
from lmbench.heads.base import Subset, TensorInputs
from lmbench.heads.confidence import PER_LANDMARK, WITHIN, calibrated, looked_up

SIDE, CELLS = 64, 12


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def faint(images, seed):
    """(maps, landmarks) of a bump for each of two landmarks, which fades from image to image into the noise."""
    generator = seeded(seed)
    landmarks = torch.tensor([[22.0, 30.0], [42.0, 34.0]]) + 5 * torch.randn(images, 2, 2, generator=generator)
    y, x = torch.meshgrid(torch.linspace(0, SIDE - 1, CELLS), torch.linspace(0, SIDE - 1, CELLS), indexing="ij")
    squared = (x - landmarks[..., 0, None, None]) ** 2 + (y - landmarks[..., 1, None, None]) ** 2
    strength = torch.rand(images, 1, 1, 1, generator=generator)
    maps = 0.1 * torch.randn(images, 4, CELLS, CELLS, generator=generator)
    maps[:, :2] += strength * torch.exp(-squared / (2 * 6**2))
    return TensorInputs(SIDE, FeatureMaps((maps,), (CELLS, CELLS))), landmarks


@pytest.fixture(scope="module")
def heads():
    inputs, landmarks = faint(400, 0)
    subsets = [Subset(n, 0, torch.arange(n)) for n in (3, 10)] + [Subset("all", 0, torch.arange(400))]
    head = converged_head(strengths=(0.03, 0.01), cells=CELLS)
    return head.fit(inputs, landmarks, torch.ones(400, 2, dtype=torch.bool), subsets, seeded(0))


def test_it_is_right_as_often_as_it_says(heads):
    inputs, landmarks = faint(1000, 1)
    found, sure = (t[-1] for t in heads.predict_with_confidence(inputs))
    right = ((found - landmarks).norm(dim=-1) <= WITHIN * (SIDE - 1)).float()
    low, high = (torch.quantile(sure, q) for q in (0.25, 0.75))
    for some in (sure <= low, (sure > low) & (sure < high), sure >= high):
        assert abs(float(sure[some].mean() - right[some].mean())) < 0.08
    assert float(right[sure >= high].mean()) > 0.15 + float(right[sure <= low].mean())


def test_predictions_are_those_without_it(heads):
    inputs, _ = faint(20, 1)
    torch.testing.assert_close(heads.predict_with_confidence(inputs)[0], heads.predict(inputs), rtol=0, atol=0)


def test_where_nothing_was_held_out_there_is_none(heads):
    sure = heads.predict_with_confidence(faint(20, 1)[0])[1]
    assert sure[0].isnan().all()
    assert ((sure[1:] >= 0) & (sure[1:] <= 1)).all()


def test_heads_kept_without_it_predict_and_have_none(heads):
    state = {k: v for k, v in heads.state().items() if k not in ("calibration", "folds")}
    inputs, _ = faint(20, 1)
    found, sure = type(heads)(state).predict_with_confidence(inputs)
    torch.testing.assert_close(found, heads.predict(inputs))
    assert sure.isnan().all()


def test_a_landmark_of_few_predictions_has_the_curve_of_all():
    spread, right = (
        torch.rand(PER_LANDMARK, 2, generator=seeded(0)),
        torch.rand(PER_LANDMARK, 2, generator=seeded(1)) < 0.5,
    )
    seen = torch.ones(PER_LANDMARK, 2)
    seen[: PER_LANDMARK // 2, 1] = 0
    curves = calibrated(spread, right, seen)
    both = calibrated(spread[seen > 0][:, None], right[seen > 0][:, None], torch.ones(int(seen.sum()), 1))
    torch.testing.assert_close(curves[1], both[0])
    assert not torch.equal(curves[0], curves[1])


@given(st.lists(st.tuples(st.floats(0, 2), st.booleans()), min_size=1, max_size=80), st.integers(0, 99))
def test_more_spread_is_never_more_sure(given_, seed):
    spread = torch.tensor([[s] for s, _ in given_])
    right = torch.tensor([[r] for _, r in given_])
    curves = calibrated(spread, right, torch.ones_like(spread))
    asked = torch.rand(50, 1, generator=seeded(seed)).sort(0).values * 3
    sure = looked_up(curves, asked)
    assert (sure.diff(dim=0) <= 1e-6).all()
    assert ((sure >= 0) & (sure <= 1)).all()
