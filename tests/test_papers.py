"""Papers as plugins bring them: every printed row kept, a third party's paper reproduced, bad files told with their line."""

from __future__ import annotations

import ast
import csv
import hashlib
import json
import sys
from pathlib import Path

import pytest
from fake_papers import HEADER, ROWS, RULES, write_paper
from fake_plugins import PluginMaker, lmbench

from lmbench import papers as lmbench_papers
from lmbench.papers.coverage import coverage, damage
from lmbench.papers.published import find_table, tables
from lmbench.papers.rules import Rules
from lmbench.papers.targets import Target, target_of
from lmbench.plugins.finding import Candidate, installed
from lmbench.plugins.loading import get_plugins, load_plugins
from lmbench.testing.conformance import conformance_checks, run_checks

CHECKS = ("rows_can_be_read", "names_and_readings_fit_rows", "published_rows_fit")
ALL_ROWS = "bc70f1d3d7893be04ff6d6e180d79b9137f2af3e3faf9fd4b09b5bdfa18eabb7"
"""SHA-256 of the 555 rows in their first home, one file: each as sorted JSON, the lines sorted."""


def test_the_555_printed_rows_are_those_that_were_typed():
    rows = [cell.row for cells in tables(get_plugins()).values() for cell in cells]
    lines = sorted(json.dumps(dict(row), sort_keys=True, ensure_ascii=False) for row in rows)
    assert len(rows) == 555
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == ALL_ROWS


# A third party's paper --------------------------------------------------------------------------------------


def reproduce(folder: Path, *arguments: str):
    places = [f"--{place}={folder / place}" for place in ("runs", "out")]
    return lmbench(folder, "reproduce", *arguments, *places, "--preset", "smoke", "--device", "cpu")


def test_a_third_partys_table_is_reproduced_and_shown_on_the_leaderboards(tmp_path):
    write_paper(tmp_path)
    done = reproduce(tmp_path, "theirpaper/table1")
    assert done.returncode == 0, done.stderr
    file = tmp_path / "out" / "reproduce" / "theirpaper_table1_smoke.csv"
    rows = list(csv.DictReader(file.open(encoding="utf-8")))
    assert [r["published"] for r in rows] == ["21.5", "25.25"]
    for row in rows:
        assert float(row["difference"]) == pytest.approx(float(row["measured"]) - float(row["published"]), abs=1e-4)
        assert (row["run_method"], row["run_dataset"]) == ("theirs", "synthfaces")
        assert (tmp_path / "out" / row["record"]).is_file()
    assert [r["note"] for r in rows] == ["of their own code; hand-typed", "of their own code"]

    built = lmbench(tmp_path, "leaderboard", "build", f"--runs={tmp_path / 'runs'}", f"--out={tmp_path / 'boards'}")
    assert built.returncode == 0, built.stderr
    board = csv.DictReader((tmp_path / "boards" / "synthfaces_regression.csv").open(encoding="utf-8"))
    printed = [(r["n_annotations"], r["value"], r["std"]) for r in board if r["source"] == "theirpaper, Table 1"]
    assert printed == [("5", "25.25", "1.5"), ("all", "21.5", "")]

    listed = lmbench(tmp_path, "list", "papers").stdout
    assert "theirpaper" in listed and "lmbench-their" in listed and "lead2022" in listed
    assert "theirpaper/table1  2 numbers, 2 with a run" in lmbench(tmp_path, "describe", "paper", "theirpaper").stdout
    assert lmbench(tmp_path, "plugin", "check", "lmbench-their").returncode == 0


def test_a_paper_in_one_file_may_state_its_rules_in_python(tmp_path: Path, make: PluginMaker):
    (tmp_path / "rows.csv").write_text("\n".join([HEADER, *ROWS]) + "\n", encoding="utf-8")
    source = """
        @hookimpl
        def lmbench_methods():
            rows = (PublishedRows(variant="{variant}v", dataset="synthfaces"),)
            variant = VariantSpec(name="v", summary="", backbone="none")
            return [MethodSpec(name="theirs", summary="", variants=(variant,), published=rows)]

        @hookimpl
        def lmbench_papers():
            return [PaperSpec(name="theirpaper", summary="", rows=f"{__name__}:rows.csv")]
        """
    candidate = make(source)
    plugins = load_plugins([candidate])
    assert plugins.infos[-1].problem == ""
    cells = find_table("theirpaper/table1", plugins)
    found = [target_of(cell, Rules(plugins)) for cell in cells]
    assert [(t.variant, t.n_annotations) for t in found if isinstance(t, Target)] == [("v", "all"), ("v", 5)]


