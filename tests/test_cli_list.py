"""`lmbench list` and `lmbench describe`: tables for people, JSON for tools, suggestions for typing mistakes."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lmbench.cli import list as list_module
from lmbench.cli.list import KINDS
from lmbench.cli.main import run_cli
from lmbench.plugins.loading import Candidate, get_plugins, load_plugins
from lmbench.specs import PRESETS

COMPONENTS = [k for k in KINDS if k != "plugin"]


def out(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a command that succeeds prints to stdout."""
    code = run_cli(list(arguments))
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return captured.out


def components() -> list[tuple[str, str]]:
    return [(kind, e.qualified) for kind in COMPONENTS for e in get_plugins().registry(kind)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_listed_as_an_array_of_objects_with_a_name(capsys: pytest.CaptureFixture[str], kind: str) -> None:
    found = json.loads(out(capsys, "list", f"{kind}s", "--json"))
    assert isinstance(found, list)
    assert found
    assert all(isinstance(item["name"], str) and item["name"] for item in found)


@pytest.mark.parametrize("kind", COMPONENTS)
def test_every_component_says_what_it_is_and_who_owns_it(capsys: pytest.CaptureFixture[str], kind: str) -> None:
    for item in json.loads(out(capsys, "list", f"{kind}s", "--json")):
        assert item.keys() >= {"name", "qualified", "kind", "summary", "paper", "year", "owner", "version"}
        assert item["kind"] == kind
        assert item["qualified"] == f"{item['owner']}:{item['name']}"
        assert item["summary"]


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("method", {"variants", "presets", "supervision", "backbone", "tasks"}),
        ("dataset", {"splits", "landmarks", "folder", "size", "licence"}),
        ("backbone", {"maps", "min_size"}),
        ("objective", {"needs_parent", "needs_maps", "min_batch"}),
        ("head", {"inputs"}),
        ("task", {"metrics"}),
        ("metric", {"task", "unit", "direction", "higher_is_better", "normaliser"}),
    ],
)
def test_each_kind_tells_what_matters_for_it(capsys: pytest.CaptureFixture[str], kind: str, fields: set[str]) -> None:
    assert all(item.keys() >= fields for item in json.loads(out(capsys, "list", kind, "--json")))


def test_methods_are_listed_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert out(capsys, "list") == out(capsys, "list", "methods")


def test_a_kind_may_be_named_in_the_singular(capsys: pytest.CaptureFixture[str]) -> None:
    assert out(capsys, "list", "head") == out(capsys, "list", "heads")


