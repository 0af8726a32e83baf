"""`lmbench data`: what is there, one copy of it, whether it is sound, and what it looks like."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small_trees import celeba_tree, mtfl_line, mtfl_tree, points_of, write_image, write_list

from lmbench.cli import data as data_module
from lmbench.cli.main import run_cli
from lmbench.data.opening import open_dataset
from lmbench.data.schema import column
from lmbench.originals.verification import verify_dataset
from lmbench.plugins.loading import Plugins, get_plugins
from lmbench.plugins.registry import Entry, Registry
from lmbench.report.marks import COLOURS
from lmbench.specs import DatasetSpec

Output = tuple[int, str, str]


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Lets every command see specs with other expected counts, so that small trees are complete."""

    def install(**splits: dict[str, int | None]) -> None:
        registry: Registry[DatasetSpec] = Registry("dataset")
        for entry in get_plugins().registry("dataset"):
            spec = entry.spec
            if spec.name in splits:
                spec = dataclasses.replace(spec, splits=splits[spec.name], checksums={})
            registry.add(spec, entry.owner, entry.version)

        class Few:
            def find(self, kind: str, name: str) -> Entry[Any]:
                assert kind == "dataset"
                return registry.get(name)

            def registry(self, kind: str) -> Registry[DatasetSpec]:
                return registry

        few: Any = Few()
        for module in (data_module, "lmbench.data.opening", "lmbench.originals.verification"):
            place = f"{module}.get_plugins" if isinstance(module, str) else f"{module.__name__}.get_plugins"
            monkeypatch.setattr(place, lambda: few)

    return install


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LMBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LMBENCH_DATA", str(tmp_path / "data"))


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Output]:
    def call(*arguments: object) -> Output:
        code = run_cli(["data", *map(str, arguments)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def checks_of(output: str) -> dict[str, dict[str, Any]]:
    return {check["name"]: check for check in json.loads(output)["checks"]}


# --- list ---


def test_every_dataset_is_listed_with_where_it_is_looked_for(run: Callable[..., Output], tmp_path: Path) -> None:
    code, out, _ = run("list", "--json")
    found = {item["name"]: item for item in json.loads(out)}
    assert code == 0
    assert {"synthfaces", "mtfl", "aflw_split", "aflw_mtfl", "celeba_half", "images:*"} <= set(found)
    assert found["mtfl"]["state"] == "missing"
    assert found["mtfl"]["place"] == str(tmp_path / "data" / "MTFL")
    assert found["mtfl"]["splits"] == {"train": 10000, "test": 2995}
    assert found["synthfaces"]["state"] == "present"
    assert found["synthfaces"]["landmarks"] == 15
    code, out, _ = run("list")
    assert len(out.splitlines()) == 1 + len(found)


def test_a_dataset_is_missing_then_present_then_prepared(
    run: Callable[..., Output], tmp_path: Path, plugins: Callable[..., None]
) -> None:
    plugins(aflw_mtfl={"train": 4, "test": 6})
    root = tmp_path / "elsewhere"

    def state() -> str:
        listed = json.loads(run("list", "--json", "--data-root", root)[1])
        return str(next(item["state"] for item in listed if item["name"] == "aflw_mtfl"))

    assert state() == "missing"
    mtfl_tree(root)
    assert state() == "present"
    assert run("prepare", "aflw_mtfl", "--source", root, "--data-root", root)[0] == 0
    assert state() == "prepared"


# --- prepare ---


@pytest.mark.parametrize("inside", ["", "MTFL"])
def test_a_prepared_copy_stands_alone_and_gives_the_same_data(
    run: Callable[..., Output], tmp_path: Path, plugins: Callable[..., None], inside: str
) -> None:
    plugins(aflw_mtfl={"train": 4, "test": 6})
    source = tmp_path / "source"
    mtfl_tree(source)
    before = open_dataset("aflw_mtfl", source)
    code, out, err = run("prepare", "aflw_mtfl", "--source", source / inside)
    assert code == 0, err
    assert "aflw_mtfl: 4 train, 6 test images prepared in" in out
    shutil.rmtree(source)
    after = open_dataset("aflw_mtfl")
    assert after.fingerprint == before.fingerprint
    assert len(after.pixels("test")) == 6


def test_preparing_the_same_again_changes_nothing_and_another_is_refused(
    run: Callable[..., Output], tmp_path: Path, plugins: Callable[..., None]
) -> None:
    plugins(aflw_mtfl={"train": 4, "test": 6})
    mtfl_tree(tmp_path / "one")
    mtfl_tree(tmp_path / "two")
    write_image(tmp_path / "two" / "MTFL" / "AFLW" / "0001-image00000.jpg", seed=99)
    assert run("prepare", "aflw_mtfl", "--source", tmp_path / "one")[0] == 0
    kept = open_dataset("aflw_mtfl").fingerprint
    code, out, _ = run("prepare", "aflw_mtfl", "--source", tmp_path / "one")
    assert code == 0
    assert "were prepared before" in out
    code, _, err = run("prepare", "aflw_mtfl", "--source", tmp_path / "two")
    assert code == 3
    assert "holds another copy of aflw_mtfl and is left as it is; delete that folder" in err
    assert open_dataset("aflw_mtfl").fingerprint == kept


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("synthfaces", 2, "is embedded: there is nothing to prepare"),
        ("images:/tmp", 2, "there is nothing to prepare"),
        ("mtfl", 5, "the official list 10000 (9996 missing)"),
        ("mtlf", 2, "Did you mean 'mtfl'"),
    ],
)
def test_what_cannot_be_prepared_is_told(
    run: Callable[..., Output], tmp_path: Path, name: str, code: int, said: str
) -> None:
    mtfl_tree(tmp_path)
    found, out, err = run("prepare", name, "--source", tmp_path)
    assert (found, out) == (code, "")
    assert said in err
    assert not (tmp_path / "data").exists()