def test_two_plugins_may_bring_a_paper_of_one_name_and_each_is_found_by_its_owner(tmp_path: Path, make: PluginMaker):
    (tmp_path / "rows.csv").write_text("\n".join([HEADER, *ROWS]) + "\n", encoding="utf-8")
    hook = "@hookimpl\ndef lmbench_papers(): return [PaperSpec(name='theirpaper', summary='', rows=f'{__name__}:rows.csv')]"
    plugins = load_plugins([make(hook, "lmbench-one"), make(hook, "lmbench-two")])
    assert list(tables(plugins)) == ["lmbench-one:theirpaper/table1", "lmbench-two:theirpaper/table1"]
    assert len(find_table("lmbench-two:theirpaper/table1", plugins)) == 2


# Bad files --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "header", "said"),
    [
        (ROWS, HEADER.replace(",unit", ""), "line 1: the column unit is missing"),
        (ROWS, HEADER.replace("metric,", "metrik,"), "line 1: unknown column 'metrik'. Did you mean 'metric'"),
        ((ROWS[0], ROWS[1].replace("25.25", "25,25")), HEADER, "line 3: 22 cells, 21 are expected"),
        ((ROWS[0], ROWS[1].replace("25.25", "25.2.5")), HEADER, "line 3: value is '25.2.5', expected a number"),
        (
            (ROWS[0], ROWS[1].replace(",5,", ",five,")),
            HEADER,
            "line 3: n_annotations is 'five', expected a number, all",
        ),
        ((ROWS[0], ROWS[1].replace("true", "yes")), HEADER, "line 3: lower_is_better is 'yes', expected true or false"),
        (
            (ROWS[0].replace("theirpaper", "theirs"), ROWS[1]),
            HEADER,
            "line 2: paper is 'theirs', 'theirpaper' is expected",
        ),
        ((ROWS[0], ROWS[0]), HEADER, "line 3: the number of line 2 stands here again"),
        ((ROWS[0], ROWS[1].replace("Table 1", "table-1")), HEADER, "'Table 1' and 'table-1' are one table"),
        ((ROWS[0], ROWS[1].replace("Table 1", "...")), HEADER, "line 3: table is '...', a name with letters or digits"),
        ((ROWS[0], ROWS[1].replace("iod", "")), HEADER, "line 3: metric is empty"),
        ((ROWS[0], ROWS[1] + '"a'), HEADER, "lmbench_their:published.csv, line"),
        ((), HEADER, "line 1: no row follows the header"),
    ],
)
def test_wrong_rows_are_told_with_file_and_line_and_the_other_papers_go_on(tmp_path, monkeypatch, rows, header, said):
    write_paper(tmp_path, rows=tuple(rows), header=header)
    problems = told(tmp_path, monkeypatch)
    assert all("lmbench_their:published.csv, line" in text and said in text for text in problems)


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        (RULES.replace("variant", "varient"), "line 3: unknown field 'varient'. Did you mean 'variant'"),
        (RULES.replace('"mean"', '"maen"'), "line 3: theirs has no variant 'maen'. Did you mean 'mean'?"),
        (RULES.replace('"mean"', "3"), "line 3: variant: expected a text, found 3"),
        (
            RULES.replace('"mean"', '"{varient}"'),
            "line 3: variant '{varient}': no column 'varient'. Did you mean 'variant'",
        ),
        (RULES + "where = { datasset = 'faces' }", "line 3: no column 'datasset'. Did you mean 'dataset'"),
        (RULES + "where = { dataset = 3 }", "line 3: where: expected a table of columns"),
        (RULES + "metrics = 'iod'", "line 3: metrics: expected a list of names"),
        (RULES.replace("[[theirs]]", "[[thiers]]"), "has no [[theirs]]. Did you mean 'thiers'?"),
        (RULES.replace("[[theirs]]", "[theirs]"), "theirs is no list of rules, written [[theirs]]"),
        (RULES + "variant = ?\n", "(at line 6, column"),
        (
            RULES.replace("note", 'where = { n_annotations = "7" }\nnote'),
            "line 3: no printed number has method 'theirs', n_anno",
        ),
        (
            RULES + RULES.replace("[[theirs]]", '[[theirs]]\nwhere.method = "ours"'),
            "line 8: no printed number has method 'ours'",
        ),
    ],
)
def test_wrong_rules_are_told_with_file_and_line_and_the_other_papers_go_on(tmp_path, monkeypatch, rules, said):
    write_paper(tmp_path, rules=rules)
    problems = told(tmp_path, monkeypatch)
    assert all("lmbench_their:published.toml" in text and said in text for text in problems)


