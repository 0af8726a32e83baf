"""Help and lists answer at once, also with many plugins: nothing heavy is imported for them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fake_plugins import install, method, write_module

HEAVY = {
    "torch",
    "torchvision",
    "datasets",
    "pandas",
    "sklearn",
    "matplotlib",
    "timm",
    "pyarrow",
    "lightning",
    "numpy",
}
COMMANDS = {
    "help": ["--help"],
    "version": ["--version"],
    "list": ["list"],
    "list plugins": ["list", "plugins"],
    "list json": ["list", "datasets", "--json"],
    "list papers": ["list", "papers"],
    "describe paper": ["describe", "paper", "lead2022"],
    "coverage": ["reproduce", "--coverage"],
    "describe": ["describe", "backbone", "resnet18"],
    "data list": ["data", "list"],
    "data help": ["data", "--help"],
    "plugin list": ["plugin", "list"],
    "doctor": ["plugin", "doctor"],
    "plugin help": ["plugin", "--help"],
    "figure list": ["figure", "--list"],
}


def imported(*arguments: str) -> set[str]:
    """The top-level modules that a process of the command line imports."""
    command = [sys.executable, "-X", "importtime", "-m", "lmbench", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


def seconds(*command: str, path: Path | None = None, runs: int = 3) -> float:
    """The fastest of some runs: what else the machine does makes a run slower, never faster."""
    environment = {**os.environ, "PYTHONPATH": str(path)} if path else dict(os.environ)
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        subprocess.run([sys.executable, *command], capture_output=True, env=environment, check=True, timeout=300)
        times.append(time.perf_counter() - started)
    return min(times)


@pytest.fixture(scope="module")
def torch_seconds() -> float:
    return seconds("-c", "import torch")


@pytest.mark.parametrize("name", COMMANDS)
def test_nothing_heavy_is_imported_for(name: str) -> None:
    found = imported(*COMMANDS[name])
    assert "lmbench" in found
    assert found & HEAVY == set()


def test_pydantic_is_not_imported_for_a_list() -> None:
    assert "pydantic" not in imported("list")


@pytest.mark.parametrize("name", ["help", "list"])
def test_an_answer_takes_less_than_a_third_of_importing_torch(name: str, torch_seconds: float) -> None:
    taken = seconds("-m", "lmbench", *COMMANDS[name])
    assert taken < torch_seconds / 3, f"{name}: {taken:.2f} s; import torch: {torch_seconds:.2f} s"


def test_twenty_plugins_do_not_change_that(tmp_path: Path, torch_seconds: float) -> None:
    for number in range(20):
        write_module(tmp_path, f"plugin_{number}", method(f"method_{number}"))
        install(tmp_path, f"lmbench-many{number}", f"[lmbench]\nmany{number} = plugin_{number}\n")
    taken = seconds("-m", "lmbench", "list", path=tmp_path)
    assert taken < torch_seconds / 3, f"{taken:.2f} s; import torch: {torch_seconds:.2f} s"


def test_the_names_of_the_api_that_plugins_use_in_hooks_import_no_torch() -> None:
    script = "import sys; from lmbench.api import ObjectiveSpec, hookimpl; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
