"""Finds the golden arrays, which are not part of the repository."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

GOLDEN = Path(__file__).resolve().parents[4] / "shared" / "golden"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "golden: compares with numbers of the public reference code")


@pytest.fixture(scope="session")
def golden() -> Callable[[str], dict[str, Any]]:
    """A function that loads one golden case by name (`$LMBENCH_GOLDEN`, else ../shared/golden beside the checkout)."""

    def load(name: str) -> dict[str, Any]:
        path = Path(os.environ.get("LMBENCH_GOLDEN", GOLDEN)) / f"{name}.npz"
        if not path.is_file():
            pytest.skip(f"{path} does not exist; set LMBENCH_GOLDEN to the folder that holds it")
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)

    return load
