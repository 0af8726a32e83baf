"""The pictures beside a record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from lmbench import progress
from lmbench.report.plots import draw_curve
from lmbench.results.record import Row, TrainedStage
from lmbench.tasks.base import TaskContext


def draw_run(context: TaskContext, stages: Sequence[TrainedStage], rows: Sequence[Row]) -> None:
    """Draws what was learned and, task by task, what was measured. ``stages`` and ``rows`` are the record's."""
    if stages:
        with _dispensable():
            draw_curve(stages, context.folder / "curve.png")
    for task in context.config.tasks:
        spec = context.plugins.find("task", task).spec
        results = context.results_of(spec.name)
        if spec.pictures and results:
            measured = [row for row in rows if row.task == spec.name]
            with _dispensable():
                spec.load(spec.pictures)(context, context.settings_of(spec.name), results, measured)


@contextmanager
def _dispensable() -> Iterator[None]:
    """A picture that fails is no reason to lose a measurement, whatever a task's own code raises."""
    try:
        yield
    except Exception as error:
        progress.say(f"warning: no picture: {type(error).__name__}: {error}")
