"""What a plugin's module has to be before any part of it is registered."""

from __future__ import annotations

import importlib
import inspect
from types import ModuleType
from typing import Any

import pluggy

from lmbench.errors import PluginError, did_you_mean, told
from lmbench.plugins import hooks as hookspecs
from lmbench.plugins.spec_fields import complaint
from lmbench.specs import API_VERSION, KIND_OF, Spec

HOOK_NAMES = tuple(n for n in vars(hookspecs) if n.startswith("lmbench_"))
MOST_PARTS = 20_000


def imported(name: str) -> ModuleType:
    """The module of a plugin. Raises what its import raises; PluginError for a name that lmbench.api no longer has."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        if error.name != "lmbench.api":
            raise
        raise PluginError(f"{name}: {told(error)}; this lmbench speaks {API_VERSION}. {_way_to(1)}") from error


def manager_of(module: ModuleType, name: str) -> pluggy.PluginManager:
    """A manager with one plugin. Raises pluggy's PluginValidationError for a hook with arguments that there are not."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(module, name=name)
    return manager


def check_hooks(module: ModuleType) -> list[str]:
    """The hooks a module implements. Raises PluginError for all that pluggy would take in silence, or names no way out of."""
    api = getattr(module, "LMBENCH_API", None)
    if api != API_VERSION:
        said = "does not state LMBENCH_API" if api is None else f"is written for plugin interface {api}"
        raise PluginError(f"{module.__name__} {said}; this lmbench speaks {API_VERSION}. {_way_to(api)}")
    implemented = []
    for name, value in vars(module).items():
        where = f"{module.__name__}.{name}"
        options = getattr(value, f"{hookspecs.PROJECT}_impl", None) if inspect.isroutine(value) else None
        if options is None:
            own = getattr(value, "__module__", module.__name__) == module.__name__
            if name in HOOK_NAMES or (name.startswith("lmbench_") and inspect.isfunction(value) and own):
                raise PluginError(f"{where} lacks the decorator @hookimpl (from lmbench.api).")
            continue
        if name not in HOOK_NAMES:
            raise PluginError(f"{where} is no hook of lmbench.{did_you_mean(name, HOOK_NAMES)}")
        if any(options[o] for o in ("wrapper", "hookwrapper", "specname")):
            raise PluginError(f"{where}: a hook neither wraps the other plugins' hooks nor goes by another name.")
        if any(p.default is not p.empty for p in inspect.signature(value).parameters.values()):
            raise PluginError(f"{where}: a hook gives its arguments no defaults.")
        implemented.append(name)
    return implemented


def _way_to(api: Any) -> str:
    """What an author does about the version that his plugin states."""
    if type(api) is int and api < API_VERSION:
        return f'How to move a plugin of interface {api}: docs/plugins.md, "Moving from API {api}".'
    return f"Set LMBENCH_API = {API_VERSION}."


def collect(manager: pluggy.PluginManager, module: str) -> dict[str, list[Spec]]:
    """All specs of a plugin by kind, checked to be what its hooks promise."""
    collected: dict[str, list[Spec]] = {}
    for spec_type, kind in KIND_OF.items():
        hook = getattr(manager.hook, f"lmbench_{kind}s")
        if not hook.get_hookimpls():
            continue
        where = f"{module}.{hook.name}"
        (returned,) = hook() or [None]  # pluggy leaves None out of the results
        if not isinstance(returned, list | tuple):
            raise PluginError(
                f"{where} returned {type(returned).__name__}; a list of {spec_type.__name__} is expected."
            )
        specs = list(returned)
        if len(specs) > MOST_PARTS:
            raise PluginError(
                f"{where} brings {len(specs):,} {kind}s; up to {MOST_PARTS:,} are registered by name. A family, "
                f"'{kind}s/*', stands for any number."
            )
        for spec in specs:
            if type(spec) is not spec_type:  # a subclass may answer differently every time
                raise PluginError(f"{where} returned a {type(spec).__name__} among its {spec_type.__name__}s.")
            wrong = complaint(spec)
            if wrong:
                raise PluginError(f"{where}: {spec_type.__name__} {spec.name!r:.80}: {wrong}.")
        collected[kind] = specs
    return collected
