"""The regressor exactly as DVE and ContrastLandmarks fit it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from lmbench.heads.base import HeadInputs, Subset
from lmbench.heads.fitting import Plan, fit_groups
from lmbench.heads.settings import SoftargmaxLinearSettings
from lmbench.heads.softargmax import FittedSoftargmax


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
    # CL's eval_animal.py on DVE's features: another weight decay, with few annotations too.
    "dve_birds": Recipe(1e-2, (0.5, 0.999), 5e-4, False, "cl_cosine", 2000, drop_last=False),
    "cl_birds_few": Recipe(1e-2, (0.5, 0.999), 5e-2, False, "cl_cosine", 2000, drop_last=False),
}

# The recipe of draws, and the largest number of annotations it is for; CL README: birds have wd 5e-2 up to 100, then 5e-3.
FEW_OF = {"dve_faces": ("dve_few", None), "cl_faces": ("cl_few", None), "cl_birds": ("cl_birds_few", 100)}


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


class SoftargmaxLinear:
    """The head of DVE and ContrastLandmarks as they fit it: unit-variance filters, multiplier 100, Adam.

    ``recipe`` names the optimiser settings for the full set (few-shot subsets take the same paper's few-shot settings);
    ``epochs`` replaces the recipe's fixed stop for the full set, ``few_shot_epochs`` for draws; ``points``: virtual points
    per landmark (K of Cheng's Table 4).
    """

    multiplier = 100.0

    def __init__(self, settings: SoftargmaxLinearSettings) -> None:
        self.settings = settings

    def description(self) -> dict[str, Any]:
        return {
            "points_per_landmark": self.settings.points,
            "multiplier": self.multiplier,
            "bias": False,
            "units": "normalised, align_corners=True",
            "batch_size": self.settings.batch_size,
            "recipe": asdict(self.recipe("all")),
            "few_shot_recipe": asdict(self.recipe(1)),
            "few_shot_up_to": FEW_OF.get(self.settings.recipe, (self.settings.recipe, None))[1],
        }

    def recipe(self, n: int | str) -> Recipe:
        """How heads of ``n`` annotated images (or ``all``) are fitted."""
        few, up_to = FEW_OF.get(self.settings.recipe, (self.settings.recipe, None))
        recipe = RECIPES[few if n != "all" and (up_to is None or int(n) <= up_to) else self.settings.recipe]
        epochs = self.settings.epochs if n == "all" else self.settings.few_shot_epochs
        return recipe if epochs is None else replace(recipe, epochs=epochs)

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

        def start(group: Sequence[Subset]) -> tuple[Tensor, Tensor, Tensor]:
            filters = torch.randn(len(group), count * self.settings.points, dim, generator=generator)
            bound = 1 / math.sqrt(2 * self.settings.points)  # nn.Linear's initialisation
            linear = (torch.rand(len(group), count, 2, 2 * self.settings.points, generator=generator) * 2 - 1) * bound
            return filters.to(device), linear.to(device), torch.zeros(len(group), count, 2, device=device)

        def plan(group: Sequence[Subset]) -> Plan:
            recipe, batch = self.recipe(group[0].n), self.settings.batch_size
            images = group[0].annotated
            copies = max(1, min(recipe.copies_of, group[0].pool or len(inputs)) // images) if recipe.copies_of else 1
            per_epoch = max(
                1,
                (images * copies) // batch if recipe.drop_last else -(-images * copies // batch),
            )
            factor = SCHEDULES[recipe.schedule]
            return Plan(
                steps=recipe.epochs * per_epoch,
                batch_size=batch,
                factor=lambda step: factor(step // per_epoch, recipe.epochs),
                make=lambda p: torch.optim.Adam(
                    p, lr=recipe.lr, betas=recipe.betas, weight_decay=recipe.weight_decay, amsgrad=recipe.amsgrad
                ),
            )

        return fit_groups(inputs, landmarks, visible, subsets, generator, start, plan, self.multiplier)
