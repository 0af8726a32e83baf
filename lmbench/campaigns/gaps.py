"""Why a run, or a number that hangs on it, is not there, and the exit code that this makes. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from lmbench.errors import LmbenchError

PARTLY_DONE, MISSING = 4, 5


@dataclass(frozen=True)
class Gap:
    """Why a run is not done.

    ``scope``: nothing is to be done about it here. ``missing``: data, a plugin or a metric is. ``failed``: the run broke off.
    ``waits``: the same command does it.
    """

    kind: Literal["scope", "missing", "failed", "waits"]
    reason: str


def exit_code(gaps: Iterable[Gap], done: int) -> int:
    """0: all is done that can be; 4: some is; 1: nothing, for it failed; 4: nothing yet; 5: nothing, for want of data."""
    kinds = {gap.kind for gap in gaps} - {"scope"}
    if not kinds:
        return 0
    if done:
        return PARTLY_DONE
    if "failed" in kinds:
        return LmbenchError.exit_code
    return PARTLY_DONE if "waits" in kinds else MISSING


def said(error: BaseException) -> str:
    """An error in one line; its type too where it is none of lmbench's own."""
    text = " ".join(str(error).split())
    return text if isinstance(error, LmbenchError) else f"{type(error).__name__}: {text}"
