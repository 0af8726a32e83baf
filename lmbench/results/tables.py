"""Tables in Markdown, made from records alone: results of methods side by side, learning curves, what a run printed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from lmbench.errors import DataError, UsageError
from lmbench.printable import markdown, without_folders, without_folders_apart
from lmbench.results import shown
from lmbench.results.record import Number, Record, TrainedStage

UNTRAINED = ", untrained"
PROBE = "probe_"
OPTIONS = ("annotations", "parts")

Column = tuple[str, str, str, str]
"""Task, metric, part and number of annotations, as text."""


@dataclass(frozen=True)
class Selection:
    """What a table shows: the numbers of tasks on a dataset under a preset.

    ``methods``: names, or ``method/variant``; none: all. ``annotations``: none for all there are. ``parts``: besides the whole;
    a task whose results have no whole (same and different pairs) shows all its parts.
    """

    dataset: str
    tasks: tuple[str, ...]
    preset: str
    methods: tuple[str, ...] = ()
    annotations: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Selection:
        """``DATASET TASK[,TASK] PRESET [METHOD[/VARIANT] ...] [annotations=10,all] [parts=conv4_x]``. Raises UsageError."""
        words = [word for word in text.split() if "=" not in word]
        given = dict(word.split("=", 1) for word in text.split() if "=" in word)
        if len(words) < 3 or not set(given) <= set(OPTIONS):
            raise UsageError(
                f"table: {text}: expected DATASET TASK[,TASK] PRESET [METHOD[/VARIANT] ...] [annotations=10,all] [parts=LAYER]."
            )
        dataset, tasks, preset, *methods = words
        lists = {name: tuple(value.split(",")) for name, value in given.items()}
        return cls(dataset, tuple(tasks.split(",")), preset, tuple(methods), **lists)

    def takes(self, record: Record) -> bool:
        """Whether the table has a row for a record's output."""
        if (record.dataset, record.preset) != (self.dataset, self.preset):
            return False
        output = f"{record.method}/{record.variant.removesuffix(UNTRAINED)}"
        return not self.methods or record.method in self.methods or output in self.methods

    def shows(self, column: Column) -> bool:
        _, _, part, n = column
        return (not part or part in self.parts) and (not self.annotations or not n or n in self.annotations)


@dataclass(frozen=True)
class TableLine:
    """What stands in one line of a table: a frozen output, trained on some images, measured by one version on one data."""

    method: str
    variant: str
    pretrain_on: str
    version: str
    data: str


Seeds = dict[int, Number]
"""What was measured, by seed; the newest of several runs of one."""


def results_table(records: Iterable[Record], selection: Selection) -> str:
    """One line an output, one column a number: the mean over seeds, then a stroke and what the same recipe gives untrained.

    Bold: better than its control in every seed. Raises DataError where no record has such numbers.
    """
    chosen = sorted(filter(selection.takes, records), key=lambda record: (record.finished, record.run))
    columns = _columns(sorted(chosen, key=lambda record: record.run), selection)
    if not columns:
        raise DataError(
            f"no record has numbers of {selection.dataset} ({', '.join(selection.tasks)}, {selection.preset})."
        )
    lines: dict[TableLine, dict[Column, tuple[Seeds, Seeds]]] = {}
    for record in chosen:  # what stands beside a run first: a control's own run counts rather
        cells = lines.setdefault(_line_of(record), {column: ({}, {}) for column in columns})
        for beside in record.references:
            if beside.reference == "untrained" and _column(beside) in cells:
                cells[_column(beside)][1][record.seed] = beside
    for record in chosen:
        control = record.variant.endswith(UNTRAINED)
        for number in record.rows:
            if _column(number) in (cells := lines[_line_of(record)]):
                cells[_column(number)][control][record.seed] = number
    lines = {line: cells for line, cells in lines.items() if any(trained for trained, _ in cells.values())}
    if not lines:
        raise DataError(f"no record of {selection.dataset} ({selection.preset}) is of a trained output.")
    first = columns[0]
    ordered = sorted(lines, key=lambda line: (*_rank(lines[line][first][0]), line.method, line.variant))
    told = _told_apart(list(lines))
    heads = [_heading(column, chosen) for column in columns]
    body = [[told[line], *(_cell(*lines[line][column]) for column in columns)] for line in ordered]
    return markdown(["method, output", *heads], body) + _below(chosen, ordered, body)


def _line_of(record: Record) -> TableLine:
    """The line of a record, that of the trained output for its control too."""
    data = (record.data.fingerprint or "")[:8]
    return TableLine(record.method, record.variant.removesuffix(UNTRAINED), record.pretrain_on, record.version, data)


