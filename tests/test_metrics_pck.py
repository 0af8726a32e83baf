"""PCK, box and backward errors against loops and invariances; rows of parts; what is refused, with the image's name."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmbench import runner
from lmbench.data.pixels import PixelStore
from lmbench.errors import DataError
from lmbench.metrics.base import Predictions
from lmbench.metrics.scoring import backward_iod, bbc_pck, box_error, iod, pck_5pct, pck_6px, pck_cub_truncated
from lmbench.plugins.loading import get_plugins
from lmbench.results.measuring import measure, results
from lmbench.tasks.settings import RegressionSettings

NAMES = ("head", "wrist", "elbow")


def bodies(images=8, seed=0, side=64, noise=3.0, **changes):
    """Two draws of predictions for bodies of three joints, some of them hidden, the head never."""
    rng = np.random.default_rng(seed)
    target = rng.uniform(5, side - 5, (images, 3, 2))
    visible = rng.random((images, 3)) < 0.7
    visible[:, 0] = True
    made = Predictions(
        task="regression",
        predicted=target + rng.normal(0, noise, (2, images, 3, 2)),
        target=target,
        visible=visible,
        image_ids=np.array([f"{i}.jpg" for i in range(images)]),
        image_size=side,
        n_annotations="all",
        landmark_names=NAMES,
        source_scale=rng.uniform(1, 3, (images, 2)),
        normaliser=rng.uniform(10, 30, images),
    )
    return replace(made, **changes)


def counted(p, near):
    """Mean over joints of the share of their visible points for which ``near(draw, image, joint)`` holds."""
    values = []
    for draw in range(len(p.predicted)):
        joints = []
        for joint in range(p.target.shape[1]):
            hits = [near(draw, i, joint) for i in range(len(p.target)) if p.visible[i, joint]]
            if hits:
                joints.append(100 * sum(hits) / len(hits))
        values.append(sum(joints) / len(joints))
    return values


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 12), st.integers(0, 1000))
def test_each_pck_is_the_mean_over_joints_of_the_share_within_its_radius(images, seed):
    p = bodies(images, seed)
    offset = p.predicted - p.target

    def away(draw, i, joint, scale):
        return np.hypot(*(offset[draw, i, joint] * scale))

    expected = counted(p, lambda d, i, j: away(d, i, j, 1) < 0.05 * 64)
    np.testing.assert_allclose(pck_5pct(p).aggregate, expected)
    expected = counted(p, lambda d, i, j: away(d, i, j, 128 / 64) <= 6)
    np.testing.assert_allclose(pck_6px(p).aggregate, expected)
    expected = counted(p, lambda d, i, j: away(d, i, j, p.source_scale[i] / 2) <= 6)
    np.testing.assert_allclose(bbc_pck(p).aggregate, expected)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 5))
def test_scaling_image_and_landmarks_changes_neither_pck_nor_the_box_error(seed, factor):
    p = bodies(seed=seed, visible=np.ones((8, 3), bool))
    larger = replace(p, predicted=p.predicted * factor, target=p.target * factor, image_size=p.image_size * factor)
    for metric in (pck_5pct, pck_6px, box_error):
        np.testing.assert_allclose(metric(larger).aggregate, metric(p).aggregate, rtol=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.randoms(use_true_random=False))
def test_the_order_of_images_changes_no_macro_pck(seed, chance):
    p = bodies(40, seed, visible=np.ones((40, 3), bool))
    p.visible[: seed % 40, 2] = False
    order = list(range(40))
    chance.shuffle(order)
    arrays = ("target", "visible", "image_ids", "source_scale", "normaliser")
    mixed = replace(p, predicted=p.predicted[:, order], **{a: getattr(p, a)[order] for a in arrays})
    for metric in (pck_5pct, pck_6px, bbc_pck, box_error, backward_iod):
        np.testing.assert_allclose(metric(mixed).aggregate, metric(p).aggregate, rtol=1e-12)


def test_truncation_counts_all_below_three_of_48_pixels_and_drops_what_is_annotated_at_zero():
    target = np.full((5, 1, 2), 20.0)
    target[4, 0, 0] = 0.0
    predicted = target + np.array([2.39, 2.41, 2.99, 3.0, 0.0])[:, None, None] * [1, 0]
    p = bodies(5, side=48, predicted=predicted[None], target=target, visible=np.ones((5, 1), bool))
    values = pck_cub_truncated(p).values[0, :, 0]
    np.testing.assert_array_equal(values, [100, 100, 100, 0, np.nan])
    np.testing.assert_array_equal(pck_5pct(p).values[0, :, 0], [100, 0, 0, 0, 100])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_box_and_backward_errors_are_distances_over_one_length_an_image(seed):
    p = bodies(seed=seed, visible=np.ones((8, 3), bool))
    for i in range(8):
        width, height = p.target[i].max(0) - p.target[i].min(0)
        away = np.linalg.norm(p.predicted[:, i] - p.target[i], axis=-1)
        np.testing.assert_allclose(box_error(p).values[:, i], 100 * away / np.sqrt(width * height))
        np.testing.assert_allclose(backward_iod(p).values[:, i], 100 * away / p.normaliser[i])


def test_the_box_is_that_of_the_visible_landmarks():
    p = bodies(2, visible=np.array([[True, True, False], [True, True, True]]))
    p.target[0, 2] = 1e6
    width, height = np.abs(p.target[0, 0] - p.target[0, 1])
    away = np.linalg.norm(p.predicted[0, 0, 0] - p.target[0, 0])
    assert box_error(p).values[0, 0, 0] == pytest.approx(100 * away / np.sqrt(width * height))


@pytest.mark.parametrize("length", [0.0, np.nan, np.inf])
def test_an_image_without_a_length_to_divide_by_is_named(length):
    p = bodies()
    p.normaliser[5] = length
    with pytest.raises(DataError, match=r"backward_iod.*zero or missing in image 5\.jpg \(1 of 8"):
        backward_iod(p)


def test_a_box_without_area_is_named_and_an_image_with_nothing_visible_is_not_asked_for_one():
    p = bodies(visible=np.ones((8, 3), bool))
    p.visible[2] = False
    assert np.isnan(box_error(p).values[:, 2]).all()
    p.visible[3, 1:] = False
    with pytest.raises(DataError, match=r"box_error.*zero or missing in image 3\.jpg"):
        box_error(p)


@pytest.mark.parametrize("metric", [pck_5pct, pck_cub_truncated, pck_6px, bbc_pck, box_error, backward_iod])
def test_a_prediction_that_is_no_number_is_named_and_nothing_visible_is_an_error(metric):
    p = bodies(visible=np.ones((8, 3), bool))
    p.predicted[1, 4, 0, 1] = np.nan
    with pytest.raises(DataError, match=r"a prediction is NaN or infinite in image 4\.jpg"):
        metric(p)
    with pytest.raises(DataError, match="no landmark is scored"):
        metric(bodies(visible=np.zeros((8, 3), bool)))


def test_what_was_stored_without_the_source_scale_or_eyes_says_so():
    with pytest.raises(DataError, match=r"stored without\. Measure anew"):
        bbc_pck(bodies(source_scale=None))
    with pytest.raises(DataError, match="names its two eyes"):
        list(results(bodies(metrics=("iod",)), get_plugins()))
    with pytest.raises(DataError, match="the metric matching_error judges matching, not regression"):
        list(results(bodies(metrics=("matching_error",)), get_plugins()))


def test_an_image_that_cannot_be_judged_is_named_before_anything_is_trained():
    points = np.random.default_rng(0).uniform(5, 60, (8, 3, 2)).astype(np.float32)
    points[6] = points[6, :1]
    ids = np.array([f"{i}.jpg" for i in range(8)])
    pixels = PixelStore(np.zeros((8, 64, 64, 3), np.uint8), points, np.ones((8, 3), bool), np.full(8, -1), ids, "")
    spec = SimpleNamespace(eyes=None, hidden_annotated=False, metrics=("box_error",), landmark_names=NAMES, parts={})
    context = SimpleNamespace(
        config=SimpleNamespace(tasks=("regression",)), dataset=SimpleNamespace(spec=spec), test=pixels,
        plugins=get_plugins(), settings_of=lambda task: RegressionSettings(),
    )  # fmt: skip
    with pytest.raises(DataError, match=r"zero or missing in image 6\.jpg"):
        runner.check_judgeable(context)
    context.test = pixels.first(6)
    runner.check_judgeable(context)


def rows_of(p):
    return {(r.metric, r.subset): r for r in measure(p, get_plugins())}


def test_a_dataset_is_judged_by_its_own_metrics_and_pck_landmark_by_landmark():
    rows = rows_of(bodies(metrics=("pck_6px", "box_error"), visible=np.ones((8, 3), bool)))
    assert list(rows) == [("pck_6px", None), *(("pck_6px", name) for name in NAMES), ("box_error", None)]
    parts = [rows["pck_6px", name].value for name in NAMES]
    assert rows["pck_6px", None].value == pytest.approx(np.mean(parts))
    for row in rows.values():
        assert row.ci95[0] <= row.value <= row.ci95[1] and row.images == 8
    assert rows["pck_6px", "head"].points == 8 and rows["pck_6px", "head"].higher_is_better is True


def test_the_parts_of_a_dataset_count_each_joint_once_in_the_whole():
    """As BBC Pose averages: (head + 2 wrists) / 3, not the mean of head and wrists."""
    p = bodies(metrics=("pck_6px",), parts={"head": (0,), "wrist": (1, 2)}, visible=np.ones((8, 3), bool))
    rows = rows_of(p)
    whole, head, wrist = (rows["pck_6px", part].value for part in (None, "head", "wrist"))
    assert whole == pytest.approx((head + 2 * wrist) / 3)


def test_parts_of_an_error_of_distances_are_its_means_over_their_landmarks():
    p = bodies(metrics=("iod",), eyes=(0, 1), parts={"eyes": (0, 1)}, visible=np.ones((8, 3), bool))
    assert rows_of(p)["iod", "eyes"].value == pytest.approx(iod(p).values[:, :, :2].mean())


def test_a_part_that_is_never_visible_has_no_row_and_a_layer_alone_no_parts():
    seen = np.ones((8, 3), bool)
    seen[:, 2] = False
    p = bodies(metrics=("pck_6px",), visible=seen)
    assert list(rows_of(p)) == [("pck_6px", None), ("pck_6px", "head"), ("pck_6px", "wrist")]
    assert list(rows_of(replace(p, subset="conv5_x"))) == [("pck_6px", "conv5_x")]


def test_many_landmarks_are_not_listed_one_by_one():
    p = bodies(metrics=("pck_5pct",), landmark_names=tuple(f"p{i}" for i in range(21)))
    assert list(rows_of(p)) == [("pck_5pct", None)]
