"""The conformance kit: it passes what keeps its promises, finds every fault it looks for, and never checks nothing."""

from __future__ import annotations

import functools
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import faulty_parts
import pytest
import torch
from fake_plugins import install, method, write_module

from lmbench.errors import UsageError
from lmbench.plugins import CORE, Plugins, load_plugins
from lmbench.specs import (
    BackboneSpec,
    DatasetSpec,
    HeadSpec,
    MapSpec,
    MethodSpec,
    MetricSpec,
    ObjectiveSpec,
    Preprocessing,
    Spec,
    StageSpec,
    TaskSpec,
    VariantSpec,
)
from lmbench.testing import Check, check_plugin, conformance_checks, parametrize, run_checks
from lmbench.testing.conformance import COMPONENT_CHECKS
from lmbench.testing.plugin_checks import PLUGIN

COUNTER = itertools.count()
LIGHT = ("backbone:resnet18", "head", "dataset", "metric", "task", "method", "objective", "plugin")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


BACKBONE = BackboneSpec(
    name="tiny",
    summary="two convolutions",
    target="faulty_parts:Backbone",
    settings={"fault": "", "width": 4},
    maps=(MapSpec("shallow", None, 4), MapSpec("deep", 8, 8)),
)
OBJECTIVE = ObjectiveSpec(
    name="agreement",
    summary="two views agree",
    target="faulty_parts:Agreement",
    settings={"fault": ""},
    needs_maps=("deep",),
)
HEAD = HeadSpec(name="mean", summary="the mean", target="faulty_parts:MeanHead", settings={"fault": ""})
METRIC = MetricSpec(
    name="pixels",
    summary="mean distance",
    target="faulty_parts:pixel_error",
    task="regression",
    unit="px",
    higher_is_better=False,
)
DATASET = DatasetSpec(
    name="faces",
    summary="faces",
    target="faulty_parts:load",
    splits={"train": 10, "test": None},
    preprocessing=Preprocessing(resize=96),
    landmark_names=("left", "right", "nose"),
    eyes=(0, 1),
    swap_pairs=((0, 1),),
)
TASK = TaskSpec(name="regression", summary="regression", target="faulty_parts:load", metrics=("iod",))
METHOD = MethodSpec(
    name="agree",
    summary="one stage",
    stages=(StageSpec(name="pretrain", objective="agreement", training={"frame": 48}),),
    variants=(VariantSpec(name="maps", summary="both maps", layers=("deep", "shallow"), stages=("pretrain",)),),
    backbone="tiny",
    presets={"smoke": {"stages": {"pretrain": {"training": {"epochs": 1}}}}, "quick": {}},
)
GOOD: dict[str, Spec] = {s.kind: s for s in (BACKBONE, OBJECTIVE, HEAD, METRIC, DATASET, TASK, METHOD)}


@functools.cache
def core() -> Plugins:
    return load_plugins([])


def with_parts(*replaced: Spec) -> Plugins:
    """The core's parts and one plugin with all the good ones, some of them replaced by others of their kind."""
    plugins = load_plugins([])
    for spec in {**GOOD, **{s.kind: s for s in replaced}}.values():
        if spec.kind != "task":
            plugins.registry(spec.kind).add(spec, "lmbench-test", "1")
    return plugins


def failures(spec: Spec) -> dict[str, str]:
    """Name and message of every check of a component that fails."""
    plugins = with_parts(spec)
    found = {}
    for check in COMPONENT_CHECKS[spec.kind]:
        try:
            check(spec, plugins)
        except Exception as error:  # that is what is looked for
            found[check.__name__] = str(error)
    return found


@pytest.mark.parametrize("kind", GOOD)
def test_a_component_that_keeps_its_promises_passes(kind: str) -> None:
    assert failures(GOOD[kind]) == {}
    assert len(COMPONENT_CHECKS[kind]) >= 3


def settings(spec: Any, fault: str) -> Any:
    return replace(spec, settings={**spec.settings, "fault": fault})


