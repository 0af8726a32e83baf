"""Checks of backbones and objectives: they are built and run on a small batch of random images, on the CPU."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, fields, replace
from typing import TYPE_CHECKING, Any

from lmbench.plugins.loading import Plugins
from lmbench.specs import BackboneSpec, ObjectiveSpec
from lmbench.testing.plugin_checks import ANY, ensure
from lmbench.testing.trials import Trial, find_trial

if TYPE_CHECKING:
    from torch import Tensor, nn

SIDE = 64  # pixels: small, and a multiple of the usual strides


def maps_are_as_promised(spec: BackboneSpec, plugins: Plugins) -> None:
    """forward() returns the maps of the spec (others may be beside them): channels, strides, finite float32. Where a setting
    holds the channels of a map, another value of it makes other channels."""
    del plugins
    require_promised(spec, spec.settings())
    for promised in spec.maps:
        if promised.channels in {f.name for f in fields(spec.settings)}:
            other = 2 * promised.of(spec.settings()).channels
            require_promised(spec, replace(spec.settings(), **{promised.channels: other}))


def require_promised(spec: BackboneSpec, settings: Any) -> None:
    """Raises AssertionError where the network of some settings has other maps than its spec states."""
    import torch

    maps = [m.of(settings) for m in spec.maps]
    ensure(bool(maps), "the spec names no maps")
    step = math.lcm(*(m.stride for m in maps))
    side = getattr(settings, spec.resizes_to, 0) or math.ceil(max(SIDE, spec.min_size) / step) * step
    outputs = _forward(_network(spec, settings), side)
    missing = sorted({m.name for m in maps} - set(outputs))
    ensure(not missing, f"forward() gives the maps {', '.join(outputs)}; the spec names {', '.join(missing)} too")
    for promised in maps:
        found, cells = outputs[promised.name], side // promised.stride
        wanted = (2, promised.channels, cells, cells)
        ensure(
            tuple(found.shape) == wanted,
            f"map {promised.name}: expected {wanted} (stride {promised.stride}) from images of {side} pixels, "
            f"found {tuple(found.shape)}",
        )
        ensure(found.dtype == torch.float32, f"map {promised.name}: expected float32, found {found.dtype}")
        ensure(bool(found.isfinite().all()), f"map {promised.name}: not finite")


def survives_its_min_size(spec: BackboneSpec, plugins: Plugins) -> None:
    """Images of ``min_size`` pixels still give finite maps of at least one cell."""
    del plugins
    for name, found in _forward(_network(spec), spec.min_size).items():
        ensure(
            found.numel() > 0,
            f"map {name} is empty for images of {spec.min_size} pixels: {tuple(found.shape)}",
        )
        ensure(bool(found.isfinite().all()), f"map {name}: not finite")


def eval_repeats_itself(spec: BackboneSpec, plugins: Plugins) -> None:
    """In eval mode the same images give the same maps, alone or within a batch, and are left unchanged."""
    import torch

    del plugins
    network = _network(spec)
    images = _images(2, max(SIDE, spec.min_size))
    before = images.clone()
    with torch.no_grad():
        first, second, alone = network(images), network(images), network(images[:1])
    ensure(torch.equal(images, before), "forward() changed its input images")
    for name in first:
        ensure(torch.equal(first[name], second[name]), f"map {name} differs between two calls in eval mode")
        close = torch.allclose(first[name][:1], alone[name], rtol=1e-3, atol=1e-4)
        ensure(close, f"map {name} of an image depends on the other images of the batch in eval mode")


def weights_come_from_the_seed(spec: BackboneSpec, plugins: Plugins) -> None:
    """Built twice under one seed of torch's global generator, it has the same weights."""
    import torch

    del plugins
    first, second = _network(spec).state_dict(), _network(spec).state_dict()
    for name in first:
        ensure(torch.equal(first[name], second[name]), f"{name} differs between two builds under one seed")


def loss_is_finite_and_reaches_the_backbone(spec: ObjectiveSpec, plugins: Plugins) -> None:
    """loss(views(images)) has a finite scalar "total" whose gradient reaches the backbone, all parts are scalars; and finite
    under autocast, as training in bf16 calls it with the same views."""
    import torch

    trial = find_trial(spec, plugins)
    objective, backbone = trial.build()
    views = objective.views(trial.images(), _generator())
    losses = objective.loss(views)
    ensure("total" in losses, f'loss() returns {sorted(losses)}; "total" is expected among them')
    for name, value in losses.items():
        ensure(value.numel() == 1 and value.ndim == 0, f"loss {name!r} is no scalar: {tuple(value.shape)}")
        ensure(bool(value.isfinite()), f"loss {name!r} = {float(value.detach())}")
    if spec.closed_form:
        ensure(not objective.trainable(), "the spec says closed_form, but there are trainable parameters")
    else:
        losses["total"].backward()
        gradients = [p.grad for p in backbone.parameters() if p.requires_grad and p.grad is not None]
        ensure(any(bool(g.abs().sum() > 0) for g in gradients), "no gradient reaches the backbone's weights")
        ensure(all(bool(g.isfinite().all()) for g in gradients), "a gradient of the backbone is not finite")
    try:
        with torch.autocast("cpu", torch.bfloat16):
            total = objective.loss(views)["total"]
    except Exception as error:
        raise AssertionError(f"in bf16: {error}") from error
    ensure(bool(total.isfinite()), f"in bf16: loss 'total' = {float(total.detach())}")


def views_leave_images_alone(spec: ObjectiveSpec, plugins: Plugins) -> None:
    """views() and loss() do not change the images they are given: other steps and probes see the same ones."""
    import torch

    trial = find_trial(spec, plugins)
    objective, _ = trial.build()
    images = trial.images()
    before = images.clone()
    objective.loss(objective.views(images, _generator()))
    ensure(torch.equal(images, before), "the input images are changed")


