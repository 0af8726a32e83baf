"""Runs made up for tests: predictions some pixels off, in a folder with the record they give."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from lmbench.cli.main import run_cli
from lmbench.metrics.base import Predictions
from lmbench.plugins.loading import get_plugins
from lmbench.results.measuring import measure
from lmbench.results.record import Data, Record, write_record

IMAGES = 60


def predicted(noise, n="all", images=IMAGES, draws=1, seed=0, chance=1, **changes):
    """Predictions of ``noise`` pixels, by ``chance``; the truth depends on ``seed`` alone."""
    rng = np.random.default_rng(seed)
    target = rng.uniform(5, 60, (images, 4, 2))
    hard = rng.uniform(0.2, 4, (images, 1, 1))  # some images are hard for everybody: what pairing takes out
    made = Predictions(
        task="regression",
        predicted=target + noise * hard * np.random.default_rng(chance).normal(0, 1, (draws, images, 4, 2)),
        target=target,
        visible=np.ones((images, 4), bool),
        image_ids=np.array([f"{i}.jpg" for i in range(images)]),
        image_size=64,
        n_annotations=n,
        eyes=(0, 1),
        settings={
            "head": "core:ols 1",
            "bias": False,
            "draw_indices": None if n == "all" else [[1, 2]],
            "dimension": noise,
        },
        metrics=("pck_5pct", "iod"),
        landmark_names=("p", "q", "r", "s"),
    )
    return replace(made, **changes)


def run_of(folder: Path, *stored: Predictions, about=None, **data) -> Path:
    """A run's folder with these predictions and the record they give; ``about``: what else that says."""
    for p in stored:
        p.write(folder / "predictions")
    held = {
        "fingerprint": "f" * 64, "used": {"train": None, "test": None}, "preprocessing": {"resize": 64, "crop": 0, "size": 64},
    }  # fmt: skip
    record = Record(
        run=folder.name, method="", variant="", dataset="mafl", pretrain_on="", preset="", seed=0, backbone="", supervision="",
        feature_dim=None, rows=tuple(row for p in stored for row in measure(p, get_plugins())), stages=(), components=(),
        data=Data(**{**held, **data}), code={}, environment={}, config={}, config_sha256="",
        predictions=tuple(f"predictions/{p.name}.parquet" for p in stored),
    )  # fmt: skip
    write_record(folder, replace(record, **(about or {})))
    return folder


def compared(capsys, *arguments):
    """(exit code, stdout, stderr) of ``lmbench compare``."""
    capsys.readouterr()
    code = run_cli(["compare", *map(str, arguments)])
    out, err = capsys.readouterr()
    return code, out, err
