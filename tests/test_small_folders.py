"""Small folders: enough steps, and what a number is read beside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from folder_trees import csv_tree
from small_runs import recorded, run_here

from lmbench import references
from lmbench.config.resolving import config_of, resolve_run
from lmbench.errors import LmbenchError, UsageError
from lmbench.job import prepare
from lmbench.plugins.loading import get_plugins
from lmbench.plugins.registry import Entry
from lmbench.results.leaderboard import measured_lines, ranked_records
from lmbench.results.record import Record
from lmbench.tasks.base import TaskContext


def arguments(root: Path, *options: str, method: str = "imm", runs: str = "runs") -> list[str]:
    """A run on ten images, with what stands beside it (which preset smoke leaves out)."""
    fixed = ["run", "--method", method, "--preset", "smoke", "--dataset", f"folder:{root / 'data'}", "--device", "cpu"]
    fixed += ["--runs", str(root / runs), "--set", "references=true"]
    fixed += [] if "matching" in options else ["--annotations", "2,all", "--draws", "3"]  # which no task of it has
    return [*fixed, "--precision", "fp32", "--set", "matching.pairs=4", *options]


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("small")
    csv_tree(place / "data")
    return place


@pytest.fixture(scope="module")
def record(root: Path) -> dict:
    return recorded(arguments(root, "--variant", "k10"))


def controls(root: Path) -> dict[tuple[str, int], Path]:
    """The kept controls by their task and seed."""
    notes = {n: json.loads(n.read_text())["config"] for n in (root / "runs" / "references").glob("*/reference.json")}
    return {(config["tasks"][0], config["seed"]): n.parent for n, config in notes.items()}


def values(rows: list[dict], **where) -> dict:
    """(task, subset, n) -> (value, std) of the metric that comes first in each."""
    found: dict = {}
    for row in rows:
        if all(row[k] == v for k, v in where.items()):
            found.setdefault((row["task"], row["subset"], row["n_annotations"]), (row["value"], row["std"]))
    return found


# --- enough steps ---------------------------------------------------------------------------------------------------


def test_a_plan_and_a_record_tell_the_steps_that_few_images_are_given(root: Path, capsys) -> None:
    options = ("--variant", "k10", "--set", "stages.imm.training.least_steps=7", "--tasks", "matching")
    options += ("--set", "references=false")
    code, out, _ = run_here(capsys, *arguments(root, *options, "--dry-run"))
    assert code == 0 and "imm, 7 epochs, 7 steps, the images repeated" in out  # eight images, one batch of eight
    made = recorded(arguments(root, *options))
    (stage,) = made["stages"]
    assert (stage["epochs"], stage["steps"], len(stage["curve"])) == (7, 7, 7)
    assert made["config"]["stages"]["imm"]["training"]["epochs"] == 2  # as it was asked for
    assert "(7 steps, 112 image views)" in run_here(capsys, *arguments(root, *options))[1]


def test_without_a_least_the_epochs_are_those_asked_for(record: dict) -> None:
    assert [(s["epochs"], s["steps"]) for s in record["stages"]] == [(2, 2)]


def test_an_objective_that_compares_images_refuses_a_single_one_before_anything_is_trained(tmp_path) -> None:
    csv_tree(tmp_path / "data")
    (table,) = (tmp_path / "data").glob("*.csv")
    table.write_text("".join(table.read_text().splitlines(keepends=True)[:4]))

    def prepared(**options) -> None:
        config = resolve_run(get_plugins(), "lead", f"folder:{tmp_path / 'data'}", preset="quick", **options)
        prepare(config, get_plugins(), None, tmp_path / "runs", "cpu")

    with pytest.raises(UsageError, match=r"stage byol: byol needs at least 2 training images, .* has 1"):
        prepared()
    prepared(untrained=True)


# --- what a number is read beside -----------------------------------------------------------------------------------


def test_the_mean_shape_beside_a_result_is_that_method_judged_by_itself(root: Path, record: dict) -> None:
    alone = recorded(arguments(root, "--tasks", "regression", method="mean_shape"))
    beside = values(record["references"], reference="mean_shape")
    assert set(beside) == {("regression", None, 2), ("regression", None, "all")}
    assert beside == {k: v for k, v in values(alone["metrics"]).items() if k in beside}
    assert alone["references"] == []


def test_the_control_beside_a_result_is_the_method_untrained_by_itself(root: Path, record: dict) -> None:
    alone = recorded(arguments(root, "--variant", "k10", "--untrained"))
    beside = values(record["references"], reference="untrained")
    assert set(beside) == {("regression", None, "all"), ("matching", "same", None), ("matching", "different", None)}
    untrained, trained = values(alone["metrics"]), values(record["metrics"])
    assert beside == {k: untrained[k] for k in beside} != {k: trained[k] for k in beside}
    assert {row["reference"] for row in alone["references"]} == {"mean_shape"}  # it is its own control


def test_what_stands_beside_changes_no_number_and_is_no_row_of_a_leaderboard(root: Path, record: dict) -> None:
    without = recorded(arguments(root, "--variant", "k10", "--set", "references=false", runs="others"))
    assert without["references"] == [] and not (root / "others" / "references").exists()
    assert without["metrics"] == record["metrics"]
    assert len(measured_lines(ranked_records([Record.of(record)]))) == len(record["metrics"])


def test_a_control_is_made_once_for_all_runs_that_share_it(root: Path, record: dict) -> None:
    place = controls(root)["regression", 0]
    before = {f: f.stat().st_mtime_ns for f in place.rglob("*")}
    longer = recorded(arguments(root, "--variant", "k10", "--set", "stages.imm.training.epochs=3"))
    assert values(longer["references"]) == values(record["references"])
    assert values(longer["metrics"]) != values(record["metrics"])
    assert before == {f: f.stat().st_mtime_ns for f in place.rglob("*")}
    recorded(arguments(root, "--variant", "k10", "--seed", "1", "--tasks", "matching"))
    assert set(controls(root)) == {("regression", 0), ("matching", 0), ("matching", 1)}


def test_a_control_is_of_the_weights_in_the_file_it_starts_from_and_of_the_versions_that_measure_it(
    tmp_path, root, monkeypatch
):
    def address(file: Path) -> str:
        started = {"stages": {"byol": {"backbone_settings": {"weights": str(file)}}}, "backbone": "resnet18"}
        config = resolve_run(
            get_plugins(), "lead", f"folder:{root / 'data'}", preset="smoke", variant="hypercolumn", overrides=[started]
        )
        control = references.config_of_control(config, get_plugins(), "regression")
        assert control is not None
        return references._key(prepare(config, get_plugins(), None, root / "runs", "cpu"), control)

    file = tmp_path / "weights.safetensors"
    file.write_bytes(b"one")
    first = address(file)
    file.write_bytes(b"two")
    second = address(file)
    identity, newer = Entry.identity, {"version": "99"}
    for part in ("box_error", "folder:*"):
        with monkeypatch.context() as patch:
            patch.setattr(Entry, "identity", lambda e, p=part: identity(e) | (newer if e.spec.name == p else {}))
            assert address(file) != second
    assert first != second == address(file)


def test_a_damaged_control_is_said_and_made_again(root: Path, record: dict, capsys) -> None:
    place = controls(root)["regression", 0]
    note = json.loads((place / "reference.json").read_text())
    note["rows"][0]["value"] += 1
    (place / "reference.json").write_text(json.dumps(note))
    code, out, err = run_here(
        capsys, *arguments(root, "--variant", "k10", "--set", "stages.imm.training.epochs=1", "--json")
    )
    assert code == 0 and f"{place} is damaged; it is made again" in err
    assert values(json.loads(out)["references"]) == values(record["references"])


def test_the_table_shows_them_beside_the_value(root: Path, record: dict, capsys) -> None:
    code, out, _ = run_here(capsys, *arguments(root, "--variant", "k10"))
    assert code == 0
    header, row = (next(line for line in out.splitlines() if w in line) for w in ("MEAN SHAPE", " all "))
    assert header.index("MEAN SHAPE") < header.index("UNTRAINED")
    shape = values(record["references"], reference="mean_shape")["regression", None, "all"][0]
    assert f"{shape:.2f}" in row


def test_a_control_that_fails_costs_no_result(root: Path, capsys, monkeypatch) -> None:
    def fails(*_) -> None:
        raise LmbenchError("the control cannot be judged")

    monkeypatch.setattr(references, "_untrained", fails)
    options = ("--variant", "k10", "--seed", "5", "--tasks", "regression", "--json")
    code, out, err = run_here(capsys, *arguments(root, *options))
    assert code == 0 and "no untrained control beside the result: the control cannot be judged" in err
    assert {r["reference"] for r in json.loads(out)["references"]} == {"mean_shape"}


@pytest.mark.parametrize(
    ("method", "variant"),
    [("random", ""), ("pixels", ""), ("position", ""), ("mean_shape", ""), ("supervised", ""), ("imm", "k10")],
)
def test_only_what_is_trained_has_a_control(method: str, variant: str) -> None:
    found = get_plugins()
    config = resolve_run(found, method, "synthfaces", preset="quick", variant=variant)
    controls = [references.config_of_control(config, found, task) for task in ("regression", "matching")]
    if method != "imm":
        assert controls == [None, None]
        return
    assert [c.tasks for c in controls if c is not None] == [("regression",), ("matching",)]
    control = controls[0]
    assert control is not None and control.untrained and control.settings_of("regression").annotations == ("all",)
    asked = [{"regression": {"annotations": [5, 10]}}]
    few = resolve_run(found, method, "synthfaces", preset="quick", variant=variant, overrides=asked)
    control = references.config_of_control(few, found, "regression")
    assert control is not None and control.settings_of("regression").annotations == (10,)
    assert references.config_of_control(few, found, "equivariance") is None
    untrained = resolve_run(found, method, "synthfaces", preset="quick", variant=variant, untrained=True)
    assert references.config_of_control(untrained, found, "regression") is None


def test_of_many_images_a_control_that_costs_half_of_the_run_is_left_out_and_said(root, record, capsys, monkeypatch):
    monkeypatch.setattr(references, "FEW_IMAGES", 2)
    judged = []
    monkeypatch.setattr(references, "_untrained", lambda job, control: judged.append(control.tasks) or [])
    config = config_of(get_plugins(), record["config"])
    job = prepare(config, get_plugins(), None, root / "elsewhere", "cpu")

    def beside(seconds, total):
        context = TaskContext(config, job.target, job.device, get_plugins(), root / "elsewhere", seconds=seconds)
        references.references(job, context, total)

    beside({"regression": 120.0, "matching": 90.0}, total=100.0)  # two numbers of annotations: some 60 s each
    assert judged == [("matching",)]
    assert "it would take some 60 s, more than half of the run" in capsys.readouterr().err
    beside({"regression": 80.0, "matching": 90.0}, total=200.0)
    assert judged == [("matching",), ("regression",), ("matching",)]
