"""What the head `converged` promises, measured on frozen maps: a Markdown table, and one figure of the known orders.

    uv run python tests/proofs/head_properties.py MAPS... --do budget,channels --results properties.json [--plot orders.svg]

MAPS: see saved_maps.py. All is fitted to four fifths of the training images and scored on the rest, in % of the distance of the
eyes; no test image is looked at. Every score is kept in the results at once, so that a second call goes on where the first was
stopped, and a call without `--do` prints the tables of what there is.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from other_heads import ByLBFGS, ByLBFGSFromElsewhere, Jittered, Turned
from saved_maps import GRID, Maps, fit_and_held, joined, opened

from lmbench.geometry.coordinates import normalise_points
from lmbench.heads import converged, refining
from lmbench.heads.base import Subset, mean_shape
from lmbench.heads.settings import ConvergedSettings
from lmbench.report.style import BLACK, BLUE, VERMILION, WHOLE, Page, new_figure, save_figure, styled
from lmbench.store.files import replacing

BASE = "as it is"
BEST, UNTRAINED = "effnet", ("effnet_untrained", "hyper", "untrained")  # names of maps with a known order
Results = dict[str, dict[str, dict[str, Any]]]
COUNTS = {1: 20, 5: 20, 10: 20, 20: 20, 50: 10, 100: 10}  # annotations: draws


@dataclass(frozen=True)
class Trial:
    """One fit: maps changed, settings, constants of modules (dotted names) for its time, ``n`` annotations (0: all).

    ``annotated``: only so many images are fitted to, in one draw, as if they were all.
    """

    change: Callable[[Maps], Maps] = lambda maps: maps
    settings: Mapping[str, Any] = field(default_factory=dict)
    constants: Mapping[str, Any] = field(default_factory=dict)
    n: int = 0
    draws: int = 1
    shuffled: int = 0
    annotated: int = 0


def seeded(seed: int = 7) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def mixed(maps: Maps) -> Maps:
    """An invertible mixing of the channels of each level."""
    g = seeded()
    return maps.changed(lambda m: torch.einsum("dc,nchw->ndhw", torch.randn(m.shape[1], m.shape[1], generator=g), m))


def rescaled(maps: Maps) -> Maps:
    """Channels times 10^U(-2, 2)."""
    g = seeded()
    return maps.changed(lambda m: m * 10 ** (4 * torch.rand(m.shape[1], 1, 1, generator=g) - 2))


def noisy(times: float) -> Callable[[Maps], Maps]:
    """White noise of so many standard deviations of each channel."""
    g = seeded()
    return lambda maps: maps.changed(
        lambda m: m + times * m.std((0, 2, 3), keepdim=True) * torch.randn(m.shape, generator=g)
    )


def dropped(share: float) -> Callable[[Maps], Maps]:
    """A share of each level's channels taken away; those of a smaller share are among them."""
    return lambda maps: maps.changed(
        lambda m: m[:, torch.randperm(m.shape[1], generator=seeded())[: max(1, round(m.shape[1] * (1 - share)))]]
    )


def blurred(cells: float) -> Callable[[Maps], Maps]:
    """Smoothed by a Gaussian of so many cells of a grid of 24, border to border."""

    def smoothed(m: Tensor) -> Tensor:
        at = torch.arange(m.shape[2]) * GRID / m.shape[2]
        weight = torch.softmax(-(at[:, None] - at).square() / (2 * cells**2), 1)
        return weight @ m @ weight.T

    return lambda maps: maps.changed(smoothed)


def hidden(radius: float) -> Callable[[Maps], Maps]:
    """Cells near the MEAN landmarks (radius in [-1, 1], or half a cell) hold their channel's mean: a hole at each image's own
    landmarks would tell where they are."""

    def change(maps: Maps) -> Maps:
        middle = normalise_points(mean_shape(maps.landmarks, maps.visible), (maps.side, maps.side))

        def holed(m: Tensor) -> Tensor:
            y, x = torch.meshgrid(*((torch.arange(n) + 0.5) * 2 / n - 1 for n in m.shape[2:]), indexing="ij")
            near = (torch.stack((x, y), -1)[:, :, None] - middle).norm(dim=-1).amin(-1) < max(radius, 1 / m.shape[2])
            return torch.where(near, m.mean((0, 2, 3), keepdim=True), m)

        return maps.changed(holed)

    return change


