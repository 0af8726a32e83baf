"""Numbers in documents: measured ones stand in tables made from records, published ones in sections that say so."""

from __future__ import annotations

import csv
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from made_records import keep, record

from lmbench.cli.main import run_cli
from lmbench.errors import LmbenchError
from lmbench.results.documents import BLOCK, documents_beside, filled, kept_records, stale_documents
from lmbench.results.record import Record
from lmbench.results.tables import Selection, curve_table, results_table

ROOT = Path(__file__).parents[1]
DOCUMENTS = documents_beside(ROOT / "leaderboards")
MADE = ["docs/head_measured.md"]  # wholly made from results, as tests/test_head_measured.py sees to
NAMES = [name for name in (str(path.relative_to(ROOT)) for path in DOCUMENTS) if name not in MADE]

RESULT = re.compile(
    r"(?<![\w.:/=^-])[1-9]\d{0,4}\.\d{1,2}(?!\.?\d|\w)"  # as errors and shares are printed: 27.54, 3.9
    r"|(?<![\w.:/=^-])0?\.\d+(?= ?(?:%|px|percent|pixels|points)\b| ?%)"  # below one, with a unit of results
    r"|\d+(?= ?(?:%|percent) (?:IOD|of the eyes))"
)
"""What a number looks like that somebody measured. Settings are mostly whole, or below one and without such a unit."""
PUBLISHED = re.compile(r"papers?'?s? numbers|numbers were typed|\*\*Published\*\*|\(Table \d+\) \|$")
"""Headings and first lines of what papers print: sections, paragraphs, tables with a column of a paper's table."""
PLACE = re.compile(
    r"\b(secs?|eqs?|[Ff]igs?|Figure|Supp|Tables?)\.? [\w.]*\d[\d.]*(, \d+\.\d+)*|,? v\d\.\d|(version|lmbench) \d\.\d+"
)
"""Sections, equations, figures and versions: no values."""

ALLOWED = {
    "docs/datasets/300w.md": {
        "(Pillow 6.1)": "versions and bounds of the reference codes' preprocessing",
        "bicubic (8.4)": "a version",
    },
    "docs/datasets/aflw_mtfl.md": {"side 5.26 s": "the framing's factor"},
    "docs/datasets/aflw_m.md": {
        "0.09 percent of the landmarks": "a fact of the labels, counted when they are prepared"
    },
    "docs/datasets/bbcpose.md": {"6 px of 128 are 14.1 px of 300": "arithmetic"},
    "docs/datasets/cats.md": {"1.3 sides of the rectangle": "the framing's factor"},
    "docs/datasets/celeba.md": {"6.32, 5.76, 5.33 percent IOD": "published, Thewlis et al. 2017, Table 1"},
    "docs/datasets/cub.md": {
        "5 % of the side (4.8 px)": "arithmetic",
        "(6.25 %)": "arithmetic of the reference code",
    },
    "docs/datasets/lspet.md": {"1.4 sides of the visible joints": "the framing's factor"},
    "docs/datasets/mafl_wild.md": {"times": "ranges of the zoom of LEAD, Table 8"},
    "docs/datasets/mnist.md": {"CC BY-SA 3.0": "a licence"},
    "docs/datasets/your_own.md": {"also true, false, 1.0": "how a file may write yes"},
    "docs/protocol.md": {
        "12 pixels would be 3.5 off": "arithmetic",
        "94.46 % is of a deeper classifier": "published, Thewlis et al. 2017, Table 4",
        "from 1 to 1.5 and calls 1.5 to 2": "the paper's ranges",
        "3.0 of 48 px pass where 2.4 was meant: 6.25 %": "arithmetic of the reference code",
        "14.06 px of the frame": "arithmetic",
        "(99.4 + 2 x 33.5 + 2 x 78.3 + 2 x 93.5) / 7": "published, Rahaman et al. 2021, Table 1",
        "the printed 72.9": "published, Rahaman et al. 2021, Table 1",
        "3.99 forward, 14.74 backward": "published, Sanchez and Tzimiropoulos",
        "1.39 times": "ratio of the documented sizes of faces",
        "1.06 times": "ratio of the documented sizes of faces",
        "1.00 and 0.76": "ratio of the documented sizes of faces",
        "x1.30": "an example of a plan's line",
        "1.3 says that training": "an example",
        "multiply `cl` values by 1.377": "arithmetic",
    },
    "docs/reproduce.md": {
        "6.25 %": "arithmetic of the reference code",
        "Dense3D's 5.83 of 2017; what is here gave 4.02": "published, Rahaman et al. 2021 and Cheng et al. 2021",
    },
    "plugins/contrastlandmarks/README.md": {"(8 and 6.5 for 64-d)": "a setting of the reference code"},
    "plugins/imm/README.md": {"from 100, 1.6, 2.3, 1.8, 2.8, 100": "settings of the reference code"},
    "plugins/twostep/README.md": {"zoom 0.8 to 1.25": "a setting"},
}
"""Lines with a number that looks measured and is not: a part of the line, and what the number is."""


