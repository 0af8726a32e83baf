"""The backward error shows what the forward error hides: landmarks that lie anywhere."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from made_heads import ols_head

from lmbench.data.pixels import PixelStore
from lmbench.errors import DataError
from lmbench.heads.base import Subset, TensorInputs
from lmbench.metrics.scoring import backward_iod, iod
from lmbench.tasks.backward import judge_backward
from lmbench.tasks.regression import judged_by

SIDE, TRAIN, TEST = 64, 80, 40


def store(count, seed):
    """Images without content and with five annotated landmarks, the eyes first."""
    rng = np.random.default_rng(seed)
    shape = np.array([[20, 20], [44, 20], [32, 32], [24, 44], [40, 44]])
    points = (shape + rng.normal(0, 3, (count, 5, 2)) + rng.normal(0, 5, (count, 1, 2))).astype(np.float32)
    ids = np.array([f"{seed}-{i}" for i in range(count)])
    images = np.zeros((count, SIDE, SIDE, 3), np.uint8)
    return PixelStore(images, points, np.ones((count, 5), bool), np.full(count, -1), ids, "")


def context_of(train, test, discovered, eyes=(0, 1), hidden_annotated=False):
    """All that the backward error asks a task's context for; what is kept is in ``found``."""
    frozen = {split: TensorInputs(SIDE, landmarks=points) for split, points in discovered.items()}
    found = []
    spec = SimpleNamespace(
        eyes=eyes, hidden_annotated=hidden_annotated, metrics=("iod",), landmark_names=tuple("abcde"), parts={}
    )
    return SimpleNamespace(
        dataset=SimpleNamespace(spec=spec), train=train, test=test, frozen=frozen.get, keep=found.append, found=found,
        kept=lambda name: False, config=SimpleNamespace(seed=0),
    )  # fmt: skip


def discovered_by(junk, seed=0):
    """Landmarks that follow the annotated ones, and ``junk`` ones that lie anywhere."""
    rng = np.random.default_rng(seed)
    result = {}
    for split, pixels in (("train", store(TRAIN, 1)), ("test", store(TEST, 2))):
        good = pixels.landmarks @ np.array([[0.9, 0.1], [-0.1, 0.9]]) + 2
        anywhere = rng.uniform(0, SIDE, (len(pixels), junk, 2))
        result[split] = torch.tensor(np.concatenate([good, anywhere], 1), dtype=torch.float32)
    return result


def errors(junk):
    """(forward, backward) in percent of the distance of the eyes."""
    discovered = discovered_by(junk)
    context = context_of(store(TRAIN, 1), store(TEST, 2), discovered)
    judge_backward(context, ols_head(bias=True), {})
    (kept,) = context.found
    train, test = (TensorInputs(SIDE, landmarks=discovered[split]) for split in ("train", "test"))
    points = torch.from_numpy(context.train.landmarks)
    every = [Subset("all", 0, torch.arange(TRAIN))]
    fitted = ols_head(bias=True).fit(train, points, torch.ones(TRAIN, 5, dtype=torch.bool), every, torch.Generator())
    forward = judged_by(context.dataset.spec, context.test, fitted.predict(test).numpy(), "visible")
    return float(iod(forward).aggregate[0]), float(backward_iod(kept).aggregate[0])


def test_degenerate_landmarks_hide_forward_and_show_backward():
    good, bad = errors(0), errors(5)
    assert good[0] < 0.01 and good[1] < 0.01
    assert bad[0] < 0.01  # the regressor gives them no weight
    assert bad[1] > 20


def test_the_backward_error_is_least_squares_from_annotated_to_discovered_points_over_the_annotated_eyes():
    discovered = discovered_by(2)
    context = context_of(store(TRAIN, 1), store(TEST, 2), discovered)
    judge_backward(context, ols_head(bias=True), {"head": "ols"})
    (kept,) = context.found
    x, z = (
        np.c_[p.landmarks.reshape(len(p), -1).astype(float), np.ones(len(p))] for p in (context.train, context.test)
    )
    weights = np.linalg.lstsq(x, discovered["train"].flatten(1).double().numpy(), rcond=None)[0]
    away = (z @ weights).reshape(TEST, -1, 2) - discovered["test"].numpy()
    eyes = np.linalg.norm(context.test.landmarks[:, 0] - context.test.landmarks[:, 1], axis=-1)
    expected = 100 * (np.linalg.norm(away, axis=-1) / eyes[:, None]).mean()
    assert backward_iod(kept).aggregate[0] == pytest.approx(expected, rel=1e-5)
    assert (kept.name, kept.metrics, kept.settings) == ("regression-backward-nall", ("backward_iod",), {"head": "ols"})


def test_images_that_do_not_show_all_landmarks_take_no_part():
    train, test = store(TRAIN, 1), store(TEST, 2)
    for pixels in (train, test):
        pixels.visible[:10, 3] = False
        pixels.landmarks[:10, 3] = np.nan
    context = context_of(train, test, discovered_by(0))
    judge_backward(context, ols_head(bias=True), {})
    (kept,) = context.found
    assert not kept.visible[:10].any() and kept.visible[10:].all()
    assert backward_iod(kept).aggregate[0] < 0.01


def test_without_eyes_or_complete_images_there_is_no_backward_error(capsys):
    context = context_of(store(TRAIN, 1), store(TEST, 2), discovered_by(0), eyes=None)
    judge_backward(context, ols_head(), {})
    hidden = store(TEST, 2)
    hidden.visible[:, 0] = False
    other = context_of(store(TRAIN, 1), hidden, discovered_by(0))
    judge_backward(other, ols_head(), {})
    assert context.found == other.found == []
    assert "no backward error" in capsys.readouterr().err


def test_eyes_at_one_place_are_named():
    test = store(TEST, 2)
    test.landmarks[7, 1] = test.landmarks[7, 0]
    context = context_of(store(TRAIN, 1), test, discovered_by(0))
    judge_backward(context, ols_head(), {})
    with pytest.raises(DataError, match="image 2-7 "):
        backward_iod(context.found[0])
