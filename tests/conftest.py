"""Fixtures that find the data which is not part of the repository."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

ROOT = Path(__file__).resolve().parent.parent

Arrays = dict[str, npt.NDArray[Any]]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "golden: compares with numbers of the public reference code")


def _folder(variable: str, default: Path) -> Path:
    folder = Path(os.environ.get(variable, default)).resolve()
    if not folder.is_dir():
        pytest.skip(f"{folder} does not exist; set {variable} to the folder that holds it")
    return folder


@pytest.fixture(scope="session")
def golden() -> Callable[[str], Arrays]:
    """A function that loads one golden case by name (`$LMBENCH_GOLDEN`, else ../shared/golden)."""

    def load(name: str) -> Arrays:
        path = _folder("LMBENCH_GOLDEN", ROOT.parent / "shared" / "golden") / f"{name}.npz"
        if not path.is_file():
            pytest.skip(f"{path} does not exist")
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)

    return load


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real data sets (`$LMBENCH_TEST_DATA`, else ../shared/data)."""
    return _folder("LMBENCH_TEST_DATA", ROOT.parent / "shared" / "data")
