"""The head `converged` from other starts and by another optimiser: what it finds must not depend on how it was looked for.

Each class takes the place of `lmbench.heads.converged._CrossFitted`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import scipy.optimize
import torch
from torch import Tensor

from lmbench.heads.converged import LENGTH, _Candidate, _CrossFitted
from lmbench.heads.refining import Fit, Prior


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(1)


class Jittered(_CrossFitted):
    """Templates with noise of a third on each number."""

    def _sums(self) -> tuple[Tensor, Tensor]:
        sums, counts = super()._sums()
        return sums * (1 + torch.randn(sums.shape, generator=seeded()) / 3), counts


class Turned(_CrossFitted):
    """The places of templates turned by 45 degrees."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        half = math.sqrt(0.5)
        self.offsets = self.offsets @ torch.tensor([[half, half], [-half, half]])


@dataclass(frozen=True)
class Reached:
    """The objective, summed over folds and landmarks, that the head's own way and L-BFGS leave at one strength."""

    strength: float
    own: float
    other: float


class ByLBFGS(_CrossFitted):
    """At the strength that the head itself chose, filters found anew by L-BFGS (scipy), from the same start, in one go."""

    iterations = 300
    away = 0.0  # length of the first step from the start, in lengths of a template, at random
    reached: ClassVar[list[Reached]] = []

    def _best(self, priors: Any, bar: Any) -> _Candidate:
        own = super()._best(priors, bar)
        if not own.said.startswith("strength"):
            return own
        self.settings = replace(self.settings, strengths=())
        start, strength = super()._best(priors, bar).filters, float(own.said.split()[1])
        inverse = torch.linalg.pinv(self.white.basis.double())
        v = ((own.filters - start).double() @ inverse.T).float()
        before, after, filters = 0.0, 0.0, start.clone()
        for f, prior in enumerate(priors):
            before += self._value(f, start[f], v[f], prior, strength)[0]
            first = (
                self.away * LENGTH * torch.nn.functional.normalize(torch.randn(v[f].shape, generator=seeded()), dim=1)
            )

            def both(flat: Any, f: int = f, prior: Prior = prior) -> tuple[float, Any]:
                value, gradient = self._value(
                    f, start[f], torch.from_numpy(flat).float().view_as(v[f]), prior, strength
                )
                return value, gradient.double().flatten().numpy()

            found = scipy.optimize.minimize(
                both, first.double().flatten().numpy(), jac=True, method="L-BFGS-B",
                options={"maxiter": self.iterations, "maxfun": 2 * self.iterations, "ftol": 1e-6, "gtol": 0, "maxcor": 20},
            )  # fmt: skip
            after += float(found.fun)
            filters[f] += torch.from_numpy(np.asarray(found.x)).float().view_as(v[f]) @ self.white.basis.T
        self.reached.append(Reached(strength, before, after))
        return self._judged(filters, self._points(filters, priors), own.said)

    def _value(self, f: int, start: Tensor, v: Tensor, prior: Prior, strength: float) -> tuple[float, Tensor]:
        """A fold's objective, summed over its landmarks, and its gradient by ``v``; optimal read-outs add nothing to it."""
        positions = self._positions(f)
        log_prior, filters = prior.on(self.blocks.size), start + v @ self.white.basis.T
        y, x = (torch.linspace(-1, 1, n) for n in self.blocks.size)
        cells = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).flatten(0, 1)
        heat = []
        for _, maps in self.blocks.of(self.images[positions]):
            heat.append((maps.project(filters) + log_prior).flatten(2).softmax(-1))
        at = torch.zeros(len(filters), len(self.images), 2)
        at[:, positions] = torch.cat([p @ cells for p in heat]).transpose(0, 1)
        fit: Fit = self._fit(f, at, v, strength)
        pull = -2 / len(positions) * (fit.weight * fit.residual) @ fit.linear.transpose(1, 2)
        pull = pull.unflatten(2, (-1, 2)).transpose(0, 1).flatten(1, 2)  # (n, K, 2)
        gradient = torch.zeros_like(filters)
        for (where, maps), p in zip(self.blocks.of(self.images[positions]), heat, strict=True):
            off = (pull[where] @ cells.T) - (pull[where] * at[:, positions[where]].transpose(0, 1)).sum(
                -1, keepdim=True
            )
            gradient += maps.pool((p * off).unflatten(2, self.blocks.size)).sum(0)
        held = 2 * fit.ridge.repeat_interleave(len(v) // len(fit.ridge), 0) * v
        return float(fit.value.sum()), gradient @ self.white.basis + held


class ByLBFGSFromElsewhere(ByLBFGS):
    """The same from filters half a template away."""

    away = 0.5
