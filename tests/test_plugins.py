"""Plugins: each is loaded on its own, checked whole, named with its distribution, and never changes the others."""

from __future__ import annotations

import inspect
import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fake_plugins import PluginMaker, install, method, write_module

from lmbench import hookspecs
from lmbench.cli.main import cli
from lmbench.errors import UsageError
from lmbench.plugins import HOOK_NAMES, Candidate, PluginInfo, Plugins, load_plugins
from lmbench.specs import KIND_OF

ROOT = Path(__file__).resolve().parent.parent
COUNTER = itertools.count()


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PluginMaker:
    """A function that writes a plugin module and gives its candidate."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make_plugin(source: str, distribution: str = "lmbench-test", api: str = "LMBENCH_API = 1\n") -> Candidate:
        module = f"throwaway_plugin_{next(COUNTER)}"
        write_module(tmp_path, module, source, api)
        return Candidate(module, module, distribution, "1.0")

    return make_plugin


def problem_of(candidate: Candidate) -> str:
    """Why a plugin is disabled; fails where it is not, or where anything of it is left in a registry."""
    plugins = load_plugins([candidate])
    info = plugins.infos[-1]
    assert info.status == "disabled"
    assert not info.components
    owners = {e.owner for kind in KIND_OF.values() for e in plugins.registry(kind)}
    assert owners == {"lmbench"}
    assert not plugins.manager.has_plugin(f"{candidate.distribution}:{candidate.name}")
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
        load_plugins([make("raise KeyboardInterrupt")])


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
        ("settings=['lr']", "settings: expected Mapping[str, Any]"),
        ("name='two words'", "name: letters, digits"),
        ("name='lmbench:resnet18'", "name: letters, digits"),
        ("name=''", "name: letters, digits"),
        ("target='a.b.c'", "needs a target 'package.module:Name'"),
        ("target=''", "needs a target 'package.module:Name'"),
    ],
)
def test_a_spec_whose_fields_are_not_what_they_should_be_is_refused(make: PluginMaker, fields: str, said: str) -> None:
    source = f"""
        @hookimpl
        def lmbench_backbones():
            return [BackboneSpec(**{{"name": "x", "summary": "", "target": "a:b", **dict({fields})}})]
        """
    assert said in problem_of(make(source))


def test_a_plugin_without_an_api_version_is_refused(make: PluginMaker) -> None:
    assert "does not state LMBENCH_API; this lmbench speaks 1" in problem_of(make(method("x"), api=""))


@pytest.mark.parametrize("version", [0, 2, "'1'", "1.5"])
def test_an_unsupported_api_version_is_refused(make: PluginMaker, version: Any) -> None:
    problem = problem_of(make(method("x"), api=f"LMBENCH_API = {version}\n"))
    assert "is written for plugin interface" in problem
    assert "set LMBENCH_API = 1" in problem


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


# Observers --------------------------------------------------------------------------------------------------


def test_observers_that_raise_are_reported_and_do_not_stop_the_others(make: PluginMaker) -> None:
    raising = make("@hookimpl\ndef lmbench_run_started(run): raise ValueError('not today')")
    exiting = make("import sys\n@hookimpl\ndef lmbench_run_started(run): sys.exit(7)")
    looking = make("SEEN = []\n@hookimpl\ndef lmbench_run_started(run): SEEN.append(run)", "lmbench-looking")
    complaints = load_plugins([raising, looking, exiting]).observe("lmbench_run_started", run="seen")
    assert sys.modules[looking.module].SEEN == ["seen"]
    assert sorted(complaints) == [
        f"lmbench-test:{raising.name}: lmbench_run_started: ValueError: not today",
        f"lmbench-test:{exiting.name}: lmbench_run_started: SystemExit: 7",
    ]


def test_an_observer_that_changes_the_record_changes_its_own_copy(make: PluginMaker) -> None:
    source = "@hookimpl\ndef lmbench_run_finished(run, record): record['metrics'][0]['value'] = 0.0"
    record = {"metrics": [{"value": 9.1}]}
    assert load_plugins([make(source)]).observe("lmbench_run_finished", run=None, record=record) == []
    assert record == {"metrics": [{"value": 9.1}]}


def test_ctrl_c_in_an_observer_is_passed_on(make: PluginMaker) -> None:
    plugins = load_plugins([make("@hookimpl\ndef lmbench_run_started(run): raise KeyboardInterrupt")])
    with pytest.raises(KeyboardInterrupt):
        plugins.observe("lmbench_run_started", run=None)


# Every hook -------------------------------------------------------------------------------------------------


def bring(make: PluginMaker, kind: str, fields: str) -> Plugins:
    """The plugins after one brings a component ``brought`` of a kind."""
    spec_type = next(t.__name__ for t, k in KIND_OF.items() if k == kind)
    source = f"""
        @hookimpl
        def lmbench_{kind}s():
            return [{spec_type}(name="brought", summary="of a test", {fields})]
        """
    plugins = load_plugins([make(source)])
    info: PluginInfo = plugins.infos[-1]
    assert (info.status, info.problem) == ("ok", "")
    assert info.hooks == [f"lmbench_{kind}s"]
    assert info.components == {kind: ["brought"]}
    entry = plugins.find(kind, "brought")
    assert entry.identity() == {
        "kind": kind,
        "name": "brought",
        "distribution": "lmbench-test",
        "version": "1.0",
    }
    return plugins


def test_lmbench_backbones_brings_backbones(make: PluginMaker) -> None:
    plugins = bring(make, "backbone", "target='a.b:C', maps=(MapSpec('last', None, 8),)")
    assert plugins.backbones.get("brought").spec.maps[0].stride == 8


def test_lmbench_objectives_brings_objectives(make: PluginMaker) -> None:
    assert bring(make, "objective", "target='a.b:C', min_batch=4").objectives.get("brought").spec.min_batch == 4


def test_lmbench_heads_brings_heads(make: PluginMaker) -> None:
    assert bring(make, "head", "target='a.b:C'").heads.get("brought").spec.inputs == "maps"


def test_lmbench_datasets_brings_datasets(make: PluginMaker) -> None:
    plugins = bring(make, "dataset", "target='a.b:C', splits={'train': None}, preprocessing=Preprocessing(resize=96)")
    assert not plugins.datasets.get("brought").spec.has_landmarks


def test_lmbench_metrics_brings_metrics(make: PluginMaker) -> None:
    plugins = bring(make, "metric", "target='a.b:C', task='regression', unit='px', higher_is_better=False")
    assert plugins.metrics.get("brought").spec.unit == "px"


def test_lmbench_tasks_brings_tasks(make: PluginMaker) -> None:
    assert bring(make, "task", "target='a.b:C', metrics=('iod',)").tasks.get("brought").spec.metrics == ("iod",)


def test_lmbench_methods_brings_methods(make: PluginMaker) -> None:
    plugins = bring(make, "method", "variants=(VariantSpec(name='v', summary='', layers=('conv5_x',)),)")
    assert plugins.methods.get("brought").spec.variant("").name == "v"


def observed(make: PluginMaker, hook: str, **arguments: Any) -> list[Any]:
    """What an observer of ``hook`` was given."""
    seen: list[Any] = []
    names = ", ".join(arguments)
    candidate = make(f"SEEN = []\n@hookimpl\ndef {hook}({names}): SEEN.extend([{names}])")
    assert load_plugins([candidate]).observe(hook, **arguments) == []
    seen.extend(sys.modules[candidate.module].SEEN)
    return seen


def test_lmbench_run_started_sees_the_configuration(make: PluginMaker) -> None:
    assert observed(make, "lmbench_run_started", run="configuration") == ["configuration"]


def test_lmbench_stage_finished_sees_the_stage(make: PluginMaker) -> None:
    seen = observed(make, "lmbench_stage_finished", run="configuration", stage={"objective": "byol"})
    assert seen == ["configuration", {"objective": "byol"}]


def test_lmbench_run_finished_sees_the_record(make: PluginMaker) -> None:
    seen = observed(make, "lmbench_run_finished", run="configuration", record={"status": "ok"})
    assert seen == ["configuration", {"status": "ok"}]


def test_an_observer_may_take_fewer_arguments_than_there_are(make: PluginMaker) -> None:
    candidate = make("SEEN = []\n@hookimpl\ndef lmbench_run_finished(record): SEEN.append(record['status'])")
    assert load_plugins([candidate]).observe("lmbench_run_finished", run=None, record={"status": "ok"}) == []
    assert sys.modules[candidate.module].SEEN == ["ok"]


COMMANDS = """
import click

