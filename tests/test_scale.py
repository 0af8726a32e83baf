"""Sensitivity to scale: images zoom with their landmarks, and a head that is right at one scale is judged at others."""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from lmbench.cli.main import run_cli
from lmbench.config.model import Read
from lmbench.config.resolving import resolve_run
from lmbench.data.opening import OpenDataset
from lmbench.data.schema import landmark_dataset
from lmbench.errors import DataError, UsageError
from lmbench.features import Extractor
from lmbench.geometry.framing import Preprocessing
from lmbench.metrics.scoring import iod
from lmbench.plugins.loading import get_plugins
from lmbench.results.measuring import measure
from lmbench.runner import check_judgeable
from lmbench.specs import DatasetSpec
from lmbench.tasks import regression, scale
from lmbench.tasks.base import TaskContext
from lmbench.tasks.settings import ScaleSettings
from lmbench.tasks.zooming import zoomed, zoomed_pixels

CPU = torch.device("cpu")
SIDE = 120  # of the source images; their boxes are the middle half
BOX = (30.0, 30.0, 60.0, 60.0)
STEPS = Preprocessing(resize=48, crop=4)
SPEC = DatasetSpec(
    name="blobs", summary="three blobs", splits={"train": 24, "test": 8}, preprocessing=STEPS,
    landmark_names=("left", "right", "mouth"), eyes=(0, 1),
)  # fmt: skip


