"""``lmbench compare``: is one run better than another, on the same images?"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path

import click


@click.command()
@click.argument("run_a", type=click.Path(path_type=Path))
@click.argument("run_b", type=click.Path(path_type=Path))
@click.option("--tasks", default="", help="Compare these alone: regression,matching.")
@click.option(
    "--across-heads", is_flag=True, help="Compare numbers of different heads: the head is part of the method."
)
@click.option("--json", "as_json", is_flag=True, help="Print an array of objects instead of a table.")
def compare(run_a: Path, run_b: Path, tasks: str, across_heads: bool, as_json: bool) -> None:
    """Compare the numbers that RUN_A and RUN_B share (folders of runs, or their record.json).

    Both are recomputed from their stored predictions, and the same images are drawn anew for both 2,000 times: the
    interval is that of the difference A - B. Runs on other data or under another protocol are refused (exit code 3).
    """
    from lmbench.plugins.loading import get_plugins
    from lmbench.results.comparison import compare as compare_runs
    from lmbench.results.run import Run

    plugins = get_plugins()
    wanted = [t.strip() for t in tasks.split(",") if t.strip()]
    for task in wanted:
        plugins.find("task", task)
    with contextlib.redirect_stdout(sys.stderr):  # what metrics print is no result
        a, b = Run.open(run_a), Run.open(run_b)
        found = compare_runs(a, b, plugins, wanted, across_heads)
    if as_json:
        click.echo(json.dumps([c.entry() for c in found], indent=1, ensure_ascii=False))
        return
    from lmbench.cli.table import show_table

    click.echo(f"A: {a.name}\nB: {b.name}")
    rows = [
        [
            c.task,
            c.subset or "",
            "" if c.n_annotations is None else c.n_annotations,
            f"{c.metric} {'↑' if c.higher_is_better else '↓'}",
            f"{c.a:.2f}",
            f"{c.b:.2f}",
            f"{c.difference:+.2f}",
            f"{c.ci95[0]:+.2f} .. {c.ci95[1]:+.2f}" if c.ci95 else "-",
            "-" if c.better_share is None else f"{100 * c.better_share:.1f} %",
        ]
        for c in found
    ]
    columns = ["task", "part", "annotations", "metric", "A", "B", "A - B", "95 % of A - B", "A better in"]
    show_table(columns, rows)
