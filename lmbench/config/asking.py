"""What a user asks of `lmbench run`, on the command line or in Python, as complete configurations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lmbench import progress
from lmbench.config.model import RunConfig
from lmbench.config.resolving import resolve_run
from lmbench.errors import UsageError
from lmbench.plugins.loading import Plugins

ALL = "all"


def parse_annotations(text: str) -> tuple[int | str, ...]:
    """``"1,5,all"`` as ``(1, 5, "all")``. Raises UsageError for anything else."""
    found: list[int | str] = []
    for part in text.split(","):
        part = part.strip()
        if part != ALL and not part.isdecimal():
            raise UsageError(f"--annotations {text!r}: expected numbers and all, for instance 1,5,10,all.")
        value = part if part == ALL else int(part)
        if value not in found:
            found.append(value)
    return tuple(found)


def configurations(
    plugins: Plugins,
    method: str,
    dataset: str,
    *,
    variants: Sequence[str] = ("",),
    preset: str | None = None,
    pretrain_on: str = "",
    seed: int = 0,
    untrained: bool = False,
    annotations: Sequence[int | str] | None = None,
    draws: int | None = None,
    tasks: Sequence[str] | None = None,
    probe_every: int | None = None,
    precision: str | None = None,
    allow_test_images: bool = False,
    partial: bool = False,
    overrides: Sequence[Mapping[str, Any]] = (),
) -> list[RunConfig]:
    """One configuration for each of ``variants`` (all there are for ``("all",)``); ``overrides`` win over what is named.

    What is set and changes nothing is said. Raises UsageError with the closest names.
    """
    options: dict[str, Any] = {}
    everywhere = {name: value for name, value in (("annotations", annotations), ("draws", draws)) if value is not None}
    if tasks is not None:
        options["tasks"] = tuple(tasks)
    if probe_every is not None:
        options["probe"] = {"every": probe_every}
    if precision is not None:
        options["precision"] = precision
    if allow_test_images:
        options["allow_test_images"] = True
    if partial:
        options["partial"] = True
    given = [options, *overrides]
    spec = plugins.find("method", method).spec
    configs = [
        resolve_run(
            plugins, method, dataset, preset=preset, variant=v, pretrain_on=pretrain_on, seed=seed, untrained=untrained,
            everywhere=everywhere, overrides=given,
        )
        for v in ([v.name for v in spec.variants] if tuple(variants) == (ALL,) else variants)
    ]  # fmt: skip
    for said in _without_effect(given, configs, plugins):
        progress.say(f"warning: {said}")
    return configs


def _without_effect(
    overrides: Sequence[Mapping[str, Any]], configs: Sequence[RunConfig], plugins: Plugins
) -> list[str]:
    """What a user sets of tasks and stages that none of the runs has."""
    tasks = {name for config in configs for name in config.settings}
    stages = {name for config in configs for name in config.stages}
    asked = dict.fromkeys(name for given in overrides for name in given if name in plugins.tasks.names())
    own = dict.fromkeys(name for given in overrides for name in given.get("stages", {}))
    idle = [f"{name}: no run here has this task" for name in asked if name not in tasks]
    idle += [f"stages.{name}: no run here has this stage" for name in own if name not in stages]
    return [f"{said}, and what is set of it changes nothing." for said in idle]
