"""Reads MATLAB files in a process of its own and hands on what they hold: a damaged file crashes SciPy's reader.

Run as a script by `lmbench.originals.matlab`; imports nothing of lmbench. From standard input: one request a line, as JSON
(``Asked``), after a first line that is ``sys.path``. To standard output, for each: the lengths of a JSON text and of the bytes
of all arrays, eight bytes each, then both. The text is ``Failed`` or ``Found``; nothing in it is ever executed. Ends with its
standard input.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, TypedDict, final

BASE_MEMORY, TIMES_FILE = 4 << 30, 64  # bytes, and as many more as the file is long


class Asked(TypedDict):
    """Which variables of a file are wanted. ``plain``: structs as dicts, cells as lists, dimensions of one dropped."""

    file: str
    plain: bool
    names: list[str]


@final
class Found(TypedDict):
    """All variables of a file, and the ``values`` of those that are wanted, as nested tags (see ``packed``)."""

    found: list[str]
    values: list[Any]


@final
class Failed(TypedDict):
    """Why a file cannot be read."""

    error: str


def main() -> None:
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints is no part of the answer
    sys.path[:] = json.loads(sys.stdin.readline())
    for line in sys.stdin:
        text, arrays = answer(json.loads(line))
        encoded = json.dumps(text).encode()
        answers.write(len(encoded).to_bytes(8, "little") + len(arrays).to_bytes(8, "little") + encoded + arrays)
        answers.flush()


def answer(asked: Asked) -> tuple[Found | Failed, bytes]:
    """The text and the bytes of the arrays for one request."""
    parts: list[bytes] = []
    try:
        _limit(BASE_MEMORY + TIMES_FILE * os.path.getsize(asked["file"]))
        from scipy.io import loadmat

        content = loadmat(asked["file"], simplify_cells=asked["plain"])
        found = [name for name in content if not name.startswith("__")]
        values = [packed(content[name], parts) for name in asked["names"] if name in content]
        return {"found": found, "values": values}, b"".join(parts)
    except Exception as error:  # whatever SciPy lets through on files that are cut off or none of MATLAB's
        return {"error": str(error) or type(error).__name__}, b""


def _limit(memory: int) -> None:
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (memory, resource.getrlimit(resource.RLIMIT_AS)[1]))
    except (ImportError, OSError, ValueError):  # a system without such limits
        pass


def packed(value: Any, parts: list[bytes]) -> Any:
    """A value as JSON, its arrays' bytes added to ``parts``. Raises TypeError for what is not data."""
    import numpy as np

    if isinstance(value, dict):
        return ["struct", {str(k): packed(v, parts) for k, v in value.items()}]
    if isinstance(value, list):
        return ["list", [packed(v, parts) for v in value]]
    if isinstance(value, complex) and not isinstance(value, np.generic):
        return ["complex", value.real, value.imag]
    if value is None or (isinstance(value, bool | int | float | str) and not isinstance(value, np.generic)):
        return ["plain", value]
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biufcU":
        column_major = isinstance(value, np.ndarray) and not value.flags.c_contiguous
        parts.append(value.tobytes("F" if column_major else "C"))
        kind = "array" if isinstance(value, np.ndarray) else "scalar"
        return [kind, value.dtype.str, list(value.shape), column_major]
    if isinstance(value, np.ndarray) and value.dtype == object:
        return ["cells", list(value.shape), [packed(v, parts) for v in value.ravel()]]
    raise TypeError(f"it holds a {type(value).__name__}, which is not read here")


if __name__ == "__main__":
    main()
