"""Loading, isolating and naming plugins.

Each plugin is loaded on its own and checked whole before any part of it is registered: an import error, a misspelt
hook, a wrong return type or an unsupported interface version disables that plugin alone, with the reason and its
distribution kept for ``lmbench plugin doctor``.

Each has a pluggy manager of its own, and pluggy calls its hooks there: what a hook raises, returns or does to its arguments is
that plugin's alone. One manager for all would stop at the first implementation that raises, hand one copy of the arguments to
all, and leave out without a word what returns None.
"""

from __future__ import annotations

import copy
import functools
import os
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pluggy

from lmbench import __version__
from lmbench.errors import LmbenchError, PluginError, UsageError, told
from lmbench.plugins.contract import check_hooks, collect, imported, manager_of
from lmbench.plugins.finding import Candidate, installed
from lmbench.plugins.isolation import Watch, undisturbed
from lmbench.plugins.registry import Entry, Registry, family_member, is_family, no_member
from lmbench.printable import printable
from lmbench.specs import (
    KIND_OF,
    BackboneSpec,
    DatasetSpec,
    HeadSpec,
    MethodSpec,
    MetricSpec,
    ObjectiveSpec,
    PaperSpec,
    Spec,
    TaskSpec,
)

CORE = "lmbench"
TRACEBACK_LINES = 40


@dataclass
class PluginInfo:
    """What became of one plugin: ``status`` is ``ok`` or ``disabled``, ``problem`` says why in one or two lines."""

    name: str
    distribution: str
    version: str
    module: str
    status: str = "ok"
    problem: str = ""
    details: str = ""
    """The traceback of whatever the plugin raised, for its author."""
    components: dict[str, list[str]] = field(default_factory=dict)
    hooks: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return {k: v for k, v in vars(self).items() if k != "details"}


