"""Settings of a wrong type, sign or word, made from the types of every component: refused, before data is opened."""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pytest
from small_runs import run_here
from wrong_values import as_set, as_toml, edges, fields_of, fields_of_run, wrong_values

from lmbench import job as jobs
from lmbench.config.model import Read, RunConfig
from lmbench.config.overrides import parse_assignments, read_toml
from lmbench.config.resolving import resolve_run
from lmbench.config.setting_types import hints
from lmbench.config.values import value_of
from lmbench.errors import DataError, UsageError
from lmbench.heads.linear import UNITS
from lmbench.heads.reference import RECIPES
from lmbench.plugins.loading import get_plugins
from lmbench.plugins.registry import is_family
from lmbench.specs import PRESETS
from lmbench.training.stages import require_buildable

PLUGINS = get_plugins()
KINDS = ("backbone", "objective", "head", "task")
COMPONENTS = [(kind, e.spec.name) for kind in KINDS for e in PLUGINS.registry(kind)]


@dataclass(frozen=True)
class Run:
    """A run that uses a component, and where its settings stand in it."""

    place: str
    method: str
    variant: str
    preset: str = "smoke"
    chosen: tuple[str, ...] = ()


KNOWN = {"timm/*": "timm/resnet18", "vit/*": "vit/vit_tiny_patch16_224"}  # members of families that know theirs


def run_with(kind: str, name: str) -> Run:
    """A run of an installed method in which a component's settings count."""
    if kind == "backbone":
        member = KNOWN.get(name, f"{name[:-1]}x") if is_family(name) else name
        layers = tuple(m.name for m in PLUGINS.find("backbone", member).spec.maps) or ("map",)
        chosen = (f"network.backbone={member!r}", f"read.layers={layers!r}", "regression.layers_alone=()")
        return Run("network.backbone_settings", "random", "hypercolumn", chosen=chosen)
    if kind == "head":
        return Run("regression.head_settings", "random", "hypercolumn", chosen=(f"regression.head={name!r}",))
    if kind == "task":
        return Run(name, "random", "hypercolumn")
    for entry in PLUGINS.methods:
        for variant, stage in itertools.product(entry.spec.variants, entry.spec.stages):
            if stage.objective == name and stage.name in variant.stages and not PLUGINS.lacking(variant.needs):
                return Run(f"stages.{stage.name}.settings", entry.spec.name, variant.name)
    raise AssertionError(f"no installed method uses the objective {name}")


def resolve(run: Run, *overrides: dict[str, Any]) -> RunConfig:
    chosen = parse_assignments(run.chosen)
    where = {"preset": run.preset, "variant": run.variant}
    return resolve_run(PLUGINS, run.method, "synthfaces", **where, overrides=(chosen, *overrides))


def same(assignment: str, line: str) -> bool:
    """Whether `--set` and a line of TOML say the same, so that one need not be tried after the other."""
    try:
        return parse_assignments([assignment]) == tomllib.loads(line)
    except UsageError:
        return False


def refusals(run: Run, place: str, values: Iterator[Any]) -> Iterator[str]:
    """What is wrong with how a run takes values that it must not: accepted, another error, no place named."""
    for value in values:
        assignment, line = as_set(place, value), as_toml(place, value)
        tries = [lambda: parse_assignments([assignment])]  # noqa: B023
        if line and not same(assignment, line):
            tries.append(lambda: tomllib.loads(line))  # noqa: B023
        for read in tries:
            try:
                resolve(run, read())
                yield f"{assignment}: accepted"
            except UsageError as error:
                if place not in str(error) or not str(error).isprintable():
                    yield f"{assignment}: its place is not named: {error}"
            except Exception as error:
                yield f"{assignment}: {type(error).__name__}: {error}"


@pytest.mark.parametrize(("kind", "name"), COMPONENTS)
def test_a_wrong_value_of_any_setting_of_a_component_is_refused_at_its_place(kind: str, name: str) -> None:
    run = run_with(kind, name)
    resolve(run)  # as it is, it is fine
    kind_of_settings = PLUGINS.registry(kind).get(name).spec.settings
    for setting, hint in fields_of(kind_of_settings):
        assert list(refusals(run, f"{run.place}.{setting}", wrong_values(hint))) == []
    assert list(refusals(run, f"{run.place}.no_such_setting", iter([1]))) == []


