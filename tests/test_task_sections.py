"""Sections of tasks in a run's configuration: by the type of the task, whoever brings it."""

from __future__ import annotations

import pytest
from fake_plugins import PluginMaker
from small_runs import run_here

from lmbench.cli.main import run_cli
from lmbench.config import presets
from lmbench.config.model import RunConfig
from lmbench.config.resolving import config_of, resolve_run
from lmbench.errors import PluginError, UsageError
from lmbench.heads.settings import RidgeSettings, SoftargmaxConditionedSettings, SoftargmaxLinearSettings
from lmbench.plugins.loading import Plugins, load_plugins
from lmbench.specs import MethodSpec, VariantSpec

TASK = """
from dataclasses import dataclass, field
from typing import Annotated

@dataclass(frozen=True)
class CountingSettings:
    by: Annotated[Name, HeadName("by_settings")] = "ridge"
    by_settings: ComponentSettings = field(default_factory=dict)
    draws: Draws = 2
    depth: Count = 1

    def fits(self, around):
        if self.depth > len(around.read.layers):
            raise UsageError(f"depth = {self.depth}: the variant has {len(around.read.layers)} layers.")

@hookimpl
def lmbench_tasks():
    return [TaskSpec(name="counting", summary="counts", target="a:b", settings=CountingSettings, uses=("matching",),
                     presets={"quick": {"depth": 2}, "paper": {"by": "softargmax_linear"}})]

@hookimpl
def lmbench_methods():
    variant = VariantSpec(name="maps", summary="maps", layers=("conv5_x", "conv4_x"))
    return [MethodSpec(name="toy", summary="a method of a test", variants=(variant,), tasks=("counting",))]
"""


@pytest.fixture
def plugins(make: PluginMaker) -> Plugins:
    return load_plugins([make(TASK)])


def resolved(plugins: Plugins, *overrides: dict, preset: str = "small", **options) -> RunConfig:
    return resolve_run(plugins, "toy", "synthfaces", preset=preset, overrides=overrides, **options)


def test_a_third_partys_task_has_its_section_its_presets_and_the_settings_of_the_head_it_names(plugins):
    small, quick, paper = (resolved(plugins, preset=p).settings_of("counting") for p in ("small", "quick", "paper"))
    assert (small.depth, small.by_settings) == (1, RidgeSettings())
    assert quick.depth == 2
    # The head's own preset and the dataset's recipe come with its name.
    assert paper.by == "softargmax_linear" and type(paper.by_settings) is SoftargmaxLinearSettings
    assert resolved(plugins, preset="smoke").settings_of("counting").by_settings == RidgeSettings()
    other = {"counting": {"by": "softargmax_conditioned", "by_settings": {"lr": 0.5}}}
    found = resolved(plugins, other, preset="smoke").settings_of("counting").by_settings
    assert found == SoftargmaxConditionedSettings(steps=8, few_shot_steps=8, lr=0.5)


def test_a_run_has_the_sections_of_its_tasks_and_of_those_that_they_use_and_no_others(plugins):
    assert set(resolved(plugins, {"regression": {"draws": 9}}).settings) == {"counting", "matching"}
    assert set(resolved(plugins, {"tasks": ["scale"]}).settings) == {"scale", "regression"}
    dumped = resolved(plugins).dump()
    assert dumped["counting"]["by_settings"]["alpha"] == 0.1 and "regression" not in dumped
    assert config_of(plugins, dumped) == resolved(plugins)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"counting": {"depht": 2}}, r"counting\.depht: task 'counting' has no setting 'depht'.*'depth'"),
        ({"counting": {"depth": 0}}, r"counting\.depth = 0: expected a whole number"),
        ({"counting": {"depth": 3}}, r"counting\.depth = 3: the variant has 2 layers"),
        ({"counting": {"by": "rigde"}}, r"unknown head 'rigde'.*'ridge'"),
        ({"counting": {"by_settings": 3}}, r"counting\.by_settings = 3: has settings of its own"),
        ({"counting": {"by_settings": {"alhpa": 1}}}, r"counting\.by_settings\.alhpa: head 'ridge' has no setting"),
        ({"segmentation": {"steps": "many"}}, r"segmentation\.steps = 'many'"),  # which does not run
        ({"contuing": {"depth": 1}}, r"contuing is no setting\. Did you mean 'counting'"),
    ],
)
def test_what_cannot_be_in_a_section_is_refused_at_its_place(plugins, given, said):
    with pytest.raises(UsageError, match=said):
        resolved(plugins, given)


