"""Arrays of MATLAB files (version 7 and before, which every dataset here uses)."""

from __future__ import annotations

import io
import json
import math
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np

from lmbench.errors import DataError
from lmbench.originals.matlab_child import Asked, Failed, Found

CHILD = Path(__file__).with_name("matlab_child.py")
SECONDS, SECONDS_A_MEGABYTE = 120, 2
ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OPENBLAS", "OMP", "MKL")}  # their stacks count as memory


def read_mat(path: Path, *names: str, plain: bool = False, advice: str = "") -> list[Any]:
    """The named variables. ``plain``: structs as dicts, cells as lists, dimensions of one dropped.

    SciPy reads the file in a process of its own, for a damaged one crashes it. Raises DataError: not there (``advice`` says
    what to do), another format, damaged, or a variable is absent.
    """
    if not path.is_file():
        raise DataError(f"{path} is missing. {advice}".rstrip())
    text, arrays = _ask(path, {"file": str(path), "plain": plain, "names": list(names)})
    if "error" in text:
        raise _unreadable(path, " ".join(text["error"].split()))
    absent = [name for name in names if name not in text["found"]]
    if absent:
        found = ", ".join(text["found"]) or "nothing"
        raise DataError(f"{path} has no {' and no '.join(absent)}; it holds {found}. Is it of another dataset?")
    return [_unpacked(value, arrays) for value in text["values"]]


_asking = threading.Lock()
_reader: tuple[int, subprocess.Popen[bytes]] | None = None
"""The process that reads, kept for the next file (it takes most of a second to start), and whose child it is."""


def _ask(path: Path, asked: Asked) -> tuple[Found | Failed, io.BytesIO]:
    global _reader
    with _asking:
        if _reader is None or _reader[0] != os.getpid():  # a forked process has its parent's
            _reader = os.getpid(), _start()
        process = _reader[1]
        assert process.stdin is not None and process.stdout is not None
        seconds = SECONDS + SECONDS_A_MEGABYTE * path.stat().st_size / (1 << 20)
        late = threading.Timer(seconds, process.kill)
        late.start()
        try:
            process.stdin.write(json.dumps(asked).encode() + b"\n")
            process.stdin.flush()
            lengths = process.stdout.read(16)
            text, arrays = (process.stdout.read(int.from_bytes(lengths[i : i + 8], "little")) for i in (0, 8))
            return json.loads(text), io.BytesIO(arrays)
        except (OSError, ValueError):  # it is gone, in the middle of its answer or before
            _reader = None
            code = process.wait()
        finally:
            timely = late.is_alive()
            late.cancel()
    if not timely:
        raise _unreadable(path, f"reading it takes more than {seconds:.0f} s")
    by = f" ({signal.Signals(-code).name})" if code < 0 else ""
    raise _unreadable(path, f"it is damaged so that reading it crashes{by}")


def _start() -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-I", str(CHILD)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **ONE_THREAD},
        start_new_session=True,  # Ctrl-C is for us; it ends with its standard input, however we end
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps([p for p in sys.path if p]).encode() + b"\n")
    return process


def _unreadable(path: Path, said: str) -> DataError:
    return DataError(f"{path} cannot be read as a MATLAB file ({said}); fetch it again.")


def _unpacked(value: Any, arrays: io.BytesIO) -> Any:
    """What ``packed`` of `matlab_child` was given; ``arrays`` stands at the bytes of its first array."""
    kind, *rest = value
    if kind == "struct":
        return {name: _unpacked(inner, arrays) for name, inner in rest[0].items()}
    if kind == "list":
        return [_unpacked(inner, arrays) for inner in rest[0]]
    if kind == "plain":
        return rest[0]
    if kind == "complex":
        return complex(*rest)
    if kind == "cells":
        cells = np.empty(math.prod(rest[0]), object)
        for position, inner in enumerate(rest[1]):
            cells[position] = _unpacked(inner, arrays)
        return cells.reshape(rest[0])
    dtype, shape, column_major = np.dtype(rest[0]), rest[1], rest[2]
    content = arrays.read(math.prod(shape) * dtype.itemsize)
    array = np.frombuffer(content, dtype).reshape(shape, order="F" if column_major else "C").copy("K")
    return array if kind == "array" else array[()]
