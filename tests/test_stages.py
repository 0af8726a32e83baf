"""Stages: addresses that tell them apart, artifacts that are used again, and what a plan says of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tiny_training import CPU, EVERY_STEP, Tiny, config, pixels

from lmbench.config import StageConfig
from lmbench.errors import LmbenchError, UsageError
from lmbench.plugins import load_plugins
from lmbench.specs import BackboneSpec, MapSpec, ObjectiveSpec, Preprocessing
from lmbench.training.stages import ensure_stage, load_network, planned, stage_key


def plugins(version: str = "1"):
    found = load_plugins([])
    maps = (MapSpec("map", 4, 2),)
    backbone = BackboneSpec(name="tiny", summary="-", target="tiny_training:Backbone", settings={"width": 4}, maps=maps)
    objective = ObjectiveSpec(name="tiny", summary="-", target="tiny_training:Tiny", settings={"noise": 0.1})
    needy = ObjectiveSpec(
        name="needy", summary="-", target="tiny_training:Tiny", settings={"noise": 0.1}, needs_parent=True
    )
    found.backbones.add(backbone, "tests", version)
    found.objectives.add(objective, "tests", version)
    found.objectives.add(needy, "tests", version)
    return found


class Dataset:
    name, fingerprint = "tiny", "f" * 64

    def pixels(self, split, steps):
        assert (split, steps) == ("train", Preprocessing(20))
        return pixels()


def stage(**changes) -> StageConfig:
    values = {"objective": "tiny", "backbone": "tiny", "training": config(epochs=1, checkpoint_minutes=EVERY_STEP)}
    return StageConfig(**{**values, **changes})


TWENTY = Preprocessing(20)


def key_of(
    wanted: StageConfig, version="1", fingerprint="f" * 64, frame=TWENTY, parent=None, seed=0, how=("fp32", "cpu")
) -> str:
    return stage_key(wanted, plugins(version), fingerprint, frame, parent, seed, *how)


def changed(model):
    """For each field of a configuration, a copy in which it alone has another value."""
    other = {
        "objective": "needy", "backbone": "resnet18", "backbone_settings": {"width": 6}, "settings": {"noise": 0.2},
        "starts_from_parent": True, "epochs": 7, "batch_size": 7, "frame": 33, "images": 9, "schedule": "constant",
        "warmup_epochs": 0.5, "final_lr": 0.1, "name": "adamw", "lr": 0.3, "weight_decay": 0.7, "momentum": 0.2,
        "betas": (0.5, 0.9), "amsgrad": not getattr(model, "amsgrad", False), "decay_norms": False,
        "milestones": (1.0,), "decay": 0.3, "clip_norm": 1.5, "reads": ("map",), "data": "target",
    }  # fmt: skip
    for name in type(model).model_fields:
        value = getattr(model, name)
        if hasattr(value, "model_fields"):
            yield from ((f"{name}.{n}", model.model_copy(update={name: v})) for n, v in changed(value))
        elif name != "checkpoint_minutes":
            yield name, model.model_copy(update={name: other[name]})  # a KeyError here: a new setting, add it above


def test_every_setting_that_decides_the_weights_decides_the_key():
    base = stage()
    keys = {"as it is": key_of(base)} | {name: key_of(other) for name, other in changed(base)}
    assert len(set(keys.values())) == len(keys)


def test_versions_data_frame_parent_and_seed_decide_the_key_and_saving_does_not():
    base = key_of(stage())
    others = [
        key_of(stage(), version="2"),
        key_of(stage(), fingerprint="e" * 64),
        key_of(stage(), frame=Preprocessing(21)),
        key_of(stage(), frame=Preprocessing(20, 1)),
        key_of(stage(), parent="p" * 64),
        key_of(stage(), seed=1),
        key_of(stage(), frame=Preprocessing(20, fill=128)),
        key_of(stage(), how=("bf16", "cpu")),
        key_of(stage(), how=("fp32", "cuda")),
    ]
    assert len({base, *others}) == 10
    assert key_of(stage(training=config(epochs=1, checkpoint_minutes=77))) == base


def ensured(folder: Path, wanted: StageConfig | None = None):
    wanted = wanted or stage()
    return ensure_stage(
        "first", wanted, key_of(wanted), None, None, Dataset(), folder,
        plugins=plugins(), seed=0, device=CPU, precision="fp32",
    )  # fmt: skip


def test_an_artifact_that_is_there_is_used_and_nothing_is_trained(tmp_path):
    first = ensured(tmp_path)
    before, files = Tiny.steps_taken, {p: p.stat().st_mtime_ns for p in first.folder.iterdir()}
    second = ensured(tmp_path)
    assert Tiny.steps_taken == before
    assert (first.reused, second.reused, second.seconds) == (False, True, 0.0)
    assert second.curve == first.curve and second.entry()["reused"]
    assert files == {p: p.stat().st_mtime_ns for p in first.folder.iterdir()}
    assert {p.name for p in files} == {"weights.safetensors", "stage.json", "curve.csv", "manifest.json"}
    assert not list(tmp_path.glob("*checkpoint*"))


def test_a_plan_tells_what_is_there_and_a_killed_stage_ends_as_an_uninterrupted_one(tmp_path, monkeypatch):
    wanted = stage()
    key = key_of(wanted)
    expected = load_network(ensured(tmp_path / "whole"), plugins()).state_dict()
    broken = tmp_path / "broken"
    assert planned(broken, key) == "train"
    monkeypatch.setattr(Tiny, "dies_at", 3)
    with pytest.raises(ConnectionAbortedError):
        ensured(broken)
    assert planned(broken, key) == "continue"
    monkeypatch.setattr(Tiny, "dies_at", 0)
    found = load_network(ensured(broken), plugins()).state_dict()
    assert planned(broken, key) == "reuse"
    assert all(torch.equal(found[k], expected[k]) for k in expected)


def test_truncated_and_foreign_artifacts_are_named_with_the_way_out(tmp_path):
    artifact = ensured(tmp_path)
    weights = artifact.folder / "weights.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(LmbenchError, match="truncated or holds another network") as caught:
        load_network(artifact, plugins())
    assert str(weights) in str(caught.value) and "run again" in str(caught.value)
    note = artifact.folder / "stage.json"
    note.write_text(json.dumps({**json.loads(note.read_text()), "key": "other"}))
    with pytest.raises(LmbenchError, match="does not hold the stage"):
        ensured(tmp_path)
    note.write_text("{")
    with pytest.raises(LmbenchError, match=r"stage\.json is damaged"):
        ensured(tmp_path)


def test_an_objective_that_learns_from_a_stage_before_it_asks_for_one(tmp_path):
    for wanted in (stage(objective="needy"), stage(starts_from_parent=True)):
        with pytest.raises(UsageError, match="learns from an earlier stage, and there is none"):
            ensured(tmp_path, wanted)
    assert not [p for p in tmp_path.iterdir() if p.is_dir()]
