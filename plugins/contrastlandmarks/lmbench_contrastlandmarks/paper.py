"""The printed numbers of Cheng et al. 2021: `published.csv`, `published.md`."""

from __future__ import annotations

from lmbench.api import PaperSpec, Reading, hookimpl

BASELINES, DVE, OWN = "lmbench-baselines", "lmbench-dve", "lmbench-contrastlandmarks"

CONTRASTLANDMARKS_2021 = PaperSpec(
    name="contrastlandmarks2021",
    summary="faces and birds by contrastive hypercolumns and their projections; main text",
    paper="Cheng et al. 2021",
    year=2021,
    rows="lmbench_contrastlandmarks:published.csv",
    notes="lmbench_contrastlandmarks:published.md",
    names={"metric": {"matching_error_px": "matching_error"}},
    brought_by={
        "contrastlandmarks": OWN,
        "contrastlandmarks_nmf": OWN,
        "dve": DVE,
        "dve_smallnet": DVE,
        "dense3d": DVE,
        "sparse": "lmbench-sparse",
        "imgen": "lmbench-imm",
        "random": BASELINES,
        "imagenet_supervised": BASELINES,
    },
    readings=(
        Reading(where={"task": "cost"}, reason="a cost (parameters, FLOPs), no measurement of landmarks"),
        Reading(
            where={"metric": ("*_to_beat_dve", "*_to_match_dve", "relative_improvement_pct")},
            reason="a claim of the text, worked out from other numbers",
        ),
        Reading(
            where={"dataset": "cub", "metric": "pck_5pct"},
            metric="pck_cub_truncated",  # its code cuts distances to whole pixels
            metrics=("pck_cub_truncated", "pck_5pct"),
            note="the reference code cuts distances to whole pixels: PCK at 6.25 %, printed as 5 %",
            differs="the last head, where the reference code keeps the one that is best on validation images",
        ),
    ),
)


@hookimpl
def lmbench_papers() -> list[PaperSpec]:
    return [CONTRASTLANDMARKS_2021]
