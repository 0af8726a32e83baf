"""Checks of a plugin as a whole and of every component's target, whatever its kind."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lmbench.plugins.loading import CORE, PluginInfo, Plugins
from lmbench.plugins.registry import is_family
from lmbench.specs import BackboneSpec, DatasetSpec, MetricSpec, ObjectiveSpec, Spec, TaskSpec

HEAVY = ("torch", "torchvision", "datasets", "pandas", "sklearn", "timm", "matplotlib")
OPEN_TO_PLUGINS = ("lmbench.api", "lmbench.testing")


def loads(info: PluginInfo) -> None:
    """The module imports, states LMBENCH_API, and its hooks are spelt, decorated and typed as they should be."""
    ensure(info.status == "ok", info.problem)


def implements_a_hook(info: PluginInfo) -> None:
    """An installed plugin that does nothing is a mistake."""
    ensure(bool(info.hooks), f"{info.module} implements no hook: decorate one with @hookimpl (from lmbench.api)")


def imports_nothing_heavy(info: PluginInfo) -> None:
    """The module with the hooks imports in a fresh interpreter without torch and the like: ``lmbench list``
    stays fast."""
    script = f"import sys, {info.module}; print(*(m for m in {HEAVY!r} if m in sys.modules))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=False)
    ensure(done.returncode == 0, f"{info.module} does not import by itself: {done.stderr.strip()[-300:]}")
    found = done.stdout.split()
    ensure(not found, f"importing {info.module} imports {', '.join(found)}: import them where they are used")


def imports_only_the_api(info: PluginInfo) -> None:
    """No file of the plugin's package imports anything of lmbench but ``lmbench.api``: all else may change."""
    if info.distribution == CORE:
        return
    for file in _source_files(info.module):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"), str(file))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                whole = node.module == "lmbench"
                names = [f"lmbench.{alias.name}" for alias in node.names] if whole else [node.module or ""]
            else:
                continue
            for name in names:
                private = name.startswith("lmbench.") and not name.startswith(OPEN_TO_PLUGINS)
                ensure(
                    not private,
                    f"{file.name}, line {node.lineno} imports {name}: plugins import lmbench.api alone",
                )


def target_is_importable(spec: Spec, plugins: Plugins) -> None:
    """``package.module:Name`` exists and can be called."""
    del plugins
    if spec.has_target:
        for target in filter(None, (spec.target, getattr(spec, "member_check", ""))):
            ensure(callable(spec.load(target)), f"{target} is not callable")


def settings_fit_the_target(spec: Spec, plugins: Plugins) -> None:
    """The target takes what the core will call it with: an object of its settings, what is fixed, and what its kind adds."""
    del plugins
    if not spec.has_target:
        return
    positional: tuple[Any, ...] = (spec.settings(),)
    named: dict[str, Any] = dict(spec.fixed)
    if isinstance(spec, BackboneSpec) and is_family(spec.name):
        named["model"] = "x"
    elif isinstance(spec, ObjectiveSpec):
        positional = (None, None, *positional)
    elif isinstance(spec, TaskSpec):
        positional = (None, *positional)
    elif isinstance(spec, DatasetSpec):
        positional, named = (), {**named, "root": Path()}
        if is_family(spec.name):
            named["argument"] = "x"
    elif isinstance(spec, MetricSpec):
        positional = (None,)
    try:
        signature = inspect.signature(spec.load())
        signature.bind(*positional, **named)
    except TypeError as error:
        call = ", ".join([*("..." for _ in positional), *(f"{name}=..." for name in named)])
        raise AssertionError(f"{spec.target}{signature} cannot be called as ({call}): {error}") from None


PLUGIN = (loads, implements_a_hook, imports_nothing_heavy, imports_only_the_api)
ANY = (target_is_importable, settings_fit_the_target)
FOR_FAMILIES = ANY
"""The checks that a family (``timm/*``) can be given without knowing a member."""


def ensure(kept: bool, message: str) -> None:
    """Raises AssertionError with ``message`` unless the promise is kept (also under ``python -O``)."""
    if not kept:
        raise AssertionError(message)


def declared(info: PluginInfo, name: str) -> Mapping[str, str]:
    """A mapping that the plugin's module holds under ``name``, empty where there is none."""
    if info.status != "ok":
        return {}
    found = getattr(importlib.import_module(info.module), name, {})
    return found if isinstance(found, Mapping) else {}


def _source_files(module: str) -> list[Path]:
    """The Python files of the package that a module belongs to; of a lone module, itself."""
    origin = importlib.import_module(module).__file__
    root = importlib.import_module(module.partition(".")[0])
    if hasattr(root, "__path__"):
        return sorted(file for folder in root.__path__ for file in Path(folder).rglob("*.py"))
    return [Path(origin)] if origin else []
