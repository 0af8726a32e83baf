"""What is reused is what was asked for: of other data, other weights or another precision nothing is shown or continued."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from kept_runs import (
    Killed,
    command,
    flip,
    killed_after,
    labelled,
    mend_image,
    mend_label,
    numbers,
    ran,
    tree,
    unlabelled,
)  # fmt: skip

from lmbench import job as jobs
from lmbench import runner
from lmbench.data.pixels import PixelStore
from lmbench.features import Extractor
from lmbench.heads.frozen import freeze_maps
from lmbench.plugins.registry import Entry
from lmbench.results.reading import read_record
from lmbench.results.run import Run


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch, tmp_path):
    monkeypatch.setattr(runner, "draw_run", lambda *_: None)
    monkeypatch.setenv("LMBENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def data(tmp_path) -> Path:
    return labelled(tmp_path / "data")


def run_folder(runs: Path) -> Path:
    (found,) = runs.glob("dve_*")
    return found


@pytest.mark.parametrize(("mend", "after"), [(mend_label, "regression-n2"), (mend_image, "regression-nall")])
def test_data_mended_between_a_kill_and_the_next_run_leaves_nothing_stale(tmp_path, data, monkeypatch, mend, after):
    with killed_after(after, monkeypatch):
        ran(command(data, tmp_path / "runs"))
    old = run_folder(tmp_path / "runs")
    assert (old / "frozen" / "train").is_dir()
    predictions = {p: p.read_bytes() for p in (old / "predictions").iterdir()}
    mend(data)
    record, said = ran(command(data, tmp_path / "runs"))
    assert f"{old.name} was made from other data" in said and f"{record['run']} is made beside it" in said
    assert numbers(record) == numbers(ran(command(data, tmp_path / "elsewhere"))[0])
    assert {p: p.read_bytes() for p in (old / "predictions").iterdir()} == predictions
    assert not (old / "frozen").exists()  # nobody goes on with that run


def test_labels_mended_after_a_run_give_a_new_run_beside_it_and_the_old_record_stays(tmp_path, data):
    runs = tmp_path / "runs"
    first, _ = ran(command(data, runs))
    before = tree(runs / first["run"])
    mend_label(data)
    plan, _ = ran(command(data, runs, "--dry-run"))
    assert not plan["finished"] and plan["run"] != first["run"]
    assert [line.startswith(f"{first['run']} was made from other data (") for line in plan["beside"]] == [True]
    _, said = ran(command(data, runs, "--resume", "require"), code=3)
    assert "there is no interrupted run" in said and f"{first['run']} is there, made from other data" in said
    second, said = ran(command(data, runs))
    assert second["data"]["fingerprint"] != first["data"]["fingerprint"]
    assert first["data"]["fingerprint"][:12] in said and second["data"]["fingerprint"][:12] in said
    assert tree(runs / first["run"]) == before
    assert ran(command(data, runs)) == (second, "")


def test_pretraining_images_that_were_replaced_are_learned_from_anew(tmp_path, data):
    images = unlabelled(tmp_path / "images")
    options = ("--pretrain-on", f"images:{images}")
    first, _ = ran(command(data, tmp_path / "runs", *options))
    mend_image(images)
    second, said = ran(command(data, tmp_path / "runs", *options))
    assert "other pretraining images" in said and "other data" not in said
    assert second["stages"][0]["key"] != first["stages"][0]["key"] and not second["stages"][0]["reused"]
    assert numbers(second) == numbers(ran(command(data, tmp_path / "elsewhere", *options))[0])


def test_bf16_and_then_fp32_are_two_stages_and_two_runs(tmp_path, data):
    rough, _ = ran(command(data, tmp_path / "runs", precision="bf16"))
    exact, said = ran(command(data, tmp_path / "runs", precision="fp32"))
    assert "another precision (bf16 then, fp32 now)" in said
    assert [r["stages"][0]["precision"] for r in (rough, exact)] == ["bf16", "fp32"]
    assert numbers(exact) == numbers(ran(command(data, tmp_path / "elsewhere", precision="fp32"))[0])
    assert numbers(rough)[0] != numbers(exact)[0]


def test_a_precision_that_is_chosen_by_itself_is_the_same_run_as_when_it_is_named(tmp_path, data, monkeypatch):
    monkeypatch.setattr("lmbench.training.loop.cpu_has_bf16_units", lambda: False)
    names = {ran(command(data, tmp_path, "--dry-run", precision=p))[0]["run"] for p in ("auto", "fp32")}
    assert len(names) == 1
    assert ran(command(data, tmp_path, "--dry-run", precision="bf16"))[0]["run"] not in names


def test_another_version_of_a_part_is_another_run_and_is_named(tmp_path, data, monkeypatch):
    first, _ = ran(command(data, tmp_path / "runs", "--tasks", "matching"))
    identity = Entry.identity
    newer = {"version": "99"}
    monkeypatch.setattr(Entry, "identity", lambda e: identity(e) | (newer if e.spec.name == "matching_error" else {}))
    plan, _ = ran(command(data, tmp_path / "runs", "--tasks", "matching", "--dry-run"))
    version = next(c["version"] for c in first["components"] if c["name"] == "matching_error")
    (line,) = plan["beside"]
    assert f"other versions of its parts (metric matching_error: lmbench {version} then, lmbench 99 now)" in line
    assert [s["action"] for s in plan["stages"]] == ["reuse"]  # what measures does not train


def test_a_run_of_an_earlier_version_is_named_and_left_alone(tmp_path, data):
    first, _ = ran(command(data, tmp_path / "runs", "--tasks", "matching"))
    old = tmp_path / "runs" / first["run"].replace(first["run"][-8:], first["config_sha256"][:8])
    (tmp_path / "runs" / first["run"]).rename(old)
    (old / "identity.json").unlink()
    earlier = {k: v for k, v in first.items() if k not in ("identity", "sha256")}
    (old / "record.json").write_text(json.dumps(earlier))
    before = tree(old)
    plan, _ = ran(command(data, tmp_path / "runs", "--tasks", "matching", "--dry-run"))
    assert plan["run"] == first["run"] and plan["beside"][0].startswith(f"{old.name} was made from")
    assert tree(old) == before and Run.open(old).record.to_json()["metrics"] == first["metrics"]


def test_the_grid_and_normalisation_by_which_a_teacher_is_read_decide_the_stages_that_learn_from_it(tmp_path, data):
    def keys(**changes):
        two_stages = [
            "run",
            "--method",
            "lead",
            "--variant",
            "dense64",
            "--dataset",
            f"folder:{data}",
            "--preset",
            "smoke",
        ]
        sets = [part for k, v in changes.items() for part in ("--set", f"{k}={v}")]
        return [s["key"] for s in ran([*two_stages, "--runs", str(tmp_path), "--dry-run", *sets])[0]["stages"]]

    plain = keys()
    for change in ({"read.size": 7}, {"read.normalise": "global"}):
        found = keys(**change)
        assert found[0] == plain[0] and found[1] != plain[1]


def test_a_stage_that_two_targets_share_shows_no_probe_of_the_one_in_the_other(tmp_path, data):
    pretrain = ("--pretrain-on", f"images:{unlabelled(tmp_path / 'images', 24)}")
    probe = {"probe.every": 1, "probe.images": 20, "probe.annotations": 2}
    other = labelled(tmp_path / "other")
    mend_image(other)
    first, _ = ran(command(data, tmp_path / "runs", *pretrain, **probe))
    second, said = ran(command(other, tmp_path / "runs", *pretrain, **probe))
    (a,), (b,) = first["stages"], second["stages"]
    assert b["reused"] and b["key"] == a["key"] and b["weights_sha256"] == a["weights_sha256"]
    assert "was trained before, without this probe" in said
    assert [set(row) for row in b["curve"]] == [{"epoch", "lr", "total"}] * 2
    assert [row["total"] for row in b["curve"]] == [row["total"] for row in a["curve"][1:]]
    assert "probe_matching_px" in a["curve"][0]
    again, said = ran(command(data, tmp_path / "runs", *pretrain, "--resume", "never", **probe))
    assert again["stages"][0]["curve"] == a["curve"] and "without this probe" not in said


def test_weights_that_were_trained_anew_as_others_are_not_mixed_with_old_predictions(tmp_path, data, monkeypatch):
    with killed_after("regression-n2", monkeypatch):
        ran(command(data, tmp_path / "runs"))
    run = run_folder(tmp_path / "runs")
    note = json.loads((run / "identity.json").read_text())
    note["weights"]["smallnet"] = "0" * 64
    (run / "identity.json").write_text(json.dumps(note))
    record, said = ran(command(data, tmp_path / "runs"))
    assert "made from other weights or data; it is made anew" in said
    assert numbers(record) == numbers(ran(command(data, tmp_path / "elsewhere"))[0])


class Doubling(torch.nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = torch.nn.Parameter(torch.tensor(factor))

    def forward(self, images):
        return {"map": images * self.factor}


def store(key: str, value: int) -> PixelStore:
    none = np.zeros((3, 0))
    images = np.full((3, 4, 4, 3), value, np.uint8)
    return PixelStore(images, np.zeros((3, 0, 2)), none, none, none, key)


def test_frozen_maps_of_other_images_or_of_another_network_are_made_anew(tmp_path):
    def frozen(key: str, value: int, factor: float) -> float:
        extractor = Extractor(Doubling(factor), ("map",), 4)
        maps = freeze_maps(extractor, store(key, value), tmp_path / "maps", torch.device("cpu"))
        return float(maps.batch(torch.tensor([0])).maps[0].max())

    assert frozen("a", 51, 2.0) == pytest.approx(0.4, abs=1e-3)
    assert frozen("a", 255, 2.0) == pytest.approx(0.4, abs=1e-3)  # the same address: the maps that lie there
    assert frozen("b", 255, 2.0) == pytest.approx(2.0)
    assert frozen("b", 255, 3.0) == pytest.approx(3.0)
    flip(tmp_path / "maps" / "map.npy", 8 * 150)
    assert frozen("b", 255, 3.0) == pytest.approx(3.0)


def test_predictions_damaged_between_a_kill_and_the_next_run_are_made_again(tmp_path, data, monkeypatch):
    expected = numbers(ran(command(data, tmp_path / "elsewhere"))[0])
    for bit, name in ((4000, "regression-n2.parquet"), (800, "regression-n2.json"), (100, "manifest.json")):
        runs = tmp_path / name
        with killed_after("regression-nall", monkeypatch):
            ran(command(data, runs))
        flip(run_folder(runs) / "predictions" / name, bit)
        record, said = ran(command(data, runs))
        assert numbers(record) == expected
        assert "is damaged" in said and "made again now" in said


def test_a_record_in_which_a_bit_was_flipped_is_named_and_never_shown(tmp_path, data):
    record, _ = ran(command(data, tmp_path / "runs"))
    path = tmp_path / "runs" / record["run"] / "record.json"
    whole = path.read_text()
    value = json.dumps(record["metrics"][0]["value"])
    path.write_text(whole.replace(f'"value": {value}', f'"value": {int(value[0]) % 9 + 1}{value[1:]}', 1))
    _, said = ran(command(data, tmp_path / "runs"), code=5)
    assert f"{path} is damaged" in said
    path.write_text(json.dumps({k: v for k, v in record.items() if k != "sha256"}))  # as earlier versions wrote them
    assert read_record(path).to_json()["metrics"] == record["metrics"]


def test_predict_refuses_a_damaged_head_and_heads_of_other_weights(tmp_path, data):
    record, _ = ran(command(data, tmp_path / "runs", "--tasks", "regression", "--annotations", "all"))
    run = tmp_path / "runs" / record["run"]
    head, asked = run / "heads" / "regression-nall.safetensors", ["predict", str(run), str(data / "01.png")]
    whole = head.read_bytes()
    flip(head, 8 * len(whole) - 20)
    _, said = ran(asked, code=5)
    assert f"{run / 'heads'} is damaged: the SHA-256 of {head.name}" in said
    head.write_bytes(whole)
    other = record | {"stages": [record["stages"][0] | {"weights_sha256": "0" * 64}]}
    (run / "record.json").write_text(json.dumps({k: v for k, v in other.items() if k != "sha256"}))
    _, said = ran(asked, code=3)
    assert "was trained anew after" in said and "its heads belong to other weights" in said


def test_pixels_damaged_while_a_run_reads_them_give_no_record(tmp_path, data, monkeypatch):
    evaluate = runner.evaluate

    def meanwhile(context):
        evaluate(context)
        flip(next((tmp_path / "cache" / "pixels").glob("*/images.npy")), 9999)

    with monkeypatch.context() as patch:
        patch.setattr(runner, "evaluate", meanwhile)
        _, said = ran(command(data, tmp_path / "runs"), code=5)
    assert "was damaged while it was read" in said
    assert not (run_folder(tmp_path / "runs") / "predictions").exists()
    record, _ = ran(command(data, tmp_path / "runs"))
    assert numbers(record) == numbers(ran(command(data, tmp_path / "elsewhere"))[0])


def test_images_replaced_while_a_run_reads_them_give_no_record_and_no_store(tmp_path, data, monkeypatch):
    prepare = jobs.prepare

    def meanwhile(*args, **options):
        job = prepare(*args, **options)
        mend_image(data)
        return job

    with monkeypatch.context() as patch:
        patch.setattr(jobs, "prepare", meanwhile)
        _, said = ran(command(data, tmp_path / "runs"), code=5)
    assert "were changed while they were read" in said
    assert not list((tmp_path / "cache").rglob("images.npy"))
    record, _ = ran(command(data, tmp_path / "runs"))
    assert numbers(record) == numbers(ran(command(data, tmp_path / "elsewhere"))[0])


def test_a_dry_run_writes_no_file_and_builds_no_store(tmp_path, data):
    (tmp_path / "cache").mkdir()
    before = tree(tmp_path)
    plan, _ = ran(command(data, tmp_path / "runs", "--dry-run"))
    assert (plan["unknown"], [s["action"] for s in plan["stages"]]) == (None, ["train"])
    assert tree(tmp_path) == before
    embedded = [part.replace(f"folder:{data}", "synthfaces") for part in command(data, tmp_path / "runs", "--dry-run")]
    plan, _ = ran(embedded)
    assert plan["run"] is None and "synthfaces is not rendered yet" in plan["unknown"]
    assert [(s["stage"], s["action"], s["key"]) for s in plan["stages"]] == [("smallnet", "train", None)]
    assert tree(tmp_path) == before


def test_sigterm_ends_with_130_and_says_how_to_go_on(tmp_path, data, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(runner, "freeze", lambda *_: signal.raise_signal(signal.SIGTERM))
        before = signal.getsignal(signal.SIGTERM)
        _, said = ran(command(data, tmp_path / "runs"), code=130)
    assert "interrupted. The same command goes on where it stopped." in said
    assert signal.getsignal(signal.SIGTERM) == before
    assert ran(command(data, tmp_path / "runs"))[0]["stages"][0]["reused"]


def test_what_a_kill_leaves_is_gone_after_the_next_run(tmp_path, data, monkeypatch):
    runs, cache = tmp_path / "runs", tmp_path / "cache"
    whole, _ = ran(command(data, runs))
    expected = {p.relative_to(tmp_path) for p in tree(runs, cache)}
    (runs / whole["run"] / "record.json").unlink()
    for place in (runs / "stages", cache / "pixels"):  # of other stages and stores, which the next run does not make
        (place / ".0123456789abcdef0123.abcd_12x").mkdir()
        (place / ".0123456789abcdef0123.abcd_12x" / "half").write_text("x")
    (runs / whole["run"] / ".record.json.abcd_12x.json").write_text("{")
    (runs / whole["run"] / "predictions" / ".regression-nall.parquet.abcd_12x.parquet").write_text("x")
    (runs / whole["run"] / "frozen").mkdir()
    (runs / whole["run"] / "frozen" / ".train.abcd_12x").mkdir()
    again, _ = ran(command(data, runs))
    assert numbers(again) == numbers(whole)
    assert {p.relative_to(tmp_path) for p in tree(runs, cache)} == expected
    (runs / whole["run"] / "frozen").mkdir()  # killed after the record was written
    assert ran(command(data, runs))[0] == again
    assert not (runs / whole["run"] / "frozen").exists()


def test_a_run_that_dies_while_it_freezes_leaves_nothing_that_the_next_takes_for_maps(tmp_path, data, monkeypatch):
    def die(self, *_):
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Extractor, "maps", die)
        ran(command(data, tmp_path / "runs"))
    record, _ = ran(command(data, tmp_path / "runs"))
    assert numbers(record) == numbers(ran(command(data, tmp_path / "elsewhere"))[0])


def test_a_dry_run_says_what_resume_never_and_require_would_do(tmp_path, data):
    record, _ = ran(command(data, tmp_path / "runs"))
    plan, _ = ran(command(data, tmp_path / "runs", "--dry-run", "--resume", "never"))
    assert (plan["finished"], plan["run"]) == (False, f"{record['run']}-2")
    mend_label(data)
    _, said = ran(command(data, tmp_path / "runs", "--dry-run", "--resume", "require"), code=3)
    assert f"{record['run']} is there, made from other data" in said
