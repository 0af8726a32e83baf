"""Training: the same numbers whatever interrupts it, addresses that tell stages apart."""

from __future__ import annotations

import json
import math
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from lmbench.config import OptimiserConfig, StageConfig, TrainingConfig
from lmbench.data.pixels import PixelStore
from lmbench.errors import LmbenchError, StaleError, UsageError
from lmbench.features import Extractor
from lmbench.plugins import load_plugins
from lmbench.specs import BackboneSpec, MapSpec, ObjectiveSpec, Preprocessing
from lmbench.training.augment import ViewSettings, draw_views
from lmbench.training.loop import build_optimiser, resolve_device, resolve_precision, schedule, stopping_gently, train
from lmbench.training.objective import Objective
from lmbench.training.stages import ensure_stage, load_network, planned, stage_key

CPU = torch.device("cpu")
EVERY_STEP = 1e-9  # minutes
NEVER = 1e9
KEY = "k" * 64


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


class Backbone(nn.Module):
    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, width, 3, stride=2), nn.BatchNorm2d(width)

    def forward(self, images):
        return {"map": self.norm(self.conv(images))}


class Tiny(Objective):
    """An objective with everything that a resumed run may forget: momentum, norm statistics, an average, random views."""

    steps_taken = 0  # by all of this class, for tests that nothing is trained
    dies_at = 0
    nan_at = 0
    pause = 0.0

    def __init__(self, backbone, parent=None, *, noise: float = 0.1) -> None:
        super().__init__(backbone, parent)
        self.noise = noise
        self.register_buffer("average", torch.zeros(4))
        self.register_buffer("count", torch.zeros((), dtype=torch.long))
        self.seen: list[float] = []

    def views(self, images, generator):
        views = draw_views(images, ViewSettings(size=12, flip_p=0.5, blur_p=0.5), generator)
        return views + self.noise * torch.randn(views.shape, generator=generator)

    def loss(self, views):
        maps = self.backbone(views)["map"]
        total = (maps.mean((0, 2, 3)) - self.average - 1).square().sum() + 0.1 * maps.square().mean()
        extra = total.detach() * 2
        if self.nan_at and int(self.count) + 1 >= self.nan_at:
            extra = extra * math.nan
        self.seen.append(float(total.detach()))
        return {"total": total, "extra": extra}

    def after_step(self, step, total_steps):
        Tiny.steps_taken += 1
        time.sleep(self.pause)
        if step == self.dies_at:
            raise ConnectionAbortedError("the machine is gone")
        self.count += 1
        self.average.lerp_(self.backbone.conv.bias.detach(), step / total_steps)


def pixels(count: int = 22, side: int = 20, seed: int = 0) -> PixelStore:
    images = np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    empty = np.zeros((count, 0, 2), np.float32)
    ids = np.array([str(i) for i in range(count)])
    return PixelStore(images, empty, np.zeros((count, 0), bool), np.full(count, -1), ids, key="tiny", pixels_sha256="")


def config(**changes) -> TrainingConfig:
    optimiser = OptimiserConfig(name="adam", lr=0.05, amsgrad=True)
    return TrainingConfig(**{"epochs": 3, "batch_size": 5, "frame": 20, "optimiser": optimiser, **changes})


def new_objective(**attributes) -> Tiny:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        objective = Tiny(Backbone())
    for name, value in attributes.items():
        setattr(objective, name, value)
    return objective


def trained(checkpoint: Path, objective: Tiny | None = None, probe=None, key: str = KEY, seed: int = 0, **changes):
    """(state, curve) of a training that may go on from ``checkpoint``."""
    objective = objective or new_objective()
    curve, _ = train(
        objective, pixels(), config(**changes), seed=seed, key=key, checkpoint=checkpoint, device=CPU,
        precision="fp32", label="tiny", probe=probe,
    )  # fmt: skip
    return objective.state_dict(), curve


def assert_equal(found, expected):
    """The states and curves of two trainings are the same, bit for bit."""
    assert found[0].keys() == expected[0].keys()
    for name in expected[0]:
        assert torch.equal(found[0][name], expected[0][name]), name
    assert found[1] == expected[1]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("whole") / "c.pt")


# 22 images in batches of 5 are 4 steps an epoch: the deaths lie within an epoch, at its end and at its beginning.
@pytest.mark.parametrize("dies_at", [2, 4, 5, 8, 12])
def test_a_killed_training_continues_with_the_same_numbers_bit_for_bit(tmp_path, uninterrupted, dies_at):
    checkpoint = tmp_path / "c.pt"
    with pytest.raises(ConnectionAbortedError):
        trained(checkpoint, new_objective(dies_at=dies_at), checkpoint_minutes=EVERY_STEP)
    torch.manual_seed(1234)  # global state must not matter
    assert_equal(trained(checkpoint), uninterrupted)


