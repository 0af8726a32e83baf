"""What a task is given, and nothing else: frozen output, the dataset, the protocol's settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from lmbench.config.model import RunConfig
from lmbench.data.opening import OpenDataset
from lmbench.data.pixels import PixelStore
from lmbench.features import Extractor
from lmbench.heads.base import FittedHeads
from lmbench.heads.frozen import FrozenMaps
from lmbench.metrics.base import Predictions
from lmbench.metrics.pixels import Confusions
from lmbench.plugins.loading import Plugins


@dataclass(frozen=True)
class TaskContext:
    """One evaluation of one frozen network on one dataset.

    ``extractor`` is ``None`` for a method without a network. ``frozen(split)`` computes the frozen maps of a split once.
    ``keep`` stores predictions; ``kept(name)`` says whether an interrupted run has stored them already (``kept(name,
    Confusions)`` for those of pixels).
    ``scratch`` is a folder for what need not outlive the run. ``fitted``: heads that several tasks share, by name.
    """

    config: RunConfig
    dataset: OpenDataset
    extractor: Extractor | None
    device: torch.device
    plugins: Plugins
    train: PixelStore
    test: PixelStore
    frozen: Callable[[str], FrozenMaps]
    keep: Callable[[Predictions | Confusions], None]
    kept: Callable[..., bool]
    heads_folder: Path
    scratch: Path
    fitted: dict[str, FittedHeads] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """The run's folder, for pictures."""
        return self.heads_folder.parent
