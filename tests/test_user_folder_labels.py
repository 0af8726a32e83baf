"""What a user's annotations mean: which image, which point is none, which id."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from folder_trees import coco, csv_text, csv_tree, photos, points, pts_tree, rows_of, write_json

from lmbench.data.opening import open_dataset
from lmbench.errors import DataError, UsageError
from lmbench.report.marks import COLOURS
from lmbench.report.pictures import contact_sheet


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LMBENCH_CACHE", str(tmp_path / "cache"))


def tree(tmp_path: Path) -> Path:
    place = tmp_path / "data"
    place.mkdir(exist_ok=True)
    return place


def write_table(place: Path, image: Callable[[int], str], count: int = 10, name: str = "labels.csv") -> None:
    lines = csv_text().splitlines()
    rows = [f'"{image(i)}",{line.partition(",")[2]}' for i, line in enumerate(lines[1 : count + 1])]
    (place / name).write_text("\n".join([lines[0], *rows]) + "\n", encoding="utf-8")


def notes_of(name: str) -> str:
    return "; ".join(open_dataset(name).spec.notes)


# --- which image ---


def test_labels_of_a_video_that_is_missing_never_land_on_another_video(tmp_path: Path) -> None:
    place = tree(tmp_path)
    photos(place / "labeled-data" / "videoA")
    write_table(place, lambda i: f"labeled-data/video{'AB'[i > 4]}/{i:02}.png")
    with pytest.raises(DataError) as refused:
        open_dataset(f"folder:{place}")
    said = str(refused.value)
    assert "the images of 5 are missing (first: labeled-data/videoB/05.png; 5 of labeled-data/videoB)" in said
    assert "labeled-data/videoA/05.png has the name but not the folder; match=name takes images by their names" in said
    assert len(rows_of(f"folder:{place}:match=name")) == 10


def test_a_folder_that_the_path_names_and_lacks_the_image_is_not_left_for_the_root(tmp_path: Path) -> None:
    place = tree(tmp_path)
    photos(place)
    photos(place / "videoA", 5)
    write_table(place, lambda i: f"videoA/{i:02}.png")
    with pytest.raises(DataError, match=r"images of 5 are missing \(first: videoA/05\.png"):
        open_dataset(f"folder:{place}")


def test_an_annotation_among_images_is_of_these(tmp_path: Path) -> None:
    place = tree(tmp_path)
    photos(place / "test")
    photos(place / "train", 7)
    for part in ("train", "test"):
        write_json(place / part / "_annotations.coco.json", coco([f"{i:02}.png" for i in range(10)], points()))
    with pytest.raises(DataError, match=r"images of 3 are missing .*test/07\.png has the name but not the folder"):
        open_dataset(f"folder:{place}")


def test_two_folders_of_the_annotation_do_not_fall_into_one_of_the_disk(tmp_path: Path) -> None:
    place = tree(tmp_path)
    photos(place)
    write_table(place, lambda i: f"v{i % 2}/{i:02}.png")
    with pytest.raises(DataError, match=r"images of the folders v0, v1 are annotated, and there is no such folder"):
        open_dataset(f"folder:{place}")


@pytest.mark.parametrize(
    "path",
    [
        "/home/me/project/labeled-data/videoA/{:02}.png",
        r"C:\Users\me\project\labeled-data\videoA\{:02}.png",
        "videoA/{:02}.png",
        "{:02}.png",
        "./labeled-data/x/../videoA/{:02}.png",
    ],
)
def test_paths_of_another_machine_and_shorter_ones_are_found(tmp_path: Path, path: str) -> None:
    place = tree(tmp_path)
    photos(place / "labeled-data" / "videoA")
    write_table(place, lambda i: path.format(i))
    assert len(rows_of(f"folder:{place}")) == 10


def test_a_video_is_found_from_within_its_own_folder(tmp_path: Path) -> None:
    place = tmp_path / "videoA"
    photos(place)
    write_table(place, lambda i: f"labeled-data/videoA/{i:02}.png")
    assert len(rows_of(f"folder:{place}")) == 10
    write_table(place, lambda i: f"labeled-data/video{'AB'[i > 4]}/{i:02}.png")
    with pytest.raises(DataError, match=r"images of 5 are missing .*5 of labeled-data/videoB"):
        open_dataset(f"folder:{place}")


def test_names_with_line_breaks_blanks_and_other_letters_are_found(tmp_path: Path) -> None:
    place = tree(tmp_path)
    names = ["e\nf.png", " m.png", "k\u2028l.png", "a b.png", "c,d.png", "i;j.png", "g%20h.png", "鼻😀.png"]
    for old, new in zip(photos(place, len(names)), names, strict=True):
        (place / old).rename(place / new)
    write_table(place, lambda i: names[i], len(names))
    assert set(rows_of(f"folder:{place}")) == set(names)


def test_accents_may_be_written_apart_on_disk_and_in_one_in_the_file(tmp_path: Path) -> None:
    place = tree(tmp_path)
    for i, old in enumerate(photos(place)):
        (place / old).rename(place / unicodedata.normalize("NFD", f"é{i}.png"))
    write_table(place, lambda i: unicodedata.normalize("NFC", f"é{i}.png"))
    assert len(rows_of(f"folder:{place}")) == 10


def test_one_file_is_named_by_its_path_below_the_folder(tmp_path: Path) -> None:
    place = tree(tmp_path)
    for part in ("one", "two"):
        csv_tree(place / part)
    assert len(rows_of(f"folder:{place}:file=one/labels.csv")) == 10
    assert len(open_dataset(f"folder:{place}:file=labels.csv").splits["train"]) == 16
    with pytest.raises(UsageError, match=r"file=three/labels\.csv: no such file below .* Did you mean 'labels.csv'"):
        open_dataset(f"folder:{place}:file=three/labels.csv")


# --- what is no landmark ---


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ("-1,-1", r"1 point as \(-1, -1\) taken for unlabelled"),
        ("-999.0,-999.0", r"1 point as \(-999, -999\) taken for unlabelled"),
        ("0,0.0", r"1 point at exactly \(0, 0\) taken for unlabelled"),
        ("20,", "1 point with one coordinate alone: taken for unlabelled"),
        ("NA,NA", ""),
        ("null,NaN", ""),
    ],
)
def test_what_stands_for_a_missing_landmark_is_none(tmp_path: Path, cells: str, said: str) -> None:
    place = tree(tmp_path)
    csv_tree(place)
    (place / "labels.csv").write_text(csv_text().replace("20.0,15.5", cells))
    assert list(rows_of(f"folder:{place}")["00.png"][1]) == [False, True, True]
    assert ("taken for unlabelled" in notes_of(f"folder:{place}")) == bool(said)
    assert re.search(said, notes_of(f"folder:{place}"))
    if "coordinate" not in said and said:
        assert list(rows_of(f"folder:{place}:accept=sentinels,outside")["00.png"][1]) == [True, True, True]


@pytest.mark.parametrize("cells", ["-0.4,12", "-3,-2", "-0.5,-0.5", "-2.5,-2.5"])
def test_landmarks_just_outside_their_image_stay_landmarks(tmp_path: Path, cells: str) -> None:
    place = tree(tmp_path)
    csv_tree(place)
    (place / "labels.csv").write_text(csv_text().replace("20.0,15.5", cells))
    landmarks, visible, _ = rows_of(f"folder:{place}")["00.png"]
    assert visible.all()
    np.testing.assert_allclose(landmarks[0], [float(c) for c in cells.split(",")])


@pytest.mark.parametrize("point", ["-1 -1", "-1.0 -1.0", "-23.5 -18.25", "0 0"])
def test_signs_and_zeros_mark_hidden_points_of_pts_files(tmp_path: Path, point: str) -> None:
    place = tree(tmp_path)
    pts_tree(place)
    file = place / "04.pts"
    file.write_text(file.read_text().replace("23.0 18.5", point))
    assert list(rows_of(f"folder:{place}")["04.png"][1]) == [False, True, True]
    assert "1 point " in notes_of(f"folder:{place}")


def test_placeholders_of_coco_are_none_whatever_their_v_says(tmp_path: Path) -> None:
    place = tree(tmp_path)
    data = coco(photos(place), points())
    data["annotations"][4]["keypoints"][6:] = [0, 0, 2]
    data["annotations"][5]["keypoints"][6:] = [float("nan"), float("nan"), 0]
    data["annotations"][6]["keypoints"][6:] = [None, None, 0]
    write_json(place / "a.json", data)
    found = rows_of(f"folder:{place}")
    assert [list(found[f"0{i}.png"][1]) for i in (3, 4, 5, 6)] == [[True] * 3] + [[True, True, False]] * 3
    assert "1 point at exactly (0, 0) taken for unlabelled" in notes_of(f"folder:{place}")


def test_scores_of_a_pose_estimator_are_taken_for_labels_only_where_that_is_said(tmp_path: Path) -> None:
    place = tree(tmp_path)
    data = coco(photos(place), points())
    for a in data["annotations"]:
        a["keypoints"][2::3] = [0.93, 0.2, 0]
    write_json(place / "a.json", data)
    with pytest.raises(DataError, match=r"third number of left_eye is 0\.93; v is 0 .*accept=scores"):
        open_dataset(f"folder:{place}")
    opened = open_dataset(f"folder:{place}:accept=scores")
    assert opened.spec.landmark_names == ("left_eye", "right_eye")
    assert any("the third numbers of 10 objects are scores" in n for n in opened.spec.notes)


def test_hidden_points_are_not_drawn(tmp_path: Path) -> None:
    place = tree(tmp_path)
    photos(place)
    for seen, drawn in (("1", True), ("0", False)):
        (place / "labels.csv").write_text(csv_text(right_eye_visible=[seen] * 9 + ["1"]))
        sheet = np.asarray(contact_sheet(open_dataset(f"folder:{place}:crop=image").pixels("test"), 2))
        assert (sheet == COLOURS[0]).all(-1).any()
        assert (sheet == COLOURS[1]).all(-1).any() == drawn


# --- ids and objects of COCO ---


@pytest.mark.parametrize("write", [float, str, lambda i: f"{i}.0"])
def test_ids_are_compared_by_their_value(tmp_path: Path, write: Callable[[int], Any]) -> None:
    place = tree(tmp_path)
    data = coco(photos(place), points())
    for image in data["images"]:
        image["id"] = write(image["id"])
    data["categories"][0]["id"] = write(1)
    write_json(place / "a.json", data)
    assert len(rows_of(f"folder:{place}")) == 10
    data["images"][1]["id"] = 0
    write_json(place / "a.json", data)
    with pytest.raises(DataError, match="the image id 0 stands twice"):
        open_dataset(f"folder:{place}")


def test_objects_without_keypoints_and_crowds_are_left_out_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tree(tmp_path)
    data = coco(photos(place), points())
    data["annotations"][3]["keypoints"] = []
    data["annotations"][4]["keypoints"] = None
    del data["annotations"][5]["keypoints"]
    data["annotations"][6]["iscrowd"] = 1
    write_json(place / "a.json", data)
    assert len(rows_of(f"folder:{place}")) == 6
    said = capsys.readouterr().err
    assert "3 of 10 objects left out: without keypoints" in said
    assert "1 of 10 objects left out: of crowds" in said


def test_crowds_are_told_by_the_value_of_iscrowd(tmp_path: Path) -> None:
    place = tree(tmp_path)
    data = coco(photos(place), points())
    for annotation, value in zip(
        data["annotations"], ("0", 0.0, None, False, "false", "1", 1, True, "0", 0), strict=True
    ):
        annotation["iscrowd"] = value
    write_json(place / "a.json", data)
    assert sorted(rows_of(f"folder:{place}")) == ["00.png", "01.png", "02.png", "03.png", "04.png", "08.png", "09.png"]
    for annotation in data["annotations"]:
        annotation["iscrowd"] = 1
    write_json(place / "a.json", data)
    with pytest.raises(DataError, match="none of its 10 annotations can be used: 10 are of crowds"):
        open_dataset(f"folder:{place}")


@pytest.mark.parametrize("name", [None, "", [], True])
def test_a_keypoint_without_a_name_is_refused(tmp_path: Path, name: Any) -> None:
    place = tree(tmp_path)
    data = coco(photos(place), points())
    data["categories"][0]["keypoints"][1] = name
    write_json(place / "a.json", data)
    with pytest.raises(DataError, match="has no list of keypoints"):
        open_dataset(f"folder:{place}")


def test_an_object_that_is_annotated_twice_counts_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As merged exports have it: under an id of its own, or the image under two."""
    place = tree(tmp_path)
    data = coco(photos(place), points())
    data["annotations"].append({**data["annotations"][2], "id": 777})
    data["images"].append({**data["images"][5], "id": 55})
    data["annotations"].append({**data["annotations"][5], "id": 778, "image_id": 55})
    write_json(place / "a.json", data)
    assert sum(map(len, open_dataset(f"folder:{place}").splits.values())) == 10
    assert "2 samples left out: another one of their image has the same landmarks" in capsys.readouterr().err


