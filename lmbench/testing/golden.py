"""The golden arrays as a pytest fixture: ``from lmbench.testing.golden import golden`` in a plugin's ``conftest.py``.

They are inputs and outputs of public reference code and no part of the repository: ``$LMBENCH_GOLDEN`` names their folder,
else ``../shared/golden`` beside the checkout. Where they are not there, the test is skipped and says so.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

GOLDEN = Path(__file__).resolve().parents[3] / "shared" / "golden"


@pytest.fixture(scope="session")
def golden() -> Callable[[str], dict[str, Any]]:
    """A function that loads one golden case by name."""

    def load(name: str) -> dict[str, Any]:
        path = Path(os.environ.get("LMBENCH_GOLDEN", GOLDEN)).resolve() / f"{name}.npz"
        if not path.is_file():
            pytest.skip(f"{path} does not exist; set LMBENCH_GOLDEN to the folder that holds it")
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)

    return load
