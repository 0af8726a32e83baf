"""CUB-200-2011: its birds with parts, by the papers' split, by its own and by species, and with figure and ground."""

from __future__ import annotations

from lmbench.datasets.conventions import PAPERS_BIRDS
from lmbench.geometry.framing import WHOLE_IMAGE
from lmbench.specs import DatasetSpec

CUB_PARTS = (
    "back", "beak", "belly", "breast", "crown", "forehead", "left_eye", "left_leg", "left_wing", "nape", "right_eye",
    "right_leg", "right_wing", "tail", "throat",
)  # fmt: skip


def _cub(
    name: str,
    summary: str,
    target: str,
    splits: dict[str, int | None],
    metrics: tuple[str, ...],
    notes: tuple[str, ...],
) -> DatasetSpec:
    return DatasetSpec(
        name=name,
        summary=summary,
        target=f"lmbench.datasets.cub.loader:{target}",
        paper="Wah et al. 2011",
        year=2011,
        splits=splits,
        preprocessing=PAPERS_BIRDS,
        framing=WHOLE_IMAGE,
        landmark_names=CUB_PARTS,
        swap_pairs=((6, 10), (7, 11), (8, 12)),
        metrics=metrics,
        recipes={"cl_faces": {"recipe": "cl_birds"}, "dve_faces": {"recipe": "dve_birds"}},  # CL eval_animal.py
        folder="CUB_200_2011",
        licence="images for non-commercial research and education only",
        source="CUB_200_2011.tgz (data.caltech.edu/records/65de6-vp158)",
        notes=notes,
    )


SPECS = [
    _cub(
        "cub",
        "CUB's 35 species of Passeroidea that Cheng et al. 2021 evaluate on: 15 parts",
        "load",
        {"train": 1241, "val": 382, "test": 383},
        ("pck_cub_truncated", "pck_5pct"),
        (
            (
                "split: split/{train,val,test}.txt of the ContrastLandmark repository where they lie in the folder, else "
                "our own of the same sizes (images in the order of sha256 of their name), not the papers'"
            ),
            "the 35 classes are those of the papers' lists; 2,006 of their 2,076 images are used",
            "images are squashed to 96x96; invisible parts are not scored",
        ),
    ),
    _cub(
        "cub_complete",
        "all 200 species of CUB by its own split: 15 parts",
        "load_complete",
        {"train": 5994, "test": 5794},
        ("pck_5pct", "box_error"),
        ("images are squashed to 96x96; later papers cut birds out by their bounding boxes",),
    ),
    _cub(
        "cub_species:*",
        "one species of CUB by its own split, by number or name: cub_species:001",
        "load_species",
        {"train": None, "test": None},
        ("pck_5pct", "box_error"),
        ("about 30 images on each side; 001 to 003 are the ones of SCOPS and AutoLink",),
    ),
    DatasetSpec(
        name="cub_figure",
        summary="the birds of cub with figure and ground for every pixel, no landmarks",
        target="lmbench.datasets.cub.figure:load",
        paper="Wah et al. 2011; Cheng et al. 2021, sec. 4.4",
        year=2011,
        splits={"train": 1241, "val": 382, "test": 383},
        preprocessing=PAPERS_BIRDS,
        framing=WHOLE_IMAGE,
        classes=("ground", "bird"),
        folder="CUB_200_2011",
        licence="images for non-commercial research and education only",
        source="CUB_200_2011.tgz and segmentations.tgz (data.caltech.edu/records/65de6-vp158)",
        notes=(
            "split as cub's; masks are grey, and brighter than half is the bird",
            "images are squashed to 96x96, masks with them to the nearest label",
        ),
    ),
]