def test_draws_for_everybody_are_those_of_every_task_that_has_them_and_one_of_its_own_wins(plugins):
    run = {"tasks": ["counting", "regression"]}
    everywhere = {"draws": 7, "annotations": (1, "all")}
    found = resolved(plugins, run, {"regression": {"draws": 3}}, everywhere=everywhere)
    assert (found.settings_of("counting").draws, found.settings_of("regression").draws) == (7, 3)
    assert found.settings_of("regression").annotations == (1, "all")


def test_a_task_that_would_hide_a_setting_of_every_run_is_refused(make):
    source = "@hookimpl\ndef lmbench_tasks(): return [TaskSpec(name='read', summary='', target='a:b')]"
    (_, info) = load_plugins([make(source)]).infos
    assert "'read' is a setting of every run" in info.problem


def method(folder: str, **changes) -> MethodSpec:
    variant = VariantSpec(name="v", summary="")
    return MethodSpec(name="m", summary="", variants=(variant,), presets=folder, **changes)


def test_presets_are_the_files_of_a_folder(tmp_path, monkeypatch):
    (tmp_path / "files_of_presets" / "p").mkdir(parents=True)
    (tmp_path / "files_of_presets" / "__init__.py").touch()
    for name, text in (("smoke", "test_images = 4"), ("paper", "= 3"), ("birds", "read.size = 9")):
        (tmp_path / "files_of_presets" / "p" / f"{name}.toml").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    spec = method("files_of_presets:p")
    assert presets.names(spec) == ("smoke", "paper")
    assert presets.of_method(spec, "smoke") == {"test_images": 4} and presets.of_method(spec, "quick") == {}
    assert presets.on_dataset(spec, "birds") == {"read": {"size": 9}}
    with pytest.raises(PluginError, match=r"files_of_presets: p/paper\.toml: not valid TOML"):
        presets.of_method(spec, "paper")
    with pytest.raises(PluginError, match=r"paper_on names 'cats'; files_of_presets:p holds no cats\.toml"):
        presets.on_dataset(spec, "cats")


def test_every_preset_of_the_core_says_something_of_everybodys_run():
    assert [presets.of_everybody(name).get("read") for name in ("smoke", "quick")] == [{"size": 24}] * 2
    assert presets.of_everybody("smoke")["references"] is False
    assert presets.of_everybody("no such preset") == {}


def test_draws_of_the_command_line_reach_a_task_that_runs(capsys, tmp_path):
    arguments = ["run", "--method", "random", "--dataset", "synthfaces", "--preset", "smoke", "--runs", str(tmp_path)]
    code, _, err = run_here(capsys, *arguments, "--tasks", "regression", "--annotations", "999999", "--dry-run")
    assert code == 2 and "regression.annotations 999999: synthfaces has 48 training images" in err


def test_what_is_set_of_a_task_or_stage_that_does_not_run_is_said_to_change_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    fixed = ["run", "--dataset", "synthfaces", "--preset", "smoke", "--dry-run"]
    assert run_cli([*fixed, "--method", "mean_shape", "--set", "segmentation.draws=3"]) == 0
    assert "segmentation: no run here has this task" in capsys.readouterr().err
    assert run_cli([*fixed, "--method", "lead", "--set", "stages.moco.settings.queue=4"]) == 0
    assert "stages.moco: no run here has this stage" in capsys.readouterr().err


TWIN = """
from dataclasses import dataclass

@dataclass(frozen=True)
class TwinSettings:
    k: Count = {k}

    def fits(self, around):
        if self.k == 9:
            raise ValueError("k = 9: too many")

@hookimpl
def lmbench_tasks():
    return [TaskSpec(name="twin", summary="", target="a:b", settings=TwinSettings, presets={presets})]
"""


@pytest.fixture
def twins(make: PluginMaker) -> Plugins:
    made = [make(TWIN.format(k=k, presets="{}"), f"d-{o}") for k, o in ((1, "one"), (2, "two"))]
    return load_plugins([make(TASK), *made])


def test_a_faulty_preset_of_a_task_disturbs_the_runs_of_that_task_alone(make):
    plugins = load_plugins([make(TASK), make(TWIN.format(k=1, presets={"smoke": {"kk": 1}}), "d-one")])
    assert "twin" not in resolved(plugins, preset="smoke").settings
    with pytest.raises(PluginError, match=r"preset smoke of the task twin: twin\.kk: task 'twin' has no setting 'kk'"):
        resolved(plugins, {"tasks": ["twin"]}, preset="smoke")


