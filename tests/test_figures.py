"""Figures of finished runs: each is drawn, says what is behind it, and is the same file again; what a run lacks is said."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from small_runs import recorded, run_here

from lmbench.figures.catalogue import FIGURES
from lmbench.results.record import seal_of

ALL = {spec.name for spec in FIGURES}
COUNTED = {"detections", "zoomed", "matching", "pca", "tsne", "parts", "discovered", "weights"}

ALIKE = {"detections", "zoomed", "discovered", "weights"}
"""Drawn as `matching` is: once is enough for these."""


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run of a method that discovers landmarks, judged by every task that figures are made of."""
    runs = tmp_path_factory.mktemp("runs")
    arguments = [
        "run",
        "--method",
        "sparse",
        "--variant",
        "k10",
        "--dataset",
        "synthfaces",
        "--preset",
        "smoke",
        "--runs",
        str(runs),
    ]
    arguments += ["--annotations", "4,all", "--draws", "2", "--device", "cpu", "--precision", "fp32"]
    arguments += ["--tasks", "regression,matching,equivariance,scale", "--set", "scale.factors=(1.0,1.4)"]
    arguments += [
        "--set",
        "train_images=16",
        "--set",
        "test_images=8",
        "--set",
        "matching.pairs=3",
        "--set",
        "equivariance.images=4",
    ]
    return runs / recorded(arguments)["run"]


def changed(of: Path, place: Path, **changes) -> Path:
    """A copy of a run, called as its place, whose record says something else of itself."""
    shutil.copytree(of, place)
    document = json.loads((place / "record.json").read_text()) | {"run": place.name, **changes}
    document["sha256"] = seal_of(document)
    (place / "record.json").write_text(json.dumps(document))
    return place


def drawn(capsys, name: str, *arguments: object) -> str:
    """What a figure says of itself."""
    code, out, err = run_here(capsys, "figure", name, *map(str, arguments))
    assert code == 0, err
    return out


@pytest.mark.parametrize("name", sorted(ALL))
def test_every_figure_is_drawn_and_is_the_same_file_again(run: Path, tmp_path: Path, capsys, name: str) -> None:
    few = ["--images", 2, "--width", 50] if name in COUNTED else []
    few += ["--device", "cpu"] if name in {"matching", "pca", "tsne", "parts", "discovered", "weights"} else []
    files = [tmp_path / "a.svg", tmp_path / "b.svg"][: 1 if name in ALIKE else 2]
    said = [drawn(capsys, name, run, *few, "-o", file) for file in files]
    assert files[0].read_bytes() == files[-1].read_bytes()
    assert said[0].removeprefix(str(files[0])) == said[-1].removeprefix(str(files[-1]))
    assert "synthfaces" in said[0] and "preset smoke" in said[0]
    text = files[0].read_text()
    assert "<dc:date>" not in text and ("<image" in text) == (name in COUNTED - {"tsne"})


def test_every_format_is_written_with_equal_bytes_and_no_other(run: Path, tmp_path: Path, capsys) -> None:
    for form in ("pdf", "png"):
        for name in ("a", "b"):
            drawn(capsys, "ced", run, "-o", tmp_path / f"{name}.{form}")
        assert (tmp_path / f"a.{form}").read_bytes() == (tmp_path / f"b.{form}").read_bytes()
    code, _, err = run_here(capsys, "figure", "ced", str(run), "-o", str(tmp_path / "a.jpg"))
    assert code == 2 and "figures are written as .pdf, .svg, .png" in err
    code, _, err = run_here(capsys, "figure", "ced", str(run), "-o", str(tmp_path / "a.pdf"))
    assert code == 2 and "--force" in err


def test_width_is_that_of_the_printed_figure(run: Path, tmp_path: Path, capsys) -> None:
    drawn(capsys, "few-shot", run, "-o", tmp_path / "a.svg", "--width", 127)
    assert 'width="360pt"' in (tmp_path / "a.svg").read_text()  # 127 mm are 5 inches


def test_seeds_of_one_output_are_one_line_and_another_output_is_another(run: Path, tmp_path: Path, capsys) -> None:
    second = changed(run, tmp_path / "second", seed=1)
    other = changed(run, tmp_path / "other", variant="other")
    answer = drawn(capsys, "few-shot", run, second, other, "-o", tmp_path / "a.svg", "--json")
    assert json.loads(answer)["lines"] == ["sparse/k10 (2 seeds)", "sparse/other"]
    answer = drawn(
        capsys, "few-shot", run, other, "-o", tmp_path / "b.svg", "--label", "ours", "--label", "x\n\x1b[2J_$", "--json"
    )
    assert json.loads(answer)["lines"] == ["ours", "x \\x1b[2J_$"]
    code, _, err = run_here(
        capsys, "figure", "ced", str(run), str(other), "-o", str(tmp_path / "c.svg"), "--label", "ours"
    )
    assert code == 2 and "1 sparse/k10, 2 sparse/other" in err


