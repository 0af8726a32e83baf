"""Animals: birds and cats."""

from __future__ import annotations

from lmbench.specs import DatasetSpec, Preprocessing

PAPERS_BIRDS = Preprocessing(resize=96)  # Cheng et al. 2021, sec. 4.1: resized to 96x96 without any cropping
CUB_PARTS = (
    "back",
    "beak",
    "belly",
    "breast",
    "crown",
    "forehead",
    "left_eye",
    "left_leg",
    "left_wing",
    "nape",
    "right_eye",
    "right_leg",
    "right_wing",
    "tail",
    "throat",
)


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
        target=f"lmbench.datasets.cub:{target}",
        paper="Wah et al. 2011",
        year=2011,
        splits=splits,
        preprocessing=PAPERS_BIRDS,
        landmark_names=CUB_PARTS,
        swap_pairs=((6, 10), (7, 11), (8, 12)),
        metrics=metrics,
        recipes={"cl_faces": {"recipe": "cl_birds"}, "dve_faces": {"recipe": "dve_birds"}},  # CL eval_animal.py
        folder="CUB_200_2011",
        licence="images for non-commercial research and education only",
        source="CUB_200_2011.tgz (data.caltech.edu/records/65de6-vp158)",
        notes=notes,
    )


ANIMALS = [
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
        target="lmbench.datasets.cub_figure:load",
        paper="Wah et al. 2011; Cheng et al. 2021, sec. 4.4",
        year=2011,
        splits={"train": 1241, "val": 382, "test": 383},
        preprocessing=PAPERS_BIRDS,
        classes=("ground", "bird"),
        folder="CUB_200_2011",
        licence="images for non-commercial research and education only",
        source="CUB_200_2011.tgz and segmentations.tgz (data.caltech.edu/records/65de6-vp158)",
        notes=(
            "split as cub's; masks are grey, and brighter than half is the bird",
            "images are squashed to 96x96, masks with them to the nearest label",
        ),
    ),
    DatasetSpec(
        name="inat_aves",
        summary="birds of iNaturalist 2017, unlabelled: what Cheng et al. 2021 and LEAD pretrain on",
        target="lmbench.datasets.inat_aves:load",
        paper="Van Horn et al. 2018",
        year=2018,
        splits={"train": None},
        preprocessing=PAPERS_BIRDS,
        folder="inat2017",
        licence="for non-commercial research; every image has its own licence",
        source="train_val_images.tar.gz of iNaturalist 2017 (github.com/visipedia/inat_comp/tree/master/2017)",
        notes=(
            "the papers' 100,000 images where their list inat_aves_100K.txt lies in the folder, else all images of Aves",
            "images are squashed to 96x96",
        ),
    ),
    DatasetSpec(
        name="cats",
        summary="cat heads with seven of their nine points: eyes, mouth, and the roots of the ears",
        target="lmbench.datasets.cats:load",
        paper="Zhang et al. 2008",
        year=2008,
        splits={"train": None, "test": None},
        preprocessing=Preprocessing(resize=100),  # Rahaman et al. 2021, sec. 6: 100x100
        landmark_names=(
            "left_eye",
            "right_eye",
            "mouth",
            "left_ear_outer",
            "left_ear_inner",
            "right_ear_inner",
            "right_ear_outer",
        ),
        eyes=(0, 1),
        swap_pairs=((0, 1), (3, 6), (4, 5)),
        metrics=("iod",),
        folder="CAT",
        licence="none is stated; for research",
        source="CAT_DATASET_01.zip, CAT_DATASET_02.zip and 00000003_015.jpg.cat (archive.org/details/CAT_DATASET)",
        notes=(
            (
                "split: cat_{train,test}_images.txt of Zhang et al. 2018 where they lie in the folder, else our own (a head "
                "tests where sha256 of its file name is divisible by 8), not the papers'"
            ),
            "heads are cut to a square of 1.3 sides of the nine points' rectangle; the papers' crops are not described",
            "left and right are the viewer's; points outside the image are kept and scored",
        ),
    ),
]
