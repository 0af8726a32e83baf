"""How soft-argmax heads are fitted: all of a group in one optimisation, heatmaps made and forgotten piece by piece."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lmbench import progress
from lmbench.errors import LmbenchError
from lmbench.features import FeatureMaps
from lmbench.geometry.coordinates import normalise_points
from lmbench.geometry.heatmaps import soft_argmax
from lmbench.heads.base import HeadInputs, Subset, TensorInputs
from lmbench.heads.softargmax import FittedSoftargmax, head_forward, landmarks_of, regression_loss

CPU_CELLS = 4 * 48 * 48  # heatmaps of so many cells are made and forgotten at a time: they then stay in the cache
GATHER_BATCH = 64


@dataclass(frozen=True)
class Plan:
    """Steps of ``batch_size`` images, factor of the learning rate at a step, and the optimiser of a list of parameters.

    ``cells``: the largest side of the maps and of the grid that the heads read; 0: those of the inputs.
    """

    steps: int
    batch_size: int
    factor: Callable[[int], float]
    make: Callable[[list[Tensor]], torch.optim.Optimizer]
    cells: int = 0


def fit_groups(
    inputs: HeadInputs,
    landmarks: Tensor,
    visible: Tensor,
    subsets: Sequence[Subset],
    generator: torch.Generator,
    start: Callable[[Sequence[Subset]], tuple[Tensor, Tensor, Tensor]],
    plan: Callable[[Sequence[Subset]], Plan],
    multiplier: float,
    scale: Callable[[int], Tensor] | None = None,
) -> FittedSoftargmax:
    """Fits the subsets of equal size together; returns all heads in the order of ``subsets``.

    ``start`` gives filters, linear maps and offsets of a group, ``plan`` how they are found. ``scale``: the factors (dim,) of
    the channels for a plan's ``cells``, which end in the filters. Raises LmbenchError where a loss is NaN.
    """
    side = inputs.image_size
    target = normalise_points(landmarks, (side, side)).to(device=inputs.device, dtype=torch.float32)
    seen = visible.to(device=inputs.device)
    fitted: dict[int, tuple[Tensor, Tensor, Tensor]] = {}
    cells = [0] * len(subsets)
    scales: dict[int, Tensor | None] = {}
    for members in _by_size(subsets):
        group = [subsets[i] for i in members]
        how = plan(group)
        if how.cells not in scales:
            scales[how.cells] = None if scale is None else scale(how.cells)
        factors = scales[how.cells]
        parameters = _fit_together(inputs, target, seen, group, generator, start(group), how, multiplier, factors)
        for position, index in enumerate(members):
            fitted[index] = (parameters[0][position], parameters[1][position], parameters[2][position])
            cells[index] = how.cells
    ordered = [fitted[i] for i in range(len(subsets))]
    filters, linear, offset = (torch.stack([parts[k] for parts in ordered]) for k in range(3))
    return FittedSoftargmax(filters, linear, offset, multiplier, cells)


def _by_size(subsets: Sequence[Subset]) -> list[list[int]]:
    groups: dict[int, list[int]] = {}
    for i, subset in enumerate(subsets):
        groups.setdefault(len(subset.indices), []).append(i)
    return list(groups.values())


def _fit_together(
    inputs: HeadInputs,
    target: Tensor,
    visible: Tensor,
    group: Sequence[Subset],
    generator: torch.Generator,
    initial: tuple[Tensor, Tensor, Tensor],
    plan: Plan,
    multiplier: float,
    scale: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """(filters, linear, offset) of a group, the scale folded into the filters. Raises LmbenchError where the loss is NaN."""
    filters, linear, offset = initial
    images = [s.indices for s in group]
    if plan.cells:
        chosen, positions = torch.cat(images).unique(return_inverse=True)
        inputs, target, visible = _coarse(inputs, chosen, plan.cells), target[chosen], visible[chosen]
        images = list(positions.split([len(i) for i in images]))
    filters.requires_grad_()
    linear.requires_grad_()
    optimiser = plan.make([filters, linear])
    base = optimiser.param_groups[0]["lr"]
    batches = [_batches(i, plan.batch_size, generator) for i in images]
    label = f"fitting {group[0].label.split(' draw')[0]}" + (f", {len(group)} draws" if len(group) > 1 else "")
    at_once = (
        max(1, CPU_CELLS // math.prod(inputs.batch(images[0][:1]).size))
        if inputs.device.type == "cpu"
        else plan.batch_size
    )
    with progress.task(label, plan.steps, "steps") as bar, _flushing_denormals():
        for step in range(plan.steps):
            for parameter_group in optimiser.param_groups:
                parameter_group["lr"] = base * plan.factor(step)
            optimiser.zero_grad()
            total = 0.0
            for i, stream in enumerate(batches):
                chosen = next(stream)
                weights = filters[i] * (multiplier if scale is None else multiplier * scale)
                maps, seen = inputs.batch(chosen), visible[chosen]
                total += accumulate_gradients(maps, weights, linear[i], offset[i], target[chosen], seen, at_once)
            if not math.isfinite(total):
                raise LmbenchError(f"{label}: the loss is {total} at step {step} of {plan.steps}; lower the head's lr.")
            optimiser.step()
            bar.advance(1, f"loss {total / len(group):.4f}")
    final = filters.detach() if scale is None else filters.detach() * scale
    return final, linear.detach(), offset


def _coarse(inputs: HeadInputs, indices: Tensor, cells: int) -> TensorInputs:
    """Some images, in memory, their maps averaged down to ``cells`` a side and read on such a grid."""
    parts = [inputs.batch(part).coarse(cells) for part in indices.split(GATHER_BATCH)]
    maps = tuple(torch.cat(same) for same in zip(*(p.maps for p in parts), strict=True))
    return TensorInputs(inputs.image_size, replace(parts[0], maps=maps))


def accumulate_gradients(
    maps: FeatureMaps, filters: Tensor, linear: Tensor, offset: Tensor, target: Tensor, visible: Tensor, at_once: int
) -> float:
    """The loss of a batch; its gradients are added to those of ``filters`` (multiplier included) and ``linear``.

    The filters are applied to the whole batch at native resolution in one product a map; upsampling, soft-argmax and
    their gradients run over ``at_once`` images at a time, so that full-resolution heatmaps never leave the cache.
    """
    if maps.normalise != "none":  # norms belong to output cells: the response itself has to be made
        loss = regression_loss(head_forward(maps.project(filters), linear, 1.0) + offset, target, visible)
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())
    filtered = maps.filtered(filters)
    gradients = [torch.empty_like(f) for f in filtered]
    total = 0.0
    for start in range(0, len(target), at_once):
        part = slice(start, start + at_once)
        pieces = [f.detach()[:, part].requires_grad_() for f in filtered]
        points = soft_argmax(maps.upsampled(pieces)).transpose(0, 1)
        predicted = landmarks_of(points, linear) + offset
        loss = regression_loss(predicted, target[part], visible[part]) * (len(predicted) / len(target))
        loss.backward()  # type: ignore[no-untyped-call]
        for gradient, piece in zip(gradients, pieces, strict=True):
            assert piece.grad is not None
            gradient[:, part] = piece.grad
        total += float(loss.detach())
    torch.autograd.backward(filtered, gradients)
    return total


@contextmanager
def _flushing_denormals() -> Iterator[None]:
    """A sharp softmax is full of denormal numbers, which cost a CPU a hundred times a normal one and mean nothing here."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def _batches(indices: Tensor, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Batches for ever: a new permutation each pass, the last short batch dropped; the whole subset where it is small."""
    if len(indices) <= batch_size:
        while True:
            yield indices
    # Each stream has its own generator, so that what one subset draws does not depend on the others.
    own = torch.Generator().manual_seed(int(torch.randint(2**62, (), generator=generator)))
    while True:
        order = indices[torch.randperm(len(indices), generator=own)]
        for start in range(0, len(indices) - batch_size + 1, batch_size):
            yield order[start : start + batch_size]
