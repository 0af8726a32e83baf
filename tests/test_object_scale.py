"""The size of the object: what plans and records say of it is what the views show, and presets show it as test images do."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, fields, is_dataclass, replace

import pytest
import torch
from click.testing import CliRunner

from lmbench.cli.main import cli
from lmbench.config.object_scale import object_scales, unequal_scales
from lmbench.config.resolving import resolve_run
from lmbench.config.values import complete
from lmbench.errors import UsageError
from lmbench.plugins.loading import get_plugins
from lmbench.testing.trials import find_trial
from lmbench.training.augment import draw_views
from lmbench.training.cuts import mean_side
from lmbench.training.views import ViewSettings

PLAIN = {"jitter_p": 0.0, "grey_p": 0.0, "blur_p": 0.0, "solarise_p": 0.0}  # nothing but geometry
STILL = {"warpsd_all": 0.0, "warpsd_subset": 0.0, "transsd": 0.0, "scalesd": 0.0, "rotsd": 0.0}
CROPPED = {**PLAIN, "size": 40, "window": 0.7, "scale": (0.4, 1.0)}
CHEAP = {"batch_norm": "frozen"}
CLEAN = {"jpeg": False, "lighting": 0.0}  # their noise would be taken for what a view shows
OBJECTIVES = {
    "byol": {"view1": CROPPED, "view2": {**CROPPED, "size": 48, "window": 1.0}},
    "correspondence_distillation": {"view": CROPPED, "view2": {"blur_p": 0.0, "solarise_p": 0.0}},
    "moco": {"view": {**CROPPED, **CLEAN, "centre": 24, "flip_p": 0.5}},
    "cl_projection": {"view": {**CROPPED, **CLEAN, "scale": (1.0, 1.0)}},
    "nmf": {"view": {**CROPPED, "scale": (0.08, 1.0)}},
    "pixel_ntxent": {"size": 32, "window": 0.6, "appearance": {"jitter_p": 0.0}, "noise": 0.0, "locations": 4},
    "twostep_landmarks": {"size": 0, "window": 0.8},
    "sparse_alignment": {"crop": 7, "g1": STILL, "g2": STILL},
    "imm": {"size": 32, "window": 0.75, "border": "real", "target_warp": STILL, "source_warp": STILL},
    "dve": {"crop": 0.2, "warp": STILL, "view": {"jitter_p": 0.0, "blur_p": 0.0}},
}


def places(frame, count):
    """Images whose red and green are the place in the frame, x and y in [0, 1] from edge to edge."""
    place = (torch.arange(frame) + 0.5) / frame
    image = torch.stack((place.expand(frame, -1), place[:, None].expand(-1, frame), torch.zeros(frame, frame)))
    return image.expand(count, -1, -1, -1)


def tensors(value):
    """All views in what an objective makes, whatever holds them."""
    if isinstance(value, torch.Tensor):
        return [value] if value.ndim == 4 and value.shape[1] == 3 else []
    if is_dataclass(value):
        value = tuple(getattr(value, f.name) for f in fields(value))
    return [t for v in value for t in tensors(v)] if isinstance(value, tuple | list) else []


def part_shown(view):
    """How much of the frame's side a view shows: how far it goes from one pixel to the next, times its pixels."""
    middle, side = view.shape[-1] // 2, view.shape[-1]
    right = view[:, :2, middle, middle + 1] - view[:, :2, middle, middle - 1]
    down = view[:, :2, middle + 1, middle] - view[:, :2, middle - 1, middle]
    return float(torch.linalg.det(torch.stack((right, down), -1) / 2).abs().sqrt().mean()) * side


@pytest.mark.parametrize("name", OBJECTIVES)
def test_what_an_objective_says_of_its_views_is_what_they_show(name):
    spec = get_plugins().find("objective", name).spec
    trial = find_trial(spec, get_plugins())
    settings = complete(spec.settings, OBJECTIVES[name], name, trial.settings)
    trial = replace(trial, settings=settings, frame=64)
    objective, _ = trial.build()
    with torch.no_grad():
        views = tensors(objective.views(places(64, 300), torch.Generator().manual_seed(0)))
    said = spec.cuts.shown(asdict(settings), 64)
    assert len(views) >= 1
    for i, view in enumerate(views):
        expected = said[min(i, len(said) - 1)]
        assert view.shape[-1] == expected.side
        assert part_shown(view) == pytest.approx(expected.part, rel=0.025), f"view {i}"


