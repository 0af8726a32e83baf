"""Network and head as one graph, for programs that know no lmbench: ONNX, torch.export, TorchScript.

Images (B, 3, S, S) in [0, 1], framed as the detector's own, go in, any B; ``landmarks`` (B, L, 2) in their pixels come out, and
the frozen maps besides, ``map_0`` the deepest. Every graph is run and compared with the detector before its file is there.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from lmbench import __version__
from lmbench.detecting.detector import Detector
from lmbench.errors import DataError, LmbenchError, UsageError
from lmbench.features import FeatureMaps
from lmbench.heads.frozen import halved
from lmbench.store.files import replacing

TOLERANCE = 1e-4
"""Of the maps, in parts of their largest value; of the landmarks that the head makes of the same maps, in parts of the side."""
TOGETHER = 1e-3
"""Of the landmarks from end to end, in parts of the side. Maps are kept in half precision, in a run as here: a difference in
the last bit of the network's arithmetic that falls on the edge of a half-precision step is made larger by it."""
BATCHES = (2, 1, 5)  # the first is the one that a graph is made with
TINY = 1e-6  # maps that are all but zero are compared as if this were their largest value

Run = Callable[[Tensor], Sequence[Tensor]]


class Graph(nn.Module):
    """What a detector computes: ``forward(images) -> (landmarks, map_0, map_1, ...)``. Raises UsageError for a head that is no
    part of a graph."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        if detector.reads != "maps" or not hasattr(detector.heads, "on"):
            raise UsageError(
                f"{detector.framer.name}: its head cannot be put into one graph with its network; those that can read maps and "
                "have a method `on` (converged, softargmax_linear, softargmax_conditioned). As lmbench's own file it goes: "
                "-o detector.lmb."
            )
        self.extractor, self._heads, self._side = detector.extractor, detector.heads, detector.framer.steps.size

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        maps = self.extractor.maps(images)
        return (self.head(maps.maps), *maps.maps)

    def head(self, maps: Sequence[Tensor]) -> Tensor:
        """(B, L, 2) landmarks of maps, kept as they are kept in a run."""
        kept = tuple(halved(m).float() for m in maps)
        read = FeatureMaps(kept, self.extractor.size, self.extractor.normalise)
        landmarks: Tensor = self._heads.on(read, self._side)  # type: ignore[attr-defined]
        return landmarks


def write_onnx(graph: Graph, path: Path, about: dict[str, str]) -> Run:
    """Raises DataError where onnx, onnxscript or onnxruntime is missing."""
    try:
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise DataError(f"ONNX needs {error.name}, which is not installed: pip install 'lmbench[onnx]'.") from None
    names = ["landmarks", *(f"map_{i}" for i in range(len(graph.extractor.layers)))]
    made = torch.onnx.export(
        graph, (_images(graph, BATCHES[0]),), dynamo=True, verbose=False, input_names=["images"], output_names=names,
        dynamic_shapes=({0: torch.export.Dim("batch")},),
    )  # fmt: skip
    assert made is not None
    made.model.metadata_props.update(about)
    made.save(str(path), external_data=False)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda images: [torch.from_numpy(v) for v in session.run(None, {"images": images.numpy()})]


def write_exported(graph: Graph, path: Path, about: dict[str, str]) -> Run:
    """As torch.export writes it."""
    shapes = ({0: torch.export.Dim("batch")},)
    made = torch.export.export(graph, (_images(graph, BATCHES[0]),), dynamic_shapes=shapes, strict=False)
    content = io.BytesIO()  # torch ends the process where it cannot write to a disk
    torch.export.save(made, content, extra_files=about)
    path.write_bytes(content.getvalue())
    content.seek(0)
    found: Run = torch.export.load(content).module()
    return found


def write_torchscript(graph: Graph, path: Path, about: dict[str, str]) -> Run:
    """As torch.jit.trace makes it."""
    made = torch.jit.trace(graph, (_images(graph, BATCHES[0]),), check_trace=False)
    content = io.BytesIO()
    torch.jit.save(made, content, _extra_files=about)
    path.write_bytes(content.getvalue())
    found: Run = torch.jit.load(io.BytesIO(content.getvalue()))
    return found


WRITERS: Final[dict[str, Callable[[Graph, Path, dict[str, str]], Run]]] = {
    "onnx": write_onnx,
    "torch.export": write_exported,
    "torchscript": write_torchscript,
}


def write_graph(detector: Detector, form: str, path: Path) -> float:
    """Writes a graph and returns by how many pixels its landmarks are off the detector's at most, on images made up for it.

    Raises UsageError for a head that is no part of a graph; LmbenchError, and leaves no file, where the form does not take the
    network or its graph computes something else.
    """
    graph = Graph(detector).eval()
    about = {
        "lmbench": json.dumps(
            {
                "version": __version__, "run": detector.framer.name, "landmarks": detector.landmark_names,
                "preprocessing": asdict(detector.framer.steps),
                "framing": detector.framer.framing and asdict(detector.framer.framing),
            }
        )
    }  # fmt: skip
    with replacing(path) as draft, torch.no_grad(), _quiet():
        graph(_images(graph, BATCHES[0]))  # what is cached by shape is made of values, not while it is traced
        try:
            run = WRITERS[form](graph, draft, about)
        except (LmbenchError, OSError):
            raise
        except Exception as error:
            said = " ".join(str(error).split())[:300]
            raise LmbenchError(
                f"{detector.framer.name} does not go into {form}: its network or head does something that this form has no word "
                f"for ({type(error).__name__}: {said}). lmbench's own file takes it: -o detector.lmb."
            ) from None
        return max(_compared(run, graph, detector, form, batch) for batch in BATCHES)


def _compared(run: Run, graph: Graph, detector: Detector, form: str, batch: int) -> float:
    images, side = _images(graph, batch), detector.framer.steps.size
    try:
        landmarks, *maps = run(images)
    except Exception as error:
        raise LmbenchError(
            f"{form}: the graph takes no batch of {batch} ({' '.join(str(error).split())[:300]}); nothing is written."
        ) from None
    _, *true = graph(images)
    off = max(float((m - t).abs().max() / t.abs().max().clamp(min=TINY)) for m, t in zip(maps, true, strict=True))
    head = float((landmarks - graph.head(maps)).abs().max()) / side
    whole = float(np.abs(landmarks.numpy() - detector.landmarks(images)).max())
    for what, found, limit in (
        ("maps", off, TOLERANCE),
        ("head", head, TOLERANCE),
        ("landmarks", whole / side, TOGETHER),
    ):
        if not found <= limit:  # NaN is not
            raise LmbenchError(
                f"{form}: the graph computes something else: its {what} are off by {found:.2g} ({limit:g} is allowed). Nothing "
                "is written; lmbench's own file is exact: -o detector.lmb."
            )
    return whole


def _images(graph: Graph, batch: int) -> Tensor:
    """(batch, 3, S, S) in [0, 1]: blobs of all sizes, by no chance."""
    side, generator = graph._side, torch.Generator().manual_seed(batch)
    found = torch.zeros(batch, 3, side, side)
    for cells in (3, 8, 24, side):
        noise = torch.rand(batch, 3, min(cells, side), min(cells, side), generator=generator)
        found += nn.functional.interpolate(noise, (side, side), mode="bilinear", align_corners=False) / 4
    return found


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """A block in which exporters do not tell of their ways."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
