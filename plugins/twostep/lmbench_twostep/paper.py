"""The printed numbers of Rahaman et al. 2021: `published.csv`, `published.md`."""

from __future__ import annotations

from lmbench.api import PaperSpec, hookimpl

DVE, OWN = "lmbench-dve", "lmbench-twostep"

TWOSTEP_2021 = PaperSpec(
    name="twostep2021",
    summary="bodies, cats and faces by landmarks on equivariant features",
    paper="Rahaman et al. 2021",
    year=2021,
    rows="lmbench_twostep:published.csv",
    notes="lmbench_twostep:published.md",
    names={"part": {"avg": ""}},  # the mean over the seven joints is the whole
    brought_by={
        "twostep": OWN,
        "end_to_end": OWN,
        "dve": DVE,
        "dense3d": DVE,
        "sparse": "lmbench-sparse",
        "imgen": "lmbench-imm",
    },
)


@hookimpl
def lmbench_papers() -> list[PaperSpec]:
    return [TWOSTEP_2021]
