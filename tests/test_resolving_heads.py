"""From names and options to the head of a run: a dataset's own recipe, and settings that belong to another head."""

from __future__ import annotations

import pytest

from lmbench.config.resolving import resolve_run
from lmbench.errors import UsageError
from lmbench.heads.reference import SoftargmaxLinear
from lmbench.plugins.loading import get_plugins


def head_of(method, dataset, preset="paper", **regression):
    overrides = [{"regression": regression}] if regression else []
    config = resolve_run(get_plugins(), method, dataset, preset=preset, overrides=overrides)
    section = config.settings_of("regression")
    return section.head, section.head_settings


@pytest.mark.parametrize(
    ("dataset", "stop"), [("mafl", 120), ("mafl_wild", 120), ("300w", 80), ("aflw_m", 45), ("aflw_r", 45)]
)
@pytest.mark.parametrize("method", ["contrastlandmarks", "lead", "random"])
def test_preset_paper_alone_stops_the_papers_head_where_they_did(method, dataset, stop):
    head, settings = head_of(method, dataset)  # ContrastLandmarks' README: a fixed stop for each dataset
    assert head == "softargmax_linear"
    described = SoftargmaxLinear(settings).description()
    assert described["recipe"]["epochs"] == stop
    assert described["few_shot_recipe"]["epochs"] == 1000


def test_epochs_that_are_set_win_over_the_datasets():
    assert head_of("lead", "mafl", head_settings={"epochs": 7})[1].epochs == 7
    assert head_of("lead", "mafl", "smoke", head="softargmax_linear")[1].epochs == 1


def test_another_papers_recipe_has_its_own_epochs():
    assert (head_of("dve", "mafl")[1].recipe, head_of("dve", "mafl")[1].epochs) == ("dve_faces", None)
    assert head_of("lead", "mafl", head_settings={"recipe": "dve_faces"})[1].epochs is None


def test_birds_take_their_recipe_unless_another_is_asked_for():
    assert head_of("lead", "cub")[1].recipe == "cl_birds"
    assert head_of("dve", "cub")[1].recipe == "dve_birds"
    assert head_of("lead", "cub", head_settings={"recipe": "cl_faces"})[1].recipe == "cl_faces"
    assert head_of("lead", "cub", head_settings={"recipe": "dve_few"})[1].recipe == "dve_few"


@pytest.mark.parametrize("method", ["lead", "sparse", "twostep", "imm", "dve", "random"])
@pytest.mark.parametrize("preset", ["smoke", "quick", "small", "paper"])
@pytest.mark.parametrize("head", ["ols", "ridge", "softargmax_linear", "softargmax_conditioned", "mean_shape"])
def test_any_head_can_be_asked_for_by_name_alone(method, preset, head):
    found, settings = head_of(method, "synthfaces", preset, head=head)
    spec = get_plugins().find("head", head).spec
    assert found == head and type(settings) is spec.settings
    if head in ("ols", "ridge") and method not in ("sparse", "twostep", "imm"):
        assert settings == spec.settings()  # nothing is left of the head that the method has


def test_settings_of_ones_own_are_never_dropped_without_a_word():
    head, settings = head_of("sparse", "synthfaces", head="ols", head_settings={"bias": True})
    assert (head, settings.bias) == ("ols", True)
    with pytest.raises(UsageError, match="alpha"):
        head_of("sparse", "synthfaces", head="ols", head_settings={"alpha": 2.0})
    overrides = [
        {"regression": {"head_settings": {"alpha": 2.0}}},
        {"regression": {"head": "ols"}},
    ]  # --config, then --set
    with pytest.raises(UsageError, match="alpha"):
        resolve_run(get_plugins(), "sparse", "synthfaces", overrides=overrides)


def test_the_heads_own_name_keeps_the_methods_settings():
    assert head_of("sparse", "synthfaces", head="ridge") == head_of("sparse", "synthfaces")
