"""The errors a user may meet, each with the exit code it ends the command with."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LONGEST_TEXT = 2000
MANY_NAMES = 1000


class LmbenchError(Exception):
    """A mistake or an obstacle that is told in one message, never as a traceback (exit code 1)."""

    exit_code = 1


class UsageError(LmbenchError):
    """Unknown names, impossible values (exit code 2)."""

    exit_code = 2


class StaleError(LmbenchError):
    """Results that do not belong together or are out of date (exit code 3)."""

    exit_code = 3


class BusyError(LmbenchError):
    """Another process is at it."""


class DataError(LmbenchError):
    """Data or a dependency is missing, incomplete or damaged (exit code 5)."""

    exit_code = 5


class ChangedError(DataError):
    """What a run reads was changed or damaged while it read it: nothing that came out of it is kept."""


class PluginError(LmbenchError):
    """A plugin breaks the contract of its hook."""


def told(error: BaseException) -> str:
    """What an exception says, in one line of bounded length: its own words, or that they cannot be had."""
    try:
        return " ".join(str(error).split())[:LONGEST_TEXT]
    except BaseException:  # an exception of others may do anything when it is asked for its text
        return "(its text cannot be had)"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``" Did you mean 'x'?"`` for the closest known name, upper and lower case alike, or ``""`` where none is close."""
    name, by_folded = name[:100].casefold(), {k.casefold(): k for k in known}
    names = list(by_folded)
    if len(names) > MANY_NAMES:  # comparing takes 50 microseconds a name
        names = [n for n in names if n[:2] == name[:2] and abs(len(n) - len(name)) < 4][:MANY_NAMES]
    close = [by_folded[c] for c in difflib.get_close_matches(name, names, n=2, cutoff=0.5)]
    return f" Did you mean {' or '.join(repr(c) for c in close)}?" if close else ""
