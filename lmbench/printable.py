"""Texts of others where they leave lmbench: on a terminal and in the cells of a table that a spreadsheet may open.

Records, plugins, file names and files' contents may hold anything. A terminal obeys escape sequences, a bidirectional
override makes a line read as another one, and a spreadsheet computes a cell that begins with a sign.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# C0 (but for the line feed), DEL and C1 controls, line and paragraph separators, bidirectional marks and overrides,
# invisible joiners of the byte order mark's kind, and surrogates, which no encoding takes.
_UNSAFE = re.compile(
    "[\0-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff\ufff9-\ufffb]"
)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_BARE = re.compile(r"[+-][A-Za-z]+(, [A-Za-z]+=\d+)*")  # the papers' "+proj, K=50": names nothing and computes nothing
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # full-width signs count too


def printable(text: object) -> str:
    """The text with every character that a terminal would act on written as an escape (``\\x1b``); line feeds stay."""
    return _UNSAFE.sub(_escaped, str(text))


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x20 else f"\\u{code:04x}"  # what stands raw in JSON's strings stays JSON


_FOLDERS = re.compile(r"(?<=[:=])(?:~[^/:]*/|/|[A-Za-z]:[\\/]).*?(?=:[A-Za-z_]+=| \(partial: |$)", re.DOTALL)


def without_folders(name: str) -> str:
    """A dataset's name without the folders that lead to its own: ``folder:/home/me/mice:test=0.2`` as ``folder:mice:test=0.2``.

    It is for people to read, in titles and names of files; two datasets may be shown alike.
    """
    return _FOLDERS.sub(lambda found: re.split(r"[\\/]+", found[0].rstrip("\\/"))[-1], name)


_PLACE = re.compile(r"""(?<![\w./\\~-])(?:~[^\s/\\]*|[A-Za-z]:)?[/\\](?:[^\s/\\:'"]+[/\\])+([^\s/\\:'"]*)""")
_WHOLE = re.compile(r"(?:~[^/]*/|/|[A-Za-z]:[\\/]|\\\\)[^\n]*")


def without_places(value: Any) -> Any:
    """JSON without the folders of the machine that it was made on: of every absolute path in its texts, keys among them, the last
    name stays. Addresses of the web and relative paths stay as they are."""
    if isinstance(value, Mapping):
        return {without_places(name): without_places(own) for name, own in value.items()}
    if isinstance(value, list | tuple):
        return [without_places(own) for own in value]
    if not isinstance(value, str):
        return value
    if _WHOLE.fullmatch(value):
        return re.split(r"[\\/]+", value.rstrip("\\/"))[-1]
    return _PLACE.sub(lambda found: found[1], value if "://" in value else without_folders(value))


def without_folders_apart(names: Iterable[str]) -> dict[str, str]:
    """Each of some names as `without_folders` has it; those that would read alike with a digest of the whole name."""
    shown = {name: without_folders(name) for name in names}
    counts = Counter(shown.values())
    digests = {name: hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:6] for name in shown}
    return {name: text if counts[text] == 1 else f"{text} [{digests[name]}]" for name, text in shown.items()}


def cell(value: Any) -> str:
    """A value as a cell of a CSV: printable, in one line, and behind an apostrophe where a spreadsheet would compute it."""
    text = "" if value is None else printable(value).replace("\n", "\\n")
    computed = text.lstrip(" ").startswith(_FORMULA) and not (_NUMBER.fullmatch(text) or _BARE.fullmatch(text))
    return f"'{text}" if computed else text


def csv_text(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """A table as CSV text; what a row lacks is empty, what is no column is left out."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([cell(column) for column in columns])
    writer.writerows([cell(row.get(column, "")) for column in columns] for row in rows)
    return text.getvalue()


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [list(columns), ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(inside(cell) for cell in line)} |\n" for line in lines)


def inside(cell: str) -> str:
    """A text inside a table or a heading of Markdown: in one line, and printable."""
    return printable(cell).replace("|", "\\|").replace("\n", " ")


def plain_table(lines: Sequence[Sequence[str]], indent: str = "") -> str:
    """The cells in columns, two blanks between them, nothing wrapped or cut."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    padded = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
    return "\n".join((indent + line).rstrip() for line in padded)


def counted(number: int, noun: str) -> str:
    """``1 epoch``, ``2 epochs``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
