"""MoCo and its views, against independent computations, and what they refuse."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from lmbench.api import MapSpec, UsageError
from lmbench_contrastlandmarks.moco import MoCo, contrast, enqueue, unit_vectors
from lmbench_contrastlandmarks.settings import PAPER_VIEW, MoCoSettings, View
from lmbench_contrastlandmarks.views import compress_jpeg, draw


class Small(nn.Module):
    """Two maps, the deeper one (``deep``) at half the resolution; BatchNorm in between."""

    maps = (MapSpec("shallow", 6, 2), MapSpec("deep", 8, 4))

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(6, 8, 3, 2, 1), nn.ReLU())

    def forward(self, images):
        shallow = self.first(images)
        return {"shallow": shallow, "deep": self.second(shallow)}


def seeded(number=0):
    return torch.Generator().manual_seed(number)


def moco(**changes):
    torch.manual_seed(0)
    settings = MoCoSettings(layer="deep", dim=5, queue=24, groups=1, view=View(size=32))
    return MoCo(Small(), None, replace(settings, **changes)).train()


def images(count=4, side=32):
    return torch.rand(count, 3, side, side, generator=seeded())


# -- MoCo -------------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.integers(3, 12))
@settings(max_examples=50, deadline=None)
def test_the_queue_holds_the_last_keys_in_the_order_they_came(batches, size):
    queue, index, told = torch.full((size, 1), -1.0), torch.tensor(0), []
    for number, batch in enumerate(min(b, size) for b in batches):
        keys = torch.arange(batch)[:, None] + 100.0 * number
        enqueue(queue, index, keys)
        told += keys[:, 0].tolist()
    slots = [told[i] for i in range(len(told) - 1, max(-1, len(told) - 1 - size), -1)]
    read = [float(queue[(int(index) - 1 - i) % size, 0]) for i in range(len(slots))]
    assert read == slots


def test_keys_enter_the_queue_after_the_step_and_the_key_network_follows_by_its_momentum():
    objective = moco(momentum=0.9)
    before = [p.clone() for p in objective.key.parameters()]
    queue = objective.queue.clone()
    objective.loss(objective.views(images(), seeded()))
    assert torch.equal(objective.queue, queue)
    with torch.no_grad():
        for parameter in objective.backbone.parameters():
            parameter += 1
    fast = [*objective.backbone.parameters(), *objective.head.parameters()]
    objective.after_step(1, 10)
    for slow, old, new in zip(objective.key.parameters(), before, fast, strict=True):
        assert torch.allclose(slow, 0.9 * old + 0.1 * new)
    assert int(objective.index) == 4 and torch.equal(objective.queue[4:], queue[4:])
    assert torch.allclose(objective.queue[:4].norm(dim=1), torch.ones(4))


def test_logits_are_as_exact_within_autocast_as_without():
    queries, keys, queue = (unit_vectors(torch.randn(8, 16, generator=seeded(i)).bfloat16()) for i in range(3))
    exact = contrast(queries.double(), keys.double(), queue.double(), 0.07)
    with torch.autocast("cpu", torch.bfloat16):
        assert unit_vectors(queries.bfloat16()).dtype == torch.float32
        within = contrast(queries, keys, queue, 0.07)
    assert float((within - exact).abs().max()) < 1e-5


def test_no_gradient_reaches_the_key_network_but_its_batchnorm_sees_the_keys():
    objective = moco()
    assert not any(p.requires_grad for p in objective.key.parameters())
    mean = objective.key[0].first[1].running_mean.clone()
    objective.loss(objective.views(images(), seeded()))["total"].backward()
    assert not torch.equal(mean, objective.key[0].first[1].running_mean)


def test_keys_are_encoded_in_shuffled_groups_with_statistics_of_their_own():
    objective = moco(groups=2)
    first, second, order = objective.views(images(), seeded())
    objective.loss((first, second, order))
    expected = torch.empty(4, 5)
    for half in order.chunk(2):
        pooled = objective.key[0](second[half])["deep"].mean((2, 3))
        expected[half] = nn.functional.normalize(objective.key[1](pooled), dim=1)
    assert torch.allclose(objective.fresh, expected, atol=1e-6)
    together = nn.functional.normalize(objective.key[1](objective.key[0](second)["deep"].mean((2, 3))), dim=1)
    assert not torch.allclose(objective.fresh, together, atol=1e-3)


def test_frozen_statistics_stay_those_of_the_untrained_network():
    objective = moco(batch_norm="frozen")
    before = {k: v.clone() for k, v in objective.state_dict().items() if "running" in k}
    objective.loss(objective.views(images(), seeded()))["total"].backward()
    after = objective.state_dict()
    assert before and all(torch.equal(v, after[k]) for k, v in before.items())
    assert objective.backbone.first[1].weight.grad.abs().sum() > 0


def test_moco_refuses_a_queue_that_the_batch_does_not_divide():
    objective = moco(queue=10)
    with pytest.raises(UsageError, match=r"queue of 10 keys cannot be filled by batches of 4; set queue to .* 12"):
        objective.loss(objective.views(images(), seeded()))


def test_moco_refuses_groups_that_leave_one_image_to_a_batchnorm():
    objective = moco(groups=4)
    with pytest.raises(UsageError, match="does not fall into 4 equal groups of two or more"):
        objective.loss(objective.views(images(), seeded()))


def test_moco_names_the_maps_there_are_where_its_own_is_missing():
    with pytest.raises(UsageError, match=r"has no map 'conv5_x'; it has shallow, deep"):
        moco(layer="conv5_x")


# -- views ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("quality", "levels"), [(30, 0.75), (49, 1.25), (75, 1.0), (95, 1.0)])
def test_jpeg_noise_is_what_a_real_encoder_leaves_to_about_a_grey_level(quality, levels):
    y, x = np.mgrid[0:37, 0:50]
    picture = np.stack([128 + 100 * np.sin(x / 6), 3 * y + x, 255 - 4 * y], -1).clip(0, 255).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=quality)
    expected = np.asarray(Image.open(stream), dtype=np.float64)
    tensor = torch.from_numpy(picture).permute(2, 0, 1)[None] / 255
    found = 255 * compress_jpeg(tensor, torch.tensor([quality]))[0].permute(1, 2, 0).numpy()
    assert np.abs(found - expected).mean() < levels


def test_the_papers_view_keeps_the_centre_and_draws_from_the_generator_alone():
    batch = images(3, 136)
    torch.manual_seed(1)
    first = draw(batch, PAPER_VIEW, seeded())
    torch.manual_seed(2)
    assert torch.equal(first, draw(batch, PAPER_VIEW, seeded()))
    assert not torch.equal(first, draw(batch, PAPER_VIEW, seeded(1)))
    assert first.shape == (3, 3, 96, 96) and first.min() >= 0 and first.max() <= 1


def test_a_view_refuses_a_centre_larger_than_itself():
    with pytest.raises(UsageError, match="centre of 96 pixels does not fit into a view of 64"):
        View(size=64, centre=96)
