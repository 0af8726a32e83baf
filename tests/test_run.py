"""`lmbench run` from end to end on the embedded faces: the record, what is reused, what survives a kill."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from small_runs import SMALL, command, recorded, run_here

from lmbench.config.model import digest_of
from lmbench.metrics.base import Predictions
from lmbench.metrics.scoring import iod, matching_error
from lmbench.results.reading import REQUIRED
from lmbench.training.cuts import mean_side

EYES = (0, 1)  # of synthfaces


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """(runs folder, record) of an uninterrupted run."""
    runs = tmp_path_factory.mktemp("whole")
    return runs, recorded(command(runs))


def numbers(record: dict) -> list:
    keys = ("task", "metric", "subset", "n_annotations", "value", "std", "draws", "ci95", "images", "points")
    return [{k: row[k] for k in keys} for row in record["metrics"]]


def test_a_record_carries_all_that_its_numbers_depend_on(whole):
    runs, record = whole
    assert set(REQUIRED) <= set(record)
    assert json.loads((runs / record["run"] / "record.json").read_text()) == record
    assert (record["schema"], record["status"], record["seed"], record["observer_errors"]) == (2, "ok", 0, [])
    assert (record["method"], record["variant"], record["dataset"]) == ("lead", "hypercolumn", "synthfaces")
    assert (record["pretrain_on"], record["preset"], record["backbone"]) == ("synthfaces", "smoke", "resnet18")

    kinds = {(c["kind"], c["name"]): c for c in record["components"]}
    used = {("method", "lead"), ("dataset", "synthfaces"), ("backbone", "resnet18"), ("objective", "byol")}
    used |= {("task", "regression"), ("task", "matching"), ("metric", "iod"), ("metric", "matching_error")}
    assert used | {("head", "converged")} == set(kinds)
    assert kinds["objective", "byol"]["distribution"] == "lmbench-lead"
    assert all(c["version"] for c in record["components"])

    assert {"version", "commit", "dirty"} <= set(record["code"])
    data = record["data"]
    assert len(data["fingerprint"]) == 64 and data["pretraining_fingerprint"] == data["fingerprint"]
    assert data["counts"] == {"train": 2000, "test": 500} and data["used"] == {"train": 16, "test": 8}
    assert data["preprocessing"] == {"resize": 96, "crop": 0, "size": 96}
    view = record["config"]["stages"]["byol"]["settings"]["view1"]
    assert data["object_scale"]["byol"]["ratio"] == pytest.approx(
        view["size"] / 96 / mean_side((0.08, 1), (3 / 4, 4 / 3)), 1e-3
    )
    environment = record["environment"]
    assert (environment["device"], environment["precision"]) == ("cpu", "fp32")
    assert environment["peak_memory_mib"] > 0 and environment["libraries"]["torch"]
    assert record["seconds"] > 0 and record["finished"].endswith("Z")
    (stage,) = record["stages"]
    assert (stage["objective"], stage["reused"], len(stage["key"]), len(stage["curve"])) == ("byol", False, 64, 3)


def test_the_hash_is_of_the_configuration_that_the_record_states(whole):
    _, record = whole
    text = json.dumps(record["config"], sort_keys=True, separators=(",", ":"))
    assert hashlib.sha256(text.encode()).hexdigest() == record["config_sha256"]
    assert digest_of(record["identity"]).startswith(record["run"].rpartition("_")[2])
    assert record["sha256"] == digest_of({k: v for k, v in record.items() if k != "sha256"})
    assert record["config"]["regression"]["annotations"] == [4, "all"]


def test_every_row_states_its_protocol(whole):
    _, record = whole
    rows = {(r["task"], r["subset"], r["n_annotations"]): r for r in record["metrics"]}
    expected = {
        ("regression", None, 4),
        ("regression", None, "all"),
        ("matching", "same", None),
        ("matching", "different", None),
    }
    assert set(rows) == expected
    for row in record["metrics"]:
        low, high = row["ci95"]
        assert low <= row["value"] <= high
        assert row["higher_is_better"] is False
    few, full = rows["regression", None, 4], rows["regression", None, "all"]
    assert (few["draws"], full["draws"], full["std"]) == (2, None, None) and few["std"] > 0
    assert few["normaliser"] == "distance between the two annotated eyes" and few["unit"] == "percent"
    assert {k: few["settings"][k] for k in ("dimension", "grid", "normalise", "multiplier", "steps")} == {
        "dimension": 960, "grid": [6, 6], "normalise": "none", "multiplier": 10.0, "steps": 3,
    }  # fmt: skip
    assert {"bias", "units", "upsampling", "head", "layers"} <= set(few["settings"])
    draws = few["settings"]["draw_indices"]
    assert [len(set(d)) for d in draws] == [4, 4] and all(0 <= i < 16 for d in draws for i in d)
    assert rows["matching", "same", None]["settings"]["reading"] == "cl"


def test_metrics_are_recomputed_exactly_from_the_stored_predictions(whole):
    runs, record = whole
    stored = {r["task"]: {} for r in record["metrics"]}
    assert len(record["predictions"]) == len(record["metrics"])
    for path in record["predictions"]:
        found = Predictions.read(runs / record["run"] / "predictions", Path(path).stem)
        stored[found.task][found.subset, found.n_annotations] = found, pq.read_table(runs / record["run"] / path)
    for row in record["metrics"]:
        predictions, table = stored[row["task"]][row["subset"], row["n_annotations"]]
        metric = iod if row["task"] == "regression" else matching_error
        assert float(metric(predictions).aggregate.mean()) == row["value"]

        column = {name: table[name].to_numpy() for name in table.column_names}  # now without lmbench
        x, y, true_x, true_y = (column[name].astype(np.float64) for name in ("x", "y", "true_x", "true_y"))
        error = np.hypot(x - true_x, y - true_y)
        if row["task"] == "regression":
            cells = list(zip(column["image"], column["draw"], column["landmark"], strict=True))
            place = dict(zip(cells, zip(true_x, true_y, strict=True), strict=True))
            eyes = [np.array([place[image, draw, e] for image, draw, _ in cells]) for e in EYES]
            error = 100 * error / np.hypot(*(eyes[0] - eyes[1]).T)
        else:
            error = error * 69 / 95
        seen, draws = column["visible"], np.unique(column["draw"])
        by_draw = np.array([error[seen & (column["draw"] == draw)].mean() for draw in draws])
        assert by_draw.mean() == pytest.approx(row["value"], rel=1e-9)
        assert row["std"] is None or by_draw.std(ddof=1) == pytest.approx(row["std"], rel=1e-9)
        assert row["points"] == seen.sum() // len(by_draw)


def test_the_same_command_again_returns_the_same_record_and_trains_nothing(whole, capsys, monkeypatch):
    runs, record = whole
    monkeypatch.setattr("lmbench.runner.train_stages", None)  # whoever calls it fails
    monkeypatch.setattr("lmbench.runner.evaluate", None)
    before = {p: p.stat().st_mtime_ns for p in (runs / record["run"]).rglob("*") if p.is_file()}
    code, out, _ = run_here(capsys, *command(runs), "--json")
    assert code == 0 and json.loads(out) == record
    code, out, _ = run_here(capsys, *command(runs))
    assert code == 0 and "measured before" in out
    assert before == {p: p.stat().st_mtime_ns for p in (runs / record["run"]).rglob("*") if p.is_file()}


def test_what_a_finished_run_leaves_beside_its_record(whole):
    runs, record = whole
    folder = runs / record["run"]
    assert {p.name for p in folder.iterdir()} >= {
        "record.json",
        "config.json",
        "predictions",
        "heads",
        "overlay.png",
        "curve.png",
    }
    assert not (folder / "frozen").exists()
    assert not list((runs / "stages").glob("*checkpoint*"))
    assert not list(runs.rglob("*.lock")) and not list(runs.rglob(".*"))


def test_a_dry_run_tells_what_would_be_trained_and_what_is_reused_and_computes_nothing(whole, capsys, tmp_path):
    runs, record = whole
    code, out, _ = run_here(capsys, *command(tmp_path / "new"), "--dry-run", "--json")
    plan = json.loads(out)
    assert code == 0 and not (tmp_path / "new").exists()
    assert (plan["finished"], [s["action"] for s in plan["stages"]]) == (False, ["train"])
    assert json.loads(run_here(capsys, *command(runs), "--dry-run", "--json")[1])["finished"]
    code, out, _ = run_here(capsys, *command(runs, "--seed", "1"), "--dry-run")
    assert code == 0 and "stage byol: train" in out
    code, out, _ = run_here(capsys, *command(runs, variant="dense64"), "--dry-run", "--json")
    stages = json.loads(out)["stages"]
    assert [(s["stage"], s["action"]) for s in stages] == [("byol", "reuse"), ("distillation", "train")]
    assert stages[0]["key"] == record["stages"][0]["key"]


def test_a_second_variant_reuses_the_first_stage(whole, capsys):
    runs, record = whole
    settings = ("--tasks", "regression", "--annotations", "4", "--set", "stages.distillation.training.images=8")
    code, out, _ = run_here(capsys, *command(runs, *settings, variant="dense64"), "--json")
    assert code == 0
    first, second = json.loads(out)["stages"]
    assert (first["reused"], first["key"], second["reused"]) == (True, record["stages"][0]["key"], False)
    assert json.loads(out)["feature_dim"] == 64


def test_the_probe_looks_at_every_epoch_and_its_figures_stand_in_the_curve(tmp_path):
    probe = {"every": 1, "images": 20, "annotations": 2, "draws": 1, "steps": 2}
    options = [part for name, value in probe.items() for part in ("--set", f"probe.{name}={value}")]
    options += ["--tasks", "regression", "--annotations", "4", "--draws", "1", "--set", "stages.byol.training.epochs=1"]
    record = recorded(command(tmp_path, *options))
    curve = record["stages"][0]["curve"]
    assert [row["epoch"] for row in curve] == [0, 1]
    for row in curve:
        figures = {name: value for name, value in row.items() if name.startswith("probe_")}
        assert set(figures) == {"probe_matching_px", "probe_n2_iod", "probe_conv4_x_iod"}
        assert all(0 < value < 500 for value in figures.values())
    assert curve[0]["probe_matching_px"] != curve[1]["probe_matching_px"]  # another network every time
    assert "total" in curve[1] and "total" not in curve[0]
    assert not (tmp_path / record["run"] / "frozen").exists()


def until(process: subprocess.Popen, happened, seconds: float = 300) -> None:
    """Waits for something that a running command does."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert process.poll() is None, f"it ended with {process.returncode} before that"
        assert time.monotonic() < deadline, "it did not get there in time"
        time.sleep(0.005)


