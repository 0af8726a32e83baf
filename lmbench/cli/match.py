"""``lmbench match``: points of one image found in others, by the frozen features of a run alone."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lmbench.cli.given_boxes import boxed
from lmbench.cli.predict import box_options
from lmbench.errors import UsageError

if TYPE_CHECKING:
    from lmbench.detecting.framer import Framed
    from lmbench.detecting.matching import Matches


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("reference", type=click.Path(path_type=Path))
@click.argument("targets", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--points",
    "texts",
    multiple=True,
    required=True,
    metavar="X,Y",
    help="A point in pixels of REFERENCE; may be repeated.",
)
@box_options
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default=None, help="Picture (.png): each point in its colour."
)
@click.option("--force", is_flag=True, help="Replace an existing picture.")
@click.option("--device", default="auto", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the matches as JSON instead of a table.")
def match(
    run: Path,
    reference: Path,
    targets: tuple[Path, ...],
    texts: tuple[str, ...],
    boxes: tuple[str, ...],
    table: str,
    output: Path | None,
    force: bool,
    device: str,
    as_json: bool,
) -> None:
    """Find points of the image REFERENCE in TARGETS with the frozen features of RUN (a folder with record.json, or what
    `lmbench export` wrote); no head and no label has a part in it.

    Images are framed as by `lmbench predict`; boxes are those of REFERENCE and TARGETS, in this order.
    """
    points = [_point(text) for text in texts]
    if output is not None and output.suffix.lower() != ".png":
        raise UsageError(f"-o {output}: pictures are written as .png.")
    if output is not None and output.exists() and not force:
        raise UsageError(f"{output} exists; choose another name or pass --force.")
    from lmbench.detecting.finding import named_regions
    from lmbench.detecting.overlays import SHEET
    from lmbench.detecting.regions import FILLING
    from lmbench.detecting.video import is_video
    from lmbench.facade import load

    (first, *others), notes = named_regions([reference, *targets])
    if reference.is_dir() or not others or any(is_video(r.path) for r in (first, *others)):
        raise UsageError(
            f"{reference} and {targets[0]}: one image as reference and other images as targets are expected."
        )
    if output is not None and len(others) >= SHEET:
        raise UsageError(f"-o {output}: {len(others):,} images on one sheet show nothing; at most {SHEET - 1}.")
    (first, *others) = boxed([first, *others], boxes, table)
    for note in notes:
        click.echo(note, err=True)
    filling: Any = table if table in FILLING else ""
    with contextlib.redirect_stdout(sys.stderr):  # what networks print is no result
        found, looked_at = load(run).matcher(device).match(first, points, others, filling)
    if output is not None:
        _draw(points, found, looked_at, output)
    rows = [
        (str(target.path), p, float(x), float(y), float(alike))
        for target, at, similarity in zip(others, found.points, found.similarity, strict=True)
        for p, ((x, y), alike) in enumerate(zip(at, similarity, strict=True), 1)
    ]
    if as_json:
        names = ("image", "point", "x", "y", "similarity")
        click.echo(json.dumps([dict(zip(names, row, strict=True)) for row in rows], indent=1, ensure_ascii=False))
        return
    from lmbench.cli.table import show_table

    show_table(
        ["image", "point", "x", "y", "similarity"],
        [[Path(image).name, p, f"{x:.1f}", f"{y:.1f}", f"{alike:.3f}"] for image, p, x, y, alike in rows],
    )


def _point(text: str) -> tuple[float, float]:
    try:
        x, y = (float(v) for v in text.replace("_", "?").split(","))
    except ValueError:
        raise UsageError(f"--points {text}: expected X,Y in pixels of the reference, for instance 40,32.5.") from None
    return x, y


def _draw(points: list[tuple[float, float]], found: Matches, looked_at: list[Framed], output: Path) -> None:
    """Writes the reference and the targets, each point in its colour."""
    import numpy as np

    from lmbench.report.marks import legend_of
    from lmbench.report.pictures import draw_points, over_legend, save_png, side_by_side, tile_of

    pictures = [
        tile_of(draw_points(framed.image, at))
        for framed, at in zip(looked_at, [np.array(points), *found.points], strict=True)
        if framed.image is not None
    ]
    names = [f"{x:g},{y:g} of the first image" for x, y in points]
    save_png(over_legend(side_by_side(pictures), legend_of(names)), output)