def test_other_data_is_refused_and_another_head_is_told(run: Path, tmp_path: Path, capsys) -> None:
    record = json.loads((run / "record.json").read_text())
    elsewhere = changed(run, tmp_path / "elsewhere", dataset="mafl")
    code, _, err = run_here(capsys, "figure", "ced", str(run), str(elsewhere), "-o", str(tmp_path / "a.svg"))
    assert code == 3 and "dataset differs" in err and not (tmp_path / "a.svg").exists()
    metrics = [m | {"settings": m["settings"] | {"head": "lmbench:ols 1"}} for m in record["metrics"]]
    headed = changed(run, tmp_path / "headed", metrics=metrics)
    code, out, err = run_here(
        capsys, "figure", "few-shot", str(run), str(headed), "-o", str(tmp_path / "b.svg"), "--json"
    )
    assert code == 0 and "other heads stand behind these lines" in err
    assert json.loads(out)["lines"] == ["sparse/k10, head ridge", "sparse/k10, head ols"]


LACKING = {
    "few-shot": ("regression", "--annotations 1,5,10,20,50,100,all"),
    "scale": ("scale", "--tasks regression,scale"),
    "zoomed": ("scale", "--tasks regression,scale"),
    "equivariance": ("equivariance", "--tasks regression,equivariance"),
    "matching": ("matching", "--tasks regression,matching"),
    "ced": ("regression", "--tasks regression"),
}


@pytest.mark.parametrize("name", sorted(LACKING))
def test_what_a_run_lacks_is_said_with_the_command_that_makes_it(run: Path, tmp_path: Path, capsys, name: str) -> None:
    task, wanted = LACKING[name]
    record = json.loads((run / "record.json").read_text())
    poor = changed(run, tmp_path / "poor", metrics=[m for m in record["metrics"] if m["task"] != task])
    code, _, err = run_here(capsys, "figure", name, str(poor), "-o", str(tmp_path / "a.svg"))
    assert code == 2 and "`lmbench run --method sparse --variant k10 --dataset synthfaces" in err and wanted in err
    assert not (tmp_path / "a.svg").exists()


def test_bad_requests_are_refused_in_words(run: Path, tmp_path: Path, capsys) -> None:
    out = ["-o", str(tmp_path / "a.svg")]
    for arguments, message in [
        ((), "which figure?"),
        (("ced-", str(run), *out), "Did you mean 'ced'?"),
        (("ced", *out), "of which runs?"),
        (("ced", str(run)), "where to?"),
        (("ced", str(run), *out, "--images", "3"), "--images says nothing to the figure ced; it takes --annotations"),
        (("ced", str(run), *out, "--annotations", "7"), "no regression of 7 annotations"),
        (("ced", str(run), *out, "--annotations", "1,2"), "one number (or all)"),
        (("ced", str(run), *out, "--metric", "pck_6px"), "there are iod, of_side"),
        (("matching", str(run), *out, "--part", "left"), "of the same or of different image"),
        (("equivariance", str(run), *out, "--part", "conv9"), "has no such layer; there are conv5, chance"),
        (("few-shot", str(run), *out, "--published", "dve"), "no paper prints iod by annotations"),
    ]:
        code, _, err = run_here(capsys, "figure", *arguments)
        assert code == 2 and message in err, (arguments, err)
    assert list(tmp_path.iterdir()) == []


def test_images_of_other_data_are_not_drawn_under_old_predictions(run: Path, tmp_path: Path, capsys) -> None:
    record = json.loads((run / "record.json").read_text())
    other = changed(run, tmp_path / "other", data=record["data"] | {"fingerprint": "0" * 64})
    code, _, err = run_here(capsys, "figure", "detections", str(other), "-o", str(tmp_path / "a.svg"))
    assert code == 3 and "was judged on other data" in err


def test_the_list_names_every_figure_in_any_terminal_and_its_page_tells_of_each(capsys, monkeypatch) -> None:
    code, out, _ = run_here(capsys, "figure", "--list", "--json")
    assert code == 0 and {entry["name"] for entry in json.loads(out)} == ALL
    for columns, widest in ((60, 60), (80, 80), (300, 100)):
        monkeypatch.setenv("COLUMNS", str(columns))
        code, out, _ = run_here(capsys, "figure", "--list")
        assert code == 0 and max(map(len, out.splitlines())) <= widest
        assert {line.split()[0] for line in out.splitlines() if line[0] != " "} == ALL
    page = (Path(__file__).parent.parent / "docs" / "figures.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in page for name in ALL)
