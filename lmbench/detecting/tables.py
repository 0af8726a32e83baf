"""Detections as files that other programs read: a CSV, COCO keypoints, DeepLabCut's tables. One at a time is in memory."""

from __future__ import annotations

import csv
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final, NotRequired, TypedDict

from lmbench.detecting.regions import Detection, Region
from lmbench.detecting.video import is_video
from lmbench.errors import DataError, UsageError
from lmbench.printable import cell, printable

DIGITS = 4  # of coordinates, in pixels
ROWS_AT_ONCE = 2000  # of a DeepLabCut HDF5, which is written in pieces
SEEN = ("seen_left", "seen_top", "seen_width", "seen_height")


@dataclass(frozen=True)
class About:
    """What a table says once: the detector, its landmarks, and whether it states a confidence."""

    detector: str
    names: tuple[str, ...]
    confident: bool
    videos: bool
    several: bool
    longest: int
    """Letters of the longest path."""

    @classmethod
    def of(cls, detector: str, names: tuple[str, ...], confident: bool, regions: Sequence[Region]) -> About:
        return cls(
            detector, names, confident,
            videos=any(is_video(r.path) for r in regions),
            several=any(r.label for r in regions),
            longest=max((len(printable(r.path).encode()) for r in regions), default=1),
        )  # fmt: skip


def write_csv(path: Path, found: Iterable[Detection], about: About) -> None:
    """A row an object: image, NAME_x, NAME_y ... as `folder:DIR` reads them, and what the network saw of the image."""
    names = [[f"{n}_x", f"{n}_y", *([f"{n}_confidence"] if about.confident else [])] for n in about.names]
    moment = ["video_frame", "second"] if about.videos else []
    label = ["id"] if about.several else []
    with path.open("w", encoding="utf-8", newline="", errors="surrogateescape") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([cell(c) for c in ("image", *moment, *label, *(c for n in names for c in n), *SEEN)])
        for d in found:
            when = (d.region.moment or ("", "")) if about.videos else ()
            which = [d.region.label] if about.several else []
            seen = [_shown(v) for v in d.frame]
            writer.writerow(
                [cell(c) for c in (str(d.region.path), *when, *which, *_numbers(d, about.confident), *seen)]
            )


def write_coco(path: Path, found: Iterable[Detection], about: About) -> None:
    """COCO keypoints: an annotation an object, ``bbox`` what the network saw, every keypoint labelled visible (2)."""
    parts = path.with_name(f"{path.name}.annotations")
    category = {"id": 1, "name": "object", "supercategory": "", "keypoints": list(about.names), "skeleton": []}
    info = {"description": f"landmarks predicted by {about.detector}, lmbench"}
    try:
        with path.open("w", encoding="utf-8") as file, parts.open("w", encoding="utf-8") as other:
            file.write(f'{{"info": {json.dumps(info)},\n"categories": [{json.dumps(category)}],\n"images": [')
            image, last = 0, None
            for number, d in enumerate(found, 1):
                here = d.region.path, d.region.moment
                if here != last:
                    last, image = here, image + 1
                    entry = {"id": image, "file_name": str(d.region.path), "width": d.size[0], "height": d.size[1]}
                    entry |= {"frame": d.region.moment[0], "second": d.region.moment[1]} if d.region.moment else {}
                    file.write(f"{',' if image > 1 else ''}\n{json.dumps(entry)}")
                other.write(f"{',' if number > 1 else ''}\n{json.dumps(_annotation(number, image, d))}")
            file.write('\n],\n"annotations": [')
            other.flush()
            with parts.open(encoding="utf-8") as read:
                shutil.copyfileobj(read, file)
            file.write("\n]}\n")
    finally:
        parts.unlink(missing_ok=True)


def write_deeplabcut(path: Path, found: Iterable[Detection], about: About) -> None:
    """DeepLabCut's table of predictions: rows scorer, bodyparts, coords; then an image or the number of a frame a row."""
    with path.open("w", encoding="utf-8", newline="", errors="surrogateescape") as file:
        writer = csv.writer(file, lineterminator="\n")
        for level, row in zip(("scorer", "bodyparts", "coords"), zip(*_columns(about), strict=True), strict=True):
            writer.writerow([level, *map(cell, row)])
        for d in found:
            writer.writerow([cell(_index(d)), *_numbers(d, True)])