def cuts_are_those_of_its_views(spec: ObjectiveSpec, plugins: Plugins) -> None:
    """Views have the sides that the spec's cuts say, and show no more than the frame; without cuts none is smaller."""
    trial = find_trial(spec, plugins)
    objective, _ = trial.build()
    found = sorted({view.shape[-1] for view in _views(objective.views(trial.images(), _generator()))})
    if spec.cuts is None:
        ensure(
            all(side >= trial.frame for side in found),
            f"views are {found} pixels wide, frames {trial.frame}: say in the spec's `cuts` how they are made of them",
        )
        return
    shown = spec.cuts.shown(asdict(trial.settings), trial.frame)
    said = sorted({round(view.side) for view in shown})
    ensure(said == found, f"views are {found} pixels wide, its cuts say {said}")
    ensure(all(0 < view.part <= 1 for view in shown), f"its cuts say of views, which show part of a frame, {shown}")


def chance_comes_from_the_generator(spec: ObjectiveSpec, plugins: Plugins) -> None:
    """Two builds under one seed and one generator seed give the same losses, whatever the global generator holds."""
    import torch

    trial = find_trial(spec, plugins)
    totals = []
    for unrelated in (1, 2):
        objective, _ = trial.build()
        torch.manual_seed(unrelated)
        totals.append([_step(objective, trial, s) for s in (1, 2)])
    same = totals[0] == totals[1]
    ensure(
        same,
        f"losses {totals[0]} and {totals[1]}: draw from the generator given to views(), not from torch's own",
    )


def state_dict_holds_all_state(spec: ObjectiveSpec, plugins: Plugins) -> None:
    """What a checkpoint brings back goes on with the same loss: queues, counters and EMA copies are buffers."""
    trial = find_trial(spec, plugins)
    objective, _ = trial.build()
    for step in (1, 2):
        _step(objective, trial, step)
    restored, _ = trial.build(seed=1)
    restored.load_state_dict({k: v.clone() for k, v in objective.state_dict().items()})
    expected, found = (_step(o, trial, 3) for o in (objective, restored))
    ensure(
        math.isclose(expected, found, rel_tol=1e-6),
        f"after load_state_dict the loss is {found} instead of {expected}: keep all state in parameters and buffers",
    )


def freezes(spec: ObjectiveSpec, plugins: Plugins) -> None:
    """After a step extractor() gives finite, repeatable maps without gradients, of a network to be stored.

    Stored weights are loaded into a new backbone: what survives FREEZE has the backbone's own weights.
    """
    import torch

    trial = find_trial(spec, plugins)
    objective, _ = trial.build()
    _step(objective, trial, 1)
    network = objective.extractor().network
    stored = trial.build_backbone()
    try:
        stored.load_state_dict(network.state_dict())
    except RuntimeError as error:
        raise AssertionError(f"extractor().network cannot be loaded into {trial.backbone}: {error}") from None
    images = trial.images()
    extractor = trial.read(network)
    first, second, reloaded = extractor.maps(images), extractor.maps(images), trial.read(stored).maps(images)
    for one, other, third in zip(first.maps, second.maps, reloaded.maps, strict=True):
        ensure(bool(one.isfinite().all()), "extractor(): a map is not finite")
        ensure(torch.equal(one, other), "extractor(): two calls with the same images differ")
        ensure(torch.allclose(one, third, rtol=1e-4, atol=1e-5), "extractor(): reloaded weights give other maps")
        ensure(not one.requires_grad, "extractor(): a map carries gradients")


BACKBONE: tuple[Callable[[Any, Plugins], None], ...] = (
    *ANY,
    maps_are_as_promised,
    survives_its_min_size,
    eval_repeats_itself,
    weights_come_from_the_seed,
)
OBJECTIVE: tuple[Callable[[Any, Plugins], None], ...] = (
    *ANY,
    loss_is_finite_and_reaches_the_backbone,
    views_leave_images_alone,
    cuts_are_those_of_its_views,
    chance_comes_from_the_generator,
    state_dict_holds_all_state,
    freezes,
)


def _network(spec: BackboneSpec, settings: Any = None) -> nn.Module:
    """A backbone in eval mode, built with some settings (its defaults) under seed 0."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network: nn.Module = spec.make(spec.settings() if settings is None else settings)
    return network.eval()


def _forward(network: nn.Module, side: int) -> dict[str, Tensor]:
    import torch

    with torch.no_grad():
        outputs: dict[str, Tensor] = network(_images(2, side))
    return outputs


def _images(count: int, side: int) -> Tensor:
    import torch

    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(0))


def _generator(seed: int = 0) -> Any:
    import torch

    return torch.Generator().manual_seed(seed)


def _views(made: Any) -> Iterator[Tensor]:
    """Every batch of images in what an objective's ``views`` made, whatever holds them."""
    if hasattr(made, "shape"):
        yield from [made] if made.ndim == 4 and made.shape[1] == 3 else []
        return
    held = vars(made).values() if hasattr(made, "__dict__") else made if isinstance(made, tuple | list) else ()
    for inside in held:
        yield from _views(inside)


def _step(objective: Any, trial: Trial, step: int) -> float:
    """The total of one training step with plain SGD, seeded by its number."""
    import torch

    losses = objective.loss(objective.views(trial.images(), _generator(step)))
    objective.zero_grad(set_to_none=True)
    if objective.trainable():
        losses["total"].backward()
    with torch.no_grad():
        for parameter in objective.parameters():
            if parameter.grad is not None:
                parameter -= 1e-3 * parameter.grad
    objective.after_step(step, 10)
    return float(losses["total"].detach())
