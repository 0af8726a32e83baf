"""lmbench: one protocol for unsupervised and self-supervised learning of object landmarks.

From Python: `run` a method, `load` a finished run, `compare` two, see a `leaderboard` (docs/python.md). They are handed out on
first use, so that importing lmbench imports no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.4.0"

if TYPE_CHECKING:
    from lmbench.facade import compare, leaderboard, load, run
    from lmbench.results.run import Run

__all__ = ["Run", "__version__", "compare", "leaderboard", "load", "run"]

_HOMES = {"Run": "lmbench.results.run", **dict.fromkeys(("compare", "leaderboard", "load", "run"), "lmbench.facade")}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
