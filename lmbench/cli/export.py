"""``lmbench export``: a run becomes one file that finds landmarks without it."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import click

from lmbench.errors import UsageError

FORMATS = {"lmb": ".lmb", "onnx": ".onnx", "torch.export": ".pt2", "torchscript": ".pt"}


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, help="detector.lmb, or as the format ends."
)
@click.option(
    "--format", "form", type=click.Choice(list(FORMATS)), default=None, help="[by the end of the file's name]"
)
@click.option("--annotations", default=None, metavar="N|all", help="The head of so many annotated images.  [the most]")
@click.option("--force", is_flag=True, help="Replace an existing file.")
def export(run: Path, output: Path, form: str | None, annotations: str | None, force: bool) -> None:
    """Write the frozen network and one landmark head of RUN into a file, and check that it finds the same landmarks.

    A .lmb file is used as a run is: lmbench predict detector.lmb IMAGE..., lmbench.load("detector.lmb"). It holds the record too,
    framing and preprocessing, and needs the plugin of its method, but neither run, stages nor data. The other formats hold
    network and head as one graph: images (B, 3, S, S) in [0, 1], framed as the run's own, to landmarks (B, L, 2) in their pixels.
    """
    ends = {end: name for name, end in FORMATS.items()}
    form = form or ends.get(output.suffix.lower())
    if form is None:
        raise UsageError(f"-o {output}: expected a name that ends in {', '.join(ends)}, or --format with any other.")
    if output.exists() and not force:
        raise UsageError(f"{output} exists; choose another name or pass --force.")
    from lmbench.facade import load

    with contextlib.redirect_stdout(sys.stderr):  # what networks and exporters print is no result
        found = load(run)
        if form == "lmb":
            from lmbench.results.exported import export as write

            write(found, output, annotations)
            off = "finds the landmarks of the run"
        else:
            from lmbench.detecting.graph import write_graph

            off = f"its landmarks are within {write_graph(found.detector('cpu', annotations), form, output):.2g} px of the run's"
    click.echo(f"{output}: {output.stat().st_size / 1e6:.1f} MB, {form}, {off}")
