"""Names of folder datasets as they are shown: without the folders that lead there. The record says where it was."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from kept_runs import labelled
from made_records import keep, record, rows_of
from small_runs import pixels_run

from lmbench.config.model import digest_of
from lmbench.pages.board import board_page
from lmbench.printable import without_folders, without_folders_apart
from lmbench.results.leaderboard import build, ranked_records
from lmbench.results.record import Record, earlier_run_name, run_name

HOME = "/home/somebody/my photos"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (f"folder:{HOME}/mice", "folder:mice"),
        (f"folder:{HOME}/mice/", "folder:mice"),
        (f"folder:{HOME}/mice:file={HOME}/labels.csv:test=0.2", "folder:mice:file=labels.csv:test=0.2"),
        (f"folder:{HOME}/12:30, day=1 (left)", "folder:12:30, day=1 (left)"),
        (f"folder:{HOME}/mice (partial: 3 of 4 train)", "folder:mice (partial: 3 of 4 train)"),
        ("lmbench:folder:/mice", "lmbench:folder:mice"),
        ("images:~/mice", "images:mice"),
        ("images:~somebody/photos/mice", "images:mice"),
        (r"folder:C:\Users\me\mice:eyes=l,r", "folder:mice:eyes=l,r"),
        ("folder:photos/mice", "folder:photos/mice"),
        ("cub_species:001", "cub_species:001"),
        ("cub (partial: 1 of 2 train)", "cub (partial: 1 of 2 train)"),
        ("aflw_m", "aflw_m"),
    ],
)
def test_a_name_is_shown_without_the_folders_that_lead_there(name: str, shown: str) -> None:
    assert without_folders(name) == shown


def test_two_that_would_read_alike_are_told_apart() -> None:
    shown = without_folders_apart(["folder:/a/mice", "folder:/b/mice", "folder:/b/cats", "mafl"])
    assert shown["folder:/b/cats"] == "folder:cats" and shown["mafl"] == "mafl"
    assert len({*shown.values()}) == 4 and not any("/" in text for text in shown.values())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run on ``birds``."""
    place = tmp_path_factory.mktemp("secret")
    return pixels_run(place / "runs", f"folder:{labelled(place / 'birds')}")


def test_a_run_is_named_by_its_folder_alone_and_its_record_says_which(run: Path) -> None:
    assert run.name.startswith("pixels_") and "_folder-birds_" in run.name
    found = json.loads((run / "record.json").read_text())
    assert found["dataset"] == found["config"]["dataset"] == f"folder:{run.parents[1] / 'birds'}"


def test_what_a_run_is_does_not_hang_on_how_it_is_named(run: Path, tmp_path: Path) -> None:
    """The digest is of the whole name as ever; a run that was named with all folders is found and goes on."""
    found = json.loads((run / "record.json").read_text())
    name = found["dataset"]
    parts = (found["method"], found["variant"], name, found["preset"], found["seed"])
    digest = digest_of(found["identity"])
    assert run.name == run_name(*parts, digest)
    earlier = tmp_path / "runs" / earlier_run_name(*parts, digest)
    assert earlier.name != run.name and earlier.name.endswith(digest[:8])
    shutil.copytree(run, earlier)
    assert pixels_run(tmp_path / "runs", name, "--dry-run") == earlier


def made(dataset: str, run: str) -> dict:
    return record(run, "mine", 10.0, dataset=dataset, pretrain_on=f"images:{HOME}/wild", data={"fingerprint": "f" * 64})


def test_boards_name_no_folders_of_the_machine_neither_in_files_nor_in_titles(tmp_path: Path) -> None:
    runs = keep(tmp_path / "runs", made(f"folder:{HOME}/mice", "a"), made("folder:/nowhere/mice", "b"))
    built = build(runs, tmp_path / "out")
    assert len(built.files) == 2 and all(name.startswith("folder-mice_regression") for name in built.files)
    for name, text in {**built.files, **built.pages}.items():
        assert "somebody" not in name + text and "nowhere" not in name + text
    (row,) = rows_of(next(iter(built.files.values())))
    assert (row["dataset"], row["pretrain_on"]) == ("folder:mice", "images:wild")
    assert {board for board, _ in built.boards} == {"folder:/nowhere/mice", f"folder:{HOME}/mice"}  # what they are of


def test_the_page_has_both_of_two_folders_of_one_name(tmp_path: Path) -> None:
    records = [Record.of(made(f"folder:{HOME}/mice", "a")), Record.of(made("folder:/nowhere/mice", "b"))]
    page = board_page(ranked_records(records), [], "records")
    assert "somebody" not in page and "nowhere" not in page and page.count('"folder:mice [') == 2
