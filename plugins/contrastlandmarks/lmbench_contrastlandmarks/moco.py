"""Stage 1 of ContrastLandmarks: momentum contrast (He et al. 2020; Cheng et al. sec. 3.1-3.2, eq. 5)."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lmbench.api import Extractor, Objective, UsageError, float32
from lmbench_contrastlandmarks.views import Augmentation

Views = tuple[Tensor, Tensor, Tensor]


@float32
def unit_vectors(vectors: Tensor) -> Tensor:
    """(B, D): vectors (B, D) of norm 1."""
    return functional.normalize(vectors, dim=1)


@float32
def contrast(queries: Tensor, keys: Tensor, queue: Tensor, temperature: float) -> Tensor:
    """(B, 1 + K) logits: each query (B, D) with its own key (B, D), then with the queue's rows (K, D) as they are stored.

    Keys and queue get no gradient. Eq. 5 with MoCo's queue for the other images.
    """
    positive = (queries * keys.detach()).sum(1, keepdim=True)
    return torch.cat((positive, queries @ queue.detach().T), 1) / temperature


@float32
def info_nce(logits: Tensor) -> Tensor:
    """Scalar: mean cross-entropy of logits (B, 1 + K) whose first column is the right one."""
    return functional.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long, device=logits.device))


@torch.no_grad()
def enqueue(queue: Tensor, index: Tensor, keys: Tensor) -> None:
    """Writes keys (B, D) over the rows index, index + 1, ... of the queue (K, D), beyond the last from the first again.

    In place, both in ``queue`` and in ``index`` (), the row that comes next.
    """
    rows = (index + torch.arange(len(keys), device=queue.device)) % len(queue)
    queue[rows] = keys.to(queue.dtype)
    index.copy_((index + len(keys)) % len(queue))


class MoCo(Objective):
    """Another view of the same image is told from a queue of other images, encoded by a slowly following key network.

    ``layer``: the map that is averaged over the image before the linear head. ``queue``: how many keys are kept; the
    batch must divide it. ``momentum``: the key network's EMA, of parameters alone. ``groups``: the batch is
    encoded in so many groups, each with BatchNorm statistics of its own, keys in shuffled order (ShuffleBN; the paper
    trained on 4 GPUs). ``batch_norm``: ``batch`` statistics in both networks, or ``frozen`` ones, as an untrained network
    has them. ``view``: fields of ViewSettings and Augmentation that differ from the defaults.
    """

    queue: Tensor
    index: Tensor

    def __init__(
        self,
        backbone: nn.Module,
        parent: Extractor | None = None,
        *,
        layer: str = "conv5_x",
        dim: int = 128,
        queue: int = 4096,
        temperature: float = 0.07,
        momentum: float = 0.999,
        groups: int = 1,
        batch_norm: str = "batch",
        view: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(backbone, parent)
        given = {"queue": queue, "temperature": temperature, "groups": groups, "batch_norm": batch_norm, "view": view}
        self.check(given)
        self.layer, self.temperature, self.momentum, self.groups = layer, temperature, momentum, groups
        self.frozen_norm = batch_norm == "frozen"
        self.augmentation = Augmentation.of(view)
        self.head = nn.Linear(self._channels(), dim)
        self.key = copy.deepcopy(nn.ModuleList([self.backbone, self.head])).requires_grad_(False)
        bound = (3 / dim) ** 0.5  # reference code: uniform, not of unit norm
        self.register_buffer("queue", torch.empty(queue, dim).uniform_(-bound, bound))
        self.register_buffer("index", torch.zeros((), dtype=torch.long))
        self.fresh: Tensor | None = None

    @classmethod
    def check(cls, settings: Mapping[str, Any]) -> None:
        """Raises UsageError for settings that mean nothing."""
        queue, temperature, groups = (settings[name] for name in ("queue", "temperature", "groups"))
        if settings["batch_norm"] not in ("batch", "frozen") or queue < 1 or groups < 1 or not temperature > 0:
            raise UsageError(
                f"moco: expected batch_norm batch or frozen, and queue, groups and temperature above 0; "
                f"found {settings['batch_norm']!r}, {queue}, {groups} and {temperature}."
            )
        Augmentation.of(settings["view"])

    def _channels(self) -> int:
        with torch.no_grad():
            maps = self.backbone.eval()(torch.zeros(1, 3, 96, 96))
        if self.layer not in maps:
            raise UsageError(
                f"moco reads the map {self.layer!r}; the backbone has {', '.join(maps)}. Set layer to one."
            )
        channels: int = maps[self.layer].shape[1]
        return channels

    def train(self, mode: bool = True) -> MoCo:
        """With frozen statistics both backbones stay in eval mode (the online one's norm layers' weights still learn)."""
        super().train(mode)
        if self.frozen_norm:
            self.backbone.eval()
            self.key.eval()
        return self

    def views(self, images: Tensor, generator: torch.Generator) -> Views:
        """(query views, key views, the order (B,) in which keys are encoded)."""
        first, second = (self.augmentation(images, generator) for _ in range(2))
        return first, second, torch.randperm(len(images), generator=generator).to(images.device)

    def loss(self, views: Views) -> dict[str, Tensor]:
        """``total``: InfoNCE; ``accuracy``: how often the own key is the nearest. Raises UsageError, see `_check`."""
        query_views, key_views, order = views
        self._check(len(query_views))
        queries = self.encode(self.backbone, self.head, query_views)
        with torch.no_grad():
            keys = self.encode(self.key[0], self.key[1], key_views[order])[order.argsort()]
        logits = contrast(queries, keys, self.queue, self.temperature)
        self.fresh = keys
        accuracy = (logits.argmax(1) == 0).float().mean()
        return {"total": info_nce(logits), "accuracy": accuracy}

    def encode(self, backbone: nn.Module, head: nn.Module, images: Tensor) -> Tensor:
        """(B, dim) of unit norm, float32: the averaged map through the linear head, in ``groups`` groups."""
        pooled = [backbone(part)[self.layer].mean((2, 3)) for part in images.chunk(self.groups)]
        return unit_vectors(head(torch.cat(pooled)))

    def _check(self, batch: int) -> None:
        """Raises UsageError for a queue that the batch does not divide, or groups too small for batch statistics."""
        if len(self.queue) % batch:
            raise UsageError(
                f"moco: a queue of {len(self.queue)} keys cannot be filled by batches of {batch}; "
                f"set queue to a multiple of {batch}, for instance {-(-len(self.queue) // batch) * batch}."
            )
        if batch % self.groups or (self.groups > 1 and batch // self.groups < 2):
            raise UsageError(
                f"moco: a batch of {batch} does not fall into {self.groups} equal groups of two or more; set groups to 1, "
                "or to a divisor of half the batch."
            )

    @torch.no_grad()
    def after_step(self, step: int, total_steps: int) -> None:
        """The step's keys enter the queue, and the key network follows (He et al., eq. 2); its BatchNorm buffers do not."""
        assert self.fresh is not None
        enqueue(self.queue, self.index, self.fresh)
        self.fresh = None
        online = [*self.backbone.parameters(), *self.head.parameters()]
        for slow, fast in zip(self.key.parameters(), online, strict=True):
            slow.lerp_(fast, 1 - self.momentum)
