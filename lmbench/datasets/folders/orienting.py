"""Which way up an annotation means its image: as viewers show it, or as its pixels are stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lmbench.data.images import Header, read_header, summary
from lmbench.datasets.folders.samples import Sample


def oriented(samples: Sequence[Sample], orientation: str, where: str) -> tuple[list[Sample], str]:
    """The samples with the size and the way their images are read, and what reading them takes ("" for nothing).

    An EXIF orientation is applied, unless the annotation states a size that fits the stored pixels alone. ``orientation``
    (``upright``, ``raw``) decides for all. Raises DataError naming an image whose header cannot be read.
    """
    headers: dict[Path, Header] = {}
    stored: set[Path] = set()
    for s in samples:
        if s.photo not in headers:
            headers[s.photo] = read_header(s.photo, str(s.photo), where)
        header = headers[s.photo]
        sizes_say = s.size == header.stored and s.size != header.upright
        if header.orientation != 1 and (orientation == "raw" or (not orientation and sizes_say)):
            stored.add(s.photo)
    read = [replace(s, raw=s.photo in stored, shown=headers[s.photo].size(s.photo in stored)) for s in samples]
    counts = Counter(work for photo, header in headers.items() for work in header.work(photo in stored))
    because = ", since the sizes in the annotations fit those pixels" if stored and not orientation else ""
    return read, summary(counts, len(headers)) + because
