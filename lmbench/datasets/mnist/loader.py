"""MNIST (LeCun et al. 1998), one digit at a time, unlabelled: what the 2017 paper shows landmarks on."""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from pathlib import Path

import datasets
import numpy as np
from PIL import Image

from lmbench.data.schema import landmark_dataset
from lmbench.errors import DataError, UsageError

FILES = ("{}-images-idx3-ubyte", "{}-labels-idx1-ubyte")
HELD_OUT = 1000  # Thewlis et al. 2017, supplement, sec. 4: 1,000 images a digit for validation, the rest for training
SIDE = 28
BOX = (-4, -4, 36, 36)  # 28 px resized to 35 with 5 black ones on each side are 36 px resized to 45
UNSIGNED_BYTE = 8


def load(root: Path, argument: str) -> dict[str, datasets.Dataset]:
    """A digit's training images without its last 1,000; ``argument``: ``3``, or ``3/t10k`` for all of the test files.

    Raises UsageError for what is no digit, DataError for missing or damaged idx files.
    """
    digit, part = _asked(argument)
    images, labels = (read_idx(_find(root, name.format(part), part)) for name in FILES)
    if images.ndim != 3 or images.shape[1:] != (SIDE, SIDE) or labels.shape != images.shape[:1]:
        raise DataError(
            f"mnist: under {root} are images of shape {images.shape} and labels of shape {labels.shape}; "
            f"(N, {SIDE}, {SIDE}) and (N,) are expected."
        )
    chosen = np.flatnonzero(labels == digit)
    if part == "train":
        chosen = chosen[:-HELD_OUT]
    if len(chosen) == 0:
        raise DataError(f"mnist:{argument}: too few images of {digit} among the {len(labels)} under {root}.")
    encoded = [_png(images[i]) for i in chosen]
    ids = [f"{part}/{i:05}" for i in chosen]
    boxes = np.tile(np.array(BOX, np.float32), (len(ids), 1))
    return {"train": landmark_dataset(encoded, ids, boxes=boxes, where=f"mnist:{argument}")}


def read_idx(path: Path) -> np.ndarray:
    """The array of an idx file of bytes, packed with gzip or not. Raises DataError naming what is wrong with it."""
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"mnist: {path} cannot be unpacked ({error}); fetch it again.") from None
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != UNSIGNED_BYTE:
        raise DataError(f"mnist: {path} is no idx file of bytes (it begins with {content[:4].hex() or 'nothing'}).")
    rank = content[3]
    start = 4 + 4 * rank
    shape = struct.unpack(f">{rank}I", content[4:start]) if len(content) >= start else ()
    if len(shape) != rank or len(content) != start + int(np.prod(shape, dtype=np.int64)):
        raise DataError(
            f"mnist: {path} has {len(content)} bytes, which does not fit its shape {shape}; fetch it again."
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _asked(argument: str) -> tuple[int, str]:
    digit, _, part = argument.partition("/")
    if len(digit) != 1 or digit not in "0123456789" or part not in ("", "t10k"):
        raise UsageError(f"mnist:{argument}: a digit is expected (mnist:3), or one of the test files (mnist:3/t10k).")
    return int(digit), part or "train"


def _find(root: Path, name: str, part: str) -> Path:
    for folder in (root, root / "raw"):
        for candidate in (name, f"{name}.gz", name.replace("-idx", ".idx")):
            if (folder / candidate).is_file():
                return folder / candidate
    hint = " The test files are read by mnist:3/t10k." if part == "train" else ""
    raise DataError(f"mnist: {root / name} is missing (also as .gz). Put the four idx files of MNIST there.{hint}")


def _png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
