"""How the kit tries an objective: on the backbone, settings and earlier stages of a method that uses it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lmbench.errors import LmbenchError, UsageError
from lmbench.plugins.loading import Plugins
from lmbench.plugins.registry import Entry, is_family
from lmbench.specs import BackboneSpec, MethodSpec, ObjectiveSpec

if TYPE_CHECKING:
    from torch import Tensor, nn

    from lmbench.config.model import RunConfig
    from lmbench.features import Extractor

EMBEDDED = "lmbench:synthfaces"
SMALL_BATCH = 4
CELLS = 12
FRAME = 96


@dataclass(frozen=True)
class Trial:
    """An objective with all that is needed to build it and to give it images."""

    spec: ObjectiveSpec
    plugins: Plugins
    backbone: str
    backbone_settings: Any
    settings: Any
    frame: int
    parent: Trial | None = None
    reads: tuple[str, ...] = ()

    def build(self, seed: int = 0) -> tuple[Any, nn.Module]:
        """The objective and the backbone it trains, new, weights drawn under ``seed``, in training mode."""
        import torch

        parent = self.read_parent() if self.parent or self.spec.needs_parent else None
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            backbone = self.build_backbone()
            objective = self.spec.make(backbone, parent, self.settings)
        objective.train()
        return objective, backbone

    def build_backbone(self) -> nn.Module:
        from lmbench.backbones import build_backbone

        return build_backbone(self.backbone, self.backbone_settings, self.plugins)

    def read(self, network: nn.Module, layers: tuple[str, ...] = ()) -> Extractor:
        """The network as the runner reads it for a stage that learns from it: by ``layers``, or all maps, deepest first."""
        from lmbench.features import Extractor

        maps = self.plugins.find("backbone", self.backbone).spec.maps
        return Extractor(network, layers or [m.name for m in reversed(maps)], CELLS)

    def read_parent(self) -> Extractor:
        """What the stage before hands over, untrained; this stage's own backbone where none is known."""
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(2)
            if self.parent is None:
                return self.read(self.build_backbone(), self.reads)
            return self.parent.read(self.parent.build(2)[0].extractor().network, self.reads)

    def images(self) -> Tensor:
        """(B, 3, frame, frame) random images in [0, 1], the same at every call."""
        import torch

        count = max(self.spec.min_batch, SMALL_BATCH)
        return torch.rand(count, 3, self.frame, self.frame, generator=torch.Generator().manual_seed(0))


def find_trial(spec: ObjectiveSpec, plugins: Plugins) -> Trial:
    """The trial of an objective as the first method that uses it would train it, under its lightest preset.

    Without one: on the first backbone that has the maps it needs. Raises AssertionError where none has.
    """
    for entry in plugins.methods:
        if any(_finds(plugins, stage.objective, spec) for stage in entry.spec.stages):
            for config in resolutions(entry, plugins, lightest_only=True):
                trial: Trial | None = None
                for stage in config.stages.values():
                    found: ObjectiveSpec = plugins.find("objective", stage.objective).spec
                    settings, frame = stage.settings, stage.training.frame
                    place = (stage.backbone, stage.backbone_settings, settings, frame, trial, stage.reads)
                    trial = Trial(found, plugins, *place)
                    if found is spec:
                        return trial
    for candidate in plugins.backbones:
        backbone: BackboneSpec = candidate.spec
        if not is_family(backbone.name) and set(spec.needs_maps) <= {m.name for m in backbone.maps}:
            settings, frame = (backbone.settings(), spec.settings()), max(FRAME, backbone.min_size)
            return Trial(spec, plugins, candidate.qualified, *settings, frame)
    raise AssertionError(f"no method uses it and no backbone has the maps it needs: {', '.join(spec.needs_maps)}")


def resolutions(entry: Entry[MethodSpec], plugins: Plugins, lightest_only: bool = False) -> Iterator[RunConfig]:
    """The configuration of every preset and variant on the embedded data."""
    from lmbench.config import presets

    names = presets.names(entry.spec)
    for preset in names[:1] if lightest_only else names:
        for variant in entry.spec.variants:
            if not plugins.lacking(
                variant.needs
            ):  # else it is made of parts of another distribution, which is not here
                yield resolved(entry, plugins, preset, variant.name)


def resolved(
    entry: Entry[MethodSpec], plugins: Plugins, preset: str, variant: str, dataset: str = EMBEDDED
) -> RunConfig:
    """The configuration of one run, as ``lmbench run`` resolves it; what is wrong with it names variant and preset."""
    from lmbench.config.resolving import resolve_run

    try:
        return resolve_run(plugins, entry.qualified, dataset, preset=preset, variant=variant)
    except LmbenchError as error:
        raise AssertionError(f"variant {variant!r} of preset {preset!r}: {error}") from error


def _finds(plugins: Plugins, name: str, spec: ObjectiveSpec) -> bool:
    try:
        return plugins.find("objective", name).spec is spec
    except UsageError:
        return False