def test_every_objective_of_the_house_says_how_its_views_are_cut():
    for entry in get_plugins().objectives:
        assert entry.spec.cuts is not None or not entry.owner.startswith("lmbench"), entry.qualified
        assert entry.spec.name in OBJECTIVES or entry.spec.cuts is None


@pytest.mark.parametrize(
    ("scale", "ratio"),
    [((0.08, 1.0), (0.75, 4 / 3)), ((0.6, 1), (0.9, 1.1)), ((0.9, 1), (0.5, 2)), ((1, 1), (1.2, 1.5))],
)
def test_the_mean_crop_is_the_mean_of_drawn_crops(scale, ratio):
    view = ViewSettings(size=4, scale=scale, ratio=ratio, jitter_p=0, grey_p=0)
    drawn = draw_views(places(96, 20000), view, torch.Generator().manual_seed(0))
    assert mean_side(scale, ratio) == pytest.approx(part_shown(drawn), rel=0.01)


def ratios(method, variant, dataset, source, preset, *overrides):
    config = resolve_run(
        get_plugins(), method, dataset, variant=variant, pretrain_on=source, preset=preset, overrides=overrides
    )
    return {name: s.ratio for name, s in object_scales(config, get_plugins()).items()}


def test_ratios_are_those_worked_out_by_hand():
    # pixels of a frame in the view / pixels of a frame that shows the object as large as the test image does
    assert ratios("twostep", "k30", "mafl", "celeba", "paper") == pytest.approx(
        {"contrast": 128 / 136, "landmarks": 128 / 136}
    )
    assert ratios("twostep", "k30", "bbcpose", "bbcpose_train", "paper")["contrast"] == pytest.approx(1)
    # IMM reads views and test images at 128 alike: 0.8 of the frame against 96 of 136
    assert ratios("imm", "k30", "mafl", "celeba", "paper")["imm"] == pytest.approx(96 / 136 / 0.8)
    assert ratios("dve", "hourglass", "mafl", "celeba", "paper")["hourglass"] == pytest.approx(1)
    # AFLW's crops are tighter than CelebA's frames; fine-tuning is on AFLW's own
    found = ratios("dve", "hourglass-ft", "aflw_m", "celeba", "paper")
    assert found == pytest.approx({"hourglass": 0.137 / 0.19, "hourglass_ft": 1})
    assert ratios("sparse", "k50", "aflw_split", "celeba_half", "small")["alignment"] == pytest.approx(
        192 * 0.137 / (136 * 0.19)
    )
    crop = mean_side((0.2, 1.0), (0.75, 4 / 3))  # Cheng: crops of 136 from a frame of 136, and the middle of them
    assert ratios("contrastlandmarks", "hypercolumn", "mafl", "celeba", "paper")["moco"] == pytest.approx(1 / crop)


def test_preset_paper_takes_the_papers_frames_of_cats_and_birds():
    assert ratios("twostep", "k20", "cats", "", "paper") == pytest.approx({"contrast": 1, "landmarks": 1})
    patch = resolve_run(get_plugins(), "twostep", "cats", preset="paper").stages["landmarks"].settings.patch
    assert patch == 10  # sec. 4.1: 8x8 at 128 pixels, 10x10 at 100
    assert resolve_run(get_plugins(), "twostep", "mafl", preset="paper").stages["landmarks"].training.frame == 128
    assert ratios("end_to_end", "k20", "cats", "", "paper") == pytest.approx({"landmarks": 1})
    assert ratios("sparse", "k20", "cats", "", "paper") == pytest.approx({"alignment": 1})
    assert ratios("dve", "smallnet", "cub", "inat_aves", "paper") == pytest.approx({"smallnet": 1})
    for method, stage in (("lead", "byol"), ("contrastlandmarks", "moco")):
        config = resolve_run(get_plugins(), method, "cub", pretrain_on="inat_aves", preset="paper")
        assert config.stages[stage].training.frame == 96
        settings = config.stages[stage].settings
        view = settings.view1 if method == "lead" else settings.view
        assert (view.size, getattr(view, "centre", 0)) == (96, 0)


