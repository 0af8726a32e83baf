"""A record is a type with a schema: what is written is what is read, and what earlier versions wrote stays readable."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest
from made_records import record

from lmbench.cli.main import run_cli
from lmbench.config.resolving import resolve_run
from lmbench.errors import DataError, StaleError, UsageError
from lmbench.plugins.loading import get_plugins
from lmbench.results import shown
from lmbench.results.documents import kept_records
from lmbench.results.reading import read_record
from lmbench.results.record import RECORD, Record, Reference, keep_copy, write_record
from lmbench.results.run import Run

KEPT = kept_records(Path(__file__).parents[1] / "leaderboards")


def test_what_is_written_is_read_again_equal_and_sealed(tmp_path: Path) -> None:
    made = Record.of(record("a", "mine", 1.5, stages=[{"key": "ab12", "name": "s", "curve": [{"epoch": 1.0}]}]))
    beside = Reference("regression", "iod", None, "all", 2.0, None, None, "percent", False, reference="untrained")
    fresh = replace(made, schema=2, references=(beside,), observer_errors=("x: said",))
    written = write_record(tmp_path, fresh)
    again = read_record(tmp_path / RECORD)
    assert again == written == fresh and again.references == (beside,)
    assert json.loads((tmp_path / RECORD).read_text()) == again.to_json()
    with pytest.raises(StaleError, match="never overwritten"):
        write_record(tmp_path, fresh)
    (tmp_path / RECORD).write_text((tmp_path / RECORD).read_text().replace("1.5", "1.25"))
    with pytest.raises(DataError, match="its SHA-256 differs"):
        read_record(tmp_path / RECORD)


def test_what_the_type_does_not_know_is_kept_in_copies_and_dropped_by_changes(tmp_path: Path) -> None:
    document = record("a", "mine", 1.5, strange={"deep": [1]})
    document["metrics"][0]["colour"] = "green"
    read = Record.of(document)
    path = keep_copy(read, tmp_path)
    assert json.loads(path.read_text()) == document and "strange" not in replace(read, seed=1).to_json()
    assert replace(read, seed=1).to_json()["seed"] == 1


def test_a_record_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Record.of(record("a", "mine", 1.5)).seed = 1  # type: ignore[misc]


def test_a_record_of_a_schema_to_come_is_refused(tmp_path: Path) -> None:
    (tmp_path / RECORD).write_text(json.dumps(record("a", "mine", 1.5, schema=3)))
    with pytest.raises(StaleError, match=r"has schema 3; this lmbench reads 1 and 2\."):
        read_record(tmp_path / RECORD)


@pytest.mark.parametrize("run", sorted(KEPT))
def test_the_configuration_of_every_kept_record_is_one_of_today(run: str) -> None:
    found = KEPT[run]
    config = Run(Path(), found).config
    assert (config.method, config.output, config.preset, config.seed) == (
        found.method,
        found.variant,
        found.preset,
        found.seed,
    )
    assert config.network.backbone == found.backbone and list(config.stages) == [s.name for s in found.stages]
    assert {row.task for row in found.rows} <= set(config.tasks)


def test_a_run_is_shown_beside_its_references() -> None:
    made = record("a", "mine", 1.5, stages=[{"key": "ab12", "name": "s", "seconds": 3.2, "steps": 1}])
    number = {k: v for k, v in made["metrics"][0].items() if k not in ("ci95", "settings")}
    made["references"] = [{**number, "reference": "mean_shape", "value": 27.7}]
    lines = shown.as_text(Record.of(made)).splitlines()
    assert lines[0] == "mine / v on mafl (preset small, seed 0)"
    assert " ".join(lines[1].split()) == "TASK PART ANNOTATIONS METRIC VALUE UNIT 95 % OVER IMAGES MEAN SHAPE"
    assert " ".join(lines[2].split()) == "regression all iod ↓ 1.50 percent 0.50 .. 2.50 27.70"
    assert lines[3] == "stage s: trained in 3 s (1 step)"


@pytest.mark.parametrize(
    ("fitted", "told"),
    [
        (["mean shape: too few", "mean shape: no filters"], True),
        (["mean shape: too few", "templates"], False),
        (None, False),
    ],
)
def test_a_number_that_is_the_mean_shape_in_every_draw_is_told_to_be_it(fitted: list[str] | None, told: bool) -> None:
    made = record("a", "mine", 1.5)
    made["metrics"][0]["settings"] = {"fitted": fitted}
    said = "regression, n = all: the head found nothing better than the mean shape, and predicts it"
    assert (said in shown.as_text(Record.of(made)).splitlines()) is told


def test_a_device_that_is_not_there_exits_with_5_and_one_that_is_none_with_2(tmp_path: Path, capsys) -> None:
    import torch

    wanted = ["run", "--method", "mean_shape", "--dataset", "synthfaces", "--runs", str(tmp_path), "--preset", "smoke"]
    assert run_cli([*wanted, "--device", "abacus"]) == 2
    assert "--device abacus" in capsys.readouterr().err
    if not torch.cuda.is_available():
        assert run_cli([*wanted, "--device", "cuda"]) == 5
        assert "--device cuda" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("supervised", "a has no frozen network: its head supervised_network is a network of its own"),
        ("mean_shape", "a has no network: its head looks at no image."),
    ],
)
def test_a_run_without_a_frozen_network_says_what_its_head_looks_at(method: str, said: str) -> None:
    config = resolve_run(get_plugins(), method, "synthfaces").dump()
    with pytest.raises(UsageError, match=said):
        Run(Path(), Record.of(record("a", method, 1.5, schema=2, config=config))).frozen("cpu")
