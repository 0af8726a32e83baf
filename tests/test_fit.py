"""`lmbench fit`: a head for somebody's own points on a run's frozen network."""

from __future__ import annotations

import csv
import json
import shlex
import shutil
from pathlib import Path

import click
import numpy as np
import pytest
from folder_trees import dlc_tree
from marked_images import NAMES, labels_csv, spotted
from PIL import Image
from small_runs import pixels_run, run_here

from lmbench.cli.main import cli
from lmbench.fitting.fit import _interleaved
from lmbench.fitting.labels import blocks
from lmbench.results.fitted import FittedRun, load

LEFT_OUT = 3


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose frozen maps are the colours of the image, on 24 x 24 cells."""
    return pixels_run(tmp_path_factory.mktemp("runs"), "synthfaces", "--set", "read.size=24")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """15 labelled images in a folder, and their points; the last three are not in the labels."""
    folder = tmp_path_factory.mktemp("own")
    points = spotted(folder, 15)
    (folder / "labels.csv").write_text(labels_csv(points[:-LEFT_OUT]))
    return folder, points


def fitted(capsys, run: Path, labels: str, place: Path, *options: str) -> dict:
    code, out, err = run_here(
        capsys, "fit", str(run), "--labels", labels, "-o", str(place), "--device", "cpu", "--json", *options
    )
    assert code == 0, err
    return json.loads(out)


def refused(capsys, run: Path, *options: str, code: int = 5) -> str:
    found, out, err = run_here(capsys, "fit", str(run), *options, "--device", "cpu")
    assert (found, out) == (code, "")
    return err


def test_a_fit_finds_what_is_to_be_seen_and_its_errors_are_those_of_images_it_did_not_see(
    capsys, tmp_path: Path, run: Path, own
) -> None:
    folder, points = own
    said = fitted(capsys, run, str(folder / "labels.csv"), tmp_path / "fit", "--size", "80")
    assert said["images"] == 12 and set(said["landmarks"]) == set(NAMES)
    assert said["error_px"] < said["mean_shape_px"] / 2  # spots are nowhere near their mean place, but easy to see
    assert said["error_percent"] == pytest.approx(said["error_px"] / 80 * 100, abs=0.02)
    assert said["ci95_px"][0] < said["error_px"] < said["ci95_px"][1]
    worst = [w["error_px"] for w in said["worst"]]
    assert worst == sorted(worst, reverse=True) and worst[0] > said["error_px"]
    images = [str(folder / f"img{i:02}.png") for i in range(12, 15)]
    code, out, err = run_here(capsys, "predict", str(tmp_path / "fit"), *images, "--json", "--device", "cpu")
    assert code == 0 and "the whole image, padded to a square" in err
    found = np.array([list(row["landmarks"].values()) for row in json.loads(out)])
    off = np.linalg.norm(found - points[-LEFT_OUT:], axis=-1)
    assert [*json.loads(out)[0]["landmarks"]] == [*NAMES] and off.mean() < said["mean_shape_px"] / 2
    with Image.open(
        tmp_path / "fit" / "cross_validated.png"
    ) as sheet:  # twelve tiles to judge by eye, each above its name
        assert sheet.format == "PNG" and sheet.width >= 4 * 320 and sheet.height >= 3 * (320 + 20)
        strips = [np.asarray(sheet)[324:342, x : x + 320].tobytes() for x in range(0, sheet.width - 320, 324)]
    assert len(set(strips)) == 4


def test_what_an_error_is_measured_on_is_left_out_of_all_that_is_fitted(capsys, tmp_path: Path, run: Path, own) -> None:
    """Labels that have nothing to do with their images: nothing can be learnt, so no head may seem better than the mean shape."""
    folder, points = own
    shuffled = np.random.default_rng(3).permuted(points[:12], axis=0)
    (tmp_path / "labels.csv").write_text(labels_csv(shuffled))
    said = fitted(capsys, run, str(tmp_path / "labels.csv"), tmp_path / "fit", "--images", str(folder))
    assert said["error_px"] > 0.8 * said["mean_shape_px"]


def test_images_next_to_each_other_are_held_out_together() -> None:
    names = [f"v{i // 10}/{i:02}.png" for i in range(22)]
    held = blocks(names, 5)
    assert [len(set(held[a:b])) for a, b in ((0, 5), (5, 10), (10, 14), (14, 18), (18, 22))] == [1] * 5
    assert len(set(held)) == 5 and len(set(blocks(names[:10], 5))) == 10  # of ten, each alone
    assert len(set(blocks(["a", "a", *"bcde"], 5))) == 5  # two objects of one image stay together
    order = _interleaved(7, 3).tolist()
    assert sorted(order) == list(range(7)) and [order[k::3] for k in range(3)] == [[0, 1, 2], [3, 4], [5, 6]]


def test_labels_of_deeplabcut_and_chosen_landmarks_serve_as_well(capsys, tmp_path: Path, run: Path) -> None:
    dlc_tree(tmp_path / "mouse")
    labels = tmp_path / "mouse" / "labeled-data" / "video" / "CollectedData_me.csv"
    said = fitted(capsys, run, str(labels), tmp_path / "fit", "--landmarks", "nose,left eye")
    assert {name: row["images"] for name, row in said["landmarks"].items()} == {"nose": 9, "left_eye": 10}
    assert load(tmp_path / "fit").landmark_names == ("nose", "left_eye")


def test_an_image_of_which_one_landmark_is_to_be_seen_counts(capsys, tmp_path: Path, run: Path, own) -> None:
    lines = labels_csv(own[1][:12]).splitlines()
    (tmp_path / "labels.csv").write_text(
        "\n".join([*lines[:9], *(f"{line.rsplit(',', 2)[0]},," for line in lines[9:])])
    )
    said = fitted(capsys, run, str(tmp_path / "labels.csv"), tmp_path / "fit", "--images", str(own[0]))
    assert said["images"] == 12
    assert {name: row["images"] for name, row in said["landmarks"].items()} == {"head": 12, "tail": 8}


def test_a_fit_that_a_kill_left_aside_is_found_again_and_that_is_told(capsys, tmp_path: Path, run: Path, own) -> None:
    labels = ("--labels", str(own[0] / "labels.csv"), "-o", str(tmp_path / "fit"))
    fitted(capsys, run, labels[1], tmp_path / "fit")
    (tmp_path / "fit").rename(tmp_path / ".fit.before~")  # where a kill between two renamings leaves it
    assert load(tmp_path / "fit").landmark_names == NAMES
    assert "what was there before is back" in capsys.readouterr().err
    (tmp_path / "fit").rename(tmp_path / ".fit.before~")
    assert "a fit is there already" in refused(capsys, run, *labels, code=2)
    assert [p.name for p in tmp_path.iterdir()] == ["fit"]


def test_boxes_are_used_where_all_have_one_and_then_asked_for(capsys, tmp_path: Path, run: Path, own) -> None:
    folder, points = own
    rows = labels_csv(points[:12]).splitlines()
    text = [rows[0] + ",box_left,box_top,box_width,box_height", *(f"{r},4,4,70,50" for r in rows[1:])]
    (tmp_path / "labels.csv").write_text("\n".join(text))
    fitted(capsys, run, str(tmp_path / "labels.csv"), tmp_path / "fit", "--images", str(folder), "--margin", "0")
    image = str(folder / "img13.png")
    code, _, err = run_here(capsys, "predict", str(tmp_path / "fit"), image, "--device", "cpu")
    assert code == 2 and "has no box" in err
    code, out, _ = run_here(capsys, "predict", str(tmp_path / "fit"), image, "--box", "4,4,70,50", "--json")
    assert code == 0 and json.loads(out)[0]["frame"] == [4, -6, 70, 70]


def test_labels_that_no_head_can_be_fitted_to_are_refused_in_words(capsys, tmp_path: Path, run: Path, own) -> None:
    folder, points = own
    table, place = tmp_path / "labels.csv", ("-o", str(tmp_path / "fit"))

    def said(text: str, *options: str, code: int = 5) -> str:
        table.write_text(text)
        return refused(capsys, run, "--labels", str(table), "--images", str(folder), *place, *options, code=code)

    assert "4 labelled images; at least 5 are needed" in said(labels_csv(points[:4]))
    half = [
        line if i < 3 else line.split(",")[0] + ",,,," for i, line in enumerate(labels_csv(points[:8]).splitlines())
    ]
    assert "6 of 8 samples left out: fewer than 1 labelled landmark" in said("\n".join(half))
    assert "same place on all 8 images" in said(labels_csv(np.tile(points[:1], (8, 1, 1))))
    gone = labels_csv(points[:8]).replace("img03", "img93")
    assert "img93.png" in said(gone) and "missing" in said(gone)
    assert "outside" in said(labels_csv(points[:8] + 500))
    assert "Did you mean 'tail'" in said(labels_csv(points[:8]), "--landmarks", "tial", code=2)
    lines = labels_csv(points[:8]).splitlines()
    rare = [lines[0] + ",ear_x,ear_y", lines[1] + ",9,9", *(line + ",," for line in lines[2:])]
    assert "ear is labelled on one image alone" in said("\n".join(rare)) and "--landmarks head,tail" in said(
        "\n".join(rare)
    )
    lines = labels_csv(points[:12]).splitlines()  # of twelve images, the first three are held out together
    beside = [
        lines[0] + ",ear_x,ear_y",
        *(f"{line},{9 + i},9" if i < 2 else line + ",," for i, line in enumerate(lines[1:])),
    ]
    assert "ear is labelled on one image alone, or on some beside each other" in said("\n".join(beside))
    assert "there is no such file" in refused(capsys, run, "--labels", str(tmp_path / "none.csv"), *place)
    cropped = refused(capsys, run, "--labels", f"{table}:crop=landmarks", *place, code=2)
    assert "what the network sees is said by --frame and --margin, not by crop=" in cropped
    assert "not every label has a box" in said(labels_csv(points[:8]), "--frame", "box", code=2)
    assert "there is no record" in refused(capsys, folder, "--labels", str(folder / "labels.csv"), *place)
    assert not (tmp_path / "fit").exists()


def test_nothing_but_a_fit_is_replaced_and_only_by_force(capsys, tmp_path: Path, run: Path, own) -> None:
    labels = ("--labels", str(own[0] / "labels.csv"), "-o", str(tmp_path / "fit"))
    (tmp_path / "fit").mkdir()
    (tmp_path / "fit" / "thesis.txt").write_text("mine")
    assert "something else is there" in refused(capsys, run, *labels, "--force", code=2)
    (tmp_path / "fit" / "thesis.txt").unlink()
    fitted(capsys, run, labels[1], tmp_path / "fit")
    assert "a fit is there already" in refused(capsys, run, *labels, code=2)
    fitted(capsys, run, labels[1], tmp_path / "fit", "--force", "--landmarks", "tail")
    assert load(tmp_path / "fit").landmark_names == ("tail",)
    (tmp_path / "fit" / "found.csv").write_text("mine")
    assert "found.csv is there beside the fit" in refused(capsys, run, *labels, "--force", code=2)
    assert (tmp_path / "fit" / "found.csv").read_text() == "mine"


@pytest.mark.parametrize("place", [".", "..", "fits/.."])
def test_a_place_that_is_no_folder_of_its_own_is_refused_before_anything_is_fitted(
    capsys, run: Path, own, place
) -> None:
    assert "name a folder of its own" in refused(
        capsys, run, "--labels", str(own[0] / "labels.csv"), "-o", place, code=2
    )


def test_a_fit_says_what_of_it_is_gone_or_damaged(capsys, tmp_path: Path, run: Path, own) -> None:
    shutil.copytree(run, tmp_path / "runs" / "base")
    fitted(capsys, tmp_path / "runs" / "base", str(own[0] / "labels.csv"), tmp_path / "fit")
    (tmp_path / "moved").mkdir()
    for name in ("runs", "fit"):
        (tmp_path / name).rename(tmp_path / "moved" / name)  # together: the run is found from the fit
    image = str(own[0] / "img13.png")
    place = tmp_path / "moved" / "fit"
    assert run_here(capsys, "predict", str(place), image, "--device", "cpu")[0] == 0
    again = FittedRun.open(place)
    assert again.head.name == "converged" and again.metrics["n_annotations"].tolist() == [12]
    shutil.rmtree(tmp_path / "moved" / "runs")
    code, _, err = run_here(capsys, "predict", str(place), image, "--device", "cpu")
    assert code == 5 and "which is gone" in err
    head = place / "head.safetensors"
    head.write_bytes(head.read_bytes()[:-4])
    code, _, err = run_here(capsys, "predict", str(place), image, "--device", "cpu")
    assert code == 5 and "is damaged" in err and "Fit again" in err


def test_the_commands_of_the_guide_run_as_they_stand_there(
    capsys, tmp_path: Path, run: Path, own, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(own[0], tmp_path / "mice")
    shutil.copytree(run, tmp_path / "runs" / "RUN")
    monkeypatch.chdir(tmp_path)
    guide = (Path(__file__).parents[1] / "docs" / "label.md").read_text(encoding="utf-8")
    commands = [shlex.split(line)[1:] for line in guide.splitlines() if line.startswith("    lmbench ")]
    assert [c[0] for c in commands] == ["run", "label", "label", "fit", "predict", "predict", "export"]
    for verb, *arguments in commands:
        command = cli.get_command(click.Context(cli), verb)
        assert command is not None
        command.make_context(verb, list(arguments), parent=click.Context(cli))  # its options are as they stand there
        if verb in ("fit", "predict", "export"):
            code, _, err = run_here(capsys, verb, *arguments)
            assert code == 0, err
    kept = list(csv.DictReader((tmp_path / "found.csv").open()))
    assert len(kept) == 15
    shutil.rmtree("runs")
    shutil.rmtree("mouse_detector")  # the exported file needs neither
    found = load("mouse.lmb").predict(str(tmp_path / "mice" / "img14.png"), device="cpu")
    assert found.names == NAMES
    wanted = [[float(kept[14][f"{name}_{axis}"]) for axis in "xy"] for name in NAMES]
    np.testing.assert_allclose(found.landmarks[0], wanted, atol=0.02)
