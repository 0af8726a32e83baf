"""Prepared copies are what was written: a bit, a shard too many or too few is noticed before anything is read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import datasets
import numpy as np
import pytest
from kept_runs import Killed, flip
from small_trees import embedded, mtfl_tree

from lmbench.data import prepared
from lmbench.data.opening import open_dataset, open_prepared
from lmbench.data.places import prepared_folder
from lmbench.data.prepared import fingerprint, load_split, save_prepared
from lmbench.data.schema import column
from lmbench.datasets.mtfl import loader as mtfl
from lmbench.errors import DataError
from lmbench.plugins.loading import get_plugins
from lmbench.plugins.registry import Entry
from lmbench.specs import DatasetSpec


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LMBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


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


def test_a_prepared_copy_gives_the_same_fingerprint_images_and_landmarks(tmp_path: Path) -> None:
    mtfl_tree(tmp_path)
    entry = get_plugins().find("dataset", "aflw_mtfl")
    splits = mtfl.load_aflw_mtfl(tmp_path / "MTFL")
    folder = prepared_folder(entry, tmp_path)
    save_prepared(entry, splits, folder, "here")
    opened = open_prepared("aflw_mtfl", entry, folder)
    assert opened.fingerprint == fingerprint("aflw_mtfl", entry.spec, splits)
    for split, dataset in splits.items():
        row, copy = dataset[2], opened.splits[split][2]
        assert copy["image"]["bytes"] == Path(row["image"]["path"]).read_bytes()
        for name in ("landmarks", "visible", "box", "identity", "source_id"):
            np.testing.assert_array_equal(column(opened.splits[split], name), column(dataset, name))
    assert sorted(f.name for f in folder.iterdir()) == ["manifest.json", "prepared.json", "test", "train"]


def test_a_damaged_prepared_copy_says_what_to_do(tmp_path: Path) -> None:
    entry = get_plugins().find("dataset", "aflw_split")
    prepared_folder(entry, tmp_path).mkdir(parents=True)
    with pytest.raises(DataError, match=r"is damaged .* delete it and prepare again"):
        open_dataset("aflw_split", tmp_path)


def test_an_image_that_disappears_while_preparing_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    mtfl_tree(tmp_path)
    entry = get_plugins().find("dataset", "aflw_mtfl")
    splits = mtfl.load_aflw_mtfl(tmp_path / "MTFL")
    (tmp_path / "MTFL" / "lfw_5590" / "Person_0003.jpg").unlink()
    folder = prepared_folder(entry, tmp_path)
    with pytest.raises(DataError, match=r"Person_0003\.jpg: No such file"):
        save_prepared(entry, splits, folder, "here")
    assert not list(folder.parent.iterdir())


def test_preparing_shows_no_bar_of_another_library_and_leaves_its_switch_alone(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    mtfl_tree(tmp_path)
    entry = get_plugins().find("dataset", "aflw_mtfl")
    splits = mtfl.load_aflw_mtfl(tmp_path / "MTFL")
    assert not datasets.are_progress_bars_disabled()
    save_prepared(entry, splits, prepared_folder(entry, tmp_path), "here")
    assert not datasets.are_progress_bars_disabled()
    assert capfd.readouterr().err == ""
