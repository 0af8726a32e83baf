"""A task of a third party, with a setting, results, a metric and pictures of its own: it runs from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fake_plugins import install, lmbench, write_module

PLUGIN = '''
from dataclasses import dataclass
from typing import Annotated


@dataclass(frozen=True)
class CountingSettings:
    """``k``: every k-th test image is looked at."""

    k: Annotated[int, Ge(1), Le(100)] = 2


@hookimpl
def lmbench_tasks():
    return [TaskSpec(name="counting", summary="landmarks that are seen", target="own_task:run", settings=CountingSettings,
                     presets={"quick": {"k": 5}}, metrics=("seen",), needs=("landmarks",), predictions="own_task_results:Counts",
                     rehearse="own_task:rehearse", pictures="own_task:draw", floors={"nobody": "own_task:nobody"})]


@hookimpl
def lmbench_metrics():
    return [MetricSpec(name="seen", summary="the share of landmarks that are seen", target="own_task_results:seen",
                       task="counting", unit="percent", higher_is_better=True)]


def counted(context, settings, seen):
    from own_task_results import Counts

    return Counts(task="counting", image_ids=context.test.source_ids[:: settings.k], seen=seen,
                  settings={"k": settings.k})


def run(context, settings):
    if not context.kept("counting"):
        context.keep(counted(context, settings, context.test.visible[:: settings.k]))


def rehearse(context, settings):
    assert context.extractor is None
    yield counted(context, settings, context.test.visible[:: settings.k])


def nobody(context, settings):
    yield counted(context, settings, 0 * context.test.visible[:: settings.k])


def draw(context, settings, results, rows):
    (result,), (row,) = results, rows
    (context.folder / "counting.txt").write_text(f"{len(result.image_ids)} images, {row.value:g}")
'''

RESULTS = """
from dataclasses import dataclass

import numpy as np

from lmbench.api import MetricResult, StoredResult


@dataclass(frozen=True, kw_only=True)
class Counts(StoredResult):
    seen: np.ndarray  # (N, L)

    def table(self):
        image, landmark = (i.ravel() for i in np.indices(self.seen.shape))
        return {"image": self.image_ids[image], "landmark": landmark, "seen": self.seen.ravel().astype(bool)}, self.seen.shape

    @classmethod
    def of_table(cls, columns, shape, note):
        return cls(seen=columns["seen"].reshape(shape), image_ids=columns["image"].reshape(shape)[:, 0], **note)

    def check(self):
        if self.seen.dtype != bool:
            raise ValueError("seen of another kind than expected")

    def scored(self):
        return np.ones((1, *self.seen.shape), bool)

    @classmethod
    def example(cls, task, noise, settings):
        seen = np.random.default_rng(0).uniform(0, 10, (6, 3)) > noise
        return cls(task=task, image_ids=np.arange(6).astype(str), seen=seen, settings=settings)


def seen(counts):
    return MetricResult.of(100.0 * counts.seen[None])
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    write_module(folder, "own_task", PLUGIN, api="LMBENCH_API = 2\n")
    (folder / "own_task_results.py").write_text(RESULTS)
    install(folder, "own-task", "[lmbench]\nown_task = own_task\n")
    return folder


def command(place: Path, *options: str) -> list[str]:
    fixed = [
        "run",
        "--method",
        "mean_shape",
        "--dataset",
        "synthfaces",
        "--runs",
        str(place / "runs"),
        "--device",
        "cpu",
    ]
    return [*fixed, "--tasks", "counting", *options]


def test_it_gives_a_record_with_its_number_by_its_setting(place: Path) -> None:
    options = ("--preset", "smoke", "--set", "counting.k=3", "--set", "references=true", "--json")
    done = lmbench(place, *command(place, *options))
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    (row,) = record["metrics"]
    assert (row["task"], row["metric"], row["images"], row["settings"]) == ("counting", "seen", 8, {"k": 3})
    assert record["config"]["counting"] == {"k": 3} and "regression" not in record["config"]
    assert {"kind": "task", "name": "counting", "distribution": "own-task", "version": "1.0"} in record["components"]
    assert [(r["reference"], r["value"]) for r in record["references"]] == [("nobody", 0.0)]
    folder = place / "runs" / record["run"]
    assert (folder / "predictions" / "counting.parquet").is_file()
    assert (folder / "counting.txt").read_text() == f"8 images, {row['value']:g}"
    compared = lmbench(place, "compare", str(folder), str(folder), "--json")
    assert compared.returncode == 0 and '"seen"' in compared.stdout, compared.stderr


