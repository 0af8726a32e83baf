"""`lmbench predict` on many images and on videos: every kind of file says the same, and an interrupted one is gone on with."""

from __future__ import annotations

import csv
import gc
import json
import shutil
import sys
import weakref
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas
import pytest
from folder_trees import coco_tree, photos
from PIL import Image
from small_runs import pixels_run, run_here

import lmbench
from lmbench.detecting import detector as detecting
from lmbench.detecting.framer import Framer
from lmbench.detecting.regions import Region
from lmbench.detecting.video import Frames, VideoWriter
from lmbench.report.marks import COLOURS


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("files")
    coco_tree(place / "data")
    return pixels_run(place / "runs", f"folder:{place / 'data'}:crop=image")


@pytest.fixture
def shots(tmp_path: Path) -> Path:
    """A folder of seven photos, no two alike."""
    photos(tmp_path / "shots", 7)
    for i, path in enumerate(sorted((tmp_path / "shots").iterdir())):
        Image.fromarray(np.random.default_rng(i).integers(0, 255, (50, 60, 3), dtype=np.uint8)).save(path)
    return tmp_path / "shots"


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return filmed(tmp_path / "mouse.mp4", 12)


def filmed(path: Path, frames: int) -> Path:
    pytest.importorskip("av", reason="videos need PyAV")
    writer = VideoWriter(path, Fraction(10))
    for i in range(frames):
        writer.write(Image.new("RGB", (64, 48), (20 * i, 128, 255 - 20 * i)))
    writer.close()
    return path


def predicted(capsys, *arguments: str | Path, code: int = 0) -> tuple[str, str]:
    """(stdout, stderr) of a prediction that ends with a code."""
    found, out, err = run_here(capsys, "predict", *map(str, arguments), "--device", "cpu")
    assert found == code and "Traceback" not in err, err
    return out, err


def points(entries: list[dict]) -> np.ndarray:
    return np.array([list(e["landmarks"].values()) for e in entries])


# --- what is written ------------------------------------------------------------------------------------------------


def test_every_kind_of_file_says_what_is_printed(run: Path, shots: Path, tmp_path: Path, capsys) -> None:
    out = {end: tmp_path / "out" / f"o{end}" for end in (".csv", ".json", ".dlc.csv", ".h5")}
    options = [part for path in out.values() for part in ("-o", path)]
    printed, err = predicted(capsys, run, shots, *options, "--json")
    entries = json.loads(printed)
    wanted, names = points(entries), list(entries[0]["landmarks"])
    assert [Path(e["image"]).name for e in entries] == [f"{i:02}.png" for i in range(7)] and len(np.unique(wanted)) > 20
    assert all(f"{path}: 7 images" in err for path in out.values())
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(p.name for p in out.values())

    rows = list(csv.DictReader(out[".csv"].open()))
    found = [[[float(r[f"{n}_x"]), float(r[f"{n}_y"])] for n in names] for r in rows]
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    assert [r["image"] for r in rows] == [e["image"] for e in entries]
    assert [float(rows[3][f"seen_{s}"]) for s in ("left", "top", "width", "height")] == entries[3]["frame"]

    coco = json.loads(out[".json"].read_text())
    keypoints = np.array([a["keypoints"] for a in coco["annotations"]]).reshape(7, -1, 3)
    np.testing.assert_allclose(keypoints[..., :2], wanted, atol=1e-4)
    assert (keypoints[..., 2] == 2).all() and coco["categories"][0]["keypoints"] == names
    assert [(i["file_name"], i["width"], i["height"]) for i in coco["images"]] == [
        (e["image"], 60, 50) for e in entries
    ]
    assert [a["image_id"] for a in coco["annotations"]] == [i["id"] for i in coco["images"]]

    tables = [pandas.read_csv(out[".dlc.csv"], header=[0, 1, 2], index_col=0), pandas.read_hdf(out[".h5"])]
    for table in tables:
        assert table.columns.names == ["scorer", "bodyparts", "coords"] and list(table.index) == [
            e["image"] for e in entries
        ]
        found = np.stack([table.xs(axis, level="coords", axis=1).to_numpy() for axis in "xy"], -1)
        np.testing.assert_allclose(found, wanted, atol=1e-4)
        assert list(table.columns.unique(1)) == names and table.xs("likelihood", level="coords", axis=1).isna().all(
            axis=None
        )


def test_the_table_and_the_coco_file_are_labels_of_a_folder(
    run: Path, shots: Path, tmp_path: Path, capsys, monkeypatch
) -> None:
    monkeypatch.chdir(shots.parent)
    for name, read in (("t.csv", "csv"), ("k.json", "coco")):
        predicted(capsys, run, "shots", "-o", name)
        spec, _, _ = run_here(capsys, "data", "verify", f"folder:{shots.parent}:format={read}:crop=image")
        assert spec == 0
        (shots.parent / name).unlink()


