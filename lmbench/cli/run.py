"""``lmbench run``: train, freeze, judge, record."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lmbench.cli.completion import names_of, outputs, variants
from lmbench.errors import UsageError
from lmbench.printable import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lmbench.config.model import RunConfig
    from lmbench.job import Plan
    from lmbench.plugins.loading import Plugins
    from lmbench.results.record import Record


@click.command()
@click.option(
    "--method",
    required=True,
    metavar="METHOD[/VARIANT],...",
    shell_complete=outputs,
    help="A method (see `lmbench list methods`); several with commas.",
)
@click.option(
    "--dataset",
    required=True,
    shell_complete=names_of("dataset"),
    help="The labelled dataset it is judged on: see `lmbench list datasets`.",
)
@click.option(
    "--variant",
    default="",
    shell_complete=variants,
    help="Which frozen output of one method is judged; several with commas, or `all`.",
)
@click.option(
    "--preset", default=None, help="smoke, quick, small or paper  [quick on embedded data and own folders, else small]"
)
@click.option(
    "--pretrain-on",
    default="",
    shell_complete=names_of("dataset"),
    help="Unlabelled dataset for pretraining (images:DIR takes a folder).  [the dataset's own]",
)
@click.option("--allow-test-images", is_flag=True, help="Pretrain on a set that holds test images; recorded.")
@click.option(
    "--data-root", type=click.Path(path_type=Path), default=None, help="Folder of the datasets.  [$LMBENCH_DATA]"
)
@click.option(
    "--partial", is_flag=True, help="Use what is there of originals that are incomplete; named in the results."
)
@click.option(
    "--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="Where results go."
)
@click.option("--seed", default="0", show_default=True, metavar="0,1,2", help="A seed; several with commas.")
@click.option("--annotations", default=None, help="Numbers of annotated images: 1,5,10,all.")
@click.option(
    "--draws", type=click.IntRange(1), default=None, help="Random choices of each number of annotated images."
)
@click.option("--tasks", default=None, shell_complete=names_of("task"), help="regression,matching")
@click.option(
    "--probe-every", type=click.IntRange(0), default=None, help="Epochs between two points of the learning curve."
)
@click.option("--untrained", is_flag=True, help="The method's own control: the same recipe, its stages untrained.")
@click.option("--device", default="auto", show_default=True)
@click.option("--precision", type=click.Choice(["auto", "fp32", "bf16"]), default=None)
@click.option("--config", "config_file", type=click.Path(path_type=Path), default=None, help="Overrides as TOML.")
@click.option("--set", "assignments", multiple=True, metavar="A.B=VALUE", help="Override one setting; may be repeated.")
@click.option("--resume", type=click.Choice(["auto", "never", "require"]), default="auto", show_default=True)
@click.option("--dry-run", is_flag=True, help="Say what would be trained and what is reused; compute nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the record (or the plan) as JSON.")
def run(
    method: str,
    dataset: str,
    variant: str,
    preset: str | None,
    pretrain_on: str,
    allow_test_images: bool,
    data_root: Path | None,
    partial: bool,
    runs: Path,
    seed: str,
    annotations: str | None,
    draws: int | None,
    tasks: str | None,
    probe_every: int | None,
    untrained: bool,
    device: str,
    precision: str | None,
    config_file: Path | None,
    assignments: tuple[str, ...],
    resume: str,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Train a method without labels, freeze it, judge it on a dataset, and leave one record.

    Several methods or seeds are a small sweep: all runs seed by seed, then one table of means over seeds.
    """
    from lmbench.config.asking import configurations, outputs_of, parse_annotations, parse_seeds
    from lmbench.config.overrides import parse_assignments, read_toml
    from lmbench.plugins.loading import get_plugins

    plugins = get_plugins()
    seeds, many_methods = parse_seeds(seed), "," in method
    configs = configurations(
        plugins,
        outputs_of(plugins, method, variant),
        dataset,
        preset=preset,
        pretrain_on=pretrain_on,
        seeds=seeds,
        untrained=untrained,
        annotations=None if annotations is None else parse_annotations(annotations),
        draws=draws,
        tasks=None if tasks is None else [t.strip() for t in tasks.split(",")],
        probe_every=probe_every,
        precision=precision,
        allow_test_images=allow_test_images,
        partial=partial,
        overrides=[read_toml(config_file) if config_file else {}, parse_assignments(assignments)],
    )

    if dry_run:
        _warn_of_scales(configs, plugins)
    if len(seeds) > 1 or many_methods:
        if resume != "auto":
            raise UsageError(f"--resume {resume} is about one run; give it with one method and one seed.")
        return sweep(configs, plugins, data_root, runs, device, dry_run, as_json)

    from lmbench import job as jobs  # imports torch: every mistake above is told before
    from lmbench import runner

    plans, records = [], []
    for config in configs:
        if dry_run:
            plans.append(jobs.preview(config, plugins, data_root, runs, device, resume))
            continue
        with contextlib.redirect_stdout(sys.stderr):  # what methods print is no result
            job = jobs.prepare(config, plugins, data_root, runs, device)
            record, known = runner.run(job, resume)
        records.append(record.to_json())
        if not as_json:
            show_record(record, job.runs, known)
    results = [*plans, *records]
    if as_json:
        click.echo(json.dumps(results if len(results) > 1 else results[0], indent=1, ensure_ascii=False))
    elif dry_run:
        for plan in plans:
            show_plan(plan)
    return 0


