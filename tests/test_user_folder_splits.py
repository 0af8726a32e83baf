"""Splits of a user's folder that leak are named, told and recorded; groups stay on one side; a project gives its labels."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from folder_trees import NAMES, coco, csv_text, csv_tree, dlc_tree, photos, points, rows_of, write_json

from lmbench.cli.main import run_cli
from lmbench.data.opening import open_dataset
from lmbench.data.schema import column
from lmbench.datasets.folders.options import parse_options
from lmbench.errors import DataError, UsageError
from lmbench.originals.verification import Check, verify_dataset


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LMBENCH_CACHE", str(tmp_path / "cache"))


def table(place: Path, **columns: list[str]) -> str:
    photos(place)
    (place / "labels.csv").write_text(csv_text(**columns))
    return f"folder:{place}"


def checks_of(name: str) -> dict[str, Check]:
    return {c.name: c for c in verify_dataset(name)}


def sides(name: str) -> dict[str, set[str]]:
    return {s: {i.partition("#")[0] for i in column(d, "source_id")} for s, d in open_dataset(name).splits.items()}


HELD = ["test"] * 3 + ["train"] * 7


# --- what both sides share ---


def test_images_in_both_splits_are_refused_and_named_all_by_verify(tmp_path: Path) -> None:
    names = photos(tmp_path)
    for part, first in (("train", 0), ("test", 6)):
        data = coco(names, points())
        data["annotations"] = [{**a, "id": a["id"] + first * 100} for a in data["annotations"][first if first else 0 :]]
        write_json(tmp_path / f"{part}.json", data)
    name = f"folder:{tmp_path}"
    with pytest.raises(DataError, match=r"4 images are in both splits \(first: 06\.png\).*accept=leak"):
        open_dataset(name)
    checks = checks_of(name)
    assert not checks["sides"].ok and not checks["images twice"].ok
    for i in range(6, 10):
        assert f"0{i}.png#10{i} (train) = 0{i}.png#70{i} (test)" in checks["images twice"].found
    accepted = open_dataset(f"{name}:accept=leak")
    assert any("accepted (accept=leak): 4 images are in both splits" in n for n in accepted.spec.notes)
    assert checks_of(f"{name}:accept=leak")["images twice"].ok
    assert not set.intersection(*sides(f"{name}:test=0.2").values())


def test_copies_of_an_image_in_both_splits_are_named_told_and_recorded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = table(tmp_path, split=HELD)
    shutil.copy(tmp_path / "00.png", tmp_path / "05.png")
    shutil.copy(tmp_path / "02.png", tmp_path / "07.png")
    opened = open_dataset(name)
    said = "images in both splits by their content (2): 05.png (train) = 00.png (test); 07.png (train) = 02.png (test)"
    assert said in capsys.readouterr().err
    assert opened.splits["test"].info.description == said
    check = checks_of(name)["images twice"]
    assert not check.ok
    assert "in two splits: 2: 05.png (train) = 00.png (test); 07.png (train) = 02.png (test)" in check.found


def test_several_objects_of_one_photo_are_no_duplicates(tmp_path: Path) -> None:
    data = coco(photos(tmp_path), points())
    others = coco([i["file_name"] for i in data["images"]], points() + 1)["annotations"]
    data["annotations"] += [{**a, "id": a["id"] + 100} for a in others]
    write_json(tmp_path / "a.json", data)
    check = checks_of(f"folder:{tmp_path}")["images twice"]
    assert check.ok
    assert check.found.startswith("repeated within a split: none; further entries of an image: 8 in train, 2 in test")


def test_a_person_in_both_splits_is_named_with_all_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    people = ["Ann", "Bea", "Cid", "Ann", "Ann", "Dan", "Dan", "Bea", "Eve", "Eve"]
    name = table(tmp_path, split=HELD, Subject=people)
    opened = open_dataset(name)
    assert any(
        "2 persons are in both splits (Ann: 2 train, 1 test; Bea: 1 train, 1 test)" in n for n in opened.spec.notes
    )
    assert "2 persons are in both splits" in capsys.readouterr().err
    check = checks_of(name)["identities"]
    assert not check.ok
    assert "0: 03.png, 04.png (train) = 00.png (test)" in check.found
    assert "1: 07.png (train) = 01.png (test)" in check.found


def test_a_split_of_our_own_keeps_a_person_that_a_column_names_on_one_side(tmp_path: Path) -> None:
    people = [f"p{i // 2}" for i in range(10)]
    name = table(tmp_path, person=people)
    train, test = sides(name)["train"], sides(name)["test"]
    assert not {people[int(i[:2])] for i in train} & {people[int(i[:2])] for i in test}
    assert checks_of(f"{name}:test=0.4")["identities"].ok


def test_series_of_names_on_both_sides_are_told(tmp_path: Path) -> None:
    names = [f"{person}_{k:03}.png" for person in ("Ann_Ek", "Bo_Li", "Cy_Oh", "Di_Ra", "Ed_So") for k in (1, 2)]
    for old, new in zip(photos(tmp_path), names, strict=True):
        (tmp_path / old).rename(tmp_path / new)
    lines = csv_text(split=["train", "test"] * 5).splitlines()
    rows = [lines[0], *(f"{n},{line.partition(',')[2]}" for n, line in zip(names, lines[1:], strict=True))]
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    said = "by their names, 5 of 5 series of images are in both splits (first: Ann_Ek)"
    assert any(n.startswith(said) for n in open_dataset(f"folder:{tmp_path}").spec.notes)
    parted = f"folder:{tmp_path}:test=0.2:group=^([A-Za-z_]+)_"
    assert {i[:5] for i in sides(parted)["train"]}.isdisjoint({i[:5] for i in sides(parted)["test"]})


# --- groups ---


@pytest.mark.parametrize(
    "group",
    ["weather", "Weather", "folder", r"^[a-z](\d)", r"(?:a|b|c|d|e)\d", r"\x3a|^[a-e]"],
)
def test_a_group_is_kept_on_one_side(tmp_path: Path, group: str) -> None:
    lines = csv_text(weather=[f"w{i // 2}" for i in range(10)]).splitlines()
    rows = [lines[0]]
    for i, line in enumerate(lines[1:]):
        folder = f"{'abcde'[i // 2]}{i // 2}"
        photos(tmp_path / folder)
        rows.append(f"{folder}/{line}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    name = f"folder:{tmp_path}:group={group}"
    found = sides(name)
    assert {i[:2] for i in found["train"]}.isdisjoint({i[:2] for i in found["test"]})
    assert len(found["test"]) == 2
    assert any(f"2 of 10 images test, 1 of 5 groups (by group={group})" in n for n in open_dataset(name).spec.notes)


@pytest.mark.parametrize(
    ("group", "said"),
    [
        ("wether", "group=wether is no column .*weather.* and as a regular expression it finds nothing in the paths"),
        ("(0)(1)", r"group=\(0\)\(1\) has 2 groups in brackets; one is expected"),
        ("(0", r"group=\(0 is no regular expression: missing \)"),
        (r"0([0-5])", r"4 of 10 samples are in no group \(first: 06\.png\)"),
        ("folder", r"10 images in 1 groups \(by group=folder\) cannot be parted"),
        ("", "expected a name"),
    ],
)
def test_a_group_that_says_nothing_is_told(tmp_path: Path, group: str, said: str) -> None:
    with pytest.raises((DataError, UsageError), match=said):
        open_dataset(f"{table(tmp_path, weather=['fine'] * 10)}:group={group}")


def test_groups_that_the_files_own_split_parts_are_told(tmp_path: Path) -> None:
    name = table(tmp_path, split=HELD, weather=[f"w{i // 2}" for i in range(10)])
    with pytest.raises(
        DataError, match=r"the files' own split has groups on both sides \(1, first: w1\)\. Pass test=0\.2"
    ):
        open_dataset(f"{name}:group=weather")
    assert len(sides(f"{name}:group=weather:test=0.2")["test"]) == 2


def test_two_persons_on_one_image_keep_all_their_images_together(tmp_path: Path) -> None:
    names = photos(tmp_path)
    data = coco(names, points())
    for i, a in enumerate(data["annotations"]):
        a["person_id"] = i // 2
    data["annotations"].append({**data["annotations"][1], "id": 7, "person_id": 1})  # 0 and 1 meet on the second image
    write_json(tmp_path / "a.json", data)
    found = sides(f"folder:{tmp_path}:test=0.4")
    together = {"00.png", "01.png", "02.png", "03.png"}
    assert together <= found["train"] or together <= found["test"]
    assert not found["train"] & found["test"]


def test_an_option_may_hold_colons_and_equal_signs(tmp_path: Path) -> None:
    options = parse_options(f"{tmp_path}:group=(?:a|b)=(.):test=0.3")
    assert (options.group, options.test) == ("(?:a|b)=(.)", 0.3)


# --- projects of DeepLabCut ---


def test_a_whole_project_gives_its_labels_and_tells_what_was_passed_over(tmp_path: Path) -> None:
    dlc_tree(tmp_path)
    own = tmp_path / "labeled-data" / "video" / "CollectedData_me.csv"
    merged = tmp_path / "training-datasets" / "iteration-0" / "Unaugmented" / "CollectedData_me.csv"
    merged.parent.mkdir(parents=True)
    shutil.copy(own, merged)
    shutil.copy(own, own.with_name("machinelabels-iter0.csv"))
    photos(tmp_path / "labeled-data" / "video_labeled")
    predictions = "scorer,n,n,n\nbodyparts,nose,nose,nose\ncoords,x,y,likelihood\n0,1,2,0.5\n"
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "videoDLC_resnet50.csv").write_text(predictions)
    name = f"folder:{tmp_path}"
    assert {i.rpartition("/")[0] for side in sides(name).values() for i in side} == {"labeled-data/video"}
    notes = open_dataset(name).spec.notes
    assert notes[0] == "deeplabcut: labeled-data/video/CollectedData_me.csv"
    said = "; ".join(n for n in notes if n.startswith("passed over"))
    assert "Unaugmented/CollectedData_me.csv (copies that a training set was made of; file=PATH decides)" in said
    assert "labeled-data/video/machinelabels-iter0.csv (labels of the machine" in said
    assert "videos/videoDLC_resnet50.csv (predictions of DeepLabCut, not annotations" in said
    for file in (merged, own.with_name("machinelabels-iter0.csv")):
        chosen = f"{name}:file={file.relative_to(tmp_path)}"
        assert open_dataset(chosen).spec.notes[0] == f"deeplabcut: {file.relative_to(tmp_path)}"
    assert len(rows_of(f"{name}:file=CollectedData_me.csv")) == 10
    with pytest.raises(DataError, match="0 is the number of a frame, not an image"):
        open_dataset(f"{name}:file=videos/videoDLC_resnet50.csv")
    assert run_cli(["data", "show", name, "-o", str(tmp_path / "g.png")]) == 0


def test_two_scorers_of_one_video_are_told_apart_by_the_advice_that_is_given(tmp_path: Path) -> None:
    dlc_tree(tmp_path)
    own = tmp_path / "labeled-data" / "video" / "CollectedData_me.csv"
    shutil.copy(own, own.with_name("CollectedData_you.csv"))
    with pytest.raises(DataError, match=r"00\.png is annotated twice .*file=labeled-data/video/CollectedData_me\.csv"):
        open_dataset(f"folder:{tmp_path}")
    assert len(rows_of(f"folder:{tmp_path}:file=labeled-data/video/CollectedData_me.csv")) == 10


def test_likelihood_and_placeholders_of_pandas_in_labels_are_passed_over(tmp_path: Path) -> None:
    photos(tmp_path / "labeled-data" / "v")
    lines = [
        "scorer,Unnamed: 1,Unnamed: 2" + ",me" * 9,
        "bodyparts,Unnamed: 1_level_1,Unnamed: 2_level_1" + "".join(f",{n}" * 3 for n in NAMES),
        "coords,Unnamed: 1_level_2,Unnamed: 2_level_2" + ",x,y,likelihood" * 3,
    ]
    for i, face in enumerate(points()):
        lines.append(f"labeled-data,v,{i:02}.png," + ",".join(f"{x},{y}," for x, y in face))
    (tmp_path / "labeled-data" / "v" / "CollectedData_me.csv").write_text("\n".join(lines))
    opened = open_dataset(f"folder:{tmp_path}")
    assert opened.spec.landmark_names == NAMES
    assert len(rows_of(f"folder:{tmp_path}")) == 10


def test_unique_bodyparts_are_no_animal(tmp_path: Path) -> None:
    photos(tmp_path, 5)
    lines = [
        "scorer,,," + ",".join(["me"] * 12), "individuals,,,a,a,a,a,b,b,b,b,single,single,single,single",
        "bodyparts,,,nose,nose,tail,tail,nose,nose,tail,tail,left,left,right,right", "coords,,,x,y,x,y,x,y,x,y,x,y,x,y",
        *(f"x,v,{i:02}.png,10,12,19,{21 + i},31,12,42,24,2,4,55,45" for i in range(5)),
    ]  # fmt: skip
    (tmp_path / "CollectedData_me.csv").write_text("\n".join(lines).replace("x,v,", ",,"))
    name = f"folder:{tmp_path}"
    opened = open_dataset(name)
    assert opened.spec.landmark_names == ("nose", "tail")
    assert sum(map(len, opened.splits.values())) == 10
    assert any("unique bodyparts left out, since they are no animal's: left, right" in n for n in opened.spec.notes)
    assert open_dataset(f"{name}:individuals=single").spec.landmark_names == ("left", "right")
    assert sum(map(len, open_dataset(f"{name}:individuals=a").splits.values())) == 5
    with pytest.raises(UsageError, match="no individual 'c'; there are a, b, single"):
        open_dataset(f"{name}:individuals=a,c")


def test_frames_of_one_video_on_both_sides_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dlc_tree(tmp_path)
    open_dataset(f"folder:{tmp_path}")
    assert "frames of the same video are in both splits (1 of 1 videos" in capsys.readouterr().err


def test_the_folder_itself_is_named_where_its_data_are_spoken_of(tmp_path: Path) -> None:
    csv_tree(tmp_path)
    assert open_dataset(f"folder:{tmp_path}").origin == f"folder:{tmp_path}"


@pytest.mark.parametrize("column", ["set", "Partition", "ensemble"])
def test_a_column_of_nothing_but_words_of_splits_is_the_split(tmp_path: Path, column: str) -> None:
    photos(tmp_path)
    words = ["train"] * 4 + ["Test"] * 3 + ["val"] * 2 + [""]
    (tmp_path / "labels.csv").write_text(csv_text(**{column: words}))
    opened = open_dataset(f"folder:{tmp_path}")
    assert {s: len(d) for s, d in opened.splits.items()} == {"train": 5, "test": 3}
    assert f"the split: {column}" in opened.spec.notes
    (tmp_path / "labels.csv").write_text(csv_text(**{column: words, "usage": words}))  # two: neither is meant for sure
    assert len(open_dataset(f"folder:{tmp_path}").splits["test"]) == 2
    (tmp_path / "labels.csv").write_text(csv_text(**{column: ["train"] * 10}))
    assert len(open_dataset(f"folder:{tmp_path}").splits["test"]) == 2


def test_it_is_told_that_all_images_are_of_one_side_before_they_are_parted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos(tmp_path)
    (tmp_path / "labels.csv").write_text(csv_text(split=["test"] * 10))
    open_dataset(f"folder:{tmp_path}")
    assert "the files name test alone, so that it is parted: the 2 of 10 images" in capsys.readouterr().err


@pytest.mark.parametrize("column", ["participant", "Patient ID", "SubjectID"])
def test_persons_go_by_many_names(tmp_path: Path, column: str) -> None:
    photos(tmp_path)
    (tmp_path / "labels.csv").write_text(csv_text(**{column: [f"p{i % 3}" for i in range(10)]}))
    assert any("by the person they show" in n for n in open_dataset(f"folder:{tmp_path}").spec.notes)
