"""What a command writes to: results alone on standard output, and nothing on either stream that a terminal would act on."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO, cast

from lmbench.printable import printable


class Guarded:
    """A text stream that shows control characters as escapes, and letters that its encoding lacks as well.

    What draws on purpose (rich) asks for ``rich_proxied_file`` and escapes what others gave it itself.
    """

    def __init__(self, stream: TextIO) -> None:
        self.rich_proxied_file = stream

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        shown = printable(text)
        encoding = getattr(self.rich_proxied_file, "encoding", None) or "utf-8"
        self.rich_proxied_file.write(shown.encode(encoding, "backslashreplace").decode(encoding))
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rich_proxied_file, name)


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """A block whose ``sys.stdout`` and ``sys.stderr`` are guarded, and whose file descriptor 1 is that of the messages.

    A library or a plugin that writes past Python, to the descriptor itself or from a process of its own, so never stands
    among the results. Streams that a caller put in place of the process's own are guarded alone.
    """
    before = sys.stdout, sys.stderr
    if isinstance(before[0], Guarded):
        yield
        return
    results = _results()
    given = (results or before[0], before[1])
    # One that the caller closed (`>&-`) is a device: its descriptor would else be that of the next file.
    stdout, stderr = (cast(TextIO, Guarded(stream or open(os.devnull, "w"))) for stream in given)  # noqa: SIM115
    sys.stdout, sys.stderr = stdout, stderr
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        if results is not None:
            _give_back(results)


def _results() -> TextIO | None:
    """A stream on a copy of descriptor 1, which then leads to the messages; None where stdout is not the process's own."""
    own = sys.stdout
    try:
        if sys.__stdout__ is None or sys.__stderr__ is None or own is not sys.__stdout__ or own.fileno() != 1:
            return None
        own.flush()
        copy = os.dup(1)
        os.dup2(2, 1)
    except (OSError, ValueError):  # closed, or no descriptor behind it
        return None
    return open(copy, "w", encoding=own.encoding, errors=own.errors, buffering=1 if own.isatty() else -1)


def _give_back(results: TextIO) -> None:
    """Ends the stream; descriptor 1 is again what it was."""
    try:
        results.flush()
    except BrokenPipeError:  # `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), results.fileno())
    with contextlib.suppress(OSError, ValueError):
        if sys.__stdout__ is not None:
            sys.__stdout__.flush()  # what went round the results is a message
    os.dup2(results.fileno(), 1)
    results.close()
