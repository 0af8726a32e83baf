"""How many lmbench functions one image passes from the command to the leaderboard's CSV.

    uv run python tests/proofs/way_of_one_image.py [-v]

Runs `lmbench run --method lead --dataset synthfaces` (preset quick, made small; from nothing: empty runs, empty cache, one
process) and `lmbench leaderboard build`, and watches every Python call.

Definition. A function of lmbench (or of the method's plugin) is *on the way* if it is handed, or hands back, what one
image has become by then (a file, a decoded image, a PixelStore, a batch, FeatureMaps, frozen maps, predictions, a
metric's result, a row or record of numbers), or if it calls one that is. Not counted: what dataclasses write,
properties, lambdas, comprehensions; and leaf helpers below the first function of a module of MATHS: what one step
does by itself (decoding a file, a warp, a fit, the plain writing of a record) is one function, however it is written.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections import defaultdict
from functools import cached_property
from pathlib import Path

CARRIERS = {
    "PixelStore", "FeatureMaps", "FrozenMaps", "ImageInputs", "NoInputs", "JoinedInputs", "Predictions", "Confusions",
    "MetricResult", "Measured", "StoredResult", "Dataset", "PngImageFile", "JpegImageFile", "Image",
}  # fmt: skip
MATHS = (
    "lmbench.geometry", "lmbench.features", "lmbench.heads.fitting", "lmbench.heads.softargmax", "lmbench.heads.conditioned",
    "lmbench.metrics.iod", "lmbench.metrics.aggregates", "lmbench.metrics.matching", "lmbench.training.augment",
    "lmbench_lead", "lmbench.report", "lmbench.datasets", "lmbench.backbones", "lmbench.data.images",
    "lmbench.originals.preparing", "lmbench.data.prepared", "lmbench.results.reading", "lmbench.results.shown",
    "lmbench.results.record",
)  # fmt: skip
SKIP = ("lmbench.progress", "lmbench.seeds", "lmbench.errors", "lmbench.plugins", "lmbench.precision", "lmbench.store")


def carries(value, depth=0):
    name = type(value).__name__
    if name in CARRIERS:
        return True
    if name == "Tensor":
        return value.ndim == 4 and value.shape[1] == 3 and value.shape[2] >= 16  # not the filters of a first layer
    if name == "Record":
        return True
    if isinstance(value, dict) and (
        ("metrics" in value and "run" in value) or ("metric" in value and "value" in value)
    ):
        return value.get("kind") != "published" and "paper" not in value
    if isinstance(value, list | tuple) and value and depth < 2 and len(value) < 100_000:
        return carries(value[0], depth + 1)
    return False


def main() -> None:
    import lmbench

    roots = [str(Path(lmbench.__file__).parent)]
    stack, seen = [], {}

    def module_of(path):
        for root in roots:
            if path.startswith(root):
                return "lmbench" + path[len(root) :].removesuffix(".py").replace("/", ".").replace(".__init__", "")
        part = path.rpartition("/lmbench_lead/")
        return "lmbench_lead." + part[2].removesuffix(".py").replace("/", ".") if part[1] else None

    names = {}

    def is_property(frame):
        name, owner = frame.f_code.co_name, type(frame.f_locals.get("self"))
        found = next((vars(k)[name] for k in owner.__mro__ if name in vars(k)), None)
        return isinstance(found, property | cached_property)

    def key_of(frame):
        code = frame.f_code
        if code not in names:
            module = module_of(code.co_filename)
            name = code.co_qualname
            last = name.split(".")[-1]
            written = module is None or last.startswith("<") or "__" in last
            skipped = written or module.startswith(SKIP) or is_property(frame)
            names[code] = None if skipped else (module, name.replace(".<locals>", ""))
        return names[code]

    def mark():
        maths_above = False
        for key in stack:
            if key is None:
                continue
            if not maths_above:
                seen.setdefault(key, 0)
                seen[key] += 1
            maths_above = maths_above or key[0].startswith(MATHS)

    def watch(frame, event, arg):
        if event == "call":
            key = key_of(frame)
            stack.append(key)
            if key is not None:
                code = frame.f_code
                values = [frame.f_locals.get(n) for n in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]]
                if any(carries(v) for v in values):
                    mark()
        elif event == "return" and stack:
            if stack[-1] is not None and carries(arg):
                mark()
            stack.pop()

    place = Path(tempfile.mkdtemp())
    os.environ["LMBENCH_CACHE"] = str(place / "cache")
    from click.testing import CliRunner

    from lmbench.cli.main import cli

    run = ["run", "--method", "lead", "--dataset", "synthfaces", "--runs", str(place / "runs"), "--tasks", "regression"]
    few = {"epochs": 1, "images": 32, "least_steps": 0, "batch_size": 16}
    small = {"train_images": 16, "test_images": 8, "regression.head_settings.steps": 3, "references": "false"}
    small |= {f"stages.{s}.training.{k}": v for s in ("byol", "distillation") for k, v in few.items()}
    run += [part for k, v in small.items() for part in ("--set", f"{k}={v}")]
    sys.setprofile(watch)
    try:
        first = CliRunner().invoke(cli, run, standalone_mode=False)
        second = CliRunner().invoke(
            cli, ["leaderboard", "build", "--runs", str(place / "runs"), "--out", str(place / "out")]
        )
    finally:
        sys.setprofile(None)
    for result in (first, second):
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        if result.exit_code:
            print(result.output)
    judged = {k for k in seen if not k[0].startswith(("lmbench.training", "lmbench_lead"))}
    if "-v" in sys.argv:
        by = defaultdict(list)
        for module, name in sorted(seen):
            by[module].append(name)
        for module, found in by.items():
            print(f"{module}: {', '.join(found)}")
    print(f"{len(seen)} functions on the way; {len(judged)} of them are not of the training of its stage")


if __name__ == "__main__":
    main()
