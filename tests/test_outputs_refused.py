"""Places where nothing can be written, and names and shapes of images that leave no room: said in words, nothing half-written."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pandas
import pytest
from folder_trees import coco_tree
from made_detectors import detector_of
from PIL import Image
from small_runs import pixels_run, run_here

from lmbench.detecting import graph
from lmbench.detecting.overlays import _legible
from lmbench.detecting.regions import Detection, Region
from lmbench.errors import LmbenchError
from lmbench.store.files import locked, replacing, write_atomically

FULL = Path("/dev/full")  # every write to it finds the disk full
needs_full = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("outputs")
    coco_tree(place / "data")
    return pixels_run(place / "runs", f"folder:{place / 'data'}:crop=image")


def predicted(capsys, *arguments: str | Path, code: int = 0) -> str:
    found, _, err = run_here(capsys, "predict", *map(str, arguments), "--device", "cpu")
    assert found == code and "Traceback" not in err, err
    return err


@needs_full
def test_a_full_disk_is_told_as_one_and_nothing_stays_of_a_prediction_that_found_nothing(
    run: Path, tmp_path: Path, capsys
) -> None:
    Image.new("RGB", (60, 50)).save(tmp_path / "a.png")
    (tmp_path / "o.csv.partial").symlink_to(FULL)
    said = predicted(capsys, run, tmp_path / "a.png", "-o", tmp_path / "o.csv", code=1)
    assert f"cannot write {tmp_path / 'o.csv.partial'}: the disk is full; free some space" in said
    (tmp_path / "cut.png").write_bytes((tmp_path / "a.png").read_bytes()[:60])
    predicted(capsys, run, tmp_path / "cut.png", "-o", tmp_path / "o.csv", code=5)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "cut.png"]


@needs_full
def test_a_graph_on_a_full_disk_is_no_fault_of_the_graph(tmp_path: Path, monkeypatch) -> None:
    """Nor does it end the process, as torch.export does where it writes to the disk itself."""
    once = graph.WRITERS["torch.export"]
    monkeypatch.setitem(graph.WRITERS, "torch.export", lambda made, path, about: once(made, FULL, about))
    with pytest.raises(LmbenchError, match="the disk is full"):
        graph.write_graph(detector_of("none", 7), "torch.export", tmp_path / "d.pt2")
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_cannot_be_taken_names_what_was_to_be_written(tmp_path: Path, monkeypatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), "x.lock")

    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    with (
        pytest.raises(LmbenchError, match=r"cannot write .*labels\.csv: the file system is read-only; choose"),
        locked(tmp_path / "labels.csv"),
    ):
        pass


def test_a_name_as_long_as_a_file_system_takes_is_written_and_a_longer_one_is_told(tmp_path: Path) -> None:
    longest = tmp_path / f"{'é' * 120}.jpeg.jpg"  # 249 bytes
    with pytest.raises(RuntimeError), replacing(longest) as draft:
        draft.write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    write_atomically(longest, "whole")
    assert [p.name for p in tmp_path.iterdir()] == [longest.name]
    with pytest.raises(LmbenchError, match="its name is too long for the file system; choose a shorter one"):
        write_atomically(tmp_path / ("x" * 300), "whole")


def test_overlays_of_images_that_are_one_pixel_high_or_too_wide_for_a_jpeg(run: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "in").mkdir()
    Image.new("RGB", (3000, 1)).save(tmp_path / "in" / "flat.png")
    Image.new("L", (66_000, 4)).save(tmp_path / "in" / "wide.png")  # of which the run would see a square as wide
    said = predicted(capsys, run, tmp_path / "in", "-o", tmp_path / "over", code=4)
    assert (
        "wide.png: what is to be cut from this image of 66000 x 4 pixels" in said and "Make the image smaller" in said
    )
    assert {p.name: Image.open(p).size for p in (tmp_path / "over").iterdir()} == {"flat.jpg": (3000, 1)}
    wide = Image.new("RGB", (66_000, 4))
    seen = Detection(Region(tmp_path / "wide.png"), wide.size, (0, 0, 9, 9), "", np.array([[1.0, 2.0]]), None, wide)
    assert _legible([seen]).size == (65_500, 3)


def test_an_image_whose_name_is_no_utf8_is_in_every_table(run: Path, tmp_path: Path, capsys) -> None:
    name = os.fsdecode(bytes(tmp_path) + b"/caf\xe9.png")
    Image.fromarray(np.zeros((50, 60, 3), np.uint8)).save(tmp_path / "a.png")
    os.rename(tmp_path / "a.png", name)
    pytest.importorskip("tables")
    predicted(capsys, run, name, *(part for end in ("csv", "json", "h5") for part in ("-o", tmp_path / f"o.{end}")))
    shown = str(tmp_path / "caf\\udce9.png")
    assert [*pandas.read_hdf(tmp_path / "o.h5").index] == [shown] == [*pandas.read_csv(tmp_path / "o.csv")["image"]]
