"""The guides of the site: what they tell to type runs as it stands there, one command after another.

One thing is otherwise: runs are small (`small`). The guide to own landmarks is tested in test_fit.py, the dense loss of the guide
to plugins in test_documented_plugin.py, the files of a plugin in test_plugin_check.py.
"""

from __future__ import annotations

import glob
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import click
import pytest
from fake_plugins import install, lmbench
from small_runs import run_here

from lmbench.cli.main import cli
from lmbench.config import asking
from lmbench.config.resolving import resolve_run
from lmbench.data.opening import open_dataset

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("plugins/*/README.md")])
COMMAND = re.compile(r"^    (?:uv run )?lmbench (.*)$", re.MULTILINE)


def text_of(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def path_of(guide: str) -> list[list[str]]:
    """The commands of a guide's beginning, which lead from nothing to what its reader wants."""
    return [
        shlex.split(line, comments=True) for line in COMMAND.findall(text_of(f"docs/{guide}").partition("\n## ")[0])
    ]


def small(*what: Any, preset: str | None = None, everywhere: Any = (), overrides: Any = (), **more: Any) -> Any:
    """The configuration of a run of preset `smoke` with few images, one draw and a short fit, whatever else it asks for."""
    few: dict[str, Any] = {"train_images": 16, "test_images": 8, "read": {"size": 6}, "matching": {"pairs": 2}}
    few["regression"] = {"head_settings": {"folds": 2, "strengths": ()}}
    return resolve_run(
        *what, preset="smoke", everywhere={"draws": 1, **dict(everywhere)}, overrides=[few, *overrides], **more
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a reader types: a clone with its boards, and three photos."""
    folder = tmp_path_factory.mktemp("clone")
    shutil.copytree(ROOT / "leaderboards", folder / "leaderboards")
    images = open_dataset("synthfaces").splits["test"].with_format(None)[:3]["image"]
    for name, image in zip("abc", images, strict=True):
        (folder / f"{name}.jpg").write_bytes(image["bytes"])
    return folder


@pytest.fixture
def clone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(asking, "resolve_run", small)
    return folder


def typed(capsys: Any, command: list[str]) -> None:
    """A command as a shell gives it, which finds the files that a pattern means."""
    words = [found for word in command for found in (sorted(glob.glob(word)) if "*" in word else [word])]
    code, _, err = run_here(capsys, *words)
    assert code == 0, f"lmbench {shlex.join(command)}\n{err}"


@pytest.mark.parametrize(
    ("guide", "left"),
    [("figures.md", ["few_shot.pdf", "ced.pdf", "matching.pdf"]), ("pages.md", ["board.html", "report.html"])],
)
def test_a_guide_leads_to_what_it_promises(capsys: Any, clone: Path, guide: str, left: list[str]) -> None:
    for command in path_of(guide):
        typed(capsys, command)
    assert all((clone / name).stat().st_size > 1000 for name in left)


def test_python_runs_as_its_guide_shows_it(clone: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", text_of("docs/python.md"), flags=re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    for block in blocks:
        exec(block, names)
    assert names["maps"].materialise().shape[0] == names["landmarks"].shape[0] == 8
    assert names["found"].table.image.unique().tolist() == ["a.jpg", "b.jpg"] and names["matches"].points.shape[0] == 2


@pytest.mark.slow
def test_a_plugin_is_made_checked_and_run_as_its_guide_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    commands = path_of("plugins.md")
    assert [command[:2] for command in commands] == [["plugin", "new"], ["plugin", "check"], ["run", "--method"]]
    place = tmp_path / "lmbench-my-loss"
    for command in commands:
        done = lmbench(place, *command, *(["--preset", "smoke"] if command[0] == "run" else []))
        assert done.returncode == 0, done.stdout + done.stderr
        if command[1] == "new":  # in place of `uv pip install -e`, which would change the environment of the tests
            install(place, "lmbench-my-loss", "[lmbench]\nmy_loss = lmbench_my_loss.plugin\n")
    assert list(tmp_path.glob("runs/my-loss_*/record.json"))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_in_a_document_is_one_that_there_is(document: Path) -> None:
    """Verbs, options and their values; `...` and `[more]` stand for what the reader knows."""
    for line in COMMAND.findall(document.read_text(encoding="utf-8").replace("\\\n", " ")):
        words = shlex.split(line, comments=True)
        if "..." in words or any(word.startswith("[") for word in words):
            continue
        command: click.Command = cli
        while isinstance(command, click.Group) and words:
            found = command.get_command(click.Context(cli), words.pop(0))
            assert found is not None, line
            command = found
        try:
            command.make_context(command.name, words, parent=click.Context(cli))
        except click.exceptions.Exit:
            pass  # --help
        except click.ClickException as error:
            pytest.fail(f"lmbench {line}: {error.format_message()}")
