"""The name after ``folder:``: a folder, then options, each after a colon.

Colons and commas mean nothing to a shell, so that nothing needs quotes (but regular expressions); ``?`` and ``&`` would.
"""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmbench.errors import DataError, UsageError, did_you_mean
from lmbench.originals.plausibility import MEANT

FORMAT_NAMES = ("coco", "deeplabcut", "imglab", "pts", "csv")
CROPS = ("box", "landmarks", "image")
ACCEPTED = (*MEANT, "scores", "box_names", "sentinels", "leak")
"""What is refused unless it is said to be meant: what `lmbench.originals.plausibility` finds, and what the formats ask."""
EXAMPLE = "folder:DIR:format=coco:eyes=left_eye,right_eye:test=0.2"


@dataclass(frozen=True)
class Options:
    """Where the images lie and how they are read; see docs/datasets/your_own.md."""

    folder: Path
    format: str = ""
    file: str = ""
    category: str = ""
    eyes: tuple[str, ...] = ()
    test: float | None = None
    crop: str = ""
    margin: float | None = None
    occluded: str = "scored"
    first_pixel: float | None = None
    orientation: str = ""
    match: str = "path"
    individuals: tuple[str, ...] = ()
    columns: str = "named"
    encoding: str = ""
    group: str = ""
    accept: tuple[str, ...] = ()


def _one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"expected one of {', '.join(words)}")
        return text

    return read


def _number(low: float, high: float, open_ends: bool = False) -> Callable[[str], float]:
    def read(text: str) -> float:
        said = f"expected a number {'between' if open_ends else 'from'} {low:g} {'and' if open_ends else 'to'} {high:g}"
        try:
            value = float(text)
        except ValueError:
            raise ValueError(said) from None
        if not low <= value <= high or (open_ends and value in (low, high)):
            raise ValueError(said)
        return value

    return read


def _pair(text: str) -> tuple[str, ...]:
    names = tuple(n.strip() for n in text.split(","))
    if len(names) != 2 or not all(names):
        raise ValueError("expected two landmarks, as eyes=left_eye,right_eye")
    return names


def _names(text: str) -> tuple[str, ...]:
    names = tuple(n.strip() for n in text.split(","))
    if not all(names):
        raise ValueError("expected names with commas between them")
    return names


def _words(text: str) -> tuple[str, ...]:
    words = _names(text)
    for word in words:
        if word not in ACCEPTED:
            raise ValueError(f"{word!r} is none of {', '.join(ACCEPTED)}")
    return words


def _encoding(text: str) -> str:
    try:
        "a".encode(codecs.lookup(text).name)
    except (LookupError, ValueError):
        raise ValueError("expected the name of a text encoding, as utf-8, cp1252 or gbk") from None
    return text


def _text(text: str) -> str:
    if not text:
        raise ValueError("expected a name")
    return text


ORIENTATION = {"orientation": _one_of("upright", "raw")}
READERS: dict[str, Callable[[str], Any]] = {
    "format": _one_of(*FORMAT_NAMES),
    "file": _text,
    "category": _text,
    "eyes": _pair,
    "test": _number(0, 1, open_ends=True),
    "crop": _one_of(*CROPS),
    "margin": _number(0, 10),
    "occluded": _one_of("scored", "skipped"),
    "first_pixel": _number(0, 1),
    **ORIENTATION,
    "match": _one_of("path", "name"),
    "individuals": _names,
    "columns": _one_of("named", "pairs"),
    "encoding": _encoding,
    "group": _text,
    "accept": _words,
}


def parse_options(argument: str) -> Options:
    """``DIR[:option=value...]`` taken apart. Raises UsageError for a bad option, DataError where DIR is no folder."""
    folder, given = take_options("folder", argument, READERS, EXAMPLE)
    return Options(folder, **given)


def take_options(
    family: str, argument: str, readers: Mapping[str, Callable[[str], Any]], example: str
) -> tuple[Path, dict[str, Any]]:
    """The folder and the options given after it, as ``readers`` read them. Raises as `parse_options` does.

    The folder is the longest beginning that is one. A colon begins an option where a word and ``=`` follow it.
    """
    given: dict[str, Any] = {}
    colons = [m.start() for m in re.finditer(r":(?=[A-Za-z_]+=)", argument)]
    ends = [len(argument), *reversed(colons)]
    place = next((argument[:end] for end in ends if _path(argument[:end]).is_dir()), argument[: min(ends)])
    for option in re.split(r":(?=[A-Za-z_]+=)", argument[len(place) :])[1:]:
        key, _, text = option.partition("=")
        if key not in readers:
            raise UsageError(
                f"{family}:{argument}: {key!r} is no option; there are {', '.join(readers)}, as in {example}."
                f"{did_you_mean(key, readers)}"
            )
        if key in given:
            raise UsageError(f"{family}:{argument}: {key} is given twice.")
        try:
            given[key] = readers[key](text)
        except ValueError as error:
            raise UsageError(f"{family}:{argument}: {key}={text}: {error}.") from None
    folder = _path(place)
    if not folder.is_dir():
        said = "is a file; name its folder" if folder.is_file() else "there is no such folder"
        raise DataError(f"{family}:{argument}: {place}: {said} ({example}).")
    return folder, given


def _path(text: str) -> Path:
    return Path(os.path.expanduser(text))
