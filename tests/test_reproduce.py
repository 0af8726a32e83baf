"""`lmbench reproduce`: printed numbers beside measured ones, planned from names, run once, and never lost."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lmbench import runner
from lmbench.cli.main import run_cli
from lmbench.config import RunConfig
from lmbench.errors import StaleError, UsageError
from lmbench.plugins import Plugins, get_plugins, load_plugins
from lmbench.reproduction import table
from lmbench.reproduction.coverage import coverage
from lmbench.reproduction.planning import Request, parse_dataset_map, plan_table, resolve
from lmbench.reproduction.published import find_table, read_cells, tables
from lmbench.reproduction.running import head_of
from lmbench.reproduction.targets import Gap, Target, is_ours, target_of
from lmbench.specs import PRESETS, MethodSpec, PublishedRows

FIRST, SECOND = "sparse2017/text", "contrastlandmarks2021/table5"
FACES = "aflw_m=synthfaces,celeba=synthfaces"
ALL_FACES = {name: "synthfaces" for cell in read_cells() for name in (cell.dataset, cell["pretrain_dataset"]) if name}


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    return get_plugins()


def target(plugins: Plugins, table_name: str, **columns: str) -> Target:
    """The target of the one cell with these columns."""
    (cell,) = [c for c in find_table(table_name) if all(c[k] == v for k, v in columns.items())]
    found = target_of(cell, plugins)
    assert isinstance(found, Target), found
    return found


# Tables and mapping


def test_every_printed_number_is_in_one_table_and_every_table_is_found_by_its_names():
    assert sum(map(len, tables().values())) == len(read_cells()) == 555
    for name, cells in tables().items():
        assert find_table(name) == cells
        assert find_table(f"{cells[0]['paper']}/{cells[0]['table']}") == cells  # as it is printed
    assert find_table("lead2022/supp-Table-7") == tables()["lead2022/supp_table7"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("leed2022/table5", "Did you mean 'lead2022'"),
        ("lead2022/table55", "Did you mean 'table5'"),
        ("lead2022", "names a paper and no table; it has table1, "),
        ("lead2022/", "has no table ''"),
    ],
)
def test_an_unknown_table_is_refused_with_the_closest(name, said):
    with pytest.raises(UsageError, match="lead2022") as caught:
        find_table(name)
    assert said in str(caught.value)


def test_every_measurement_of_a_method_that_is_here_has_a_run_but_for_six_with_reasons(plugins):
    found = coverage(plugins)
    assert sum(t.cells for t in found) == 555
    assert sum(t.ours for t in found) == 444 and sum(t.mapped for t in found) == 438
    reasons = [reason for t in found for reason in t.unmapped.elements()]
    assert len(reasons) == 6 and all("labels" in r or "supervised training" in r for r in reasons)
    for t in found:
        assert t.cells == t.mapped + t.unmapped.total() + t.foreign.total()


def test_what_no_plugin_brings_and_what_is_no_measurement_says_so(plugins):
    def reason(**columns: str) -> str:
        cell = next(c for c in read_cells() if all(c[k] == v for k, v in columns.items()))
        gap = target_of(cell, plugins)
        assert isinstance(gap, Gap) and gap.kind == "scope" and not is_ours(cell, plugins)
        return gap.reason

    assert "supervised system" in reason(method="tcdcn")
    assert "no plugin brings the method 'fabnet'" in reason(method="fabnet")
    assert reason(task="cost").startswith("a cost")
    assert reason(metric="relative_improvement_pct").startswith("a claim")


def test_variants_are_told_apart_where_the_dimension_does_not(plugins):
    name = "contrastlandmarks2021/table3"
    assert target(plugins, name, variant="layer #2", dataset="mafl").variant == "conv2_x"  # 256-d, as proj256
    assert target(plugins, name, variant="hypercolumn #4 - #5", dataset="mafl").variant == "conv4_x-conv5_x"
    name = "contrastlandmarks2021/table4"
    ten = target(plugins, name, variant="+proj, K=10", dataset="mafl", task="regression")
    assert (ten.variant, ten.settings) == ("proj256", {"regression": {"head_settings": {"points": 10}}})
    fifty = target(plugins, name, variant="+proj, K=50", feature_dim="64", dataset="mafl", task="regression")
    assert (fifty.variant, fifty.settings, fifty.backbone) == ("proj64", {}, "resnet50")


def test_the_citing_papers_numbers_are_of_the_variants_that_their_sources_name(plugins):
    sparse = {d: target(plugins, "lead2022/table2", method="sparse", dataset=d) for d in ("mafl", "aflw_m", "300w")}
    assert [t.variant for t in sparse.values()] == ["k50", "k51_finetuned", "k50_finetuned"]  # 6.67, 10.53, 7.97
    assert {t.pretrain_on for t in sparse.values()} == {"celeba_minus_mafl_test"}
    dve = [target(plugins, "lead2022/table2", method="dve", dataset=d).variant for d in ("mafl", "aflw_m")]
    assert dve == ["hourglass", "hourglass-ft"]  # 2.86, 7.53 (8.15 without fine-tuning)


def test_a_regressor_fitted_on_celeba_is_judged_on_the_selection_that_has_it(plugins):
    columns = {"variant": "regressor_train=celeba", "n_landmarks": "30"}
    found = target(plugins, "sparse2017/table1", **columns)
    assert (found.variant, found.dataset, found.pretrain_on) == ("k30", *["celeba_minus_mafl_test"] * 2)
    assert Request(dataset_map={"celeba": "celeba_half"}).dataset(found.pretrain_on) == "celeba_half"
    exact = {"celeba": "celeba_half", "celeba_minus_mafl_test": "synthfaces"}
    assert Request(dataset_map=exact).dataset(found.pretrain_on) == "synthfaces"


def test_lead_prints_px_under_percent_and_the_birds_metric_is_that_of_the_code(plugins):
    lead = target(plugins, "lead2022/table3", variant="proj_dim=none", pairs="same")
    assert (lead.metrics, lead.part, lead.n_annotations) == (("matching_error",), "same", None)
    assert lead.settings == {"stages": {"distillation": {"settings": {"projection": 0}}}} and "px" in lead.note
    assert target(plugins, "lead2022/supp_table9", method="lead").metrics == ("pck_cub_truncated", "pck_5pct")
    average = target(plugins, "twostep2021/table2", method="twostep", n_annotations="50")
    assert (average.part, average.n_annotations, average.variant) == (None, 50, "k50")


def test_poses_are_pretrained_on_the_training_videos_and_judged_apart_by_parts(plugins):
    wrist = target(plugins, "twostep2021/table1", method="twostep", part="wrist")
    assert (wrist.pretrain_on, wrist.dataset, wrist.part, wrist.metrics) == (
        "bbcpose_train", "bbcpose", "wrist", ("pck_6px",)
    )  # fmt: skip
    imm = target(plugins, "twostep2021/table1", method="imgen", part="avg")
    assert (imm.pretrain_on, imm.part, imm.metrics) == ("bbcpose_train", None, ("bbc_pck", "pck_6px"))


def test_every_mapped_row_resolves_in_every_preset(plugins):
    """No variant, setting or layer of the mapping is misspelt: the labelled faces stand for all datasets."""
    targets = [t for t in (target_of(c, plugins) for c in read_cells()) if isinstance(t, Target)]
    targets = [t for t in targets if t.task in ("regression", "matching")]
    assert len(targets) == 433
    unlike = {repr(replace(t, n_annotations=None, part=None, metrics=())): t for t in targets}
    for preset in PRESETS:
        request = Request(preset, dataset_map=ALL_FACES)
        for one in unlike.values():
            config = resolve([one], plugins, request)
            assert (config.method, config.variant, config.dataset) == (one.method, one.variant, "synthfaces")
            assert bool(config.stages) == bool(config.pretrain_on) == bool(one.pretrain_on)
            if preset == "paper" and one.backbone:
                assert config.backbone == one.backbone


def test_a_plugin_brings_the_mapping_of_its_own_method():
    plugins = load_plugins([])
    rows = PublishedRows(where={"method": ("fabnet",), "dataset": ("mafl",)}, variant="v", pretrain_on="celeba")
    base = next(e.spec for e in get_plugins().registry("method") if e.spec.name == "random")
    spec = MethodSpec(name="mine", summary="s", variants=(replace(base.variants[0], name="v"),), published=(rows,))
    plugins.registry("method").add(spec, "lmbench-mine", "1")
    found = target(plugins, "contrastlandmarks2021/table2", method="fabnet", dataset="mafl")
    assert (found.method, found.variant) == ("mine", "v")
    missing = target_of(next(c for c in read_cells() if c["method"] == "lead"), plugins)
    assert isinstance(missing, Gap) and missing.kind == "missing" and "pip install lmbench-lead" in missing.reason


# Planning


@pytest.mark.parametrize("name", list(tables()))
def test_every_table_has_a_plan_whatever_data_is_here(name, plugins, tmp_path):
    for mapping in ({}, ALL_FACES):
        plan = plan_table(find_table(name), plugins, Request("small", dataset_map=mapping, data_root=tmp_path))
        served = [n for run in plan.runs for n in run.targets]
        assert sorted([*served, *plan.gaps]) == list(range(len(plan.cells)))  # each cell once
        assert all(gap.reason for gap in plan.gaps.values())


def test_one_run_serves_every_number_of_annotations_of_a_method(plugins):
    request = Request("small", dataset_map={"aflw_m": "synthfaces", "celeba": "synthfaces"})
    plan = plan_table(find_table("lead2022/table5"), plugins, request)
    assert len(plan.runs) == 9 and not plan.gaps
    assert all(run.config.regression.annotations == (1, 5, 10, 20, 50, 100) for run in plan.runs)
    assert all(run.config.tasks == ("regression",) for run in plan.runs)
    assert [len(run.targets) for run in plan.runs] == [6] * 9
    supplement = plan_table(find_table("sparse2017/supp_table2"), plugins, request)
    assert (1, 5, 10, 20, "all") in [run.config.regression.annotations for run in supplement.runs]


def test_a_row_says_what_is_otherwise_than_in_the_paper(plugins):
    request = Request("small", dataset_map={"aflw_m": "synthfaces", "celeba": "synthfaces"})
    plan = plan_table(find_table("lead2022/table5"), plugins, request)
    lead = next(run for run in plan.runs if run.config.method == "lead")
    (said,) = set(lead.differs.values())
    assert said == (
        "measured on synthfaces, not aflw_m; pretrained on synthfaces, not celeba; resnet18, not resnet50; preset small, "
        "not paper; head softargmax_conditioned, not softargmax_linear"
    )


def test_networks_that_a_table_compares_are_never_given_one_number(plugins):
    request = Request("small", dataset_map=ALL_FACES)
    plan = plan_table(find_table(SECOND), plugins, request)
    measured = {plan.cells[n]["backbone"] for run in plan.runs for n in run.targets}
    assert measured == {"resnet18"} and len(plan.gaps) == 12
    assert all("--backbones paper" in gap.reason and gap.kind == "scope" for gap in plan.gaps.values())
    both = plan_table(find_table(SECOND), plugins, replace(request, backbones="paper"))
    assert not both.gaps and {run.config.backbone for run in both.runs} == {"resnet18", "resnet50"}


def test_preset_paper_takes_the_papers_networks_and_its_settings_for_a_dataset(plugins):
    plan = plan_table(find_table("lead2022/table4"), plugins, Request("paper", dataset_map=ALL_FACES))
    runs = {(r.config.method, plan.cells[n].dataset): r.config for r in plan.runs for n in r.targets}
    assert runs["lead", "mafl"].backbone == "resnet50"
    epochs = [runs["lead", d].regression.head_settings.get("epochs") for d in ("mafl", "aflw_m", "300w")]
    assert epochs == [120, None, 80]  # CL README
    assert runs["dve", "mafl"].regression.head_settings["recipe"] == "dve_faces"


def test_missing_data_is_told_with_its_source_and_the_way_out(plugins, tmp_path):
    request = Request("small", dataset_map={"aflw_m": "aflw_split"}, data_root=tmp_path)
    plan = plan_table(find_table("sparse2017/text"), plugins, request)
    reasons = {run.absent.reason for run in plan.runs if run.absent}
    assert len(reasons) == 1 and (reason := reasons.pop())
    assert str(tmp_path / "MTFL") in reason and "MTFL.zip" in reason and "--dataset-map aflw_m=" in reason


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        (["mafl"], "expected PAPERS=OURS"),
        (["=mafl"], "expected PAPERS=OURS"),
        (["mafl="], "expected PAPERS=OURS"),
        (["mafll=synthfaces"], "Did you mean 'mafl'"),
        (["mafl=synthface"], "Did you mean 'synthfaces'"),
        (["mafl=synthfaces", "mafl=aflw_split"], "give one of them"),
        ([""], "expected PAPERS=OURS"),
    ],
)
def test_a_map_that_says_nothing_certain_is_refused(pairs, said, plugins):
    with pytest.raises(UsageError) as caught:
        parse_dataset_map(pairs, plugins)
    assert said in str(caught.value)


def test_a_map_may_come_in_pieces_or_with_commas(plugins):
    both = {"mafl": "synthfaces", "celeba": "celeba_half"}
    assert parse_dataset_map(["mafl=synthfaces", "celeba=celeba_half"], plugins) == both
    assert parse_dataset_map([" mafl = synthfaces, celeba=celeba_half"], plugins) == both


# The command


def record_of(config: RunConfig, name: str, value: float, fingerprint: str, keys: Sequence[str] = ()) -> dict[str, Any]:
    """A record as of a run that found ``value`` everywhere."""
    rows = [
        {"task": "regression", "metric": "iod", "subset": None, "n_annotations": n, "value": value,
         "std": None if n == "all" else 0.5, "draws": None if n == "all" else 5, "ci95": [19.0, 21.0],
         "settings": head_of(config, get_plugins())}
        for n in config.regression.annotations
    ]  # fmt: skip
    empty = ("method", "variant", "dataset", "pretrain_on", "preset", "seed", "backbone", "config_sha256")
    return {
        **dict.fromkeys(empty, ""), "components": [], "code": {}, "environment": {}, "schema": 1, "status": "ok",
        "run": name, "metrics": rows, "stages": [{"key": k} for k in keys], "data": {"fingerprint": fingerprint},
        "config": config.model_dump(mode="json"),
    }  # fmt: skip


class Lab:
    """The command with its own folders, and a runner whose runs are made up."""

    def __init__(self, folder: Path, monkeypatch, capsys) -> None:
        self.folder, self.capsys = folder, capsys
        self.ran: list[str] = []
        self.broken: set[str] = set()
        self.value = 20.0
        monkeypatch.setattr(runner, "run", self.run)

    def run(self, job: runner.Job, resume: str = "auto"):
        config = job.config
        self.ran.append(f"{config.method}/{config.variant}")
        if config.method in self.broken:
            raise ValueError("out of luck")
        record = record_of(config, job.folder.name, self.value, job.target.fingerprint, list(job.keys.values()))
        job.folder.mkdir(parents=True)
        (job.folder / "record.json").write_text(json.dumps(record))
        return record, False

    def __call__(self, *arguments: str, maps: str = FACES, preset: str = "smoke") -> tuple[int, str, str]:
        places = [f"--{place}={self.folder / place}" for place in ("runs", "out", "data-root")]
        options = ["--dataset-map", maps] if maps else []
        self.capsys.readouterr()
        code = run_cli(["reproduce", "--preset", preset, *options, *places, "--device", "cpu", *arguments])
        return (code, *self.capsys.readouterr())

    @property
    def file(self) -> Path:
        return self.folder / "out" / "reproduce" / "sparse2017_text_smoke.csv"

    def rows(self) -> list[dict[str, str]]:
        return list(csv.DictReader(self.file.open(encoding="utf-8")))


@pytest.fixture
def lab(tmp_path, monkeypatch, capsys) -> Lab:
    return Lab(tmp_path, monkeypatch, capsys)


def test_a_table_ends_as_a_csv_with_published_and_measured_side_by_side(lab):
    code, out, _ = lab(FIRST)
    assert code == 0 and lab.ran == ["supervised/connected", "mean_shape/none"]
    rows = lab.rows()
    assert [r["published"] for r in rows] == ["23.85", "22.31", "24.40", "23.85"]  # as printed
    mean = rows[2]
    assert (mean["measured"], mean["difference"], mean["ci95_low"]) == ("20.0000", "-4.4000", "19.0000")
    assert (mean["run_method"], mean["run_dataset"], mean["dataset"]) == ("mean_shape", "synthfaces", "aflw_m")
    assert mean["dataset_map"] == "aflw_m=synthfaces celeba=synthfaces" and "not aflw_m" in mean["differs"]
    assert (lab.folder / "out" / mean["record"]).is_file()
    assert "synthfaces for aflw_m" in out and "20.00 ± 0.50" in out and "-4.40" in out


def test_the_real_runner_gives_the_number_that_lmbench_run_gives(tmp_path, monkeypatch, capsys):
    cells = [c for c in find_table(FIRST) if c["method"] == "mean_landmarks"]
    monkeypatch.setattr("lmbench.reproduction.published.find_table", lambda name: cells)
    places = ["--preset", "smoke", "--device", "cpu", f"--runs={tmp_path / 'runs'}"]
    assert run_cli(["reproduce", FIRST, "--dataset-map", FACES, "--json", f"--out={tmp_path / 'out'}", *places]) == 0
    (row,) = json.loads(capsys.readouterr().out)["cells"]
    places[-1] += "-2"
    assert run_cli(["run", "--method", "mean_shape", "--dataset", "synthfaces", "--json", *places]) == 0
    (entry,) = json.loads(capsys.readouterr().out)["metrics"]
    assert (row["measured"], row["ci95_low"]) == (f"{entry['value']:.4f}", f"{entry['ci95'][0]:.4f}")
    assert float(row["difference"]) == pytest.approx(entry["value"] - 24.40, abs=1e-4)


def test_a_plan_runs_and_writes_nothing(lab):
    code, out, _ = lab(FIRST, "--plan")
    assert code == 0 and not lab.ran and not (lab.folder / "out").exists() and not (lab.folder / "runs").exists()
    assert "connected" in out and "5 10 20" in out and "judge by regression" in out
    code, out, _ = lab(FIRST, "--plan", "--json")
    plan = json.loads(out)
    assert [r["cells"] for r in plan["runs"]] == [3, 1] and plan["dataset_map"]["aflw_m"] == "synthfaces"


def test_finished_runs_are_taken_and_not_done_again(lab):
    lab(FIRST)
    text = lab.file.read_bytes()
    code, _, _ = lab(FIRST)
    assert code == 0 and len(lab.ran) == 2 and lab.file.read_bytes() == text
    _, out, _ = lab(FIRST, "--plan")
    assert out.count("reuse supervised_connected") == 1


def test_a_finished_record_of_other_data_is_not_shown_as_if_it_were_of_this(lab):
    lab(FIRST)
    path = next((lab.folder / "runs").glob("mean-shape*/record.json"))
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "data": {"fingerprint": "another"}}))
    for copy in (lab.folder / "out" / "records").glob("mean-shape*"):
        copy.unlink()
    _, out, _ = lab(FIRST, "--plan")
    assert out.count("reuse ") == 1
    lab(FIRST, "--force")
    assert lab.ran.count("mean_shape/none") == 2  # asked of the runner, which refuses it


def test_a_run_of_other_tasks_and_annotations_serves_where_its_numbers_are_the_same(lab):
    lab("sparse2017/supp_table2", maps=FACES)  # n = 1, 5, 10, 20, all of the same network
    before = [m for m in lab.ran if m == "supervised/connected"]
    lab(FIRST)
    assert [m for m in lab.ran if m == "supervised/connected"] == before
    assert lab.rows()[0]["measured"]


@pytest.mark.parametrize(("changed", "reused"), [({}, 2), ({"warp": 9.0}, 1), ({"few_shot": "by another recipe"}, 2)])
def test_a_number_of_another_head_than_todays_is_not_taken(changed, reused, lab, monkeypatch):
    """Head settings have defaults, and a default may change with a version: the record says what it was."""
    lab(FIRST)
    for path in [*(lab.folder / "runs").glob("*/record.json"), *(lab.folder / "out" / "records").glob("*.json")]:
        record = json.loads(path.read_text())
        for row in record["metrics"]:
            row["settings"] |= changed if "warp" in row["settings"] else {}
        path.write_text(json.dumps(record))
    for folder in (lab.folder / "runs").glob("supervised*"):
        folder.rename(folder.with_name("elsewhere"))
    _, out, _ = lab(FIRST, "--plan")
    assert out.count("reuse ") == reused


def test_with_no_run_the_table_holds_what_records_have_and_nothing_is_computed(lab):
    lab(FIRST)
    before = list(lab.ran)
    code, out, _ = lab("sparse2017/supp_table2", "--no-run", maps=FACES)  # some of its numbers stand in FIRST's record
    assert lab.ran == before
    assert code == 4 and "not measured yet (--no-run)" in out
    file = lab.folder / "out" / "reproduce" / "sparse2017_supp_table2_smoke.csv"
    rows = list(csv.DictReader(file.open(encoding="utf-8")))
    assert {r["measured"] for r in rows if r["reason"] == "not measured yet (--no-run)"} == {""}
    assert {r["run_method"] for r in rows if r["measured"]} == {"supervised"}


def test_after_a_failure_the_other_runs_go_on(lab):
    lab.broken = {"supervised"}
    code, out, err = lab(FIRST)
    assert code == 4 and lab.ran == ["supervised/connected", "mean_shape/none"]
    assert "ValueError: out of luck" in out and "Traceback" not in err
    rows = lab.rows()
    assert [bool(r["measured"]) for r in rows] == [False, False, True, False]
    assert rows[0]["reason"] == "ValueError: out of luck" and not rows[0]["record"]

    lab.broken = set()  # the numbers that were missing are added to those that were there
    code, _, _ = lab(FIRST)
    assert code == 0 and all(r["measured"] for r in lab.rows())


def test_a_kept_record_serves_where_the_data_is_not_here(lab, plugins):
    """A copy of the repository without any data shows what was measured for its leaderboards."""
    maps = {"aflw_m": "aflw_split", "celeba": "celeba_half"}
    request = Request("smoke", dataset_map=maps, data_root=lab.folder)
    kept = lab.folder / "out" / "records"
    kept.mkdir(parents=True)
    for number, run in enumerate(plan_table(find_table(FIRST), plugins, request).runs):
        assert run.absent is not None
        made = record_of(run.config, f"run{number}", 20.0, "another lmbench's data")
        (kept / f"run{number}.json").write_text(json.dumps(made))
    code, out, _ = lab(FIRST, "--dataset-map", "celeba=celeba_half", maps="aflw_m=aflw_split")
    assert code == 0 and not lab.ran and "from the record alone, the data is not here" in out
    assert [r["record"] for r in lab.rows()] == [f"records/run{n}.json" for n in (0, 0, 1, 0)]


def test_damaged_data_leaves_cells_empty_with_the_reason(lab):
    (lab.folder / "data-root" / "MTFL").mkdir(parents=True)
    code, out, err = lab(FIRST, maps="aflw_m=aflw_split,celeba=celeba_half")
    assert code == 5 and "testing.txt is missing" in out and "Traceback" not in err and not lab.file.exists()


def test_nothing_measured_is_a_failure_or_missing_data_and_no_file(lab):
    code, out, _ = lab(FIRST, maps="")
    assert code == 5 and "aflw_m" in out and "nothing is written" in out and not lab.file.exists()
    lab.broken = {"supervised", "mean_shape"}
    code, _, _ = lab(FIRST)
    assert code == 1 and not lab.file.exists()


def test_a_table_of_costs_has_nothing_to_measure_and_ends_well(lab):
    code, out, _ = lab("lead2022/supp_table10", maps="")
    assert code == 0 and "a cost" in out and not lab.ran


def test_a_table_is_not_replaced_by_one_that_was_made_otherwise(lab):
    lab(FIRST)
    text = lab.file.read_bytes()
    code, _, err = lab(FIRST, maps="aflw_m=synthfaces")
    assert code == 3 and "dataset_map" in err and lab.file.read_bytes() == text and len(lab.ran) == 2
    code, _, _ = lab(FIRST, "--force", maps="aflw_m=synthfaces")
    assert code == 0 and lab.rows()[0]["dataset_map"] == "aflw_m=synthfaces"


def test_a_number_that_stands_is_not_lost_to_another(lab):
    lab(FIRST)
    rows = lab.rows()
    for changed, said in (({**rows[2], "measured": "19.0000"}, "19.0000"), ({**rows[2], "measured": ""}, "nothing")):
        with pytest.raises(StaleError, match=f"this is {said}"):
            table.refuse_loss(lab.file, [*rows[:2], changed, *rows[3:]])
    table.refuse_loss(lab.file, rows)
    lab.file.write_text("mine\n")
    code, _, err = lab(FIRST)
    assert code == 3 and "no table of lmbench" in err and lab.file.read_text() == "mine\n"


def test_more_annotations_than_images_leave_these_cells_alone_empty(lab):
    code, out, _ = lab("lead2022/table5", "--plan")  # smoke has 48 training images
    assert code == 0 and "100 annotations: synthfaces has 48 training images in preset smoke" in out
    assert "1 5 10 20 " in out and "50" not in out.split("annotations: ")[0].split("PLAN")[1].split("cell")[0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["lead2022/tabel5"], "Did you mean"),
        (["lead2022/table5", "--dataset-map", "aflw_m"], "expected PAPERS=OURS"),
        (["lead2022/table5", "--dataset-map", "aflw_m=nowhere"], "unknown dataset 'nowhere'"),
        (["lead2022/table5", "--preset", "smal"], "Did you mean 'small'"),
        (["lead2022/table5", "--list"], "leave the name out"),
        (["lead2022/table5", "--seed", "-1"], "Invalid value"),
    ],
)
def test_a_mistake_on_the_command_line_is_exit_2_without_a_traceback(arguments, said, capsys):
    assert run_cli(["reproduce", *arguments]) == 2
    out, err = capsys.readouterr()
    assert said in err and not out and "Traceback" not in err


def test_a_device_that_is_not_there_is_told_once_and_not_in_every_cell(lab):
    code, out, err = lab(FIRST, "--device", "abacus")
    assert code == 1 and "--device abacus" in err and not out and not lab.ran


def test_without_a_name_the_tables_are_listed_and_coverage_has_the_reasons(capsys):
    assert run_cli(["reproduce"]) == 0
    listed = capsys.readouterr().out
    assert listed.count("\n") == len(tables()) + 1 and "lead2022/supp_table7" in listed
    assert run_cli(["reproduce", "--coverage"]) == 0
    told = capsys.readouterr().out
    assert "555" in told and "a supervised system: out of scope" in told
    assert run_cli(["reproduce", "--coverage", "--json"]) == 0
    assert sum(t["mapped"] for t in json.loads(capsys.readouterr().out)) == 438
