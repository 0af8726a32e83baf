"""Prepared copies are what was written: a bit, a shard too many or too few is noticed before anything is read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from kept_runs import Killed, flip
from small_trees import embedded

from lmbench.data import prepared
from lmbench.data.opening import open_prepared
from lmbench.data.prepared import load_split, save_prepared
from lmbench.errors import DataError
from lmbench.plugins.loading import get_plugins
from lmbench.plugins.registry import Entry
from lmbench.specs import DatasetSpec


@pytest.fixture
def entry() -> Entry[DatasetSpec]:
    return get_plugins().find("dataset", "aflw_mtfl")


def test_a_shard_that_was_damaged_after_a_kill_is_written_again(
    tmp_path: Path, entry: Entry[DatasetSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepared, "IMAGES_A_SHARD", 2)
    splits, folder, draft = embedded(5), tmp_path / "prepared" / "x", tmp_path / "prepared" / ".x.partial"

    def die(*_: object) -> str:
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(prepared, "fingerprint", die)
        save_prepared(entry, splits, folder, "here")
    flip(draft / "train" / "shard-00001.arrow", 8 * 700)
    save_prepared(entry, splits, folder, "here")
    assert load_split(folder / "train").to_dict() == splits["train"].to_dict()


@pytest.mark.parametrize(
    "name", ["train/shard-00000.arrow", "test/shard-00001.arrow", "prepared.json", "manifest.json"]
)
def test_a_prepared_copy_in_which_a_bit_was_flipped_is_refused(
    tmp_path: Path, entry: Entry[DatasetSpec], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(prepared, "IMAGES_A_SHARD", 3)
    folder = tmp_path / "x"
    save_prepared(entry, embedded(5), folder, "here")
    flip(folder / name, 8 * 60)
    with pytest.raises(DataError, match=r"the prepared copy .*x is damaged.* delete it and prepare again"):
        open_prepared("aflw_mtfl", entry, folder)


def test_a_prepared_copy_with_a_shard_too_many_or_too_few_is_refused(
    tmp_path: Path, entry: Entry[DatasetSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepared, "IMAGES_A_SHARD", 3)
    folder = tmp_path / "x"
    save_prepared(entry, embedded(5), folder, "here")
    shutil.copy(folder / "train" / "shard-00001.arrow", folder / "train" / "shard-00002.arrow")
    with pytest.raises(DataError, match=r"shard-00002\.arrow was not written with it"):
        open_prepared("aflw_mtfl", entry, folder)
    (folder / "train" / "shard-00002.arrow").unlink()
    (folder / "train" / "shard-00001.arrow").unlink()
    with pytest.raises(DataError, match=r"shard-00001\.arrow: No such file"):
        open_prepared("aflw_mtfl", entry, folder)


def test_a_copy_of_an_earlier_version_is_held_against_its_fingerprint_and_gets_checksums(
    tmp_path: Path, entry: Entry[DatasetSpec]
) -> None:
    folder = tmp_path / "x"
    save_prepared(entry, embedded(5), folder, "here")
    for manifest in folder.rglob("manifest.json"):
        manifest.unlink()
    assert open_prepared("aflw_mtfl", entry, folder, write=False).fingerprint
    assert not (folder / "manifest.json").exists()
    assert open_prepared("aflw_mtfl", entry, folder).fingerprint and (folder / "manifest.json").exists()
    note = json.loads((folder / "prepared.json").read_text())
    (folder / "prepared.json").write_text(json.dumps({**note, "fingerprint": "0" * 64}))
    (folder / "manifest.json").unlink()
    with pytest.raises(DataError, match="is not what was written; delete it and prepare again"):
        open_prepared("aflw_mtfl", entry, folder)
