"""``lmbench reproduce``: any table of the papers by name, published beside measured."""

from __future__ import annotations

import contextlib
import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import click

from lmbench.cli.table import show_table
from lmbench.errors import UsageError

if TYPE_CHECKING:
    from lmbench.config.model import RunConfig
    from lmbench.job import PlannedStage
    from lmbench.papers.planning import TablePlan
    from lmbench.papers.running import TableProspect
    from lmbench.papers.table import Row


class RunEntry(TypedDict):
    """A run behind a table as JSON. ``cells``: how many hang on it; ``differs``: what it does otherwise than the paper."""

    method: str
    variant: str
    backbone: str
    pretrain_on: str
    dataset: str
    tasks: list[str]
    annotations: list[int | str]
    cells: int
    differs: list[str]
    action: str
    record: str | None
    stages: list[PlannedStage]
    config_sha256: str


class Conditions(TypedDict):
    """What a table was made with, as JSON."""

    table: str
    preset: str
    seed: int
    dataset_map: dict[str, str]
    backbones: str


@click.command()
@click.argument("name", default="", metavar="[PAPER/TABLE]")
@click.option("--preset", default="small", show_default=True, help="smoke, quick, small or paper")
@click.option(
    "--dataset-map",
    multiple=True,
    metavar="PAPERS=OURS",
    help="Take another dataset for the paper's, also for pretraining: aflw_m=aflw_split; may be repeated.",
)
@click.option(
    "--backbones",
    type=click.Choice(["preset", "paper"]),
    default="preset",
    show_default=True,
    help="Whose networks: the preset's, or those of the table (always in preset paper).",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--plan", "only_plan", is_flag=True, help="Show the runs and what is missing; compute nothing.")
@click.option("--no-run", is_flag=True, help="Make the table of the records that are there; run nothing.")
@click.option("--list", "as_list", is_flag=True, help="List the tables.")
@click.option("--coverage", "as_coverage", is_flag=True, help="Say how many printed numbers have a run behind them.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.option(
    "--data-root", type=click.Path(path_type=Path), default=None, help="Folder of the datasets.  [$LMBENCH_DATA]"
)
@click.option("--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("leaderboards"), show_default=True)
@click.option("--force", is_flag=True, help="Replace a table that was made otherwise.")
@click.option("--device", default="auto", show_default=True)
def reproduce(
    name: str,
    preset: str,
    dataset_map: tuple[str, ...],
    backbones: Any,
    seed: int,
    only_plan: bool,
    no_run: bool,
    as_list: bool,
    as_coverage: bool,
    as_json: bool,
    data_root: Path | None,
    runs: Path,
    out: Path,
    force: bool,
    device: str,
) -> int:
    """Measure a table of a paper (lead2022/table5) and set it beside the printed one; without a name, list them."""
    if as_list or as_coverage or not name:
        if name:
            raise UsageError(f"{name}: --list and --coverage are about all tables; leave the name out.")
        show_coverage(as_json, in_full=as_coverage)
        return 0
    from lmbench.papers import table
    from lmbench.papers.planning import Request, parse_dataset_map, plan_table
    from lmbench.papers.published import find_table
    from lmbench.plugins.loading import get_plugins

    plugins = get_plugins()
    cells = find_table(name, plugins)
    request = Request(preset, seed, parse_dataset_map(dataset_map, plugins), backbones, data_root)
    plan = plan_table(cells, plugins, request)
    file = table.place(cells[0].table, request, out)
    if not force and not only_plan:
        table.refuse_loss(file, table.rows_of(plan, {}), planned=True)

    from lmbench.papers import running  # imports torch: every mistake above is told before

    prospects = running.look(plan, plugins, runs, out / "records", device, partly=no_run)
    if only_plan:
        show_plan(plan, prospects, as_json)
        return 0
    if no_run:
        running.leave_undone(plan, prospects)
    else:
        with contextlib.redirect_stdout(sys.stderr):  # what methods print is no result
            running.carry_out(plan, prospects)
    records = running.records_of(plan, prospects)
    rows = table.rows_of(plan, records)
    show_rows(rows, plan, as_json, file if records else None)
    if records:
        if not force:
            table.refuse_loss(file, rows)
        table.write(file, rows, records, out)
    if not as_json:
        click.echo(f"table: {file}" if records else "nothing was measured, and nothing is written")
    return table.exit_code(plan, len(records))


def show_coverage(as_json: bool, in_full: bool) -> None:
    """The tables with how many of their numbers have a run behind them; ``in_full`` with the reasons of the others."""
    from lmbench.papers.coverage import coverage, damage
    from lmbench.plugins.loading import get_plugins

    plugins = get_plugins()
    found = coverage(plugins)
    for said in damage(plugins):
        click.echo(f"warning: {said}", err=True)
    if as_json:
        click.echo(json.dumps([{**vars(t)} for t in found], indent=2, ensure_ascii=False))
        return
    rows: list[list[Any]] = [[t.name, t.cells, t.ours, t.mapped, " ".join(t.datasets)] for t in found]
    if in_full:
        rows.append(["all", sum(t.cells for t in found), sum(t.ours for t in found), sum(t.mapped for t in found), ""])
    show_table(["table", "cells", "of our methods", "with a run", "datasets"], rows)
    if not in_full:
        return
    for title, kind in (("without a run, of our methods", "unmapped"), ("of others", "foreign")):
        click.echo(f"\n{title}:")
        reasons: Counter[str] = Counter()
        places: dict[str, list[str]] = {}
        for t in found:
            for reason, count in getattr(t, kind).items():
                reasons[reason] += count
                places.setdefault(reason, []).append(t.name)
        for reason, count in reasons.most_common():
            click.echo(f"  {count:3}  {reason} ({', '.join(places[reason][:4])}{', ...' * (len(places[reason]) > 4)})")


def show_plan(plan: TablePlan, prospects: list[TableProspect], as_json: bool) -> None:
    """The runs behind a table and what each needs; what they do otherwise than the paper; why cells are left without one."""
    from lmbench.papers import table
    from lmbench.papers.running import TableProspect

    runs: list[RunEntry] = []
    for prospect in [*prospects, *map(TableProspect, plan.waiting)]:
        config = prospect.run.config
        runs.append(
            {
                "method": config.method,
                "variant": config.variant,
                "backbone": config.network.backbone if config.network else "",
                "pretrain_on": config.pretrain_on,
                "dataset": config.dataset,
                "tasks": list(config.tasks),
                "annotations": annotations_of(config),
                "cells": len(prospect.run.targets),
                "differs": sorted({said for said in prospect.run.differs.values() if said}),
                "action": prospect.action,
                "record": prospect.record.run if prospect.record else None,
                "stages": prospect.actions,
                "config_sha256": config.digest(),
            }
        )
    if as_json:
        rows = table.rows_of(plan, {})
        click.echo(json.dumps({**conditions(plan), "runs": runs, "cells": rows}, indent=1, ensure_ascii=False))
        return
    click.echo(heading(plan))
    shown = [
        [r["method"], r["variant"], r["pretrain_on"], r["dataset"], " ".join(map(str, r["annotations"])), r["cells"],
         r["action"]]
        for r in runs
    ]  # fmt: skip
    show_table(["method", "variant", "pretrained on", "dataset", "annotations", "cells", "plan"], shown, "no run")
    told = [f"  {r['method']} {r['variant']}, {r['dataset']}: {said}" for r in runs for said in r["differs"]]
    if told:
        click.echo("\n".join(["", "otherwise than in the paper:", *told]))
    show_gaps(plan)


def annotations_of(config: RunConfig) -> list[int | str]:
    """The numbers of annotations to which the tasks of a run fit something."""
    numbers = [n for task in config.tasks for n in getattr(config.settings_of(task), "annotations", ())]
    return list(dict.fromkeys(numbers))


def show_rows(rows: list[Row], plan: TablePlan, as_json: bool, file: Path | None) -> None:
    """The table: a line a cell; below it what the marks in the last column mean."""
    if as_json:
        told = {**conditions(plan), "file": str(file) if file else None, "cells": rows}
        click.echo(json.dumps(told, indent=1, ensure_ascii=False))
        return
    marks: dict[str, int] = {}
    shown = []
    for row in rows:
        said = row["reason"] or row.get("differs", "")
        mark = f"[{marks.setdefault(said, len(marks) + 1)}]" if said else ""
        measured = f"{float(row['measured']):.2f}" if row["measured"] else "-"
        spread = f" ± {float(row['std']):.2f}" if row["std"] else ""
        interval = f"{float(row['ci95_low']):.2f} .. {float(row['ci95_high']):.2f}" if row["ci95_low"] else ""
        printed = row["published"] + (f" ± {row['published_std']}" if row["published_std"] else "")
        difference = f"{float(row['difference']):+.2f}" if row["difference"] else ""
        shown.append(
            [row["label"], detail(row), dataset_of(row), row["part"], row["n_annotations"], row["metric"], printed,
             measured + spread, interval, difference, mark]
        )  # fmt: skip
    click.echo(heading(plan))
    columns = ["method", "output", "dataset", "part", "n", "metric", "published", "measured", "95 % over images"]
    show_table([*columns, "difference", "see"], shown)
    for said, number in marks.items():
        click.echo(f"[{number}] {said}")


def show_gaps(plan: TablePlan) -> None:
    """The reasons of the cells without a run, each once with how many cells it takes."""
    for reason, count in Counter(gap.reason for gap in plan.gaps.values()).most_common():
        click.echo(f"{count} cell{'s' * (count > 1)} without a run: {reason}")


def detail(row: Row) -> str:
    """Which output of a method a printed row is of."""
    said = [row["variant"], row["backbone"]]
    said += [f"{row['feature_dim']}-d"] if row["feature_dim"] else []
    said += [f"K={row['n_landmarks']}"] if row["n_landmarks"] else []
    said += [f"from {row['pretrain_dataset']}"] if row["pretrain_dataset"] else []
    return ", ".join(part for part in said if part)


def dataset_of(row: Row) -> str:
    """The printed dataset, and what it was measured on where that is another."""
    ours = row.get("run_dataset") or row["dataset"]
    return row["dataset"] if ours == row["dataset"] else f"{ours} for {row['dataset']}"


def heading(plan: TablePlan) -> str:
    """One line that says under which conditions the table stands."""
    stands = [f"{ours} stands for {printed}" for printed, ours in sorted(plan.request.dataset_map.items())]
    settings = [f"preset {plan.request.preset}", f"seed {plan.request.seed}", *stands]
    return f"{plan.cells[0].table}, {plan.cells[0]['table']} ({', '.join(settings)})"


def conditions(plan: TablePlan) -> Conditions:
    """What a table was made with."""
    request = plan.request
    return {
        "table": plan.cells[0].table,
        "preset": request.preset,
        "seed": request.seed,
        "dataset_map": dict(request.dataset_map),
        "backbones": "paper" if request.paper_backbones else "preset",
    }