DATA = [("synthfaces", ""), ("aflw_split", "celeba_half"), ("mafl", "celeba"), ("cats", ""), ("cub", "inat_aves"),
        ("bbcpose", "bbcpose_train"), ("synthfaces", "celeba_half"), ("mafl", "aflw_split"), ("300w", "celeba")]  # fmt: skip


@pytest.mark.parametrize(("dataset", "source"), DATA)
@pytest.mark.parametrize("preset", ["quick", "small"])
def test_small_budgets_show_the_object_as_large_as_test_images_do(preset, dataset, source):
    for entry in get_plugins().methods:
        for stages, variant in {v.stages: v.name for v in entry.spec.variants}.items():
            found = ratios(entry.spec.name, variant, dataset, source, preset) if stages else {}
            assert all(abs(r - 1) <= 0.1 for r in found.values()), (entry.spec.name, variant, found)


def test_a_preset_within_a_tenth_is_left_as_it_is():
    config = resolve_run(get_plugins(), "lead", "aflw_split", pretrain_on="celeba_half", preset="small")
    stage = config.stages["byol"]
    assert (stage.settings.view1.window, stage.training.frame) == (0.5, 192)
    config = resolve_run(get_plugins(), "twostep", "synthfaces", preset="quick")
    assert config.stages["contrast"].settings.window == 2 / 3


def test_what_is_set_by_hand_stands_and_is_told():
    by_hand = {"stages": {"byol": {"settings": {"view1": {"window": 0.9}}}}}
    config = resolve_run(get_plugins(), "lead", "cats", preset="small", overrides=[by_hand])
    views = config.stages["byol"].settings
    assert (views.view1.window, views.view2.window) == (0.9, 0.5)
    (said,) = unequal_scales(config, get_plugins())
    assert said.startswith("stage byol: training views show the object 1.57 times as large") and "as it was set" in said
    framed = {"stages": {"alignment": {"training": {"frame": 136}}}}
    config = resolve_run(get_plugins(), "sparse", "cats", preset="small", overrides=[framed])
    assert config.stages["alignment"].training.frame == 136
    colours = {"stages": {"byol": {"settings": {"view1": {"jitter_p": 0.5}}}}}
    config = resolve_run(get_plugins(), "lead", "cats", preset="small", overrides=[colours])
    assert config.stages["byol"].settings.view1.window == 1.0 and not unequal_scales(config, get_plugins())


@pytest.mark.parametrize(
    "view", [5, "wide", None, {"window": 0}, {"scale": (0, 0)}, {"scale": 3}, {"size": -3}, {"ratio": (0, 1)}]
)
def test_views_that_cannot_be_are_left_to_the_objective_to_refuse(view):
    asked = {"stages": {"byol": {"settings": {"view1": view}}}}
    for preset in ("small", "paper"):
        with contextlib.suppress(UsageError):
            config = resolve_run(get_plugins(), "lead", "cats", preset=preset, overrides=[asked])
            unequal_scales(config, get_plugins())


def invoke(*arguments):
    return CliRunner().invoke(cli, ["run", *arguments, "--dry-run"], catch_exceptions=False)


def test_the_plan_shows_the_ratio_and_a_warning_where_it_is_off(tmp_path):
    options = ("--method", "dve", "--dataset", "synthfaces", "--runs", str(tmp_path))
    shown = invoke(*options)
    assert "object x1.00" in shown.stdout and "warning" not in shown.stderr
    off = invoke(*options, "--set", "stages.smallnet.settings.crop=0.15", "--json")
    assert "1.41 times as large as test images do, as it was set (the same dataset)" in off.stderr
    scale = json.loads(off.stdout)["stages"][0]["object_scale"]
    assert scale["ratio"] == pytest.approx(48 / (48 - 2 * 7), abs=1e-3) and scale["frames"] == "the same dataset"


def test_frames_that_cannot_be_compared_are_said_to_be_taken_alike():
    config = resolve_run(get_plugins(), "lead", "cub", pretrain_on="inat_aves", preset="small")
    (scale, *_) = object_scales(config, get_plugins()).values()
    assert "not both state it" in scale.frames
    config = resolve_run(get_plugins(), "lead", "aflw_split", pretrain_on="celeba_half", preset="small")
    (scale, *_) = object_scales(config, get_plugins()).values()
    assert "0.137 of celeba_half" in scale.frames and "0.19 of aflw_split" in scale.frames
