"""The conformance kit as authors meet it: on a module, on what is installed here, and on a new plugin."""

from __future__ import annotations

import ast
import builtins
import functools
import itertools
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from fake_plugins import install, method, write_module

from lmbench import api
from lmbench.cli.skeleton import write_skeleton
from lmbench.errors import UsageError
from lmbench.plugins.loading import CORE, Plugins, get_plugins, load_plugins
from lmbench.testing import Check, check_plugin, conformance_checks, parametrize, run_checks
from lmbench.testing.conformance import COMPONENT_CHECKS
from lmbench.testing.plugin_checks import PLUGIN

pytestmark = pytest.mark.usefixtures("_one_thread")

ROOT = Path(__file__).resolve().parent.parent
COUNTER = itertools.count()
LIGHT = ("backbone:resnet18", "head", "dataset", "metric", "task", "method", "objective", "plugin")


@functools.cache
def core() -> Plugins:
    return load_plugins([])


# The three faces --------------------------------------------------------------------------------------------


@pytest.fixture
def plugin_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that writes a plugin module, not installed, and imports it."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(source: str) -> Any:
        name = f"conforming_{next(COUNTER)}"
        write_module(tmp_path, name, source)
        return __import__(name)

    return write


def test_a_module_that_is_not_installed_can_be_checked(plugin_module: Any) -> None:
    report = check_plugin(plugin_module(ONE_HEAD))
    assert report.ok
    assert report.summary() == f"{len(report.results)} checks: {len(report.results)} passed"


ONE_HEAD = """
from dataclasses import dataclass

@dataclass(frozen=True)
class Settings:
    fault: str = ""

@hookimpl
def lmbench_heads():
    return [HeadSpec(name="mean_of_a_test", summary="", target="faulty_parts:MeanHead", settings=Settings)]
"""


def test_a_failure_is_named_with_its_reason(plugin_module: Any) -> None:
    module = plugin_module(ONE_HEAD.replace('fault: str = ""', 'fault: str = "nan"'))
    with pytest.raises(AssertionError, match=r"head:mean_of_a_test:predicts_every_subset: .*not finite"):
        check_plugin(module)


def test_a_plugin_that_does_nothing_fails(plugin_module: Any) -> None:
    with pytest.raises(AssertionError, match=r"implements_a_hook: .* implements no hook"):
        check_plugin(plugin_module(""))


def test_a_plugin_that_cannot_be_loaded_fails_with_its_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    write_module(tmp_path, "unloadable", "x = 1 / 0")
    report = run_checks(conformance_checks("unloadable"))
    assert [(r.check.name, r.outcome) for r in report.results] == [("loads", "failed")]
    assert report.results[0].message == "ZeroDivisionError: division by zero"


def test_an_import_of_lmbench_beside_the_api_is_found(plugin_module: Any) -> None:
    module = plugin_module("from lmbench.errors import DataError\n" + method("x"))
    with pytest.raises(AssertionError, match=r"imports lmbench.errors: plugins import lmbench.api alone"):
        check_plugin(module)


def test_a_hook_module_that_imports_torch_is_found(plugin_module: Any) -> None:
    with pytest.raises(AssertionError, match="imports torch: import them where they are used"):
        check_plugin(plugin_module("import torch\n" + method("x")))


def test_no_checks_at_all_are_a_failure() -> None:
    report = run_checks([])
    assert not report.ok
    assert "0 checks" in report.summary()
    with pytest.raises(AssertionError, match="0 checks"):
        check_plugin([])
    with pytest.raises(UsageError, match="nothing to check"):
        parametrize([])


def failing() -> None:
    raise ValueError("as expected")


def test_an_expected_failure_must_fail() -> None:
    report = run_checks(
        [
            Check("head", "x", "a", failing, "known"),
            Check("head", "x", "b", lambda: None, "fixed long ago"),
            Check("head", "x", "c", lambda: None),
            Check("head", "x", "d", failing),
        ]
    )
    assert [r.outcome for r in report.results] == ["expected failure", "unexpected pass", "passed", "failed"]
    assert report.summary() == "4 checks: 1 passed, 1 expected failure, 1 failed, 1 unexpected pass"
    assert not report.ok
    assert report.results[3].message == "ValueError: as expected"


