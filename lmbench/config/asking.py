"""What a user asks of `lmbench run`, on the command line or in Python, as complete configurations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lmbench import progress
from lmbench.config.model import RunConfig
from lmbench.config.plain import Tree
from lmbench.config.resolving import choose_variant, resolve_run
from lmbench.errors import DataError, UsageError
from lmbench.plugins.loading import Plugins

ALL = "all"

Output = tuple[str, str]
"""A method and one of its variants; an empty one is its default."""


def parse_annotations(text: str) -> tuple[int | str, ...]:
    """``"1,5,all"`` as ``(1, 5, "all")``. Raises UsageError for anything else, and for a number that stands there twice."""
    found: list[int | str] = []
    for part in text.split(","):
        part = part.strip()
        if part != ALL and not part.isdecimal():
            raise UsageError(f"--annotations {text!r}: expected numbers and all, for instance 1,5,10,all.")
        value = part if part == ALL else int(part)
        if value in found:
            raise UsageError(f"--annotations {text!r}: {value} stands there twice; name it once.")
        found.append(value)
    return tuple(found)


def listed(text: str, option: str) -> list[str]:
    """``"a, b"`` as ``["a", "b"]``. Raises UsageError for an empty part, and for one that stands there twice."""
    parts = [part.strip() for part in text.split(",")]
    if not all(parts):
        raise UsageError(f"{option} {text!r}: a name is missing before or behind a comma; expected a,b.")
    for number, part in enumerate(parts):
        if part in parts[:number]:
            raise UsageError(f"{option} {text!r}: {part} stands there twice; name it once.")
    return parts


def parse_seeds(text: str, option: str = "--seed") -> list[int]:
    """``"0,2"`` as ``[0, 2]``. Raises UsageError for anything else, and for a seed that stands there twice."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdecimal() and len(part) < 20 for part in parts):
        raise UsageError(f"{option} {text!r}: expected whole numbers from 0 on, for instance 0,1,2.")
    return [int(part) for part in listed(",".join(str(int(part)) for part in parts), option)]


def outputs_of(plugins: Plugins, methods: str, variants: str = "") -> list[Output]:
    """What ``--method`` and ``--variant`` name: each ``METHOD`` or ``METHOD/VARIANT`` of the one, of a single method all
    variants of the other (``all``: every one there is).

    Raises UsageError for what is unknown, for an output that is named twice, and where both options name the variant.
    """
    named = [_method_and_variant(plugins, word) for word in listed(methods, "--method")]
    asked = listed(variants, "--variant") if variants.strip() else []
    if asked and (len(named) > 1 or named[0][1]):
        why = f"--method {methods} names it already" if len(named) == 1 else "there are several methods"
        raise UsageError(
            f"--variant {variants}: {why}; write METHOD/VARIANT in --method, or one METHOD beside --variant."
        )
    if ALL in asked and len(asked) > 1:
        raise UsageError(f"--variant {variants}: all means every variant there is; give it alone, or name some.")
    if asked:
        method = named[0][0]
        every = [v.name for v in plugins.find("method", method).spec.variants]
        named = [(method, variant) for variant in (every if asked == [ALL] else asked)]
    known: dict[tuple[str, str], str] = {}
    for method, variant in named:
        entry = plugins.find("method", method)
        own = entry.qualified, choose_variant(entry.spec, variant).name
        word = f"{method}/{variant}" if variant else method
        if own in known:
            raise UsageError(f"--method {methods}: {known[own]} and {word} are one output; name it once.")
        known[own] = word
    return named


def _method_and_variant(plugins: Plugins, word: str) -> Output:
    """``METHOD/VARIANT`` in two; a method's own name may hold strokes too."""
    try:
        plugins.find("method", word)
    except UsageError:
        method, _, variant = word.rpartition("/")
        if not (method and variant):
            raise
        plugins.find("method", method)
        return method, variant
    return word, ""


def configurations(
    plugins: Plugins,
    outputs: Sequence[Output],
    dataset: str,
    *,
    preset: str | None = None,
    pretrain_on: str = "",
    seeds: Sequence[int] = (0,),
    untrained: bool = False,
    annotations: Sequence[int | str] | None = None,
    draws: int | None = None,
    tasks: Sequence[str] | None = None,
    probe_every: int | None = None,
    precision: str | None = None,
    allow_test_images: bool = False,
    partial: bool = False,
    overrides: Sequence[Tree] = (),
) -> list[RunConfig]:
    """One configuration for each output and seed; ``overrides`` win over what is named.

    What is set and changes nothing is said. Raises UsageError with the closest names, and the output where there are several.
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

    def resolved(method: str, variant: str, seed: int) -> RunConfig:
        try:
            return resolve_run(
                plugins, method, dataset, preset=preset, variant=variant, pretrain_on=pretrain_on, seed=seed,
                untrained=untrained, everywhere=everywhere, overrides=given,
            )  # fmt: skip
        except (UsageError, DataError) as error:
            if len(outputs) == 1:
                raise
            raise type(error)(f"{'/'.join(filter(None, (method, variant)))}: {error}") from None

    configs = [resolved(method, variant, seed) for seed in seeds for method, variant in outputs]
    for said in _without_effect(given, configs, plugins):
        progress.say(f"warning: {said}")
    return configs


def _without_effect(overrides: Sequence[Tree], configs: Sequence[RunConfig], plugins: Plugins) -> list[str]:
    """What a user sets of tasks and stages that none of the runs has."""
    tasks = {name for config in configs for name in config.settings}
    stages = {name for config in configs for name in config.stages}
    asked = dict.fromkeys(name for given in overrides for name in given if name in plugins.tasks.names())
    own = dict.fromkeys(name for given in overrides for name in given.get("stages", {}))
    idle = [f"{name}: no run here has this task" for name in asked if name not in tasks]
    idle += [f"stages.{name}: no run here has this stage" for name in own if name not in stages]
    return [f"{said}, and what is set of it changes nothing." for said in idle]
