"""Segmentation: a linear classifier of pixels fitted on frozen maps with n labelled images, judged on the test split.

Thewlis et al. 2017, supplement, sec. 5, replaces the last layer of their network by such a classifier of ten classes. Here
it reads whatever maps the variant reads; a filter a class is all there is to learn.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lmbench.data.masks import read_masks
from lmbench.heads.base import HeadInputs
from lmbench.heads.draws import draw_subsets
from lmbench.metrics.pixels import Confusions
from lmbench.report.parts import draw_classes
from lmbench.seeds import generator_for
from lmbench.tasks.base import TaskContext
from lmbench.tasks.settings import SegmentationSettings

PREDICTED_AT_ONCE = 8
SHOWN = 16  # test images in the picture


def run(context: TaskContext, settings: SegmentationSettings) -> None:
    """Keeps the confusions of every number of labelled images, all draws together; draws ``segmentation.png``."""
    config, data = context.config, context.dataset
    classes = data.spec.classes
    subsets = draw_subsets(len(context.train), settings.annotations, settings.draws, config.seed)
    wanted = [n for n in settings.annotations if not context.kept(f"segmentation-n{n}")]
    if not wanted:
        return
    steps = data.spec.preprocessing
    train, test = (
        torch.from_numpy(read_masks(data.splits[split], steps, len(classes), len(pixels)))
        for split, pixels in (("train", context.train), ("test", context.test))
    )
    frozen = [context.frozen(split).read(settings.size, "none") for split in ("train", "test")]
    mean, deviation = frozen[0].statistics()
    for n in wanted:
        counts = []
        for subset in (s for s in subsets if s.n == n):
            generator = generator_for(config.seed, "segmentation", str(n), str(subset.draw))
            weights, bias = fit_classifier(
                frozen[0], train, subset.indices, len(classes), mean, deviation, settings, generator
            )
            counts.append(confusion_counts(frozen[1], test, weights, bias))
        if n == settings.annotations[-1]:
            shown = context.test.first(SHOWN)
            given = torch.cat(list(given_classes(frozen[1], len(shown), (steps.size, steps.size), weights, bias)))
            draw_classes(shown, [test[: len(shown)], given], len(classes), context.folder / "segmentation.png")
        context.keep(
            Confusions(
                task="segmentation",
                counts=np.stack(counts),
                image_ids=context.test.source_ids,
                classes=classes,
                n_annotations=n,
                settings={
                    "classifier": "1x1 filters with bias on standardised channels, cross-entropy",
                    "layers": list(frozen[0].layers),
                    "dimension": len(mean),
                    "fitted_at": [settings.size, settings.size],
                    "judged_at": [steps.size, steps.size],
                    "steps": settings.steps,
                    "batch_size": settings.batch_size,
                    "lr": settings.lr,
                    "optimiser": "adam, cosine",
                },
            )
        )


def fit_classifier(
    inputs: HeadInputs,
    masks: Tensor,
    indices: Tensor,
    classes: int,
    mean: Tensor,
    deviation: Tensor,
    settings: SegmentationSettings,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """(filters (C, dim), bias (C,)) for the maps as they are, fitted on the images of ``indices`` with ``masks`` (N, H, W).

    Channels are standardised by ``mean`` and ``deviation``, which are folded into the filters afterwards.
    """
    device = inputs.device
    scale = 1 / deviation.clamp(min=1e-6)
    filters = torch.zeros(classes, len(mean), device=device, requires_grad=True)
    offset = torch.zeros(classes, device=device, requires_grad=True)
    optimiser = torch.optim.Adam([filters, offset], lr=settings.lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.steps)
    for _ in range(settings.steps):
        chosen = indices[torch.randint(len(indices), (settings.batch_size,), generator=generator)]
        maps = inputs.batch(chosen)
        wanted = functional.interpolate(masks[chosen][:, None].float(), maps.size, mode="nearest-exact")[:, 0].long()
        folded = filters * scale
        logits = maps.project(folded, offset - folded @ mean)
        loss = functional.cross_entropy(logits, wanted.to(device))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    folded = (filters * scale).detach()
    return folded, offset.detach() - folded @ mean


def given_classes(
    inputs: HeadInputs, count: int, size: tuple[int, int], filters: Tensor, bias: Tensor
) -> Iterator[Tensor]:
    """(B, H, W) classes of the first ``count`` images, a few at a time, the classifier read at ``size``."""
    for indices in torch.arange(count).split(PREDICTED_AT_ONCE):
        yield inputs.batch(indices).read(size, "none").project(filters, bias).argmax(1).cpu()


def confusion_counts(inputs: HeadInputs, masks: Tensor, filters: Tensor, bias: Tensor) -> np.ndarray:
    """(N, C, C): pixels of ``masks`` (N, H, W) by true and by predicted class, the classifier read at their size."""
    classes, size = len(bias), (masks.shape[1], masks.shape[2])
    counts: list[Tensor] = []
    given = given_classes(inputs, len(masks), size, filters, bias)
    for true, found in zip(masks.split(PREDICTED_AT_ONCE), given, strict=True):
        counts += [row.bincount(minlength=classes**2) for row in (true.long() * classes + found).flatten(1)]
    return torch.stack(counts).view(-1, classes, classes).numpy()
