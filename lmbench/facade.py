"""lmbench from Python: `run`, `load`, `compare`, `leaderboard`. docs/python.md shows them; the command line does the same."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lmbench import progress
from lmbench.config.asking import configurations, outputs_of, parse_annotations
from lmbench.config.overrides import dotted, read_toml
from lmbench.errors import DataError, UsageError, did_you_mean
from lmbench.plugins.loading import get_plugins
from lmbench.results.run import Run

if TYPE_CHECKING:
    import pandas

# Hugging Face `datasets` asks for widgets in a notebook that has none; lmbench shows its progress without them.
warnings.filterwarnings("ignore", message="IProgress not found")

Place = Path | str
Sided = Run | Place | Sequence[Run]
"""A run, what `lmbench compare` calls a side, or the runs of several seeds."""


def run(
    method: str,
    dataset: str,
    *,
    variant: str = "",
    preset: str | None = None,
    pretrain_on: str = "",
    seed: int = 0,
    annotations: str | int | Iterable[int | str] | None = None,
    draws: int | None = None,
    tasks: str | Iterable[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    config: Place | None = None,
    untrained: bool = False,
    probe_every: int | None = None,
    precision: Literal["auto", "fp32", "bf16"] | None = None,
    device: str = "auto",
    data_root: Place | None = None,
    runs: Place = "runs",
    allow_test_images: bool = False,
    partial: bool = False,
    resume: Literal["auto", "never", "require"] = "auto",
) -> Run:
    """The finished run of a method on a dataset: `lmbench run`, with the same defaults, folders and resuming.

    ``method``: ``METHOD`` or ``METHOD/VARIANT``. ``settings``: what ``--set`` changes, by names with dots or in tables
    (``{"stages.NAME.training.epochs": 3}``); they win over the TOML file ``config``. ``annotations``: ``"1,5,all"``, a number, or
    several. Progress goes to stderr. Raises UsageError for unknown names and impossible values, DataError where data is missing.
    """
    plugins = get_plugins()
    outputs = outputs_of(plugins, method, variant)
    if len(outputs) != 1:
        raise UsageError(f"method={method!r}, variant={variant!r}: one run is of one output; call it once for each.")
    (asked,) = configurations(
        plugins,
        outputs,
        dataset,
        preset=preset,
        pretrain_on=pretrain_on,
        seeds=[seed],
        untrained=untrained,
        annotations=None if annotations is None else parse_annotations(_listed(annotations)),
        draws=draws,
        tasks=None if tasks is None else _listed(tasks).split(","),
        probe_every=probe_every,
        precision=precision,
        allow_test_images=allow_test_images,
        partial=partial,
        overrides=[read_toml(Path(config)) if config else {}, dotted(settings or {})],
    )
    if resume not in ("auto", "never", "require"):
        raise UsageError(f"resume={resume!r}: expected auto, never or require.")

    from lmbench import job, runner  # torch: every mistake above is told before

    root = None if data_root is None else Path(data_root)
    prepared = job.prepare(asked, plugins, root, Path(runs), device)
    record, _ = runner.run(prepared, resume)
    return Run.open(prepared.runs / record.run)


def load(place: Place) -> Run:
    """The finished run in a folder (or of its record.json), in a file that `lmbench export` wrote, or what `lmbench fit` left.

    Raises DataError where there is none, or it is damaged.
    """
    from lmbench.results.fitted import load as load_run

    return load_run(place)


def compare(
    a: Sided,
    b: Sided,
    *,
    tasks: str | Iterable[str] = (),
    across_heads: bool = False,
    runs: Place = "runs",
    dataset: str = "",
    preset: str = "",
) -> pandas.DataFrame:
    """The numbers that two outputs share, a row each: both values, ``difference`` a - b with its 95 % interval, ``better``.

    A side is a run, the folder of one, several seeds of one output, or ``METHOD/OUTPUT``: its runs below ``runs`` (see `lmbench
    compare`). Raises StaleError for runs on other data or under another protocol, DataError where predictions are missing.
    """
    import pandas

    from lmbench.results.comparison import compare as compare_sides
    from lmbench.results.sides import Place as Below
    from lmbench.results.sides import Side, seeds_of, side_of

    below = Below(Path(runs), dataset, preset)

    def side(given: Sided) -> Side:
        if isinstance(given, Path | str):
            return side_of(str(given), below)
        several = [given] if isinstance(given, Run) else list(given)
        if not several or not all(isinstance(run, Run) for run in several):
            raise UsageError(f"{given!r}: expected a run, its folder, METHOD/OUTPUT, or the runs of several seeds.")
        return seeds_of(several[0].name, several)

    plugins = get_plugins()
    wanted = [t for t in _listed(tasks).split(",") if t]
    for task in wanted:
        plugins.find("task", task)
    (found,) = compare_sides([(side(a), side(b))], plugins, wanted, across_heads)
    return pandas.DataFrame([made.entry() for made in found])


def leaderboard(
    dataset: str = "", task: str = "", *, runs: Place = "runs", leaderboards: Place = "leaderboards"
) -> pandas.DataFrame:
    """The rows of `lmbench leaderboard build`, measured and published, of one dataset and task or of all; writes nothing.

    From the records below ``runs``, those kept in ``leaderboards`` and the papers of the plugins. Columns are those of the CSVs
    (docs/boards.md). What is left out is said. Raises DataError where there is no such board, with those there are.
    """
    import pandas

    from lmbench.papers.boards import built_boards

    built = built_boards(get_plugins(), Path(runs), Path(leaderboards))
    for reason in built.left_out:
        progress.say(f"left out: {reason}")
    wanted = [name for (d, t), name in built.boards.items() if dataset in ("", d) and task in ("", t)]
    if not wanted:
        there = [" ".join(board) for board in built.boards]
        near = did_you_mean(f"{dataset} {task}".strip(), there)
        raise DataError(f"there is no board of {dataset} {task}.{near} There are {', '.join(there[:20]) or 'none'}.")
    boards = [pandas.read_csv(io.StringIO(built.files[name]), dtype={"n_annotations": str}) for name in wanted]
    return pandas.concat(boards, ignore_index=True)


def _listed(given: Any) -> str:
    """A word, a number or several of them as the command line has them."""
    if isinstance(given, str | int):
        return ",".join(part.strip() for part in str(given).split(","))
    return ",".join(map(str, given))
