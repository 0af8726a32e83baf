"""Progress of long work, on stderr: bars with rate and ETA on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from lmbench.printable import printable

PLAIN_INTERVAL = 10.0  # seconds between two plain lines; long work says less often
QUIET_SECONDS = 2.0  # work that is done by then says nothing where there is no terminal


class Task:
    """A piece of work of ``total`` units; call ``advance`` as they are done."""

    def __init__(self, label: str, total: int, unit: str) -> None:
        self.label, self.total, self.unit = printable(label).replace("\n", " "), total, unit
        self.done = 0
        self.started = self._said = time.monotonic()

    def skip(self, count: int) -> None:
        """Counts units that an earlier process has done; they do not enter the rate."""
        self.done = count
        self._skipped = count

    _skipped = 0

    @property
    def rate(self) -> float:
        return (self.done - self._skipped) / max(time.monotonic() - self.started, 1e-9)

    def advance(self, count: int = 1, note: str = "") -> None:
        self.done += count
        self._show(note)

    def _show(self, note: str) -> None:
        now = time.monotonic()
        if now - self._said < max(PLAIN_INTERVAL, (now - self.started) / 20):
            return
        self._said = now
        left = (self.total - self.done) / max(self.rate, 1e-9)
        rate = f"{self.rate:.{1 if self.rate >= 0.1 else 3}f}"
        line = f"{self.label}: {self.done}/{self.total} {self.unit}, {rate} {self.unit}/s, ETA {clock(left)}"
        print(printable(f"{line}  {note}".rstrip()), file=sys.stderr, flush=True)

    def close(self) -> None:
        spent = time.monotonic() - self.started
        if spent > QUIET_SECONDS:
            print(f"{self.label}: {self.done} {self.unit} in {clock(spent)}", file=sys.stderr, flush=True)


class _BarTask(Task):
    def __init__(self, label: str, total: int, unit: str, bars: Progress) -> None:
        super().__init__(label, total, unit)
        self._bars = bars
        self._id = bars.add_task(escape(self.label), total=total, note="")

    def skip(self, count: int) -> None:
        super().skip(count)
        self._bars.update(self._id, completed=count)

    def _show(self, note: str) -> None:
        self._bars.update(
            self._id, completed=self.done, note=escape(printable(f"{self.rate:.0f} {self.unit}/s {note}"))
        )

    def close(self) -> None:
        pass


_silent = False
_quiet = False


@contextmanager
def silenced() -> Iterator[None]:
    """A block whose tasks show nothing: work inside a task that is shown already."""
    global _silent
    before, _silent = _silent, True
    try:
        yield
    finally:
        _silent = before


@contextmanager
def quiet() -> Iterator[None]:
    """A block that shows neither tasks nor lines about what happens; warnings stay."""
    global _quiet
    before, _quiet = _quiet, True
    try:
        with silenced():
            yield
    finally:
        _quiet = before


class _SilentTask(Task):
    def _show(self, note: str) -> None:
        pass

    def close(self) -> None:
        pass


@contextmanager
def task(label: str, total: int, unit: str = "images") -> Iterator[Task]:
    """A task that is shown while the block runs. Tasks follow each other; inner ones are ``silenced``."""
    if _silent:
        yield _SilentTask(label, total, unit)
        return
    if not sys.stderr.isatty():
        plain = Task(label, total, unit)
        yield plain
        plain.close()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        yield _BarTask(label, total, unit, bars)


def say(line: str) -> None:
    """One line about what happens, on stderr; what a terminal would act on is shown as an escape."""
    if _quiet and not line.startswith("warning"):
        return
    print(printable(line), file=sys.stderr, flush=True)


@contextmanager
def drawing() -> Iterator[None]:
    """A block in which a library draws its own progress on the terminal: stderr takes control characters as they are."""
    with redirect_stderr(getattr(sys.stderr, "rich_proxied_file", sys.stderr)):
        yield


def clock(seconds: float) -> str:
    """``"1:02:03"`` or ``"2:03"``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
