"""The learning curve's three figures, on a held-out part of the *training* split: the test split is never looked at."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from lmbench.config.model import Probe
from lmbench.data.opening import OpenDataset
from lmbench.data.pixels import PixelStore
from lmbench.features import Extractor
from lmbench.heads.base import Subset
from lmbench.heads.conditioned import SoftargmaxConditioned
from lmbench.heads.draws import draw_subsets
from lmbench.heads.frozen import FrozenMaps, freeze_maps
from lmbench.heads.settings import SoftargmaxConditionedSettings
from lmbench.metrics.base import Metric, Predictions
from lmbench.metrics.scoring import matching_error
from lmbench.plugins.loading import Plugins
from lmbench.seeds import generator_for
from lmbench.specs import Preprocessing
from lmbench.tasks.matching import match_pairs

GRID = 24  # cells a side: a quarter of the cost of 48, and the probe compares epochs, not papers
PAIRS = 100


def probe_network(
    extractor: Extractor,
    dataset: OpenDataset,
    settings: Probe,
    seed: int,
    device: torch.device,
    alone: str | None,
    plugins: Plugins,
    scratch: Path,
) -> dict[str, float]:
    """``probe_matching_px`` (different images), ``probe_n10_iod`` (mean over draws) and ``probe_<layer>_iod``.

    A dataset that is judged by another metric first has that one's name in place of ``iod``.
    Half of ``settings.images`` training images fits, the other half judges; the same ones at every call. ``scratch`` is a
    folder for maps, gone afterwards.
    """
    fit, judge = _halves(dataset, settings, seed)
    figures = {"probe_matching_px": _matching(extractor, dataset, judge[0], seed, device)}
    try:
        frozen = [
            freeze_maps(extractor, p, scratch / n, device).read(GRID, "none")
            for n, p in (("fit", fit), ("judge", judge[1]))
        ]
        subsets = draw_subsets(len(fit), [min(settings.annotations, len(fit))], settings.draws, seed)
        name = dataset.spec.metrics[0]
        metric = plugins.find("metric", name).spec.load()
        figures[f"probe_n{settings.annotations}_{name}"] = _regression(
            frozen, fit, judge[1], dataset, subsets, settings, seed, metric
        )
        if alone is not None and alone in extractor.layers:
            single = [f.only(alone) for f in frozen]
            whole = [Subset("all", 0, torch.arange(len(fit)))]
            figures[f"probe_{alone}_{name}"] = _regression(
                single, fit, judge[1], dataset, whole, settings, seed, metric
            )
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return figures


def _halves(dataset: OpenDataset, settings: Probe, seed: int) -> tuple[PixelStore, tuple[PixelStore, PixelStore]]:
    """(fit, (judge without centre crop, judge)): two halves of the chosen images, whole identities where known."""
    steps = dataset.spec.preprocessing
    cropped, whole = dataset.pixels("train"), dataset.pixels("train", Preprocessing(steps.resize))
    order = np.argsort(cropped.identity, kind="stable") if (cropped.identity >= 0).all() else None
    if order is None:
        order = torch.randperm(len(cropped), generator=generator_for(seed, "probe")).numpy()
    chosen = order[: min(settings.images, len(order))]
    half = len(chosen) // 2
    first, second = np.sort(chosen[:half]), np.sort(chosen[half:])
    return cropped.select(first), (whole.select(second), cropped.select(second))


def _matching(extractor: Extractor, dataset: OpenDataset, judge: PixelStore, seed: int, device: torch.device) -> float:
    generator = generator_for(seed, "probe", "matching")
    crop = dataset.spec.preprocessing.crop
    _, different = match_pairs(extractor, judge, crop, "cl", PAIRS, "nearest", generator, device)
    return float(matching_error(different).aggregate[0])


def _regression(
    frozen: Sequence[FrozenMaps],
    fit: PixelStore,
    judge: PixelStore,
    dataset: OpenDataset,
    subsets: Sequence[Subset],
    settings: Probe,
    seed: int,
    metric: Metric,
) -> float:
    head = SoftargmaxConditioned(SoftargmaxConditionedSettings(steps=settings.steps))
    landmarks, visible = torch.from_numpy(np.array(fit.landmarks)), torch.from_numpy(np.array(fit.visible))
    fitted = head.fit(frozen[0], landmarks, visible, subsets, generator_for(seed, "probe", "head"))
    predictions = Predictions(
        task="regression",
        predicted=fitted.predict(frozen[1]).numpy(),
        target=np.array(judge.landmarks),
        visible=np.array(judge.visible),
        image_ids=judge.source_ids,
        image_size=judge.size,
        eyes=dataset.spec.eyes,
        normaliser_annotated=dataset.spec.hidden_annotated,
        landmark_names=dataset.spec.landmark_names,
        source_scale=judge.source_scale,
    )
    return float(metric(predictions).aggregate.mean())
