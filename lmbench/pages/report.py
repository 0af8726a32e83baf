"""A report of runs as a page: protocol in words, numbers, curves, pictures, cost, provenance, how to repeat them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from markupsafe import Markup

from lmbench import __version__, progress
from lmbench.config.command import command_of
from lmbench.errors import LmbenchError, UsageError
from lmbench.pages.charts import bar
from lmbench.pages.curves import Chart, ced_chart, charts_of
from lmbench.pages.judged import Judged, judged_or_why
from lmbench.pages.pictures import Picture, picture_groups
from lmbench.pages.skeleton import render, shown
from lmbench.pages.wording import protocol, settings_of
from lmbench.plugins.loading import Plugins, get_plugins
from lmbench.printable import without_folders
from lmbench.results import shown as as_run_shows
from lmbench.results.forest import axis_of
from lmbench.results.record import Record, Row
from lmbench.results.run import Run

NOTHING_JUDGED = "No errors of images and landmarks, and no pictures: no landmarks that the run predicted are at hand."
MOST_COLUMNS = 3  # runs that stand side by side, each in a column
FOLDED = 20  # landmarks that a table shows at once

Cells = list[str | Markup]


@dataclass(frozen=True)
class Table:
    """Cells below their heads; ``numbers``: columns that stand to the right; ``folded``: behind a line that opens it."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Cells]
    numbers: tuple[int, ...] = ()
    folded: str = ""


