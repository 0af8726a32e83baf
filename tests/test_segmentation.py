"""Segmentation: HELEN's files, masks under preprocessing, the pixel classifier and its accuracy."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from other_trees import cub_lists, cub_masks, cub_tree
from PIL import Image
from small_trees import write_image

from lmbench.cli.main import run_cli
from lmbench.config.resolving import resolve_run
from lmbench.data.masks import read_masks
from lmbench.data.opening import open_dataset
from lmbench.data.schema import landmark_dataset
from lmbench.datasets.cub import figure as cub_figure
from lmbench.datasets.cub import loader as cub
from lmbench.datasets.helen.loader import load, read_ids, read_mask
from lmbench.errors import DataError, UsageError
from lmbench.features import FeatureMaps
from lmbench.geometry.framing import Preprocessing
from lmbench.heads.base import TensorInputs
from lmbench.metrics.pixels import Confusions, figure_iou, pixel_accuracy
from lmbench.originals.lists import Originals
from lmbench.plugins.loading import get_plugins
from lmbench.tasks.segmentation import confusion_counts, fit_classifier
from lmbench.tasks.settings import SegmentationSettings

FOLDER = "SmithCVPR2013_dataset_resized"


def helen_tree(root, train=3, tuning=1, test=3, size=(40, 30)):
    """HELEN's parsing set below ``root``: background left, skin, a nose and hair from left to right in bands."""
    folder = root / FOLDER
    number = 0
    for name, count in (("exemplars", train), ("tuning", tuning), ("testing", test)):
        lines = []
        for _ in range(count):
            number += 1
            face = f"{100 + number}_1"
            lines.append(f"{number} , {face}")
            write_image(folder / "images" / f"{face}.jpg", size, seed=number)
            for part in range(11):
                write_part(folder, face, part, size)
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n\n", encoding="utf-8")
    return folder


BANDS = {0: (0, 10), 1: (10, 20), 6: (20, 30), 10: (30, 40)}


def write_part(folder, face, part, size, mode="L"):
    values = np.zeros((size[1], size[0]), np.uint8)
    low, high = BANDS.get(part, (0, 0))
    values[:, low:high] = 200
    values[:, high : high + 1] = 120  # a soft rim, below one half
    path = folder / "labels" / face / f"{face}_lbl{part:02}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).convert(mode).save(path)


