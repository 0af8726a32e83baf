"""``lmbench run``: train, freeze, judge, record."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lmbench.cli.completion import names_of, variants
from lmbench.errors import UsageError
from lmbench.printable import counted

if TYPE_CHECKING:
    from lmbench.config.model import RunConfig
    from lmbench.plugins.loading import Plugins
    from lmbench.results.record import Record


def parse_annotations(text: str) -> tuple[int | str, ...]:
    """``"1,5,all"`` as ``(1, 5, "all")``. Raises UsageError for anything else."""
    found: list[int | str] = []
    for part in text.split(","):
        part = part.strip()
        if part != "all" and not part.isdecimal():
            raise UsageError(f"--annotations {text!r}: expected numbers and all, for instance 1,5,10,all.")
        value = part if part == "all" else int(part)
        if value not in found:
            found.append(value)
    return tuple(found)


@click.command()
@click.option(
    "--method", required=True, shell_complete=names_of("method"), help="A method: see `lmbench list methods`."
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
    help="Which frozen output is judged; several with commas, or `all`.",
)
@click.option("--preset", default=None, help="smoke, quick, small or paper  [quick on embedded data, else small]")
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
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
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
    seed: int,
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
    """Train a method without labels, freeze it, judge it on a dataset, and leave one record."""
    from lmbench import progress
    from lmbench.config.object_scale import unequal_scales
    from lmbench.config.overrides import parse_assignments, read_toml
    from lmbench.config.resolving import resolve_run
    from lmbench.plugins.loading import get_plugins

    options: dict[str, Any] = {}
    everywhere: dict[str, Any] = {}
    if annotations is not None:
        everywhere["annotations"] = parse_annotations(annotations)
    if draws is not None:
        everywhere["draws"] = draws
    if tasks is not None:
        options["tasks"] = tuple(t.strip() for t in tasks.split(","))
    if probe_every is not None:
        options["probe"] = {"every": probe_every}
    if precision is not None:
        options["precision"] = precision
    if allow_test_images:
        options["allow_test_images"] = True
    if partial:
        options["partial"] = True
    overrides = [options, read_toml(config_file) if config_file else {}, parse_assignments(assignments)]
    plugins = get_plugins()
    spec = plugins.find("method", method).spec
    variants = [v.name for v in spec.variants] if variant == "all" else [v.strip() for v in variant.split(",")]
    configs = [
        resolve_run(
            plugins,
            method,
            dataset,
            preset=preset,
            variant=v,
            pretrain_on=pretrain_on,
            seed=seed,
            untrained=untrained,
            everywhere=everywhere,
            overrides=overrides,
        )
        for v in variants
    ]
    for said in without_effect(overrides, configs, plugins):
        progress.say(f"warning: {said}")

    from lmbench import job as jobs  # imports torch: every mistake above is told before
    from lmbench import runner

    results = []
    for config in configs:
        if dry_run:
            for said in unequal_scales(config, plugins):
                progress.say(f"warning: {said}")
            results.append(jobs.preview(config, plugins, data_root, runs, device, resume))
            continue
        with contextlib.redirect_stdout(sys.stderr):  # what methods print is no result
            job = jobs.prepare(config, plugins, data_root, runs, device)
            record, known = runner.run(job, resume)
        results.append(record.to_json())
        if not as_json:
            show_record(record, job.runs, known)
    if as_json:
        click.echo(json.dumps(results if len(results) > 1 else results[0], indent=1, ensure_ascii=False))
    elif dry_run:
        for plan in results:
            show_plan(plan)
    return 0


def without_effect(overrides: Sequence[Mapping[str, Any]], configs: Sequence[RunConfig], plugins: Plugins) -> list[str]:
    """What a user sets of tasks and stages that none of the runs has."""
    tasks = {name for config in configs for name in config.settings}
    stages = {name for config in configs for name in config.stages}
    asked = dict.fromkeys(name for given in overrides for name in given if name in plugins.tasks.names())
    own = dict.fromkeys(name for given in overrides for name in given.get("stages", {}))
    idle = [f"{name}: no run here has this task" for name in asked if name not in tasks]
    idle += [f"stages.{name}: no run here has this stage" for name in own if name not in stages]
    return [f"{said}, and what is set of it changes nothing." for said in idle]


def show_record(record: Record, runs: Path, known: bool) -> None:
    """The results of a run as a table on stdout."""
    from lmbench.cli.table import show_table
    from lmbench.results import shown

    click.echo(shown.heading(record))
    show_table(*shown.table(record), "no number: the pictures are beside the record")
    for line in shown.stages(record):
        click.echo(line)
    click.echo(("measured before, see " if known else "record: ") + str(runs / record.run / "record.json"))


def show_plan(plan: dict[str, Any]) -> None:
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
