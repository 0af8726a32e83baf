"""From a campaign to its runs, resolved and in order; no data is opened, and torch is not needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lmbench.campaigns.file import Campaign, Runs
from lmbench.campaigns.gaps import Gap
from lmbench.config.model import RunConfig, digest_of
from lmbench.config.resolving import choose_variant, resolve_run
from lmbench.errors import DataError, UsageError, did_you_mean
from lmbench.plugins.loading import Plugins
from lmbench.specs import MethodSpec


@dataclass
class Wanted:
    """The runs of a campaign in the order in which they are done, and why others that it asks for cannot be."""

    configs: list[RunConfig] = field(default_factory=list)
    gaps: dict[str, Gap] = field(default_factory=dict)
    """By ``METHOD/VARIANT on DATASET``."""


def wanted(campaign: Campaign, plugins: Plugins, only: Sequence[str] = ()) -> Wanted:
    """The runs of a campaign; ``only`` those of some methods, or ``METHOD/VARIANT``.

    A method, variant, plugin or dataset that is not here is a gap. Raises UsageError for settings that cannot be, and for an
    ``only`` that the campaign does not have.
    """
    plan, seen, outputs = Wanted(), set(), set()
    named = {name.partition("/")[0] for runs in campaign.runs for name in runs.methods}
    for number, runs in enumerate(campaign.runs):
        for output in runs.methods or _all_of(runs.all_of, named, plugins):
            method, _, variant = output.partition("/")
            for dataset in runs.datasets:
                title = f"{output} on {dataset}"
                try:
                    variant = _known(method, variant, dataset, runs, plugins)
                    outputs.add(f"{method}/{variant}")
                    if not _asked_for(only, method, variant):
                        continue
                    found = list(_configs(method, variant, dataset, runs, plugins))
                except Absent as gap:
                    outputs.add(output)
                    if _asked_for(only, method, variant):
                        plan.gaps[title] = Gap("missing", str(gap))
                    continue
                except UsageError as error:
                    if runs.all_of:  # nobody named it: it is no mistake of the file
                        plan.gaps[title] = Gap("missing", str(error))
                        continue
                    raise UsageError(f"{campaign.name}: runs.{number}, {title}: {error}") from None
                if not found:
                    plan.gaps[title] = Gap("scope", f"it has none of the tasks {', '.join(runs.tasks)}")
                for config in found:
                    if (digest := config.digest()) not in seen:
                        seen.add(digest)
                        plan.configs.append(config)
    known = sorted(outputs | {output.partition("/")[0] for output in outputs})
    for name in only:
        if name not in known:
            raise UsageError(f"--only {name}: {campaign.name} has no such output.{did_you_mean(name, known)}")
    plan.configs = ordered(plan.configs)
    return plan


def ordered(configs: Sequence[RunConfig]) -> list[RunConfig]:
    """The runs of one seed after those of another, so that whatever is done is a whole board with fewer seeds; within a seed
    those that share their first stage, and their controls, next to each other; else as they come."""
    first: dict[str, int] = {}
    places = [first.setdefault(_beginning(config), i) for i, config in enumerate(configs)]
    order = sorted(range(len(configs)), key=lambda i: (configs[i].seed, places[i], i))
    return [configs[i] for i in order]


class Absent(Exception):
    """A name that nothing installed here brings."""


def _known(method: str, variant: str, dataset: str, runs: Runs, plugins: Plugins) -> str:
    """The name of an output's variant. Raises Absent where method, variant, dataset or what it is made of is not here."""
    try:
        spec: MethodSpec = plugins.find("method", method).spec
        chosen = choose_variant(spec, variant)
        for name in filter(None, (dataset, runs.pretrain_on)):
            plugins.find("dataset", name)
    except UsageError as error:
        raise Absent(str(error)) from None
    lacking = plugins.lacking(chosen.needs)
    if lacking:
        raise Absent(f"it is made of parts of {', '.join(lacking)}, which is not installed")
    return chosen.name


def _configs(method: str, variant: str, dataset: str, runs: Runs, plugins: Plugins) -> Iterator[RunConfig]:
    """One output over its seeds, each followed by its control where one is asked for and is another."""
    everywhere = {name: v for name in ("annotations", "draws") if (v := getattr(runs, name)) is not None}
    pretrain_on = runs.pretrain_on if choose_variant(plugins.find("method", method).spec, variant).stages else ""

    def resolved(untrained: bool = False, **more: Any) -> RunConfig:
        try:
            return resolve_run(
                plugins, method, dataset, preset=runs.preset, variant=variant, pretrain_on=pretrain_on,
                untrained=untrained, everywhere=everywhere, overrides=[runs.settings, more],
            )  # fmt: skip
        except DataError as error:
            raise Absent(str(error)) from None

    config = resolved()
    if runs.tasks:
        tasks = tuple(task for task in config.tasks if task.rpartition(":")[2] in runs.tasks)
        if not tasks:
            return
        config = resolved(tasks=tasks) if tasks != config.tasks else config
    control = resolved(True, tasks=config.tasks) if runs.controls else config
    for seed in runs.seeds:
        yield replace(config, seed=seed)
        if replace(control, untrained=False) != config:
            yield replace(control, seed=seed)


def _all_of(supervision: str, named: set[str], plugins: Plugins) -> list[str]:
    """Every method of a supervision that trains something, but for the ``named``; qualified where two bring the name."""
    registry = plugins.registry("method")
    clashes = registry.clashes()
    return [
        entry.qualified if entry.spec.name in clashes else entry.spec.name
        for entry in registry
        if entry.spec.supervision == supervision and entry.spec.name not in named
        and (variant := entry.spec.variant("")) is not None and variant.stages
    ]  # fmt: skip


def _asked_for(only: Sequence[str], method: str, variant: str) -> bool:
    return not only or method in only or f"{method}/{variant}" in only


def _beginning(config: RunConfig) -> str:
    """Equal for runs that may share their first stage, trained or not."""
    stage = next(iter(config.stages.values()), None)
    if stage is None:
        return digest_of([config.method, config.variant, config.dataset, config.seed])
    images = config.dataset if stage.data == "target" else config.pretrain_on
    return digest_of([stage.untrained.dump(), images, config.seed])
