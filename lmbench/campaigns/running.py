"""Runs one after the other: what waits is done, one failure does not stop the others, and time may be up."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from statistics import fmean

from lmbench import progress, runner
from lmbench.campaigns.gaps import Gap, said
from lmbench.campaigns.prospects import IN_WORK, Prospect
from lmbench.errors import BusyError
from lmbench.printable import counted

TRIES, PAUSE = 3, 0.3  # of a lock that may be held for the moment in which another process looks at it
OVER = Gap("waits", "the time was over; the same command goes on")


def carry_out(prospects: Sequence[Prospect], beside: bool = False, minutes: float | None = None) -> None:
    """Does what waits, in order: each prospect gets its record, or its gap.

    ``beside``: other processes may do the same runs; what they are at is left to them, and what waits for a stage that they
    train comes later. After ``minutes`` the run in work is stopped as by Ctrl-C: a training is saved and goes on next time.
    """
    waiting = [p for p in prospects if p.waits and p.job is not None]
    total, watch = len(waiting), Watch(prospects)
    with time_limit(minutes) as over:
        try:
            while waiting and not over():
                prospect = _next(waiting) if beside else waiting[0]
                if prospect is None:
                    break
                number = total - len(waiting) + 1
                if not prospect.finished:  # by another process, since it was looked at
                    progress.say(f"run {number} of {total}: {prospect.title}{watch.left(waiting, beside)}")
                try:
                    _do(prospect, watch, beside)
                    waiting.remove(prospect)
                except BusyError:
                    continue
        except KeyboardInterrupt:
            if not over():
                raise
            progress.say("the time is over")
    for prospect in waiting:
        if prospect.waits:
            prospect.gap = OVER if over() else IN_WORK


def _do(prospect: Prospect, watch: Watch, beside: bool) -> None:
    """One run: its record, or why it failed. Raises BusyError where another process is at it."""
    started = time.monotonic()
    assert prospect.job is not None
    try:
        prospect.record, known = runner.run(prospect.job, wait=not beside)
        if not known:
            watch.add(prospect, time.monotonic() - started)
    except BusyError:
        raise
    except Exception as error:  # the others go on
        progress.say(f"failed: {prospect.title}: {said(error)}")
        prospect.gap = Gap("failed", said(error))


def _next(waiting: Sequence[Prospect]) -> Prospect | None:
    """The first that nobody is at, nor at a stage of it; else the first that nobody is at; None: others do all that is left."""
    for _ in range(TRIES):
        ours = [p for p in waiting if not p.locked]
        if ours:
            return next((p for p in ours if not p.training_elsewhere), ours[0])
        time.sleep(PAUSE)
    return None


class Watch:
    """How long runs take, and what that makes of those that wait."""

    def __init__(self, prospects: Sequence[Prospect]) -> None:
        self.started = time.monotonic()
        self.spent: dict[tuple[str, ...], list[float]] = {}
        for prospect in prospects:
            if prospect.record is not None and prospect.record.seconds:
                self.add(prospect, prospect.record.seconds)

    def add(self, prospect: Prospect, seconds: float) -> None:
        self.spent.setdefault(_kind(prospect), []).append(seconds)

    def left(self, waiting: Sequence[Prospect], beside: bool) -> str:
        """``; 1:02:03 so far, ETA 5:10:00``: a run takes as long as others of its output did, else as the mean of all.

        Runs that other processes are at do not count, and all work at what is left.
        """
        so_far = f"; {progress.clock(time.monotonic() - self.started)} so far"
        if not self.spent:
            return so_far
        held = [beside and p.locked for p in waiting]
        mean = fmean(s for times in self.spent.values() for s in times)
        ahead = [fmean(self.spent.get(_kind(p), [mean])) for p, other in zip(waiting, held, strict=True) if not other]
        eta = progress.clock(sum(ahead) / (1 + sum(held)))
        return f"{so_far}, ETA {eta} for {counted(len(ahead), 'run')}"


def _kind(prospect: Prospect) -> tuple[str, ...]:
    config = prospect.config
    return (config.method, config.output, config.dataset, config.preset)


@contextmanager
def time_limit(minutes: float | None) -> Iterator[Callable[[], bool]]:
    """A block that is stopped as by SIGTERM when so many minutes are over; yields whether they are. None: never."""
    if minutes is None:
        yield lambda: False
        return
    passed: list[bool] = []

    def stop(number: int, frame: object) -> None:
        passed.append(True)
        signal.raise_signal(signal.SIGTERM)  # in training: after the step, with a checkpoint; elsewhere at once

    def end(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = {signal.SIGALRM: signal.signal(signal.SIGALRM, stop), signal.SIGTERM: signal.signal(signal.SIGTERM, end)}
    signal.setitimer(signal.ITIMER_REAL, max(60 * minutes, 1e-3))
    try:
        yield lambda: bool(passed)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for which, handler in before.items():
            signal.signal(which, handler)
