"""`lmbench data prepare`: archives, interrupted copies, two datasets in one place, downloads."""

from __future__ import annotations

import dataclasses
import io
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torchvision
from small_trees import embedded, mtfl_tree, write_image

from lmbench.cli import data as data_module
from lmbench.cli.main import run_cli
from lmbench.data import prepared
from lmbench.data.opening import open_dataset, open_prepared
from lmbench.data.places import prepared_folder
from lmbench.data.prepared import fingerprint, load_split, save_prepared
from lmbench.datasets.mtfl import loader as mtfl
from lmbench.errors import DataError, StaleError
from lmbench.originals import downloads
from lmbench.originals.archives import unpack
from lmbench.plugins.loading import get_plugins
from lmbench.plugins.registry import Entry
from lmbench.specs import DatasetSpec

Output = tuple[int, str, str]


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LMBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LMBENCH_DATA", str(tmp_path / "data"))


@pytest.fixture
def entry(monkeypatch: pytest.MonkeyPatch) -> Entry[DatasetSpec]:
    """`aflw_mtfl` with the counts of the small tree, also for the command line."""
    found = get_plugins().find("dataset", "aflw_mtfl")
    small: Entry[DatasetSpec] = dataclasses.replace(
        found, spec=dataclasses.replace(found.spec, splits={"train": 4, "test": 6})
    )

    class One:
        def find(self, kind: str, name: str) -> Entry[Any]:
            return small if name == "aflw_mtfl" else get_plugins().find(kind, name)

    one: Any = One()
    for module in (data_module.__name__, "lmbench.data.opening"):
        monkeypatch.setattr(f"{module}.get_plugins", lambda: one)
    return small


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Output]:
    def call(*arguments: object) -> Output:
        code = run_cli(["data", "prepare", *map(str, arguments)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def packed(tree: Path, archive: Path) -> Path:
    """The tree as an archive of the kind that the name says."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w") as out:
            for file in sorted(tree.rglob("*")):
                out.write(file, file.relative_to(tree))
    else:
        with tarfile.open(archive, "w:gz" if archive.suffix == ".gz" else "w") as out:
            out.add(tree, arcname=".")
    return archive


# --- archives ---


@pytest.mark.parametrize("name", ["MTFL.zip", "MTFL.tar", "MTFL.tar.gz"])
@pytest.mark.parametrize("inside", ["MTFL", ".", "release"])
def test_an_archive_gives_the_same_copy_as_its_folder(
    tmp_path: Path, run: Callable[..., Output], entry: Entry[DatasetSpec], name: str, inside: str
) -> None:
    mtfl_tree(tmp_path / "source")
    before = open_dataset("aflw_mtfl", tmp_path / "source").fingerprint
    tree = tmp_path / "source" / "MTFL" if inside == "." else tmp_path / "source"
    if inside == "release":
        (tmp_path / "outer" / "release").mkdir(parents=True)
        tree = Path(shutil.move(tree, tmp_path / "outer" / "release" / "x")).parents[1]
        (tree / "release" / "x").rename(tree / "y")
        (tree / "release").rmdir()
        (tree / "y").rename(tree / "release")
    code, out, err = run("aflw_mtfl", "--source", packed(tree, tmp_path / name))
    assert code == 0, err
    assert "4 train, 6 test images prepared in" in out
    assert open_dataset("aflw_mtfl").fingerprint == before
    left = {f.name for f in (tmp_path / "data" / "prepared").iterdir()}
    assert left == {prepared_folder(entry, tmp_path).name}


CLIMBING = ["../evil.txt", "MTFL/../../evil.txt", "/tmp/lmbench-evil.txt", "..\\evil.txt", "C:\\evil.txt"]


@pytest.mark.parametrize("member", CLIMBING)
@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz"])
def test_a_member_that_climbs_out_is_refused_by_name(
    tmp_path: Path, run: Callable[..., Output], entry: Entry[DatasetSpec], name: str, member: str
) -> None:
    archive = tmp_path / name
    if name.endswith(".zip"):
        with zipfile.ZipFile(archive, "w") as zipped:
            zipped.writestr("MTFL/training.txt", "x")
            zipped.writestr(member, "evil")
    else:
        with tarfile.open(archive, "w:gz" if name.endswith("gz") else "w") as tarred:
            for path in ("MTFL/training.txt", member):
                info = tarfile.TarInfo(path)
                info.size = 4
                tarred.addfile(info, io.BytesIO(b"evil"))
    code, out, err = run("aflw_mtfl", "--source", archive)
    assert (code, out) == (5, "")
    assert f"the member {member!r} is refused" in err
    assert not list(tmp_path.rglob("*evil*"))
    assert not Path("/tmp/lmbench-evil.txt").exists()
    assert not [f for f in (tmp_path / "data" / "prepared").iterdir() if f.is_dir()]


def test_what_was_unpacked_before_is_not_written_again(tmp_path: Path) -> None:
    for i in range(3):
        write_image(tmp_path / "in" / f"{i}.png", seed=i)
    for name in ("a.zip", "a.tar.gz"):
        out = tmp_path / f"out-{name}"
        unpack(packed(tmp_path / "in", tmp_path / name), out)
        stamps = {f.name: f.stat().st_mtime_ns for f in out.iterdir()}
        (out / "1.png").write_bytes(b"half")
        unpack(tmp_path / name, out)
        assert {f.name for f in out.iterdir() if f.stat().st_mtime_ns != stamps[f.name]} == {"1.png"}
        assert (out / "1.png").read_bytes() == (tmp_path / "in" / "1.png").read_bytes()


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
def test_a_damaged_archive_is_told(
    tmp_path: Path, run: Callable[..., Output], entry: Entry[DatasetSpec], name: str
) -> None:
    mtfl_tree(tmp_path / "source")
    archive = packed(tmp_path / "source", tmp_path / name)
    whole = archive.read_bytes()
    middle = len(whole) // 2
    archive.write_bytes(whole[:middle] + bytes(64) + whole[middle + 64 :] if name == "a.zip" else whole[:middle])
    code, out, err = run("aflw_mtfl", "--source", archive)
    assert (code, out) == (5, "")
    assert "cannot be unpacked" in err
    assert "Traceback" not in err


def test_a_source_that_is_neither_folder_nor_archive_is_told(
    tmp_path: Path, run: Callable[..., Output], entry: Entry[DatasetSpec]
) -> None:
    (tmp_path / "MTFL.rar").write_bytes(b"Rar!")
    for source in ("MTFL.rar", "nowhere"):
        code, out, err = run("aflw_mtfl", "--source", tmp_path / source)
        assert (code, out) == (5, "")
        assert f"{tmp_path / source} is no folder and no zip or tar archive" in err


# --- interrupted copies ---


class Killed(BaseException):
    """As a kill: nothing may catch it to tidy up."""


def test_a_killed_preparation_goes_on_after_its_last_finished_shard(
    tmp_path: Path, entry: Entry[DatasetSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepared, "IMAGES_A_SHARD", 10)
    splits, folder = embedded(35), tmp_path / "prepared" / "x"
    embeds = prepared.image_bytes
    count = 0

    def die(record: Any, where: str) -> bytes:
        nonlocal count
        count += 1
        if count == 58:  # in the third of the test split's shards
            raise Killed
        return embeds(record, where)

    monkeypatch.setattr(prepared, "image_bytes", die)
    with pytest.raises(Killed):
        save_prepared(entry, splits, folder, "here")
    assert not folder.exists()
    done = {f: f.stat().st_mtime_ns for f in folder.parent.rglob("shard-*.arrow")}
    assert len(done) == 4 + 2
    for scratch in (".shard-00002.arrow.x1.arrow", "tmpx2"):  # what a real kill leaves
        (folder.with_name(".x.partial") / "test" / scratch).write_bytes(b"half")
    count = 100
    monkeypatch.setattr(prepared, "fingerprint", lambda *a: "f")  # it reads images too
    save_prepared(entry, splits, folder, "here")
    assert count == 100 + 15
    now = {f.relative_to(folder): f.stat().st_mtime_ns for f in folder.rglob("shard-*.arrow")}
    draft = folder.with_name(".x.partial")
    assert all(now[f.relative_to(draft)] == stamp for f, stamp in done.items())
    assert sorted(f.name for f in folder.parent.iterdir()) == ["x"]
    shards = [f"shard-{n:05}.arrow" for n in range(4)]
    assert sorted(f.name for f in (folder / "test").iterdir()) == ["manifest.json", *shards]
    for split, dataset in splits.items():
        assert load_split(folder / split).to_dict() == dataset.to_dict()


def test_shards_of_other_originals_are_not_used(
    tmp_path: Path, entry: Entry[DatasetSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    mtfl_tree(tmp_path)
    splits, folder = mtfl.load_aflw_mtfl(tmp_path / "MTFL"), tmp_path / "prepared" / "x"

    def die(*arguments: Any) -> str:
        raise Killed

    monkeypatch.setattr(prepared, "fingerprint", die)
    with pytest.raises(Killed):
        save_prepared(entry, splits, folder, "here")
    monkeypatch.undo()
    monkeypatch.setenv("LMBENCH_CACHE", str(tmp_path / "cache"))
    write_image(tmp_path / "MTFL" / "AFLW" / "0001-image00000.jpg", seed=99)
    save_prepared(entry, splits, folder, "here")
    assert open_prepared("aflw_mtfl", entry, folder).fingerprint == fingerprint("aflw_mtfl", entry.spec, splits)


def test_many_shards_have_the_fingerprint_of_one(
    tmp_path: Path, entry: Entry[DatasetSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    splits = embedded(23)
    whole = fingerprint("a", entry.spec, splits)
    monkeypatch.setattr(prepared, "IMAGES_A_SHARD", 5)
    assert fingerprint("a", entry.spec, splits) == whole
    save_prepared(entry, splits, tmp_path / "x", "here")
    assert open_prepared("a", entry, tmp_path / "x").fingerprint == whole


def test_opening_reads_the_fingerprint_and_no_image(
    tmp_path: Path, entry: Entry[DatasetSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    save_prepared(entry, embedded(5), tmp_path / "x", "here")

    def refuse(*arguments: Any) -> str:
        raise AssertionError("computed anew")

    monkeypatch.setattr(prepared, "_digest", refuse)
    monkeypatch.setattr(prepared, "image_bytes", refuse)
    assert len(open_prepared("a", entry, tmp_path / "x").splits["train"]) == 5


# --- two datasets in one place ---


def test_two_datasets_in_one_place_are_refused(tmp_path: Path, run: Callable[..., Output]) -> None:
    """`a` of `x-b` and `b-a` of `x` would have one folder."""
    made = get_plugins().find("dataset", "aflw_mtfl").spec
    first = Entry(dataclasses.replace(made, name="a"), "x-b", "1")
    second = Entry(dataclasses.replace(made, name="b-a"), "x", "1")
    folder = prepared_folder(first, tmp_path)
    assert folder == prepared_folder(second, tmp_path)
    save_prepared(first, embedded(3), folder, "here")
    with pytest.raises(StaleError, match=r"holds a prepared copy of x-b:a, not of x:b-a, and is left as it is"):
        open_prepared("b-a", second, folder)


# --- downloads ---


def test_a_download_is_put_in_torchvisions_layout_and_prepared(
    tmp_path: Path, run: Callable[..., Output], entry: Entry[DatasetSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(root: Path) -> None:
        print("noise of a downloader")
        mtfl_tree(root)

    monkeypatch.setitem(downloads.DOWNLOADS, "aflw_mtfl", downloads.Download("MTFL", "https://page", fetch))
    code, out, err = run("aflw_mtfl", "--download")
    assert code == 0, err
    assert out.startswith("aflw_mtfl: 4 train, 6 test images prepared in")
    assert "noise of a downloader" in err


@pytest.mark.parametrize(("name", "made"), [("celeba", "CelebA"), ("mnist", "MNIST")])
def test_torchvisions_own_downloaders_are_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, made: str
) -> None:
    asked = []

    def fake(root: str, **options: Any) -> None:
        asked.append((root, options))
        (Path(root) / downloads.DOWNLOADS[name].folder).mkdir(parents=True)

    monkeypatch.setattr(torchvision.datasets, made, fake)
    assert downloads.download(name, tmp_path / "d") == tmp_path / "d" / {"celeba": "celeba", "mnist": "MNIST"}[name]
    assert [(root, options["download"]) for root, options in asked] == [(str(tmp_path / "d"), True)]


@pytest.mark.parametrize(
    "error", [OSError("Name or service not known"), RuntimeError("Error downloading x:\nTried y"), ValueError("quota")]
)
@pytest.mark.parametrize("name", ["celeba", "mnist"])
def test_a_download_that_fails_names_the_page_and_the_way_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, error: Exception
) -> None:
    def fail(*arguments: Any, **options: Any) -> None:
        raise error

    for made in ("CelebA", "MNIST"):
        monkeypatch.setattr(torchvision.datasets, made, fail)
    with pytest.raises(DataError) as caught:
        downloads.download(name, tmp_path)
    known = downloads.DOWNLOADS[name]
    assert " ".join(str(error).split()) in str(caught.value)
    assert f"by hand from {known.page}, put it at {tmp_path / known.folder} and pass --source" in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["aflw_split", "--download"], 2, r"cannot be downloaded (only celeba, mnist). Get it from MTFL.zip"),
        (["aflw_split"], 2, "pass either --source FOLDER_OR_ARCHIVE or --download"),
        (["aflw_split", "--download", "--source", "x"], 2, "pass either --source"),
        (["folder:x", "--download"], 5, "there is no such folder"),
    ],
)
def test_what_cannot_be_fetched_is_told(
    tmp_path: Path, run: Callable[..., Output], arguments: list[str], code: int, said: str
) -> None:
    found, out, err = run(*arguments)
    assert (found, out) == (code, "")
    assert said in err
