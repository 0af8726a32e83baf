"""What the fuzzer tries: every kind of file that lmbench reads, small and whole."""

from __future__ import annotations

import csv
import json
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
import torchvision
from folder_trees import TREES
from fuzzing import Subject, read_dataset
from made_records import record
from made_runs import predicted
from other_trees import bbc_tree, cat_tree, cub_tree, inat_tree, lspet_tree, mnist_tree
from PIL import Image
from small_face_trees import aflw_m_tree, aflw_r_tree, celeba_full_tree, w300_tree, yaleb_tree
from small_trees import celeba_tree, mtfl_tree, write_image

from lmbench.backbones.resnet import FIRST, load_weights
from lmbench.config.overrides import read_toml
from lmbench.config.resolving import resolve_run
from lmbench.metrics.base import Predictions
from lmbench.originals.archives import unpack
from lmbench.originals.matlab import read_mat
from lmbench.plugins.loading import get_plugins
from lmbench.results.leaderboard import build
from lmbench.results.measuring import measure

PICTURES = {
    "png": "RGB",
    "jpg": "RGB",
    "bmp": "RGB",
    "tiff": "RGB",
    "webp": "RGB",
    "gif": "P",
    "pgm": "L",
    "ppm": "RGB",
}
ORIGINALS: dict[str, tuple[Callable[[Path], object], str]] = {
    "aflw_mtfl": (mtfl_tree, "txt"),
    "celeba_half": (celeba_tree, "txt jpg"),
    "mafl": (celeba_full_tree, "txt"),
    "mafl_wild": (celeba_full_tree, "txt"),
    "celeba": (celeba_full_tree, "txt"),
    "aflw_m": (aflw_m_tree, "csv txt"),
    "aflw_r": (aflw_r_tree, "mat txt"),
    "300w": (w300_tree, "pts mat"),
    "yaleb": (yaleb_tree, "pgm"),
    "cub": (lambda root: cub_tree(root), "txt jpg"),
    "cats": (cat_tree, "cat jpg"),
    "bbcpose": (lambda root: bbc_tree(root, frames=1), "mat"),
    "lspet": (lspet_tree, "mat"),
    "mnist:3": (lambda root: mnist_tree(root), "gz"),
    "mnist:0": (lambda root: mnist_tree(root, packed=False), "ubyte"),
    "inat_aves": (inat_tree, "jpg"),
}
HEAVY = ("bbcpose", "mnist:3", "mnist:0")  # their pixels take seconds a trial


def subjects(root: Path) -> Iterator[Subject]:
    """Every subject, made below ``root``."""
    for name, (make, suffixes) in ORIGINALS.items():
        folder = root / name
        folder.mkdir(parents=True)
        make(folder)
        read = lambda folder=folder, name=name: read_dataset(name, folder, name not in HEAVY)  # noqa: E731
        yield Subject(name, folder, read, _files(folder, suffixes))
    for name, tree in TREES.items():
        folder = root / f"folder-{name}"
        tree(folder)
        read = lambda folder=folder: read_dataset(f"folder:{folder}", folder)  # noqa: E731
        yield Subject(f"folder, {name}", folder, read, _files(folder, "json csv xml pts"))
    for suffix, mode in PICTURES.items():
        folder = root / f"images-{suffix}"
        folder.mkdir()
        for i in range(3):
            pixels = np.random.default_rng(i).integers(0, 256, (50, 60, 3), dtype=np.uint8)
            Image.fromarray(pixels).convert(mode).save(folder / f"{i}.{suffix}")
        read = lambda folder=folder: read_dataset(f"images:{folder}", folder)  # noqa: E731
        yield Subject(f"images, {suffix}", folder, read, _files(folder, suffix))
    yield from _others(root)


def _files(folder: Path, suffixes: str) -> tuple[Path, ...]:
    """The files that are changed: a few of each suffix, lists before images."""
    found = [sorted(p for p in folder.rglob("*") if p.is_file() and p.name.endswith(s))[:8] for s in suffixes.split()]
    found = [part for part in found if part]
    assert found, folder
    return tuple(p for part in found for p in (part[:2] if part[0].suffix in (".jpg", ".pgm") else part))


