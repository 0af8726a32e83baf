"""Lightning Fabric as the loop uses it: the model alone is under autocast."""

from __future__ import annotations

import logging
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.precision import MixedPrecision


class ModelAlone(MixedPrecision):  # type: ignore[misc]
    """bf16 autocast around the wrapped module that leaves what is passed to it alone.

    Fabric's own casts every float of it to bf16: warp grids, points and targets too, which then lie up to a pixel of 96
    off, and it fails on frozen dataclasses.
    """

    def convert_input(self, data: Any) -> Any:
        """The same data: autocast casts what the network's layers take."""
        return data


def open_fabric(device: torch.device, precision: str) -> Fabric:
    """A Fabric for one device in ``fp32`` or ``bf16``; what it wraps is called in forward, so that others may wrap it too."""
    logging.getLogger("lightning_fabric").setLevel(logging.ERROR)
    devices: Any = 1 if device.type == "cpu" or device.index is None else [device.index]
    if precision == "bf16":
        return Fabric(accelerator=device.type, devices=devices, plugins=[ModelAlone("bf16-mixed", device.type)])
    return Fabric(accelerator=device.type, devices=devices, precision="32-true")
