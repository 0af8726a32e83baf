"""`folder:DIR`: a user's own labelled images in five formats, on small trees and on the real files where they are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from folder_trees import (
    NAMES,
    TREES,
    coco,
    coco_tree,
    csv_text,
    csv_tree,
    photos,
    points,
    pts_tree,
    rows_of,
    write_json,
)
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lmbench.cli.main import run_cli
from lmbench.config.resolving import resolve_run
from lmbench.data.opening import open_dataset
from lmbench.data.schema import column
from lmbench.datasets.folders.framing import frame_boxes
from lmbench.datasets.folders.samples import Sample
from lmbench.errors import DataError
from lmbench.originals.verification import verify_dataset
from lmbench.plugins.loading import get_plugins


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LMBENCH_CACHE", str(tmp_path / "cache"))


# --- the formats ---


@pytest.mark.parametrize("format_name", TREES)
def test_every_format_is_recognised_and_gives_the_same_landmarks(tmp_path: Path, format_name: str) -> None:
    expected = TREES[format_name](tmp_path)
    opened = open_dataset(f"folder:{tmp_path}")
    assert opened.spec.notes[0].startswith(format_name)
    assert opened.spec.landmark_names == (("0", "1", "2") if format_name == "pts" else _names(format_name))
    order = [_names(format_name).index(n) for n in NAMES]
    found = rows_of(f"folder:{tmp_path}")
    assert len(found) == 10
    for i, face in enumerate(expected):
        landmarks, visible, box = found[f"{i:02}.png"]
        absent = i == 1 and format_name != "pts"
        assert list(visible[order]) == [True, True, not absent]
        np.testing.assert_allclose(landmarks[order][visible[order]], face[: 2 if absent else 3], atol=1e-5)
        assert box[2] == box[3] > 0


def _names(format_name: str) -> tuple[str, ...]:
    return ("left_eye", "nose", "right_eye") if format_name == "imglab" else NAMES


@pytest.mark.parametrize("format_name", TREES)
def test_a_member_passes_every_check_and_says_how_it_is_judged(tmp_path: Path, format_name: str) -> None:
    TREES[format_name](tmp_path)
    assert [c for c in verify_dataset(f"folder:{tmp_path}") if not c.ok] == []
    assert get_plugins().find("dataset", f"folder:{tmp_path}").spec.metrics == ("box_error", "pck_5pct")
    eyes = "0,1" if format_name == "pts" else "left_eye,right_eye"
    spec = get_plugins().find("dataset", f"folder:{tmp_path}:eyes={eyes}").spec
    assert spec.metrics == ("iod",)
    assert [spec.landmark_names[e] for e in spec.eyes] == eyes.split(",")


def test_a_run_takes_the_landmarks_of_the_folder(tmp_path: Path) -> None:
    csv_tree(tmp_path)
    config = resolve_run(get_plugins(), "random", f"folder:{tmp_path}", preset="smoke")
    assert config.dataset == f"folder:{tmp_path}"
    assert not get_plugins().registry("dataset").get(f"folder:{tmp_path}").spec.has_landmarks


def test_a_folder_that_was_moved_is_the_same_data(tmp_path: Path) -> None:
    coco_tree(tmp_path / "here")
    before = open_dataset(f"folder:{tmp_path / 'here'}").fingerprint
    (tmp_path / "here").rename(tmp_path / "there")
    assert open_dataset(f"folder:{tmp_path / 'there'}").fingerprint == before


def test_a_changed_annotation_is_read_anew(tmp_path: Path) -> None:
    csv_tree(tmp_path)
    before = rows_of(f"folder:{tmp_path}")["03.png"][0]
    table = tmp_path / "labels.csv"
    table.write_text(table.read_text().replace("03.png,21.5", "03.png,9.125"))
    after = rows_of(f"folder:{tmp_path}")["03.png"][0]
    np.testing.assert_allclose(after - before, [[9.125 - 21.5, 0], [0, 0], [0, 0]], atol=1e-5)


def test_occluded_points_of_coco_count_as_coco_counts_them_unless_skipped(tmp_path: Path) -> None:
    coco_tree(tmp_path)
    assert rows_of(f"folder:{tmp_path}")["02.png"][1].all()
    assert list(rows_of(f"folder:{tmp_path}:occluded=skipped")["02.png"][1]) == [True, True, False]


@pytest.mark.parametrize(("format_name", "offset"), [("csv", 1.0), ("pts", -1.0)])
def test_the_number_of_the_first_pixel_can_be_told(tmp_path: Path, format_name: str, offset: float) -> None:
    TREES[format_name](tmp_path)
    plain = rows_of(f"folder:{tmp_path}")["05.png"][0]
    told = rows_of(f"folder:{tmp_path}:first_pixel={1 if offset > 0 else 0}")["05.png"][0]
    np.testing.assert_allclose(plain - told, offset, atol=1e-5)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_table_may_have_another_delimiter_a_bom_and_crlf(
    tmp_path: Path, delimiter: str, mark: str, ending: str
) -> None:
    photos(tmp_path)
    (tmp_path / "labels.csv").write_bytes((mark + csv_text(delimiter).replace("\n", ending)).encode())
    assert len(rows_of(f"folder:{tmp_path}")) == 10


def test_a_table_may_name_splits_boxes_visibility_and_objects(tmp_path: Path) -> None:
    photos(tmp_path)
    extra = {
        "split": ["test"] * 3 + ["train"] * 7,
        "nose_visible": ["0"] + ["1"] * 9,
        "box_left": ["5"] * 10, "box_top": ["6"] * 10, "box_width": ["40"] * 10, "box_height": ["30"] * 10,
        "id": [f"face{i}" for i in range(10)],
        "weather": ["fine"] * 10,
    }  # fmt: skip
    (tmp_path / "labels.csv").write_text(csv_text(**extra).replace("01.png", "00.png"))
    opened = open_dataset(f"folder:{tmp_path}")
    assert list(column(opened.splits["test"], "source_id")) == ["00.png#face0", "00.png#face1", "02.png"]
    assert not column(opened.splits["test"], "visible")[0, 2]
    assert "columns not used: weather" in opened.spec.notes
    box = column(opened.splits["train"], "box")[0]
    side = round(40 * 1.2 * 136 / 96)
    np.testing.assert_array_equal(box, [round(25 - side / 2), round(21 - side / 2), side, side])


def test_newer_and_multi_animal_projects_of_deeplabcut_are_read(tmp_path: Path) -> None:
    photos(tmp_path / "labeled-data" / "v", 4)
    lines = [
        "scorer,,,me,me,me,me,me,me,me,me",
        "individuals,,,a,a,a,a,b,b,b,b",
        "bodyparts,,,nose,nose,tail,tail,nose,nose,tail,tail",
        "coords,,,x,y,x,y,x,y,x,y",
        *(f"labeled-data,v,{i:02}.png,1,2,{9 + i},9,11,12,,,"[:-1] for i in range(3)),
        "labeled-data,v,03.png,1,2,9,8,11,12,30,31",
    ]
    (tmp_path / "CollectedData_me.csv").write_text("\n".join(lines))
    found = rows_of(f"folder:{tmp_path}")
    assert set(found) == {"00.png", "01.png", "02.png", "03.png#a", "03.png#b"}
    np.testing.assert_array_equal(found["03.png#b"][0], [[11, 12], [30, 31]])
    notes = open_dataset(f"folder:{tmp_path}").spec.notes
    assert any("3 of 8 samples left out: fewer than 2 labelled landmarks" in n for n in notes)


def test_several_objects_of_a_coco_image_are_samples_of_their_own(tmp_path: Path) -> None:
    data = coco(photos(tmp_path), points())
    data["annotations"].append({**data["annotations"][5], "id": 7, "image_id": 4})
    write_json(tmp_path / "a.json", data)
    found = rows_of(f"folder:{tmp_path}")
    assert {"04.png#104", "04.png#7"} <= set(found)
    assert len(found) == 11


def test_objects_of_coco_without_labels_are_left_out_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = coco(photos(tmp_path), points())
    data["annotations"][3]["keypoints"] = [0] * 9
    write_json(tmp_path / "a.json", data)
    assert "03.png" not in rows_of(f"folder:{tmp_path}")
    assert "1 of 10 samples left out: fewer than 2 labelled landmarks" in capsys.readouterr().err


# --- splits and frames ---


def test_splits_are_those_that_annotation_files_name(tmp_path: Path) -> None:
    names = photos(tmp_path / "images")
    for word, part in (("train2017", slice(0, 6)), ("val2017", slice(6, 10))):
        data = coco(names, points())
        data["annotations"] = data["annotations"][part]
        write_json(tmp_path / "annotations" / f"person_keypoints_{word}.json", data)
    opened = open_dataset(f"folder:{tmp_path}")
    assert [Path(i).name for i in column(opened.splits["test"], "source_id")] == names[6:]
    assert any("split as the files name it (val is tested on" in n for n in opened.spec.notes)


def test_splits_are_those_that_folders_name_and_the_rest_trains(tmp_path: Path) -> None:
    pts_tree(tmp_path / "afw")
    pts_tree(tmp_path / "helen" / "testset")
    pts_tree(tmp_path / "helen" / "trainset")
    splits = open_dataset(f"folder:{tmp_path}").splits
    assert {s: len(d) for s, d in splits.items()} == {"train": 20, "test": 10}
    assert all(i.startswith("helen/testset") for i in column(splits["test"], "source_id"))


def test_a_split_by_hash_is_the_same_everywhere_keeps_images_whole_and_is_told(tmp_path: Path) -> None:
    sides = []
    for place in ("one", "two"):
        data = coco(photos(tmp_path / place), points())
        data["annotations"] += [{**a, "id": a["id"] + 100} for a in data["annotations"]]
        write_json(tmp_path / place / "a.json", data)
        opened = open_dataset(f"folder:{tmp_path / place}:test=0.3")
        test = {i.partition("#")[0] for i in column(opened.splits["test"], "source_id")}
        train = {i.partition("#")[0] for i in column(opened.splits["train"], "source_id")}
        assert len(test) == 3
        assert not test & train
        assert any("the files name no split: the 3 of 10 images" in n for n in opened.spec.notes)
        sides.append(test)
    assert sides[0] == sides[1]


def test_an_image_on_both_sides_is_refused(tmp_path: Path) -> None:
    names = photos(tmp_path)
    write_json(tmp_path / "train.json", coco(names, points()))
    data = coco(names, points())
    for a in data["annotations"]:
        a["id"] += 1000
    write_json(tmp_path / "test.json", data)
    with pytest.raises(DataError, match=r"10 images are in both splits \(first: .*00\.png\)"):
        open_dataset(f"folder:{tmp_path}")


@given(
    st.lists(st.tuples(st.floats(-50, 400), st.floats(-50, 400)), min_size=2, max_size=9, unique=True),
    st.floats(0, 1),
)
def test_the_seen_square_holds_every_labelled_landmark(labels: list[tuple[float, float]], margin: float) -> None:
    """What is left of the frame after the centre crop, against a plain count of where the landmarks land."""
    face = np.array(labels)
    if np.ptp(face, axis=0).max() < 8:
        return
    sample = Sample("a", Path("b"), face, np.ones(len(face), bool), id="a")
    box = frame_boxes([sample], "landmarks", margin, "w")[0][0]
    assert box[2] == box[3]
    seen = (face - box[:2]) * 136 / box[2] - 20
    slack = 1.5 * 136 / box[2]  # the frame is in whole pixels
    assert (seen >= -slack).all() and (seen <= 96 + slack).all()
    assert np.ptp(seen, axis=0).max() == pytest.approx(96 / (1 + 2 * margin), abs=2 * slack)


def test_the_whole_image_can_be_taken(tmp_path: Path) -> None:
    csv_tree(tmp_path)
    box = rows_of(f"folder:{tmp_path}:crop=image")["00.png"][2]
    np.testing.assert_allclose(box, [30 - 42.5, 25 - 42.5, 85, 85], atol=0.5)


# --- the real files ---


def test_the_dogs_of_coco_are_those_of_their_own_json(test_data: Path) -> None:
    folder = test_data / "StanfordExtra_sample"
    own = {d["img_path"]: np.array(d["joints"]) for d in json.loads((folder / "StanfordExtra_sample.json").read_text())}
    opened = open_dataset(f"folder:{folder}")
    assert len(opened.spec.landmark_names) == 20
    checked = 0
    for dataset in opened.splits.values():
        for i, p, v in zip(*(column(dataset, c) for c in ("source_id", "landmarks", "visible")), strict=True):
            joints = own[i.removeprefix("sample_imgs/")]
            np.testing.assert_array_equal(v, joints[:20, 2] > 0)
            np.testing.assert_allclose(p[v], joints[:20][v][:, :2], atol=1e-4)
            checked += 1
    assert checked == len(own) == 25


def test_the_mice_of_deeplabcut_are_those_that_pandas_reads(test_data: Path) -> None:
    file = next((test_data / "DLC_openfield").rglob("CollectedData_*.csv"))
    frame = pd.read_csv(file, header=[0, 1, 2], index_col=0)
    found = rows_of(f"folder:{test_data / 'DLC_openfield'}")
    assert len(found) == len(frame) == 15
    for path, row in frame.iterrows():
        np.testing.assert_allclose(found[Path(str(path)).name][0], row.to_numpy().reshape(-1, 2), atol=1e-4)


def test_the_real_pts_files_count_from_one_and_name_their_splits(test_data: Path) -> None:
    folder = test_data / "300w"
    opened = open_dataset(f"folder:{folder}:eyes=36,45")
    assert {s: len(d) for s, d in opened.splits.items()} == {"train": 22, "test": 8}
    for dataset in opened.splits.values():
        for i, p in zip(column(dataset, "source_id"), column(dataset, "landmarks"), strict=True):
            expected = np.loadtxt((folder / i).with_suffix(".pts"), skiprows=3, max_rows=68) - 1
            np.testing.assert_allclose(p, expected, atol=1e-4)


def test_a_real_folder_can_be_shown(test_data: Path, tmp_path: Path) -> None:
    out = tmp_path / "grid.png"
    assert run_cli(["data", "show", f"folder:{test_data / 'StanfordExtra_sample'}", "-o", str(out)]) == 0
    width, height = Image.open(out).size
    assert width == 5 * 192 and height > 192  # the names of the landmarks stand below