def _warn_of_scales(configs: Sequence[RunConfig], plugins: Plugins) -> None:
    """Says of each output, once for all seeds, where training views show the object at another size than test images do."""
    from lmbench import progress
    from lmbench.config.object_scale import unequal_scales

    several = len({(c.method, c.output) for c in configs}) > 1
    told = [(c, said) for c in configs for said in unequal_scales(c, plugins)]
    for line in dict.fromkeys(f"{c.method}/{c.output}: {said}" if several else said for c, said in told):
        progress.say(f"warning: {line}")


def show_record(record: Record, runs: Path, known: bool) -> None:
    """The results of a run as a table on stdout."""
    from lmbench.cli.table import show_table
    from lmbench.results import shown

    click.echo(shown.heading(record))
    show_table(*shown.table(record), "no number: the pictures are beside the record")
    for line in shown.remarks(record):
        click.echo(line)
    click.echo(("measured before, see " if known else "record: ") + str(runs / record.run / "record.json"))


def show_plan(plan: Plan) -> None:
    """What a run would do, on stdout."""
    if plan["finished"]:
        click.echo(f"{plan['run']}: finished before; its record would be shown")
        return
    click.echo(plan["run"] or f"a run whose name is not known yet: {plan['unknown']}")
    for line in plan["beside"]:
        click.echo(f"  {line}: it would stay as it is, beside this one")
    words = {"reuse": "reuse the artifact", "continue": "go on from the checkpoint of", "train": "train"}
    for s in plan["stages"]:
        amount = counted(s["epochs"], "epoch") + (f", {counted(s['steps'], 'step')}" if s["steps"] is not None else "")
        amount += ", the images repeated" if s["repeated"] else ""
        amount += f", {s['views']:,} image views" if s["views"] is not None else ""
        scale = f", object x{s['object_scale']['ratio']:.2f}" if s["object_scale"] else ""
        key = f", key {s['key'][:20]}" if s["key"] else ""
        click.echo(f"  stage {s['stage']}: {words[s['action']]} ({s['objective']}, {amount}{scale}{key})")
    click.echo(f"  then judge: {', '.join(plan['tasks'])}")


def sweep(
    configs: Sequence[RunConfig],
    plugins: Plugins,
    data_root: Path | None,
    runs: Path,
    device: str,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Does runs as a campaign does its own, and shows one table of what they measured; the exit code is a campaign's."""
    from lmbench.campaigns import prospects as standing  # imports torch: every mistake above is told before
    from lmbench.campaigns import running
    from lmbench.campaigns.gaps import exit_code
    from lmbench.campaigns.planning import ordered
    from lmbench.cli.prospects import entry, show_gaps, show_prospects
    from lmbench.cli.table import show_table
    from lmbench.results import shown

    with contextlib.redirect_stdout(sys.stderr):  # what methods print is no result
        prospects = standing.look(ordered(configs), plugins, data_root, runs, device=device, make=not dry_run)
        if not dry_run:
            running.carry_out(prospects, beside=True)
    records = [p.record for p in prospects if p.record is not None]
    results = shown.over_seeds(records)
    if as_json:
        told = {"runs": [entry(p) for p in prospects], "results": results}
        click.echo(json.dumps(told, indent=1, ensure_ascii=False))
    else:
        if dry_run:
            show_prospects(prospects)
        else:
            show_table(*shown.table_over_seeds(results), "no number was measured")
        click.echo(f"{len(records)} of {counted(len(prospects), 'run')} done, below {runs}")
        show_gaps(prospects, {})
    return 0 if dry_run else exit_code([p.gap for p in prospects if p.gap], len(records))