def test_a_source_that_is_no_folder_is_told(run: Callable[..., Output], tmp_path: Path) -> None:
    code, _, err = run("prepare", "mtfl", "--source", tmp_path / "nowhere")
    assert code == 5
    assert "is no folder and no zip or tar archive. Unpack MTFL.zip" in err


def test_a_family_that_cuts_a_dataset_anew_is_never_prepared(run: Callable[..., Output], tmp_path: Path) -> None:
    """One copy would answer for all its members."""
    code, _, err = run("prepare", "mafl_unaligned:1-2", "--source", tmp_path)
    assert code == 2
    assert "is cut anew for each of its settings" in err
    listed = {item["name"]: item for item in json.loads(run("list", "--json", "--data-root", tmp_path)[1])}
    assert listed["mafl_unaligned:*"]["place"] == str(tmp_path / "celeba")
    assert listed["mafl_unaligned:*"]["state"] == "missing"


# --- verify ---


def test_a_sound_dataset_passes_every_check(
    run: Callable[..., Output], tmp_path: Path, plugins: Callable[..., None]
) -> None:
    plugins(aflw_mtfl={"train": 4, "test": 6})
    mtfl_tree(tmp_path / "data")
    code, out, _ = run("verify", "aflw_mtfl", "--json")
    checks = checks_of(out)
    assert code == 0
    assert json.loads(out)["ok"] is True
    assert list(checks) == [
        "folder", "lists", "complete", "counts", "images", "landmarks", "plausible", "eye distance", "ids", "images twice",
    ]  # fmt: skip
    assert "4 of 100x100" in checks["images"]["found"]
    code, out, _ = run("verify", "aflw_mtfl")
    assert code == 0
    assert len(out.splitlines()) == 1 + len(checks)


def test_the_missing_images_of_the_official_set_are_counted(run: Callable[..., Output], tmp_path: Path) -> None:
    mtfl_tree(tmp_path / "data")
    code, out, _ = run("verify", "mtfl", "--json")
    checks = checks_of(out)
    assert code == 5
    assert checks["lists"]["ok"]
    assert not checks["counts"]["ok"]
    assert checks["counts"]["found"] == "train 4 of 10000: 9996 missing, test 6 of 2995: 2989 missing"
    assert checks["images"]["ok"]


