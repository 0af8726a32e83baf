"""The conformance kit: it passes what keeps its promises, finds every fault it looks for, and never checks nothing."""

from __future__ import annotations

from dataclasses import make_dataclass, replace
from pathlib import Path
from typing import Any

import faulty_parts
import pytest

from lmbench.config.model import Stage, Training
from lmbench.geometry.framing import Preprocessing
from lmbench.plugins.loading import Plugins, load_plugins
from lmbench.specs import (
    BackboneSpec,
    DatasetSpec,
    HeadSpec,
    MapSpec,
    MethodSpec,
    MetricSpec,
    ObjectiveSpec,
    Spec,
    TaskSpec,
    VariantSpec,
)
from lmbench.testing import paper_checks
from lmbench.testing.conformance import COMPONENT_CHECKS
from lmbench.testing.method_checks import networks_have_the_maps_they_state
from lmbench.training.cuts import Cuts, Shown

pytestmark = pytest.mark.usefixtures("_one_thread")

BACKBONE = BackboneSpec(
    name="tiny",
    summary="two convolutions",
    target="faulty_parts:Backbone",
    settings=faulty_parts.BackboneSettings,
    maps=(MapSpec("shallow", "width", 4), MapSpec("deep", "deep", 8)),
)
OBJECTIVE = ObjectiveSpec(
    name="agreement",
    summary="two views agree",
    target="faulty_parts:Agreement",
    settings=faulty_parts.FaultSettings,
    needs_maps=("deep",),
)


class Narrow(Cuts):
    """Cuts that say of views what they are not."""

    def shown(self, settings, frame):
        return [Shown(17, 0.5)]


HEAD = HeadSpec(name="mean", summary="the mean", target="faulty_parts:MeanHead", settings=faulty_parts.FaultSettings)
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
TASK = TaskSpec(name="regression", summary="regression", target="faulty_parts:judge", metrics=("iod",))
ALONE = {"regression": {"layers_alone": ["shallow"]}}
METHOD = MethodSpec(
    name="agree",
    summary="one stage",
    stages=(Stage(name="pretrain", objective="agreement", training=Training(frame=48)),),
    variants=(VariantSpec(name="maps", summary="both maps", layers=("deep", "shallow"), stages=("pretrain",)),),
    backbone="tiny",
    presets={"smoke": {"stages": {"pretrain": {"training": {"epochs": 1}}}}, "quick": {}},
)
GOOD: dict[str, Spec] = {s.kind: s for s in (BACKBONE, OBJECTIVE, HEAD, METRIC, DATASET, TASK, METHOD)}


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
    """The component with a fault, as the default of its setting."""
    faulty = make_dataclass("Faulty", [("fault", str, fault)], bases=(spec.settings,), frozen=True)
    return replace(spec, settings=faulty)


@pytest.mark.parametrize(
    ("spec", "check", "said"),
    [
        (settings(BACKBONE, "missing map"), "maps_are_as_promised", "the spec names deep too"),
        (settings(BACKBONE, "stride"), "maps_are_as_promised", "map deep: expected (2, 8, 8, 8) (stride 8)"),
        (settings(BACKBONE, "not finite"), "maps_are_as_promised", "map deep: not finite"),
        (replace(BACKBONE, maps=(MapSpec("deep", 16, 8),)), "maps_are_as_promised", "expected (2, 16, 8, 8)"),
        (
            replace(BACKBONE, maps=(MapSpec("shallow", 4, 4), MapSpec("deep", "width", 8))),
            "maps_are_as_promised",
            "map deep: expected (2, 4, 8, 8)",
        ),
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
        (replace(BACKBONE, fixed={"wdith": 4}), "settings_fit_the_target", "unexpected keyword argument 'wdith'"),
        (settings(OBJECTIVE, "no total"), "loss_is_finite_and_reaches_the_backbone", '"total" is expected'),
        (settings(OBJECTIVE, "no scalar"), "loss_is_finite_and_reaches_the_backbone", "is no scalar"),
        (settings(OBJECTIVE, "not finite"), "loss_is_finite_and_reaches_the_backbone", "loss 'total' = inf"),
        (
            settings(OBJECTIVE, "no gradient"),
            "loss_is_finite_and_reaches_the_backbone",
            "no gradient reaches",
        ),
        (
            settings(OBJECTIVE, "no bf16"),
            "loss_is_finite_and_reaches_the_backbone",
            "in bf16: Got unsupported ScalarType BFloat16",
        ),
        (settings(OBJECTIVE, "changes images"), "views_leave_images_alone", "the input images are changed"),
        (settings(OBJECTIVE, "unstated cuts"), "cuts_are_those_of_its_views", "say in the spec's `cuts`"),
        (replace(OBJECTIVE, cuts=Narrow()), "cuts_are_those_of_its_views", "pixels wide, its cuts say [17]"),
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
        (replace(TASK, predictions="nowhere:Q"), "lazy_targets_are_importable", "nowhere:Q cannot be loaded"),
        (replace(TASK, predictions="faulty_parts:judge"), "lazy_targets_are_importable", "is no StoredResult"),
        (replace(TASK, rehearse="nowhere:perfect"), "lazy_targets_are_importable", "No module named 'nowhere'"),
        (replace(TASK, pictures="faulty_parts:draw"), "lazy_targets_are_importable", "has no attribute 'draw'"),
        (
            replace(TASK, floors={"mean": "faulty_parts:METRIC_FAULTS"}),
            "lazy_targets_are_importable",
            "floors.mean: faulty_parts:METRIC_FAULTS is not callable",
        ),
        (replace(TASK, uses=("matchin",)), "uses_exist", "Did you mean 'matching'"),
        (replace(TASK, presets={"fast": {}}), "presets_fit_the_settings", "preset fast is none of"),
        (
            replace(TASK, settings=faulty_parts.FaultSettings, presets={"smoke": {"fault": 3}}),
            "presets_fit_the_settings",
            "presets.smoke.fault = 3",
        ),
        (
            replace(TASK, predictions="faulty_parts:Forgetful"),
            "results_can_be_stored",
            "the column visible is read back as another",
        ),
        (replace(METHOD, variants=()), "names_are_unique_and_known", "at least one variant"),
        (
            replace(METHOD, default_variant="x"),
            "names_are_unique_and_known",
            "default_variant 'x' is none of maps",
        ),
        (replace(METHOD, presets={"fast": {}}), "names_are_unique_and_known", "preset fast is none of"),
        (replace(METHOD, stages=()), "names_are_unique_and_known", "uses a stage 'pretrain'; there are none"),
        (replace(METHOD, stages=2 * METHOD.stages), "names_are_unique_and_known", "two stages have one name"),
        (replace(METHOD, tasks=()), "names_are_unique_and_known", "names no task"),
        (
            replace(METHOD, presets="lmbench:nowhere"),
            "names_are_unique_and_known",
            "lmbench:nowhere holds no preset's TOML",
        ),
        (replace(METHOD, tasks=("regresion",)), "presets_resolve", "Did you mean 'regression'"),
        (replace(METHOD, presets={"smoke": {"regression": {"drawz": 1}}}), "presets_resolve", "Did you mean 'draws'"),
        (replace(METHOD, presets={"smoke": {"train_images": 0}}), "presets_resolve", "train_images = 0"),
        (replace(METHOD, backbone="tinny"), "presets_resolve", "unknown backbone 'tinny'"),
        (replace(METHOD, backbone="resnet18"), "presets_resolve", "deep"),
        (replace(METHOD, paper_on={"mfal": {}}), "presets_resolve", "no dataset is called mfal"),
        (
            replace(METHOD, presets={"paper": {}}, paper_on={"mafl*": {"train_imags": 3}}),
            "presets_resolve",
            "Did you mean 'train_images'",
        ),
    ],
)
def test_a_fault_is_found_by_the_check_that_looks_for_it(spec: Spec, check: str, said: str) -> None:
    found = failures(spec)
    assert check in found
    assert said in found[check]


