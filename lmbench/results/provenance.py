"""Where a number was made: code, versions, machine."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import platform
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import lmbench
from lmbench.results.record import Code, Environment

LIBRARIES = (
    "torch",
    "torchvision",
    "numpy",
    "datasets",
    "lightning-fabric",
    "pillow",
    "scikit-learn",
    "pydantic",
    "timm",
)


@functools.cache
def code_state() -> Code:
    """Version of lmbench and, where its *package folder* lies in a git checkout, the commit and whether it is changed.

    The current directory does not enter: it says nothing about the code that runs.
    """
    folder = Path(lmbench.__file__).parent
    commit = _git(folder, "rev-parse", "HEAD")
    changed = _git(folder, "status", "--porcelain", "--", ".", "../plugins") if commit else None
    return {"version": lmbench.__version__, "commit": commit, "dirty": bool(changed) if changed is not None else None}


def environment(device: Any, precision: str) -> Environment:
    """Device, precision, versions, threads; peak memory of the process so far in MiB."""
    import torch

    found: Environment = {
        "python": platform.python_version(),
        "platform": platform.platform(terse=True),
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "device": str(device),
        "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "precision": precision,
        "libraries": {n: v for n in LIBRARIES if (v := _version(n))},
        "peak_memory_mib": round(_peak_memory()),
    }
    if device.type == "cuda":
        found["peak_gpu_memory_mib"] = round(torch.cuda.max_memory_allocated(device) / 2**20)
    return found


def _peak_memory() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / 2**20 if sys.platform == "darwin" else used / 2**10


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
