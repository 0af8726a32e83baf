"""Outputs made up for boards: records over some seeds, and the scores image by image that they are the means of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from made_records import record

from lmbench.results.record import Key, Record
from lmbench.results.scores import Scores

IMAGES = 200
HOSTILE = "<script>alert(1)</script>\"'&\u202eevil\x1b[2J" + "x" * 250  # as a name
KEY: Key = ("regression", "iod", None, "all")
HARD = np.random.default_rng(5).normal(0, 5, IMAGES)  # what is hard for everybody: it cancels where images are paired


class Made:
    """Records with their scores, as a folder of leaderboards would keep them."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.scores: dict[str, dict[Key, Scores]] = {}

    def add(
        self,
        method: str,
        mean: float,
        seeds: Sequence[int] = (0, 1, 2),
        spread: float = 0.3,
        kept: bool = True,
        settings: Mapping[str, object] | None = None,
        metric: Mapping[str, object] | None = None,
        **changes: object,
    ) -> list[Record]:
        """An output of that true mean, whose seeds differ by ``spread``."""
        made = []
        for seed in seeds:
            rng = np.random.default_rng([len(self.records), seed])
            values = (mean + rng.normal(0, spread) + HARD + rng.normal(0, 2, IMAGES))[None]
            value, half = float(values.mean()), 1.96 * float(values.std()) / IMAGES**0.5
            run = f"r{len(self.records):03}"
            document = record(run, method, value, seed=seed, **{"data": {"fingerprint": "f" * 64}, **changes})
            document["metrics"][0] |= {"ci95": [value - half, value + half], "images": IMAGES, **(metric or {})}
            document["metrics"][0]["settings"] = {"head": "lmbench:converged 0.4.0", **(settings or {})}
            self.records.append(Record.of(document))
            key = self.records[-1].rows[0].key
            if kept:
                self.scores[run] = {
                    key: Scores(key, values, IMAGES, {"image ids": "i", "target": f"warped by seed {seed}"})
                }
            made.append(self.records[-1])
        return made

    @property
    def of(self) -> Callable[[Record], Mapping[Key, Scores]]:
        return lambda found: self.scores.get(found.run, {})


def printed(method: str, value: str, **changes: str) -> dict[str, str]:
    """A published row, as `lmbench.papers.boards` gives it."""
    row = {
        "dataset": "mafl", "task": "regression", "metric": "iod", "part": "", "n_annotations": "all", "kind": "published",
        "method": method, "variant": "", "supervision": "self-supervised", "backbone": "", "feature_dim": "",
        "pretrain_on": "", "value": value, "std": "", "unit": "percent", "higher_is_better": "false",
        "source": "paper2020, Table 1", "note": "",
    }  # fmt: skip
    return {**row, **changes}
