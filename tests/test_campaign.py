"""`lmbench campaign`: many runs from one file, in order, continued after a kill, and the boards at the end."""

from __future__ import annotations

import csv
import json
import signal
import threading
from collections import Counter
from pathlib import Path

import pytest
from made_lab import Lab

from lmbench import runner
from lmbench.campaigns import prospects as standing
from lmbench.campaigns.file import read_campaign
from lmbench.campaigns.planning import wanted
from lmbench.campaigns.prospects import look
from lmbench.campaigns.running import Watch, carry_out
from lmbench.cli.main import run_cli
from lmbench.errors import DataError
from lmbench.plugins.loading import get_plugins
from lmbench.results.reading import read_record
from lmbench.store.files import locked
from lmbench_dve.dve import DVE

COMMITTED = sorted((Path(__file__).parents[1] / "leaderboards" / "campaigns").glob("*.toml"))
TOP = """
datasets = ["synthfaces"]
preset = "quick"
seeds = [0, 1]
annotations = [10, "all"]
draws = 3
tasks = ["regression", "matching"]
"""
FLOORS = TOP + '[[runs]]\nmethods = ["mean_shape", "position"]\n'
SHARING = (
    TOP
    + """
[[runs]]
methods = ["twostep/dense64", "mean_shape", "twostep/k30", "twostep/k10"]
controls = true
"""
)
REAL = """
datasets = ["synthfaces"]
preset = "smoke"
tasks = ["matching"]
[settings]
precision = "fp32"
read.size = 6
matching.pairs = 2
test_images = 8
stages.smallnet.training = { epochs = 3, images = 32, batch_size = 8 }
[[runs]]
methods = ["dve"]
"""


class CampaignLab(Lab):
    def __call__(self, *arguments: str, text: str = FLOORS) -> tuple[int, str, str]:
        file = self.folder / "mine.toml"
        file.write_text(text)
        return self.give("campaign", str(file), *arguments, places=("runs", "out", "data-root"))


@pytest.fixture
def lab(tmp_path, monkeypatch, capsys) -> CampaignLab:
    return CampaignLab(tmp_path, monkeypatch, capsys)


def written(folder: Path, text: str):
    (folder / "mine.toml").write_text(text)
    return read_campaign(folder / "mine.toml")


def outputs(folder: Path, text: str, *only: str) -> list[str]:
    plan = wanted(written(folder, text), get_plugins(), only)
    return [f"{c.method}/{c.output} {c.seed}" for c in plan.configs]


def test_all_runs_are_done_seed_by_seed_and_the_boards_are_built(lab):
    code, out, err = lab()
    assert code == 0
    assert lab.ran == ["mean_shape/none 0", "position/place 0", "mean_shape/none 1", "position/place 1"]
    assert "run 3 of 4: mean_shape / none on synthfaces, seed 1; 0:00 so far, ETA 0:00 for 2 runs" in err
    assert "mine.toml: 4 of 4 runs done" in out and "synthfaces_regression.csv: 2 measured" in out
    board = csv.DictReader((lab.folder / "out" / "synthfaces_regression.csv").open(encoding="utf-8"))
    assert {r["seed"] for r in board if r["kind"] == "measured"} == {"0 1"}  # an output is one row over its seeds


def test_without_boards_none_is_written(lab):
    assert lab("--no-boards")[0] == 0 and len(lab.ran) == 4 and not (lab.folder / "out").exists()


def test_runs_that_share_a_stage_stand_together_each_before_its_control(tmp_path):
    first = ["twostep/dense64 0", "twostep/dense64, untrained 0"]
    first += [f"twostep/{k}{control} 0" for k in ("k30", "k10") for control in ("", ", untrained")]
    whole = outputs(tmp_path, SHARING)
    assert whole[:7] == [*first, "mean_shape/none 0"]
    assert whole[7:] == [name.replace(" 0", " 1") for name in whole[:7]]  # a cut campaign is a board of fewer seeds


