"""Peak memory and time of the loss beside the same formula written out (pytest -m slow)."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

# Batch 16, 48x48 cells of 96 pixels, 64 channels: one training step's loss of the papers' hourglass. CPU seconds, because other
# work on the machine does not lengthen them.
SCRIPT = """
import json, resource, sys, time
import torch
from torch.nn import functional
from lmbench_dve.correlation import dense_correlation_loss

torch.set_num_threads(1)

def written_out(view_a, view_b, grid, factor=20.0, power=0.5):
    view_a, view_b = (factor * functional.normalize(f, dim=1) for f in (view_a, view_b))
    other, key = view_a.roll(-1, 0).flatten(2), view_b.flatten(2)
    exchanged = (view_a.flatten(2).mT @ other).softmax(-1) @ other.mT
    probability = (exchanged @ key).softmax(-1)
    targets = ((grid[:, ::2, ::2] + 1) / 2 * 95).flatten(1, 2)
    y, x = torch.meshgrid(torch.arange(48.0) * 2, torch.arange(48.0) * 2, indexing="ij")
    cells = torch.stack((x, y), -1).reshape(1, -1, 2).expand(len(targets), -1, -1)
    distance = torch.cdist(targets, cells, compute_mode="donot_use_mm_for_euclid_dist") ** power
    return (probability * distance).sum(-1).mean()

generator = torch.Generator().manual_seed(0)
view_a, view_b = (torch.randn(16, 64, 48, 48, generator=generator).requires_grad_() for _ in range(2))
grid = 2 * torch.rand(16, 96, 96, 2, generator=generator) - 1
loss_of = {"blocks": dense_correlation_loss, "written out": written_out}[sys.argv[1]]
loss_of(view_a[:2], view_b[:2], grid[:2]).backward()
before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
view_a.grad = view_b.grad = None
loss = loss_of(view_a, view_b, grid)
loss.backward()
seconds, after = time.process_time() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"loss": float(loss), "gradient": float(view_a.grad.norm()), "MB": (after - before) / 1024, "s": seconds}))
"""


def measured(which: str) -> dict[str, float]:
    done = subprocess.run([sys.executable, "-c", SCRIPT, which], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def test_the_loss_needs_a_quarter_of_the_memory_written_out_and_no_more_time():
    blocks, written_out = measured("blocks"), measured("written out")
    print(f"\nblocks {blocks}\nwritten out {written_out}")
    assert blocks["loss"] == pytest.approx(written_out["loss"], rel=1e-5)
    assert blocks["gradient"] == pytest.approx(written_out["gradient"], rel=1e-2)
    assert blocks["MB"] < written_out["MB"] / 4
    assert blocks["s"] < written_out["s"]
