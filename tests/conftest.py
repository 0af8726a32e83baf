"""Fixtures that tests share: data which is not part of the repository, pixel stores of small trees, throw-away plugins."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import datasets
import pytest
import torch
from browsing import _chromium, browser  # noqa: F401  (fixtures)
from fake_plugins import make  # noqa: F401  (a fixture)

from lmbench.data.pixels import PixelStore, open_pixels
from lmbench.plugins.loading import get_plugins
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


@pytest.fixture
def pixels(tmp_path: Path) -> Callable[[str, datasets.Dataset], PixelStore]:
    """The pixel store of a split under a dataset's own preprocessing."""

    number = iter(range(99))

    def build(name: str, dataset: datasets.Dataset) -> PixelStore:
        steps = get_plugins().find("dataset", name).spec.preprocessing
        return open_pixels(dataset, f"{name} {next(number)}", "split", steps, tmp_path / "cache")

    return build


@pytest.fixture
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