SMALL = 600  # images of the trials of an optimiser that takes its time
PROPERTIES: dict[str, dict[str, Trial]] = {
    "base": {BASE: Trial()},
    "budget": {
        "steps x 2": Trial(settings={"steps": 2}),
        "solver x 2": Trial(constants={"refining.SOLVER_STEPS": 2 * refining.SOLVER_STEPS}),
    },
    "channels": {
        "mixed": Trial(mixed),
        "rescaled": Trial(rescaled),
        "twice": Trial(lambda maps: maps.changed(lambda m: torch.cat([m, m], 1))),
    },
    "folds": {f"shuffled {i}": Trial(shuffled=i) for i in (1, 2, 3)},
    "few": {f"n = {n}": Trial(n=n, draws=draws) for n, draws in COUNTS.items()},
    "starts": {
        "templates x 0.5": Trial(constants={"converged.LENGTH": converged.LENGTH / 2}),
        "templates x 2": Trial(constants={"converged.LENGTH": converged.LENGTH * 2}),
        "templates jittered": Trial(constants={"converged._CrossFitted": Jittered}),
        "places turned": Trial(constants={"converged._CrossFitted": Turned}),
    },
    "optimiser": {
        "few images": Trial(annotated=SMALL),
        "L-BFGS": Trial(annotated=SMALL, constants={"converged._CrossFitted": ByLBFGS}),
        "L-BFGS from elsewhere": Trial(annotated=SMALL, constants={"converged._CrossFitted": ByLBFGSFromElsewhere}),
    },
    "orders": {
        "noise 0.5": Trial(noisy(0.5)),
        "noise 2": Trial(noisy(2.0)),
        "half of the channels": Trial(dropped(0.5)),
        "a quarter of the channels": Trial(dropped(0.75)),
        "blurred": Trial(blurred(2.0)),
        "landmarks hidden": Trial(hidden(0.25)),
    },
}  # fmt: skip


def measured(trial: Trial, maps: Maps) -> dict[str, Any]:
    """Scores of a trial, draw by draw: of the head, and of the mean shape of the same images."""
    fit, held = fit_and_held(len(maps))
    everything = trial.change(maps.of(torch.cat([fit, held])))
    rows = torch.arange(len(fit))
    if trial.annotated:
        rows = rows[torch.randperm(len(fit), generator=seeded(500))[: trial.annotated]]
    if trial.shuffled:
        rows = rows[torch.randperm(len(rows), generator=seeded(trial.shuffled))]
    train, test = everything.of(rows), everything.of(torch.arange(len(fit), len(maps)))
    del everything
    subsets = [Subset("all", 0, torch.arange(len(rows)))]
    if trial.n:
        drawn = [torch.randperm(len(rows), generator=seeded(500 + k))[: trial.n] for k in range(trial.draws)]
        subsets = [Subset(trial.n, k, indices) for k, indices in enumerate(drawn)]
    ByLBFGS.reached.clear()
    with ExitStack() as stack:
        for name, value in trial.constants.items():
            stack.enter_context(patch(f"lmbench.heads.{name}", value))
        head, started = converged.Converged(ConvergedSettings(**trial.settings)), time.process_time()
        fitted = head.fit(train.inputs(), train.landmarks, train.visible, subsets, seeded())
        seconds = time.process_time() - started
    predicted = fitted.predict(test.inputs())
    shapes = [mean_shape(train.landmarks[s.indices], train.visible[s.indices]) for s in subsets]
    return {
        "scores": [round(test.error(p), 4) for p in predicted],
        "mean shape": [round(test.error(s.expand_as(test.landmarks)), 4) for s in shapes],
        "seconds": round(seconds, 1),
        "said": fitted.said,
        "reached": [asdict(r) for r in ByLBFGS.reached],
    }


def score(found: Results, maps: str, trial: str) -> float | None:
    """The mean over draws, None where it was not measured."""
    return statistics.mean(found[maps][trial]["scores"]) if trial in found.get(maps, {}) else None


def orders(found: Results) -> Iterator[tuple[str, str, float, float, float]]:
    """(better, worse, their scores, how far the better may be behind) of all pairs that were measured."""
    pairs = [((BEST, t), (m, t), 0.0) for t in (BASE, "n = 10") for m in UNTRAINED]
    for m in found:
        parts = m.split(" + ")
        pairs += [((m, BASE), (part, BASE), 0.15) for part in parts if len(parts) > 1]
        pairs += [((m, BASE), (m, t), 0.0) for t in PROPERTIES["orders"]]
        pairs += [
            ((m, one), (m, two), 0.0)
            for one, two in (("noise 0.5", "noise 2"), ("half of the channels", "a quarter of the channels"))
        ]
    for better, worse, slack in pairs:
        one, two = score(found, *better), score(found, *worse)
        if one is not None and two is not None:
            yield ": ".join(better), ": ".join(worse), one, two, slack


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows))


