"""Plugins: each is loaded on its own, checked whole, named with its distribution, and never changes the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fake_plugins import PluginMaker, method

from lmbench.errors import UsageError
from lmbench.plugins.finding import Candidate
from lmbench.plugins.loading import load_plugins
from lmbench.specs import KIND_OF

ROOT = Path(__file__).resolve().parent.parent


def problem_of(candidate: Candidate) -> str:
    """Why a plugin is disabled; fails where it is not, or where anything of it is left in a registry."""
    plugins = load_plugins([candidate])
    info = plugins.infos[-1]
    assert info.status == "disabled"
    assert not info.components
    owners = {e.owner for kind in KIND_OF.values() for e in plugins.registry(kind)}
    assert owners == {"lmbench"}
    assert f"{candidate.distribution}:{candidate.name}" not in plugins.managers
    return info.problem


# One plugin that is wrong -----------------------------------------------------------------------------------


def test_a_plugin_that_fails_to_import_is_disabled_with_its_error(make: PluginMaker) -> None:
    problem = problem_of(make("import a_package_that_does_not_exist"))
    assert problem == "ModuleNotFoundError: No module named 'a_package_that_does_not_exist'"


def test_a_plugin_that_is_missing_is_disabled(make: PluginMaker) -> None:
    assert "No module named 'nowhere'" in problem_of(Candidate("x", "nowhere.plugin", "lmbench-x", "1.0"))


def test_a_plugin_with_a_syntax_error_is_disabled(make: PluginMaker) -> None:
    assert problem_of(make("def broken(:")).startswith("SyntaxError")


def test_a_plugin_that_calls_sys_exit_at_import_is_disabled(make: PluginMaker) -> None:
    assert problem_of(make("import sys\nsys.exit('I am a script')")) == "SystemExit: I am a script"


def test_ctrl_c_during_an_import_is_passed_on(make: PluginMaker) -> None:
    with pytest.raises(KeyboardInterrupt):
        load_plugins([make("import os\nos.kill(os.getpid(), 2)\npass")])


def test_a_plugin_that_raises_as_if_ctrl_c_were_pressed_is_disabled(make: PluginMaker) -> None:
    source = "class Stop(KeyboardInterrupt): pass\nraise Stop('me')"
    assert problem_of(make("raise KeyboardInterrupt")) == "KeyboardInterrupt: "
    assert problem_of(make(source)) == "Stop: me"


def test_the_traceback_of_a_broken_plugin_is_kept_for_its_author(make: PluginMaker) -> None:
    info = load_plugins([make("x = 1 / 0")]).infos[-1]
    assert "x = 1 / 0" in info.details
    assert "details" not in info.to_json()


def test_a_misspelt_hook_is_named_with_the_right_spelling(make: PluginMaker) -> None:
    problem = problem_of(make("@hookimpl\ndef lmbench_method(): return []"))
    assert "lmbench_method is no hook of lmbench. Did you mean 'lmbench_methods'" in problem


def test_a_misspelt_hook_that_is_imported_from_elsewhere_is_found_too(make: PluginMaker) -> None:
    other = make("@hookimpl\ndef lmbench_datasetz(): return []")
    assert "Did you mean 'lmbench_datasets'" in problem_of(make(f"from {other.module} import *"))


def test_a_hook_that_is_imported_from_elsewhere_counts(make: PluginMaker) -> None:
    other = make(method("imported"))
    info = load_plugins([make(f"from {other.module} import lmbench_methods")]).infos[-1]
    assert (info.hooks, info.components) == (["lmbench_methods"], {"method": ["imported"]})


def test_an_undecorated_hook_is_refused(make: PluginMaker) -> None:
    problem = problem_of(make("def lmbench_methods(): return []"))
    assert "lmbench_methods lacks the decorator @hookimpl (from lmbench.api)" in problem


def test_a_list_in_place_of_a_hook_is_refused(make: PluginMaker) -> None:
    assert "lacks the decorator" in problem_of(make("lmbench_methods = []"))


@pytest.mark.parametrize(("value", "said"), [("None", "NoneType"), ("'x'", "str"), ("iter([])", "list_iterator")])
def test_a_wrong_return_type_is_refused(make: PluginMaker, value: str, said: str) -> None:
    problem = problem_of(make(f"@hookimpl\ndef lmbench_methods(): return {value}"))
    assert f"returned {said}; a list of MethodSpec is expected" in problem


def test_a_spec_of_the_wrong_type_is_refused(make: PluginMaker) -> None:
    source = """
        @hookimpl
        def lmbench_methods():
            return [HeadSpec(name="x", summary="", target="a:b")]
        """
    assert "returned a HeadSpec among its MethodSpecs" in problem_of(make(source))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ("maps=['conv5_x']", "maps: expected tuple[MapSpec, ...]"),
        ("maps=('conv5_x',)", "maps[0]: expected MapSpec, found 'conv5_x'"),
        ("summary=None", "summary: expected str, found None"),
        ("year='2019'", "year: expected int | None"),
        ("settings=['lr']", "settings: expected a frozen dataclass, found list"),
        ("settings={'lr': 0.1}", "settings: a frozen dataclass is expected, no mapping: docs/plugins.md"),
        ("name='two words'", "name: letters, digits"),
        ("name='lmbench:resnet18'", "name: letters, digits"),
        ("name=''", "name: letters, digits"),
        ("target='a.b.c'", "target: expected 'package.module:Name'"),
        ("target=''", "target: expected 'package.module:Name'"),
    ],
)
def test_a_spec_whose_fields_are_not_what_they_should_be_is_refused(make: PluginMaker, fields: str, said: str) -> None:
    source = f"""
        @hookimpl
        def lmbench_backbones():
            return [BackboneSpec(**{{"name": "x", "summary": "", "target": "a:b", **dict({fields})}})]
        """
    assert said in problem_of(make(source))


@pytest.mark.parametrize("presets", ["nowhere:presets", "json.decoder:presets", ":presets"])
def test_presets_in_no_package_are_refused_before_a_list_looks_for_them(make: PluginMaker, presets: str) -> None:
    source = method("x").replace("variants=", f"presets={presets!r}, variants=")
    assert f"presets: expected 'package:folder', found {presets!r}" in problem_of(make(source))


def test_a_plugin_without_an_api_version_is_refused(make: PluginMaker) -> None:
    assert "does not state LMBENCH_API; this lmbench speaks 2. Set LMBENCH_API = 2" in problem_of(
        make(method("x"), api="")
    )


@pytest.mark.parametrize("version", [3, "'1'", "1.5"])
def test_an_unsupported_api_version_is_refused(make: PluginMaker, version: Any) -> None:
    problem = problem_of(make(method("x"), api=f"LMBENCH_API = {version}\n"))
    assert "is written for plugin interface" in problem
    assert "Set LMBENCH_API = 2" in problem


@pytest.mark.parametrize("source", [method("x"), "from lmbench.api import StageSpec"])
def test_a_plugin_of_interface_1_is_told_where_to_read_how_to_move(make: PluginMaker, source: str) -> None:
    """Also where it does not get as far as stating its version: it imports a name that is gone."""
    problem = problem_of(make(source, api="LMBENCH_API = 1\n"))
    assert (
        'this lmbench speaks 2. How to move a plugin of interface 1: docs/plugins.md, "Moving from API 1".' in problem
    )
    assert "## Moving from API 1" in (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")


def test_a_hook_with_a_default_for_an_argument_is_refused(make: PluginMaker) -> None:
    problem = problem_of(make("@hookimpl\ndef lmbench_run_started(run=None): pass"))
    assert "a hook gives its arguments no defaults" in problem


def test_a_hook_with_an_unknown_argument_is_refused_with_its_name(make: PluginMaker) -> None:
    problem = problem_of(make("@hookimpl\ndef lmbench_run_started(rum): pass"))
    assert "rum" in problem
    assert "PluginValidationError" in problem


@pytest.mark.parametrize("option", ["wrapper=True", "hookwrapper=True", "specname='lmbench_methods'"])
def test_a_hook_that_wraps_others_or_goes_by_another_name_is_refused(make: PluginMaker, option: str) -> None:
    problem = problem_of(make(f"@hookimpl({option})\ndef lmbench_methods():\n    yield"))
    assert "neither wraps the other plugins' hooks nor goes by another name" in problem


def test_a_hook_that_raises_disables_its_plugin(make: PluginMaker) -> None:
    assert problem_of(make("@hookimpl\ndef lmbench_heads(): return 1 / 0")) == "ZeroDivisionError: division by zero"


def test_a_name_twice_from_one_plugin_is_refused(make: PluginMaker) -> None:
    source = method("twice").replace("return [", "return 2 * [")
    assert problem_of(make(source)) == "lmbench-test registers the method 'twice' twice; rename one of them."


def test_an_entry_point_that_names_an_object_is_refused() -> None:
    said = "entry point 'x = a.b:c': expected NAME = package.module"
    assert said in problem_of(Candidate("x", "a.b:c", "lmbench-x", "1.0", f"{said}."))


# One plugin beside others -----------------------------------------------------------------------------------

BROKEN = {
    "import": "import a_package_that_does_not_exist",
    "exit": "import sys; sys.exit(3)",
    "misspelt": "@hookimpl\ndef lmbench_method(): return []",
    "undecorated": "def lmbench_methods(): return []",
    "type": "@hookimpl\ndef lmbench_methods(): return 3",
    "late": method("good") + "@hookimpl\ndef lmbench_heads(): raise OSError('no')",
    "twice": method("good") + "@hookimpl\ndef lmbench_metrics(): return 2 * [MetricSpec(name='m', summary='', "
    "target='a:b', task='regression', unit='px', higher_is_better=False)]",
}


@pytest.mark.parametrize("position", ["before", "after"])
@pytest.mark.parametrize("distribution", ["lmbench-bad", "lmbench-good"])
@pytest.mark.parametrize("fault", BROKEN)
def test_one_broken_plugin_never_changes_the_others(
    make: PluginMaker, fault: str, distribution: str, position: str
) -> None:
    """Also where both entry points belong to one distribution."""
    good = make(method("good"), "lmbench-good")
    bad = make(BROKEN[fault], distribution)
    alone = load_plugins([good])
    beside = load_plugins([bad, good] if position == "before" else [good, bad])
    for kind in KIND_OF.values():
        assert [e.qualified for e in beside.registry(kind)] == [e.qualified for e in alone.registry(kind)]
    assert beside.find("method", "good").spec.name == "good"
    assert sorted(i.status for i in beside.infos) == ["disabled", "ok", "ok"]


def test_two_distributions_with_one_name_both_stay_by_their_qualified_names(make: PluginMaker) -> None:
    plugins = load_plugins([make(method("same"), "lmbench-a"), make(method("same"), "lmbench-b")])
    with pytest.raises(UsageError, match="ask for lmbench-a:same or lmbench-b:same"):
        plugins.find("method", "same")
    assert plugins.find("method", "lmbench-a:same").owner == "lmbench-a"
    assert plugins.find("method", "lmbench-b:same").owner == "lmbench-b"
    assert list(plugins.methods.clashes()) == ["same"]


def test_a_plugin_cannot_take_the_place_of_a_built_in_component(make: PluginMaker) -> None:
    source = "@hookimpl\ndef lmbench_heads(): return [HeadSpec(name='ols', summary='', target='a:b')]"
    plugins = load_plugins([make(source, "lmbench-evil")])
    with pytest.raises(UsageError, match="ask for lmbench:ols or lmbench-evil:ols"):
        plugins.find("head", "ols")
    assert plugins.find("head", "lmbench:ols").spec.target.startswith("lmbench.")


def test_the_order_of_plugins_changes_nothing(make: PluginMaker) -> None:
    several = [make(method(name), f"lmbench-{name}") for name in ("a", "b", "c")]
    forward, backward = load_plugins(several), load_plugins(several[::-1])
    assert [e.qualified for e in forward.methods] == [e.qualified for e in backward.methods]


def test_two_entry_points_of_one_module_leave_one_working(make: PluginMaker) -> None:
    one = make(method("x"))
    plugins = load_plugins([one, Candidate("again", one.module, one.distribution, "1.0")])
    assert [i.status for i in plugins.infos[1:]] == ["ok", "disabled"]
    assert plugins.find("method", "x").owner == one.distribution


def test_an_unknown_name_suggests_the_closest_and_tells_of_disabled_plugins(make: PluginMaker) -> None:
    plugins = load_plugins([make(method("landmarks")), make("1 / 0", "lmbench-broken")])
    with pytest.raises(UsageError) as caught:
        plugins.find("method", "landmark")
    assert "unknown method 'landmark'. Did you mean 'landmarks'?" in str(caught.value)
    assert "lmbench-broken could not be loaded: see `lmbench plugin doctor`" in str(caught.value)


def test_what_a_plugin_prints_at_import_does_not_reach_stdout(
    make: PluginMaker, capsys: pytest.CaptureFixture[str]
) -> None:
    load_plugins([make("print('hello from a plugin')")])
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "hello from a plugin" in captured.err


def test_a_family_of_a_plugin_matches_its_members(make: PluginMaker) -> None:
    source = """
        @hookimpl
        def lmbench_backbones():
            return [BackboneSpec(name="hub/*", summary="", target="a:b")]
        """
    plugins = load_plugins([make(source)])
    assert plugins.find("backbone", "hub/vit_small.dino").spec.name == "hub/*"
    assert plugins.find("dataset", "images:/some/folder").spec.name == "images:*"
    with pytest.raises(UsageError, match="unknown backbone 'hub/'"):
        plugins.find("backbone", "hub/")
