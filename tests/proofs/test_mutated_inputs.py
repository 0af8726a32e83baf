"""Inputs with mistakes in them over all loaders: each works with plausible numbers or is refused in words.

By hand: ``pytest -m slow tests/proofs/test_mutated_inputs.py -s``; $LMBENCH_FUZZ trials (500), $LMBENCH_FUZZ_SEED the first.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from fuzzing import in_a_fork, trial
from subjects import subjects

TRIALS = int(os.environ.get("LMBENCH_FUZZ", "500"))
FIRST_SEED = int(os.environ.get("LMBENCH_FUZZ_SEED", "0"))


@pytest.mark.slow
def test_mutated_inputs_work_or_are_refused_in_words(tmp_path, monkeypatch):
    monkeypatch.setenv("LMBENCH_CACHE", str(tmp_path / "cache"))
    every = list(subjects(tmp_path / "inputs"))
    whole = {subject.name: in_a_fork(subject.read) for subject in every}
    assert not {name: said for name, (verdict, said) in whole.items() if verdict != "works"}
    outcomes = []
    for number in range(TRIALS):
        outcomes.append(trial(every[number % len(every)], FIRST_SEED + number))
        if outcomes[-1].verdict == "wrong":
            print(f"{outcomes[-1].subject}: {outcomes[-1].change}: {outcomes[-1].said}", flush=True)
    counts = Counter(o.verdict for o in outcomes)
    print(f"\n{len(outcomes)} mutated inputs over {len(every)} loaders: {dict(sorted(counts.items()))}")
    assert not [o for o in outcomes if o.verdict == "wrong"]
    assert counts["refused"] > TRIALS / 5 and counts["works"] > TRIALS / 20  # the changes change something, and not all
