"""Landmark matching: annotated points of one image found in a warped copy of it and in another image.

Pairs, warps and readings follow the reference code (shared protocol notes, sec. 3): of images (2k, 2k+1) the source is
view A of 2k, ``same`` is view B of 2k, ``different`` is view B of 2k+1; both images of a pair are warped, at half the
training strength, before the centre crop.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from lmbench import progress
from lmbench.data.pixels import PixelStore
from lmbench.errors import UsageError
from lmbench.features import Extractor
from lmbench.geometry.framing import Preprocessing
from lmbench.geometry.heatmaps import argmax_points
from lmbench.geometry.strength import EVAL_PAIR
from lmbench.geometry.warps import PointMode, WarpedPairs, warp_pairs
from lmbench.metrics.base import Predictions
from lmbench.metrics.readings import READINGS, SIDE
from lmbench.seeds import generator_for
from lmbench.tasks.base import TaskContext
from lmbench.tasks.settings import MatchingSettings

PAIRS_AT_ONCE = 16


def run(context: TaskContext, settings: MatchingSettings) -> None:
    """Keeps the matches of ``same`` and of ``different`` pairs. Raises UsageError for fewer than two test images."""
    if context.kept("matching-same") and context.kept("matching-different"):
        return
    steps = context.dataset.spec.preprocessing
    whole = context.dataset.pixels("test", Preprocessing(steps.resize)).first(context.config.test_images)
    generator = generator_for(context.config.seed, "matching")
    for matches in match_pairs(context.network, whole, steps.crop, settings, generator, context.device):
        context.keep(matches)


def match_pairs(
    extractor: Extractor,
    pixels: PixelStore,
    crop: int,
    settings: MatchingSettings,
    generator: torch.Generator,
    device: torch.device,
) -> tuple[Predictions, Predictions]:
    """(same, different) predictions of up to ``settings.pairs`` pairs of the uncropped images of ``pixels``."""
    reading = READINGS[settings.reading]
    sources, partners = choose_pairs(pixels.identity, settings.pairs)
    side = pixels.size - 2 * crop
    matches: dict[str, list[np.ndarray]] = {"same": [], "different": []}
    targets: dict[str, list[np.ndarray]] = {"same": [], "different": []}
    with progress.task("matching", len(sources), "pairs") as bar:
        for count, views in paired_views(pixels, sources, partners, crop, settings.points, generator, device):
            assert views.landmarks_a is not None and views.landmarks_b is not None
            source = extractor.maps(views.view_a[0::2]).read(reading.cells, reading.normalise)
            queries = source.sample(reading.to_cells(views.landmarks_a[0::2], side))
            for kind, which in (("same", slice(0, None, 2)), ("different", slice(1, None, 2))):
                target = extractor.maps(views.view_b[which]).read(reading.cells, reading.normalise)
                cells = argmax_points(target.similarity(queries))
                matches[kind].append(reading.to_pixels(cells, side).cpu().numpy())
                targets[kind].append(views.landmarks_b[which].double().cpu().numpy())
            bar.advance(count)
    protocol = {
        "reading": settings.reading,
        "grid": [reading.cells, reading.cells],
        "normalise": reading.normalise,
        "layers": list(extractor.layers),
        "pairs": len(sources),
        "pairing": "images 2k and 2k+1" if (pixels.identity < 0).any() else "image 2k and the next of another identity",
        "landmark_warp": settings.points,
        "warp": vars(EVAL_PAIR),
        "scale": f"px at {SIDE} ({reading.extent(SIDE)}/{reading.extent(96)})",
    }
    seen = np.array(pixels.visible)
    results = []
    for kind, others in (("same", sources), ("different", partners)):
        ids = [f"{pixels.source_ids[i]} -> {pixels.source_ids[j]}" for i, j in zip(sources, others, strict=True)]
        results.append(
            Predictions(
                task="matching",
                predicted=np.concatenate(matches[kind])[None],
                target=np.concatenate(targets[kind]),
                visible=seen[sources] & seen[others],
                image_ids=np.array(ids),
                image_size=side,
                subset=kind,
                settings=protocol,
            )
        )
    return results[0], results[1]


def paired_views(
    pixels: PixelStore,
    sources: np.ndarray,
    partners: np.ndarray,
    crop: int,
    points: PointMode,
    generator: torch.Generator,
    device: torch.device,
) -> Iterator[tuple[int, WarpedPairs]]:
    """(how many, views) of some pairs at a time: two views of each image, source and partner in turn as the reference draws them.

    A generator of the same seed gives the same views.
    """
    for start in range(0, len(sources), PAIRS_AT_ONCE):
        a, b = sources[start : start + PAIRS_AT_ONCE], partners[start : start + PAIRS_AT_ONCE]
        interleaved = np.stack([a, b], 1).ravel()
        landmarks = torch.from_numpy(np.array(pixels.landmarks[interleaved])).to(device)
        images = pixels.batch(interleaved, device)
        yield len(a), warp_pairs(images, landmarks, EVAL_PAIR, generator, 1.0, 1.0, crop, points)


def choose_pairs(identity: np.ndarray, pairs: int) -> tuple[np.ndarray, np.ndarray]:
    """(sources, partners): images 2k and 2k+1; where identities are known, the next image of *another* identity.

    Raises UsageError where no two images can be paired.
    """
    count = len(identity)
    sources: list[int] = []
    partners: list[int] = []
    for source in range(0, count - 1, 2):
        if len(sources) == pairs:
            break
        steps = [j % count for j in range(source + 1, source + count)]
        partner = next((j for j in steps if identity[source] < 0 or identity[j] != identity[source]), None)
        if partner is not None:
            sources.append(source)
            partners.append(partner)
    if not sources:
        raise UsageError("matching needs at least two test images of different identity.")
    return np.array(sources), np.array(partners)
