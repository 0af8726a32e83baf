"""``lmbench campaign``: all runs of a file, in order, in as many sessions as it takes, and then the boards."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path

import click

from lmbench.cli.leaderboard import build, markdown
from lmbench.cli.prospects import entry, show_gaps, show_prospects
from lmbench.printable import counted


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--dry-run", is_flag=True, help="Say what is done, what waits, and why something cannot be; compute nothing."
)
@click.option("--only", multiple=True, metavar="METHOD[/VARIANT]", help="These runs alone; may be repeated.")
@click.option("--seeds", default="", metavar="0,1", help="These of its seeds alone.")
@click.option(
    "--limit-minutes", type=click.FloatRange(0, min_open=True), default=None, help="Stop after so long, cleanly."
)
@click.option("--no-boards", is_flag=True, help="Leave leaderboards and tables of documents as they are.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.option(
    "--data-root", type=click.Path(path_type=Path), default=None, help="Folder of the datasets.  [$LMBENCH_DATA]"
)
@click.option("--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("leaderboards"), show_default=True)
@click.option("--device", default="auto", show_default=True)
@click.pass_context
def campaign(
    ctx: click.Context,
    file: Path,
    dry_run: bool,
    only: tuple[str, ...],
    seeds: str,
    limit_minutes: float | None,
    no_boards: bool,
    as_json: bool,
    data_root: Path | None,
    runs: Path,
    out: Path,
    device: str,
) -> int:
    """Do all runs of FILE.toml that are not done yet, seed by seed, and build the leaderboards.

    The same command goes on where it stopped. A second process with the same command does other runs of it.
    """
    from lmbench.campaigns.file import read_campaign
    from lmbench.campaigns.gaps import exit_code
    from lmbench.campaigns.planning import wanted
    from lmbench.config.asking import parse_seeds
    from lmbench.plugins.loading import get_plugins

    plugins = get_plugins()
    asked = read_campaign(file)
    asked = asked.of_seeds(tuple(parse_seeds(seeds, "--seeds"))) if seeds else asked
    plan = wanted(asked, plugins, only)

    from lmbench.campaigns import prospects as standing  # imports torch: every mistake above is told before
    from lmbench.campaigns import running

    with contextlib.redirect_stdout(sys.stderr):  # what methods print is no result
        prospects = standing.look(plan.configs, plugins, data_root, runs, out / "records", device, make=not dry_run)
        if not dry_run:
            running.carry_out(prospects, beside=True, minutes=limit_minutes)
    done = sum(p.record is not None for p in prospects)
    if as_json:
        gaps = [{"run": title, "kind": gap.kind, "reason": gap.reason} for title, gap in plan.gaps.items()]
        told = {"campaign": asked.name, "runs": [entry(p) for p in prospects], "gaps": gaps}
        click.echo(json.dumps(told, indent=1, ensure_ascii=False))
    else:
        if dry_run:
            show_prospects(prospects)
        click.echo(f"{asked.name}: {done} of {counted(len(prospects), 'run')} done")
        show_gaps(prospects, plan.gaps)
    if dry_run:
        return 0
    if not no_boards and done:
        with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
            ctx.invoke(build, runs=runs, out=out)
            ctx.invoke(markdown, out=out)
    return exit_code([*plan.gaps.values(), *(p.gap for p in prospects if p.gap)], done)