def test_overlays_are_the_images_with_their_landmarks(run: Path, shots: Path, tmp_path: Path, capsys) -> None:
    (shots / "more").mkdir()
    shutil.copy(shots / "00.png", shots / "more" / "00.png")
    Image.open(shots / "01.png").save(shots / "01.jpg")
    predicted(capsys, run, shots, "-o", tmp_path / "over")
    found = {p.relative_to(tmp_path / "over").as_posix() for p in (tmp_path / "over").rglob("*") if p.is_file()}
    assert found == {"00.jpg", "01.png.jpg", "01.jpg.jpg", "more/00.jpg", *(f"0{i}.jpg" for i in range(2, 7))}
    drawn = np.asarray(Image.open(tmp_path / "over" / "03.jpg"))
    landmarks = json.loads(predicted(capsys, run, shots / "03.png", "--json")[0])[0]["landmarks"]
    zoom = drawn.shape[0] // 50
    for (x, y), colour in zip(landmarks.values(), COLOURS[:3], strict=True):
        at = [round((v + 0.5) * zoom - 0.5) for v in (x, y)]
        assert np.abs(drawn[at[1], at[0]].astype(int) - colour).max() < 40


# --- many images ----------------------------------------------------------------------------------------------------


def interrupted(capsys, monkeypatch, after: int, *arguments: str | Path) -> list[int]:
    """Gives a command that Ctrl-C ends after some batches of two images; then again; returns how many images that one saw."""
    monkeypatch.setattr(detecting, "BATCH", 2)
    monkeypatch.setattr(detecting, "BATCH_WITH_IMAGES", 2)
    seen: list[int] = []
    once = detecting.Detector.located

    def counted(self, images):
        if sum(seen[1:]) >= 2 * after and len(seen) > after:  # the first is the trial of the head
            raise KeyboardInterrupt
        seen.append(len(images))
        return once(self, images)

    monkeypatch.setattr(detecting.Detector, "located", counted)
    _, err = predicted(capsys, *arguments, code=130)
    assert "The same command goes on" in err
    monkeypatch.setattr(
        detecting.Detector, "located", lambda self, images: seen.append(len(images)) or once(self, images)
    )
    seen.clear()
    return seen


