"""No interval of one: one image, one pair or one draw is always the same when it is drawn anew."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from made_runs import compared, predicted, run_of
from small_runs import command, recorded, run_here

from lmbench.plugins.loading import get_plugins
from lmbench.results.leaderboard import measured_lines, ranked_records
from lmbench.results.measuring import measure
from lmbench.results.record import Record


@pytest.mark.parametrize(
    ("changes", "has_one"),
    [
        ({}, True),
        ({"images": 2}, True),
        ({"images": 1}, False),
        ({"n": 2, "draws": 3}, True),
        ({"n": 2, "draws": 1}, False),
    ],
)
def test_a_number_of_one_image_or_one_draw_has_no_interval(changes, has_one: bool) -> None:
    rows = measure(predicted(1.0, **changes), get_plugins())
    assert rows and all((row.ci95 is not None) == has_one for row in rows)


def test_runs_of_one_draw_are_compared_without_an_interval(capsys, tmp_path: Path) -> None:
    a, b = (run_of(tmp_path / name, predicted(noise, n=2)) for name, noise in (("a", 1.0), ("b", 1.5)))
    found = json.loads(compared(capsys, a, b, "--json")[1])
    assert {(c["ci95"], c["p"]) for c in found} == {(None, None)}
    code, out, _ = compared(capsys, a, b)
    assert code == 0 and " - " in out and "None" not in out


def test_one_pair_and_one_draw_are_shown_and_ranked_without_an_interval(capsys, tmp_path: Path) -> None:
    options = ("--annotations", "4", "--draws", "1", "--tasks", "regression,matching")
    options += ("--set", "matching.pairs=1")
    record = recorded(command(tmp_path, *options, method="pixels", variant="patch"))
    assert [row["ci95"] for row in record["metrics"] if row["task"] in ("regression", "matching")].count(None) >= 2
    rows = [row for row in measured_lines(ranked_records([Record.of(record)])) if row["task"] == "regression"]
    assert rows and {(row["ci95_low"], row["ci95_high"]) for row in rows} == {("", "")}
    out = run_here(capsys, *command(tmp_path, *options, method="pixels", variant="patch"))[1]
    assert "-" in next(line for line in out.splitlines() if line.startswith("regression")).split()
