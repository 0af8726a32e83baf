"""``lmbench predict``: the landmarks of a run's heads on somebody's own images."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lmbench.cli.given_boxes import FILLING, regions_of
from lmbench.errors import DataError, UsageError

if TYPE_CHECKING:
    from lmbench.detecting.regions import Detection


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--box",
    "boxes",
    multiple=True,
    metavar="LEFT,TOP,WIDTH,HEIGHT",
    help="The object's box in pixels: one for all images, one for each in order, or several of one image.",
)
@click.option(
    "--boxes",
    "table",
    default="",
    metavar="FILE|whole|central",
    help="Table of boxes (image,left,top,width,height); or: the object fills the whole image, or its central square.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=None,
    help="Picture (.png) of the images with their landmarks.",
)
@click.option("--force", is_flag=True, help="Replace an existing picture.")
@click.option("--device", default="auto", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the landmarks as JSON instead of a table.")
def predict(
    run: Path,
    images: tuple[Path, ...],
    boxes: tuple[str, ...],
    table: str,
    output: Path | None,
    force: bool,
    device: str,
    as_json: bool,
) -> None:
    """Predict the landmarks of IMAGES with the frozen network and the heads of RUN (a folder with record.json).

    Images are framed as the run's own were: read whole, or cut to a square, where those were. Where the run's images were
    cut by boxes or by their labels, say where the object is by --box or --boxes; the run's margin is added to it.
    """
    if output is not None and output.exists() and not force:
        raise UsageError(f"{output} exists; choose another name or pass --force.")
    if output is not None and output.suffix.lower() != ".png":
        raise UsageError(f"-o {output}: pictures are written as .png.")
    missing = [p for p in images if not p.is_file()]
    if missing:
        raise DataError(f"{missing[0]}: there is no such file.")
    regions = regions_of(images, boxes, table)
    from lmbench.detecting.regions import Detection
    from lmbench.results.run import Run

    filling: Any = table if table in FILLING else ""
    with contextlib.redirect_stdout(sys.stderr):  # what networks print is no result
        detector = Run.open(run).detector(device)
        found = [d for d in detector.detect(regions, filling, keep_images=True) if isinstance(d, Detection)]
    names = detector.landmark_names
    if output is not None:
        _draw(found, names, output)
    if as_json:
        click.echo(json.dumps([_entry(d, names) for d in found], indent=1))
        return
    from lmbench.cli.table import show_table

    several = any(d.region.label for d in found)
    show_table(
        ["image", *(["object"] if several else []), "landmark", "x", "y"],
        [
            [d.region.path.name, *([d.region.label] if several else []), n, f"{x:.1f}", f"{y:.1f}"]
            for d in found
            for n, (x, y) in zip(names, d.landmarks, strict=True)
        ],
    )
    click.echo("framed by " + "; ".join(dict.fromkeys(d.framed for d in found)), err=True)


def _draw(found: list[Detection], names: tuple[str, ...], output: Path) -> None:
    """Writes one picture of all images, all objects of an image on it, above the colours of the landmarks."""
    from lmbench.printable import counted
    from lmbench.report.pictures import COLOURS, draw_points, over_legend, save_png, side_by_side

    pictures: dict[Path, Any] = {}
    for d in found:
        pictures[d.region.path] = draw_points(pictures.get(d.region.path, d.image), d.landmarks)
    legend = dict(zip(names, COLOURS, strict=False)) if len(names) <= len(COLOURS) else {}  # beyond, colours repeat
    save_png(over_legend(side_by_side(list(pictures.values())), legend), output)
    click.echo(f"{output}: {counted(len(pictures), 'image')}", err=True)


def _entry(d: Detection, names: tuple[str, ...]) -> dict[str, Any]:
    """A detection as JSON states it: landmarks in pixels of the image, the frame they were seen in, and why that one."""
    return {
        "image": str(d.region.path),
        **({"object": d.region.label} if d.region.label else {}),
        "landmarks": dict(zip(names, d.landmarks.round(4).tolist(), strict=True)),
        "frame": [round(v, 4) for v in d.frame],
        "framed_by": d.framed,
    }
