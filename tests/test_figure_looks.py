"""What lines and pictures look like: controls are told by their looks, and colours are told apart by everybody."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from made_records import record
from matplotlib.lines import Line2D

from lmbench.figures.asking import Asked, Line
from lmbench.figures.few_shot import _beside
from lmbench.report.pictures import PREDICTED, TRUE, overlaid
from lmbench.report.plots import look_of
from lmbench.report.style import Page, legend_lines, wrapped
from lmbench.results.record import Record
from lmbench.results.run import Run
from lmbench.results.sides import Side

DEUTERANOPIA = ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.01182, 0.04294, 0.968881))
PROTANOPIA = ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998))
"""Machado et al. 2009, whole, of linear RGB."""


def line_of(method: str, variant: str = "v", **changes: str) -> Line:
    made = Record.of(record(f"{method}-{variant}", method, 1.0, variant=variant, **changes))
    return Line(method, Side({0: Run(Path(), made)}), method)


def test_a_control_has_the_colour_of_what_it_controls_and_floors_have_none() -> None:
    mine, other = line_of("mine"), line_of("other")
    control = line_of("other", "v, untrained", supervision="untrained")
    alone = line_of("random", supervision="untrained")
    floors = [line_of("mean_shape", supervision="none"), line_of("pixels", supervision="none")]
    looks = Asked(lines=(floors[0], control, mine, other, alone, floors[1])).looks
    assert [looks[line] for line in (mine, other, alone)] == [(0, "measured"), (1, "measured"), (2, "control")]
    assert looks[control] == (1, "control") and [looks[line] for line in floors] == [(0, "floor"), (1, "floor")]
    trained, untrained = look_of(1), look_of(1, "control")
    assert trained["color"] == untrained["color"] and trained["marker"] == untrained["marker"]
    assert (trained["linestyle"], untrained["linestyle"]) == ("-", "--") and untrained["markerfacecolor"] == "white"


def test_lines_of_as_many_methods_as_there_are_all_look_differently() -> None:
    looks = [tuple(map(str, look_of(k, kind).values())) for kind in ("measured", "control") for k in range(20)]
    assert len(set(looks)) == len(looks)


def test_bars_of_many_lines_stand_beside_each_other_around_their_place() -> None:
    places = _beside({1: 1.0, "all": 100.0}, 5)
    at = [found[1] for found in places]
    assert at == sorted(set(at)) and at[2] == pytest.approx(1.0) and places[0]["all"] == pytest.approx(100 * at[0])
    assert math.log10(at[-1] / at[0]) < 0.2


def test_short_parentheses_stay_whole_and_a_long_name_is_cut_behind_its_slash() -> None:
    page = Page(font=8.0)
    assert wrapped("Acc(d), percent (higher is better)", 40, page) == "Acc(d), percent\n(higher is better)"
    assert wrapped("supervised/hypercolumn", 25, page) == "supervised/\nhypercolumn"
    assert wrapped("lead/dense64", 25, page) == "lead/dense64"


def test_a_long_legend_stands_in_two_columns_on_a_whole_page() -> None:
    handles = [Line2D([], [], label=f"{'name' * 10} {k}") for k in range(12)]
    assert legend_lines(handles, Page(178)) == 6 and legend_lines(handles, Page(85)) >= 12


def test_truth_is_a_ring_and_a_prediction_a_dot() -> None:
    grey = np.full((40, 40, 3), 90, np.uint8)
    target, predicted = np.array([[10.0, 10.0], [30.0, 5.0]]), np.array([[25.0, 30.0], [30.0, 20.0]])
    pixels = np.asarray(overlaid(grey, predicted, target, np.array([True, False])))

    def at(point: np.ndarray) -> np.ndarray:
        x, y = (2 * point + 0.5).astype(int)
        return pixels[y - 5 : y + 7, x - 5 : x + 7].reshape(-1, 3)

    assert (at(target[0]) == TRUE.colour).all(-1).any() and tuple(pixels[20, 20]) != TRUE.colour
    assert tuple(pixels[60, 50]) == PREDICTED.colour
    assert (at(target[1]) == 90).all() and (at(predicted[1]) == 90).all()


@pytest.mark.parametrize("seen_by", [np.eye(3), np.array(DEUTERANOPIA), np.array(PROTANOPIA)])
def test_truth_and_prediction_are_told_apart_by_the_colour_blind_and_in_grey(seen_by: np.ndarray) -> None:
    linear = (np.array([TRUE.colour, PREDICTED.colour]) / 255) ** 2.2
    seen = (linear @ seen_by.T).clip(0, 1)
    assert np.abs(seen[0] - seen[1]).max() > 0.3
    light = np.sort(seen @ (0.2126, 0.7152, 0.0722))
    assert (light[1] + 0.05) / (light[0] + 0.05) > 1.4
