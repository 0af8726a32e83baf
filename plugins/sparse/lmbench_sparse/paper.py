"""The printed numbers of Thewlis, Bilen and Vedaldi 2017: `published.csv`, `published.md`."""

from __future__ import annotations

from lmbench.api import PaperSpec, Reading, hookimpl

BASELINES = "lmbench-baselines"

SPARSE_2017 = PaperSpec(
    name="sparse2017",
    summary="faces by landmarks discovered without labels, with its supplement",
    paper="Thewlis et al. 2017",
    year=2017,
    rows="lmbench_sparse:published.csv",
    notes="lmbench_sparse:published.md",
    # It calls AFLW_M's data aflw_mtfl; here that name is another benchmark (heads fitted on MTFL's faces).
    names={"dataset": {"aflw_mtfl": "aflw_m"}},
    brought_by={
        "sparse": "lmbench-sparse",
        "supervised_net": BASELINES,
        "supervised_scratch": BASELINES,
        "mean_landmarks": BASELINES,
    },
    readings=(Reading(where={"task": "segmentation"}, off_boards=True),),  # pixels, no landmarks
)


@hookimpl
def lmbench_papers() -> list[PaperSpec]:
    return [SPARSE_2017]
