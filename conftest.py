"""Settings of all tests, here and of the plugins."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:  # the workers of `pytest -n` share the cores: a thread each, set before torch
    os.environ.setdefault("OMP_NUM_THREADS", "1")