def test_a_missing_folder_and_a_damaged_list_are_wrong(run: Callable[..., Output], tmp_path: Path) -> None:
    code, out, _ = run("verify", "aflw_split")
    assert code == 5
    assert "MTFL is not there" in out
    mtfl_tree(tmp_path / "data")
    (tmp_path / "data" / "MTFL" / "testing.txt").write_text("AFLW/a.jpg 1 2")
    code, out, _ = run("verify", "aflw_split", "--json")
    assert code == 5
    assert "testing.txt:1: expected 15 columns" in checks_of(out)["lists"]["found"]


def ruin_image(folder: Path) -> None:
    (folder / "AFLW" / "0003-image00001.jpg").write_bytes(b"not an image")


def remove_image(folder: Path) -> None:
    (folder / "AFLW" / "0003-image00001.jpg").unlink()


def copy_image_across(folder: Path) -> None:
    shutil.copy(folder / "AFLW" / "0003-image00001.jpg", folder / "lfw_5590" / "Person_0001.jpg")


def join_eyes(folder: Path) -> None:
    points = points_of(0)
    points[1] = points[0]
    lines = (folder / "testing.txt").read_text().replace("\r", "").split("\n ")
    write_list(folder / "testing.txt", [mtfl_line("AFLW/0001-image00000.jpg", points), *lines[1:]])


@pytest.mark.parametrize(
    ("damage", "check", "said"),
    [
        (ruin_image, "images", "1 cannot be read; first: .*0003-image00001.jpg"),
        (remove_image, "complete", "1 of 10 files are missing under .*first: AFLW/0003-image00001.jpg"),
        (copy_image_across, "images twice", "in two splits: 1"),
        (join_eyes, "eye distance", "test 1 times zero .first: AFLW/0001-image00000.jpg"),
    ],
)
def test_damage_is_found_and_named(
    tmp_path: Path,
    run: Callable[..., Output],
    plugins: Callable[..., None],
    damage: Callable[[Path], None],
    check: str,
    said: str,
) -> None:
    plugins(aflw_mtfl={"train": 4, "test": 6})
    mtfl_tree(tmp_path / "data")
    damage(tmp_path / "data" / "MTFL")
    code, out, _ = run("verify", "aflw_mtfl", "--json")
    found = checks_of(out)[check]
    assert code == 5
    assert not found["ok"]
    assert re.search(said, found["found"]), found["found"]


def test_landmarks_outside_their_image_are_counted_but_allowed(
    tmp_path: Path, run: Callable[..., Output], plugins: Callable[..., None]
) -> None:
    plugins(aflw_mtfl={"train": 4, "test": 6})
    mtfl_tree(tmp_path / "data")
    lines = [mtfl_line(f"AFLW/{i + 1:04}-image{i // 2:05}.jpg", points_of(i) + 19 * (i == 0)) for i in range(6)]
    write_list(tmp_path / "data" / "MTFL" / "testing.txt", lines)
    code, out, _ = run("verify", "aflw_mtfl", "--json")
    assert code == 0
    outside = (((points_of(0) + 18) > 59.5) | ((points_of(0) + 18) < -0.5)).any(1).sum()
    assert f"{outside} visible ones outside their image" in checks_of(out)["landmarks"]["found"]


def test_a_test_face_of_mafl_that_is_trained_on_under_another_name_is_found(
    tmp_path: Path, run: Callable[..., Output], plugins: Callable[..., None]
) -> None:
    plugins(celeba_half={"train": 3})
    images = celeba_tree(tmp_path / "data") / "img_align_celeba_half"
    code, out, _ = run("verify", "celeba_half", "--json")
    assert code == 0
    assert (
        "3 test faces, 2 of them lie here; trained on: none by name, none by content"
        in (checks_of(out)["held out"]["found"])
    )
    shutil.copy(images / "000002.jpg", images / "000001.jpg")
    code, out, _ = run("verify", "celeba_half", "--json")
    assert code == 5
    assert "none by name, 1 by content" in checks_of(out)["held out"]["found"]