def test_files_whose_names_differ_in_the_writing_of_an_accent_are_two(tmp_path: Path) -> None:
    place = tree(tmp_path)
    names = photos(place)
    apart, one = unicodedata.normalize("NFD", "é.png"), unicodedata.normalize("NFC", "é.png")
    for i, name in ((4, apart), (7, one)):
        (place / names[i]).rename(place / name)
        names[i] = name
    if len(list(place.iterdir())) < len(names):
        pytest.skip("this file system takes the two for one")
    write_table(place, lambda i: names[i])
    found = rows_of(f"folder:{place}")
    for i, name in enumerate(names):
        np.testing.assert_allclose(found[name][0][0], points()[i][0])


def test_a_missing_image_that_was_left_out_or_has_another_case_is_pointed_at(tmp_path: Path) -> None:
    place = tree(tmp_path)
    photos(place)
    (place / "03.png").rename(place / ".03.png")
    write_table(place, lambda i: f"{i:02}.png")
    with pytest.raises(DataError, match=r"Left out: 1 hidden file \(\.03\.png\)"):
        open_dataset(f"folder:{place}")
    write_table(place, lambda i: f"{i:02}.PNG")
    with pytest.raises(DataError, match=r"first: 00\.PNG.*00\.png has a similar name"):
        open_dataset(f"folder:{place}")


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    place = tree(tmp_path)
    text = json.dumps(coco(photos(place), points())).replace('"id": 103', '"id": 3, "id": 103')
    (place / "a.json").write_text(text)
    with pytest.raises(DataError, match="the key 'id' stands twice in one object"):
        open_dataset(f"folder:{place}")
