"""lmbench from Python: the same runs, numbers and landmarks as on the command line, for images as people hold them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas
import pytest
import torch
from made_runs import compared, predicted, run_of
from PIL import Image
from small_runs import SMALL, command, recorded

import lmbench
from lmbench.data.opening import OpenDataset, open_dataset
from lmbench.errors import DataError, UsageError
from lmbench.results.run import Run

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def run(runs: Path) -> Run:
    """A small run made from Python."""
    return lmbench.run(
        "lead", "synthfaces", variant="hypercolumn", preset="smoke", annotations=[4, "all"], draws=2, device="cpu",
        precision="fp32", runs=runs, settings={k: () if v == "()" else v for k, v in SMALL.items()},
    )  # fmt: skip


@pytest.fixture(scope="module")
def data() -> OpenDataset:
    return open_dataset("synthfaces")


@pytest.fixture(scope="module")
def files(data: OpenDataset, tmp_path_factory) -> list[Path]:
    """The first test images as files."""
    place, found = tmp_path_factory.mktemp("images"), []
    for i, image in enumerate(data.splits["test"].with_format(None)[:3]["image"]):
        found.append(place / f"{i}.png")
        found[-1].write_bytes(image["bytes"])
    return found


def on_cpu(run: Run, *images, **more):
    return run.predict(*images, device="cpu", **more)


# --- the same run ---------------------------------------------------------------------------------------------------


def test_a_run_from_python_is_the_run_of_the_command_line(run: Run, runs: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in runs.rglob("*") if p.is_file()}
    shown = recorded(command(runs))
    assert shown == run.record.to_json()
    assert {p: p.stat().st_mtime_ns for p in runs.rglob("*") if p.is_file()} == before
    assert lmbench.load(run.folder).record == lmbench.load(run.folder / "record.json").record == run.record
    assert type(run) is lmbench.Run is Run


def test_its_numbers_are_a_table(run: Run) -> None:
    table = run.metrics
    assert isinstance(table, pandas.DataFrame) and len(table) == len(run.record.rows)
    row = next(r for r in run.record.rows if r.metric == "iod" and r.n_annotations == "all")
    (found,) = table[(table.metric == "iod") & (table.n_annotations == "all")].itertuples()
    assert (found.value, (found.ci95_low, found.ci95_high), found.images) == (row.value, row.ci95, row.images)


def test_importing_lmbench_imports_no_torch() -> None:
    script = (
        "import sys, lmbench; lmbench.load, lmbench.Run, dir(lmbench); print('torch' in sys.modules, lmbench.__all__)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("False") and "leaderboard" in done.stdout
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = lmbench.nothing  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"method": "leed"}, "Did you mean 'lead'"),
        ({"annotations": "five"}, "expected numbers and all"),
        ({"settings": {"read.sise": 8}}, "read.sise"),
        ({"settings": {"read..size": 8}}, "expected a name"),
        ({"settings": {"read.size": {1, 2}}}, "read.size"),
        ({"resume": "perhaps"}, "expected auto, never or require"),
    ],
)
def test_a_mistake_is_told_before_anything_is_computed(tmp_path: Path, asked: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        lmbench.run(
            **{"method": "lead", "dataset": "synthfaces", "preset": "smoke", "runs": tmp_path / "runs", **asked}
        )
    assert not (tmp_path / "runs").exists()


# --- landmarks and features -----------------------------------------------------------------------------------------


def test_landmarks_of_files_images_and_arrays_are_those_that_the_run_stored(run: Run, data, files) -> None:
    stored = run.predictions()
    steps = data.spec.preprocessing
    with Image.open(files[0]) as image:
        scale = np.array(image.size) / steps.resize
    wanted = (stored.predicted[0, :3] + steps.half + steps.crop) * scale - steps.half
    pictures = [Image.open(f) for f in files]
    arrays = np.stack([np.asarray(p.convert("RGB")) for p in pictures])
    for given in (files, [str(f) for f in files], pictures, list(arrays), arrays, arrays / 255.0):
        found = on_cpu(run, given)
        np.testing.assert_allclose(found.landmarks, wanted, atol=1e-3)
    landmarks, confidence = found
    assert landmarks is found.landmarks and len(found) == 3
    assert confidence.shape == landmarks.shape[:2] and ((confidence >= 0) & (confidence <= 1)).all()
    one = on_cpu(run, files[1])
    np.testing.assert_allclose(one.landmarks, wanted[1:2], atol=1e-3)
    assert one.table.columns.tolist() == ["image", "landmark", "x", "y", "confidence"]
    assert one.table.loc[3, ["x", "y"]].tolist() == one.landmarks[0, 3].tolist()
    assert set(one.table.image) == {str(files[1])} and tuple(one.table.landmark) == run.landmark_names


def test_a_tensor_is_what_the_network_sees(run: Run, data, files) -> None:
    seen = data.pixels("test").batch(np.arange(3))
    np.testing.assert_allclose(on_cpu(run, seen).landmarks, run.predictions().predicted[0, :3], atol=1e-3)
    np.testing.assert_array_equal(on_cpu(run, list(seen)).landmarks, on_cpu(run, seen).landmarks)
    np.testing.assert_array_equal(on_cpu(run, (seen * 255).byte()).landmarks, on_cpu(run, seen).landmarks)
    features, of_files = (run.extractor(images, device="cpu") for images in (seen, files))
    for own, theirs, frozen in zip(features.maps, of_files.maps, run.frozen("cpu").maps(seen).maps, strict=True):
        assert torch.equal(own, frozen) and torch.equal(theirs, frozen)
    assert features.materialise().shape == (3, features.dim, *features.size)
    assert run.extractor(torch.rand(3, 128, 160), device="cpu").maps[0].shape[-2:] > features.maps[0].shape[-2:]


def test_boxes_are_read_as_on_the_command_line(run: Run, files) -> None:
    whole, box = on_cpu(run, files, boxes="whole"), Image.open(files[0]).size
    np.testing.assert_array_equal(on_cpu(run, files, boxes=(0, 0, *box)).landmarks, whole.landmarks)
    apart = on_cpu(run, files[:2], boxes=[(0, 0, *box), (10, 10, 80, 80)])
    np.testing.assert_array_equal(apart.landmarks[0], whole.landmarks[0])
    assert apart.frames[1].tolist() == [10, 10, 80, 80]


def test_a_point_is_found_where_its_descriptor_is_most_alike(run: Run, data, files) -> None:
    """Against the full tensors: unit vectors of each layer, compared cell by cell."""
    found = run.match(files[0], [(60, 62), (40.5, 70)], [files[0], files[1]], device="cpu")
    seen = data.pixels("test").batch(np.arange(2))
    steps, maps = data.spec.preprocessing, run.frozen("cpu").maps(seen)
    full = maps.read(96, "layer").materialise()
    with Image.open(files[0]) as image:
        scale = steps.resize / image.width
    for p, point in enumerate([(60, 62), (40.5, 70)]):
        x, y = np.rint((np.array(point) + steps.half) * scale - steps.half - steps.crop).astype(int)
        alike = torch.einsum("c,bchw->bhw", full[0, :, y, x], full).flatten(1)
        best = alike.argmax(1)
        wanted = np.stack((best % 96, best // 96), 1)
        np.testing.assert_allclose(
            found.points[:, p], (wanted + steps.half + steps.crop) / scale - steps.half, atol=1e-3
        )
        np.testing.assert_allclose(found.similarity[:, p], alike.amax(1), atol=1e-4)
    assert np.abs(found.points[0] - [(60, 62), (40.5, 70)]).max() < 1 / scale  # in the image itself, to a cell


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        (np.zeros((3, 64, 64)), UsageError, "expected paths, PIL images, or arrays"),
        (np.zeros((64, 64, 3), np.int32), UsageError, "an array of int32"),
        (np.full((64, 64, 3), 2.0), DataError, "from 2 to 2; 0 .black. to 1"),
        (np.full((64, 64, 3), np.nan), DataError, "nan"),
        ([np.zeros((64, 64, 3)), torch.zeros(3, 96, 96)], UsageError, "image 1 is a Tensor"),
        (torch.zeros(1, 96, 96), UsageError, "expected .B, 3, H, W."),
        (torch.zeros(2, 3, 96, 96).int(), UsageError, "tensor of int32"),
        (torch.full((2, 3, 96, 96), 255.0), DataError, "from 255 to 255"),
        (torch.zeros(2, 3, 64, 64), UsageError, r"sees images \(B, 3, 96, 96\)"),
        ("nowhere.png", DataError, "nowhere.png: there is no such file"),
        (7, UsageError, "int: expected"),
    ],
)
def test_what_is_no_image_is_refused(run: Run, images, error, message: str) -> None:
    with pytest.raises(error, match=message):
        on_cpu(run, images)


def test_boxes_and_points_that_are_none_are_refused(run: Run, files) -> None:
    for boxes, message in (
        ("all", "expected whole or central"),
        ([(1, 2, 3)], "expected .left"),
        ("x", "expected whole"),
    ):
        with pytest.raises(UsageError, match=message):
            on_cpu(run, files, boxes=boxes)
    with pytest.raises(UsageError, match="tensors are what the network sees"):
        on_cpu(run, torch.zeros(1, 3, 96, 96), boxes="whole")
    for points, message in (((900, 5), "lies outside of what the network sees"), ([[1, 2, 3]], "expected .P, 2.")):
        with pytest.raises(UsageError, match=message):
            run.match(files[0], points, files[1], device="cpu")
    with pytest.raises(DataError, match="there is no record"):
        lmbench.load(files[0].parent)


def test_no_images_have_no_landmarks(run: Run) -> None:
    assert on_cpu(run, []).landmarks.shape == (0, len(run.landmark_names), 2)
    assert on_cpu(run, torch.zeros(0, 3, 96, 96)).landmarks.shape == (0, len(run.landmark_names), 2)


def test_an_exported_run_is_a_run_without_its_stages(run: Run, tmp_path: Path, monkeypatch) -> None:
    from lmbench.results.exported import export

    for n in (4, "all"):
        export(run, tmp_path / f"{n}.lmb", n)
    monkeypatch.setattr(Run, "_trained", None)
    images = torch.rand(2, 3, 96, 96)
    for n in (4, "all"):
        there = lmbench.load(tmp_path / f"{n}.lmb")
        assert there.record == run.record
        wanted = on_cpu(run, images, n_annotations=n).landmarks
        np.testing.assert_allclose(on_cpu(there, images).landmarks, wanted, atol=1e-4)


# --- comparing, boards ----------------------------------------------------------------------------------------------


def test_a_comparison_is_that_of_the_command_line(capsys, tmp_path: Path) -> None:
    pair = run_of(tmp_path / "a", predicted(1.0)), run_of(tmp_path / "b", predicted(1.1))
    told = json.loads(compared(capsys, *pair, "--json")[1])
    for a, b in (pair, map(lmbench.load, pair)):
        table = lmbench.compare(a, b)
        assert table.metric.tolist() == [c["metric"] for c in told] and table.p.tolist() == [c["p"] for c in told]
    assert lmbench.compare(*pair, tasks="regression").better.tolist() == [c["better"] for c in told]
    with pytest.raises(UsageError, match="expected a run"):
        lmbench.compare([], pair[0])


def test_a_leaderboard_is_the_kept_csv(tmp_path: Path) -> None:
    table = lmbench.leaderboard("synthfaces", "regression", runs=tmp_path, leaderboards=ROOT / "leaderboards")
    kept = pandas.read_csv(ROOT / "leaderboards" / "synthfaces_regression.csv", dtype={"n_annotations": str})
    pandas.testing.assert_frame_equal(table, kept)
    with pytest.raises(DataError, match=r"there is no board of synthface regression\. Did you mean 'synthfaces"):
        lmbench.leaderboard("synthface", "regression", runs=tmp_path, leaderboards=ROOT / "leaderboards")


# --- in a notebook --------------------------------------------------------------------------------------------------


def test_a_run_shows_itself_with_its_picture_and_nothing_of_others_is_markup(tmp_path: Path) -> None:
    hostile = run_of(tmp_path / "a", predicted(1.0), about={"method": "<script>x</script>", "dataset": "a\x1b&b"})
    found = lmbench.load(hostile)
    assert repr(found).startswith("<Run <script>x</script> / ") and "\n" not in repr(found)
    assert str(found).count("\n") >= 2 and "\x1b" not in repr(found) + str(found)
    shown = found._repr_html_()
    assert "<script" not in shown and "&lt;script&gt;" in shown and "\x1b" not in shown and "<img" not in shown
    Image.new("RGB", (8, 8)).save(hostile / "overlay.png")
    assert 'src="data:image/png;base64,iVBOR' in lmbench.load(hostile)._repr_html_()


def test_a_notebook_runs_and_shows_a_run(run: Run, files) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    cells = [
        "import lmbench",
        f"run = lmbench.load({str(run.folder)!r})\nrun",
        f"run.predict({str(files[0])!r}, device='cpu').table",
        "lmbench.run\nimport datasets",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    shown, landmarks = (notebook.cells[i].outputs[-1].data["text/html"] for i in (1, 2))
    assert "lead / hypercolumn on synthfaces" in shown and "data:image/png;base64," in shown
    assert "left_eye" in landmarks
    assert "IProgress" not in str(notebook.cells)  # no word of widgets that are not there