@pytest.mark.parametrize(
    ("spec", "check", "said"),
    [
        (settings(BACKBONE, "missing map"), "maps_are_as_promised", "the spec names deep too"),
        (settings(BACKBONE, "stride"), "maps_are_as_promised", "map deep: expected (2, 8, 8, 8)"),
        (settings(BACKBONE, "not finite"), "maps_are_as_promised", "map deep: not finite"),
        (replace(BACKBONE, maps=(MapSpec("deep", 16, 8),)), "maps_are_as_promised", "expected (2, 16, 8, 8)"),
        (replace(BACKBONE, maps=()), "maps_are_as_promised", "the spec names no maps"),
        (
            settings(BACKBONE, "dies small"),
            "survives_its_min_size",
            "map deep is empty for images of 32 pixels",
        ),
        (settings(BACKBONE, "dropout"), "eval_repeats_itself", "differs between two calls in eval mode"),
        (settings(BACKBONE, "batch"), "eval_repeats_itself", "depends on the other images of the batch"),
        (settings(BACKBONE, "changes images"), "eval_repeats_itself", "changed its input images"),
        (settings(BACKBONE, "unseeded weights"), "weights_come_from_the_seed", "differs between two builds"),
        (
            replace(BACKBONE, target="faulty_parts:Nothing"),
            "target_is_importable",
            "has no attribute 'Nothing'",
        ),
        (replace(BACKBONE, target="nowhere:Nothing"), "target_is_importable", "No module named 'nowhere'"),
        (replace(BACKBONE, target="faulty_parts:METRIC_FAULTS"), "target_is_importable", "is not callable"),
        (
            replace(BACKBONE, settings={"wdith": 4}),
            "settings_fit_the_target",
            "unexpected keyword argument 'wdith'",
        ),
        (settings(OBJECTIVE, "no total"), "loss_is_finite_and_reaches_the_backbone", '"total" is expected'),
        (settings(OBJECTIVE, "no scalar"), "loss_is_finite_and_reaches_the_backbone", "is no scalar"),
        (settings(OBJECTIVE, "not finite"), "loss_is_finite_and_reaches_the_backbone", "loss 'total' = inf"),
        (
            settings(OBJECTIVE, "no gradient"),
            "loss_is_finite_and_reaches_the_backbone",
            "no gradient reaches",
        ),
        (settings(OBJECTIVE, "changes images"), "views_leave_images_alone", "the input images are changed"),
        (settings(OBJECTIVE, "global chance"), "chance_comes_from_the_generator", "draw from the generator"),
        (
            settings(OBJECTIVE, "lost state"),
            "state_dict_holds_all_state",
            "keep all state in parameters and buffers",
        ),
        (settings(OBJECTIVE, "foreign network"), "freezes", "cannot be loaded into"),
        (
            replace(OBJECTIVE, needs_maps=("dense7",), name="alone"),
            "freezes",
            "no backbone has the maps it needs: dense7",
        ),
        (settings(HEAD, "one subset"), "predicts_every_subset", "predict() gives (1, 5, 3, 2)"),
        (settings(HEAD, "nan"), "predicts_every_subset", "not finite"),
        (settings(HEAD, "global chance"), "fits_the_same_again", "draw from the generator given to fit()"),
        (
            settings(HEAD, "looks at invisible"),
            "never_looks_at_invisible_landmarks",
            "weigh them by `visible`",
        ),
        (settings(HEAD, "description"), "describes_and_keeps_itself", "description() gives list"),
        (settings(HEAD, "state"), "describes_and_keeps_itself", "which is no tensor"),
        (replace(METRIC, target="faulty_parts:metric_nan"), "gives_no_nan", "is not finite"),
        (
            replace(METRIC, target="faulty_parts:metric_scores_invisible"),
            "gives_no_nan",
            "an invisible landmark scores",
        ),
        (replace(METRIC, target="faulty_parts:metric_aggregate"), "gives_no_nan", "aggregate has shape (1,)"),
        (
            replace(METRIC, target="faulty_parts:metric_better_is_worse"),
            "prefers_better_predictions",
            "lower is better",
        ),
        (replace(METRIC, higher_is_better=True), "prefers_better_predictions", "higher is better"),
        (
            replace(METRIC, target="faulty_parts:metric_changes_predictions"),
            "leaves_predictions_alone",
            "changed",
        ),
        (replace(METRIC, unit=" "), "declares_unit_and_direction", "unit is empty"),
        (replace(METRIC, task="regresion"), "declares_unit_and_direction", "Did you mean 'regression'"),
        (replace(DATASET, metrics=("pkc_6px",)), "is_judged_by_known_metrics", "Did you mean 'pck_6px'"),
        (
            replace(DATASET, metrics=("matching_error",)),
            "is_judged_by_known_metrics",
            "judges matching, not regression",
        ),
        (replace(DATASET, eyes=None), "is_judged_by_known_metrics", "the metric iod needs eyes"),
        (replace(DATASET, parts={"wing": (1, 3)}), "is_judged_by_known_metrics", "part 'wing' names landmarks (1, 3)"),
        (replace(DATASET, eyes=(0, 3)), "landmarks_are_consistent", "landmark 3 is named"),
        (replace(DATASET, eyes=(1, 1)), "landmarks_are_consistent", "eyes are one landmark"),
        (replace(DATASET, swap_pairs=((0, 1), (1, 2))), "landmarks_are_consistent", "name a landmark twice"),
        (
            replace(DATASET, landmark_names=("a", "a", "b")),
            "landmarks_are_consistent",
            "two landmarks have one name",
        ),
        (replace(DATASET, splits={"train": 3}), "splits_are_consistent", "expected test, train"),
        (replace(DATASET, splits={"train": 0, "test": 1}), "splits_are_consistent", "'train' holds 0 images"),
        (replace(DATASET, landmark_names=()), "splits_are_consistent", "nothing to test"),
        (
            replace(DATASET, preprocessing=Preprocessing(40, 20)),
            "preprocessing_leaves_an_image",
            "leave 0 pixels",
        ),
        (replace(TASK, metrics=()), "metrics_exist", "names no metric"),
        (replace(TASK, metrics=("matching_error",)), "metrics_exist", "belongs to the task 'matching'"),
        (replace(TASK, metrics=("iodd",)), "metrics_exist", "unknown metric 'iodd'"),
        (replace(METHOD, variants=()), "names_are_unique_and_known", "at least one variant"),
        (
            replace(METHOD, default_variant="x"),
            "names_are_unique_and_known",
            "default_variant 'x' is none of maps",
        ),
        (replace(METHOD, presets={"fast": {}}), "names_are_unique_and_known", "preset fast is none of"),
        (replace(METHOD, stages=()), "names_are_unique_and_known", "uses a stage 'pretrain'; there are none"),
        (replace(METHOD, stages=2 * METHOD.stages), "names_are_unique_and_known", "two stages have one name"),
        (replace(METHOD, tasks=("regresion",)), "tasks_exist", "Did you mean 'regression'"),
        (replace(METHOD, tasks=()), "tasks_exist", "names no task"),
        (
            replace(METHOD, presets={"smoke": {"regression": {"drawz": 1}}}),
            "presets_validate",
            "Did you mean 'draws'",
        ),
        (replace(METHOD, presets={"smoke": {"train_images": 0}}), "presets_validate", "train_images = 0"),
        (replace(METHOD, backbone="tinny"), "presets_validate", "unknown backbone 'tinny'"),
        (replace(METHOD, backbone="resnet18"), "stages_name_existing_parts", "deep"),
    ],
)
def test_a_fault_is_found_by_the_check_that_looks_for_it(spec: Spec, check: str, said: str) -> None:
    found = failures(spec)
    assert check in found
    assert said in found[check]


