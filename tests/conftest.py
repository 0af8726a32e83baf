"""Fixtures that find the data which is not part of the repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lmbench.testing.golden import golden  # noqa: F401  (a fixture)

ROOT = Path(__file__).resolve().parent.parent


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "golden: compares with numbers of the public reference code")


def _folder(variable: str, default: Path) -> Path:
    folder = Path(os.environ.get(variable, default)).resolve()
    if not folder.is_dir():
        pytest.skip(f"{folder} does not exist; set {variable} to the folder that holds it")
    return folder


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real data sets (`$LMBENCH_TEST_DATA`, else ../shared/data)."""
    return _folder("LMBENCH_TEST_DATA", ROOT.parent / "shared" / "data")