def paragraphs(text: str) -> Iterator[tuple[str, str, list[tuple[int, str]]]]:
    """(heading, first line, [(number, line)]) of every paragraph and table that is neither code nor made from records."""
    heading, found = "", []
    without_blocks = BLOCK.sub(lambda block: "\n" * block[0].count("\n"), text)
    lines = [*without_blocks.splitlines(), ""]
    for number, line in enumerate(lines, 1):
        if line.startswith("#"):
            heading = line
        if found and line.startswith(("* ", "- ")):  # each item of a list is for itself
            yield heading, lines[found[0][0] - 1], found
            found = []
        if line.strip() and not line.startswith(("#", "    ")):
            found.append((number, PLACE.sub("", re.sub(r"`[^`]*`", "``", line))))
        elif found:
            yield heading, lines[found[0][0] - 1], found
            found = []


def printed() -> set[str]:
    """Every number of the papers, as printed."""
    files = [*ROOT.glob("plugins/*/*/published*.csv"), *ROOT.glob("plugins/*/*/*/published*.csv")]
    rows = [row for path in files for row in csv.DictReader(path.open(encoding="utf-8", newline=""))]
    assert len(rows) >= 555
    return {value for row in rows for value in (row["value"], row["std"]) if value}


@pytest.mark.parametrize("name", NAMES)
def test_no_measured_number_stands_outside_of_a_table_made_from_records(name: str) -> None:
    text, wrong = (ROOT / name).read_text(encoding="utf-8"), []
    raw = text.splitlines()
    for heading, first, lines in paragraphs(text):
        if PUBLISHED.search(heading) or PUBLISHED.search(first):
            continue
        for number, line in lines:
            allowed = [part for part in ALLOWED.get(name, {}) if part in raw[number - 1]]
            if RESULT.search(line) and not allowed:
                wrong.append(f"{name}:{number}: {line.strip()}")
    assert not wrong, "\n".join(["numbers that no record holds:", *wrong])


@pytest.mark.parametrize("name", NAMES)
def test_published_numbers_are_as_printed(name: str) -> None:
    known, wrong = printed(), []
    for heading, first, lines in paragraphs((ROOT / name).read_text(encoding="utf-8")):
        if PUBLISHED.search(heading) or PUBLISHED.search(first):
            wrong += [
                f"{name}:{i}: {n}"
                for i, line in lines
                for n in re.findall(r"(?<![\w.])\d+\.\d\d?(?![\w.])", line)
                if n not in known
            ]
    assert not wrong, "\n".join(["numbers that no paper prints:", *wrong])


def test_every_exception_is_still_needed() -> None:
    for name, parts in ALLOWED.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        assert [part for part in parts if part not in text] == [], name


def test_the_kept_tables_are_what_the_records_give() -> None:
    assert list(stale_documents(ROOT / "leaderboards")) == []
    blocks = [path for path in DOCUMENTS if "<!-- end -->" in path.read_text(encoding="utf-8")]
    assert len(blocks) >= 8


