"""Small trees of birds, cats, bodies, digits and shoes in the exact layout of the originals."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import scipy.io
from PIL import Image
from small_trees import write_image

from lmbench.data.schema import Incomplete, column

BIRDS = {14: "014.Indigo_Bunting", 170: "170.Mourning_Warbler", 1: "001.Black_footed_Albatross"}


def cub_tree(root: Path, each: int = 4) -> dict[str, np.ndarray]:
    """CUB_200_2011 below ``root``: ``each`` images of three species. Gives name -> (15, 3) x, y, visible as written."""
    folder = root / "CUB_200_2011"
    (folder / "parts").mkdir(parents=True)
    generator = np.random.default_rng(0)
    names, lines, classes, split, parts = [], [], [], [], {}
    for number, species in sorted(BIRDS.items()):
        for i in range(each):
            name = f"{species}/Bird_{i:04}_{number}.jpg"
            write_image(folder / "images" / name, (60, 40), seed=len(names))
            names.append(name)
            rows = np.c_[generator.integers(1, 39, (15, 2)), generator.random(15) < 0.8].astype(float)
            rows[rows[:, 2] == 0] = 0
            rows[0, 2] = 1
            parts[name] = rows
            image = len(names)
            lines += [f"{image} {k + 1} {x:.1f} {y:.1f} {int(v)}" for k, (x, y, v) in enumerate(rows)]
            classes.append(f"{image} {number}")
            split.append(f"{image} {i % 2}")
    write_lines(folder / "images.txt", [f"{i} {n}" for i, n in enumerate(names, 1)])
    write_lines(folder / "classes.txt", [f"{number} {name}" for number, name in sorted(BIRDS.items())])
    write_lines(folder / "image_class_labels.txt", classes)
    write_lines(folder / "train_test_split.txt", split)
    write_lines(folder / "parts" / "part_locs.txt", lines)
    return parts


def cub_lists(folder: Path, lists: dict[str, list[str]]) -> None:
    """The split lists as the reference code has them: absolute paths of the authors' machine."""
    (folder / "split").mkdir()
    for split, names in lists.items():
        write_lines(folder / "split" / f"{split}.txt", [f"/mnt/nfs/somebody/CUB_200_2011/images/{n}" for n in names])