def stage(**fields: Any) -> tuple[StageSpec, ...]:
    return (replace(METHOD.stages[0], **fields),)


@pytest.mark.parametrize(
    ("changed", "check", "said"),
    [
        ({"stages": stage(objective="agreemant")}, "stages_name_existing_parts", "Did you mean 'agreement'"),
        ({"stages": stage(settings={"falt": ""})}, "stages_name_existing_parts", "no setting 'falt'"),
        (
            {"stages": stage(backbone_settings={"wdth": 8})},
            "stages_name_existing_parts",
            "has no setting 'wdth'",
        ),
        ({"stages": stage(training={"epocs": 3})}, "presets_validate", "Did you mean 'epochs'"),
        (
            {"stages": stage(starts_from_parent=True)},
            "stages_follow_from_their_parents",
            "needs a stage before it",
        ),
        (
            {"stages": stage(backbone_settings={"width": 8})},
            "variants_read_what_was_trained",
            "its last stage 'pretrain'",
        ),
        (
            {"variants": (replace(METHOD.variants[0], layers=("deeep",)),)},
            "variants_read_what_was_trained",
            "has no map 'deeep'",
        ),
        (
            {"variants": (replace(METHOD.variants[0], layers=("deep",), layers_alone=("shallow",)),)},
            "variants_read_what_was_trained",
            "layers_alone shallow is none of its layers",
        ),
    ],
)
def test_a_fault_of_a_method_is_found(changed: dict[str, Any], check: str, said: str) -> None:
    found = failures(replace(METHOD, **changed))
    assert check in found
    assert said in found[check]


