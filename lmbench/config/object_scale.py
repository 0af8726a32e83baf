"""How large the object stands in a stage's training views, compared with the test images; see docs/protocol.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from statistics import fmean
from typing import TypedDict

from lmbench.config.model import RunConfig, Stage
from lmbench.config.plain import Tree
from lmbench.config.values import complete
from lmbench.plugins.loading import Plugins
from lmbench.specs import DatasetSpec
from lmbench.training.cuts import Cuts, Shown

TOLERANCE = 0.1
"""A stage whose ratio is further from 1 has its views cut otherwise, where its preset is not the paper's or the tests'."""
MATCHED_PRESETS = ("quick", "small")


class StatedScale(TypedDict):
    """`ObjectScale` as plans and records state it."""

    ratio: float
    frames: str


@dataclass(frozen=True)
class ObjectScale:
    """``ratio``: pixels of a mean training view for pixels of the test image, of the same object; above 1 training views show
    it larger. ``frames``: how the object's share of the two datasets' frames was compared."""

    ratio: float
    frames: str

    @property
    def off(self) -> bool:
        """Whether the two differ by more than a tenth."""
        return abs(self.ratio - 1) > TOLERANCE

    def entry(self) -> StatedScale:
        """The ratio to a thousandth, as plans and records state it."""
        return {"ratio": round(self.ratio, 3), "frames": self.frames}


def object_scales(config: RunConfig, plugins: Plugins) -> dict[str, ObjectScale | None]:
    """The ratio of every stage; None where its objective does not say how its views are cut, or where they cannot be."""
    return {name: _Stage(config, stage, plugins).scale() for name, stage in config.stages.items()}


def matched(config: RunConfig, plugins: Plugins, asked: Tree) -> RunConfig:
    """The configuration with views that show the object as large as the test images do.

    Stages within a tenth of that stay as their preset has them, and so do those whose frame or whose cut was ``asked`` for,
    and the presets ``paper`` (as printed) and ``smoke``.
    """
    if config.preset not in MATCHED_PRESETS:
        return config
    stages = dict(config.stages)
    for name, stage in config.stages.items():
        about, given = _Stage(config, stage, plugins), _table(_table(asked, "stages"), name)
        scale = about.scale()
        if scale is None or not scale.off or "frame" in _table(given, "training"):
            continue
        changed = about.cuts.showing(about.settings, stage.training.frame, about.wanted)
        if not _overlap(changed.settings, _table(given, "settings")):
            training = replace(stage.training, frame=changed.frame)
            settings = complete(type(stage.settings), changed.settings, f"stages.{name}.settings", stage.settings)
            stages[name] = replace(stage, settings=settings, training=training)
    return replace(config, stages=stages)


def unequal_scales(config: RunConfig, plugins: Plugins) -> list[str]:
    """A line for each stage whose views show the object at another size than the test images do; none in `smoke`."""
    off = {n: s for n, s in object_scales(config, plugins).items() if s is not None and s.off}
    if config.preset == "smoke":
        return []
    why = "as preset paper has it" if config.preset == "paper" else "as it was set"
    return [
        f"stage {name}: training views show the object {s.ratio:.2f} times as large as test images do, {why} ({s.frames})."
        for name, s in off.items()
    ]


class _Stage:
    """What the cuts of one stage depends on."""

    cuts: Cuts

    def __init__(self, config: RunConfig, stage: Stage, plugins: Plugins) -> None:
        plugins = plugins.of_recipe(config.method, config.variant)
        objective = plugins.find("objective", stage.objective).spec
        backbone = plugins.find("backbone", stage.backbone).spec
        self.known = objective.cuts is not None
        self.cuts = objective.cuts or Cuts()
        self.settings = asdict(stage.settings)
        self.frame = stage.training.frame
        self.resized = bool(backbone.resizes_to and getattr(stage.backbone_settings, backbone.resizes_to))
        target = plugins.find("dataset", config.dataset).spec
        same = stage.data == "target" or config.pretrain_on in ("", config.dataset)
        source = target if same else plugins.find("dataset", config.pretrain_on).spec
        larger, self.frames = (1.0, "the same dataset") if same else _compare(source, target)
        self.test = target.preprocessing.size
        # A whole frame of so many pixels shows the object as large as a test image does.
        self.whole = target.preprocessing.resize / larger

    def wanted(self, side: float) -> float:
        """The part of the frame that a view of ``side`` pixels has to show."""
        return (self.test if self.resized else side) / self.whole

    def scale(self) -> ObjectScale | None:
        """How large the object stands in a mean view, a network that resizes what it reads having both at one size."""
        if not self.known:
            return None
        views: list[Shown] = self.cuts.shown(self.settings, self.frame)
        return ObjectScale(fmean(self.wanted(view.side) / view.part for view in views), self.frames)


def _compare(source: DatasetSpec, target: DatasetSpec) -> tuple[float, str]:
    """(how many times as large as in the target's frame the object stands in the source's, by what that is known)."""
    ours, theirs = source.object_size, target.object_size
    if ours and theirs and ours[0] == theirs[0]:
        return ours[1] / theirs[1], f"{ours[0]}: {ours[1]:g} of {source.name}'s frame, {theirs[1]:g} of {target.name}'s"
    return 1.0, f"taken as large in a frame of {source.name} as in one of {target.name}: not both state it"


def _table(values: Tree, name: str) -> Tree:
    found = values.get(name)
    return found if isinstance(found, Mapping) else {}


def _overlap(one: Tree, other: Tree) -> bool:
    """Whether two trees of settings set one and the same thing."""
    both = set(one) & set(other)
    return any(
        _overlap(one[k], other[k]) if isinstance(one[k], Mapping) and isinstance(other[k], Mapping) else True
        for k in both
    )
