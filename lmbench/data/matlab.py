"""Arrays of MATLAB files (version 7 and before, which every dataset here uses)."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from lmbench.errors import DataError

# What SciPy lets through on files that are cut off or none of MATLAB's, besides its own error.
UNREADABLE = (
    MatReadError,
    ValueError,
    TypeError,
    LookupError,
    OSError,
    NotImplementedError,
    EOFError,
    struct.error,
    zlib.error,
)


def read_mat(path: Path, *names: str, plain: bool = False, advice: str = "") -> list[Any]:
    """The named variables. ``plain``: structs as dicts, cells as lists, dimensions of one dropped.

    Raises DataError: not there (``advice`` says what to do), another format, damaged, or a variable is absent.
    """
    if not path.is_file():
        raise DataError(f"{path} is missing. {advice}".rstrip())
    try:
        content: dict[str, Any] = loadmat(path, simplify_cells=plain)
    except UNREADABLE as error:
        raise DataError(f"{path} cannot be read as a MATLAB file ({error}); fetch it again.") from None
    absent = [name for name in names if name not in content]
    if absent:
        found = ", ".join(n for n in content if not n.startswith("__")) or "nothing"
        raise DataError(f"{path} has no {' and no '.join(absent)}; it holds {found}. Is it of another dataset?")
    return [content[name] for name in names]
