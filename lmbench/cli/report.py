"""``lmbench report``: one page about runs."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import click

from lmbench.cli.pages import require_page
from lmbench.printable import counted


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN [RUN ...]")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The page to write: NAME.html.")
@click.option(
    "--data-root", type=click.Path(path_type=Path), default=None, help="Folder of the datasets.  [$LMBENCH_DATA]"
)
@click.option("--force", is_flag=True, help="Replace an existing page.")
def report(runs: tuple[Path, ...], output: Path, data_root: Path | None, force: bool) -> None:
    """Write one page about RUNs (folders with record.json): the protocol in words, numbers with intervals, curves, the worst
    images, errors of landmarks, cost, where it comes from, and the command that repeats it.

    The page is one file and asks nothing of any network. Where a run's images are not on this machine, or are others than those
    that were judged, its pictures are left out, and the page says so.
    """
    require_page(output, force)
    from lmbench.pages.report import report_page
    from lmbench.results.run import Run
    from lmbench.store.files import write_atomically

    with contextlib.redirect_stdout(sys.stderr):  # what metrics print is no result
        page, left_out = report_page([Run.open(run) for run in runs], data_root)
    write_atomically(output, page)
    click.echo(f"{output}: {counted(len(runs), 'run')}, {len(page.encode()) / 2**20:.1f} MiB")
    for said in left_out:
        click.echo(f"left out: {said}", err=True)
