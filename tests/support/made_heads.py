"""The core's heads with the settings that a test gives them, checked as a run's are."""

from __future__ import annotations

from functools import partial
from typing import Any

from lmbench.config.values import settings_of
from lmbench.heads.base import Head
from lmbench.plugins.loading import CORE, get_plugins


def made(name: str, **settings: Any) -> Head:
    """A head of the core by name."""
    spec = get_plugins().find("head", f"{CORE}:{name}").spec
    return spec.make(settings_of(spec, settings))


converged_head = partial(made, "converged")
conditioned_head, linear_head = partial(made, "softargmax_conditioned"), partial(made, "softargmax_linear")
ols_head, ridge_head = partial(made, "ols"), partial(made, "ridge")
mean_shape_head = partial(made, "mean_shape")
