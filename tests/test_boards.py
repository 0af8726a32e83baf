"""Boards: a row is an output over its seeds, places are shared where the paired test cannot tell, controls stand beside."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
from made_boards import IMAGES, KEY, Made
from made_records import keep, record, rows_of
from made_runs import predicted, run_of

from lmbench.cli.main import run_cli
from lmbench.errors import LmbenchError
from lmbench.results.boards import as_markdown, boards, what_it_tells
from lmbench.results.documents import filled
from lmbench.results.forest import forest
from lmbench.results.leaderboard import build, measured_lines, ranked_records
from lmbench.results.outputs import fold, head_of, kind_of
from lmbench.results.ranking import Ranked, places, sections, told_apart
from lmbench.results.record import Record
from lmbench.results.scores import difference_of, estimate_of


def ranked(made: Made) -> dict[str, Ranked]:
    """The rows by method and variant."""
    found = [row for section in ranked_records(made.records, made.of) for row in section.rows]
    named = {f"{row.output.record.method}/{row.output.record.variant}": row for row in found}
    assert len(named) == len(found)
    return named


def test_a_row_is_an_output_over_its_seeds() -> None:
    made = Made()
    runs = made.add("mine", 10.0)
    made.add("other", 12.0, seeds=(4,))
    mine, other = ranked(made).values()
    values = [run.rows[0].value for run in runs]
    assert mine.output.value == pytest.approx(np.mean(values)) and mine.output.seeds == (0, 1, 2)
    assert mine.output.spread == pytest.approx(np.std(values, ddof=1)) and other.output.spread is None
    whole = estimate_of({run.seed: made.scores[run.run][KEY] for run in runs})
    assert mine.interval == (whole.low, whole.high)
    line, single = measured_lines(ranked_records(made.records, made.of))
    assert (line["seeds"], line["seed"], line["source"]) == (
        3,
        "0 1 2",
        " ".join(f"records/{r.run}.json" for r in runs),
    )
    assert (single["seeds"], single["seed"], single["spread"]) == (1, "4", "") and single["note"].startswith("one seed")


def test_rows_that_differ_are_told_apart_and_those_that_do_not_share_their_places() -> None:
    made = Made()
    for method, mean in (("a", 10.0), ("b", 10.05), ("c", 20.0), ("d", 20.05)):
        made.add(method, mean)
    assert {name: row.place for name, row in ranked(made).items()} == {
        "a/v": "1-2",
        "b/v": "1-2",
        "c/v": "3-4",
        "d/v": "3-4",
    }
    (section,) = ranked_records(made.records, made.of)
    assert (section.pairs, section.apart, len(section.widths)) == (6, 4, 6)


def test_a_difference_that_own_intervals_hide_is_seen_image_by_image() -> None:
    made, blind = Made(), Made()
    for board, kept in ((made, True), (blind, False)):
        board.add("a", 10.0, spread=0.02, kept=kept)
        board.add("b", 11.0, spread=0.02, kept=kept)
    a, b = ranked(made).values()
    assert a.interval and b.interval and a.interval[1] > b.interval[0]
    assert [row.place for row in (a, b)] == ["1", "2"]
    assert [row.place for row in ranked(blind).values()] == ["1-2", "1-2"]


def test_what_is_told_apart_is_what_benjamini_and_hochberg_say() -> None:
    rng = np.random.default_rng(0)
    for size in [0, 1, 2, 5, 40] * 20:
        chances = rng.uniform(0, 1, size) ** rng.integers(1, 8, size)
        expected = [] if size == 0 else list(scipy.stats.false_discovery_control(chances) <= 0.05)
        assert told_apart(list(chances)) == expected


def test_places_are_those_of_all_orders_that_agree_with_the_pairs_told_apart() -> None:
    rng, made = np.random.default_rng(1), Made()
    for number in range(5):
        made.add(f"m{number}", 10.0 + number, seeds=(0,))
    rows = sorted(fold(made.records), key=lambda row: row.order)
    for share in (0.0, 0.2, 0.5, 0.8, 1.0):
        for _ in range(5):
            told = [pair for pair in itertools.combinations(rows, 2) if rng.uniform() < share]
            agreeing = [
                order
                for order in itertools.permutations(rows)
                if all(order.index(better) < order.index(worse) for better, worse in told)
            ]
            at = {row: [order.index(row) + 1 for order in agreeing] for row in rows}
            assert places(rows, told) == {row: (min(found), max(found)) for row, found in at.items()}


def test_equal_methods_are_seldom_told_apart_however_many_there_are() -> None:
    wrong = 0
    for number in range(40):
        made = Made()
        made.records = [Record.of(record("pad", "pad", 1.0))] * number  # other draws each time
        start = len(made.records)
        for method in range(6):
            made.add(f"m{method}", 10.0)
        (section,) = ranked_records(made.records[start:], made.of)
        wrong += section.apart > 0
    assert wrong <= 6  # 5 % of 40, and what chance adds in 999 of 1,000 trials


def test_a_row_without_kept_scores_is_placed_by_its_own_interval_and_says_so() -> None:
    made = Made()
    made.add("far", 30.0, kept=False)
    made.add("near", 10.1, kept=False)
    made.add("mine", 10.0)
    rows = ranked(made)
    assert {name: row.place for name, row in rows.items()} == {"mine/v": "1-2", "near/v": "1-2", "far/v": "3"}
    assert [row.scored for row in rows.values()] == [True, False, False]
    notes = {line["method"]: line["note"] for line in measured_lines(ranked_records(made.records, made.of))}
    assert "scores are not kept" in notes["far"] and "scores are not kept" not in notes["mine"]
    text = as_markdown(boards(ranked_records(made.records, made.of)))
    assert "| `near`, v ° |" in text and "2 (°) without kept scores" in text and "| `mine`, v |" in text


def test_the_interval_of_records_alone_covers_seeds_as_student_says() -> None:
    made = Made()
    runs = made.add("mine", 10.0, kept=False)
    (row,) = ranked(made).values()
    halves = [(run.rows[0].ci95[1] - run.rows[0].ci95[0]) / 2 for run in runs]  # type: ignore[index]
    of_seeds = scipy.stats.t.ppf(0.975, 2) * np.std([run.rows[0].value for run in runs], ddof=1) / 3**0.5
    assert row.interval and (row.interval[1] - row.interval[0]) / 2 == pytest.approx(
        np.hypot(np.mean(np.square(halves)) ** 0.5, of_seeds)
    )


def test_one_run_measured_twice_is_one_row_and_the_newest_counts() -> None:
    made = Made()
    made.add("mine", 10.0, seeds=(0, 1), code={"version": "0.4.0"}, finished="2026-01-01")
    again = made.add("mine", 11.0, seeds=(1,), code={"version": "0.4.1"}, finished="2025-01-01")
    later = made.add("mine", 12.0, seeds=(0,), code={"version": "0.4.0"}, finished="2026-01-02")
    made.add("mine", 30.0, code={"version": "0.3.9"}, finished="2026-06-01")
    (output,) = fold(made.records)
    assert [found.run for found, _ in output.measured.values()] == [later[0].run, again[0].run]
    assert output.versions == ("0.4.0", "0.4.1") and output.value == pytest.approx(
        (later[0].rows[0].value + again[0].rows[0].value) / 2
    )
    assert output.replaced == ("the newest of several runs of seeds 0, 1", "3 seeds of lmbench 0.3.9 replaced")


def test_an_older_version_stands_where_no_newer_one_measured_and_its_heads_version_is_no_setting() -> None:
    made = Made()
    made.add("old", 10.0, code={"version": "0.4.0"})
    made.add("new", 11.0, code={"version": "0.10.0"}, settings={"head": "lmbench:converged 0.10.0"})
    (section,) = ranked_records(made.records, made.of)
    assert [row.output.record.method for row in section.rows] == ["old", "new"]


@pytest.mark.parametrize(
    "other",
    [
        {"settings": {"head": "lmbench:ridge 0.4.0"}}, {"settings": {"budget": 2}}, {"preset": "quick"},
        {"data": {"fingerprint": "e" * 64}}, {"metric": {"images": 7}}, {"metric": {"n_annotations": 10, "draws": 5}},
        {"metric": {"normaliser": "box"}}, {"supervision": "supervised"}, {"variant": "v, untrained"},
    ],
)  # fmt: skip
def test_other_heads_data_presets_and_kinds_are_never_ranked_as_one(other: dict[str, Any]) -> None:
    made = Made()
    made.add("a", 10.0)
    made.add("b", 20.0, **other)
    assert [(row.first, row.last) for row in ranked(made).values()] == [(1, 1), (1, 1)]


def test_numbers_of_draws_are_ranked_apart() -> None:
    made = Made()
    for method, draws in (("a", 5), ("b", 10), ("c", 5)):
        made.add(method, 10.0, metric={"n_annotations": 10, "draws": draws})
    assert [len(section.rows) for section in ranked_records(made.records, made.of)] in ([2, 1], [1, 2])


def test_layers_dimension_and_drawn_images_are_no_protocol() -> None:
    made = Made()
    made.add("a", 10.0, settings={"layers": ["x"], "dimension": 64, "draw_indices": [[1]]})
    made.add("b", 20.0, settings={"layers": ["y"], "dimension": 960, "draw_indices": [[2]]})
    assert len(ranked_records(made.records, made.of)) == 1


def test_another_recipe_of_one_name_is_a_row_of_its_own_that_says_what_differs() -> None:
    made = Made()
    for epochs in (1, 10):
        config = {
            "stages": {"byol": {"training": {"epochs": epochs, "checkpoint_minutes": epochs}, "objective": "byol"}}
        }
        made.add("mine", 10.0 + epochs, config=config)
    found = boards(ranked_records(made.records, made.of))
    text = as_markdown(found)
    assert "| `mine`, v, stages.byol.training.epochs=1 |" in text and "stages.byol.training.epochs=10 |" in text
    assert "checkpoint" not in text and len(found[0].rows) == 2


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({}, "learned"), ({"supervision": "self-supervised"}, "learned"), ({"supervision": "supervised"}, "supervised"),
        ({"supervision": "supervised on ImageNet"}, "pretrained"), ({"supervision": "as the model's"}, "pretrained"),
        ({"supervision": "none"}, "floor"), ({"supervision": "untrained"}, "control"),
        ({"supervision": "as the model's", "variant": "untrained"}, "control"),
        ({"supervision": "self-supervised", "config": {"untrained": True}}, "control"),
        ({"supervision": "none", "variant": "k50, untrained"}, "control"),
        ({"supervision": "none", "components": [{"kind": "backbone", "distribution": "lmbench"}]}, "control"),
        ({"supervision": "none", "components": [{"kind": "backbone", "distribution": "lmbench-baselines"}]}, "floor"),
    ],
)  # fmt: skip
def test_what_an_output_learned_from_is_told_by_its_record(changes: dict[str, Any], kind: str) -> None:
    assert kind_of(Record.of(record("a", "mine", 1.0, **changes))) == kind


def test_a_method_stands_beside_its_own_control_with_the_difference_and_its_interval() -> None:
    made = Made()
    runs = made.add("mine", 10.0, pretrain_on="faces")
    made.add("mine", 25.0, variant="v, untrained", supervision="untrained")
    own = made.add("mine", 12.0, variant="v, untrained", supervision="untrained", pretrain_on="faces")
    made.add("lonely", 11.0)
    rows = [row for section in ranked_records(made.records, made.of) for row in section.rows]
    mine = next(row for row in rows if row.output.record.method == "mine" and row.output.kind == "learned")
    assert mine.control and mine.control.record.run == own[0].run
    sides = [{r.seed: made.scores[r.run][KEY] for r in side} for side in (runs, own)]
    expected = difference_of(sides[0], sides[1])
    assert mine.gain == pytest.approx(expected.value) and mine.gain_interval == (expected.low, expected.high)
    assert mine.verdict(mine.gain_interval) == "better"
    lonely = next(row for row in rows if row.output.record.method == "lonely")
    assert (lonely.control, lonely.beside, lonely.gain, lonely.gain_interval) == (None, None, None, None)


def test_the_same_network_untrained_under_another_name_is_a_control_too() -> None:
    def config(weights: str | None, *layers: str) -> dict[str, Any]:
        network = {"backbone": "resnet18", "backbone_settings": {"weights": weights, "dim": 64}}
        return {"stages": {}, "network": network, "read": {"layers": list(layers), "size": 24}}

    made = Made()
    made.add("imagenet", 6.0, supervision="supervised on ImageNet", config=config("imagenet", "a", "b"))
    made.add("imagenet", 7.0, variant="top", supervision="supervised on ImageNet", config=config("imagenet", "a"))
    made.add("random", 12.0, supervision="untrained", config=config(None, "a", "b"))
    rows = ranked(made)
    control = rows["imagenet/v"].control
    assert control and control.record.method == "random" and rows["imagenet/top"].control is None
    assert ", random, v |" in as_markdown(boards(ranked_records(made.records, made.of)))


def test_what_stands_in_the_record_is_a_control_without_an_interval() -> None:
    made = Made()
    beside = {"task": "regression", "metric": "iod", "subset": None, "n_annotations": "all", "std": None, "draws": None,
              "unit": "percent", "higher_is_better": False}  # fmt: skip
    references = [
        {**beside, "value": 12.5, "reference": "untrained"},
        {**beside, "value": 9.0, "reference": "mean_shape"},
    ]
    made.add("mine", 10.0, references=references)
    (row,) = ranked(made).values()
    assert (row.beside, row.gain_interval) == (12.5, None) and row.gain == pytest.approx(row.output.value - 12.5)
    (line,) = measured_lines(ranked_records(made.records, made.of))
    assert (line["control"], line["control_value"], line["difference_low"]) == ("", "12.5000", "")
    assert "own reference" in line["note"]


def test_a_board_says_first_what_it_can_tell() -> None:
    made = Made()
    made.add("good", 10.0)
    made.add("good", 20.0, variant="v, untrained", supervision="untrained")
    made.add("bad", 24.0, seeds=(0,))
    made.add("bad", 20.0, variant="v, untrained", supervision="untrained")
    made.add("lost", 22.0)
    made.add(
        "mean_shape", 22.0, seeds=(0,), spread=0.0, supervision="none", settings={"head": "lmbench:mean_shape 0.4.0"}
    )
    (board,) = boards(ranked_records(made.records, made.of))
    first, *more = what_it_tells(board)
    assert first.startswith(
        f"{IMAGES} test images, data ffffffff, lmbench 0. 5 rows besides floors: 4 over 3 seeds, 1 with one"
    )
    widths = [width for section in board.sections for width in section.widths]
    assert f"typically from a difference of {np.median(widths):.2f} percent on" in first
    assert "of 4 pairs within a section are told apart" in first and "The 2 heads and settings" in first
    assert more == [
        "Better than their control: `good/v`.",
        "Worse than their control: `bad/v`.",
        "Without a control: `lost/v`.",
        "Not told to be better than the floor `mean_shape/v`: `lost/v`, `bad/v`.",
    ]


def test_the_block_of_a_document_is_the_board_and_all_of_it() -> None:
    made = Made()
    made.add("mine", 10.0)
    made.add("other", 12.0, seeds=(0,))
    made.add("mine", 9.0, metric={"n_annotations": 10, "draws": 5})
    records = {r.run: r for r in made.records}
    text = filled("<!-- board: mafl regression small annotations=all -->\n<!-- end -->\n", records, "page.md", made.of)
    assert "| 2 | `other`, v |" in text and "one seed |" in text and "n = 10" not in text
    assert as_markdown(boards(ranked_records([r for r in made.records if r.rows[0].key == KEY], made.of))) in text
    for block, said in (
        ("mafl regression small mine", "a board has all methods"),
        ("mafl matching small", "no record has"),
    ):
        with pytest.raises(LmbenchError, match=said):
            filled(f"<!-- board: {block} -->\n<!-- end -->\n", records, "page.md")


def test_the_picture_shows_every_row_and_hollow_controls() -> None:
    made = Made()
    made.add("<mine>&", 10.0)
    made.add("<mine>&", 12.0, variant="v, untrained", supervision="untrained")
    made.add("runaway", 1e6, kept=False)
    drawn = forest(boards(ranked_records(made.records, made.of)))
    root = xml.etree.ElementTree.fromstring(drawn)
    texts = [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"<mine>&, v", "<mine>&, v, untrained", "runaway, v"} <= set(texts)
    circles = [dict(element.attrib) for element in root.iter("{http://www.w3.org/2000/svg}circle")]
    assert sum(circle["fill"] == "white" for circle in circles) == 1
    assert all(0 <= float(circle["cx"]) <= float(root.attrib["width"]) for circle in circles)
    assert drawn == forest(boards(ranked_records(list(reversed(made.records)), made.of)))


def test_kept_scores_give_the_same_boards_without_the_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for noise in (0.1, 0.8):
        for seed in (0, 1):
            name, stored = f"m{noise}", (predicted(noise), predicted(noise, n=5, draws=3))
            run_of(tmp_path / "runs" / f"{name}_s{seed}", *stored, about={"method": name, "seed": seed})
    out = tmp_path / "boards"
    assert run_cli(["leaderboard", "build", "--runs", str(tmp_path / "runs"), "--out", str(out)]) == 0
    files = {path.name: path.read_bytes() for path in out.glob("mafl_regression.*")}
    assert set(files) == {"mafl_regression.csv", "mafl_regression.md", "mafl_regression.svg"}
    lines = [row for row in rows_of(files["mafl_regression.csv"].decode()) if row["kind"] == "measured"]
    assert {(line["method"], line["seed"]) for line in lines} == {("m0.1", "0 1"), ("m0.8", "0 1")}
    assert "scores are not kept" not in str(lines) and {line["rank"] for line in lines} == {"1", "2"}
    for command in ("check", "build"):
        assert run_cli(["leaderboard", command, "--runs", str(tmp_path / "nowhere"), "--out", str(out)]) == 0
    assert {path.name: path.read_bytes() for path in out.glob("mafl_regression.*")} == files
    capsys.readouterr()
    assert run_cli(["leaderboard", "show", "--out", str(out), "--dataset", "mafl", "--annotations", "all"]) == 0
    shown = capsys.readouterr().out
    assert "60 test images" in shown and "n = 5" not in shown and "PLACE" in shown
    (out / "mafl_regression.svg").write_text("<svg/>")
    (out / "gone_regression.svg").write_text("<svg/>")
    assert run_cli(["leaderboard", "check", "--runs", str(tmp_path / "nowhere"), "--out", str(out)]) == 3
    said = capsys.readouterr().err
    assert "mafl_regression.svg is not what" in said and "gone_regression.svg has no source" in said
    next((out / "scores").iterdir()).write_bytes(b"no scores")
    assert run_cli(["leaderboard", "build", "--runs", str(tmp_path / "nowhere"), "--out", str(out)]) == 4
    assert "is damaged" in capsys.readouterr().err


def test_show_says_what_there_is_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    built = build(keep(tmp_path / "runs", record("a", "mine", 1.0)), tmp_path / "out")
    assert sections([]) == [] and list(built.pages) == ["mafl_regression.md", "mafl_regression.svg"]
    assert run_cli(["leaderboard", "show", "--out", str(tmp_path / "out"), "--preset", "paper"]) == 5
    assert "no record has numbers of paper" in capsys.readouterr().err


def test_scores_of_other_images_are_not_paired() -> None:
    made = Made()
    made.add("a", 10.0)
    for run in made.add("b", 20.0):
        made.scores[run.run] = {KEY: replace(made.scores[run.run][KEY], truth={"image ids": "others"})}
    (section,) = ranked_records(made.records, made.of)
    assert (section.pairs, section.apart, section.widths) == (1, 1, ())  # by intervals that have nothing in common
    first, *_ = made.records
    made.scores[first.run] = {KEY: replace(made.scores[first.run][KEY], truth={"image ids": "others"})}
    assert [row.scored for row in ranked(made).values()] == [False, True]


def test_rows_of_one_name_are_told_by_their_heads_and_an_interval_of_two_seeds_is_explained() -> None:
    made = Made()
    for head, version, mean in (("older 0.1.0", "0.1.0", 12.0), ("converged 0.4.0", "0.4.0", 10.0)):
        for variant, supervision, worse in (("v", "self-supervised", 0.0), ("v, untrained", "untrained", 9.0)):
            made.add(
                "mine", mean + worse, seeds=(0, 1), variant=variant, supervision=supervision, code={"version": version},
                settings={"head": f"lmbench:{head}"}, kept=False,
            )  # fmt: skip
    (board,) = boards(ranked_records(made.records))
    assert [head_of(s.rows[0].output.row) for s in board.sections][:2] == ["lmbench:converged", "lmbench:older"]
    first, *more = what_it_tells(board)
    assert "over 2 seeds reaches up to 12.7 standard errors" in first
    assert any("`mine/v` (converged), `mine/v` (older)" in said for said in more)
    drawn = forest([board])
    assert "<path" not in drawn
    made.add("wide", 11.0, seeds=(0, 1), spread=300.0, kept=False)
    assert "<path" in forest(boards(ranked_records(made.records)))