def cub_masks(root: Path, names: Iterable[str], inside: bool = False) -> Path:
    """segmentations below ``root`` or in CUB_200_2011: left halves that all annotators saw, a rim that two of five did."""
    folder = root / "CUB_200_2011" / "segmentations" if inside else root / "segmentations"
    grey = np.zeros((40, 60), np.uint8)
    grey[:, :30], grey[:, 30:33] = 255, 102
    for name in names:
        path = folder / Path(name).with_suffix(".png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(grey).save(path)
    return folder


def cat_tree(root: Path, count: int = 20) -> dict[str, np.ndarray]:
    """CAT below ``root``, with the two files without partners that the archives hold. Gives name -> (9, 2)."""
    points = {}
    shape = np.array([[30, 40], [50, 40], [40, 55], [20, 25], [18, 5], [30, 20], [50, 20], [62, 5], [60, 25]])
    for i in range(count):
        name = f"0000000{i // 10}_{i % 10:03}.jpg"
        folder = root / "CAT" / f"CAT_0{i % 2}"
        write_image(folder / name, (90, 80), seed=i)
        points[name] = shape + [i % 7, -i % 9]
        write_cat(folder / f"{name}.cat", points[name])
    write_image(root / "CAT" / "CAT_00" / "00000003_015.jpg", (90, 80))
    write_cat(root / "CAT" / "CAT_00" / "00000003_019.jpg.cat", shape)
    (root / "CAT" / "CAT_00" / "Thumbs.db").write_bytes(b"\xd0\xcf")
    return points


def write_cat(path: Path, points: np.ndarray) -> None:
    """One line with a trailing blank and no newline, as in the archives."""
    path.write_text(f"{len(points)} " + " ".join(str(int(v)) for v in points.ravel()) + " ")


def bbc_tree(root: Path, frames: int = 3, videos: int = 20, field: str = "both") -> dict[tuple[int, int], np.ndarray]:
    """bbcpose below ``root``: frames of 720x405 and code/bbcpose.mat. Gives (video, frame) -> (7, 2), from one."""
    folder = root / "bbcpose"
    (folder / "code").mkdir(parents=True)
    generator = np.random.default_rng(1)
    written: dict[tuple[int, int], np.ndarray] = {}
    structs = np.zeros((1, 92), [(n, object) for n in BBC_FIELDS])
    for number in range(1, 93):
        numbers = [10 * number + i for i in range(frames)] if number <= 20 else []
        joints = generator.uniform([200, 100], [520, 300], (len(numbers), 7, 2))
        manual = 10 < number <= 20
        empty = np.zeros((0, 0))
        mat = joints.transpose(2, 1, 0) if numbers else empty
        row = np.array([numbers], float) if numbers else empty
        structs[0, number - 1] = (f"video{number}", "test" if manual else "train", "manual", row, mat,
                                  row if manual else empty, mat if manual else empty)  # fmt: skip
        for frame, at in zip(numbers, joints, strict=True):
            written[number, frame] = at
            if number <= videos:
                (folder / str(number)).mkdir(exist_ok=True)
                Image.new("RGB", (720, 405), (frame % 256, 90, 90)).save(folder / str(number) / f"{frame}.jpg")
    scipy.io.savemat(folder / "code" / "bbcpose.mat", {"bbcpose": structs})
    return written


BBC_FIELDS = ("videoName", "type", "source", "train_frames", "train_joints", "test_frames", "test_joints")


def lspet_tree(root: Path, count: int = 12, listed: int = 20) -> np.ndarray:
    """LSPET below ``root``: ``joints`` (14, 3, listed) as written, of which ``count`` images are there."""
    generator = np.random.default_rng(2)
    joints = generator.uniform(10, 70, (14, 3, listed))
    joints[:, 2] = generator.random((14, listed)) < 0.8
    joints[0, 2] = 1
    joints[:, :2][np.broadcast_to(joints[:, 2:] == 0, (14, 2, listed))] = -60.5
    for i in range(1, count + 1):
        write_image(root / "LSPET" / "images" / f"im{i:05}.jpg", (90, 80), seed=i)
    scipy.io.savemat(root / "LSPET" / "joints.mat", {"joints": joints})
    return joints


def mnist_tree(root: Path, count: int = 2200, packed: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """MNIST below ``root``: training images and labels (0 and 3 in turn)."""
    images = np.random.default_rng(3).integers(0, 256, (count, 28, 28), dtype=np.uint8)
    labels = (3 * (np.arange(count) % 2)).astype(np.uint8)
    (root / "MNIST").mkdir(parents=True)
    for name, array in (("train-images-idx3-ubyte", images), ("train-labels-idx1-ubyte", labels)):
        content = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
        path = root / "MNIST" / (f"{name}.gz" if packed else name)
        path.write_bytes(gzip.compress(content, 1) if packed else content)
    return images, labels


def inat_tree(root: Path, species: int = 2, each: int = 3) -> list[str]:
    """inat2017 below ``root``: the names of its birds, and a plant that is none."""
    names = []
    for s in range(species):
        for i in range(each):
            names.append(f"Species {s}/{s}{i}abc.jpg")
            write_image(root / "inat2017" / "train_val_images" / "Aves" / names[-1], (50, 40), seed=10 * s + i)
    write_image(root / "inat2017" / "train_val_images" / "Plantae" / "Rosa" / "r.jpg")
    return names


def write_lines(path: Path, lines: list[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines))


def there(load: Any, *arguments: Any) -> dict[str, datasets.Dataset]:
    """What a loader has, whether or not something is missing."""
    try:
        return dict(load(*arguments))
    except Incomplete as error:
        return dict(error.splits)


def landmarks_by_id(splits: dict[str, datasets.Dataset]) -> dict[str, np.ndarray]:
    return {
        str(i): np.c_[p, v]
        for d in splits.values()
        for i, p, v in zip(column(d, "source_id"), column(d, "landmarks"), column(d, "visible"), strict=True)
    }
