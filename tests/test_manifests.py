"""Kept files and their manifests: what is damaged, missing or foreign is told, and nothing is hashed twice."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from kept_runs import flip
from tiny_training import EVERY_STEP, new_objective, trained

from lmbench import progress
from lmbench.errors import DataError, LmbenchError
from lmbench.metrics.base import Predictions
from lmbench.store import files as store
from lmbench.store import manifests


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "kept"
    with store.building(made) as draft:
        assert draft is not None
        (draft / "weights").write_bytes(bytes(range(256)) * 9)
        (draft / "part").mkdir()
        (draft / "part" / "note.json").write_text('{"a": 1}')
    return made


def test_a_manifest_states_size_and_sha256_of_every_file(folder: Path) -> None:
    found = json.loads((folder / "manifest.json").read_text())["files"]
    content = (folder / "weights").read_bytes()
    assert found["weights"] == [{"bytes": 2304, "sha256": hashlib.sha256(content).hexdigest()}]
    assert sorted(found) == ["part/note.json", "weights"]
    assert manifests.damage(folder) is None


@pytest.mark.parametrize("name", ["weights", "part/note.json", "manifest.json"])
def test_no_bit_of_a_kept_folder_can_be_flipped_unnoticed(folder: Path, name: str) -> None:
    whole = (folder / name).read_bytes()
    places = range(0, 8 * len(whole), 1 if len(whole) < 400 else 211)
    unnoticed = []
    for bit in places:
        flip(folder / name, bit)
        if manifests.damage(folder) is None:
            unnoticed.append(bit)
        (folder / name).write_bytes(whole)
    if name == "manifest.json":  # white space says nothing
        unnoticed = [bit for bit in unnoticed if whole[bit // 8 : bit // 8 + 1] not in (b" ", b"\n")]
    assert unnoticed == []
    assert manifests.damage(folder) is None


def test_what_is_missing_truncated_or_of_an_earlier_version_is_told(folder: Path) -> None:
    whole = (folder / "weights").read_bytes()
    (folder / "weights").write_bytes(whole[:-1])
    assert manifests.damage(folder) == "weights has 2303 bytes, 2304 were written"
    (folder / "weights").unlink()
    assert manifests.damage(folder) == "weights: No such file or directory"
    assert manifests.damage(folder, "part/note.json") is None
    assert manifests.damage(folder, "other") == "other is not in its manifest.json"
    (folder / "manifest.json").unlink()
    assert manifests.damage(folder) == "it has no manifest.json"
    (folder / "manifest.json").write_text("[]")
    assert manifests.damage(folder) == "its manifest.json cannot be read"


def test_a_file_is_read_once_in_a_process_unless_it_changed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    digest = hashlib.file_digest
    monkeypatch.setattr(
        manifests.hashlib, "file_digest", lambda file, how: (read.append(Path(file.name).name), digest(file, how))[1]
    )
    assert manifests.damage(folder) is None and read == []  # this process has just written them
    assert manifests.damage(folder, afresh=True) is None and sorted(read) == ["note.json", "weights"]
    before = (folder / "weights").stat()
    flip(folder / "weights", 77)
    os.utime(folder / "weights", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert manifests.damage(folder) == "the SHA-256 of weights is not that of what was written"


def test_files_of_one_folder_are_listed_one_after_the_other(tmp_path: Path) -> None:
    for name, content in (("a", "1"), ("b", "2"), ("a", "3")):
        store.write_atomically(tmp_path / name, content, listed=True)
    assert manifests.damage(tmp_path) is None and manifests.listed(tmp_path) == {"a", "b"}
    (tmp_path / "a").write_text("4")
    assert manifests.damage(tmp_path, "b") is None and manifests.damage(tmp_path, "a") is not None
    store.write_atomically(tmp_path / "a", "5", listed=True)
    assert manifests.damage(tmp_path) is None


def test_what_a_number_relied_on_is_read_once_more_and_what_was_removed_since_is_not_missed(folder: Path) -> None:
    with manifests.relying() as outer:
        with manifests.relying() as inner:
            assert manifests.damage(folder) is None
        manifests.damage(folder, "nothing")
    assert inner == outer == {folder}
    manifests.confirm(outer)
    manifests.confirm({folder.with_name("gone")})
    flip(folder / "weights", 3)
    with pytest.raises(DataError, match=r"was damaged while it was read .* No number of it is kept"):
        manifests.confirm(outer)


def predictions(**changes: object) -> Predictions:
    values = {
        "task": "regression", "predicted": np.ones((1, 2, 3, 2)), "target": np.zeros((2, 3, 2)),
        "visible": np.ones((2, 3), bool), "image_ids": np.array(["a", "b"]), "image_size": 8, **changes,
    }  # fmt: skip
    return Predictions(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["regression.parquet", "regression.json", "manifest.json"])
def test_no_bit_of_stored_predictions_can_be_flipped_unnoticed(tmp_path: Path, name: str) -> None:
    predictions().write(tmp_path)
    whole = (tmp_path / name).read_bytes()
    for bit in range(5, 8 * len(whole), 501):
        flip(tmp_path / name, bit)
        if whole[bit // 8 : bit // 8 + 1] not in (b" ", b"\n") or name != "manifest.json":
            with pytest.raises(DataError, match="is damaged"):
                Predictions.read(tmp_path, "regression")
        (tmp_path / name).write_bytes(whole)
    assert isinstance(Predictions.read(tmp_path, "regression"), Predictions)


def test_predictions_of_an_earlier_version_are_read_with_a_word_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    predictions().write(tmp_path)
    (tmp_path / "manifest.json").unlink()
    assert isinstance(Predictions.read(tmp_path, "regression"), Predictions)
    assert isinstance(Predictions.read(tmp_path, "regression"), Predictions)
    assert capsys.readouterr().err.count("written without checksums, by an earlier lmbench") == 1


# --- what the system refuses ---


@contextmanager
def no_room():
    """A block in which no file may grow beyond 100 bytes, as on a disk that is nearly full; not the test's own output."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def full_checkpoint(folder: Path) -> None:
    trained(folder / "state.pt", new_objective(), checkpoint_minutes=EVERY_STEP)


