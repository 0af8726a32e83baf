"""Stage 1 of ContrastLandmarks: momentum contrast (He et al. 2020; Cheng et al. sec. 3.1-3.2, eq. 5)."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from lmbench.api import Extractor, Objective, channels_of, float32
from lmbench_contrastlandmarks.settings import MoCoSettings
from lmbench_contrastlandmarks.views import draw

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
    """Another view of the same image is told from a queue of other images, encoded by a slowly following key network."""

    settings: MoCoSettings
    queue: Tensor
    index: Tensor

    def __init__(self, backbone: nn.Module, parent: Extractor | None, settings: MoCoSettings) -> None:
        super().__init__(backbone, parent, settings)
        self.head = nn.Linear(channels_of(backbone, settings.layer), settings.dim)
        self.key = copy.deepcopy(nn.ModuleList([self.backbone, self.head])).requires_grad_(False)
        bound = (3 / settings.dim) ** 0.5  # reference code: uniform, not of unit norm
        self.register_buffer("queue", torch.empty(settings.queue, settings.dim).uniform_(-bound, bound))
        self.register_buffer("index", torch.zeros((), dtype=torch.long))
        self.fresh: Tensor | None = None

    def train(self, mode: bool = True) -> MoCo:
        """With frozen statistics both backbones stay in eval mode (the online one's norm layers' weights still learn)."""
        super().train(mode)
        if self.settings.batch_norm == "frozen":
            self.backbone.eval()
            self.key.eval()
        return self

    def views(self, images: Tensor, generator: torch.Generator) -> Views:
        """(query views, key views, the order (B,) in which keys are encoded)."""
        first, second = (draw(images, self.settings.view, generator) for _ in range(2))
        return first, second, torch.randperm(len(images), generator=generator).to(images.device)

    def loss(self, views: Views) -> dict[str, Tensor]:
        """``total``: InfoNCE; ``accuracy``: how often the own key is nearest. Raises UsageError: a batch that does not fit."""
        query_views, key_views, order = views
        self.settings.require_batch(len(query_views))
        queries = self.encode(self.backbone, self.head, query_views)
        with torch.no_grad():
            keys = self.encode(self.key[0], self.key[1], key_views[order])[order.argsort()]
        logits = contrast(queries, keys, self.queue, self.settings.temperature)
        self.fresh = keys
        accuracy = (logits.argmax(1) == 0).float().mean()
        return {"total": info_nce(logits), "accuracy": accuracy}

    def encode(self, backbone: nn.Module, head: nn.Module, images: Tensor) -> Tensor:
        """(B, dim) of unit norm, float32: the averaged map through the linear head, in ``groups`` groups."""
        pooled = [backbone(part)[self.settings.layer].mean((2, 3)) for part in images.chunk(self.settings.groups)]
        return unit_vectors(head(torch.cat(pooled)))

    @torch.no_grad()
    def after_step(self, step: int, total_steps: int) -> None:
        """The step's keys enter the queue, and the key network follows (He et al., eq. 2); its BatchNorm buffers do not."""
        assert self.fresh is not None
        enqueue(self.queue, self.index, self.fresh)
        self.fresh = None
        online = [*self.backbone.parameters(), *self.head.parameters()]
        for slow, fast in zip(self.key.parameters(), online, strict=True):
            slow.lerp_(fast, 1 - self.settings.momentum)
