"""What is wrong with a user's folder is told by file and line, and nothing is trained on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from folder_trees import (
    NAMES,
    TREES,
    coco,
    csv_text,
    csv_tree,
    photos,
    points,
    pts_tree,
    rows_of,
    write_json,
)
from small_trees import write_image

from lmbench.cli.main import run_cli
from lmbench.data.opening import open_dataset
from lmbench.data.schema import column
from lmbench.datasets.folders.options import parse_options
from lmbench.errors import DataError, UsageError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LMBENCH_CACHE", str(tmp_path / "cache"))


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
    "NaN that is labelled": (
        lambda d: change(d, keypoints=[float("nan")] * 2 + [2] + [9] * 2 + [2, None, None, 0]), "105: a number is NaN"
    ),
    "a score": (lambda d: change(d, keypoints=[20, 15, 0.93] * 3), r"105: the third number of left_eye is 0\.93; v is 0"),
    "a box of words": (lambda d: change(d, bbox=["a", 1, 2, 3]), "and 4 in bbox"),
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
        r"10 samples are annotated, the images of 10 are missing \(first: x00\.png\).* \(00\.png has a similar name\)",
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
        ("csv", "labels.csv", lambda t: t.partition("\n")[2], "its columns have no names: 6 after the image. columns=pairs"),
        ("csv", "labels.csv", lambda t: t.replace("image", "photo", 1), "no table of landmarks: a header with image, NAME_x"),
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


def test_text_that_is_not_utf8_is_named_by_line_and_read_in_the_encoding_that_is_told(tmp_path: Path) -> None:
    csv_tree(tmp_path)
    text = csv_text().replace("nose", "nez_é")
    (tmp_path / "labels.csv").write_bytes(text.encode("cp1252"))
    with pytest.raises(
        DataError, match=r"labels\.csv:1: byte 0xe9 cannot be read as UTF-8\. Save it as UTF-8, or name"
    ):
        open_dataset(f"folder:{tmp_path}")
    assert open_dataset(f"folder:{tmp_path}:encoding=cp1252").spec.landmark_names == ("left_eye", "right_eye", "nez_é")


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
        a["keypoints"] = [15, 25, 2, 39, 25, 2, 0, 0, 0]
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
