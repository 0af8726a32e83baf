"""`lmbench predict`: what it must be told, and runs that are not what they should be."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from folder_trees import coco_tree, csv_tree, photos
from PIL import Image
from predicting import predicted, refused, table_of
from small_runs import command, pixels_run, recorded, run_here
from small_trees import write_image
from torchvision.models import resnet18

from lmbench.data.opening import open_dataset
from lmbench.errors import UsageError
from lmbench.metrics.base import Predictions
from lmbench.report.pictures import LEGEND_LINE
from lmbench.results.run import Run
from lmbench.store import manifests

# --- what must be told ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def boxed(tmp_path_factory) -> tuple[Path, Path]:
    """(run, folder) of a run whose images were cut around their landmarks."""
    place = tmp_path_factory.mktemp("boxed")
    csv_tree(place / "data")
    return pixels_run(place / "runs", f"folder:{place / 'data'}"), place / "data"


def test_without_a_box_a_run_cut_by_labels_is_refused_with_what_to_do(boxed, capsys) -> None:
    run, data = boxed
    said = refused(capsys, str(run), str(data / "00.png"))
    assert "the annotated landmarks (the bounding box of the labelled landmarks)" in said
    assert "--box LEFT,TOP,WIDTH,HEIGHT" in said and "--boxes FILE.csv" in said and "--boxes whole" in said


def test_that_the_object_fills_the_image_can_be_said_and_is_stated(boxed, capsys) -> None:
    run, data = boxed
    image = str(data / "00.png")  # 60 x 50
    (whole,) = predicted(capsys, run, image, "--boxes", "whole")
    (central,) = predicted(capsys, run, image, "--boxes", "central")
    (same,) = predicted(capsys, run, image, "--box", "0,0,60,50")
    assert whole["landmarks"] == same["landmarks"] != central["landmarks"]
    assert (whole["framed_by"], same["framed_by"]) == (
        "the whole image as the object's box, as asked for",
        "the given box",
    )
    assert central["frame"] == [-23, -28, 106, 106]  # 50 x 1.5 x 136 / 96, about (30, 25)


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ("1,2,3", "expected LEFT,TOP,WIDTH,HEIGHT"),
        ("1,2,x,4", "expected LEFT,TOP,WIDTH,HEIGHT"),
        ("1_0,2,5,4", "expected LEFT,TOP,WIDTH,HEIGHT"),
        ("1,2,0,4", "has no area"),
        ("1,2,-5,4", "has no area"),
        ("nan,2,5,4", "is no number"),
        ("0,0,inf,4", "is no number"),
        ("0.1,0.1,0.6,0.7", "in pixels of the image, not in parts of it"),
        ("60,0,5,5", "lies outside the image, which has 60 x 50 pixels"),
        ("-30,0,30,5", "lies outside the image"),
        ("0,0,1e30,5", "more than 2 times as long as the image"),
    ],
)
def test_a_box_that_is_none_is_named(boxed, capsys, box: str, message: str) -> None:
    assert message in refused(capsys, str(boxed[0]), str(boxed[1] / "00.png"), "--box", box)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the columns image,left,top,width,height are expected"),
        ("image,left,top,width\n00.png,1,2,3\n", "height is missing"),
        ("image,left,top,width,height\n01.png,1,2,30,40\n", "has no box of"),
        ("image,left,top,width,height\n00.png,1,2,,40\n", "boxes.csv:2: four numbers are expected"),
        ("image,left,top,width,height\n00.png,1,2,nan,40\n", "boxes.csv:2"),
        ("image,left,top,width,height\n00.png,1,2\n", "boxes.csv:2"),
    ],
)
def test_a_table_of_boxes_that_does_not_serve_is_named(boxed, capsys, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "boxes.csv").write_text(text)
    said = refused(capsys, str(boxed[0]), str(boxed[1] / "00.png"), "--boxes", str(tmp_path / "boxes.csv"))
    assert message in said


def test_several_objects_of_an_image_are_told_apart(boxed, capsys, tmp_path: Path) -> None:
    run, data = boxed
    (tmp_path / "boxes.csv").write_text(
        "image,id,box_left,box_top,box_width,box_height\n00.png,tom,5,5,30,30\n00.png,,20,10,30,30\n01.png,,5,5,30,30\n"
    )
    rows = predicted(capsys, run, str(data / "00.png"), str(data / "01.png"), "--boxes", str(tmp_path / "boxes.csv"))
    assert [(Path(r["image"]).name, r.get("object")) for r in rows] == [
        ("00.png", "tom"),
        ("00.png", "2"),
        ("01.png", None),
    ]
    assert rows[0]["landmarks"] != rows[1]["landmarks"]
    two = predicted(capsys, run, str(data / "00.png"), "--box", "5,5,30,30", "--box", "20,10,30,30")
    assert [r["landmarks"] for r in two] == [r["landmarks"] for r in rows[:2]]
    assert "2 boxes are given for 3 images" in refused(
        capsys, str(run), *(str(data / f"0{i}.png") for i in range(3)), "--box", "1,1,9,9", "--box", "1,1,9,9"
    )


def test_an_image_is_found_in_a_table_by_its_path_and_never_by_a_name_that_two_have(
    boxed, capsys, tmp_path: Path
) -> None:
    run, _ = boxed
    for folder in ("a", "b"):
        photos(tmp_path / folder, 1)
    table = table_of(tmp_path / "boxes.csv", {"a/00.png": (5, 5, 30, 30), "b/00.png": (20, 10, 30, 30)})
    rows = predicted(capsys, run, str(tmp_path / "b" / "00.png"), "--boxes", str(table))
    assert [r["frame"] for r in rows] == [[3, -7, 64, 64]]  # 30 x 1.5 x 136 / 96, about (35, 25)
    write_image(tmp_path / "c" / "00.png")
    assert "may be meant" in refused(capsys, str(run), str(tmp_path / "c" / "00.png"), "--boxes", str(table))


def test_an_image_of_another_size_than_an_aligned_set_is_refused(capsys, tmp_path: Path, boxed) -> None:
    run = changed(
        boxed[0],
        tmp_path,
        framing={"kind": "fixed", "of": "aligned faces", "box": [0, 30, 178, 178], "image": [178, 218]},
    )
    write_image(tmp_path / "aligned.png", (178, 218))
    (row,) = predicted(capsys, run, str(tmp_path / "aligned.png"))
    assert row["frame"] == [0, 30, 178, 178]
    assert "178 x 218 pixels each" in refused(capsys, str(run), str(boxed[1] / "00.png"))
    (row,) = predicted(capsys, run, str(boxed[1] / "00.png"), "--box", "5,5,40,40")
    assert row["frame"] == [5, 5, 40, 40]


def test_landmarks_of_a_box_that_is_no_square_lie_where_the_network_saw_them(capsys, tmp_path: Path, boxed) -> None:
    """A picture drawn wide and its copy squeezed to half the width, read whole, have the same landmarks but for the scale."""
    run = changed(boxed[0], tmp_path, framing={"kind": "whole"})
    wide = Image.open(write_image(tmp_path / "wide.png", (192, 96)))
    double = wide.resize((384, 96), Image.Resampling.NEAREST)
    double.save(tmp_path / "double.png")
    first, second = predicted(capsys, run, str(tmp_path / "wide.png"), str(tmp_path / "double.png"))
    for name, (x, y) in first["landmarks"].items():
        np.testing.assert_allclose(second["landmarks"][name], [2 * x, y], atol=2.0)
        assert 0 < x < 192 and 0 < y < 96


# --- runs that are not what they should be --------------------------------------------------------------------------


def changed(run: Path, place: Path, **data) -> Path:
    """A copy of a run whose record says something else of its data."""
    shutil.copytree(run, place / "copy")
    record = json.loads((run / "record.json").read_text())
    record["data"] |= data
    del record["sha256"], record["heads"]  # as of an earlier version: such records are taken as they are
    (place / "copy" / "record.json").write_text(json.dumps(record))
    return place / "copy"


def test_a_record_of_before_framings_were_stated_asks_for_the_frame_itself(capsys, tmp_path: Path, boxed) -> None:
    run = changed(boxed[0], tmp_path, framing=None)
    image = str(boxed[1] / "00.png")
    said = refused(capsys, str(run), image)
    assert "does not say how its images were framed" in said and "--resume never" in said
    (row,) = predicted(capsys, run, image, "--box", "3,4,30,32")
    assert row["frame"] == [3, 4, 30, 32]


def test_a_run_serves_where_its_data_lie_no_more(capsys, tmp_path: Path) -> None:
    coco_tree(tmp_path / "data")
    run = pixels_run(tmp_path / "runs", f"folder:{tmp_path / 'data'}:crop=image")
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    (row,) = predicted(capsys, run, str(tmp_path / "elsewhere" / "pictures" / "00.png"))
    assert set(row["landmarks"]) == {"left_eye", "right_eye", "nose"}


@pytest.mark.parametrize(
    ("framing", "message"),
    [
        ({"kind": "elsewhere"}, "framing is damaged"),
        ({"kind": "box", "factor": -1}, "framing is damaged"),
        ({"kind": "box", "strange": 1}, "framing is damaged"),
        ("whole", "framing is damaged"),
        ({"kind": "box", "rule": "os:system"}, "not how its dataset is framed"),
    ],
)
def test_a_record_whose_framing_is_none_is_refused(capsys, tmp_path: Path, boxed, framing, message: str) -> None:
    run = changed(boxed[0], tmp_path, framing=framing)
    assert message in refused(capsys, str(run), str(boxed[1] / "00.png"), "--box", "1,1,30,30")


def test_damaged_and_foreign_heads_are_named(capsys, tmp_path: Path, boxed) -> None:
    import safetensors.torch

    run = changed(boxed[0], tmp_path)
    image = (str(boxed[1] / "00.png"), "--boxes", "whole")
    head = run / "heads" / "regression-nall.safetensors"
    state = safetensors.torch.load_file(head)
    for change, message in (
        ({"filters": state["filters"][..., :-1].contiguous()}, "a head of another run"),
        ({"linear": state["linear"][:, :-1].contiguous()}, "a head of another run"),
        ({"offset": state["offset"] * torch.nan}, "no numbers"),
    ):
        safetensors.torch.save_file(state | change, head)
        manifests.seal(head.parent)
        assert message in refused(capsys, str(run), *image)
    head.write_bytes(head.read_bytes()[:100])
    assert "is damaged" in refused(capsys, str(run), *image)
    head.unlink()
    assert "no head is kept" in refused(capsys, str(run), *image)
    assert "there is no record" in refused(capsys, str(tmp_path), *image)


def test_heads_that_were_fitted_in_another_run_are_not_this_runs(capsys, tmp_path: Path, boxed) -> None:
    """Of as many landmarks in images of the same size, with their own manifest: the record alone tells them."""
    other = pixels_run(tmp_path, f"folder:{boxed[1]}", "--seed", "1")
    shutil.copytree(boxed[0], tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy" / "heads")
    shutil.copytree(other / "heads", tmp_path / "copy" / "heads")
    image = (str(boxed[1] / "00.png"), "--boxes", "whole")
    assert "a head of another run" in refused(capsys, str(tmp_path / "copy"), *image)
    assert predicted(capsys, other, *image)


def test_a_trained_run_gives_its_predictions_and_says_what_of_it_is_gone(capsys, tmp_path: Path) -> None:
    record = recorded(command(tmp_path, "--annotations", "all", "--set", "stages.byol.training.epochs=1"))
    run, place = tmp_path / record["run"], tmp_path / "stages" / record["stages"][0]["key"][:20]
    dataset = open_dataset("synthfaces")
    kept = Predictions.read(run / "predictions", "regression-nall")
    assert kept is not None
    rows = dataset.splits["test"].with_format(None)[:2]
    files = []
    for i, image in zip(rows["source_id"], rows["image"], strict=True):
        files.append(tmp_path / f"{i.replace('/', '-')}.png")
        files[-1].write_bytes(image["bytes"])
    for row, points in zip(predicted(capsys, run, *map(str, files)), kept.predicted[0], strict=False):
        np.testing.assert_allclose(list(row["landmarks"].values()), points, atol=1e-3)
    weights = place / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    assert "is damaged: weights.safetensors has" in refused(capsys, str(run), str(files[0]))
    shutil.rmtree(place)
    assert f"{place} is gone" in refused(capsys, str(run), str(files[0]))


def test_what_a_run_has_not_is_named(boxed) -> None:
    run = Run.open(boxed[0])
    with pytest.raises(UsageError, match=r"has no predictions matching-same; there are .*regression-nall"):
        run.predictions("matching", None, "same")
    with pytest.raises(UsageError, match="has no head of 7 annotations; there are all"):
        run.heads(7)
    assert {p.name for p in run.results()} == {Path(p).stem for p in run.record.predictions}


def test_what_is_no_image_is_named(capsys, tmp_path: Path, boxed) -> None:
    (tmp_path / "text.png").write_text("no image")
    assert "text.png" in refused(capsys, str(boxed[0]), str(tmp_path / "text.png"), "--boxes", "whole")
    assert "there is no such file" in refused(capsys, str(boxed[0]), str(tmp_path / "none.png"), "--boxes", "whole")


def test_an_overlay_shows_all_objects_of_an_image_on_it(capsys, tmp_path: Path, boxed) -> None:
    run, data = boxed
    options = (str(data / "00.png"), "--box", "5,5,30,30", "--box", "20,10,30,30", "-o", str(tmp_path / "o.png"))
    code, out, err = run_here(capsys, "predict", str(run), *options, "--device", "cpu")
    assert code == 0 and "1 image\n" in err and "framed by the given box" in err and "OBJECT" in out
    assert Image.open(tmp_path / "o.png").size == (384, 320 + LEGEND_LINE)
    assert "exists" in refused(capsys, str(run), *options)


def test_weights_that_were_replaced_since_the_run_are_refused(capsys, tmp_path: Path) -> None:
    coco_tree(tmp_path / "data")
    weights, options = tmp_path / "r18.pth", ("--method", "imagenet", "--preset", "smoke", "--tasks", "regression")
    torch.save(resnet18().state_dict(), weights)
    options += ("--set", f"network.backbone_settings.weights={weights}", "--set", "read.size=8", "--device", "cpu")
    dataset = f"folder:{tmp_path / 'data'}:crop=image"
    record = recorded(["run", "--dataset", dataset, "--runs", str(tmp_path / "runs"), *options])
    run, image = str(tmp_path / "runs" / record["run"]), str(tmp_path / "data" / "pictures" / "00.png")
    predicted(capsys, Path(run), image)
    torch.save(resnet18().state_dict(), weights)
    assert "is another one now" in refused(capsys, run, image)


def test_a_run_on_stored_pixels_predicts_on_stored_pixels(capsys, tmp_path: Path) -> None:
    coco_tree(tmp_path / "data")
    run = pixels_run(tmp_path / "runs", f"folder:{tmp_path / 'data'}:crop=image:orientation=raw")
    plain, turned = tmp_path / "data" / "pictures" / "00.png", tmp_path / "turned.png"
    with Image.open(plain) as image:
        exif = image.getexif()
        exif[0x0112] = 6
        image.save(turned, exif=exif)
    first, second = predicted(capsys, run, str(plain), str(turned))
    assert first["landmarks"] == second["landmarks"]
