"""The regressor conditioned so that it converges in a twentieth of the steps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from lmbench.geometry.coordinates import normalise_points
from lmbench.heads.base import HeadInputs, Subset, mean_shape
from lmbench.heads.fitting import Plan, fit_groups
from lmbench.heads.settings import SoftargmaxConditionedSettings
from lmbench.heads.softargmax import FittedSoftargmax


class SoftargmaxConditioned:
    """The papers' head, conditioned: standardised channels, small filters, a lower multiplier, one-cycle Adam.

    Channels are standardised over all images of the training split (no labels enter) and the statistics folded into the
    filters afterwards. The linear map starts as the average of a landmark's points and the offset is the mean shape of
    the subset, so that fitting starts from the mean shape. It ranks features as the papers' head does but for ties
    (docs/protocol.md), at lower errors: never compare a number of one with a number of the other.

    Draws of at most ``few_shot`` images take ``few_shot_steps`` steps of ``few_shot_batch`` images on maps of at most
    ``few_shot_cells`` cells a side, which they read so when they predict too. A curve of many draws is then as cheap as a
    head of all annotations; what that changes is in docs/protocol.md. ``few_shot=0``: all draws as the full set.
    """

    def __init__(self, settings: SoftargmaxConditionedSettings) -> None:
        self.settings = settings

    def description(self) -> dict[str, Any]:
        s = self.settings
        few = (
            f"draws of up to {s.few_shot}: {s.few_shot_steps} steps of {s.few_shot_batch}, "
            f"maps and grid of at most {s.few_shot_cells} cells a side"
            + ("" if s.few_shot_lr == s.lr else f", lr {s.few_shot_lr}")
        )
        return {
            "points_per_landmark": s.points,
            "multiplier": s.multiplier,
            "bias": "mean shape of the subset",
            "units": "normalised, align_corners=True",
            "standardised_over": "images of the training split, cells as they are read",
            "optimiser": f"adam, lr {s.lr}, cosine after 5 % warm-up, weight decay {s.weight_decay}",
            "steps": s.steps,
            "batch_size": s.batch_size,
            "few_shot": few if s.few_shot else "as the full set",
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
        settings, points = self.settings, self.settings.points

        def scale(cells: int) -> Tensor:
            _, deviation = inputs.statistics(cells)
            # A channel that never changes says nothing; dividing by its rounding noise would make it shout.
            changing = deviation > 1e-6 * deviation.max()
            return torch.where(changing, 1 / deviation.clamp(min=1e-12), torch.zeros(()).to(deviation))

        side = inputs.image_size
        normalised = normalise_points(landmarks, (side, side))

        def start(group: Sequence[Subset]) -> tuple[Tensor, Tensor, Tensor]:
            # 0.02 / sqrt(10): the responses then have a spread of about 1 after the multiplier
            shape = (len(group), count * points, dim)
            filters = torch.randn(shape, generator=generator) * (0.02 / math.sqrt(10))
            average = torch.eye(2).repeat(1, points) / points
            linear = average.expand(len(group), count, 2, 2 * points).clone()
            offset = torch.stack([mean_shape(normalised[s.indices], visible[s.indices]) for s in group])
            return filters.to(device), linear.to(device), offset.to(device)

        def plan(group: Sequence[Subset]) -> Plan:
            few = group[0].n != "all" and group[0].annotated <= settings.few_shot
            steps, lr = (settings.few_shot_steps, settings.few_shot_lr) if few else (settings.steps, settings.lr)
            warm = max(1, steps // 20)
            return Plan(
                steps=steps,
                batch_size=settings.few_shot_batch if few else settings.batch_size,
                factor=lambda i: min((i + 1) / warm, (1 + math.cos(math.pi * i / steps)) / 2),
                make=lambda p: torch.optim.AdamW(p, lr=lr, weight_decay=settings.weight_decay),
                cells=settings.few_shot_cells if few else 0,
            )

        return fit_groups(inputs, landmarks, visible, subsets, generator, start, plan, settings.multiplier, scale)
