"""The numbers behind figures, against what is counted by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_records import record
from made_runs import predicted

from lmbench.errors import LmbenchError
from lmbench.figures.asking import Asked, Line, command_of, lines_of
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
