"""Finding, loading, isolating and naming plugins.

Each plugin is loaded on its own and checked whole before any part of it is registered: an import error, a misspelt
hook, a wrong return type or an unsupported interface version disables that plugin alone, with the reason and its
distribution kept for ``lmbench plugin doctor``. pluggy's own ``load_setuptools_entrypoints`` would stop at the first
broken import and drop the second of two equal entry-point names, so it is not used.
"""

from __future__ import annotations

import copy
import email
import functools
import importlib
import importlib.metadata
import inspect
import os
import re
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pluggy

from lmbench import __version__
from lmbench.errors import LmbenchError, PluginError, UsageError, did_you_mean, told
from lmbench.plugins import hooks as hookspecs
from lmbench.plugins.isolation import Watch, undisturbed
from lmbench.plugins.registry import Entry, Registry, family_member, is_family, no_member
from lmbench.plugins.spec_fields import complaints
from lmbench.printable import printable
from lmbench.specs import (
    API_VERSION,
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

ENTRY_POINT_GROUP = "lmbench"
CORE = "lmbench"
HOOK_NAMES = tuple(n for n in vars(hookspecs) if n.startswith("lmbench_"))
MOST_PARTS = 20_000
TRACEBACK_LINES = 40
_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


@dataclass(frozen=True)
class Candidate:
    """An entry point before anything of it is imported; ``problem`` says what is wrong with it already."""

    name: str
    module: str
    distribution: str
    version: str
    problem: str = ""


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

    def __init__(self) -> None:
        self.manager = _new_manager()
        self.infos: list[PluginInfo] = []
        self.preferred: tuple[str, ...] = ()
        self.backbones: Registry[BackboneSpec] = Registry("backbone")
        self.objectives: Registry[ObjectiveSpec] = Registry("objective")
        self.heads: Registry[HeadSpec] = Registry("head")
        self.datasets: Registry[DatasetSpec] = Registry("dataset")
        self.metrics: Registry[MetricSpec] = Registry("metric")
        self.tasks: Registry[TaskSpec] = Registry("task")
        self.methods: Registry[MethodSpec] = Registry("method")
        self.papers: Registry[PaperSpec] = Registry("paper")

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
        added: list[Spec] = []
        watch = Watch()
        try:
            if candidate.problem:
                raise PluginError(candidate.problem)
            with undisturbed() as watch:
                module = importlib.import_module(candidate.module)
                info.hooks = _check_hooks(module)
                specs = _collect(module)
            for kind, found in specs.items():
                for spec in found:
                    self.registry(kind).add(spec, candidate.distribution, candidate.version)
                    added.append(spec)
            self.manager.register(module, name=f"{candidate.distribution}:{candidate.name}")
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
        """(plugin, what it raised or ``""``) for each implementation of a hook, called with arguments of its own."""
        asked = []
        for implementation in getattr(self.manager.hook, hook).get_hookimpls():
            watch, complaint = Watch(), ""
            given = arguments()
            try:
                with undisturbed() as watch:
                    implementation.function(**{n: given[n] for n in implementation.argnames})
            except BaseException as error:  # an observer that calls sys.exit() does not end the run
                if isinstance(error, KeyboardInterrupt) and watch.signalled is not False:
                    raise
                complaint = printable(f"{implementation.plugin_name}: {hook}: {type(error).__name__}: {told(error)}")
            asked.append((implementation.plugin_name, complaint))
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


def installed() -> list[Candidate]:
    """Every entry point of the group ``lmbench``, sorted by distribution and name.

    ``importlib.metadata.entry_points`` is not used: one unreadable ``entry_points.txt`` anywhere would make it raise.
    """
    found: dict[str, list[Candidate]] = {}
    for distribution in importlib.metadata.distributions():
        text = _read(distribution, "entry_points.txt")
        if f"[{ENTRY_POINT_GROUP}]" not in text:
            continue
        metadata = email.message_from_string(_read(distribution, "METADATA") or _read(distribution, "PKG-INFO"))
        name, version = metadata["Name"] or "unknown", metadata["Version"] or "0"
        key = re.sub(r"[-_.]+", "-", name).lower()
        if key not in found or key == "unknown":  # the first on sys.path is the one that is imported
            found.setdefault(key, []).extend(_entry_points(text, name, version))
    return sorted((c for candidates in found.values() for c in candidates), key=lambda c: (c.distribution, c.name))


def _read(distribution: importlib.metadata.Distribution, file: str) -> str:
    """A file of a distribution's metadata, empty where it is missing or unreadable."""
    try:
        return distribution.read_text(file) or ""
    except (OSError, UnicodeDecodeError):
        return ""


def _entry_points(text: str, distribution: str, version: str) -> list[Candidate]:
    """The lines of the section ``[lmbench]`` of an entry_points.txt, mistakes noted."""
    candidates = []
    section = ""
    for line in (raw.strip() for raw in text.splitlines()):
        if line.startswith("["):
            section = line.strip("[]")
        elif section == ENTRY_POINT_GROUP and line and not line.startswith("#"):
            name, _, module = (part.strip() for part in line.partition("="))
            plain = all(part.isidentifier() for part in module.split("."))
            problem = (
                "" if plain else f"entry point {line!r}: expected NAME = package.module, the module holding the hooks."
            )
            candidates.append(Candidate(name, module, distribution, version, problem))
    return candidates


def _new_manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    return manager


def _check_hooks(module: Any) -> list[str]:
    """The hooks a module implements. Raises PluginError for all that pluggy would take in silence or too late."""
    api = getattr(module, "LMBENCH_API", None)
    if api != API_VERSION:
        said = "does not state LMBENCH_API" if api is None else f"is written for plugin interface {api}"
        raise PluginError(
            f"{module.__name__} {said}; this lmbench speaks {API_VERSION}: set LMBENCH_API = {API_VERSION}."
        )
    implemented = []
    for name, value in vars(module).items():
        where = f"{module.__name__}.{name}"
        options = getattr(value, f"{hookspecs.PROJECT}_impl", None) if inspect.isroutine(value) else None
        if options is None:
            own = getattr(value, "__module__", module.__name__) == module.__name__
            if name in HOOK_NAMES or (name.startswith("lmbench_") and inspect.isfunction(value) and own):
                raise PluginError(f"{where} lacks the decorator @hookimpl (from lmbench.api).")
            continue
        if name not in HOOK_NAMES:
            raise PluginError(f"{where} is no hook of lmbench.{did_you_mean(name, HOOK_NAMES)}")
        if any(options[o] for o in ("wrapper", "hookwrapper", "specname")):
            raise PluginError(f"{where}: a hook neither wraps the other plugins' hooks nor goes by another name.")
        if any(p.default is not p.empty for p in inspect.signature(value).parameters.values()):
            raise PluginError(f"{where}: a hook gives its arguments no defaults.")
        implemented.append(name)
    scratch = _new_manager()
    scratch.register(module)
    scratch.check_pending()
    return implemented


def _collect(module: Any) -> dict[str, list[Spec]]:
    """All specs of a module by kind, checked to be what its hooks promise."""
    collected: dict[str, list[Spec]] = {}
    for spec_type, kind in KIND_OF.items():
        hook = getattr(module, f"lmbench_{kind}s", None)
        if hook is None:
            continue
        where = f"{module.__name__}.lmbench_{kind}s"
        returned = hook()
        if not isinstance(returned, list | tuple):
            raise PluginError(
                f"{where} returned {type(returned).__name__}; a list of {spec_type.__name__} is expected."
            )
        returned = list(returned)
        if len(returned) > MOST_PARTS:
            raise PluginError(
                f"{where} brings {len(returned):,} {kind}s; up to {MOST_PARTS:,} are registered by name. A family, "
                f"'{kind}s/*', stands for any number."
            )
        for spec in returned:
            if type(spec) is not spec_type:  # a subclass may answer differently every time
                raise PluginError(f"{where} returned a {type(spec).__name__} among its {spec_type.__name__}s.")
            wrong = complaints(spec)
            if wrong:
                raise PluginError(f"{where}: {spec_type.__name__} {spec.name!r:.80}: {'; '.join(wrong)}.")
            if not isinstance(spec, MethodSpec | PaperSpec) and not _TARGET.fullmatch(spec.target):
                raise PluginError(
                    f"{where}: {spec.name!r} needs a target 'package.module:Name', found {spec.target!r}."
                )
        collected[kind] = list(cast(Sequence[Spec], returned))
    return collected