@pytest.mark.parametrize(("setting", "hint"), list(fields_of_run()), ids=[name for name, _ in fields_of_run()])
def test_a_wrong_value_of_any_field_of_a_run_is_refused_at_its_place(setting: str, hint: Any) -> None:
    run = Run("", "lead", "hypercolumn")
    assert list(refusals(run, setting, wrong_values(hint))) == []


SECOND_THOUGHTS = [  # what no type says
    ("stages.byol.training.milestones", [5, 3]),
    ("stages.byol.training.milestones", [3, 3]),
    ("regression.annotations", [1, 1]),
    ("regression.annotations", [0]),
    ("regression.annotations", ["some"]),
    ("regression.annotations", [True]),
    ("regression.annotations", []),
    ("segmentation.annotations", [-1]),
    ("regression.layers_alone", ["conv4_x", "conv4_x"]),
    ("regression.layers_alone", ["conv9_x"]),
    ("tasks", []),
    ("tasks", ["regression", "regression"]),
    ("parts.by", []),
    ("scale.factors", [1, 1]),
    ("read.layers", []),
    ("read.layers", ["conv5_x", "conv5_x"]),
    ("stages.byol.settings.view1.scale", [1.0, 0.5]),
    ("stages.byol.settings.view2.ratio", [2, 1]),
    ("stages.byol.settings.view1.blur", [2, 1]),
    ("stages.byol.settings.view1", 3),
    ("stages.byol.settings.view1.size", 16),  # a ResNet needs 32
    ("stages.byol.training.frame", 16),
    ("stages.moco.settings.queue", -1),  # a stage of another variant
    ("stages.byol.Training.epochs", 1),
    ("STAGES.byol", 1),
]


@pytest.mark.parametrize(("place", "value"), SECOND_THOUGHTS)
def test_values_that_do_not_go_together_are_refused_at_their_place(place: str, value: Any) -> None:
    with pytest.raises(UsageError) as refused:
        resolve(Run("", "lead", "hypercolumn"), parse_assignments([as_set(place, value)]))
    assert place.rpartition(".")[0] in str(refused.value)


ACROSS = [  # method, variant, assignments, what is said
    ("lead", "dense64", ["network.backbone_settings.dim=128"], "set stages.distillation.backbone_settings"),
    ("lead", "dense64", ["stages.distillation.starts_from_parent=true"], "trains resnet18, this one resnet18_fpn"),
    ("lead", "hypercolumn", ["stages.byol.starts_from_parent=true"], "there is none before it"),
    ("lead", "dense64", ["stages.distillation.reads=['conv9']"], "of the stage before has no map 'conv9'"),
    ("contrastlandmarks", "hypercolumn", ["stages.moco.settings.queue=100"], "cannot be filled by batches of 16"),
    ("contrastlandmarks", "hypercolumn", ["stages.moco.settings.groups=3"], "does not fall into 3 equal groups"),
    ("contrastlandmarks", "hypercolumn", ["stages.moco.settings.layer=dense"], "resnet18 has no map 'dense'"),
    ("contrastlandmarks", "hypercolumn", ["stages.moco.settings.view.centre=96"], "centre of 96 pixels does not fit"),
    ("contrastlandmarks", "proj1280", ["backbone=resnet18"], "no compact form of the 960 channels"),
    (
        "contrastlandmarks",
        "proj64",
        ["stages.projection.backbone_settings.layers=['conv9']"],
        "resnet18 has no map 'conv9'",
    ),
    ("dve", "smallnet", ["stages.smallnet.settings.view.size=32"], "view has no setting 'size'"),
    ("dve", "hourglass", ["stages.hourglass.backbone_settings.resize=20"], "at least 32 pixels"),
    ("dve", "hourglass", ["stages.hourglass.backbone_settings.width=7"], "a multiple of 2"),
    ("sparse", "k10", ["stages.alignment.settings.crop=22"], "leaves less than 8 pixels of a frame of 48"),
    ("sparse", "k10", ["stages.alignment.backbone_settings.kernel=4"], "odd number"),
    ("twostep", "k10", ["stages.contrast.settings.locations=2000"], "expected at most 1024, the pixels of a view"),
    (
        "twostep",
        "k10",
        ["stages.contrast.settings.deformation.zoom=(1.2, 0.8)"],
        "expected the smallest factor and then",
    ),
    ("imm", "k10", ["stages.imm.settings.size=30"], "no multiple of the detector's 4 pixels"),
    ("imm", "k10", ["stages.imm.backbone_settings.landmarks=100"], "100 landmarks on maps of 8 x 8 cells"),
    ("supervised", "hypercolumn", ["regression.head_settings.layers=('conv9',)"], "resnet18 has no map 'conv9'"),
    ("supervised", "hypercolumn", ["regression.head_settings.backbone=resnet19"], "unknown backbone 'resnet19'"),
    ("supervised", "hypercolumn", ["regression.head_settings.backbone_settings.dim=3"], "has no setting 'dim'"),
    ("lead", "hypercolumn", ["stages.moco.backbone_settings.nope=1"], "stages.moco.backbone_settings.nope: backbone"),
    (
        "lead",
        "hypercolumn",
        ["stages.byol.starts_from_parent=true"],
        "stages.byol.starts_from_parent: byol starts from",
    ),
    ("lead", "hypercolumn", ["stages.byol.backbone=resnet19"], "stages.byol.backbone: unknown backbone 'resnet19'"),
    ("lead", "hypercolumn", ["regression.head=rigde"], "regression.head: unknown head 'rigde'"),
    ("mean_shape", "", ["network.backbone_settings=3"], "network.backbone_settings: the variant has no network"),
    ("mean_shape", "", ["network.backbone_settings.nope=1"], "network.backbone_settings: the variant has no network"),
    ("mean_shape", "", ["read.layers=['zzz']"], "read.layers: mean_shape"),
    ("random", "hypercolumn", ["tasks=('parts',)", "parts.k=50", "parts.images=1", "parts.size=2"], "parts.k = 50"),
]


