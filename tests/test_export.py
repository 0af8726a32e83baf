"""A run in one file: the same landmarks without the run, its data and weights; what is damaged or of another version is named."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch
from folder_trees import coco_tree
from made_detectors import detector_of
from PIL import Image
from small_runs import pixels_run, recorded, run_here
from torchvision.models import resnet18

import lmbench
from lmbench.backbones import build_backbone
from lmbench.detecting import graph
from lmbench.detecting.detector import Detector
from lmbench.errors import LmbenchError
from lmbench.features import Normalise
from lmbench.printable import without_places
from lmbench.results import exported
from lmbench.results.record import seal_of


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Path, Path, list[dict]]:
    """(file, image, landmarks of the run itself) of a network with weights from a file; run, data and weights are gone."""
    place = tmp_path_factory.mktemp("made")
    coco_tree(place / "data")
    torch.manual_seed(0)
    torch.save(resnet18().state_dict(), place / "r18.pth")
    arguments = ["run", "--method", "imagenet", "--dataset", f"folder:{place / 'data'}:crop=image", "--preset", "smoke"]
    arguments += ["--runs", str(place / "runs"), "--tasks", "regression", "--device", "cpu", "--set", "read.size=8"]
    arguments += ["--set", "regression.head=softargmax_conditioned"]
    run = (
        place
        / "runs"
        / recorded([*arguments, "--set", f"network.backbone_settings.weights={place / 'r18.pth'}"])["run"]
    )
    image = place / "face.png"
    shutil.copy(place / "data" / "pictures" / "00.png", image)
    exported.export(lmbench.load(run), place / "detector.lmb")
    before = lmbench.load(run).predict(image, device="cpu").landmarks
    for gone in ("runs", "data"):
        shutil.rmtree(place / gone)
    (place / "r18.pth").unlink()
    return place / "detector.lmb", image, before


def refused(capsys, file: Path, image: Path) -> str:
    code, out, err = run_here(capsys, "predict", str(file), str(image), "--device", "cpu")
    assert code in (1, 2, 3, 5) and out == "" and "Traceback" not in err
    return err


# --- lmbench's own file ---------------------------------------------------------------------------------------------


def test_a_file_finds_what_its_run_found_when_the_run_is_gone(made, capsys) -> None:
    file, image, before = made
    run = lmbench.load(file)
    assert isinstance(run, lmbench.Run) and len(run.metrics) == len(run.record.rows) > 0
    np.testing.assert_allclose(run.predict(image, device="cpu").landmarks, before, atol=1e-4)
    code, out, _ = run_here(capsys, "predict", str(file), str(image), "--device", "cpu", "--json")
    assert code == 0
    np.testing.assert_allclose(list(json.loads(out)[0]["landmarks"].values()), before[0], atol=1e-4)
    assert run.extractor(image, device="cpu").size == (8, 8) and "<table>" in run._repr_html_()
    (match,) = run.match(image, [(20, 20)], image, device="cpu").points
    assert np.abs(match - [20, 20]).max() < 1
    with pytest.raises(LmbenchError, match="holds no predictions"):
        run.predictions()
    with pytest.raises(LmbenchError, match="no head of 5 annotations; it holds that of all"):
        run.predict(image, n_annotations=5, device="cpu")


def test_a_file_that_is_handed_on_tells_no_folder_of_who_made_it(made, tmp_path: Path) -> None:
    file = made[0]
    assert str(file.parent).encode() not in file.read_bytes()
    record = lmbench.load(file).record
    assert record.dataset == "folder:data:crop=image"
    assert record.config["network"]["backbone_settings"]["weights"] == "r18.pth"
    assert record.identity is not None and len(record.identity["files"]["weights"]) == 64 and record.data.fingerprint
    moved = rewritten(file, tmp_path / "d.lmb", lambda d: d["record"]["config"].update(pretrain_on="images:mice"))
    assert lmbench.load(moved).predict(made[1], device="cpu").landmarks == pytest.approx(made[2], abs=1e-4)
    for said, kept in {
        "folder:/home/me/my mice:file=/home/me/a b.csv:test=0.2": "folder:my mice:file=a b.csv:test=0.2",
        "/home/me/my weights/r18.pth": "r18.pth",
        "C:\\Users\\me\\r18.pth": "r18.pth",
        "~/lab/r18.pth": "r18.pth",
        "cannot read '/home/me/x.png': no such file": "cannot read 'x.png': no such file",
        "see https://example.org/a/b, px at 70 (69/95), timm/b0, a/b/c": None,
    }.items():
        assert without_places({said: [said]}) == {kept or said: [kept or said]}


def test_an_exported_file_is_exported_again_as_it_is(made, tmp_path: Path, capsys) -> None:
    code, out, _ = run_here(capsys, "export", str(made[0]), "-o", str(tmp_path / "again.lmb"))
    assert code == 0 and "finds the landmarks of the run" in out
    assert (tmp_path / "again.lmb").read_bytes() == made[0].read_bytes()


def rewritten(file: Path, out: Path, change) -> Path:
    """A file of the same tensors whose document was changed by somebody who knows how it is sealed."""
    with safetensors.safe_open(file, "pt") as opened:
        document = json.loads(opened.metadata()[exported.ENTRY])
    change(document)
    if "sha256" in document["record"]:
        document["record"]["sha256"] = seal_of(document["record"])
    document["sha256"] = seal_of(document)
    safetensors.torch.save_file(safetensors.torch.load_file(file), out, {exported.ENTRY: json.dumps(document)})
    return out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(format=2, version="9.1"), "has format 2, written by lmbench 9.1"),
        (lambda d: d.update(record={"run": "x"}), "is no lmbench record"),
        (lambda d: d.update(tensors_sha256="0" * 64), "the SHA-256 of its tensors differs"),
        (lambda d: d["record"]["config"]["network"].update(backbone="resnet50"), "another network than resnet50"),
        (lambda d: d["record"]["config"].update(method="gone"), "unknown method 'gone'"),
        (lambda d: d["record"]["data"].update(framing={"kind": "elsewhere"}), "framing is damaged"),
    ],
)
def test_a_file_that_says_something_else_is_refused(made, tmp_path: Path, capsys, change, message: str) -> None:
    file = rewritten(made[0], tmp_path / "d.lmb", change)
    assert message in refused(capsys, file, made[1])


def test_a_plugin_that_is_not_there_is_named(made, tmp_path: Path, capsys) -> None:
    def change(document: dict) -> None:
        document["record"]["config"]["method"] = "gone"
        document["record"]["components"].append({"distribution": "lmbench-gone", "version": "1.0"})

    file = rewritten(made[0], tmp_path / "d.lmb", change)
    assert "was made with lmbench-gone, which is not installed here: pip install lmbench-gone" in refused(
        capsys, file, made[1]
    )


@pytest.mark.parametrize(
    "what", ["cut", "cut in its header", "tensor", "description", "pickle", "text", "empty", "foreign"]
)
def test_a_damaged_or_foreign_file_is_named(made, tmp_path: Path, capsys, what: str) -> None:
    whole, file = made[0].read_bytes(), tmp_path / "d.lmb"
    header = 8 + int.from_bytes(whole[:8], "little")
    flipped = {
        "tensor": len(whole) - 1000,
        "description": whole.index(b"synthetic" if b"synthetic" in whole else b"folder"),
    }
    message = "is cut short or damaged"
    match what:
        case "cut":
            file.write_bytes(whole[:-1])
        case "cut in its header":
            file.write_bytes(whole[: header // 2])
        case "tensor" | "description":
            changed = bytearray(whole)
            changed[flipped[what]] ^= 1
            file.write_bytes(changed)
        case "pickle":
            torch.save({"a": torch.zeros(1)}, file)
            assert zipfile.is_zipfile(file)
            message = "no detector that `lmbench export` wrote"
        case "foreign":
            safetensors.torch.save_file({"a": torch.zeros(1)}, file)
            message = "holds tensors, but is no detector"
        case _:
            file.write_text("no file of tensors" * 3 if what == "text" else "")
            message = "no detector that `lmbench export` wrote"
    assert message in refused(capsys, file, made[1])


def test_parts_that_compute_something_else_today_are_refused(made, capsys, monkeypatch) -> None:
    once = Detector.landmarks
    monkeypatch.setattr(Detector, "landmarks", lambda self, images: once(self, images) + 1)
    said = refused(capsys, *made[:2])
    assert "finds other landmarks here than where it was exported" in said and "lmbench-baselines" in said


def test_what_cannot_be_exported_is_refused(tmp_path: Path, capsys, made) -> None:
    coco_tree(tmp_path / "data")
    shape = pixels_run(
        tmp_path / "runs", f"folder:{tmp_path / 'data'}:crop=image", "--set", "regression.head=mean_shape"
    )
    (tmp_path / "there.lmb").write_text("mine")
    for run, output, message in (
        (shape, "d.lmb", "reads neither maps nor landmarks"),
        (made[0], "there.lmb", "exists"),
        (made[0], "d.bin", "expected a name that ends in"),
        (tmp_path / "none", "d.lmb", "there is no record"),
    ):
        code, out, err = run_here(capsys, "export", str(run), "-o", str(tmp_path / output))
        assert code in (2, 5) and message in err and out == ""
    assert {p.name for p in tmp_path.iterdir()} == {"data", "runs", "there.lmb"}


# --- graphs ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("normalise", "filters"), [("none", 7), ("layer", 7), ("global", 7), ("none", 0)])
def test_what_a_graph_is_made_of_computes_what_the_detector_does(normalise: Normalise, filters: int) -> None:
    detector, images = detector_of(normalise, filters), torch.rand(3, 3, 48, 48)
    found = graph.Graph(detector)(images)[0]
    np.testing.assert_allclose(found, detector.landmarks(images), atol=1e-4)
    assert np.ptp(found.numpy(), axis=0).max() > 0.5 or not filters


def test_an_onnx_graph_finds_the_landmarks_in_onnxruntime(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    detector = detector_of("layer", 7)
    graph.write_graph(detector, "onnx", tmp_path / "d.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "d.onnx", providers=["CPUExecutionProvider"])
    for batch in (1, 4):
        images = torch.rand(batch, 3, 48, 48)
        (found,) = session.run(["landmarks"], {"images": images.numpy()})
        np.testing.assert_allclose(found, detector.landmarks(images), atol=1e-4 * 48)
    about = json.loads(session.get_modelmeta().custom_metadata_map["lmbench"])
    assert about["landmarks"] == list("abcde") and about["preprocessing"]["resize"] == 48
    photo = np.random.default_rng(0).integers(0, 255, (40, 71, 3), dtype=np.uint8)
    Image.fromarray(photo).save(tmp_path / "photo.png")
    guide = (Path(__file__).parents[1] / "docs" / "detector.md").read_text(encoding="utf-8")
    code = guide.partition("```python\n")[2].partition("```")[0].replace("photo.jpg", str(tmp_path / "photo.png"))
    names: dict = {}
    exec(code.replace("detector.onnx", str(tmp_path / "d.onnx")), names)  # the guide's own way, without lmbench
    np.testing.assert_allclose(names["landmarks"], detector.predict(photo).landmarks[0], atol=1e-3 * 71)


def test_graphs_of_torch_are_read_without_lmbench(tmp_path: Path) -> None:
    detector, images = detector_of("global", 7), torch.rand(3, 3, 48, 48)
    graph.write_graph(detector, "torch.export", tmp_path / "d.pt2")
    graph.write_graph(detector, "torchscript", tmp_path / "d.pt")
    for read in (torch.export.load(tmp_path / "d.pt2").module(), torch.jit.load(tmp_path / "d.pt")):
        np.testing.assert_allclose(read(images)[0].detach(), detector.landmarks(images), atol=1e-4 * 48)


@pytest.mark.parametrize(
    ("backbone", "layer", "settings"),
    [
        ("smallnet", "dense", {"resize": 30}),
        ("position", "place", {}),
    ],
)
def test_networks_that_bring_images_to_a_size_of_their_own_go_into_torchscript(
    tmp_path: Path, backbone: str, layer: str, settings: dict
) -> None:
    network = build_backbone(backbone, settings)
    detector, images = detector_of("none", 7, network, (layer,)), torch.rand(3, 3, 48, 48)
    graph.write_graph(detector, "torchscript", tmp_path / "d.pt")
    found = torch.jit.load(tmp_path / "d.pt")(images)[0].detach()
    np.testing.assert_allclose(found, detector.landmarks(images), atol=1e-3 * 48)


def test_a_graph_that_computes_something_else_is_not_kept(tmp_path: Path, monkeypatch, made, capsys) -> None:
    detector = detector_of("none", 7)

    def off(part: int):
        def write(made: graph.Graph, path: Path, about: dict) -> graph.Run:
            path.write_text("a graph")
            return lambda images: [v + 0.1 * (i == part) for i, v in enumerate(made(images))]

        return write

    def one_batch(made: graph.Graph, path: Path, about: dict) -> graph.Run:
        return lambda images: made(images) if len(images) == 2 else [][0]

    def cannot(made: graph.Graph, path: Path, about: dict) -> graph.Run:
        raise RuntimeError("no such operator")

    for write, message in (
        (off(0), "its head are off"), (off(1), "its maps are off"), (one_batch, "takes no batch of 1"),
        (cannot, "does not go into onnx"),
    ):  # fmt: skip
        monkeypatch.setitem(graph.WRITERS, "onnx", write)
        with pytest.raises(LmbenchError, match=message):
            graph.write_graph(detector, "onnx", tmp_path / "d.onnx")
        assert list(tmp_path.iterdir()) == []


def test_a_head_that_is_no_part_of_a_graph_is_refused(tmp_path: Path) -> None:
    detector = detector_of("none", 7)

    class Other:
        def predict(self, inputs):
            return torch.zeros(1, len(inputs), 5, 2)

    other = Detector(detector.framer, detector.extractor, Other(), "maps", tuple("abcde"), torch.device("cpu"))  # type: ignore[arg-type]
    with pytest.raises(LmbenchError, match="cannot be put into one graph"):
        graph.write_graph(other, "onnx", tmp_path / "d.onnx")
