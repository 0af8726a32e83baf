"""FeatureMaps against brute force on the upsampled, concatenated and normalised tensor; what FREEZE guarantees."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from lmbench.features import Extractor, FeatureMaps, upsampling_matrix

MODES = ["none", "layer", "global"]
sides = st.integers(1, 7)
many = settings(max_examples=40, deadline=None)


@st.composite
def feature_maps(draw, normalise):
    """FeatureMaps of random shapes, float64, 1 x N maps among them, read on a grid that may also be smaller."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31 - 1)))
    batch = draw(st.integers(1, 3))
    shapes = draw(st.lists(st.tuples(st.integers(1, 5), sides, sides), min_size=1, max_size=4))
    maps = tuple(torch.randn(batch, *shape, generator=generator, dtype=torch.float64) for shape in shapes)
    size = (draw(st.integers(1, 11)), draw(st.integers(1, 11)))
    return FeatureMaps(maps, size, normalise), generator


def brute_force(maps, mode):
    """((B, dim, H, W), how sure each cell is): everything written out; a cell whose neighbours cancel is not judged."""
    full = [functional.interpolate(m, size=maps.size, mode="bilinear", align_corners=False) for m in maps.maps]
    around = [
        functional.interpolate(m.square().sum(1, keepdim=True), size=maps.size, mode="bilinear", align_corners=False)
        for m in maps.maps
    ]
    blocks = full if mode == "layer" else [torch.cat(full, 1)]
    sizes = around if mode == "layer" else [sum(around)]
    sure = torch.ones(len(maps), *maps.size, dtype=torch.bool)
    normalised = []
    for block, size in zip(blocks, sizes, strict=True):
        norm = block.square().sum(1, keepdim=True).sqrt()
        sure &= (norm >= 1e-2 * size.sqrt())[:, 0]
        normalised.append(block if mode == "none" else block / norm)
    return torch.cat(normalised, 1), sure | torch.tensor(mode == "none")


