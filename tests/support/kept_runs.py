"""Runs of a second or two on a folder of ten labelled images: what they keep, how they are killed, and their numbers."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from folder_trees import csv_tree
from small_trees import write_image

from lmbench.cli.main import run_cli
from lmbench.metrics.base import Predictions

SMALL = {
    "train_images": 6, "read.size": 6, "regression.layers_alone": "()", "matching.pairs": 2,
    "stages.smallnet.training.epochs": 2, "stages.smallnet.training.batch_size": 3,
    "stages.smallnet.training.checkpoint_minutes": 1e-9, "regression.head_settings.steps": 3,
}  # fmt: skip


class Killed(BaseException):
    """What kill -9 is to a test: nothing of the program's catches it."""


def labelled(folder: Path) -> Path:
    """The folder with ten images and a table of their landmarks."""
    folder.mkdir(parents=True, exist_ok=True)
    csv_tree(folder)
    return folder


def unlabelled(folder: Path, count: int = 8) -> Path:
    for i in range(count):
        write_image(folder / f"{i:02}.png", (60, 50), seed=50 + i)
    return folder


def mend_label(folder: Path) -> None:
    """Moves one landmark of every image, as somebody does who finds a mistake."""
    (table,) = folder.glob("*.csv")
    table.write_text(table.read_text().replace("20.", "22."))


def mend_image(folder: Path) -> None:
    """Another picture under every name."""
    for i, path in enumerate(sorted(folder.glob("**/*.png"))):
        write_image(path, (60, 50), seed=900 + i)


def command(data: Path, runs: Path, *options: str, precision: str = "fp32", **changes: Any) -> list[str]:
    """The arguments of a run of DVE, whose stage takes well under a second here."""
    fixed = ["run", "--method", "dve", "--variant", "smallnet", "--dataset", f"folder:{data}", "--preset", "smoke"]
    fixed += [
        "--runs",
        str(runs),
        "--annotations",
        "2,all",
        "--draws",
        "2",
        "--device",
        "cpu",
        "--precision",
        precision,
    ]
    return [*fixed, *(part for k, v in {**SMALL, **changes}.items() for part in ("--set", f"{k}={v}")), *options]


def ran(arguments: list[str], code: int = 0) -> tuple[dict[str, Any], str]:
    """(the record or plan that a command prints, what it says on stderr)."""
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        found = run_cli([*arguments, "--json"])
    assert found == code, err.getvalue()
    return json.loads(out.getvalue()) if code == 0 else {}, err.getvalue()


def numbers(record: dict[str, Any]) -> list[Any]:
    """All that a record says was measured or learned, without times."""
    stages = [{k: s[k] for k in ("key", "weights_sha256", "curve", "precision")} for s in record["stages"]]
    return [record["metrics"], stages, record["identity"], record["data"]]


@contextlib.contextmanager
def killed_after(name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A block whose run dies once it has stored the predictions of that name."""
    write: Callable[..., Path] = Predictions.write

    def die(predictions: Predictions, folder: Path) -> Path:
        path = write(predictions, folder)
        if predictions.name == name:
            raise Killed
        return path

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Predictions, "write", die)
        yield


def tree(*folders: Path) -> dict[Path, tuple[int, int]]:
    """Every file and folder below some folders, with size and time."""
    found = [p for folder in folders for p in sorted(folder.rglob("*"))]
    return {p: (p.stat().st_size, p.stat().st_mtime_ns) if p.is_file() else (0, 0) for p in found}


def flip(path: Path, bit: int) -> None:
    """Changes one bit of a file."""
    content = bytearray(path.read_bytes())
    content[bit // 8 % len(content)] ^= 1 << bit % 8
    path.write_bytes(content)