def test_a_number_in_prose_would_be_found() -> None:
    assert RESULT.search("the error is 27.54 here") and RESULT.search("0.9 px of 70") and RESULT.search("31 % IOD")
    assert not RESULT.search("a rate of 0.05 over 12 epochs of 136 pixels, lmbench 0.1.0, table 4")


# --- the tables ---------------------------------------------------------------------------------------------------------


def of(*made) -> dict[str, Record]:
    return {r["run"]: Record.of(r) for r in made}


def test_a_table_has_a_line_an_output_its_mean_over_seeds_and_its_control_behind_a_stroke() -> None:
    records = of(
        record("b", "mine", 2.5, seed=1), record("a", "mine", 1.5, seed=0),
        record("c", "mine", 2.0, variant="v, untrained"), record("d", "other", 1.25),
        record("e", "smoked", 0.5, preset="smoke"),
    )  # fmt: skip
    text = results_table(records.values(), Selection.parse("mafl regression small"))
    beaten = of(
        record("f", "mine", 2.25, seed=1, variant="v, untrained"), record("g", "mine", 1.25, seed=1, finished="2026")
    )
    both = results_table([*records.values(), *beaten.values()], Selection.parse("mafl regression small"))
    assert (
        "| `mine`, v | **1.38 ± 0.18 (2 seeds)** / 2.12 ± 0.18 (2 seeds) |" in both
    )  # the newest run of seed 1 counts
    assert text.splitlines() == [
        "| method, output | iod ↓, percent, n = all |",
        "| --- | --- |",
        "| `other`, v | 1.25 |",
        "| `mine`, v | 2.00 ± 0.71 (2 seeds) / 2.00 |",
        "",
        "lmbench 0; seeds 0, 1; ± the spread over seeds where their number is told, else over draws; "
        "behind the stroke the same recipe untrained, bold what beats it in every seed.",
    ]


def test_the_control_that_a_record_brings_itself_stands_there_too() -> None:
    made = record("a", "mine", 1.5)
    beside = {k: v for k, v in made["metrics"][0].items() if k not in ("ci95", "settings")}
    made["references"] = [{**beside, "reference": "untrained", "value": 1.75}, {**beside, "reference": "mean_shape"}]
    assert "| `mine`, v | **1.50** / 1.75 |" in results_table(
        of(made).values(), Selection.parse("mafl regression small")
    )


def test_runs_of_other_versions_and_data_are_lines_of_their_own() -> None:
    records = of(
        record("a", "mine", 1.5),
        record("b", "mine", 2.5, code={"version": "1"}),
        record("c", "mine", 3.5, data={"fingerprint": "f" * 64}),
    )
    text = results_table(records.values(), Selection.parse("mafl regression small"))
    assert "| `mine`, v, lmbench 1, data  | 2.50 |" in text and f"data {'f' * 8} | 3.50 |" in text


def test_methods_annotations_and_parts_are_chosen() -> None:
    made = record("a", "mine", 1.5)
    few = {**made["metrics"][0], "n_annotations": 10, "draws": 5, "std": 0.25, "value": 9.0}
    layer = {**made["metrics"][0], "subset": "conv4_x", "value": 3.0}
    made["metrics"] += [few, layer]
    records = of(made, record("b", "other", 1.0)).values()
    plain = results_table(records, Selection.parse("mafl regression small mine"))
    assert "n = 10 (5 draws) | iod ↓, percent, n = all |" in plain and "| `mine`, v | 9.00 ± 0.25 | 1.50 |" in plain
    assert "conv4_x" not in plain and "other" not in plain
    layered = results_table(records, Selection.parse("mafl regression small mine/v annotations=all parts=conv4_x"))
    assert "| `mine`, v | 1.50 | 3.00 |" in layered


def test_a_curve_has_a_line_an_epoch() -> None:
    curve = [{"epoch": 0.0, "probe_n10_iod": 9.5}, {"epoch": 1.0, "total": 0.5, "lr": 1.0, "probe_n10_iod": 8.25}]
    made = record("a", "mine", 1.5, stages=[{"key": "ab12", "name": "s", "curve": curve}])
    assert curve_table(Record.of(made), "s").splitlines()[2:] == ["| 0 |  | 9.50 |", "| 1 | 0.50 | 8.25 |"]
    with pytest.raises(LmbenchError, match="no curve of a stage t; there are s"):
        curve_table(Record.of(made), "t")


