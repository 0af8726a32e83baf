"""Part discovery: planted parts are found again, drawn in one colour each, and a run of pictures gives no number."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from lmbench.cli.main import run_cli
from lmbench.config.resolving import resolve_run
from lmbench.data.pixels import PixelStore
from lmbench.errors import DataError, UsageError
from lmbench.plugins.loading import get_plugins
from lmbench.report.parts import OPACITY, draw_parts, part_colours
from lmbench.report.pictures import ZOOM
from lmbench.tasks import parts

SIZE = (6, 8)


def planted(directions, images=5, seed=0):
    """(features (N * H * W, dim), part of each cell (N, H, W)): a random part and strength a cell."""
    rng = np.random.default_rng(seed)
    directions = np.asarray(directions, float)
    labels = rng.integers(len(directions), size=(images, *SIZE))
    strength = rng.uniform(0.5, 2, (images, *SIZE, 1))
    noise = rng.normal(0, 0.01, (images, *SIZE, directions.shape[1]))
    features = directions[labels] * strength + np.abs(noise)
    return torch.tensor(features.reshape(-1, directions.shape[1]), dtype=torch.float32), labels


def agrees(found, labels):
    """Whether every part found is one planted part and every planted part one found."""
    pairs = set(zip(found.argmax(1).flatten().tolist(), labels.flatten().tolist(), strict=True))
    return len(pairs) == len(np.unique(labels)) == found.shape[1]


@pytest.mark.parametrize("by", ["nmf", "kmeans"])
@pytest.mark.parametrize("directions", [np.eye(2), np.eye(3)[:, [0, 1, 2, 0, 1]], [[1, 1, 0, 0], [0, 0, 1, 1]]])
def test_features_in_obvious_parts_give_these_parts(by, directions):
    features, labels = planted(directions)
    if by == "kmeans":
        features = torch.nn.functional.normalize(features, dim=1)
    found = parts.find_parts(features, len(directions), by, SIZE, seed=1)
    assert found.shape == (5, len(directions), *SIZE)
    assert agrees(found, labels)
    assert float(found.min()) >= 0 and float(found.max()) == 1


def test_parts_that_differ_in_sign_alone_are_told_apart_by_nmf():
    features, labels = planted([[1.0, -1.0], [-1.0, 1.0]])
    assert agrees(parts.find_parts(features, 2, "nmf", SIZE, 0), labels)


def test_the_strength_of_a_factor_is_its_share_of_the_largest():
    strength = torch.rand(2 * 48, generator=torch.Generator().manual_seed(0)) + 0.1
    features = torch.stack([strength, 2 * strength, torch.zeros(96)], 1)
    features[0, 2] = 1.0  # the second part: one cell alone
    found = parts.find_parts(features, 2, "nmf", SIZE, 0)
    own = found.flatten(2).permute(1, 0, 2).flatten(1)
    part = int(own[:, 1:].sum(1).argmax())
    np.testing.assert_allclose(own[part, 1:], strength[1:] / strength[1:].max(), atol=0.02)


def test_the_same_seed_gives_the_same_parts():
    features, _ = planted(np.eye(3))
    for by in ("nmf", "kmeans"):
        assert torch.equal(*(parts.find_parts(features, 3, by, SIZE, 7) for _ in range(2)))


def test_cells_of_one_part_lie_beside_each_other_in_the_plane():
    features, labels = planted(np.eye(3))
    features = torch.nn.functional.normalize(features, dim=1)
    places = parts.embed(features, seed=0)
    assert places.shape == (len(features), 2)
    distance = np.linalg.norm(places[:, None] - places[None], axis=-1) + 1e9 * np.eye(len(places))
    nearest = labels.flatten()[distance.argmin(1)]
    assert (nearest == labels.flatten()).mean() > 0.99
    assert np.array_equal(places, parts.embed(features, seed=0))
    assert parts.embed(features[:4], seed=0).shape == (4, 2)  # fewer than the perplexity asks for


def test_what_cannot_be_divided_is_told():
    with pytest.raises(UsageError, match=r"4 cells .* 5 parts"):
        parts.find_parts(torch.rand(4, 2), 5, "kmeans", (2, 2), 0)
    with pytest.raises(DataError, match="NaN"):
        parts.find_parts(torch.full((4, 2), float("nan")), 2, "nmf", (2, 2), 0)
    strange = {"tasks": ("parts",), "parts": {"layer": "conv9"}}
    with pytest.raises(UsageError, match=r"no layer 'conv9'; it has conv5_x, conv4_x"):
        resolve_run(get_plugins(), "random", "synthfaces", overrides=[strange])
    with pytest.raises(UsageError, match="has no network"):
        resolve_run(get_plugins(), "mean_shape", "synthfaces", overrides=[{"tasks": ("parts",)}])


def test_a_part_has_one_colour_where_it_is(tmp_path):
    images = np.full((2, 8, 8, 3), 100, np.uint8)
    ids = np.array(["a", "b"])
    store = PixelStore(images, np.zeros((2, 0, 2)), np.zeros((2, 0), bool), np.array([-1, -1]), ids, "")
    strengths = torch.zeros(2, 3, 2, 2)
    strengths[0, 0, :, 0] = 1  # the left half of the first image
    strengths[0, 2, :, 1] = 1
    strengths[1, 2] = 0.5  # faint in all of the second; part 1 is nowhere
    draw_parts(store, [strengths], tmp_path / "parts.png")
    picture = np.asarray(Image.open(tmp_path / "parts.png"), float)
    side = 8 * ZOOM
    assert picture.shape == (2 * side, 2 * side, 3)
    assert (picture[:side] == 100).all()
    colours = part_colours(3)
    np.testing.assert_allclose(picture[-1, 0], 100 * (1 - OPACITY) + colours[0] * OPACITY, atol=0.5)
    np.testing.assert_allclose(picture[-1, side - 1], 100 * (1 - OPACITY) + colours[2] * OPACITY, atol=0.5)
    np.testing.assert_allclose(picture[-1, -1], 100 * (1 - OPACITY / 2) + colours[2] * OPACITY / 2, atol=0.5)


def test_a_run_of_pictures_has_no_number(tmp_path, capsys):
    arguments = [
        "run", "--method", "pixels", "--dataset", "synthfaces", "--preset", "smoke", "--tasks", "parts", "--json",
        "--set", "parts.images=4", "--set", "parts.k=3", "--set", "parts.points=100", "--runs", str(tmp_path), "--device", "cpu",
    ]  # fmt: skip
    assert run_cli(arguments) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["status"], record["metrics"], record["predictions"]) == ("ok", [], [])
    for name in ("parts-nmf.png", "parts-kmeans.png"):
        assert Image.open(tmp_path / record["run"] / name).size == (4 * 96 * ZOOM, 2 * 96 * ZOOM)
    assert (tmp_path / record["run"] / "parts-tsne.png").is_file()
    assert run_cli([a for a in arguments if a != "--json"]) == 0
    assert "no number: the pictures are beside the record" in capsys.readouterr().out
