"""``lmbench runs``: what stands in a folder of runs, and its removal."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NotRequired, TypedDict

import click

from lmbench.errors import BusyError, UsageError
from lmbench.printable import counted

if TYPE_CHECKING:
    from lmbench.results.inventory import KeptRun, KeptStage

PLACE = click.option(
    "--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="The folder of runs."
)


class RunEntry(TypedDict):
    """A run in its folder as JSON; what its record says of it, where it is finished."""

    name: str
    state: str
    bytes: int
    changed: float
    stages: list[str]
    method: NotRequired[str]
    variant: NotRequired[str]
    dataset: NotRequired[str]
    preset: NotRequired[str]
    seed: NotRequired[int]


@click.group(invoke_without_command=True)
@PLACE
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.pass_context
def runs(ctx: click.Context, runs: Path, as_json: bool) -> None:
    """List the runs of a folder, with their state, size and age; `rm` removes some."""
    ctx.obj = runs
    if ctx.invoked_subcommand is not None:
        return
    from lmbench.results.inventory import kept_runs, kept_stages

    found = kept_runs(runs)
    stages = kept_stages(runs, found)
    if as_json:
        click.echo(json.dumps([_entry(run) for run in found], indent=1, ensure_ascii=False))
        return
    from lmbench.cli.table import show_table

    now = time.time()
    show_table(
        ["run", "state", "size", "age", "stages"],
        [[r.name, r.state, megabytes(r.bytes), ago(now - r.changed), ", ".join(r.stages)] for r in found],
        f"no runs in {runs}",
    )
    unused = [s for s in stages if not s.runs]
    if stages:
        room = f"{counted(len(stages), 'stage')}, {megabytes(sum(s.bytes for s in stages))}"
        idle = (
            f"; {len(unused)} of them, {megabytes(sum(s.bytes for s in unused))}, no run here needs" if unused else ""
        )
        click.echo(room + idle)


@runs.command("rm")
@click.argument("names", nargs=-1, metavar="RUN...")
@click.option("--interrupted", is_flag=True, help="All runs that are neither finished nor in work.")
@click.option("--unused-stages", is_flag=True, help="Stages and checkpoints that no run here needs.")
@click.option("--keep-stages", is_flag=True, help="Leave the stages that no other run needs.")
@click.option("--dry-run", is_flag=True, help="Say what would go; remove nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@PLACE
@click.pass_context
def remove(
    ctx: click.Context,
    names: tuple[str, ...],
    interrupted: bool,
    unused_stages: bool,
    keep_stages: bool,
    dry_run: bool,
    yes: bool,
    runs: Path,
) -> int:
    """Remove runs by name or pattern ('lead_*'), and the stages that no other run here needs.

    Kept records and boards stay as they are.
    """
    from lmbench.results import inventory

    if ctx.get_parameter_source("runs") == click.core.ParameterSource.DEFAULT:
        runs = ctx.obj
    if not (names or interrupted or unused_stages):
        raise UsageError(
            "name the runs that are to go, or pass --interrupted or --unused-stages. `lmbench runs` lists them."
        )
    found = inventory.kept_runs(runs)
    going = inventory.chosen(found, names)
    going += [r for r in found if interrupted and r.state in ("interrupted", "damaged") and r not in going]
    stages = [] if keep_stages else inventory.freed_with(runs, found, going)
    if unused_stages:
        stages += [s for s in inventory.kept_stages(runs, found) if not s.runs]
    if not going and not stages:
        click.echo("nothing to remove")
        return 0
    for kind, name, size in [("run  ", r.name, r.bytes) for r in going] + [("stage", s.name, s.bytes) for s in stages]:
        click.echo(f"{kind} {name}  {megabytes(size)}")
    room = megabytes(sum(r.bytes for r in going) + sum(s.bytes for s in stages))
    said = f"{counted(len(going), 'run')} and {counted(len(stages), 'stage')}, {room}"
    if dry_run:
        click.echo(f"{said}: would be removed")
        return 0
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError(f"{said} would be removed. Pass --yes to remove them, --dry-run to see them.")
        click.confirm(f"Remove {said}?", abort=True, err=True)
    return _removed(going, stages)


def _removed(going: list[KeptRun], stages: list[KeptStage]) -> int:
    """Removes them; the exit code: what is in use stays, with a word."""
    from lmbench.campaigns.gaps import PARTLY_DONE
    from lmbench.results import inventory

    left: list[KeptRun] = []
    untouched: list[KeptStage] = []
    for run in going:
        try:
            inventory.remove_run(run)
        except BusyError as error:
            left.append(run)
            click.echo(f"error: {error}", err=True)
    needed = {key for run in left for key in run.stages}
    for stage in stages:
        if stage.name.removesuffix(inventory.CHECKPOINT) in needed:
            continue
        try:
            inventory.remove_stage(stage)
        except BusyError as error:
            untouched.append(stage)
            click.echo(f"error: {error}", err=True)
    return PARTLY_DONE if left or untouched else 0


def _entry(run: KeptRun) -> RunEntry:
    made: RunEntry = {
        "name": run.name, "state": run.state, "bytes": run.bytes, "changed": run.changed, "stages": list(run.stages),
    }  # fmt: skip
    if (r := run.record) is not None:
        made |= {"method": r.method, "variant": r.variant, "dataset": r.dataset, "preset": r.preset, "seed": r.seed}
    return made


def megabytes(size: int) -> str:
    """``12.3 MB``, ``1.2 GB``."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def ago(seconds: float) -> str:
    """``5 min``, ``3 h``, ``12 days``."""
    minutes = max(0.0, seconds) / 60
    return (
        f"{minutes:.0f} min"
        if minutes < 90
        else f"{minutes / 60:.0f} h"
        if minutes < 2880
        else f"{minutes / 1440:.0f} days"
    )
