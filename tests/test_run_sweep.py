"""`lmbench run` with several methods or seeds: a small sweep, done as a campaign does its runs."""

from __future__ import annotations

import json
from statistics import fmean, stdev

import pytest
from made_lab import Lab, record_of

from lmbench.errors import DataError
from lmbench.store.files import locked

VALUES = {("mean_shape", 0): 30.0, ("mean_shape", 1): 31.0, ("position", 0): 20.0, ("position", 1): 26.0}
SWEEP = ("--method", "mean_shape,position/place", "--seed", "1,0")


@pytest.fixture
def lab(tmp_path, monkeypatch, capsys) -> Lab:
    return Lab(tmp_path, monkeypatch, capsys)


@pytest.fixture
def measured(monkeypatch) -> None:
    """Runs find what stands in VALUES."""
    monkeypatch.setattr("made_lab.record_of", lambda job: record_of(job, VALUES[job.config.method, job.config.seed]))


def run(lab: Lab, *arguments: str) -> tuple[int, str, str]:
    return lab.give("run", "--dataset", "synthfaces", "--preset", "quick", *arguments)


def test_all_runs_are_done_seed_by_seed_and_one_table_has_mean_and_spread(lab, measured):
    code, out, err = run(lab, *SWEEP)
    assert code == 0
    assert lab.ran == ["mean_shape/none 0", "position/place 0", "mean_shape/none 1", "position/place 1"]
    assert "run 3 of 4: mean_shape / none on synthfaces, seed 1" in err
    lines = [line.split() for line in out.splitlines()]
    assert [line[0] for line in lines] == ["METHOD", "position", "mean_shape", "4"]  # the best first
    for name in ("position", "mean_shape"):
        values = [VALUES[name, 0], VALUES[name, 1]]
        line = next(line for line in lines if line[0] == name)
        assert [f"{fmean(values):.2f}", f"{stdev(values):.2f}", "percent", "0", "1"] == line[-5:]
    assert "4 of 4 runs done" in out


def test_json_has_the_runs_and_the_results(lab, measured):
    told = json.loads(run(lab, *SWEEP, "--json")[1])
    assert [r["state"] for r in told["runs"]] == ["done"] * 4
    (best, _) = told["results"]
    assert (best["method"], best["variant"], best["value"], best["seeds"]) == ("position", "place", 23.0, [0, 1])
    assert all((lab.folder / "runs" / name / "record.json").is_file() for name in best["runs"])


def test_a_dry_run_lists_the_runs_and_does_none(lab):
    code, out, _ = run(lab, *SWEEP, "--dry-run")
    assert code == 0 and not lab.ran and not (lab.folder / "runs").exists()
    rows = [line.split()[:3] for line in out.splitlines()[1:5]]
    assert rows == [[s, *m] for s in "01" for m in (["mean_shape", "none"], ["position", "place"])]
    assert "0 of 4 runs done" in out


def test_a_dry_run_of_many_says_once_of_each_output_that_its_views_show_another_size(lab):
    larger = ("--set", "stages.byol.settings.view1.window=0.9", "--dry-run")
    one = run(lab, "--method", "lead", *larger)[2]
    assert "warning: stage byol: training views show the object" in one
    seeds = run(lab, "--method", "lead", "--seed", "0,1", *larger)[2]
    assert seeds.count("training views show the object") == 1 and one.strip() in seeds
    outputs = run(lab, "--method", "lead/dense64,lead/hypercolumn", "--seed", "0,1", *larger)[2]
    assert [line.partition(": stage")[0] for line in outputs.splitlines() if "views show" in line] == [
        "warning: lead/dense64", "warning: lead/hypercolumn",
    ]  # fmt: skip


def test_what_is_done_is_not_done_again(lab):
    run(lab, "--method", "position")
    assert run(lab, *SWEEP)[0] == 0
    assert lab.ran == ["position/place 0", "mean_shape/none 0", "mean_shape/none 1", "position/place 1"]


def test_a_run_that_fails_is_named_and_the_others_are_done(lab):
    lab.errors["position/place 0"] = ValueError("no good")
    code, out, _ = run(lab, *SWEEP)
    assert code == 4 and len(lab.ran) == 4
    assert "failed: position / place on synthfaces: ValueError: no good" in out and "3 of 4 runs done" in out


def test_nothing_done_has_the_exit_code_of_its_reason(lab, monkeypatch):
    for seed in "01":
        lab.errors[f"position/place {seed}"] = ValueError("no good")
    assert run(lab, "--method", "position", "--seed", "0,1")[0] == 1

    def missing(*_, **__):
        raise DataError("no such data")

    monkeypatch.setattr("lmbench.job.prepare", missing)
    code, out, _ = run(lab, "--method", "position", "--seed", "0,1")
    assert code == 5 and "cannot be done: 2 runs" in out and "no such data" in out


def test_a_run_that_another_process_is_at_is_left_to_it(lab):
    run(lab, "--method", "position")
    (folder,) = (lab.folder / "runs").glob("position_*")
    (folder / "record.json").unlink()
    with locked(folder / "run"):
        code, out, _ = run(lab, *SWEEP)
    assert code == 4 and "another process is at it" in out and "3 of 4 runs done" in out


def test_one_output_is_named_with_its_variant_as_everywhere_and_prints_what_it_always_did(lab):
    code, out, _ = run(lab, "--method", "position/place")
    assert code == 0 and out.startswith("position / place on synthfaces (preset quick, seed 0)\nTASK")
    assert run(lab, "--method", "position", "--variant", "place")[1] == out.replace("record: ", "measured before, see ")
    assert json.loads(run(lab, "--method", "position/place", "--json")[1])["variant"] == "place"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--method", "lead/dense64", "--variant", "dense64"], "names it already"),
        (["--method", "lead,dve", "--variant", "dense64"], "there are several methods"),
        (["--method", "lead/dense6"], "lead has no variant 'dense6'; it has"),
        (["--method", "leda/dense64"], "unknown method 'leda'. Did you mean 'lead'?"),
        (["--method", "lead,"], "a name is missing"),
        (["--method", "dve,lead,dve"], "dve stands there twice"),
        (["--method", "lead,lead/dense64"], "lead and lead/dense64 are one output"),
        (["--method", "lead", "--variant", "dense64,dense64"], "dense64 stands there twice"),
        (["--method", "lead", "--variant", "dense64,"], "a name is missing"),
        (["--method", "lead", "--variant", "all,dense64"], "all means every variant there is; give it alone"),
        (["--method", "lead", "--annotations", "1,10,01"], "'1,10,01': 1 stands there twice"),
        (["--method", "lead", "--annotations", "all,all"], "all stands there twice"),
        (["--method", "lead", "--seed", "0,"], "expected whole numbers"),
        (["--method", "lead", "--seed", "-1"], "expected whole numbers"),
        (["--method", "lead", "--seed", "1,01"], "1 stands there twice"),
        (["--method", "lead", "--seed", "0,1", "--resume", "never"], "--resume never is about one run"),
        (["--method", "lead,dve", "--set", "stages.byol.training.epochs=3"], "dve: stages.byol: dve has no stage"),
        (["--method", "lead,dve", "--set", "method=lead"], "dve: method = 'lead': the command line says 'dve'"),
        (["--method", "lead", "--seed", "0,1", "--set", "seed=0"], "seed = 0: the command line says 1"),
    ],
)
def test_a_mistake_is_told_before_anything_is_done(arguments, said, lab):
    code, out, err = run(lab, *arguments)
    assert code == 2 and said in err and not out and not lab.ran
