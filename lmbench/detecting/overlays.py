"""Images with the landmarks that were found on them: on one sheet, a file each in a folder, or as a video."""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from PIL import Image

from lmbench.detecting.regions import Detection, Region
from lmbench.detecting.video import Frames, VideoWriter, is_video
from lmbench.errors import UsageError
from lmbench.report.marks import legend_of
from lmbench.report.pictures import TILE, draw_points, over_legend, save_png, side_by_side, tile_of
from lmbench.store.files import replacing, write_atomically

SHEET = 60  # images on one at most
QUALITY = 92  # of JPEG
LONGEST = 65_500  # pixels of a side, in a JPEG
ENLARGED = 2000  # pixels of a side that small images are enlarged to at most


class Overlays(Protocol):
    """Used as a context: what is written stands there whole when it ends well."""

    path: Path

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def add(self, several: Sequence[Detection]) -> None:
        """All objects of one image, or of one frame of a video."""
        ...


class Sheet:
    """One PNG of all images above the colours of the landmarks. Raises UsageError for more than one shows, and for videos."""

    def __init__(self, path: Path, regions: Sequence[Region], names: Sequence[str]) -> None:
        count = len({r.path for r in regions})
        if count > SHEET or any(is_video(r.path) for r in regions):
            what = "a video" if count <= SHEET else f"{count:,} images"
            raise UsageError(
                f"-o {path}: {what} on one sheet shows nothing; give a folder (-o overlays/), or a .mp4 for a video."
            )
        self.path, self._names, self._drawn = path, names, list[Image.Image]()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None and self._drawn:
            save_png(over_legend(side_by_side(self._drawn), legend_of(self._names)), self.path)

    def add(self, several: Sequence[Detection]) -> None:
        self._drawn.append(tile_of(_drawn(several)))


class Folder:
    """A JPEG for each image, named as it is below what all have in common, and an MP4 for each video."""

    def __init__(self, path: Path, regions: Sequence[Region]) -> None:
        self.path = path
        places = dict.fromkeys(r.path for r in regions)
        common = Path(os.path.commonpath([p.absolute().parent for p in places])) if places else Path()
        named = {p: p.absolute().relative_to(common) for p in places}
        plain = {p: n.with_suffix(".mp4" if is_video(p) else ".jpg") for p, n in named.items()}
        counts = Counter(str(n).casefold() for n in plain.values())  # a.png beside a.jpg: both keep their own
        self._names = {
            p: n if counts[str(n).casefold()] == 1 else n.with_name(f"{named[p].name}{n.suffix}")
            for p, n in plain.items()
        }
        self._film: Film | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._end_film(*raised)

    def add(self, several: Sequence[Detection]) -> None:
        source = several[0].region.path
        place = self.path / self._names[source]
        if self._film is not None and self._film.path != place:
            self._end_film(None, None, None)
        if is_video(source):
            if self._film is None:
                self._film = Film(place, source)
                self._film.__enter__()
            self._film.add(several)
            return
        buffer = io.BytesIO()
        _legible(several).save(buffer, "JPEG", quality=QUALITY, subsampling=0)
        write_atomically(place, buffer.getvalue())

    def _end_film(self, *raised: object) -> None:
        film, self._film = self._film, None
        if film is not None:
            film.__exit__(*raised)


class Film:
    """The frames of one video as an MP4, each shown when it was."""

    def __init__(self, path: Path, source: Path) -> None:
        self.path, self._source, self._stack = path, source, ExitStack()
        self._writer: VideoWriter | None = None

    @classmethod
    def of(cls, path: Path, regions: Sequence[Region]) -> Film:
        """Raises UsageError where the regions are not of one video."""
        videos = {r.path for r in regions}
        if len(videos) != 1 or not is_video(next(iter(videos))):
            raise UsageError(
                f"-o {path}: an overlaid video is made of one video; give a folder for images or several videos."
            )
        return cls(path, videos.pop())

    def __enter__(self) -> Self:
        draft = self._stack.enter_context(replacing(self.path))
        self._writer = VideoWriter(draft, Frames(self._source).rate)
        self._stack.callback(self._writer.close)
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._stack.__exit__(kind, error, trace)  # type: ignore[arg-type]

    def add(self, several: Sequence[Detection]) -> None:
        assert self._writer is not None
        moment = several[0].region.moment
        self._writer.write(_legible(several), moment and moment[1])


def _drawn(several: Sequence[Detection], zoom: float = 1) -> Image.Image:
    """The image at ``zoom`` times its size with the landmarks of all objects on it; pixel centres stay pixel centres."""
    picture = several[0].image
    assert picture is not None
    if zoom != 1:
        sides = [max(1, int(side * zoom)) for side in picture.size]
        picture = picture.resize((sides[0], sides[1]), Image.Resampling.BICUBIC)
    for detection in several:
        picture = draw_points(picture, (detection.landmarks + 0.5) * zoom - 0.5)
    return picture


def _legible(several: Sequence[Detection]) -> Image.Image:
    """The image as large as landmarks can be told apart on it, at least as on a sheet where its shape allows."""
    longest = max(several[0].size)
    zoom = min(-(-TILE // several[0].size[1]), max(1, ENLARGED // longest))
    return _drawn(several, min(zoom, LONGEST / longest))
