"""What a preset changes, as data: files in the grammar of ``--config``, the core's own here, a method's beside its recipe."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable

from lmbench.config.overrides import parse_toml
from lmbench.config.plain import Tree
from lmbench.errors import PluginError
from lmbench.specs import PRESETS, MethodSpec


def of_everybody(preset: str) -> Tree:
    """What a preset changes for every method."""
    return _file(__name__, "", preset) or {}


def names(spec: MethodSpec) -> tuple[str, ...]:
    """The presets of a method; one that names none has all of them, each as the core has it."""
    if isinstance(spec.presets, Mapping):
        found = tuple(name for name in PRESETS if name in spec.presets)
    else:
        found = tuple(name for name in PRESETS if _place(*_folder(spec.presets), name).is_file())
    return found or PRESETS


def of_method(spec: MethodSpec, preset: str) -> Tree:
    """What a preset changes of a method's run. Raises PluginError for a file that is no TOML."""
    return _of_method(spec, preset) or {}


def named(spec: MethodSpec, preset: str) -> str:
    """What a method's preset is called where something is wrong with it: by its file, where it has one."""
    where = "" if isinstance(spec.presets, Mapping) else f" ({_named(*_folder(spec.presets), preset)})"
    return f"preset {preset} of {spec.name}{where}"


def text_of(spec: MethodSpec, preset: str) -> str:
    """The file of a method's preset as it was written, with its sources; empty where the preset is no file."""
    if isinstance(spec.presets, Mapping):
        return ""
    place = _place(*_folder(spec.presets), preset)
    return place.read_text(encoding="utf-8") if place.is_file() else ""


def on_dataset(spec: MethodSpec, changes: Tree | str) -> Tree:
    """What one entry of ``paper_on`` changes. Raises PluginError for a file that is not there, or no TOML."""
    if isinstance(changes, Mapping):
        return changes
    found = _of_method(spec, changes)
    if found is None:
        raise PluginError(f"method {spec.name}: paper_on names {changes!r}; {spec.presets} holds no {changes}.toml.")
    return found


def _of_method(spec: MethodSpec, name: str) -> Tree | None:
    if isinstance(spec.presets, Mapping):
        return spec.presets.get(name)
    return _file(*_folder(spec.presets), name)


def _folder(presets: str) -> tuple[str, str]:
    package, _, folder = presets.partition(":")
    return package, folder


@functools.lru_cache(maxsize=256)
def _file(package: str, folder: str, name: str) -> Tree | None:
    """The content of a preset's file; None where there is none."""
    place = _place(package, folder, name)
    if not place.is_file():
        return None
    return parse_toml(place.read_bytes(), _named(package, folder, name), PluginError)


def _named(package: str, folder: str, name: str) -> str:
    return f"{package}: {folder}/{name}.toml" if folder else f"{package}: {name}.toml"


def _place(package: str, folder: str, name: str) -> Traversable:
    return files(package).joinpath(folder, f"{name}.toml") if folder else files(package).joinpath(f"{name}.toml")
