"""``lmbench data``: list, prepare, verify and show datasets."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TypedDict

import click

from lmbench.cli.table import show_table
from lmbench.data.places import default_data_root, prepared_folder
from lmbench.errors import DataError, UsageError
from lmbench.plugins.loading import get_plugins
from lmbench.plugins.registry import Entry, is_family
from lmbench.specs import DatasetSpec

DATA_ROOT = click.option(
    "--data-root", type=click.Path(path_type=Path), default=None, help="Folder of the datasets.  [$LMBENCH_DATA]"
)
PARTIAL = click.option("--partial", is_flag=True, help="Use what is there of originals that are incomplete.")
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


class Outline(TypedDict):
    """A dataset as JSON. ``landmarks``: how many; ``place``: where it is looked for; ``state``: present, prepared or missing."""

    name: str
    qualified: str
    splits: dict[str, int | None]
    landmarks: int
    place: str
    state: str
    source: str
    licence: str


@click.group()
def data() -> None:
    """List, prepare, verify and show datasets."""


@data.command("list")
@DATA_ROOT
@AS_JSON
def list_datasets(data_root: Path | None, as_json: bool) -> None:
    """List every dataset: images per split, landmarks, and whether it is there."""
    plugins = get_plugins()
    clashes = plugins.registry("dataset").clashes()
    found = [outline(entry, data_root or default_data_root()) for entry in plugins.registry("dataset")]
    for item in found:
        if item["name"] in clashes:
            item["name"] = item["qualified"]
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    rows = []
    for item in found:
        splits = " ".join(f"{s}:{'any' if n is None else n}" for s, n in item["splits"].items())
        rows.append([item["name"], splits, item["landmarks"], item["state"], item["place"]])
    show_table(["name", "images", "landmarks", "state", "looked for in"], rows, "no dataset is installed")


def outline(entry: Entry[DatasetSpec], root: Path) -> Outline:
    """What ``data list --json`` tells of a dataset."""
    spec = entry.spec
    prepared, folder = prepared_folder(entry, root), root / spec.folder
    if is_family(spec.name) and not spec.folder:
        place, state = f"the folder named in {spec.name[:-1]}DIR", "present"
    elif prepared.is_dir():
        place, state = str(prepared), "prepared"
    elif spec.folder:
        place, state = str(folder), "present" if folder.is_dir() else "missing"
    else:
        place, state = "embedded", "present"
    return {
        "name": spec.name,
        "qualified": entry.qualified,
        "splits": dict(spec.splits),
        "landmarks": len(spec.landmark_names),
        "place": place,
        "state": state,
        "source": spec.source,
        "licence": spec.licence,
    }


@data.command()
@click.argument("name")
@click.option(
    "--source",
    default=None,
    type=click.Path(path_type=Path),
    help="The original: its folder, the folder that contains it, or a zip or tar archive.",
)
@click.option("--download", is_flag=True, help="Fetch the original first, where that is allowed (celeba, mnist).")
@DATA_ROOT
def prepare(name: str, source: Path | None, download: bool, data_root: Path | None) -> None:
    """Read the original files of a dataset once and keep them as one copy that opens fast.

    A call that was killed goes on where it stopped when it is given again.
    """
    entry: Entry[DatasetSpec] = get_plugins().find("dataset", name)
    spec = entry.spec
    root = data_root or default_data_root()
    if download and source is None and spec.folder and is_family(spec.name):  # its members read the originals
        from lmbench.originals.downloads import download as fetch

        click.echo(f"{name}: the originals are in {fetch(spec.name.rstrip(':*'), root, spec.source)}")
        return
    if not spec.folder or is_family(spec.name):
        kind = "is embedded"
        if is_family(spec.name):
            kind = "is cut anew for each of its settings" if spec.folder else "takes any folder as it is"
        raise UsageError(f"{name} {kind}: there is nothing to prepare.")
    if download == (source is not None):
        raise UsageError("prepare needs the original: pass either --source FOLDER_OR_ARCHIVE or --download.")

    from lmbench.originals.downloads import download as fetch
    from lmbench.originals.preparing import prepare as prepare_copy

    original = source if source is not None else fetch(spec.name, root, spec.source)
    target = prepared_folder(entry, root)
    prepared, existed = prepare_copy(name, entry, original, target)
    counts = ", ".join(f"{len(d)} {split}" for split, d in prepared.splits.items())
    click.echo(f"{name}: {counts} images {'were prepared before' if existed else 'prepared'} in {target}")


@data.command()
@click.argument("name")
@DATA_ROOT
@PARTIAL
@AS_JSON
@click.pass_context
def verify(context: click.Context, name: str, data_root: Path | None, partial: bool, as_json: bool) -> None:
    """Check files, lists, images and landmarks of a dataset. Exit code 5 where something is wrong."""
    from lmbench.originals.verification import verify_dataset

    checks = verify_dataset(name, data_root, partial=partial)
    ok = all(check.ok for check in checks)
    if as_json:
        answer = {"name": name, "ok": ok, "checks": [asdict(check) for check in checks]}
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
    else:
        rows = [[check.name, "ok" if check.ok else "WRONG", check.found] for check in checks]
        show_table(["check", "", "found"], rows)
    if not ok:
        context.exit(DataError.exit_code)


@data.command()
@click.argument("name")
@click.option(
    "--split", default=None, help="Whose images: train, test ...  [test, or train where there is no test split]"
)
@click.option("-n", "--images", "count", type=click.IntRange(1), default=40, show_default=True, help="How many images.")
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="The picture to write: NAME.png.")
@click.option("--force", is_flag=True, help="Replace the picture where it exists.")
@DATA_ROOT
@PARTIAL
def show(
    name: str, split: str | None, count: int, out: Path, force: bool, data_root: Path | None, partial: bool
) -> None:
    """Draw the first images of a split with their landmarks or above their masks.

    Every landmark has a colour and shape of its own, named below; hidden ones are hollow where the dataset annotates them, and
    what has no label is not drawn.
    """
    if out.suffix.lower() != ".png":
        raise UsageError(f"-o {out}: pictures are written as .png; choose such a name.")
    if out.exists() and not force:
        raise UsageError(f"{out} exists already: choose another name, or pass --force to replace it.")

    import torch

    from lmbench.data.masks import read_masks
    from lmbench.data.opening import open_dataset
    from lmbench.report.parts import draw_classes
    from lmbench.report.pictures import contact_sheet, save_png

    opened = open_dataset(name, data_root, partial=partial)
    split = split or ("test" if "test" in opened.splits else "train")
    if split not in opened.splits:
        raise UsageError(f"{name} has no split {split!r}; it has {', '.join(opened.splits)}.")
    pixels = opened.pixels(split)
    if opened.spec.classes:
        shown, classes = pixels.first(count), len(opened.spec.classes)
        masks = read_masks(opened.splits[split], opened.spec.preprocessing, classes, len(shown))
        draw_classes(shown, [torch.from_numpy(masks)], classes, out)
    else:
        names, hidden = opened.spec.landmark_names, opened.spec.hidden_annotated
        save_png(contact_sheet(pixels, count, names if pixels.landmarks.shape[1] else (), hidden), out)
    click.echo(f"{out}: {min(count, len(pixels))} of {len(pixels)} {split} images of {opened.name}")
