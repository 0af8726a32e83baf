"""Tables on stdout: rich on a terminal; elsewhere aligned plain text, one row a line, so that it can be grepped."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click

from lmbench.printable import plain_table, printable


def show_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], empty: str = "nothing") -> None:
    """Prints a table.

    Cells are shown as text, ``None`` as nothing; ``empty`` is said where there is no row.
    """
    cells = [["" if cell is None else printable(" ".join(str(cell).split())) for cell in row] for row in rows]
    if not cells:
        click.echo(empty)
    elif sys.stdout.isatty():
        _show_rich(columns, cells)
    else:
        click.echo(plain_table([[name.upper() for name in columns], *cells]))


def _show_rich(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False)
    for position, name in enumerate(columns):
        table.add_column(name, no_wrap=position == 0, overflow="fold")
    for row in cells:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)
