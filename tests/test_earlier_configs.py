"""Configurations of earlier records: read in today's grammar, every kept record of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lmbench.config.earlier import upgraded
from lmbench.config.model import Network, RunConfig, Stage, Training
from lmbench.config.resolving import config_of
from lmbench.heads.settings import SoftargmaxConditionedSettings
from lmbench.plugins.loading import get_plugins
from lmbench.results import identity

EARLIER = sorted((Path(__file__).parent / "support" / "earlier_records").glob("*.json"))  # of version 0.1, schema 1
RECORDS = EARLIER + sorted((Path(__file__).parents[1] / "leaderboards" / "records").glob("*.json"))


def config_in(record: dict[str, Any]) -> RunConfig:
    return config_of(get_plugins(), upgraded(record["config"], record["schema"]))


def test_there_are_kept_records() -> None:
    assert len(EARLIER) == 6 and len(RECORDS) > 50


@pytest.mark.parametrize("path", RECORDS, ids=[p.stem for p in RECORDS])
def test_the_configuration_of_every_kept_record_is_read(path: Path) -> None:
    record = json.loads(path.read_text(encoding="utf-8"))
    before, config = record["config"], config_in(record)
    assert config.network.backbone == before.get("read", {}).get("backbone", record["backbone"])
    assert config.tasks == tuple(before["tasks"]) and set(config.tasks) <= set(config.settings)
    assert list(config.stages) == list(before["stages"])
    for name, stage in config.stages.items():
        then = before["stages"][name]
        assert (stage.objective, stage.training.epochs) == (then["objective"], then["training"]["epochs"])
        assert {k: _lists(getattr(stage.settings, k)) for k in _flat(then["settings"])} == _flat(then["settings"])
    if record["schema"] == 1 and "regression" in config.settings:
        assert config.read.size == before["regression"]["size"]
    assert config_of(get_plugins(), config.dump()) == config  # what is dumped is read again as the same


def test_a_run_of_an_earlier_version_is_found_beside_the_one_of_today(tmp_path: Path) -> None:
    path = EARLIER[0]
    record = json.loads(path.read_text(encoding="utf-8"))
    (tmp_path / record["run"]).mkdir()
    (tmp_path / record["run"] / "record.json").write_text(json.dumps(record), encoding="utf-8")
    config = config_in(record)
    parts = ("pretraining", "precision", "device", "components", "files", "stages")
    now = {"config": identity._settings(config), "data": "f" * 64, **{key: {} for key in parts}}
    today = tmp_path / f"{record['run'].rpartition('_')[0]}_12345678"
    ((place, why),) = identity.earlier(today, config, now)
    assert place.name == record["run"] and "other data (" in why
    other = replace(config, seed=config.seed + 1)
    assert not list(identity.earlier(today, other, {**now, "config": identity._settings(other)}))


def test_the_network_of_a_run_without_stages_stands_by_itself_and_that_of_stages_with_them() -> None:
    read = {"backbone": "resnet18", "backbone_settings": {"weights": None}, "layers": ["conv5_x"], "normalise": "none"}
    old = {"stages": {}, "read": read, "regression": {"size": 24, "draws": 2}, "matching": {}, "tasks": ["matching"]}
    new = upgraded(old, 1)
    assert new["network"] == {"backbone": "resnet18", "backbone_settings": {"weights": None}}
    assert new["read"] == {"layers": ["conv5_x"], "normalise": "none", "size": 24}
    assert "regression" not in new and "matching" in new
    stage = {"objective": "byol", "settings": {"view1": {"flip_p": 0.25}}}
    staged = upgraded({**old, "method": "lead", "variant": "hypercolumn", "stages": {"byol": stage}}, 1)
    assert "network" not in staged
    # What a record of schema 1 left unsaid were the defaults of then, not those of today.
    assert staged["stages"]["byol"]["settings"]["view1"] == {"blur_p": 0.0, "flip_p": 0.25}
    gone = upgraded({**old, "method": "no such method", "variant": "v", "stages": {"byol": stage}}, 1)
    assert gone["stages"]["byol"] == stage
    assert upgraded({**old, "tasks": ["scale"]}, 1)["regression"] == {"draws": 2}  # whose head it is
    assert "backbone" in old["read"] and "size" in old["regression"]  # as it was
    assert upgraded(new, 2) == new


def test_a_run_is_judged_by_the_network_of_its_last_stage() -> None:
    stages = {
        name: Stage(name=name, objective="byol", backbone=backbone, training=Training())
        for name, backbone in (("first", "resnet18"), ("second", "resnet18_fpn"))
    }
    run = {"method": "m", "variant": "v", "dataset": "d", "preset": "smoke", "backbone": "resnet18"}
    config = RunConfig(**run, stages=stages, settings={"t": SoftargmaxConditionedSettings()})
    assert config.network.backbone == "resnet18_fpn"
    assert "network" not in config.dump() and config.dump()["t"]["steps"] == 300 and "settings" not in config.dump()
    assert not RunConfig(**run, network=Network(backbone="none")).network


def _flat(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings that are plain values: tables hold what differed from the defaults then."""
    return {k: v for k, v in settings.items() if not isinstance(v, dict)}


def _lists(value: Any) -> Any:
    return [_lists(v) for v in value] if isinstance(value, tuple) else value
