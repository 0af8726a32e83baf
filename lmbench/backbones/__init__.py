"""Networks that turn images into named feature maps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lmbench.plugins.registry import family_member

if TYPE_CHECKING:
    from torch import nn

    from lmbench.plugins.loading import Plugins


def build_backbone(name: str, settings: Mapping[str, Any] | None = None, plugins: Plugins | None = None) -> nn.Module:
    """A new backbone by name, initialised from torch's global generator (seed it or fork it before).

    Raises UsageError for an unknown name, or a setting that the backbone does not have or whose value cannot be.
    """
    from lmbench.config.values import arguments
    from lmbench.plugins.loading import CORE, get_plugins

    spec = (plugins or get_plugins().preferring(CORE)).find("backbone", name).spec
    chosen = arguments(spec, settings or {})
    member = family_member(spec.name, name)
    if member:
        chosen["model"] = member
    network: nn.Module = spec.load()(**chosen)
    return network
