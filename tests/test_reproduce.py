"""`lmbench reproduce`: printed numbers beside measured ones, run once, and never lost."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lmbench import runner
from lmbench.cli.main import run_cli
from lmbench.config.model import RunConfig
from lmbench.errors import StaleError
from lmbench.job import Job
from lmbench.papers import table
from lmbench.papers.planning import Request, plan_table
from lmbench.papers.published import find_table, tables
from lmbench.papers.running import heads_of
from lmbench.plugins.loading import get_plugins
from lmbench.results.reading import read_record

FIRST = "sparse2017/text"
FACES = "aflw_m=synthfaces,celeba=synthfaces"


def record_of(config: RunConfig, name: str, value: float, fingerprint: str, keys: Sequence[str] = ()) -> dict[str, Any]:
    """A record as of a run that found ``value`` everywhere."""
    rows = [
        {"task": "regression", "metric": "iod", "subset": None, "n_annotations": n, "value": value,
         "std": None if n == "all" else 0.5, "draws": None if n == "all" else 5, "ci95": [19.0, 21.0],
         "unit": "percent", "higher_is_better": False, "settings": heads_of(config, get_plugins())["regression"]}
        for n in config.settings_of("regression").annotations
    ]  # fmt: skip
    empty = ("method", "variant", "dataset", "pretrain_on", "preset", "backbone", "config_sha256")
    return {
        **dict.fromkeys(empty, ""), "components": [], "code": {}, "environment": {}, "schema": 2, "status": "ok", "seed": 0,
        "run": name, "metrics": rows, "stages": [{"key": k} for k in keys], "data": {"fingerprint": fingerprint},
        "config": config.dump(),
    }  # fmt: skip


class Lab:
    """The command with its own folders, and a runner whose runs are made up."""

    def __init__(self, folder: Path, monkeypatch, capsys) -> None:
        self.folder, self.capsys = folder, capsys
        self.ran: list[str] = []
        self.broken: set[str] = set()
        self.value = 20.0
        monkeypatch.setattr(runner, "run", self.run)

    def run(self, job: Job, wait: bool = True):
        config = job.config
        self.ran.append(f"{config.method}/{config.variant}")
        if config.method in self.broken:
            raise ValueError("out of luck")
        record = record_of(config, job.folder.name, self.value, job.target.fingerprint, list(job.keys.values()))
        job.folder.mkdir(parents=True)
        (job.folder / "record.json").write_text(json.dumps(record))
        return read_record(job.folder / "record.json"), False

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
    cells = [c for c in find_table(FIRST, get_plugins()) if c["method"] == "mean_landmarks"]
    monkeypatch.setattr("lmbench.papers.published.find_table", lambda name, plugins: cells)
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


def test_the_plan_of_a_table_whose_data_is_not_here_shows_its_runs_all_the_same(lab):
    code, out, _ = lab("lead2022/table5", "--plan", maps="", preset="paper")
    assert code == 0 and "aflw_m is not at" in out
    assert "wait for data, stage byol, stage distillation, judge by regression" in out
    _, out, _ = lab("lead2022/table5", "--plan", "--json", maps="", preset="paper")
    runs = json.loads(out)["runs"]
    assert len(runs) == 9 and sum(r["cells"] for r in runs) == 54 and {r["record"] for r in runs} == {None}


def test_a_plan_says_what_its_runs_do_otherwise_than_the_paper(lab):
    code, out, _ = lab("twostep2021/table1", "--plan", maps="", preset="paper")
    assert code == 0 and "imm k30, bbcpose: two warps of one frame, where IMM takes two frames of a video" in out
    _, out, _ = lab("twostep2021/table1", "--plan", "--json", maps="", preset="paper")
    told = {run["method"]: run["differs"] for run in json.loads(out)["runs"]}
    assert "two frames of a video" in told["imm"][0] and told["twostep"] == []


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


def test_a_kept_record_serves_where_the_data_is_not_here(lab):
    """A copy of the repository without any data shows what was measured for its leaderboards."""
    maps = {"aflw_m": "aflw_split", "celeba": "celeba_half"}
    request = Request("smoke", dataset_map=maps, data_root=lab.folder)
    kept = lab.folder / "out" / "records"
    kept.mkdir(parents=True)
    for number, run in enumerate(plan_table(find_table(FIRST, get_plugins()), get_plugins(), request).runs):
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
    assert "1 5 10 20 " in out and " 50 " not in out.split("annotations: ")[0].split("PLAN")[1].split("cell")[0]


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
    assert code == 2 and "--device abacus" in err and not out and not lab.ran


def test_without_a_name_the_tables_are_listed_and_coverage_has_the_reasons(capsys):
    assert run_cli(["reproduce"]) == 0
    listed = capsys.readouterr().out
    assert listed.count("\n") == len(tables(get_plugins())) + 1 and "lead2022/supp_table7" in listed
    assert run_cli(["reproduce", "--coverage"]) == 0
    told = capsys.readouterr().out
    assert "555" in told and "a supervised system: out of scope" in told
    assert run_cli(["reproduce", "--coverage", "--json"]) == 0
    assert sum(t["mapped"] for t in json.loads(capsys.readouterr().out)) == 437
