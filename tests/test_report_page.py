"""`lmbench report`: what a run's page says is what its files say, and what cannot be shown is left out and told."""

from __future__ import annotations

import base64
import html
import io
import json
import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from browsing import DESKTOP, PHONE, Browser
from kept_runs import command, ran
from PIL import Image
from small_runs import run_here

from lmbench.metrics.base import Predictions
from lmbench.pages.report import report_page
from lmbench.results.record import write_record
from lmbench.results.run import Run

HOSTILE = "<script>alert(1)</script>\"'&\u202eevil" + "x" * 200


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of two epochs on some synthetic faces, judged on 20 of them with 2 and with all annotations."""
    runs = tmp_path_factory.mktemp("reported")
    changes = {"train_images": 16, "test_images": 20, "stages.smallnet.training.images": 16}
    record, _ = ran(command(Path(), runs, "--dataset", "synthfaces", **changes))
    return Run.open(runs / record["run"])


@pytest.fixture(scope="module")
def page(kept: Run) -> str:
    text, left_out = report_page([kept])
    assert left_out == []
    return text


def cells(page: str, caption: str) -> list[list[str]]:
    """The texts of the table below a heading or with a caption."""
    body = re.search(rf">{re.escape(caption)}</(?:h2|caption)>.*?<tbody.*?>(.*?)</tbody>", page, re.S)
    assert body is not None
    rows = re.findall(r"<tr.*?>(.*?)</tr>", body[1], re.S)
    return [
        [html.unescape(re.sub(r"<.*?>", "", c)) for c in re.findall(r"<td.*?>(.*?)</td>", row, re.S)] for row in rows
    ]


def errors_of(kept: Run) -> tuple[np.ndarray, Predictions]:
    """(N, L) errors in percent of the eyes' distance, as their definition has it, and the predictions they are of."""
    p = Predictions.read(kept.folder / "predictions", "regression-nall")
    assert p is not None and p.eyes is not None
    eyes = np.linalg.norm(p.target[:, p.eyes[0]] - p.target[:, p.eyes[1]], axis=-1)
    errors = 100 * np.linalg.norm(p.predicted[0] - p.target, axis=-1) / eyes[:, None]
    return np.where(p.visible, errors, np.nan), p


def test_the_numbers_are_those_of_the_record(kept: Run, page: str) -> None:
    rows = cells(page, "Numbers")
    assert len(rows) == len(kept.record.rows) > 2
    for shown, row in zip(rows, kept.record.rows, strict=True):
        assert shown[0] == row.task and shown[4].startswith(f"{row.value:.2f}") and shown[5] == row.unit
        assert shown[6] == ("-" if row.ci95 is None else f"{row.ci95[0]:.2f} .. {row.ci95[1]:.2f}")


def test_the_error_of_each_landmark_is_that_of_the_predictions(kept: Run, page: str) -> None:
    errors, p = errors_of(kept)
    rows = cells(page, "Error of each landmark")
    assert [row[0] for row in rows] == list(p.landmark_names)
    assert [row[1] for row in rows] == [f"{v:.2f}" for v in np.nanmean(errors, 0)]


def test_pictures_go_from_the_worst_to_the_best_image_with_their_landmarks(kept: Run, page: str) -> None:
    errors, p = errors_of(kept)
    by_image = np.nanmean(errors, 1)
    names = re.findall(r"<figcaption>[\d.]+ percent, (.*?)</figcaption>", page)
    order = [str(p.image_ids[i]) for i in np.argsort(by_image)]
    assert names == [*order[::-1][:12], *order[7:13], *order[:6]]
    pictures = re.findall(r'src="data:image/jpeg;base64,([^"]*)" alt="Test image (.*?) with', page)
    assert [name for _, name in pictures] == names
    worst = int(np.argmax(by_image))
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(pictures[0][0]))).convert("RGB")).astype(int)
    away = np.linalg.norm(p.predicted[0, worst][None] - p.target[worst][:, None], axis=-1).min(1)
    seen = np.flatnonzero(p.visible[worst] & (away > 4))
    places = ((p.target[worst, seen] + 0.5) * len(pixels) / p.image_size - 0.5).round().astype(int)
    assert len(places) > 2
    for x, y in places:
        red, _, blue = np.moveaxis(pixels[max(0, y - 6) : y + 7, max(0, x - 6) : x + 7], -1, 0)
        assert (blue > red + 60).any()  # its ring


def test_the_command_in_the_page_is_that_of_this_very_run(kept: Run, page: str, capsys) -> None:
    found = re.search(r"<pre><code>(.*?)</code></pre>", page, re.S)
    assert found is not None and "gives the same configuration" in page
    words = shlex.split(html.unescape(found[1]))
    assert words[0] == "lmbench"
    arguments = ["--runs", str(kept.folder.parent), "--device", "cpu", "--dry-run", "--json"]
    code, out, err = run_here(capsys, *words[1:], *arguments)
    assert code == 0, err
    assert json.loads(out)["run"] == kept.name and json.loads(out)["finished"]


