"""Matching: which images make a pair, how pixels become cells, and what a perfect descriptor scores."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from lmbench.data.pixels import PixelStore
from lmbench.errors import UsageError
from lmbench.features import Extractor, FeatureMaps
from lmbench.metrics.readings import READINGS, Reading
from lmbench.metrics.scoring import matching_error
from lmbench.tasks.matching import choose_pairs, match_pairs
from lmbench.tasks.settings import MatchingSettings

CPU = torch.device("cpu")


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def test_images_2k_and_2k_plus_1_are_paired_where_identities_are_unknown():
    sources, partners = choose_pairs(np.full(7, -1), 10)
    assert sources.tolist() == [0, 2, 4]
    assert partners.tolist() == [1, 3, 5]
    assert [a.tolist() for a in choose_pairs(np.full(7, -1), 2)] == [[0, 2], [1, 3]]


def test_a_partner_is_the_next_image_of_somebody_else():
    sources, partners = choose_pairs(np.array([5, 5, 5, 6, 6, 7]), 10)
    assert sources.tolist() == [0, 2, 4]
    assert partners.tolist() == [3, 3, 5]


@given(st.lists(st.integers(0, 3), min_size=2, max_size=20), st.integers(1, 12))
def test_partners_are_never_of_the_same_identity_and_sources_never_twice(identities, pairs):
    identity = np.array(identities)
    if len(set(identities)) == 1:
        with pytest.raises(UsageError, match="two test images of different identity"):
            choose_pairs(identity, pairs)
        return
    sources, partners = choose_pairs(identity, pairs)
    assert len(sources) <= pairs
    assert (np.diff(sources) > 0).all()
    assert (identity[sources] != identity[partners]).all()


def test_one_image_is_no_pair():
    with pytest.raises(UsageError, match="at least two test images"):
        choose_pairs(np.array([-1]), 3)


@pytest.mark.parametrize("name", READINGS)
def test_every_cell_is_the_nearest_to_its_own_pixel(name):
    reading = READINGS[name]
    cells = torch.arange(reading.cells)[:, None].expand(-1, 2)
    torch.testing.assert_close(reading.to_cells(reading.to_pixels(cells, 96), 96), cells)


def test_the_two_readings_place_cells_where_their_references_do():
    last = torch.tensor([[95.0, 95.0]])
    assert READINGS["cl"].to_pixels(torch.tensor([[95, 95]]), 96).tolist() == [[95.0, 95.0]]
    assert READINGS["dve"].to_pixels(torch.tensor([[47, 47]]), 96).tolist() == [[94.0, 94.0]]
    assert READINGS["dve"].to_cells(last, 96).tolist() == [[47, 47]]
    # NumPy rounds half to even: pixel 1 of stride 2 is cell 0, pixel 3 is cell 2
    assert READINGS["dve"].to_cells(torch.tensor([[1.0, 3.0], [-4.0, 500.0]]), 96).tolist() == [[0, 2], [0, 47]]


def matched(case, blocks, normalise, queries_of, pixels_of):
    """(P, 2, K, 2) matches of the golden case through FeatureMaps, in what ``pixels_of`` gives."""
    features = torch.as_tensor(case["in_feats"])
    height, width = features.shape[-2:]
    maps = [FeatureMaps(features[:, i].split(blocks, 1), (height, width), normalise) for i in range(features.shape[1])]
    source, *others = maps
    queries = source.sample(queries_of(torch.as_tensor(case["in_keypoints"])[:, 0], (width, height)))
    found = []
    for target in others:
        best = target.similarity(queries).flatten(2).argmax(-1)
        found.append(pixels_of(torch.stack((best % width, best // width), -1), (width, height)))
    return torch.stack(found, 1).numpy()


def each_axis(convert):
    """A conversion of (..., 2) made of one for each axis, for grids that are not square."""
    return lambda values, sizes: torch.cat([convert(values[..., i : i + 1], sizes[i]) for i in range(2)], -1)


@pytest.mark.golden
def test_the_positions_of_dve_come_out_of_feature_maps(golden):
    case = golden("matching_dve")
    stride = float(case["par_stride"])

    def reading(cells):
        return Reading(cells, "none", "stride")

    found = matched(
        case,
        [case["in_feats"].shape[2]],
        "none",
        each_axis(lambda p, n: reading(n).to_cells(p, stride * n)),
        each_axis(lambda c, n: reading(n).to_pixels(c, stride * n)),
    )
    np.testing.assert_allclose(found, case["out_match"], rtol=0, atol=1e-9)


@pytest.mark.golden
@pytest.mark.parametrize(
    ("normalise", "expected"),
    [("layer", "out_match"), ("none", "alt_match_without_normalisation"), ("global", "alt_match_global_normalisation")],
)
def test_the_positions_of_contrastlandmarks_come_out_of_feature_maps(golden, normalise, expected):
    case = golden("matching_cl")
    side = 131  # pixels; any, for the golden points are normalised

    def reading(cells):
        return Reading(cells, normalise, "corners")

    found = matched(
        case,
        case["par_spectral"].tolist(),
        normalise,
        each_axis(lambda p, n: reading(n).to_cells((p + 1) / 2 * (side - 1), side)),
        each_axis(lambda c, n: 2 * reading(n).to_pixels(c, side) / (side - 1) - 1),
    )
    np.testing.assert_allclose(found, case[expected], rtol=0, atol=1e-9)


class PerfectDescriptor(nn.Module):
    """Reads off each pixel's colour where it was in the source image, and encodes that as a direction."""

    def forward(self, images):
        angle = images[:, :2] * (torch.pi / 2)
        return {"place": torch.cat((angle.cos(), angle.sin()), 1)}


