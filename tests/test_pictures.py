"""Pictures say what their colours are, and a curve is drawn where there is one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lmbench.data.pixels import PixelStore
from lmbench.report.marks import COLOURS, MOST, legend_of, mark_of
from lmbench.report.pictures import LEGEND_LINE, ZOOM, captioned, contact_sheet, over_legend
from lmbench.report.plots import draw_curve
from lmbench.results.record import TrainedStage


def test_a_legend_stands_below_a_sheet_in_the_colours_of_its_names() -> None:
    sheet = Image.new("RGB", (200, 50))
    found = over_legend(sheet, dict(zip(("left_eye", "right_eye"), COLOURS, strict=False)))
    assert found.size == (200, 50 + LEGEND_LINE)
    colours = {tuple(c) for c in np.asarray(found)[50:].reshape(-1, 3)}
    assert set(COLOURS[:2]) <= colours and COLOURS[2] not in colours
    narrow = over_legend(Image.new("RGB", (80, 50)), dict.fromkeys(("left_eye", "right_eye"), COLOURS[0]))
    assert narrow.size == (80, 50 + 2 * LEGEND_LINE)
    assert over_legend(sheet, {}) is sheet


def test_a_caption_stands_below_its_tile_and_keeps_the_end_of_a_long_name() -> None:
    tile = Image.new("RGB", (120, 40), (0, 90, 0))

    def words(text: str) -> np.ndarray:
        pixels = np.asarray(captioned(tile, text))
        assert (pixels[:40, 2:-2] == (0, 90, 0)).all()
        return pixels[40:]

    long = "videos/of/a/very/long/name/" * 3
    assert (words("a.png") != words("b.png")).any()
    assert (words(f"{long}a.png") != words(f"{long}b.png")).any()
    assert (words(f"{long}a.png") == words(f"x/{long}a.png")).all()
    assert not (words(f"{long}a.png")[:, [0, 1, -2, -1]] > 30).any()  # nothing is cut at the rim


def test_a_curve_of_one_point_is_not_drawn(tmp_path: Path) -> None:
    stage = TrainedStage("key", "s", curve=({"epoch": 1.0, "total": 2.0},))
    draw_curve([stage], tmp_path / "curve.png")
    assert not (tmp_path / "curve.png").exists()
    draw_curve([replace(stage, curve=(*stage.curve, {"epoch": 2.0, "total": 1.0}))], tmp_path / "curve.png")
    assert Image.open(tmp_path / "curve.png").width > 100


def store(visible: bool) -> PixelStore:
    """One grey image with two landmarks, of which the second is as ``visible``."""
    points = np.array([[[8.0, 8.0], [24.0, 24.0]]], np.float32)
    return PixelStore(
        np.full((1, 32, 32, 3), 128, np.uint8),
        points,
        np.array([[True, visible]]),
        np.array([-1]),
        np.array(["a"]),
        "k",
    )


def colours_at(sheet: Image.Image, x: float, y: float) -> set[tuple[int, ...]]:
    """The colours around a point of the first image."""
    column, row = (round((v + 0.5) * ZOOM) for v in (x, y))
    around = np.asarray(sheet)[row - 6 : row + 7, column - 6 : column + 7]
    return {tuple(int(v) for v in c) for c in around.reshape(-1, 3)}


@pytest.mark.parametrize("annotated", [True, False])
def test_a_hidden_landmark_is_hollow_where_it_is_annotated_and_an_unlabelled_one_is_not_drawn(annotated: bool) -> None:
    sheet = contact_sheet(store(visible=False), 1, hidden_annotated=annotated)
    assert COLOURS[0] in colours_at(sheet, 8, 8)
    assert (COLOURS[1] in colours_at(sheet, 24, 24)) == annotated
    middle = sheet.getpixel((49, 49))
    assert middle == (128, 128, 128)  # what a disc would cover
    filled = contact_sheet(store(visible=True), 1, hidden_annotated=annotated)
    assert colours_at(filled, 24, 24) >= {COLOURS[1]}


def test_landmarks_are_named_below_the_sheet_as_long_as_marks_tell_them_apart() -> None:
    plain, named = contact_sheet(store(True), 1), contact_sheet(store(True), 1, ("left_eye", "right_eye"))
    assert named.height > plain.height and {*COLOURS[:2]} <= {
        c for _, c in named.crop((0, plain.height, *named.size)).getcolors()
    }
    assert len({mark_of(k) for k in range(MOST)}) == MOST and mark_of(MOST) == mark_of(0)
    assert len(legend_of([str(k) for k in range(MOST)])) == MOST and not legend_of([str(k) for k in range(MOST + 1)])
