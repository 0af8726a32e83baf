"""The papers' head at the end of its own schedule beside `converged`, on the test images: figures and a scatter plot.

    uv run python tests/proofs/papers_head.py MAPS... --results papers_head.json [--times 0.1] [--fit-only] [--plot scatter.svg]

MAPS: see saved_maps.py. `softargmax_linear` with recipe `cl_faces` for its whole cosine of 200 epochs (12,600 steps of 32 images
on 1,995), on a grid of 24, fitted to all training images; one map at a time, fitted heads kept beside the results, so that a
second call goes on where the first one was stopped. `--fit-only` looks at no test image.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch
from saved_maps import Maps, opened

from lmbench.heads.base import FittedHeads, Head, Subset, mean_shape
from lmbench.heads.converged import Converged
from lmbench.heads.reference import SoftargmaxLinear
from lmbench.heads.settings import ConvergedSettings, SoftargmaxLinearSettings
from lmbench.report.style import BLUE, GREY, VERMILION, Page, new_figure, save_figure, styled
from lmbench.store.files import replacing

Scores = dict[str, dict[str, float]]

HEADS: dict[str, Head] = {
    "papers": SoftargmaxLinear(SoftargmaxLinearSettings(recipe="cl_faces", epochs=200)),
    "converged": Converged(ConvergedSettings()),
}


def fitted(which: str, train: Maps, folder: Path) -> FittedHeads:
    """The head of a name, fitted to all training images, or as it was kept."""
    kept, head = folder / f"{train.name}-{which}.pt", HEADS[which]
    if not kept.is_file():
        started, everything = time.process_time(), torch.arange(len(train))
        train = train.of(everything)
        generator = torch.Generator().manual_seed(0)
        made = head.fit(train.inputs(), train.landmarks, train.visible, [Subset("all", 0, everything)], generator)
        state = {**made.state(), "seconds": torch.tensor(time.process_time() - started)}
        with replacing(kept) as draft:
            torch.save(state, draft)
    return head.restored(torch.load(kept))  # type: ignore[attr-defined, no-any-return]


def whole(found: Scores) -> Scores:
    """The maps that both heads were scored on."""
    return {name: row for name, row in found.items() if len(row) == 3}


def table(found: Scores) -> str:
    lines = ["| map | papers' head | converged | mean shape |", "| --- | --- | --- | --- |"]
    for name, row in found.items():
        cells = [f"{row[k]:.2f}" if k in row else "-" for k in ("papers", "converged", "mean shape")]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def scatter(found: Scores, path: Path) -> None:
    """A point for each map, named; the line on which both heads say the same, and where the mean shape stands."""
    page = Page(110)
    with styled(page):
        figure = new_figure(page, 100)
        axes = figure.subplots()
        for name, row in found.items():
            axes.plot(row["papers"], row["converged"], "o", color=BLUE)
            axes.annotate(
                name, (row["papers"], row["converged"]), textcoords="offset points", xytext=(-4, 4), ha="right"
            )
        every = [value for row in found.values() for value in row.values()]
        ends = [min(every) - 4, max(every) + 1]
        axes.plot(ends, ends, ":", color=GREY, label="both the same")
        for floor in sorted({row["mean shape"] for row in found.values()}):
            axes.axvline(floor, color=VERMILION, linewidth=0.7, label="mean shape")
        axes.set(xlim=ends, ylim=ends, aspect="equal")
        axes.set_xlabel("papers' head, whole schedule: % IOD (lower is better)")
        axes.set_ylabel("converged: % IOD (lower is better)")
        handles, labels = axes.get_legend_handles_labels()
        axes.legend([handles[0], handles[1]], labels[:2], loc="upper left")
        save_figure(figure, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("maps", nargs="+")
    parser.add_argument("--results", type=Path, default=Path("papers_head.json"))
    parser.add_argument("--heads", default="papers,converged")
    parser.add_argument("--fit-only", action="store_true")
    parser.add_argument(
        "--times", type=float, default=1.0, help="maps times this, to see what their scale does to a head"
    )
    parser.add_argument("--plot", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    found = json.loads(given.results.read_text()) if given.results.is_file() else {}
    for place in given.maps:
        train, test = opened(place)
        if given.times != 1:
            name = f"{train.name} x {given.times:g}"
            train, test = (replace(s.changed(lambda m: m.float() * given.times), name=name) for s in (train, test))
        row = found.setdefault(train.name, {})
        for which in given.heads.split(","):
            head = fitted(which, train, given.results.parent)
            print(train.name, which, "fitted", file=sys.stderr, flush=True)
            if not given.fit_only and which not in row:
                everything = test.of(torch.arange(len(test)))
                row[which] = everything.error(head.predict(everything.inputs())[0])
                row["mean shape"] = test.error(mean_shape(train.landmarks, train.visible).expand_as(test.landmarks))
                with replacing(given.results) as draft:
                    draft.write_text(json.dumps(found, indent=1) + "\n")
    print(table(found))
    if given.plot and whole(found):
        scatter(whole(found), given.plot)


if __name__ == "__main__":
    main()