def png(labels):
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(labels, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def test_parts_become_one_mask_and_hair_is_background(tmp_path):
    splits = load(helen_tree(tmp_path))
    assert {k: len(v) for k, v in splits.items()} == {"train": 4, "test": 3}
    assert splits["train"]["source_id"][:] == ["101_1", "102_1", "103_1", "104_1"]
    mask = np.asarray(Image.open(io.BytesIO(splits["test"][0]["mask"]["bytes"])))
    assert mask.shape == (30, 40)
    np.testing.assert_array_equal(mask[0], [0] * 10 + [1] * 10 + [6] * 10 + [0] * 10)


def test_what_is_missing_or_damaged_is_named(tmp_path):
    folder = helen_tree(tmp_path)
    part = folder / "labels" / "102_1" / "102_1_lbl07.png"
    kept = part.read_bytes()
    part.unlink()
    with pytest.raises(DataError, match=r"102_1_lbl07.png is missing"):
        load(folder)
    part.write_bytes(b"no image")
    with pytest.raises(DataError, match=r"102_1_lbl07.png is no image"):
        load(folder)
    part.write_bytes(png(np.zeros((5, 5))))
    with pytest.raises(DataError, match=r"102_1_lbl07.png has \(5, 5\) pixels"):
        read_mask(folder / "labels", "102_1")
    part.write_bytes(kept)
    (folder / "images" / "105_1.jpg").unlink()
    with pytest.raises(DataError, match=r"1 of \d+ files are missing .*\(first: .*105_1.jpg\)"):
        load(folder)


@pytest.mark.parametrize("line", ["101_1", "x , 101_1", "1 , ", "1 , ../secret"])
def test_a_bad_line_of_a_list_is_named(tmp_path, line):
    path = tmp_path / "testing.txt"
    path.write_text(f"1 , 100_1\n{line}\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"testing.txt:2"):
        read_ids(Originals("helen", path.parent, ""), path)


def test_masks_follow_their_images_through_box_and_crop():
    labels = np.zeros((40, 40), np.uint8)
    labels[10:20, 20:30] = 3
    image = np.repeat((labels * 80)[..., None], 3, 2)
    data = landmark_dataset([png(image)], ["a"], boxes=[[10, 0, 40, 40]], masks=[png(labels)])
    masks = read_masks(data, Preprocessing(resize=80, crop=8), 4, 1)
    expected = np.zeros((80, 80), np.uint8)
    expected[20:40, 20:40] = 3
    np.testing.assert_array_equal(masks[0], expected[8:72, 8:72])
    with pytest.raises(DataError, match=r"mask of a has the label 3; there are 3 classes"):
        read_masks(data, Preprocessing(resize=80, crop=8), 3, 1)


def test_a_mask_enters_the_fingerprint(tmp_path, monkeypatch):
    monkeypatch.setenv("LMBENCH_CACHE", str(tmp_path / "cache"))
    folder = helen_tree(tmp_path)
    before = open_dataset("helen", tmp_path).fingerprint
    part = folder / "labels" / "101_1" / "101_1_lbl01.png"
    part.write_bytes(png(np.zeros((30, 40))))
    assert open_dataset("helen", tmp_path).fingerprint != before


def confusions(counts, ids, classes, **more):
    return Confusions(task="segmentation", counts=counts, image_ids=ids, classes=tuple(classes), **more)


def planted(images=6, classes=4, cells=16):
    """Maps whose channels are the classes one-hot under a random mixture, with an offset; and the masks."""
    chance = torch.Generator().manual_seed(0)
    masks = torch.randint(classes, (images, cells, cells), generator=chance)
    mixture = torch.randn(7, classes, generator=chance)
    maps = torch.einsum(
        "kc,bchw->bkhw", mixture, torch.nn.functional.one_hot(masks, classes).permute(0, 3, 1, 2).float()
    )
    return FeatureMaps((maps * 5 + 3,), (cells, cells)), masks


def test_classes_that_a_linear_map_separates_are_all_found():
    maps, masks = planted()
    inputs = TensorInputs(16, maps=maps)
    mean, deviation = inputs.statistics()
    settings = SegmentationSettings(size=16, steps=80, batch_size=4, lr=0.1)
    filters, bias = fit_classifier(
        inputs, masks, torch.arange(4), 4, mean, deviation, settings, torch.Generator().manual_seed(0)
    )
    counts = confusion_counts(inputs, masks, filters, bias)
    result = pixel_accuracy(confusions(counts[None], np.arange(6).astype(str), "abcd"))
    assert float(result.aggregate[0]) == 100.0
    assert filters.shape == (4, 7)


def test_counts_and_accuracy_are_those_of_a_walk_over_the_pixels():
    maps, masks = planted()
    chance = torch.Generator().manual_seed(1)
    filters, bias = torch.randn(4, 7, generator=chance), torch.randn(4, generator=chance)
    inputs = TensorInputs(16, maps=maps)
    counts = confusion_counts(inputs, masks, filters, bias)
    full = maps.materialise().double()
    expected = np.zeros((6, 4, 4), int)
    for i in range(6):
        for y in range(16):
            for x in range(16):
                given = int((filters.double() @ full[i, :, y, x] + bias.double()).argmax())
                expected[i, int(masks[i, y, x]), given] += 1
    np.testing.assert_array_equal(counts, expected)
    result = pixel_accuracy(confusions(counts[None], np.arange(6).astype(str), "abcd"))
    right = sum(expected[i, c, c] for i in range(6) for c in range(4))
    assert float(result.aggregate[0]) == pytest.approx(100 * right / (6 * 256))
    assert result.values.shape == (1, 6, 1)


def test_confusions_are_read_as_they_were_written_and_damage_is_told(tmp_path):
    counts = np.arange(2 * 3 * 4).reshape(2, 3, 2, 2)
    ids = np.array(["a", "b", "c"])
    written = confusions(counts, ids, "xy", n_annotations=20, settings={"steps": 3})
    path = written.write(tmp_path)
    again = Confusions.read(tmp_path, "segmentation-n20")
    assert again is not None
    np.testing.assert_array_equal(again.counts, counts)
    assert again.image_ids.tolist() == ids.tolist()
    assert (again.classes, again.n_annotations, again.settings) == (("x", "y"), 20, {"steps": 3})
    path.write_bytes(b"broken")
    with pytest.raises(DataError, match="is damaged"):
        Confusions.read(tmp_path, "segmentation-n20")


def test_an_image_without_pixels_is_no_number():
    with pytest.raises(DataError, match="image b"):
        pixel_accuracy(confusions(np.array([[np.eye(2), np.zeros((2, 2))]]), np.array(["a", "b"]), "xy"))


@given(st.integers(0, 2**32 - 1))
def test_the_overlap_of_figures_is_that_of_a_walk_over_the_pixels(seed):
    chance = np.random.default_rng(seed)
    classes, pixels = int(chance.integers(2, 5)), int(chance.integers(1, 30))
    true, found = chance.integers(0, classes, (2, 3, pixels))
    found[:, : pixels // 2] = true[:, : pixels // 2]
    true[0] = found[0] = 0  # no figure at all, and none found
    counts = np.zeros((1, 3, classes, classes), int)
    expected = []
    for i in range(3):
        both = either = 0
        for t, f in zip(true[i], found[i], strict=True):
            counts[0, i, t, f] += 1
            both += int(t > 0 and f > 0)
            either += int(t > 0 or f > 0)
        expected.append(100 * both / either if either else 100.0)
    result = figure_iou(confusions(counts, np.array(["a", "b", "c"]), "wxyz"[:classes]))
    np.testing.assert_allclose(result.values[0, :, 0], expected)
    assert float(result.aggregate[0]) == pytest.approx(np.mean(expected))


def bird_tree(root, inside=False):
    """CUB with masks and split lists below ``root``: its folder, the folder of the masks, the names of the birds."""
    cub_tree(root)
    folder = root / "CUB_200_2011"
    benchmark = cub.read_metadata(Originals("cub", folder, cub.GET))
    names = [n for n, s in zip(benchmark.names, benchmark.species, strict=True) if s in cub.PASSEROIDEA]
    cub_lists(folder, {"train": names[:-3], "val": names[-3:-2], "test": names[-2:]})
    return folder, cub_masks(root, names, inside), names


@pytest.mark.parametrize("inside", [False, True])
def test_figures_are_what_more_than_half_of_the_annotators_saw_in_the_splits_of_cub(tmp_path, inside):
    folder, _, _ = bird_tree(tmp_path, inside)
    splits, parts = cub_figure.load(folder), cub.load(folder)
    assert {k: v["source_id"][:] for k, v in splits.items()} == {k: v["source_id"][:] for k, v in parts.items()}
    mask = np.asarray(Image.open(io.BytesIO(splits["train"][0]["mask"]["bytes"])))
    np.testing.assert_array_equal(mask, np.repeat([[1] * 30 + [0] * 30], 40, 0))


def test_masks_of_birds_that_are_missing_damaged_or_empty_are_named(tmp_path):
    folder, masks, names = bird_tree(tmp_path)
    path = (masks / names[0]).with_suffix(".png")
    path.write_bytes(png(np.full((40, 60), 127)))
    with pytest.raises(DataError, match=f"{path.name} shows no bird"):
        cub_figure.load(folder)
    path.write_bytes(b"no image")
    with pytest.raises(DataError, match=f"{path.name} is no image"):
        cub_figure.load(folder)
    path.unlink()
    with pytest.raises(DataError, match=f"{path.name} is missing.*segmentations.tgz"):
        cub_figure.load(folder)
    masks.rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=r"segmentations is missing\. Unpack segmentations.tgz"):
        cub_figure.load(folder)


def test_verify_counts_figures_and_says_which_split_it_is(tmp_path, capsys):
    bird_tree(tmp_path)
    run_cli(["data", "verify", "cub_figure", "--data-root", str(tmp_path)])
    said = " ".join(capsys.readouterr().out.split())
    assert "ground in 5, bird in 5" in said
    assert cub.LISTS_OF_THE_PAPER in said


def test_tasks_are_refused_where_the_dataset_has_not_what_they_need():
    plugins = get_plugins()
    with pytest.raises(UsageError, match=r"regression needs annotated landmarks.*--tasks segmentation"):
        resolve_run(plugins, "random", "helen", overrides=[{"tasks": ("regression",)}])
    with pytest.raises(UsageError, match="needs a class for every pixel"):
        resolve_run(plugins, "random", "synthfaces", overrides=[{"tasks": ("segmentation",)}])


def test_a_run_on_helen_gives_a_row_for_every_number_of_images(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LMBENCH_CACHE", str(tmp_path / "cache"))
    helen_tree(tmp_path, train=5, test=3)
    arguments = [
        "run", "--method", "random", "--dataset", "helen", "--preset", "smoke", "--tasks", "segmentation", "--json",
        "--data-root", str(tmp_path), "--runs", str(tmp_path / "runs"), "--device", "cpu",
        "--set", "segmentation.annotations=(2,'all')", "--set", "segmentation.draws=2", "--set", "segmentation.steps=3",
        "--set", "segmentation.size=16", "--set", "segmentation.batch_size=2",
    ]  # fmt: skip
    assert run_cli(arguments) == 0
    record = json.loads(capsys.readouterr().out)
    rows = [(m["metric"], m["n_annotations"], m["draws"], m["unit"], m["images"]) for m in record["metrics"]]
    assert rows == [
        (metric, n, draws, "percent", 3)
        for n, draws in ((2, 2), ("all", None))
        for metric in ("pixel_accuracy", "figure_iou")
    ]
    assert all(0 <= m["value"] <= 100 for m in record["metrics"])
    assert (tmp_path / "runs" / record["run"] / Path(record["predictions"][0])).is_file()
    run = str(tmp_path / "runs" / record["run"])
    with Image.open(Path(run) / "segmentation.png") as picture:  # three images above true and given classes
        assert picture.size == (3 * 256, 3 * 256)
    assert run_cli(["compare", run, run, "--json"]) == 0  # per image, as the numbers of landmarks are
    compared = json.loads(capsys.readouterr().out)
    assert '"pixel_accuracy"' in json.dumps(compared)


def test_verify_tells_how_many_images_have_each_class_and_names_a_wrong_mask(tmp_path, capsys):
    root = tmp_path / "data"
    folder = helen_tree(root)
    run_cli(["data", "verify", "helen", "--data-root", str(root)])
    assert "background in 4, skin in 4, left_brow in 0" in capsys.readouterr().out
    for part in range(11):
        write_part(folder, "102_1", part, (20, 30))
    assert run_cli(["data", "verify", "helen", "--data-root", str(root)]) == 5
    assert "the mask of 102_1 has (20, 30) pixels, its image [40 30]" in capsys.readouterr().out


def test_show_paints_the_classes_below_the_images(tmp_path):
    root, out = tmp_path / "data", tmp_path / "sheet.png"
    helen_tree(root)
    assert run_cli(["data", "show", "helen", "--data-root", str(root), "-n", "2", "-o", str(out)]) == 0
    with Image.open(out) as sheet:
        side = get_plugins().find("dataset", "helen").spec.preprocessing.size * 2
        assert sheet.size == (2 * side, 2 * side)
        left, nose = (np.asarray(sheet.convert("RGB"))[:, int(at * side)] for at in (0.1, 0.6))
    assert np.abs(left[:side].astype(int) - left[side:]).mean() < 1  # background stays as it is
    assert np.abs(nose[:side].astype(int) - nose[side:]).mean() > 20
