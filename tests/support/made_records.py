"""Records made up for tests: good ones, their runs folders and boards, and what nobody should believe."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path


def record(run: str, method: str, value: float, **changes):
    metric = {
        "task": "regression",
        "metric": "iod",
        "subset": None,
        "n_annotations": "all",
        "value": value,
        "std": None,
        "draws": None,
        "ci95": [value - 1, value + 1],
        "unit": "percent",
        "higher_is_better": False,
        "settings": {"head": "ols", "grid": [48, 48]},
    }
    made = {
        "schema": 1, "run": run, "status": "ok", "method": method, "variant": "v", "dataset": "mafl", "pretrain_on": "",
        "preset": "small", "seed": 0, "backbone": "resnet18", "metrics": [metric], "stages": [], "components": [],
        "data": {}, "code": {"version": "0"}, "environment": {}, "config": {}, "config_sha256": "",
    }  # fmt: skip
    return {**made, **changes}


def keep(runs: Path, *records) -> Path:
    for r in records:
        folder = runs / r["run"]
        folder.mkdir(parents=True)
        (folder / "record.json").write_text(json.dumps(r))
    return runs


def rows_of(text: str):
    return list(csv.DictReader(io.StringIO(text)))


GOOD = record("good", "mine", 1.0)
METRIC = GOOD["metrics"][0]
BAD = {
    "not JSON": "{",
    "a list": [],
    "text": "record",
    "nothing in it": {},
    "no seed": {k: v for k, v in GOOD.items() if k != "seed"},
    "schema 3": {**GOOD, "schema": 3},
    "schema true": {**GOOD, "schema": True},
    "run climbs": {**GOOD, "run": "../../evil"},
    "run is absolute": {**GOOD, "run": "/tmp/evil"},
    "run is a number": {**GOOD, "run": 7},
    "run is long": {**GOOD, "run": "r" * 5000},
    "run with an escape": {**GOOD, "run": "a\x1b[2J"},
    "status": {**GOOD, "status": "great"},
    "seed is text": {**GOOD, "seed": "0"},
    "metrics is a dict": {**GOOD, "metrics": {}},
    "a metric is a number": {**GOOD, "metrics": [1]},
    "value NaN": {**GOOD, "metrics": [{**METRIC, "value": float("nan")}]},
    "value infinite": {**GOOD, "metrics": [{**METRIC, "value": float("inf")}]},
    "value absurd": {**GOOD, "metrics": [{**METRIC, "value": 1e300}]},
    "value is text": {**GOOD, "metrics": [{**METRIC, "value": "1.0"}]},
    "value is true": {**GOOD, "metrics": [{**METRIC, "value": True}]},
    "interval of one": {**GOOD, "metrics": [{**METRIC, "ci95": [1.0]}]},
    "task is a list": {**GOOD, "metrics": [{**METRIC, "task": ["regression"]}]},
    "annotations minus one": {**GOOD, "metrics": [{**METRIC, "n_annotations": -1}]},
    "annotations a word": {**GOOD, "metrics": [{**METRIC, "n_annotations": "some"}]},
    "no settings": {**GOOD, "metrics": [{k: v for k, v in METRIC.items() if k != "settings"}]},
    "stage key climbs": {**GOOD, "stages": [{"key": "../../../etc"}]},
    "predictions climb": {**GOOD, "predictions": ["../../secret.parquet"]},
    "data is text": {**GOOD, "data": "x"},
    "nested": '{"a":' * 100_000,
    "long number": '{"schema": ' + "9" * 10_000 + "}",
    "UTF-16": json.dumps(GOOD).encode("utf-16"),
    "binary": bytes(range(256)),
}


def place(runs: Path, name: str, content) -> Path:
    folder = runs / name
    folder.mkdir(parents=True)
    text = content if isinstance(content, str | bytes) else json.dumps(content)
    (folder / "record.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


HOSTILE = ["../../etc/passwd", "/etc/passwd", "..", ".", "", "x" * 4000, "a/../b", "nul\0byte", "a\nb", "CON", "~root"]
