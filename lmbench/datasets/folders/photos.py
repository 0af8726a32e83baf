"""The files below a folder, and which of its images an annotation means."""

from __future__ import annotations

import difflib
import os
import posixpath
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from pathlib import Path, PurePosixPath

from lmbench.data.images import suffixes
from lmbench.datasets.folders.samples import Sample, composed
from lmbench.errors import DataError
from lmbench.originals.walking import walk

FOLDERS_NAMED = 5


class Photos:
    """All images below a folder (by name), and its other files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.walked = walk(folder)
        self.others: list[Path] = []
        self._by_name: dict[str, list[Path]] = defaultdict(list)
        for path in self.walked.files:
            if path.suffix.lower() in suffixes():
                self._by_name[path.name].append(path)
            else:
                self.others.append(path)

    def __len__(self) -> int:
        return sum(map(len, self._by_name.values()))

    def beside(self, annotation: Path) -> list[Path]:
        """The images with the stem of an annotation in its folder."""
        return self._by_stem.get((annotation.parent, composed(annotation.stem)), [])

    def relative(self, path: Path) -> str:
        """A path below the folder with forward slashes."""
        return below(self.folder, path)

    def resolve(self, samples: Sequence[Sample], where: str, by_name: bool = False) -> list[Sample]:
        """The samples with their image files and ids. Raises DataError: missing or ambiguous images, repeated ids.

        ``by_name``: the image's bare name decides, whatever its folder is called.
        """
        places = self._places(samples, where, by_name)
        missing = [s for s in samples if places[s.image, s.file.parent] is None]
        if missing:
            raise DataError(self._missing(missing, samples, where))
        photos = [places[s.image, s.file.parent] or Path() for s in samples]
        objects = Counter(photos)
        named = [
            replace(s, photo=p, id=self.relative(p) + (f"#{s.label}" if objects[p] > 1 and s.label else ""))
            for s, p in zip(samples, photos, strict=True)
        ]
        first: dict[str, Sample] = {}
        for s in named:
            if s.id in first:
                files = sorted({self.relative(first[s.id].file), self.relative(s.file)})
                one = (
                    f"name one file (file={files[0]})"
                    if len(files) > 1
                    else "give objects of one image ids of their own"
                )
                raise DataError(
                    f"{where}: {s.id} is annotated twice (in {' and '.join(files)}). Take one out, or {one}."
                )
            first[s.id] = s
        return named

    def _places(self, samples: Sequence[Sample], where: str, by_name: bool) -> dict[tuple[str, Path], Path | None]:
        """The image of each path as annotated, seen from the annotation's folder; None where there is none."""
        places: dict[tuple[str, Path], Path | None] = {}
        said: dict[str, list[tuple[str, Path]]] = defaultdict(
            list
        )  # the folders that annotations give images of the root
        for s in samples:
            key = (s.image, s.file.parent)
            if key in places:
                continue
            places[key], folder = self._find(s, where, by_name)
            if folder is not None:
                said[folder].append(key)
        agreeing = {"", self.folder.resolve().name}
        others = [folder for folder in said if folder not in agreeing]
        if agreeing & set(said):
            for key in (key for folder in others for key in said[folder]):
                places[key] = None
        elif len(others) > 1:
            raise DataError(
                f"{where}: images of the folders {_few(others)} are annotated, and there is no such folder below "
                f"{self.folder}: all would be taken from it. Put the images in their folders, or pass match=name."
            )
        return places

    def _find(self, sample: Sample, where: str, by_name: bool) -> tuple[Path | None, str | None]:
        """The image that a path means, and for one in the root itself the folder that the path puts it in.

        By path from the annotation or the folder; else by the end of the path, where all folders that image and path both
        name agree: those of another machine above it do no harm. An annotation that has images below its own place is of
        these.
        """
        base, root = self.relative(sample.file.parent), self.folder.absolute().as_posix() + "/"
        for text in dict.fromkeys((sample.image, sample.image.strip())):
            for slashes in dict.fromkeys((text, text.replace("\\", "/"))):
                for start in (base, "."):
                    path = posixpath.normpath(posixpath.join(start, slashes.removeprefix(root)))
                    found = self._by_path.get(path) or self._by_path.get(composed(path))
                    if found:
                        return found, "" if found.parent == self.folder else None
        whole = PurePosixPath(sample.image.strip().replace("\\", "/"))
        parts = tuple(composed(p) for p in whole.parts if p not in {"/", "//", ".."})
        if not parts:
            return None, None
        near = tuple(composed(base).split("/")) if composed(base) in self._places_of_images and not by_name else ()
        fitting: dict[int, list[Path]] = defaultdict(list)
        for photo in self._named.get(parts[-1], []):
            own = self._parts(photo)
            if near and own[: len(near)] != near:
                continue
            shared = min(len(own), len(parts))
            if by_name:
                shared = next((n for n in range(shared) if own[-n - 1] != parts[-n - 1]), shared)
            elif own[-shared:] != parts[-shared:] or (len(parts) > shared and parts[-shared - 1] in self._folders):
                continue
            fitting[shared].append(photo)
        if not fitting:
            return None, None
        length, ends = max(fitting.items())
        if len(ends) > 1:
            raise DataError(
                f"{where}: {sample.image} of {sample.file.name} may be {' or '.join(map(self.relative, ends))}. Give "
                "its path from the folder."
            )
        in_root = not by_name and length == 1 and ends[0].parent == self.folder
        return ends[0], (parts[-2] if len(parts) > 1 else "") if in_root else None

    def _missing(self, missing: Sequence[Sample], samples: Sequence[Sample], where: str) -> str:
        """What is missing, of which folders, and what lies there instead."""
        paths = list(dict.fromkeys(s.image for s in missing))
        by_folder = Counter(PurePosixPath(p.replace("\\", "/")).parent.as_posix() for p in paths)
        named = [f"{n} of {folder}" for folder, n in by_folder.most_common() if folder != "."]
        said = (
            f"{where}: {len(samples)} samples are annotated, the images of {len(missing)} are missing (first: {paths[0]}"
            + (f"; {_few(named)}" if named else "")
            + ")."
        )
        name = composed(PurePosixPath(paths[0].strip().replace("\\", "/")).name)
        alike = list(map(self.relative, self._named.get(name, [])))
        if alike:
            said += f" {_few(alike)} has the name but not the folder; match=name takes images by their names alone."
        else:
            names = {n.casefold(): n for n in self._named}
            close = [names[n] for n in difflib.get_close_matches(name.casefold(), list(names), n=1, cutoff=0.8)]
            there = [f"{n} in {folder}" for folder, n in Counter(self.relative(p.parent) for p in self).most_common()]
            said += f" There are {len(self)} images below {self.folder}: {_few(there) or 'none'}"
            said += f" ({close[0]} has a similar name)." if close else "."
            said += f" {self.walked.said().replace('left', 'Left', 1)}." if self.walked.left_out else ""
        return f"{said} Put the missing ones there, or take them out of the annotations."

    def __iter__(self) -> Iterator[Path]:
        return (p for found in self._by_name.values() for p in found)

    def _parts(self, photo: Path) -> tuple[str, ...]:
        return tuple(composed(p) for p in photo.relative_to(self.folder).parts)

    @cached_property
    def _named(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = defaultdict(list)
        for photo in self:
            found[composed(photo.name)].append(photo)
        return found

    @cached_property
    def _by_path(self) -> dict[str, Path]:
        """By the path as it is on disk, and with accents in one: two files may differ in that alone."""
        return {"/".join(self._parts(p)): p for p in self} | {self.relative(p): p for p in self}

    @cached_property
    def _by_stem(self) -> dict[tuple[Path, str], list[Path]]:
        found: dict[tuple[Path, str], list[Path]] = defaultdict(list)
        for photo in sorted(self):
            found[photo.parent, composed(photo.stem)].append(photo)
        return found

    @cached_property
    def _places_of_images(self) -> set[str]:
        """All folders below this one that hold images, or have some below."""
        return {"/".join(parts[:n]) for p in self for parts in [self._parts(p)] for n in range(1, len(parts))}

    @cached_property
    def _folders(self) -> set[str]:
        """The names of all folders that hold images, and of those around them."""
        return {part for p in self for part in self._parts(p)[:-1]}


@lru_cache(maxsize=1 << 18)
def below(folder: Path, path: Path) -> str:
    """A path below a folder with forward slashes."""
    return Path(os.path.relpath(path, folder)).as_posix()


def _few(words: Sequence[str]) -> str:
    more = len(words) - FOLDERS_NAMED
    return ", ".join(words[:FOLDERS_NAMED]) + (f" and {more} more" if more > 0 else "")
