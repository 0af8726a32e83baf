"""What lmbench-sparse brings: a method, its objective and its network."""

from lmbench.api import BackboneSpec, MapSpec, Margin, MethodSpec, ObjectiveSpec, hookimpl
from lmbench_sparse.paper import lmbench_papers as lmbench_papers
from lmbench_sparse.recipe import PAPER, SPARSE
from lmbench_sparse.settings import WIDTHS, SparseAlignmentSettings, SparseNetSettings

LMBENCH_API = 2


@hookimpl
def lmbench_methods() -> list[MethodSpec]:
    return [SPARSE]


@hookimpl
def lmbench_objectives() -> list[ObjectiveSpec]:
    return [
        ObjectiveSpec(
            name="sparse_alignment",
            summary="score maps of an image and of its warp agree about the warp (eq. 6), and share no place (eq. 8)",
            target="lmbench_sparse.alignment:SparseAlignment",
            paper=f"{PAPER}, sec. 3.3",
            year=2017,
            settings=SparseAlignmentSettings,
            needs_maps=("heatmaps",),
            views=2,
            cuts=Margin(least=0.1),  # sec. 4.1 cuts a tenth off each side
        )
    ]


@hookimpl
def lmbench_backbones() -> list[BackboneSpec]:
    filters = [MapSpec(f"conv{i}", width, "stride") for i, width in enumerate(WIDTHS, 1)]
    return [
        BackboneSpec(
            name="sparse_net",
            summary="six filters (20-48-64-80-256-K), one pooling; K score maps and the landmarks they expect",
            target="lmbench_sparse.network:SparseNet",
            paper=f"{PAPER}, sec. 4.1; Zhang et al. 2016",
            year=2017,
            settings=SparseNetSettings,
            maps=(*filters, MapSpec("heatmaps", "landmarks", "stride")),
            min_size=8,
        )
    ]
