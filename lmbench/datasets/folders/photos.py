"""The files below a folder, and which of its images an annotation means."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from lmbench.data.images import suffixes
from lmbench.data.walking import walk
from lmbench.datasets.folders.samples import Sample
from lmbench.errors import DataError


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
        names = [annotation.stem + s for suffix in sorted(suffixes()) for s in (suffix, suffix.upper())]
        return [p for n in names for p in self._by_name.get(n, []) if p.parent == annotation.parent]

    def relative(self, path: Path) -> str:
        """A path below the folder with forward slashes."""
        return Path(os.path.relpath(path, self.folder)).as_posix()

    def resolve(self, samples: Sequence[Sample], where: str) -> list[Sample]:
        """The samples with their image files and ids. Raises DataError: missing or ambiguous images, repeated ids."""
        places: dict[tuple[str, Path], Path | None] = {}
        for s in samples:
            key = (s.image, s.file.parent)
            if key not in places:
                places[key] = self._find(s, where)
        missing = [s.image for s in samples if places[s.image, s.file.parent] is None]
        if missing:
            raise DataError(
                f"{where}: {len(samples)} samples are annotated, the images of {len(missing)} are missing (first: "
                f"{missing[0]}). Put them below {self.folder}, or take them out of the annotations."
            )
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
                raise DataError(
                    f"{where}: {s.id} is annotated twice (in {' and '.join(files)}). Take one out, name one file by "
                    "file=, or give objects of one image ids of their own."
                )
            first[s.id] = s
        return named

    def _find(self, sample: Sample, where: str) -> Path | None:
        """By path from the annotation or the folder, else by the longest end of the path that an image shares."""
        path = PurePosixPath(sample.image.replace("\\", "/"))
        for base in (sample.file.parent, self.folder):
            if (base / path).is_file():
                return Path(os.path.normpath(base / path))
        found = self._by_name.get(path.name, [])
        for length in range(len(path.parts), 0, -1):
            ends = [p for p in found if p.parts[-length:] == path.parts[-length:]]
            if len(ends) > 1:
                raise DataError(
                    f"{where}: {sample.image} of {sample.file.name} may be {' or '.join(map(self.relative, ends))}. Give "
                    "its path from the folder."
                )
            if ends:
                return ends[0]
        return None
