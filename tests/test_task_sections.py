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
