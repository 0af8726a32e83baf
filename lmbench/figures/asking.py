"""What a figure is asked for: finished runs as lines of one output each, over its seeds, what they are called, and options.

What a run lacks is said in words, with the command that makes it.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from lmbench import progress
from lmbench.config.model import digest_of
from lmbench.errors import StaleError, UsageError
from lmbench.figures.catalogue import CURVES, KEPT_HEAD, PREDICTIONS, TRAINED, FigureSpec
from lmbench.heads.specs import MEAN_SHAPE
from lmbench.metrics.base import Predictions
from lmbench.printable import counted, printable, without_folders, without_folders_apart
from lmbench.report.plots import Kind
from lmbench.report.style import Page, styled
from lmbench.results.comparison import require_same_data
from lmbench.results.inventory import KEY_SHOWN, STAGES
from lmbench.results.outputs import (
    CONTROL,
    FLOOR,
    UNTRAINED,
    differing_settings,
    head_of,
    kind_of,
    numbers,
    protocol_of,
    untrained_of,
)
from lmbench.results.record import HEADS, Record, Row
from lmbench.results.record import PREDICTIONS as FOLDER_OF_PREDICTIONS
from lmbench.results.run import Annotations, Run
from lmbench.results.sides import Place, Side, Suiting, more_than_seeds, runs_of, seeds_of

LONGEST = 80  # letters of a label
BESIDE = ("stages", "references")  # in a folder of runs, which `runs/*` names as well


@dataclass(frozen=True, eq=False)
class Line:
    """One output over its seeds, and what it is called in a figure; ``name``: what one of its runs is."""

    label: str
    side: Side
    name: str

    @property
    def runs(self) -> list[Run]:
        return list(self.side.runs.values())

    @property
    def first(self) -> Run:
        return self.side.first

    @property
    def record(self) -> Record:
        """The record of the first seed, for what all seeds share."""
        return self.first.record


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Lines, and the options of the command line; what was not given is empty."""

    lines: tuple[Line, ...]
    page: Page = field(default_factory=Page)
    task: str = ""
    metric: str = ""
    part: str = ""
    annotations: Annotations = None
    threshold: float | None = None
    images: int | None = None
    parts: int | None = None
    published: tuple[str, ...] | None = None
    data_root: Path | None = None
    device: str = "auto"

    @property
    def first(self) -> Line:
        return self.lines[0]

    @cached_property
    def looks(self) -> dict[Line, tuple[int, Kind]]:
        """(number, kind) of each line as a curve: an untrained control takes the number of the line that it controls."""
        kinds = {line: kind_of(line.record) for line in self.lines}
        controls = {a: b for a in self.lines for b in self.lines if untrained_of(a.record, b.record)}
        own = [line for line in self.lines if line not in controls and kinds[line] != FLOOR]
        floors = [line for line in self.lines if kinds[line] == FLOOR]
        found: dict[Line, tuple[int, Kind]] = {line: (number, "floor") for number, line in enumerate(floors)}
        found |= {
            line: (number, "control" if kinds[line] == CONTROL else "measured") for number, line in enumerate(own)
        }
        return found | {line: (found[controls[line]][0], "control") for line in controls}

    @cached_property
    def only(self) -> Line:
        """The one line of a figure that shows one. Raises UsageError where there are more."""
        if len(self.lines) > 1:
            raise UsageError(
                f"this figure shows one method; {counted(len(self.lines), 'line')} were given: {self.names}."
            )
        return self.lines[0]

    @property
    def names(self) -> str:
        return "; ".join(line.label for line in self.lines)


@dataclass(frozen=True)
class Drawn:
    """A figure of matplotlib, and what stands behind it in words: a caption to begin with."""

    figure: Any
    caption: str

    @classmethod
    def saying(cls, figure: Any, said: Iterable[str]) -> Drawn:
        return cls(figure, f"{'; '.join(filter(None, said))}.")


def make(spec: FigureSpec, asked: Asked) -> Drawn:
    """The figure, drawn in the one style. Raises LmbenchError for what its runs lack or must not have in one figure."""
    with styled(asked.page):
        return spec.load()(asked)


