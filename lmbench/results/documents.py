"""Documents with tables in them that are made from records: filled in, and compared with what the records give.

A table stands between ``<!-- board: ... -->`` or ``<!-- table: ... -->`` (see `lmbench.results.tables.Selection`),
``<!-- curve: RUN STAGE -->`` or ``<!-- output: RUN -->``, and ``<!-- end -->``; DATASET PRESET METHOD/VARIANT in the place of RUN
is its newest run of the lowest seed. No other number that was measured stands in a document.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from lmbench.errors import DataError, LmbenchError, UsageError
from lmbench.results.boards import Board, as_markdown, boards, with_parts
from lmbench.results.leaderboard import ranked_records
from lmbench.results.outputs import numbers
from lmbench.results.ranking import ScoresOf, nothing_kept
from lmbench.results.reading import read_record
from lmbench.results.record import Record
from lmbench.results.scores import kept_scores
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


def filled(text: str, records: Mapping[str, Record], where: str, scores: ScoresOf = nothing_kept) -> str:
    """A document with every block as the records, and the kept scores, give it.

    Raises LmbenchError naming the block that they do not give.
    """
    if len(BEGIN.findall(text)) != len(BLOCK.findall(text)):
        raise UsageError(f"{where}: a table has no end; expected <!-- end --> on a line of its own below each.")

    def fill(block: re.Match[str]) -> str:
        try:
            return f"{block['begin']}\n{_made(block['kind'], block['what'], records, scores)}\n{block['end']}"
        except LmbenchError as error:
            raise type(error)(f"{where}: <!-- {block['kind']}: {block['what']} -->: {error}") from None

    return BLOCK.sub(fill, text)


def stale_documents(leaderboards: Path) -> Iterator[str]:
    """What is not as the records give it, one line a document."""
    records = kept_records(leaderboards)
    for path in documents_beside(leaderboards):
        text = path.read_text(encoding="utf-8")
        if filled(text, records, str(path), partial(kept_scores, leaderboards)) != text:
            yield f"the tables of {path} are not what the records give"


def write_documents(leaderboards: Path) -> list[Path]:
    """Fills in the documents beside the leaderboards; returns those that changed."""
    records, changed = kept_records(leaderboards), []
    for path in documents_beside(leaderboards):
        text = path.read_text(encoding="utf-8")
        new = filled(text, records, str(path), partial(kept_scores, leaderboards))
        if new != text:
            write_atomically(path, new)
            changed.append(path)
    return changed


def boards_of(
    records: Iterable[Record],
    scores: ScoresOf = nothing_kept,
    *,
    dataset: str = "",
    tasks: Sequence[str] = (),
    preset: str = "",
    annotations: Sequence[str] = (),
    parts: Sequence[str] = (),
) -> list[Board]:
    """The boards of some records; what is not named is not narrowed down.

    ``parts``: besides the whole; of a task whose results have no whole all. Raises DataError where there is no such board.
    """
    own = [r for r in records if r.status == "ok" and dataset in ("", r.dataset) and preset in ("", r.preset)]
    found = boards(ranked_records(own, scores))
    kept = []
    for task in tasks or sorted({board.scope.column[1] for board in found}):
        shown = with_parts([board for board in found if board.scope.column[1] == task], parts)
        kept += [board for board in shown if not annotations or board.scope.column[4] in ("", *annotations)]
    if not kept:
        wanted = [dataset, ", ".join(tasks), preset, f"n = {', '.join(annotations)}" if annotations else ""]
        raise DataError(f"no record has numbers of {'; '.join(filter(None, wanted)) or 'anything'}.")
    return kept


def _board(what: str, records: Mapping[str, Record], scores: ScoresOf) -> str:
    """The tables of a selection. Raises UsageError for one of some methods alone."""
    s = Selection.parse(what)
    if s.methods:
        raise UsageError(f"a board has all methods, not {', '.join(s.methods)} alone; a table shows some.")
    kept = records.values()
    return as_markdown(
        boards_of(
            kept,
            scores,
            dataset=s.dataset,
            tasks=s.tasks,
            preset=s.preset,
            annotations=s.annotations,
            parts=s.parts,
        )
    )


def _made(kind: str, what: str, records: Mapping[str, Record], scores: ScoresOf) -> str:
    match kind:
        case "board":
            return _board(what, records, scores)
        case "table":
            return results_table(records.values(), Selection.parse(what))
        case "curve":
            run, _, stage = what.rpartition(" ")
            return curve_table(_record(run, records), stage)
        case "output":
            return output_block(_record(what, records))
    raise UsageError(f"unknown kind of table {kind}; there are board, table, curve and output.")


def _record(what: str, records: Mapping[str, Record]) -> Record:
    """The record of a run, or of ``DATASET PRESET METHOD/VARIANT``: its newest run of the lowest seed."""
    if what in records:
        return records[what]
    named = [r for r in records.values() if what.split() == [r.dataset, r.preset, f"{r.method}/{r.variant}"]]
    if not named:
        raise UsageError(
            f"there is no record of {what}; `lmbench leaderboard build` keeps them beside the leaderboards."
        )
    return max(named, key=lambda r: (-r.seed, numbers(r.version), r.finished, r.run))