@dataclass
class Section:
    """A run as the page shows it."""

    anchor: str
    title: str
    facts: list[tuple[str, str]]
    protocol: list[tuple[str, list[str]]]
    settings: list[tuple[str, list[tuple[str, str]]]]
    choices: list[tuple[str, str]]
    numbers: Table
    charts: list[Chart] = field(default_factory=list)
    landmarks: Table | None = None
    pictures: dict[str, list[Picture]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    cost: list[tuple[str, str]] = field(default_factory=list)
    stages: Table | None = None
    provenance: list[tuple[str, str]] = field(default_factory=list)
    components: Table | None = None
    command: str = ""
    remark: str = ""


def report_page(runs: Sequence[Run], data_root: Path | None = None) -> tuple[str, list[str]]:
    """The page of some runs, and what it had to leave out, with the reason. Raises UsageError where one stands there twice."""
    names = [run.name for run in runs]
    if len(set(names)) < len(names):
        raise UsageError(f"the run {next(n for n in names if names.count(n) > 1)} is named twice; name each once.")
    plugins = get_plugins()
    sections, found, left_out = [], [], []
    with progress.task("report", len(runs), "runs") as bar_of_runs:
        for number, run in enumerate(runs, 1):
            own, why = judged_or_why(run)
            section = _section(f"run{number}", run, own, plugins)
            if own:
                found.append((run, own[-1]))
                why = _add_pictures(section, run, own[-1], data_root)
            else:
                section.missing.append(NOTHING_JUDGED)
            left_out += [f"{run.name}: {why}"] if why else []
            sections.append(section)
            bar_of_runs.advance()
    title = sections[0].title if len(sections) == 1 else f"{len(sections)} runs"
    beside = _side_by_side(runs) if len(runs) > 1 else None
    page = render(
        "report",
        title=shown(title),
        sections=sections,
        beside=beside,
        together=_together(runs, found),
        version=__version__,
    )
    return page, left_out


def _section(anchor: str, run: Run, own: Sequence[Judged], plugins: Plugins) -> Section:
    record = run.record
    preferred = plugins.preferring(*dict.fromkeys(record.distributions))
    section = Section(
        anchor=anchor,
        title=shown(as_run_shows.heading(record)),
        facts=_listed(
            {"Run": record.run, "Finished": record.finished, "Status": "" if record.status == "ok" else record.status}
        ),
        protocol=shown(protocol(record, preferred)),
        settings=shown(settings_of(record)),
        choices=_listed(record.choices),
        numbers=_numbers(record),
        charts=charts_of(record, own),
        cost=_cost(record),
        stages=_stages(record),
        provenance=_provenance(record),
        components=_components(record),
    )
    if own:
        section.landmarks = _landmarks(own[-1])
    section.command, section.remark = _command(run, plugins)
    return section


def _numbers(record: Record) -> Table:
    """The numbers of a record as `lmbench run` shows them, each with its interval drawn; those of one metric on one axis."""
    columns, rows = as_run_shows.table(record)
    beside = {row.key: [r.value for r in record.references if r.key == row.key] for row in record.rows}
    axes = {}
    for task, metric in dict.fromkeys((row.task, row.metric) for row in record.rows):
        alike = [row for row in record.rows if (row.task, row.metric) == (task, metric)]
        axes[task, metric] = axis_of(v for r in alike for v in (r.value, *(r.ci95 or ()), *beside[r.key]))
    made = []
    for row, cells in zip(record.rows, rows, strict=True):
        drawn = bar(row.value, row.ci95, axes[row.task, row.metric], _in_words(row), beside[row.key])
        made.append([*map(shown, cells), drawn])
    numbers = (4, *range(7, len(columns)))
    return Table("", [*columns, "drawn"], made, numbers)


def _in_words(row: Row) -> str:
    interval = f", 95 % from {row.ci95[0]:.2f} to {row.ci95[1]:.2f}" if row.ci95 else ""
    return f"{row.metric}: {row.value:.2f} {row.unit}{interval}"


def _landmarks(own: Judged) -> Table:
    found = list(own.by_landmark())
    axis = axis_of(v for _, value, interval in found for v in (value, *(interval or ())))
    rows: list[Cells] = []
    for name, value, interval in found:
        text = f"{interval[0]:.2f} .. {interval[1]:.2f}" if interval else "-"
        rows.append(
            [shown(name), f"{value:.2f}", text, bar(value, interval, axis, f"{name}: {value:.2f}, 95 % {text}")]
        )
    n = f", n = {own.n}" if own.n else ""
    folded = f"{len(rows)} landmarks" if len(rows) > FOLDED else ""
    return Table(shown(f"{own.measure}{n}"), ["landmark", "error", "95 % over images", "drawn"], rows, (1,), folded)


def _add_pictures(section: Section, run: Run, own: Judged, data_root: Path | None) -> str:
    """Adds the pictures, or a line that says they are left out; returns the reason."""
    try:
        groups = picture_groups(run, own, data_root)
    except LmbenchError as error:
        dataset = without_folders(run.record.dataset)
        section.missing.append(
            f"No pictures: the test images of {dataset} that the run was judged on are not on this machine."
        )
        return f"no pictures: {error}"
    section.pictures = {name: [_as_shown(p) for p in pictures] for name, pictures in groups.items()}
    return ""


def _as_shown(picture: Picture) -> Picture:
    return Picture(picture.source, shown(picture.caption), shown(picture.alt), picture.side)


def _cost(record: Record) -> list[tuple[str, str]]:
    env = record.environment
    memory = env.get("peak_memory_mib")
    gpu_memory = env.get("peak_gpu_memory_mib")
    return _listed(
        {
            "Time": f"{_clock(record.seconds)}, of which {_clock(sum(s.seconds for s in record.stages))} trained stages",
            "Device": ", ".join(filter(None, map(str, (env.get("device"), env.get("gpu") or env.get("processor"))))),
            "Threads": env.get("threads"),
            "Precision of training": env.get("precision"),
            "Peak memory": f"{memory} MiB of the process" if memory else None,
            "Peak memory of the GPU": f"{gpu_memory} MiB" if gpu_memory else None,
        }
    )


def _stages(record: Record) -> Table | None:
    columns = ["stage", "objective", "backbone", "epochs", "steps", "image views", "time"]
    rows: list[Cells] = [
        [
            shown(s.name), shown(s.objective), shown(s.backbone), str(s.epochs), "" if s.steps is None else str(s.steps),
            "" if s.views is None else f"{s.views:,}", "reused" if s.reused else _clock(s.seconds),
        ]
        for s in record.stages
    ]  # fmt: skip
    return Table("Stages", columns, rows, (3, 4, 5, 6)) if rows else None


def _provenance(record: Record) -> list[tuple[str, str]]:
    code, env, data = record.code, record.environment, record.data
    changed = {"True": ", with changes that are in no commit", "False": ", unchanged"}.get(str(code.get("dirty")), "")
    libraries = env.get("libraries")
    return _listed(
        {
            "lmbench": f"{record.version}, commit {code['commit']}{changed}" if code.get("commit") else record.version,
            "Python": env.get("python"),
            "Machine": env.get("platform"),
            "Libraries": ", ".join(f"{k} {v}" for k, v in libraries.items()) if isinstance(libraries, dict) else None,
            "Data": data.fingerprint and f"fingerprint {data.fingerprint}",
            "Images": ", ".join(f"{count} {split}" for split, count in data.counts.items()),
            "A part of the originals": data.partial,
            "Pixels": ", ".join(f"{split} SHA-256 {digest}" for split, digest in data.pixels_sha256.items()),
            "Pretraining data": data.pretraining_fingerprint and f"fingerprint {data.pretraining_fingerprint}",
            **{f"Weights of {s.name}": f"SHA-256 {s.weights_sha256}" for s in record.stages if s.weights_sha256},
            **{f"Address of {s.name}": s.key for s in record.stages},
            "Configuration": f"SHA-256 {record.config_sha256}",
            "Record": (seal := record.to_json().get("sha256")) and f"SHA-256 {seal}, schema {record.schema}",
            "Observers complained": "; ".join(record.observer_errors),
        }
    )


def _components(record: Record) -> Table:
    names = ("kind", "name", "distribution", "version")
    rows: list[Cells] = [[shown(str(part.get(name, ""))) for name in names] for part in record.components]
    return Table("Components", names, rows)


def _command(run: Run, plugins: Plugins) -> tuple[str, str]:
    """The command that gives the run, and what is to be said of it."""
    made_with = f"It was made with lmbench {run.record.version}"
    try:
        command, exact = command_of(run.config, plugins, str(run.record.environment.get("precision") or ""))
    except LmbenchError as error:
        return "", f"{made_with}; with what is installed here there is no command for it: {shown(str(error))}"
    if exact:
        return shown(command), f"{made_with}; here this command gives the same configuration."
    return shown(
        command
    ), f"{made_with}; the parts installed here give another configuration: install those versions first."


def _side_by_side(runs: Sequence[Run]) -> Table:
    """The numbers that the runs share, or one of them has: a column a run, of many runs a line a run."""
    keys = dict.fromkeys(row.key for run in runs for row in run.record.rows)
    numbers: list[list[str]] = []
    for key in keys:
        found = [run.record.find(key) for run in runs]
        row = next(row for row in found if row is not None)
        direction = "↑" if row.higher_is_better else "↓"
        n = as_run_shows.annotations_of(row)
        told = [f"{row.task} {row.metric} {direction}, {row.unit}", row.subset, f"n = {n}" if n else ""]
        numbers.append([shown(", ".join(filter(None, told))), *(_value(own) for own in found)])
    lines: list[Sequence[str]] = [["number", *_called(runs)], *numbers]
    if len(runs) > MOST_COLUMNS:
        lines = [*zip(["run", *lines[0][1:]], *numbers, strict=True)]
    return Table("", lines[0], [list(line) for line in lines[1:]])


def _called(runs: Sequence[Run]) -> list[str]:
    """What runs are called beside each other: by their place on the page and by what they are."""
    names = [f"{run.record.method}/{run.record.variant}" for run in runs]
    seeds = [
        f", seed {run.record.seed}" if names.count(name) > 1 else "" for name, run in zip(names, runs, strict=True)
    ]
    return [shown(f"{i}: {name}{seed}") for i, (name, seed) in enumerate(zip(names, seeds, strict=True), 1)]


def _value(row: Row | None) -> str:
    if row is None:
        return "-"
    interval = f" ({row.ci95[0]:.2f}\N{NO-BREAK SPACE}..\N{NO-BREAK SPACE}{row.ci95[1]:.2f})" if row.ci95 else ""
    return f"{row.value:.2f}{interval}"


def _together(runs: Sequence[Run], found: Sequence[tuple[Run, Judged]]) -> Chart | None:
    """The errors of the runs in one chart, where several are of one dataset, metric and number of annotations."""
    if len(found) < 2:
        return None
    alike = {(run.record.data.fingerprint, own.metric.name, own.metric.unit, own.n) for run, own in found}
    if len(alike) > 1:
        return None
    called = dict(zip((run.name for run in runs), _called(runs), strict=True))
    return ced_chart([(called[run.name], own) for run, own in found])


def _listed(facts: Any) -> list[tuple[str, str]]:
    """What is known, as text."""
    return [
        (shown(str(k)), shown(v if isinstance(v, str) else json.dumps(v)))
        for k, v in facts.items()
        if v not in (None, "")
    ]


def _clock(seconds: float) -> str:
    """``4 min 36 s``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours} h" if hours else "", f"{minutes} min" if minutes else "", f"{rest} s" if not hours else ""]
    return " ".join(filter(None, parts))