def test_a_misspelt_setting_and_a_wrong_value_are_refused_with_their_place(place: Path) -> None:
    for given, said in (
        ("counting.kk=3", "counting.kk: task 'counting' has no setting 'kk'; it has k. Did you mean 'k'?"),
        ("counting.k=0", "counting.k = 0: expected a whole number, 1 to 100."),
        ("countin.k=3", "countin is no setting. Did you mean 'counting'"),
    ):
        done = lmbench(place, *command(place, "--preset", "smoke", "--set", given, "--dry-run"))
        assert done.returncode == 2 and said in done.stderr, done.stderr


def test_describe_shows_its_setting_and_the_kit_finds_no_fault(place: Path) -> None:
    shown = lmbench(place, "describe", "task", "counting").stdout
    assert "counting.k" in shown and "a whole number, 1 to 100" in shown
    checked = lmbench(place, "plugin", "check", "own_task")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_its_preset_holds_and_it_has_a_leaderboard_of_its_own(place: Path) -> None:
    small = ("--set", "test_images=20", "--set", "train_images=8")
    done = lmbench(place, *command(place, "--preset", "quick", *small, "--json"))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["config"]["counting"] == {"k": 5}
    built = lmbench(place, "leaderboard", "build", "--runs", str(place / "runs"), "--out", str(place / "boards"))
    assert built.returncode == 0, built.stderr
    board = (place / "boards" / "synthfaces_counting.csv").read_text()
    assert "mean_shape" in board and ",seen," in board


def changed(folder: Path, *changes: tuple[str, str]) -> Path:
    """The plugin with some of its text replaced, installed in a folder of its own."""
    plugin, results = PLUGIN, RESULTS
    for old, new in changes:
        assert old in plugin + results
        plugin, results = plugin.replace(old, new), results.replace(old, new)
    write_module(folder, "own_task", plugin, api="LMBENCH_API = 2\n")
    (folder / "own_task_results.py").write_text(results)
    install(folder, "own-task", "[lmbench]\nown_task = own_task\n")
    return folder


def test_pictures_and_floors_that_raise_anything_cost_a_warning_and_no_record(tmp_path: Path) -> None:
    broken = changed(
        tmp_path,
        ("    (result,), (row,) = results, rows", "    raise RuntimeError('no ink')"),
        (
            "    yield counted(context, settings, 0 *",
            "    raise RuntimeError('no floor')\n    yield counted(context, 0 *",
        ),
    )
    done = lmbench(broken, *command(broken, "--preset", "smoke", "--set", "references=true", "--json"))
    assert done.returncode == 0, done.stderr
    assert "no picture: RuntimeError: no ink" in done.stderr
    assert "no nobody of the counting beside the result: RuntimeError: no floor" in done.stderr
    assert json.loads(done.stdout)["metrics"] and json.loads(done.stdout)["references"] == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            '"own_task_results:Counts"',
            '"x.zz:Q"',
            "task counting: predictions: x.zz:Q cannot be loaded: No module named",
        ),
        ('"own_task_results:Counts"', '"own_task:run"', "task counting: predictions: own_task:run is no StoredResult."),
        (
            'predictions="own_task_results:Counts",',
            "",
            "task counting gives Counts; expected lmbench.metrics.base:Predictions",
        ),
    ],
)
def test_a_task_that_says_another_type_of_results_is_refused_before_anything_is_trained(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    broken = changed(tmp_path, (old, new))
    done = lmbench(broken, *command(broken, "--preset", "smoke"))
    assert done.returncode == 1 and said in done.stderr and "Traceback" not in done.stderr
    assert not list((broken / "runs").glob("*/record.json"))


def test_a_result_of_another_type_is_not_kept(tmp_path: Path) -> None:
    broken = changed(tmp_path, ('predictions="own_task_results:Counts",', ""), ('rehearse="own_task:rehearse",', ""))
    done = lmbench(broken, *command(broken, "--preset", "smoke"))
    assert done.returncode == 1 and "task counting gives Counts; expected" in done.stderr, done.stderr
    assert not list((broken / "runs").glob("*/predictions/*"))


def test_a_damaged_record_is_told_by_a_dry_run_as_by_the_run(tmp_path: Path) -> None:
    own = changed(tmp_path)
    options = command(own, "--preset", "smoke")
    assert lmbench(own, *options).returncode == 0
    (path,) = (own / "runs").glob("*/record.json")
    assert "finished before" in lmbench(own, *options, "--dry-run").stdout
    path.write_text(path.read_text()[:200])
    told, planned = lmbench(own, *options), lmbench(own, *options, "--dry-run")
    assert f"{path} is damaged" in told.stderr and planned.stdout == ""
    assert (planned.returncode, planned.stderr) == (told.returncode, told.stderr)
