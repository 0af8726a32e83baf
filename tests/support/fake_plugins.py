"""Throw-away plugins for tests: a module, and a fake installed distribution around it."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from lmbench.plugins.finding import Candidate

PluginMaker = Callable[..., Candidate]
COUNTER = itertools.count()

METHOD = """
@hookimpl
def lmbench_methods():
    variant = VariantSpec(name="maps", summary="maps", layers=("conv5_x",))
    return [MethodSpec(name="{name}", summary="a method of a test", variants=(variant,))]
"""


def light_header() -> str:
    """The imports of a hook module, without the heavy names that a star import would fetch."""
    from lmbench import api

    light = [name for name in api.__all__ if name not in api.LAZY]
    return f"from lmbench.api import {', '.join(light)}\n"


def method(name: str) -> str:
    """The source of a plugin that brings one method."""
    return METHOD.format(name=name)


def write_module(folder: Path, module: str, source: str, api: str = "LMBENCH_API = 2\n") -> Path:
    """A plugin module with the usual imports and ``LMBENCH_API`` (or what ``api`` says instead)."""
    path = folder / f"{module}.py"
    path.write_text(light_header() + api + textwrap.dedent(source), encoding="utf-8")
    return path


def install(folder: Path, distribution: str, entry_points: str, version: str = "1.0") -> Path:
    """A dist-info folder, as an installer leaves it: found where ``folder`` is on sys.path."""
    info = folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n", encoding="utf-8"
    )
    (info / "entry_points.txt").write_text(textwrap.dedent(entry_points), encoding="utf-8")
    return info


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PluginMaker:
    """A function that writes a plugin module and gives its candidate."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make_plugin(source: str, distribution: str = "lmbench-test", api: str = "LMBENCH_API = 2\n") -> Candidate:
        module = f"throwaway_plugin_{next(COUNTER)}"
        write_module(tmp_path, module, source, api)
        return Candidate(module, module, distribution, "1.0")

    return make_plugin


def lmbench(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own with ``folder`` on its path, as if it were installed there."""
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, "-m", "lmbench", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=120)