def curve_table(record: Record, stage: str) -> str:
    """The learning curve of a stage: its loss and what was probed on held-out training images. Raises DataError."""
    found: TrainedStage | None = next((s for s in record.stages if s.name == stage), None)
    if found is None or not found.curve:
        raise DataError(
            f"{record.run} has no curve of a stage {stage}; there are {', '.join(s.name for s in record.stages)}."
        )
    probed = list(dict.fromkeys(k for row in found.curve for k in row if k.startswith(PROBE)))
    names = ["total", *probed]
    body = [
        [f"{row['epoch']:.0f}", *(f"{row[name]:.2f}" if name in row else "" for name in names)] for row in found.curve
    ]
    return markdown(["epoch", "loss", *(name.removeprefix(PROBE) for name in probed)], body)


def output_block(record: Record) -> str:
    """What ``lmbench run`` prints of a record, as a block of text."""
    return "\n".join(f"    {line}".rstrip() for line in shown.as_text(record).splitlines()) + "\n"


def _column(number: Number) -> Column:
    n = number.n_annotations
    return number.task, number.metric, number.subset or "", "" if n is None else str(n)


def _columns(records: Sequence[Record], selection: Selection) -> list[Column]:
    """The columns in the order of the tasks: the fewest annotations first, and parts behind the whole."""
    found = list(dict.fromkeys(_column(row) for record in records for row in record.rows))
    columns = []
    for task in selection.tasks:
        own = [column for column in found if column[0] == task]
        whole = any(not part for _, _, part, _ in own)
        shown_here = [c for c in own if selection.shows(c if whole else (*c[:2], "", c[3]))]
        columns += sorted(shown_here, key=lambda c: (c[2] != "", c[3] == "all", int(c[3]) if c[3].isdecimal() else 0))
    return columns


def _heading(column: Column, records: Sequence[Record]) -> str:
    _, metric, part, n = column
    number = next(row for record in records for row in record.rows if _column(row) == column)
    drawn = f" ({number.draws} draws)" if number.draws else ""
    what = [f"{metric} {'↑' if number.higher_is_better else '↓'}, {number.unit}", part, f"n = {n}{drawn}" if n else ""]
    return ", ".join(filter(None, what))


def _cell(trained: Seeds, control: Seeds) -> str:
    """``**21.61 ± 1.09 (3 seeds)** / 27.93 ± 0.10 (3 seeds)``."""
    if not trained:
        return ""
    own = _text(trained)
    if not control:
        return own
    pairs = [(trained[seed], control[seed]) for seed in trained if seed in control]
    beaten = pairs and len(pairs) == len(trained) and all(_better(a, b) for a, b in pairs)
    return f"{f'**{own}**' if beaten else own} / {_text(control)}"


def _text(numbers: Seeds) -> str:
    """The mean over seeds with its spread; of one seed the number with its spread over draws."""
    values = [number.value for number in numbers.values()]
    if len(values) > 1:
        return f"{fmean(values):.2f} ± {stdev(values):.2f} ({len(values)} seeds)"
    (number,) = numbers.values()
    return f"{number.value:.2f}" + (f" ± {number.std:.2f}" if number.std is not None else "")


def _better(a: Number, b: Number) -> bool:
    return a.value > b.value if a.higher_is_better else a.value < b.value


def _rank(trained: Seeds) -> tuple[bool, float]:
    """By the mean over seeds, the best first; what was not measured comes last."""
    numbers = list(trained.values())
    if not numbers:
        return True, 0.0
    mean = fmean(number.value for number in numbers)
    return False, -mean if numbers[0].higher_is_better else mean


def _told_apart(lines: Sequence[TableLine]) -> dict[TableLine, str]:
    """What each line is called: method and output, and what else tells it from another line of that name."""
    named = {}
    for line in lines:
        alike = [o for o in lines if (o.method, o.variant) == (line.method, line.variant)]
        sources = without_folders_apart(dict.fromkeys(o.pretrain_on for o in alike))
        more = {
            "pretrained on": {*sources.values()},
            "lmbench": {o.version for o in lines},
            "data": {o.data for o in lines},
        }
        own = {"pretrained on": sources[line.pretrain_on], "lmbench": line.version, "data": line.data}
        apart = [f"{what} {own[what]}" for what, all_of_them in more.items() if len(all_of_them) > 1]
        named[line] = ", ".join([f"`{line.method}`", line.variant, *apart])
    return named


def _below(chosen: Sequence[Record], lines: Sequence[TableLine], body: Sequence[Sequence[str]]) -> str:
    """What all lines share: the version, seeds and images, and what the signs mean."""
    cells = [cell for line in body for cell in line[1:]]
    seeds = sorted({record.seed for record in chosen})
    versions, sources = (
        sorted({o.version for o in lines}),
        sorted({without_folders(o.pretrain_on) for o in lines} - {""}),
    )
    said = [
        f"lmbench {', '.join(versions)}",
        f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}",
        f"pretrained on {', '.join(f'`{s}`' for s in sources)}" if sources else "",
        "± the spread over seeds where their number is told, else over draws"
        if any("±" in cell for cell in cells)
        else "",
        "behind the stroke the same recipe untrained, bold what beats it in every seed"
        if any(" / " in c for c in cells)
        else "",
    ]
    return f"\n{'; '.join(filter(None, said))}.\n"