def test_every_check_of_the_kit_is_seen_to_fail_somewhere() -> None:
    """A check that no fault of these tests trips may check nothing."""
    tested = set()
    for function in (test_a_fault_is_found_by_the_check_that_looks_for_it, test_a_fault_of_a_method_is_found):
        cases = function.pytestmark[0].args[1]
        tested |= {(c[0].kind if isinstance(c[0], Spec) else "method", c[1]) for c in cases}
    shared = {"target_is_importable", "settings_fit_the_target"}
    every = {(k, c.__name__) for k, checks in COMPONENT_CHECKS.items() for c in checks if c.__name__ not in shared}
    assert every - tested == set()


# The three faces --------------------------------------------------------------------------------------------


@pytest.fixture
def plugin_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that writes a plugin module, not installed, and imports it."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(source: str) -> Any:
        name = f"conforming_{next(COUNTER)}"
        write_module(tmp_path, name, source)
        return __import__(name)

    return write


def test_a_module_that_is_not_installed_can_be_checked(plugin_module: Any) -> None:
    report = check_plugin(plugin_module(ONE_HEAD))
    assert report.ok
    assert report.summary() == f"{len(report.results)} checks: {len(report.results)} passed"


ONE_HEAD = """
TARGET = "faulty_parts:MeanHead"
@hookimpl
def lmbench_heads():
    return [HeadSpec(name="mean_of_a_test", summary="", target=TARGET, settings={"fault": ""})]
"""


def test_a_failure_is_named_with_its_reason(plugin_module: Any) -> None:
    module = plugin_module(ONE_HEAD.replace('"fault": ""', '"fault": "nan"'))
    with pytest.raises(AssertionError, match=r"head:mean_of_a_test:predicts_every_subset: .*not finite"):
        check_plugin(module)


def test_a_plugin_that_does_nothing_fails(plugin_module: Any) -> None:
    with pytest.raises(AssertionError, match=r"implements_a_hook: .* implements no hook"):
        check_plugin(plugin_module(""))


def test_a_plugin_that_cannot_be_loaded_fails_with_its_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    write_module(tmp_path, "unloadable", "x = 1 / 0")
    report = run_checks(conformance_checks("unloadable"))
    assert [(r.check.name, r.outcome) for r in report.results] == [("loads", "failed")]
    assert report.results[0].message == "ZeroDivisionError: division by zero"


def test_an_import_of_lmbench_beside_the_api_is_found(plugin_module: Any) -> None:
    module = plugin_module("from lmbench.errors import DataError\n" + method("x"))
    with pytest.raises(AssertionError, match=r"imports lmbench.errors: plugins import lmbench.api alone"):
        check_plugin(module)


def test_a_hook_module_that_imports_torch_is_found(plugin_module: Any) -> None:
    with pytest.raises(AssertionError, match="imports torch: import them where they are used"):
        check_plugin(plugin_module("import torch\n" + method("x")))


def test_no_checks_at_all_are_a_failure() -> None:
    report = run_checks([])
    assert not report.ok
    assert "0 checks" in report.summary()
    with pytest.raises(AssertionError, match="0 checks"):
        check_plugin([])
    with pytest.raises(UsageError, match="nothing to check"):
        parametrize([])


def failing() -> None:
    raise ValueError("as expected")


def test_an_expected_failure_must_fail() -> None:
    report = run_checks(
        [
            Check("head", "x", "a", failing, "known"),
            Check("head", "x", "b", lambda: None, "fixed long ago"),
            Check("head", "x", "c", lambda: None),
            Check("head", "x", "d", failing),
        ]
    )
    assert [r.outcome for r in report.results] == ["expected failure", "unexpected pass", "passed", "failed"]
    assert report.summary() == "4 checks: 1 passed, 1 expected failure, 1 failed, 1 unexpected pass"
    assert not report.ok
    assert report.results[3].message == "ValueError: as expected"