def test_a_plugin_declares_its_expected_failures_with_reasons(plugin_module: Any) -> None:
    source = ONE_HEAD.replace('fault: str = ""', 'fault: str = "nan"')
    declared = 'LMBENCH_EXPECTED_FAILURES = {"head:mean_of_a_test:predicts_every_subset": "no finite mean yet"}\n'
    report = check_plugin(plugin_module(declared + source), expected_failures={})
    assert report.count("expected failure") == 1


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ('{"head:mean_of_a_test:predict_every_subset": "x"}', "names no check. Did you mean"),
        ('{"head:mean_of_a_test:predicts_every_subset": " "}', "gives no reason"),
    ],
)
def test_an_expected_failure_without_check_or_reason_is_a_failure(plugin_module: Any, declared: str, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_plugin(plugin_module(f"LMBENCH_EXPECTED_FAILURES = {declared}\n{ONE_HEAD}"))


# What is installed here -------------------------------------------------------------------------------------


def light_checks() -> list[Check]:
    """The checks of the core, but of the smallest backbone alone."""
    info = next(i for i in core().infos if i.distribution == CORE)
    return [c for c in conformance_checks(info, core()) if c.id.startswith(LIGHT) and "_fpn" not in c.component]


@pytest.mark.parametrize("check", [pytest.param(c, id=c.id) for c in light_checks()])
def test_the_core_keeps_the_contract_it_asks_of_plugins(check: Check) -> None:
    check()


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        timeout=570,
        cwd=folder,
    )


def test_a_new_plugin_passes_its_own_check_its_tests_and_the_linter(tmp_path: Path) -> None:
    made = run(tmp_path, "-m", "lmbench", "plugin", "new", "my-loss", "--dir", str(tmp_path / "made"))
    assert made.returncode == 0, made.stderr
    place = tmp_path / "made" / "lmbench-my-loss"
    assert made.stdout.strip() == str(place)
    written = [f for f in place.rglob("*") if f.is_file()]
    assert place / "lmbench_my_loss" / "presets" / "smoke.toml" in written
    assert not [f for f in written if "placeholder" in f.name + f.read_text(encoding="utf-8")]
    assert run(place, "-m", "ruff", "check", ".").stdout == "All checks passed!\n"
    assert run(place, "-m", "ruff", "format", "--check", ".").returncode == 0
    install(place, "lmbench-my-loss", "[lmbench]\nmy_loss = lmbench_my_loss.plugin\n", "0.1.0")
    checked = run(place, "-m", "lmbench", "plugin", "check", "lmbench-my-loss", "--json")
    report = json.loads(checked.stdout)
    assert checked.returncode == 0, report
    assert report["ok"]
    kinds = {c["id"].partition(":")[0] for c in report["checks"]}
    assert kinds == {"plugin", "objective", "method"}
    tested = run(place, "-m", "pytest", "-q", "-x", "tests", "-k", "plugin: or method: or descriptor")
    assert tested.returncode == 0, tested.stdout
    planned = run(place, "-m", "lmbench", "run", "--method", "my_loss", "--dataset", "synthfaces", "--dry-run")
    assert planned.returncode == 0, planned.stderr
    again = run(place, "-m", "lmbench", "plugin", "new", "my-loss", "--dir", "elsewhere")
    assert (again.returncode, "the plugin my_loss of lmbench-my-loss has that name already" in again.stderr) == (
        2,
        True,
    )


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("baselines", "the plugin baselines of lmbench-baselines has that name already; choose another one"),
        ("mean-shape", "the head mean_shape of lmbench has that name already"),
        ("iod", "the metric iod of lmbench has that name already"),
        ("lmbench-imm", "the plugin imm of lmbench-imm has that name already"),
    ],
)
def test_a_new_plugin_takes_no_name_that_there_is(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        write_skeleton(name, tmp_path, get_plugins())
    assert list(tmp_path.iterdir()) == []


def test_the_template_is_part_of_the_wheel() -> None:
    """hatchling packs what git does not ignore below the packages it is told of."""
    template = ROOT / "lmbench" / "templates"
    told = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]
    assert told["wheel"] == {"packages": ["lmbench"]}
    files = [str(f) for f in template.rglob("*") if f.is_file() and "cache" not in str(f)]
    ignored = subprocess.run(["git", "check-ignore", *files], capture_output=True, text=True, check=False, cwd=ROOT)
    assert len(files) > 10 and ignored.stdout == ""


