"""The correlation loss, the views, both networks and what they refuse."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from lmbench.api import Colours, Optimiser, TPSStrength, UsageError
from lmbench.config.resolving import resolve_run
from lmbench.plugins.loading import get_plugins
from lmbench_dve.correlation import BLOCK_PAIRS, BlockwiseCorrelation, blocks, dense_correlation_loss
from lmbench_dve.dve import DVE
from lmbench_dve.hourglass import Hourglass
from lmbench_dve.recipe import DENSE3D
from lmbench_dve.recipe import DVE as METHOD
from lmbench_dve.settings import PHOTOMETRIC, DVESettings, HourglassSettings, SmallNetSettings
from lmbench_dve.smallnet import SmallNet

COLOURLESS = Colours(jitter_p=0.0, grey_p=0.0)
STILL = TPSStrength(0.0, 0.0, 0.0, 0.0, 0.0)
TINY = HourglassSettings(dim=4, width=4, blocks=1)


def objective(**settings):
    return DVE(SmallNet(SmallNetSettings(dim=4)), None, DVESettings(**settings))


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def random_case(batch, channels, cells, image, seed=0):
    """(view A, view B, grid), float64: maps of ``cells`` (h, w) of images of (H, W); targets may lie outside."""
    generator = seeded(seed)
    maps = [torch.randn(batch, channels, *cells, generator=generator, dtype=torch.float64) for _ in range(2)]
    grid = 2.2 * torch.rand(batch, *image, 2, generator=generator, dtype=torch.float64) - 1.1
    return *maps, grid


def loop_loss(view_a, view_b, grid, exchange, factor, power, stride=1):
    """The loss as the formula reads, one pair of cells at a time; ``factor`` 0: raw descriptors."""
    batch, _, height, width = view_a.shape
    image = grid.shape[1:3]
    if factor:
        view_a, view_b = (factor * f / f.norm(dim=1, keepdim=True) for f in (view_a, view_b))
    total, count = view_a.new_zeros(()), 0
    for b in range(batch):
        other = view_a[(b + 1) % batch].flatten(1)
        for i in range(0, height, stride):
            for j in range(0, width, stride):
                descriptor = view_a[b, :, i, j]
                if exchange:
                    descriptor = other @ (descriptor @ other).softmax(0)
                probability = (descriptor @ view_b[b].flatten(1)).softmax(0).view(height, width)
                x, y = (
                    (grid[b, i * image[0] // height, j * image[1] // width] + 1)
                    / 2
                    * (grid.new_tensor([image[1] - 1, image[0] - 1]))
                )
                rows = torch.arange(height, dtype=grid.dtype)[:, None] * (image[0] / height)
                columns = torch.arange(width, dtype=grid.dtype) * (image[1] / width)
                total = total + (probability * ((x - columns) ** 2 + (y - rows) ** 2) ** (power / 2)).sum()
                count += 1
    return total / count


@pytest.mark.parametrize("exchange", [True, False])
@pytest.mark.parametrize("factor", [0.0, 20.0, 3.0])
@pytest.mark.parametrize(
    ("cells", "image", "power", "stride"),
    [((4, 6), (8, 12), 0.5, 1), ((5, 3), (20, 12), 1.0, 1), ((6, 4), (6, 4), 2.0, 1), ((5, 7), (10, 14), 0.5, 2)],
)
def test_loss_and_gradient_are_the_formulas_on_maps_of_any_shape(exchange, factor, cells, image, power, stride):
    found, expected = [], []
    for results, loss_of in ((found, "blocks"), (expected, "loops")):
        view_a, view_b, grid = random_case(3, 5, cells, image)
        view_a.requires_grad_(True), view_b.requires_grad_(True)
        if loss_of == "loops":
            loss = loop_loss(view_a, view_b, grid, exchange, factor, power, stride)
        else:
            settings = {"normalise": factor > 0, "factor": factor or 1.0, "power": power, "stride": stride}
            loss = dense_correlation_loss(view_a, view_b, grid, exchange=exchange, block_pairs=50, **settings)
        loss.backward()
        results += [loss.detach(), view_a.grad, view_b.grad]
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("auxiliary", [True, False])
def test_the_written_out_gradient_is_the_numerical_one(auxiliary):
    generator = seeded(3)
    queries, keys, other = (torch.randn(2, n, 3, generator=generator, dtype=torch.float64) for n in (4, 6, 5))
    targets = 5 * torch.rand(2, 4, 2, generator=generator, dtype=torch.float64)
    rows, columns = torch.arange(2.0, dtype=torch.float64), torch.arange(3.0, dtype=torch.float64)
    inputs = [t.requires_grad_(True) for t in (queries, keys, *([other] if auxiliary else []))]

    def loss(query, key, x=None):
        return 3 * BlockwiseCorrelation.apply(query, key, x, targets, rows, columns, 0.5, 7)

    assert torch.autograd.gradcheck(loss, inputs)


def test_blocks_change_nothing_but_the_order_of_sums():
    case = random_case(4, 6, (6, 6), (12, 12))
    losses = [float(dense_correlation_loss(*case, block_pairs=n)) for n in (1, 37, 36 * 36, 3 * 36 * 36, 10**9)]
    assert max(losses) - min(losses) < 1e-12
    assert list(blocks(5, 4, 10, 80)) == [(slice(i, i + 2), slice(0, 4)) for i in (0, 2, 4)]
    assert list(blocks(2, 5, 10, 20)) == [(slice(i, i + 1), slice(r, r + 2)) for i in (0, 1) for r in (0, 2, 4)]


def test_a_loss_without_gradients_is_the_same():
    case = random_case(3, 6, (5, 4), (10, 8))
    wanted = dense_correlation_loss(case[0].clone().requires_grad_(True), *case[1:])
    assert torch.equal(dense_correlation_loss(*case), wanted.detach())


@pytest.mark.parametrize("exchange", [True, False])
def test_descriptors_that_tell_every_place_and_agree_between_images_cost_nothing(exchange):
    places = torch.eye(12).reshape(12, 3, 4).expand(2, -1, -1, -1)
    y, x = torch.meshgrid(torch.linspace(-1, 1, 3), torch.linspace(-1, 1, 4), indexing="ij")
    identity = torch.stack((x, y), -1).expand(2, -1, -1, -1)
    assert float(dense_correlation_loss(places, places, identity, exchange=exchange)) < 1e-3
    shifted = places.roll(1, 3)  # what lies at (x, y) is found at x + 1
    loss = float(dense_correlation_loss(places[..., :3], shifted[..., 1:], identity[..., 1:, :], exchange=exchange))
    assert loss < 1.0


def test_only_exchange_punishes_descriptors_that_differ_between_images():
    # image 0 and image 1 have no descriptor in common
    own_code = torch.stack([torch.eye(8)[:, :4].reshape(8, 2, 2), torch.eye(8)[:, 4:].reshape(8, 2, 2)])
    y, x = torch.meshgrid(torch.linspace(-1, 1, 2), torch.linspace(-1, 1, 2), indexing="ij")
    identity = torch.stack((x, y), -1).expand(2, -1, -1, -1)
    assert float(dense_correlation_loss(own_code, own_code, identity, exchange=False)) < 1e-3
    assert float(dense_correlation_loss(own_code, own_code, identity, exchange=True)) > 0.5


def test_half_precision_is_computed_in_float32_and_autocast_does_not_touch_it():
    view_a, view_b, grid = (t.float() for t in random_case(2, 16, (6, 6), (12, 12)))
    half = view_a.bfloat16(), view_b.bfloat16()
    expected = dense_correlation_loss(half[0].float(), half[1].float(), grid)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = dense_correlation_loss(*half, grid)
    assert found.dtype == torch.float32 and torch.equal(found, expected)


def test_cells_that_do_not_divide_the_image_lie_between_its_pixels():
    places = torch.eye(49, dtype=torch.float64).reshape(1, 49, 7, 7)
    y, x = torch.meshgrid(*[torch.linspace(-1, 1, 16, dtype=torch.float64)] * 2, indexing="ij")
    identity = torch.stack((x, y), -1)[None]
    assert float(dense_correlation_loss(places, places, identity, exchange=False)) < 1e-6
    moved = identity + torch.tensor([2 * 4 / 15, 0.0])  # four pixels to the right
    assert float(dense_correlation_loss(places, places, moved, exchange=False)) == pytest.approx(2.0, abs=0.01)


def test_a_batch_of_one_has_nobody_to_exchange_with():
    view_a, view_b, grid = random_case(1, 4, (3, 3), (6, 6))
    with pytest.raises(UsageError, match=r"batch holds one image.*batch_size of at least 2.*exchange=False"):
        dense_correlation_loss(view_a, view_b, grid)
    assert torch.isfinite(dense_correlation_loss(view_a, view_b, grid, exchange=False))
    alone = objective()
    with pytest.raises(UsageError, match="batch holds one image"):
        alone.loss(alone.views(torch.rand(1, 3, 40, 40), seeded()))


def test_maps_and_grids_that_do_not_belong_together_are_refused():
    view_a, view_b, grid = random_case(2, 4, (3, 3), (6, 6))
    with pytest.raises(ValueError, match="a grid each"):
        dense_correlation_loss(view_a, view_b, grid[:1])
    with pytest.raises(ValueError, match="stride 0"):
        dense_correlation_loss(view_a, view_b, grid, stride=0)


def test_the_grid_of_the_views_is_the_correspondence_between_them():
    y, x = torch.meshgrid(torch.linspace(0, 1, 68), torch.linspace(0, 1, 68), indexing="ij")
    smooth = torch.stack((x, y, (x + y) / 2))[None].repeat(2, 1, 1, 1)
    view_a, view_b, grid = objective(view=COLOURLESS).views(smooth, seeded(1))
    assert view_a.shape == view_b.shape == (2, 3, 48, 48) and grid.shape == (2, 48, 48, 2)
    read = functional.grid_sample(view_b, grid, align_corners=True)
    inside = (grid.abs() < 0.95).all(-1)
    assert inside.float().mean() > 0.5
    error = (read - view_a).abs().amax(1)[inside]
    assert float(error.quantile(0.95)) < 0.01


def test_each_view_is_coloured_by_itself_and_stays_where_it_is():
    images = torch.rand(3, 3, 40, 40, generator=seeded())
    plain_a, plain_b, _ = objective(crop=0.0, warp=STILL, view=COLOURLESS).views(images, seeded(2))
    torch.testing.assert_close(plain_a, images, atol=1e-4, rtol=0)
    torch.testing.assert_close(plain_b, images, atol=1e-4, rtol=0)
    view_a, view_b, _ = objective(crop=0.0, warp=STILL, view=replace(PHOTOMETRIC, blur_p=0.0)).views(images, seeded(2))
    for view in (view_a, view_b):  # a change of colours leaves the order of places: the correlation of greys is high
        greys = torch.stack((view.mean(1).flatten(), images.mean(1).flatten()))
        assert float(torch.corrcoef(greys)[0, 1]) > 0.6
    assert float((view_a - view_b).abs().mean()) > 0.02


def test_networks_have_the_references_parameters():
    networks = SmallNet(SmallNetSettings()), SmallNet(SmallNetSettings(dim=3)), Hourglass(HourglassSettings())
    counts = [sum(p.numel() for p in network.parameters()) for network in networks]
    assert counts == [350_552, 334_875, 12_609_472]


def test_smallnet_reads_96_pixels_as_the_70_it_was_made_for():
    network, plain = (SmallNet(SmallNetSettings(dim=8, resize=side)).eval() for side in (70, 0))
    plain.load_state_dict(network.state_dict())
    images = torch.rand(1, 3, 96, 96, generator=seeded())
    with torch.no_grad():
        assert network(images)["dense"].shape == (1, 8, 35, 35)
        assert network(images[..., :48])["dense"].shape == (1, 8, 35, 17)
        view = images[..., :70, :70]
        assert torch.equal(network(view)["dense"], plain(view)["dense"])


def test_networks_refuse_what_they_cannot_read():
    with pytest.raises(UsageError, match=r"resize = 8: .*at least 16"):
        SmallNetSettings(resize=8)
    with pytest.raises(UsageError, match=r"resize = 16: .*at least 32"):
        HourglassSettings(resize=16)
    with pytest.raises(UsageError, match=r"30x40 pixels.*at least 32"):
        Hourglass(TINY)(torch.rand(1, 3, 30, 40))


def test_the_hourglass_reads_sides_that_are_no_multiples_of_32():
    network = Hourglass(TINY).eval()
    assert network(torch.rand(1, 3, 50, 70))["dense"].shape == (1, 4, 25, 35)


@pytest.mark.parametrize("exchange", [True, False])
def test_descriptors_learn_to_find_their_places(exchange):
    view_a, view_b, _ = (t.float().requires_grad_(True) for t in random_case(2, 8, (5, 5), (10, 10)))
    y, x = torch.meshgrid(torch.linspace(-1, 1, 10), torch.linspace(-1, 1, 10), indexing="ij")
    identity = torch.stack((x, y), -1).expand(2, -1, -1, -1)
    optimiser = torch.optim.Adam([view_a, view_b], lr=0.15)
    losses = []
    for _ in range(80):
        loss = dense_correlation_loss(view_a, view_b, identity, exchange=exchange, factor=4.0)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] / 2


def test_the_methods_are_the_papers():
    stages = {s.name: s for s in METHOD.stages}
    hourglass, smallnet = stages["hourglass"].training, stages["smallnet"].training
    assert (hourglass.epochs, hourglass.batch_size, hourglass.milestones) == (100, 16, (50.0,))
    assert (smallnet.epochs, smallnet.batch_size, smallnet.milestones) == (100, 32, (70.0, 90.0))
    for stage in stages.values():
        frame = stage.training.frame
        assert frame - 2 * round(DVESettings().crop * frame) == {136: 96, 100: 70}[frame]
        assert stage.training.optimiser == Optimiser(name="adam", lr=1e-3, weight_decay=0.0, amsgrad=True)
        fine = stage.name.endswith("_ft")
        assert (stage.starts_from_parent, stage.data) == (fine, "target" if fine else "pretrain")
    plain = DENSE3D.stages[0]
    assert plain.settings == {"exchange": False, "normalise": False} and plain.backbone_settings["dim"] == 3


@pytest.mark.parametrize("method", ["dve", "dense3d"])
def test_birds_are_seen_whole_in_frames_of_96_pixels(method):
    run = resolve_run(get_plugins(), method, "cub", preset="paper", variant="smallnet-ft")
    assert {(s.training.frame, s.settings.crop, s.backbone_settings.resize) for s in run.stages.values()} == {
        (96, 0, 70)
    }


def test_block_sizes_are_known_for_both_devices():
    assert set(BLOCK_PAIRS) == {"cpu", "cuda"}
