"""The golden arrays of the public reference code, for tests marked ``golden``."""

from __future__ import annotations

import pytest

from lmbench.testing.golden import golden  # noqa: F401  (a fixture)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "golden: compares with numbers of the public reference code")