@pytest.mark.parametrize(("method", "variant", "assignments", "said"), ACROSS)
def test_settings_that_do_not_fit_what_lies_around_them_are_refused(
    method: str, variant: str, assignments: list[str], said: str
) -> None:
    with pytest.raises(UsageError) as refused:
        resolve(Run("", method, variant), parse_assignments(assignments))
    assert said in str(refused.value)


def test_a_stage_that_could_not_be_built_on_the_one_before_is_refused_before_that_is_trained() -> None:
    run = Run("", "lead", "dense64")
    require_buildable(resolve(run).stages, PLUGINS, Read())
    smallnet = ["stages.distillation.backbone=smallnet"]
    config = resolve(
        run, parse_assignments(smallnet)
    )  # it has a map `dense`; only its object tells that no encoder is there
    with pytest.raises(
        UsageError, match=r"stages\.distillation: .* needs a stage before it and a backbone with an encoder"
    ):
        require_buildable(config.stages, PLUGINS, Read())


@pytest.mark.parametrize(
    ("method", "setting"),
    [("imagenet", "network.backbone_settings.weights"), ("lead", "stages.byol.backbone_settings.weights")],
)
def test_weights_that_are_not_there_are_told_before_anything_is_opened(
    method: str, setting: str, tmp_path: Path
) -> None:
    run = Run("", method, "hypercolumn")
    with pytest.raises(DataError, match=rf"{setting}: weights file .*none\.pth does not exist.*'imagenet'"):
        resolve(run, parse_assignments([f"{setting}={tmp_path / 'none.pth'}"]))
    (tmp_path / "some.pth").touch()
    resolve(run, parse_assignments([f"{setting}={tmp_path / 'some.pth'}"]))


@pytest.mark.parametrize(("kind", "name"), COMPONENTS)
def test_the_edges_of_every_range_are_accepted(kind: str, name: str) -> None:
    for setting, hint in fields_of(PLUGINS.registry(kind).get(name).spec.settings):
        for value in edges(hint):
            assert value_of(hint, value, setting) == value


def test_a_whole_number_is_as_good_a_number_and_a_list_as_a_tuple() -> None:
    run = Run("", "lead", "hypercolumn")
    place = "stages.byol.settings"
    said = resolve(run, parse_assignments([f"{place}.momentum=1", f"{place}.view1.scale=[1, 1]"]))
    meant = resolve(run, parse_assignments([f"{place}.momentum=1.0", f"{place}.view1.scale=(1.0, 1.0)"]))
    assert said.digest() == meant.digest()