def stage(**fields: Any) -> tuple[Stage, ...]:
    return (replace(METHOD.stages[0], **fields),)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"stages": stage(objective="agreemant")}, "Did you mean 'agreement'"),
        ({"stages": stage(settings={"falt": ""})}, "no setting 'falt'"),
        ({"stages": stage(backbone_settings={"wdth": 8})}, "has no setting 'wdth'"),
        ({"stages": stage(training=Training(epochs=-3))}, "epochs = -3"),
        ({"stages": stage(starts_from_parent=True)}, "there is none before it"),
        ({"variants": (replace(METHOD.variants[0], layers=("deeep",)),)}, "has no map 'deeep'"),
        (
            {"variants": (replace(METHOD.variants[0], layers=("deep",), overrides=ALONE),)},
            "regression.layers_alone: the variant has no layer 'shallow'",
        ),
    ],
)
def test_a_fault_of_a_method_is_found_where_its_presets_resolve(changed: dict[str, Any], said: str) -> None:
    assert said in failures(replace(METHOD, **changed))["presets_resolve"]


def test_a_network_of_a_preset_that_is_not_what_it_states_is_found() -> None:
    """Also where its default settings are as stated."""
    narrow = {"stages": {"pretrain": {"backbone_settings": {"width": 3}}}}
    lying = replace(BACKBONE, maps=(MapSpec("shallow", "width", 4), MapSpec("deep", 8, 8)))
    plugins = with_parts(lying, replace(METHOD, presets={"smoke": narrow}))
    maps_are_as_promised = COMPONENT_CHECKS["backbone"][2]
    maps_are_as_promised(replace(lying, maps=(lying.maps[1],)), plugins)
    with pytest.raises(AssertionError, match=r"map deep: expected \(2, 8, 8, 8\).*found \(2, 6, 8, 8\)"):
        networks_have_the_maps_they_state(plugins.methods.get("agree").spec, plugins)


@pytest.mark.parametrize(
    ("name", "text", "check", "said"),
    [
        ("qick", "", "names_are_unique_and_known", "preset qick is none of paper, quick, small, smoke"),
        ("quick", "train_images = ", "presets_resolve", "quick.toml"),
    ],
)
def test_a_file_of_presets_that_is_misspelt_or_no_toml_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str, check: str, said: str
) -> None:
    package = tmp_path / f"with_{name}"
    (package / "presets").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "presets" / "smoke.toml").touch()
    (package / "presets" / f"{name}.toml").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert said in failures(replace(METHOD, presets=f"with_{name}:presets"))[check]


def test_every_check_of_the_kit_is_seen_to_fail_somewhere() -> None:
    """A check that no fault of these tests trips may check nothing."""
    cases = test_a_fault_is_found_by_the_check_that_looks_for_it.pytestmark[0].args[1]
    tested = {(c[0].kind, c[1]) for c in cases} | {("method", "networks_have_the_maps_they_state")}
    tested |= {("method", check.__name__) for check in paper_checks.METHOD}  # by tests/test_papers.py
    tested |= {("paper", check.__name__) for check in paper_checks.PAPER}
    shared = {"target_is_importable", "settings_fit_the_target"}
    every = {(k, c.__name__) for k, checks in COMPONENT_CHECKS.items() for c in checks if c.__name__ not in shared}
    assert every - tested == set()


def test_the_faulty_parts_are_faultless_by_default() -> None:
    assert faulty_parts.BackboneSettings().fault == faulty_parts.FaultSettings().fault == ""