def test_of_two_tasks_of_one_name_the_section_is_of_the_one_that_the_run_names(twins):
    one, two = (resolved(twins, {"tasks": [f"d-{owner}:twin"]}) for owner in ("one", "two"))
    assert (one.settings_of("twin").k, two.settings_of("d-two:twin").k) == (1, 2)
    assert resolved(twins, {"tasks": ["d-two:twin"], "twin": {"k": 3}}).settings_of("twin").k == 3
    assert config_of(twins, two.dump()) == two


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"tasks": ["d-one:twin", "d-two:twin"]}, r"tasks: d-one:twin and d-two:twin have one name"),
        ({"tasks": ["regression", "lmbench:regression"]}, r"tasks: regression and lmbench:regression have one name"),
        ({"twin": {"k": 3}}, r"twin: task 'twin' is brought by 2 distributions: ask for d-one:twin or d-two:twin"),
        ({"tasks": ["d-one:twin"], "twin": {"k": 9}}, r"twin\.k = 9: too many"),
        (
            {"regression": {"head_settings": {"nope": 1}}},
            r"regression\.head_settings\.nope: head 'converged' has no",
        ),
        ({"regression": {"head_settings": 3}}, r"regression\.head_settings = 3: has settings"),
    ],
)
def test_a_section_of_no_task_of_the_run_is_refused_where_it_cannot_be_meant(twins, given, said):
    with pytest.raises(UsageError, match=said):
        resolved(twins, given)


def test_a_mistake_in_a_methods_preset_is_the_methods_and_says_where_it_stands(make):
    source = """
    @hookimpl
    def lmbench_methods():
        variant = VariantSpec(name="v", summary="", layers=("conv5_x",))
        return [MethodSpec(name="toy", summary="", variants=(variant,), presets={"smoke": {"reed": {"size": 3}}, "quick": {}})]
    """
    plugins = load_plugins([make(source)])
    with pytest.raises(PluginError, match=r"preset smoke of toy: reed is no setting. Did you mean"):
        resolved(plugins, preset="smoke")
    with pytest.raises(UsageError, match=r"^raed is no setting"):
        resolved(plugins, {"raed": {}}, preset="quick")


def test_a_mistake_in_the_file_of_a_preset_names_the_file(make, tmp_path, monkeypatch):
    (folder := tmp_path / "toy_presets" / "kept").mkdir(parents=True)
    (folder / "smoke.toml").write_text("[reed]\nsize = 3\n")
    (folder.parent / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    source = """
    @hookimpl
    def lmbench_methods():
        variant = VariantSpec(name="v", summary="", layers=("conv5_x",))
        return [MethodSpec(name="toy", summary="", variants=(variant,), presets="toy_presets:kept")]
    """
    plugins = load_plugins([make(source)])
    with pytest.raises(PluginError, match=r"preset smoke of toy \(toy_presets: kept/smoke\.toml\): reed is no setting"):
        resolved(plugins, preset="smoke")


UNCHECKABLE = """
from dataclasses import dataclass

class Odd: pass

@dataclass(frozen=True)
class OddSettings:
    odd: Odd | None = None
    k: int = 1

    def __post_init__(self):
        if self.k == 3:
            raise TypeError("k = 3: is odd")

@hookimpl
def lmbench_tasks(): return [TaskSpec(name="odd", summary="", target="a:b", settings=OddSettings)]
"""


def test_settings_that_raise_or_cannot_be_checked_are_told_with_their_place(make):
    plugins = load_plugins([make(TASK), make(UNCHECKABLE, "d-odd")])
    assert [i.problem for i in plugins.infos if i.problem] == []
    with pytest.raises(PluginError, match=r"odd\.odd: its type .* is none that values can be checked against"):
        resolved(plugins, {"odd": {"odd": 3}})
    with pytest.raises(UsageError, match=r"^odd\.k = 3: is odd"):
        resolved(plugins, {"odd": {"k": 3}})


@pytest.mark.parametrize(("kind", "name"), [("Task", "a/b"), ("Task", "a.b"), ("Metric", "a.b")])
def test_a_task_or_metric_whose_name_cannot_stand_in_records_is_refused(make, kind, name):
    own = "target='a:b'" + (", task='regression', unit='px', higher_is_better=False" if kind == "Metric" else "")
    source = f"@hookimpl\ndef lmbench_{kind.lower()}s(): return [{kind}Spec(name={name!r}, summary='', {own})]"
    (_, info) = load_plugins([make(source)]).infos
    assert f"name: letters, digits, '_' and '-' are expected of a {kind.lower()}, found {name!r}" in info.problem
