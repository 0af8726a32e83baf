"""Whether the parts of a run fit together, told before data is opened: settings, maps, sizes, what tasks need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from lmbench.config.model import ReadConfig, RunConfig, StageConfig
from lmbench.config.ranges import BackboneName, MapOf, WeightsFile
from lmbench.config.setting_types import hints, marks
from lmbench.config.values import arguments, only, settings_of
from lmbench.errors import UsageError, did_you_mean
from lmbench.plugins.loading import Plugins
from lmbench.specs import BackboneSpec, MapSpec, MethodSpec, Spec, Surroundings
from lmbench.training.views import ViewSettings


def fitted(plugins: Plugins, spec: MethodSpec, config: RunConfig) -> RunConfig:
    """The configuration with every setting of the type that it has in its component.

    Raises UsageError, with its place, for an unknown component or setting, a value that cannot be, and parts that do not
    fit together; DataError for weights that are not there.
    """
    for task in config.tasks:
        _check_needs(plugins, task, spec, config)
    regression, read = config.regression, config.read
    head = plugins.find("head", regression.head).spec
    given = _checked(plugins, head, regression.head_settings, "regression.head_settings")
    regression = regression.model_copy(update={"head_settings": given})
    if config.pretrain_on:
        plugins.find("dataset", config.pretrain_on)
    stages: dict[str, StageConfig] = {}
    before: StageConfig | None = None
    for name, stage in config.stages.items():
        _check_parent(plugins, name, stage, before)
        before = stages[name] = _checked_stage(plugins, name, stage)
    if read.backbone != "none":
        network = plugins.find("backbone", read.backbone).spec
        given = _checked(plugins, network, read.backbone_settings, "read.backbone_settings")
        read = read.model_copy(update={"backbone_settings": given})
        _check_layers(plugins, network, config)
        if before is not None:
            _check_read(plugins, name, before, read)
    return config.model_copy(update={"stages": stages, "read": read, "regression": regression})


def check_unused(plugins: Plugins, name: str, stage: StageConfig) -> None:
    """Raises UsageError for settings of a stage of another variant that cannot be, where its parts are installed."""
    for kind, component, given, place in (
        ("objective", stage.objective, stage.settings, f"stages.{name}.settings"),
        ("backbone", stage.backbone, stage.backbone_settings, f"stages.{name}.backbone_settings"),
    ):
        try:
            spec = plugins.find(kind, component).spec
        except UsageError:
            continue  # of a distribution that is not here, which matters to the variant that uses it
        settings_of(spec, given, place)


def _checked_stage(plugins: Plugins, name: str, stage: StageConfig) -> StageConfig:
    objective = plugins.find("objective", stage.objective).spec
    backbone = plugins.find("backbone", stage.backbone).spec
    training, place = stage.training, f"stages.{name}"
    network = _checked(plugins, backbone, stage.backbone_settings, f"{place}.backbone_settings")
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
        maps_of=lambda wanted: _maps(plugins, wanted),
        fixed=objective.fixed,
        backbone=backbone,
        backbone_settings=arguments(backbone, network),
        frame=training.frame,
        batch_size=min(training.batch_size, training.images or training.batch_size),
    )
    given = _checked(plugins, objective, stage.settings, f"{place}.settings", around)
    return stage.model_copy(update={"settings": given, "backbone_settings": network})


def _checked(
    plugins: Plugins, spec: Spec, given: Mapping[str, Any], place: str, around: Surroundings | None = None
) -> dict[str, Any]:
    """The given settings of a component, checked by themselves and against what lies around them."""
    settings = settings_of(spec, given, place)
    around = around or Surroundings(maps_of=lambda name: _maps(plugins, name), fixed=spec.fixed)
    _check_names(plugins, settings, place, around)
    _check_views(settings, place, around)
    if hasattr(settings, "fits"):
        try:
            settings.fits(around)
        except UsageError as error:
            raise UsageError(f"{place}: {error}") from None
    return only(settings, given)


def _check_names(plugins: Plugins, settings: Any, place: str, around: Surroundings) -> None:
    """Refuses a map that its backbone does not have, and a backbone that there is not or whose settings cannot be."""
    for name, hint in hints(type(settings)).items():
        value = getattr(settings, name)
        for mark in marks(hint):
            if isinstance(mark, BackboneName):
                inside = getattr(settings, mark.settings) if mark.settings else {}
                if value != "{backbone}":  # of a recipe: the run's
                    _checked(plugins, plugins.find("backbone", value).spec, inside, f"{place}.{mark.settings}")
            elif isinstance(mark, MapOf):
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
    return name, _maps(plugins, name)


def _check_views(settings: Any, place: str, around: Surroundings) -> None:
    """Refuses views that the backbone does not survive."""
    for field in fields(settings):
        view = getattr(settings, field.name)
        if isinstance(view, ViewSettings) and around.backbone:
            side = getattr(view, "side", view.size)
            if side < around.backbone.min_size:
                raise UsageError(
                    f"{place}.{field.name}: views of {side} pixels; {around.backbone.name} needs "
                    f"{around.backbone.min_size} a side or more."
                )


def _maps(plugins: Plugins, name: str) -> Mapping[str, MapSpec]:
    return {m.name: m for m in plugins.find("backbone", name).spec.maps}


def _check_layers(plugins: Plugins, network: BackboneSpec, config: RunConfig) -> None:
    """Refuses layers that the backbone or the variant does not have, and images that are too small for the backbone."""
    read, maps = config.read, [m.name for m in network.maps]
    foreign = [layer for layer in read.layers if maps and layer not in maps]
    if foreign:
        raise UsageError(f"read.layers: {read.backbone} has no map {foreign[0]!r}; it has {', '.join(sorted(maps))}.")
    if not read.layers:
        raise UsageError("read.layers: no map is named; one or more, deepest first, are judged.")
    of_variant = [("parts.layer", config.parts.layer)] if "parts" in config.tasks and config.parts.layer else []
    of_variant += [("regression.layers_alone", layer) for layer in config.regression.layers_alone]
    for place, layer in of_variant:
        if layer not in read.layers and read.layers != ("*",):
            raise UsageError(f"{place}: the variant has no layer {layer!r}; it has {', '.join(read.layers)}.")
    size = plugins.find("dataset", config.dataset).spec.preprocessing.size
    if size < network.min_size:
        raise UsageError(
            f"{config.dataset} has images of {size} pixels; {read.backbone} needs {network.min_size} a side or more."
        )
    parts = config.parts
    if "parts" in config.tasks and parts.k > parts.images * parts.size**2:
        raise UsageError(f"parts.k = {parts.k}: {parts.images} images have {parts.images * parts.size**2} cells.")


def _check_read(plugins: Plugins, name: str, last: StageConfig, read: ReadConfig) -> None:
    """Refuses to call what is judged another network than the last stage trains; what it started from does not count."""
    if last.backbone != read.backbone:
        raise UsageError(
            f"read.backbone = {read.backbone!r}: the last stage, {name}, trains {last.backbone!r}; set both alike."
        )
    spec = plugins.find("backbone", read.backbone).spec
    trained, judged = (settings_of(spec, given) for given in (last.backbone_settings, read.backbone_settings))
    for setting, hint in hints(type(trained)).items():
        found, wanted = getattr(trained, setting), getattr(judged, setting)
        if found != wanted and not any(isinstance(mark, WeightsFile) for mark in marks(hint)):
            raise UsageError(
                f"read.backbone_settings.{setting} = {wanted!r}: the last stage trains its network with {found!r}; set "
                f"stages.{name}.backbone_settings.{setting} alike."
            )


def _check_needs(plugins: Plugins, task: str, spec: MethodSpec, config: RunConfig) -> None:
    """Refuses a task that the method or the dataset cannot be judged by."""
    needs = plugins.find("task", task).spec.needs
    if "network" in needs and config.read.backbone == "none":
        raise UsageError(f"{spec.name} has no network; it can be judged by --tasks regression alone.")
    data = plugins.find("dataset", config.dataset).spec
    if "landmarks" in needs and not data.has_landmarks:
        raise UsageError(f"{task} needs annotated landmarks, and {config.dataset} has masks: use --tasks segmentation.")
    if "masks" in needs and not data.classes:
        raise UsageError(f"{task} needs a class for every pixel, and {config.dataset} has landmarks alone.")


def _check_parent(plugins: Plugins, name: str, stage: StageConfig, before: StageConfig | None) -> None:
    """Refuses a stage that needs another one before it, or other maps or another network than that has."""
    if before is None:
        if stage.reads or stage.starts_from_parent or plugins.find("objective", stage.objective).spec.needs_parent:
            learns = "reads maps of" if stage.reads else "learns from"
            raise UsageError(
                f"stages.{name}.reads: {stage.objective} {learns} an earlier stage, and there is none before it."
            )
        return
    if stage.starts_from_parent and stage.backbone != before.backbone:
        raise UsageError(
            f"stages.{name}.starts_from_parent: the stage before trains {before.backbone}, this one {stage.backbone}."
        )
    maps = list(_maps(plugins, before.backbone))
    foreign = [m for m in stage.reads if m not in maps]
    if foreign:
        raise UsageError(
            f"stages.{name}.reads: {before.backbone} of the stage before has no map {foreign[0]!r}; it has {', '.join(maps)}."
        )