def test_a_prepared_copy_that_was_changed_is_found(
    tmp_path: Path, run: Callable[..., Output], plugins: Callable[..., None]
) -> None:
    plugins(aflw_mtfl={"train": 4, "test": 6})
    mtfl_tree(tmp_path / "source")
    run("prepare", "aflw_mtfl", "--source", tmp_path / "source")
    assert run("verify", "aflw_mtfl")[0] == 0
    note = next((tmp_path / "data" / "prepared").rglob("prepared.json"))
    note.write_text(note.read_text().replace('"fingerprint": "', '"fingerprint": "0'))
    code, out, _ = run("verify", "aflw_mtfl", "--json")
    assert code == 5
    assert "is damaged: prepared.json has" in checks_of(out)["folder"]["found"]
    (note.parent / "manifest.json").unlink()  # as copies of earlier versions have none
    code, out, _ = run("verify", "aflw_mtfl", "--json")
    assert code == 5 and "is not what was written" in checks_of(out)["folder"]["found"]


def test_the_real_files_are_as_their_readme_says(test_data: Path) -> None:
    full: Plugins = get_plugins()
    counts = {c.name: c for c in verify_dataset("mtfl", test_data, full)}["counts"]
    assert counts.found == "train 4151 of 10000: 5849 missing, test 2995 of 2995"
    assert [c for c in verify_dataset("aflw_split", test_data, full) if not c.ok] == []


# --- show ---


def test_a_sheet_shows_the_first_images_with_their_landmarks(
    tmp_path: Path, run: Callable[..., Output], plugins: Callable[..., None]
) -> None:
    plugins(aflw_mtfl={"train": 4, "test": 6})
    mtfl_tree(tmp_path / "data")
    out = tmp_path / "grid.png"
    code, said, err = run("show", "aflw_mtfl", "-n", 3, "-o", out)
    assert code == 0, err
    assert "3 of 6 test images of aflw_mtfl" in said
    sheet = np.asarray(Image.open(out)).astype(int)
    store = open_dataset("aflw_mtfl").pixels("test")
    tile = sheet.shape[1] // 3
    zoom = tile // store.size
    assert tile == store.size * zoom
    for i in range(3):
        x, y = np.round(store.landmarks[i][0] * zoom + zoom / 2).astype(int)
        assert (sheet[y, i * tile + x] == COLOURS[0]).all()
    assert sheet[tile:].max() > 200  # the names of the landmarks


def test_an_existing_file_is_kept_unless_forced(
    tmp_path: Path, run: Callable[..., Output], plugins: Callable[..., None]
) -> None:
    plugins(celeba_half={"train": 3})
    celeba_tree(tmp_path / "data")
    out = tmp_path / "grid.png"
    out.write_text("mine")
    code, _, err = run("show", "celeba_half", "-o", out)
    assert code == 2
    assert "exists already: choose another name, or pass --force" in err
    assert out.read_text() == "mine"
    assert run("show", "celeba_half", "-o", out, "--force")[0] == 0
    assert Image.open(out).size[0] > 3 * 96


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["celeba_half", "-o", "grid.jpg"], 2, "written as .png"),
        (["celeba_half", "-o", "grid.png", "--split", "valid"], 2, "no split 'valid'; it has train"),
        (["celeba_half", "-o", "grid.png", "-n", "0"], 2, "not in the range"),
        (["mtfl", "-o", "grid.png"], 5, "MTFL is not there"),
    ],
)
def test_a_mistake_in_show_is_told_and_writes_nothing(
    tmp_path: Path,
    run: Callable[..., Output],
    plugins: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    said: str,
) -> None:
    plugins(celeba_half={"train": 3})
    monkeypatch.chdir(tmp_path)
    celeba_tree(tmp_path / "data")
    found, _, err = run("show", *arguments)
    assert found == code
    assert said in err
    assert not list(tmp_path.glob("grid.*"))


def test_any_folder_can_be_shown_and_verified(tmp_path: Path, run: Callable[..., Output]) -> None:
    for i in range(2):
        write_image(tmp_path / "mine" / f"{i}.png", seed=i)
    name = f"images:{tmp_path / 'mine'}"
    assert run("show", name, "-o", tmp_path / "grid.png")[0] == 0
    code, out, _ = run("verify", name, "--json")
    assert code == 0
    assert "train 2 (any number will do)" in checks_of(out)["counts"]["found"]
    assert len(column(open_dataset(name).splits["train"], "source_id")) == 2
