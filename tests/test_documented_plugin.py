"""The methods that docs/plugins.md and CONTRIBUTING.md show: they are plugins that work as they stand there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from fake_plugins import install

ROOT = Path(__file__).parents[1]


def installed(folder: Path, document: str, name: str, modules: tuple[str, ...]) -> Path:
    """A folder with the plugin of a document, as if it were installed there."""
    text, package = (ROOT / document).read_text(encoding="utf-8"), f"lmbench_{name}"
    blocks = re.findall(rf"^```python\n# ({package}/\w+\.py)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    assert [file for file, _ in blocks] == [f"{package}/{module}.py" for module in modules]
    (folder / package).mkdir()
    (folder / package / "__init__.py").touch()
    for file, code in blocks:
        assert len(code.splitlines()) <= 60
        (folder / file).write_text(code, encoding="utf-8")
    install(folder, f"lmbench-{name}", f"[lmbench]\n{name} = {package}.plugin\n")
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("samecell")
    return installed(folder, "docs/plugins.md", "samecell", ("plugin", "settings", "objective"))


def run(place: Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *arguments], cwd=place, capture_output=True, text=True, check=False)


def test_its_loss_falls_where_cells_are_alike(place: Path) -> None:
    script = """
import torch
from lmbench_samecell.objective import located
g = torch.Generator().manual_seed(0)
maps = torch.randn(2, 32, 12, 12, generator=g)
line = torch.linspace(-1, 1, 12)
grid = torch.stack(torch.meshgrid(line, line, indexing="xy"), -1).expand(2, -1, -1, -1)
asked = torch.arange(0, 144, 5)
same, off = located(maps, maps, grid, asked, 0.05)
other, _ = located(maps, torch.randn(2, 32, 12, 12, generator=g), grid, asked, 0.05)
assert same < 0.1 < 3 < other and off < 0.05, (same, other, off)
"""
    done = run(place, "-c", script)
    assert done.returncode == 0, done.stderr


def test_its_run_is_planned(place: Path) -> None:
    done = run(
        place,
        "-m",
        "lmbench",
        "run",
        "--method",
        "samecell",
        "--dataset",
        "synthfaces",
        "--preset",
        "smoke",
        "--dry-run",
    )
    assert done.returncode == 0, done.stderr
    assert "stage cells" in done.stdout


def works(place: Path, method: str) -> None:
    """The plugin passes its check, and a small run of its method gives numbers."""
    checked = run(place, "-m", "lmbench", "plugin", "check", f"lmbench-{method}", "--json")
    assert json.loads(checked.stdout)["ok"], checked.stdout
    wanted = ["--method", method, "--dataset", "synthfaces", "--preset", "smoke", "--json"]
    done = run(place, "-m", "lmbench", "run", *wanted)
    assert done.returncode == 0, done.stderr
    assert {m["task"] for m in json.loads(done.stdout)["metrics"]} == {"regression", "matching"}


@pytest.mark.slow
def test_it_passes_its_check_and_runs(place: Path) -> None:
    works(place, "samecell")


@pytest.mark.slow
def test_the_method_of_the_contributors_guide_passes_its_check_and_runs(tmp_path: Path) -> None:
    works(installed(tmp_path, "CONTRIBUTING.md", "rotation", ("plugin", "objective")), "rotation")