@click.command()
def {name}():
    "A verb of a plugin."
    click.echo("said by a plugin")

@hookimpl
def lmbench_commands(cli):
    cli.add_command({name})
"""


def test_lmbench_commands_adds_a_verb(tmp_path: Path) -> None:
    write_module(tmp_path, "verb_plugin", COMMANDS.format(name="wave"))
    install(tmp_path, "lmbench-verb", "[lmbench]\nverb = verb_plugin\n")
    done = lmbench(tmp_path, "wave")
    assert (done.returncode, done.stdout) == (0, "said by a plugin\n")
    assert "A verb of a plugin." in lmbench(tmp_path, "--help").stdout


def test_a_plugin_cannot_take_a_verb_of_lmbench(tmp_path: Path) -> None:
    write_module(tmp_path, "verb_plugin", COMMANDS.format(name="describe"))
    install(tmp_path, "lmbench-verb", "[lmbench]\nverb = verb_plugin\n")
    done = lmbench(tmp_path, "--help")
    assert done.returncode == 0
    assert "lmbench-verb:verb: lmbench_commands: LmbenchError: the command 'describe' exists already" in done.stderr
    assert "All about one component" in done.stdout


def test_every_hook_has_a_test_of_its_own() -> None:
    names = [name for name in globals() if name.startswith("test_")]
    assert [h for h in HOOK_NAMES if not any(n.startswith(f"test_{h}_") for n in names)] == []


def test_every_hook_is_documented_with_its_exact_arguments() -> None:
    text = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    documented = re.findall(r"^### `(lmbench_\w+\([^)]*\))`$", text, flags=re.MULTILINE)
    signatures = [f"{h}({', '.join(inspect.signature(getattr(hookspecs, h)).parameters)})" for h in HOOK_NAMES]
    assert sorted(documented) == sorted(signatures)


# Installed plugins ------------------------------------------------------------------------------------------


def lmbench(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own with ``folder`` on its path, as if it were installed there."""
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, "-m", "lmbench", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=120)


