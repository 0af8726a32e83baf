"""Hooks: each brings what it is for, observers change and stop nothing, and all are documented."""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from fake_plugins import PluginMaker, install, lmbench, write_module

from lmbench.plugins import hooks as hookspecs
from lmbench.plugins.contract import HOOK_NAMES
from lmbench.plugins.loading import PluginInfo, Plugins, load_plugins
from lmbench.specs import KIND_OF

ROOT = Path(__file__).resolve().parent.parent


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
    plugins = load_plugins([make("@hookimpl\ndef lmbench_run_started(run): import os; os.kill(os.getpid(), 2)")])
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
    plugins = bring(make, "backbone", "target='a.b:C', maps=(MapSpec('last', 16, 8),)")
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


def test_lmbench_papers_brings_papers(make: PluginMaker) -> None:
    assert bring(make, "paper", "rows='a.b:published.csv', year=2030").papers.get("brought").spec.year == 2030


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
    assert "lmbench-verb:verb: lmbench_commands: the command 'describe' exists already" in done.stderr
    assert "All about one component" in done.stdout


def test_every_hook_has_a_test_of_its_own() -> None:
    names = [name for name in globals() if name.startswith("test_")]
    assert [h for h in HOOK_NAMES if not any(n.startswith(f"test_{h}_") for n in names)] == []


def test_every_hook_is_documented_with_its_exact_arguments() -> None:
    text = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    documented = re.findall(r"^### `(lmbench_\w+\([^)]*\))`$", text, flags=re.MULTILINE)
    signatures = [f"{h}({', '.join(inspect.signature(getattr(hookspecs, h)).parameters)})" for h in HOOK_NAMES]
    assert sorted(documented) == sorted(signatures)
