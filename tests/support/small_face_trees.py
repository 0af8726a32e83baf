"""Small face benchmarks in the exact layout of the originals, made by the tests that read them."""

from __future__ import annotations

from pathlib import Path

import datasets
import numpy as np
from PIL import Image
from scipy.io import savemat
from small_trees import mtfl_tree, write_image

from lmbench.data.schema import column

PARTS = {1: 0, 2: 0, 3: 0, 4: 0, 5: 0, 6: 0, 7: 0, 8: 0, 9: 1, 10: 1, 11: 2, 12: 2}
MAFL_TRAIN, MAFL_TEST = (9, 2, 5), (11, 3)  # unsorted, from all three parts, as the real lists
FIVE = "lefteye_x lefteye_y righteye_x righteye_y nose_x nose_y leftmouth_x leftmouth_y rightmouth_x rightmouth_y"


def jpg(number: int) -> str:
    return f"{number:06}.jpg"


def table_text(header: str, rows: dict[str, list[int]]) -> str:
    """A table as CelebA writes it: the number of rows, the columns' names, then padded columns."""
    lines = [f"{name} {''.join(f'{v:>5}' for v in values)}" for name, values in rows.items()]
    return "\n".join([str(len(rows)), header + " ", *lines]) + "\n"


def celeba_full_tree(root: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """CelebA and MAFL's lists below ``root``: (12, 5, 2) aligned and wild landmarks as written, (12, 4) boxes."""
    folder, rng = root / "celeba", np.random.default_rng(0)
    face = np.array([[69, 109], [106, 113], [77, 142], [73, 152], [108, 154]])
    aligned = face + rng.integers(-4, 5, (12, 5, 2))
    wild = aligned * 2 + rng.integers(0, 30, (12, 1, 2))
    boxes = np.stack([[90 + i, 70 + i, 160 + 2 * i, 220 + 3 * i] for i in range(12)])
    for number in PARTS:
        write_image(folder / "Img" / "img_align_celeba" / jpg(number), (178, 218), seed=number)
        write_image(folder / "Img" / "img_celeba" / jpg(number), (300 + number, 400), seed=100 + number)
    for name in ("Anno", "Eval", "MAFL"):
        (folder / name).mkdir()
    for name, points in (("list_landmarks_align_celeba.txt", aligned), ("list_landmarks_celeba.txt", wild)):
        rows = {jpg(n): points[n - 1].ravel().tolist() for n in PARTS}
        (folder / "Anno" / name).write_text(table_text(FIVE, rows))
    rows = {jpg(n): boxes[n - 1].tolist() for n in PARTS}
    (folder / "Anno" / "list_bbox_celeba.txt").write_text(table_text("image_id x_1 y_1 width height", rows))
    partition = "".join(f"{jpg(n)} {part}\n" for n, part in PARTS.items())
    (folder / "Eval" / "list_eval_partition.txt").write_text(partition)
    for name, numbers in (("training.txt", MAFL_TRAIN), ("testing.txt", MAFL_TEST)):
        (folder / "MAFL" / name).write_text("\n".join(jpg(n) for n in numbers))
    return aligned, wild, boxes


def aflw_m_tree(root: Path) -> tuple[np.ndarray, list[np.ndarray]]:
    """aflw-mtfl below ``root``: landmarks as written of three training crops (of five rows) and of six test crops."""
    folder, rng = root / "aflw-mtfl", np.random.default_rng(1)
    _, tested = mtfl_tree(folder)
    points = rng.uniform(20, 130, (6, 5, 2)).round(3)
    points[1, 0] = (-3.5, 160.25)  # outside its crop, as some are
    photos = ["image90001", "image90002", "image90002", "image00000", "image00001", "image00002"]
    crops = [f"cropped/{39370 + i}{'_b' * (i == 2)}.jpg" for i in range(6)]
    lines = ["face_id,image_file,crop_file,set,x1,y1,x2,y2,x3,y3,x4,y4,x5,y5,yaw"]
    for i, (photo, crop) in enumerate(zip(photos, crops, strict=True)):
        numbers = ",".join(f"{v:.3f}" for v in points[i].ravel())
        lines.append(f"{39370 + i},{photo}.jpg,{crop},{1 if i < 3 else 2},{numbers},0.1")
        write_image(folder / "aflw_cropped" / crop, (150, 150), seed=i)
    (folder / "aflw_cropped" / "facedata_cropped.csv").write_text("\n".join(lines) + "\n")
    return points[:3], tested


def aflw_r_tree(root: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """AFLW_R below ``root``: (x, y) landmarks and (width, height) of each split; one test entry stands twice."""
    folder, rng = root / "aflw" / "aflw_release-2", np.random.default_rng(2)
    made = {}
    for split, count in (("train", 4), ("test", 3)):
        sizes = np.array([(90 + 3 * i, 110 - 2 * i) for i in range(count)])
        points = rng.uniform(10, 80, (count, 5, 2)).round(2)
        names = [f"{i % 2}/image{1000 + i:05}_{i + (50 if split == 'test' else 0)}.jpg" for i in range(count)]
        if split == "test":
            names, points[2], sizes[2] = [*names[:2], names[0]], points[0], sizes[0]
        for name, size in zip(names, sizes, strict=True):
            seed = count * 100 + int(name.partition("_")[2][:-4])
            write_image(folder / "output" / name, (int(size[0]), int(size[1])), seed=seed)
        (folder / f"aflw_{split}_images.txt").write_text("\n".join(names) + "\n")
        savemat(folder / f"aflw_{split}_keypoints.mat", {"gt": points[:, :, ::-1], "hw": sizes[:, ::-1]})
        made[split] = points, sizes
    return made


def pts_text(points: np.ndarray) -> str:
    lines = "\n".join(f"{x:.6f} {y:.6f}" for x, y in points)
    return f"version: 1\nn_points:  {len(points)}\n{{\n{lines}\n}}\n"


def face_68(seed: int) -> np.ndarray:
    """(68, 2) points counted from one, no two alike, in a picture of 220x260."""
    rng = np.random.default_rng(seed)
    return rng.uniform((60.5, 90.25), (150.75, 190.5), (68, 2))


def w300_tree(root: Path, boxes: bool = True) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """300-W below ``root``: for each file its landmarks as written and its box (xmin, ymin, xmax, ymax), from one."""
    folder, made = root / "300w", {}
    layout = {
        "afw": ("afw", "jpg"), "helen_trainset": ("helen/trainset", "jpg"), "lfpw_trainset": ("lfpw/trainset", "png"),
        "helen_testset": ("helen/testset", "jpg"), "lfpw_testset": ("lfpw/testset", "png"), "ibug": ("ibug", "jpg"),
    }  # fmt: skip
    for seed, (part, (place, suffix)) in enumerate(layout.items()):
        entries = []
        for number in (2, 1):  # the .mat files have an order of their own
            name = f"image_{seed}{number}.{suffix}"
            points = face_68(10 * seed + number)
            box = np.concatenate([points.min(0), points.max(0)]) + [-0.5, 0.25, 3.0, 0.75]
            write_image(folder / place / name, (220, 260), seed=10 * seed + number)
            (folder / place / name).with_suffix(".pts").write_text(pts_text(points))
            made[f"{place}/{name}"] = points, box
            entries.append({"imgName": name, "bb_detector": box[None] + 1, "bb_ground_truth": box[None]})
        if part == "ibug":  # lists images that are not shipped
            entries.append({"imgName": "nowhere.jpg", "bb_detector": box[None], "bb_ground_truth": box[None]})
        if boxes:
            cells = np.empty((1, len(entries)), object)
            cells[0] = entries
            (folder / "Bounding Boxes").mkdir(exist_ok=True)
            savemat(folder / "Bounding Boxes" / f"bounding_boxes_{part}.mat", {"bounding_boxes": cells})
    return made


def yaleb_tree(root: Path) -> Path:
    """Two subjects with lit images, an ambient one of another size, a damaged one and a list, as in CroppedYale."""
    folder = root / "CroppedYale"
    for subject in (1, 39):
        place = folder / f"yaleB{subject:02}"
        for i, light in enumerate(("A+000E+00", "A-130E+20")):
            write_image(place / f"yaleB{subject:02}_P00{light}.pgm", (168, 192), seed=subject * 10 + i, mode="L")
        write_image(place / f"yaleB{subject:02}_P00_Ambient.pgm", (640, 480), mode="L")
        (place / f"yaleB{subject:02}_P00.info").write_text("yaleB01_P00_Ambient.pgm\n")
    (folder / "yaleB39" / "yaleB39_P00A+050E-40.pgm.bad").write_bytes(b"P5 damaged")
    assert Image.open(folder / "yaleB01" / "yaleB01_P00A+000E+00.pgm").size == (168, 192)
    return folder


def ids_of(dataset: datasets.Dataset) -> list[str]:
    return [str(i) for i in column(dataset, "source_id")]
