"""``lmbench compare``: is one method better than another, on the same images?"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lmbench.errors import UsageError

if TYPE_CHECKING:
    from lmbench.results.comparison import Comparison
    from lmbench.results.sides import Side

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@click.command()
@click.argument("sides", nargs=-1, required=True, metavar="SIDE [SIDE ...]")
@click.option("--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True)
@click.option("--dataset", default="", help="Of the runs of METHOD/OUTPUT, those on this dataset.")
@click.option("--preset", default="", help="Of the runs of METHOD/OUTPUT, those with this preset.")
@click.option("--control", is_flag=True, help="Compare each side with its own recipe left untrained.")
@click.option("--tasks", default="", help="Compare these alone: regression,matching.")
@click.option(
    "--across-heads", is_flag=True, help="Compare numbers of different heads: the head is part of the method."
)
@click.option("--json", "as_json", is_flag=True, help="Print an array of objects instead of a table.")
def compare(
    sides: Sequence[str], runs: Path, dataset: str, preset: str, control: bool, tasks: str, across_heads: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Compare the numbers that methods share, every two of them, over images, draws and seeds.

    A SIDE is one output: the folder of a run (or its record.json), several with commas or a quoted pattern, or METHOD/OUTPUT,
    all its seeds below --runs: lmbench compare lead/dense64 dve/smallnet.

    The interval is that of the difference A - B. Images are paired, and seeds and draws where both sides have the same. A
    side of one seed says nothing of another training of it. With many numbers some differ by chance: those with a * survive
    Holm's correction for all that were tried. Runs on other data or under another protocol are refused (exit code 3).
    """
    from lmbench.plugins.loading import get_plugins
    from lmbench.results.comparison import compare as compare_sides
    from lmbench.results.sides import Place, side_of, side_of_control

    plugins = get_plugins()
    wanted = [t.strip() for t in tasks.split(",") if t.strip()]
    for task in wanted:
        plugins.find("task", task)
    if len(sides) < 2 and not control:
        raise UsageError("one side is compared with nothing: name another, or pass --control.")
    with contextlib.redirect_stdout(sys.stderr):  # what metrics print is no result
        place = Place(runs, dataset, preset)
        named = [side_of(word, place) for word in sides]
        pairs = [(side, side_of_control(side, place)) for side in named] if control else list(combinations(named, 2))
        found = compare_sides(pairs, plugins, wanted, across_heads)
    if as_json:
        click.echo(json.dumps([c.entry() for own in found for c in own], indent=1, ensure_ascii=False))
        return
    _show(pairs, found)


def _show(pairs: Sequence[tuple[Side, Side]], found: Sequence[Sequence[Comparison]]) -> None:
    from lmbench.cli.table import show_table
    from lmbench.printable import counted, printable

    letters: dict[Side, str] = {}
    for side in (side for pair in pairs for side in pair):
        if side not in letters:
            letters[side] = LETTERS[len(letters)] if len(letters) < len(LETTERS) else str(len(letters) + 1)
            seeds = f" (seeds {', '.join(map(str, side.seeds))})" if len(side.seeds) > 1 else ""
            click.echo(printable(f"{letters[side]}: {side.name}{seeds}"))
    one = len(pairs) == 1
    rows = []
    for (a, b), own in zip(pairs, found, strict=True):
        names = {"a": letters[a], "b": letters[b], "": "-"}
        for c in own:
            measured = [
                c.task, c.subset or "", "" if c.n_annotations is None else c.n_annotations,
                f"{c.metric} {'↑' if c.higher_is_better else '↓'}", f"{c.a:.2f}", f"{c.b:.2f}", f"{c.difference:+.2f}",
                f"{c.ci95[0]:+.2f} .. {c.ci95[1]:+.2f}" if c.ci95 else "-", "-" if c.p is None else f"{c.p:.2g}",
                names[c.better] + (" *" if c.survives else ""),
            ]  # fmt: skip
            rows.append(measured if one else [f"{letters[a]} - {letters[b]}", *measured])
    columns = ["A", "B", "A - B", "95 % of A - B"] if one else ["first", "second", "difference", "95 % of it"]
    columns = ["task", "part", "annotations", "metric", *columns, "p", "better"]
    show_table(columns if one else ["pair", *columns], rows)
    everything = [c for own in found for c in own]
    tried = f"{counted(everything[0].tried, 'number')} of {counted(len(pairs), 'pair')} tried"
    click.echo(f"{tried}; * survives Holm's correction for all of them.")
    if any(c.one_seed for c in everything):
        click.echo("one seed: says nothing of another training.")
    if any(not c.paired for c in everything):
        click.echo("other seeds: paired by image alone.")
