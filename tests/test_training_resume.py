"""Training: the same numbers whatever interrupts it, and checkpoints that are damaged or foreign."""

from __future__ import annotations

import io
import os
import pickle
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from tiny_training import EVERY_STEP, KEY, NEVER, Backbone, Tiny, new_objective, trained

from lmbench.errors import LmbenchError, StaleError
from lmbench.features import Extractor
from lmbench.store import manifests
from lmbench.store.files import write_atomically
from lmbench.training.loop import stopping_gently


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


def test_a_training_that_goes_on_under_another_probe_keeps_no_figures_of_the_one_before(tmp_path, uninterrupted):
    def looks(epoch):
        if epoch == 2:
            raise ConnectionAbortedError
        return {"probe_a": float(epoch)}

    with pytest.raises(ConnectionAbortedError):
        trained(tmp_path / "c.pt", probe=looks, probed="a", checkpoint_minutes=EVERY_STEP)
    state, curve = trained(tmp_path / "c.pt", probe=lambda epoch: {"probe_b": float(epoch)}, probed="b")
    assert [set(row) & {"probe_a", "probe_b"} for row in curve] == [set(), {"probe_b"}, {"probe_b"}]
    assert_equal((state, [{k: v for k, v in row.items() if k != "probe_b"} for row in curve]), uninterrupted)


SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
import torch
from tiny_training import NEVER, Backbone, Tiny, trained

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
        tests=str(Path(__file__).parent / "support"), checkpoint=str(checkpoint), threads=torch.get_num_threads()
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while process.stdout.readline().strip() != "6":
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=300) == 130
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


@pytest.mark.parametrize("change", ["truncated", "a bit flipped", "manifest gone", "a bit of the manifest flipped"])
def test_a_damaged_checkpoint_is_named_and_the_stage_starts_anew(tmp_path, uninterrupted, capsys, change):
    path = checkpoint_of_a_killed_training(tmp_path)
    manifest = path.with_name("manifest.json")
    if change == "manifest gone":
        manifest.unlink()
    else:
        file = manifest if "manifest" in change else path
        content = bytearray(file.read_bytes())
        content[0 if file == manifest else len(content) // 2] ^= 2
        file.write_bytes(content[:-300] if change == "truncated" else content)
    assert_equal(trained(path), uninterrupted)
    assert f"the checkpoint {path} is damaged" in capsys.readouterr().err


def test_a_kill_between_a_checkpoint_and_its_manifest_loses_neither(tmp_path, uninterrupted, monkeypatch):
    path = checkpoint_of_a_killed_training(tmp_path)
    before = torch.load(path, weights_only=True)["step"]
    replaces = Path.replace

    def die(draft, target):
        if Path(target) == path:
            raise ConnectionAbortedError
        return replaces(draft, target)

    monkeypatch.setattr(Path, "replace", die)
    with pytest.raises(ConnectionAbortedError):
        trained(path, checkpoint_minutes=EVERY_STEP)
    monkeypatch.undo()
    assert torch.load(path, weights_only=True)["step"] == before
    assert manifests.damage(path.parent, path.name) is None
    assert_equal(trained(path), uninterrupted)


def test_a_checkpoint_of_another_stage_is_refused(tmp_path):
    path = checkpoint_of_a_killed_training(tmp_path)
    with pytest.raises(StaleError, match="belongs to another stage"):
        trained(path, key="j" * 64)


class Evil:
    def __reduce__(self):
        return os.system, ("touch /tmp/lmbench-evil-checkpoint",)


def test_a_checkpoint_that_is_a_pickle_is_not_run(tmp_path, uninterrupted):
    path = tmp_path / "c.pt"
    path.write_bytes(saved_evil())
    assert_equal(trained(path), uninterrupted)  # no manifest lists it: it is none of lmbench's
    for content in (saved_evil(), pickle.dumps({"key": KEY, "evil": Evil()})):
        write_atomically(path, content, listed=True)
        with pytest.raises(LmbenchError, match="not one of lmbench's"):
            trained(path)
    assert not Path("/tmp/lmbench-evil-checkpoint").exists()


def saved_evil() -> bytes:
    written = io.BytesIO()
    torch.save({"key": KEY, "evil": Evil()}, written)
    return written.getvalue()


@pytest.mark.parametrize(("other", "equal"), [({"seed": 1}, False), ({"key": "j" * 64}, True)])
def test_chance_depends_on_the_seed_and_not_on_what_a_stage_is_addressed_by(tmp_path, uninterrupted, other, equal):
    found, _ = trained(tmp_path / "state.pt", **other)
    assert torch.equal(found["backbone.conv.weight"], uninterrupted[0]["backbone.conv.weight"]) is equal
