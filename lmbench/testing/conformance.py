"""One generator of small checks with three faces: a function, a pytest parametrisation, and a report.

An empty set of checks fails: a kit that silently checks nothing would stay green for ever.
"""

from __future__ import annotations

import functools
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from lmbench.errors import LmbenchError, UsageError, did_you_mean
from lmbench.plugins.finding import Candidate, installed
from lmbench.plugins.loading import CORE, PluginInfo, Plugins, get_plugins, load_plugins
from lmbench.plugins.registry import is_family
from lmbench.specs import Spec
from lmbench.testing import evaluation_checks, method_checks, network_checks, paper_checks, plugin_checks

if TYPE_CHECKING:
    import pytest

EXPECTED_FAILURES = "LMBENCH_EXPECTED_FAILURES"
"""A plugin module may hold a mapping of this name: id of a check -> why it is known to fail."""

Outcome = Literal["passed", "failed", "expected failure", "unexpected pass"]

COMPONENT_CHECKS: dict[str, tuple[Callable[[Any, Plugins], None], ...]] = {
    "backbone": network_checks.BACKBONE,
    "objective": network_checks.OBJECTIVE,
    "head": evaluation_checks.HEAD,
    "dataset": evaluation_checks.DATASET,
    "metric": evaluation_checks.METRIC,
    "task": evaluation_checks.TASK,
    "method": (*method_checks.METHOD, *paper_checks.METHOD),
    "paper": paper_checks.PAPER,
}


@dataclass(frozen=True)
class Check:
    """One promise of one component. Calling it raises where the promise is not kept.

    ``expected_failure``: why it is known to fail; then it *must* fail, and passing is reported as a failure.
    """

    kind: str
    component: str
    name: str
    run: Callable[[], None]
    expected_failure: str = ""

    @property
    def id(self) -> str:
        return f"{self.kind}:{self.component}:{self.name}"

    def __call__(self) -> None:
        self.run()


@dataclass(frozen=True)
class Result:
    """What became of one check; ``message`` says why it failed, ``details`` holds the traceback."""

    check: Check
    outcome: Outcome
    message: str
    seconds: float
    details: str = ""

    @property
    def ok(self) -> bool:
        return self.outcome in ("passed", "expected failure")


@dataclass
class Report:
    """All results of a run of the kit. ``ok`` needs at least one check and no failure."""

    results: list[Result] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return bool(self.results) and all(r.ok for r in self.results)

    def count(self, outcome: Outcome) -> int:
        return sum(r.outcome == outcome for r in self.results)

    def summary(self) -> str:
        """``"31 checks: 30 passed, 1 failed"``."""
        outcomes: tuple[Outcome, ...] = ("passed", "expected failure", "failed", "unexpected pass")
        counts = ", ".join(f"{self.count(o)} {o}" for o in outcomes if self.count(o))
        return (
            f"{len(self.results)} checks: {counts}"
            if self.results
            else "0 checks: nothing was checked, which is a failure"
        )


Plugin = ModuleType | str | PluginInfo | Iterable[PluginInfo]


def conformance_checks(
    plugin: Plugin, plugins: Plugins | None = None, expected_failures: Mapping[str, str] | None = None
) -> Iterator[Check]:
    """Every check that applies to a plugin: of itself first, then of each component it brings.

    Args:
        plugin: the module with the hooks (installed or not), its name, or what ``Plugins`` knows of one or more.
        plugins: where to look; left out, all installed ones, and the module itself where it is not installed.
        expected_failures: id of a check -> why it is known to fail; added to the module's own
            ``LMBENCH_EXPECTED_FAILURES``. An id that names no check is a failure itself.
    """
    if isinstance(plugin, ModuleType | str):
        name = plugin if isinstance(plugin, str) else plugin.__name__
        plugins = plugins or _plugins_with(name)
        infos = [i for i in plugins.infos if i.module == name]
    else:
        plugins = plugins or get_plugins()
        infos = [plugin] if isinstance(plugin, PluginInfo) else list(plugin)
    for info in infos:
        expected = {**plugin_checks.declared(info, EXPECTED_FAILURES), **(expected_failures or {})}
        checks = list(_checks_of(info, plugins.preferring(info.distribution, CORE)))
        for check in checks:
            yield _expecting(check, expected)
        if expected:
            ids = [check.id for check in checks]
            yield Check("plugin", info.name, "expected_failures_name_checks", functools.partial(_named, expected, ids))


