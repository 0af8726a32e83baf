"""A head of somebody's own points on the frozen network of a run, in a folder: what `lmbench fit` leaves and `predict` takes.

``fitted.json`` holds a record, made of the run's (its configuration rebuilds network and head; landmarks, framing and
preprocessing are the fit's own), where the run is and which network it had, what cross-validation said, and the SHA-256 of the
head, whose tensors lie in ``head.safetensors``. The network stays where it is: `lmbench export` makes one file of both.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, cast

from lmbench import __version__
from lmbench.config.model import plain
from lmbench.errors import DataError, LmbenchError, StaleError, UsageError
from lmbench.plugins.loading import Plugins
from lmbench.results import exported
from lmbench.results.reading import checked
from lmbench.results.record import SCHEMA, SEAL, file_part
from lmbench.results.run import Annotations, Run
from lmbench.store import manifests
from lmbench.store.files import put_back, read_json, rebuilding, write_json
from lmbench.tasks.settings import RegressionSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from lmbench.detecting.framer import Framer
    from lmbench.fitting.fit import Fit
    from lmbench.fitting.judging import CrossValidation
    from lmbench.fitting.labels import Labels
    from lmbench.metrics.stored import StoredResult

FORMAT = 1
NOTE, HEAD, PICTURE = "fitted.json", "head.safetensors", "cross_validated.png"
TASK, CONVERGED = "lmbench:regression", "lmbench:converged"
AGAIN = "Fit again (lmbench fit)"


class FittedOn(TypedDict):
    """The run whose network it is: where it was, from the root and from the fit's folder, and the digest of its weights."""

    name: str
    path: str
    from_here: str
    network_sha256: str


class FittedTo(TypedDict):
    """The labels of a fit."""

    file: str
    notes: list[str]
    images: list[str]


class Note(TypedDict):
    """What ``fitted.json`` says. ``head``: what it chose; ``record``: as `lmbench.results.record` has it."""

    format: int
    version: str
    run: FittedOn
    labels: FittedTo
    head: str
    cross_validation: CrossValidation
    record: dict[str, Any]


@dataclass(frozen=True, repr=False)
class FittedRun(Run):
    """A `Run` whose head was fitted on somebody's own points. ``note``: all that ``fitted.json`` says."""

    note: Note

    @classmethod
    def open(cls, place: Path | str) -> FittedRun:
        """What lies in a folder. Raises DataError where there is none or it is damaged, StaleError for another format."""
        folder = Path(place)
        manifests.require(folder, NOTE, HEAD, way_out=f"{AGAIN}.")
        note = read_json(folder / NOTE)
        if not isinstance(note, dict) or note.get("format") != FORMAT:
            raise StaleError(
                f"{folder / NOTE} has format {note.get('format') if isinstance(note, dict) else note!r:.40}; this lmbench "
                f"({__version__}) reads format {FORMAT}. {AGAIN}, or update lmbench."
            )
        return cls(folder, checked(note.get("record"), folder / NOTE), cast(Note, note))

    @cached_property
    def base(self) -> Run:
        """The run whose network it is. Raises DataError where it is gone."""
        places = [Path(os.path.normpath(self.folder / self.note["run"]["from_here"])), Path(self.note["run"]["path"])]
        there = next((p for p in places if p.exists()), None)
        if there is None:
            raise DataError(
                f"{self.folder} was fitted on the network of {places[1]}, which is gone. Put the run back (with the folder "
                f"`stages` beside it), or fit on another one."
            )
        return exported.load(there)

    def results(self, plugins: Plugins | None = None) -> Iterator[StoredResult]:
        raise DataError(f"{self.folder} holds no predictions; its cross-validation is in {NOTE}.")

    def _stored(self, name: str, plugins: Plugins) -> StoredResult:
        raise DataError(f"{self.folder} holds no predictions; its cross-validation is in {NOTE}.")

    def _network(self) -> Any:
        network = self.base._network()
        if _digest_of(network) != self.note["run"]["network_sha256"]:
            raise StaleError(
                f"the network of {self.base.folder} is another one than {self.folder} was fitted on. {AGAIN}."
            )
        return network

    def _head_state(self, n_annotations: Annotations) -> tuple[Path, dict[str, Tensor]]:
        import safetensors.torch

        images = self.note["cross_validation"]["images"]
        if n_annotations not in (None, "all", images, str(images)):
            raise UsageError(
                f"{self.folder} has no head of {n_annotations} annotations; it holds that of all {images} labelled images."
            )
        path = self.folder / HEAD
        try:
            return path, safetensors.torch.load_file(path)
        except Exception as error:
            raise LmbenchError(f"{path} is damaged ({str(error).splitlines()[0]}). {AGAIN}.") from None


