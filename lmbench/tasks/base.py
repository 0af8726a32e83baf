"""What a task is given, and nothing else: frozen output, the dataset, the protocol's settings, a place for its results."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from lmbench import progress
from lmbench.config.model import RunConfig
from lmbench.data.opening import OpenDataset
from lmbench.data.pixels import PixelStore
from lmbench.errors import DataError, PluginError, UsageError
from lmbench.features import Extractor
from lmbench.heads.base import FittedHeads
from lmbench.heads.frozen import FrozenMaps, freeze_maps
from lmbench.metrics.stored import StoredResult
from lmbench.plugins.loading import Plugins
from lmbench.results import identity
from lmbench.results.measuring import read_stored
from lmbench.results.record import HEADS, PREDICTIONS
from lmbench.specs import TaskSpec


@dataclass(frozen=True)
class TaskContext:
    """One evaluation of one frozen network on one dataset, in the folder of its run.

    ``extractor`` is ``None`` for a method without a network, and before anything is trained. ``results``: all that tasks have
    kept so far, by name; ``fitted``: heads that several tasks share; ``encoded``: the splits' frozen maps; ``seconds``: how
    long each task took.
    """

    config: RunConfig
    dataset: OpenDataset
    device: torch.device
    plugins: Plugins
    folder: Path
    extractor: Extractor | None = None
    results: dict[str, StoredResult] = field(default_factory=dict)
    fitted: dict[str, FittedHeads] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    encoded: dict[str, FrozenMaps] = field(default_factory=dict)

    @cached_property
    def train(self) -> PixelStore:
        """The training images that heads are fitted on, with their annotations."""
        return self.dataset.pixels("train").first(self.config.train_images)

    @cached_property
    def test(self) -> PixelStore:
        """The images that are judged."""
        return self.dataset.pixels("test").first(self.config.test_images)

    @property
    def network(self) -> Extractor:
        """The frozen network. Raises UsageError where there is none, which ``needs`` of a task tells earlier."""
        if self.extractor is None:
            raise UsageError("this method has no network to judge by such a task (see `needs` of TaskSpec).")
        return self.extractor

    @property
    def scratch(self) -> Path:
        """A folder for what need not outlive the run."""
        return self.folder / identity.FROZEN

    @property
    def heads_folder(self) -> Path:
        """Where fitted heads are kept."""
        return self.folder / HEADS

    def settings_of(self, task: str) -> Any:
        """The settings of a task, of this or of one that it ``uses``."""
        return self.config.settings_of(task)

    def frozen(self, split: str) -> FrozenMaps:
        """The frozen maps of ``train`` or ``test``, computed once and read as the run reads them."""
        if split not in self.encoded:
            pixels = self.train if split == "train" else self.test
            self.encoded[split] = self.freeze(pixels, split, f"encoding {split}")
        return self.encoded[split]

    def freeze(self, pixels: PixelStore, name: str, label: str) -> FrozenMaps:
        """The frozen maps of some images, computed once and kept below ``scratch`` under a name."""
        place = self.scratch / name
        return freeze_maps(self.network, pixels, place, self.device, self.config.encode_batch, label)

    def keep(self, result: StoredResult) -> None:
        """Stores a result in the run's folder, for its metrics and for whoever computes them again.

        Raises PluginError where it is of another type than its task says.
        """
        require_type(result, self.plugins.find("task", result.task).spec)
        result.write(self.folder / PREDICTIONS)
        self.results[result.name] = result

    def kept(self, name: str) -> bool:
        """Whether an interrupted run has stored this result already, whole, with the head behind it: it is taken from there."""
        try:
            found = read_stored(self.folder / PREDICTIONS, name, self.plugins)
            if found is not None:
                identity.check_head(self.folder, name)
        except DataError as damaged:
            progress.say(f"{damaged} It is made again now.")
            return False
        if found is not None:
            self.results[name] = found
        return found is not None

    def results_of(self, task: str) -> list[StoredResult]:
        """What one task has kept, in its order."""
        return [result for result in self.results.values() if result.task == task]


def type_of_results(spec: TaskSpec) -> type[StoredResult]:
    """What a task keeps. Raises PluginError where its spec names no such type."""
    try:
        kind = spec.load(spec.predictions)
    except (ImportError, AttributeError, ValueError) as error:
        raise PluginError(f"task {spec.name}: predictions: {spec.predictions} cannot be loaded: {error}.") from None
    if not (isinstance(kind, type) and issubclass(kind, StoredResult)):
        raise PluginError(f"task {spec.name}: predictions: {spec.predictions} is no StoredResult.")
    return kind


def require_type(result: StoredResult, spec: TaskSpec) -> None:
    """Raises PluginError where a result is not of the type that its task's spec names: nobody could read it again."""
    if not isinstance(result, type_of_results(spec)):
        raise PluginError(
            f"task {spec.name} gives {type(result).__name__}; expected {spec.predictions}, which its spec names: set "
            "`predictions` of TaskSpec."
        )


def evaluate(context: TaskContext) -> None:
    """Runs every task of the run; what they find out is in ``results`` afterwards, and in the run's folder."""
    for name in context.config.tasks:
        started, spec = time.monotonic(), context.plugins.find("task", name).spec
        spec.make(context, context.settings_of(spec.name))
        context.seconds[spec.name] = time.monotonic() - started
