"""What a shell completes, and what ``--quiet`` leaves."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.shell_completion import ShellComplete

from lmbench import progress
from lmbench.cli.completion import VARIABLE
from lmbench.cli.main import cli, run_cli


def completed(*words: str) -> list[str]:
    found = ShellComplete(cli, {}, "lmbench", VARIABLE).get_completions(list(words[:-1]), words[-1])
    return [item.value for item in found]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["ru"], {"run", "runs"}),
        (["run", "--method", "lea"], {"lead"}),
        (["run", "--method", "dve,lead/moco_dense6"], {"dve,lead/moco_dense64"}),
        (["run", "--dataset", "synth"], {"synthfaces"}),
        (["run", "--method", "lead", "--variant", "dense64,moco_dense6"], {"dense64,moco_dense64"}),
        (["run", "--tasks", "regression,match"], {"regression,matching"}),
        (["run", "--method", "no_such_method", "--variant", "d"], set()),
    ],
)
def test_names_are_completed(words: list[str], expected: set[str]) -> None:
    assert set(completed(*words)) == expected


def test_finished_runs_are_completed(tmp_path, monkeypatch) -> None:
    (tmp_path / "runs/lead_a").mkdir(parents=True)
    (tmp_path / "runs/lead_b").mkdir()
    (tmp_path / "runs/lead_a/record.json").touch()
    monkeypatch.chdir(tmp_path)
    assert completed("predict", "runs/l") == ["runs/lead_a"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_script_that_asks_lmbench(capsys, shell: str) -> None:
    assert run_cli(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert VARIABLE in script and "lmbench" in script


def test_completing_imports_no_torch() -> None:
    code = (
        "import sys\n"
        "from click.shell_completion import ShellComplete\n"
        "from lmbench.cli.main import cli\n"
        "found = ShellComplete(cli, {}, 'lmbench', 'X').get_completions(['run', '--method'], 'lea')\n"
        "assert [f.value for f in found] == ['lead'] and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_quiet_leaves_warnings_alone(capsys) -> None:
    with progress.quiet():
        progress.say("stage byol: 3 epochs")
        progress.say("warning: the images are few")
        with progress.task("encoding", 10) as task:
            task.advance(10)
    assert capsys.readouterr().err == "warning: the images are few\n"
    progress.say("again")
    assert capsys.readouterr().err == "again\n"


def test_results_are_shown_all_the_same(capsys) -> None:
    assert run_cli(["--quiet", "list", "heads"]) == 0
    assert "converged" in capsys.readouterr().out


def test_slow_work_shows_a_rate_that_is_not_nothing(capsys, monkeypatch) -> None:
    now = iter([0.0, 100.0, 100.0, 100.0, 100.0, 100.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    progress.Task("fitting", 14, "steps").advance(3)
    assert "0.030 steps/s" in capsys.readouterr().err
