"""Proofs by many trials: kill -9 at any moment, data mended in between, and single bits flipped in every kind of kept file.

Run by hand: ``pytest -m slow tests/proofs/test_kills_and_damage.py -s``. ``LMBENCH_TRIALS`` sets how many (default 50
kills, of data unchanged and of data changed, and 60 bits), ``LMBENCH_TRIALS_SEED`` which.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import multiprocessing
import os
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kept_runs import Killed, command, flip, killed_after, labelled, mend_image, mend_label, ran
from small_trees import embedded, write_image

from lmbench import runner
from lmbench.cli.main import run_cli
from lmbench.data.opening import open_prepared
from lmbench.data.prepared import save_prepared
from lmbench.errors import DataError
from lmbench.plugins.loading import get_plugins
from lmbench.training import loop

pytestmark = pytest.mark.slow

TRIALS = int(os.environ.get("LMBENCH_TRIALS", "0"))
SEED = int(os.environ.get("LMBENCH_TRIALS_SEED", "0"))
VOLATILE = ("finished", "seconds", "sha256", "environment", "code")


def lasting(record: dict[str, Any]) -> dict[str, Any]:
    """A record without what is another every time: times, memory, and whether a stage was there before."""
    found = copy.deepcopy({k: v for k, v in record.items() if k not in VOLATILE})
    found["precision"] = record["environment"]["precision"]
    for stage in found["stages"]:
        del stage["seconds"], stage["reused"]
    return found


# --- kill -9 ---

METHODS = {"dve": "smallnet", "sparse": "", "twostep": ""}  # with their variants


def arguments(method: str, data: Path, runs: Path) -> list[str]:
    """A run of one of three methods, of few steps, with a checkpoint after each."""
    fixed = [
        "run",
        "--method",
        method,
        "--variant",
        METHODS[method],
        "--dataset",
        f"folder:{data}",
        "--preset",
        "smoke",
    ]
    fixed += ["--runs", str(runs), "--annotations", "2,all", "--draws", "2", "--device", "cpu", "--precision", "fp32"]
    settings: dict[str, Any] = {"train_images": 6, "read.size": 6, "regression.layers_alone": "()"}
    for stage in get_plugins().find("method", method).spec.stages:
        training = f"stages.{stage.name}.training"
        settings |= {f"{training}.epochs": 4, f"{training}.batch_size": 2, f"{training}.checkpoint_minutes": 1e-9}
    return [*fixed, *(part for k, v in settings.items() for part in ("--set", f"{k}={v}")), "--json"]


def work(command_line: list[str], cache: str, out: str) -> None:
    """In a process of its own: the command, with what it says and gives in files."""
    import torch

    torch.set_num_threads(1)
    os.environ["LMBENCH_CACHE"] = cache
    with Path(out).open("w") as file, contextlib.redirect_stdout(io.StringIO()) as told:
        with contextlib.redirect_stderr(file):
            code = run_cli(command_line)
        file.write(f"\nexit {code}")
    if code == 0:
        Path(out).with_suffix(".json").write_text(told.getvalue())


def nothing() -> None:
    """What a process does that is there to be waited for."""


def reached(runs: Path) -> str:
    """How far a killed run had come."""
    marks = {"recorded": "*/record.json", "judging": "*/predictions/*.parquet", "training": "stages/*/state.pt"}
    return next((name for name, mark in marks.items() if any(runs.glob(mark))), "early or between")


class Commands:
    """Processes that have everything imported when they start, so that a kill falls into the work."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.context = multiprocessing.get_context("forkserver")
        os.environ["PYTHONPATH"] = str(Path(__file__).parents[1] / "support")  # else the server does not find it
        self.context.set_forkserver_preload(["warm_process"])
        self.count = 0
        warm = self.context.Process(target=nothing)  # the first one waits until everything is imported
        warm.start()
        warm.join()

    def start(self, command_line: list[str], cache: Path) -> tuple[Any, Path]:
        self.count += 1
        out = self.folder / f"said-{self.count}.txt"
        process = self.context.Process(target=work, args=(command_line, str(cache), str(out)))
        process.start()
        return process, out

    def finish(self, command_line: list[str], cache: Path) -> tuple[dict[str, Any], str]:
        process, out = self.start(command_line, cache)
        process.join()
        said = out.read_text()
        assert said.endswith("exit 0"), said
        return json.loads(out.with_suffix(".json").read_text()), said