def test_the_known_components_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    listed = {kind: out(capsys, "list", kind) for kind in ("datasets", "backbones", "heads", "metrics")}
    for kind, name in (
        ("datasets", "synthfaces"),
        ("backbones", "resnet18"),
        ("heads", "ols"),
        ("metrics", "iod"),
    ):
        assert any(line.startswith(f"{name} ") for line in listed[kind].splitlines())


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_that_is_not_on_a_terminal_has_one_line_a_component(
    capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    lines = out(capsys, "list", kind).splitlines()
    items = json.loads(out(capsys, "list", kind, "--json"))
    assert len(lines) == 1 + len(items)
    assert lines[0].startswith("NAME")
    for line, item in zip(lines[1:], items, strict=True):
        assert line.split()[0] == item["name"]
        assert "\x1b" not in line


def test_summaries_are_not_cut_or_wrapped(capsys: pytest.CaptureFixture[str]) -> None:
    text = out(capsys, "list", "datasets")
    for item in json.loads(out(capsys, "list", "datasets", "--json")):
        assert item["summary"] in text


def test_a_terminal_gets_a_table_with_every_name(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    text = out(capsys, "list", "backbones")
    assert all(e.spec.name in text for e in get_plugins().backbones)


@pytest.mark.parametrize(("kind", "name"), components())
def test_every_component_can_be_described(capsys: pytest.CaptureFixture[str], kind: str, name: str) -> None:
    text = out(capsys, "describe", kind, name)
    facts = json.loads(out(capsys, "describe", f"{kind}s", name, "--json"))
    spec = get_plugins().registry(kind).get(name).spec
    assert facts["name"] == spec.name
    assert facts["summary"] in text
    shown = {s.removeprefix(f"{spec.name}.").partition(".")[0] for s in facts["settings"]}
    assert shown == {f.name for f in dataclasses.fields(spec.settings)}
    for setting, told in facts["settings"].items():
        assert setting in text
        assert told["type"] in text
    assert facts["owner"] in text
    assert facts["version"] in text


def test_a_described_method_shows_stages_variants_and_presets(capsys: pytest.CaptureFixture[str]) -> None:
    method = next(e.spec for e in get_plugins().methods if e.spec.stages)
    text = out(capsys, "describe", "method", method.name)
    facts = json.loads(out(capsys, "describe", "method", method.name, "--json"))
    assert [s["name"] for s in facts["stages"]] == [s.name for s in method.stages]
    assert [v["name"] for v in facts["variants"]] == [v.name for v in method.variants]
    assert list(facts["presets"]) == list(PRESETS)
    for words in (
        *PRESETS,
        *(s.objective for s in method.stages),
        *(v.summary for v in method.variants),
    ):
        assert words in text


def test_a_described_dataset_shows_source_licence_splits_and_landmarks(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = out(capsys, "describe", "dataset", "mtfl")
    for words in (
        "licence",
        "source",
        "left_mouth",
        "train  10000",
        "test   2995",
        "resize   136",
        "centres  papers",
        "swap pairs",
    ):
        assert words in text


def test_a_described_backbone_shows_its_maps(capsys: pytest.CaptureFixture[str]) -> None:
    facts = json.loads(out(capsys, "describe", "backbone", "resnet18", "--json"))
    assert facts["maps"][-1] == {"name": "conv5_x", "channels": 512, "stride": 32}


def test_a_member_of_a_family_is_described_as_its_family(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    Image.new("RGB", (40, 40)).save(tmp_path / "a.png")
    assert json.loads(out(capsys, "describe", "dataset", f"images:{tmp_path}", "--json"))["name"] == "images:*"


def test_a_plugin_can_be_described(capsys: pytest.CaptureFixture[str]) -> None:
    facts = json.loads(out(capsys, "describe", "plugin", "lmbench", "--json"))
    assert facts["status"] == "ok"
    assert "resnet18" in facts["components"]["backbone"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["list", "methodes"], "unknown kind 'methodes'. Did you mean 'methods'"),
        (["describe", "headz", "ols"], "unknown kind 'headz'. Did you mean 'heads'"),
        (["describe", "head", "olz"], "unknown head 'olz'. Did you mean 'ols'"),
        (["describe", "plugin", "lmbenhc"], "unknown plugin 'lmbenhc'. Did you mean 'lmbench"),
        (["describe", "head"], "Missing argument"),
        (["lst"], "no such command 'lst'. Did you mean 'list'"),
    ],
)
def test_a_typing_mistake_ends_with_code_2_and_a_suggestion(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert run_cli(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err


def test_components_of_one_name_are_listed_by_their_qualified_names(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    from fake_plugins import write_module

    monkeypatch.syspath_prepend(str(tmp_path))
    source = "@hookimpl\ndef lmbench_heads(): return [HeadSpec(name='ols', summary='another', target='a:b')]"
    write_module(tmp_path, "another_ols", source)
    write_module(tmp_path, "broken_plugin", "1 / 0")
    both = [Candidate(m, m, f"lmbench-{m}", "1") for m in ("another_ols", "broken_plugin")]
    plugins = load_plugins(both)
    monkeypatch.setattr(list_module, "get_plugins", lambda: plugins)
    assert run_cli(["list", "heads"]) == 0
    captured = capsys.readouterr()
    names = [line.split()[0] for line in captured.out.splitlines()]
    assert {"lmbench:ols", "lmbench-another_ols:ols"} <= set(names)
    assert "ols" not in names
    assert captured.err.startswith("warning: lmbench-broken_plugin could not be loaded")


def test_a_family_can_be_described_and_not_used(capsys):
    assert run_cli(["describe", "dataset", "folder:*"]) == 0
    assert run_cli(["data", "verify", "folder:*"]) == 2
    assert "folder:* is a family; name one of it in place of the star" in capsys.readouterr().err
    assert run_cli(["run", "--method", "random", "--dataset", "synthfaces", "--set", "network.backbone=timm/*"]) == 2
    assert "timm/* is a family" in capsys.readouterr().err