@pytest.mark.parametrize(
    ("assignments", "said"),
    [
        (["a=1", "a.b=2"], "a = 1: has settings of its own"),
        (["a.b=2", "a=1"], "a = 1: has settings of its own"),
        (["a={1, 2}"], "a = {1, 2}: is a set"),
        (["a=b'x'"], "is a bytes"),
        (["a=2j"], "is a complex"),
        (["a=..."], "is an ellipsis"),
        (["a={1: 2}"], "is no name of a setting"),
        (["a=1e999"], "is no finite number"),
        (["a=" + "9" * 30], "larger than any number"),
        (["a=0x" + "f" * 6000], "larger than any number"),
        (["a=" + "[" * 40 + "]" * 40], "lies deeper than"),
        (["a='\\x1b[31m'"], "has control characters"),
        (["\x1b[31m.b=x"], "is no name of a setting"),
        ([".".join("a" * 50) + "=1"], "expected a.b=value"),
        (["=1"], "expected a.b=value"),
    ],
)
def test_an_assignment_that_means_nothing_is_refused(assignments: list[str], said: str) -> None:
    with pytest.raises(UsageError) as refused:
        resolve(Run("", "random", "hypercolumn"), parse_assignments(assignments))
    assert said in str(refused.value)
    assert str(refused.value).isprintable()


def test_of_two_values_of_one_setting_the_last_counts_and_it_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert parse_assignments(["a.b=1", "a.c=3", "a.b=2"]) == {"a": {"b": 2, "c": 3}}
    assert "--set a.b is given twice: 2 counts, 1 does not." in capsys.readouterr().err
    parse_assignments(["a.b=1", "a.b=1"])
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"seed = 2020-01-01", "is a date"),
        (b"encode_batch = inf", "is no finite number"),
        (b"encode_batch = nan", "is no finite number"),
        (b"[regression]\ndraws = 3\ndraws = 4", "not valid TOML"),
        (b"a = 1" + b"0" * 5000, "not valid TOML"),
        (b"a = " + b"[" * 5000 + b"]" * 5000, "not valid TOML"),
        (b"a = '\xe9'", "not valid TOML"),
        ("a = 'x'".encode("utf-16"), "not valid TOML"),
        (b"#" * (1 << 21), "larger than 1 MiB"),
    ],
)
def test_a_configuration_file_that_is_none_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "c.toml"
    path.write_bytes(content)
    with pytest.raises(UsageError) as refused:
        read_toml(path)
    assert said in str(refused.value)


def test_a_configuration_file_may_begin_with_the_mark_that_editors_put_there(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_bytes(b"\xef\xbb\xbfencode_batch = 3\n")
    assert read_toml(tmp_path / "c.toml") == {"encode_batch": 3}


@pytest.mark.parametrize("option", ["--set", "--config"])
@pytest.mark.parametrize("last", [(), ("--dry-run",), ("--json",)])
@pytest.mark.parametrize(
    "wrong",
    ["stages.byol.settings.batch_norm='frozn'", "regression.draws=true", "stages.byol.settings.view1.size=-4"],
)
def test_the_command_line_refuses_before_it_opens_data(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    option: str,
    last: tuple[str, ...],
    wrong: str,
) -> None:
    def opened(*_: Any, **__: Any) -> None:
        raise AssertionError("data was opened")

    monkeypatch.setattr(jobs, "prepare", opened)
    (tmp_path / "c.toml").write_text(wrong.replace("=", " = "))
    given = (option, wrong if option == "--set" else str(tmp_path / "c.toml"))
    method = ("--method", "lead", "--dataset", "synthfaces", "--runs", str(tmp_path / "runs"))
    code, out, err = run_here(capsys, "run", *method, *given, *last)
    assert code == 2 and wrong.partition("=")[0] in err
    assert "Traceback" not in err and not (tmp_path / "runs").exists()
    assert out == "" or "--json" in last


def test_every_recipe_keeps_to_the_types_of_its_parts() -> None:
    """Presets go through the same door: a misspelt word in a recipe is a bug that a user would meet."""
    counted = 0
    for entry in PLUGINS.methods:
        for preset, variant in itertools.product(PRESETS, entry.spec.variants):
            if not PLUGINS.lacking(variant.needs):
                resolve_run(PLUGINS, entry.qualified, "synthfaces", preset=preset, variant=variant.name)
                counted += 1
    assert counted > 200


def test_words_that_are_also_keys_are_the_same_words() -> None:
    linear = PLUGINS.find("head", "softargmax_linear").spec
    ridge = PLUGINS.find("head", "ridge").spec
    assert get_args(hints(linear.settings)["recipe"]) == tuple(RECIPES)
    assert get_args(hints(ridge.settings)["unit"]) == tuple(UNITS)
