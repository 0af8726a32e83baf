"""Datasets that may be downloaded, by torchvision's own downloaders and into its layout below the data root."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lmbench import progress
from lmbench.errors import DataError, UsageError

SHOWN = 300  # characters of what a downloader said


@dataclass(frozen=True)
class Download:
    """``fetch(data_root)`` leaves the originals in ``folder`` below the data root; ``page`` is where they are by hand."""

    folder: str
    page: str
    fetch: Callable[[Path], None]


def _celeba(root: Path) -> None:
    from torchvision.datasets import CelebA

    CelebA(str(root), split="all", download=True)


def _mnist(root: Path) -> None:
    from torchvision.datasets import MNIST

    MNIST(str(root), download=True)


DOWNLOADS = {
    "celeba": Download("celeba", "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html", _celeba),
    "mnist": Download("MNIST", "https://ossci-datasets.s3.amazonaws.com/mnist/", _mnist),
}


def download(name: str, root: Path, source: str = "") -> Path:
    """The folder of the originals, downloaded unless they are there.

    Raises UsageError for a dataset that nobody may download by program, DataError naming the page where it failed.
    """
    known = DOWNLOADS.get(name)
    if known is None:
        get = f"Get it from {source}" if source else "Get it from its authors"
        raise UsageError(f"{name} cannot be downloaded (only {', '.join(DOWNLOADS)}). {get}, and pass --source.")
    place = root / known.folder
    try:
        root.mkdir(parents=True, exist_ok=True)
        with progress.drawing(), contextlib.redirect_stdout(sys.stderr):  # stdout is for results
            known.fetch(root)
    except Exception as error:  # downloaders raise whatever the network and the server make them raise
        said = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{name}: the download failed: {said[:SHOWN]}. Check the connection and give the command again, or get it by "
            f"hand from {known.page}, put it at {place} and pass --source {place}."
        ) from None
    if not place.is_dir():
        raise DataError(f"{name}: the download left no folder {place}; get it by hand from {known.page}.")
    return place
