"""A block in which code of others runs and leaves the process as it was."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


@dataclass
class Watch:
    """Whether a signal came while the block ran; ``None`` where that cannot be told."""

    signalled: bool | None = None


@contextlib.contextmanager
def undisturbed() -> Iterator[Watch]:
    """A block after which arguments, current folder, environment, warnings, signal handlers and excepthook are as before.

    What is printed in it goes to stderr: stdout is for results. A KeyboardInterrupt that comes out of it is the user's only
    where the watch says so, else the code of others raised it.
    """
    arguments, environment = list(sys.argv), dict(os.environ)
    hooks = sys.excepthook, sys.displayhook, sys.unraisablehook, threading.excepthook
    limit, streams = sys.getrecursionlimit(), (sys.stdin, sys.stdout, sys.stderr)
    folder = _current_folder()
    watch = Watch()
    handlers = _watched(watch)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
            yield watch
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        sys.excepthook, sys.displayhook, sys.unraisablehook, threading.excepthook = hooks
        sys.argv[:] = arguments
        sys.stdin, sys.stdout, sys.stderr = streams
        with contextlib.suppress(RecursionError):
            sys.setrecursionlimit(limit)
        if dict(os.environ) != environment:
            os.environ.clear()
            os.environ.update(environment)
        if folder is not None and _current_folder() != folder:
            with contextlib.suppress(OSError):
                os.chdir(folder)


def _current_folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:
        return None


def _watched(watch: Watch) -> dict[int, Any]:
    """The handlers that were set, by signal; each is replaced by one that takes note and hands on."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    before = {number: signal.getsignal(number) for number in SIGNALS}
    before = {number: handler for number, handler in before.items() if handler is not None}
    watch.signalled = False

    def noted(number: int, frame: FrameType | None) -> None:
        watch.signalled = True
        handler = before[number]
        assert callable(handler)
        handler(number, frame)

    for number, handler in before.items():
        if callable(handler):
            signal.signal(number, noted)
    return before
