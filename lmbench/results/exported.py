"""A run's network and one of its heads in a file of their own, without stages, data or folder: ``detector.lmb``.

The file is one of safetensors. Its tensors are ``network.NAME``, ``head.NAME`` and ``check.landmarks``; its metadata is one JSON
document: the run's record, which holds the configuration that the network is rebuilt by, framing, preprocessing, the landmarks'
names and the versions; which head it is; the SHA-256 of the tensors, and its own. Nothing in it is code, and nothing of it is
unpickled. It is made to be handed on: of folders of data and files of weights the record keeps the last name and the digest.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmbench import __version__
from lmbench.config.model import RunConfig
from lmbench.config.setting_types import without_weights
from lmbench.errors import DataError, StaleError, UsageError
from lmbench.plugins.loading import Plugins
from lmbench.printable import without_places
from lmbench.results.reading import checked
from lmbench.results.record import SEAL, Record, seal_of
from lmbench.results.run import Annotations, Run
from lmbench.store.files import replacing, write_atomically

if TYPE_CHECKING:
    from torch import Tensor

    from lmbench.detecting.detector import Detector
    from lmbench.metrics.stored import StoredResult

FORMAT = 1
ENTRY = "lmbench"  # of the metadata; one alone, for safetensors keeps no order of several
AGREEING = 0.01
"""Parts of the side by which the landmarks of an image may be off those at export: another device's arithmetic is, another
network is off by more."""


@dataclass(frozen=True, repr=False)
class ExportedRun(Run):
    """The run of such a file: a `Run` whose network and head come from there. ``folder`` is the file; predictions stay behind."""

    head_of: Annotations = None

    @classmethod
    def open(cls, place: Path | str) -> ExportedRun:
        """The run of a file. Raises DataError where there is none or it is damaged, StaleError for one of another format."""
        path = Path(place)
        document = _document(path)
        record = checked(document.get("record"), path)
        return cls(path, record, document.get("head_of"))

    @cached_property
    def config(self) -> RunConfig:
        """As `Run.config`. Raises DataError where a distribution that brings its parts is not installed."""
        try:
            return super().config
        except UsageError as error:
            missing = [d for d in dict.fromkeys(self.record.distributions) if d and not _installed(d)]
            if not missing:
                raise
            raise DataError(
                f"{self.folder} was made with {', '.join(missing)}, which is not installed here: pip install "
                f"{' '.join(missing)}. ({error})"
            ) from None

    def results(self, plugins: Plugins | None = None) -> Iterator[StoredResult]:
        raise DataError(f"{self.folder} holds no predictions: they are kept in the folder of the run {self.name}.")

    def _stored(self, name: str, plugins: Plugins) -> StoredResult:
        raise DataError(f"{self.folder} holds no predictions: they are kept in the folder of the run {self.name}.")

    def detector(self, device: Any = "auto", n_annotations: Annotations = None) -> Detector:
        """As `Run.detector`. Raises StaleError where it finds other landmarks than it did when it was exported."""
        made = super().detector(device, n_annotations)
        wanted = self._tensors["check.landmarks"].numpy()
        off = abs(made.landmarks(_check_image(made)) - wanted).max() / made.framer.steps.size
        if not off <= AGREEING:
            raise StaleError(
                f"{self.folder} finds other landmarks here than where it was exported (off by {off:.2g} of the image's side): "
                f"its parts compute something else now. It was made by {_versions(self)}; here are {_versions(self, here=True)}."
            )
        return made

    def _network(self) -> Any:
        network = _built(self)
        state = {k.removeprefix("network."): v for k, v in self._tensors.items() if k.startswith("network.")}
        try:
            network.load_state_dict(state)
        except RuntimeError as error:
            raise StaleError(
                f"{self.folder} holds another network than {self.config.network.backbone} is here "
                f"({' '.join(str(error).split())[:300]}). It was made by {_versions(self)}."
            ) from None
        return network.eval()

    def _head_state(self, n_annotations: Annotations) -> tuple[Path, dict[str, Tensor]]:
        if n_annotations is not None and str(n_annotations) != str(self.head_of):
            raise UsageError(
                f"{self.folder} has no head of {n_annotations} annotations; it holds that of {self.head_of}."
            )
        return self.folder, {k.removeprefix("head."): v for k, v in self._tensors.items() if k.startswith("head.")}

    @cached_property
    def _tensors(self) -> dict[str, Tensor]:
        """All of the file. Raises DataError where they are not what was written."""
        import safetensors.torch

        document = _document(self.folder)
        try:
            found = safetensors.torch.load_file(self.folder)
        except Exception as error:
            raise _damaged(self.folder, str(error)) from None
        if "check.landmarks" not in found or _digest(found) != document.get("tensors_sha256"):
            raise _damaged(self.folder, "the SHA-256 of its tensors differs")
        return found


def load(place: Path | str) -> Run:
    """The finished run of a folder (or its record.json), or of a file that `lmbench export` wrote.

    Raises DataError where there is none or it is damaged.
    """
    path = Path(place)
    return ExportedRun.open(path) if path.is_file() and path.suffix.lower() != ".json" else Run.open(path)


def export(run: Run, path: Path, n_annotations: Annotations = None) -> None:
    """Writes network and head (of all annotations, else the first draw of the most) into one file, and reads it back.

    Raises as `Run.detector`; UsageError for a run without a record of its framing or network.
    """
    import safetensors.torch

    detector = run.detector("cpu", n_annotations)
    if isinstance(run, ExportedRun):
        write_atomically(path, run.folder.read_bytes())
        return
    where, heads = run._head_state(n_annotations)
    tensors = {f"network.{k}": v for k, v in detector.extractor.network.state_dict().items()}
    tensors |= {f"head.{k}": v[:1] if v.ndim else v for k, v in heads.items()}
    tensors = {k: v.detach().cpu().clone().contiguous() for k, v in tensors.items()}
    tensors["check.landmarks"] = _as_tensor(detector.landmarks(_check_image(detector)))
    document = {
        "format": FORMAT, "version": __version__, "run": run.name, "landmarks": list(run.landmark_names),
        "head_of": where.stem.rpartition("-n")[2],
        "tensors_sha256": _digest(tensors), "record": _handed_on(run.record),
    }  # fmt: skip
    document[SEAL] = seal_of(document)
    metadata = {ENTRY: json.dumps(document, ensure_ascii=False, allow_nan=False)}
    with replacing(path) as draft:
        safetensors.torch.save_file(tensors, draft, metadata)
        ExportedRun.open(draft).detector("cpu")


def _handed_on(record: Record) -> dict[str, Any]:
    """A record without the folders of the machine it was made on, under a seal of its own."""
    document: dict[str, Any] = without_places(record.to_json())
    return document | ({SEAL: seal_of(document)} if SEAL in document else {})


def _built(run: Run) -> Any:
    """The network as its backbone builds it, without reading any file of weights that its settings name."""
    from lmbench.backbones import build_backbone

    network = run.config.network
    return build_backbone(network.backbone, without_weights(network.backbone_settings), run.plugins)


def _document(path: Path) -> dict[str, Any]:
    """What a file says of itself. Raises DataError: no such file, none of ours, damaged; StaleError: another format."""
    import safetensors

    if not path.is_file():
        raise DataError(f"{path}: there is no such file.")
    with path.open("rb") as file:
        start = file.read(24)
    if b'{"' not in start[8:16]:
        raise DataError(
            f"{path} is no detector that `lmbench export` wrote as .lmb, and no folder of a finished run (.onnx, .pt2 and .pt "
            "are for other programs)."
        )
    try:
        with safetensors.safe_open(path, "numpy") as opened:
            metadata = opened.metadata() or {}
    except Exception as error:
        raise _damaged(path, str(error)) from None
    if ENTRY not in metadata:
        raise DataError(f"{path} holds tensors, but is no detector that `lmbench export` wrote.")
    try:
        document: Any = json.loads(metadata[ENTRY])
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict) and document.get("format") != FORMAT:
        raise StaleError(
            f"{path} has format {document.get('format')!r:.40}, written by lmbench {document.get('version')!s:.40}; this lmbench "
            f"({__version__}) reads format {FORMAT}. Update lmbench, or export the run again."
        )
    if not isinstance(document, dict) or document.get(SEAL) != seal_of(document):
        raise _damaged(path, "its description is not what was written")
    return document


def _damaged(path: Path, why: str) -> DataError:
    return DataError(
        f"{path} is cut short or damaged ({' '.join(why.split())[:200]}). Take it from a copy, or export the run again."
    )


def _digest(tensors: dict[str, Tensor]) -> str:
    from lmbench.heads.frozen import digest_of_state

    shapes = json.dumps({k: [str(v.dtype), list(v.shape)] for k, v in sorted(tensors.items())})
    return hashlib.sha256((digest_of_state(dict(sorted(tensors.items()))) + shapes).encode()).hexdigest()


def _check_image(detector: Detector) -> Tensor:
    """(1, 3, S, S) in [0, 1]: waves, the same on every machine."""
    import torch

    side = detector.framer.steps.size
    along = torch.arange(side, dtype=torch.float64) / side
    waves = [torch.sin(6.283185307179586 * (f * along[:, None] + g * along)) for f, g in ((1, 2), (3, -1), (5, 4))]
    return (torch.stack(waves)[None] / 2 + 0.5).float().to(detector.device)


def _as_tensor(values: Any) -> Tensor:
    import torch

    return torch.from_numpy(values).float()


def _installed(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _versions(run: Run, here: bool = False) -> str:
    stated = {str(c.get("distribution")): str(c.get("version")) for c in run.record.components}
    names = {name: _installed(name) or "none" if here else version for name, version in stated.items()}
    return ", ".join(f"{name} {version}" for name, version in names.items())
