"""What `lmbench reproduce` stands on: printed tables, the runs that their numbers map to, and plans from names."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lmbench.errors import UsageError
from lmbench.heads.reference import SoftargmaxLinear
from lmbench.papers.coverage import coverage
from lmbench.papers.planning import Request, parse_dataset_map, plan_table, resolve
from lmbench.papers.published import find_table, tables
from lmbench.papers.rules import Rules
from lmbench.papers.targets import Gap, Target, is_ours, target_of
from lmbench.plugins.finding import installed
from lmbench.plugins.loading import Plugins, get_plugins, load_plugins
from lmbench.specs import PRESETS, MethodSpec, PublishedRows

FIRST = "sparse2017/text"
SECOND = "contrastlandmarks2021/table5"
CELLS = [cell for cells in tables(get_plugins()).values() for cell in cells]
ALL_FACES = {name: "synthfaces" for cell in CELLS for name in (cell.dataset, cell["pretrain_dataset"]) if name}


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    return get_plugins()


def target(plugins: Plugins, table_name: str, **columns: str) -> Target:
    """The target of the one cell with these columns."""
    (cell,) = [c for c in find_table(table_name, plugins) if all(c[k] == v for k, v in columns.items())]
    found = target_of(cell, Rules(plugins))
    assert isinstance(found, Target), found
    return found


# Tables and mapping


def test_every_printed_number_is_in_one_table_and_every_table_is_found_by_its_names(plugins):
    every = tables(plugins)
    assert sum(map(len, every.values())) == 555
    for name, cells in every.items():
        assert find_table(name, plugins) == cells
        assert find_table(f"{cells[0]['paper']}/{cells[0]['table']}", plugins) == cells  # as it is printed
    assert find_table("lead2022/supp-Table-7", plugins) == every["lead2022/supp_table7"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("leed2022/table5", "Did you mean 'lead2022'"),
        ("lead2022/table55", "Did you mean 'table5'"),
        ("lead2022", "names a paper and no table; it has table1, "),
        ("lead2022/", "has no table ''"),
    ],
)
def test_an_unknown_table_is_refused_with_the_closest(name, said, plugins):
    with pytest.raises(UsageError, match="lead2022") as caught:
        find_table(name, plugins)
    assert said in str(caught.value)


def test_every_measurement_of_a_method_that_is_here_has_a_run_but_for_seven_with_reasons(plugins):
    found = coverage(plugins)
    assert sum(t.cells for t in found) == 555
    assert sum(t.ours for t in found) == 444 and sum(t.mapped for t in found) == 437
    reasons = [reason for t in found for reason in t.unmapped.elements()]
    assert len(reasons) == 7 and sum("labels" in r or "supervised training" in r for r in reasons) == 6
    for t in found:
        assert t.cells == t.mapped + t.unmapped.total() + t.foreign.total()


def test_what_no_plugin_brings_and_what_is_no_measurement_says_so(plugins):
    def reason(**columns: str) -> str:
        cell = next(c for c in CELLS if all(c[k] == v for k, v in columns.items()))
        gap = target_of(cell, Rules(plugins))
        assert isinstance(gap, Gap) and gap.kind == "scope" and not is_ours(cell, Rules(plugins))
        return gap.reason

    assert "supervised system" in reason(method="tcdcn")
    assert "no plugin brings the method 'fabnet'" in reason(method="fabnet")
    assert reason(task="cost").startswith("a cost")
    assert reason(metric="relative_improvement_pct").startswith("a claim")


def test_variants_are_told_apart_where_the_dimension_does_not(plugins):
    name = "contrastlandmarks2021/table3"
    assert target(plugins, name, variant="layer #2", dataset="mafl").variant == "conv2_x"  # 256-d, as proj256
    assert target(plugins, name, variant="hypercolumn #4 - #5", dataset="mafl").variant == "conv4_x-conv5_x"
    name = "contrastlandmarks2021/table4"
    ten = target(plugins, name, variant="+proj, K=10", dataset="mafl", task="regression")
    assert (ten.variant, ten.settings) == ("proj256", {"regression": {"head_settings": {"points": 10}}})
    fifty = target(plugins, name, variant="+proj, K=50", feature_dim="64", dataset="mafl", task="regression")
    assert (fifty.variant, fifty.settings, fifty.backbone) == ("proj64", {}, "resnet50")


def test_the_citing_papers_numbers_are_of_the_variants_that_their_sources_name(plugins):
    sparse = {d: target(plugins, "lead2022/table2", method="sparse", dataset=d) for d in ("mafl", "aflw_m", "300w")}
    assert [t.variant for t in sparse.values()] == ["k50", "k51_finetuned", "k50_finetuned"]  # 6.67, 10.53, 7.97
    assert {t.pretrain_on for t in sparse.values()} == {"celeba_minus_mafl_test"}
    dve = [target(plugins, "lead2022/table2", method="dve", dataset=d).variant for d in ("mafl", "aflw_m")]
    assert dve == ["hourglass", "hourglass-ft"]  # 2.86, 7.53 (8.15 without fine-tuning)


def test_a_regressor_fitted_on_celeba_is_judged_on_the_selection_that_has_it(plugins):
    columns = {"variant": "regressor_train=celeba", "n_landmarks": "30"}
    found = target(plugins, "sparse2017/table1", **columns)
    assert (found.variant, found.dataset, found.pretrain_on) == ("k30", *["celeba_minus_mafl_test"] * 2)
    assert Request(dataset_map={"celeba": "celeba_half"}).dataset(found.pretrain_on, plugins) == "celeba_half"
    exact = {"celeba": "celeba_half", "celeba_minus_mafl_test": "synthfaces"}
    assert Request(dataset_map=exact).dataset(found.pretrain_on, plugins) == "synthfaces"


def test_lead_prints_px_under_percent_and_the_birds_metric_is_that_of_the_code(plugins):
    lead = target(plugins, "lead2022/table3", variant="proj_dim=none", pairs="same")
    assert (lead.metrics, lead.part, lead.n_annotations) == (("matching_error",), "same", None)
    assert lead.settings == {"stages": {"distillation": {"settings": {"projection": 0}}}} and "px" in lead.note
    assert target(plugins, "lead2022/supp_table9", method="lead").metrics == ("pck_cub_truncated", "pck_5pct")
    average = target(plugins, "twostep2021/table2", method="twostep", n_annotations="50")
    assert (average.part, average.n_annotations, average.variant) == (None, 50, "k50")


def test_poses_are_pretrained_on_the_training_videos_and_judged_apart_by_parts(plugins):
    wrist = target(plugins, "twostep2021/table1", method="twostep", part="wrist")
    assert (wrist.pretrain_on, wrist.dataset, wrist.part, wrist.metrics) == (
        "bbcpose_train", "bbcpose", "wrist", ("pck_6px",)
    )  # fmt: skip
    imm = target(plugins, "twostep2021/table1", method="imgen", part="avg")
    assert (imm.pretrain_on, imm.part, imm.metrics) == ("bbcpose_train", None, ("bbc_pck", "pck_6px"))


def test_every_mapped_row_resolves_in_every_preset(plugins):
    """No variant, setting or layer of the mapping is misspelt: the labelled faces stand for all datasets."""
    rules = Rules(plugins)
    targets = [t for t in (target_of(c, rules) for c in CELLS) if isinstance(t, Target)]
    targets = [t for t in targets if t.task in ("regression", "matching")]
    assert len(targets) == 432
    unlike = {repr(replace(t, n_annotations=None, part=None, metrics=())): t for t in targets}
    for preset in PRESETS:
        request = Request(preset, dataset_map=ALL_FACES)
        for one in unlike.values():
            config = resolve([one], plugins, request)
            assert (config.method, config.variant, config.dataset) == (one.method, one.variant, "synthfaces")
            assert bool(config.stages) == bool(config.pretrain_on) == bool(one.pretrain_on)
            if preset == "paper" and one.backbone:
                assert config.backbone == one.backbone


def plugins_of(*distributions: str) -> Plugins:
    """The core with the plugins of some distributions alone."""
    return load_plugins([c for c in installed() if c.distribution in distributions])


def bring(plugins: Plugins, owner: str, *published: PublishedRows) -> None:
    """Adds a method ``mine`` of a distribution to some plugins."""
    base = next(e.spec for e in get_plugins().registry("method") if e.spec.name == "random")
    spec = MethodSpec(name="mine", summary="s", variants=(replace(base.variants[0], name="v"),), published=published)
    plugins.registry("method").add(spec, owner, "1")


def test_a_plugin_brings_the_mapping_of_its_own_method():
    plugins = plugins_of("lmbench-contrastlandmarks")
    rows = PublishedRows(where={"method": "fabnet", "dataset": ("mafl",)}, variant="v", pretrain_on="celeba")
    bring(plugins, "lmbench-mine", rows)
    found = target(plugins, "contrastlandmarks2021/table2", method="fabnet", dataset="mafl")
    assert (found.method, found.variant, found.pretrain_on) == ("mine", "v", "")  # no stage pretrains


def test_the_numbers_of_a_method_whose_plugin_is_named_by_the_paper_are_nobody_elses():
    plugins = plugins_of("lmbench-lead")
    bring(plugins, "lmbench-mine", PublishedRows(where={"method": ("dve", "lead")}, variant="v"))
    cells = [c for c in find_table("lead2022/table2", plugins) if c.dataset == "mafl"]
    of_dve = next(c for c in cells if c["method"] == "dve")
    missing = target_of(of_dve, Rules(plugins))
    assert isinstance(missing, Gap) and missing.kind == "missing" and "pip install lmbench-dve" in missing.reason
    assert is_ours(of_dve, Rules(plugins))
    assert target(plugins, "lead2022/table2", method="lead", dataset="mafl").method == "lead"


def test_without_a_papers_plugin_its_tables_are_not_there_and_the_others_are():
    plugins = plugins_of("lmbench-sparse", "lmbench-baselines")
    assert {name.partition("/")[0] for name in tables(plugins)} == {"sparse2017"}
    with pytest.raises(UsageError, match="unknown paper 'lead2022'; there are sparse2017"):
        find_table("lead2022/table1", plugins)
    assert target(plugins, FIRST, method="mean_landmarks").method == "mean_shape"


# Planning


@pytest.mark.parametrize("name", list(tables(get_plugins())))
def test_every_table_has_a_plan_whatever_data_is_here(name, plugins, tmp_path):
    for mapping in ({}, ALL_FACES):
        plan = plan_table(find_table(name, plugins), plugins, Request("small", dataset_map=mapping, data_root=tmp_path))
        served = [n for run in plan.runs for n in run.targets]
        assert sorted([*served, *plan.gaps]) == list(range(len(plan.cells)))  # each cell once
        assert all(gap.reason for gap in plan.gaps.values())


def test_one_run_serves_every_number_of_annotations_of_a_method(plugins):
    request = Request("small", dataset_map={"aflw_m": "synthfaces", "celeba": "synthfaces"})
    plan = plan_table(find_table("lead2022/table5", plugins), plugins, request)
    assert len(plan.runs) == 9 and not plan.gaps
    assert all(run.config.settings_of("regression").annotations == (1, 5, 10, 20, 50, 100) for run in plan.runs)
    assert all(run.config.tasks == ("regression",) for run in plan.runs)
    assert [len(run.targets) for run in plan.runs] == [6] * 9
    supplement = plan_table(find_table("sparse2017/supp_table2", plugins), plugins, request)
    assert (1, 5, 10, 20, "all") in [run.config.settings_of("regression").annotations for run in supplement.runs]


def test_a_row_says_what_is_otherwise_than_in_the_paper(plugins):
    request = Request("small", dataset_map={"aflw_m": "synthfaces", "celeba": "synthfaces"})
    plan = plan_table(find_table("lead2022/table5", plugins), plugins, request)
    lead = next(run for run in plan.runs if run.config.method == "lead")
    (said,) = set(lead.differs.values())
    assert said == (
        "measured on synthfaces, not aflw_m; pretrained on synthfaces, not celeba; resnet18, not resnet50; preset small, "
        "not paper; head converged, not softargmax_linear"
    )


def test_what_is_not_built_of_a_paper_is_told_in_every_preset(plugins):
    def told(table: str, method: str, dataset: str) -> set[str]:
        plan = plan_table(find_table(table, plugins), plugins, Request("paper", dataset_map=ALL_FACES))
        cells = {n: said for run in plan.runs for n, said in run.differs.items()}
        chosen = [n for n in cells if (plan.cells[n]["method"], plan.cells[n].dataset) == (method, dataset)]
        return {cells[n] for n in chosen}

    (rough,) = told("lead2022/table2", "imgen", "aflw_r")
    assert "fine-tunes it on AFLW" in rough
    (mafl,) = told("lead2022/table2", "imgen", "mafl")
    assert "fine-tunes" not in mafl
    frames = target(plugins, "twostep2021/table1", method="imgen", part="avg")
    assert "two frames of a video" in frames.differs


def test_dense3ds_own_run_of_2017_is_not_measured_by_dves_code(plugins):
    (cell,) = [c for c in find_table("twostep2021/table4", plugins) if c["method"] == "dense3d"]
    gap = target_of(cell, Rules(plugins))
    assert isinstance(gap, Gap) and "5.83" in gap.reason and "4.02" in gap.reason
    assert target(plugins, "lead2022/table2", method="dense3d", dataset="mafl").variant == "smallnet"  # 4.02


def test_dves_birds_are_regressed_as_cls_code_does_it_with_dves_features(plugins):
    birds = target(plugins, "contrastlandmarks2021/table2", method="dve", dataset="cub")
    config = resolve([birds], plugins, Request("paper"))
    recipe = SoftargmaxLinear(config.settings_of("regression").head_settings).description()["recipe"]
    # CL's README for DVE's features on CUB: Adam (0.5, 0.999), 1e-2, weight decay 5e-4, cosine over 2000 epochs
    assert (recipe["lr"], recipe["betas"], recipe["weight_decay"]) == (1e-2, (0.5, 0.999), 5e-4)
    assert (recipe["schedule"], recipe["epochs"], recipe["amsgrad"]) == ("cl_cosine", 2000, False)


def test_networks_that_a_table_compares_are_never_given_one_number(plugins):
    request = Request("small", dataset_map=ALL_FACES)
    plan = plan_table(find_table(SECOND, plugins), plugins, request)
    measured = {plan.cells[n]["backbone"] for run in plan.runs for n in run.targets}
    assert measured == {"resnet18"} and len(plan.gaps) == 12
    assert all("--backbones paper" in gap.reason and gap.kind == "scope" for gap in plan.gaps.values())
    both = plan_table(find_table(SECOND, plugins), plugins, replace(request, backbones="paper"))
    assert not both.gaps and {run.config.backbone for run in both.runs} == {"resnet18", "resnet50"}


def test_preset_paper_takes_the_papers_networks_and_its_settings_for_a_dataset(plugins):
    plan = plan_table(find_table("lead2022/table4", plugins), plugins, Request("paper"))
    runs = {(r.config.method, plan.cells[n].dataset): r.config for r in plan.runs for n in r.targets}
    assert runs["lead", "mafl"].backbone == "resnet50"
    heads = {of: config.settings_of("regression").head_settings for of, config in runs.items()}
    epochs = [heads["lead", d].epochs for d in ("mafl", "aflw_m", "300w")]
    assert epochs == [120, None, 80]  # CL README
    assert heads["dve", "mafl"].recipe == "dve_faces"


def test_copies_that_are_warped_once_are_told_beside_the_papers_fresh_warps(plugins):
    plan = plan_table(find_table("lead2022/table5", plugins), plugins, Request("paper"))
    told = {(run.targets[n].n_annotations, run.differs[n]) for run in plan.runs for n in run.targets}
    assert told and all(
        differs == "10 warped copies of each annotated image, not a fresh warp at every look"
        for n, differs in told
        if n != "all"
    )


def test_missing_data_is_told_with_its_source_and_the_way_out(plugins, tmp_path):
    request = Request("small", dataset_map={"aflw_m": "aflw_split"}, data_root=tmp_path)
    plan = plan_table(find_table(FIRST, plugins), plugins, request)
    reasons = {run.absent.reason for run in plan.runs if run.absent}
    assert len(reasons) == 1 and (reason := reasons.pop())
    assert str(tmp_path / "MTFL") in reason and "MTFL.zip" in reason and "--dataset-map aflw_m=" in reason


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        (["mafl"], "expected PAPERS=OURS"),
        (["=mafl"], "expected PAPERS=OURS"),
        (["mafl="], "expected PAPERS=OURS"),
        (["mafll=synthfaces"], "Did you mean 'mafl'"),
        (["mafl=synthface"], "Did you mean 'synthfaces'"),
        (["mafl=synthfaces", "mafl=aflw_split"], "give one of them"),
        ([""], "expected PAPERS=OURS"),
    ],
)
def test_a_map_that_says_nothing_certain_is_refused(pairs, said, plugins):
    with pytest.raises(UsageError) as caught:
        parse_dataset_map(pairs, plugins)
    assert said in str(caught.value)


def test_a_map_may_come_in_pieces_or_with_commas(plugins):
    both = {"mafl": "synthfaces", "celeba": "celeba_half"}
    assert parse_dataset_map(["mafl=synthfaces", "celeba=celeba_half"], plugins) == both
    assert parse_dataset_map([" mafl = synthfaces, celeba=celeba_half"], plugins) == both