def test_protocol_cost_and_provenance_are_told(kept: Run, page: str) -> None:
    text = html.unescape(re.sub(r"<[^>]*>", " ", page))
    for said in (
        "learned without labels", "smallnet, 2 epochs", "divided by the distance between", "Annotated images: 2 x 2 draws, all",
        "know nothing of another training", "Peak memory", kept.record.config_sha256, kept.record.stages[0].key,
        f"fingerprint {kept.record.data.fingerprint}", "lmbench-dve",
    ):  # fmt: skip
        assert said in text, said
    assert page.count('<svg class="chart"') >= 3  # errors, few annotations, losses


def test_the_same_run_gives_the_same_bytes(kept: Run, page: str) -> None:
    assert report_page([Run.open(kept.folder)])[0] == page


def test_images_that_are_gone_or_others_are_left_out_and_told(
    kept: Run, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = replace(kept, record=replace(kept.record, data=replace(kept.record.data, fingerprint="0" * 64)))
    page, left_out = report_page([others])
    assert len(left_out) == 1 and "other images or labels" in left_out[0] and "data:image" not in page
    monkeypatch.setenv("LMBENCH_CACHE", str(tmp_path / "empty"))
    output = tmp_path / "report.html"
    code, _, err = run_here(capsys, "report", str(kept.folder), "-o", str(output))
    assert code == 0 and "left out: " in err and "no pictures" in err
    page = output.read_text(encoding="utf-8")
    assert "No pictures: the test images" in page and "data:image" not in page and "Error of each landmark" in page
    assert not (tmp_path / "empty").exists()  # nothing is rendered for a report


def test_a_copy_of_a_record_alone_has_its_numbers(kept: Run, tmp_path: Path) -> None:
    copy = tmp_path / f"{kept.name}.json"
    copy.write_text((kept.folder / "record.json").read_text(encoding="utf-8"), encoding="utf-8")
    page, left_out = report_page([Run.open(copy)])
    assert (
        len(cells(page, "Numbers")) == len(kept.record.rows)
        and "no landmarks that the run predicted are at hand" in page
    )
    assert len(left_out) == 1 and "is not there" in left_out[0]


def test_what_cannot_be_a_report_is_refused(kept: Run, tmp_path: Path, capsys) -> None:
    there = tmp_path / "there.html"
    there.write_text("mine")
    for arguments, code, said in (
        ([str(kept.folder), "-o", str(there)], 2, "pass --force"),
        ([str(kept.folder), "-o", str(tmp_path / "report.pdf")], 2, "written as .html"),
        ([str(kept.folder), str(kept.folder), "-o", str(tmp_path / "a.html")], 2, "named twice"),
        ([str(tmp_path / "nowhere"), "-o", str(tmp_path / "a.html")], 5, "there is no record"),
    ):
        found, _, err = run_here(capsys, "report", *arguments)
        assert found == code and said in err
    assert there.read_text() == "mine" and list(tmp_path.iterdir()) == [there]


@pytest.fixture(scope="module")
def two(kept: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the run, and of one like it whose names are somebody's evil ones."""
    runs = tmp_path_factory.mktemp("evil")
    folder = runs / f"evil_{kept.name}"
    shutil.copytree(kept.folder, folder, ignore=shutil.ignore_patterns("record.json"))
    names = replace(kept.record.data, notes=(HOSTILE,))
    made = replace(
        kept.record, run=folder.name, variant=HOSTILE, supervision=HOSTILE, choices={HOSTILE: HOSTILE}, data=names
    )
    write_record(folder, made)
    place = runs / "report.html"
    place.write_text(report_page([kept, Run.open(folder)])[0], encoding="utf-8")
    return place


def test_several_runs_stand_side_by_side(kept: Run, two: Path) -> None:
    rows = cells(two.read_text(encoding="utf-8"), "Side by side")
    assert len(rows) == len(kept.record.rows) and all(len(row) == 3 and row[1] == row[2] for row in rows)


def test_in_a_browser_nothing_of_others_runs_and_nothing_complains(browser: Browser, two: Path) -> None:
    assert "<script" not in two.read_text(encoding="utf-8") and "\u202e" not in two.read_text(encoding="utf-8")
    browser.open(two)
    assert browser.all("script") == [] and any(
        "<script>alert(1)</script>\"'&\\u202eevil" in text for text in browser.texts("h2")
    )
    sizes = browser.run("return [...document.images].map(i => i.complete && i.naturalWidth)")
    assert len(sizes) > 6 and all(sizes)
    for width, height in (DESKTOP, PHONE):
        browser.size(width, height)
        browser.run("document.querySelectorAll('details').forEach(d => { d.open = true })")
        assert browser.run("return document.documentElement.scrollWidth") == width
    assert browser.run("return [...document.images].every(i => i.alt)")
    assert browser.run("return [...document.querySelectorAll('svg')].every(s => s.querySelector('title'))")