def png(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def blobs(count, seed, boxes=True, spread=3.0):
    """Black images with a red, a green and a blue blob, each a landmark."""
    rng = np.random.default_rng(seed)
    points = np.array([[54.0, 54], [66, 54], [60, 66]]) + rng.uniform(-spread, spread, (count, 3, 2))
    y, x = np.mgrid[:SIDE, :SIDE]
    images = [
        np.stack([255 * np.exp(-((x - px) ** 2 + (y - py) ** 2) / 18) for px, py in p], -1).round().astype(np.uint8)
        for p in points
    ]
    ids = [f"{seed}-{i}" for i in range(count)]
    return landmark_dataset([png(i) for i in images], ids, points, boxes=[BOX] * count if boxes else None)


class Centroids(nn.Module):
    """Discovers the centre of mass of every colour: landmarks that follow any zoom exactly."""

    def forward(self, images):
        return {"colour": images}

    def landmarks(self, images):
        steps = torch.arange(images.shape[-1], dtype=images.dtype)
        mass = images.sum((2, 3))
        return torch.stack([(images.sum(2) * steps).sum(-1) / mass, (images.sum(3) * steps).sum(-1) / mass], -1)


@pytest.fixture
def context_of(tmp_path, monkeypatch):
    """Makes a context of the blobs."""
    monkeypatch.setenv("LMBENCH_CACHE", str(tmp_path / "cache"))

    def make(head, factors, network=True, spec=SPEC, **settings):
        data = OpenDataset(
            "blobs", SimpleNamespace(spec=spec), {"train": blobs(24, 1), "test": blobs(8, 2)}, "blobs", ""
        )
        plugins, regression = get_plugins(), {"head": head, "head_settings": settings}
        config = replace(
            resolve_run(plugins, "mean_shape", "synthfaces", overrides=[{"regression": regression}, {"tasks": ["scale"]}]),
            encode_batch=8, read=Read(size=10),
        )  # fmt: skip
        extractor = Extractor(Centroids(), ("colour",), 10) if network else None
        sections = {**config.settings, "scale": ScaleSettings(factors)}
        return TaskContext(replace(config, settings=sections), data, CPU, plugins, tmp_path / "run", extractor)

    return make


def scaled(context):
    """What the task finds out in a context."""
    scale.run(context, context.settings_of("scale"))
    return context.results_of("scale")


def errors(found):
    """Factor -> IOD in percent."""
    return {p.subset: float(iod(p).aggregate[0]) for p in found}


def test_a_zoomed_box_keeps_its_centre():
    data = blobs(2, 0)
    boxes = np.array(zoomed(data, 1.5, "test")["box"][:])
    np.testing.assert_allclose(boxes, [[15, 15, 90, 90]] * 2)
    assert zoomed(data, 1.5, "test").features == data.features
    np.testing.assert_allclose(data["box"][0], BOX)


def test_a_whole_image_is_zoomed_as_a_box_of_its_size():
    boxes = np.array(zoomed(blobs(2, 0, boxes=False), 0.5, "test")["box"][:])
    np.testing.assert_allclose(boxes, [[30, 30, 60, 60]] * 2)


@pytest.mark.parametrize("centres", ["papers", "kept"])
@pytest.mark.parametrize("factor", [0.8, 1.3, 2.0])
def test_landmarks_are_where_the_zoomed_image_shows_them(context_of, factor, centres):
    spec = replace(SPEC, preprocessing=replace(STEPS, centres=centres))
    context = context_of("ols", (factor,), spec=spec)
    seen = zoomed_pixels(context.dataset, "test", factor)
    judged = scale.judged_at(context, factor, context.test.landmarks[None])
    at_one = Centroids().landmarks(context.test.batch(np.arange(8))).numpy() - context.test.landmarks
    found = Centroids().landmarks(seen.batch(np.arange(8))).numpy()
    np.testing.assert_allclose(found - judged.target, at_one, atol=0.05)  # beside their pixels as much as at factor 1
    np.testing.assert_allclose(judged.source_scale, seen.source_scale)


def test_beyond_the_source_image_is_black(context_of):
    context = context_of("ols", (4.0,))
    images = zoomed_pixels(context.dataset, "test", 4.0).images
    assert images[:, :7].max() == 0 and images[:, :, :7].max() == 0
    assert images.max() > 50


def test_a_head_on_landmarks_that_follow_the_zoom_is_right_at_every_scale(context_of, tmp_path):
    found = scaled(context_of("ols", (0.8, 1.0, 1.5, 2.0), bias=True))
    assert list(errors(found)) == ["0.8", "1", "1.5", "2"]
    assert max(errors(found).values()) < 0.7
    assert [p.settings["zoom_out_factor"] for p in found] == [0.8, 1.0, 1.5, 2.0]
    assert sorted(path.name for path in (tmp_path / "run" / "frozen").iterdir() if path.is_dir()) == ["test", "train"]


def test_the_error_of_a_head_that_looks_at_nothing_is_that_of_zoomed_landmarks(context_of):
    context = context_of("mean_shape", (0.8, 1.0, 2.0), network=False)
    found = scaled(context)
    mean = context.train.landmarks.astype(float).mean(0)
    for factor in (0.8, 1.0, 2.0):
        expected = []
        for points in context.test.landmarks.astype(float):
            # 60 source pixels become 48: a landmark of the convention lies 0.1 px right of and below its pixel
            truth = (points - 0.1 - 19.5) / factor + 19.5 + 0.1
            eyes = np.hypot(*(truth[0] - truth[1]))
            expected += [100 * np.hypot(*(m - t)) / eyes for m, t in zip(mean, truth, strict=True)]
        assert errors(found)[f"{factor:g}"] == pytest.approx(np.mean(expected), rel=1e-5)


def test_at_factor_one_it_is_the_regression_to_the_last_bit_by_the_same_head(context_of, tmp_path):
    context = context_of("softargmax_conditioned", (1.0, 1.4), steps=3)
    head = tmp_path / "run" / "heads" / "regression-nall.safetensors"
    regression.run(context, context.settings_of("regression"))
    kept = head.stat().st_mtime_ns
    (regressed,), (zoomed_at_one, _) = context.results_of("regression"), scaled(context)
    assert zoomed_at_one.name == "scale-1-nall"
    for array in ("predicted", "target", "visible"):
        assert np.array_equal(getattr(regressed, array), getattr(zoomed_at_one, array))
    assert regressed.settings.items() <= zoomed_at_one.settings.items()
    assert head.stat().st_mtime_ns == kept  # not fitted again

    shutil.rmtree(tmp_path / "run")
    (by_itself,) = scaled(context_of("softargmax_conditioned", (1.0,), steps=3))
    assert np.array_equal(by_itself.predicted, regressed.predicted)


def test_what_is_kept_is_not_predicted_again(context_of, monkeypatch):
    names = [p.name for p in scaled(context_of("mean_shape", (1.0, 2.0), network=False))]
    assert names == ["scale-1-nall", "scale-2-nall"]
    monkeypatch.setattr(scale, "RunHead", None)  # whoever calls it fails
    assert [p.name for p in scaled(context_of("mean_shape", (1.0, 2.0), network=False))] == names


def test_landmarks_that_leave_the_image_are_counted_and_not_scored_and_their_eye_still_normalises(context_of):
    context = context_of("ols", (0.5,))
    points = np.array(context.test.landmarks)
    points[:] = [[15, 20], [25, 20], [20, 28]]
    points[0] = [[5, 20], [25, 20], [20, 28]]  # at half the box: [-9.1, 20.4], and the others inside
    points[1] = [[-3, 20], [25, 20], [20, 28]]  # outside from the first: judged as the regression judges it
    vars(context)["test"] = replace(context.test, landmarks=points)
    judged = scale.judged_at(context, 0.5, np.zeros((1, 8, 3, 2)))
    expected = np.ones((8, 3), bool)
    expected[0, 0] = False
    np.testing.assert_array_equal(judged.visible, expected)
    assert judged.settings["landmarks_that_left_the_image"] == 1
    (row,) = measure(replace(judged, predicted=judged.target[None] + [[[[2.0, 0.0]]]]), get_plugins())
    assert (row.task, row.subset, row.points) == ("scale", "0.5", 23)
    eyes = np.array([40.0, 56.0, *[20.0] * 6])
    counts = np.array([2, *[3] * 7])
    assert row.value == pytest.approx(float((100 * 2 / eyes * counts).sum() / counts.sum()), rel=1e-5)


def test_an_eye_without_a_place_is_refused_before_anything_is_zoomed(context_of):
    context = context_of("ols", (0.8, 2.0), network=False)
    points = np.repeat(np.float32([[[20, 20]]]), 24, 0).reshape(8, 3, 2)
    vars(context)["test"] = replace(context.test, landmarks=points)
    with pytest.raises(DataError, match="2-0"):
        check_judgeable(context)


@pytest.mark.parametrize("factors", ["()", "(1.0,1.0)", "(0.0,)", "(9,)", "('a',)"])
def test_impossible_factors_are_refused(factors):
    with pytest.raises(UsageError, match=r"scale\.factors"):
        resolve_run(get_plugins(), "random", "synthfaces", overrides=[{"scale": {"factors": eval(factors)}}])


def test_a_run_gives_a_row_a_factor_and_a_curve(tmp_path, capsys):
    arguments = [
        "run", "--method", "mean_shape", "--dataset", "synthfaces", "--preset", "smoke", "--tasks", "regression,scale",
        "--set", "scale.factors=(1.0,1.5)", "--json", "--runs", str(tmp_path / "runs"), "--device", "cpu",
    ]  # fmt: skip
    assert run_cli(arguments) == 0
    record = json.loads(capsys.readouterr().out)
    rows = {(m["task"], m["subset"]): m["value"] for m in record["metrics"]}
    assert set(rows) == {("regression", None), ("scale", "1"), ("scale", "1.5")}
    assert rows["scale", "1"] == rows["regression", None] < rows["scale", "1.5"]
    assert (tmp_path / "runs" / record["run"] / "scale.png").read_bytes().startswith(b"\x89PNG")
