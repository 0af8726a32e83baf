"""``lmbench completion``: the script of a shell, and the names that it offers for options; nothing heavy is imported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
from click.shell_completion import CompletionItem, get_completion_class

from lmbench.errors import LmbenchError, UsageError

VARIABLE = "_LMBENCH_COMPLETE"
Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of SHELL.

    For bash: eval "$(lmbench completion bash)" in ~/.bashrc; likewise for zsh. For fish: lmbench completion fish >
    ~/.config/fish/completions/lmbench.fish
    """
    from lmbench.cli.main import cli

    kind = get_completion_class(shell)
    if kind is None:
        raise UsageError(f"{shell}: no completion is known for this shell.")
    click.echo(kind(cli, {}, "lmbench", VARIABLE).source())


def names_of(kind: str) -> Completer:
    """Completes the names of a kind of component: of the last one where several stand with commas."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from lmbench.plugins.loading import get_plugins

        before, comma, begun = incomplete.rpartition(",")
        found = get_plugins().registry(kind).names()
        return [CompletionItem(before + comma + name) for name in sorted(found) if name.startswith(begun)]

    return complete


def variants(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Completes the variants of the method that stands on the line."""
    before, comma, begun = incomplete.rpartition(",")
    known = _variants_of(ctx.params.get("method") or "")
    return [CompletionItem(before + comma + name) for name in known if name.startswith(begun)]


def _variants_of(method: str) -> list[str]:
    from lmbench.plugins.loading import get_plugins

    try:
        return [v.name for v in get_plugins().find("method", method).spec.variants]
    except LmbenchError:
        return []


def outputs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Completes methods, and behind ``METHOD/`` its variants."""
    before, comma, begun = incomplete.rpartition(",")
    method, stroke, variant = begun.rpartition("/")
    if not stroke:
        return names_of("method")(ctx, param, incomplete)
    return [
        CompletionItem(f"{before}{comma}{method}/{name}") for name in _variants_of(method) if name.startswith(variant)
    ]


def run_folders(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Completes the runs below ``--runs``, else what any path completes to."""
    runs = Path(ctx.params.get("runs") or "runs")
    names = sorted(p.name for p in runs.glob("*/") if (p / "record.json").is_file()) if runs.is_dir() else []
    given = [n for n in (f"{runs}/{name}" for name in names) if n.startswith(incomplete)]
    return [CompletionItem(name) for name in given] or [CompletionItem(incomplete, type="file")]
