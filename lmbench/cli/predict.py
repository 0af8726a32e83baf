"""``lmbench predict``: the landmarks of a run's heads on somebody's own images."""

from __future__ import annotations

import json
from pathlib import Path

import click

from lmbench.errors import DataError, UsageError


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
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
def predict(run: Path, images: tuple[Path, ...], output: Path | None, force: bool, device: str, as_json: bool) -> None:
    """Predict the landmarks of IMAGES with the frozen network and the heads of RUN (a folder with record.json).

    Each image is cut to its central square and prepared as the run's dataset is; frame faces as that dataset does.
    """
    if output is not None and output.exists() and not force:
        raise UsageError(f"{output} exists; choose another name or pass --force.")
    if output is not None and output.suffix.lower() != ".png":
        raise UsageError(f"-o {output}: pictures are written as .png.")
    missing = [p for p in images if not p.is_file()]
    if missing:
        raise DataError(f"{missing[0]}: there is no such file.")
    from lmbench.prediction import load_run, predict_image

    predictor = load_run(run, device)
    found = [predict_image(predictor, path) for path in images]
    if output is not None:
        from lmbench.report.pictures import draw_points, save_png, side_by_side

        save_png(side_by_side([draw_points(p.image, p.landmarks) for p in found]), output)
        click.echo(f"{output}: {len(found)} images", err=True)
    names = predictor.landmark_names
    if as_json:
        rows = [
            {"image": str(p.path), "landmarks": dict(zip(names, p.landmarks.round(2).tolist(), strict=True))}
            for p in found
        ]
        click.echo(json.dumps(rows, indent=1))
        return
    from lmbench.cli.table import show_table

    show_table(
        ["image", "landmark", "x", "y"],
        [[p.path.name, n, f"{x:.1f}", f"{y:.1f}"] for p in found for n, (x, y) in zip(names, p.landmarks, strict=True)],
    )
