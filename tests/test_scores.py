"""What numbers are the means of: from predictions, by leaving images out, and as kept beside the records."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, replace

import numpy as np
import pytest
from made_runs import IMAGES, predicted, run_of

from lmbench.errors import DataError, StaleError
from lmbench.metrics.base import MetricResult, Predictions
from lmbench.metrics.pixels import Confusions, pixel_accuracy
from lmbench.metrics.scoring import iod
from lmbench.metrics.stored import StoredResult
from lmbench.plugins.loading import get_plugins
from lmbench.results.measuring import MOST_GROUPS, jackknife, measured
from lmbench.results.reading import read_record
from lmbench.results.scores import (
    MAGIC,
    Scores,
    _packed,
    difference_of,
    estimate_of,
    keep_scores,
    kept_scores,
    path_of,
    scores_of,
    unpaired,
)

FEW = {"draw_indices": [[1, 2], [3, 4], [5, 6]], "head": "core:ols 1"}


@pytest.fixture
def run(tmp_path):
    """(folder, record): numbers of all annotations and of three draws of two."""
    folder = run_of(tmp_path / "a", predicted(1.0), predicted(1.3, n=2, draws=3, settings=FEW))
    return folder, read_record(folder / "record.json")


def test_scores_are_the_means_of_all_numbers_of_a_run_and_give_its_intervals(run):
    folder, record = run
    scores = scores_of(folder, record, get_plugins())
    assert [row.key for row in record.rows] == list(scores)
    for row in record.rows:
        found = scores[row.key]
        assert found.values.shape == (row.draws or 1, IMAGES)
        assert found.values.mean() == pytest.approx(row.value, rel=1e-12)
        known = estimate_of({0: found})
        assert (known.low, known.high) == pytest.approx(row.ci95, rel=1e-12)


def test_the_interval_of_a_row_is_wider_for_draws_that_differ():
    """Before, the images alone were drawn anew."""
    rng = np.random.default_rng(0)
    alike = predicted(1.0, n=2, draws=5, settings=FEW)
    apart = replace(alike, predicted=alike.predicted + rng.normal(0, 15, (5, 1, 1, 2)))
    intervals = []
    for p in (alike, apart):
        (row,) = measured(replace(p, metrics=("iod",)), get_plugins())
        known = estimate_of({0: Scores(("regression", "iod", None, 2), row.contributions, IMAGES)})
        of_images = row.contributions.mean(0).std(ddof=1) / np.sqrt(IMAGES) * 2.0
        intervals.append((known.high - known.low) / 2 / of_images)
    assert intervals[0] < 1.3 < 1.8 < intervals[1]


def test_kept_scores_give_the_intervals_that_the_predictions_give(run, tmp_path):
    folder, record = run
    path = keep_scores(tmp_path / "boards", folder, record, get_plugins())
    kept, fresh = kept_scores(tmp_path / "boards", record), scores_of(folder, record, get_plugins())
    assert path == path_of(tmp_path / "boards", record.run) and list(kept) == list(fresh)
    for key, scores in fresh.items():
        a, b = estimate_of({0: scores}), estimate_of({0: kept[key]})
        assert b.value == pytest.approx(a.value, rel=1e-12)
        assert b.high - b.low == pytest.approx(a.high - a.low, rel=1e-3)
        assert (kept[key].images, kept[key].truth) == (scores.images, scores.truth)


def test_a_difference_of_kept_scores_is_paired_by_image_and_draw(tmp_path):
    runs = [
        run_of(tmp_path / name, predicted(noise, n=2, draws=3, settings=FEW))
        for name, noise in (("a", 1.0), ("b", 1.1))
    ]
    records = [read_record(folder / "record.json") for folder in runs]
    for folder, record in zip(runs, records, strict=True):
        keep_scores(tmp_path / "boards", folder, record, get_plugins())
    key = ("regression", "iod", None, 2)
    fresh = difference_of(*({0: scores_of(f, r, get_plugins())[key]} for f, r in zip(runs, records, strict=True)))
    kept = difference_of(*({0: kept_scores(tmp_path / "boards", r)[key]} for r in records))
    assert (kept.low, kept.high) == pytest.approx((fresh.low, fresh.high), rel=1e-3)
    assert fresh.high < 0 and records[0].find(key).ci95[1] > records[1].find(key).ci95[0]  # pairing sees it


def test_equal_runs_give_equal_bytes_and_a_whole_file_is_left_alone(run, tmp_path):
    folder, record = run
    first, second = (keep_scores(tmp_path / name, folder, record, get_plugins()) for name in ("one", "two"))
    assert first.read_bytes() == second.read_bytes()
    before = first.stat().st_mtime_ns
    keep_scores(tmp_path / "one", folder, record, get_plugins())
    assert first.stat().st_mtime_ns == before


def test_a_run_without_its_predictions_keeps_what_was_kept_of_it(run, tmp_path):
    folder, record = run
    path = keep_scores(tmp_path / "boards", folder, record, get_plugins())
    content = path.read_bytes()
    for file in (folder / "predictions").iterdir():
        file.unlink()
    assert keep_scores(tmp_path / "boards", folder, record, get_plugins()) == path and path.read_bytes() == content
    assert keep_scores(tmp_path / "others", folder, record, get_plugins()) is None
    assert kept_scores(tmp_path / "others", record) == {}


def damaged(content):
    body = zlib.decompress(content[len(MAGIC) + 32 :])
    yield b""
    yield b"something else"
    yield content[:-7]
    yield content[:40] + bytes([content[40] ^ 1]) + content[41:]
    yield MAGIC + bytes(32) + zlib.compress(body)
    yield content[: len(MAGIC) + 32] + zlib.compress(bytes(2 << 20))


def test_a_damaged_file_is_named_and_written_anew_where_predictions_are_at_hand(run, tmp_path, monkeypatch):
    monkeypatch.setattr("lmbench.results.scores.LARGEST", 1 << 20)
    folder, record = run
    path = keep_scores(tmp_path, folder, record, get_plugins())
    whole = path.read_bytes()
    for content in damaged(whole):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"a\.scores is damaged .*leaderboard build. writes it anew"):
            kept_scores(tmp_path, record)
        keep_scores(tmp_path, folder, record, get_plugins())
        assert path.read_bytes() == whole


def test_the_file_of_another_record_is_refused(run, tmp_path):
    folder, record = run
    keep_scores(tmp_path, folder, record, get_plugins())
    document = {**record.to_json(), "seconds": 5.0, "sha256": "0" * 64}
    with pytest.raises(StaleError, match="is of another record than a"):
        kept_scores(tmp_path, type(record).of(document))


def test_seventy_runs_of_a_thousand_images_take_less_than_ten_megabytes(tmp_path):
    """20 numbers of 10 draws each: 72 files of the size of this one; values without any order, which pack the least."""
    rng = np.random.default_rng(0)
    folder = run_of(tmp_path / "a", predicted(1.0))
    record = read_record(folder / "record.json")
    truth = {"image ids": "0" * 16, "visible": "0" * 16, "target": "0" * 16}
    scores = {
        ("regression", f"m{i}", None, 10): Scores(
            ("regression", f"m{i}", None, 10), rng.gamma(2, 10, (10, 1000)), 1000, truth
        )
        for i in range(20)
    }
    assert 72 * len(_packed(record, scores)) < 3.5e6


# --- images left out: metrics with an aggregate of their own ---


def confusions(images=40, **changes):
    rng = np.random.default_rng(5)
    counts = rng.poisson(rng.uniform(1, 60, (1, images, 1, 1)), (2, images, 3, 3))
    counts[..., range(3), range(3)] += rng.integers(0, 200, (2, images, 3))
    ids = np.array([f"{i}" for i in range(images)])
    made = Confusions(task="segmentation", counts=counts, image_ids=ids, classes=("a", "b", "c"))
    return replace(made, **changes)


def test_a_ratio_over_all_pixels_is_told_from_a_mean_and_linearised_by_leaving_images_out():
    """Its slopes by hand: what an image has right beyond the ratio of its pixels, over the mean number of pixels."""
    stored = confusions()
    result = pixel_accuracy(stored)
    assert result.contributions() is None
    pixels, right = stored.counts.sum((2, 3)), np.trace(stored.counts, axis1=2, axis2=3)
    ratio = right.sum(1, keepdims=True) / pixels.sum(1, keepdims=True)
    expected = 100 * (ratio + (right - ratio * pixels) / pixels.mean(1, keepdims=True))
    (number,) = measured(replace(stored, metrics=("pixel_accuracy",)), get_plugins())
    np.testing.assert_allclose(number.contributions.mean(1), result.aggregate, rtol=1e-12)
    np.testing.assert_allclose(number.contributions - 100 * ratio, expected - 100 * ratio, rtol=0.05, atol=0.3)
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, 40, (4000, 40))
    spread = np.std([100 * right[:, d].sum() / 2 / (pixels[:, d].sum() / 2) for d in drawn])
    known = estimate_of({0: Scores(("segmentation", "pixel_accuracy", None, "all"), number.contributions[:1], 40)})
    assert (known.high - known.low) / 2 == pytest.approx(2.02 * spread, rel=0.25)


def test_leaving_images_out_of_a_mean_is_its_formula():
    stored = predicted(1.0, n=2, draws=2)
    result = iod(stored)
    np.testing.assert_allclose(jackknife(iod, stored, result.aggregate), result.contributions(), rtol=1e-9)


def test_thousands_of_images_are_left_out_in_groups():
    stored = confusions(images=1003)
    found = jackknife(pixel_accuracy, stored, pixel_accuracy(stored).aggregate)
    assert found.shape == (2, MOST_GROUPS)
    np.testing.assert_allclose(found.mean(1), pixel_accuracy(stored).aggregate, rtol=1e-12)


@dataclass(frozen=True, kw_only=True)
class Single(StoredResult):
    """A result that is stored as one row, not by images."""

    def table(self):
        return {"nothing": np.zeros(1)}, (1,)

    @classmethod
    def of_table(cls, columns, shape, note):
        raise AssertionError("never asked")

    def check(self):
        pass

    def scored(self):
        return np.ones((1, len(self.image_ids), 1), bool)

    @classmethod
    def example(cls, task, noise, settings):
        raise AssertionError("never asked")


def test_a_result_that_is_not_stored_by_images_says_so():
    stored = Single(task="own", image_ids=np.array(["a", "b", "c"]))
    with pytest.raises(ValueError, match=r"does not go by 3 images"):
        stored.of_images(np.array([0]))


def test_some_images_of_predictions_are_those_images():
    stored = predicted(1.0, n=2, draws=3, parts={"left": (0, 1)}, source_scale=np.full((IMAGES, 2), 2.0))
    some = stored.of_images(np.array([4, 2]))
    assert isinstance(some, Predictions) and list(some.image_ids) == ["4.jpg", "2.jpg"]
    np.testing.assert_array_equal(some.predicted, stored.predicted[:, [4, 2]])
    np.testing.assert_array_equal(some.target, stored.target[[4, 2]])
    assert (some.parts, some.eyes, some.source_scale.shape) == (stored.parts, stored.eyes, (2, 2))


def test_an_aggregate_of_its_own_without_images_to_leave_out_has_the_interval_of_its_values():
    values = np.random.default_rng(0).uniform(0, 1, (1, 6, 1))
    assert MetricResult(values, np.array([values.max()])).contributions() is None


# --- what may be paired ---


def test_outputs_are_paired_on_the_same_images_whatever_their_seeds_and_on_the_same_truth_in_one_seed():
    def of(ids="i", target="t", images=5):
        return Scores(
            ("matching", "m", "same", None), np.zeros((1, images)), images, {"image ids": ids, "target": target}
        )

    assert unpaired({0: of(), 1: of(target="u")}, {0: of(), 1: of(target="u")}) == ""  # another seed warps anew
    assert unpaired({0: of()}, {1: of(target="u")}) == ""
    assert unpaired({0: of()}, {0: of(target="u")}) == "target"
    assert unpaired({0: of()}, {1: of(ids="j")}) == unpaired({0: of(), 1: of(ids="j")}, {0: of()}) == "image ids"
    assert unpaired({0: of()}, {0: of(images=4)}) == "image ids"


def test_a_record_that_its_predictions_do_not_give_keeps_no_scores(run, tmp_path):
    folder, record = run
    document = json.loads((folder / "record.json").read_text())
    document["metrics"][-1]["value"] += 0.5
    with pytest.raises(StaleError, match="One of the two was changed"):
        keep_scores(tmp_path, folder, type(record).of(document), get_plugins())
    assert not path_of(tmp_path, record.run).exists()
