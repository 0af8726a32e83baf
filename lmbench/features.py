"""FeatureMaps: frozen dense features at their own resolutions, read on one output grid without ever being built there.

Bilinear upsampling is linear and separable, so all that the protocol asks of a hypercolumn has a cheap form:

* a 1x1 filter of the hypercolumn is the sum over maps of the upsampled *filtered* maps;
* the dot product with a query vector is such a filter;
* the squared norm of an interpolated vector is a quadratic form in its four neighbours.

Convention (kept in this one place): maps are upsampled with ``align_corners=False``, as ContrastLandmarks builds its
hypercolumns, while positions on the output grid count as ``linspace(-1, 1)``, as its regressor reads them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from lmbench.precision import float32

Normalise = Literal["none", "layer", "global"]
EPS = 1e-12
CELLS_AT_ONCE = 1 << 25  # numbers of a full tensor that are held at a time: 128 MiB


@functools.lru_cache(maxsize=256)
def upsampling_matrix(source: int, target: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The (target, source) matrix of one-dimensional bilinear resampling, ``align_corners=False``, no antialiasing."""
    position = (torch.arange(target, dtype=torch.float64) + 0.5) * (source / target) - 0.5
    position = position.clamp(0, source - 1)
    low = position.floor().long().clamp(max=max(source - 2, 0))
    fraction = position - low
    matrix = torch.zeros(target, source, dtype=torch.float64)
    rows = torch.arange(target)
    matrix[rows, low] = 1 - fraction
    matrix[rows, (low + 1).clamp(max=source - 1)] += fraction
    return matrix.to(device=device, dtype=dtype)


