"""``lmbench fit``: a head for somebody's own points on the frozen network of a run."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lmbench.errors import UsageError

if TYPE_CHECKING:
    from lmbench.fitting.fit import Fit
    from lmbench.fitting.framing import Frame
    from lmbench.fitting.labels import Labels


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--labels",
    required=True,
    metavar="FILE[:option=value...]",
    help="Points on images: what `lmbench label` writes, or any format of folder: datasets (or DIR, of a whole folder).",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The folder to write.")
@click.option("--images", type=click.Path(path_type=Path), default=None, help="Folder of the images.  [that of FILE]")
@click.option("--landmarks", default="", metavar="A,B", help="Fit these landmarks alone.  [all]")
@click.option(
    "--frame",
    type=click.Choice(["whole", "central", "box"]),
    default=None,
    help="What the network sees: the whole image (padded to a square), its central square, or the box of each label, which "
    "predict then asks for.  [box where every label has one, else whole]",
)
@click.option(
    "--margin", type=click.FloatRange(0, 10), default=0.1, show_default=True, help="Around boxes, of their longer side."
)
@click.option(
    "--size", type=click.IntRange(16, 2048), default=None, help="Side in pixels that the network sees.  [the run's]"
)
@click.option("--force", is_flag=True, help="Replace an earlier fit.")
@click.option("--device", default="auto", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print what cross-validation says as JSON.")
def fit(
    run: Path,
    labels: str,
    output: Path,
    images: Path | None,
    landmarks: str,
    frame: Frame | None,
    margin: float,
    size: int | None,
    force: bool,
    device: str,
    as_json: bool,
) -> None:
    """Fit a landmark head to your own labelled images (5 to 50) on the frozen network of RUN.

    Says how far off it is on labelled images that it did not see, and leaves a folder that `lmbench predict` takes as it takes a
    run. From nothing to a detector: docs/label.md.
    """
    from lmbench.results import fitted

    fitted.require_place(output, force)
    from lmbench.fitting.framing import framer_of
    from lmbench.fitting.labels import read_labels
    from lmbench.training.loop import resolve_device

    names = [name.strip() for name in landmarks.split(",") if name.strip()]
    found = read_labels(labels, images, names, frame or "")
    frame = frame or ("box" if found.boxed else "whole")
    if frame == "box" and not found.boxed:
        raise UsageError(
            "--frame box: not every label has a box; add the columns box_left, box_top, box_width, box_height."
        )
    found.require_usable()
    for note in found.notes:
        click.echo(note, err=True)
    with contextlib.redirect_stdout(sys.stderr):  # what networks print is no result
        from lmbench.fitting.fit import fit as fit_head

        base, place = fitted.load(run), resolve_device(device)
        framer = framer_of(
            output.name, size or base.framer.steps.size, frame, margin, all(s.raw for s in found.samples)
        )
        made = fit_head(base.frozen(place), framer, found, place)
        fitted.write(output, base, framer, found, made, force)
    if as_json:
        click.echo(
            json.dumps({"fit": str(output), "head": made.said, **made.judged.document()}, ensure_ascii=False, indent=1)
        )
    else:
        _show(made)
    _say(made, found, output)


def _show(fit: Fit) -> None:
    from lmbench.cli.table import show_table

    document = fit.judged.document()
    rows = [
        [name, n, f"{px:.1f}", f"{percent:.1f}", f"{floor:.1f}"] for name, n, px, percent, floor in fit.judged.rows()
    ]
    total = [document["error_px"], document["error_percent"], document["mean_shape_px"]]
    rows.append(["all", document["images"], *(f"{v:.1f}" for v in total)])
    show_table(["landmark", "images", "error px", "% of side", "mean shape px"], rows)


def _say(fit: Fit, labels: Labels, output: Path) -> None:
    """What the head chose, and where it would be mistaken."""
    document = fit.judged.document()
    interval = document["ci95_px"]
    spread = "" if interval is None else f" (95 % over images: {interval[0]:.1f} .. {interval[1]:.1f})"
    lines = [
        f"cross-validated on {document['images']} images, each by a head that did not see it: {document['error_px']:.1f} px"
        f"{spread}, {document['error_percent']:.1f} % of the side that the network sees; the mean shape: "
        f"{document['mean_shape_px']:.1f} px, {document['mean_shape_percent']:.1f} %",
        f"the head of all images: {fit.said}",
    ]
    if fit.said.startswith("mean shape"):
        lines.append("warning: it predicts the mean shape, whatever the image. Label more images, or take another run.")
    no_better = [name for name, _, px, _, floor in fit.judged.rows() if px >= floor]
    if no_better and not fit.said.startswith("mean shape"):
        lines.append(f"no better than the mean shape: {', '.join(no_better)}")
    lines += [f"{name} is labelled on {n} images alone: little can be said of it" for name, n in labels.rare().items()]
    if fit.beyond:
        lines.append(
            f"{fit.beyond} labelled points lie outside of what the network sees; another --frame, or a larger --margin?"
        )
    worst = "; ".join(f"{image} {name} {error:.0f} px" for image, name, error in fit.judged.worst())
    lines += [
        f"farthest off: {worst}",
        f"{output}: lmbench predict {output} IMAGE...; look at {output / 'cross_validated.png'}",
    ]
    for line in lines:
        click.echo(line, err=True)
