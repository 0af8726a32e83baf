"""Documents with tables in them that are made from records: filled in, and compared with what the records give.

A table stands between ``<!-- table: ... -->`` (see `lmbench.results.tables.Selection`), ``<!-- curve: RUN STAGE -->`` or
``<!-- output: RUN -->`` and ``<!-- end -->``. No other number that was measured stands in a document.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from lmbench.errors import LmbenchError, UsageError
from lmbench.results.reading import read_record
from lmbench.results.record import Record
from lmbench.results.tables import Selection, curve_table, output_block, results_table
from lmbench.store.files import write_atomically

BLOCK = re.compile(
    r"(?P<begin><!-- (?P<kind>[a-z]+): (?P<what>[^\n]*?) -->\n)(?P<body>.*?)(?P<end>^<!-- end -->)", re.S | re.M
)
BEGIN = re.compile(r"^<!-- [a-z]+: ", re.M)


def documents_beside(leaderboards: Path) -> list[Path]:
    """The documents of the folder that holds the leaderboards: README.md, docs, and the READMEs of plugins."""
    root = leaderboards.absolute().parent
    return [p for pattern in ("README.md", "docs/**/*.md", "plugins/*/README.md") for p in sorted(root.glob(pattern))]


def kept_records(leaderboards: Path) -> dict[str, Record]:
    """The records beside the leaderboards, by run. Raises as `read_record`."""
    found = (read_record(path) for path in sorted((leaderboards / "records").glob("*.json")))
    return {record.run: record for record in found}


def filled(text: str, records: Mapping[str, Record], where: str) -> str:
    """A document with every block as the records give it. Raises LmbenchError naming the block that they do not give."""
    if len(BEGIN.findall(text)) != len(BLOCK.findall(text)):
        raise UsageError(f"{where}: a table has no end; expected <!-- end --> on a line of its own below each.")

    def fill(block: re.Match[str]) -> str:
        try:
            return f"{block['begin']}\n{_made(block['kind'], block['what'], records)}\n{block['end']}"
        except LmbenchError as error:
            raise type(error)(f"{where}: <!-- {block['kind']}: {block['what']} -->: {error}") from None

    return BLOCK.sub(fill, text)


def stale_documents(leaderboards: Path) -> Iterator[str]:
    """What is not as the records give it, one line a document."""
    records = kept_records(leaderboards)
    for path in documents_beside(leaderboards):
        text = path.read_text(encoding="utf-8")
        if filled(text, records, str(path)) != text:
            yield f"the tables of {path} are not what the records give"


def write_documents(leaderboards: Path) -> list[Path]:
    """Fills in the documents beside the leaderboards; returns those that changed."""
    records, changed = kept_records(leaderboards), []
    for path in documents_beside(leaderboards):
        text = path.read_text(encoding="utf-8")
        new = filled(text, records, str(path))
        if new != text:
            write_atomically(path, new)
            changed.append(path)
    return changed


def _made(kind: str, what: str, records: Mapping[str, Record]) -> str:
    match kind:
        case "table":
            return results_table(records.values(), Selection.parse(what))
        case "curve":
            run, _, stage = what.partition(" ")
            return curve_table(_record(run, records), stage)
        case "output":
            return output_block(_record(what, records))
    raise UsageError(f"unknown kind of table {kind}; there are table, curve and output.")


def _record(run: str, records: Mapping[str, Record]) -> Record:
    if run not in records:
        raise UsageError(
            f"there is no record of {run}; `lmbench leaderboard build` keeps them beside the leaderboards."
        )
    return records[run]
