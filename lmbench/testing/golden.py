"""The golden arrays as a pytest fixture: ``from lmbench.testing.golden import golden`` in a plugin's ``conftest.py``.

`leaves` makes tensors of them, `relative_error` compares with them.

They are inputs and outputs of public reference code and no part of the repository: ``$LMBENCH_GOLDEN`` names their folder,
else ``../shared/golden`` beside the checkout. Where they are not there, the test is skipped and says so.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

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


def leaves(case: Mapping[str, Any], dtype: torch.dtype, *names: str) -> list[Tensor]:
    """The inputs of a case as tensors that take gradients: entry ``in_NAME`` for each name."""
    return [torch.as_tensor(case[f"in_{name}"], dtype=dtype).requires_grad_(True) for name in names]


def relative_error(found: Tensor, expected: Any) -> float:
    """The largest error, relative to the largest absolute value of the expected array; shapes have to be equal."""
    wanted = np.asarray(expected)
    assert tuple(found.shape) == wanted.shape, f"found {tuple(found.shape)}, expected {wanted.shape}"
    return float(np.abs(found.detach().double().numpy() - wanted).max() / np.abs(wanted).max())