def test_a_run_is_named_by_what_it_is_of_too() -> None:
    stages = [{"key": "ab12", "name": "s", "curve": [{"epoch": 0.0, "total": 4.0}]}]
    newest = {**record("b", "mine", 2.5, stages=stages), "finished": "2026"}
    records = of(record("a", "mine", 1.5), newest, {**record("c", "mine", 3.5, seed=1), "finished": "2027"})
    text = filled("<!-- curve: mafl small mine/v s -->\n<!-- end -->\n", records, "page.md")
    assert "| 0 | 4.00 |" in text
    text = filled("<!-- output: mafl small mine/v -->\n<!-- end -->\n", records, "page.md")
    assert "2.50" in text and "seed 0" in text
    with pytest.raises(LmbenchError, match="there is no record of mafl small other/v"):
        filled("<!-- output: mafl small other/v -->\n<!-- end -->\n", records, "page.md")


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ("table: mafl regression", "expected DATASET TASK"),
        ("table: mafl regression small size=3", "expected DATASET TASK"),
        ("table: mafl regression paper", "no record has numbers of mafl"),
        ("curve: nowhere s", "there is no record of nowhere"),
        ("picture: a", "unknown kind of table picture"),
    ],
)
def test_a_block_that_no_record_gives_is_named(block: str, message: str) -> None:
    with pytest.raises(LmbenchError, match=message) as error:
        filled(f"<!-- {block} -->\n<!-- end -->\n", of(record("a", "mine", 1.5)), "page.md")
    assert str(error.value).startswith("page.md: ")
    with pytest.raises(LmbenchError, match=r"page\.md: a table has no end"):
        filled(f"<!-- {block} -->\n", {}, "page.md")


def test_documents_beside_the_boards_are_written_and_a_stale_one_exits_with_3(tmp_path: Path, capsys) -> None:
    runs, out = keep(tmp_path / "runs", record("a", "mine", 1.5)), tmp_path / "boards"
    page = tmp_path / "docs" / "results.md"
    page.parent.mkdir()
    page.write_text("# Results\n\n<!-- table: mafl regression small -->\n<!-- end -->\nbelow\n")
    (tmp_path / "README.md").write_text("<!-- output: a -->\nold\n<!-- end -->\n")
    places = ["--runs", str(runs), "--out", str(out)]
    assert run_cli(["leaderboard", "build", *places]) in (0, 4)
    assert run_cli(["leaderboard", "check", *places]) == 3
    assert "run `lmbench leaderboard markdown`" in capsys.readouterr().err
    assert run_cli(["leaderboard", "markdown", "--out", str(out)]) == 0
    assert "| `mine`, v | 1.50 |" in page.read_text() and page.read_text().endswith("<!-- end -->\nbelow\n")
    assert "mine / v on mafl (preset small, seed 0)" in (tmp_path / "README.md").read_text()
    assert run_cli(["leaderboard", "check", *places]) in (0, 4)
    page.write_text(page.read_text().replace("1.50", "1.40"))
    assert run_cli(["leaderboard", "check", *places]) == 3
    capsys.readouterr()
    assert run_cli(["leaderboard", "markdown", "--out", str(out), "--dataset", "mafl"]) == 0
    assert "| `mine`, v | 1.50 [0.50, 2.50] |" in capsys.readouterr().out and "1.40" in page.read_text()


def test_every_kept_record_reads_with_the_numbers_of_its_file() -> None:
    import json

    records = kept_records(ROOT / "leaderboards")
    assert len(records) >= 60
    for run, found in records.items():
        document = json.loads((ROOT / "leaderboards" / "records" / f"{run}.json").read_text(encoding="utf-8"))
        assert found.to_json() == document and [row.entry() for row in found.rows] == document["metrics"]


def test_the_order_of_imports_is_told_as_it_is_held() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    told = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert "".join(f"    {layer}\n" for layer in contracts[0]["layers"]) in told
