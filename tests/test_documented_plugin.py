"""The dense loss that docs/plugins.md shows: it is a plugin that works as it stands there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from fake_plugins import install

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    text = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n# (lmbench_samecell/\w+\.py)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    assert [name for name, _ in blocks] == [f"lmbench_samecell/{n}.py" for n in ("plugin", "settings", "objective")]
    folder = tmp_path_factory.mktemp("samecell")
    (folder / "lmbench_samecell").mkdir()
    (folder / "lmbench_samecell/__init__.py").touch()
    for name, code in blocks:
        assert len(code.splitlines()) <= 60
        (folder / name).write_text(code, encoding="utf-8")
    install(folder, "lmbench-samecell", "[lmbench]\nsamecell = lmbench_samecell.plugin\n")
    return folder


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


@pytest.mark.slow
def test_it_passes_its_check_and_runs(place: Path) -> None:
    checked = run(place, "-m", "lmbench", "plugin", "check", "lmbench-samecell", "--json")
    assert json.loads(checked.stdout)["ok"], checked.stdout
    done = run(
        place, "-m", "lmbench", "run", "--method", "samecell", "--dataset", "synthfaces", "--preset", "smoke", "--json"
    )
    assert done.returncode == 0, done.stderr
    assert {m["task"] for m in json.loads(done.stdout)["metrics"]} == {"regression", "matching"}
