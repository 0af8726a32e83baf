"""The distributions as they are published: built, installed where no checkout is near, and used."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = [ROOT / "lmbench", *sorted(p.parent for p in ROOT.glob("plugins/*/lmbench_*/__init__.py"))]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("uv") is None, reason="wheels are built and installed by uv"),
]


def run(*command: str, cwd: Path, **environment: str) -> str:
    left_out = ("PYTHONPATH", "VIRTUAL_ENV", "LMBENCH_DATA")
    kept = {k: v for k, v in os.environ.items() if k not in left_out}
    done = subprocess.run(command, cwd=cwd, env={**kept, **environment}, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def wheels(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("wheels")
    run("uv", "build", "--wheel", "--all-packages", "--quiet", "--out-dir", str(folder), cwd=ROOT)
    return sorted(folder.glob("*.whl"))


def test_there_is_a_wheel_of_the_core_and_of_every_plugin(wheels: list[Path]) -> None:
    assert {w.name.partition("-")[0] for w in wheels} == {p.name for p in PACKAGES}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda p: p.name)
def test_a_wheel_has_every_file_of_its_package_and_no_other(wheels: list[Path], package: Path) -> None:
    tracked = run("git", "ls-files", "--", str(package), cwd=ROOT).splitlines()
    expected = {str(Path(name).relative_to(package.parent.relative_to(ROOT))) for name in tracked}
    wheel = next(w for w in wheels if w.name.startswith(f"{package.name}-"))
    found = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert found == expected


@pytest.fixture(scope="module")
def elsewhere(wheels: list[Path], tmp_path_factory) -> Path:
    """A fresh environment with all wheels, and a folder without anything to work in."""
    folder = tmp_path_factory.mktemp("elsewhere")
    run("uv", "venv", "--quiet", "--python", sys.executable, str(folder / "env"), cwd=folder)
    constraints = folder / "constraints.txt"
    pinned = (ROOT / "pyproject.toml").read_text().partition("constraint-dependencies = [")[2].partition("]")[0]
    constraints.write_text("\n".join(line.strip(' ",') for line in pinned.splitlines()))
    python = str(folder / "env/bin/python")
    installing = ("uv", "pip", "install", "--quiet", "--python", python, "--constraint", str(constraints))
    run(*installing, *map(str, wheels), cwd=folder)
    return folder


def test_the_main_job_runs_where_no_checkout_is(elsewhere: Path) -> None:
    lmbench = str(elsewhere / "env/bin/lmbench")
    place = run(str(elsewhere / "env/bin/python"), "-c", "import lmbench; print(lmbench.__file__)", cwd=elsewhere)
    assert place.startswith(str(elsewhere))
    assert "ok" in run(lmbench, "plugin", "doctor", cwd=elsewhere)
    shown = run(lmbench, "run", "--method", "lead", "--dataset", "synthfaces", "--preset", "smoke", cwd=elsewhere)
    assert "iod" in shown and list(elsewhere.glob("runs/lead_*/record.json"))


def test_a_plugin_is_found_right_where_no_checkout_is(elsewhere: Path) -> None:
    assert "failed" not in run(str(elsewhere / "env/bin/lmbench"), "plugin", "check", "lmbench-lead", cwd=elsewhere)
