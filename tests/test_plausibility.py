"""Labels that cannot be meant are refused with the word that accepts them, and those that can be pass."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from folder_trees import NAMES, coco, csv_text, photos, points, rows_of, write_json
from hypothesis import given
from hypothesis import strategies as st

from lmbench.cli.main import run_cli
from lmbench.data.opening import open_dataset
from lmbench.errors import DataError, UsageError
from lmbench.originals.plausibility import Labels, implausible
from lmbench.originals.verification import verify_dataset


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LMBENCH_CACHE", str(tmp_path / "cache"))


def labels(points: np.ndarray, size: tuple[int, int] = (60, 50), **more: np.ndarray) -> Labels:
    count = len(points)
    return Labels(
        [f"{i}.png" for i in range(count)], points, np.isfinite(points).all(-1), np.tile(size, (count, 1)), **more
    )


def words(*args: object, **more: np.ndarray) -> list[str]:
    return [f.word for f in implausible(labels(*args, **more))]  # type: ignore[arg-type]


def table(place: Path, values: np.ndarray) -> str:
    photos(place)
    rows = ["image," + ",".join(f"{n}_{a}" for n in NAMES for a in "xy")]
    rows += [f"{i:02}.png," + ",".join(f"{v:.6g}" for v in face.ravel()) for i, face in enumerate(values)]
    (place / "labels.csv").write_text("\n".join(rows))
    return f"folder:{place}"


FAULTS = {
    "unit": (points() / [60, 50], "lie between 0.31 and .*parts of the image's size"),
    "corner": (points() / 2, r"in the top left quarter of their images .* percents"),
    "outside": (
        points() * 2,
        r"10 of 10 samples have most of their landmarks outside their image \(first: 00\.png, \(80, 32\)",
    ),
    "swapped": (points()[..., ::-1] + [0, 10], "x and y are exchanged, it seems: 9 of 10"),
    "tiny": (np.round(points() / 1000) + [30, 25], r"all landmarks of 10 of 10 samples lie within one pixel"),
}


@pytest.mark.parametrize("word", FAULTS)
def test_what_cannot_be_meant_is_refused_unless_it_is_said(tmp_path: Path, word: str) -> None:
    values, said = FAULTS[word]
    name = table(tmp_path, values)
    with pytest.raises(DataError, match=said + f".*accept={word}"):
        open_dataset(name)
    if word == "tiny":
        return  # boxes without an area are refused after it
    opened = open_dataset(f"{name}:accept={word}")
    assert any(n.startswith(f"accepted (accept={word}): ") for n in opened.spec.notes)
    assert opened.spec.accepted == (word,)
    checks = {c.name: c for c in verify_dataset(f"{name}:accept={word}")}
    assert checks["plausible"].ok
    np.testing.assert_allclose(rows_of(f"{name}:accept={word}")["00.png"][0], values[0], atol=1e-4)


def test_one_sample_of_other_images_is_enough(tmp_path: Path) -> None:
    values = points()
    values[4] += [200, 0]
    with pytest.raises(
        DataError, match=r"1 of 10 samples have most of their landmarks outside their image \(first: 04"
    ):
        open_dataset(table(tmp_path, values))


def test_a_landmark_far_outside_is_refused_and_one_that_no_image_can_hold_always(tmp_path: Path) -> None:
    values = points()
    values[4, 0] = [300, 20]
    with pytest.raises(
        DataError, match=r"1 of 10 samples have a landmark far outside their image \(first: 04.*accept=outside"
    ):
        open_dataset(table(tmp_path, values))
    values[4, 0] = [1e30, 20]
    with pytest.raises(DataError, match=r"1 of 10 samples have a landmark that no image can hold .*at \(1e\+30, 20\)"):
        open_dataset(table(tmp_path, values) + ":accept=outside,corner,unit")


BOXES = {
    "a box of one pixel": ([20, 15, 1, 1], "10 of 10 samples have a box of 1x1 pixels"),
    "a box in parts of the image": ([0.2, 0.1, 0.6, 0.7], "have a box of 0.6x0.7 pixels"),
    "a box elsewhere": ([0, 0, 6, 6], "a box that most of their landmarks lie outside of .*left 0, top 0, width 6"),
    "a vast box": ([0, 0, 9000, 30], "a box far larger than their image .*width 9000"),
    "right and bottom": ([18, 14, 50, 38], "right and bottom stand where width and height are expected"),
}


@pytest.mark.parametrize("fault", BOXES)
def test_a_box_that_is_none_is_refused_where_it_is_used(tmp_path: Path, fault: str) -> None:
    box, said = BOXES[fault]
    data = coco(photos(tmp_path), points())
    for a in data["annotations"]:
        a["bbox"] = box
    write_json(tmp_path / "a.json", data)
    with pytest.raises(DataError, match=said + ".*crop=landmarks does without the boxes.*accept=box"):
        open_dataset(f"folder:{tmp_path}")
    assert len(rows_of(f"folder:{tmp_path}:crop=landmarks")) == 10


def test_images_of_another_size_than_the_file_says_are_refused_but_turned_ones_are_not(tmp_path: Path) -> None:
    data = coco(photos(tmp_path), points())
    for width, height, refused in ((120.0, 100.0, True), (120, 100, True), (50, 60, False), (60, 50, False)):
        for image in data["images"]:
            image |= {"width": width, "height": height}
        write_json(tmp_path / "a.json", data)
        if refused:
            with pytest.raises(
                DataError, match=r"images of another size .*120x100 there, 60x50 in the file.*accept=sizes"
            ):
                open_dataset(f"folder:{tmp_path}")
            assert "sizes" in open_dataset(f"folder:{tmp_path}:accept=sizes").spec.accepted
        else:
            assert len(rows_of(f"folder:{tmp_path}")) == 10


def test_a_word_that_accepts_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'everything' is none of unit, corner, outside"):
        open_dataset(table(tmp_path, points()) + ":accept=everything")


def test_a_refusal_is_a_message_and_an_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = table(tmp_path, points() / [60, 50])
    for verb in (
        ["describe", "dataset", name],
        ["data", "verify", name],
        ["data", "show", name, "-o", f"{tmp_path}/g.png"],
    ):
        assert run_cli(verb) == 5
        captured = capsys.readouterr()
        assert captured.out == ""
        assert "parts of the image's size" in captured.err
    assert not (tmp_path / "g.png").exists()


@given(st.lists(st.tuples(st.floats(2.5, 59), st.floats(2.5, 49)), min_size=40, max_size=40))
def test_landmarks_that_fill_their_images_are_never_refused(values: list[tuple[float, float]]) -> None:
    faces = np.array(values).reshape(10, 4, 2)
    faces[:, 0], faces[:, 1] = [2, 3], [57, 46]  # corner to corner
    assert words(faces) == []
    assert words(faces, boxes=np.tile([0.0, 0, 60, 50], (10, 1)), stated=np.tile([60, 50], (10, 1))) == []


def test_a_few_landmarks_beyond_the_edge_are_not_refused() -> None:
    faces = np.tile([[5.0, 5], [30, 20], [55, 45], [40, 30]], (10, 1, 1))
    faces[0, 0], faces[1, 2] = [-4, -3], [66, 52]
    assert words(faces) == []


def test_labels_without_a_visible_landmark_or_a_known_size_say_nothing() -> None:
    faces = points()
    hidden = Labels(["a"] * 10, faces, np.zeros((10, 3), bool), np.tile([60, 50], (10, 1)))
    assert implausible(hidden) == []
    assert implausible(Labels(["a"] * 10, faces * 3, np.ones((10, 3), bool), np.zeros((10, 2)))) == []
    assert implausible(Labels([], np.zeros((0, 3, 2)), np.zeros((0, 3), bool), np.zeros((0, 2)))) == []


def test_verify_asks_the_same_of_every_dataset(tmp_path: Path) -> None:
    checks = {c.name: c for c in verify_dataset(table(tmp_path, points()))}
    assert checks["plausible"].ok and checks["plausible"].found == "landmarks lie where landmarks can lie"
    assert "csv: labels.csv; the files name no split" in checks["read as"].found


def test_a_table_of_ordinary_labels_is_not_refused(tmp_path: Path) -> None:
    photos(tmp_path)
    (tmp_path / "labels.csv").write_text(csv_text())
    assert open_dataset(f"folder:{tmp_path}").spec.accepted == ()


def test_one_landmark_in_parts_of_the_size_among_pixels_is_refused(tmp_path: Path) -> None:
    photos(tmp_path)
    (tmp_path / "labels.csv").write_text(csv_text(chin_x=["0.51"] * 10, chin_y=["0.83"] * 9 + ["1"]))
    with pytest.raises(DataError, match=r"landmark number 3 \(from 0\) lies within the first two pixels.*accept=unit"):
        open_dataset(f"folder:{tmp_path}")
    assert len(open_dataset(f"folder:{tmp_path}:accept=unit").spec.landmark_names) == 4
