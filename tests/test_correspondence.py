"""Dense matching against a plain search."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lmbench.geometry.correspondence import find_matches_dense


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("reading", ["dve", "cl"])
@settings(max_examples=20, deadline=None)
@given(height=st.integers(3, 12), width=st.integers(3, 12), seed=st.integers(0, 2**31 - 1))
def test_matches_are_those_of_a_plain_search(reading, height, width, seed):
    source, target = torch.randn(2, 6, height, width, generator=seeded(seed), dtype=torch.float64)
    stride, blocks = 2.5, [1, 3, 2]
    last = np.array([width - 1, height - 1])
    places = 1.4 * np.random.default_rng(seed).random((4, 2)) * last - 1  # some outside
    keypoints = torch.as_tensor(2 * places / last - 1 if reading == "cl" else places * stride)
    chosen = {"stride": stride} if reading == "dve" else {"blocks": blocks}
    found = find_matches_dense(source, target, keypoints, reading, **chosen).numpy()

    def descriptor(maps, x, y):
        vector = maps[:, y, x].numpy()
        if reading == "dve":
            return vector
        parts = np.split(vector, np.cumsum(blocks)[:-1])
        return np.concatenate([part / np.linalg.norm(part) for part in parts])

    for match, keypoint in zip(found, keypoints.numpy(), strict=True):
        position = keypoint / stride if reading == "dve" else (keypoint + 1) / 2 * last
        query = descriptor(source, *np.clip(np.round(position), 0, last).astype(int))
        score = {(x, y): query @ descriptor(target, x, y) for y in range(height) for x in range(width)}
        best = np.array(max(score, key=score.get))
        np.testing.assert_allclose(match, best * stride if reading == "dve" else best / last * 2 - 1, atol=1e-12)


def test_an_image_matches_itself():
    maps = torch.randn(2, 16, 9, 12, generator=seeded(0))
    keypoints = torch.tensor([[[0.0, 0], [22, 16], [torch.nan, 4], [8, 6]]]).expand(2, -1, -1)
    found = find_matches_dense(maps, maps / maps.norm(dim=1, keepdim=True), keypoints, stride=2)
    torch.testing.assert_close(found[:, [0, 1, 3]], keypoints[:, [0, 1, 3]].double())
    assert found[:, 2].isnan().all()


def test_the_constants_of_the_other_reading_are_refused():
    maps, keypoints = torch.rand(2, 4, 4), torch.zeros(1, 2)
    for wrong in (
        {"reading": "dve"},
        {"reading": "cl", "stride": 2},
        {"reading": "dve", "stride": 2, "blocks": [2]},
    ):
        with pytest.raises(ValueError, match="needs a stride"):
            find_matches_dense(maps, maps, keypoints, **wrong)
    with pytest.raises(ValueError, match="add up to 3 channels, the features have 2"):
        find_matches_dense(maps, maps, keypoints, "cl", blocks=[1, 2])