def suiting(
    spec: FigureSpec, task: str = "", metric: str = "", part: str = "", annotations: Annotations = None, **_: Any
) -> Suiting:
    """What of all that a figure draws a run has, under the options that were given."""
    task = task or spec.task

    def found(run: Run) -> tuple[bool, ...]:
        rows = [row for row in run.record.rows if task in ("", row.task)]
        amounts = {row.n_annotations for row in rows}
        beside = run.folder.parent / STAGES
        return (
            len(amounts) >= spec.amounts,
            annotations is None or annotations in amounts,
            PREDICTIONS in spec.needs or metric in ("", *(row.metric for row in rows)),
            part in ("", *(row.subset for row in rows)),
            PREDICTIONS not in spec.needs or (run.folder / FOLDER_OF_PREDICTIONS).is_dir(),
            TRAINED not in spec.needs or all((beside / s.key[:KEY_SHOWN]).is_dir() for s in run.record.stages[-1:]),
            KEPT_HEAD not in spec.needs or (run.folder / HEADS).is_dir(),
            CURVES not in spec.needs or any(len(stage.curve) > 1 for stage in run.record.stages),
        )

    return found


def lines_of(
    words: Sequence[str], place: Place, labels: Sequence[str] = (), wanted: Suiting = lambda run: ()
) -> tuple[Line, ...]:
    """The runs that words name, seeds of one output together, each called by what tells it from the others.

    Of several runs of one seed the newest counts of those that have most of what is ``wanted``.
    Raises UsageError for labels of another number, else as `lmbench.results.sides.side_of`.
    """
    groups: list[list[Run]] = []
    named = [word for word in words if not (Path(word).name in BESIDE and Path(word).is_dir())]
    for run in {run.name: run for word in named or words for run in runs_of(word, place)}.values():
        group = next((own for own in groups if _one_output(own[0].record, run.record)), None)
        if group is None:
            groups.append([run])
        else:
            group.append(run)
    sides = [seeds_of(own[0].name, own, wanted) for own in groups]
    names = list(labels) or _names(sides)
    called = names if labels else [name + _counted(side) for name, side in zip(names, sides, strict=True)]
    if len(called) != len(sides):
        there = ", ".join(f"{i} {name}" for i, name in enumerate(_names(sides), 1))
        raise UsageError(
            f"{counted(len(called), '--label')} for {counted(len(sides), 'line')} ({there}): name each, in this order."
        )
    return tuple(
        Line(_short(label), side, _short(name)) for label, side, name in zip(called, sides, names, strict=True)
    )


def _one_output(a: Record, b: Record) -> bool:
    """Whether runs are seeds of one output: one recipe and minor version, and what both measured under one protocol."""
    if more_than_seeds(a, b) or numbers(a.version)[:2] != numbers(b.version)[:2]:
        return False
    theirs = {row.key: row for row in b.rows}
    shared = [(row, theirs[row.key]) for row in a.rows if row.key in theirs]
    return all(digest_of(_protocol(x, a, b)) == digest_of(_protocol(y, a, b)) for x, y in shared)


def _protocol(row: Row, a: Record, b: Record) -> dict[str, Any]:
    """What decides what a number means; of one seed also how many draws there were."""
    return {**protocol_of(row), "draws": row.draws if a.seed == b.seed else None}


def _counted(side: Side) -> str:
    return f" ({counted(len(side.seeds), 'seed')})" if len(side.seeds) > 1 else ""


def _names(sides: Sequence[Side]) -> list[str]:
    """Method and variant, and of several of one name what tells them apart."""
    records = [side.first.record for side in sides]
    told = {side: f"{side.first.record.method}/{side.first.record.variant}" for side in sides}
    datasets = without_folders_apart(dict.fromkeys(r.dataset for r in records))
    sources = without_folders_apart(dict.fromkeys(r.pretrain_on for r in records))
    facts: list[Callable[[Record], str]] = [
        lambda r: datasets[r.dataset],
        lambda r: f"preset {r.preset}",
        lambda r: f"pretrained on {sources[r.pretrain_on]}" if r.pretrain_on else "",
        lambda r: f"head {head_name(r)}" if head_name(r) else "",
        lambda r: f"lmbench {r.version}",
        lambda r: ", ".join(differing_settings(r, records)),
        lambda r: r.run,
    ]
    for fact in facts:
        for name in dict.fromkeys(told.values()):
            alike = [side for side in sides if told[side] == name]
            own = {side: fact(side.first.record) for side in alike}
            if len(set(own.values())) > 1:
                told |= {side: f"{name}, {said}" if said else name for side, said in own.items()}
    return [told[side] for side in sides]


