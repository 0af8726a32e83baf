"""Whether the parts of a run fit together, told before data is opened: settings, maps, sizes, what tasks need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from lmbench.config.model import NO_NETWORK, Network, RunConfig, Stage
from lmbench.config.ranges import BackboneName, HeadName, MapOf
from lmbench.config.setting_types import hints, marks
from lmbench.config.values import at, require_files, settings_of
from lmbench.errors import UsageError, did_you_mean
from lmbench.plugins.loading import Plugins
from lmbench.plugins.registry import family_member
from lmbench.specs import BackboneSpec, Map, MapSpec, Spec, Surroundings, TaskSpec
from lmbench.training.views import ViewSettings

BACKBONE = "{backbone}"
"""Stands in recipes for the run's backbone."""


def completed(plugins: Plugins, config: RunConfig) -> RunConfig:
    """The configuration with the settings of every component as an object of their type.

    Raises UsageError, with its place, for an unknown component or setting and a value that cannot be.
    """
    parts = _Parts(plugins, config.backbone)
    stages = {name: parts.stage(name, stage) for name, stage in config.stages.items()}
    network = config.network if stages else parts.network(config.network)
    tasks = wanted_tasks(plugins, config.tasks)
    settings = {name: parts.settings(tasks[name], given, name) for name, given in config.settings.items()}
    return replace(config, stages=stages, network=network, settings=settings)


def wanted_tasks(plugins: Plugins, names: Sequence[str]) -> dict[str, TaskSpec]:
    """The tasks of a run and those that they use, by bare name, under which their sections stand.

    Raises UsageError for an unknown task, and for two of one bare name.
    """
    found: dict[str, TaskSpec] = {}
    asked_by: dict[str, str] = {}
    for name in names:
        spec = plugins.find("task", name).spec
        if spec.name in found:
            raise UsageError(
                f"tasks: {asked_by[spec.name]} and {name} have one name, and a run has one task of a name; ask for one of them."
            )
        found[spec.name], asked_by[spec.name] = spec, name
    waiting = list(found.values())
    for task in waiting:
        for name in task.uses:
            if name.rpartition(":")[2] not in found:
                used = plugins.find("task", name).spec
                found[used.name] = used
                waiting.append(used)
    return found


def settled(plugins: Plugins, backbone: str, spec: Spec, given: Any, place: str) -> Any:
    """The settings of one component, those of what they name in them. Raises UsageError as ``completed`` does."""
    return _Parts(plugins, backbone).settings(spec, given, place)


def find_at(plugins: Plugins, kind: str, name: str, place: str) -> Any:
    """The spec of a component that a setting names. Raises UsageError, with the setting's place, where there is none."""
    try:
        return plugins.find(kind, name).spec
    except UsageError as error:
        raise UsageError(f"{place}: {error}") from None


def require_fitting(plugins: Plugins, config: RunConfig) -> None:
    """Raises UsageError, with its place, for parts of a complete configuration that do not fit together; DataError for
    weights that are not there."""
    if config.pretrain_on:
        plugins.find("dataset", config.pretrain_on)
    for task in config.tasks:
        _require_needs(plugins, plugins.find("task", task).spec, config)
    before: Stage | None = None
    for name, stage in config.stages.items():
        _require_parent(plugins, name, stage, before)
        _require_stage(plugins, name, stage)
        before = stage
    around = Surroundings(
        maps_of=lambda name: maps_of(plugins, name),
        backbone=_backbone(plugins, config.network) if config.network else None,
        backbone_settings=config.network.backbone_settings,
        read=config.read,
        dataset=plugins.find("dataset", config.dataset).spec,
    )
    if around.backbone:
        place = "network" if before is None else f"stages.{before.name}"
        _require_member(plugins, config.network.backbone, f"{place}.backbone")
        _require_fit(plugins, around.backbone, config.network.backbone_settings, f"{place}.backbone_settings", around)
        _require_readable(plugins, config)
    elif config.read.layers not in ((), ("*",)):
        raise UsageError(
            f"read.layers: {config.method} {config.variant} has no network, and so no maps: leave it empty."
        )
    tasks = wanted_tasks(plugins, config.tasks)
    for name, settings in config.settings.items():
        _require_fit(plugins, tasks[name], settings, name, around)


@dataclass(frozen=True)
class Named:
    """A component that a setting names: the setting, what it names, and the setting that holds that component's own."""

    kind: str
    setting: str
    name: str
    settings: str


def named_in(settings: Any) -> Iterator[Named]:
    """The components that settings name, by the marks beside their types."""
    for setting, hint in hints(type(settings)).items():
        for mark in marks(hint):
            if isinstance(mark, BackboneName | HeadName):
                kind = "head" if isinstance(mark, HeadName) else "backbone"
                yield Named(kind, setting, getattr(settings, setting), mark.settings)


def maps_of(plugins: Plugins, name: str, settings: Any = None) -> Mapping[str, Map]:
    """The maps of a backbone by name, their channels as numbers; none where only the network itself knows them."""
    spec = plugins.find("backbone", name).spec
    return {m.name: m.of(spec.settings() if settings is None else settings) for m in spec.maps}