def test_steps_lost_since_the_last_checkpoint_are_taken_again_as_they_were(tmp_path, uninterrupted):
    checkpoint = tmp_path / "c.pt"
    with pytest.raises(ConnectionAbortedError):
        trained(checkpoint, new_objective(dies_at=4), checkpoint_minutes=EVERY_STEP)
    with pytest.raises(ConnectionAbortedError):
        trained(checkpoint, new_objective(dies_at=10), checkpoint_minutes=NEVER)
    assert torch.load(checkpoint, weights_only=True)["step"] == 3
    assert_equal(trained(checkpoint), uninterrupted)


def test_a_training_that_dies_before_its_first_checkpoint_starts_anew(tmp_path, uninterrupted):
    checkpoint = tmp_path / "c.pt"
    with pytest.raises(ConnectionAbortedError):
        trained(checkpoint, new_objective(dies_at=6), checkpoint_minutes=NEVER)
    assert not checkpoint.exists()
    assert_equal(trained(checkpoint), uninterrupted)


def test_a_training_killed_in_its_probe_has_the_same_curve_afterwards(tmp_path):
    def probe(epoch):
        torch.rand(3)  # what a probe draws does not reach the training
        return {"probe": float(epoch)}

    def dies(epoch):
        if epoch == 2:
            raise ConnectionAbortedError
        return probe(epoch)

    expected = trained(tmp_path / "whole.pt", probe=probe)
    with pytest.raises(ConnectionAbortedError):
        trained(tmp_path / "c.pt", probe=dies, checkpoint_minutes=EVERY_STEP)
    found = trained(tmp_path / "c.pt", probe=probe)
    assert_equal(found, expected)
    assert [row["epoch"] for row in found[1]] == [0, 1, 2, 3]
    assert [row["probe"] for row in found[1]] == [0, 1, 2, 3]


SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from test_training import *

class Telling(Tiny):
    pause = 0.2

    def after_step(self, step, total_steps):
        super().after_step(step, total_steps)
        print(step, flush=True)

torch.set_num_threads({threads})
torch.manual_seed(0)
try:
    trained(Path({checkpoint!r}), Telling(Backbone()), checkpoint_minutes=NEVER)
except KeyboardInterrupt:
    sys.exit(130)
