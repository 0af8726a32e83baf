"""Small data sets in the exact layout of the originals, made by the tests that read them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lmbench.data.schema import landmark_dataset

ATTRIBUTES = "1 2 2 3"


def write_image(path: Path, size: tuple[int, int] = (60, 60), seed: int = 0, mode: str = "RGB") -> Path:
    """A noisy picture of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    depth = (3,) if mode == "RGB" else ()
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], *depth), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def mtfl_line(path: str, points: np.ndarray) -> str:
    """A line as MTFL writes it: x1..x5, then y1..y5, pixels counted from one."""
    numbers = [*points[:, 0], *points[:, 1]]
    return f"{path} {' '.join(f'{n:.6f}' for n in numbers)} {ATTRIBUTES}"


def write_list(path: Path, lines: list[str]) -> None:
    """CRLF, a blank before every line but the first, and no more: as in MTFL.zip."""
    path.write_bytes("\r\n ".join(lines).encode() + b"\r\n")


def points_of(i: int, size: int = 60) -> np.ndarray:
    """(5, 2) landmarks of a face, counted from one, all different."""
    face = np.array([[20.0, 22.0], [40.0, 22.5], [30.0, 32.0], [23.0, 42.0], [37.25, 42.0]])
    return face * size / 60 + 0.25 * i


def mtfl_tree(root: Path, train: int = 4, test: int = 6) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """MTFL below ``root``: its landmarks as written in the two lists. Two test crops come from each photo."""
    folder = root / "MTFL"
    train_points, test_points = [], []
    train_lines, test_lines = [], []
    for i in range(train):
        write_image(folder / "lfw_5590" / f"Person_{i:04}.jpg", (100, 100), seed=i)
        train_points.append(points_of(i, 100))
        train_lines.append(mtfl_line(f"lfw_5590\\Person_{i:04}.jpg", train_points[-1]))
    for i in range(test):
        name = f"{i + 1:04}-image{i // 2:05}.jpg"
        write_image(folder / "AFLW" / name, seed=1000 + i, mode="L" if i == 1 else "RGB")
        test_points.append(points_of(i))
        test_lines.append(mtfl_line(f"AFLW/{name}", test_points[-1]))
    write_list(folder / "training.txt", train_lines)
    write_list(folder / "testing.txt", test_lines)
    return train_points, test_points


def celeba_tree(root: Path, count: int = 5, held_out: tuple[int, ...] = (2, 4)) -> Path:
    """celeba_half below ``root``, with MAFL's test list (without a final newline, as the real one)."""
    folder = root / "celeba_half"
    for i in range(1, count + 1):
        write_image(folder / "img_align_celeba_half" / f"{i:06}.jpg", (89, 109), seed=i)
    (folder / "MAFL").mkdir()
    names = [f"{i:06}.jpg" for i in (*held_out, 182638)]
    (folder / "MAFL" / "testing.txt").write_text("\n".join(names), encoding="utf-8")
    return folder


def embedded(count: int) -> dict[str, Any]:
    """Two splits of images that are no images, each of its own bytes, as a loader gives them."""
    images = [bytes([i % 256]) * 40 for i in range(count)]
    points = np.arange(count * 4, dtype=np.float32).reshape(count, 2, 2)
    return {s: landmark_dataset(images, [f"{s}{i}" for i in range(count)], points) for s in ("train", "test")}