def assert_same_where_sure(found, expected, sure):
    sure = sure[:, None].expand_as(found)
    torch.testing.assert_close(found[sure], expected[sure], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("mode", MODES)
@many
@given(data=st.data(), filters=st.integers(1, 4))
def test_filters_respond_as_on_the_full_tensor(mode, data, filters):
    maps, generator = data.draw(feature_maps(mode))
    weight = torch.randn(filters, maps.dim, generator=generator, dtype=torch.float64)
    bias = torch.randn(filters, generator=generator, dtype=torch.float64)
    full, sure = brute_force(maps, mode)
    expected = torch.einsum("kc,bchw->bkhw", weight, full)
    assert_same_where_sure(maps.project(weight), expected, sure)
    assert_same_where_sure(maps.project(weight, bias), expected + bias[:, None, None], sure)


@pytest.mark.parametrize("mode", MODES)
@many
@given(data=st.data(), filters=st.integers(1, 4))
def test_each_image_may_have_its_own_filters(mode, data, filters):
    maps, generator = data.draw(feature_maps(mode))
    weight = torch.randn(len(maps), filters, maps.dim, generator=generator, dtype=torch.float64)
    full, sure = brute_force(maps, mode)
    assert_same_where_sure(maps.project(weight), torch.einsum("bkc,bchw->bkhw", weight, full), sure)


@pytest.mark.parametrize("mode", MODES)
@many
@given(data=st.data(), filters=st.integers(1, 4))
def test_pooling_is_the_transpose_of_projecting(mode, data, filters):
    maps, generator = data.draw(feature_maps(mode))
    weights = torch.randn(len(maps), filters, *maps.size, generator=generator, dtype=torch.float64)
    full, sure = brute_force(maps, mode)
    weights = weights * sure[:, None]
    expected = torch.einsum("bkhw,bchw->bkc", weights, full)
    torch.testing.assert_close(maps.pool(weights), expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("mode", MODES)
@many
@given(data=st.data())
def test_the_materialised_tensor_is_the_written_out_one(mode, data):
    maps, _ = data.draw(feature_maps(mode))
    full, sure = brute_force(maps, mode)
    assert_same_where_sure(maps.materialise(), full, sure)


@pytest.mark.parametrize("mode", MODES)
@many
@given(data=st.data(), points=st.integers(1, 5))
def test_sampled_descriptors_are_columns_of_the_full_tensor_clipped_to_the_grid(mode, data, points):
    maps, generator = data.draw(feature_maps(mode))
    height, width = maps.size
    cells = torch.randint(-3, 14, (len(maps), points, 2), generator=generator)
    full, sure = brute_force(maps, mode)
    found = maps.sample(cells)
    for image in range(len(maps)):
        for point, (x, y) in enumerate(cells[image].tolist()):
            x, y = min(max(x, 0), width - 1), min(max(y, 0), height - 1)
            if sure[image, y, x]:
                torch.testing.assert_close(found[image, point], full[image, :, y, x], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("mode", MODES)
@many
@given(data=st.data())
def test_similarity_is_the_dot_product_of_a_query_with_every_cell(mode, data):
    maps, generator = data.draw(feature_maps(mode))
    queries = torch.randn(len(maps), 3, maps.dim, generator=generator, dtype=torch.float64)
    full, sure = brute_force(maps, mode)
    assert_same_where_sure(maps.similarity(queries), torch.einsum("bpc,bchw->bphw", queries, full), sure)


@pytest.mark.parametrize(("mode", "largest"), [("global", lambda maps: 1), ("layer", lambda maps: len(maps.maps))])
@many
@given(data=st.data())
def test_a_normalised_descriptor_is_most_similar_to_its_own_cell(mode, largest, data):
    maps, _ = data.draw(feature_maps(mode))
    height, width = maps.size
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    cells = torch.stack((x, y), -1).reshape(1, -1, 2).expand(len(maps), -1, -1)
    _, sure = brute_force(maps, mode)
    own = maps.similarity(maps.sample(cells)).flatten(2).diagonal(dim1=1, dim2=2)
    torch.testing.assert_close(own[sure.flatten(1)], torch.full_like(own, largest(maps))[sure.flatten(1)])


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_gradients_reach_filters_and_maps_as_through_the_full_tensor(mode, data):
    maps, generator = data.draw(feature_maps(mode))
    for m in maps.maps:
        m.requires_grad_(True)
    weight = torch.randn(2, maps.dim, generator=generator, dtype=torch.float64, requires_grad=True)
    full, sure = brute_force(maps, mode)
    toward = torch.randn(len(maps), 2, *maps.size, generator=generator, dtype=torch.float64) * sure[:, None]
    wanted = torch.autograd.grad((torch.einsum("kc,bchw->bkhw", weight, full) * toward).sum(), [weight, *maps.maps])
    found = torch.autograd.grad((maps.project(weight) * toward).sum(), [weight, *maps.maps])
    for f, w in zip(found, wanted, strict=True):
        if w.isfinite().all():  # the square root of a vanishing norm has no derivative, written out either
            torch.testing.assert_close(f, w, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("mode", ["layer", "global"])
@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**31 - 1), width=st.integers(1, 6), size=st.integers(1, 9))
def test_where_neighbours_cancel_a_normalised_response_stays_bounded(mode, seed, width, size):
    values = torch.randint(-1, 2, (2, 1, 1, width), generator=torch.Generator().manual_seed(seed)).float()
    nearly = values * (1 + 1e-6 * torch.randn(values.shape, generator=torch.Generator().manual_seed(seed)))
    response = FeatureMaps((nearly,), (2, size), mode).project(torch.ones(1, 1))
    assert response.isfinite().all()
    assert response.abs().max() <= 1.01


def test_the_middle_of_opposite_vectors_has_no_direction():
    maps = FeatureMaps((torch.tensor([[[[1.0, -1.0]]]]),), (1, 3), "global")
    torch.testing.assert_close(maps.project(torch.ones(1, 1)), torch.tensor([[[[1.0, 0.0, -1.0]]]]))


@many
@given(source=st.integers(1, 40), target=st.integers(1, 60))
def test_the_upsampling_matrix_is_bilinear_interpolation(source, target):
    signal = torch.eye(source, dtype=torch.float64)[:, None, None]
    expected = functional.interpolate(signal, size=(1, target), mode="bilinear", align_corners=False)[:, 0, 0].T
    found = upsampling_matrix(source, target, torch.float64, torch.device("cpu"))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(found.sum(1), torch.ones(target, dtype=torch.float64))


def test_maps_are_read_on_another_grid_without_being_touched():
    maps = FeatureMaps((torch.rand(2, 3, 4, 5), torch.rand(2, 1, 2, 2)), (4, 5))
    other = maps.read(7, "global")
    assert (other.size, other.normalise, other.channels, other.dim, len(other)) == ((7, 7), "global", (3, 1), 4, 2)
    assert all(a is b for a, b in zip(maps.maps, other.maps, strict=True))
    with pytest.raises(ValueError, match="at least one map"):
        FeatureMaps((), (4, 4))


def test_coarse_maps_are_averages_read_on_as_coarse_a_grid():
    deep, shallow = torch.rand(2, 3, 3, 3), torch.rand(2, 1, 8, 12)
    coarse = FeatureMaps((deep, shallow), (48, 3), "layer").coarse(4)
    assert (coarse.size, coarse.normalise) == ((4, 3), "layer")
    torch.testing.assert_close(coarse.maps[0], deep)
    torch.testing.assert_close(coarse.maps[1], shallow.unflatten(2, (4, 2)).unflatten(4, (4, 3)).mean((3, 5)))


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.Dropout())
        self.second = nn.Conv2d(4, 6, 3, 2, 1)

    def forward(self, images):
        shallow = self.first(images)
        return {"shallow": shallow, "deep": self.second(shallow)}


def test_an_extractor_gives_the_named_maps_in_the_order_asked_for():
    images = torch.rand(2, 3, 16, 24)
    maps = Extractor(Network(), ("deep", "shallow"), size=(5, 9)).maps(images)
    assert [tuple(m.shape) for m in maps.maps] == [(2, 6, 4, 6), (2, 4, 8, 12)]
    assert maps.size == (5, 9)


def test_what_is_frozen_stays_in_eval_mode_and_keeps_its_statistics():
    extractor = Extractor(Network(), ("deep",))
    holder = nn.Sequential(extractor).train()
    assert holder.training and not any(m.training for m in extractor.modules())
    images = torch.rand(4, 3, 16, 16)
    before = {k: v.clone() for k, v in extractor.state_dict().items()}
    first, again = extractor.train().maps(images).maps[0], extractor.maps(images).maps[0]
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    for name, value in extractor.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_nothing_behind_freeze_gets_a_gradient():
    extractor = Extractor(Network(), ("deep", "shallow"))
    images = torch.rand(2, 3, 16, 16, requires_grad=True)
    assert not any(m.requires_grad for m in extractor.maps(images).maps)


def test_discovered_landmarks_are_handed_on_where_a_network_has_them():
    network = Network()
    assert not Extractor(network, ("deep",)).discovers_landmarks
    network.landmarks = lambda images: torch.zeros(len(images), 7, 2)
    extractor = Extractor(network, ("deep",))
    assert extractor.discovers_landmarks
    assert extractor.landmarks(torch.rand(2, 3, 16, 16)).shape == (2, 7, 2)
