"""The ``lmbench`` command: a lazy group, and the one place where errors become messages and exit codes."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from lmbench import __version__
from lmbench.cli.streams import guarded
from lmbench.errors import LmbenchError, did_you_mean, told

VERBS = {
    "run": ("lmbench.cli.run:run", "Train, freeze and judge a method on a dataset; leaves one record."),
    "list": (
        "lmbench.cli.list:list_components",
        "List methods, datasets, papers, backbones, objectives, heads, tasks, metrics.",
    ),
    "describe": ("lmbench.cli.list:describe", "All about one component: settings, presets, source, owner."),
    "data": ("lmbench.cli.data:data", "List, prepare, verify and show datasets."),
    "leaderboard": (
        "lmbench.cli.leaderboard:leaderboard",
        "Build, show or check the leaderboards; as a page to look at.",
    ),
    "report": (
        "lmbench.cli.report:report",
        "One page about runs: protocol, numbers, curves, pictures, cost, provenance.",
    ),
    "compare": ("lmbench.cli.compare:compare", "Compare methods on the same images, over their seeds and draws."),
    "reproduce": ("lmbench.cli.reproduce:reproduce", "Any table of the papers by name: published beside measured."),
    "campaign": ("lmbench.cli.campaign:campaign", "Many runs from one file: plan, do, continue, build the boards."),
    "runs": ("lmbench.cli.runs:runs", "List the runs of a folder and their stages; remove some."),
    "plugin": ("lmbench.cli.plugin:plugin", "List, diagnose, start and check plugins."),
    "figure": ("lmbench.cli.figure:figure", "Figures of finished runs for a paper: PDF, SVG or PNG."),
    "predict": ("lmbench.cli.predict:predict", "Landmarks of your own images and videos, by the heads of a run."),
    "fit": ("lmbench.cli.fit:fit", "A head for your own points, on the frozen network of a run."),
    "label": ("lmbench.cli.label:label", "Click landmarks on your own images, on a page of this machine."),
    "match": ("lmbench.cli.match:match", "Find points of one image in others, by the features of a run."),
    "export": ("lmbench.cli.export:export", "A run's network and head as one file: lmbench's own, ONNX, torch."),
    "completion": ("lmbench.cli.completion:completion", "Print the script by which a shell completes lmbench."),
}

COMMAND = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


class LazyGroup(click.Group):
    """Knows its verbs by name and one line; imports a verb's module when it is called."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._lines: dict[str, str] = {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        self._add_plugin_commands()
        return list(VERBS) + sorted(set(self.commands) - set(VERBS))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in VERBS:
            module, _, attribute = VERBS[cmd_name][0].partition(":")
            command: click.Command = getattr(importlib.import_module(module), attribute)
            return command
        self._add_plugin_commands()
        return super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if self.get_command(ctx, args[0]) is None:
            known = [*VERBS, *self.commands]
            raise click.UsageError(f"no such command {args[0]!r}.{did_you_mean(args[0], known)}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The verbs with their lines, without importing any of them."""
        rows = []
        for name in self.list_commands(ctx):
            line = VERBS[name][1] if name in VERBS else self._lines[name]
            rows.append((name, line))
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def _add_plugin_commands(self) -> None:
        """Adds the plugins' verbs once; one that is none, fails or takes a verb that is there is left out and named."""
        if getattr(self, "_asked_plugins", False):
            return
        self._asked_plugins = True
        from lmbench.plugins.loading import get_plugins

        for plugin, group, complaint in get_plugins().offered_commands(click.Group):
            complaints = [complaint] if complaint else []
            for name, command in list(group.commands.items()):
                problem = self._problem(name, command)
                if problem:
                    complaints.append(f"{plugin}: lmbench_commands: {problem}")
                else:
                    self.add_command(command, name)
            for said in complaints:
                click.echo(f"warning: {said}", err=True)

    def _problem(self, name: Any, command: Any) -> str:
        """What is wrong with a plugin's command, or ``""``; its line for the list of commands is kept."""
        if type(name) is not str or not COMMAND.fullmatch(name):
            return f"{name!r:.60} is no name of a command: small letters, digits and - are expected"
        if not isinstance(command, click.Command):
            return f"the command {name!r} is {type(command).__name__}; a click.Command is expected"
        if name in VERBS or name in self.commands:
            return f"the command {name!r} exists already"
        try:
            self._lines[name] = " ".join(command.get_short_help_str(80).split())[:200]
        except (Exception, SystemExit) as error:
            return f"the command {name!r} cannot be listed: {type(error).__name__}: {told(error)}"
        return ""


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="lmbench")
@click.option("-q", "--quiet", is_flag=True, help="Show results, warnings and errors alone.")
@click.pass_context
def cli(ctx: click.Context, quiet: bool) -> None:
    """One protocol for unsupervised and self-supervised learning of object landmarks.

    lmbench run --method lead --dataset synthfaces     trains, freezes, judges and records.
    """
    if quiet:
        from lmbench import progress

        ctx.with_resource(progress.quiet())


def main(argv: list[str] | None = None) -> None:
    """Runs the command line and exits: 0 ok, 1 failed, 2 usage, 3 stale, 4 partly done, 5 data missing, 130 Ctrl-C."""
    try:
        code = run_cli(argv)
    finally:
        with contextlib.suppress(OSError, ValueError):
            os.dup2(2, 1)  # what anything loaded prints on its way out is no result
    sys.exit(code)


def run_cli(argv: list[str] | None = None) -> int:
    """The exit code of a command line; messages go to stderr, and nobody sees a traceback for a mistake of his own."""
    _without_a_display()
    with guarded():
        return _run(argv)


def _without_a_display() -> None:
    """Figures are files: no backend, window system, font or cache of the user's matplotlib has a say in them, or is told of."""
    os.environ["MPLBACKEND"] = "agg"
    logging.getLogger("matplotlib").setLevel(logging.ERROR)


def _run(argv: list[str] | None) -> int:
    try:
        with terminable():
            result: Any = cli.main(argv, prog_name="lmbench", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("\ninterrupted. The same command goes on where it stopped.", err=True)
        return 130
    except LmbenchError as error:
        click.echo(f"error: {error}", err=True)
        return error.exit_code
    except BrokenPipeError:  # `| head`: what is left in the buffer would complain again at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        click.echo(f"error: {error.filename or 'operating system'}: {error.strerror or error}", err=True)
        return 1


@contextmanager
def terminable() -> Iterator[None]:
    """A block that SIGTERM ends as Ctrl-C does: drafts are removed, and the user is told how to go on."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    old = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, old)
