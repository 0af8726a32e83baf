"""Pretraining on images that the method is then tested on is refused, or said."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from folder_trees import csv_tree
from small_runs import recorded, run_here
from small_trees import write_image

from lmbench.data.opening import open_dataset
from lmbench.data.schema import column
from lmbench.results.leaderboard import measured_lines, ranked_records
from lmbench.results.record import Record
from lmbench.training import held_out
from lmbench.training.held_out import shared_test_images


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.setenv("LMBENCH_CACHE", str(tmp_path / "cache"))
    csv_tree(tmp_path / "data")
    return tmp_path / "data"


def ids_of(folder: Path) -> list[str]:
    return [str(i) for i in column(open_dataset(f"folder:{folder}").splits["test"], "source_id")]


def shared(folder: Path, other: Path) -> list[str]:
    return shared_test_images(open_dataset(f"images:{other}"), open_dataset(f"folder:{folder}"))


def test_test_images_are_found_by_their_bytes_under_whatever_name(folder: Path, tmp_path: Path) -> None:
    assert shared(folder, folder) == ids_of(folder)
    write_image(tmp_path / "other" / "x.png", (60, 50), seed=77)
    assert shared(folder, tmp_path / "other") == []
    second = ids_of(folder)[1]
    shutil.copy(folder / second, tmp_path / "other" / "holiday.png")
    assert shared(folder, tmp_path / "other") == [second]


def test_a_file_of_the_same_size_and_other_bytes_is_another_image(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    for i in ids_of(folder):
        content = bytearray((folder / i).read_bytes())
        content += b"\0"  # Pillow passes over what follows the image
        (folder / i).write_bytes(content)
        (tmp_path / "other" / i).write_bytes(content[:-1] + b"\1")
    assert shared(folder, tmp_path / "other") == []


def test_what_was_compared_is_not_read_again_and_other_data_are(folder: Path, tmp_path: Path, monkeypatch) -> None:
    shutil.copytree(folder, tmp_path / "other")
    assert len(shared(folder, tmp_path / "other")) == 2
    read = []
    monkeypatch.setattr(held_out, "image_bytes", lambda record, where: read.append(record["path"]) or b"")
    assert len(shared(folder, tmp_path / "other")) == 2 and not read
    (kept,) = (tmp_path / "cache" / "overlap").glob("*.json")
    kept.write_text("{")
    shared(folder, tmp_path / "other")
    assert read


def test_images_inside_a_prepared_copy_are_compared_too(tmp_path: Path) -> None:
    target = open_dataset("synthfaces")
    rows = target.splits["test"].with_format(None)[:3]
    for i, image in enumerate(rows["image"]):
        (tmp_path / f"{i}.png").write_bytes(image["bytes"])
    assert shared_test_images(open_dataset(f"images:{tmp_path}"), target) == rows["source_id"]
    assert shared_test_images(target, open_dataset("synthfaces")) == []


def pretrained(folder: Path, on: str, *options: str) -> list[str]:
    fixed = ["run", "--method", "imm", "--preset", "smoke", "--tasks", "regression", "--dataset", f"folder:{folder}"]
    return [
        *fixed,
        "--pretrain-on",
        on,
        "--runs",
        str(folder.parent / "runs"),
        "--device",
        "cpu",
        "--dry-run",
        *options,
    ]


def test_pretraining_on_test_images_is_refused_with_the_way_out(folder: Path, capsys) -> None:
    code, out, err = run_here(capsys, *pretrained(folder, f"images:{folder}"))
    assert code == 2 and out == ""
    assert f"holds 2 of the 2 test images of folder:{folder} (first: {ids_of(folder)[0]})" in err
    assert "--allow-test-images" in err
    code, _, err = run_here(capsys, *pretrained(folder, f"images:{folder}", "--allow-test-images"))
    assert code == 0, err
    code, _, err = run_here(capsys, *pretrained(folder, f"folder:{folder}"))  # its own training images
    assert code == 0, err


def test_a_run_that_was_allowed_to_says_so_in_record_and_leaderboard(folder: Path) -> None:
    options = ("--allow-test-images", "--set", "stages.imm.training.epochs=0", "--variant", "k10")
    arguments = [a for a in pretrained(folder, f"images:{folder}", *options) if a != "--dry-run"]
    record = recorded(arguments)
    assert record["data"]["test_images_pretrained_on"] == {"images": 2, "first": ids_of(folder)[0]}
    assert record["config"]["allow_test_images"] is True
    assert measured_lines(ranked_records([Record.of(record)]))[0]["note"].startswith(
        "pretrained on 2 of its test images; "
    )
