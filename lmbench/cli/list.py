"""``lmbench list`` and ``lmbench describe``: what there is, from specs alone, so that nothing heavy is imported."""

from __future__ import annotations

import dataclasses
import json
import textwrap
from collections.abc import Container, Mapping, Sequence
from typing import Any

import click

from lmbench.cli.table import show_table
from lmbench.config import budget, presets, setting_types
from lmbench.errors import UsageError, did_you_mean
from lmbench.plugins.loading import PluginInfo, Plugins, get_plugins
from lmbench.plugins.registry import Entry, is_family
from lmbench.printable import plain_table, printable
from lmbench.specs import (
    KIND_OF,
    BackboneSpec,
    DatasetSpec,
    HeadSpec,
    MethodSpec,
    MetricSpec,
    ObjectiveSpec,
    Spec,
    TaskSpec,
)

KINDS = ("method", "dataset", "backbone", "objective", "head", "task", "metric", "paper", "plugin")
PLURALS = "|".join(f"{kind}s" for kind in KINDS)

COLUMNS: dict[str, tuple[str, ...]] = {
    "method": ("year", "paper"),
    "dataset": ("splits", "landmarks", "folder"),
    "backbone": ("maps", "min_size"),
    "objective": ("needs_parent", "min_batch"),
    "head": ("inputs",),
    "task": ("metrics",),
    "metric": ("task", "unit", "direction"),
    "paper": ("year", "paper"),
}
"""The columns of ``lmbench list`` between name and owner, from `outline`."""


@click.command("list")
@click.argument("kind", default="methods", metavar=f"[{PLURALS}]")
@click.option("--json", "as_json", is_flag=True, help="Print an array of objects instead of a table.")
def list_components(kind: str, as_json: bool) -> None:
    """List methods (or datasets, backbones, objectives, heads, tasks, metrics, papers, plugins)."""
    kind = singular(kind)
    plugins = get_plugins()
    if kind == "plugin":
        show_plugins(plugins.infos, as_json)
        return
    ambiguous = plugins.registry(kind).clashes()
    entries: list[Entry[Any]] = sorted(plugins.registry(kind), key=lambda e: (e.spec.name, e.owner))
    components = [outline(entry, ambiguous) for entry in entries]
    if as_json:
        click.echo(to_json(components))
    else:
        shown = COLUMNS[kind]
        rows = [
            [
                c["qualified" if c["ambiguous"] else "name"],
                *(short(c[column]) for column in shown),
                c["owner"],
                c["summary"],
            ]
            for c in components
        ]
        show_table(["name", *shown, "owner", "summary"], rows, f"no {kind} is installed")
    warn_of_disabled(plugins.infos)


@click.command("describe")
@click.argument("kind", metavar=f"[{'|'.join(KINDS)}]")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print one object instead of text.")
def describe(kind: str, name: str, as_json: bool) -> None:
    """Tell all about one component: settings with their defaults, presets, source, owner."""
    kind = singular(kind)
    plugins = get_plugins()
    if kind == "plugin":
        info = find_plugin(plugins.infos, name)
        click.echo(to_json(info.to_json()) if as_json else as_text(info.to_json()))
        return
    entry = plugins.registry(kind).get(name) if is_family(name) else plugins.find(kind, name)
    facts = outline(entry, plugins.registry(kind).clashes()) | everything(entry.spec)
    if kind == "paper":
        facts |= tables_of(entry, plugins)
        if not as_json:
            facts["tables"] = {
                t["name"]: f"{t['numbers']} numbers, {t['with_a_run']} with a run" for t in facts["tables"]
            }
    if kind == "method":
        views = {name: budget.described(entry, name, plugins) for name in presets.names(entry.spec)}
        facts["image_views"] = {name: said for name, said in views.items() if said}
    if kind == "method" and not as_json:
        click.echo(recipe_of(entry.spec, facts))
        return
    click.echo(to_json(facts) if as_json else as_text(facts))


def recipe_of(spec: MethodSpec, facts: Mapping[str, Any]) -> str:
    """A method for reading: its facts, stages before what is judged of them, and its presets as their files were written."""
    written = {name: text for name in presets.names(spec) if (text := presets.text_of(spec, name).strip())}
    said = {k: v for k, v in facts.items() if k != "variants" and not (k == "presets" and written)}
    said["stages"] = [{**stage, "training": _in_a_line(stage["training"])} for stage in facts["stages"]]
    said["variants"] = [differing(variant) for variant in spec.variants]
    said["choices"] = said.pop("choices")
    files = [f"\npreset {name}\n{textwrap.indent(text, '  ')}" for name, text in written.items()]
    return "\n".join([as_text(said), *files])


