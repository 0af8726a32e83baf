"""Weights of ViTs: from a file without a network, of the model asked for and no other."""

from __future__ import annotations

import pytest
import safetensors.torch
import timm
import torch
from timm.layers import resample_abs_pos_embed

from lmbench.api import DataError
from lmbench_foundation.settings import ViTSettings
from lmbench_foundation.vit import build as build_vit

TINY = "test_vit"
DINOV3 = "vit_tiny_patch16_dinov3_qkvb"


def trained(name=TINY, **options):
    """A network with weights that no fresh one has, with its classifier."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        network = timm.create_model(name, dynamic_img_size=True, **options)
        for parameter in network.parameters():
            parameter.data = torch.randn_like(parameter) * 0.1
    return network.eval()


def build(name, **settings):
    return build_vit(ViTSettings(**settings), name)


def keep(path, state):
    if path.suffix == ".safetensors":
        safetensors.torch.save_file({k: v.contiguous() for k, v in state.items()}, path)
    else:
        torch.save(state, path)
    return str(path)


def tokens(network, images):
    with torch.no_grad():
        return network.eval()(images)["tokens"]


def own_tokens(network, images, mean, std):
    """The patch tokens of a timm network (B, C, 4, 4), computed without the plugin."""
    with torch.no_grad():
        features = network.forward_features(
            (images - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
        )
    return features[:, network.num_prefix_tokens :].unflatten(1, (4, 4)).permute(0, 3, 1, 2)


@pytest.fixture
def images():
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("file", "wrap"),
    [
        ("model.safetensors", lambda state: state),
        ("model.pth", lambda state: state),
        ("trainers.pth", lambda state: {"model": state, "epoch": 3}),
        ("parallel.pth", lambda state: {"state_dict": {f"module.{k}": v for k, v in state.items()}}),
        (
            "dino.pth",
            lambda state: {
                "student": {f"module.backbone.{k}": torch.zeros_like(v) for k, v in state.items()},
                "teacher": {**{f"module.backbone.{k}": v for k, v in state.items()}, "module.head.mlp": torch.ones(2)},
            },
        ),
    ],
)
def test_a_file_fills_the_network_and_its_classifier_is_left_out(tmp_path, images, file, wrap):
    source = trained()
    state = wrap(source.state_dict())
    network = build(TINY, pretrained=True, weights=keep(tmp_path / file, state), input_size=64)
    torch.testing.assert_close(tokens(network, images), own_tokens(source, images, (0.5,) * 3, (0.5,) * 3))


def test_dinov2s_original_file_is_taken_with_its_mask_token(tmp_path):
    state = {**trained().state_dict(), "mask_token": torch.zeros(1, 64)}
    network = build(TINY, weights=keep(tmp_path / "dinov2.pth", state))
    assert torch.equal(network.network.state_dict()["cls_token"], state["cls_token"])


def test_dinov3s_original_file_is_taken_with_its_own_names_and_prints_nothing_on_stdout(tmp_path, images, capsys):
    source = trained(DINOV3, num_classes=0)
    original = {"mask_token": torch.zeros(1, 192), "rope_embed.periods": torch.zeros(16)}
    for name, value in source.state_dict().items():
        name = (
            name.replace("reg_token", "storage_tokens").replace("gamma_1", "ls1.gamma").replace("gamma_2", "ls2.gamma")
        )
        if name.endswith("q_bias"):
            zero = torch.zeros_like(value)
            v_bias = source.state_dict()[name.replace("q_bias", "v_bias")]
            original[name.replace("q_bias", "qkv.bias")] = torch.cat([value, zero, v_bias])
        elif not name.endswith(("v_bias", "k_bias")) and "rope" not in name:
            original[name] = value
    network = build(DINOV3, weights=keep(tmp_path / "dinov3.pth", original), input_size=64)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    torch.testing.assert_close(tokens(network, images), own_tokens(source, images, mean, std))
    assert capsys.readouterr().out == ""


def test_position_embeddings_of_another_grid_are_resampled(tmp_path):
    source = trained(img_size=96)
    network = build(TINY, weights=keep(tmp_path / "at96.safetensors", source.state_dict()))
    expected = resample_abs_pos_embed(source.pos_embed.detach(), [10, 10], old_size=[6, 6])
    assert source.pos_embed.shape[1] == 37 and expected.shape[1] == 101
    torch.testing.assert_close(network.network.pos_embed.detach(), expected)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: {k: v for k, v in s.items() if not k.startswith("blocks.5.")}, "12 tensors missing.*blocks.5"),
        (lambda s: {**s, "blocks.6.norm1.weight": torch.zeros(64)}, r"1 foreign \(blocks.6.norm1.weight\)"),
        (lambda s: {k.replace(".proj", ".projection"): v for k, v in s.items()}, "tensors missing"),
        (
            lambda s: {k: v[:1] if k == "blocks.0.norm1.weight" else v for k, v in s.items()},
            r"norm1.weight is 1, 64 is",
        ),
        (
            lambda s: {"first": s, "second": s},
            "holds 2 networks, below first, second: say which, as .*other.pth#second",
        ),
        (lambda s: {"pos_embed": torch.zeros(3)}, "no weights of timm's test_vit"),
        (lambda s: {}, "holds no tensor"),
        (lambda s: list(s.values()), "holds no tensor"),
    ],
    ids=[
        "block missing",
        "block too many",
        "other names",
        "other width",
        "two of them",
        "mangled",
        "empty",
        "no dictionary",
    ],
)
def test_a_checkpoint_of_another_model_is_refused_with_what_is_missing_and_foreign(tmp_path, change, said):
    path = keep(tmp_path / "other.pth", change(dict(trained().state_dict())))
    with pytest.raises(DataError, match=said) as caught:
        build(TINY, weights=path)
    assert "other.pth" in str(caught.value)


def test_a_file_that_is_missing_damaged_or_holds_code_is_refused(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        build(TINY, weights=str(tmp_path / "none.pth"))
    (tmp_path / "torn.safetensors").write_bytes(b"\x08\x00")
    with pytest.raises(DataError, match="not a readable weights file"):
        build(TINY, weights=str(tmp_path / "torn.safetensors"))
    torch.save({"network": trained()}, tmp_path / "pickled.pth")
    with pytest.raises(
        DataError, match=r"it holds a pickled timm.*, not weights alone, and reading that could run any code"
    ):
        build(TINY, weights=str(tmp_path / "pickled.pth"))


def test_without_a_network_connection_the_error_names_how_to_pass_a_file(monkeypatch):
    def unreachable(*_, **__):
        raise ConnectionError("no route to host\nand more")

    monkeypatch.setattr(timm, "create_model", unreachable)
    with pytest.raises(
        DataError, match=r"no route to host.*--set network.backbone_settings.weights=.*--variant untrained"
    ):
        build("vit_small_patch14_dinov2.lvd142m", pretrained=True)
