"""Small runs for the tests of `lmbench run`: their command line, and ways to give it."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

from lmbench.cli.main import run_cli

# The smallest run that has every part: a stage of several steps, few-shot draws, all annotations, both tasks.
SMALL = {
    "train_images": 16, "test_images": 8, "read.size": 6, "regression.layers_alone": "()", "matching.pairs": 2,
    "regression.head_settings.steps": 3, "stages.byol.training.epochs": 3, "stages.byol.training.images": 32,
    "stages.byol.training.checkpoint_minutes": 0.02,
}  # fmt: skip


def command(runs: Path, *options: str, method: str = "lead", variant: str = "hypercolumn") -> list[str]:
    """The arguments of a small run."""
    fixed = ["run", "--method", method, "--variant", variant, "--dataset", "synthfaces", "--preset", "smoke"]
    fixed += ["--runs", str(runs), "--annotations", "4,all", "--draws", "2", "--device", "cpu", "--precision", "fp32"]
    settings = SMALL if method == "lead" else {k: v for k, v in SMALL.items() if k.endswith("_images")}
    return [*fixed, *(part for k, v in settings.items() for part in ("--set", f"{k}={v}")), *options]


def run_here(capsys, *arguments: str) -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of a command line in this process."""
    capsys.readouterr()
    code = run_cli(list(arguments))
    out, err = capsys.readouterr()
    return code, out, err


def recorded(arguments: list[str]) -> dict:
    """The record (or plan) that a command prints; for fixtures, which have no capsys of their scope."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert run_cli([*arguments, "--json"]) == 0
    return json.loads(out.getvalue())


def pixels_run(runs: Path, dataset: str, *options: str) -> Path:
    """The folder of a run without training, with a head fitted for some steps."""
    arguments = ["run", "--method", "pixels", "--dataset", dataset, "--preset", "smoke", "--runs", str(runs)]
    arguments += ["--tasks", "regression", "--device", "cpu", "--set", "read.size=8"]
    arguments += ["--set", "regression.head=softargmax_conditioned"]  # which never falls back on the mean shape
    return runs / recorded([*arguments, *options])["run"]
