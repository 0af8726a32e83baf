"""Arrays in files that are mapped into memory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt


def new_array_file(path: Path, dtype: npt.DTypeLike, shape: tuple[int, ...]) -> np.memmap[Any, np.dtype[Any]]:
    """A new .npy file mapped for writing. Raises OSError where the disk has no room for all of it.

    A mapped file has holes until it is written to, and a full disk then kills the process (SIGBUS) without a word; so
    the room is claimed first.
    """
    array: np.memmap[Any, np.dtype[Any]] = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    if hasattr(os, "posix_fallocate"):
        with open(path, "r+b") as file:
            os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
    return array