def _in_a_line(training: Mapping[str, Any]) -> str:
    """All that is said of a training, as its recipe says it: ``epochs 200, batch_size 256, ... optimiser.name sgd``."""
    return ", ".join(f"{name} {value}" for name, value in _flatten(training) if value not in ("None", ""))


def tables_of(entry: Entry[Any], plugins: Plugins) -> dict[str, Any]:
    """The tables of a paper with how many numbers each has, and what its plugin says about them.

    Raises PluginError where its rows cannot be read.
    """
    from lmbench.papers.coverage import coverage
    from lmbench.papers.files import text_of
    from lmbench.papers.published import name_of, read_paper

    read_paper(entry)
    found = coverage(plugins, name_of(entry, plugins))
    tables = [{"name": t.name, "numbers": t.cells, "with_a_run": t.mapped} for t in found]
    notes = text_of(entry.spec.notes) if entry.spec.notes else ""
    return {"tables": tables, "notes": printable(notes).splitlines()}


def singular(kind: str) -> str:
    """The kind that a user names in the singular or plural. Raises UsageError with the closest one."""
    found = kind.lower().removesuffix("s")
    if found not in KINDS:
        hint = did_you_mean(kind, [f"{k}s" for k in KINDS])
        raise UsageError(f"unknown kind {kind!r}.{hint} There are {', '.join(f'{k}s' for k in KINDS)}.")
    return found


def find_plugin(infos: Sequence[PluginInfo], name: str) -> PluginInfo:
    """The plugin with this entry point, distribution or module.

    Raises UsageError: unknown, or more than one.
    """
    wanted = name.replace("_", "-").lower()
    found = [i for i in infos if name in (i.name, i.module, i.module.partition(".")[0])]
    found = found or [i for i in infos if i.distribution.replace("_", "-").lower() == wanted]
    if not found:
        known = {known for i in infos for known in (i.name, i.distribution, i.module)}
        raise UsageError(
            f"unknown plugin {name!r}.{did_you_mean(name, sorted(known))} `lmbench plugin list` shows them."
        )
    if len(found) > 1:
        raise UsageError(f"{name!r} stands for {len(found)} plugins: ask for {' or '.join(i.module for i in found)}.")
    return found[0]


def outline(entry: Entry[Any], ambiguous: Container[str]) -> dict[str, Any]:
    """What ``list --json`` tells of a component: name, summary, source, owner, and what matters for its kind."""
    spec = entry.spec
    common = {
        "name": spec.name,
        "qualified": entry.qualified,
        "kind": spec.kind,
        "summary": spec.summary,
        "paper": spec.paper,
        "year": spec.year,
        "owner": entry.owner,
        "version": entry.version,
        "ambiguous": spec.name in ambiguous,
        "family": is_family(spec.name),
    }
    return common | details(spec)


def details(spec: Spec) -> dict[str, Any]:
    """The facts of a component that only its kind has, as JSON values."""
    match spec:
        case MethodSpec():
            return {
                "variants": [v.name for v in spec.variants],
                "default_variant": spec.default_variant or (spec.variants[0].name if spec.variants else ""),
                "presets": list(presets.names(spec)),
                "supervision": spec.supervision,
                "backbone": spec.backbone,
                "tasks": list(spec.tasks),
            }
        case DatasetSpec():
            return {
                "splits": dict(spec.splits),
                "landmarks": len(spec.landmark_names),
                "size": spec.preprocessing.size,
                "folder": spec.folder,
                "embedded": not (spec.folder or is_family(spec.name)),
                "licence": spec.licence,
                "source": spec.source,
            }
        case BackboneSpec():
            return {"maps": [dataclasses.asdict(m) for m in spec.maps], "min_size": spec.min_size}
        case ObjectiveSpec():
            needs = {"needs_parent": spec.needs_parent, "needs_maps": list(spec.needs_maps)}
            return needs | {"min_batch": spec.min_batch}
        case HeadSpec():
            return {"inputs": spec.inputs}
        case TaskSpec():
            return {"metrics": list(spec.metrics)}
        case MetricSpec():
            return {
                "task": spec.task,
                "unit": spec.unit,
                "higher_is_better": spec.higher_is_better,
                "direction": "higher is better" if spec.higher_is_better else "lower is better",
                "normaliser": spec.normaliser,
            }
    return {}


