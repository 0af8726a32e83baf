"""Names, columns, encodings and foreign formats: what a user's table says, in whatever habit it was written."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from folder_trees import NAMES, coco, csv_text, csv_tree, imglab_tree, photos, points, pts_tree, rows_of, write_json

from lmbench.data.opening import open_dataset
from lmbench.datasets.folders.samples import folded_name
from lmbench.errors import DataError, UsageError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LMBENCH_CACHE", str(tmp_path / "cache"))


def tree(tmp_path: Path) -> Path:
    place = tmp_path / "data"
    place.mkdir(exist_ok=True)
    return place


def test_names_keep_their_letters_in_every_script(tmp_path: Path) -> None:
    place = tree(tmp_path)
    photos(place)
    text = csv_text().replace("left_eye", "左眼").replace("right_eye", "右眼").replace("nose", "नाक")
    (place / "labels.csv").write_text(text, encoding="utf-8")
    spec = open_dataset(f"folder:{place}:eyes=左眼,右眼").spec
    assert spec.landmark_names == ("左眼", "右眼", "नाक")
    assert spec.eyes == (0, 1)
    with pytest.raises(UsageError, match="no landmark '鼻'; there are 左眼, 右眼, नाक"):
        open_dataset(f"folder:{place}:eyes=鼻,右眼")
    assert folded_name("Linkes ÖHR: Spitze") == folded_name(unicodedata.normalize("NFD", "linkes öhr spitze"))


@pytest.mark.parametrize(
    "header",
    [
        "IMAGE,{}_X,{}_Y", "image,x_{},y_{}", "file_name,{}.x,{}.y", "Filename,{} x,{} y", "image,X_{},Y_{}",
        " image , {}_x , {}_y ",
    ],
)  # fmt: skip
def test_headers_of_other_habits_are_understood(tmp_path: Path, header: str) -> None:
    place = tree(tmp_path)
    photos(place)
    first, x, y = header.split(",")
    columns = [first, *(c.format(n) for n in NAMES for c in (x, y))]
    (place / "labels.csv").write_text(",".join(columns) + "\n" + csv_text().partition("\n")[2])
    assert open_dataset(f"folder:{place}").spec.landmark_names == NAMES
    np.testing.assert_allclose(rows_of(f"folder:{place}")["03.png"][0], points()[3])


@pytest.mark.parametrize("corner", ["", "Unnamed: 0", '""'])
def test_a_column_of_row_names_and_empty_columns_at_the_end_say_nothing(tmp_path: Path, corner: str) -> None:
    place = tree(tmp_path)
    photos(place)
    lines = csv_text().splitlines()
    rows = [f"{corner},{lines[0]},,", *(f"{i},{line},," for i, line in enumerate(lines[1:])), ",,,,,,,,,"]
    (place / "labels.csv").write_text("\r\n".join(rows))
    assert open_dataset(f"folder:{place}").spec.landmark_names == NAMES
    assert len(rows_of(f"folder:{place}")) == 10


@pytest.mark.parametrize(("seen", "hidden"), [("1.0", "0.0"), ("TRUE", "FALSE"), ("2", "0"), ("NA", "False")])
def test_visibility_is_written_in_many_ways(tmp_path: Path, seen: str, hidden: str) -> None:
    place = tree(tmp_path)
    photos(place)
    (place / "labels.csv").write_text(csv_text(nose_visibility=[seen] * 5 + [hidden] * 5))
    found = rows_of(f"folder:{place}")
    assert [bool(found[f"0{i}.png"][1][2]) for i in (0, 4, 5, 9)] == [True, True, False, False]


@pytest.mark.parametrize(
    ("columns", "box"),
    [
        (("bbox_x", "bbox_y", "bbox_w", "bbox_h"), (5, 6, 50, 30)),
        (("Box.X", "Box.Y", "Box.Width", "Box.Height"), (5, 6, 50, 30)),
        (("xmin", "ymin", "xmax", "ymax"), (5, 6, 55, 36)),
        (("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2"), (5, 6, 55, 36)),
    ],
)
def test_columns_of_a_box_are_a_box_and_no_landmark(
    tmp_path: Path, columns: tuple[str, ...], box: tuple[int, ...]
) -> None:
    place = tree(tmp_path)
    photos(place)
    (place / "labels.csv").write_text(csv_text(**{c: [str(v)] * 10 for c, v in zip(columns, box, strict=True)}))
    opened = open_dataset(f"folder:{place}")
    assert opened.spec.landmark_names == NAMES
    side = round(50 * 1.2 * 136 / 96)
    np.testing.assert_allclose(
        rows_of(f"folder:{place}")["00.png"][2], [30 - side / 2, 21 - side / 2, side, side], atol=0.5
    )


def test_a_landmark_that_is_called_like_a_box_must_be_meant(tmp_path: Path) -> None:
    place = tree(tmp_path)
    photos(place)
    (place / "labels.csv").write_text(csv_text(bbox_x=["5"] * 10, bbox_y=["6"] * 10))
    with pytest.raises(DataError, match=r"bbox: called like a box, not like a landmark.*accept=box_names"):
        open_dataset(f"folder:{place}")
    assert open_dataset(f"folder:{place}:accept=box_names").spec.landmark_names == (*NAMES, "bbox")


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (("x1", "y1", "x2", "y2"), "1, 2: called like a box"),
        (("x_center", "y_center", "width", "height"), "center: called like a box"),
        (("Center_x", "Center_y", "w", "h"), "Center: called like a box"),
    ],
)
def test_corners_and_centre_of_a_box_are_no_landmarks(tmp_path: Path, columns: tuple[str, ...], said: str) -> None:
    """As tables of detectors have them."""
    place = tree(tmp_path)
    photos(place)
    (place / "labels.csv").write_text(csv_text(**{c: [str(20 + k)] * 10 for k, c in enumerate(columns)}))
    with pytest.raises(DataError, match=f"{said}.*accept=box_names"):
        open_dataset(f"folder:{place}")


def test_three_numbered_points_are_landmarks(tmp_path: Path) -> None:
    place = tree(tmp_path)
    photos(place)
    text = csv_text()
    for k, name in enumerate(NAMES, 1):
        text = text.replace(f"{name}_x", f"x{k}").replace(f"{name}_y", f"y{k}")
    (place / "labels.csv").write_text(text)
    assert open_dataset(f"folder:{place}").spec.landmark_names == ("1", "2", "3")


def test_columns_without_names_are_read_as_pairs_where_that_is_said(tmp_path: Path) -> None:
    place = tree(tmp_path)
    photos(place)
    (place / "labels.csv").write_text(",0,1,2,3,4,5\n" + csv_text().partition("\n")[2])
    with pytest.raises(DataError, match="its columns have no names: 6 after the image"):
        open_dataset(f"folder:{place}")
    assert open_dataset(f"folder:{place}:columns=pairs").spec.landmark_names == ("0", "1", "2")
    np.testing.assert_allclose(rows_of(f"folder:{place}:columns=pairs")["03.png"][0], points()[3])
    (place / "labels.csv").write_text(csv_text().partition("\n")[2])  # and without a header
    assert len(rows_of(f"folder:{place}:columns=pairs")) == 10


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("format_name", ["coco", "csv", "pts"])
def test_unicode_is_read_in_every_form(tmp_path: Path, format_name: str, encoding: str) -> None:
    place = tree(tmp_path)
    if format_name == "coco":
        write_json(place / "a.json", coco(photos(place), points()))
    else:
        {"csv": csv_tree, "pts": pts_tree}[format_name](place)
    for file in [f for f in place.iterdir() if f.suffix != ".png"]:
        file.write_bytes(file.read_text().encode(encoding))
    assert len(rows_of(f"folder:{place}")) == 10


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("00.png;20,0;15,5;40,0;16,0;30,25;33,0", r"'20,0' is no number \(it has a decimal comma; write"),
        ("1;00.png;20;15;40;16;30;33", r"8 cells; the header has 7.*R's write\.table"),
        ("00.png;2_0;15;40;16;30;33", r"'2_0' is no number"),
        ("00.png;inf;15;40;16;30;33", "a coordinate is infinite"),
    ],
)
def test_what_other_programs_write_into_tables_is_named(tmp_path: Path, row: str, said: str) -> None:
    place = tree(tmp_path)
    photos(place)
    (place / "labels.csv").write_text(f"sep=;\n{csv_text(';').partition(chr(10))[0]}\n{row}\n")
    with pytest.raises(DataError, match=r"labels\.csv:3: .*" + said):
        open_dataset(f"folder:{place}")


FOREIGN = {
    "a file of labelme": ("a.json", '{"shapes": [], "imagePath": "00.png"}'),
    "a file of Label Studio, whose points are percents": ("a.json", '[{"data": {}, "annotations": [{"result": []}]}]'),
    "results in COCO's form": ("a.json", '[{"image_id": 1, "keypoints": [1, 2, 0.5]}]'),
    "an output of OpenPose": ("a.json", '{"people": []}'),
    "a project of VIA": ("a.json", '{"_via_settings": {}, "_via_img_metadata": {}}'),
    "a COCO file without keypoints": ("a.json", '{"images": [], "annotations": [], "categories": []}'),
    "a file of CVAT": ("a.xml", '<annotations><image name="00.png"/></annotations>'),
    "a file of Pascal VOC": ("a.xml", "<annotation><object/></annotation>"),
    "a table of VIA": ("a.csv", "#filename,region_count,region_shape_attributes\na,1,b\n"),
    "its columns x and y name no landmark": ("a.csv", "image,part,x,y\n00.png,nose,1,2\n"),
    "HDF5 is not read; DeepLabCut writes": ("CollectedData_me.h5", "HDF"),
}


@pytest.mark.parametrize("said", FOREIGN)
def test_annotations_of_other_programs_are_named(tmp_path: Path, said: str) -> None:
    place = tree(tmp_path)
    photos(place)
    name, text = FOREIGN[said]
    (place / name).write_text(text)
    with pytest.raises(DataError, match=said):
        open_dataset(f"folder:{place}")


@pytest.mark.parametrize("space", ["xmlns='urn:x'", "xmlns:d='urn:x'"])
def test_namespaces_and_a_doctype_of_imglab_are_passed_over(tmp_path: Path, space: str) -> None:
    place = tree(tmp_path)
    imglab_tree(place)
    text = (
        (place / "faces.xml").read_text().replace("<dataset>", f"<!DOCTYPE dataset SYSTEM 'x.dtd'>\n<dataset {space}>")
    )
    if "xmlns:d" in space:
        text = text.replace("<image ", "<d:image ").replace("</image>", "</d:image>")
    (place / "faces.xml").write_text(text)
    assert len(rows_of(f"folder:{place}")) == 10


def test_entities_of_xml_are_not_expanded(tmp_path: Path) -> None:
    place = tree(tmp_path)
    imglab_tree(place)
    laughs = "".join(f"<!ENTITY a{i} '{f'&a{i - 1};' * 10 if i else 'ha'}'>" for i in range(10))
    for entity, use in ((laughs, "&a9;"), ("<!ENTITY x SYSTEM 'file:///etc/passwd'>", "&x;")):
        text = (place / "faces.xml").read_text()
        text = text.replace("<dataset>", f"<!DOCTYPE d [{entity}]><dataset><name>{use}</name>")
        (place / "bad").mkdir(exist_ok=True)
        (place / "bad" / "faces.xml").write_text(text)
        with pytest.raises(DataError, match=r"faces\.xml:2: damaged XML"):
            open_dataset(f"folder:{place}:file=bad/faces.xml")
