"""The converged head: the papers' form, truly fitted. docs/head.md has its paragraph, its formulas and its limits."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from scipy.special import stdtrit
from torch import Tensor

from lmbench import progress
from lmbench.geometry.coordinates import normalise_points
from lmbench.heads.base import HeadInputs, Subset, mean_shape
from lmbench.heads.blocks import Blocks
from lmbench.heads.confidence import WITHIN, calibrated
from lmbench.heads.cross_fitted import FittedConverged, spread_of
from lmbench.heads.readout import CANDIDATES, readouts
from lmbench.heads.refining import NUMBERS, TINY, Fit, Prior, points, proposed
from lmbench.heads.settings import ConvergedSettings
from lmbench.heads.whitening import Whitening, whitening

SIDE, SPACING = 3, 0.15  # each landmark has 3 x 3 filters, started from templates of places so far apart in [-1, 1]
MANY = 20  # landmarks; of more, each has 2 x 2 filters: a read-out sees the points of all, and cost grows with them
SIDE_OF_MANY, SPACING_OF_MANY = 2, 0.2
REACH = 0.07  # standard deviation of the Gaussian under which a template is averaged
AROUND, AROUND_AT_LEAST = 1.5, 2 * REACH  # of the wider one whose mean is taken off, in spreads of the landmarks
LENGTH = 2.5  # of a whitened template
AT_MOST = 1 << 31  # derivatives of all landmarks of a fold that are taken in a step
NARROWEST = 0.04  # standard deviation, half a cell of the usual grid: no prior is narrower
CERTAIN = 0.975  # of a paired t-test (two-sided 95 %): what the filters must be to be preferred to the mean shape
REFINED_FROM = 4  # annotated images a fold: fewer leave the filters at their templates
PATIENCE = 2  # strengths without gain after which no weaker one is tried


class Converged:
    """The papers' form of head as far as the features carry it, the mean shape where they carry nothing.

    Nothing in it is drawn by chance. See docs/head.md. ``ridge``: of the whitening; runs have none, their images are many.
    """

    def __init__(self, settings: ConvergedSettings, ridge: float = 0.0) -> None:
        self.settings, self.ridge = settings, ridge

    def description(self) -> dict[str, Any]:
        s = self.settings
        return {
            "points_per_landmark": SIDE**2,
            f"points_per_landmark_of_more_than_{MANY}": SIDE_OF_MANY**2,
            "folds": s.folds,
            "strengths": list(s.strengths),
            "steps": s.steps,
            "cells": s.cells,
            "units": "normalised, align_corners=True",
            "whitened_over": "images of the training split, within images",
            "prior": "Gaussian around the mean shape, as wide as landmarks spread about it",
        }

    def restored(self, state: Mapping[str, Tensor]) -> FittedConverged:
        """The fitted heads again, from their tensors."""
        return FittedConverged(state)

    @torch.no_grad()
    def fit(
        self,
        inputs: HeadInputs,
        landmarks: Tensor,
        visible: Tensor,
        subsets: Sequence[Subset],
        generator: torch.Generator,
    ) -> FittedConverged:
        """The fitted heads, one a subset, in order. Raises DataError where a map holds NaN."""
        del generator
        device, side = inputs.device, inputs.image_size
        blocks = Blocks(inputs, self.settings.cells)
        white = whitening(blocks, self.ridge)
        target, seen = normalise_points(landmarks, (side, side)).to(device, torch.float32), visible.to(device)
        found = []
        steps = sum(1 for s in subsets if s.annotated >= self.settings.folds) * (2 + len(self.settings.strengths))
        with progress.task("fitting heads", steps, "steps") as bar:
            for subset in subsets:
                images = subset.indices.to(device)
                head = _CrossFitted(self.settings, blocks, white, images, target[images], seen[images], subset)
                found.append(head.fitted(bar))
        most = max(len(state["filters"]) for state, _ in found)
        rows = {
            "filters": most,
            "centres": most,
            "precision": most,
            "linear": 2 * most,
            "offset": 2 * landmarks.shape[1],
        }
        state = {name: torch.stack([_padded(s[name], count) for s, _ in found]) for name, count in rows.items()}
        state["calibration"] = torch.stack([s["calibration"] for s, _ in found])
        alike = {"cells": torch.tensor(self.settings.cells), "folds": torch.tensor(self.settings.folds)}
        return FittedConverged({**state, **alike}, [said for _, said in found])


def _padded(tensor: Tensor, rows: int) -> Tensor:
    """A tensor with rows of zeros behind its own: the mean shape has no filters where other draws have some."""
    return torch.cat([tensor, tensor.new_zeros(rows - len(tensor), *tensor.shape[1:])])


@dataclass
class _Candidate:
    """Filters (folds, K, dim) with their points on all annotated images, and the error of the best read-out from them."""

    filters: Tensor
    at: Tensor
    distances: Tensor  # (n, L) by the head that did not see the image
    errors: Tensor  # (n,)
    readout: int
    said: str


class _CrossFitted:
    """One head: n annotated images in folds, and what cross-validation says of each candidate."""

    def __init__(
        self, settings: ConvergedSettings, blocks: Blocks, white: Whitening,
        images: Tensor, target: Tensor, visible: Tensor, subset: Subset,
    ) -> None:  # fmt: skip
        self.settings, self.blocks, self.white, self.images = settings, blocks, white, images
        self.annotated, self.landmarks = subset.annotated, target.shape[1]
        self.seen, self.shape = visible.float(), mean_shape(target, visible)
        self.target = torch.where(visible[..., None], target, self.shape)
        # A warped copy stands in the fold of its image, or it would tell the answer.
        fold = (torch.arange(len(images), device=images.device) // (1 + subset.copies)) % settings.folds
        self.fold = fold
        self.folds = [
            (torch.nonzero(fold != f).flatten(), torch.nonzero(fold == f).flatten()) for f in range(settings.folds)
        ]
        self.shapes = [mean_shape(self.target[fit], self.seen[fit] > 0) for fit, _ in self.folds]
        side, spacing = (SIDE, SPACING) if self.landmarks <= MANY else (SIDE_OF_MANY, SPACING_OF_MANY)
        steps = (torch.arange(side, device=images.device) - (side - 1) / 2) * spacing
        self.offsets = torch.cartesian_prod(steps, steps).flip(1)
        self.each = len(self.offsets)

    def fitted(self, bar: progress.Task) -> tuple[dict[str, Tensor], str]:
        """The tensors of the head, and what was chosen, in words."""
        if self.annotated < self.settings.folds:
            return self._mean_shape(f"fewer than {self.settings.folds} annotated images cannot be cross-validated")
        if not self.white.basis.shape[1]:
            return self._mean_shape("no channel changes within an image")
        priors = [self._prior(f) for f in range(len(self.folds))]
        best = self._best(priors, bar)
        floor = self._distances(lambda f, held: self.shapes[f].expand(1, len(held), -1, -1))
        gain = self._errors(floor)[:, 0] - best.errors
        doubt = float(gain.std()) / math.sqrt(self.annotated) * float(stdtrit(self.annotated - 1, CERTAIN))
        if not float(gain.mean()) > doubt:
            return self._mean_shape("no filters are better beyond doubt", floor[:, 0])
        outs = [readouts(best.at[f][:, fit], self.target[fit], self.seen[fit]) for f, (fit, _) in enumerate(self.folds)]
        alpha, towards = CANDIDATES[best.readout]
        state = {
            "filters": best.filters.flatten(0, 1),
            "centres": torch.cat([p.centres for p in priors]),
            "precision": torch.cat([p.precision for p in priors]),
            "linear": torch.cat([linear[best.readout] for linear, _ in outs]) / len(outs),
            "offset": torch.stack([offset[best.readout] for _, offset in outs]).mean(0),
            "calibration": self._calibration(best, priors),
        }
        return state, f"{best.said}; read-out {alpha:g}" + (" towards its points" if towards else "")

    def _mean_shape(self, why: str, distances: Tensor | None = None) -> tuple[dict[str, Tensor], str]:
        """``distances`` (n, L) of held-out mean shapes, where there were folds."""
        none = self.shape.new_zeros(0, 1)
        seen = self.seen if distances is not None else self.seen[:0]
        distances = seen if distances is None else distances
        state = {
            "filters": none.expand(0, self.blocks.dim),
            "centres": none.expand(0, 2),
            "precision": none[:, 0],
            "linear": none.expand(0, 2 * self.landmarks),
            "offset": self.shape.flatten(),
            "calibration": calibrated(torch.zeros_like(distances), distances <= 2 * WITHIN, seen),
        }
        return state, f"mean shape: {why}"

    def _prior(self, f: int) -> Prior:
        """Around a fold's mean shape and its offsets, as wide as all landmarks spread there (per axis)."""
        fit, shape = self.folds[f][0], self.shapes[f]
        centres = (shape[:, None] + self.offsets).clamp(-1, 1).flatten(0, 1)
        return Prior(centres, (1 / self._spread(fit, shape).clamp(min=NARROWEST**2)).expand(len(centres)))

    def _spread(self, images: Tensor, shape: Tensor) -> Tensor:
        """The variance of the landmarks about a mean shape, per axis."""
        weight, count = self.seen[images][..., None], len(images)
        squared = (weight * (self.target[images] - shape).square()).sum() / (2 * weight.sum()).clamp(min=1)
        return squared * count / max(count - 1, 1)

    def _best(self, priors: Sequence[Prior], bar: progress.Task) -> _Candidate:
        """The best of the templates, shrunk or not, and of the filters refined from them down the path of strengths."""
        sums, counts = self._sums()
        n = (counts.sum(0) - counts).clamp(min=1)
        means = ((sums.sum(0) - sums) / n[..., None]) @ self.white.basis
        shrunk = self.white.shrunk(means, float(n.mean()))
        starts = []
        for v, said in ((shrunk, "templates, shrunk"), (means, "templates")):
            filters = LENGTH * v / v.norm(dim=-1, keepdim=True).clamp(min=TINY) @ self.white.basis.T
            starts.append(self._judged(filters, self._points(filters, priors), said))
            bar.advance(1)
        best = start = min(starts, key=lambda c: float(c.errors.mean()))
        v, at = torch.zeros_like(means), start.at
        damping = torch.full((len(self.folds), self.landmarks, 1), math.inf, device=v.device)
        growth, idle = torch.full_like(damping, 2.0), 0
        enough = self.annotated >= REFINED_FROM * len(self.folds)
        for strength in self.settings.strengths:
            if enough and idle < PATIENCE:
                for _ in range(self.settings.steps):
                    v, at = self._stepped(start.filters, v, at, priors, strength, damping, growth)
                new = self._judged(start.filters + v @ self.white.basis.T, at, f"strength {strength:g}")
                idle = 0 if new.errors.mean() < best.errors.mean() else idle + 1
                best = best if idle else new
            bar.advance(1)
        return best

    def _stepped(
        self,
        start: Tensor,
        v: Tensor,
        at: Tensor,
        priors: Sequence[Prior],
        strength: float,
        damping: Tensor,
        growth: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """``v`` and points after one step of Levenberg-Marquardt in every fold and landmark; ``damping`` is brought up to date.

        A step that does not lower its landmark's objective is not taken, and damped more the next time (Nielsen 1999).
        """
        fits, trial, promised = [], v.clone(), torch.zeros_like(damping[..., 0])
        for f, prior in enumerate(priors):
            fits.append(self._fit(f, at[f], v[f], strength))
            damping[f] = torch.where(damping[f].isinf(), fits[f].ridge, damping[f])
            self._propose(f, fits[f], start[f], v[f], prior, damping[f], trial[f], promised[f])
        moved = self._points(start + trial @ self.white.basis.T, priors)
        for f, old in enumerate(fits):
            lower = old.value - self._fit(f, moved[f], trial[f], strength).value
            ratio, better = (lower / promised[f].clamp(min=TINY))[:, None], lower > 0
            shrinking = (1 - (2 * ratio - 1) ** 3).clamp(min=1 / 3)
            damping[f] *= torch.where(better[:, None], shrinking, growth[f])
            growth[f] = torch.where(better[:, None], 2.0, growth[f] * 2)
            taken = better.repeat_interleave(self.each)
            trial[f] = torch.where(taken[:, None], trial[f], v[f])
            moved[f] = torch.where(taken[:, None, None], moved[f], at[f])
        return trial, moved

    def _positions(self, f: int) -> Tensor:
        """Where a fold's filters are refined: on so many images, evenly, as there is room and time for derivatives."""
        fit, one = self.folds[f][0], 2 * self.each * self.blocks.dim
        return fit[:: -(-len(fit) // max(1, min(NUMBERS // one, AT_MOST // (one * self.landmarks))))]

    def _fit(self, f: int, at: Tensor, v: Tensor, strength: float) -> Fit:
        positions = self._positions(f)
        weight = self.seen[positions].T
        weight = weight / weight.mean(1, keepdim=True).clamp(min=TINY)
        return Fit.of(at[:, positions], self.target[positions].transpose(0, 1), weight, v, strength)

    def _propose(
        self, f: int, fit: Fit, start: Tensor, v: Tensor, prior: Prior, damping: Tensor, trial: Tensor, promised: Tensor
    ) -> None:
        """Writes a fold's next filters and what they promise; as many landmarks at a time as their derivatives have room for."""
        positions, device = self._positions(f), v.device
        some = max(1, NUMBERS // (2 * self.each * self.blocks.dim * len(positions)))
        for members in torch.arange(self.landmarks, device=device).split(some):
            rows = (members[:, None] * self.each + torch.arange(self.each, device=device)).flatten()
            derivatives = torch.empty(len(rows), len(positions), 2, self.blocks.dim, device=device)
            filters = (start + v @ self.white.basis.T)[rows]
            points(self.blocks, self.images[positions], filters, prior.of(rows), derivatives)
            change, gain = proposed(fit.of_landmarks(members), v[rows], damping[members], derivatives, self.white.basis)
            trial[rows] += change
            promised[members] = gain

    def _points(self, filters: Tensor, priors: Sequence[Prior]) -> Tensor:
        """(folds, K, n, 2): of all folds' filters in all annotated images."""
        whole = Prior(torch.cat([p.centres for p in priors]), torch.cat([p.precision for p in priors]))
        return points(self.blocks, self.images, filters.flatten(0, 1), whole).unflatten(0, filters.shape[:2])

    def _sums(self) -> tuple[Tensor, Tensor]:
        """(folds, K, dim) and (folds, K): sums of descriptors at the landmarks less those around them, and how many."""
        count, device = self.landmarks * self.each, self.images.device
        sums = torch.zeros(len(self.folds), count, self.blocks.dim, device=device)
        counts = torch.zeros(len(self.folds), count, device=device)
        everywhere = self._spread(torch.arange(len(self.images), device=device), self.shape)
        around = (AROUND * everywhere.sqrt()).clamp(min=AROUND_AT_LEAST)
        for where, maps in self.blocks.of(self.images):
            at = (self.target[where][:, :, None] + self.offsets).clamp(-1, 1).flatten(1, 2)
            weight = _bumps(at, REACH, self.blocks.size) - _bumps(at, around, self.blocks.size)
            seen = self.seen[where].repeat_interleave(self.each, 1)
            sums.index_add_(0, self.fold[where], maps.pool(weight) * seen[..., None])
            counts.index_add_(0, self.fold[where], seen)
        return sums, counts

    def _judged(self, filters: Tensor, at: Tensor, said: str) -> _Candidate:
        """Filters with the error of their best read-out."""
        outs = [readouts(at[f][:, fit], self.target[fit], self.seen[fit]) for f, (fit, _) in enumerate(self.folds)]

        def predicted(f: int, held: Tensor) -> Tensor:
            linear, offset = outs[f]
            return (at[f][:, held].transpose(0, 1).flatten(1) @ linear + offset[:, None]).unflatten(-1, (-1, 2))

        distances = self._distances(predicted)
        readout = int(self._errors(distances).mean(0).argmin())
        return _Candidate(filters, at, distances[:, readout], self._errors(distances)[:, readout], readout, said)

    def _distances(self, predicted: Callable[[int, Tensor], Tensor]) -> Tensor:
        """(n, candidates, L): how far landmarks are predicted from where they are, by the head that did not see the image.

        ``predicted(fold, held)`` gives (candidates, m, L, 2).
        """
        found = [
            (predicted(f, held) - self.target[held]).norm(dim=-1).transpose(0, 1)
            for f, (_, held) in enumerate(self.folds)
        ]
        return torch.cat(found)[torch.argsort(torch.cat([held for _, held in self.folds]))]

    def _errors(self, distances: Tensor) -> Tensor:
        """(n, candidates): each image's mean distance over its visible landmarks."""
        seen = self.seen[:, None]
        return (distances * seen).sum(-1) / seen.sum(-1).clamp(min=1)

    def _calibration(self, best: _Candidate, priors: Sequence[Prior]) -> Tensor:
        """See `calibrated`: of each fold's head on the images that it did not see."""
        spread = torch.empty_like(self.seen)
        for f, (_, held) in enumerate(self.folds):
            variances = self.seen.new_empty(best.filters.shape[1], len(held))
            points(self.blocks, self.images[held], best.filters[f], priors[f], variances=variances)
            spread[held] = spread_of(variances, 1, self.landmarks)
        return calibrated(spread, best.distances <= 2 * WITHIN, self.seen)


def _bumps(at: Tensor, deviation: float | Tensor, size: tuple[int, int]) -> Tensor:
    """(B, K, H, W): Gaussians around places (B, K, 2) in [-1, 1], of sum 1."""
    x, y = (torch.linspace(-1, 1, n, device=at.device) for n in (size[1], size[0]))
    across, down = (
        torch.softmax((axis - at[..., i, None]).square() / (-2 * deviation**2), -1) for i, axis in enumerate((x, y))
    )
    return down[..., :, None] * across[..., None, :]
