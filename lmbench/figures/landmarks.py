"""The error of each landmark, with its interval over test images, draws and seeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmbench.figures.asking import Asked, Drawn, Line, basis, require_same_images, require_same_truth, stored
from lmbench.figures.errors import Errors, errors_of
from lmbench.metrics.aggregates import contributions
from lmbench.report.plots import direction, look_of
from lmbench.report.style import legend_below, legend_lines, new_figure, wrapped
from lmbench.results.boards import OF_TWO
from lmbench.results.measuring import few_shot
from lmbench.results.resampling import estimate

ROW = 3.4  # mm at least, of a landmark
BETWEEN = 0.6  # of a row, over which its lines are spread


@dataclass(frozen=True)
class OfLandmark:
    """The mean error of a landmark over the images that show it, and its interval of 95 %."""

    value: float
    low: float | None
    high: float | None


def landmarks(asked: Asked) -> Drawn:
    """A row a landmark: the error of each line with its interval, from the landmark that all find best to the worst."""
    require_same_images(asked.lines)
    found = {line: [(run, stored(run, "regression", asked.annotations)) for run in line.runs] for line in asked.lines}
    require_same_truth([pair for pairs in found.values() for pair in pairs])
    drawn = few_shot(found[asked.first][0][1].n_annotations)
    errors = {
        line: {run.record.seed: errors_of(p, run.plugins, asked.metric) for run, p in pairs}
        for line, pairs in found.items()
    }
    made = {line: of_landmarks(own, drawn) for line, own in errors.items()}
    shown = [k for k, one in enumerate(made[asked.first]) if one is not None]
    shown.sort(key=lambda k: np.mean([one.value for own in made.values() if (one := own[k]) is not None]))
    first = next(iter(errors[asked.first].values()))
    figure = _draw(asked, made, shown, first)
    row = next(r for r in asked.first.record.rows if r.task == "regression")
    said = [
        f"Mean {first.axis} of each landmark ({direction(False)})",
        "bars: 95 % over test images, draws and seeds",
        OF_TWO if any(len(line.runs) == 2 for line in asked.lines) else "",
        f"n = {found[asked.first][0][1].n_annotations} annotated images",
        *basis(asked.lines, row),
    ]
    return Drawn.saying(figure, said)


def of_landmarks(by_seed: dict[int, Errors], drawn: bool) -> list[OfLandmark | None]:
    """One for each landmark, None for one that no image shows. ``drawn``: whether the annotated images were."""
    found: list[OfLandmark | None] = []
    for k in range(next(iter(by_seed.values())).values.shape[2]):
        values = {seed: errors.values[:, :, [k]] for seed, errors in by_seed.items()}
        if any(np.isnan(v).all() for v in values.values()):
            found.append(None)
            continue
        made = estimate({seed: contributions(v) for seed, v in values.items()}, drawn)
        several = int((~np.isnan(next(iter(values.values()))[0])).sum()) > 1
        found.append(OfLandmark(made.value, made.low if several else None, made.high if several else None))
    return found


def _draw(asked: Asked, made: dict[Line, list[OfLandmark | None]], shown: list[int], errors: Errors) -> object:
    from matplotlib.lines import Line2D

    page, names = asked.page, asked.first.first.landmark_names
    looks = {line: look_of(*asked.looks[line]) | {"linestyle": "", "zorder": 3} for line in made}
    looks = {line: look if look["marker"] else look | {"marker": "|", "markersize": 7} for line, look in looks.items()}
    handles = [Line2D([], [], label=line.label, **look) for line, look in looks.items()]
    row = max(ROW, page.line, 1.6 * len(made))
    below = legend_lines(handles, page) * page.line + 1 if len(made) > 1 else 0
    figure = new_figure(page, row * (len(shown) + 1) + 4 * page.line + below)
    axis = figure.subplots()
    for i, (line, own) in enumerate(made.items()):
        off = BETWEEN * ((i + 0.5) / len(made) - 0.5)
        for place, k in enumerate(shown):
            one = own[k]
            if one is None:
                continue
            if one.low is not None and one.high is not None:
                axis.plot([one.low, one.high], [place + off] * 2, color=looks[line]["color"], linewidth=1)
            axis.plot(one.value, place + off, **looks[line])
    axis.set_yticks(range(len(shown)), [names[k].replace("_", " ") if names else str(k) for k in shown])
    axis.set(xlim=(0, None), ylim=(len(shown) - 0.5, -0.5))
    axis.set_xlabel(wrapped(f"{errors.axis} ({direction(False)})", 0.7 * page.width, page))
    axis.grid(False, axis="y")
    if below:
        legend_below(figure, page, handles)
    return figure
