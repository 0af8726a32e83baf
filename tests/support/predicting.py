"""`lmbench predict` as tests ask it: what it answers, what it refuses, and tables of boxes."""

from __future__ import annotations

import json
from pathlib import Path

from small_runs import run_here

Boxes = dict[str, tuple[float, ...]]


def predicted(capsys, run: Path, *arguments: str) -> list[dict]:
    code, out, err = run_here(capsys, "predict", str(run), *arguments, "--device", "cpu", "--json")
    assert code == 0, err
    return json.loads(out)


def refused(capsys, *arguments: str) -> str:
    code, out, err = run_here(capsys, "predict", *arguments, "--device", "cpu")
    assert code in (1, 2, 3, 5) and out == "" and "Traceback" not in err
    return err


def table_of(path: Path, boxes: Boxes) -> Path:
    lines = [f"{name},{','.join(map(str, box))}" for name, box in boxes.items()]
    path.write_text("\n".join(["image,left,top,width,height", *lines]) + "\n")
    return path
