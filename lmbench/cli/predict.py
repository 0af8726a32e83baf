"""``lmbench predict``: the landmarks of a run's heads on somebody's own images and videos."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lmbench.campaigns.gaps import PARTLY_DONE
from lmbench.cli.completion import run_folders
from lmbench.cli.given_boxes import boxed
from lmbench.errors import UsageError

if TYPE_CHECKING:
    from lmbench.detecting.regions import Detection, LeftOut

MOST_SHOWN = 1000  # images in a table on the terminal
NAMED = 5  # images that are left out


def box_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options by which the object's place is said."""
    command = click.option(
        "--boxes",
        "table",
        default="",
        metavar="FILE|whole|central",
        help="Table of boxes (image,left,top,width,height); or: the object fills the whole image, or its central square.",
    )(command)
    return click.option(
        "--box",
        "boxes",
        multiple=True,
        metavar="LEFT,TOP,WIDTH,HEIGHT",
        help="The object's box in pixels: one for all images, one for each in order, or several of one image.",
    )(command)


@click.command()
@click.argument("run", type=click.Path(path_type=Path), shell_complete=run_folders)
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@box_options
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    type=click.Path(path_type=Path),
    help="May be repeated: out.csv, out.json (COCO keypoints), out.dlc.csv or out.h5 (DeepLabCut), a folder of overlays, "
    "out.mp4 (an overlaid video), out.png (a sheet of a few images).",
)
@click.option("--annotations", default=None, metavar="N|all", help="The head of so many annotated images.  [the most]")
@click.option("--force", is_flag=True, help="Replace existing files.")
@click.option("--device", default="auto", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the landmarks as JSON instead of a table.")
def predict(
    run: Path,
    images: tuple[Path, ...],
    boxes: tuple[str, ...],
    table: str,
    outputs: tuple[Path, ...],
    annotations: str | None,
    force: bool,
    device: str,
    as_json: bool,
) -> int:
    """Predict the landmarks of IMAGES with the frozen network and the heads of RUN (a folder with record.json, or what
    `lmbench export` wrote).

    IMAGES are images, videos, folders of images and quoted patterns. They are framed as the run's own were: read whole, or cut
    to a square, where those were. Where the run's images were cut by boxes or by their labels, say where the object is by
    --box or --boxes; the run's margin is added to it. An interrupted command with -o goes on when it is given again.
    """
    from lmbench.detecting.finding import named_regions
    from lmbench.detecting.predicting import Outputs
    from lmbench.detecting.predicting import predict as predicted
    from lmbench.detecting.regions import FILLING
    from lmbench.facade import load

    wanted = Outputs.named(outputs)
    wanted.require_new(force)
    regions, notes = named_regions(images)
    regions = boxed(regions, boxes, table)
    wanted.require_fitting(regions)
    files = wanted.resumable is not None
    if not files and not as_json and len(regions) > MOST_SHOWN:
        raise UsageError(
            f"{len(regions):,} images make no table to read: write it to a file, -o landmarks.csv, or pass --json."
        )
    for note in notes:
        click.echo(note, err=True)
    filling: Any = table if table in FILLING else ""
    with contextlib.redirect_stdout(sys.stderr):  # what networks print is no result
        detector = load(run).detector(device, annotations)
    told, names = _Told(), detector.landmark_names
    found = told.of(predicted(detector, regions, filling, wanted, force))
    if as_json:
        _print_json(found, names)
    elif files:
        for _ in found:
            pass
    else:
        _show(list(found), names)
    from lmbench.printable import counted

    for path in (*wanted.files, *wanted.folders):
        click.echo(f"{path}: {counted(told.images, 'image')}", err=True)
    click.echo("framed by " + "; ".join(told.framed), err=True)
    return _say_left_out(told.left_out)


class _Told:
    """What is said of a prediction once it is through: how many images, how they were framed, what was left out."""

    def __init__(self) -> None:
        self.images = 0
        self.framed: dict[str, None] = {}
        self.left_out: list[str] = []

    def of(self, found: Iterable[Detection | LeftOut]) -> Iterator[Detection]:
        from lmbench.detecting.regions import LeftOut

        last: Any = None
        for one in found:
            if isinstance(one, LeftOut):
                self.left_out.append(one.why)
                continue
            here = one.region.path, one.region.moment
            self.images += here != last
            self.framed.setdefault(one.framed)
            last = here
            yield one


def _print_json(found: Iterable[Detection], names: tuple[str, ...]) -> None:
    """An array of objects, each as soon as it is found."""
    between = "["
    for d in found:
        click.echo(f"{between}\n {json.dumps(_entry(d, names), ensure_ascii=False)}", nl=False)
        between = ","
    click.echo("[]" if between == "[" else "\n]")


def _show(found: list[Detection], names: tuple[str, ...]) -> None:
    from lmbench.cli.table import show_table

    several, moments = any(d.region.label for d in found), any(d.region.moment for d in found)
    show_table(
        ["image", *(["frame"] if moments else []), *(["object"] if several else []), "landmark", "x", "y"],
        [
            [
                d.region.path.name,
                *([d.region.moment[0] if d.region.moment else ""] if moments else []),
                *([d.region.label] if several else []),
                n,
                f"{x:.1f}",
                f"{y:.1f}",
            ]
            for d in found
            for n, (x, y) in zip(names, d.landmarks, strict=True)
        ],
    )


def _entry(d: Detection, names: tuple[str, ...]) -> dict[str, Any]:
    """A detection as JSON states it: landmarks in pixels of the image, the frame they were seen in, and why that one."""
    sure = {} if d.confidence is None else {"confidence": dict(zip(names, d.confidence.tolist(), strict=True))}
    return {
        "image": str(d.region.path),
        **({"video_frame": d.region.moment[0], "second": d.region.moment[1]} if d.region.moment else {}),
        **({"object": d.region.label} if d.region.label else {}),
        "landmarks": dict(zip(names, d.landmarks.round(4).tolist(), strict=True)),
        **sure,
        "frame": [round(v, 4) for v in d.frame],
        "framed_by": d.framed,
    }


def _say_left_out(left_out: list[str]) -> int:
    for why in left_out[:NAMED]:
        click.echo(f"left out: {why}", err=True)
    if len(left_out) > NAMED:
        click.echo(f"left out: {len(left_out) - NAMED} more", err=True)
    return PARTLY_DONE if left_out else 0