def files(*folders: Path) -> dict[str, int]:
    """The names of all that lies below some folders."""
    return {f"{i}/{p.relative_to(f)}": 0 for i, f in enumerate(folders) for p in f.rglob("*")}


@pytest.mark.parametrize("changed", [False, True], ids=["data unchanged", "data changed in between"])
def test_a_run_killed_at_any_moment_ends_as_one_of_the_data_that_lies_there(tmp_path: Path, changed: bool) -> None:
    rng = random.Random(SEED)
    commands = Commands(tmp_path)
    data, original = labelled(tmp_path / "data"), tmp_path / "original"
    shutil.copytree(data, original)

    def put_back() -> None:
        shutil.rmtree(data)
        shutil.copytree(original, data)

    expected, lasted, left = {}, {}, {}
    mends: dict[str, Callable[[Path], None]] = (
        {"label": mend_label, "image": mend_image} if changed else {"": lambda _: None}
    )
    for method in METHODS:
        for what, mend in mends.items():
            mend(data)
            runs, cache = tmp_path / f"{method} {what} runs", tmp_path / f"{method} {what} cache"
            started = time.monotonic()
            record, _ = commands.finish(arguments(method, data, runs), cache)
            expected[method, what], left[method] = lasting(record), files(runs, cache)
            lasted[method] = time.monotonic() - started
            put_back()
    count: Counter[str] = Counter()
    for trial in range(TRIALS or 50):
        method = list(METHODS)[trial % 3]
        what = rng.choice(list(mends))
        runs, cache = tmp_path / f"runs {trial}", tmp_path / f"cache {trial}"
        moments = [rng.uniform(0, 1.1 * lasted[method]) for _ in range(rng.choice([1, 1, 2]))]
        for moment in moments:
            process, _ = commands.start(arguments(method, data, runs), cache)
            process.join(moment)
            process.kill()
            process.join()
            count["killed" if process.exitcode == -signal.SIGKILL else "was done before"] += 1
            count[f"at: {reached(runs)}"] += 1
        mends[what](data)
        record, said = commands.finish(arguments(method, data, runs), cache)
        put_back()
        assert lasting(record) == expected[method, what], f"trial {trial}: {method}, {moments}, {what}\n{said}"
        if not changed:
            assert files(runs, cache) == left[method], f"trial {trial}: litter"
        count["ended as expected"] += 1
        shutil.rmtree(runs)
        shutil.rmtree(cache, ignore_errors=True)
    print(f"\n{'data changed' if changed else 'data unchanged'}: {dict(sorted(count.items()))}")
    assert count["ended as expected"] == (TRIALS or 50)


# --- bits ---


