"""The printed numbers as rows of the leaderboards, values as printed ("21.8", "8.89")."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from lmbench.errors import LmbenchError
from lmbench.papers.published import Cell, read_papers
from lmbench.papers.targets import metric_of
from lmbench.plugins.loading import Plugins
from lmbench.results.leaderboard import Built, Line, build
from lmbench.results.ranking import ScoresOf
from lmbench.results.record import Key, Record
from lmbench.results.scores import Scores, kept_scores


def built_boards(plugins: Plugins, runs: Path, out: Path) -> Built:
    """The leaderboards of records below ``runs`` and in ``out``, and of the papers that plugins bring; writes nothing.

    What cannot be read is left out and named. Raises as `build`.
    """
    published, scores, unread = sources(plugins, out)
    built = build(runs, out, published, scores)
    built.left_out += unread()
    return built


def sources(plugins: Plugins, out: Path) -> tuple[list[Line], ScoresOf, Callable[[], list[str]]]:
    """The published rows, the kept scores of a record, and what could not be read of both by the time it is asked."""
    damaged: dict[str, str] = {}

    def scores(record: Record) -> dict[Key, Scores]:
        try:
            return dict(kept_scores(out, record))
        except LmbenchError as error:
            damaged[record.run] = str(error)
            return {}

    published, unread = published_rows(plugins)
    return published, scores, lambda: [*unread, *damaged.values()]


def published_rows(plugins: Plugins) -> tuple[list[Line], list[str]]:
    """The rows of every paper that is here, and why those of others cannot be read."""
    read, damaged = read_papers(plugins)
    return [_row(c) for cells in read.values() for c in cells if _on_boards(c)], list(damaged.values())


def unbrought_rows(plugins: Plugins, out: Path) -> list[str]:
    """For each board in a folder, which of its published rows no installed plugin brings: a build would drop them."""
    read, damaged = read_papers(plugins)
    said = []
    for path in sorted(out.glob("*.csv")):
        try:
            with path.open(encoding="utf-8", newline="") as file:
                sources = [row.get("source") or "" for row in csv.DictReader(file) if row.get("kind") == "published"]
        except (OSError, ValueError, csv.Error):
            continue  # no board: whoever compares it with a build says so
        papers = Counter(source.partition(", ")[0] for source in sources)
        for paper in sorted(set(papers) - set(read) - set(damaged)):
            rows = f"{papers[paper]} row{'s' if papers[paper] > 1 else ''}"
            said.append(f"{path} holds {rows} of {paper}, which no plugin here brings")
    return said


def _on_boards(cell: Cell) -> bool:
    return bool(cell.dataset) and not any(reading.off_boards for reading in cell.readings)


def _row(cell: Cell) -> Line:
    renamed = any(reading.metric for reading in cell.readings)
    notes = [f"printed as {cell['metric']}" if renamed else "", cell["note"]]
    return {
        "dataset": cell.dataset,
        "task": cell["task"],
        "metric": metric_of(cell),
        "part": cell.here("pairs") or cell.here("part"),
        "n_annotations": cell["n_annotations"],
        "kind": "published",
        "method": cell["method"],
        "variant": cell["variant"] or (f"K={cell['n_landmarks']}" if cell["n_landmarks"] else ""),
        "supervision": cell["supervision"],
        "backbone": cell["backbone"],
        "feature_dim": cell["feature_dim"],
        "pretrain_on": cell["pretrain_dataset"],
        "value": cell["value"],
        "std": cell["std"],
        "unit": cell["unit"],
        "higher_is_better": "false" if cell["lower_is_better"] == "true" else "true",
        "source": f"{cell.paper}, {cell['table']}",
        "note": "; ".join(filter(None, notes)),
    }