def load(place: Path | str) -> Run:
    """What `lmbench fit` left in a folder, else the finished run of one (or its record.json) or of a file of `lmbench export`.

    Raises DataError where there is none of these, or it is damaged.
    """
    path = Path(place)
    put_back(path)
    return FittedRun.open(path) if (path / NOTE).is_file() else exported.load(path)


def write(folder: Path, run: Run, framer: Framer, labels: Labels, fit: Fit, force: bool = False) -> FittedRun:
    """Keeps a fit in a folder, and reads it back. Raises UsageError where one is there already, without ``force``."""
    import safetensors.torch

    from lmbench.fitting.picture import draw

    require_place(folder, force)
    base = run.base if isinstance(run, FittedRun) else run
    network = base._network()
    note: Note = {
        "format": FORMAT,
        "version": __version__,
        "run": {
            "name": base.name,
            "path": str(base.folder.absolute()),
            "from_here": os.path.relpath(base.folder.absolute(), folder.absolute()),
            "network_sha256": _digest_of(network),
        },
        "labels": {"file": labels.where, "notes": list(labels.notes), "images": [s.id for s in labels.samples]},
        "head": fit.said,
        "cross_validation": fit.judged.document(),
        "record": _record(folder, base, framer, labels, fit),
    }
    with rebuilding(folder) as draft:
        write_json(draft / NOTE, note)
        state = {k: v.cpu().contiguous() for k, v in fit.head.state().items()}
        safetensors.torch.save_file(state, draft / HEAD)
        draw(fit, draft / PICTURE)
    return FittedRun.open(folder)


def require_place(folder: Path, force: bool) -> None:
    """Raises UsageError where a fit may not be written to a folder: nothing but another fit is ever replaced."""
    if folder.name in ("", ".."):
        raise UsageError(f"-o {folder}: name a folder of its own, for instance {folder / 'detector'}.")
    put_back(folder)
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not (folder / NOTE).is_file():
        raise UsageError(f"-o {folder}: something else is there already; choose another name.")
    foreign = sorted({p.name for p in folder.iterdir()} - {NOTE, HEAD, PICTURE, manifests.MANIFEST})
    if foreign:
        raise UsageError(
            f"-o {folder}: {foreign[0]} is there beside the fit, and would be lost. Move it away, or choose another name."
        )
    if not force:
        raise UsageError(f"-o {folder}: a fit is there already; choose another name or pass --force.")


def _record(folder: Path, run: Run, framer: Framer, labels: Labels, fit: Fit) -> dict[str, Any]:
    """The run's record, but of other labels: what makes network and head again, and how images are framed."""
    settings = RegressionSettings(head=CONVERGED, head_settings=fit.settings)
    config = replace(run.config, tasks=(TASK,), settings={TASK.rpartition(":")[2]: settings})
    found, judged = fit.judged.interval, fit.judged.document()
    row = {
        "task": "regression", "metric": "cross_validated_error", "subset": None, "n_annotations": judged["images"],
        "value": found.value, "std": None, "draws": None, "ci95": None if found.low is None else [found.low, found.high],
        "unit": "px", "higher_is_better": False, "settings": {"mean_shape": judged["mean_shape_px"]},
    }  # fmt: skip
    document = run.record.to_json() | {
        "schema": SCHEMA, "run": file_part(folder.absolute().name) or "fit", "status": "ok", "metrics": [row],
        "config": config.dump(), "config_sha256": config.digest(), "predictions": [], "heads": {}, "references": [],
        "identity": None, "observer_errors": [],
        "data": {
            "counts": {"train": judged["images"]}, "used": None, "preprocessing": asdict(framer.steps),
            "framing": plain(framer.framing), "landmarks": list(labels.names), "notes": list(labels.notes),
        },
    }  # fmt: skip
    return {k: v for k, v in document.items() if k != SEAL}


def _digest_of(network: Any) -> str:
    from lmbench.heads.frozen import digest_of_state

    return digest_of_state(network.state_dict())
