"""How far a prediction is to be trusted: the share of held-out annotated images on which one as spread was right."""

from __future__ import annotations

import math

import numpy as np
import torch
from sklearn.isotonic import IsotonicRegression
from torch import Tensor

WITHIN = 0.05  # of the frame's side: a prediction so near is right (PCK@5%)
KNOTS = 32
UNKNOWN = -1.0  # probability where nothing was held out
PER_LANDMARK = 50  # held-out predictions of a landmark from which it has a curve of its own


def calibrated(spread: Tensor, right: Tensor, seen: Tensor) -> Tensor:
    """(L, 2, KNOTS): for each landmark, spreads in rising order and the probability of being right there, which never rises.

    From held-out predictions (n, L): their ``spread``, whether they were ``right``, where the landmark is ``seen``. Isotonic
    regression; landmarks of few held-out predictions share one curve. UNKNOWN where there is none at all.
    """
    curves = []
    for landmark in range(spread.shape[1]):
        own = seen[:, landmark] > 0
        if int(own.sum()) >= PER_LANDMARK:
            curves.append(_curve(spread[own, landmark], right[own, landmark]))
        else:
            curves.append(_curve(spread[seen > 0], right[seen > 0]))
    return torch.stack(curves).to(spread)


def _curve(spread: Tensor, right: Tensor) -> Tensor:
    if not len(spread):
        return torch.full((2, KNOTS), UNKNOWN)
    x, y = spread.cpu().double().numpy(), right.cpu().double().numpy()
    knots = np.quantile(x, np.linspace(0, 1, KNOTS))
    probability = IsotonicRegression(increasing=False, out_of_bounds="clip").fit(x, y).predict(knots)
    return torch.from_numpy(np.stack((knots, probability))).float()


def looked_up(curves: Tensor, spread: Tensor) -> Tensor:
    """(N, L): the probabilities (see `calibrated`) at spreads (N, L), straight between knots and constant beyond the last.

    NaN where they are unknown.
    """
    found = torch.empty_like(spread)
    for landmark, (knots, probability) in enumerate(curves):
        at = spread[:, landmark].clamp(knots[0], knots[-1]).contiguous()
        above = torch.searchsorted(knots.contiguous(), at).clamp(1, KNOTS - 1)
        low, high = knots[above - 1], knots[above]
        share = ((at - low) / (high - low).clamp(min=1e-12)).clamp(0, 1)
        found[:, landmark] = probability[above - 1] + share * (probability[above] - probability[above - 1])
    return torch.where(found < 0, math.nan, found)
