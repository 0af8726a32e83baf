"""Leaderboards: measured rows beside published ones, never ranked as one, byte-equal from equal inputs."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from click.testing import CliRunner
from made_records import keep, record, rows_of

from lmbench.cli.leaderboard import leaderboard
from lmbench.cli.main import run_cli
from lmbench.errors import StaleError
from lmbench.papers.boards import published_rows
from lmbench.papers.published import tables
from lmbench.plugins.loading import get_plugins
from lmbench.results.leaderboard import build, published_lines, render, stale_files, write


@functools.cache
def published() -> list[dict[str, Any]]:
    """The rows of the papers that are installed."""
    rows, unread = published_rows(get_plugins())
    assert unread == []
    return rows


def test_every_published_landmark_number_stands_in_one_file_as_printed():
    printed = [
        c for cells in tables(get_plugins()).values() for c in cells if c.dataset and c["task"] != "segmentation"
    ]
    assert len(published()) == len(printed) == 525
    assert [r["value"] for r in published()] == [c["value"] for c in printed]


def test_the_2017_name_of_aflw_m_is_not_mixed_with_our_other_benchmark():
    assert "aflw_mtfl" not in {r["dataset"] for r in published()}
    printed = [r for r in published() if r["source"].startswith("sparse2017") and r["dataset"] == "aflw_m"]
    assert {"10.53"} <= {r["value"] for r in printed}


def test_the_average_of_joints_is_the_whole_and_the_joints_are_its_parts():
    rows = [r for r in published() if r["dataset"] == "bbcpose" and r["metric"] == "pck_6px"]
    table = [r for r in rows if r["source"] == "twostep2021, Table 1" and r["method"] == "twostep"]
    assert {r["part"]: r["value"] for r in table} == {
        "head": "99.4", "wrist": "33.5", "elbow": "78.3", "shoulder": "93.5", "": "72.9",
    }  # fmt: skip
    assert {r["higher_is_better"] for r in rows} == {"true"}


def test_a_measured_pck_stands_in_the_file_of_the_published_ones_under_the_metric_that_their_code_computes(tmp_path):
    metric = {**record("a", "mine", 70.0)["metrics"][0], "metric": "pck_cub_truncated", "higher_is_better": True}
    parts = [metric, {**metric, "subset": "nape", "value": 60.0}]
    built = build(
        keep(tmp_path / "runs", record("a", "mine", 70.0, dataset="cub", metrics=parts)), tmp_path / "out", published()
    )
    rows = rows_of(built.files["cub_regression.csv"])
    whole = [r for r in rows if (r["metric"], r["part"], r["n_annotations"]) == ("pck_cub_truncated", "", "all")]
    assert {r["kind"] for r in whole} == {"measured", "published"}
    printed = [r for r in whole if r["kind"] == "published"]
    assert printed[0]["value"] == "68.63" and {r["higher_is_better"] for r in whole} == {"true"}
    assert [r["value"] for r in rows if r["part"] == "nape"] == ["60.0000"]


def test_measured_and_published_rows_are_ranked_apart(tmp_path):
    runs = keep(tmp_path / "runs", record("a", "mine", 1.0), record("b", "other", 9.0))
    built = build(runs, tmp_path / "out", published())
    rows = [
        r for r in rows_of(built.files["mafl_regression.csv"]) if r["n_annotations"] == "all" and r["metric"] == "iod"
    ]
    assert [(r["method"], r["rank"]) for r in rows if r["kind"] == "measured"] == [("mine", "1"), ("other", "2")]
    first = next(r for r in rows if r["kind"] == "published")
    assert first["rank"] == "1"


def test_published_ranks_follow_the_metrics_direction_and_ties_share_one():
    base = {"metric": "pck", "part": "", "n_annotations": "all", "kind": "published", "variant": "", "source": ""}
    rows = [
        {**base, "method": m, "value": v, "higher_is_better": "true"} for m, v in (("a", "1"), ("b", "3"), ("c", "3"))
    ]
    assert [(r["method"], r["rank"]) for r in published_lines(rows)] == [("b", 1), ("c", 1), ("a", 3)]


def test_equal_inputs_give_byte_equal_files_and_writing_twice_changes_nothing(tmp_path):
    runs, out = keep(tmp_path / "runs", record("a", "mine", 1.0)), tmp_path / "out"
    first = build(runs, out)
    write(first, out)
    assert build(runs, out).files == first.files
    assert stale_files(build(runs, out), out) == []


def test_a_kept_record_serves_without_the_runs_folder(tmp_path):
    out = tmp_path / "out"
    built = build(keep(tmp_path / "runs", record("a", "mine", 1.0)), out)
    write(built, out)
    assert build(tmp_path / "nowhere", out).files == built.files


def test_smoke_runs_are_never_ranked(tmp_path):
    built = build(keep(tmp_path / "runs", record("a", "mine", 1.0, preset="smoke")), tmp_path / "out", published())
    assert ",measured," not in built.files["mafl_regression.csv"]


def test_two_values_of_one_run_are_refused(tmp_path):
    out = tmp_path / "out"
    write(build(keep(tmp_path / "one", record("a", "mine", 1.0)), out), out)
    with pytest.raises(StaleError, match="with other values"):
        build(keep(tmp_path / "two", record("a", "mine", 2.0)), out)


def test_a_damaged_record_is_left_out_named_and_exits_with_4(tmp_path):
    runs = keep(tmp_path / "runs", record("a", "mine", 1.0))
    (runs / "b").mkdir()
    (runs / "b" / "record.json").write_text('{"schema": 1, "met')
    code = run_cli(["leaderboard", "build", "--runs", str(runs), "--out", str(tmp_path / "out")])
    assert code == 4
    assert (tmp_path / "out" / "mafl_regression.csv").exists()


def test_check_exits_with_3_where_a_file_was_edited(tmp_path):
    runs, out = keep(tmp_path / "runs", record("a", "mine", 1.0)), tmp_path / "out"
    places = ["--runs", str(runs), "--out", str(out)]
    assert run_cli(["leaderboard", "build", *places]) == 0
    assert run_cli(["leaderboard", "check", *places]) == 0
    path = out / "mafl_regression.csv"
    path.write_text(path.read_text().replace("1.0000", "0.5000"))
    assert run_cli(["leaderboard", "check", *places]) == 3


def test_published_rows_whose_paper_is_not_installed_are_named_before_a_build_drops_them(tmp_path, capsys):
    out = tmp_path / "out"
    places = ["--runs", str(tmp_path / "runs"), "--out", str(out)]
    assert run_cli(["leaderboard", "build", *places]) == 0
    path = out / "mafl_regression.csv"
    count = path.read_text().count('"sparse2017, ')
    path.write_text(path.read_text().replace('"sparse2017, ', '"gone2017, '))
    capsys.readouterr()
    assert run_cli(["leaderboard", "check", *places]) == 3
    said = capsys.readouterr().err
    assert f"{path} holds {count} rows of gone2017, which no plugin here brings: install it, or they go." in said
    assert "install what is missing, then run `lmbench leaderboard build`" in said and "; run `" not in said
    assert run_cli(["leaderboard", "build", *places]) == 4
    assert f"{count} rows of gone2017, which no plugin here brings: they went" in capsys.readouterr().err
    assert run_cli(["leaderboard", "build", *places]) == 0


def test_a_measured_row_links_a_record_that_is_there(tmp_path):
    runs, out = keep(tmp_path / "runs", record("a", "mine", 1.0)), tmp_path / "out"
    CliRunner().invoke(leaderboard, ["build", "--runs", str(runs), "--out", str(out)])
    measured = [r for r in rows_of((out / "mafl_regression.csv").read_text()) if r["kind"] == "measured"]
    assert [(out / r["source"]).is_file() for r in measured] == [True]


def test_render_has_every_column_once():
    header = render([]).strip().split(",")
    assert len(header) == len(set(header)) and header[:3] == ["dataset", "task", "metric"]
