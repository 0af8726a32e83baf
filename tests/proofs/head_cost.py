"""Seconds of one core and the largest memory that the head `converged` takes on made maps.

    uv run python tests/proofs/head_cost.py [--images 2000] [--landmarks 68] [--levels 256x24,512x12,1024x6,2048x3]

Each channel is a mixture of bumps at the landmarks and at places of the image's own, in smooth noise. Maps stand in memory in
half precision, which is counted; one call measures one case, for memory is a process's largest.
"""

from __future__ import annotations

import argparse
import resource
import time

import torch
from torch import Tensor, nn

from lmbench.features import FeatureMaps
from lmbench.heads.base import Subset, TensorInputs, mean_shape
from lmbench.heads.converged import Converged
from lmbench.heads.settings import ConvergedSettings

SIDE, GRID = 96, 24


class HalfInputs(TensorInputs):
    """Maps that stand in half precision, as a run's do."""

    def batch(self, indices: Tensor) -> FeatureMaps:
        return super().batch(indices).to("cpu", torch.float32)


def made(images: int, landmarks: int, levels: list[tuple[int, int]]) -> tuple[list[Tensor], Tensor]:
    """(levels (N, C, h, h) in half precision, landmarks (N, L, 2) in pixels)."""
    g = torch.Generator().manual_seed(0)
    shape = SIDE / 2 + SIDE / 6 * torch.randn(landmarks, 2, generator=g).clamp(-2, 2)
    modes = 0.15 * SIDE / 6 * torch.randn(8, landmarks, 2, generator=g)
    points = shape + torch.einsum("nm,mld->nld", torch.randn(images, 8, generator=g), modes)
    sources = torch.cat([points, SIDE * torch.rand(images, 20, 2, generator=g)], 1)
    axis = (torch.arange(GRID) + 0.5) * SIDE / GRID - 0.5
    found = [torch.empty(images, c, h, h, dtype=torch.float16) for c, h in levels]
    mixing = [torch.randn(c, sources.shape[1], generator=g) for c, _ in levels]
    for some in torch.arange(images).split(50):
        at = sources[some]
        bumps = torch.exp(-((axis[:, None] - at[..., 1, None, None]) ** 2 + (axis - at[..., 0, None, None]) ** 2) / 32)
        for level, mix, (c, h) in zip(found, mixing, levels, strict=True):
            seen = torch.einsum("cs,nshw->nchw", mix, nn.functional.adaptive_avg_pool2d(bumps, h))
            noise = nn.functional.avg_pool2d(torch.randn(len(some), c, h, h, generator=g), 3, 1, 1)
            level[some] = (seen + seen.std() * noise).half()
    return found, points


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--landmarks", type=int, default=68)
    parser.add_argument("--levels", default="256x24,512x12,1024x6,2048x3", help="channels x cells a side, ...")
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    levels = [(int(c), int(h)) for c, _, h in (part.partition("x") for part in given.levels.split(","))]
    with torch.no_grad():
        maps, points = made(given.images + 200, given.landmarks, levels)
    fit, held = torch.arange(given.images), torch.arange(given.images, given.images + 200)
    inputs = HalfInputs(SIDE, FeatureMaps(tuple(m[: given.images] for m in maps), (GRID, GRID)))
    seen = torch.ones(points.shape[:2], dtype=torch.bool)
    started, wall = time.process_time(), time.perf_counter()
    head = Converged(ConvergedSettings())
    fitted = head.fit(inputs, points[fit], seen[fit], [Subset("all", 0, fit)], torch.Generator())
    seconds, wall = time.process_time() - started, time.perf_counter() - wall
    found = fitted.predict(HalfInputs(SIDE, FeatureMaps(tuple(m[held] for m in maps), (GRID, GRID))))[0]
    floor = mean_shape(points[fit], seen[fit]).expand_as(found)
    error, least = ((p - points[held]).norm(dim=-1).mean() for p in (found, floor))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    dim = sum(c for c, _ in levels)
    print(
        f"{given.images} images, {given.landmarks} landmarks, {dim} channels: {seconds:.0f} s of CPU ({wall:.0f} s), "
        f"{memory:.2f} GiB; {error:.2f} of {SIDE} pixels, mean shape {least:.2f}; {fitted.said[0]}"
    )


if __name__ == "__main__":
    main()