def table_of(found: Results, names: Sequence[str], cell: Callable[[Any, str], str], more: Mapping[str, Any]) -> str:
    """A row for each map with one of the trials; ``more``: further columns, of all trials of a map."""
    rows = [
        [m, *(f(trials) for f in more.values()), *(cell(trials, n) if n in trials else "-" for n in names)]
        for m, trials in found.items()
        if any(n in trials for n in names) and (BASE in trials or BASE not in names)
    ]
    return table(["map", *more, *names], rows)


def mean(trials: Any, name: str, what: str = "scores") -> float:
    return statistics.mean(trials[name][what])


def tables(found: Results) -> Iterator[str]:
    """Changes against the head as it is; few annotations, with the difference to the mean shape; optimisers; known orders."""
    names = [n for p in ("base", "budget", "channels", "folds", "starts") for n in PROPERTIES[p]]
    both = {
        "mean shape": lambda t: f"{mean(t, BASE, 'mean shape'):.2f}",
        "seconds": lambda t: f"{t[BASE]['seconds']:.0f}",
    }
    yield table_of(
        found, names, lambda t, n: f"{mean(t, n):.2f}" if n == BASE else f"{mean(t, n) - mean(t, BASE):+.2f}", both
    )
    few = list(PROPERTIES["few"])
    yield table_of(
        found, few, lambda t, n: f"{mean(t, n):.2f} ({mean(t, n) - mean(t, n, 'mean shape'):+.2f})",
        {"seconds": lambda t: f"{sum(t[n]['seconds'] for n in few if n in t):.0f}"},
    )  # fmt: skip
    yield table_of(
        found, list(PROPERTIES["optimiser"]),
        lambda t, n: f"{mean(t, n):.2f}" + "".join(f", {r['own']:.3f} to {r['other']:.3f}" for r in t[n]["reached"]), {},
    )  # fmt: skip
    yield table(
        ["better", "worse", "scores", "holds"],
        (
            [a, b, f"{one:.2f}, {two:.2f}", "yes" if one < two + slack else "NO"]
            for a, b, one, two, slack in orders(found)
        ),
    )


def figure(found: Results, path: Path) -> None:
    """Each known order as a line from the better to the worse."""
    rows, page = list(orders(found))[::-1], Page(WHOLE)
    with styled(page):
        drawn = new_figure(page, 15 + 1.1 * page.line * len(rows))
        axes = drawn.subplots()
        for i, (_, _, one, two, slack) in enumerate(rows):
            holds = one < two + slack
            axes.plot([one, two], [i, i], color=BLUE if holds else VERMILION)
            axes.plot(one, i, "o" if holds else "X", color=BLACK if holds else VERMILION)
        axes.set_yticks(range(len(rows)), [f"{better} < {worse}" for better, worse, *_ in rows])
        axes.set_ylim(-0.7, len(rows) - 0.3)
        axes.set_xlabel("% IOD on validation images (lower is better)\ndot: what must be better; red cross: it is not")
        save_figure(drawn, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("maps", nargs="*")
    parser.add_argument("--do", default="", help=f"of {', '.join(PROPERTIES)}")
    parser.add_argument(
        "--join", nargs=2, action="append", default=[], metavar="MAPS", help="two whose channels are joined"
    )
    parser.add_argument("--data", type=Path, help="where the data of runs stands")
    parser.add_argument("--results", type=Path, default=Path("properties.json"))
    parser.add_argument("--plot", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    found: Results = json.loads(given.results.read_text()) if given.results.is_file() else {}
    trials = {n: t for p in filter(None, given.do.split(",")) for n, t in PROPERTIES[p].items()}
    for places in [[place] for place in given.maps] + given.join:
        maps = (
            joined(*(opened(p, given.data)[0] for p in places)) if len(places) > 1 else opened(places[0], given.data)[0]
        )
        for name, trial in (trials if len(places) == 1 else PROPERTIES["base"]).items():
            if name not in found.setdefault(maps.name, {}):
                found[maps.name][name] = row = measured(trial, maps)
                said = f"{row['seconds']:.0f} s, {row['said'][0]} {row['reached'] or ''}"
                own, floor = mean(found[maps.name], name), mean(found[maps.name], name, "mean shape")
                print(f"{maps.name} [{name}] {own:.3f}, mean shape {floor:.2f}, {said}", file=sys.stderr, flush=True)
                with replacing(given.results) as draft:
                    draft.write_text(json.dumps(found, indent=1) + "\n")
    print("\n\n".join(tables(found)))
    if given.plot:
        figure(found, given.plot)


if __name__ == "__main__":
    main()
