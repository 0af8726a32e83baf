"""How far a number would move if images, draws and seeds were drawn anew: a hierarchical bootstrap in closed form.

What a number is the mean of stands image by image (`lmbench.results.scores`), so the variance that infinitely many
resamples would show is a formula, and two faults of resampling can be mended in it. With S seeds a bootstrap finds
(S - 1) / S of their variance and nothing of its uncertainty: three seeds give intervals of half the width. Here the
variance is that of a sample and has Student's factor with S - 1 degrees of freedom. And what seeds and images do together
moves the means of both, so that resampling both counts it more than once (Owen 2007, "The pigeonhole bootstrap"): here it
is counted with the seeds alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

LEVEL = 0.95
SMALLEST = -300.0  # log10 of the smallest probability that is told from zero
BEYOND_ALL = 1e100

FloatArray = npt.NDArray[np.float64]
Seeds = Mapping[int, np.ndarray]
"""By seed, what a number is the mean of: (D, N) for D draws and N images, which are the same for all seeds."""
Part = tuple[float, float]
"""A variance of the number that was estimated, and with how many degrees of freedom."""


@dataclass(frozen=True)
class Estimate:
    """A number, or a difference, with its interval of 95 %: ``low`` and ``high``, None where nothing can be drawn anew.

    ``p``: how often a number as far from zero would be seen if the truth were zero. ``seeds``: of the side with the fewest;
    one says nothing of another training. ``spread``: standard deviation over seeds (n - 1), of a difference over pairs
    of one seed; None for one seed. ``draws``: of each seed, None where they differ.
    """

    value: float
    low: float | None
    high: float | None
    p: float | None
    seeds: int
    spread: float | None
    draws: int | None
    images: int


def estimate(by_seed: Seeds, few_shot: bool = False) -> Estimate:
    """One output over its seeds. Raises ValueError for seeds of other numbers of images.

    ``few_shot``: its annotated images were drawn, so that one draw of one seed says nothing of others.
    """
    side = _Side(by_seed, few_shot)
    return _estimate(side.value, side.images, [side], side.spread)


def difference(a: Seeds, b: Seeds, few_shot: bool = False) -> Estimate:
    """a - b of two outputs on the same images.

    Where both have the same seeds, and each as many draws, they are paired by seed and draw as by image; otherwise by image
    alone. Raises as `estimate`.
    """
    if a.keys() == b.keys() and all(len(a[seed]) == len(b[seed]) for seed in a):
        return estimate({seed: np.asarray(a[seed], np.float64) - b[seed] for seed in a}, few_shot)
    sides = [_Side(a, few_shot), _Side(b, few_shot)]
    if len(sides[0].images) != len(sides[1].images):
        raise ValueError(f"images are paired: there are {len(sides[0].images)} and {len(sides[1].images)}")
    value = sides[0].value - sides[1].value
    return _estimate(value, sides[0].images - sides[1].images, sides, None)


class _Side:
    """One output over its seeds: the mean of each image and of each seed, and what chance there is but for the images."""

    def __init__(self, by_seed: Seeds, few_shot: bool) -> None:
        tables = [np.asarray(by_seed[seed], np.float64) for seed in sorted(by_seed)]
        if not tables or any(table.ndim != 2 or table.shape[1] != tables[0].shape[1] for table in tables):
            raise ValueError(f"expected (draws, images) of each seed, found {[table.shape for table in tables]}")
        rows = np.stack([table.mean(0) for table in tables])  # (seeds, images)
        means = rows.mean(1)
        draws = {len(table) for table in tables}
        self.seeds, self.draws = len(tables), draws.pop() if len(draws) == 1 else None
        self.images: FloatArray = rows.mean(0)
        self.value = float(means.mean())
        self.spread = float(means.std(ddof=1)) if self.seeds > 1 else None
        self.chance: Part | None = None
        """Of seeds with their draws; of one seed that of its draws; None where there is neither."""
        self.shared = 0.0
        """How much of ``chance`` is due to what seeds and images do together: it moves the images' means as well."""
        self.unknown = few_shot and self.seeds == 1 and self.draws == 1
        if self.seeds > 1:
            self.chance = means.var(ddof=1) / self.seeds, self.seeds - 1
            rest = rows - means[:, None] - self.images + self.value
            cells = (self.seeds - 1) * max(1, len(self.images) - 1) * self.seeds * len(self.images)
            self.shared = float((rest**2).sum() / cells)
        elif len(tables[0]) > 1:
            self.chance = tables[0].mean(1).var(ddof=1) / len(tables[0]), len(tables[0]) - 1


def _estimate(value: float, images: FloatArray, sides: Sequence[_Side], spread: float | None) -> Estimate:
    """``images`` (N,): what the number is the mean of, over seeds and draws."""
    count, draws = len(images), {side.draws for side in sides}
    found = Estimate(
        value=value, low=None, high=None, p=None, seeds=min(side.seeds for side in sides), spread=spread,
        draws=draws.pop() if len(draws) == 1 else None, images=count,
    )  # fmt: skip
    if count < 2 or any(side.unknown for side in sides):
        return found
    of_images = images.var(ddof=1) / count - sum(side.shared for side in sides)
    parts = [(max(0.0, float(of_images)), count - 1.0), _together([side.chance for side in sides if side.chance])]
    half = _half_width(parts)(1 - LEVEL)
    return replace(found, low=value - half, high=value + half, p=_chance_of(value, parts))


def _together(parts: Sequence[Part]) -> Part:
    """The sum of variances of one kind, which may be of either side alone. Source: Welch 1947."""
    total = sum(variance for variance, _ in parts)
    if not total:
        return 0.0, 1.0
    return total, total**2 / sum(variance**2 / freedom for variance, freedom in parts)


def _half_width(parts: Sequence[Part]) -> Callable[[float], float]:
    """Half an interval outside which the truth is with a probability: each deviation with its own Student's factor.

    Whichever is the larger, the interval is not too narrow; with two or three seeds one factor for the sum of seeds and images
    (Satterthwaite's) is.
    """
    from scipy.special import stdtrit  # takes a while to load, and many a table is made without it

    variances, freedoms = np.array(parts).T

    def half(beyond: float) -> float:
        factors = np.minimum(
            -stdtrit(freedoms, beyond / 2), BEYOND_ALL
        )  # of one degree of freedom they grow past what can be squared
        return float(np.sqrt((factors**2 * variances).sum()))

    return half


def _chance_of(value: float, parts: Sequence[Part]) -> float:
    """The probability beyond which the interval around ``value`` leaves zero out."""
    if value == 0:
        return 1.0
    if all(variance == 0 for variance, _ in parts):
        return 0.0
    low, high, half = SMALLEST, 0.0, _half_width(parts)
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if half(10**middle) < abs(value) else (middle, high)
    return float(10**high)