def everything(spec: Spec) -> dict[str, Any]:
    """All fields of a spec as JSON values; the data version of a dataset goes by ``data_version``."""
    known = {"name", "summary", "paper", "year", *details(spec)} - {"variants", "presets"}
    rest = {
        f.name: plain(getattr(spec, f.name))
        for f in dataclasses.fields(spec)
        if f.name not in {*known, "settings", "earlier"}
    }
    rest["settings"] = plain(
        setting_types.describe(spec.settings, f"{spec.name}." if isinstance(spec, TaskSpec) else "")
    )
    if isinstance(spec, MethodSpec):
        rest["stages"] = [differing(stage) | {"training": plain(stage.training)} for stage in spec.stages]
        rest["presets"] = {name: plain(presets.of_method(spec, name)) for name in presets.names(spec)}
    if isinstance(spec, DatasetSpec):
        rest["data_version"] = rest.pop("version")
    return rest


def differing(value: Any) -> Any:
    """A stage as JSON values: what differs from the defaults of its fields, and of those of what stands in them."""
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return plain(value)
    fields = dataclasses.fields(value)
    defaults = {f.name: f.default if f.default_factory is dataclasses.MISSING else f.default_factory() for f in fields}
    given = {name: getattr(value, name) for name in defaults if getattr(value, name) != defaults[name]}
    return {name: differing(inside) for name, inside in given.items()}


def plain(value: Any) -> Any:
    """Specs, tuples and read-only mappings as dictionaries and lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(inside) for key, inside in value.items()}
    return [plain(inside) for inside in value] if isinstance(value, list | tuple | set | frozenset) else value


def to_json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def short(value: Any) -> str:
    """A fact in one table cell."""
    if isinstance(value, Mapping):
        return " ".join(f"{key}:{'?' if inside is None else inside}" for key, inside in value.items())
    if isinstance(value, list):
        return " ".join(v["name"] if isinstance(v, dict) else str(v) for v in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def as_text(facts: Mapping[str, Any]) -> str:
    """The facts for reading: one line each, lists of records and mappings as blocks below; empty ones left out."""
    lines = []
    blocks = []
    for key, value in facts.items():
        title = key.replace("_", " ")
        if value in ("", None, [], {}) or key in ("ambiguous", "family"):
            continue
        if key == "settings":
            rows = [[name, short(row["default"]) or str(row["default"]), row["type"]] for name, row in value.items()]
            blocks.append(f"\n{title}\n{plain_table(rows, '  ')}")
        elif isinstance(value, dict) or (isinstance(value, list) and isinstance(value[0], dict)):
            blocks.append(f"\n{title}\n{_block(value)}")
        elif isinstance(value, list) and key == "notes":
            blocks.append("\n".join([f"\n{title}", *(f"  {note}" for note in value)]))
        elif isinstance(value, list):
            words = ("-".join(map(str, v)) if isinstance(v, list) else str(v) for v in value)
            lines.append([title, ", ".join(words)])
        else:
            lines.append([title, short(value)])
    return "\n".join([plain_table(lines), *blocks])


def _block(value: Any) -> str:
    """An indented block: ``a.b = value`` lines of a mapping, or one such block under the name of every record."""
    if isinstance(value, dict):
        flat = _flatten(value) or [["(as the defaults)", ""]]
        return plain_table(flat, "  ")
    parts = []
    for number, record in enumerate(value, 1):
        rest = {k: v for k, v in record.items() if k != "name" and v not in ("", None, [], {}, False)}
        parts.append(f"  {record.get('name', number)}")
        if rest:
            parts.append(plain_table(_flatten(rest), "    "))
    return "\n".join(parts)


def _flatten(value: Mapping[str, Any], prefix: str = "") -> list[list[str]]:
    rows = []
    for key, inside in value.items():
        if isinstance(inside, Mapping) and inside:
            rows += _flatten(inside, f"{prefix}{key}.")
        else:
            shown = ", ".join(map(str, inside)) if isinstance(inside, list) else str(inside)
            rows.append([f"{prefix}{key}", "(as the defaults)" if inside == {} else shown])
    return rows


def show_plugins(infos: Sequence[PluginInfo], as_json: bool) -> None:
    """The plugins with distribution, version, status and how many components of each kind they bring."""
    if as_json:
        click.echo(to_json([info.to_json() for info in infos]))
        return
    rows = []
    for info in infos:
        counts = ", ".join(f"{len(info.components[k])} {k}s" for k in KIND_OF.values() if k in info.components)
        rows.append([info.name, info.distribution, info.version, info.status, info.problem or counts])
    show_table(["name", "distribution", "version", "status", "brings"], rows)


def warn_of_disabled(infos: Sequence[PluginInfo]) -> None:
    """One line on stderr where plugins could not be loaded; what they would bring is missing from the list."""
    disabled = [info.distribution for info in infos if info.status != "ok"]
    if disabled:
        click.echo(f"warning: {', '.join(disabled)} could not be loaded: see `lmbench plugin doctor`.", err=True)
