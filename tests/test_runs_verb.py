"""``lmbench runs``: what stands in a folder of runs, and what goes with what."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from made_records import keep, record

from lmbench.cli.main import cli, run_cli
from lmbench.store.files import locked

FINISHED = "lead_v_mafl_small_s0_00000000"
KEYS = {name: f"{name:0<64}" for name in ("a1", "b2", "c3")}


def stage(runs: Path, key: str, suffix: str = "") -> Path:
    folder = runs / "stages" / f"{KEYS[key][:20]}{suffix}"
    folder.mkdir(parents=True)
    (folder / "weights.safetensors").write_bytes(b"x" * 1000)
    return folder


def unfinished(runs: Path, name: str, *keys: str) -> Path:
    folder = runs / name
    folder.mkdir(parents=True)
    identity = {"stages": {f"s{i}": KEYS[key] for i, key in enumerate(keys)}}
    (folder / "identity.json").write_text(json.dumps({"identity": identity, "weights": None}))
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    runs = tmp_path / "runs"
    keep(runs, record(FINISHED, "lead", 1.0))
    unfinished(runs, "lead_x_d_smoke_s0_11111111", "a1", "b2")
    unfinished(runs, "lead_x_d_smoke_s1_22222222", "a1", "c3")
    for key in KEYS:
        stage(runs, key)
    stage(runs, "c3", ".checkpoint")
    (runs / "my own notes").mkdir()
    return runs


def call(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli, ["runs", *arguments], standalone_mode=False)
    assert result.exception is None, result.exception
    return result.return_value or 0, result.stdout, result.stderr


def listed(runs: Path) -> dict[str, str]:
    return {r["name"]: r["state"] for r in json.loads(call("--runs", str(runs), "--json")[1])}


def names(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir()}


def test_all_runs_are_listed_with_their_state(runs: Path) -> None:
    assert listed(runs) == {
        FINISHED: "finished",
        "lead_x_d_smoke_s0_11111111": "interrupted",
        "lead_x_d_smoke_s1_22222222": "interrupted",
    }
    text = call("--runs", str(runs))[1]
    assert "4 stages" in text and "my own notes" not in text


def test_a_run_that_a_process_is_at_is_in_work_and_stays(runs: Path, capsys) -> None:
    name = "lead_x_d_smoke_s0_11111111"
    with locked(runs / name / "run"):
        assert listed(runs)[name] == "in work"
        assert run_cli(["runs", "rm", name, "--runs", str(runs), "--yes"]) == 4
    assert "another process is at" in capsys.readouterr().err
    assert name in names(runs) and len(names(runs / "stages")) == 4  # its stages stay with it


def test_stages_that_another_run_needs_stay(runs: Path) -> None:
    call("--runs", str(runs), "rm", "lead_x_d_smoke_s1_22222222", "--yes")
    assert names(runs / "stages") == {KEYS["a1"][:20], KEYS["b2"][:20]}
    assert "my own notes" in names(runs)


def test_stages_can_be_kept(runs: Path) -> None:
    call("rm", "lead_x_*", "--keep-stages", "--yes", "--runs", str(runs))
    assert list(listed(runs)) == [FINISHED]
    assert len(names(runs / "stages")) == 4


def test_all_that_was_interrupted_goes_at_once_and_what_is_finished_stays(runs: Path) -> None:
    call("--runs", str(runs), "rm", "--interrupted", "--yes")
    assert list(listed(runs)) == [FINISHED]
    assert names(runs / "stages") == set()


def test_stages_of_no_run_go_when_asked_for(runs: Path) -> None:
    call("--runs", str(runs), "rm", "lead_x_d_smoke_s1_22222222", "--keep-stages", "--yes")
    call("--runs", str(runs), "rm", "--unused-stages", "--yes")
    assert names(runs / "stages") == {KEYS["a1"][:20], KEYS["b2"][:20]}


@pytest.mark.parametrize("more", [["--dry-run"], []])
def test_nothing_goes_that_nobody_agreed_to(runs: Path, more: list[str], capsys) -> None:
    code = run_cli(["runs", "--runs", str(runs), "rm", "lead_*", *more])
    said = capsys.readouterr()
    assert code == (0 if more else 2)
    assert "3 runs and 4 stages" in said.out + said.err
    assert len(listed(runs)) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rm", "lead_x_d_smoke_s0_11111112", "--yes"], "lead_x_d_smoke_s0_11111111"),
        (["rm", "--yes"], "name the runs"),
    ],
)
def test_a_mistake_is_told_and_removes_nothing(runs: Path, capsys, arguments: list[str], message: str) -> None:
    assert run_cli(["runs", "--runs", str(runs), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert len(listed(runs)) == 3


def test_a_folder_that_is_not_there_is_named(tmp_path: Path, capsys) -> None:
    assert run_cli(["runs", "--runs", str(tmp_path / "none")]) == 2
    assert "there is no such folder" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "[]", '{"identity": 3}', '{"identity": {"stages": [1]}}'])
def test_a_damaged_run_is_listed_as_that(runs: Path, text: str) -> None:
    (runs / "lead_x_d_smoke_s0_11111111" / "identity.json").write_text(text)
    assert listed(runs)["lead_x_d_smoke_s0_11111111"] == "damaged"


def test_a_link_to_a_folder_elsewhere_is_no_run_and_is_not_followed(runs: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    unfinished(elsewhere, "kept", "a1")
    (runs / "linked").symlink_to(elsewhere / "kept")
    assert "linked" not in listed(runs)
