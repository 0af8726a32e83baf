"""`lmbench compare`: what methods share, over images, draws and seeds; what does not belong together is refused."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from made_runs import IMAGES, compared, predicted, run_of
from scipy import stats

from lmbench.metrics.base import Predictions
from lmbench.plugins.loading import get_plugins
from lmbench.results.comparison import surviving
from lmbench.results.reading import read_record
from lmbench.results.record import keep_copy
from lmbench.results.scores import keep_scores, path_of


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


# --- methods: several seeds, found by what they are called ---


def method(runs, name, noise, seeds, variant="dense64", shift=0.0, **about):
    """The runs of a method's output, one a seed; ``shift``: how much a seed's noise differs from the next one's."""
    return [
        run_of(
            runs / f"{name}_{variant.replace(', ', '-')}_mafl_quick_s{seed}_{len(about)}",
            predicted(noise + shift * seed, chance=seed),
            about={"method": name, "variant": variant, "preset": "quick", "seed": seed, **about},
        )
        for seed in seeds
    ]


def iods(out):
    return [c for c in json.loads(out) if c["metric"] == "iod"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Three seeds of a method and its control, and of another that a seed makes better or worse; nothing is added to them."""
    place = tmp_path_factory.mktemp("compared") / "runs"
    method(place, "lead", 1.0, (0, 1, 2), config={"seed": 0, "stages": {"byol": {"training": {"images": 5}}}})
    method(place, "lead", 1.3, (0, 1, 2), "dense64, untrained", supervision="none")
    method(place, "dve", 0.7, (0, 1, 2), "smallnet", shift=0.4)
    return place


@pytest.fixture
def more(runs, tmp_path):
    """The same, to be added to."""
    return shutil.copytree(runs, tmp_path / "runs")


def test_methods_are_compared_over_their_seeds_whose_chance_the_interval_holds(capsys, runs):
    code, out, _ = compared(capsys, "lead/dense64", "dve/smallnet", "--runs", runs, "--json")
    (found,) = iods(out)
    assert code == 0 and (found["seeds_a"], found["seeds_b"], found["paired"]) == ([0, 1, 2], [0, 1, 2], True)
    records = [
        [read_record(p / "record.json") for p in sorted(runs.glob(f"{m}_*"))] for m in ("lead_dense64_mafl", "dve")
    ]
    values = [[r.find(("regression", "iod", None, "all")).value for r in side] for side in records]
    gaps = np.subtract(*values)
    assert found["difference"] == pytest.approx(gaps.mean()) and found["spread"] == pytest.approx(gaps.std(ddof=1))
    assert found["ci95"][1] - found["ci95"][0] >= 1.999 * stats.t.ppf(0.975, 2) * gaps.std(ddof=1) / np.sqrt(3)
    one = iods(
        compared(capsys, *(next(runs.glob(f"{m}_s0_*")) for m in ("lead_dense64_mafl_quick", "dve*")), "--json")[1]
    )[0]
    assert one["better"] == "b" and one["one_seed"] and (found["better"], found["one_seed"]) == ("", False)


def test_an_output_is_compared_with_its_own_control_when_asked(capsys, runs):
    code, out, _ = compared(capsys, "lead/dense64", "--control", "--runs", runs)
    assert code == 0 and "B: lead/dense64, untrained, mafl, quick (seeds 0, 1, 2)" in out
    assert "one seed" not in out and "other seeds" not in out
    (found,) = iods(compared(capsys, "lead/dense64", "--control", "--runs", runs, "--json")[1])
    (named,) = iods(compared(capsys, "lead/dense64", "lead/dense64-untrained", "--runs", runs, "--json")[1])
    assert found == named and found["better"] == "a"
    code, _, err = compared(capsys, "dve/smallnet", "--control", "--runs", runs)
    assert code == 5 and "there is no control of dve/smallnet" in err and "--untrained" in err
    code, _, err = compared(capsys, "lead/dense64, untrained".replace(", ", "-"), "--control", "--runs", runs)
    assert code == 2 and "is a control itself" in err


def test_a_side_is_a_pattern_or_several_runs_with_commas_or_a_name_below_the_runs(capsys, runs):
    words = [
        f"{runs}/lead_dense64_*",
        ",".join(map(str, runs.glob("lead_dense64_*"))),
        "lead_dense64_m*",
        "lead/dense64",
    ]
    found = [iods(compared(capsys, word, "dve/smallnet", "--runs", runs, "--json")[1]) for word in words]
    assert all(other == found[0] for other in found) and found[0][0]["seeds_a"] == [0, 1, 2]
    (name,) = (p.name for p in runs.glob("lead_dense64_*_s1_*"))
    assert iods(compared(capsys, name, "dve/smallnet", "--runs", runs, "--json")[1])[0]["seeds_a"] == [1]


def test_every_two_of_several_sides_are_tried_and_corrected_together(capsys, pair, tmp_path):
    sides = (*pair, run_of(tmp_path / "c", predicted(1.0, chance=2)))
    code, out, _ = compared(capsys, *sides, "--json")
    found = json.loads(out)
    assert code == 0 and [(c["name_a"], c["name_b"]) for c in found[::6]] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert {c["tried"] for c in found} == {len(found)} == {18}
    held = surviving([c["p"] for c in found])
    assert [c["survives"] for c in found] == held and 0 < sum(held) < sum(c["p"] < 0.2 for c in found)
    out = compared(capsys, *sides)[1]
    assert "18 numbers of 3 pairs tried" in out and "A - C" in out and "PAIR" in out


def test_holm_is_that_of_its_definition():
    rng = np.random.default_rng(0)
    for _ in range(200):
        chances = [*(rng.uniform(0, 1, 6) ** 4).tolist(), None]
        known = sorted(p for p in chances if p is not None)
        held = [
            all(q * (6 - i) <= 0.05 for i, q in enumerate(known) if q <= p) if p is not None else False for p in chances
        ]
        assert surviving(chances) == held
    assert surviving([]) == [] and surviving([0.04, 0.03]) == [False, False] and surviving([0.04, 0.02]) == [True, True]


def test_of_several_runs_of_a_seed_the_newest_counts_and_is_named(capsys, more):
    (again,) = method(
        more, "lead", 3.0, (1,), finished="2030-01-01", config={"seed": 1, "stages": {"byol": {"training": {"images": 5}}}},
    )  # fmt: skip
    code, out, err = compared(capsys, "lead/dense64", "dve/smallnet", "--runs", more, "--json")
    assert code == 0 and f"of several runs of a seed the newest counts: {again.name} (2 of seed 1)" in err
    assert again.name in iods(out)[0]["runs_a"]


def test_runs_that_are_no_seeds_of_one_output_are_refused(capsys, more):
    both = f"{next(more.glob('lead_dense64_*_s0_*'))},{next(more.glob('dve_*_s1_*'))}"
    code, _, err = compared(capsys, both, "dve/smallnet", "--runs", more)
    assert code == 2 and "are no seeds of one output: their method differs (lead and dve)" in err
    method(more, "lead", 1.0, (3,), config={"stages": {"byol": {"training": {"images": 9}}}})
    code, _, err = compared(capsys, "lead/dense64", "dve/smallnet", "--runs", more)
    assert code == 2 and "their setting stages.byol.training.images differs (5 and 9)" in err
    method(more, "dve", 1.0, (0,), "smallnet", dataset="cats", supervision="", pretrain_on="")
    code, _, err = compared(capsys, "dve/smallnet", "lead/dense64-untrained", "--runs", more)
    assert code == 2 and "their dataset differs" in err
    assert compared(capsys, "dve/smallnet", "lead/dense64-untrained", "--runs", more, "--dataset", "mafl")[0] == 0


def test_sides_of_other_seeds_are_paired_by_image_alone(capsys, more):
    method(more, "imm", 1.2, (5, 6), "k10")
    code, out, _ = compared(capsys, "lead/dense64", "imm/k10", "--runs", more)
    assert code == 0 and "other seeds: paired by image alone." in out
    (found,) = iods(compared(capsys, "lead/dense64", "imm/k10", "--runs", more, "--json")[1])
    assert (found["paired"], found["spread"], found["one_seed"]) == (False, None, False)


def test_a_side_that_is_not_there_or_alone_is_told_what_there_is(capsys, runs):
    code, _, err = compared(capsys, "lead/dense46", "dve/smallnet", "--runs", runs)
    assert code == 5 and "METHOD/OUTPUT of one (dve/smallnet, lead/dense64, lead/dense64-untrained)" in err
    code, _, err = compared(capsys, "lead_*_s9_*", "dve/smallnet", "--runs", runs)
    assert code == 5 and "no folder of a finished run is called so" in err
    code, _, err = compared(capsys, "lead/dense64", "--runs", runs)
    assert code == 2 and "pass --control" in err
    code, _, err = compared(capsys, ",", "lead/dense64", "--runs", runs)
    assert code == 2 and "',' names no run" in err
    names = ",".join(p.name for p in runs.iterdir() if "untrained" in p.name)
    assert len(names) > 85 and compared(capsys, f"{names},{names},{names}", "lead/dense64", "--runs", runs)[0] == 0


def test_copies_of_records_are_compared_by_the_scores_kept_beside_them(capsys, pair, tmp_path):
    boards = tmp_path / "leaderboards"
    copies = []
    for place in pair:
        record = read_record(place / "record.json")
        keep_scores(boards, place, record, get_plugins())
        copies.append(keep_copy(record, boards / "records"))
    fresh, kept = (json.loads(compared(capsys, *sides, "--json")[1]) for sides in (pair, copies))
    for one, other in zip(fresh, kept, strict=True):
        assert (one["a"], one["b"], one["better"]) == (other["a"], other["b"], other["better"])
        assert other["ci95"] == pytest.approx(one["ci95"], rel=2e-2, abs=1e-3)
    path_of(boards, "a").unlink()
    assert compared(capsys, *copies)[0] == 5
