"""``lmbench leaderboard``: CSVs from records and published numbers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from lmbench.results.leaderboard import Built

PARTLY_DONE, STALE = 4, 3


@click.group()
def leaderboard() -> None:
    """Build or check the CSV leaderboards."""


@leaderboard.command()
@click.option("--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("leaderboards"), show_default=True)
def build(runs: Path, out: Path) -> int:
    """Write one CSV per dataset and task: measured rows (with their records) beside published ones."""
    from lmbench.results import leaderboard as boards

    built = _built(runs, out)
    for path in boards.write(built, out):
        rows = built.files[path.name].count("\n") - 1
        measured = built.files[path.name].count(",measured,")
        click.echo(f"{path}: {measured} measured, {rows - measured} published")
    return _say_left_out(built.left_out)


@leaderboard.command()
@click.option("--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("leaderboards"), show_default=True)
def check(runs: Path, out: Path) -> int:
    """Compare the CSVs with what their records and the published numbers give; exit 3 where they differ."""
    from lmbench.results import leaderboard as boards

    built = _built(runs, out)
    complaints = boards.stale_files(built, out)
    for complaint in complaints:
        click.echo(f"stale: {complaint}; run `lmbench leaderboard build`.", err=True)
    if complaints:
        return STALE
    click.echo(f"{len(built.files)} files are up to date")
    return _say_left_out(built.left_out)


def _built(runs: Path, out: Path) -> Built:
    """The leaderboards of records and of the papers that plugins bring; what cannot be read is left out and named."""
    from lmbench.papers.boards import published_rows
    from lmbench.plugins.loading import get_plugins
    from lmbench.results.leaderboard import build

    published, unread = published_rows(get_plugins())
    built = build(runs, out, published)
    built.left_out += unread
    return built


def _say_left_out(left_out: list[str]) -> int:
    for reason in left_out:
        click.echo(f"left out: {reason}", err=True)
    return PARTLY_DONE if left_out else 0
