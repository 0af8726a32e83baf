"""Archives of a hostile hand: refused by name, nothing written outside their folder, nothing half-written left."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest
from hostile_archives import archives, deep_links, file

from lmbench.cli.main import run_cli
from lmbench.errors import DataError
from lmbench.originals.archives import unpack


def entries(folder: Path) -> set[str]:
    return {str(f) for f in folder.rglob("*")}


def test_every_hostile_archive_is_refused_and_nothing_lies_outside_its_folder(tmp_path):
    made, outside, out = tmp_path / "made", tmp_path / "outside", tmp_path / "out"
    made.mkdir(), outside.mkdir()
    taken = []
    for what, archive in archives(made, outside):
        out.mkdir()
        try:
            unpack(archive, out)
            taken.append(what)
        except DataError as error:
            said = str(error)
            assert str(archive) in said or "the disk has" in said, what
            assert "\x1b" not in said and "\n" not in said, what
        assert not list(out.rglob("*.part")) and not any(f.is_symlink() for f in out.rglob("*")), what
        shutil.rmtree(out)
        assert entries(tmp_path) == entries(made) | {str(made), str(outside)}, what
    assert not taken
    assert not Path("/tmp/lmbench-evil").exists()


def test_a_source_with_links_deeper_than_a_path_may_be_writes_nothing_outside(tmp_path, monkeypatch, capsys):
    """The shape of CVE-2025-4517: on Python 3.11.7 tarfile's own filter lets it through."""
    monkeypatch.setenv("LMBENCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "outside").mkdir()
    with tarfile.open(tmp_path / "CAT.tar", "w") as tar:
        deep_links(tar, tmp_path / "outside")
    assert (
        run_cli(["data", "prepare", "cats", "--source", str(tmp_path / "CAT.tar"), "--data-root", str(tmp_path)]) == 5
    )
    assert "is refused: it is a link or a device" in capsys.readouterr().err
    assert not entries(tmp_path / "outside")
    assert not [f for f in (tmp_path / "prepared").iterdir() if f.is_dir()]


def test_a_link_that_lies_in_the_folder_already_is_not_followed(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "out" / "inner").symlink_to(tmp_path / "outside")
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        file(tar, "inner/evil")
    with pytest.raises(DataError, match="a link or a file stands where its folder 'inner' belongs"):
        unpack(tmp_path / "a.tar", tmp_path / "out")
    (tmp_path / "out" / "inner").unlink()
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "out" / "inner").mkdir()
    (tmp_path / "out" / "inner" / "evil").symlink_to(tmp_path / "victim")
    unpack(tmp_path / "a.tar", tmp_path / "out")  # the link is replaced, not written through
    assert (tmp_path / "victim").read_text() == "mine" and not entries(tmp_path / "outside")
    assert (tmp_path / "out" / "inner" / "evil").read_bytes() == b"evil"


def test_an_archive_that_holds_more_than_the_disk_says_how_much(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as out:
        out.writestr("a", b"x" * 3000)
        out.writestr("b", b"x" * 3000)
    (tmp_path / "out").mkdir()
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage._replace(free=5000))
    with pytest.raises(DataError, match="are to be unpacked, and the disk has"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
    assert not entries(tmp_path / "out")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage._replace(free=6000))
    unpack(tmp_path / "a.zip", tmp_path / "out")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage._replace(free=0))
    unpack(tmp_path / "a.zip", tmp_path / "out")  # all of it is there


@pytest.mark.parametrize(("begins", "said"), [(b"7z\xbc\xaf\x27\x1c", "7z"), (b"Rar!\x1a\x07\x01\x00", "rar")])
def test_an_archive_of_another_format_is_called_by_it(tmp_path, capsys, begins, said):
    (tmp_path / "a").write_bytes(begins + b"x" * 100)
    assert run_cli(["data", "prepare", "cats", "--source", str(tmp_path / "a"), "--data-root", str(tmp_path)]) == 5
    assert f"no zip or tar archive (of format {said}, which is not read here)" in capsys.readouterr().err


def test_long_names_of_both_kinds_of_tar_are_read(tmp_path):
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        with tarfile.open(tmp_path / "a.tar", "w", format=form) as tar:
            file(tar, "birds/" + "n" * 150 + "/" + "ü" * 60, b"content")
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        (tmp_path / "out").mkdir()
        unpack(tmp_path / "a.tar", tmp_path / "out")
        assert [f.read_bytes() for f in (tmp_path / "out").rglob("*") if f.is_file()] == [b"content"]
