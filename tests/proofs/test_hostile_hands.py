"""Archives, records and plugins of a hostile hand: nothing escapes, nothing is disturbed, each is named.

By hand: ``pytest -m slow tests/proofs/test_hostile_hands.py -s``.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fake_plugins import lmbench
from hostile_archives import archives
from hostile_plugins import SOURCES, install_all
from made_records import BAD, HOSTILE, METRIC, keep, place, record, rows_of

from lmbench.cli.main import run_cli
from lmbench.errors import DataError
from lmbench.originals.archives import unpack

FORMULAS = ["=1+1", "+1+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", '=HYPERLINK("http://x")', "\x1b[31m=1"]

SIGNS = ("=", "+", "-", "@", "\t", "\r", "\x1b")


def inside(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


@pytest.mark.slow
def test_nothing_of_a_hostile_hand_gets_anywhere(tmp_path, capfd):
    done = {
        "archives": _archives(tmp_path / "a"),
        "records": _records(tmp_path / "r", capfd),
        "plugins": _plugins(tmp_path / "p"),
    }
    with capfd.disabled():
        print(f"\nhostile hands: {sum(done.values())} trials, {done}, none got anywhere")
    assert sum(done.values()) >= 60


def _archives(folder: Path) -> int:
    made, outside = folder / "made", folder / "outside"
    made.mkdir(parents=True), outside.mkdir()
    count = 0
    for what, archive in archives(made, outside):
        before = inside(folder)
        with pytest.raises(DataError):
            unpack(archive, folder / "out")
        assert not [p for p in (folder / "out").rglob("*") if p.is_symlink() or p.name.endswith(".part")], what
        shutil.rmtree(folder / "out")
        assert inside(folder) - before <= {archive, *made.iterdir()}, what
        count += 1
    return count


def _records(folder: Path, capfd: pytest.CaptureFixture[str]) -> int:
    count = 0
    for what, content in BAD.items():
        runs = folder / f"bad{count}"
        place(runs, "x", content)
        capfd.readouterr()
        assert run_cli(["leaderboard", "build", "--runs", str(runs), "--out", str(folder / "boards")]) == 4, what
        assert "left out: " in capfd.readouterr().err
        count += 1
    for name in [*HOSTILE, *FORMULAS]:
        runs, before = folder / f"named{count}", inside(folder)
        odd = {**METRIC, "task": name[:300], "unit": name[:300], "subset": name[:300]}
        keep(
            runs,
            record(f"r{count}", name[:300], 1.0, dataset=name, metrics=[METRIC, odd], preset="p", backbone=name[:300]),
        )
        out = folder / "deep" / f"out{count}"
        assert run_cli(["leaderboard", "build", "--runs", str(runs), "--out", str(out)]) == 0, name
        new = inside(folder) - before - inside(runs) - {runs, out, out.parent, out / "records"}
        assert {p.parent for p in new} == {out, out / "records"}, name
        for file in out.glob("*.csv"):
            for row in rows_of(file.read_text()):
                bad = [
                    c
                    for c in row.values()
                    if row["kind"] == "measured" and c.startswith(("=", "+", "-", "@", "\t", "\r", "\x1b"))
                ]
                assert not bad, (name, bad)
        count += 1
    return count


def _plugins(folder: Path) -> int:
    (folder / "clean").mkdir(parents=True)
    clean = {
        kind: json.loads(lmbench(folder / "clean", "list", kind, "--json").stdout) for kind in ("methods", "datasets")
    }
    for number, (name, (_, said)) in enumerate(SOURCES.items()):
        place = folder / name
        place.mkdir()
        install_all(place, name)
        kind = ("methods", "datasets")[number % 2]
        assert json.loads(lmbench(place, "list", kind, "--json").stdout) == clean[kind], name
        if said:
            assert lmbench(place, "plugin", "doctor").returncode == 1, name
    install_all(
        folder / "clean", "takes_names", "writes_to_descriptor", "prints_from_c", "signals", "folder", "warnings"
    )
    command = [
        sys.executable,
        "-m",
        "lmbench",
        "run",
        "--method",
        "lead",
        "--dataset",
        "synthfaces",
        "--preset",
        "smoke",
    ]
    done = subprocess.run(
        [*command, "--device", "cpu", "--runs", str(folder / "runs"), "--json"],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(folder / "clean")},
    )  # fmt: skip
    made = json.loads(done.stdout)
    assert {c["distribution"] for c in made["components"]} == {"lmbench", "lmbench-lead"} and done.returncode == 0
    return len(SOURCES) + 1
