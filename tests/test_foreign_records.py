"""Records, names and texts of others: left out and named, never a path, a formula or a control sequence."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from made_records import BAD, GOOD, HOSTILE, METRIC, keep, place, record, rows_of

from lmbench.cli.main import run_cli
from lmbench.printable import cell, csv_text, printable
from lmbench.results.leaderboard import build, write


def test_every_bad_record_is_left_out_and_named_and_the_good_one_stands(tmp_path, capfd):
    runs, out = keep(tmp_path / "runs", GOOD), tmp_path / "out"
    for number, content in enumerate(BAD.values()):
        place(runs, f"bad{number:02}", content)
    os.mkfifo(place(runs, "pipe", "x") / "pipe")
    (runs / "pipe" / "record.json").unlink()
    (runs / "pipe" / "pipe").rename(runs / "pipe" / "record.json")
    (runs / "folder" / "record.json").mkdir(parents=True)
    (runs / "loop").mkdir()
    (runs / "loop" / "record.json").symlink_to("record.json")
    before = set(tmp_path.rglob("*"))
    assert run_cli(["leaderboard", "build", "--runs", str(runs), "--out", str(out)]) == 4
    said = capfd.readouterr().err
    lines = [line for line in said.splitlines() if line.startswith("left out: ")]
    for number, what in enumerate(BAD):
        assert any(f"bad{number:02}" in line for line in lines), what
    assert (
        len(lines) == len(said.splitlines()) == len(BAD) + 2 and "\x1b" not in said
    )  # a loop of links is no file at all
    measured = [r for r in rows_of((out / "mafl_regression.csv").read_text()) if r["kind"] == "measured"]
    assert [r["method"] for r in measured] == ["mine"]
    assert [p.name for p in (out / "records").iterdir()] == ["good.json"]
    assert all(p == out or out in p.parents for p in {*tmp_path.rglob("*")} - before)


@pytest.mark.parametrize("what", [w for w in BAD if w not in ("seed is text",)])
def test_a_bad_record_is_a_message_for_compare_and_predict_too(tmp_path, capsys, what):
    good, bad = place(tmp_path, "good", GOOD), place(tmp_path, "bad", BAD[what])
    (tmp_path / "a.png").write_bytes(b"")
    for command in (["compare", str(bad), str(good)], ["predict", str(bad), str(tmp_path / "a.png")]):
        assert run_cli(command) in (1, 2, 3, 5)
        assert "bad" in capsys.readouterr().err


def test_what_the_schema_does_not_name_is_kept_and_a_missing_interval_is_an_empty_cell(tmp_path):
    extra = {
        **GOOD,
        "identity": {"data": "f"},
        "metrics": [{**METRIC, "ci95": None, "references": {"mean_shape": 9.0}}],
    }
    built = build(keep(tmp_path / "runs", extra), tmp_path / "out")
    assert not built.left_out and built.records["good"].to_json() == extra
    (row,) = [r for r in rows_of(built.files["mafl_regression.csv"]) if r["kind"] == "measured"]
    assert (row["ci95_low"], row["ci95_high"], row["value"]) == ("", "", "1.0000")


def test_names_of_a_foreign_record_are_never_paths(tmp_path):
    records = [record(f"d{i}", "mine", 1.0, dataset=name) for i, name in enumerate(HOSTILE)]
    records += [record(f"t{i}", "m", 1.0, metrics=[{**METRIC, "task": n[:300]}]) for i, n in enumerate(HOSTILE)]
    out = tmp_path / "deep" / "out"
    built = build(keep(tmp_path / "runs", *records), out)
    before = {*tmp_path.rglob("*")}
    written = write(built, out)
    assert not built.left_out and {p.parent for p in written} == {out}
    assert all(
        p.parent in (out, out / "records") or p in (out, out.parent)
        for p in {*tmp_path.rglob("*"), out} - before
        if p != out / "records"
    )
    assert all(len(p.name.encode()) < 255 and not p.name.startswith((".", "-", "~")) for p in written)
    found = [row["dataset"] for p in written for row in csv.DictReader(p.open(newline=""))]
    assert {printable(n).replace("\n", "\\n") for n in HOSTILE} <= {f.removeprefix("'") for f in found}


def test_two_names_of_one_file_name_keep_a_file_each(tmp_path):
    names = ["folder:/my/birds", "folder:/my-birds", "folder:/My/Birds", "folder:/" + "x" * 200, "folder:/" + "x" * 201]
    records = [record(f"r{i}", f"m{i}", 1.0, dataset=name) for i, name in enumerate(names)]
    records += [record("r9", "m9", 1.0, dataset="a_b"), record("r10", "m10", 1.0, dataset="a")]
    records[-1]["metrics"] = [{**METRIC, "task": "b_regression"}]
    built = build(keep(tmp_path / "runs", *records), tmp_path / "out")
    assert len({name.casefold() for name in built.files}) == len(built.files)
    kept = {r["method"] for text in built.files.values() for r in rows_of(text) if r["kind"] == "measured"}
    assert kept == {r["method"] for r in records}
    again = build(tmp_path / "runs", tmp_path / "out")
    assert again.files == built.files


def test_runs_whose_names_differ_in_case_alone_do_not_share_a_file(tmp_path):
    built = build(keep(tmp_path / "runs", record("Run", "a", 1.0), record("run", "b", 2.0)), tmp_path / "out")
    assert list(built.records) == ["Run"] and "differs from Run in case alone" in built.left_out[0]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("=1+1", "'=1+1"), ("+1+cmd|' /C calc'!A0", "'+1+cmd|' /C calc'!A0"), ("-2+3", "'-2+3"), ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "\\x09=1"), ("\r=1", "\\x0d=1"), (" =1", "' =1"), ("\uff1d1", "'\uff1d1"), ("+cmd|x", "'+cmd|x"),
        ("-1.5", "-1.5"), ("+2", "+2"), ("-1e-3", "-1e-3"), (-0.25, "-0.25"), ("+proj, K=50", "+proj, K=50"), ("a=b", "a=b"),
        (None, ""), ("a\nb", "a\\nb"), ("\x1b[31m", "\\x1b[31m"), ("-", "'-"), ("+A1", "'+A1"),
    ],
)  # fmt: skip
def test_no_cell_begins_a_formula_and_numbers_stay_numbers(text, shown):
    assert cell(text) == shown
    (row,) = csv.DictReader(io.StringIO(csv_text(["a"], [{"a": text}]))) if shown else [{"a": ""}]
    assert row["a"] == shown


def test_formulas_of_a_record_are_text_in_the_leaderboard(tmp_path):
    bad = record("r", "=cmd|' /C calc'!A0", 1.0, variant="@x", dataset="-1+1", backbone="+1+1", pretrain_on="=1")
    bad["metrics"][0].update(unit="=2", settings={"head": "=3"})
    built = build(keep(tmp_path / "runs", bad), tmp_path / "out")
    (row,) = [r for text in built.files.values() for r in rows_of(text) if r["kind"] == "measured"]
    assert not [c for c in row.values() if c.startswith(("=", "+", "-", "@", "\t", "\r"))]


def test_the_committed_leaderboards_are_written_as_they_are():
    for file in (Path(__file__).parents[1] / "leaderboards").rglob("*.csv"):
        text = file.read_text(encoding="utf-8")
        rows = rows_of(text)
        assert csv_text(list(rows[0]), rows) == text


def test_what_a_terminal_would_act_on_is_shown_as_an_escape():
    assert printable("a\x1b]0;x\x07\x9b2J\u202eb\n\ud800\x7f") == "a\\x1b]0;x\\x07\\u009b2J\\u202eb\n\\ud800\\u007f"
    assert printable("Ü é 眼 \u200d ½ ×") == "Ü é 眼 \u200d ½ ×"
    assert (
        json.loads(printable(json.dumps({"a": "\x1b\x9b\u202e\x7f\ud800\n\t"}, ensure_ascii=False, indent=1)))["a"][1:3]
        == "\x9b\u202e"
    )


def raw(text: str) -> bool:
    return any(c in text for c in "\x1b\x07\x9b\u202e\r\x08")


def test_control_characters_of_records_and_names_never_reach_the_terminal(tmp_path, capfd):
    evil = "\x1b[2J\x9b1m\u202eevil\x07\r\x08"
    runs = keep(tmp_path / "runs", record("r", f"m{evil}", 1.0, dataset=f"d{evil}"))
    place(runs, f"x{evil.replace('/', '')}", "{")
    commands = [
        ["leaderboard", "build", "--runs", str(runs), "--out", str(tmp_path / f"out{evil}")],
        ["compare", str(tmp_path / evil), str(tmp_path / evil)],
        ["predict", str(tmp_path / evil), str(tmp_path / evil)],
        ["run", "--method", evil, "--dataset", evil],
        ["run", "--method", "lead", "--dataset", f"folder:{evil}", "--preset", "smoke"],
        ["run", "--method", "lead", "--dataset", "synthfaces", "--set", f"{evil}=1"],
        ["describe", "method", evil],
        ["data", "verify", f"folder:{tmp_path / evil}"],
        ["plugin", "check", evil],
        ["reproduce", evil],
        [evil],
        ["run", f"--{evil}"],
    ]
    for command in commands:
        assert run_cli(command) != 0
        found = capfd.readouterr()
        assert "evil" in found.out + found.err and not raw(found.out + found.err), command


def test_letters_that_the_terminal_cannot_show_are_escapes_and_no_traceback():
    environment = {**os.environ, "PYTHONIOENCODING": "ascii:strict"}
    done = subprocess.run(
        [sys.executable, "-m", "lmbench", "describe", "method", "ü眼"],
        capture_output=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 2 and b"Traceback" not in done.stderr and b"unknown method" in done.stderr


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "| head -1"])
def test_a_stream_that_the_caller_closed_is_no_traceback(closed):
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m lmbench list heads {closed}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and not done.stderr