def test_the_documentation_shows_the_template_as_it_is() -> None:
    shown = re.findall(r"^```(?:python|toml)\n(.*?)\n```$", files_section(), flags=re.MULTILINE | re.DOTALL)
    folder = ROOT / "lmbench" / "templates" / "lmbench-placeholder" / "lmbench_placeholder"
    texts = [
        f.read_text(encoding="utf-8").replace("placeholder", "my_loss")
        for f in folder.rglob("*.*")
        if f.suffix in (".py", ".toml")
    ]
    assert len(shown) == 6
    assert [block for block in shown[1:] if not any(block in text for text in texts)] == []


def files_section() -> str:
    text = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    return text[text.index("## The files of a plugin") : text.index("## A dense loss, whole")]


def test_the_code_of_the_documentation_is_python_and_names_what_the_api_has() -> None:
    text = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 9
    known = {*api.__all__, *dir(builtins), "Check", "parametrize", "nn", "dataclass", "Tensor", "torch"}
    trees = [ast.parse(block) for block in blocks if not block.startswith("# API 1")]
    inside = [n for tree in trees for n in ast.walk(tree)]
    made = {n.name for n in inside if isinstance(n, ast.ClassDef)} | {"Settings", "METHOD", "SETTINGS"}
    made |= {n.id for n in inside if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    for block, tree in zip((b for b in blocks if not b.startswith("# API 1")), trees, strict=True):
        names = {
            n.id
            for n in ast.walk(tree)
            if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load) and n.id[0].isupper()
        }
        assert names - known - made == set(), block


def test_a_new_plugin_overwrites_nothing(tmp_path: Path) -> None:
    place = tmp_path / "lmbench-mine"
    place.mkdir()
    (place / "precious.txt").write_text("mine", encoding="utf-8")
    made = run(tmp_path, "-m", "lmbench", "plugin", "new", "mine")
    assert made.returncode == 2
    assert "exists already and is left as it is" in made.stderr
    assert [f.name for f in tmp_path.rglob("*")] == ["lmbench-mine", "precious.txt"]


@pytest.mark.parametrize("name", ["My-Loss", "1loss", "a b", "../x", "a--b", "lmbench-", "é"])
def test_a_new_plugin_needs_a_proper_name(tmp_path: Path, name: str) -> None:
    made = run(tmp_path, "-m", "lmbench", "plugin", "new", "--", name)
    assert made.returncode == 2
    assert "expected small letters" in made.stderr
    assert list(tmp_path.iterdir()) == []


def test_checking_an_unknown_plugin_ends_with_code_2_and_a_failing_one_with_1(tmp_path: Path) -> None:
    write_module(tmp_path, "failing_plugin", "x = 1 / 0")
    install(tmp_path, "lmbench-failing", "[lmbench]\nfailing = failing_plugin\n")
    assert run(tmp_path, "-m", "lmbench", "plugin", "check", "lmbench-fialing").returncode == 2
    failing_plugin = run(tmp_path, "-m", "lmbench", "plugin", "check", "lmbench-failing")
    assert failing_plugin.returncode == 1
    assert "FAIL   plugin:failing:loads  ZeroDivisionError: division by zero" in failing_plugin.stdout
    assert "1 checks: 1 failed" in failing_plugin.stdout


def test_the_kit_imports_no_torch_until_a_check_needs_it() -> None:
    script = "import sys, lmbench.testing; print('torch' in sys.modules)"
    assert run(Path(), "-c", script).stdout.strip() == "False"


def test_every_check_is_documented_for_plugin_authors() -> None:
    text = (Path(__file__).parent.parent / "docs" / "plugins.md").read_text(encoding="utf-8")
    names = {c.__name__ for checks in COMPONENT_CHECKS.values() for c in checks} | {c.__name__ for c in PLUGIN}
    assert [name for name in sorted(names) if f"`{name}`" not in text] == []