"""


def test_a_training_told_to_stop_saves_where_it_is_and_goes_on_from_there(tmp_path, uninterrupted):
    checkpoint = tmp_path / "c.pt"
    script = SCRIPT.format(
        tests=str(Path(__file__).parent), checkpoint=str(checkpoint), threads=torch.get_num_threads()
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while process.stdout.readline().strip() != "6":
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
    assert 6 <= torch.load(checkpoint, weights_only=True)["step"] <= 12
    assert_equal(trained(checkpoint), uninterrupted)


def test_looking_at_a_training_does_not_change_it(tmp_path, uninterrupted):
    objective = new_objective()

    def look(epoch):
        extractor = Extractor(objective.extractor().network, ("map",))
        extractor.maps(torch.rand(2, 3, 12, 12))
        return {}

    assert_equal(trained(tmp_path / "c.pt", objective, probe=look)[:1] + (uninterrupted[1],), uninterrupted)


class Stopped(Tiny):
    """Gets a signal in the middle of a step."""

    signal, at = signal.SIGINT, 0

    def after_step(self, step, total_steps):
        super().after_step(step, total_steps)
        if step == self.at:
            signal.raise_signal(self.signal)


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("at", [1, 4, 7, 12])
def test_no_step_is_lost_to_a_signal_not_even_the_last(tmp_path, uninterrupted, which, at):
    checkpoint = tmp_path / "c.pt"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        objective = Stopped(Backbone())
    objective.signal, objective.at = which, at
    with pytest.raises(KeyboardInterrupt):
        trained(checkpoint, objective, checkpoint_minutes=NEVER)
    assert torch.load(checkpoint, weights_only=True)["step"] == at
    assert_equal(trained(checkpoint), uninterrupted)


def test_a_second_ctrl_c_strikes_at_once_and_the_handlers_are_put_back():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), stopping_gently() as interrupted:
        assert not interrupted()
        signal.raise_signal(signal.SIGINT)
        assert interrupted()
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_outside_the_main_thread_signals_are_left_alone():
    answers = []

    def work():
        with stopping_gently() as interrupted:
            answers.append(interrupted())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert answers == [False]


def checkpoint_of_a_killed_training(folder: Path) -> Path:
    path = folder / "c.pt"
    with pytest.raises(ConnectionAbortedError):
        trained(path, new_objective(dies_at=4), checkpoint_minutes=EVERY_STEP)
    return path


def test_a_truncated_checkpoint_is_named_with_the_way_out(tmp_path):
    path = checkpoint_of_a_killed_training(tmp_path)
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(LmbenchError, match="truncated or not one of lmbench's") as caught:
        trained(path)
    assert str(path) in str(caught.value) and "Delete it" in str(caught.value)


def test_a_checkpoint_of_another_stage_is_refused(tmp_path):
    path = checkpoint_of_a_killed_training(tmp_path)
    with pytest.raises(StaleError, match="belongs to another stage"):
        trained(path, key="j" * 64)


class Evil:
    def __reduce__(self):
        return os.system, ("touch /tmp/lmbench-evil-checkpoint",)


def test_a_checkpoint_that_is_a_pickle_is_refused_and_not_run(tmp_path):
    path = tmp_path / "c.pt"
    torch.save({"key": KEY, "evil": Evil()}, path)
    with pytest.raises(LmbenchError, match="not one of lmbench's"):
        trained(path)
    path.write_bytes(pickle.dumps({"key": KEY, "evil": Evil()}))
    with pytest.raises(LmbenchError, match="not one of lmbench's"):
        trained(path)
    assert not Path("/tmp/lmbench-evil-checkpoint").exists()


def test_a_loss_that_is_no_number_names_term_and_step_and_keeps_the_last_good_checkpoint(tmp_path):
    path = tmp_path / "c.pt"
    with pytest.raises(
        LmbenchError, match=r"the loss term 'extra' is nan at step 6 of 12.*last good checkpoint is"
    ) as caught:
        trained(path, new_objective(nan_at=6), checkpoint_minutes=EVERY_STEP)
    assert str(path) in str(caught.value)
    state = torch.load(path, weights_only=True)
    assert state["step"] == 5
    assert all(v.isfinite().all() for v in state["model"].values())


def test_without_a_checkpoint_the_error_says_so_at_the_end_of_the_epoch(tmp_path):
    with pytest.raises(LmbenchError, match="at step 8 of 12; no checkpoint was written yet"):
        trained(tmp_path / "c.pt", new_objective(nan_at=6), checkpoint_minutes=NEVER)


def test_the_curve_holds_the_mean_of_each_term_over_the_epoch(tmp_path):
    objective = new_objective()
    _, curve = trained(tmp_path / "c.pt", objective)
    for epoch, row in enumerate(curve):
        mean = np.mean(objective.seen[4 * epoch : 4 * epoch + 4])
        assert row["epoch"] == epoch + 1
        assert row["total"] == pytest.approx(mean, rel=1e-5)
        assert row["extra"] == pytest.approx(2 * mean, rel=1e-5)


def test_another_seed_or_key_gives_other_numbers(tmp_path, uninterrupted):
    for number, other in enumerate(({"seed": 1}, {"key": "j" * 64})):
        found, _ = trained(tmp_path / f"{number}.pt", **other)
        assert not torch.equal(found["backbone.conv.weight"], uninterrupted[0]["backbone.conv.weight"])


def test_fewer_images_than_a_batch_are_one_step_an_epoch(tmp_path):
    objective = new_objective()
    trained(tmp_path / "c.pt", objective, batch_size=50)
    assert len(objective.seen) == 3


@given(
    st.floats(0, 20), st.integers(1, 20), st.floats(0, 5), st.floats(0, 0.5), st.sampled_from(["cosine", "constant"])
)
def test_the_schedule_is_its_closed_form(epoch, epochs, warmup, final, kind):
    found = schedule(TrainingConfig(epochs=epochs, warmup_epochs=warmup, final_lr=final, schedule=kind), epoch)
    if epoch < warmup:
        assert found == pytest.approx(epoch / warmup, abs=2e-3 / warmup)
        assert 0 < found
    elif kind == "constant":
        assert found == 1
    elif epoch >= epochs and epochs > warmup:
        assert found == pytest.approx(final)
    elif epochs > warmup:
        assert found == pytest.approx(
            final + (1 - final) * math.cos(math.pi / 2 * (epoch - warmup) / (epochs - warmup)) ** 2
        )


def test_the_rate_of_the_curve_is_the_schedules(tmp_path):
    _, curve = trained(tmp_path / "c.pt")
    last_steps = [0.75, 1.75, 2.75]  # epochs at the last step of each
    assert [row["lr"] for row in curve] == pytest.approx(
        [0.05 * (1 + math.cos(math.pi * e / 3)) / 2 for e in last_steps]
    )


def test_steps_and_exponential_decay_as_their_papers_say():
    steps = TrainingConfig(epochs=9, schedule="steps", milestones=(2, 5), decay=0.1)
    assert [schedule(steps, e) for e in (0, 1.9, 2, 4.9, 5, 8)] == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
    falling = TrainingConfig(epochs=9, schedule="exponential", decay=0.9)
    assert [schedule(falling, e) for e in (0, 0.99, 1, 3.5)] == pytest.approx([1, 1, 0.9, 0.9**3])


def test_a_clipped_gradient_moves_no_further_than_the_rate_times_its_norm(tmp_path):
    before = new_objective().state_dict()
    sgd = OptimiserConfig(name="sgd", lr=1.0, momentum=0.0, weight_decay=0.0)
    after, _ = trained(tmp_path / "c.pt", epochs=1, batch_size=22, optimiser=sgd, schedule="constant", clip_norm=1e-3)
    learnt = [n for n, _ in new_objective().named_parameters()]
    moved = torch.cat([(after[n] - before[n]).flatten() for n in learnt]).norm()
    assert float(moved) == pytest.approx(1e-3, rel=1e-3)


def test_no_epochs_leave_the_weights_as_they_were(tmp_path):
    found, curve = trained(tmp_path / "c.pt", epochs=0)
    assert curve == []
    for name, value in new_objective().state_dict().items():
        assert torch.equal(found[name], value)


class Counting(Tiny):
    """Solved in closed form: the mean of all images, summed in loss() and divided at the last step."""

    def __init__(self, backbone, parent=None) -> None:
        super().__init__(backbone, parent)
        self.requires_grad_(False)

    def views(self, images, generator):
        return images

    def loss(self, views):
        self.average += views.mean() * len(views)
        self.count += len(views)
        return {"total": self.average.sum()}

    def after_step(self, step, total_steps):
        if step == self.dies_at:
            raise ConnectionAbortedError("the machine is gone")
        if step == total_steps:
            self.average /= self.count


def test_an_objective_without_parameters_is_solved_in_closed_form_and_survives_a_kill(tmp_path):
    for dies_at in (0, 3):
        checkpoint, objective = tmp_path / f"{dies_at}.pt", Counting(Backbone())
        objective.dies_at = dies_at
        changes = {"epochs": 1, "batch_size": 2, "checkpoint_minutes": EVERY_STEP}
        if dies_at:
            with pytest.raises(ConnectionAbortedError):
                trained(checkpoint, objective, **changes)
            objective = Counting(Backbone())
        state, _ = trained(checkpoint, objective, **changes)
        assert int(state["count"]) == 22
        assert float(state["average"][0]) == pytest.approx(np.mean(pixels(22).images / 255), rel=1e-5)


def test_norms_and_biases_go_without_weight_decay_where_that_is_asked_for():
    objective = new_objective()
    groups = build_optimiser(objective, OptimiserConfig(weight_decay=0.1, decay_norms=False)).param_groups
    decayed = {id(p): g["weight_decay"] for g in groups for p in g["params"]}
    assert {n: decayed[id(p)] for n, p in objective.named_parameters()} == {
        "backbone.conv.weight": 0.1, "backbone.conv.bias": 0.0, "backbone.norm.weight": 0.0, "backbone.norm.bias": 0.0,
    }  # fmt: skip
    assert len(build_optimiser(objective, OptimiserConfig()).param_groups) == 1


def test_devices_that_are_not_there_are_refused_and_precisions_are_taken_at_their_word():
    with pytest.raises(LmbenchError, match="--device nonsense"):
        resolve_device("nonsense")
    assert resolve_device("cpu") == CPU
    assert [resolve_precision(p, CPU) for p in ("fp32", "bf16")] == ["fp32", "bf16"]
    assert resolve_precision("auto", CPU) in ("fp32", "bf16")


# Stages.


def plugins(version: str = "1"):
    found = load_plugins([])
    maps = (MapSpec("map", 4, 2),)
    backbone = BackboneSpec(name="tiny", summary="-", target=f"{__name__}:Backbone", settings={"width": 4}, maps=maps)
    objective = ObjectiveSpec(name="tiny", summary="-", target=f"{__name__}:Tiny", settings={"noise": 0.1})
    needy = ObjectiveSpec(
        name="needy", summary="-", target=f"{__name__}:Tiny", settings={"noise": 0.1}, needs_parent=True
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


def key_of(wanted: StageConfig, version="1", fingerprint="f" * 64, frame=TWENTY, parent=None, seed=0) -> str:
    return stage_key(wanted, plugins(version), fingerprint, frame, parent, seed)


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
    ]
    assert len({base, *others}) == 7
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
    assert {p.name for p in files} == {"weights.safetensors", "stage.json", "curve.csv"}
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
