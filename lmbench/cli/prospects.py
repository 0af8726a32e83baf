"""Many runs on stdout: what stands before each, what was not done and why, and what they measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypedDict

import click

from lmbench.cli.table import show_table
from lmbench.printable import counted

if TYPE_CHECKING:
    from lmbench.campaigns.gaps import Gap
    from lmbench.campaigns.prospects import Prospect
    from lmbench.job import PlannedStage


class ProspectEntry(TypedDict):
    """A run as JSON. ``state``: see `state_of`; ``views``: still to be trained; ``reason``: why it is not done."""

    method: str
    variant: str
    untrained: bool
    dataset: str
    pretrain_on: str
    preset: str
    seed: int
    tasks: list[str]
    state: str
    views: int
    stages: list[PlannedStage]
    record: str | None
    reason: str


def entry(prospect: Prospect) -> ProspectEntry:
    """What stands before a run."""
    config, gap = prospect.config, prospect.gap
    return {
        "method": config.method,
        "variant": config.variant,
        "untrained": config.untrained,
        "dataset": config.dataset,
        "pretrain_on": config.pretrain_on,
        "preset": config.preset,
        "seed": config.seed,
        "tasks": list(config.tasks),
        "state": state_of(prospect),
        "views": prospect.views,
        "stages": prospect.actions,
        "record": prospect.record.run if prospect.record else None,
        "reason": gap.reason if gap else "",
    }


def state_of(prospect: Prospect) -> str:
    """``done``, ``in work`` (another process is at it), ``waits``, or why it is not done: ``missing``, ``failed``."""
    if prospect.record is not None:
        return "done"
    if prospect.locked:
        return "in work"
    return prospect.gap.kind if prospect.gap else "waits"


def show_prospects(prospects: Sequence[Prospect]) -> None:
    """A line a run, in the order in which they are done."""
    rows = []
    for p in prospects:
        state = state_of(p)
        what = p.record.run if p.record else p.gap.reason if p.gap else p.action
        rows.append([p.config.seed, p.config.method, p.config.output, p.config.dataset, f"{p.views:,}", state, what])
    show_table(["seed", "method", "output", "dataset", "views to train", "state", "plan"], rows, "no run")


def show_gaps(prospects: Sequence[Prospect], gaps: dict[str, Gap]) -> None:
    """What was not done, each reason once with the runs that it keeps from being done."""
    told: dict[tuple[str, str], list[str]] = {}
    for title, gap in [*gaps.items(), *((p.title, p.gap) for p in prospects if p.gap)]:
        told.setdefault((gap.kind, gap.reason), []).append(title)
    words = {"scope": "nothing to do", "missing": "cannot be done", "failed": "failed", "waits": "not done yet"}
    counts = Counter({key: len(titles) for key, titles in told.items()})
    for (kind, reason), count in counts.most_common():
        titles = told[kind, reason]
        named = titles[0] if count == 1 else f"{counted(count, 'run')} ({'; '.join(titles[:3])}{'; ...' * (count > 3)})"
        click.echo(f"{words[kind]}: {named}: {reason}")
