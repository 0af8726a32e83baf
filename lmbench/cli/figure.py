"""``lmbench figure``: figures of finished runs, as papers print them."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import textwrap
from pathlib import Path
from typing import Any

import click

from lmbench.config.asking import parse_annotations
from lmbench.errors import UsageError

MIN_WIDTH, MAX_WIDTH = 50, 100  # columns of the list, as the terminal has them


@click.command()
@click.argument("name", required=False, default="")
@click.argument("words", nargs=-1, metavar="RUN...")
@click.option(
    "--list", "listed", is_flag=True, help="List the figures, what each needs and which paper prints such a one."
)
@click.option("-o", "--output", type=click.Path(path_type=Path), default=None, help="FILE.pdf, .svg or .png.")
@click.option("--force", is_flag=True, help="Replace an existing file.")
@click.option("--label", "labels", multiple=True, help="What a line is called; once for each, in their order.")
@click.option(
    "--width", type=click.FloatRange(30, 600), default=None, help="In mm, as printed.  [85, or 178 of pictures]"
)
@click.option(
    "--font", type=click.FloatRange(4, 30), default=8.0, show_default=True, help="Letters in pt at that width."
)
@click.option("--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True)
@click.option("--dataset", default="", help="Of the runs of METHOD/OUTPUT, those on this dataset.")
@click.option("--preset", default="", help="Of the runs of METHOD/OUTPUT, those with this preset.")
@click.option("--annotations", default=None, help="Of the heads of so many annotated images.  [all, else the most]")
@click.option("--task", default=None, help="Of this task.")
@click.option("--metric", default=None, help="In this metric.  [the dataset's first]")
@click.option("--part", default=None, help="Of this part: same or different pairs, a layer.")
@click.option(
    "--threshold", type=click.FloatRange(0, min_open=True), default=None, help="Where a cumulative curve ends."
)
@click.option("--images", type=click.IntRange(1, 2000), default=None, help="How many images.")
@click.option("--parts", type=click.IntRange(2, 50), default=None, help="How many parts.")
@click.option("--published", default=None, metavar="METHOD,...", help="Published curves of these methods; or none.")
@click.option(
    "--data-root", type=click.Path(path_type=Path), default=None, help="Folder of the datasets.  [$LMBENCH_DATA]"
)
@click.option("--device", default=None, help="[auto]")
@click.option("--json", "as_json", is_flag=True, help="Print the list, or file and caption, as JSON.")
def figure(
    name: str, words: tuple[str, ...], listed: bool, output: Path | None, force: bool, labels: tuple[str, ...],
    width: float | None, font: float, runs: Path, dataset: str, preset: str, as_json: bool, **options: Any,
) -> None:  # fmt: skip
    """Draw the figure NAME of finished runs: their folders (or record.json), a quoted pattern, or METHOD/OUTPUT.

    Seeds of one output are one line with its spread. What stands behind the figure is printed as a caption.
    """
    if listed:
        _list(as_json)
        return
    from lmbench.figures.catalogue import find_figure

    if not name:
        raise UsageError("which figure? `lmbench figure --list` says which there are.")
    spec = find_figure(name)
    given = {option: value for option, value in options.items() if value is not None}
    spec.refuse_others(given)
    if not words:
        raise UsageError(f"{name}: of which runs? Name their folders, or METHOD/OUTPUT of runs below --runs.")
    if output is None:
        raise UsageError(f"{name}: where to? Pass -o {name}.pdf (or .svg, .png).")
    from lmbench.report.style import Page, form_of, save_figure, styled

    form_of(output)
    if output.exists() and not force:
        raise UsageError(f"{output} exists; choose another name or pass --force.")
    from lmbench.figures.asking import Asked, lines_of, make, suiting
    from lmbench.results.sides import Place

    page = Page(width or spec.width, font)
    with contextlib.redirect_stdout(sys.stderr):  # what networks and metrics print is no result
        options = _parsed(given)
        lines = lines_of(words, Place(runs, dataset, preset), labels, suiting(spec, **options))
        drawn = make(spec, Asked(lines=lines, page=page, **options))
        with styled(page):
            save_figure(drawn.figure, output)
    if as_json:
        said = {"figure": name, "file": str(output), "caption": drawn.caption, "lines": [line.label for line in lines]}
        click.echo(json.dumps(said, indent=1, ensure_ascii=False))
    else:
        click.echo(f"{output}: {drawn.caption}")


def _parsed(given: dict[str, Any]) -> dict[str, Any]:
    parsed = dict(given)
    if "annotations" in parsed:
        numbers = parse_annotations(parsed["annotations"])
        if len(numbers) > 1:
            raise UsageError(f"--annotations {parsed['annotations']}: one number (or all) is expected.")
        parsed["annotations"] = numbers[0]
    if "published" in parsed:
        words = [word.strip() for word in parsed["published"].split(",") if word.strip()]
        parsed["published"] = () if words == ["none"] else tuple(words)
    return parsed


def _list(as_json: bool) -> None:
    from lmbench.figures.catalogue import FIGURES

    if as_json:
        shown = [
            {
                "name": f.name,
                "summary": f.summary,
                "needs": ", ".join(f.needs),
                "papers": f.papers,
                "options": list(f.takes),
            }
            for f in FIGURES
        ]
        click.echo(json.dumps(shown, indent=1, ensure_ascii=False))
        return
    indent = max(len(f.name) for f in FIGURES) + 2
    width = max(MIN_WIDTH, min(MAX_WIDTH, shutil.get_terminal_size((MAX_WIDTH, 24)).columns))
    for f in FIGURES:
        needs = f"needs {', '.join(f.needs)}" + (f"; as in {f.papers}" if f.papers else "")
        for first, text in ((f.name, f.summary), ("", needs)):
            for i, line in enumerate(textwrap.wrap(text, width - indent, break_on_hyphens=False)):
                click.echo(f"{'' if i else first:{indent}}{line}")
