"""The file of a campaign: which runs are wanted, in TOML. See docs/campaigns.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from lmbench.config.model import merge
from lmbench.config.overrides import read_toml
from lmbench.config.plain import as_table, briefly
from lmbench.config.ranges import Annotations, ComponentSettings, Draws, Ge, Le, MinLen, Name, Names, Once
from lmbench.config.values import complete
from lmbench.errors import UsageError

TABLES = "runs"

Seeds = Annotated[tuple[Annotated[int, Ge(0), Le(2**63 - 1)], ...], MinLen(1), Once()]


@dataclass(frozen=True, kw_only=True)
class Shared:
    """What runs are asked for, as by the options of ``lmbench run``; at the top of the file it holds for all of them.

    ``tasks``: of those that an output has by its recipe, these (none: all of them). ``controls``: each run is followed by
    its untrained control, where it has one. ``settings``: in the grammar of ``--config``.
    """

    datasets: Annotated[tuple[Name, ...], Once()] = ()
    pretrain_on: str = ""
    preset: Name | None = None
    seeds: Seeds = (0,)
    annotations: Annotations | None = None
    draws: Draws | None = None
    tasks: Names = ()
    controls: bool = False
    settings: ComponentSettings = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Runs(Shared):
    """One table of runs. ``methods``: outputs, each ``METHOD`` or ``METHOD/VARIANT``. ``all_of``: every installed method of this
    supervision that trains something and stands in no ``methods`` of the file, by its default output."""

    methods: Names = ()
    all_of: str = ""


@dataclass(frozen=True)
class Campaign:
    """The tables of a file, each with what the top of it says."""

    name: str
    runs: tuple[Runs, ...]

    @property
    def seeds(self) -> list[int]:
        """All seeds, in order."""
        return sorted({seed for runs in self.runs for seed in runs.seeds})

    def of_seeds(self, seeds: tuple[int, ...]) -> Campaign:
        """The campaign with these of its seeds alone. Raises UsageError for one that it does not have."""
        for seed in seeds:
            if seed not in self.seeds:
                raise UsageError(f"--seeds {seed}: {self.name} has the seeds {', '.join(map(str, self.seeds))}.")
        kept = (replace(runs, seeds=tuple(s for s in runs.seeds if s in seeds)) for runs in self.runs)
        return Campaign(self.name, tuple(runs for runs in kept if runs.seeds))


def read_campaign(path: Path) -> Campaign:
    """The campaign of a TOML file. Raises UsageError, with the place, for what is none."""
    tree = read_toml(path)
    tables = tree.pop(TABLES, [])
    if not isinstance(tables, list) or not tables:
        raise UsageError(f"{path}: expected at least one table [[{TABLES}]] that names methods.")
    try:
        complete(Shared, tree, "", what="a campaign")
        return Campaign(path.name, tuple(_runs(tree, table, f"{TABLES}.{i}") for i, table in enumerate(tables)))
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None


def _runs(top: Mapping[str, Any], table: Any, place: str) -> Runs:
    own = as_table(table, place)
    complete(Runs, own, place, what="a table of runs")  # so that a mistake of the table is told with its place
    runs = complete(Runs, merge(top, own), place, what="a table of runs")
    if bool(runs.methods) == bool(runs.all_of):
        raise UsageError(f"{place}: expected either methods = [...] or all_of = SUPERVISION.")
    if not runs.datasets:
        raise UsageError(f"{place}: no datasets are named, neither here nor at the top of the file.")
    as_table(runs.settings, f"{place}.settings")
    for name in ("method", "variant", "dataset", "preset", "seed", "pretrain_on", "untrained"):
        if name in runs.settings:
            value = briefly(runs.settings[name])
            raise UsageError(f"{place}.settings.{name} = {value}: stands in the table itself, not in its settings.")
    return runs