@dataclass(frozen=True)
class _Parts:
    """Completes the settings of components; ``backbone`` is the run's."""

    plugins: Plugins
    backbone: str

    def stage(self, name: str, stage: Stage) -> Stage:
        backbone = stage.backbone.replace(BACKBONE, self.backbone)
        objective = find_at(self.plugins, "objective", stage.objective, f"stages.{name}.objective")
        return replace(
            stage,
            backbone=backbone,
            settings=self.settings(objective, stage.settings, f"stages.{name}.settings"),
            backbone_settings=self._of("backbone", backbone, stage.backbone_settings, f"stages.{name}", "backbone"),
        )

    def network(self, network: Network) -> Network:
        backbone = network.backbone.replace(BACKBONE, self.backbone)
        if backbone == NO_NETWORK:
            if network.backbone_settings != {}:
                raise UsageError("network.backbone_settings: the variant has no network, and so no settings of one.")
            return Network(backbone=backbone)
        given = self._of("backbone", backbone, network.backbone_settings, "network", "backbone")
        return Network(backbone=backbone, backbone_settings=given)

    def _of(self, kind: str, name: str, given: Any, place: str, setting: str, own: str = "backbone_settings") -> Any:
        """The settings of the component that ``setting`` names at a place, where ``own`` holds them."""
        return self.settings(find_at(self.plugins, kind, name, f"{place}.{setting}"), given, f"{place}.{own}")

    def settings(self, spec: Spec, given: Any, place: str) -> Any:
        """The settings of a component, those of the components that they name in them."""
        settings = settings_of(spec, given, place)
        for part in named_in(settings):
            name = part.name.replace(BACKBONE, self.backbone)
            changes: dict[str, Any] = {part.setting: name}
            if part.settings:
                inside = getattr(settings, part.settings)
                changes[part.settings] = self._of(part.kind, name, inside, place, part.setting, part.settings)
            settings = replace(settings, **changes)
        return settings


def _backbone(plugins: Plugins, part: Network | Stage) -> BackboneSpec:
    """The spec of a backbone with the channels that its settings give its maps."""
    spec: BackboneSpec = plugins.find("backbone", part.backbone).spec
    return replace(spec, maps=tuple(maps_of(plugins, part.backbone, part.backbone_settings).values()))


def _require_stage(plugins: Plugins, name: str, stage: Stage) -> None:
    objective = plugins.find("objective", stage.objective).spec
    backbone, training, place = _backbone(plugins, stage), stage.training, f"stages.{name}"
    maps = {m.name for m in backbone.maps}
    missing = [m for m in objective.needs_maps if m not in maps]
    if missing:
        raise UsageError(
            f"stage {name}: {stage.objective} reads the maps {', '.join(objective.needs_maps)}; "
            f"{stage.backbone} has {', '.join(sorted(maps))}."
        )
    if training.batch_size < objective.min_batch:
        raise UsageError(
            f"stage {name}: {stage.objective} needs batches of at least {objective.min_batch}, not {training.batch_size}."
        )
    if training.frame < backbone.min_size:
        raise UsageError(
            f"{place}.training.frame = {training.frame}: {stage.backbone} needs {backbone.min_size} pixels a side or more."
        )
    around = Surroundings(
        maps_of=lambda wanted: maps_of(plugins, wanted),
        backbone=backbone,
        backbone_settings=stage.backbone_settings,
        frame=training.frame,
        batch_size=min(training.batch_size, training.images or training.batch_size),
    )
    _require_member(plugins, stage.backbone, f"{place}.backbone")
    _require_fit(plugins, backbone, stage.backbone_settings, f"{place}.backbone_settings", around)
    _require_fit(plugins, objective, stage.settings, f"{place}.settings", around)
    _require_views(stage.settings, f"{place}.settings", backbone)


def _require_fit(plugins: Plugins, spec: Spec, settings: Any, place: str, around: Surroundings) -> None:
    """Refuses settings that do not fit what lies around them, those of the components that they name among them."""
    around = replace(around, fixed=spec.fixed)
    require_files(settings, place)
    _require_maps(plugins, settings, place, around)
    for part in named_in(settings):
        if part.kind == "backbone":
            _require_member(plugins, part.name, f"{place}.{part.setting}")
    if hasattr(settings, "fits"):
        try:
            settings.fits(around)
        except (UsageError, ValueError, TypeError) as error:
            raise at(place, type(settings), error) from None
    for part in named_in(settings):
        if part.settings:
            inside, where = getattr(settings, part.settings), f"{place}.{part.settings}"
            _require_fit(plugins, plugins.find(part.kind, part.name).spec, inside, where, around)


