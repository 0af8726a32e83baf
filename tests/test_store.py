"""Files and folders are there whole or not at all, and what the operating system refuses is told in words."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from lmbench.errors import LmbenchError
from lmbench.store import files as store


def contents(folder: Path) -> list[str]:
    return sorted(str(f.relative_to(folder)) for f in folder.rglob("*") if f.name != "manifest.json")


def fail_halfway(path: Path) -> None:
    path.write_text("half")
    raise RuntimeError


def test_a_draft_that_a_killed_process_left_is_cleared_away(tmp_path):
    left = tmp_path / ".stage.abcdefgh"
    left.mkdir()
    (left / "half").write_text("x")
    (tmp_path / ".stage2.abcdefgh").mkdir()
    with store.building(tmp_path / "stage") as draft:
        (draft / "whole").write_text("y")
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_dir()) == [".stage2.abcdefgh", "stage"]


def test_a_file_is_written_with_its_folders(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "c.txt"
    store.write_atomically(path, "grün")
    assert path.read_bytes() == "grün".encode()
    store.write_atomically(path, b"\x00")
    assert path.read_bytes() == b"\x00"
    assert contents(tmp_path) == ["a", "a/b", "a/b/c.txt"]


def test_others_may_read_what_was_written(tmp_path: Path) -> None:
    store.write_atomically(tmp_path / "a.txt", "x")
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o644


def test_a_block_that_fails_leaves_the_old_file_and_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), store.replacing(path) as draft:
        fail_halfway(draft)
    assert contents(tmp_path) == ["a.txt"]
    assert path.read_text() == "old"


def test_a_file_is_synced_before_it_gets_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    there: list[bool] = []
    original = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (there.append(path.exists()), original(fd))[1])
    store.write_atomically(path, "x")
    assert there == [False]


def refuse(code: int) -> Any:
    def refusing(*_: Any, **__: Any) -> None:
        raise OSError(code, os.strerror(code))

    return refusing


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "quota is used up"),
        (errno.EROFS, "the file system is read-only"),
        (errno.EACCES, "no permission to write there"),
    ],
)
def test_what_the_system_refuses_is_told_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, said: str
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", refuse(code))
    with pytest.raises(LmbenchError, match=rf"cannot write .*a\.txt: .*{said}"):
        store.write_atomically(path, "new")
    assert contents(tmp_path) == ["a.txt"]
    assert path.read_text() == "old"


def test_a_disk_that_fills_up_while_writing_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "write_bytes", refuse(errno.ENOSPC))
    with pytest.raises(LmbenchError, match="the disk is full"):
        store.write_atomically(tmp_path / "a.txt", "new")
    assert contents(tmp_path) == []


def test_a_disk_that_fills_up_while_a_folder_is_built_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", refuse(errno.ENOSPC))
    with pytest.raises(LmbenchError, match="the disk is full"), store.building(tmp_path / "stage") as draft:
        (draft / "weights").write_text("x")
    assert contents(tmp_path) == []


def test_an_error_that_has_no_way_out_is_not_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", refuse(errno.EIO))
    with pytest.raises(OSError, match="Input/output error"):
        store.write_atomically(tmp_path / "a.txt", "new")
    assert contents(tmp_path) == []


def test_a_file_in_the_place_of_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(LmbenchError, match="a file stands where a folder is needed; choose a folder"):
        store.write_atomically(tmp_path / "runs" / "a.txt", "x")
    with (
        pytest.raises(LmbenchError, match="a file stands where a folder is needed"),
        store.building(tmp_path / "runs" / "stage"),
    ):
        pytest.fail("there is no such folder")


def test_a_folder_appears_whole_and_is_not_built_again(tmp_path: Path) -> None:
    target = tmp_path / "stage"
    with store.building(target) as draft:
        assert draft is not None
        (draft / "weights").write_text("x")
        assert not target.exists()
    assert (target / "weights").read_text() == "x"
    with store.building(target) as draft:
        assert draft is None
    assert contents(tmp_path) == ["stage", "stage/weights"]


def test_a_folder_whose_making_fails_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), store.building(tmp_path / "stage") as draft:
        fail_halfway(draft / "weights")
    assert contents(tmp_path) == []


@pytest.mark.parametrize("killed", ["while it is filled", "between the renamings", "before the old one is gone"])
def test_a_folder_that_is_replaced_is_the_old_or_the_new_one_whenever_it_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys, killed: str
) -> None:
    target, renamed = tmp_path / "fit", Path.replace
    with store.rebuilding(target) as draft:
        (draft / "head").write_text("old")

    def replace_folder() -> None:
        with store.rebuilding(target) as draft:
            assert (target / "head").read_text() == "old"
            (draft / "head").write_text("new")
            if killed == "while it is filled":
                os._exit(9)
            if killed == "between the renamings":
                monkeypatch.setattr(Path, "replace", lambda a, b: renamed(a, b) if a == target else os._exit(9))
            else:
                monkeypatch.setattr(Path, "replace", lambda a, b: (renamed(a, b), a == target or os._exit(9)))

    if (child := os.fork()) == 0:
        replace_folder()
    os.waitpid(child, 0)
    store.put_back(target)
    wanted = "new" if killed == "before the old one is gone" else "old"
    assert (target / "head").read_text() == wanted
    told = f"{target} was about to be replaced when that was cut off: what was there before is back"
    assert (told in capsys.readouterr().err) == (killed == "between the renamings")
    with store.rebuilding(target) as draft:
        (draft / "head").write_text("newest")
    assert contents(tmp_path) == ["fit", "fit/head"]


def test_who_comes_second_waits_says_so_and_gets_what_the_first_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    waiting = threading.Event()
    monkeypatch.setattr(store.progress, "say", lambda line: (said.append(line), waiting.set()))
    target = tmp_path / "stage"
    second: list[object] = []

    def come_second() -> None:
        with store.building(target) as draft:
            second.append(draft)

    with store.building(target) as draft:
        assert draft is not None
        (draft / "weights").write_text("x")
        thread = threading.Thread(target=come_second, daemon=True)
        thread.start()
        assert waiting.wait(20)
        assert second == []
    thread.join(20)
    assert second == [None]
    assert said == [f"waiting: another process is writing {target}"]


def test_a_lock_is_free_again_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), store.locked(tmp_path / "a"):
        raise RuntimeError
    with store.locked(tmp_path / "a"):
        pass


def test_json_is_written_in_one_form_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    store.write_json(path, {"b": 1.5, "a": ["ü"]})
    assert path.read_text(encoding="utf-8") == '{\n "b": 1.5,\n "a": [\n  "ü"\n ]\n}\n'
    assert store.read_json(path) == {"b": 1.5, "a": ["ü"]}


def test_json_holds_no_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        store.write_json(tmp_path / "a.json", {"a": float("nan")})
    assert contents(tmp_path) == []


@pytest.mark.parametrize("content", [b'{"a": ', b"\xff\xfe\x00", b""])
def test_a_damaged_json_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(LmbenchError, match=r"a\.json is damaged"):
        store.read_json(tmp_path / "a.json")
