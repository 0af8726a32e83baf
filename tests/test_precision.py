"""bf16: what is under autocast and what is not, and that no loss is another one for it."""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain

import numpy as np
import pytest
import torch
import torchvision
from small_runs import run_here
from tiny_training import CPU, KEY, NEVER, Backbone, Tiny, config, pixels
from torch import Tensor, nn

from lmbench.api import float32
from lmbench.features import Extractor
from lmbench.plugins.loading import get_plugins
from lmbench.precision import without_tf32
from lmbench.testing.trials import find_trial
from lmbench.training.loop import train

OBJECTIVES = {entry.spec.name: entry.spec for entry in get_plugins().registry("objective")}
METHODS = [entry.spec.name for entry in get_plugins().registry("method")]


def in_bf16(objective, tmp_path, store=None, probe=None, **changes):
    """The curve of a training in bf16."""
    curve, _ = train(
        objective, store or pixels(), config(checkpoint_minutes=NEVER, **changes), seed=0, key=KEY,
        checkpoint=tmp_path / "c.pt", device=CPU, precision="bf16", label="bf16", probe=probe,
    )  # fmt: skip
    return curve


@dataclass(frozen=True)
class Warped:
    """Views as `sparse` has them: frozen, images beside the grid that says where each pixel went."""

    images: Tensor
    grid: Tensor


class Watcher(Tiny):
    """Keeps what the loss is given and in which precision its network answers."""

    def views(self, images, generator):
        made = Warped(super().views(images, generator), torch.rand(len(images), 12, 12, 2, generator=generator))
        self.__dict__.setdefault("made", []).append(made)
        return made

    def loss(self, views):
        self.__dict__.setdefault("given", []).append(views)
        self.__dict__["answer"] = self.backbone.conv(views.images).dtype
        return super().loss(views.images)


def test_in_bf16_the_loss_gets_the_very_views_that_were_made_and_the_network_alone_is_in_bf16(tmp_path):
    watcher = Watcher(Backbone())
    in_bf16(watcher, tmp_path)
    assert watcher.answer == torch.bfloat16
    assert len(watcher.given) == len(watcher.made) > 0
    for given, made in zip(watcher.given, watcher.made, strict=True):
        assert given.grid.dtype == given.images.dtype == torch.float32
        assert torch.equal(given.grid, made.grid) and torch.equal(given.images, made.images)
    assert {v.dtype for v in watcher.state_dict().values()} <= {torch.float32, torch.int64}


def test_the_probe_of_a_training_in_bf16_and_what_is_frozen_after_it_are_read_in_float32(tmp_path):
    objective, seen = Tiny(Backbone()), []

    def probe(epoch):
        maps = Extractor(objective.extractor().network, ("map",), 6).maps(torch.rand(2, 3, 20, 20))
        seen.append(maps.maps[0].dtype)
        return {"probe": float(maps.maps[0].mean())}

    curve = in_bf16(objective, tmp_path, probe=probe)
    assert len(curve) == 4 and all(np.isfinite(row["probe"]) for row in curve)
    assert len(seen) == 4 and set(seen) == {torch.float32}


def test_a_frozen_network_is_read_alike_within_autocast_and_without():
    extractor, images = Extractor(Backbone(), ("map",), 6), torch.rand(2, 3, 20, 20)
    plain = extractor.maps(images).maps[0]
    with torch.autocast("cpu", torch.bfloat16):
        within = extractor.maps(images).maps[0]
    assert within.dtype == torch.float32 and torch.equal(plain, within)


