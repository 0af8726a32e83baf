"""``lmbench leaderboard``: boards from records and published numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lmbench.campaigns.gaps import PARTLY_DONE
from lmbench.cli.pages import require_page

if TYPE_CHECKING:
    from lmbench.results.sheets import Beside, Sheet
    from lmbench.results.tables import Selection

STALE = 3


OUT = click.option("--out", type=click.Path(path_type=Path), default=Path("leaderboards"), show_default=True)


def _of_a_table(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options by which a table is chosen."""
    options = [
        click.option("--preset", default="small", show_default=True, help="Of runs with this preset."),
        click.option(
            "--method", "methods", multiple=True, metavar="METHOD[/VARIANT]", help="Of these alone; may be repeated."
        ),
        click.option("--annotations", default="", help="Of these numbers of annotated images: 10,all."),
        click.option(
            "--part", "parts", multiple=True, help="A layer, a joint: shown besides the whole; may be repeated."
        ),
        click.option(
            "--beside",
            type=click.Choice(["interval", "spread", "nothing"]),
            default="interval",
            show_default=True,
            help="A value's 95 % interval, or its standard deviation over seeds.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.group()
def leaderboard() -> None:
    """Build, show or check the leaderboards."""


@leaderboard.command()
@click.option("--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True)
@OUT
def build(runs: Path, out: Path) -> int:
    """Write one CSV per dataset and task: measured rows (with their records) beside published ones; and beside it a page and a
    picture of the measured rows, which say what the board can tell.

    A measured row is a method's output over its seeds. The scores of runs whose predictions are at hand are kept in OUT/scores:
    the intervals of differences are made of them. Published rows of a paper that no installed plugin brings go, and are named.
    """
    from lmbench.papers.boards import built_boards, unbrought_rows
    from lmbench.plugins.loading import get_plugins
    from lmbench.results import leaderboard as boards

    plugins = get_plugins()
    lost = boards.keep_all_scores(runs, out, plugins)
    built = built_boards(plugins, runs, out)
    gone = unbrought_rows(plugins, out)
    built.left_out += [*lost, *(f"{said}: they went; install it and build again" for said in gone)]
    for path in boards.write(built, out):
        rows = built.files[path.name].count("\n") - 1
        measured = built.files[path.name].count(",measured,")
        click.echo(f"{path}: {measured} measured, {rows - measured} published")
    return _say_left_out(built.left_out)


@leaderboard.command()
@click.option("--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True)
@OUT
def check(runs: Path, out: Path) -> int:
    """Compare the CSVs, and the tables in the documents beside them, with what the records and the published numbers give;
    exit 3 where they differ.
    """
    from lmbench.papers.boards import built_boards, unbrought_rows
    from lmbench.plugins.loading import get_plugins
    from lmbench.results import documents
    from lmbench.results import leaderboard as boards

    plugins = get_plugins()
    built = built_boards(plugins, runs, out)
    unbrought = unbrought_rows(plugins, out)
    for said in unbrought:
        click.echo(f"{said}: install it, or they go.", err=True)
    first = "install what is missing, then " if unbrought else ""
    stale = [(complaint, f"{first}run `lmbench leaderboard build`") for complaint in boards.stale_files(built, out)]
    stale += [(complaint, "run `lmbench leaderboard markdown`") for complaint in documents.stale_documents(out)]
    for complaint, advice in stale:
        click.echo(f"stale: {complaint}; {advice}.", err=True)
    if stale:
        return STALE
    click.echo(f"{len(built.files)} files are up to date")
    return _say_left_out(built.left_out)


@leaderboard.command()
@OUT
@click.option("--dataset", default="", help="Of this dataset; else of all that were measured.")
@click.option("--task", "tasks", default="", help="Of these tasks: regression,matching; else of all.")
@click.option("--preset", default="", help="Of runs with this preset; else of all.")
@click.option("--annotations", default="", help="Of these numbers of annotated images: 10,all; else of all.")
@click.option("--part", "parts", multiple=True, help="A layer, a joint: shown besides the whole; may be repeated.")
def show(out: Path, dataset: str, tasks: str, preset: str, annotations: str, parts: tuple[str, ...]) -> None:
    """Print the boards of the records in OUT/records: what each can tell, and its rows."""
    from functools import partial

    from lmbench.cli.table import show_table
    from lmbench.results import boards, documents
    from lmbench.results.scores import kept_scores

    found = documents.boards_of(
        documents.kept_records(out).values(),
        partial(kept_scores, out),
        dataset=dataset,
        tasks=_listed(tasks),
        preset=preset,
        annotations=_listed(annotations),
        parts=parts,
    )
    for board in found:
        click.echo(f"{board.title}\n")
        for said in boards.what_it_tells(board):
            click.echo(said.replace("`", ""))
        click.echo()
        show_table(boards.columns(board), boards.lines(board))
        click.echo()


@leaderboard.command()
@OUT
@click.option("--dataset", default="", help="Print a table of this dataset, and write nothing.")
@click.option("--task", "tasks", default="regression", show_default=True, help="Of these tasks: regression,matching.")
@_of_a_table
def markdown(
    out: Path, dataset: str, tasks: str, preset: str, methods: tuple[str, ...], annotations: str, parts: tuple[str, ...],
    beside: Beside,
) -> int:  # fmt: skip
    """Write the tables of README.md, docs and plugins/*/README.md from the records in OUT/records.

    A table stands below a line like <!-- table: synthfaces regression,matching quick lead --> and above <!-- end -->. With
    --dataset one is printed: values with their intervals, the best bold where they are told apart.
    """
    from lmbench.results import documents
    from lmbench.results.sheets import as_markdown
    from lmbench.results.tables import Selection

    if dataset:
        selection = Selection(dataset, _listed(tasks), preset, methods, _listed(annotations), parts)
        click.echo(as_markdown(_sheet(out, selection), beside), nl=False)
        return 0
    for path in documents.write_documents(out):
        click.echo(f"{path}: written")
    return 0


@leaderboard.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The page to write: NAME.html.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("leaderboards"), show_default=True)
@click.option("--force", is_flag=True, help="Replace an existing page.")
def html(output: Path, out: Path, force: bool) -> int:
    """Write all records in OUT/records and all published numbers as one page, to be looked at in a browser.

    The page asks nothing of any network. Its links to records lead from where it is written to OUT/records.
    """
    from lmbench.pages.board import board_page, link_to
    from lmbench.papers.boards import sources
    from lmbench.plugins.loading import get_plugins
    from lmbench.results import leaderboard as boards
    from lmbench.store.files import write_atomically

    require_page(output, force)
    records, left_out = boards.counting_records(boards.kept_files(out), out)
    published, scores, unread = sources(get_plugins(), out)
    sections = boards.ranked_records(records.values(), scores)
    write_atomically(output, board_page(sections, published, link_to(out / "records", output)))
    measured = sum(len(section.rows) for section in sections)
    click.echo(f"{output}: {measured} measured, {len(published)} published")
    return _say_left_out([*left_out, *unread()])


@leaderboard.command()
@click.argument("dataset")
@click.argument("tasks", nargs=-1, required=True, metavar="TASK...")
@OUT
@_of_a_table
def latex(
    dataset: str, tasks: tuple[str, ...], out: Path, preset: str, methods: tuple[str, ...], annotations: str,
    parts: tuple[str, ...], beside: Beside,
) -> None:  # fmt: skip
    """Print a table of DATASET for LaTeX (booktabs) from the records in OUT/records.

    Values with their intervals, the best bold where they are told apart; controls and what is supervised are marked.
    """
    from lmbench.results.sheets import as_latex
    from lmbench.results.tables import Selection

    named = tuple(task for word in tasks for task in _listed(word))
    selection = Selection(dataset, named, preset, methods, _listed(annotations), parts)
    click.echo(as_latex(_sheet(out, selection), beside), nl=False)


def _sheet(out: Path, selection: Selection) -> Sheet:
    """The table of a selection; what is bold is decided among its own rows."""
    from functools import partial

    from lmbench.results import documents
    from lmbench.results.scores import kept_scores
    from lmbench.results.sheets import sheet

    records = [record for record in documents.kept_records(out).values() if selection.takes(record)]
    boards = documents.boards_of(
        records,
        partial(kept_scores, out),
        dataset=selection.dataset,
        tasks=selection.tasks,
        preset=selection.preset,
        annotations=selection.annotations,
        parts=selection.parts,
    )
    return sheet(boards)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _say_left_out(left_out: list[str]) -> int:
    for reason in left_out:
        click.echo(f"left out: {reason}", err=True)
    return PARTLY_DONE if left_out else 0