def _others(root: Path) -> Iterator[Subject]:
    folder = root / "mat"
    aflw_r_tree(folder)
    file = next(folder.rglob("*train_keypoints.mat"))
    yield Subject("mat, arrays", folder, lambda f=file: read_mat(f, "gt", "hw"), (file,))
    bbc_tree(root / "structs", frames=1, videos=1)
    structs = next((root / "structs").rglob("*.mat"))
    yield Subject("mat, structs", folder, lambda: read_mat(structs, "bbcpose", plain=True), (structs,))

    folder = root / "archives"
    for i in range(3):
        write_image(folder / "in" / "birds" / f"{i}.png", seed=i)
    archives = [folder / name for name in ("a.zip", "a.tar", "a.tar.gz", "a.tar.bz2", "a.tar.xz")]
    with zipfile.ZipFile(archives[0], "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted((folder / "in").rglob("*.png")):
            packed.write(path, path.relative_to(folder))
    for archive, mode in zip(archives[1:], ("w", "w:gz", "w:bz2", "w:xz"), strict=True):
        with tarfile.open(archive, mode) as tarred:
            tarred.add(folder / "in", "in")
    for archive in archives:
        out = root / f"out-{archive.name}"
        yield Subject(f"archive, {archive.name}", folder, lambda a=archive, o=out: _unpacked(a, o), (archive,))

    folder = root / "checkpoints"
    folder.mkdir()
    torch.manual_seed(0)
    network = torchvision.models.resnet18()
    torch.save({"state_dict": network.state_dict()}, folder / "new.pth")
    torch.save(network.state_dict(), folder / "old.pth", _use_new_zipfile_serialization=False)
    safetensors.torch.save_file(network.state_dict(), folder / "a.safetensors")
    for file in sorted(folder.iterdir()):
        read = lambda f=file: load_weights(network, str(f), "resnet18")  # noqa: E731
        yield Subject(f"checkpoint, {file.name}", folder, read, (file,))
    assert FIRST

    runs = root / "records" / "runs"
    for i in range(2):
        (runs / f"r{i}").mkdir(parents=True)
        text = json.dumps(record(f"r{i}", "mine", 1.5 + i, stages=[{"key": "ab12", "name": "s"}]), indent=1)
        (runs / f"r{i}" / "record.json").write_text(text)
    files = tuple(sorted(runs.rglob("record.json")))
    yield Subject("record", runs, lambda: _boards(runs, root / "records" / "out"), files)

    folder = root / "predictions"
    stored = predicted(1.0)
    stored.write(folder)
    files = tuple(sorted(folder.iterdir()))
    yield Subject("predictions", folder, lambda: _measured(folder, stored.name), files)

    folder = root / "configs"
    folder.mkdir()
    (folder / "run.toml").write_text(
        'train_images = 20\nprecision = "fp32"\n[regression]\nannotations = [5, "all"]\ndraws = 2\nsize = 24\n'
        "[stages.byol.training]\nepochs = 2\nbatch_size = 32\nframe = 64\n[stages.byol.training.optimiser]\nlr = 0.03\n"
    )
    yield Subject("TOML", folder, lambda: _resolved(folder / "run.toml"), (folder / "run.toml",))


def _unpacked(archive: Path, out: Path) -> None:
    unpack(archive, out)
    for path in out.rglob("*"):
        assert not path.is_symlink() and path.name[-5:] != ".part"


def _boards(runs: Path, out: Path) -> None:
    built = build(runs, out)
    for text in built.files.values():
        for row in csv.DictReader(text.splitlines()):
            assert abs(float(row["value"])) <= 1e9


def _measured(folder: Path, name: str) -> None:
    found = Predictions.read(folder, name)
    for row in measure(found, get_plugins()) if found is not None else []:
        assert np.isfinite(row.value)


def _resolved(path: Path) -> None:
    resolve_run(get_plugins(), "lead", "synthfaces", preset="smoke", overrides=[read_toml(path)])
