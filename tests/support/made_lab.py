"""Where many runs are done without computing any: for tests of the verbs that do runs in order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lmbench import runner
from lmbench.cli.main import run_cli
from lmbench.job import Job
from lmbench.results.reading import read_record
from lmbench.store.files import locked


def record_of(job: Job, value: float = 20.0) -> dict[str, Any]:
    """A record as of a run that found ``value``."""
    c = job.config
    metric = {
        "task": "regression", "metric": "iod", "subset": None, "n_annotations": "all", "value": value, "std": None,
        "draws": None, "ci95": [19.0, 21.0], "unit": "percent", "higher_is_better": False, "settings": {},
    }  # fmt: skip
    return {
        "schema": 2, "run": job.folder.name, "status": "ok", "method": c.method, "variant": c.output, "dataset": c.dataset,
        "pretrain_on": c.pretrain_on, "preset": c.preset, "seed": c.seed, "backbone": c.network.backbone, "metrics": [metric],
        "stages": [], "components": [], "data": {"fingerprint": job.target.fingerprint}, "code": {}, "environment": {},
        "config": c.dump(), "config_sha256": "", "identity": dict(job.identity), "seconds": 60.0,
    }  # fmt: skip


class Lab:
    """A place with its own folders, and a runner whose runs are made up; it locks them as the real one does."""

    def __init__(self, folder: Path, monkeypatch, capsys) -> None:
        self.folder, self.capsys = folder, capsys
        self.ran: list[str] = []
        self.errors: dict[str, BaseException] = {}
        monkeypatch.setattr(runner, "run", self.run)

    def run(self, job: Job, resume: str = "auto", wait: bool = True):
        job.folder.mkdir(parents=True, exist_ok=True)
        with locked(job.folder / "run", wait):
            if (job.folder / "record.json").exists():
                return read_record(job.folder / "record.json"), True
            name = f"{job.config.method}/{job.config.output} {job.config.seed}"
            self.ran.append(name)
            if name in self.errors:
                raise self.errors[name]
            (job.folder / "record.json").write_text(json.dumps(record_of(job)))
            return read_record(job.folder / "record.json"), False

    def give(self, verb: str, *arguments: str, places: tuple[str, ...] = ("runs", "data-root")) -> tuple[int, str, str]:
        """(exit code, stdout, stderr) of a verb in these folders."""
        own = [f"--{place}={self.folder / place}" for place in places]
        self.capsys.readouterr()
        code = run_cli([verb, *own, "--device", "cpu", *arguments])
        return (code, *self.capsys.readouterr())
