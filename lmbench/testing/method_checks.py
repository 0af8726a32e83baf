"""Checks of methods, which are data: do their stages, layers and presets name things that exist and fit together?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from lmbench.plugins.loading import Plugins
from lmbench.plugins.registry import is_family
from lmbench.specs import PRESETS, BackboneSpec, MethodSpec, ObjectiveSpec
from lmbench.testing.plugin_checks import ensure
from lmbench.testing.trials import resolutions

if TYPE_CHECKING:
    from lmbench.config.model import RunConfig

NO_NETWORK = "none"
"""The backbone of a method that looks at no image."""


def names_are_unique_and_known(spec: MethodSpec, plugins: Plugins) -> None:
    """Stages and variants have names of their own; variants, ``default_variant`` and presets use only what there is."""
    del plugins
    stages, variants = [s.name for s in spec.stages], [v.name for v in spec.variants]
    ensure(bool(variants), "a method needs at least one variant")
    for names, what in ((stages, "stage"), (variants, "variant")):
        ensure(len(names) == len(set(names)), f"two {what}s have one name: {', '.join(names)}")
    default = spec.default_variant
    ensure(not default or default in variants, f"default_variant {default!r} is none of {', '.join(variants)}")
    for variant in spec.variants:
        for name in variant.stages:
            known = ", ".join(stages) or "none"
            ensure(name in stages, f"variant {variant.name!r} uses a stage {name!r}; there are {known}")
    unused = set(stages) - {name for v in spec.variants for name in v.stages}
    ensure(not unused, f"no variant uses the stage {', '.join(sorted(unused))}")
    foreign = sorted(set(spec.presets) - set(PRESETS))
    ensure(not foreign, f"preset {', '.join(foreign)} is none of {', '.join(PRESETS)}")


def presets_validate(spec: MethodSpec, plugins: Plugins) -> None:
    """Each preset of each variant resolves to a complete configuration of a run on the embedded data."""
    count = sum(1 for _ in _configurations(spec, plugins))
    ensure(count > 0, "no preset of any variant makes a configuration")


def stages_name_existing_parts(spec: MethodSpec, plugins: Plugins) -> None:
    """In each preset a stage's objective and backbone exist, know its settings, and have the maps that are needed."""
    for where, config in _configurations(spec, plugins):
        for name, stage in config.stages.items():
            objective: ObjectiveSpec = plugins.find("objective", stage.objective).spec
            backbone: BackboneSpec = plugins.find("backbone", stage.backbone).spec
            _known(
                stage.settings, objective.default_settings(), f"{where}: stage {name!r}: objective {objective.name!r}"
            )
            _known(
                stage.backbone_settings,
                backbone.default_settings(),
                f"{where}: stage {name!r}: backbone {stage.backbone!r}",
            )
            missing = set(objective.needs_maps) - {m.name for m in backbone.maps}
            found = _nameless(backbone) or not missing
            ensure(
                found,
                f"{where}: {objective.name!r} needs the maps {', '.join(missing)} of {stage.backbone!r}",
            )


def stages_follow_from_their_parents(spec: MethodSpec, plugins: Plugins) -> None:
    """The first stage of a variant neither learns from a parent nor starts from its weights."""
    stages = {s.name: s for s in spec.stages}
    for variant in spec.variants:
        if variant.stages and not plugins.lacking(variant.needs):
            first = stages[variant.stages[0]]
            needs = plugins.find("objective", first.objective).spec.needs_parent or first.starts_from_parent
            ensure(not needs, f"variant {variant.name!r}: its first stage {first.name!r} needs a stage before it")


def variants_read_what_was_trained(spec: MethodSpec, plugins: Plugins) -> None:
    """The layers are maps of the backbone that is read, which is the one that the last stage trained."""
    for where, config in _configurations(spec, plugins):
        read = config.read
        if read.backbone == NO_NETWORK:
            ensure(not config.stages, f"{where} trains stages and reads no network")
            continue
        backbone: BackboneSpec = plugins.find("backbone", read.backbone).spec
        _known(read.backbone_settings, backbone.default_settings(), f"{where}: backbone {read.backbone!r}")
        ensure(bool(read.layers), f"{where} names no layer to judge")
        known = [m.name for m in backbone.maps]
        for layer in (*read.layers, *config.regression.layers_alone):
            exists = layer in known or _nameless(backbone)
            ensure(exists, f"{where} reads the map {layer!r}; {read.backbone!r} has {', '.join(known)}")
        foreign = [layer for layer in config.regression.layers_alone if layer not in read.layers]
        ensure(not foreign, f"{where}: layers_alone {', '.join(foreign)} is none of its layers")
        if config.stages:
            name, last = list(config.stages.items())[-1]
            same = (last.backbone, last.backbone_settings) == (read.backbone, read.backbone_settings)
            ensure(
                same,
                f"{where} reads {read.backbone} {read.backbone_settings}, but its last stage {name!r} trains "
                f"{last.backbone} {last.backbone_settings}",
            )


def tasks_exist(spec: MethodSpec, plugins: Plugins) -> None:
    """Every task of the method is registered, and it names one."""
    ensure(bool(spec.tasks), "the method names no task")
    for task in spec.tasks:
        plugins.find("task", task)


METHOD: tuple[Callable[[Any, Plugins], None], ...] = (
    names_are_unique_and_known,
    presets_validate,
    stages_name_existing_parts,
    stages_follow_from_their_parents,
    variants_read_what_was_trained,
    tasks_exist,
)


def _configurations(spec: MethodSpec, plugins: Plugins) -> Iterator[tuple[str, RunConfig]]:
    """Every resolved configuration, with the words that errors name it by."""
    entry = next(e for e in plugins.methods if e.spec is spec)
    for config in resolutions(entry, plugins):
        yield f"variant {config.variant!r} of preset {config.preset!r}", config


def _known(settings: Mapping[str, Any], known: Mapping[str, Any], where: str) -> None:
    unknown = sorted(set(settings) - set(known))
    ensure(not unknown, f"{where} has no setting {', '.join(unknown)}; it has {', '.join(known) or 'none'}")


def _nameless(backbone: BackboneSpec) -> bool:
    """A family may say nothing about its members' maps."""
    return is_family(backbone.name) and not backbone.maps
