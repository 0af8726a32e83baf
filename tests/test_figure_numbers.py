"""The numbers behind figures, against what is counted by hand."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_records import keep, record
from made_runs import predicted
from matplotlib.axes import Axes

from lmbench.errors import LmbenchError
from lmbench.figures.asking import Asked, Line, command_of, lines_of, make, suiting
from lmbench.figures.catalogue import FIGURES, find_figure
from lmbench.figures.cumulative import Cumulative
from lmbench.figures.errors import Errors, errors_of, mean_of_images
from lmbench.figures.features import three_colours
from lmbench.figures.few_shot import Point, _published
from lmbench.figures.images import by_rank
from lmbench.figures.landmarks import of_landmarks
from lmbench.plugins.loading import get_plugins
from lmbench.report.style import Page, form_of, look, wrapped
from lmbench.results.record import Number, Record
from lmbench.results.run import Run
from lmbench.results.sides import Place, Side


def test_the_area_and_the_failures_of_a_curve_are_those_that_are_counted() -> None:
    draws = [np.random.default_rng(k).gamma(2, 4, 300) for k in range(3)]
    made = Cumulative.of(draws, 10)
    fine = (np.arange(20_000) + 0.5) * 10 / 20_000
    by_hand = [np.mean([(errors <= t).mean() for t in fine]) for errors in draws]
    assert made.area == pytest.approx(100 * np.mean(by_hand), abs=0.02)
    assert made.failures == pytest.approx(100 * np.mean([(errors > 10).mean() for errors in draws]))
    shares = np.array([[100 * sum(e <= t for e in errors) / len(errors) for t in made.at] for errors in draws])
    np.testing.assert_allclose(made.share, shares.mean(0))
    assert made.spread is not None
    np.testing.assert_allclose(made.spread, shares.std(0, ddof=1), atol=1e-9)
    assert Cumulative.of(draws[:1], 10).spread is None


def test_errors_of_images_are_means_of_the_landmarks_that_are_seen() -> None:
    stored = predicted(1.0, draws=2)
    seen = np.random.default_rng(0).random((60, 4)) < 0.8
    seen[:, :2], seen[7] = True, False
    stored = replace(stored, visible=seen)
    found = errors_of(stored, get_plugins())
    assert (found.metric, found.unit) == ("iod", "percent") and "eyes" in found.normaliser
    for draw in range(2):
        for i in range(60):
            apart = np.linalg.norm(stored.target[i, 0] - stored.target[i, 1])
            far = [np.linalg.norm(stored.predicted[draw, i, k] - stored.target[i, k]) for k in range(4) if seen[i, k]]
            own = mean_of_images(found.values)[draw, i]
            assert np.isnan(own) if i == 7 else own == pytest.approx(100 * np.mean(far) / apart)
    assert found.of_images.shape == (2, 59)
    hits = errors_of(replace(stored, metrics=("pck_5pct",)), get_plugins())
    assert hits.metric == "of_side" and hits.values[0, 0, 0] == pytest.approx(
        100 * np.linalg.norm(stored.predicted[0, 0, 0] - stored.target[0, 0]) / 64
    )
    with pytest.raises(LmbenchError, match="counts hits, which are no errors; there are iod, of_side"):
        errors_of(stored, get_plugins(), "pck_5pct")


def test_the_spread_of_draws_and_seeds_is_that_of_all_of_them_together() -> None:
    rng = np.random.default_rng(1)
    listed = [rng.normal(20 + seed, 2, 5) for seed in range(3)]
    numbers = [
        Number("regression", "iod", None, 10, float(v.mean()), float(v.std(ddof=1)), 5, "percent", False)
        for v in listed
    ]
    point = Point.of(numbers)
    assert point.value == pytest.approx(np.mean(listed)) and point.spread == pytest.approx(np.std(listed, ddof=1))
    whole = [replace(number, std=None, draws=None) for number in numbers]
    assert Point.of(whole).spread == pytest.approx(np.std([n.value for n in whole], ddof=1))
    assert Point.of(whole[:1]).spread is None


def test_the_error_of_a_landmark_is_its_mean_and_its_interval_that_of_a_mean() -> None:
    values = np.random.default_rng(2).gamma(2, 5, (1, 400, 3))
    values[:, :, 2], values[0, :100, 1] = np.nan, np.nan
    first, second, third = of_landmarks({0: Errors(values, "iod", "percent", "eyes")}, drawn=False)
    assert first is not None and second is not None and third is None
    assert first.value == pytest.approx(values[0, :, 0].mean())
    assert second.value == pytest.approx(np.nanmean(values[0, :, 1]))
    half = 1.966 * values[0, :, 0].std(ddof=1) / 20
    assert first.low == pytest.approx(first.value - half, rel=1e-3) and first.high is not None


def test_images_are_taken_at_equal_steps_of_their_rank() -> None:
    errors = np.array([5.0, np.nan, 1.0, 4.0, 2.0, 3.0])
    assert by_rank(errors, 3).tolist() == [2, 5, 0] and by_rank(errors, 99).tolist() == [2, 4, 5, 3, 0]


def test_colours_are_the_first_principal_components() -> None:
    cells = np.random.default_rng(3).normal(0, 1, (2 * 4 * 4, 6)) * [5, 3, 2, 0.1, 0.1, 0.1]
    colours, share = three_colours(cells, 2)
    assert colours.shape == (2, 4, 4, 3) and colours.min() == 0 and colours.max() == 1
    centred = cells - cells.mean(0)
    _, singular, axes = np.linalg.svd(centred, full_matrices=False)
    assert share == pytest.approx(100 * (singular[:3] ** 2).sum() / (singular**2).sum())
    for k in range(3):
        middle = (colours[..., k] > 0.02) & (colours[..., k] < 0.98)
        fit = np.corrcoef(colours[..., k][middle], (centred @ axes[k]).reshape(2, 4, 4)[middle])[0, 1]
        assert abs(fit) == pytest.approx(1)
    assert three_colours(cells[:, :2], 2)[0][..., 2].max() == 0


def test_published_values_stand_with_the_line_that_measured_the_same() -> None:
    metric = record("a", "lead", 20.0)["metrics"][0] | {"n_annotations": 10, "draws": 5}
    made = record("a", "lead", 20.0, variant="dense64", dataset="aflw_m", metrics=[metric])
    own = Record.of(made)
    line = Line("ours", Side({0: Run(Path(), own)}), "ours")
    found = _published(Asked(lines=(line,)), own.rows[0], get_plugins())
    ((number, source),) = found
    assert number == 0 and source == "ours, published in lead2022 Table 5"
    assert set(found[number, source]) == {1, 5, 10, 20, 50, 100}
    other = Line("ours", Side({0: Run(Path(), replace(own, dataset="mafl", method="nobody"))}), "nobody")
    assert _published(Asked(lines=(other,)), own.rows[0], get_plugins()) == {}
    assert _published(Asked(lines=(line,), published=()), own.rows[0], get_plugins()) == {}
    named = _published(Asked(lines=(line,), published=("dve",)), own.rows[0], get_plugins())
    assert len(named) == 1 and next(iter(named))[1].startswith("dve 64-d, published in")


def test_the_command_of_a_run_names_it() -> None:
    made = record("a", "lead", 20.0, variant="dense64, untrained", pretrain_on="celeba", seed=2)
    assert command_of(Record.of(made), {"--annotations": "10,all"}) == (
        "lmbench run --method lead --variant dense64 --dataset mafl --preset small --seed 2 --pretrain-on celeba "
        "--annotations 10,all --untrained"
    )


STAGE = {
    "name": "byol",
    "key": "a" * 64,
    "epochs": 2,
    "curve": [{"epoch": 1, "total": 2.0}, {"epoch": 2, "total": 1.0}],
}


@pytest.fixture
def again(tmp_path: Path) -> Place:
    """Three runs of one seed: the newest has one number alone, two older ones all that figures are made of."""
    (metric,) = record("a", "mine", 20.0)["metrics"]
    tasks = [metric | {"task": task, "n_annotations": None} for task in ("matching", "equivariance", "scale")]
    whole = {"metrics": [metric, metric | {"n_annotations": 10}, *tasks], "stages": [STAGE]}
    short = {"stages": [STAGE | {"key": "b" * 64, "curve": []}]}
    for day, (name, changes) in enumerate({"oldest": whole, "older": whole, "newest": short}.items(), 1):
        keep(tmp_path, record(name, "mine", 20.0, finished=f"2026-01-0{day}", **changes))
        if changes is whole:
            (tmp_path / name / "predictions").mkdir()
            (tmp_path / name / "heads").mkdir()
    (tmp_path / "stages" / ("a" * 20)).mkdir(parents=True)
    return Place(tmp_path)


@pytest.mark.parametrize("name", [spec.name for spec in FIGURES])
def test_of_several_runs_of_a_seed_the_newest_that_has_what_a_figure_draws_counts(
    again: Place, capsys: Any, name: str
) -> None:
    def chosen(**options: object) -> str:
        (line,) = lines_of(["mine/v"], again, (), suiting(find_figure(name), **options))  # type: ignore[arg-type]
        return line.first.name

    every = name == "overview"
    assert chosen() == ("newest" if every else "older")
    said = capsys.readouterr().err
    assert said.count("of several runs of a seed the newest") == 1
    assert ("that has what is wanted counts: older (3 of seed 0)" in said) != every
    if every:
        assert chosen(task="matching") == "older"
        assert lines_of(["mine/v"], again)[0].first.name == "newest"


def read_off(panel: Axes) -> dict[str, object]:
    """What a panel of an overview shows, by what its marks look like."""
    found: dict[str, object] = {"title": panel.get_title(loc="left"), "solid": [], "hollow": [], "bars": []}
    for line in panel.lines:
        at = np.asarray(line.get_xdata(), float).round(9).tolist()
        if line.get_linestyle() == "--":
            found["dashed"] = at[0]
        elif len(at) == 1:
            found["hollow" if line.get_markerfacecolor() == "white" else "solid"] += at  # type: ignore[operator]
        elif line.get_color() != "#bbbbbb":  # which leads from one to the other
            found["bars"].append(at)  # type: ignore[attr-defined]
    return found


ELSEWHERE = """
import sys
from lmbench.report import style
own = style._settings
style._settings = lambda page: {**own(page), "font.family": ["Nonesuch Sans", "Absent"]}
from lmbench.cli.main import run_cli
sys.exit(run_cli(sys.argv[1:]))
"""


def test_no_display_backend_cache_or_font_is_missed(tmp_path: Path) -> None:
    data = {"fingerprint": "f" * 64, "used": {"test": 60}, "preprocessing": {"size": 64}}
    keep(tmp_path, record("mine", "mine", 20.0, data=data, predictions=["predictions/regression.parquet"]))
    environment = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    environment |= {"MPLBACKEND": "NoSuchBackend", "MPLCONFIGDIR": str(tmp_path / "mine" / "record.json")}
    arguments = ["figure", "overview", str(tmp_path / "mine"), "-o", str(tmp_path / "a.pdf")]
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "") and "a.pdf: Numbers of each method" in done.stdout
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")


def test_an_overview_shows_the_numbers_of_its_records(tmp_path: Path) -> None:
    (metric,) = record("a", "mine", 20.0)["metrics"]

    def metrics(*values: float) -> list[dict]:
        few = {"n_annotations": 10, "draws": 5, "std": 1.0}
        match = {"task": "matching", "metric": "matching_error", "n_annotations": None, "unit": "px", "subset": "same"}
        rows = zip(({}, few, match), values, strict=True)
        return [metric | row | {"value": v, "ci95": [v - 1.5, v + 2.5]} for row, v in rows]

    def kept(run: str, method: str, **changes: object) -> None:
        data = {"fingerprint": "f" * 64, "used": {"test": 60}, "preprocessing": {"size": 64}}
        made = {"data": data, "predictions": ["predictions/regression.parquet"], **changes}
        keep(tmp_path, record(run, method, 0.0, **made))

    kept("mine", "mine", metrics=metrics(20.25, 31.5, 4.75))
    control = {"variant": "v, untrained", "supervision": "untrained"}
    kept("control", "mine", metrics=metrics(40.5, 52.0, 9.25), **control)
    for seed in (0, 1):
        kept(f"other{seed}", "other", seed=seed, metrics=metrics(25 + seed, 35 + seed, 6 + seed))
    headed = [row | {"settings": {"head": "mean_shape"}} for row in metrics(60.0, 61.0, 0.0)[:2]]
    kept("floor", "mean_shape", supervision="none", metrics=headed)
    lines = lines_of(["mine", "control", "other0,other1", "floor"], Place(tmp_path))
    figure = make(find_figure("overview"), Asked(lines=lines, page=Page(178))).figure
    whole, few, match = (read_off(panel) for panel in figure.axes if panel.lines)
    titles = ["regression, n = all", "regression, n = 10", "matching, same"]
    assert [str(p["title"]).replace("\n", " ") for p in (whole, few, match)] == titles
    assert whole["solid"] == [20.25, 25.5] and few["solid"] == [31.5, 35.5] and match["solid"] == [4.75, 6.5]
    assert [p["hollow"] for p in (whole, few, match)] == [[40.5], [52.0], [9.25]]
    assert (whole["dashed"], few["dashed"]) == (60.0, 61.0) and "dashed" not in match
    for panel, value in ((whole, 20.25), (few, 31.5), (match, 4.75)):
        assert [value - 1.5, value + 2.5] in panel["bars"]  # type: ignore[operator]


def test_what_lies_beside_runs_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "stages").mkdir()
    with pytest.raises(LmbenchError, match="there is no record"):
        lines_of([str(tmp_path / "stages")], Place(tmp_path))


def test_many_lines_are_told_apart_and_texts_are_wrapped() -> None:
    assert len({look(k) for k in range(70)}) == 70
    assert wrapped("one two three four", 20, Page()).count("\n") == 1
    assert wrapped("a\nb", 80, Page()) == "a\nb"
    with pytest.raises(LmbenchError, match=r"figures are written as \.pdf"):
        form_of(Path("x.gif"))