def write_deeplabcut_h5(path: Path, found: Iterable[Detection], about: About) -> None:
    """The same table as DeepLabCut keeps it: a pandas frame ``df_with_missing`` in HDF5.

    Raises DataError where PyTables is not installed.
    """
    require_tables()
    import pandas

    columns = pandas.MultiIndex.from_tuples(_columns(about), names=["scorer", "bodyparts", "coords"])
    rows = iter(found)
    # HDF5 wants a lock of its own, and the draft that is written has one.
    with tempfile.TemporaryDirectory(prefix=".hdf5-", dir=path.parent) as place:
        inside = Path(place) / "table.h5"
        _fill(inside, rows, columns, about.longest)
        shutil.copyfile(inside, path)


def _fill(path: Path, rows: Iterator[Detection], columns: Any, longest: int) -> None:
    import pandas

    with pandas.HDFStore(str(path), "w") as store:
        while some := list(islice(rows, ROWS_AT_ONCE)):
            values = [[float(v) if v != "" else float("nan") for v in _numbers(d, True)] for d in some]
            frame = pandas.DataFrame(values, index=[_index(d) for d in some], columns=columns)
            size = None if some[0].region.moment else {"index": longest}
            store.append("df_with_missing", frame, format="table", min_itemsize=size)


def require_tables() -> None:
    """Raises DataError where PyTables, by which pandas writes HDF5, is not installed."""
    try:
        import tables  # noqa: F401
    except ImportError:
        raise DataError(
            "HDF5 is written by PyTables, which is not installed: pip install 'lmbench[deeplabcut]'."
        ) from None


def require_one_object(path: Path, regions: Sequence[Region]) -> None:
    """Raises UsageError where DeepLabCut's table has no room: several objects of an image, images beside videos."""
    places = [r.path for r in regions]
    if len(set(places)) < len(places):
        raise UsageError(
            f"{path}: DeepLabCut's table has one object an image; several are asked for: write .csv or .json."
        )
    videos = [is_video(p) for p in places]
    if any(videos) and (not all(videos) or len(videos) > 1):
        raise UsageError(f"{path}: DeepLabCut's table is of one video or of images alone; write one for each, or .csv.")


WRITERS: Final[dict[str, Callable[[Path, Iterable[Detection], About], None]]] = {
    ".dlc.csv": write_deeplabcut,
    ".csv": write_csv,
    ".json": write_coco,
    ".h5": write_deeplabcut_h5,
    ".hdf5": write_deeplabcut_h5,
}
"""By how a file's name ends, the longest end first."""
DEEPLABCUT = (".dlc.csv", ".h5", ".hdf5")


def _columns(about: About) -> list[tuple[str, str, str]]:
    scorer = f"lmbench_{about.detector}"
    return [(scorer, name, coordinate) for name in about.names for coordinate in ("x", "y", "likelihood")]


def _index(d: Detection) -> Any:
    return d.region.moment[0] if d.region.moment else printable(d.region.path)  # HDF5 takes UTF-8 alone


def _numbers(d: Detection, confident: bool) -> Iterator[str]:
    for k, point in enumerate(d.landmarks):
        yield from map(_shown, point)
        if confident:
            yield "" if d.confidence is None else _shown(d.confidence[k])


def _shown(value: float) -> str:
    return f"{value:.{DIGITS}f}".rstrip("0").rstrip(".")


class _Annotation(TypedDict):
    """A detection as COCO has one, and how sure it is of all landmarks and of each."""

    id: int
    image_id: int
    category_id: int
    keypoints: list[float]
    num_keypoints: int
    bbox: list[float]
    area: float
    iscrowd: int
    score: NotRequired[float]
    keypoint_scores: NotRequired[list[float]]
    object: NotRequired[str]


def _annotation(number: int, image: int, d: Detection) -> _Annotation:
    left, top, width, height = (round(v, DIGITS) for v in d.frame)
    points = [v for x, y in d.landmarks for v in (round(float(x), DIGITS), round(float(y), DIGITS), 2)]
    made: _Annotation = {
        "id": number, "image_id": image, "category_id": 1, "keypoints": points, "num_keypoints": len(d.landmarks),
        "bbox": [left, top, width, height], "area": round(width * height, DIGITS), "iscrowd": 0,
    }  # fmt: skip
    if d.confidence is not None:
        made |= {"score": float(d.confidence.mean()), "keypoint_scores": d.confidence.tolist()}
    if d.region.label:
        made["object"] = d.region.label
    return made