def test_an_installed_plugin_is_found_by_its_entry_point(tmp_path: Path) -> None:
    write_module(tmp_path, "third_party", method("third"))
    install(tmp_path, "lmbench-third", "[lmbench]\nthird = third_party\n", "3.2.1")
    methods = json.loads(lmbench(tmp_path, "list", "--json").stdout)
    found = next(m for m in methods if m["name"] == "third")
    assert (found["owner"], found["version"], found["qualified"]) == (
        "lmbench-third",
        "3.2.1",
        "lmbench-third:third",
    )


@pytest.mark.parametrize(
    "entry_points",
    [
        "[lmbench]\nbroken = nowhere.plugin\n",
        "[lmbench]\nno equals sign\n",
        "[lmbench]\nbroken = a:b\n",
        "[lmbench\n",
    ],
)
def test_a_broken_installation_is_named_by_the_doctor_and_harms_nobody(tmp_path: Path, entry_points: str) -> None:
    write_module(tmp_path, "third_party", method("third"))
    install(tmp_path, "lmbench-third", "[lmbench]\nthird = third_party\n")
    install(tmp_path, "lmbench-broken", entry_points)
    done = lmbench(tmp_path, "list", "--json")
    assert done.returncode == 0
    assert "third" in [m["name"] for m in json.loads(done.stdout)]
    doctor = lmbench(tmp_path, "plugin", "doctor")
    if "[lmbench]" in entry_points:
        assert doctor.returncode == 1
        assert "DISABLED" in doctor.stdout
        assert "lmbench-broken" in doctor.stdout


def test_a_distribution_without_metadata_is_still_loaded(tmp_path: Path) -> None:
    write_module(tmp_path, "third_party", method("third"))
    info = install(tmp_path, "lmbench-third", "[lmbench]\nthird = third_party\n")
    (info / "METADATA").unlink()
    methods = json.loads(lmbench(tmp_path, "list", "--json").stdout)
    assert next(m["owner"] for m in methods if m["name"] == "third") == "unknown"


def test_equal_entry_point_names_of_two_distributions_are_both_loaded(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_module(tmp_path, f"plugin_{name}", method(name))
        install(tmp_path, f"lmbench-{name}", f"[lmbench]\nsame = plugin_{name}\n")
    names = {m["name"] for m in json.loads(lmbench(tmp_path, "list", "--json").stdout)}
    assert {"one", "two"} <= names


def test_the_doctor_names_a_clash_with_both_qualified_names(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_module(tmp_path, f"plugin_{name}", method("same"))
        install(tmp_path, f"lmbench-{name}", f"[lmbench]\n{name} = plugin_{name}\n")
    done = lmbench(tmp_path, "plugin", "doctor")
    assert done.returncode == 1
    assert "clash: method 'same': ask for lmbench-one:same or lmbench-two:same" in done.stdout
    report = json.loads(lmbench(tmp_path, "plugin", "doctor", "--json").stdout)
    assert report["ok"] is False
    assert report["clashes"] == [
        {"kind": "method", "name": "same", "qualified": ["lmbench-one:same", "lmbench-two:same"]}
    ]


def test_the_doctor_shows_a_traceback_when_asked(tmp_path: Path) -> None:
    write_module(tmp_path, "third_party", "x = 1 / 0")
    install(tmp_path, "lmbench-third", "[lmbench]\nthird = third_party\n")
    assert "Traceback" not in lmbench(tmp_path, "plugin", "doctor").stdout
    verbose = lmbench(tmp_path, "plugin", "doctor", "--verbose").stdout
    assert "Traceback" in verbose
    assert "x = 1 / 0" in verbose


def test_the_verbs_of_the_command_line_are_all_there() -> None:
    assert {"run", "list", "describe", "plugin"} <= set(cli.list_commands(None))  # type: ignore[arg-type]
