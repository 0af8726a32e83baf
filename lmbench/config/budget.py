"""How many image views a training takes: the budget that methods are given alike. No torch here.

A view is an image that passes a network in training: two views of an image are two. What an EMA copy or a frozen teacher looks
at are the same views, counted once. An objective says by its spec how many it makes of an image.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lmbench.config import presets
from lmbench.config.model import Stage, Training, merge
from lmbench.config.plain import Tree
from lmbench.errors import UsageError
from lmbench.plugins.loading import Plugins
from lmbench.plugins.registry import Entry
from lmbench.specs import MethodSpec


def image_views(stage: Stage, plugins: Plugins, images: int) -> int | None:
    """The views of a stage as it is trained on a split of so many images; None where its objective does not state them."""
    each = plugins.find("objective", stage.objective).spec.views
    return stage.training.over(images).images_seen(images) * each if each else None


def described(entry: Entry[MethodSpec], preset: str, plugins: Plugins) -> str:
    """The views that a preset gives each stage of a method, in words; empty for one that trains nothing.

    ``NAME 160,000, NAME 32,000``: on sets of at least as many images as the stage takes; where it takes all there are,
    how many times their number.
    """
    spec, own = entry.spec, plugins.of_recipe(entry.qualified)
    layers = (spec.defaults, presets.of_method(spec, preset))
    return ", ".join(f"{stage.name} {_said(stage, layers, own)}" for stage in spec.stages)


def _said(stage: Stage, layers: Sequence[Tree], plugins: Plugins) -> str:
    names = ("epochs", "least_steps", "batch_size", "images")
    try:
        each = plugins.find("objective", stage.objective).spec.views
        given: dict[str, Any] = {}
        for layer in layers:
            given = merge(given, layer.get("stages", {}).get(stage.name, {}).get("training", {}))
        training = Training(**{name: given.get(name, getattr(stage.training, name)) for name in names})
        number = training.images and training.over(training.images).images_seen(training.images) * each
    except (UsageError, AttributeError, TypeError, ValueError, ArithmeticError):  # not here, or no preset that can be
        return "not stated"
    return "not stated" if not each else f"{training.epochs * each} x the images" if number is None else f"{number:,}"
