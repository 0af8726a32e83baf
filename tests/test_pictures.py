"""Pictures say what their colours are, and a curve is drawn where there is one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from lmbench.report.pictures import COLOURS, LEGEND_LINE, over_legend
from lmbench.report.plots import draw_curve


def test_a_legend_stands_below_a_sheet_in_the_colours_of_its_names() -> None:
    sheet = Image.new("RGB", (200, 50))
    found = over_legend(sheet, dict(zip(("left_eye", "right_eye"), COLOURS, strict=False)))
    assert found.size == (200, 50 + LEGEND_LINE)
    colours = {tuple(c) for c in np.asarray(found)[50:].reshape(-1, 3)}
    assert set(COLOURS[:2]) <= colours and COLOURS[2] not in colours
    narrow = over_legend(Image.new("RGB", (70, 50)), dict.fromkeys(("left_eye", "right_eye"), COLOURS[0]))
    assert narrow.size == (70, 50 + 2 * LEGEND_LINE)
    assert over_legend(sheet, {}) is sheet


def test_a_curve_of_one_point_is_not_drawn(tmp_path: Path) -> None:
    stage = {"name": "s", "backbone": "b", "curve": [{"epoch": 1.0, "total": 2.0}]}
    draw_curve([stage], tmp_path / "curve.png")
    assert not (tmp_path / "curve.png").exists()
    draw_curve([{**stage, "curve": [*stage["curve"], {"epoch": 2.0, "total": 1.0}]}], tmp_path / "curve.png")
    assert Image.open(tmp_path / "curve.png").width > 100
