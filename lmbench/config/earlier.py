"""Configurations as earlier versions wrote them into their records, in today's grammar."""

from __future__ import annotations

from typing import Any

from lmbench.config.model import merge
from lmbench.config.plain import Tree
from lmbench.errors import UsageError
from lmbench.plugins.loading import Plugins, get_plugins

SECTIONS = ("regression", "matching", "equivariance", "segmentation", "scale", "parts")
"""The sections of schema 1: every record had all that there were."""


def upgraded(config: Tree, schema: int, plugins: Plugins | None = None) -> dict[str, Any]:
    """The configuration of a record of that schema as a tree of today's (see `RunConfig.dump`); the record's own stays.

    In schema 1 the network that is judged stood in ``read`` beside the stage that trains it, the grid of the maps in
    ``regression``, and the sections of tasks that did not run beside those that did; settings that were the defaults of
    an objective were left out, so that those which are others today come from its spec (``ObjectiveSpec.earlier``).
    """
    if "steps" in config.get("probe", {}):  # of the probe's head up to lmbench 0.3
        config = {**config, "probe": {name: value for name, value in config["probe"].items() if name != "steps"}}
    if schema > 1:
        return dict(config)
    regression, read = dict(config["regression"]), dict(config["read"])
    network = {name: read.pop(name) for name in ("backbone", "backbone_settings") if name in read}
    read["size"] = regression.pop("size")
    used = {*config["tasks"], *(("regression",) if "scale" in config["tasks"] else ())}
    found = {name: value for name, value in config.items() if name not in SECTIONS or name in used}
    if "regression" in used:
        found["regression"] = regression
    plugins = plugins or get_plugins()
    stages = {name: {**stage, "settings": _said(stage, config, plugins)} for name, stage in config["stages"].items()}
    return {**found, "stages": stages, "read": read, **({} if stages else {"network": network})}


def _said(stage: Tree, config: Tree, plugins: Plugins) -> dict[str, Any]:
    """The settings of a stage, those that its record left unsaid among them where they are others today."""
    try:
        of_recipe = plugins.of_recipe(config["method"], config["variant"])
        then = of_recipe.find("objective", stage["objective"]).spec.earlier
    except UsageError:
        then = {}  # not installed: whoever needs the run's parts tells
    return merge(then, stage["settings"])
