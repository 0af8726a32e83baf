"""`lmbench compare`: what methods share, over images, draws and seeds; what does not belong together is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from made_runs import IMAGES, compared, predicted, run_of
from scipy import stats

from lmbench.metrics.base import Predictions


@pytest.fixture
def pair(tmp_path):
    """A run, and one whose errors are a tenth larger."""
    return run_of(tmp_path / "a", predicted(1.0)), run_of(tmp_path / "b", predicted(1.1))


def test_every_shared_number_stands_with_its_difference_and_interval(capsys, pair):
    code, out, _ = compared(capsys, *pair, "--json")
    found = {(c["metric"], c["subset"]): c for c in json.loads(out)}
    assert code == 0
    assert set(found) == {("iod", None), ("pck_5pct", None), *(("pck_5pct", part) for part in "pqrs")}
    records = [json.loads((place / "record.json").read_text()) for place in pair]
    for key, c in found.items():
        a, b = (next(r["value"] for r in x["metrics"] if (r["metric"], r["subset"]) == key) for x in records)
        assert (c["a"], c["b"], c["difference"]) == (a, b, a - b)
        assert c["ci95"][0] <= c["difference"] <= c["ci95"][1] and c["images"] == IMAGES


def test_pairing_sees_a_difference_that_the_two_intervals_hide(capsys, pair):
    found = {c["metric"]: c for c in json.loads(compared(capsys, *pair, "--json")[1]) if c["subset"] is None}
    iod = found["iod"]
    assert iod["ci95"][1] < 0 and iod["p"] < 1e-4 and (iod["better"], iod["survives"]) == ("a", True)
    a, b = (
        next(r for r in json.loads((p / "record.json").read_text())["metrics"] if r["metric"] == "iod") for p in pair
    )
    assert a["ci95"][1] > b["ci95"][0]
    assert found["pck_5pct"]["difference"] > 0 and found["pck_5pct"]["p"] < 0.2


def test_the_interval_is_that_of_the_same_images_drawn_for_both(capsys, pair):
    """A paired t test by SciPy, from the stored tables; and 2,000 resamples in plain NumPy come near it."""
    errors = []
    for place in pair:
        p = Predictions.read(place / "predictions", "regression-nall")
        eyes = np.linalg.norm(p.target[:, 0] - p.target[:, 1], axis=-1)
        errors.append(100 * np.linalg.norm(p.predicted[0] - p.target, axis=-1).mean(1) / eyes)
    tested = stats.ttest_rel(*errors)
    iod = next(c for c in json.loads(compared(capsys, *pair, "--json")[1]) if c["metric"] == "iod")
    np.testing.assert_allclose(iod["ci95"], tested.confidence_interval(0.95), rtol=1e-9)
    assert iod["p"] == pytest.approx(tested.pvalue, rel=1e-6)
    rng = np.random.default_rng(0)
    differences = [(errors[0] - errors[1])[rng.integers(0, IMAGES, IMAGES)].mean() for _ in range(2000)]
    low, high = np.quantile(differences, (0.025, 0.975))
    assert iod["ci95"][1] - iod["ci95"][0] == pytest.approx(high - low, rel=0.15)


def test_a_run_is_no_better_than_itself_and_a_swap_turns_the_sign(capsys, pair):
    for c in json.loads(compared(capsys, pair[0], pair[0], "--json")[1]):
        assert (c["difference"], c["ci95"], c["p"], c["better"]) == (0.0, [0.0, 0.0], 1.0, "")
    there, back = (json.loads(compared(capsys, *p, "--json")[1]) for p in (pair, pair[::-1]))
    for one, other in zip(there, back, strict=True):
        assert one["difference"] == -other["difference"]
        assert one["p"] == other["p"] and {one["better"], other["better"]} in ({"a", "b"}, {""})


def test_the_table_names_both_runs_and_a_record_may_be_named_itself(capsys, pair):
    code, out, _ = compared(capsys, pair[0] / "record.json", pair[1])
    assert code == 0
    assert out.startswith("A: a\nB: b\n") and "95 % OF A - B" in out and "A *" in out
    assert out.endswith(
        "6 numbers of 1 pair tried; * survives Holm's correction for all of them.\none seed: says nothing of another training.\n"
    )


def test_only_numbers_that_both_have_are_compared(capsys, tmp_path):
    a = run_of(tmp_path / "a", predicted(1.0), predicted(1.0, n=2))
    b = run_of(tmp_path / "b", predicted(1.5, n=2))
    assert {c["n_annotations"] for c in json.loads(compared(capsys, a, b, "--json")[1])} == {2}
    b = run_of(tmp_path / "c", predicted(1.5, n=5))
    code, _, err = compared(capsys, a, b)
    assert code == 3 and "a and c share no number" in err


def settings_of(**changes):
    return {**predicted(1.0).settings, **changes}


REFUSED = [
    ({"fingerprint": "e" * 64}, {}, "their data fingerprint differs (ffffffffffff and eeeeeeeeeeee)"),
    ({"used": {"train": None, "test": 24}}, {}, "their images used differs"),
    ({"preprocessing": {"resize": 100, "crop": 15, "size": 70}}, {}, "their preprocessing differs"),
    ({}, {"settings": settings_of(bias=True)}, "regression all: the setting bias differs (False and True)"),
    ({}, {"settings": settings_of(head="core:ridge 1")}, "the heads differ (core:ols 1 and core:ridge 1)"),
    ({}, {"visible": np.arange(4 * IMAGES).reshape(-1, 4) > 3}, "the visible of the two runs differ"),
    ({}, {"image_ids": np.array([f"{i}.png" for i in range(IMAGES)])}, "the image ids of the two runs differ"),
    ({}, {"seed": 5}, "the target of the two runs differ"),
    ({}, {"images": 40}, "the image ids of the two runs differ"),
]


@pytest.mark.parametrize(("data", "changes", "message"), REFUSED, ids=[m[-30:] for _, _, m in REFUSED])
def test_runs_on_other_data_or_under_another_protocol_are_refused_with_3(capsys, tmp_path, data, changes, message):
    a, b = run_of(tmp_path / "a", predicted(1.0)), run_of(tmp_path / "b", predicted(1.1, **changes), **data)
    code, out, err = compared(capsys, a, b)
    assert (code, out) == (3, "") and message in err


def test_other_heads_are_compared_when_asked_for_but_never_other_annotations(capsys, tmp_path):
    other = settings_of(head="baselines:mean_shape 1", draw_indices=None)
    a, b = run_of(tmp_path / "a", predicted(1.0)), run_of(tmp_path / "b", predicted(3.0, settings=other))
    assert compared(capsys, a, b, "--across-heads")[0] == 0
    few = settings_of(head="baselines:mean_shape 1", draw_indices=[[7, 8]])
    c, d = run_of(tmp_path / "c", predicted(1.0, n=2)), run_of(tmp_path / "d", predicted(3.0, n=2, settings=few))
    code, _, err = compared(capsys, c, d, "--across-heads")
    assert code == 3 and "the setting draw_indices differs" in err


def test_a_record_that_its_predictions_do_not_give_is_refused(capsys, pair):
    path = pair[1] / "record.json"
    record = json.loads(path.read_text())
    record["metrics"][-1]["value"] += 0.5
    path.write_text(json.dumps(record))
    code, _, err = compared(capsys, *pair)
    assert code == 5 and "record.json is damaged: it is not what was written" in err
    del record["sha256"]  # as records of earlier versions
    path.write_text(json.dumps(record))
    code, _, err = compared(capsys, *pair)
    assert code == 3 and "One of the two was changed" in err


def test_what_is_not_there_exits_with_5_and_is_named(capsys, pair, tmp_path):
    code, _, err = compared(capsys, pair[0], tmp_path / "nowhere")
    assert code == 5 and "nowhere: there is no record" in err
    (pair[1] / "predictions" / "regression-nall.json").unlink()
    code, _, err = compared(capsys, *pair)
    assert code == 5 and "Name the folder of the run itself, not a copy of its record" in err


def test_an_unknown_task_exits_with_2(capsys, pair):
    code, _, err = compared(capsys, *pair, "--tasks", "regresion")
    assert code == 2 and "Did you mean 'regression'" in err


def test_discovered_landmarks_are_compared_backward_though_their_places_and_number_differ(capsys, tmp_path):
    def backward(landmarks, noise):
        rng = np.random.default_rng(landmarks)
        places = rng.uniform(0, 60, (IMAGES, landmarks, 2))
        return predicted(
            1.0, predicted=(places + rng.normal(0, noise, places.shape))[None], target=places, subset="backward",
            visible=np.ones((IMAGES, landmarks), bool), metrics=("backward_iod",), eyes=None, normaliser=np.full(IMAGES, 20.0),
        )  # fmt: skip

    a, b = run_of(tmp_path / "a", backward(10, 1.0)), run_of(tmp_path / "b", backward(30, 5.0))
    (found,) = json.loads(compared(capsys, a, b, "--json")[1])
    assert found["subset"] == "backward" and found["better"] == "a"
