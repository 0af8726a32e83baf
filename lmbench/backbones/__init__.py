"""Networks that turn images into named feature maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

    from lmbench.plugins.loading import Plugins


def build_backbone(name: str, settings: Any = None, plugins: Plugins | None = None) -> nn.Module:
    """A new network by the name of its spec, its maps stated in ``maps`` (MapSpec, shallow to deep; see `channels_of`).

    ``settings``: an object of the spec's dataclass, or a table of what differs from the defaults. A bare name that several
    distributions bring is that of ``plugins``' preferred one, of lmbench's without any. Raises UsageError for an unknown
    name, an unknown setting or a value of another type.
    """
    from lmbench.config.values import settings_of
    from lmbench.plugins.loading import CORE, get_plugins
    from lmbench.plugins.registry import family_member

    spec = (plugins or get_plugins().preferring(CORE)).find("backbone", name).spec
    found, member = settings_of(spec, settings or {}), family_member(spec.name, name)
    network: nn.Module = spec.make(found, **({"model": member} if member else {}))
    if spec.maps:
        network.maps = tuple(m.of(found) for m in spec.maps)  # type: ignore[assignment]
    return network


def channels_of(network: nn.Module, layer: str) -> int:
    """The channels of one of a network's maps, as it states them. Raises UsageError for a map that it does not have."""
    from lmbench.errors import UsageError, did_you_mean

    maps = {m.name: m for m in getattr(network, "maps", ())}
    if layer not in maps:
        raise UsageError(f"the backbone has no map {layer!r}; it has {', '.join(maps)}.{did_you_mean(layer, maps)}")
    found: int = maps[layer].channels
    return found