@dataclass(frozen=True)
class FeatureMaps:
    """Dense features of a batch: ``maps``, deepest first, each (B, C_i, h_i, w_i), read on a grid of ``size`` (H, W).

    ``normalise``: ``none``; ``layer``: the block of every map has unit L2 norm at each output cell; ``global``: the
    whole vector has. Norms are those of the upsampled vectors. A plain dense map is a list of one.
    """

    maps: tuple[Tensor, ...]
    size: tuple[int, int]
    normalise: Normalise = "none"

    def __post_init__(self) -> None:
        if not self.maps:
            raise ValueError("FeatureMaps needs at least one map")

    @property
    def channels(self) -> tuple[int, ...]:
        """The channels of each map, in order."""
        return tuple(m.shape[1] for m in self.maps)

    @property
    def dim(self) -> int:
        """The dimension of a descriptor: the sum of the channels."""
        return sum(self.channels)

    def __len__(self) -> int:
        return len(self.maps[0])

    def read(self, size: int | tuple[int, int], normalise: Normalise) -> FeatureMaps:
        """The same maps read on another grid or with another normalisation."""
        return replace(self, size=(size, size) if isinstance(size, int) else size, normalise=normalise)

    def coarse(self, cells: int) -> FeatureMaps:
        """Maps of more than ``cells`` a side averaged down to that, others as they are, all read on such a grid at most."""
        maps = tuple(
            nn.functional.adaptive_avg_pool2d(m, (min(m.shape[2], cells), min(m.shape[3], cells))) for m in self.maps
        )
        return replace(self, maps=maps, size=(min(self.size[0], cells), min(self.size[1], cells)))

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> FeatureMaps:
        return replace(self, maps=tuple(m.to(device=device, dtype=dtype or m.dtype) for m in self.maps))

    def project(self, filters: Tensor, bias: Tensor | None = None) -> Tensor:
        """(B, K, H, W): responses of K 1x1 filters (K, dim) to the hypercolumn, without building it.

        ``filters`` may also be (B, K, dim): its own filters for each image.
        """
        if filters.ndim == 2:
            filtered = [f.transpose(0, 1) for f in self.filtered(filters)]
        else:
            filtered = [_filter(m, w) for m, w in zip(self.maps, filters.split(self.channels, dim=-1), strict=True)]
        if self.normalise == "layer":
            norms = self._squared_norms()
            response = sum(
                self._upsample([f]) / n.clamp(min=EPS**2).sqrt()[:, None] for f, n in zip(filtered, norms, strict=True)
            )
        else:
            response = self._upsample(filtered)
            if self.normalise == "global":
                response = response / sum(self._squared_norms()).clamp(min=EPS**2).sqrt()[:, None]  # type: ignore[union-attr]
        assert isinstance(response, Tensor)
        return response if bias is None else response + bias[:, None, None]

    def pool(self, weights: Tensor) -> Tensor:
        """(B, K, dim): sums over the output grid of all descriptors times ``weights`` (B, K, H, W), without building them.

        The transpose of `project`: ``(project(f) * w).sum((2, 3))`` is ``(pool(w) * f).sum(-1)``.
        """
        blocks = []
        norms = self._squared_norms() if self.normalise != "none" else []
        if self.normalise == "global":
            weights = weights / sum(norms).clamp(min=EPS**2).sqrt()[:, None]  # type: ignore[union-attr]
        for i, m in enumerate(self.maps):
            own = weights / norms[i].clamp(min=EPS**2).sqrt()[:, None] if self.normalise == "layer" else weights
            if m.shape[-2:] != self.size:
                rows, columns = self._matrices(m)
                own = rows.T @ (own @ columns)
            blocks.append(own.flatten(2) @ m.flatten(2).transpose(1, 2))
        return torch.cat(blocks, dim=2)

    def filtered(self, filters: Tensor) -> tuple[Tensor, ...]:
        """The maps after K 1x1 filters (K, dim), each (K, B, h, w) at its own resolution: one product a map."""
        blocks = filters.split(self.channels, dim=1)
        return tuple(
            (w @ m.transpose(0, 1).flatten(1)).unflatten(1, (m.shape[0], *m.shape[2:]))
            for m, w in zip(self.maps, blocks, strict=True)
        )

    def upsampled(self, filtered: Sequence[Tensor]) -> Tensor:
        """(..., H, W): the sum on the output grid of `filtered` maps (..., h, w), or of the same part of each."""
        return self._upsample(filtered)

    def sample(self, cells: Tensor) -> Tensor:
        """(B, P, dim): descriptors at integer cells (B, P, 2) of the output grid, x before y, clipped to it."""
        height, width = self.size
        x = cells[..., 0].long().clamp(0, width - 1)
        y = cells[..., 1].long().clamp(0, height - 1)
        vectors = []
        for m in self.maps:
            rows, columns = self._matrices(m)
            vectors.append(torch.einsum("bchw,bph,bpw->bpc", m, rows[y], columns[x]))
        if self.normalise == "layer":
            vectors = [nn.functional.normalize(v, dim=-1, eps=EPS) for v in vectors]
        joined = torch.cat(vectors, dim=-1)
        return nn.functional.normalize(joined, dim=-1, eps=EPS) if self.normalise == "global" else joined

    def similarity(self, queries: Tensor) -> Tensor:
        """(B, P, H, W): dot products of query descriptors (B, P, dim) with the descriptor of every output cell.

        With ``normalise`` set, the target's descriptors are normalised here and the queries are taken as they are
        (``sample`` has normalised them the same way).
        """
        return self.project(queries)

    def materialise(self) -> Tensor:
        """(B, dim, H, W): the full tensor. For tests, small maps and export; fitting and matching never need it."""
        rows = []
        for m in self.maps:
            up, across = self._matrices(m)
            full = torch.einsum("bchw,Hh,Ww->bcHW", m, up, across)
            rows.append(nn.functional.normalize(full, dim=1, eps=EPS) if self.normalise == "layer" else full)
        joined = torch.cat(rows, dim=1)
        return nn.functional.normalize(joined, dim=1, eps=EPS) if self.normalise == "global" else joined

    def channel_sums(self, about: Tensor) -> Tensor:
        """(2, dim) float64: sums over all images and output cells of every channel less ``about`` (dim,), and of its square."""
        if self.normalise != "none":  # norms belong to output cells: these have to be built, a few images at a time
            at_once = max(1, CELLS_AT_ONCE // (self.dim * self.size[0] * self.size[1]))
            found = torch.zeros(2, self.dim, dtype=torch.float64, device=self.maps[0].device)
            for start in range(0, len(self), at_once):
                some = replace(self, maps=tuple(m[start : start + at_once] for m in self.maps)).materialise()
                some = some - about[:, None, None]
                found += torch.stack((some.sum((0, 2, 3)), some.square().sum((0, 2, 3)))).double()
            return found
        sums = []
        for m, level in zip(self.maps, about.split(self.channels), strict=True):
            rows, columns = self._matrices(m)
            m = m - level[:, None, None]
            spread = (rows.T @ rows) @ m @ (columns.T @ columns)  # a sum of squares is a quadratic form of the map
            once = torch.einsum("bchw,h,w->c", m, rows.sum(0), columns.sum(0))
            sums.append(torch.stack((once, (spread * m).sum((0, 2, 3)))))
        return torch.cat(sums, dim=1).double()

    def _matrices(self, m: Tensor) -> tuple[Tensor, Tensor]:
        return (
            upsampling_matrix(m.shape[2], self.size[0], m.dtype, m.device),
            upsampling_matrix(m.shape[3], self.size[1], m.dtype, m.device),
        )

    def _upsample(self, responses: Sequence[Tensor]) -> Tensor:
        """The sum of the upsampled responses: columns of each map first, then all rows in one product."""
        if len(responses) == 1 and responses[0].shape[-2:] == self.size:
            return responses[0]
        widened = [r @ upsampling_matrix(r.shape[-1], self.size[1], r.dtype, r.device).T for r in responses]
        rows = torch.cat([upsampling_matrix(r.shape[-2], self.size[0], r.dtype, r.device) for r in responses], dim=1)
        return rows @ torch.cat(widened, dim=-2)

    def _squared_norms(self) -> list[Tensor]:
        """(B, H, W) for each map: squared L2 norms of its upsampled vectors, from products of neighbours alone."""
        return [_squared_norm(m, *self._matrices(m)) for m in self.maps]


def _filter(m: Tensor, weight: Tensor) -> Tensor:
    """(B, K, h, w): each image's 1x1 filters (B, K, C) applied to its map."""
    return (weight @ m.flatten(2)).unflatten(2, m.shape[2:])


def _squared_norm(m: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """(B, H, W): |sum over the four neighbours of weight x vector|^2, written as sums of products of neighbours.

    Where neighbours cancel to less than rounding resolves, the rounding of the terms is given instead of noise.
    """
    same = (m * m).sum(1)
    total = rows.square() @ same @ columns.square().T
    row_pair = rows[:, :-1] * rows[:, 1:]
    column_pair = columns[:, :-1] * columns[:, 1:]
    if m.shape[2] > 1:
        below = (m[:, :, :-1] * m[:, :, 1:]).sum(1)
        total = total + 2 * (row_pair @ below @ columns.square().T)
    if m.shape[3] > 1:
        beside = (m[..., :-1] * m[..., 1:]).sum(1)
        total = total + 2 * (rows.square() @ beside @ column_pair.T)
    if m.shape[2] > 1 and m.shape[3] > 1:
        diagonals = (m[:, :, :-1, :-1] * m[:, :, 1:, 1:] + m[:, :, :-1, 1:] * m[:, :, 1:, :-1]).sum(1)
        total = total + 2 * (row_pair @ diagonals @ column_pair.T)
    return torch.maximum(total, torch.finfo(m.dtype).eps * (rows @ same @ columns.T))


class Extractor(nn.Module):
    """What is left after FREEZE: ``maps(images) -> FeatureMaps``, in eval mode and without gradients to the network.

    It is read without autocast, also by a later stage that learns from it in bf16: a teacher says what is judged.
    The network's parameters stay as they are: a training that is looked at in between must not find them frozen.

    A network that also discovers landmarks has a method ``landmarks(images) -> (B, K, 2)`` in pixels; it is handed on.
    """

    def __init__(
        self,
        network: nn.Module,
        layers: Sequence[str],
        size: int | tuple[int, int] = 48,
        normalise: Normalise = "none",
    ) -> None:
        super().__init__()
        self.network = network
        self.layers = tuple(layers)
        self.size = (size, size) if isinstance(size, int) else size
        self.normalise: Normalise = normalise
        self.eval()

    @classmethod
    def of(
        cls, network: nn.Module, layers: Sequence[str], size: int | tuple[int, int], normalise: Normalise
    ) -> Extractor:
        """The extractor of a frozen network; ``("*",)``: all its maps, which it states (see `build_backbone`)."""
        if tuple(layers) == ("*",):
            layers = tuple(m.name for m in reversed(network.maps))  # type: ignore[arg-type, union-attr]
        return cls(network, layers, size, normalise)

    def train(self, mode: bool = True) -> Extractor:
        """Stays in eval mode: what is frozen keeps its statistics, whatever module it is put into."""
        del mode
        return super().train(False)

    @torch.no_grad()
    @float32
    def maps(self, images: Tensor) -> FeatureMaps:
        """The maps of images (B, 3, H, W) in [0, 1], deepest first, as many as ``layers`` names."""
        outputs = self.network(images)
        return FeatureMaps(tuple(outputs[name] for name in self.layers), self.size, self.normalise)

    @property
    def discovers_landmarks(self) -> bool:
        return hasattr(self.network, "landmarks")

    @torch.no_grad()
    @float32
    def landmarks(self, images: Tensor) -> Tensor:
        """(B, K, 2): discovered landmarks in pixels of the images. Raises AttributeError where the network has none."""
        discover: Callable[[Tensor], Tensor] = self.network.landmarks  # type: ignore[assignment]
        return discover(images)