def test_the_plan_says_which_stage_is_shared_what_is_done_and_computes_nothing(lab):
    code, out, _ = lab("--dry-run", "--json", text=SHARING)
    runs = json.loads(out)["runs"]
    assert code == 0 and not lab.ran and not (lab.folder / "runs").exists() and not (lab.folder / "out").exists()
    assert [[s["action"] for s in r["stages"]] for r in runs[:6:2]] == [
        ["train"],
        ["share", "train"],
        ["share", "train"],
    ]
    assert runs[0]["views"] == 750 * 8 * 2 and runs[1]["views"] == 0  # the control trains nothing
    lab(text=FLOORS)
    _, out, _ = lab("--dry-run", text=SHARING)
    lines = [line for line in out.splitlines() if "mean_shape" in line]
    assert len(lines) == 2 and all("done   mean-shape_none_synthfaces_quick_s" in line for line in lines)
    assert "mine.toml: 2 of 14 runs done" in out and "initialise contrast" in out


def test_what_is_done_is_not_done_again_and_a_failed_run_is(lab):
    lab.errors = {"position/place 0": ValueError("out of luck")}
    code, out, err = lab()
    assert code == 4 and len(lab.ran) == 4 and "Traceback" not in err
    assert "failed: position / place on synthfaces: ValueError: out of luck" in out
    assert "3 of 4 runs done" in out and (lab.folder / "out" / "synthfaces_regression.csv").exists()
    lab.errors, before = {}, {p: p.read_bytes() for p in (lab.folder / "runs").glob("*/record.json")}
    assert lab()[0] == 0 and lab.ran[4:] == ["position/place 0"]
    assert all(p.read_bytes() == content for p, content in before.items())


def test_nothing_done_is_a_failure_or_missing_data(lab):
    lab.errors = dict.fromkeys(
        (f"{m} {s}" for m in ("mean_shape/none", "position/place") for s in (0, 1)), OSError("no")
    )
    code, out, _ = lab()
    assert (
        code == 1 and "failed: 4 runs (mean_shape / none on synthfaces; " in out and not (lab.folder / "out").exists()
    )
    lab.ran.clear()
    code, out, _ = lab(text=FLOORS.replace("synthfaces", "aflw_split"))
    assert code == 5 and not lab.ran and "cannot be done: 4 runs" in out and "is not there. Get it from" in out


def test_what_is_not_installed_is_said_and_the_rest_is_done(lab):
    text = FLOORS.replace('"position"', '"position", "postion", "twostep/k31"')
    code, out, _ = lab(text=text)
    assert code == 4 and len(lab.ran) == 4
    assert "cannot be done: postion on synthfaces: unknown method 'postion'. Did you mean 'position'" in out
    assert "cannot be done: twostep/k31 on synthfaces: twostep has no variant 'k31'" in out


def test_a_network_that_cannot_be_had_is_said_before_anything_is_done(lab, monkeypatch):
    def without(*_):
        raise DataError("its package is not installed")

    monkeypatch.setattr(standing, "build_backbone", without)
    code, out, _ = lab("--dry-run", "--seeds", "0")
    assert code == 0 and "cannot be done: position / place on synthfaces: its package is not installed" in out
    assert lab("--seeds", "0")[0] == 4 and lab.ran == ["mean_shape/none 0"]


def test_only_some_methods_outputs_and_seeds_are_done(lab, tmp_path):
    assert lab("--only", "position", "--seeds", "1")[0] == 0 and lab.ran == ["position/place 1"]
    assert set(outputs(tmp_path, SHARING, "twostep/k30", "mean_shape")) == {
        f"{name} {seed}" for seed in (0, 1) for name in ("twostep/k30", "twostep/k30, untrained", "mean_shape/none")
    }
    for arguments, said in (
        (["--only", "positon"], "Did you mean 'position'"),
        (["--only", "twostep"], "has no such output"),
        (["--seeds", "7"], "has the seeds 0, 1"),
        (["--seeds", "one"], "expected whole numbers"),
    ):
        code, out, err = lab(*arguments)
        assert code == 2 and said in err and not out and "Traceback" not in err


def test_every_method_without_labels_is_taken_by_its_default_unless_it_is_named(tmp_path):
    text = TOP.replace("[0, 1]", "[0]") + '[[runs]]\nmethods = ["twostep/k30"]\n[[runs]]\nall_of = "self-supervised"\n'
    trained = {
        f"{e.spec.name}/{e.spec.variant('').name} 0"
        for e in get_plugins().methods
        if e.spec.supervision == "self-supervised" and e.spec.variant("").stages
    }
    found = outputs(tmp_path, text)
    assert set(found) == trained and len(found) == len(trained) > 7
    assert not any(name.startswith(("mean_shape", "imagenet", "dinov2")) for name in found)


