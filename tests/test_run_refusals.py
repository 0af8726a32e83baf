"""What `lmbench run` refuses, each before anything is computed."""

from __future__ import annotations

import pytest
from small_runs import command, run_here

USAGE = [
    (["--method", "laed"], "unknown method 'laed'. Did you mean 'lead'"),
    (["--dataset", "synthface"], "unknown dataset 'synthface'. Did you mean 'synthfaces'"),
    (["--dataset", "/tmp"], "/tmp is a folder: folder:/tmp reads labelled images, images:/tmp unlabelled ones."),
    (["--preset", "smoek"], "unknown preset 'smoek' of lead; it has smoke, quick, small, paper. Did you mean 'smoke'"),
    (["--variant", "hypercolum"], "Did you mean 'hypercolumn'"),
    (["--tasks", "regresion"], "unknown task 'regresion'. Did you mean 'regression'"),
    (["--pretrain-on", "synthface"], "unknown dataset 'synthface'. Did you mean 'synthfaces'"),
    (["--vraiant", "x"], "No such option '--vraiant'"),
    (
        ["--set", "stages.byol.settings.view1.sice=3", "--dry-run"],
        "stages.byol.settings.view1.sice: view1 has no setting 'sice'",
    ),
    (["--annotations", "17"], "regression.annotations 17: synthfaces has 16 training images; ask for 1 to 16, or all."),
    (
        ["--annotations", "0"],
        "regression.annotations = [0]: expected a list, each a whole number, 1 to 10000000 or all, one or more, none twice.",
    ),
    (["--annotations", "few"], "--annotations 'few': expected numbers and all"),
    (["--draws", "0"], "--draws"),
    (["--config", "/nowhere.toml"], "--config /nowhere.toml: No such file or directory"),
    (["--set", "stages.byol.training.epoch=3"], "stages.byol.training.epoch: training has no setting 'epoch'"),
    (["--set", "stages.byol.settings.momentun=1"], "has no setting 'momentun'"),
    (
        ["--set", "stages.byol.backbone_settings.weigths=1"],
        "backbone 'resnet18' has no setting 'weigths'; it has weights. Did you mean 'weights'?",
    ),
    (
        ["--set", "network.backbone=resnet50"],
        "network: what is judged is what the last stage trains; set stages.byol.backbone_settings",
    ),
    (["--set", "regresion.draws=3"], "regresion is no setting. Did you mean 'regression'"),
    (["--set", "segmentation.stepps=3"], "task 'segmentation' has no setting 'stepps'"),
    (
        ["--set", "stages.byol.name=x"],
        "stages.byol.name = 'x': a stage keeps its name",
    ),
    (
        ["--set", "stages.byl.training.epochs=3"],
        "lead has no stage 'byl'; it has byol, distillation, moco, nmf, projection. Did you mean 'byol'",
    ),
    (["--set", "regression.draws=0"], "regression.draws = 0: expected a whole number, 1 to 10000."),
    (["--set", "regression.head=softargmax"], "unknown head 'softargmax'. Did you mean 'softargmax_linear'"),
    (["--set", "regression.head_settings.step=1"], "head 'converged' has no setting 'step'"),
    (["--set", "stages.byol.backbone=resnet19"], "unknown backbone 'resnet19'. Did you mean"),
    (["--set", "stages.byol.training.batch_size=1"], "byol needs batches of at least 2, not 1"),
    (["--set", "stages=3"], "stages = 3: has settings of its own"),
    (["--set", "stages.byol=3"], "stages.byol = 3: has settings of its own"),
    (["--set", "read=3"], "read = 3: has settings of its own"),
    (["--set", "regression=3"], "regression = 3: has settings of its own"),
    (["--set", "seed=3"], "seed = 3: the command line says 0; give it by --seed"),
    (["--set", "nonsense"], "--set 'nonsense': expected a.b=value"),
]


@pytest.mark.parametrize(("options", "message"), USAGE, ids=[" ".join(o) for o, _ in USAGE])
def test_a_mistake_is_named_with_the_way_out_and_exits_2(capsys, tmp_path, options, message):
    code, out, err = run_here(capsys, *command(tmp_path / "runs"), *options)
    assert code == 2
    assert message in err
    assert out == "" and not (tmp_path / "runs").exists()


def test_a_damaged_configuration_file_is_named_with_its_line(capsys, tmp_path):
    (tmp_path / "c.toml").write_text("[regression]\ndraws = = 3\n")
    code, _, err = run_here(capsys, *command(tmp_path / "runs"), "--config", str(tmp_path / "c.toml"))
    assert code == 2
    assert "c.toml: not valid TOML" in err and "line 2" in err


def test_a_method_without_a_network_is_not_matched(capsys, tmp_path):
    code, _, err = run_here(
        capsys, *command(tmp_path, "--tasks", "regression,matching", method="mean_shape", variant="")
    )
    assert code == 2
    assert "mean_shape has no network, which matching needs; it can be judged by --tasks regression,scale." in err


@pytest.mark.parametrize("below", ["runs", "runs/deeper"])
def test_a_runs_folder_that_cannot_be_written_exits_1_and_says_why(capsys, tmp_path, below):
    (tmp_path / "runs").write_text("a file")
    code, _, err = run_here(capsys, *command(tmp_path / below, method="mean_shape", variant=""))
    assert code == 1
    assert str(tmp_path / below) in err and "a file stands where a folder is needed" in err


def test_to_require_a_resumption_where_there_is_none_exits_3(capsys, tmp_path):
    code, _, err = run_here(capsys, *command(tmp_path / "runs"), "--resume", "require")
    assert code == 3
    assert "there is no interrupted run" in err
