"""Checks of methods, which are data: do their stages, variants and presets name things that exist and fit together?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from importlib.resources import files
from typing import Any

from lmbench.config.setting_types import without_weights
from lmbench.plugins.loading import Plugins
from lmbench.plugins.registry import Entry, is_family
from lmbench.specs import PRESETS, BackboneSpec, MethodSpec
from lmbench.testing.network_checks import require_promised
from lmbench.testing.plugin_checks import ensure
from lmbench.testing.trials import resolutions, resolved


def names_are_unique_and_known(spec: MethodSpec, plugins: Plugins) -> None:
    """Stages and variants have names of their own; variants, ``default_variant`` and presets use only what there is."""
    del plugins
    stages, variants = [s.name for s in spec.stages], [v.name for v in spec.variants]
    ensure(bool(variants), "a method needs at least one variant")
    ensure(bool(spec.tasks), "the method names no task")
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
    known_presets = {*PRESETS, *(name for name in spec.paper_on.values() if isinstance(name, str))}
    found = set(_presets(spec))
    foreign = sorted(found - known_presets)
    ensure(not foreign, f"preset {', '.join(foreign)} is none of {', '.join(sorted(known_presets))}")
    ensure(bool(found) or not isinstance(spec.presets, str), f"presets: {spec.presets} holds no preset's TOML")


def presets_resolve(spec: MethodSpec, plugins: Plugins) -> None:
    """Each preset of each variant makes a complete configuration whose parts exist, know their settings and fit together: on
    the embedded data, and preset ``paper`` on a dataset for each entry of ``paper_on``."""
    entry = _entry(spec, plugins)
    count = sum(1 for _ in resolutions(entry, plugins))
    ensure(count > 0, "no preset of any variant makes a configuration")
    for pattern in spec.paper_on:
        dataset = next((e.spec.name for e in plugins.datasets if fnmatchcase(e.spec.name, pattern)), None)
        ensure(dataset is not None, f"paper_on: no dataset is called {pattern}")
        for variant in spec.variants:
            if dataset is not None and not plugins.lacking(variant.needs):
                resolved(entry, plugins, "paper", variant.name, dataset)


def networks_have_the_maps_they_state(spec: MethodSpec, plugins: Plugins) -> None:
    """The network that a variant's lightest preset judges has the maps, channels and strides that its spec states of it."""
    seen: list[Any] = []
    for config in resolutions(_entry(spec, plugins), plugins, lightest_only=True):
        network = config.network
        if not network or network in seen:
            continue
        seen.append(network)
        backbone: BackboneSpec = plugins.find("backbone", network.backbone).spec
        if not is_family(backbone.name):
            require_promised(backbone, without_weights(network.backbone_settings))


METHOD: tuple[Callable[[Any, Plugins], None], ...] = (
    names_are_unique_and_known,
    presets_resolve,
    networks_have_the_maps_they_state,
)


def _entry(spec: MethodSpec, plugins: Plugins) -> Entry[MethodSpec]:
    return next(e for e in plugins.methods if e.spec is spec)


def _presets(spec: MethodSpec) -> Iterator[str]:
    """The names of a method's presets and of whatever else lies beside them, where they are files."""
    if not isinstance(spec.presets, str):
        yield from spec.presets
        return
    package, _, folder = spec.presets.partition(":")
    place = files(package).joinpath(folder)
    for file in place.iterdir() if place.is_dir() else ():
        if file.name.endswith(".toml"):
            yield file.name.removesuffix(".toml")
