"""Checkpoints of others: the one encoder in the file is found, or the message says what the file is and what to do."""

from __future__ import annotations

import argparse
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
import torchvision

from lmbench.backbones.checkpoints import read_state
from lmbench.backbones.resnet import build
from lmbench.backbones.settings import ResNetSettings
from lmbench.config.resolving import resolve_run
from lmbench.errors import DataError
from lmbench.plugins.loading import get_plugins
from lmbench.references import config_of_control

State = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def state() -> State:
    """A ResNet-18's own, with another number in every tensor."""
    torch.manual_seed(3)
    network = torchvision.models.resnet18()
    return {k: v + 0.25 if v.is_floating_point() else v + 7 for k, v in network.state_dict().items()}


def other(state: State) -> State:
    return {k: v + 1 for k, v in state.items()}


def below(prefix: str, state: State) -> State:
    return {prefix + k: v for k, v in state.items()}


def without(state: State, *beginnings: str) -> State:
    return {k: v for k, v in state.items() if not k.startswith(beginnings)}


WRAPPED: dict[str, Callable[[State], Any]] = {
    "bare": lambda s: s,
    "state_dict": lambda s: {"state_dict": s, "epoch": 3, "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}}},
    "model": lambda s: {"model": s, "args": argparse.Namespace(lr=0.1)},
    "module": lambda s: below("module.", s),
    "compiled": lambda s: {"model": below("_orig_mod.module.", s)},
    "moco v2": lambda s: {
        "arch": "resnet18",
        "state_dict": {
            **below("module.encoder_q.", without(s, "fc.")),
            "module.encoder_q.fc.0.weight": torch.zeros(512, 512),
            **below("module.encoder_k.", without(other(s), "fc.")),
            "module.queue": torch.zeros(128, 10),
            "module.queue_ptr": torch.zeros(1),
        },
    },
    "moco v3": lambda s: {"state_dict": below("module.base_encoder.", s) | below("module.momentum_encoder.", other(s))},
    "dino": lambda s: {
        "student": below("module.backbone.", other(s)),
        "teacher": below("backbone.", s) | {"head.mlp.0.weight": torch.zeros(3, 3)},
        "epoch": 100,
    },
    "dino, empty student": lambda s: {"teacher": below("module.backbone.", s), "student": {}},
    "lightning": lambda s: {"state_dict": below("backbone.", s) | {"criterion.weight": torch.zeros(3)}, "loops": {}},
    "byol": lambda s: below("online_network.encoder.", s) | below("target_network.encoder.", other(s)),
    "ema": lambda s: {"model": other(s), "model_ema": s},
    "swav": lambda s: below("module.", s) | {"module.prototypes.weight": s["fc.bias"], "module.projection_head.0": s["fc.bias"]},
    "simsiam": lambda s: {"state_dict": below("module.encoder.", without(s, "fc.")) | {"module.predictor.0": torch.ones(2, 2)}},
    "365 classes": lambda s: {**s, "fc.weight": torch.zeros(365, 512), "fc.bias": torch.zeros(365)},
    "no classifier": lambda s: without(s, "fc."),
    "half precision": lambda s: {k: v.half() if v.is_floating_point() else v for k, v in s.items()},
    "before 2018": lambda s: {k: v for k, v in s.items() if not k.endswith("num_batches_tracked")},
    "parameters": lambda s: {k: torch.nn.Parameter(v) if v.is_floating_point() else v for k, v in s.items()},
    "unknown wrapping": lambda s: {"trainer": {"nets": {"visual_tower": s}}},
}  # fmt: skip


@pytest.mark.parametrize("wrapping", WRAPPED)
def test_the_encoder_is_found_in_its_wrapping(tmp_path, state, wrapping):
    torch.save(WRAPPED[wrapping](state), tmp_path / "a.pth")
    network = build(ResNetSettings(weights=str(tmp_path / "a.pth")), model="resnet18")
    tolerance = {"atol": 5e-3, "rtol": 1e-2} if wrapping == "half precision" else {"atol": 0.0, "rtol": 0.0}
    torch.testing.assert_close(network.stem[0].weight.detach(), state["conv1.weight"], **tolerance)
    torch.testing.assert_close(network.conv5_x[1].bn2.running_mean, state["layer4.1.bn2.running_mean"], **tolerance)


def test_safetensors_are_read_by_their_content_whatever_their_name(tmp_path, state, capsys):
    for name in ("a.safetensors", "a.bin"):
        safetensors.torch.save_file(below("module.encoder_q.", without(state, "fc.")), tmp_path / name)
        network = build(ResNetSettings(weights=str(tmp_path / name)), model="resnet18")
        assert torch.equal(network.stem[0].weight.detach(), state["conv1.weight"])
    assert "a.bin: the weights below module.encoder_q are taken" in capsys.readouterr().err


def test_of_two_unknown_networks_one_is_asked_for_by_its_prefix(tmp_path, state):
    torch.save(below("left.", state) | below("right.", other(state)), tmp_path / "two.pth")
    with pytest.raises(
        DataError, match=r"holds 2 networks, below left, right: say which, as --set network.*two.pth#right"
    ):
        build(ResNetSettings(weights=str(tmp_path / "two.pth")), model="resnet18")
    network = build(ResNetSettings(weights=f"{tmp_path / 'two.pth'}#right"), model="resnet18")
    assert torch.equal(network.stem[0].weight.detach(), state["conv1.weight"] + 1)
    with pytest.raises(DataError, match=r"holds nothing below 'middle'; its tensors begin with left, right"):
        build(ResNetSettings(weights=f"{tmp_path / 'two.pth'}#middle"), model="resnet18")


def html(path: Path, state: State) -> None:
    path.write_text("\n<!DOCTYPE html><html><title>Sign in</title></html>")


def cut(path: Path, state: State) -> None:
    torch.save(state, path)
    path.write_bytes(path.read_bytes()[:-5000])


def archive(path: Path, state: State) -> None:
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("weights/readme.txt", "no weights here")


def saved(make: Callable[[State], Any]) -> Callable[[Path, State], None]:
    return lambda path, state: torch.save(make(state), path)


LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 1\n"
REFUSED: dict[str, tuple[Callable[[Path, State], Any], str]] = {
    "a Git LFS pointer": (lambda p, s: p.write_text(LFS), "it is a Git LFS pointer, not the file itself"),
    "a web page": (html, r"it is a web page \(HTML\)"),
    "empty": (lambda p, s: p.touch(), "it is empty"),
    "cut off": (cut, "it breaks off: the download is not complete"),
    "another archive": (archive, "not a readable weights file"),
    "text": (lambda p, s: p.write_text("hello"), "not a readable weights file"),
    "JSON": (lambda p, s: p.write_text(json.dumps({"a": 1})), "not a readable weights file"),
    "HDF5": (lambda p, s: p.write_bytes(b"\x89HDF\r\n\x1a\n" + b"x" * 99), "HDF5"),
    "a whole model": (saved(lambda s: torchvision.models.resnet18()), r"a pickled torchvision.models.resnet.ResNet, not"),
    "state_dict None": (saved(lambda s: {"state_dict": None}), "holds no tensor"),
    "whole-number keys": (saved(lambda s: {0: torch.zeros(1)}), "tensors missing"),
    "a list": (saved(lambda s: list(s.values())), "holds no tensor"),
    "a tensor": (saved(lambda s: torch.zeros(3)), "tensors missing"),
    "nothing": (saved(lambda s: {}), "holds no tensor"),
    "a number": (saved(lambda s: 3), "holds no tensor"),
    "another network": (saved(lambda s: torchvision.models.squeezenet1_1().state_dict()), "tensors missing.*foreign"),
    "ResNet-50": (saved(lambda s: torchvision.models.resnet50().state_dict()), r"layer1.0.conv1.weight is 64x64x1x1, 64x64x3x3"),
    "one channel": (saved(lambda s: {**s, "conv1.weight": s["conv1.weight"][:, :1]}), "conv1.weight is 64x1x7x7, 64x3x7x7 is"),
    "3x3 stem": (saved(lambda s: {**s, "conv1.weight": s["conv1.weight"][..., :3, :3]}), "conv1.weight is 64x3x3x3, 64x3x7x7 is"),
    "a block missing": (saved(lambda s: without(s, "layer3.1.")), r"missing \(layer3.1.conv1.weight"),
    "a block too many": (saved(lambda s: {**s, "layer5.weight": torch.zeros(2)}), r"1 foreign \(layer5.weight\)"),
    "NaN": (saved(lambda s: {**s, "bn1.weight": s["bn1.weight"] * float("nan")}), r"1 of 122 .*first: bn1.weight"),
    "infinite": (saved(lambda s: {**s, "layer1.0.bn1.bias": s["layer1.0.bn1.bias"] / 0}), "infinite weights"),
    "sparse": (saved(lambda s: {**s, "fc.bias": s["fc.bias"].to_sparse()}), "fc.bias is no plain tensor"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_checkpoint_of_the_network_is_called_what_it_is(tmp_path, state, what):
    make, said = REFUSED[what]
    path = tmp_path / "a.pth"
    make(path, state)
    with pytest.raises(DataError, match=said) as caught:
        build(ResNetSettings(weights=str(path)), model="resnet18")
    message = str(caught.value)
    assert str(path) in message
    assert "weights_only" not in message and "\x1b" not in message and "arbitrary code" not in message


def test_a_file_without_hints_loses_the_wrappings_around_everything_alone(tmp_path):
    torch.save({"state_dict": {"module.a": torch.zeros(1), "module.b": torch.ones(1)}}, tmp_path / "a.pth")
    assert set(read_state(tmp_path / "a.pth")) == {"a", "b"}
    torch.save({"model": {"encoder.a": torch.zeros(1), "head.b": torch.ones(1)}}, tmp_path / "a.pth")
    assert set(read_state(tmp_path / "a.pth")) == {"encoder.a", "head.b"}


def test_an_untrained_control_has_no_weights_of_others(tmp_path: Path, state: State) -> None:
    torch.save(state, tmp_path / "r18.pth")
    given = {"network": {"backbone_settings": {"weights": str(tmp_path / "r18.pth")}}}
    plugins = get_plugins()
    for overrides in ([], [given]):
        trained, control = (
            resolve_run(plugins, "imagenet", "synthfaces", untrained=untrained, overrides=overrides)
            for untrained in (False, True)
        )
        assert trained.network.backbone_settings.weights
        assert control.network.backbone_settings == ResNetSettings() and control.read == trained.read
        beside = config_of_control(trained, plugins, "matching")
        assert beside is not None and beside.network == control.network and beside.untrained


def test_what_nobody_trained_has_no_control_beside_it() -> None:
    plugins = get_plugins()
    for method in ("random", "pixels"):
        assert config_of_control(resolve_run(plugins, method, "synthfaces"), plugins, "matching") is None
