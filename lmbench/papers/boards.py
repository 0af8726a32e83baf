"""The printed numbers as rows of the leaderboards, values as printed ("21.8", "8.89")."""

from __future__ import annotations

from typing import Any

from lmbench.papers.published import Cell, read_papers
from lmbench.papers.targets import metric_of
from lmbench.plugins.loading import Plugins


def published_rows(plugins: Plugins) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows of every paper that is here, and why those of others cannot be read."""
    read, damaged = read_papers(plugins)
    return [_row(c) for cells in read.values() for c in cells if _on_boards(c)], list(damaged.values())


def _on_boards(cell: Cell) -> bool:
    return bool(cell.dataset) and not any(reading.off_boards for reading in cell.readings)


def _row(cell: Cell) -> dict[str, Any]:
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
