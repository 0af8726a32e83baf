"""The field's regressor: virtual points by soft-argmax, then a linear map to the annotated landmarks.

Per landmark, a 1x1 filter without bias gives 50 heatmaps; their soft-argmax gives 50 points; a linear map without bias
takes the 100 numbers to (x, y). ``SoftargmaxLinear`` is fitted exactly as the reference code of DVE and
ContrastLandmarks does; ``SoftargmaxConditioned`` is the same function of the features, conditioned so that it converges
in a twentieth of the steps. All heads of a group are fitted in one optimisation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from lmbench import progress
from lmbench.errors import LmbenchError, UsageError, did_you_mean
from lmbench.features import FeatureMaps
from lmbench.geometry.coordinates import denormalise_points, normalise_points
from lmbench.geometry.heatmaps import soft_argmax
from lmbench.heads.base import HeadInputs, Subset, mean_shape

POINTS = (
    50  # virtual points per landmark unless set (`points`); DVE model/keypoint_prediction.py, Cheng et al. 2021, sec. 4
)
ALPHA = 10.0  # smooth L1 on 10 x the normalised coordinates; DVE and CL model/loss.py
PREDICT_BATCH = 64
CPU_IMAGES = 4  # heatmaps are made and forgotten for so many images at a time: they then stay in the cache


@dataclass(frozen=True)
class Recipe:
    """How the parameters are found. ``schedule(progress in epochs, epochs)`` gives the factor of the learning rate."""

    lr: float
    betas: tuple[float, float]
    weight_decay: float
    amsgrad: bool
    schedule: str
    epochs: int
    copies_of: int = 0
    """Few-shot subsets are repeated until an epoch has about this many images; 0: no repetition."""
    drop_last: bool = True


# DVE configs/*-keypoints: drops take effect from epochs 102 and 252. CL README and eval_*.py: cosine over 200 epochs,
# stopped at 45 for both AFLW sets, 80 for 300-W, 120 for MAFL (set `epochs`). See shared protocol notes, sec. 2.
RECIPES = {
    "dve_faces": Recipe(1e-3, (0.9, 0.999), 5e-4, True, "dve_steps", 300),
    "dve_few": Recipe(1e-2, (0.9, 0.999), 5e-4, True, "constant", 50, copies_of=10122),
    "cl_faces": Recipe(1e-3, (0.5, 0.999), 5e-4, False, "cl_cosine_200", 45, drop_last=False),
    "cl_few": Recipe(1e-2, (0.5, 0.999), 5e-2, False, "cl_cosine", 1000, copies_of=1000, drop_last=False),
    "cl_birds": Recipe(1e-2, (0.5, 0.999), 5e-3, False, "cl_cosine", 2000, drop_last=False),
    "cl_birds_few": Recipe(1e-2, (0.5, 0.999), 5e-2, False, "cl_cosine", 2000, drop_last=False),
}

FEW_OF = {"dve_faces": "dve_few", "cl_faces": "cl_few", "cl_birds": "cl_birds_few"}


def _cl_cosine(epoch: int, period: int) -> float:
    """Cosine to 0.2^3 x 0.1 of the rate; the reference steps the schedule *before* each epoch."""
    floor = 0.2**3 * 0.1
    return floor + (1 - floor) * (1 + math.cos(math.pi * (epoch + 1) / period)) / 2


SCHEDULES: dict[str, Callable[[int, int], float]] = {
    "constant": lambda epoch, epochs: 1.0,
    "dve_steps": lambda epoch, epochs: 0.1 ** ((epoch >= 101) + (epoch >= 251)),
    "cl_cosine_200": lambda epoch, epochs: _cl_cosine(epoch, 200),
    "cl_cosine": _cl_cosine,
}


class FittedSoftargmax:
    """S heads: ``filters`` (S, L*50, dim), ``linear`` (S, L, 2, 100), ``offset`` (S, L, 2) in normalised coordinates."""

    def __init__(self, filters: Tensor, linear: Tensor, offset: Tensor, multiplier: float) -> None:
        self.filters, self.linear, self.offset, self.multiplier = filters, linear, offset, multiplier

    @torch.no_grad()
    def predict(self, inputs: HeadInputs) -> Tensor:
        """(S, N, L, 2) pixels, on the CPU."""
        found = []
        for start in range(0, len(inputs), PREDICT_BATCH):
            maps = inputs.batch(torch.arange(start, min(start + PREDICT_BATCH, len(inputs))))
            normalised = torch.stack(
                [
                    head_forward(maps.project(f), w, self.multiplier) + o
                    for f, w, o in zip(self.filters, self.linear, self.offset, strict=True)
                ]
            )
            side = inputs.image_size
            found.append(denormalise_points(normalised, (side, side)).cpu())
        return torch.cat(found, dim=1)

    def state(self) -> dict[str, Tensor]:
        multiplier = torch.tensor(self.multiplier)
        return {"filters": self.filters, "linear": self.linear, "offset": self.offset, "multiplier": multiplier}

    @classmethod
    def from_state(cls, state: dict[str, Tensor]) -> FittedSoftargmax:
        return cls(state["filters"], state["linear"], state["offset"], float(state["multiplier"]))


def head_forward(responses: Tensor, linear: Tensor, multiplier: float) -> Tensor:
    """(B, L, 2) normalised landmarks from filter responses (B, L*P, H, W) and the linear map (L, 2, 2P).

    Columns of the linear map are x0, y0, x1, y1, ...; source: DVE ``IntermediateKeypointPredictor.forward``.
    """
    return landmarks_of(soft_argmax(responses, multiplier), linear)


def landmarks_of(points: Tensor, linear: Tensor) -> Tensor:
    """(B, L, 2) normalised landmarks from virtual points (B, L*P, 2)."""
    return torch.einsum("blp,ldp->bld", points.reshape(len(points), len(linear), -1), linear)


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


def regression_loss(predicted: Tensor, target: Tensor, visible: Tensor) -> Tensor:
    """Smooth L1 of 10 x the normalised coordinates, mean over everything; invisible landmarks count as zero error.

    Dividing by *all* landmarks, seen or not, is what the reference does (CL models/loss.py).
    """
    # The target is replaced, not the error multiplied by zero: an absent landmark may stand as NaN.
    target = torch.where(visible[..., None], target, predicted.detach())
    return nn.functional.smooth_l1_loss(ALPHA * predicted, ALPHA * target)


class SoftargmaxLinear:
    """The head of DVE and ContrastLandmarks as they fit it: unit-variance filters, multiplier 100, Adam.

    ``recipe`` names the optimiser settings for the full set (few-shot subsets take the same paper's few-shot settings);
    ``epochs`` replaces the recipe's fixed stop; ``points``: virtual points per landmark (K of Cheng's Table 4).
    """

    multiplier = 100.0

    def __init__(
        self, recipe: str = "cl_faces", epochs: int | None = None, batch_size: int = 32, points: int = POINTS
    ) -> None:
        _check_points("softargmax_linear", points)
        if recipe not in RECIPES:
            raise UsageError(f"head softargmax_linear: no recipe {recipe!r}.{did_you_mean(recipe, RECIPES)}")
        self.name, self.epochs, self.batch_size, self.points = recipe, epochs, batch_size, points

    def description(self) -> dict[str, Any]:
        return {
            "points_per_landmark": self.points,
            "multiplier": self.multiplier,
            "bias": False,
            "units": "normalised, align_corners=True",
            "batch_size": self.batch_size,
            "recipe": asdict(self._recipe("all")),
            "few_shot_recipe": asdict(self._recipe("few")),
        }

    def _recipe(self, n: int | str) -> Recipe:
        recipe = RECIPES[self.name if n == "all" else FEW_OF.get(self.name, self.name)]
        return recipe if self.epochs is None else replace(recipe, epochs=self.epochs)

    def fit(
        self,
        inputs: HeadInputs,
        landmarks: Tensor,
        visible: Tensor,
        subsets: Sequence[Subset],
        generator: torch.Generator,
    ) -> FittedSoftargmax:
        """The fitted heads, one a subset, in order."""
        dim = inputs.batch(torch.zeros(1, dtype=torch.long)).dim
        count, device = landmarks.shape[1], inputs.device

        def start(group: Sequence[Subset]) -> tuple[Tensor, Tensor, Tensor]:
            filters = torch.randn(len(group), count * self.points, dim, generator=generator)
            bound = 1 / math.sqrt(2 * self.points)  # nn.Linear's initialisation
            linear = (torch.rand(len(group), count, 2, 2 * self.points, generator=generator) * 2 - 1) * bound
            return filters.to(device), linear.to(device), torch.zeros(len(group), count, 2, device=device)

        def plan(group: Sequence[Subset]) -> Plan:
            recipe = self._recipe(group[0].n)
            images = len(group[0].indices)
            copies = max(1, min(recipe.copies_of, len(inputs)) // images) if recipe.copies_of else 1
            per_epoch = max(
                1, (images * copies) // self.batch_size if recipe.drop_last else -(-images * copies // self.batch_size)
            )
            factor = SCHEDULES[recipe.schedule]
            return Plan(
                steps=recipe.epochs * per_epoch,
                factor=lambda step: factor(step // per_epoch, recipe.epochs),
                make=lambda p: torch.optim.Adam(
                    p, lr=recipe.lr, betas=recipe.betas, weight_decay=recipe.weight_decay, amsgrad=recipe.amsgrad
                ),
            )

        return _fit_groups(
            inputs, landmarks, visible, subsets, generator, start, plan, self.multiplier, self.batch_size
        )


class SoftargmaxConditioned:
    """The same head, conditioned: standardised channels, small filters, a lower multiplier, one-cycle Adam.

    Channels are standardised over all images of the training split (no labels enter) and the statistics folded into the
    filters afterwards. The linear map starts as the average of a landmark's points and the offset is the mean shape of
    the subset, so that fitting starts from the mean shape. It ranks features as the papers' head does but for ties
    (docs/protocol.md), at lower errors: never compare a number of one with a number of the other. ``points``: virtual
    points per landmark.
    """

    def __init__(
        self,
        steps: int = 300,
        batch_size: int = 32,
        lr: float = 0.003,
        multiplier: float = 10.0,
        weight_decay: float = 0.0,
        points: int = POINTS,
    ) -> None:
        _check_points("softargmax_conditioned", points)
        self.steps, self.batch_size, self.lr, self.points = steps, batch_size, lr, points
        self.multiplier, self.weight_decay = multiplier, weight_decay

    def description(self) -> dict[str, Any]:
        return {
            "points_per_landmark": self.points,
            "multiplier": self.multiplier,
            "bias": "mean shape of the subset",
            "units": "normalised, align_corners=True",
            "standardised_over": "images of the training split, native cells",
            "optimiser": f"adam, lr {self.lr}, cosine after 5 % warm-up, weight decay {self.weight_decay}",
            "steps": self.steps,
            "batch_size": self.batch_size,
        }

    def fit(
        self,
        inputs: HeadInputs,
        landmarks: Tensor,
        visible: Tensor,
        subsets: Sequence[Subset],
        generator: torch.Generator,
    ) -> FittedSoftargmax:
        """The fitted heads, one a subset, in order."""
        _, deviation = inputs.statistics()
        # A channel that never changes says nothing; dividing by its rounding noise would make it shout.
        scale = torch.where(
            deviation > 1e-6 * deviation.max(), 1 / deviation.clamp(min=1e-12), torch.zeros(()).to(deviation)
        )
        count, device = landmarks.shape[1], inputs.device
        side = inputs.image_size
        normalised = normalise_points(landmarks, (side, side))

        def start(group: Sequence[Subset]) -> tuple[Tensor, Tensor, Tensor]:
            # 0.02 / sqrt(10): the responses then have a spread of about 1 after the multiplier
            shape = (len(group), count * self.points, len(scale))
            filters = torch.randn(shape, generator=generator) * (0.02 / math.sqrt(10))
            average = torch.eye(2).repeat(1, self.points) / self.points
            linear = average.expand(len(group), count, 2, 2 * self.points).clone()
            offset = torch.stack([mean_shape(normalised[s.indices], visible[s.indices]) for s in group])
            return filters.to(device), linear.to(device), offset.to(device)

        def plan(group: Sequence[Subset]) -> Plan:
            warm = max(1, self.steps // 20)
            return Plan(
                steps=self.steps,
                factor=lambda i: min((i + 1) / warm, (1 + math.cos(math.pi * i / self.steps)) / 2),
                make=lambda p: torch.optim.AdamW(p, lr=self.lr, weight_decay=self.weight_decay),
            )

        return _fit_groups(
            inputs, landmarks, visible, subsets, generator, start, plan, self.multiplier, self.batch_size, scale
        )


def _check_points(head: str, points: int) -> None:
    if not isinstance(points, int) or points < 1:
        raise UsageError(f"head {head}: points = {points!r}; expected 1 or more virtual points a landmark.")


@dataclass(frozen=True)
class Plan:
    """Number of steps, factor of the learning rate at a step, and the optimiser of a list of parameters."""

    steps: int
    factor: Callable[[int], float]
    make: Callable[[list[Tensor]], torch.optim.Optimizer]


def _fit_groups(
    inputs: HeadInputs,
    landmarks: Tensor,
    visible: Tensor,
    subsets: Sequence[Subset],
    generator: torch.Generator,
    start: Callable[[Sequence[Subset]], tuple[Tensor, Tensor, Tensor]],
    plan: Callable[[Sequence[Subset]], Plan],
    multiplier: float,
    batch_size: int,
    scale: Tensor | None = None,
) -> FittedSoftargmax:
    """Fits the subsets of equal size together; returns all heads in the order of ``subsets``."""
    side = inputs.image_size
    target = normalise_points(landmarks, (side, side)).to(device=inputs.device, dtype=torch.float32)
    seen = visible.to(device=inputs.device)
    fitted: dict[int, tuple[Tensor, Tensor, Tensor]] = {}
    for members in _by_size(subsets):
        group = [subsets[i] for i in members]
        parameters = _fit_together(
            inputs, target, seen, group, generator, start(group), plan(group), multiplier, batch_size, scale
        )
        for position, index in enumerate(members):
            fitted[index] = (parameters[0][position], parameters[1][position], parameters[2][position])
    ordered = [fitted[i] for i in range(len(subsets))]
    filters, linear, offset = (torch.stack([parts[k] for parts in ordered]) for k in range(3))
    return FittedSoftargmax(filters, linear, offset, multiplier)


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
    batch_size: int,
    scale: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """(filters, linear, offset) of a group, the scale folded into the filters. Raises LmbenchError where the loss is NaN."""
    filters, linear, offset = initial
    filters.requires_grad_()
    linear.requires_grad_()
    optimiser = plan.make([filters, linear])
    base = optimiser.param_groups[0]["lr"]
    batches = [_batches(s.indices, batch_size, generator) for s in group]
    label = f"fitting {group[0].label.split(' draw')[0]}" + (f", {len(group)} draws" if len(group) > 1 else "")
    at_once = CPU_IMAGES if inputs.device.type == "cpu" else batch_size
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