def _short(label: str) -> str:
    text = " ".join(printable(label).split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def head_name(record: Record) -> str:
    """The head behind its numbers, without its owner; empty where it has none."""
    return next((head_of(row).rpartition(":")[2] for row in record.rows if head_of(row)), "")


def require_same_images(lines: Sequence[Line], headed: bool = True) -> None:
    """Raises StaleError where runs were not judged on the same images; says so where a ``headed`` figure has other heads."""
    first = lines[0].first
    for run in (run for line in lines for run in line.runs):
        if run is not first:
            require_same_data(first, run)
    heads = {line.label: head_name(line.record) for line in lines if head_name(line.record) not in ("", MEAN_SHAPE)}
    if headed and len(set(heads.values())) > 1:
        said = ", ".join(f"{label}: {head}" for label, head in heads.items())
        progress.say(f"warning: other heads stand behind these lines, and numbers of one are none of another ({said})")


def stored(run: Run, task: str, annotations: Annotations, part: str | None = None) -> Predictions:
    """The landmarks that a task predicted; of ``all`` annotations, else of the most, where no number is given.

    Raises UsageError with the command that makes what is missing, else as `Run.predictions`.
    """
    there = [row.n_annotations for row in run.record.rows if row.task == task and row.subset == part]
    counts = list(dict.fromkeys(n for n in there if n is not None))
    wanted = annotations
    if annotations is None and counts:
        wanted = "all" if "all" in counts else max(n for n in counts if isinstance(n, int))
    if not there or (annotations is not None and annotations not in counts):
        what = f"{task} of {annotations} annotations" if annotations is not None else task
        some = {"--annotations": ",".join(map(str, [*counts, annotations]))} if annotations is not None else {}
        raise lacking(run, f"its record has no {what}{f', {part}' if part else ''}", {"--tasks": task, **some})
    found = run.predictions(task, wanted, part)
    if not isinstance(found, Predictions):
        raise UsageError(f"{run.name}: what its task {task} stored are no points.")
    return found


def require_same_truth(found: Sequence[tuple[Run, Predictions]]) -> None:
    """Raises StaleError where predictions are not of the same images and labels."""
    first, ours = found[0]
    for run, theirs in found[1:]:
        for name, array in ours.truth().items():
            other = theirs.truth().get(name)
            if other is None or digest_of(array.tolist()) != digest_of(other.tolist()):
                raise StaleError(
                    f"{first.name} and {run.name} cannot stand in one figure: their {name} differ. Measure one of them anew on "
                    "the images of the other."
                )


def lacking(run: Run, what: str, options: dict[str, str]) -> UsageError:
    """What a run lacks, and the command that makes it."""
    return UsageError(f"{run.name}: {what}. `{command_of(run.record, options)}` makes it.")


def command_of(record: Record, options: dict[str, str]) -> str:
    """The command of a run as far as its record names it, with other options; ``--set`` and the like are the user's to repeat."""
    variant, comma, last = record.variant.rpartition(", ")
    untrained = bool(comma) and last == UNTRAINED
    given = {
        "--method": record.method,
        "--variant": variant if untrained else record.variant,
        "--dataset": record.dataset.partition(" (partial")[0],
        "--preset": record.preset,
        "--seed": str(record.seed),
    }
    if record.pretrain_on and record.pretrain_on != record.dataset:
        given["--pretrain-on"] = record.pretrain_on
    words = [word for pair in {**given, **options}.items() for word in pair]
    return shlex.join(["lmbench", "run", *words, *(["--untrained"] if untrained else [])])


def basis(
    lines: Iterable[Line], row: Row | None = None, headed: bool = True, runs: Iterable[Run] = ()
) -> Iterator[str]:
    """What all lines of a figure share, for its caption: data, images, version, seeds and, ``headed``, the head.

    ``runs``: those that are shown, where they are not all.
    """
    records = [run.record for run in [*runs] or [run for line in lines for run in line.runs]]
    yield ", ".join(dict.fromkeys(without_folders(record.dataset) for record in records))
    if row is not None and row.images:
        yield f"{row.images} test images"
    heads = list(dict.fromkeys(filter(None, map(head_name, records))))
    if heads and headed and (row is None or head_of(row)):
        yield f"head {', '.join(heads)}"
    seeds = sorted({record.seed for record in records})
    yield f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
    yield f"preset {', '.join(dict.fromkeys(record.preset for record in records))}"
    yield f"lmbench {', '.join(sorted({record.version for record in records}, key=numbers))}"
