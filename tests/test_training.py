"""Training: what the loop computes, its schedule and its numbers, and losses that are none."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_training import CPU, EVERY_STEP, NEVER, Backbone, Tiny, new_objective, pixels, trained

from lmbench.config.model import Optimiser, Training
from lmbench.errors import LmbenchError
from lmbench.training.loop import build_optimiser, resolve_device, resolve_precision, schedule


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


def test_fewer_images_than_a_batch_are_one_step_an_epoch(tmp_path):
    objective = new_objective()
    trained(tmp_path / "c.pt", objective, batch_size=50)
    assert len(objective.seen) == 3


@given(
    st.floats(0, 20), st.integers(1, 20), st.floats(0, 5), st.floats(0, 0.5), st.sampled_from(["cosine", "constant"])
)
def test_the_schedule_is_its_closed_form(epoch, epochs, warmup, final, kind):
    found = schedule(Training(epochs=epochs, warmup_epochs=warmup, final_lr=final, schedule=kind), epoch)
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
    steps = Training(epochs=9, schedule="steps", milestones=(2, 5), decay=0.1)
    assert [schedule(steps, e) for e in (0, 1.9, 2, 4.9, 5, 8)] == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
    falling = Training(epochs=9, schedule="exponential", decay=0.9)
    assert [schedule(falling, e) for e in (0, 0.99, 1, 3.5)] == pytest.approx([1, 1, 0.9, 0.9**3])


def test_a_clipped_gradient_moves_no_further_than_the_rate_times_its_norm(tmp_path):
    before = new_objective().state_dict()
    sgd = Optimiser(name="sgd", lr=1.0, momentum=0.0, weight_decay=0.0)
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
    groups = build_optimiser(objective, Optimiser(weight_decay=0.1, decay_norms=False)).param_groups
    decayed = {id(p): g["weight_decay"] for g in groups for p in g["params"]}
    assert {n: decayed[id(p)] for n, p in objective.named_parameters()} == {
        "backbone.conv.weight": 0.1, "backbone.conv.bias": 0.0, "backbone.norm.weight": 0.0, "backbone.norm.bias": 0.0,
    }  # fmt: skip
    assert len(build_optimiser(objective, Optimiser()).param_groups) == 1


def test_devices_that_are_not_there_are_refused_and_precisions_are_taken_at_their_word():
    with pytest.raises(LmbenchError, match="--device nonsense"):
        resolve_device("nonsense")
    assert resolve_device("cpu") == CPU
    assert [resolve_precision(p, CPU) for p in ("fp32", "bf16")] == ["fp32", "bf16"]
    assert resolve_precision("auto", CPU) in ("fp32", "bf16")
