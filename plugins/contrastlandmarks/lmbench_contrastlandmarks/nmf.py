"""The paper's classical rival of its projection: non-negative matrix factorisation of the hypercolumn (Table 4, Fig. 5).

The components W (D, C) are solved once, on hypercolumn vectors of many images; a new vector v >= 0 is then read as the
non-negative code h that makes |v - W^T h|^2 small, by Lee and Seung's updates. They need v only as W v, which is a
projection: the hypercolumn is never concatenated.
"""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn

from lmbench.api import Extractor, UsageError, float32
from lmbench_contrastlandmarks.hypercolumn import HypercolumnNetwork, OnFrozenEncoder
from lmbench_contrastlandmarks.settings import FactorisedSettings, NMFSettings
from lmbench_contrastlandmarks.views import draw

EPS = 1e-9


def multiplicative_codes(projected: Tensor, components: Tensor, iterations: int) -> Tensor:
    """Codes (B, D, ...) >= 0 of non-negative vectors v given as ``projected`` = W v (B, D, ...), W = components (D, C).

    Lee and Seung 2001, Theorem 1: h <- h * (W v) / (W W^T h), from equal entries, ``iterations`` times. The squared error
    never rises.
    """
    gram = components @ components.T
    shape = projected.shape
    numerator = projected.flatten(2).clamp(min=0)
    codes = torch.ones_like(numerator)
    for _ in range(iterations):
        codes = codes * numerator / (gram @ codes + EPS)
    return codes.view(shape)


class FactorisedHypercolumn(HypercolumnNetwork):
    """A frozen encoder and the non-negative codes of its hypercolumn: one map ``dense``.

    ``components`` (dim, channels) are random until the ``nmf`` objective has solved them.
    """

    components: Tensor

    def __init__(self, settings: FactorisedSettings, encoder: str) -> None:
        super().__init__(settings, encoder)
        self.iterations = settings.iterations
        self.register_buffer("components", torch.rand(settings.dim, self.channels))

    @float32
    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """(B, 3, H, W) in [0, 1] to ``dense`` (B, dim, H / stride, W / stride), never negative, without autocast."""
        projected = self.hypercolumn(images).project(self.components)
        return {"dense": multiplicative_codes(projected, self.components, self.iterations)}


class NMF(OnFrozenEncoder):
    """Collects hypercolumn vectors of all batches and factorises them at the last step; nothing is trained."""

    settings: NMFSettings
    vectors: Tensor
    collected: Tensor
    seed: Tensor

    def __init__(self, backbone: nn.Module, parent: Extractor | None, settings: NMFSettings) -> None:
        super().__init__(backbone, parent, settings, "nmf")
        if not isinstance(backbone, FactorisedHypercolumn):
            raise UsageError(
                "nmf needs a backbone with components (resnet18_nmf, resnet50_nmf); "
                f"{type(backbone).__name__} has none."
            )
        self.register_buffer("vectors", torch.zeros(settings.samples, backbone.channels))
        self.register_buffer("collected", torch.zeros((), dtype=torch.long))
        self.register_buffer("seed", torch.randint(2**31, ()))

    @property
    def network(self) -> FactorisedHypercolumn:
        """The backbone, by its kind."""
        assert isinstance(self.backbone, FactorisedHypercolumn)
        return self.backbone

    def views(self, images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """(views, (B, per_image, 2) random numbers in [0, 1): which positions are read)."""
        views = draw(images, self.settings.view, generator)
        return views, torch.rand(len(images), self.settings.per_image, 2, generator=generator).to(images.device)

    @torch.no_grad()
    def loss(self, views: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """``total``: mean squared length of the vectors seen (there is nothing to minimise yet); ``collected``: how many.

        Raises UsageError for a hypercolumn with negative values.
        """
        found = self.vectors_at(*views)
        if float(found.min()) < 0:
            raise UsageError(
                f"nmf factorises non-negative features; a map of {', '.join(self.network.layers)} goes down to "
                f"{float(found.min()):.3g}. Choose layers that end in a ReLU, or cl_projection."
            )
        start = int(self.collected)
        kept = found[: len(self.vectors) - start]
        self.vectors[start : start + len(kept)] = kept
        self.collected += len(kept)
        return {"total": found.square().sum(1).mean(), "collected": self.collected.float()}

    @float32
    def vectors_at(self, images: Tensor, places: Tensor) -> Tensor:
        """(B x P, C): the hypercolumn of images at places (B, P, 2) in [0, 1), which bf16 would put into other cells."""
        maps = self.network.hypercolumn(images)
        cells = (places * torch.tensor([maps.size[1], maps.size[0]], device=places.device)).long()
        return maps.sample(cells).flatten(0, 1)

    @torch.no_grad()
    def after_step(self, step: int, total_steps: int) -> None:
        """At the last step the backbone's components are solved."""
        if step == total_steps:
            self.network.components.copy_(self.solve(self.vectors[: int(self.collected)]))

    def solve(self, vectors: Tensor) -> Tensor:
        """(D, C): scikit-learn's components of vectors (N, C). Raises UsageError for fewer vectors than components."""
        import sklearn.decomposition
        from sklearn.exceptions import ConvergenceWarning

        dim = len(self.network.components)
        if len(vectors) < dim:
            raise UsageError(
                f"nmf: {len(vectors)} vectors were collected for {dim} components; raise images or per_image."
            )
        kind = sklearn.decomposition.MiniBatchNMF if self.settings.solver == "minibatch" else sklearn.decomposition.NMF
        solver = kind(dim, init="nndsvda", max_iter=self.settings.iterations, random_state=int(self.seed))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the number of iterations is a setting
            solver.fit(vectors.cpu().numpy())
        return torch.from_numpy(solver.components_).to(self.network.components)