def test_a_table_changes_what_the_top_says_and_a_method_gets_the_tasks_it_has(tmp_path):
    text = TOP + (
        '[settings]\nreferences = false\n[[runs]]\nmethods = ["supervised/connected"]\ndraws = 2\nseeds = [4]\n'
        'settings.regression.head_settings.steps = 7\n[[runs]]\nmethods = ["position"]\ntasks = ["regression"]\n'
    )
    plan = wanted(written(tmp_path, text), get_plugins())
    (config,) = plan.configs
    assert (config.seed, config.tasks, config.references) == (4, ("regression",), False)
    regression = config.settings_of("regression")
    assert (regression.annotations, regression.draws, regression.head_settings.steps) == ((10, "all"), 2, 7)
    assert [(g.kind, g.reason) for g in plan.gaps.values()] == [("scope", "it has none of the tasks regression")]


def test_a_run_that_another_process_is_at_is_left_to_it(lab):
    lab()  # so that its folders are known
    runs = sorted((lab.folder / "runs").glob("*/"))
    for run in runs:
        (run / "record.json").unlink()
    for copy in (lab.folder / "out" / "records").glob("*"):
        copy.unlink()
    lab.ran.clear()
    with locked(runs[0] / "run"):
        assert "in work" in lab("--dry-run")[1]
        code, out, _ = lab()
    assert code == 4 and lab.ran == ["position/place 0", "mean_shape/none 1", "position/place 1"]
    assert "not done yet: mean_shape / none on synthfaces: another process is at it" in out
    assert lab()[0] == 0 and len(lab.ran) == 4


def test_two_processes_do_no_run_twice(lab, tmp_path):
    lab("--dry-run")
    plan = wanted(written(tmp_path, FLOORS.replace("[0, 1]", "[0, 1, 2, 3, 4, 5]")), get_plugins())
    sides = [look(plan.configs, get_plugins(), None, tmp_path / "runs", tmp_path / "none", "cpu") for _ in range(2)]
    start = threading.Barrier(2)

    def work(prospects):
        start.wait()
        carry_out(prospects, beside=True)

    threads = [threading.Thread(target=work, args=(side,)) for side in sides]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(lab.ran) == Counter(f"{c.method}/{c.output} {c.seed}" for c in plan.configs)


def test_runs_that_wait_for_a_stage_in_training_elsewhere_come_later(lab, tmp_path):
    text = SHARING.replace("controls = true", "").replace("[0, 1]", "[0]")
    prospects = look(
        wanted(written(tmp_path, text), get_plugins()).configs, get_plugins(), None, tmp_path / "runs", tmp_path
    )
    job = prospects[0].job
    job.stages_folder.mkdir(parents=True)
    with locked(job.stages_folder / next(iter(job.keys.values()))[:20]):
        carry_out(prospects, beside=True)
    assert lab.ran == ["mean_shape/none 0", "twostep/dense64 0", "twostep/k30 0", "twostep/k10 0"]


def test_a_kept_record_of_the_very_same_run_counts_as_done(lab):
    lab()
    for path in (lab.folder / "runs").glob("*/record.json"):
        path.unlink()
    changed = next((lab.folder / "out" / "records").glob("mean-shape*_s1_*"))
    changed.write_text(json.dumps({**json.loads(changed.read_text()), "identity": {"data": "another"}}))
    lab.ran.clear()
    lab("--no-boards")
    assert lab.ran == ["mean_shape/none 1"]


def test_ctrl_c_ends_it_and_builds_nothing(lab):
    lab.errors = {"position/place 0": KeyboardInterrupt()}
    code, _, err = lab()
    assert code == 130 and "goes on where it stopped" in err and not (lab.folder / "out").exists()


