"""Installed plugins: found by their entry points, and named by the doctor where something is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fake_plugins import install, lmbench, method, write_module

from lmbench.cli.main import cli


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
