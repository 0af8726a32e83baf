"""Few-shot draws: seeded, nested in n, recorded."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from lmbench.errors import UsageError
from lmbench.heads.base import Subset
from lmbench.seeds import generator_for


def draw_subsets(images: int, annotations: Sequence[int | str], draws: int, seed: int) -> list[Subset]:
    """One Subset for each number of annotations and draw (``all`` has one).

    Draw k is the beginning of one permutation, so that the 5 images of a draw are among its 10. Raises UsageError for
    a number below one or above ``images``.
    """
    for n in annotations:
        if n != "all" and not 1 <= int(n) <= images:
            raise UsageError(
                f"--annotations {n}: the training split has {images} images; ask for 1 to {images}, or all."
            )
    orders = [torch.randperm(images, generator=generator_for(seed, "draw", k)) for k in range(draws)]
    subsets = []
    for n in annotations:
        if n == "all":
            subsets.append(Subset("all", 0, torch.arange(images)))
        else:
            subsets += [Subset(int(n), k, order[: int(n)]) for k, order in enumerate(orders)]
    return subsets
