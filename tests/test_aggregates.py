"""Micro and macro means, in batches or not, and what each image adds to them, against loops; what predictions keep on disk."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmbench.errors import DataError
from lmbench.metrics.aggregates import contributions, mean_of_scored
from lmbench.metrics.base import MetricResult, Predictions


def some_values(images=9, landmarks=4, draws=2, seed=0, hidden=0.3):
    rng = np.random.default_rng(seed)
    values = rng.uniform(0, 100, (draws, images, landmarks))
    values[:, rng.random((images, landmarks)) < hidden] = np.nan
    values[:, 0, 0] = 50.0
    return values


def looped(values, macro, batch):
    """The mean of one draw (N, L), by the definition."""
    means, weights = [], []
    for start in range(0, len(values), batch or len(values)):
        part = values[start : start + (batch or len(values))]
        of_landmarks = [column[~np.isnan(column)] for column in part.T]
        of_landmarks = [c for c in of_landmarks if len(c)]
        if of_landmarks:
            means.append(np.mean([c.mean() for c in of_landmarks]) if macro else np.concatenate(of_landmarks).mean())
            weights.append(len(part))
    return np.average(means, weights=weights)


KINDS = [(False, None), (True, None), (True, 4), (False, 4)]


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 12), st.integers(1, 5), st.integers(0, 1000), st.sampled_from(KINDS))
def test_each_mean_is_the_one_of_its_definition(images, landmarks, seed, kind):
    values = some_values(images, landmarks, seed=seed)
    expected = [looped(draw, *kind) for draw in values]
    np.testing.assert_allclose(mean_of_scored(values, *kind), expected, rtol=1e-12)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 12), st.integers(1, 5), st.integers(0, 1000), st.sampled_from(KINDS))
def test_the_mean_of_what_images_add_is_the_number(images, landmarks, seed, kind):
    values = some_values(images, landmarks, seed=seed)
    found = contributions(values, *kind)
    assert found.shape == values.shape[:2]
    np.testing.assert_allclose(found.mean(1), mean_of_scored(values, *kind), rtol=1e-12)


@pytest.mark.parametrize("macro", [False, True])
def test_what_an_image_adds_is_how_the_number_moves_when_it_counts_a_little_more(macro):
    """The slope in an image's weight, from images that stand there 1,000 times and one that stands there once more."""
    times, (values,) = 1000, some_values(hidden=0.3, draws=1)
    (found,) = contributions(values[None], macro)
    number, often = looped(values, macro, None), np.concatenate([values] * times)
    for image in range(len(values)):
        moved = looped(np.concatenate([often, values[image : image + 1]]), macro, None) - number
        assert found[image] - number == pytest.approx(moved * len(often), rel=0.01, abs=1e-6)


@pytest.mark.parametrize(("macro", "batch"), KINDS[:3])
def test_the_spread_of_a_resampled_mean_is_that_of_what_images_add(macro, batch):
    """Brute force: images drawn anew with all their landmarks, and the number taken again, 2,000 times."""
    rng = np.random.default_rng(3)
    values = some_values(images=80, draws=1, hidden=0.3)[0]
    values += rng.normal(0, 30, (80, 1))
    drawn = rng.integers(0, 80, (2000, 80))
    spread = np.std([looped(values[chosen], macro, 20 if batch else None) for chosen in drawn])
    (added,) = contributions(values[None], macro, 20 if batch else None)
    assert added.std() / np.sqrt(80) == pytest.approx(spread, rel=0.1)


def test_what_twenty_thousand_images_add_is_found_at_once():
    """0.03 s of one core where it was written; the bound leaves room for slower ones, not for a loop in Python."""
    values = np.random.default_rng(0).uniform(0, 100, (1, 20000, 68))
    started = time.process_time()
    contributions(values, macro=True)
    assert time.process_time() - started < 0.5


def test_a_part_is_the_same_kind_of_mean_and_none_where_it_is_never_seen():
    values = some_values(hidden=0.2)
    values[:, :, 3] = np.nan
    result = MetricResult.of(values, macro=True, batch=4)
    part = result.part([0, 2])
    assert (part.macro, part.batch) == (True, 4)
    np.testing.assert_allclose(part.aggregate, [looped(draw[:, [0, 2]], True, 4) for draw in values])
    assert result.part([3]) is None


def test_nothing_scored_is_an_error():
    with pytest.raises(DataError, match="no landmark is scored"):
        MetricResult.of(np.full((1, 3, 2), np.nan))


def predictions(**changes):
    rng = np.random.default_rng(0)
    target = rng.uniform(5, 60, (3, 4, 2))
    return Predictions(
        task="regression",
        predicted=target + rng.normal(0, 2, (2, 3, 4, 2)),
        target=target,
        visible=np.array([[True] * 4, [True, False, True, True], [True] * 4]),
        image_ids=np.array(["a", "b", "c"]),
        image_size=64,
        n_annotations=5,
        eyes=(0, 1),
        **changes,
    )


def test_predictions_are_read_as_they_were_written(tmp_path):
    written = predictions(
        settings={"head": "ols"},
        metrics=("pck_5pct", "iod"),
        landmark_names=("p", "q", "r", "s"),
        parts={"wing": (1, 2)},
        source_scale=np.array([[1.5, 2.0], [3.0, 1.0], [0.25, 7.0]]),
        normaliser=np.array([3.0, 4.5, 6.0]),
    )
    written.write(tmp_path)
    read = Predictions.read(tmp_path, written.name)
    for name, value in vars(written).items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(getattr(read, name), value, err_msg=name)
        else:
            assert getattr(read, name) == value, name


def test_predictions_of_before_there_were_metrics_and_parts_are_still_read(tmp_path):
    predictions().write(tmp_path)
    note = tmp_path / "regression-n5.json"
    content = json.loads(note.read_text())
    for key in ("metrics", "landmark_names", "parts", "source_scale", "normaliser"):
        content.pop(key)
    note.write_text(json.dumps(content))
    (tmp_path / "manifest.json").unlink()  # nor were there checksums
    read = Predictions.read(tmp_path, "regression-n5")
    assert (read.metrics, read.landmark_names, read.parts) == ((), (), {})
    assert read.source_scale is None and read.normaliser is None