class BlindDescriptor(nn.Module):
    def forward(self, images):
        return {"place": torch.ones(len(images), 2, 8, 8)}


def images_that_say_where(count, side, landmarks=4, seed=0):
    """A store whose pixels hold their own coordinates as colour; landmarks lie in the middle part."""
    y, x = np.mgrid[:side, :side] * (255 / (side - 1))
    image = np.stack((x, y, np.full_like(x, 255)), -1).round().astype(np.uint8)
    points = np.random.default_rng(seed).uniform(0.35 * side, 0.65 * side, (1, landmarks, 2)).astype(np.float32)
    return PixelStore(
        np.repeat(image[None], count, 0),
        np.repeat(points, count, 0),
        np.ones((count, landmarks), bool),
        np.full(count, -1),
        np.array([f"image {i}" for i in range(count)]),
        key=hashlib.sha256(b"where").hexdigest(),
    )


def errors_of(network, reading="cl", points="exact", seed=0):
    extractor = Extractor(network, ("place",))
    settings = MatchingSettings(reading, 6, points)
    found = match_pairs(extractor, images_that_say_where(12, 136), 20, settings, seeded(seed), CPU)
    return [float(matching_error(p).aggregate[0]) for p in found]


@pytest.mark.parametrize(
    ("reading", "points", "most"), [("cl", "exact", 0.5), ("cl", "nearest", 0.8), ("dve", "exact", 1.2)]
)
def test_a_perfect_descriptor_finds_every_point(reading, points, most):
    same, different = errors_of(PerfectDescriptor(), reading, points)
    assert same < most
    assert different < most


def test_a_blind_descriptor_finds_none():
    same, different = errors_of(BlindDescriptor())
    assert min(same, different) > 20


def test_predictions_state_their_protocol_and_name_their_pairs():
    store = images_that_say_where(5, 136)
    same, different = match_pairs(
        Extractor(PerfectDescriptor(), ("place",)), store, 20, MatchingSettings(pairs=9), seeded(0), CPU
    )
    assert (same.subset, different.subset, same.image_size) == ("same", "different", 96)
    assert different.image_ids.tolist() == ["image 0 -> image 1", "image 2 -> image 3"]
    assert same.image_ids.tolist() == ["image 0 -> image 0", "image 2 -> image 2"]
    assert same.predicted.shape == (1, 2, 4, 2)
    assert {k: same.settings[k] for k in ("reading", "grid", "normalise", "pairs")} == {
        "reading": "cl", "grid": [96, 96], "normalise": "layer", "pairs": 2,
    }  # fmt: skip


def test_the_same_generator_seed_gives_the_same_matches_and_another_does_not():
    assert errors_of(PerfectDescriptor(), seed=3) == errors_of(PerfectDescriptor(), seed=3)
    assert errors_of(PerfectDescriptor(), seed=3) != errors_of(PerfectDescriptor(), seed=4)


def test_a_point_counts_only_where_both_images_show_it():
    store = images_that_say_where(4, 136)
    store.visible[0, 1] = store.visible[3, 2] = False
    _, different = match_pairs(
        Extractor(PerfectDescriptor(), ("place",)), store, 20, MatchingSettings(pairs=2), seeded(0), CPU
    )
    assert different.visible.tolist() == [[True, False, True, True], [True, True, False, True]]