def test_when_the_time_is_over_training_is_saved_and_goes_on_to_the_same_numbers(tmp_path, monkeypatch, capsys):
    (tmp_path / "mine.toml").write_text(REAL)

    def campaign(folder: str, *more: str) -> tuple[int, str]:
        places = [f"--runs={tmp_path / folder}", f"--out={tmp_path / 'out'}", "--no-boards", "--device=cpu"]
        code = run_cli(["campaign", str(tmp_path / "mine.toml"), *places, *more])
        return code, capsys.readouterr().out

    with monkeypatch.context() as at_step_5:

        def over(self, step, total):
            if step == 5:
                signal.raise_signal(signal.SIGALRM)  # as the clock does

        at_step_5.setattr(DVE, "after_step", over)
        code, out = campaign("cut", "--limit-minutes", "1000")
    assert code == 4 and "not done yet: dve / smallnet on synthfaces: the time was over" in out
    assert len(list((tmp_path / "cut" / "stages").glob("*.checkpoint/state.pt"))) == 1
    assert "go on with smallnet" in campaign("cut", "--dry-run")[1]
    assert campaign("cut")[0] == 0 and campaign("whole")[0] == 0
    cut, whole = (read_record(next((tmp_path / folder).glob("dve_*/record.json"))) for folder in ("cut", "whole"))
    assert [r.value for r in cut.rows] == [r.value for r in whole.rows] != []
    assert cut.stages[0].weights_sha256 == whole.stages[0].weights_sha256
    assert cut.stages[0].views == 3 * 32 * 2  # epochs, images, views of each


def test_the_clock_itself_stops_a_campaign(lab, monkeypatch):
    lab.errors = {"mean_shape/none 0": ValueError("no")}

    def slow(job, resume="auto", wait=True):
        signal.pause()

    monkeypatch.setattr(runner, "run", slow)
    code, out, err = lab("--limit-minutes", "0.01")
    assert code == 4 and "the time is over" in err and "not done yet: 4 runs" in out


def test_what_is_left_is_reckoned_from_runs_of_the_same_output(lab, tmp_path):
    plan = wanted(written(tmp_path, FLOORS), get_plugins())
    prospects = look(plan.configs, get_plugins(), None, tmp_path / "runs", tmp_path, "cpu")
    watch = Watch(prospects)
    assert "ETA" not in watch.left(prospects, beside=False)
    watch.add(prospects[0], 100.0)  # mean_shape
    assert "ETA 6:40 for 4 runs" in watch.left(prospects, beside=False)
    watch.add(prospects[1], 20.0)  # position
    assert "ETA 2:00 for 2 runs" in watch.left(prospects[2:], beside=False)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("datasets = [", "not valid TOML"),
        (TOP, "expected at least one table [[runs]]"),
        (FLOORS.replace("preset =", "presett ="), "has no setting 'presett'; it has datasets"),
        (FLOORS.replace("[0, 1]", "[0, -1]"), "seeds = [0, -1]: expected"),
        (FLOORS.replace('["synthfaces"]', "[]"), "runs.0: no datasets are named"),
        (FLOORS + 'all_of = "none"\n', "runs.0: expected either methods"),
        (FLOORS + "seed = 3\n", "runs.0.seed: a table of runs has no setting 'seed'"),
        (FLOORS + "settings.seed = 3\n", "runs.0.settings.seed = 3: stands in the table itself"),
        (FLOORS + "settings.read.sise = 3\n", "runs.0, mean_shape on synthfaces: read.sise"),
        (FLOORS.replace('"quick"', '"quik"'), "Did you mean 'quick'"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_file_is_exit_2_with_its_place(text, said, lab):
    code, out, err = lab(text=text)
    assert code == 2 and said in err and "mine.toml" in err and not out and "Traceback" not in err and not lab.ran


def test_a_file_that_is_not_there_is_told(lab, capsys):
    assert run_cli(["campaign", str(lab.folder / "none.toml")]) == 2
    assert "none.toml: No such file" in capsys.readouterr().err


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_the_committed_campaigns_hold_every_method_with_its_control(path):
    plan = wanted(read_campaign(path), get_plugins())
    assert not plan.gaps
    made = Counter((c.method, c.variant, c.untrained) for c in plan.configs)
    assert set(made.values()) == {3}  # seeds
    learning = {e.spec.name for e in get_plugins().methods if e.spec.supervision == "self-supervised"}
    assert learning <= {method for method, _, _ in made}
    assert all((m, v, True) in made for m, v, untrained in made if m in learning and not untrained)


def test_there_are_committed_campaigns():
    assert [path.stem for path in COMMITTED] == ["aflw_split_small", "synthfaces_quick"]
