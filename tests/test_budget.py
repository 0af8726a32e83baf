"""Image views: what a training is compared by. Counted by watching the networks, against what specs and records state."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
import torch
from torch import nn

from lmbench.config.budget import described, image_views
from lmbench.config.model import Stage, Training
from lmbench.config.resolving import resolve_run
from lmbench.errors import DataError
from lmbench.features import Extractor
from lmbench.plugins.loading import get_plugins
from lmbench.specs import PRESETS
from lmbench.training.stages import all_maps, build_objective

CELEBA_HALF, BUDGET = 9961, 192_000


class Watched:
    """The different images that are handed to any network of an objective from outside while it computes its loss."""

    def __init__(self, objective: nn.Module) -> None:
        self.seen: set[bytes] = set()
        self.depth = 0
        for module in objective.modules():
            if module is not objective:
                module.register_forward_pre_hook(self.enter)
                module.register_forward_hook(self.leave, always_call=True)

    def enter(self, module, arguments):
        if self.depth == 0:
            images = [a for a in arguments if isinstance(a, torch.Tensor) and a.ndim == 4 and a.shape[1] == 3]
            self.seen |= {image.contiguous().numpy().tobytes() for batch in images for image in batch}
        self.depth += 1

    def leave(self, module, arguments, result):
        self.depth -= 1


@pytest.mark.parametrize(
    ("method", "variant"),
    [("lead", "dense64"), ("contrastlandmarks", "proj64"), ("contrastlandmarks", "nmf64"), ("dve", "smallnet"),
     ("dense3d", "smallnet"), ("imm", "k10"), ("sparse", "k10"), ("twostep", "k10"), ("end_to_end", "k10")],
)  # fmt: skip
def test_an_objective_states_how_many_images_pass_its_networks(method, variant):
    config = resolve_run(get_plugins(), method, "synthfaces", preset="smoke", variant=variant)
    plugins, parent = get_plugins().of_recipe(method, variant), None
    for stage in config.stages.values():
        teacher = parent and Extractor.of(parent[0], stage.reads or parent[1], 12, "none")
        objective = build_objective(stage, plugins, parent, teacher, 0, stage.name).train()
        batch = 8
        images = torch.rand(batch, 3, stage.training.frame, stage.training.frame)
        views = objective.views(images, torch.Generator().manual_seed(1))
        watched = Watched(objective)
        with torch.no_grad():
            objective.loss(views)
        assert len(watched.seen) == batch * plugins.find("objective", stage.objective).spec.views, stage.name
        parent = objective.extractor().network.eval(), all_maps(plugins, stage.backbone)


def test_views_are_those_of_all_steps_that_are_taken():
    stage = Stage(name="s", objective="byol", training=Training(epochs=3, batch_size=8))
    assert image_views(stage, get_plugins(), 20) == 3 * 2 * 8 * 2  # epochs, steps of one, batch, views
    assert image_views(stage, get_plugins(), 5) == 3 * 1 * 5 * 2  # less than a batch
    longer = replace(stage, training=replace(stage.training, least_steps=7, images=16))
    assert image_views(longer, get_plugins(), 1000) == 4 * 2 * 8 * 2  # as many epochs as the least steps take
    assert image_views(stage.untrained, get_plugins(), 20) == 0


def views_of(method: str, variant: str, images: int) -> dict[str, int | None]:
    config = resolve_run(
        get_plugins(), method, "aflw_split", preset="small", variant=variant, pretrain_on="celeba_half"
    )
    plugins = get_plugins().of_recipe(method, variant)
    return {n: image_views(s, plugins, images) for n, s in config.stages.items() if s.data == "pretrain"}


def learning():
    for entry in get_plugins().methods:
        if entry.spec.supervision == "self-supervised":
            yield from ((entry.spec.name, v.name) for v in entry.spec.variants if v.stages)


def test_at_small_every_method_gets_the_same_number_of_views():
    """The whole of it where a method's last stage is trained; one that 45 minutes of two cores do not pay for gets less."""
    spent = {}
    for method, variant in learning():
        views = views_of(method, variant, CELEBA_HALF)
        closed = [n for n in views if n == "nmf"]  # solved, not trained
        spent[method, variant] = sum(v for n, v in views.items() if n not in closed)
    assert {m: max(v for (name, _), v in spent.items() if name == m) for m, _ in spent} == dict.fromkeys(
        {m for m, _ in spent}, BUDGET
    )
    dear = {output for output in spent if "hourglass" in output[1]}
    assert all(spent[output] == BUDGET / 3 for output in dear)
    for (method, variant), views in spent.items():
        parts = views_of(method, variant, CELEBA_HALF)
        if (method, variant) not in dear and len(parts) > 1 and "nmf" not in parts:
            assert views == BUDGET, (method, variant)


def test_at_small_few_images_are_repeated_until_they_are_as_many_views():
    for (method, variant), images in product(learning(), (300, 2000)):
        few, many = views_of(method, variant, images), views_of(method, variant, CELEBA_HALF)
        for name in few:
            if name != "nmf":
                assert 1 <= few[name] / many[name] < 1.2, (method, variant, name)  # whole epochs


def test_every_method_has_a_learning_curve_at_small():
    for method, variant in learning():
        config = resolve_run(
            get_plugins(), method, "aflw_split", preset="small", variant=variant, pretrain_on="celeba_half"
        )
        assert 0 < config.probe.every <= 4


def test_describe_tells_the_views_of_each_preset():
    lead = get_plugins().find("method", "lead")
    told = {preset: described(lead, preset, get_plugins()) for preset in PRESETS}
    assert told["small"].startswith("byol 160,000, moco 160,000, distillation 32,000")
    assert told["paper"].startswith("byol 400 x the images")
    assert described(get_plugins().find("method", "mean_shape"), "small", get_plugins()) == ""


def test_what_describe_tells_is_what_is_trained():
    for method, variant in learning():
        try:
            views = views_of(method, variant, CELEBA_HALF)
        except DataError:
            continue
        told = described(get_plugins().find("method", method), "small", get_plugins())
        assert all(f"{name} {number:,}" in told for name, number in views.items())