SLOWLY = """
import sys, time
from lmbench_lead.byol import BYOL
from lmbench.cli.main import main
step = BYOL.after_step
BYOL.after_step = lambda *arguments: (time.sleep(0.4), step(*arguments))
main(sys.argv[1:])
"""


FITTING_SLOWLY = """
import sys, time
from lmbench.cli.main import main
from lmbench.metrics.base import Predictions

write = Predictions.write
Predictions.write = lambda *arguments: (write(*arguments), time.sleep(20))[0]
main(sys.argv[1:])
"""


def started(runs: Path, script: str) -> subprocess.Popen:
    """The command in a process of its own, in a script that stays long enough where it is to be caught."""
    return subprocess.Popen(
        [sys.executable, "-c", script, *command(runs)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        # a test run in the background of a shell ignores Ctrl-C, and its children would inherit that
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


@pytest.fixture(scope="module")
def broken_off(tmp_path_factory):
    """(runs folder, final record, notes): killed in pretraining, stopped by Ctrl-C, killed in fitting, then left alone."""
    runs, notes = tmp_path_factory.mktemp("broken"), {}

    def plan():
        return recorded([*command(runs), "--dry-run"])["stages"][0]["action"]

    def checkpoints():
        return list((runs / "stages").glob("*.checkpoint/state.pt")) if (runs / "stages").exists() else []

    with started(runs, SLOWLY) as process:
        until(process, checkpoints)
        process.kill()
    notes["killed in pretraining"] = process.returncode, plan()
    with started(runs, SLOWLY) as process:
        assert process.stderr is not None
        os.set_blocking(process.stderr.fileno(), False)
        said = b""

        def training():
            nonlocal said
            said += process.stderr.read() or b""
            return b"stage byol" in said

        until(process, training)
        process.send_signal(signal.SIGINT)
        os.set_blocking(process.stderr.fileno(), True)
        said += process.stderr.read()
    notes["ctrl-c"] = process.returncode, said.decode()
    with started(runs, FITTING_SLOWLY) as process:
        until(process, lambda: list(runs.glob("*/predictions/regression-n4.json")))
        process.kill()
    notes["killed in fitting"] = process.returncode, plan()
    assert not list(runs.glob("*/record.json"))
    return runs, recorded(command(runs)), notes


def test_a_run_killed_in_pretraining_and_in_fitting_ends_with_the_numbers_of_an_uninterrupted_one(whole, broken_off):
    _, record, notes = broken_off
    assert notes["killed in pretraining"] == (-signal.SIGKILL, "continue")
    assert notes["killed in fitting"] == (-signal.SIGKILL, "reuse")
    assert numbers(record) == numbers(whole[1])
    assert record["stages"][0]["curve"] == whole[1]["stages"][0]["curve"]
    assert record["stages"][0]["key"] == whole[1]["stages"][0]["key"]


def test_ctrl_c_ends_with_130_and_says_how_to_go_on(broken_off):
    _, _, notes = broken_off
    code, said = notes["ctrl-c"]
    assert code == 130
    assert "interrupted. The same command goes on where it stopped." in said
    assert "Traceback" not in said


def test_nothing_unfinished_is_taken_for_a_result(broken_off):
    runs, record, _ = broken_off
    assert [p.parent.name for p in runs.glob("*/record.json")] == [record["run"]]


def test_the_untrained_control_of_a_method_is_the_untrained_network(whole, tmp_path):
    control = recorded(command(tmp_path, "--untrained"))
    random = recorded([part for part in command(tmp_path, method="random") if part not in ("--set",)][:-2] + [
        p for k, v in SMALL.items() if not k.startswith("stages") for p in ("--set", f"{k}={v}")
    ])  # fmt: skip
    assert (control["variant"], control["supervision"]) == ("hypercolumn, untrained", "none")
    assert control["run"] != whole[1]["run"]
    assert numbers(control) == numbers(random)


def test_warped_copies_of_annotated_images_change_the_fit_alone_and_are_recorded(whole, tmp_path):
    runs, plain = whole
    record = recorded(command(runs, "--set", "regression.warped_copies=2"))
    assert record["stages"][0]["reused"]
    changed = {(r["task"], r["n_annotations"]) for r, old in zip(record["metrics"], plain["metrics"], strict=True)
               if r["value"] != old["value"]}  # fmt: skip
    assert changed == {("regression", 4), ("regression", "all")}
    assert record["metrics"][0]["settings"]["warped_copies"] == 2


def test_a_stage_may_learn_from_the_unlabelled_images_of_the_target(tmp_path):
    images = tmp_path / "unlabelled"
    images.mkdir()
    rng = np.random.default_rng(0)
    for i in range(16):
        Image.fromarray(rng.integers(0, 255, (50, 50, 3), dtype=np.uint8)).save(images / f"{i}.png")
    options = ("--pretrain-on", f"images:{images}", "--set", "stages.byol.training.images=16", "--dry-run")
    elsewhere, at_home = (
        recorded(command(tmp_path, *options, "--set", f"stages.byol.data={data}")) for data in ("pretrain", "target")
    )
    without = recorded(command(tmp_path, "--set", "stages.byol.data=target", *options[2:]))
    assert at_home["stages"][0]["key"] == without["stages"][0]["key"] != elsewhere["stages"][0]["key"]
