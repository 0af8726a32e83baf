"""The leaderboard as a page: the boards' own numbers in one file that runs nothing of others and asks nothing of a network."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from made_boards import HOSTILE, Made, printed
from made_records import keep, record

from lmbench.cli.main import run_cli
from lmbench.pages.board import board_page, link_to
from lmbench.results.leaderboard import measured_lines, ranked_records
from lmbench.results.record import Record

STATIC = Path(__file__).parents[1] / "lmbench" / "pages" / "static"


def rows_of(page: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What a page's script reads, and its rows with their fields by name."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert found is not None
    data = json.loads(found[1])
    rows = []
    for cells in data["rows"]:
        cells += [None] * (len(data["fields"]) - len(cells))
        named = dict(zip(data["fields"], cells, strict=True))
        rows.append({k.strip("$"): data["texts"][v] if k[0] == "$" and v is not None else v for k, v in named.items()})
    return data, rows


@pytest.fixture(scope="module")
def made() -> Made:
    """Two outputs that are told apart, one with a control, in two presets."""
    found = Made()
    found.add("good", 10.0)
    found.add("good", 20.0, variant="v, untrained", supervision="untrained")
    found.add("poor", 15.0)
    found.add("poor", 15.2, preset="quick", seeds=(0,))
    return found


def test_values_places_intervals_and_differences_are_those_of_the_boards(made: Made) -> None:
    sections = ranked_records(made.records, made.of)
    data, rows = rows_of(board_page(sections, [], "records"))
    lines = {(line["method"], line["variant"], line["preset"]): line for line in measured_lines(sections)}
    assert len(rows) == len(lines) == 4
    for row in rows:
        method, variant = row["name"].split(", ", 1)
        line = lines[method, variant, row["preset"]]
        shared = {"value": "value", "low": "ci95_low", "high": "ci95_high", "spread": "spread", "beside": "control_value",
                  "gain": "difference", "gainLow": "difference_low", "gainHigh": "difference_high"}  # fmt: skip
        for field, column in shared.items():
            said = "" if row[field] is None else f"{row[field]:.4f}"
            assert said == line[column], (row["name"], field)
        places = str(line["rank"]) if line["rank"] == line["rank_last"] else f"{line['rank']}-{line['rank_last']}"
        assert (row["place"], row["class"]) == (places, line["class"])
        links = [f"records/{data['records'][number][0]}.json" for number, _ in row["seeds"]]
        assert links == line["source"].split()


def test_a_row_says_whether_it_is_told_apart_from_the_next(made: Made) -> None:
    made = Made()
    for method, mean in (("a", 10.0), ("b", 10.05), ("c", 20.0)):
        made.add(method, mean)
    rows = rows_of(board_page(ranked_records(made.records, made.of), [], "records"))[1]
    assert [(row["place"], row["apart"]) for row in rows] == [("1-2", 0), ("1-2", 1), ("3", None)]


def test_the_page_is_the_same_bytes_for_the_same_records_in_any_order(made: Made) -> None:
    pages = {
        board_page(ranked_records(records, made.of), [printed("p", "7.95")], "records")
        for records in (made.records, made.records[::-1])
    }
    assert len(pages) == 1


def test_published_rows_are_as_printed_and_ranked_among_themselves(made: Made) -> None:
    published = [printed("b", "8.0"), printed("a", "7.95", std="0.3"), printed("c", "9.10", supervision="supervised")]
    rows = [r for r in rows_of(board_page(ranked_records(made.records), published, "r"))[1] if r["board"] is None]
    assert [(r["name"], r["place"], r["printed"], r["class"]) for r in rows] == [
        ("a", "1", "7.95", "learned"), ("b", "2", "8.0", "learned"), ("c", "3", "9.10", "supervised"),
    ]  # fmt: skip
    assert rows[0]["source"] == "paper2020, Table 1" and rows[0]["spread"] == 0.3


def test_names_of_others_stand_in_the_page_as_data_alone() -> None:
    hostile = Made()
    hostile.add(HOSTILE, 10.0, variant=HOSTILE, dataset=HOSTILE, preset=HOSTILE)
    page = board_page(
        ranked_records(hostile.records), [printed(HOSTILE, "7.95", source=HOSTILE, note="</script>")], "r"
    )
    assert "<script>alert" not in page and page.count("</script>") == 2  # those of the data and of the page's own
    assert "\u202e" not in page and "\x1b" not in page
    names = [row["name"] for row in rows_of(page)[1]]
    assert len(names) == 2 and all("<script>alert(1)</script>\"'&\\u202eevil\\x1b[2J" in name for name in names)


def test_the_page_asks_nothing_of_any_network(made: Made) -> None:
    page = board_page(ranked_records(made.records), [], "records")
    without_names = page.replace("http://www.w3.org/2000/svg", "")  # a name space, which nobody fetches
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\(|<link|<img|\ssrc=", without_names)
    policy = html.unescape(re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1])
    assert "default-src 'none'" in policy and "unsafe" not in policy


def test_a_thousand_rows_take_less_than_a_tenth_of_3_mb() -> None:
    made = []
    for method in range(20):
        for seed in range(3):
            document = record(
                f"a-run-of-some-length_{method}_synthfaces_small_s{seed}_0a1b2c3d", f"method{method}", 1.0, seed=seed
            )
            metric = document["metrics"][0]
            metric["settings"] = {
                "head": "lmbench:converged 0.4.0",
                "grid": [48, 48],
                "strengths": [0.03, 0.018, 0.011],
            }
            document["metrics"] = [
                {
                    **metric,
                    "n_annotations": n,
                    "value": 20 + 0.1234567 * (method + seed),
                    "ci95": [10 + n / 7, 30 + n / 7],
                }
                for n in range(1, 51)
            ]
            made.append(Record.of(document))
    sections = ranked_records(made)
    assert sum(len(section.rows) for section in sections) == 1000
    fixed = len(board_page([], [], "records").encode())
    assert len(board_page(sections, [], "records").encode()) - fixed < 300_000


def test_ten_thousand_published_rows_take_less_than_3_mb() -> None:
    lines = [
        printed(
            f"method{i % 700}", f"{i / 97:.2f}", dataset=f"set{i % 40}", backbone=f"net{i % 9}", note=f"a note {i % 60}"
        )
        for i in range(10_000)
    ]
    assert len(board_page([], lines, "records").encode()) < 3_000_000


def test_links_lead_from_the_page_to_the_records(tmp_path: Path) -> None:
    records = tmp_path / "boards" / "records"
    assert link_to(records, tmp_path / "boards" / "board.html") == "records"
    assert link_to(records, tmp_path / "public" / "board.html") == "../boards/records"


def test_the_command_writes_the_page_and_names_what_it_leaves_out(tmp_path: Path, capsys) -> None:
    runs, out, page = keep(tmp_path / "runs", record("a", "mine", 1.5)), tmp_path / "boards", tmp_path / "board.html"
    assert run_cli(["leaderboard", "build", "--runs", str(runs), "--out", str(out)]) in (0, 4)
    command = ["leaderboard", "html", "-o", str(page), "--out", str(out)]
    assert run_cli(command) == 0
    assert "1 measured" in capsys.readouterr().out
    first = page.read_bytes()
    assert run_cli(command) == 2 and "pass --force" in capsys.readouterr().err
    assert run_cli([*command, "--force"]) == 0 and page.read_bytes() == first
    (out / "records" / "damaged.json").write_text("{")
    assert run_cli([*command, "--force"]) == 4 and "damaged.json" in capsys.readouterr().err
    assert page.read_bytes() == first
    assert run_cli(["leaderboard", "html", "-o", str(tmp_path / "board.txt")]) == 2


def luminance(colour: str) -> float:
    """The relative luminance of #rrggbb (WCAG 2.1)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def palettes() -> Iterator[dict[str, str]]:
    for block in re.findall(r":root \{(.*?)\}", (STATIC / "page.css").read_text(), re.S):
        yield dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block))


def test_letters_and_marks_have_the_contrast_that_wcag_asks_for() -> None:
    letters = dict.fromkeys(("ink", "muted", "link", "good", "bad"), 4.5)
    marks = dict.fromkeys(("strong", "focus", "learned", "pretrained", "supervised", "control", "floor"), 3.0)
    light, dark = palettes()
    assert light.keys() == dark.keys() == {"back", "raised", "line", *letters, *marks}
    for palette in (light, dark):
        for name, least in {**letters, **marks}.items():
            for behind in ("back", "raised"):
                bright, dim = sorted((luminance(palette[name]), luminance(palette[behind])), reverse=True)
                assert (bright + 0.05) / (dim + 0.05) >= least, (name, behind)
