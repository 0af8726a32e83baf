"""Tables for a paper: the best bold where they are told apart, intervals, marks, and names that LaTeX shows as they are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from made_boards import Made
from made_records import keep, record
from small_runs import run_here

from lmbench.results.documents import boards_of
from lmbench.results.sheets import as_latex, as_markdown, sheet, tex


@pytest.fixture(scope="module")
def made() -> Made:
    made = Made()
    made.add("good", 20.0)
    made.add("as_good", 20.1)
    made.add("bad", 30.0)
    made.add("taught", 15.0, supervision="supervised")
    made.add("good", 40.0, variant="v, untrained")
    made.add("bad", 50.0, variant="v, untrained")
    return made


def test_what_is_not_told_from_the_best_is_bold_and_controls_never_are(made: Made) -> None:
    text = as_markdown(sheet(boards_of(made.records, made.of)))
    rows = {
        line.split("|")[1].strip(): line.split("|")[2].strip() for line in text.splitlines() if line.startswith("| `")
    }
    assert {name for name, cell in rows.items() if cell.startswith("**")} == {"`good`, v", "`as_good`, v"}
    assert set(rows) > {"`taught`, v†", "`good`, v, untrained‡"}
    assert all(re.fullmatch(r"\**\d+\.\d\d\** \[\d+\.\d\d, \d+\.\d\d\]", cell) for cell in rows.values())
    assert "Bold: not told from the best" in text and "†: supervised" in text and "seeds 0, 1, 2" in text


def test_nothing_is_bold_where_nothing_is_told_apart() -> None:
    made = Made()
    made.add("one", 20.0)
    made.add("two", 20.1)
    text = as_markdown(sheet(boards_of(made.records, made.of)))
    assert "**20" not in text and "Bold" not in text


def test_the_table_for_latex_has_as_many_cells_in_each_row_and_closed_braces(made: Made) -> None:
    text = as_latex(sheet(boards_of(made.records, made.of)), "spread")
    assert (
        text.count("{") == text.count("}") and r"\begin{tabular}{lr}" in text and text.startswith(r"% \caption{mafl, ")
    )
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert all(line.replace(r"\&", "").count("&") == (0 if r"\multicolumn{2}" in line else 1) for line in rows)
    assert sum(rule in text for rule in (r"\toprule", r"\midrule", r"\bottomrule")) == 3
    assert r"as\_good, v & \textbf{" in text and r"taught, v$^\dagger$" in text and r"{\scriptsize $\pm$ 0." in text


def test_numbers_without_a_head_stand_in_the_line_of_the_same_runs() -> None:
    made = Made()
    for found in (made.add("one", 20.0), made.add("two", 25.0)):
        assert len(found) == 3
    both = []
    for number in made.records:
        document = dict(number.to_json())
        matching = document["metrics"][0] | {
            "task": "matching",
            "metric": "matching_error",
            "settings": {"reading": "cl"},
        }
        both.append(type(number).of({**document, "metrics": [*document["metrics"], matching]}))
    found = sheet(boards_of(both, tasks=["regression", "matching"]))
    assert [sorted(line.cells) for line in found.lines] == [[0, 1], [0, 1]]


def test_names_are_shown_as_they_are() -> None:
    assert tex(r"a_b & 50% {x} \input{/etc/passwd} $y$ #1 ~^") == (
        r"a\_b \& 50\% \{x\} \textbackslash{}input\{/etc/passwd\} \$y\$ \#1 \textasciitilde{}\textasciicircum{}"
    )
    assert tex("a\n\x1b[2Jb") == r"a \textbackslash{}x1b[2Jb"


def test_both_tables_are_printed_of_the_kept_records(tmp_path: Path, capsys) -> None:
    runs, out = keep(tmp_path / "runs", record("a", "mine_1", 1.5)), tmp_path / "boards"
    assert run_here(capsys, "leaderboard", "build", "--runs", str(runs), "--out", str(out))[0] in (0, 4)
    code, text, _ = run_here(capsys, "leaderboard", "latex", "mafl", "regression", "--out", str(out))
    assert code == 0 and r"mine\_1, v & 1.50 {\scriptsize [0.50, 2.50]} \\" in text
    code, text, _ = run_here(
        capsys, "leaderboard", "markdown", "--dataset", "mafl", "--out", str(out), "--beside", "nothing"
    )
    assert code == 0 and "| `mine_1`, v | 1.50 |" in text
    code, _, err = run_here(capsys, "leaderboard", "latex", "mafl", "matching", "--out", str(out))
    assert code == 5 and "no record has numbers of mafl; matching" in err