def test_a_plugin_declares_its_expected_failures_with_reasons(plugin_module: Any) -> None:
    source = ONE_HEAD.replace('"fault": ""', '"fault": "nan"')
    declared = 'LMBENCH_EXPECTED_FAILURES = {"head:mean_of_a_test:predicts_every_subset": "no finite mean yet"}\n'
    report = check_plugin(plugin_module(declared + source), expected_failures={})
    assert report.count("expected failure") == 1


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ('{"head:mean_of_a_test:predict_every_subset": "x"}', "names no check. Did you mean"),
        ('{"head:mean_of_a_test:predicts_every_subset": " "}', "gives no reason"),
    ],
)
def test_an_expected_failure_without_check_or_reason_is_a_failure(plugin_module: Any, declared: str, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_plugin(plugin_module(f"LMBENCH_EXPECTED_FAILURES = {declared}\n{ONE_HEAD}"))


# What is installed here -------------------------------------------------------------------------------------


def light_checks() -> list[Check]:
    """The checks of the core, but of the smallest backbone alone."""
    info = next(i for i in core().infos if i.distribution == CORE)
    return [c for c in conformance_checks(info, core()) if c.id.startswith(LIGHT) and "_fpn" not in c.component]


@pytest.mark.parametrize("check", [pytest.param(c, id=c.id) for c in light_checks()])
def test_the_core_keeps_the_contract_it_asks_of_plugins(check: Check) -> None:
    check()


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        timeout=570,
        cwd=folder,
    )


def test_a_new_plugin_loads_and_passes_its_own_check(tmp_path: Path) -> None:
    made = run(tmp_path, "-m", "lmbench", "plugin", "new", "my-loss", "--dir", str(tmp_path / "made"))
    assert made.returncode == 0, made.stderr
    place = tmp_path / "made" / "lmbench-my-loss"
    assert made.stdout.strip() == str(place)
    install(place, "lmbench-my-loss", "[lmbench]\nmy_loss = lmbench_my_loss.plugin\n", "0.1.0")
    checked = run(place, "-m", "lmbench", "plugin", "check", "lmbench-my-loss", "--json")
    report = json.loads(checked.stdout)
    assert checked.returncode == 0, report
    assert report["ok"]
    kinds = {c["id"].partition(":")[0] for c in report["checks"]}
    assert kinds == {"plugin", "objective", "method"}
    assert run(place, "-m", "pytest", "-q", "-x", "tests", "-k", "plugin: or method:").returncode == 0
    linted = run(place, "-m", "ruff", "check", ".")
    assert linted.returncode == 0, linted.stdout


def test_a_new_plugin_overwrites_nothing(tmp_path: Path) -> None:
    place = tmp_path / "lmbench-mine"
    place.mkdir()
    (place / "precious.txt").write_text("mine", encoding="utf-8")
    made = run(tmp_path, "-m", "lmbench", "plugin", "new", "mine")
    assert made.returncode == 2
    assert "exists already and is left as it is" in made.stderr
    assert [f.name for f in tmp_path.rglob("*")] == ["lmbench-mine", "precious.txt"]


@pytest.mark.parametrize("name", ["My-Loss", "1loss", "a b", "../x", "a--b", "lmbench-", "é"])
def test_a_new_plugin_needs_a_proper_name(tmp_path: Path, name: str) -> None:
    made = run(tmp_path, "-m", "lmbench", "plugin", "new", "--", name)
    assert made.returncode == 2
    assert "expected small letters" in made.stderr
    assert list(tmp_path.iterdir()) == []


def test_checking_an_unknown_plugin_ends_with_code_2_and_a_failing_one_with_1(tmp_path: Path) -> None:
    write_module(tmp_path, "failing_plugin", "x = 1 / 0")
    install(tmp_path, "lmbench-failing", "[lmbench]\nfailing = failing_plugin\n")
    assert run(tmp_path, "-m", "lmbench", "plugin", "check", "lmbench-fialing").returncode == 2
    failing_plugin = run(tmp_path, "-m", "lmbench", "plugin", "check", "lmbench-failing")
    assert failing_plugin.returncode == 1
    assert "FAIL   plugin:failing:loads  ZeroDivisionError: division by zero" in failing_plugin.stdout
    assert "1 checks: 1 failed" in failing_plugin.stdout


def test_the_kit_imports_no_torch_until_a_check_needs_it() -> None:
    script = "import sys, lmbench.testing; print('torch' in sys.modules)"
    assert run(Path(), "-c", script).stdout.strip() == "False"


def test_the_faulty_parts_are_faultless_by_default() -> None:
    assert faulty_parts.Backbone().fault == faulty_parts.MeanHead().fault == ""


def test_every_check_is_documented_for_plugin_authors() -> None:
    text = (Path(__file__).parent.parent / "docs" / "plugins.md").read_text(encoding="utf-8")
    names = {c.__name__ for checks in COMPONENT_CHECKS.values() for c in checks} | {c.__name__ for c in PLUGIN}
    assert [name for name in sorted(names) if f"`{name}`" not in text] == []
