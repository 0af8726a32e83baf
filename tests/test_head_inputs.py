"""What heads are fitted on: warped copies of annotated images behind the images themselves."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lmbench.data.pixels import PixelStore
from lmbench.features import FeatureMaps
from lmbench.geometry.strength import SINGLE, TPSStrength
from lmbench.heads.base import Subset, TensorInputs
from lmbench.tasks.inputs import JoinedInputs, warped_store, with_copies


def dotted(count: int, side: int, seed: int = 0) -> PixelStore:
    """Dark images with one bright blob each, at its only landmark."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(side * 0.35, side * 0.65, (count, 1, 2)).astype(np.float32)
    y, x = np.mgrid[:side, :side]
    blobs = [255 * np.exp(-((x - p[0, 0]) ** 2 + (y - p[0, 1]) ** 2) / 8) for p in points]
    images = np.repeat(np.stack(blobs)[..., None], 3, -1).astype(np.uint8)
    ids = np.arange(count)
    return PixelStore(images, points, np.ones((count, 1), bool), ids, ids.astype(str), key="")


def test_copies_are_counted_on_behind_the_images():
    subsets = [Subset(2, 0, torch.tensor([7, 3])), Subset(2, 1, torch.tensor([3, 5]))]
    originals, larger = with_copies(subsets, images=10, copies=3)
    assert originals.tolist() == [3, 5, 7]
    assert larger[0].indices.tolist() == [7, 3, 16, 17, 18, 10, 11, 12]
    assert larger[1].indices.tolist() == [3, 5, 10, 11, 12, 13, 14, 15]
    assert [s.n for s in larger] == [2, 2]


def test_a_copy_is_warped_with_its_landmarks(tmp_path):
    whole, crop = dotted(3, 48), 6
    store = warped_store(whole, crop, torch.tensor([0, 2]), 4, tmp_path, torch.Generator().manual_seed(0))
    assert store.size == 36 and len(store) == 8
    assert store.source_ids.tolist() == ["0"] * 4 + ["2"] * 4
    for image, (point,) in zip(store.images, store.landmarks, strict=True):
        weight = image[..., 0].astype(float)
        y, x = np.mgrid[:36, :36]
        centre = [(weight * x).sum() / weight.sum(), (weight * y).sum() / weight.sum()]
        assert centre == pytest.approx(point.tolist(), abs=0.6)
    assert len(np.unique(store.landmarks[:4, 0, 0])) == 4


def test_copies_are_warped_as_strongly_as_asked(tmp_path):
    whole, originals = dotted(4, 48), torch.arange(4)
    moved = {}
    for name, strength in {
        "DVE's": SINGLE,
        "still": TPSStrength(0, 0, 0, 0, 0),
        "shifted": TPSStrength(0, 0, 0.2, 0, 0),
    }.items():
        store = warped_store(whole, 0, originals, 20, tmp_path / name, torch.Generator().manual_seed(0), strength)
        moved[name] = np.abs(store.landmarks - whole.landmarks.repeat(20, 0)).mean()
    assert moved["still"] < 1e-3
    assert moved["shifted"] == pytest.approx(0.2 * 47 / 2 * np.sqrt(2 / np.pi), rel=0.15)  # mean |N(0, sd)| in pixels
    assert moved["still"] < moved["DVE's"] < moved["shifted"] / 2


def test_joined_inputs_read_as_one_concatenated_store():
    generator = torch.Generator().manual_seed(0)
    maps = [tuple(torch.rand(n, c, s, s, generator=generator) for c, s in ((4, 2), (3, 5))) for n in (6, 4)]
    parts = [TensorInputs(20, FeatureMaps(m, (5, 5))) for m in maps]
    joined = JoinedInputs(*parts)
    both = TensorInputs(20, FeatureMaps(tuple(torch.cat(pair) for pair in zip(*maps, strict=True)), (5, 5)))
    assert len(joined) == len(both)
    for indices in ([8, 1, 9, 0, 1], [2, 3], [9, 6]):
        chosen = torch.tensor(indices)
        for found, expected in zip(joined.batch(chosen).maps, both.batch(chosen).maps, strict=True):
            assert torch.equal(found, expected)
    for found, expected in zip(joined.statistics(), parts[0].statistics(), strict=True):
        assert torch.equal(found, expected)
