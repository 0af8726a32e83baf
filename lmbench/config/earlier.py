"""Configurations as earlier versions wrote them into their records, in today's grammar."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SECTIONS = ("regression", "matching", "equivariance", "segmentation", "scale", "parts")
"""The sections of schema 1: every record had all that there were."""


def upgraded(config: Mapping[str, Any], schema: int) -> dict[str, Any]:
    """The configuration of a record of that schema as a tree of today's (see `RunConfig.dump`); the record's own stays.

    In schema 1 the network that is judged stood in ``read`` beside the stage that trains it, the grid of the maps in
    ``regression``, and the sections of tasks that did not run beside those that did.
    """
    if schema > 1:
        return dict(config)
    regression, read = dict(config["regression"]), dict(config["read"])
    network = {name: read.pop(name) for name in ("backbone", "backbone_settings") if name in read}
    read["size"] = regression.pop("size")
    used = {*config["tasks"], *(("regression",) if "scale" in config["tasks"] else ())}
    found = {name: value for name, value in config.items() if name not in SECTIONS or name in used}
    if "regression" in used:
        found["regression"] = regression
    return {**found, "read": read, **({} if config["stages"] else {"network": network})}
