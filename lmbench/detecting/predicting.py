"""The landmarks of many images as files, of the kinds that their names ask for; gone on with where it was interrupted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from lmbench import progress
from lmbench.detecting.detector import Detector
from lmbench.detecting.journal import SUFFIX, Journal
from lmbench.detecting.overlays import Film, Folder, Overlays, Sheet
from lmbench.detecting.regions import Detection, Filling, LeftOut, Region
from lmbench.detecting.tables import DEEPLABCUT, WRITERS, About, require_one_object, require_tables
from lmbench.detecting.video import Frames, is_video, pyav
from lmbench.errors import UsageError
from lmbench.store.files import explained, locked, replacing

KINDS = (
    ".csv (a row an image), .json (COCO keypoints), .dlc.csv or .h5 (DeepLabCut), .png (one sheet of a few images), .mp4 (an "
    "overlaid video), or a folder for an overlay of each image"
)


@dataclass(frozen=True)
class Outputs:
    """What is to be written: tables by the writer of their kind, one sheet or film, one folder of overlays."""

    tables: tuple[Path, ...] = ()
    sheets: tuple[Path, ...] = ()
    films: tuple[Path, ...] = ()
    folders: tuple[Path, ...] = ()

    @classmethod
    def named(cls, paths: Sequence[Path]) -> Outputs:
        """By the ends of their names. Raises UsageError for another end, and for a file that is named twice."""
        twice = next((p for i, p in enumerate(paths) if p in paths[:i]), None)
        if twice:
            raise UsageError(f"-o {twice} is given twice.")
        found: dict[str, list[Path]] = {"tables": [], "sheets": [], "films": [], "folders": []}
        for path in paths:
            found[_kind(path)].append(path)
        return cls(**{kind: tuple(own) for kind, own in found.items()})

    @property
    def drawn(self) -> bool:
        """Whether the images themselves are needed once more."""
        return bool(self.sheets or self.films or self.folders)

    @property
    def files(self) -> tuple[Path, ...]:
        return (*self.tables, *self.sheets, *self.films)

    @property
    def resumable(self) -> Path | None:
        """Beside what the journal lies; nothing where all is one picture."""
        first = next(iter((*self.tables, *self.films, *self.folders)), None)
        return first and first.with_name(f"{first.name}{SUFFIX}")

    def require_new(self, force: bool) -> None:
        """Raises UsageError where one is there already."""
        there = next((p for p in self.files if p.exists()), None)
        if there and not force:
            raise UsageError(f"{there} exists; choose another name or pass --force.")

    def require_fitting(self, regions: Sequence[Region]) -> None:
        """Raises UsageError, before anything is looked at, where a file has no room for what is asked, DataError where what
        writes it is not installed."""
        for path in self.tables:
            if path.name.endswith(DEEPLABCUT):
                require_one_object(path, regions)
            if path.suffix in (".h5", ".hdf5"):
                require_tables()
        for path in self.films:
            Film.of(path, regions)
        for path in self.sheets:
            Sheet(path, regions, ())
        if any(is_video(r.path) for r in regions):
            pyav()


def _kind(path: Path) -> str:
    end = path.suffix.lower()
    if path.is_dir() or (not end and not path.is_file()):
        return "folders"
    if any(path.name.lower().endswith(kind) for kind in WRITERS):
        return "tables"
    if end in (".png", ".mp4"):
        return "sheets" if end == ".png" else "films"
    raise UsageError(f"-o {path}: there are {KINDS}.")


def predict(
    detector: Detector, regions: Sequence[Region], filling: Filling, outputs: Outputs, force: bool = False
) -> Iterator[Detection | LeftOut]:
    """All that was found, in order, once it is all found and the outputs are written; without outputs as it is found.

    Memory does not grow with the regions. An interrupted call goes on when it is made again (see `Journal`). Raises UsageError
    for a folder that holds something of others, else as `Detector.detect`.
    """
    detector.framer.require_boxes(regions, filling)
    place = outputs.resumable
    if place is None:
        with ExitStack() as stack:
            overlays = [stack.enter_context(made) for made in _overlays(outputs, regions, detector.landmark_names)]
            for several in _found(detector, regions, filling, overlays):
                yield from several
        return
    with explained(place):
        place.parent.mkdir(parents=True, exist_ok=True)
    with locked(place, wait=False):
        journal = Journal(place, regions, [detector.digest, filling, [str(p.absolute()) for p in outputs.folders]])
        done = journal.count()
        if outputs.films or outputs.sheets:
            done = journal.forget()  # they are whole or not there
        for folder in outputs.folders:
            if not done and not force and folder.is_dir() and any(folder.iterdir()):
                raise UsageError(f"{folder} is not empty; choose another folder or pass --force.")
        try:
            journal.begin()
            with ExitStack() as stack:
                overlays = [stack.enter_context(made) for made in _overlays(outputs, regions, detector.landmark_names)]
                for several in _found(detector, regions, filling, overlays, done):
                    journal.add(several)
        except BaseException:
            journal.abandon()
            raise
        journal.close()
        first = next((one for one in journal if isinstance(one, Detection)), None)
        sure = first is not None and first.confidence is not None
        about = About.of(detector.framer.name, detector.landmark_names, sure, regions)
        for path in outputs.tables:
            write = next(writer for kind, writer in WRITERS.items() if path.name.lower().endswith(kind))
            with replacing(path) as draft:
                write(draft, (one for one in journal if isinstance(one, Detection)), about)
        yield from journal
        journal.remove()


def _overlays(outputs: Outputs, regions: Sequence[Region], names: Sequence[str]) -> Iterator[Overlays]:
    yield from (Sheet(path, regions, names) for path in outputs.sheets)
    yield from (Film.of(path, regions) for path in outputs.films)
    yield from (Folder(path, regions) for path in outputs.folders)


def _found(
    detector: Detector, regions: Sequence[Region], filling: Filling, overlays: Sequence[Overlays], done: int = 0
) -> Iterator[list[Detection | LeftOut]]:
    """All objects of each image or frame, drawn, with progress; the first ``done`` regions were found before."""
    videos = {r.path: Frames(r.path).expected for r in regions[done:] if is_video(r.path)}
    total = done + sum(videos.get(r.path, 1) for r in regions[done:])
    found = detector.detect(regions[done:], filling, keep_images=bool(overlays))
    with progress.task("predicting", total, "images") as bar:
        if done:
            bar.skip(done)
        for _, group in groupby(found, lambda one: (one.region.path, one.region.moment)):
            several = list(group)
            drawn = [one for one in several if isinstance(one, Detection)]
            for overlay in overlays if drawn else ():
                overlay.add(drawn)
            bar.advance(1 if drawn or not is_video(several[0].region.path) else 0)  # the end of a video is no image
            yield several
