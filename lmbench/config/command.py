"""The command line that a configuration comes of: how somebody else repeats a run."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from lmbench.config.model import RunConfig, merge
from lmbench.config.plain import Tree
from lmbench.config.resolving import resolve_run
from lmbench.plugins.loading import Plugins

FLAGS = ("allow_test_images", "partial")
MOST_ROUNDS = 5  # a head that is named brings settings of its own, which may be set in turn


def command_of(config: RunConfig, plugins: Plugins, precision: str = "") -> tuple[str, bool]:
    """``lmbench run ...`` for a configuration, and whether it gives that very one with what is installed.

    ``precision``: the one that was computed in, where the configuration leaves it to the machine. Raises LmbenchError where a
    part of it is not installed.
    """
    wanted = config.dump()
    asked: dict[str, Any] = {}
    for _ in range(MOST_ROUNDS):
        made = _resolved(config, plugins, asked)
        if made == wanted:
            break
        for path, value in _differences(made, wanted):
            asked = merge(asked, _nested(path, value))
    words = ["lmbench", "run", "--method", config.method, "--variant", config.variant, "--dataset", config.dataset]
    if config.pretrain_on not in ("", config.dataset):
        words += ["--pretrain-on", config.pretrain_on]
    words += ["--preset", config.preset, "--seed", str(config.seed), *(["--untrained"] if config.untrained else [])]
    chosen = precision if config.precision == "auto" and precision else config.precision
    words += [] if chosen == "auto" else ["--precision", chosen]
    words += [f"--{flag.replace('_', '-')}" for flag in FLAGS if getattr(config, flag)]
    for path, value in _leaves(asked):
        if path == ("tasks",):
            words += ["--tasks", ",".join(value)]
        elif path[0] not in (*FLAGS, "precision"):
            words += ["--set", f"{'.'.join(path)}={_literal(value)}"]
    return shlex.join(words), made == wanted


def _resolved(config: RunConfig, plugins: Plugins, asked: Tree) -> dict[str, Any]:
    """What the options alone give with some settings."""
    return resolve_run(
        plugins,
        config.method,
        config.dataset,
        preset=config.preset,
        variant=config.variant,
        pretrain_on=config.pretrain_on,
        seed=config.seed,
        untrained=config.untrained,
        overrides=[asked],
    ).dump()


def _differences(made: Tree, wanted: Tree) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The settings that both trees have, with the wanted value where it is another."""
    for name, value in wanted.items():
        own = made.get(name)
        if isinstance(value, Mapping) and isinstance(own, Mapping):
            yield from (((name, *path), inside) for path, inside in _differences(own, value))
        elif name in made and own != value:
            yield (name,), value


def _leaves(tree: Tree) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from (((name, *path), inside) for path, inside in _leaves(value))
        else:
            yield (name,), value


def _nested(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    for name in reversed(path):
        value = {name: value}
    return dict(value)


def _literal(value: Any) -> str:
    """A value as ``--set`` reads it back."""
    if isinstance(value, str) and value.replace("_", "").isalpha() and value.lower() not in ("true", "false", "none"):
        return value
    text = repr(value)
    return text if '"' in text or "\\" in text else text.replace("'", '"')  # the shell's own quotes stay outside
