"""Plugins of a hostile or unlucky hand, each by what is wrong with it: source, and words of the doctor's diagnosis."""

from __future__ import annotations

from pathlib import Path

from fake_plugins import install, write_module

BACKBONE = """
@hookimpl
def lmbench_backbones():
    return [BackboneSpec(name={name}, summary={summary}, target="a:b")]
"""


def backbone(name: str, summary: str = "'s'") -> str:
    return BACKBONE.format(name=name, summary=summary)


# What the doctor has to say; "" where the plugin stays enabled and only must not disturb.
SOURCES: dict[str, tuple[str, str]] = {
    "text_raises": ("class E(Exception):\n    def __str__(self): raise E\n    __repr__ = __str__\nraise E", "text cannot be had"),
    "text_exits": ("class E(Exception):\n    def __str__(self): raise SystemExit(3)\nraise E", "its text cannot be had"),
    "text_is_huge": ("raise ValueError('x' * 10_000_000)", "ValueError: xxx"),
    "surrogate_in_message": ("raise ValueError('a\\ud800b\\x1b[31mred')", "ValueError: a\\ud800b\\x1b[31mred"),
    "surrogate_in_summary": (backbone("'sur'", "'a\\ud800'"), "letters that are none"),
    "escape_in_summary": (backbone("'esc'", "'\\x1b[2Jgone'"), "control characters"),
    "newline_escape_in_name": (backbone("'a\\x1b[2J'"), "name: letters, digits"),
    "huge_summary": (backbone("'huge'", "'x' * 5_000_000"), "5,000,000 letters"),
    "huge_name": (backbone("'x' * 5000"), "name: letters, digits"),
    "exits": ("import sys\nsys.exit(0)", "SystemExit: 0"),
    "interrupts": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "generator_exit": ("raise GeneratorExit", "GeneratorExit"),
    "recursion": ("def f(): f()\nf()", "RecursionError"),
    "memory": ("x = bytearray(1 << 60)", "Error"),
    "returns_a_generator": ("@hookimpl\ndef lmbench_heads():\n    yield 1", "returned generator"),
    "returns_itself": ("x = []\nx.append(x)\n@hookimpl\ndef lmbench_heads():\n    return x", "returned a list among"),
    "returns_none": ("@hookimpl\ndef lmbench_heads():\n    return None", "returned NoneType"),
    "subclass": (
        "class Sly(HeadSpec):\n    @property\n    def name(self): raise ValueError\n"
        "@hookimpl\ndef lmbench_heads(): return [object.__new__(Sly)]",
        "returned a Sly among its HeadSpecs",
    ),
    "nested": (
        "x = {}\nx['x'] = x\n@hookimpl\ndef lmbench_heads(): return [HeadSpec(name='n', summary='', target='a:b', fixed=x)]",
        "",
    ),
    "none_command": ("@hookimpl\ndef lmbench_commands(cli): cli.add_command(None, 'nothing')", ""),
    "command_without_name": ("import click\n@hookimpl\ndef lmbench_commands(cli): cli.add_command(click.Command(None))", ""),
    "command_is_text": ("@hookimpl\ndef lmbench_commands(cli): cli.commands['text'] = 'text'", ""),
    "command_takes_verb": ("import click\n@hookimpl\ndef lmbench_commands(cli): cli.add_command(click.Command('run'))", ""),
    "command_breaks_group": ("@hookimpl\ndef lmbench_commands(cli): cli.commands.clear(); cli.params = None", ""),
    "command_help_raises": (
        "import click\nclass C(click.Command):\n    def get_short_help_str(self, limit=45): raise SystemExit(1)\n"
        "@hookimpl\ndef lmbench_commands(cli): cli.add_command(C('fine'))",
        "",
    ),
    "command_hook_raises": ("@hookimpl\ndef lmbench_commands(cli): raise KeyboardInterrupt", ""),
    "prints": ("print('on stdout')", ""),
    "writes_to_descriptor": ("import os\nos.write(1, b'raw bytes on 1\\n')", ""),
    "prints_from_c": ("import ctypes\nlibc = ctypes.CDLL(None)\nlibc.puts(b'from C')\nlibc.fflush(None)", ""),
    "prints_from_a_process": ("import subprocess\nsubprocess.run(['echo', 'from a process'])", ""),
    "prints_at_exit": ("import atexit, os\natexit.register(os.write, 1, b'at exit\\n')\natexit.register(print, 'end')", ""),
    "keeps_stdout": ("import sys\nsys.__stdout__.write('kept\\n')", ""),
    "replaces_stdout": ("import io, sys\nsys.stdout = io.StringIO()\nsys.stderr = io.StringIO()", ""),
    "arguments": ("import sys\nsys.argv[:] = ['lmbench', 'run']\nsys.argv.append('x')", ""),
    "folder": ("import os\nos.chdir('/')", ""),
    "environment": ("import os\nos.environ['LMBENCH_CACHE'] = '/nowhere'\nos.environ['LMBENCH_DATA'] = '/nowhere'", ""),
    "warnings": ("import warnings\nwarnings.simplefilter('error')\nwarnings.showwarning = None", ""),
    "signals": ("import signal\nfor s in (2, 15): signal.signal(s, signal.SIG_IGN)", ""),
    "excepthook": ("import sys\nsys.excepthook = lambda *a: print('hooked')\nsys.setrecursionlimit(60)", ""),
    "ten_thousand_names": (
        "@hookimpl\ndef lmbench_objectives():\n"
        "    return [ObjectiveSpec(name=f'many{i}', summary='one of many', target='a:b') for i in range(10_000)]",
        "",
    ),
    "too_many_names": (
        "@hookimpl\ndef lmbench_heads(): return [HeadSpec(name=f'h{i}', summary='s', target='a:b') for i in range(30_000)]",
        "brings 30,000 heads",
    ),
    "takes_names": (
        "@hookimpl\ndef lmbench_objectives(): return [ObjectiveSpec(name=n, summary='stolen', target='nowhere:Nothing') "
        "for n in ('byol', 'moco', 'lead', 'dve')]\n"
        "@hookimpl\ndef lmbench_backbones(): return [BackboneSpec(name='resnet18', summary='stolen', target='nowhere:Nothing')]\n"
        "@hookimpl\ndef lmbench_heads(): return [HeadSpec(name='converged', summary='mine', target='nowhere:No')]\n"
        "@hookimpl\ndef lmbench_tasks(): return [TaskSpec(name='regression', summary='stolen', target='nowhere:No')]\n"
        "@hookimpl\ndef lmbench_metrics(): return [MetricSpec(name='iod', summary='s', target='nowhere:No', task='regression', "
        "unit='percent', higher_is_better=True)]",
        "",
    ),
}  # fmt: skip


def install_all(folder: Path, *names: str) -> None:
    """Installs those plugins (all, where none is named) so that they are found where ``folder`` is on the path."""
    for name in names or SOURCES:
        write_module(folder, f"hostile_{name}", SOURCES[name][0])
        install(folder, f"hostile-{name.replace('_', '-')}", f"[lmbench]\n{name} = hostile_{name}\n")
