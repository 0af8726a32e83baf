"""The learning curve's three figures, on a held-out part of the *training* split: the test split is never looked at."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from lmbench import progress
from lmbench.config.model import Probe, digest_of, plain
from lmbench.data.opening import OpenDataset
from lmbench.data.pixels import PixelStore
from lmbench.features import Extractor, Normalise
from lmbench.geometry.framing import Preprocessing
from lmbench.heads.base import Subset
from lmbench.heads.converged import Converged
from lmbench.heads.draws import draw_subsets
from lmbench.heads.frozen import FrozenMaps, freeze_maps
from lmbench.heads.settings import ConvergedSettings
from lmbench.metrics.base import Metric
from lmbench.metrics.scoring import matching_error
from lmbench.plugins.loading import Plugins
from lmbench.seeds import generator_for
from lmbench.tasks.matching import match_pairs
from lmbench.tasks.regression import judged_by
from lmbench.tasks.settings import MatchingSettings
from lmbench.training.objective import Objective

GRID = 24  # cells a side: a quarter of the cost of 48, and the probe compares epochs, not papers
MATCHING = MatchingSettings(pairs=100)
ALONE = "conv4_x"  # the layer that is judged by itself, where it is read


@dataclass(frozen=True)
class StageProbe:
    """How a network that is being trained is looked at: ``every`` so many epochs and after the ``last``.

    ``layers``, ``size`` and ``normalise``: how it is read; ``scratch``: a folder for maps, gone after each look.
    """

    dataset: OpenDataset
    settings: Probe
    seed: int
    device: torch.device
    plugins: Plugins
    scratch: Path
    layers: tuple[str, ...]
    size: int
    normalise: Normalise
    every: int
    last: int

    @property
    def key(self) -> str:
        """The digest of all that its figures depend on besides the network."""
        steps = asdict(self.dataset.spec.preprocessing)
        read = [self.layers, self.size, self.normalise]
        return digest_of([plain(self.settings), read, self.dataset.fingerprint, steps])

    def look(self, objective: Objective, epoch: int) -> dict[str, float]:
        """The figures of what an objective would leave now; none between two looks."""
        if epoch % self.every and epoch != self.last:
            return {}
        network = copy.deepcopy(objective.extractor().network)
        figures = self.figures(Extractor.of(network, self.layers, self.size, self.normalise).to(self.device))
        said = ", ".join(f"{name.removeprefix('probe_')} {value:.2f}" for name, value in figures.items())
        progress.say(f"  epoch {epoch}: {said}")
        return figures

    def figures(self, extractor: Extractor) -> dict[str, float]:
        """``probe_matching_px`` (different images), ``probe_n200_iod`` (mean over draws) and ``probe_<layer>_iod``.

        A dataset that is judged by another metric first has that one's name in place of ``iod``. Half of
        ``settings.images`` training images fits, the other half judges; the same ones at every look.
        """
        fit, (whole, judge) = self._halves()
        figures = {"probe_matching_px": self._matching(extractor, whole)}
        try:
            frozen = [
                freeze_maps(extractor, p, self.scratch / n, self.device).read(GRID, "none")
                for n, p in (("fit", fit), ("judge", judge))
            ]
            n = min(self.settings.annotations, len(fit))  # of a small folder all there are, and the figure is called so
            name = self.dataset.spec.metrics[0]
            metric = self.plugins.find("metric", name).spec.load()
            subsets = draw_subsets(len(fit), [n], self.settings.draws, self.seed)
            figures[f"probe_n{n}_{name}"] = self._regression(frozen, fit, judge, subsets, metric)
            if ALONE in extractor.layers:
                single = [f.only(ALONE) for f in frozen]
                subsets = [Subset("all", 0, torch.arange(len(fit)))]
                figures[f"probe_{ALONE}_{name}"] = self._regression(single, fit, judge, subsets, metric)
        finally:
            shutil.rmtree(self.scratch, ignore_errors=True)
        return figures

    def _halves(self) -> tuple[PixelStore, tuple[PixelStore, PixelStore]]:
        """(fit, (judge without centre crop, judge)): two halves of the chosen images, whole identities where known."""
        steps = self.dataset.spec.preprocessing
        cropped, whole = self.dataset.pixels("train"), self.dataset.pixels("train", Preprocessing(steps.resize))
        order = np.argsort(cropped.identity, kind="stable") if (cropped.identity >= 0).all() else None
        if order is None:
            order = torch.randperm(len(cropped), generator=generator_for(self.seed, "probe")).numpy()
        chosen = order[: min(self.settings.images, len(order))]
        half = len(chosen) // 2
        first, second = np.sort(chosen[:half]), np.sort(chosen[half:])
        return cropped.select(first), (whole.select(second), cropped.select(second))

    def _matching(self, extractor: Extractor, judge: PixelStore) -> float:
        generator = generator_for(self.seed, "probe", "matching")
        crop = self.dataset.spec.preprocessing.crop
        _, different = match_pairs(extractor, judge, crop, MATCHING, generator, self.device)
        return float(matching_error(different).aggregate[0])

    def _regression(
        self,
        frozen: Sequence[FrozenMaps],
        fit: PixelStore,
        judge: PixelStore,
        subsets: Sequence[Subset],
        metric: Metric,
    ) -> float:
        head = Converged(ConvergedSettings())
        landmarks, visible = torch.from_numpy(np.array(fit.landmarks)), torch.from_numpy(np.array(fit.visible))
        fitted = head.fit(frozen[0], landmarks, visible, subsets, generator_for(self.seed, "probe", "head"))
        predictions = judged_by(self.dataset.spec, judge, fitted.predict(frozen[1]).numpy(), "visible")
        return float(metric(predictions).aggregate.mean())