def test_an_interrupted_table_is_gone_on_with_and_ends_as_one_that_was_not(
    run, shots, tmp_path, capsys, monkeypatch
) -> None:
    predicted(capsys, run, shots, "-o", tmp_path / "whole.csv", "-o", tmp_path / "whole")
    out, over = tmp_path / "out.csv", tmp_path / "over"
    seen = interrupted(capsys, monkeypatch, 2, run, shots, "-o", out, "-o", over)
    assert not out.exists() and (tmp_path / "out.csv.partial").exists() and len(list(over.iterdir())) == 3
    _, err = predicted(capsys, run, shots, "-o", out, "-o", over)
    assert "3 of 7 are done" in err and sum(seen[1:]) == 4  # an image counts once the next one is there
    assert out.read_text() == (tmp_path / "whole.csv").read_text() and not (tmp_path / "out.csv.partial").exists()
    for name in ("00.jpg", "06.jpg"):
        assert (over / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize(("what", "anew"), [("torn", 5), ("image", 6), ("boxes", 7), ("damaged", 5)])
def test_nothing_is_gone_on_with_that_may_not_be_so_any_more(
    run, shots, tmp_path, capsys, monkeypatch, what, anew
) -> None:
    out, partial = tmp_path / "out.csv", tmp_path / "out.csv.partial"
    seen = interrupted(capsys, monkeypatch, 2, run, shots, "-o", out)
    lines = partial.read_bytes().splitlines(keepends=True)
    more: list[str] = []
    if what == "torn":
        partial.write_bytes(b"".join(lines)[:-20])
    elif what == "image":
        Image.new("RGB", (60, 50), (9, 9, 9)).save(shots / "01.png")
    elif what == "damaged":
        partial.write_bytes(b"".join([*lines[:3], b"\0" * 30 + b"\n", *lines[4:]]))
    else:
        more = ["--boxes", "whole"]
    predicted(capsys, run, shots, "-o", out, *more)
    assert sum(seen[1:]) == anew
    predicted(capsys, run, shots, "-o", tmp_path / "fresh.csv", *more)
    assert out.read_text() == (tmp_path / "fresh.csv").read_text()


def test_objects_of_one_image_are_gone_on_with_together(run, shots, tmp_path, capsys, monkeypatch) -> None:
    lines = [f"0{i}.png,5,5,3{k},30" for i in range(3) for k in range(3)]
    (shots / "boxes.csv").write_text("\n".join(["image,left,top,width,height", *lines]) + "\n")
    command = [run, *(shots / f"0{i}.png" for i in range(3)), "--boxes", shots / "boxes.csv", "-o"]
    predicted(capsys, *command, tmp_path / "whole.csv")
    seen = interrupted(capsys, monkeypatch, 2, *command, tmp_path / "out.csv")
    assert f"{tmp_path / 'out.csv'}: 3 images" in predicted(capsys, *command, tmp_path / "out.csv")[1]
    assert sum(seen[1:]) == 6  # four were seen; the second image's third object was not
    assert (tmp_path / "out.csv").read_text() == (tmp_path / "whole.csv").read_text()
    assert [row["id"] for row in csv.DictReader((tmp_path / "out.csv").open())] == ["1", "2", "3"] * 3
    assert "one object an image" in predicted(capsys, *command, tmp_path / "out.h5", code=2)[1]


def test_what_is_no_image_in_a_folder_is_named_and_left_out(run: Path, shots: Path, tmp_path: Path, capsys) -> None:
    (shots / "03.png").write_bytes((shots / "03.png").read_bytes()[:60])
    (shots / "notes.txt").write_text("no image")
    _, err = predicted(capsys, run, shots, "-o", tmp_path / "o.csv", code=4)
    assert "left out: predict:" in err and "03.png" in err and f"{tmp_path / 'o.csv'}: 6 images" in err
    assert [Path(r["image"]).name[:2] for r in csv.DictReader((tmp_path / "o.csv").open())] == [
        "00",
        "01",
        "02",
        "04",
        "05",
        "06",
    ]
    predicted(capsys, run, shots / "03.png", code=5)  # who names one wants that one


def test_a_pattern_and_a_folder_name_the_same_images(run: Path, shots: Path, capsys) -> None:
    of_folder = json.loads(predicted(capsys, run, shots, "--json")[0])
    assert json.loads(predicted(capsys, run, f"{shots}/*.png", "--json")[0]) == of_folder
    assert json.loads(predicted(capsys, run, shots, shots / "00.png", "--json")[0])[:7] == of_folder


def test_memory_does_not_grow_with_the_images(run: Path, monkeypatch) -> None:
    alive: set[int] = set()
    most = 0

    def read(self, path):
        nonlocal most
        image = Image.new("RGB", (60, 50))
        alive.add(number := int(path.stem))
        weakref.finalize(image, alive.discard, number)
        most = max(most, len(alive))
        return image

    monkeypatch.setattr(Framer, "read", read)
    detector = lmbench.load(run).detector("cpu")
    for keep, limit in ((False, 10), (True, 60)):
        gc.collect()
        most = 0
        assert sum(1 for _ in detector.detect([Region(Path(f"{i}.png")) for i in range(200)], keep_images=keep)) == 200
        assert most <= limit


# --- videos ---------------------------------------------------------------------------------------------------------


def test_a_video_is_its_frames(run: Path, film: Path, tmp_path: Path, capsys) -> None:
    out = [tmp_path / name for name in ("v.csv", "v.json", "v.h5", "drawn.mp4")]
    printed, _ = predicted(capsys, run, film, *(part for path in out for part in ("-o", path)), "--json")
    entries = json.loads(printed)
    assert [e["video_frame"] for e in entries] == list(range(12)) and entries[3]["second"] == pytest.approx(0.3)
    frames = [image for _, _, image in Frames(film)]
    alone = lmbench.load(run).predict(frames, device="cpu").landmarks
    np.testing.assert_allclose(points(entries), alone, atol=1e-4)
    rows = list(csv.DictReader(out[0].open()))
    assert [(r["image"], r["video_frame"]) for r in rows] == [(str(film), str(i)) for i in range(12)]
    assert [i["frame"] for i in json.loads(out[1].read_text())["images"]] == list(range(12))
    assert list(pandas.read_hdf(out[2]).index) == list(range(12))
    drawn = Frames(out[3])
    assert drawn.rate == 10 and len(list(drawn)) == 12 and drawn.broken == ""
    shown, _ = predicted(capsys, run, film)
    assert "FRAME" in shown


def test_a_video_that_ends_early_gives_what_it_has_and_says_so(run: Path, film: Path, tmp_path: Path, capsys) -> None:
    whole = filmed(tmp_path / "whole.mkv", 40)
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 3 // 4])
    _, err = predicted(capsys, run, cut, "-o", tmp_path / "c.csv", "-o", tmp_path / "over", code=4)
    rows = list(csv.DictReader((tmp_path / "c.csv").open()))
    assert 0 < len(rows) < 40 and f"ends early: {len(rows)} frames could be read, until second" in err
    assert "of 4.00" in err
    assert len(list(Frames(tmp_path / "over" / "cut.mp4"))) == len(rows)
    cut.write_bytes(film.read_bytes()[: film.stat().st_size // 2])  # its index is at its end
    assert "cannot be opened as a video" in predicted(capsys, run, cut, "-o", tmp_path / "d.csv", code=5)[1]
    cut.write_text("no video")
    assert "cannot be opened as a video" in predicted(capsys, run, cut, code=5)[1]


def test_a_video_without_a_frame_is_refused(run: Path, tmp_path: Path, capsys) -> None:
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "sound.mkv"), "w") as file:
        sound = file.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
        frame.rate = 8000
        for packet in [*sound.encode(frame), *sound.encode()]:
            file.mux(packet)
    assert "holds no video, only audio" in predicted(capsys, run, tmp_path / "sound.mkv", code=5)[1]


def test_without_pyav_it_is_said_how_to_get_it(run: Path, tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    (tmp_path / "a.mp4").write_bytes(b"0")
    assert "pip install 'lmbench[video]'" in predicted(capsys, run, tmp_path / "a.mp4", code=5)[1]


# --- what is refused ------------------------------------------------------------------------------------------------


def test_outputs_that_cannot_be_are_refused_before_anything_is_computed(
    run, shots, film, tmp_path, capsys, monkeypatch
) -> None:
    monkeypatch.setattr(lmbench.Run, "detector", None)
    (tmp_path / "full").mkdir()
    (tmp_path / "there.csv").write_text("mine")
    for images, outputs, message in (
        ([shots], ["o.xlsx"], "COCO keypoints"),
        ([shots], ["o.csv", "o.csv"], "given twice"),
        ([shots], ["there.csv"], "exists"),
        ([shots], ["o.mp4"], "an overlaid video is made of one video"),
        ([film], ["o.png"], "a video on one sheet shows nothing"),
        ([film, shots], ["o.dlc.csv"], "one video or of images alone"),
        ([tmp_path / "none"], [], "there is no such file"),
        ([tmp_path / "full"], [], "no image file in it"),
        ([f"{tmp_path}/*.tif"], [], "matches nothing"),
    ):
        options = [part for name in outputs for part in ("-o", tmp_path / name)]
        code, out, err = run_here(capsys, "predict", str(run), *map(str, [*images, *options]))
        assert code in (2, 5) and message in err and out == "", err
    assert (tmp_path / "there.csv").read_text() == "mine"


def test_a_folder_of_somebody_elses_is_not_written_into(run: Path, shots: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "00.jpg").write_text("precious")
    assert "is not empty" in predicted(capsys, run, shots, "-o", tmp_path / "mine", code=2)[1]
    assert (tmp_path / "mine" / "00.jpg").read_text() == "precious"


# --- matching -------------------------------------------------------------------------------------------------------


def test_matches_are_those_of_python_and_are_drawn(run: Path, shots: Path, tmp_path: Path, capsys) -> None:
    command = ["match", run, shots / "00.png", shots, "--points", "20,15", "--points", "33.5,40", "--device", "cpu"]
    code, out, _ = run_here(capsys, *map(str, [*command, "--json", "-o", tmp_path / "m.png"]))
    targets = sorted(shots.iterdir())
    found = lmbench.load(run).match(shots / "00.png", [(20, 15), (33.5, 40)], targets, device="cpu")
    assert code == 0 and [(Path(m["image"]), m["point"]) for m in json.loads(out)] == [
        (t, p) for t in targets for p in (1, 2)
    ]
    np.testing.assert_allclose([[m["x"], m["y"]] for m in json.loads(out)], found.points.reshape(-1, 2))
    assert Image.open(tmp_path / "m.png").width == 384 * 6
    code, out, _ = run_here(capsys, *map(str, command))
    assert code == 0 and out.splitlines()[0].split() == ["IMAGE", "POINT", "X", "Y", "SIMILARITY"]
    for change, message in (
        (["--points", "1"], "expected X,Y"),
        (["--points", "900,1"], "lies outside of what the network sees"),
        (["-o", tmp_path / "m.png"], "exists"),
        (["-o", tmp_path / "m.jpg"], "written as .png"),
    ):
        code, out, err = run_here(capsys, *map(str, [*command, *change]))
        assert code == 2 and message in err and out == ""
    assert run_here(capsys, "match", str(run), str(shots), str(shots), "--points", "1,1")[0] == 2