def told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What `reproduce --coverage` and then `plugin check` say of the plugin there, the other papers being as they were."""
    monkeypatch.syspath_prepend(str(folder))
    for module in ("lmbench_their", "lmbench_their.plugin"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    others = [c for c in installed() if c.distribution != "lmbench-their"]
    plugins = load_plugins([*others, Candidate("their", "lmbench_their.plugin", "lmbench-their", "1")])
    assert plugins.infos[-1].problem == ""
    mapped = {t.name: t.mapped for t in coverage(plugins)}
    assert sum(n for name, n in mapped.items() if not name.startswith("theirpaper/")) == 437
    checks = [c for c in conformance_checks(plugins.infos[-1], plugins) if c.name in CHECKS]
    results = run_checks(checks).results
    assert len(results) == len(CHECKS)
    return ["\n".join(damage(plugins)), "\n".join(r.message for r in results if not r.ok)]


def test_a_table_of_a_damaged_paper_or_method_is_told_without_a_traceback(tmp_path):
    package = write_paper(tmp_path, rows=(ROWS[0], ROWS[1].replace("25.25", "much")))
    done = reproduce(tmp_path, "theirpaper/table1")
    assert done.returncode == 1 and "line 3: value is 'much'" in done.stderr and "Traceback" not in done.stderr
    listed = reproduce(tmp_path)
    assert listed.returncode == 0 and "lead2022/table5" in listed.stdout and "warning: lmbench_their" in listed.stderr
    built = lmbench(tmp_path, "leaderboard", "build", f"--runs={tmp_path / 'runs'}", f"--out={tmp_path / 'boards'}")
    assert built.returncode == 4 and "left out: lmbench_their:published.csv" in built.stderr
    described = lmbench(tmp_path, "describe", "paper", "theirpaper")
    assert described.returncode == 1 and "value is 'much'" in described.stderr and "Traceback" not in described.stderr

    (package / "published.csv").write_text("\n".join([HEADER, *ROWS]) + "\n", encoding="utf-8")
    (package / "published.toml").write_text("[[theirs]]\nvariant = 7\n", encoding="utf-8")
    done = reproduce(tmp_path, "theirpaper/table1")
    assert done.returncode == 5 and "published.toml, line 1: variant: expected a text" in done.stdout
    (package / "published.csv").unlink()
    done = reproduce(tmp_path, "theirpaper/table1")
    assert done.returncode == 1 and "lmbench_their:published.csv cannot be read" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ("names={'datasett': {'faces': 'synthfaces'}}", "no column 'datasett'. Did you mean 'dataset'"),
        ("readings=(Reading(where={'metrc': 'iod'}, note='n'),)", "no column 'metrc'. Did you mean 'metric'"),
        ("names={'dataset': {'face': 'synthfaces'}}", "names: no row has the dataset 'face'"),
        ("brought_by={'thiers': 'lmbench-their'}", "brought_by: no row has the method 'thiers'"),
        ("readings=(Reading(where={'metric': 'pck'}, note='n'),)", "readings[0]: no row has metric 'pck'"),
    ],
)
def test_a_paper_that_speaks_of_what_is_not_printed_fails_its_check(tmp_path, monkeypatch, fields, said):
    package = write_paper(tmp_path)
    source = (package / "plugin.py").read_text(encoding="utf-8")
    source = source.replace('names={"dataset": {"faces": "synthfaces"}}', fields)
    (package / "plugin.py").write_text(source.replace("PaperSpec,", "PaperSpec, Reading,"), encoding="utf-8")
    assert said in told(tmp_path, monkeypatch)[1]


@pytest.mark.parametrize("distribution", sorted({entry.owner for entry in get_plugins().papers}))
def test_every_rule_of_a_papers_plugin_fits_a_row_where_no_other_plugin_is_installed(distribution):
    alone = load_plugins([c for c in installed() if c.distribution == distribution])
    assert len(list(alone.papers)) == 1 and damage(alone) == []


def test_the_engine_knows_no_method_paper_dataset_or_task_by_name():
    plugins = get_plugins()
    names = {name for kind in ("method", "paper", "dataset", "task") for name in plugins.registry(kind).names()}
    names |= {cell["method"] for cells in tables(plugins).values() for cell in cells}
    names -= {"supervised"}  # also a word of the column supervision
    assert {"lead", "lead2022", "mafl", "regression", "imgen"} <= names
    said = set()
    for path in (Path(lmbench_papers.__file__).parent).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            word = node.value if isinstance(node, ast.Constant) else getattr(node, "attr", None)
            said |= {f"{path.name}: {word}"} if isinstance(word, str) and word in names else set()
    assert said == set()
