"""MATLAB files: read in a process of its own, with the same values as SciPy's, and a damaged one is a message."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from lmbench.errors import DataError
from lmbench.originals.matlab import CHILD, read_mat


def same(found, expected) -> None:
    assert type(found) is type(expected)
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        [same(found[k], expected[k]) for k in expected]
    elif isinstance(expected, list) or (isinstance(expected, np.ndarray) and expected.dtype == object):
        assert np.shape(found) == np.shape(expected)
        inner = (list(v.ravel()) if isinstance(v, np.ndarray) else v for v in (found, expected))
        [same(a, b) for a, b in zip(*inner, strict=True)]
    elif isinstance(expected, np.ndarray):
        assert found.dtype == expected.dtype and found.flags.writeable
        np.testing.assert_array_equal(found, expected)
    else:
        assert found == expected or (found != found and expected != expected)


@pytest.fixture
def mat(tmp_path: Path) -> Path:
    videos = np.empty(2, object)
    videos[0] = {"joints": np.arange(12).reshape(2, 3, 2), "name": "a", "source": {"fps": 25.0, "bad": np.nan}}
    videos[1] = {"joints": np.zeros((0, 2)), "name": "b", "source": {"fps": 30.0, "bad": 1.0}}
    words = np.empty(3, object)
    words[:] = ["one", "two", "drei"]
    content = {
        "videos": videos,
        "words": words,
        "flag": np.array([True, False]),
        "z": np.array([1 + 2j]),
        "n": np.uint8(7),
    }
    content |= {
        "points": np.random.default_rng(0).normal(0, 1, (4, 3, 2)).astype(np.float32),
        "text": "ü",
        "empty": np.zeros(0),
    }
    savemat(tmp_path / "a.mat", content, do_compression=True)
    return tmp_path / "a.mat"


def test_structs_cells_and_arrays_are_those_of_scipy(mat):
    names = ["videos", "words", "flag", "z", "n", "points", "text", "empty"]
    expected = loadmat(mat, simplify_cells=True)
    for name, found in zip(names, read_mat(mat, *names, plain=True), strict=True):
        same(found, expected[name])
    expected = loadmat(mat)
    for name, found in zip(names[1:], read_mat(mat, *names[1:]), strict=True):
        same(found, expected[name])


def test_a_file_that_crashes_its_reader_is_a_message(mat, tmp_path, monkeypatch):
    fatal = tmp_path / "fatal.py"
    fatal.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    monkeypatch.setattr("lmbench.originals.matlab.CHILD", fatal)
    monkeypatch.setattr("lmbench.originals.matlab._reader", None)
    with pytest.raises(
        DataError, match=r"a\.mat cannot be read as a MATLAB file \(.*crashes \(SIGSEGV\)\); fetch it again"
    ):
        read_mat(mat, "n")
    fatal.write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setattr("lmbench.originals.matlab.SECONDS", 0.2)
    with pytest.raises(DataError, match="takes more than 0 s"):
        read_mat(mat, "n")
    monkeypatch.undo()
    assert read_mat(mat, "n")[0] == 7  # the next file has a new reader


def test_a_damaged_file_is_named_with_what_scipy_says(mat, tmp_path):
    for name, content in {"cut.mat": mat.read_bytes()[:300], "text.mat": b"x,y\n1,2\n", "empty.mat": b""}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=f"{name} cannot be read as a MATLAB file"):
            read_mat(tmp_path / name, "n")
    with pytest.raises(DataError, match=r"has no gt and no hw; it holds .*points.* Is it of another dataset"):
        read_mat(mat, "gt", "hw")


def test_the_reader_runs_alone_wherever_it_lies(mat, tmp_path):
    """As in a wheel and without the user's site: the script needs nothing but SciPy from the path it is told."""
    script = tmp_path / "elsewhere.py"
    script.write_bytes(CHILD.read_bytes())
    asked = [json.dumps(line) for line in (sys.path, {"file": str(mat), "plain": True, "names": ["n"]})]
    given = ("\n".join(asked) + "\n").encode()
    done = subprocess.run([sys.executable, "-I", str(script)], input=given, capture_output=True, check=True)
    assert b'["plain", 7]' in done.stdout
