"""The regressor conditioned so that it converges in a twentieth of the steps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from lmbench.errors import UsageError
from lmbench.geometry.coordinates import normalise_points
from lmbench.heads.base import HeadInputs, Subset, mean_shape
from lmbench.heads.fitting import Plan, fit_groups
from lmbench.heads.softargmax import POINTS, FittedSoftargmax, check_points


class SoftargmaxConditioned:
    """The papers' head, conditioned: standardised channels, small filters, a lower multiplier, one-cycle Adam.

    Channels are standardised over all images of the training split (no labels enter) and the statistics folded into the
    filters afterwards. The linear map starts as the average of a landmark's points and the offset is the mean shape of
    the subset, so that fitting starts from the mean shape. It ranks features as the papers' head does but for ties
    (docs/protocol.md), at lower errors: never compare a number of one with a number of the other. ``points``: virtual
    points per landmark.

    Draws of at most ``few_shot`` images take ``few_shot_steps`` steps of ``few_shot_batch`` images on maps of at most
    ``few_shot_cells`` cells a side, which they read so when they predict too. A curve of many draws is then as cheap as a
    head of all annotations; what that changes is in docs/protocol.md. ``few_shot=0``: all draws as the full set.
    """

    def __init__(
        self,
        steps: int = 300,
        batch_size: int = 32,
        lr: float = 0.003,
        multiplier: float = 10.0,
        weight_decay: float = 0.0,
        points: int = POINTS,
        few_shot: int = 100,
        few_shot_steps: int = 100,
        few_shot_batch: int = 10,
        few_shot_lr: float = 0.003,
        few_shot_cells: int = 24,
    ) -> None:
        check_points("softargmax_conditioned", points)
        if few_shot and min(few_shot_steps, few_shot_batch, few_shot_cells - 1) < 1:
            found = f"few_shot_steps={few_shot_steps}, few_shot_batch={few_shot_batch}, few_shot_cells={few_shot_cells}"
            raise UsageError(
                f"head softargmax_conditioned: steps and batch of few shots are 1 or more, cells 2 or more; found {found}."
            )
        self.steps, self.batch_size, self.lr, self.points = steps, batch_size, lr, points
        self.multiplier, self.weight_decay = multiplier, weight_decay
        self.few_shot, self.few_shot_steps = few_shot, few_shot_steps
        self.few_shot_batch, self.few_shot_lr, self.few_shot_cells = few_shot_batch, few_shot_lr, few_shot_cells

    def description(self) -> dict[str, Any]:
        return {
            "points_per_landmark": self.points,
            "multiplier": self.multiplier,
            "bias": "mean shape of the subset",
            "units": "normalised, align_corners=True",
            "standardised_over": "images of the training split, cells as they are read",
            "optimiser": f"adam, lr {self.lr}, cosine after 5 % warm-up, weight decay {self.weight_decay}",
            "steps": self.steps,
            "batch_size": self.batch_size,
            "few_shot": f"draws of up to {self.few_shot}: {self.few_shot_steps} steps of {self.few_shot_batch}, "
            f"maps and grid of at most {self.few_shot_cells} cells a side"
            + ("" if self.few_shot_lr == self.lr else f", lr {self.few_shot_lr}")
            if self.few_shot
            else "as the full set",
        }

    def restored(self, state: Mapping[str, Tensor]) -> FittedSoftargmax:
        """The fitted heads again, from their tensors."""
        return FittedSoftargmax.from_state(state)

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

        def scale(cells: int) -> Tensor:
            _, deviation = inputs.statistics(cells)
            # A channel that never changes says nothing; dividing by its rounding noise would make it shout.
            changing = deviation > 1e-6 * deviation.max()
            return torch.where(changing, 1 / deviation.clamp(min=1e-12), torch.zeros(()).to(deviation))

        side = inputs.image_size
        normalised = normalise_points(landmarks, (side, side))

        def start(group: Sequence[Subset]) -> tuple[Tensor, Tensor, Tensor]:
            # 0.02 / sqrt(10): the responses then have a spread of about 1 after the multiplier
            shape = (len(group), count * self.points, dim)
            filters = torch.randn(shape, generator=generator) * (0.02 / math.sqrt(10))
            average = torch.eye(2).repeat(1, self.points) / self.points
            linear = average.expand(len(group), count, 2, 2 * self.points).clone()
            offset = torch.stack([mean_shape(normalised[s.indices], visible[s.indices]) for s in group])
            return filters.to(device), linear.to(device), offset.to(device)

        def plan(group: Sequence[Subset]) -> Plan:
            few = group[0].n != "all" and group[0].annotated <= self.few_shot
            steps, lr = (self.few_shot_steps, self.few_shot_lr) if few else (self.steps, self.lr)
            warm = max(1, steps // 20)
            return Plan(
                steps=steps,
                batch_size=self.few_shot_batch if few else self.batch_size,
                factor=lambda i: min((i + 1) / warm, (1 + math.cos(math.pi * i / steps)) / 2),
                make=lambda p: torch.optim.AdamW(p, lr=lr, weight_decay=self.weight_decay),
                cells=self.few_shot_cells if few else 0,
            )

        return fit_groups(inputs, landmarks, visible, subsets, generator, start, plan, self.multiplier, scale)
