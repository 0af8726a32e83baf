"""Tables in Markdown, made from records alone: results of methods side by side, learning curves, what a run printed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lmbench.errors import DataError, UsageError
from lmbench.printable import markdown
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
class Output:
    """What stands in one line of a table: a frozen output, trained on some images, measured by one version on one data."""

    method: str
    variant: str
    pretrain_on: str
    version: str
    data: str


Values = dict[int, list[str]]
"""What was measured, by seed; more than one where runs that should be alike are not."""


def results_table(records: Iterable[Record], selection: Selection) -> str:
    """One line an output, one column a number; seeds in order, then a stroke and what the same recipe gives untrained.

    Bold: better than its control. Raises DataError where no record has such numbers.
    """
    chosen = [record for record in records if selection.takes(record)]
    columns = _columns(chosen, selection)
    if not columns:
        raise DataError(
            f"no record has numbers of {selection.dataset} ({', '.join(selection.tasks)}, {selection.preset})."
        )
    lines: dict[Output, dict[Column, tuple[dict[int, list[Number]], dict[int, list[Number]]]]] = {}
    for record in chosen:
        plain = record.variant.removesuffix(UNTRAINED)
        output = Output(record.method, plain, record.pretrain_on, record.version, (record.data.fingerprint or "")[:8])
        cells = lines.setdefault(output, {column: ({}, {}) for column in columns})
        control = plain != record.variant
        for number in record.rows:
            if _column(number) in cells:
                cells[_column(number)][control].setdefault(record.seed, []).append(number)
        for beside in record.references if not control else ():
            if beside.reference == "untrained" and _column(beside) in cells:
                cells[_column(beside)][1].setdefault(record.seed, []).append(beside)
    lines = {output: cells for output, cells in lines.items() if any(trained for trained, _ in cells.values())}
    if not lines:
        raise DataError(f"no record of {selection.dataset} ({selection.preset}) is of a trained output.")
    first = columns[0]
    ordered = sorted(lines, key=lambda output: (*_rank(lines[output][first][0]), output.method, output.variant))
    told = _told_apart(list(lines))
    heads = [_heading(column, chosen) for column in columns]
    body = [[told[output], *(_cell(*lines[output][column]) for column in columns)] for output in ordered]
    controlled = any(" / " in cell for line in body for cell in line[1:])
    return markdown(["method, output", *heads], body) + _below(chosen, ordered, controlled)


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


def _cell(trained: Mapping[int, list[Number]], control: Mapping[int, list[Number]]) -> str:
    """``**21.98**, 22.47 / 27.86, 27.89``: by seed."""
    shown_values = []
    for seed in sorted(trained):
        text = _text(trained[seed])
        beside = control.get(seed, [])
        beaten = beside and all(_better(a, b) for a in trained[seed] for b in beside)
        shown_values.append(f"**{text}**" if beaten else text)
    own = ", ".join(shown_values)
    return own + (f" / {', '.join(_text(control[seed]) for seed in sorted(control))}" if control and own else "")


def _text(numbers: Sequence[Number]) -> str:
    texts = (f"{n.value:.2f}" + (f" ± {n.std:.2f}" if n.std is not None else "") for n in numbers)
    return " or ".join(dict.fromkeys(texts))


def _better(a: Number, b: Number) -> bool:
    return a.value > b.value if a.higher_is_better else a.value < b.value


def _rank(trained: Mapping[int, list[Number]]) -> tuple[bool, float]:
    """By the mean over seeds, the best first; what was not measured comes last."""
    numbers = [n for found in trained.values() for n in found[:1]]
    if not numbers:
        return True, 0.0
    mean = sum(n.value for n in numbers) / len(numbers)
    return False, -mean if numbers[0].higher_is_better else mean


def _told_apart(outputs: Sequence[Output]) -> dict[Output, str]:
    """What each line is called: method and output, and what else tells it from another line of that name."""
    named = {}
    for output in outputs:
        alike = [o for o in outputs if (o.method, o.variant) == (output.method, output.variant)]
        more = {
            "pretrained on": {o.pretrain_on for o in alike},
            "lmbench": {o.version for o in outputs},
            "data": {o.data for o in outputs},
        }
        own = {"pretrained on": output.pretrain_on, "lmbench": output.version, "data": output.data}
        apart = [f"{what} {own[what]}" for what, all_of_them in more.items() if len(all_of_them) > 1]
        named[output] = ", ".join([f"`{output.method}`", output.variant, *apart])
    return named


def _below(chosen: Sequence[Record], outputs: Sequence[Output], controlled: bool) -> str:
    """What all lines share: the version, seeds and images."""
    seeds = sorted({record.seed for record in chosen})
    versions, sources = sorted({o.version for o in outputs}), sorted({o.pretrain_on for o in outputs} - {""})
    said = [
        f"lmbench {', '.join(versions)}",
        f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}",
        f"pretrained on {', '.join(f'`{s}`' for s in sources)}" if sources else "",
        "behind the stroke the same recipe untrained, bold what beats it" if controlled else "",
    ]
    return f"\n{'; '.join(filter(None, said))}.\n"