class Bench:
    """Three moments of one run, kept as they were: in training, judged in part, finished."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.data = labelled(folder / "data")
        self.here, self.states = folder / "here", folder / "states"
        monkeypatch.setenv("LMBENCH_CACHE", str(self.here / "cache"))
        monkeypatch.setattr(runner, "draw_run", lambda *_: None)
        self.monkeypatch = monkeypatch
        self.line = command(self.data, self.here / "runs")
        self.expected = lasting(ran(self.line)[0])
        self.save("finished")
        shutil.rmtree(self.here)
        with killed_after("regression-n2", monkeypatch):
            ran(self.line)
        self.save("judged in part")
        shutil.rmtree(self.here)
        self.die_in_training()
        self.save("in training")
        self.image = Path(write_image(folder / "photo.png", (60, 50), seed=77))
        self.restore("finished")
        self.answers = self.ask()
        assert [code for code, *_ in self.answers] == [0, 0, 0]

    def die_in_training(self) -> None:
        written = loop.write_atomically
        count = 0

        def die(*args: Any, **options: Any) -> None:
            nonlocal count
            written(*args, **options)
            count += 1
            if count == 3:
                raise Killed

        with self.monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(loop, "write_atomically", die)
            ran(self.line)

    def save(self, name: str) -> None:
        shutil.copytree(self.here, self.states / name)

    def restore(self, name: str) -> None:
        shutil.rmtree(self.here, ignore_errors=True)
        shutil.copytree(self.states / name, self.here)

    def ask(self) -> list[tuple[int, str, str]]:
        """What a finished run answers: its record again, a comparison with itself, a prediction."""
        (run,) = (self.here / "runs").glob("dve_*")
        predict = ["predict", str(run), str(self.image), "--boxes", "whole", "--device", "cpu"]
        lines = [self.line, ["compare", str(run), str(run)], predict]
        return [self.answer([*line, "--json"]) for line in lines]

    def answer(self, line: list[str]) -> tuple[int, str, str]:
        with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
            code = run_cli(line)
        return code, out.getvalue() if code == 0 else "", err.getvalue()

    def kept_files(self) -> list[tuple[str, Path]]:
        """(moment, file) of every kind of kept file, the kinds in turn."""
        return [
            (state.name, p.relative_to(state)) for state in sorted(self.states.iterdir()) for p in sorted(state.rglob("*"))
            if p.is_file()
        ]  # fmt: skip


def test_no_bit_flipped_in_a_kept_file_changes_a_number_silently(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(SEED)
    bench = Bench(tmp_path, monkeypatch)
    kept = bench.kept_files()
    rng.shuffle(kept)
    count: Counter[str] = Counter()
    silent = []
    for trial in range(TRIALS or 60):
        state, name = kept[trial % len(kept)]
        bench.restore(state)
        bit = rng.randrange(8 * (bench.here / name).stat().st_size)
        flip(bench.here / name, bit)
        if state == "finished":
            outcome = judge_answers(bench)
        else:
            code, out, said = bench.answer([*bench.line, "--json"])
            same = code == 0 and lasting(json.loads(out)) == bench.expected
            named = "damaged" in said or "made anew" in said
            outcome = ("rebuilt" if named else "harmless") if same else "refused" if code and named else "SILENT"
        count[outcome] += 1
        if outcome == "SILENT":
            silent.append((state, str(name), bit))
    entry = get_plugins().find("dataset", "aflw_mtfl")
    save_prepared(entry, embedded(5), tmp_path / "copy", "here")
    for file in sorted(p for p in (tmp_path / "copy").rglob("*") if p.is_file()):
        whole = file.read_bytes()
        flip(file, bit := rng.randrange(8 * len(whole)))
        try:
            opened = open_prepared("aflw_mtfl", entry, tmp_path / "copy")
            same = all(opened.splits[s].to_dict() == d.to_dict() for s, d in embedded(5).items())
            outcome = "harmless" if same else "SILENT"
        except DataError:
            outcome = "refused"
        count[f"prepared copy: {outcome}"] += 1
        silent += [("prepared", str(file), bit)] if outcome == "SILENT" else []
        file.write_bytes(whole)
    print(f"\nbits, {len(kept)} kept files of {len({p.name for _, p in kept})} names: {dict(sorted(count.items()))}")
    assert silent == []


def judge_answers(bench: Bench) -> str:
    """Whether a finished run answers as before, or says what is damaged."""
    outcome = "harmless"
    for (code, out, said), expected in zip(bench.ask(), bench.answers, strict=True):
        if code == 0 and out == expected[1]:
            continue
        if code == 0 or "damaged" not in said:
            return "SILENT"
        outcome = "refused"
    return outcome