def test_float32_casts_halves_leaves_doubles_and_switches_autocast_off():
    @float32
    def product(a: Tensor, b: Tensor, *, scale: Tensor) -> Tensor:
        """Kept."""
        return a @ b * scale

    a = torch.rand(8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        assert (a @ a).dtype == torch.bfloat16
        assert torch.allclose(product(a, a, scale=torch.ones(())).double(), a.double() @ a.double(), rtol=1e-6)
        assert product(a.bfloat16(), a, scale=torch.ones(()).half()).dtype == torch.float32
        assert product(a.double(), a.double(), scale=torch.ones(())).dtype == torch.float64
        assert torch.is_autocast_enabled("cpu")
    assert product.__doc__ == "Kept."


def test_a_gpu_convolves_in_full_precision_where_float32_is_promised_and_as_before_behind_it():
    before = torch.backends.cudnn.allow_tf32
    with without_tf32("cpu"):
        assert torch.backends.cudnn.allow_tf32 == before
    with pytest.raises(RuntimeError), without_tf32("cuda"):
        assert not torch.backends.cudnn.allow_tf32
        raise RuntimeError
    assert torch.backends.cudnn.allow_tf32 == before


@functools.cache
def _build(name: str):
    trial = find_trial(OBJECTIVES[name], get_plugins())
    return trial, trial.build()[0]


def built(name: str):
    """(trial, objective) as the lightest preset of its method has it, the objective a copy of its own for each test."""
    trial, objective = _build(name)
    return trial, copy.deepcopy(objective)


def leaves(objective) -> Iterator[nn.Module]:
    """The layers of all networks of an objective, its frozen teacher's among them."""
    parent = [objective.parent.network] if objective.parent is not None else []
    return (m for m in chain(objective.modules(), *(p.modules() for p in parent)) if not list(m.children()))


@contextmanager
def each_layer(objective, does) -> Iterator[None]:
    """A block in which ``does(module, inputs, output)`` may replace what every layer gives."""
    hooks = [m.register_forward_hook(does) for m in leaves(objective)]
    yield
    for hook in hooks:
        hook.remove()


def to_double(value):
    if isinstance(value, Tensor):
        return value.double() if value.is_floating_point() else value
    if isinstance(value, tuple):
        items = [to_double(v) for v in value]
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    return type(value)(**{k: to_double(v) for k, v in vars(value).items()})


@pytest.mark.parametrize("name", OBJECTIVES)
def test_of_the_same_features_the_loss_in_bf16_is_that_in_float64(name):
    """What every layer gave under autocast is played back to a loss in float64: they differ in the loss's own arithmetic."""
    trial, objective = built(name)
    exact = copy.deepcopy(objective).double()  # a teacher is no submodule
    if exact.parent is not None:
        exact.parent.network.double()
    views = objective.views(trial.images(), torch.Generator().manual_seed(0))
    given: list[Tensor] = []

    def keep(module, inputs, output):
        given.append(output.detach())

    with each_layer(objective, keep), torch.autocast("cpu", torch.bfloat16):
        found = {k: float(v.detach()) for k, v in objective(views).items()}
    played = iter(given)
    with each_layer(exact, lambda module, inputs, output: next(played).double()):
        expected = {k: float(v.detach()) for k, v in exact(to_double(views)).items()}
    assert next(played, None) is None
    for term, value in expected.items():
        assert found[term] == pytest.approx(value, rel=2e-5, abs=2e-5), term


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_trains_in_bf16(name, tmp_path):
    trial, objective = built(name)
    before = {k: v.clone() for k, v in objective.backbone.state_dict().items()}
    (epoch,) = in_bf16(objective, tmp_path, pixels(4, trial.frame), epochs=1, batch_size=4)
    assert np.isfinite(list(epoch.values())).all()
    after = objective.backbone.state_dict()
    assert any(not torch.equal(v, before[k]) for k, v in after.items())
    assert all(v.isfinite().all() for v in after.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_every_methods_smoke_runs_in_bf16(name, tmp_path, capsys):
    """About ten seconds a method; where weights are a download, random ones stand for them."""
    options = ["--variant", "untrained"] if name in ("timm", "vit") else []
    if name == "imagenet":
        torch.save(torchvision.models.resnet18(weights=None).state_dict(), tmp_path / "resnet18.pth")
        options = ["--set", f"network.backbone_settings.weights={tmp_path / 'resnet18.pth'}"]
    code, _, err = run_here(
        capsys, "run", "--method", name, "--dataset", "synthfaces", "--preset", "smoke", "--precision", "bf16", "--device",
        "cpu", "--runs", str(tmp_path), *options,
    )  # fmt: skip
    assert code == 0, err
