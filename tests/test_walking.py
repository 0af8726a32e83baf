"""The walker of users' folders: what counts, what is left out and said, and that links cannot trap it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lmbench.originals.walking import walk


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def found(folder: Path) -> list[str]:
    return [f.relative_to(folder).as_posix() for f in walk(folder).files]


def test_what_systems_and_programs_leave_is_passed_over_and_counted(tmp_path: Path) -> None:
    put(
        tmp_path,
        "a.jpg",
        "in/b.jpg",
        "._a.jpg",
        "in/._b.jpg",
        "@eaDir/a.jpg",
        "in/__MACOSX/b.jpg",
        "$RECYCLE.BIN/c.jpg",
    )
    put(
        tmp_path,
        ".ipynb_checkpoints/a.jpg",
        ".Trash-1000/d.jpg",
        "Thumbs.db",
        "in/desktop.ini",
        ".DS_Store",
        "lost+found/e",
    )
    assert found(tmp_path) == ["a.jpg", "in/b.jpg"]
    left_out = dict(walk(tmp_path).left_out)
    assert left_out == {
        "._a.jpg": "hidden file",
        "in/._b.jpg": "hidden file",
        "@eaDir": "folder of a system",
        "in/__MACOSX": "folder of a system",
        "$RECYCLE.BIN": "folder of a system",
        "lost+found": "folder of a system",
        ".ipynb_checkpoints": "hidden folder",
        ".Trash-1000": "hidden folder",
    }


def test_each_reason_is_said_with_its_number_and_first_names(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "._a.jpg", "._b.jpg", "@eaDir/a.jpg", ".git/config")
    said = walk(tmp_path).said()
    assert said.startswith("left out: ")
    for part in ("2 hidden files (._a.jpg, ._b.jpg)", "1 hidden folder (.git)", "1 folder of a system (@eaDir)"):
        assert part in said


def test_a_tidy_folder_says_nothing(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", ".DS_Store")
    assert walk(tmp_path).said() == ""


def test_a_folder_may_itself_be_hidden(tmp_path: Path) -> None:
    put(tmp_path, ".cache/@eaDir/a.jpg")
    assert found(tmp_path / ".cache" / "@eaDir") == ["a.jpg"]


def test_linked_folders_are_read_and_loops_end(tmp_path: Path) -> None:
    put(tmp_path, "real/a.jpg", "set/labels.csv")
    (tmp_path / "set" / "link").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "up").symlink_to(tmp_path / "set")
    (tmp_path / "real" / "self").symlink_to("self")
    assert found(tmp_path / "set") == ["labels.csv", "link/a.jpg"]
    assert "1 link to a folder that was read (link/up)" in walk(tmp_path / "set").said()
    assert "1 link to nothing (link/self)" in walk(tmp_path / "set").said()


def test_an_image_that_a_link_repeats_counts_once_by_its_own_place(tmp_path: Path) -> None:
    put(tmp_path, "photos/a.jpg")
    (tmp_path / "a_link").symlink_to(tmp_path / "photos")
    assert found(tmp_path) == ["photos/a.jpg"]


@pytest.mark.skipif(os.name == "nt", reason="POSIX names are bytes")
def test_a_name_that_is_no_utf8_is_named_and_left_out(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg")
    with open(os.fsencode(tmp_path) + b"/caf\xe9.jpg", "wb") as file:
        file.write(b"x")
    assert found(tmp_path) == ["a.jpg"]
    assert walk(tmp_path).said() == "left out: 1 file whose name is not UTF-8 (caf\\xe9.jpg)"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_named_pipe_is_never_opened(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg")
    os.mkfifo(tmp_path / "b.jpg")
    assert found(tmp_path) == ["a.jpg"]