def parametrize(
    plugin: Plugin, plugins: Plugins | None = None, expected_failures: Mapping[str, str] | None = None
) -> pytest.MarkDecorator:
    """A pytest mark that runs a test once a check, passed as ``check``; known failures are strict xfails.

    Raises UsageError where there is nothing to check, so that the test module fails instead of staying green.
    """
    import pytest

    parameters = []
    for check in conformance_checks(plugin, plugins, expected_failures):
        reason = check.expected_failure
        marks = [pytest.mark.xfail(reason=reason, strict=True)] if reason else []
        parameters.append(pytest.param(check, id=check.id, marks=marks))
    if not parameters:
        raise UsageError(f"{plugin!r}: there is nothing to check.")
    return pytest.mark.parametrize("check", parameters)


def run_checks(checks: Iterable[Check], tell: Callable[[Result], None] | None = None) -> Report:
    """The report of all checks, run one after the other; ``tell`` is called with each result as it comes."""
    report = Report()
    for check in checks:
        started = time.perf_counter()
        message = details = ""
        try:
            check()
            failed = False
        except Exception as error:  # whatever a plugin raises is a failed check
            failed = True
            said = str(error) or type(error).__name__
            message = said if isinstance(error, AssertionError | LmbenchError) else f"{type(error).__name__}: {said}"
            details = traceback.format_exc()
        outcome: Outcome = "failed" if failed else "passed"
        if check.expected_failure:
            outcome = "expected failure" if failed else "unexpected pass"
            message = (
                check.expected_failure if failed else f"it passes, so this is out of date: {check.expected_failure}"
            )
        result = Result(check, outcome, message, time.perf_counter() - started, details)
        report.results.append(result)
        if tell:
            tell(result)
    return report


def check_plugin(
    plugin: Plugin, plugins: Plugins | None = None, expected_failures: Mapping[str, str] | None = None
) -> Report:
    """The report of a plugin that keeps to all.

    Raises AssertionError naming every check that fails, or that none ran.
    """
    report = run_checks(conformance_checks(plugin, plugins, expected_failures))
    if not report.ok:
        lines = [f"  {r.check.id}: {r.message}" for r in report.results if not r.ok]
        raise AssertionError("\n".join([report.summary(), *lines]))
    return report


def _plugins_with(module: str) -> Plugins:
    """The installed plugins, and the one in ``module`` where it is not among them."""
    if any(c.module == module for c in (*installed(), Candidate("builtin", "lmbench.builtin", "lmbench", ""))):
        return get_plugins()
    return load_plugins([*installed(), Candidate(module.partition(".")[0], module, module.partition(".")[0], "0")])


def _checks_of(info: PluginInfo, plugins: Plugins) -> Iterator[Check]:
    for plugin_check in plugin_checks.PLUGIN if info.status == "ok" else plugin_checks.PLUGIN[:1]:
        yield Check("plugin", info.name, plugin_check.__name__, functools.partial(plugin_check, info))
    for kind, names in info.components.items():
        for name in names:
            entry = next(e for e in plugins.registry(kind) if e.owner == info.distribution and e.spec.name == name)
            spec: Spec = entry.spec
            for component_check in COMPONENT_CHECKS[kind]:
                if not is_family(name) or component_check in plugin_checks.FOR_FAMILIES:
                    run = functools.partial(component_check, spec, plugins)
                    yield Check(kind, name, component_check.__name__, run)


def _expecting(check: Check, expected: Mapping[str, str]) -> Check:
    reason = expected.get(check.id, "")
    return Check(check.kind, check.component, check.name, check.run, reason)


def _named(expected: Mapping[str, str], ids: list[str]) -> None:
    """Raises where an expected failure names no check or gives no reason."""
    for name, reason in expected.items():
        if name not in ids:
            raise AssertionError(f"expected failure {name!r} names no check.{did_you_mean(name, ids)}")
        if not reason.strip():
            raise AssertionError(f"expected failure {name!r} gives no reason")