def full_predictions(folder: Path) -> None:
    predictions().write(folder)


def full_store(folder: Path) -> None:
    with store.building(folder / "store") as draft:
        assert draft is not None
        np.save(draft / "images.npy", np.zeros(1000))


@pytest.mark.parametrize("write", [full_checkpoint, full_predictions, full_store])
def test_a_disk_that_is_full_while_something_is_kept_is_a_message_and_leaves_nothing(tmp_path: Path, write) -> None:
    said = r"cannot write .*: a file as large as this is not allowed there"
    with no_room(), progress.silenced(), pytest.raises(LmbenchError, match=said):
        write(tmp_path)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"),  # safetensors
        RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0: No space left on device"),
        OSError(28, "Error writing bytes to file. Detail: [errno 28] No space left on device"),  # pyarrow
    ],
)
def test_a_full_disk_is_told_in_whatever_words_a_library_says_it(tmp_path: Path, error: Exception) -> None:
    with (
        pytest.raises(LmbenchError, match=r"cannot write .*: the disk is full; free some space"),
        store.building(tmp_path / "stage"),
    ):
        raise error
    assert not list(tmp_path.iterdir())


# --- what kills leave ---

WRITING = """
import sys, time
from pathlib import Path
from lmbench.store import files as store
with store.replacing(Path(sys.argv[1]) / "a.txt") as draft, store.building(Path(sys.argv[1]) / "stage") as folder:
    draft.write_text("half")
    (folder / "half").write_text("half")
    print("writing", flush=True)
    time.sleep(60)
"""


def test_drafts_of_a_living_process_stay_and_those_of_a_killed_one_are_cleared(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITING, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        alive = {p.name for p in tmp_path.iterdir()}
        assert len(alive) == 3  # a file, a folder, and the lock of the folder
        store.clear_drafts(tmp_path)
        store.write_atomically(tmp_path / "a.txt", "mine")
        assert {p.name for p in tmp_path.iterdir()} == alive | {"a.txt"}
        process.kill()
    store.clear_drafts(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_hidden_file_that_is_no_draft_is_left_alone(tmp_path: Path) -> None:
    for name in (".DS_Store", ".hidden.txt", ".x.partial"):
        (tmp_path / name).write_text("x")
    store.clear_drafts(tmp_path)
    assert len(list(tmp_path.iterdir())) == 3
