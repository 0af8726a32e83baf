"""``lmbench leaderboard``: CSVs from records and published numbers."""

from __future__ import annotations

from pathlib import Path

import click

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

    built = boards.build(runs, out)
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

    built = boards.build(runs, out)
    complaints = boards.stale_files(built, out)
    for complaint in complaints:
        click.echo(f"stale: {complaint}; run `lmbench leaderboard build`.", err=True)
    if complaints:
        return STALE
    click.echo(f"{len(built.files)} files are up to date")
    return _say_left_out(built.left_out)


def _say_left_out(left_out: list[str]) -> int:
    for reason in left_out:
        click.echo(f"left out: {reason}", err=True)
    return PARTLY_DONE if left_out else 0
