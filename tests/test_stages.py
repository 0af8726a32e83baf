"""Stages: addresses that tell them apart, artifacts that are used again, and what a plan says of them."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from itertools import product
from pathlib import Path

import pytest
import torch
from tiny_training import CPU, EVERY_STEP, Tiny, TinyNetSettings, TinySettings, config, pixels

from lmbench.config.model import Stage
from lmbench.config.resolving import resolve_run
from lmbench.errors import DataError, LmbenchError, UsageError
from lmbench.geometry.framing import Preprocessing
from lmbench.plugins.loading import get_plugins, load_plugins
from lmbench.specs import PRESETS, BackboneSpec, MapSpec, ObjectiveSpec
from lmbench.store import manifests
from lmbench.training import stages
from lmbench.training.loop import schedule
from lmbench.training.stages import ensure_stage, load_network, open_artifact, planned, stage_key


def plugins(version: str = "1"):
    found = load_plugins([])
    maps = (MapSpec("map", 4, 2),)
    backbone = BackboneSpec(
        name="tiny", summary="-", target="tiny_training:Backbone", settings=TinyNetSettings, maps=maps
    )
    objective = ObjectiveSpec(name="tiny", summary="-", target="tiny_training:Tiny", settings=TinySettings)
    needy = ObjectiveSpec(
        name="needy", summary="-", target="tiny_training:Tiny", settings=TinySettings, needs_parent=True
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


def stage(**changes) -> Stage:
    values = {"name": "first", "settings": TinySettings(), "backbone_settings": TinyNetSettings()}
    values |= {"objective": "tiny", "backbone": "tiny", "training": config(epochs=1, checkpoint_minutes=EVERY_STEP)}
    return Stage(**{**values, **changes})


TWENTY = Preprocessing(20)


def key_of(
    wanted: Stage, version="1", fingerprint="f" * 64, frame=TWENTY, parent=None, seed=0, how=("fp32", "cpu")
) -> str:
    return stage_key(wanted, plugins(version), fingerprint, frame, parent, seed, *how)


def changed(model):
    """For each field of a configuration, a copy in which it alone has another value."""
    other = {
        "objective": "needy", "backbone": "resnet18", "width": 6, "noise": 0.2,
        "starts_from_parent": True, "epochs": 7, "least_steps": 9, "batch_size": 7, "frame": 33, "images": 9,
        "warmup_epochs": 0.5, "final_lr": 0.1, "name": "adamw", "lr": 0.3, "weight_decay": 0.7, "momentum": 0.2,
        "betas": (0.5, 0.9), "amsgrad": not getattr(model, "amsgrad", False), "decay_norms": False, "schedule": "constant",
        "milestones": (1.0,), "decay": 0.3, "clip_norm": 1.5, "reads": ("map",), "data": "target",
    }  # fmt: skip
    for name in (f.name for f in fields(model)):
        value = getattr(model, name)
        if is_dataclass(value):
            yield from ((f"{name}.{n}", replace(model, **{name: v})) for n, v in changed(value))
        elif name != "checkpoint_minutes" and not (name == "name" and isinstance(model, Stage)):
            yield name, replace(model, **{name: other[name]})  # a KeyError here: a new setting, add it above


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


def ensured(folder: Path, wanted: Stage | None = None):
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
    assert second.curve == first.curve and second.stated().reused
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


@pytest.mark.parametrize("name", ["weights.safetensors", "stage.json", "curve.csv", "manifest.json"])
def test_a_damaged_artifact_is_named_moved_aside_and_trained_anew(tmp_path, capsys, name):
    artifact = ensured(tmp_path)
    expected = load_network(artifact, plugins()).state_dict()
    file = artifact.folder / name
    damaged = bytearray(file.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    file.write_bytes(damaged)
    assert planned(tmp_path, artifact.key) == "train"
    with pytest.raises(LmbenchError, match=r"is damaged: .* Move it away and run again"):
        open_artifact("first", stage(), artifact.key, artifact.folder, reused=True)
    again = ensured(tmp_path)
    assert not again.reused
    assert "is damaged" in (said := capsys.readouterr().err) and f"kept as {artifact.folder.name}.damaged-1" in said
    assert (tmp_path / f"{artifact.folder.name}.damaged-1" / name).read_bytes() == damaged
    found = load_network(again, plugins()).state_dict()
    assert all(torch.equal(found[k], expected[k]) for k in expected)


def test_an_artifact_of_another_stage_is_refused_and_one_of_an_earlier_version_taken_with_a_word(tmp_path, capsys):
    artifact = ensured(tmp_path)
    with pytest.raises(LmbenchError, match="does not hold the stage"):
        open_artifact("first", stage(), "other", artifact.folder, reused=True)
    (artifact.folder / "manifest.json").unlink()
    for _ in range(2):
        assert open_artifact("first", stage(), artifact.key, artifact.folder, reused=True).curve == artifact.curve
    assert capsys.readouterr().err.count("written without checksums, by an earlier lmbench") == 1


def test_weights_in_a_file_that_a_setting_names_decide_the_key(tmp_path):
    file = tmp_path / "weights.pth"
    keys = []
    for content in (b"one", b"two", b"one"):
        file.write_bytes(content)
        keys.append(key_of(stage(settings={"noise": 0.1, "weights": str(file)})))
    assert keys[0] == keys[2] != keys[1]


def test_images_damaged_during_training_leave_no_weights(tmp_path, monkeypatch):
    store = tmp_path / "store"
    store.mkdir()
    (store / "images.npy").write_bytes(b"images")
    manifests.seal(store)
    training = stages.train

    def meanwhile(*args, **options):
        assert manifests.damage(store) is None  # as opening the pixel store does
        found = training(*args, **options)
        (store / "images.npy").write_bytes(b"imager")
        return found

    monkeypatch.setattr(stages, "train", meanwhile)
    with pytest.raises(DataError, match="was damaged while it was read"):
        ensured(tmp_path / "stages")
    assert not list((tmp_path / "stages").iterdir())


def test_an_objective_that_learns_from_a_stage_before_it_asks_for_one(tmp_path):
    for wanted in (stage(objective="needy"), stage(starts_from_parent=True)):
        with pytest.raises(UsageError, match="learns from an earlier stage, and there is none"):
            ensured(tmp_path, wanted)
    assert not [p for p in tmp_path.iterdir() if p.is_dir()]


def test_few_images_are_repeated_until_there_are_enough_steps_and_many_are_not():
    training = config(epochs=2, least_steps=24, batch_size=5, warmup_epochs=0.5, milestones=(1.5,))
    assert [training.over(n).epochs for n in (3, 5, 22, 59, 60, 200)] == [24, 24, 6, 3, 2, 2]
    assert [training.over(n).steps(n) for n in (3, 5, 22, 59, 60, 200)] == [24, 24, 24, 33, 24, 80]
    assert training.over(60) is training and config(epochs=0, least_steps=24).over(3).epochs == 0
    longer = training.over(22)
    assert (longer.warmup_epochs, longer.milestones) == (1.5, (4.5,))
    assert config(epochs=9, images=5, least_steps=10).over(1000).epochs == 10  # the first five alone are used


@pytest.mark.parametrize("kind", ["cosine", "steps", "exponential"])
def test_the_schedule_of_repeated_images_is_the_same_curve_stretched(kind):
    asked = config(epochs=2, least_steps=20, schedule=kind, decay=0.5, milestones=(1,), warmup_epochs=0.25)
    longer = asked.over(22)
    assert longer.epochs == 5
    for part in (0.05, 0.3, 0.45, 0.7, 0.95):
        found, wanted = (schedule(c, part * c.epochs) for c in (longer, asked))
        assert found == pytest.approx(wanted, rel=0.02) or kind == "exponential"
    if kind == "exponential":
        assert schedule(longer, 5) == pytest.approx(schedule(asked, 2))


def test_a_stage_of_few_images_takes_its_least_steps_and_says_so(tmp_path, capsys):
    wanted = stage(training=config(epochs=1, least_steps=12))
    before = Tiny.steps_taken
    repeated = replace(wanted, training=wanted.training.over(22))
    stated = ensured(tmp_path, repeated).stated()
    assert (stated.epochs, stated.steps, len(stated.curve)) == (3, 12, 3)
    assert Tiny.steps_taken - before == 12
    assert "22 images of tiny, 3 epochs, 12 steps" in capsys.readouterr().err
    assert ensured(tmp_path, repeated).stated().steps == 12  # as the artifact says


LARGE = {"quick": 2000, "small": 9961}  # images of synthfaces, of celeba_half: what the kept results were pretrained on
TARGET = {"quick": 2000, "small": 1995}  # of synthfaces, of aflw_split


def test_the_least_steps_of_each_method_are_those_that_its_preset_takes_on_the_set_it_is_made_for():
    """So that small folders are trained as long, and nothing larger changes."""
    found, seen = get_plugins(), 0
    for entry in found.methods:
        for preset, variant in product(PRESETS, entry.spec.variants):
            try:
                run = resolve_run(found, entry.spec.name, "synthfaces", preset=preset, variant=variant.name)
            except DataError:  # parts of a plugin that is not there
                continue
            for s in run.stages.values():
                training, closed = s.training, found.find("objective", s.objective).spec.closed_form
                if preset not in LARGE or closed:
                    assert training.least_steps == 0, (entry.spec.name, preset)
                    continue
                images = (LARGE if s.data == "pretrain" else TARGET)[preset]
                assert training.over(images) is training, (entry.spec.name, preset)
                if preset == "quick":
                    assert training.least_steps == training.steps(2000), entry.spec.name
                elif s.data == "pretrain":
                    assert training.least_steps == training.steps(images), entry.spec.name
                assert training.least_steps > 0
                seen += 1
    assert seen > 40
