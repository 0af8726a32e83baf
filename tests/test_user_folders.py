"""`folder:DIR`: a user's own labelled images in five formats, on small trees and on the real files where they are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from small_trees import write_image

from lmbench.cli.main import run_cli
from lmbench.data.opening import open_dataset
from lmbench.data.schema import column
from lmbench.data.verification import verify_dataset
from lmbench.datasets.folders.framing import frame_boxes
from lmbench.datasets.folders.options import parse_options
from lmbench.datasets.folders.samples import Sample
from lmbench.errors import DataError, UsageError
from lmbench.plugins import get_plugins
from lmbench.resolve import resolve_run

NAMES = ("left_eye", "right_eye", "nose")
Tree = Callable[[Path], np.ndarray]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LMBENCH_CACHE", str(tmp_path / "cache"))


def points(count: int = 10) -> np.ndarray:
    """(count, 3, 2) landmarks inside 60x50 images, all different."""
    face = np.array([[20.0, 15.5], [40.0, 16.0], [30.25, 33.0]])
    return face + np.arange(count)[:, None, None] * 0.5


def photos(folder: Path, count: int = 10) -> list[str]:
    return [write_image(folder / f"{i:02}.png", (60, 50), seed=i).name for i in range(count)]


def coco(names: list[str], labels: np.ndarray, **changes: Any) -> dict[str, Any]:
    """A COCO file with one object an image; the nose of the second image has v = 0, that of the third v = 1."""
    seen = np.full(labels.shape[:2], 2)
    seen[1, 2], seen[2, 2] = 0, 1
    keypoints = np.concatenate([labels, seen[..., None]], axis=2)
    return {
        "images": [{"id": i, "file_name": n, "width": 60, "height": 50} for i, n in enumerate(names)],
        "annotations": [
            {"id": 100 + i, "image_id": i, "category_id": 1, "bbox": [10, 8, 40, 30], "keypoints": k.ravel().tolist()}
            for i, k in enumerate(keypoints)
        ],
        "categories": [{"id": 1, "name": "Face", "keypoints": list(NAMES)}],
        **changes,
    }


def write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def coco_tree(root: Path) -> np.ndarray:
    """As COCO is unpacked: images and annotations in folders of their own."""
    write_json(root / "annotations" / "keypoints.json", coco(photos(root / "pictures"), points()))
    return points()


def dlc_tree(root: Path) -> np.ndarray:
    """Three header rows, and an empty cell for the second nose."""
    photos(root / "labeled-data" / "video")
    lines = ["scorer" + ",me" * 6, "bodyparts," + ",".join(n for n in NAMES for _ in "xy"), "coords" + ",x,y" * 3]
    for i, face in enumerate(points()):
        cells = [f"{v}" for v in face.ravel()]
        if i == 1:
            cells[4:] = ["", ""]
        lines.append(",".join([f"labeled-data\\video\\{i:02}.png", *cells]))
    (root / "labeled-data" / "video" / "CollectedData_me.csv").write_text("\n".join(lines) + "\n")
    return points()


def imglab_tree(root: Path) -> np.ndarray:
    """The second box lacks its nose."""
    images = []
    for i, (name, face) in enumerate(zip(photos(root), points(), strict=True)):
        parts = [f"<part name='{n}' x='{x}' y='{y}'/>" for n, (x, y) in zip(NAMES, face, strict=True)]
        kept = "".join(parts[: 2 if i == 1 else 3])
        images.append(f"<image file='{name}'><box top='8' left='10' width='40' height='30'>{kept}</box></image>")
    text = f"<?xml version='1.0'?>\n<dataset>\n<images>\n{chr(10).join(images)}\n</images>\n</dataset>"
    (root / "faces.xml").write_text(text)
    return points()


def pts_tree(root: Path) -> np.ndarray:
    """Pixels counted from one."""
    for name, face in zip(photos(root), points(), strict=True):
        rows = "\n".join(f"{x} {y}" for x, y in face + 1)
        (root / name).with_suffix(".pts").write_text(f"version: 1\nn_points:  3\n{{\n{rows}\n}}\n")
    return points()


def csv_text(delimiter: str = ",", **columns: list[str]) -> str:
    header = ["image", *(n + end for n in NAMES for end in ("_x", "_y")), *columns]
    rows = [header]
    for i, face in enumerate(points()):
        cells = [f"{v}" for v in face.ravel()]
        if i == 1:
            cells[4:] = ["", ""]
        rows.append([f"{i:02}.png", *cells, *(c[i] for c in columns.values())])
    return "\n".join(delimiter.join(r) for r in rows) + "\n"


def csv_tree(root: Path) -> np.ndarray:
    photos(root)
    (root / "labels.csv").write_text(csv_text())
    return points()


TREES: dict[str, Tree] = {
    "coco": coco_tree, "deeplabcut": dlc_tree, "imglab": imglab_tree, "pts": pts_tree, "csv": csv_tree,
}  # fmt: skip


def rows_of(name: str) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """``{file name: (landmarks, visible, box)}`` over all splits."""
    found = {}
    for dataset in open_dataset(name).splits.values():
        values = zip(*(column(dataset, c) for c in ("source_id", "landmarks", "visible", "box")), strict=True)
        found |= {Path(i).name: (p, v, b) for i, p, v, b in values}
    return found


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
    data["annotations"].append({**data["annotations"][4], "id": 7})
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


# --- what is wrong with a folder ---


def change(data: dict[str, Any], **values: Any) -> dict[str, Any]:
    data["annotations"][5].update(values)
    return data


BAD_COCO: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "an unknown category": (
        lambda d: change(d, category_id=9), r"annotation 105 is of the category 9, .*categories: 1 \(Face\)"
    ),
    "an unknown image": (lambda d: change(d, image_id=77), "annotation 105 is of the image 77, which is not listed"),
    "too few numbers": (lambda d: change(d, keypoints=[1, 2]), "annotation 105: 9 numbers are expected in keypoints"),
    "a word for a number": (lambda d: change(d, keypoints=["a"] * 9), "annotation 105: 9 numbers are expected"),
    "NaN": (lambda d: change(d, keypoints=[float("nan")] * 9), "annotation 105: a number is NaN or infinite"),
    "a repeated annotation": (lambda d: change(d, id=104), "the annotation id 104 stands twice"),
    "a repeated image": (
        lambda d: {**d, "images": [*d["images"], d["images"][0]]}, "the image id 0 stands twice; ids must be unique"
    ),
    "no id": (lambda d: change(d, id=None), "annotation number 5 has no id"),
    "no list": (lambda d: {**d, "categories": {}}, "no list categories"),
    "nothing labelled": (
        lambda d: {**d, "annotations": [{**a, "keypoints": [0] * 9} for a in d["annotations"]]},
        "all 3 points of all 10 samples are invisible or empty",
    ),
    "no annotation": (lambda d: {**d, "annotations": []}, "no annotation is of a category that lists its keypoints"),
    "a missing image": (
        lambda d: {**d, "images": [{**i, "file_name": f"x{i['file_name']}"} for i in d["images"]]},
        r"10 samples are annotated, the images of 10 are missing \(first: x00\.png\)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", BAD_COCO)
def test_a_bad_coco_file_is_told(tmp_path: Path, fault: str, capsys: pytest.CaptureFixture[str]) -> None:
    spoil, said = BAD_COCO[fault]
    write_json(tmp_path / "a.json", spoil(coco(photos(tmp_path), points())))
    with pytest.raises(DataError, match=said):
        open_dataset(f"folder:{tmp_path}")
    assert run_cli(["describe", "dataset", f"folder:{tmp_path}"]) == 5
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")


def test_a_category_must_be_named_where_there_are_two(tmp_path: Path) -> None:
    data = coco(photos(tmp_path), points())
    data["categories"].append({"id": 2, "name": "Cat face", "keypoints": list(NAMES)})
    write_json(tmp_path / "a.json", change(data, category_id=2))
    with pytest.raises(UsageError, match=r"2 categories \(face, cat_face\): name one by category=NAME"):
        open_dataset(f"folder:{tmp_path}")
    assert len(rows_of(f"folder:{tmp_path}:category=face")) == 9
    with pytest.raises(UsageError, match="no keypoints of a category 'dog'; there are face, cat_face"):
        open_dataset(f"folder:{tmp_path}:category=dog")


@pytest.mark.parametrize(
    ("format_name", "file", "spoil", "said"),
    [
        ("coco", "annotations/keypoints.json", lambda t: t.replace('"id": 3', '\n"id" 3', 1), r"keypoints\.json:2: dam"),
        ("coco", "annotations/keypoints.json", lambda t: t[:-40], r"keypoints\.json:1: damaged JSON"),
        ("coco", "annotations/keypoints.json", lambda t: "{\n]", r"no annotations found.*keypoints\.json: damaged: .*line 2"),
        ("imglab", "faces.xml", lambda t: t.replace("</box>", "", 1), r"faces\.xml:\d+: damaged XML: mismatched tag"),
        ("imglab", "faces.xml", lambda t: t.replace("x='20.0'", "x='a'"), r"faces\.xml: 00\.png: 'a' is no number"),
        ("imglab", "faces.xml", lambda t: t.replace("name='nose'", "name='left_eye'"), "'left_eye' stands twice in one box"),
        ("imglab", "faces.xml", lambda t: t.replace("part", "point"), "boxes without landmarks"),
        ("pts", "04.pts", lambda t: t.replace("3\n", "4\n", 1), r"04\.pts: n_points says 4, the file has 3 points"),
        ("pts", "04.pts", lambda t: t.replace("}", ""), r"04\.pts:7: points are expected between braces"),
        ("pts", "04.pts", lambda t: t.replace("{\n", "{\n1 2 3\n"), r"04\.pts:4: x and y are expected, found '1 2 3'"),
        ("pts", "04.pts", lambda t: t.replace("{\n", "{\n1 z\n"), r"04\.pts:4: 'z' is no number"),
        ("pts", "04.pts", lambda t: t.replace("n_points:  3\n{", "{\n1 2"), r"00\.pts has 3 landmarks .* 04\.pts has 4"),
        ("csv", "labels.csv", lambda t: t.replace("20.0,", "", 1), r"labels\.csv:2: 6 cells; the header has 7"),
        ("csv", "labels.csv", lambda t: t.replace("20.0", "2O.0", 1), r"labels\.csv:2: '2O\.0' is no number"),
        ("csv", "labels.csv", lambda t: t.replace("01.png", "00.png"), r"00\.png is annotated twice \(in labels\.csv\)"),
        ("csv", "labels.csv", lambda t: t.replace("nose_y", "node_y"), r"labels\.csv:1: columns must be unique, and"),
        ("csv", "labels.csv", lambda t: t.partition("\n")[2], "no table of landmarks: a header with image, NAME_x"),
        ("csv", "labels.csv", lambda t: t.partition("\n")[0], "the annotations name no image"),
        ("csv", "labels.csv", lambda t: t.replace('1', '"1', 1), r"labels\.csv"),
        ("deeplabcut", "labeled-data/video/CollectedData_me.csv", lambda t: t.replace("coords", "c"), "must begin with scorer"),
        ("deeplabcut", "labeled-data/video/CollectedData_me.csv", lambda t: t.replace("x,y,x", "y,x,x"), "must read x, y"),
        ("deeplabcut", "labeled-data/video/CollectedData_me.csv", lambda t: t.replace("02.png", "01.png"), "annotated twice"),
    ],
)  # fmt: skip
def test_a_damaged_annotation_is_named_with_its_line(
    tmp_path: Path, format_name: str, file: str, spoil: Callable[[str], str], said: str
) -> None:
    TREES[format_name](tmp_path)
    text = (tmp_path / file).read_text()
    assert spoil(text) != text
    (tmp_path / file).write_text(spoil(text))
    with pytest.raises(DataError, match=said):
        open_dataset(f"folder:{tmp_path}")


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    csv_tree(tmp_path)
    (tmp_path / "labels.csv").write_bytes(csv_text().encode("utf-16"))
    with pytest.raises(DataError, match=r"labels\.csv: cannot be read as UTF-8"):
        open_dataset(f"folder:{tmp_path}:format=csv")


def test_predictions_of_deeplabcut_are_no_annotations(tmp_path: Path) -> None:
    photos(tmp_path)
    text = "scorer,n,n,n\nbodyparts,nose,nose,nose\ncoords,x,y,likelihood\n00.png,1,2,0.5\n"
    (tmp_path / "videoDLC.csv").write_text(text)
    with pytest.raises(DataError, match="predictions of DeepLabCut, not annotations"):
        open_dataset(f"folder:{tmp_path}")


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ((), "is empty. Put images and their annotations there"),
        (("a.png",), r"Looked for COCO keypoints .*Found 1 images and no other file\. To pretrain on .*: images:"),
        (
            ("a.png", "notes.csv"),
            r"Found 1 images and notes\.csv \(notes\.csv: not of DeepLabCut.*; notes\.csv: no table",
        ),
        (("a.pts",), "one image of this name is expected beside it; there is none"),
        (("a.pts", "a.png", "a.jpg"), r"expected beside it; there are a\.jpg, a\.png"),
    ],
)
def test_a_folder_without_use_is_told_with_what_was_found(tmp_path: Path, made: tuple[str, ...], said: str) -> None:
    for name in made:
        if name.endswith((".png", ".jpg")):
            write_image(tmp_path / name)
        else:
            (tmp_path / name).write_text("{\n1 2\n3 4\n}" if name.endswith(".pts") else "one,two\n1,2\n")
    with pytest.raises(DataError, match=said):
        open_dataset(f"folder:{tmp_path}")


def test_two_formats_in_one_folder_must_be_told_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    csv_tree(tmp_path)
    pts_tree(tmp_path)
    assert run_cli(["describe", "dataset", f"folder:{tmp_path}"]) == 2
    said = capsys.readouterr().err
    assert "annotations of 2 formats (pts: 00.pts" in said
    assert f"folder:{tmp_path}:format=pts" in said
    assert open_dataset(f"folder:{tmp_path}:format=csv").spec.landmark_names == NAMES
    assert open_dataset(f"folder:{tmp_path}:file=labels.csv").spec.landmark_names == NAMES
    with pytest.raises(DataError, match=r"no imglab XML of dlib \(\*\.xml\) below .*; found 10 images and"):
        open_dataset(f"folder:{tmp_path}:format=imglab")


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("formt=csv", "'formt' is no option; there are format, .* Did you mean 'format'"),
        ("format=voc", "format=voc: expected one of coco, deeplabcut, imglab, pts, csv"),
        ("test=2", "test=2: expected a number between 0 and 1"),
        ("test=1", "test=1: expected a number between 0 and 1"),
        ("test=few", "expected a number"),
        ("margin=-1", "expected a number from 0 to 10"),
        ("crop=face", "expected one of box, landmarks, image"),
        ("eyes=nose", "expected two landmarks"),
        ("eyes=nose,mouth", "no landmark 'mouth'; there are left_eye, right_eye, nose"),
        ("file=other.csv", "file=other.csv: no such file below"),
        ("test=0.2:test=0.3", "test is given twice"),
    ],
)
def test_a_bad_option_is_told(tmp_path: Path, option: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    csv_tree(tmp_path)
    with pytest.raises(UsageError, match=said):
        open_dataset(f"folder:{tmp_path}:{option}")
    assert run_cli(["describe", "dataset", f"folder:{tmp_path}:{option}"]) == 2


def test_a_folder_may_have_colons_and_equal_signs_in_its_name(tmp_path: Path) -> None:
    place = tmp_path / "lr=0.1:seed=3"
    csv_tree(place)
    assert parse_options(f"{place}:crop=image").folder == place
    assert len(rows_of(f"folder:{place}:crop=image")) == 10
    assert len(rows_of(f"folder:{place}")) == 10


@pytest.mark.parametrize(("name", "said"), [("nowhere", "there is no such folder"), ("a.png", "is a file")])
def test_what_is_no_folder_is_told(tmp_path: Path, name: str, said: str) -> None:
    write_image(tmp_path / "a.png")
    with pytest.raises(DataError, match=said):
        open_dataset(f"folder:{tmp_path / name}:crop=image")


def test_eyes_that_a_test_image_lacks_are_refused_before_anything_is_trained(tmp_path: Path) -> None:
    photos(tmp_path)
    (tmp_path / "labels.csv").write_text(csv_text(split=["test"] * 3 + ["train"] * 7))
    with pytest.raises(
        DataError, match=r"left_eye and nose are not both labelled, .* in 1 of 3 test images \(first: 01"
    ):
        open_dataset(f"folder:{tmp_path}:eyes=left_eye,nose")


def test_test_images_whose_landmarks_span_no_area_are_refused(tmp_path: Path) -> None:
    data = coco(photos(tmp_path), points())
    for a in data["annotations"]:
        a["keypoints"] = [5, 5, 2, 9, 5, 2, 0, 0, 0]
    write_json(tmp_path / "a.json", data)
    with pytest.raises(DataError, match="lie on one line, so their bounding box has no area"):
        open_dataset(f"folder:{tmp_path}")
    assert open_dataset(f"folder:{tmp_path}:eyes=0,1").spec.metrics == ("iod",)


def test_a_box_that_is_asked_for_must_be_there(tmp_path: Path) -> None:
    csv_tree(tmp_path)
    with pytest.raises(DataError, match=r"crop=box: \d+ samples have none \(first: 00\.png\)\. Leave crop=box out"):
        open_dataset(f"folder:{tmp_path}:crop=box")


def test_too_few_images_are_refused(tmp_path: Path) -> None:
    photos(tmp_path, 2)
    (tmp_path / "labels.csv").write_text("\n".join(csv_text().split("\n")[:3]))
    with pytest.raises(DataError, match="2 labelled images; at least 3 are needed"):
        open_dataset(f"folder:{tmp_path}")


def test_an_image_name_that_two_folders_have_must_be_given_with_its_folder(tmp_path: Path) -> None:
    for place in ("one", "two"):
        photos(tmp_path / place)
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "labels.csv").write_text(csv_text())
    with pytest.raises(DataError, match=r"00\.png of labels\.csv may be one/00\.png or two/00\.png"):
        open_dataset(f"folder:{tmp_path}")
    (tmp_path / "labels" / "labels.csv").write_text(csv_text().replace("\n0", "\n/home/me/two/0"))
    assert {i[:4] for i in column(open_dataset(f"folder:{tmp_path}").splits["train"], "source_id")} == {"two/"}


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
    assert Image.open(out).size == (5 * 192, 192)
