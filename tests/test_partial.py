"""Original downloads of which a part is there: refused with the way to go on, used when asked, never mixed with whole ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from other_trees import bbc_tree, cat_tree, cub_tree, inat_tree, lspet_tree
from small_face_trees import aflw_m_tree, aflw_r_tree, celeba_full_tree, w300_tree
from small_trees import mtfl_tree

from lmbench.cli.main import run_cli
from lmbench.data.opening import open_dataset, part_there
from lmbench.data.schema import Incomplete
from lmbench.errors import DataError
from lmbench.originals.verification import verify_dataset
from lmbench.plugins.loading import get_plugins
from lmbench.results import leaderboard


def listed_inat_tree(root: Path) -> None:
    names = inat_tree(root)
    lines = "".join(f"/home/authors/Aves/{name}\n" for name in names)
    (root / "inat2017" / "inat_aves_100K.txt").write_text(lines)


TREES: dict[str, Callable[[Path], Any]] = {
    "mtfl": mtfl_tree, "cub_complete": cub_tree, "cats": cat_tree, "bbcpose": bbc_tree, "inat_aves": listed_inat_tree,
    "lspet": lspet_tree, "aflw_m": aflw_m_tree, "aflw_r": aflw_r_tree, "celeba": celeba_full_tree, "300w": w300_tree,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LMBENCH_CACHE", str(tmp_path / "cache"))


def incomplete(name: str, root: Path) -> None:
    """A small tree of a dataset with one more image taken away: less than the official counts in any case."""
    TREES[name](root)
    images = sorted(f for f in root.rglob("*") if f.suffix in (".jpg", ".png"))
    images[-1 if name == "lspet" else 0].unlink()


@pytest.mark.parametrize("name", TREES)
def test_a_part_is_refused_with_the_way_to_go_on_and_used_when_asked(tmp_path: Path, name: str) -> None:
    incomplete(name, tmp_path)
    with pytest.raises(Incomplete, match=r"What is there \(.*\) is used by itself with --partial"):
        open_dataset(name, tmp_path)
    part = open_dataset(name, tmp_path, partial=True)
    counts = {split: len(d) for split, d in part.splits.items()}
    expected = get_plugins().find("dataset", name).spec.splits
    said = ", ".join(f"{counts[s]} of {n} {s}" if n else f"{counts[s]} {s}" for s, n in expected.items())
    assert part.name == f"{name} (partial: {said})"
    assert not all(c.ok for c in verify_dataset(name, tmp_path))
    checks = {c.name: c for c in verify_dataset(name, tmp_path, partial=True)}
    assert checks["complete"].ok and checks["counts"].ok and said in checks["complete"].found


def test_no_part_is_offered_where_a_split_is_empty_or_too_large() -> None:
    spec = get_plugins().find("dataset", "mtfl").spec
    for train, test in ((0, 6), (4, 0), (4, 1), (10_001, 6)):
        assert part_there(spec, {"train": range(train), "test": range(test)}) == ""  # type: ignore[dict-item]
    assert part_there(spec, {"train": range(4), "test": range(2)}) == "4 of 10000 train, 2 of 2995 test"  # type: ignore[dict-item]


def test_nothing_at_all_is_an_error_whatever_is_asked(tmp_path: Path) -> None:
    mtfl_tree(tmp_path)
    for image in tmp_path.rglob("*.jpg"):
        image.unlink()
    with pytest.raises(DataError) as caught:
        open_dataset("mtfl", tmp_path, partial=True)
    assert "--partial" not in str(caught.value)


def test_a_run_on_a_part_carries_its_counts_and_is_never_ranked_with_the_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mtfl_tree(tmp_path / "data")
    asked = ["run", "--method", "mean_shape", "--dataset", "mtfl", "--tasks", "regression", "--preset", "small"]
    asked += ["--data-root", str(tmp_path / "data"), "--runs", str(tmp_path / "runs"), "--json"]
    assert run_cli([*asked, "--annotations", "all"]) == DataError.exit_code
    assert "--partial" in capsys.readouterr().err
    assert run_cli([*asked, "--annotations", "all", "--partial"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["dataset"] == "mtfl (partial: 4 of 10000 train, 6 of 2995 test)"
    assert record["data"]["partial"] == "4 of 10000 train, 6 of 2995 test"
    assert record["config"]["dataset"] == "mtfl" and record["config"]["partial"]
    assert "mtfl-partial-4-of-10000-train-6-of-2995-test" in record["run"]
    files = leaderboard.build(tmp_path / "runs", tmp_path / "out").files
    holding = [name for name, content in files.items() if record["run"] in content]
    assert len(holding) == 1 and holding[0].startswith("mtfl-partial-4-of-10000")
    sorted((tmp_path / "data" / "MTFL" / "AFLW").iterdir())[0].unlink()
    assert run_cli([*asked, "--annotations", "all", "--partial", "--dry-run"]) == 0
    plan = json.loads(capsys.readouterr().out)
    (said,) = plan["beside"]  # another part is another run, and the earlier one of the same command is told
    assert "6-of-2995" not in plan["run"] and said.startswith(f"{record['run']} was made from other data (")
