"""Step 2: landmarks by equivariance, on features that stay as step 1 left them (Rahaman et al. 2021, secs. 2 and 4)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from lmbench.api import Extractor, Objective, UsageError, float32, soft_argmax
from lmbench_twostep.deformation import deformed_pair, move_back
from lmbench_twostep.settings import TwoStepLandmarksSettings

Views = tuple[Tensor, Tensor, Tensor]


def equivariance_loss(found: Tensor, moved: Tensor) -> Tensor:
    """(B,): squared distance between landmarks (B, K, 2) and those of the other view, moved; mean over K. Eq. 2."""
    return (found - moved).square().sum(-1).mean(-1)


@float32
def spatial_softmax(heatmaps: Tensor) -> Tensor:
    """(B, K, H, W): each heatmap as probabilities of its pixels, in float32 at least (temperature 1)."""
    return heatmaps.flatten(2).softmax(-1).view(heatmaps.shape)


def diversity_loss(probabilities: Tensor, patch: int) -> Tensor:
    """(B,): what landmarks share, of probabilities (B, K, H, W). Eq. 3 on patches of ``patch`` x ``patch`` pixels.

    Patches do not overlap and their probabilities are *summed*; those at the border may be smaller. ``patch`` 1 is
    eq. 3 as printed. It lies between 0 (no two landmarks in one patch) and K - 1.
    """
    height, width = probabilities.shape[2:]
    padded = functional.pad(probabilities, (0, -width % patch, 0, -height % patch))
    sums = functional.avg_pool2d(padded, patch, divisor_override=1)
    return (sums.sum(1) - sums.amax(1)).sum((1, 2))


def heatmap_variances(probabilities: Tensor) -> Tensor:
    """(B, K): trace of the covariance of each heatmap (B, K, H, W), in squared pixels (sec. 4, L_variance)."""
    return axis_variance(probabilities.sum(3)) + axis_variance(probabilities.sum(2))


def axis_variance(probabilities: Tensor) -> Tensor:
    """(...): variance of the index under probabilities (..., N), about its mean so that nothing cancels."""
    index = torch.arange(probabilities.shape[-1], dtype=probabilities.dtype, device=probabilities.device)
    mean = (probabilities * index).sum(-1, keepdim=True)
    return (probabilities * (index - mean).square()).sum(-1)


class TwoStepLandmarks(Objective):
    """L_eqv + L_div + L_variance on the heatmaps of T o F, F frozen as the stage before left it, or trained with T."""

    settings: TwoStepLandmarksSettings

    def __init__(self, backbone: nn.Module, parent: Extractor | None, settings: TwoStepLandmarksSettings) -> None:
        super().__init__(backbone, parent, settings)
        if settings.features == "frozen":
            load_features(backbone, parent)

    def views(self, images: Tensor, generator: torch.Generator) -> Views:
        """(x, g(x), grid): see deformed_pair."""
        return deformed_pair(images, self.settings.size, self.settings.window, self.settings.deformation, generator)

    def loss(self, views: Views) -> dict[str, Tensor]:
        """``total`` and its three terms before their weights; diversity and variance are means over both views."""
        view, deformed, grid = views
        heatmaps = self.backbone(torch.cat((view, deformed)))["heatmaps"]
        count, side = heatmaps.shape[1], heatmaps.shape[-1]
        if count > side * side:
            raise UsageError(f"twostep_landmarks: {count} landmarks in {side * side} pixels; ask for fewer.")
        half_side = (side - 1) / 2  # in pixels of the heatmaps
        points, deformed_points = soft_argmax(heatmaps).chunk(2)
        probabilities = spatial_softmax(heatmaps)
        terms = {
            "equivariance": equivariance_loss(points, move_back(deformed_points, grid)).mean() * half_side**2,
            "diversity": diversity_loss(probabilities, self.settings.patch).mean(),
            "variance": heatmap_variances(probabilities).sum(1).mean(),
        }
        if self.settings.terms == "scaled":
            per = {"equivariance": half_side**2, "diversity": count, "variance": count * half_side**2}
            terms = {name: term / per[name] for name, term in terms.items()}
        total = torch.stack([getattr(self.settings, name) * term for name, term in terms.items()]).sum()
        return {"total": total, **{name: term.detach() for name, term in terms.items()}}


def load_features(backbone: nn.Module, parent: Extractor | None) -> None:
    """Fills F with the weights of the stage before and freezes it. Raises UsageError where they do not fit."""
    features = getattr(backbone, "features", None)
    if parent is None or not isinstance(features, nn.Module):
        raise UsageError(
            "twostep_landmarks with features=frozen needs a stage before it that trained F, and the backbone "
            "twostep_detector; features=trained trains both from scratch."
        )
    try:
        features.load_state_dict(parent.network.state_dict())
    except RuntimeError:
        raise UsageError(
            "twostep_landmarks: the stage before trained another F than the detector holds; give both stages one width "
            "and one dim (--set stages.NAME.backbone_settings.width=...)."
        ) from None
    features.requires_grad_(False)