class Plugins:
    """All plugins of this process with what they bring: one registry a kind, and the observers."""

    backbones: Registry[BackboneSpec]
    objectives: Registry[ObjectiveSpec]
    heads: Registry[HeadSpec]
    datasets: Registry[DatasetSpec]
    metrics: Registry[MetricSpec]
    tasks: Registry[TaskSpec]
    methods: Registry[MethodSpec]
    papers: Registry[PaperSpec]

    def __init__(self) -> None:
        self.managers: dict[str, pluggy.PluginManager] = {}
        """Of each working plugin, by ``distribution:name``."""
        self.infos: list[PluginInfo] = []
        self.preferred: tuple[str, ...] = ()
        for kind in KIND_OF.values():
            setattr(self, f"{kind}s", Registry(kind))

    def registry(self, kind: str) -> Registry[Any]:
        """The registry of a kind, named in the singular or plural."""
        return cast(Registry[Any], getattr(self, kind.removesuffix("s") + "s"))

    def find(self, kind: str, name: str) -> Entry[Any]:
        """The entry of a component; a family's member comes with its own spec where the family describes its members.

        Raises UsageError for an unknown or ambiguous name, telling of disabled plugins, and for a family itself; what the
        member's files make it raise.
        """
        try:
            entry = self.registry(kind).get(name, self._order(kind))
        except UsageError as error:
            if kind == "dataset" and "unknown" in str(error) and os.path.isdir(os.path.expanduser(name)):
                own = f" {name} is a folder: folder:{name} reads labelled images, images:{name} unlabelled ones."
                raise UsageError(str(error) + own) from None
            broken = [i.distribution for i in self.infos if i.status != "ok"]
            if broken and "unknown" in str(error):
                hint = f" {', '.join(broken)} could not be loaded: see `lmbench plugin doctor`."
                raise UsageError(str(error) + hint) from None
            raise
        if is_family(name):
            raise no_member(name, entry)
        if isinstance(entry.spec, DatasetSpec) and entry.spec.describe:
            return replace(entry, spec=entry.spec.member(family_member(entry.spec.name, name)))
        return entry

    def _order(self, kind: str) -> tuple[str, ...]:
        """Whose part a bare name means; those who judge are lmbench's own before anybody's."""
        return (CORE, *self.preferred) if self.preferred and kind in ("task", "metric") else self.preferred

    def preferring(self, *owners: str) -> Plugins:
        """The same plugins, where a bare name of several owners means that of the first of ``owners`` who brings it."""
        view = copy.copy(self)
        view.preferred = tuple(dict.fromkeys(owners))
        return view

    def of_recipe(self, method: str, variant: str = "") -> Plugins:
        """The plugins as a method means them: its own distribution's parts, those it is made of, then lmbench's.

        Whoever else takes one of these names does not disturb its runs.
        """
        entry = self.find("method", method)
        chosen = entry.spec.variant(variant)
        needs = chosen.needs if chosen else [n for v in entry.spec.variants for n in v.needs]
        return self.preferring(entry.owner, *needs, CORE)

    def lacking(self, distributions: Iterable[str]) -> list[str]:
        """Those of some distributions that no working plugin comes from."""
        working = {info.distribution for info in self.infos if info.status == "ok"}
        return [name for name in distributions if name not in working]

    def load(self, candidate: Candidate) -> PluginInfo:
        """Imports, checks and registers one plugin; never raises for a fault of the plugin."""
        info = PluginInfo(candidate.name, candidate.distribution, candidate.version, candidate.module)
        key = f"{candidate.distribution}:{candidate.name}"
        added: list[Spec] = []
        watch = Watch()
        try:
            if candidate.problem:
                raise PluginError(candidate.problem)
            with undisturbed() as watch:
                module = imported(candidate.module)
                info.hooks = check_hooks(module)
                if any(known.is_registered(module) for known in self.managers.values()):
                    raise PluginError(f"{module.__name__} is the module of another entry point already; take one out.")
                manager = manager_of(module, key)
                specs = collect(manager, module.__name__)
            for kind, found in specs.items():
                for spec in found:
                    self.registry(kind).add(spec, candidate.distribution, candidate.version)
                    added.append(spec)
            self.managers[key] = manager
            info.components = {kind: [s.name for s in found] for kind, found in specs.items() if found}
        except BaseException as error:  # a plugin that calls sys.exit() at import is broken too
            if isinstance(error, KeyboardInterrupt) and watch.signalled is not False:
                raise
            for spec in added:
                self.registry(spec.kind).remove(spec, candidate.distribution)
            info.status = "disabled"
            info.problem = told(error) if isinstance(error, LmbenchError) else f"{type(error).__name__}: {told(error)}"
            info.details = traceback.format_exc(limit=-TRACEBACK_LINES)
        self.infos.append(info)
        return info

    def observe(self, hook: str, **arguments: Any) -> list[str]:
        """Calls every observer of ``hook``; returns what they raised, one line each, and raises nothing itself.

        Each observer gets its own copy of the run, stage and record, so that none changes what the others see.
        """
        return [complaint for _, complaint in self._asked(hook, lambda: copy.deepcopy(arguments)) if complaint]

    def offered_commands(self, group: Callable[[], Any]) -> list[tuple[str, Any, str]]:
        """(plugin, its group with the commands it added, what it raised) for each plugin that offers some.

        Each gets a ``group`` of its own, so that none sees or changes another's commands or lmbench's.
        """
        groups: list[Any] = []

        def given() -> dict[str, Any]:
            groups.append(group())
            return {"cli": groups[-1]}

        asked = self._asked("lmbench_commands", given)
        return [(name, cli, complaint) for (name, complaint), cli in zip(asked, groups, strict=True)]

    def _asked(self, hook: str, arguments: Callable[[], dict[str, Any]]) -> list[tuple[str, str]]:
        """(plugin, what it raised or ``""``) for each that implements a hook, called with arguments of its own."""
        asked = []
        for name, manager in self.managers.items():
            caller = getattr(manager.hook, hook)
            if not caller.get_hookimpls():
                continue
            watch, complaint = Watch(), ""
            given = arguments()
            try:
                with undisturbed() as watch:
                    caller(**given)
            except BaseException as error:  # an observer that calls sys.exit() does not end the run
                if isinstance(error, KeyboardInterrupt) and watch.signalled is not False:
                    raise
                complaint = printable(f"{name}: {hook}: {type(error).__name__}: {told(error)}")
            asked.append((name, complaint))
        return asked


def load_plugins(candidates: Iterable[Candidate] | None = None) -> Plugins:
    """The built-in parts and every installed plugin (or just ``candidates``), each isolated from the others."""
    plugins = Plugins()
    builtin = plugins.load(Candidate("builtin", "lmbench.builtin", CORE, __version__))
    if builtin.status != "ok":
        raise PluginError(f"lmbench's own parts do not load: {builtin.problem}\n{builtin.details}")
    for candidate in installed() if candidates is None else candidates:
        plugins.load(candidate)
    return plugins


@functools.cache
def get_plugins() -> Plugins:
    """The plugins of this process, found once."""
    return load_plugins()