def _require_member(plugins: Plugins, name: str, place: str) -> None:
    """Refuses a name that its family does not know, as far as the package that knows its names is here."""
    spec: BackboneSpec = plugins.find("backbone", name).spec
    if not spec.member_check:
        return
    try:
        spec.load(spec.member_check)(family_member(spec.name, name))
    except ImportError:
        return  # what is missing is told where the network is made
    except UsageError as error:
        raise UsageError(f"{place}: {error}") from None


def _require_maps(plugins: Plugins, settings: Any, place: str, around: Surroundings) -> None:
    """Refuses a map that its backbone does not have."""
    for name, hint in hints(type(settings)).items():
        value = getattr(settings, name)
        for mark in (m for m in marks(hint) if isinstance(m, MapOf)):
            backbone, maps = _named(plugins, settings, mark, around)
            names = (value,) if isinstance(value, str) else tuple(value or ())
            foreign = [wanted for wanted in names if maps and wanted not in maps]
            if foreign:
                has = f"it has {', '.join(maps)}"
                raise UsageError(
                    f"{place}.{name}: {backbone} has no map {foreign[0]!r}; {has}.{did_you_mean(foreign[0], maps)}"
                )


def _named(plugins: Plugins, settings: Any, mark: MapOf, around: Surroundings) -> tuple[str, Mapping[str, MapSpec]]:
    """The backbone that a setting names maps of, and the maps it is known to have."""
    if not mark.setting:
        spec = around.backbone
        return (spec.name, {m.name: m for m in spec.maps}) if spec else ("", {})
    name = around.fixed[mark.setting] if mark.setting in around.fixed else getattr(settings, mark.setting)
    return name, maps_of(plugins, name)


def _require_views(settings: Any, place: str, backbone: BackboneSpec) -> None:
    """Refuses views that the backbone does not survive."""
    for field in fields(settings):
        view = getattr(settings, field.name)
        if isinstance(view, ViewSettings):
            side = getattr(view, "side", view.size)
            if side < backbone.min_size:
                raise UsageError(
                    f"{place}.{field.name}: views of {side} pixels; {backbone.name} needs "
                    f"{backbone.min_size} a side or more."
                )


def _require_readable(plugins: Plugins, config: RunConfig) -> None:
    """Refuses layers that the judged network does not have, and images that are too small for it."""
    read, network = config.read, plugins.find("backbone", config.network.backbone).spec
    maps = [m.name for m in network.maps]
    foreign = [layer for layer in read.layers if maps and layer not in maps]
    if foreign:
        raise UsageError(
            f"read.layers: {config.network.backbone} has no map {foreign[0]!r}; it has {', '.join(sorted(maps))}."
        )
    if not read.layers:
        raise UsageError("read.layers: no map is named; one or more, deepest first, are judged.")
    size = plugins.find("dataset", config.dataset).spec.preprocessing.size
    if size < network.min_size:
        raise UsageError(
            f"{config.dataset} has images of {size} pixels; {config.network.backbone} needs {network.min_size} a side or more."
        )


def _require_needs(plugins: Plugins, task: TaskSpec, config: RunConfig) -> None:
    """Refuses a task that the method or the dataset cannot be judged by."""
    if "network" in task.needs and not config.network:
        others = _tasks(plugins, lambda t: "network" not in t.needs)
        raise UsageError(
            f"{config.method} has no network, which {task.name} needs; it can be judged by --tasks {others}."
        )
    data = plugins.find("dataset", config.dataset).spec
    if "landmarks" in task.needs and not data.has_landmarks:
        others = _tasks(plugins, lambda t: "masks" in t.needs)
        raise UsageError(
            f"{task.name} needs annotated landmarks, and {config.dataset} has masks: use --tasks {others}."
        )
    if "masks" in task.needs and not data.classes:
        raise UsageError(f"{task.name} needs a class for every pixel, and {config.dataset} has landmarks alone.")


def _tasks(plugins: Plugins, fitting: Any) -> str:
    return ",".join(e.spec.name for e in plugins.tasks if fitting(e.spec))


def _require_parent(plugins: Plugins, name: str, stage: Stage, before: Stage | None) -> None:
    """Refuses a stage that needs another one before it, or other maps or another network than that has."""
    if before is None:
        if stage.reads or stage.starts_from_parent or plugins.find("objective", stage.objective).spec.needs_parent:
            setting, learns = "objective", "learns from"
            if stage.starts_from_parent:
                setting, learns = "starts_from_parent", "starts from"
            elif stage.reads:
                setting, learns = "reads", "reads maps of"
            raise UsageError(
                f"stages.{name}.{setting}: {stage.objective} {learns} an earlier stage, and there is none before it."
            )
        return
    if stage.starts_from_parent and stage.backbone != before.backbone:
        raise UsageError(
            f"stages.{name}.starts_from_parent: the stage before trains {before.backbone}, this one {stage.backbone}."
        )
    maps = list(maps_of(plugins, before.backbone))
    foreign = [m for m in stage.reads if m not in maps]
    if foreign:
        raise UsageError(
            f"stages.{name}.reads: {before.backbone} of the stage before has no map {foreign[0]!r}; it has {', '.join(maps)}."
        )
