"""Plugins of a hostile hand disturb no command that does not use them, and the doctor names each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fake_plugins import PluginMaker, lmbench, make  # noqa: F401
from hostile_plugins import SOURCES, install_all

from lmbench.config.resolving import resolve_run
from lmbench.errors import UsageError, did_you_mean
from lmbench.plugins.finding import installed
from lmbench.plugins.loading import load_plugins


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    install_all(folder)
    return folder


def document(done: subprocess.CompletedProcess[str]) -> object:
    """The one JSON document that stdout holds."""
    assert "Traceback" not in done.stderr.replace("Traceback (most recent call last):\\n", ""), done.stderr[-2000:]
    return json.loads(done.stdout)


def test_lists_are_one_json_document_and_those_of_a_clean_installation(hostile: Path, tmp_path: Path) -> None:
    started = time.perf_counter()
    for kind in ("methods", "datasets"):
        assert document(lmbench(hostile, "list", kind, "--json")) == document(lmbench(tmp_path, "list", kind, "--json"))
    clean = {c["qualified"]: c for c in document(lmbench(tmp_path, "list", "backbones", "--json"))}  # type: ignore[attr-defined]
    found = {c["qualified"]: c for c in document(lmbench(hostile, "list", "backbones", "--json"))}  # type: ignore[attr-defined]
    assert found["lmbench:resnet18"]["ambiguous"] and not clean["lmbench:resnet18"]["ambiguous"]
    assert set(found) - set(clean) == {"hostile-takes-names:resnet18"}
    assert time.perf_counter() - started < 60


def test_the_doctor_names_each_and_says_what_is_wrong(hostile: Path) -> None:
    done = lmbench(hostile, "plugin", "doctor", "--json")
    assert done.returncode == 1
    found = {info["name"]: info for info in document(done)["plugins"]}  # type: ignore[index]
    for name, (_, said) in SOURCES.items():
        assert (found[name]["status"], name) == ("disabled" if said else "ok", name)
        assert said in found[name]["problem"].replace("\x1b", "\\x1b").replace("\ud800", "\\ud800"), name
    text = lmbench(hostile, "plugin", "doctor").stdout
    assert not any(c in text for c in "\x1b\ud800") and all(name in text for name in SOURCES)
    assert "clash: backbone 'resnet18': ask for hostile-takes-names:resnet18 or lmbench:resnet18" in text


def test_help_names_the_commands_that_are_left_out(hostile: Path) -> None:
    done = lmbench(hostile, "--help")
    assert done.returncode == 0 and "Compare two runs" in done.stdout and "Traceback" not in done.stderr
    for name in (
        "none_command",
        "command_without_name",
        "command_is_text",
        "command_takes_verb",
        "command_help_raises",
    ):
        assert f":{name}: lmbench_commands: " in done.stderr, name


def test_arguments_folder_environment_and_hooks_are_as_before(hostile: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(hostile))
    script = (
        "import os, signal, sys, threading, warnings\n"
        "def state(): return (list(sys.argv), os.getcwd(), dict(os.environ), list(warnings.filters), warnings.showwarning,\n"
        "  signal.getsignal(2), signal.getsignal(15), sys.excepthook, sys.getrecursionlimit(), sys.stdout, sys.stderr)\n"
        "from lmbench.plugins.loading import get_plugins\n"
        "before = state()\nget_plugins()\nassert state() == before\nprint('same')\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(hostile)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, env=environment)
    assert "same\n" in done.stdout, done.stderr[-2000:]


def test_a_built_in_recipe_means_its_own_parts_whoever_takes_their_names(
    hostile: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clean = load_plugins([c for c in installed() if not c.distribution.startswith("hostile")])
    monkeypatch.syspath_prepend(str(hostile))
    stolen = load_plugins(
        [c for c in installed() if c.name in ("takes_names",) or not c.distribution.startswith("hostile")]
    )
    assert {"byol", "moco"} <= set(stolen.objectives.clashes())
    for method in ("lead", "contrastlandmarks", "dve", "imagenet"):
        config = resolve_run(clean, method, "synthfaces", preset="smoke")
        assert resolve_run(stolen, method, "synthfaces", preset="smoke").digest() == config.digest()
        meant = stolen.of_recipe(method, config.variant)
        names = [
            ("head", config.settings_of("regression").head),
            *(("task", t) for t in config.tasks),
            ("metric", "iod"),
        ]
        names += [(kind, getattr(s, kind)) for s in config.stages.values() for kind in ("objective", "backbone")]
        for kind, name in names:
            assert meant.find(kind, name).identity() == clean.find(kind, name).identity()
    for override, said in [
        ({"backbone": "resnet18"}, "ask for hostile-takes-names:resnet18 or lmbench:resnet18"),
        (
            {"regression": {"head": "converged"}},
            "ask for hostile-takes-names:converged or lmbench:",
        ),
        ({"tasks": ("regression",)}, "ask for hostile-takes-names:regression or lmbench:regression"),
        ({"stages": {"byol": {"objective": "byol"}}}, "ask for hostile-takes-names:byol or lmbench-lead:byol"),
    ]:
        with pytest.raises(UsageError, match=said):
            resolve_run(stolen, "lead", "synthfaces", preset="smoke", overrides=[override])


def test_a_recipe_means_its_own_part_before_that_of_the_core(make: PluginMaker) -> None:  # noqa: F811
    own = """
    @hookimpl
    def lmbench_heads(): return [HeadSpec(name="ols", summary="mine", target="a:b")]
    @hookimpl
    def lmbench_methods():
        variant = VariantSpec(name="maps", summary="maps", layers=("conv5_x",))
        return [MethodSpec(name="mine", summary="m", variants=(variant,), defaults={"regression": {"head": "ols"}})]
    """
    plugins = load_plugins([make(own, distribution="lmbench-mine")])
    assert plugins.of_recipe("mine").find("head", "ols").owner == "lmbench-mine"
    with pytest.raises(UsageError, match="ask for lmbench:ols or lmbench-mine:ols"):
        plugins.find("head", "ols")


def test_a_surrogate_that_an_observer_raises_does_not_lose_the_record(make: PluginMaker) -> None:  # noqa: F811
    plugins = load_plugins([make("@hookimpl\ndef lmbench_run_started(run): raise ValueError('\\ud800\\x1b[31m')")])
    (complaint,) = plugins.observe("lmbench_run_started", run=None)
    assert complaint.endswith("ValueError: \\ud800\\x1b[31m") and complaint.encode()


def test_suggestions_among_many_names_are_bounded() -> None:
    names = [f"objective_{i}" for i in range(200_000)]
    started = time.process_time()
    did_you_mean("objectve_77" * 1000, names)
    assert time.process_time() - started < 2
