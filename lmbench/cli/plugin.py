"""``lmbench plugin``: list, diagnose, start and check plugins."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NotRequired, TypedDict

import click

from lmbench.cli.list import find_plugin, show_plugins, to_json
from lmbench.plugins.loading import PluginInfo, Plugins, get_plugins
from lmbench.specs import KIND_OF

if TYPE_CHECKING:
    from lmbench.testing.conformance import Result


@click.group()
def plugin() -> None:
    """List, diagnose, start and check plugins."""


@plugin.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print an array of objects instead of a table.")
def list_plugins(as_json: bool) -> None:
    """List every plugin with its distribution, version, status and what it brings."""
    show_plugins(get_plugins().infos, as_json)


@plugin.command()
@click.option("--json", "as_json", is_flag=True, help="Print one object instead of text.")
@click.option("--verbose", is_flag=True, help="Show the traceback of what could not be loaded.")
@click.pass_context
def doctor(context: click.Context, as_json: bool, verbose: bool) -> None:
    """Tell what is wrong with which plugin. Exit code 1 where one is disabled or two bring one name."""
    plugins = get_plugins()
    found = clashes(plugins)
    disabled = [info for info in plugins.infos if info.status != "ok"]
    if as_json:
        tracebacks = {"details"} if verbose else set()
        infos = [info.to_json() | {k: getattr(info, k) for k in tracebacks} for info in plugins.infos]
        click.echo(to_json({"ok": not (found or disabled), "plugins": infos, "clashes": found}))
    else:
        click.echo("\n\n".join(_diagnosis(info, verbose) for info in plugins.infos))
        click.echo(f"\n{_verdict(plugins.infos, disabled, found)}")
    if found or disabled:
        context.exit(1)


class Clash(TypedDict):
    """A name that more than one distribution brings, with the ``qualified`` names to ask for instead."""

    kind: str
    name: str
    qualified: list[str]


class Checked(TypedDict):
    """What a check of the conformance kit said. ``details``: a traceback, where it was asked for."""

    id: str
    outcome: str
    message: str
    seconds: float
    details: NotRequired[str]


@plugin.command()
@click.argument("name")
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="Folder to make it in.  [the current one]",
)
def new(name: str, folder: Path) -> None:
    """Start a plugin: a distribution with one objective, one method and its tests, ready to install."""
    from lmbench.cli.skeleton import write_skeleton

    place = write_skeleton(name, folder, get_plugins())
    click.echo(str(place))
    click.echo(f"install it with `uv pip install -e {place}`, then `lmbench plugin check {place.name}`.", err=True)


@plugin.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print one object instead of lines.")
@click.option("--verbose", is_flag=True, help="Show the traceback of every failure.")
@click.pass_context
def check(context: click.Context, name: str, as_json: bool, verbose: bool) -> None:
    """Run the conformance kit on an installed plugin (distribution, module or entry point)."""
    plugins = get_plugins()
    info = find_plugin(plugins.infos, name)
    from lmbench.testing.conformance import conformance_checks, run_checks

    def tell(result: Result) -> None:
        if not as_json:
            click.echo(_line(result))
            if verbose and result.details and not result.ok:
                click.echo(result.details.rstrip())

    report = run_checks(conformance_checks(info, plugins), tell)
    if as_json:
        results = [_result(r, verbose) for r in report.results]
        click.echo(to_json({"plugin": info.name, "ok": report.ok, "summary": report.summary(), "checks": results}))
    else:
        click.echo(f"{info.distribution} {info.version}: {report.summary()}")
    if not report.ok:
        context.exit(1)


def clashes(plugins: Plugins) -> list[Clash]:
    """The names that more than one distribution brings."""
    return [
        {"kind": kind, "name": name, "qualified": [f"{e.owner}:{name}" for e in entries]}
        for kind in KIND_OF.values()
        for name, entries in plugins.registry(kind).clashes().items()
    ]


def _diagnosis(info: PluginInfo, verbose: bool) -> str:
    """One plugin in a few lines: who it is, what is wrong, what it brings."""
    mark = "ok      " if info.status == "ok" else "DISABLED"
    lines = [f"{mark}  {info.name}  ({info.distribution} {info.version}, {info.module})"]
    if info.problem:
        lines.append(f"  problem: {info.problem}")
    if info.hooks:
        lines.append(f"  hooks: {', '.join(info.hooks)}")
    lines += [f"  {kind}s: {', '.join(names)}" for kind, names in info.components.items()]
    if verbose and info.details:
        lines += ["    " + line for line in info.details.rstrip().splitlines()]
    return "\n".join(lines)


def _verdict(infos: Sequence[PluginInfo], disabled: Sequence[PluginInfo], found: Sequence[Clash]) -> str:
    lines = [f"clash: {c['kind']} {c['name']!r}: ask for {' or '.join(c['qualified'])}" for c in found]
    names = f" ({', '.join(i.distribution for i in disabled)})" if disabled else ""
    counts = f"{len(infos)} plugins, {len(disabled)} disabled{names}, {len(found)} name clashes"
    return "\n".join([*lines, counts])


def _line(result: Result) -> str:
    outcome = {"passed": "pass", "failed": "FAIL", "expected failure": "xfail", "unexpected pass": "XPASS"}
    said = f"  {result.message}" if result.message else ""
    return f"{outcome[result.outcome]:5}  {result.check.id}{said}"


def _result(result: Result, verbose: bool) -> Checked:
    facts: Checked = {
        "id": result.check.id,
        "outcome": result.outcome,
        "message": result.message,
        "seconds": round(result.seconds, 3),
    }
    return {**facts, "details": result.details} if verbose else facts
