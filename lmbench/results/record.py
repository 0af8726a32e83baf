"""The record of a run: one immutable JSON, and the type that everything in this program asks instead of it.

Its layout is that of docs/runs.md, and keys are added to it, never renamed. Records are read by `lmbench.results.reading`,
which checks what somebody else may have written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NotRequired, TypedDict, TypeVar

from lmbench.config.model import digest_of
from lmbench.errors import StaleError
from lmbench.printable import without_folders
from lmbench.store.files import write_json

SCHEMA = 2
"""How records are written now. Schema 1 states its configuration as lmbench 0.1 and 0.2 did (`lmbench.config.earlier`)."""
RECORD = "record.json"
SEAL = "sha256"
PREDICTIONS, HEADS = "predictions", "heads"
LONGEST_PART = 80  # letters of a name within a file name

Key = tuple[str, str, str | None, int | str | None]
"""What a number is of: task, metric, subset, number of annotations."""

T = TypeVar("T")


@dataclass(frozen=True)
class Number:
    """A number that was measured: the mean over ``draws`` choices of ``n_annotations`` images, ``std`` their spread.

    ``subset`` names a part of the result: same or different pairs, a joint, a layer.
    """

    task: str
    metric: str
    subset: str | None
    n_annotations: int | str | None
    value: float
    std: float | None
    draws: int | None
    unit: str
    higher_is_better: bool

    @property
    def key(self) -> Key:
        return self.task, self.metric, self.subset, self.n_annotations


@dataclass(frozen=True, kw_only=True)
class Row(Number):
    """A number of a run. ``ci95``: the interval of 95 % over test images and draws; ``settings``: the protocol behind it;
    ``images`` and ``points``: how many were scored; ``curve``: pairs (x, y) that stand behind the number."""

    ci95: tuple[float, float] | None
    settings: Mapping[str, Any]
    images: int | None = None
    points: int | None = None
    normaliser: str | None = None
    curve: tuple[tuple[float, float], ...] = ()

    def entry(self) -> dict[str, Any]:
        """As a JSON object."""
        made = dict(vars(self))
        made["ci95"], made["settings"] = list(self.ci95) if self.ci95 else None, dict(self.settings)
        curve = made.pop("curve")
        return made | ({"curve": [list(point) for point in curve]} if curve else {})

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Row:
        low, high = entry["ci95"] or (None, None)
        interval = None if low is None or high is None else (low, high)
        curve = tuple((x, y) for x, y in entry.get("curve", ()))
        return _of(cls, {**entry, "ci95": interval, "curve": curve})


@dataclass(frozen=True, kw_only=True)
class Reference(Number):
    """A number to read a run's own beside; ``reference``: the mean shape, or the same recipe left untrained."""

    reference: str


@dataclass(frozen=True)
class TrainedStage:
    """What a run says of a stage it stands on: its address, how long it took, and its learning curve, one row an epoch.

    ``views``: the image views of its training (`lmbench.config.budget`), where its objective states them. Older records say
    neither these nor steps nor what its weights were.
    """

    key: str
    name: str = ""
    objective: str = ""
    backbone: str = ""
    weights_sha256: str | None = None
    precision: str = ""
    device: str = ""
    reused: bool = False
    seconds: float = 0.0
    epochs: int = 0
    steps: int | None = None
    views: int | None = None
    curve: tuple[Mapping[str, Any], ...] = ()

    def entry(self) -> dict[str, Any]:
        """As a JSON object."""
        return {**vars(self), "curve": list(self.curve)}

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> TrainedStage:
        return _of(cls, {**entry, "curve": tuple(entry.get("curve", ()))})


class Leak(TypedDict):
    """How many test images a method was pretrained on, and the first of them."""

    images: int
    first: NotRequired[str]


class Code(TypedDict, total=False):
    """The code that measured: older records do not state all of it. ``dirty``: whether it is none of the commit."""

    version: str
    commit: str | None
    dirty: bool | None


class Environment(TypedDict, total=False):
    """Where it ran: older records do not state all of it."""

    python: str
    platform: str
    processor: str
    threads: int
    device: str
    gpu: str | None
    precision: str
    libraries: dict[str, str]
    peak_memory_mib: int
    peak_gpu_memory_mib: int


@dataclass(frozen=True)
class Data:
    """The images and labels behind a record, as far as it states them."""

    fingerprint: str | None = None
    partial: str | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    used: Mapping[str, int | None] | None = None
    preprocessing: Mapping[str, Any] | None = None
    framing: Any = None
    landmarks: tuple[str, ...] = ()
    pixels_sha256: Mapping[str, str] = field(default_factory=dict)
    reading: Mapping[str, Any] = field(default_factory=dict)
    pretraining_fingerprint: str | None = None
    test_images_pretrained_on: Leak | None = None
    object_scale: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    remarks: Mapping[str, str] = field(default_factory=dict)
    pretraining_remarks: str = ""


UNSAID_OF_DATA = ("partial", "test_images_pretrained_on")
"""What a record says of its data only where there is something to say."""


@dataclass(frozen=True)
class Record:
    """What a run left. ``config`` is as it was written, under this ``schema``: `Run.config` is the typed one."""

    run: str
    method: str
    variant: str
    dataset: str
    pretrain_on: str
    preset: str
    seed: int
    backbone: str
    supervision: str
    feature_dim: int | None
    rows: tuple[Row, ...]
    stages: tuple[TrainedStage, ...]
    components: tuple[Mapping[str, str], ...]
    data: Data
    code: Code
    environment: Environment
    config: Mapping[str, Any]
    config_sha256: str
    choices: Mapping[str, Any] = field(default_factory=dict)
    predictions: tuple[str, ...] = ()
    heads: Mapping[str, str] = field(default_factory=dict)
    finished: str = ""
    seconds: float = 0.0
    identity: Mapping[str, Any] | None = None
    observer_errors: tuple[str, ...] = ()
    references: tuple[Reference, ...] = ()
    status: str = "ok"
    schema: int = SCHEMA
    _read: Mapping[str, Any] | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def version(self) -> str:
        """The version of lmbench that measured it."""
        return str(self.code.get("version", ""))

    @property
    def distributions(self) -> list[str]:
        """Who answers for its parts, so that their names mean what they meant then."""
        return [str(c.get("distribution")) for c in self.components]

    def find(self, key: Key) -> Row | None:
        """The number of that task, metric, subset and number of annotations, or None."""
        return next((row for row in self.rows if row.key == key), None)

    def to_json(self) -> dict[str, Any]:
        """The record as it stands in its file; what was read is given back with all that this type does not know."""
        if self._read is not None:
            return dict(self._read)
        made = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "_read"}
        data = {k: v for k, v in vars(self.data).items() if k not in UNSAID_OF_DATA or v is not None}
        order = ("schema", "run", "status", "method", "variant", "dataset", "pretrain_on", "preset", "seed", "backbone")
        del made["rows"]
        return {
            **{name: made.pop(name) for name in (*order, "supervision", "feature_dim")},
            "metrics": [row.entry() for row in self.rows],
            **made,
            "stages": [stage.entry() for stage in self.stages],
            "components": list(self.components),
            "data": {**data, "landmarks": list(self.data.landmarks), "notes": list(self.data.notes)},
            "predictions": list(self.predictions),
            "observer_errors": list(self.observer_errors),
            "references": [vars(row) for row in self.references],
        }

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Record:
        """The record of a JSON object that was checked (`lmbench.results.reading.checked`)."""
        made = {
            **document,
            "supervision": document.get("supervision", ""),
            "feature_dim": document.get("feature_dim"),
            "rows": tuple(map(Row.of, document["metrics"])),
            "stages": tuple(map(TrainedStage.of, document["stages"])),
            "components": tuple(document["components"]),
            "data": _of(Data, {k: tuple(v) if k in ("landmarks", "notes") else v for k, v in document["data"].items()}),
            "predictions": tuple(document.get("predictions", ())),
            "observer_errors": tuple(document.get("observer_errors", ())),
            "references": tuple(_of(Reference, row) for row in document.get("references", ())),
        }
        record = _of(cls, made)
        object.__setattr__(record, "_read", document)
        return record


def _of(kind: type[T], entry: Mapping[str, Any]) -> T:
    """A dataclass from a JSON object: what the type does not name is passed over."""
    return kind(**{f.name: entry[f.name] for f in fields(kind) if f.init and f.name in entry})  # type: ignore[arg-type]


def run_name(method: str, variant: str, dataset: str, preset: str, seed: int, digest: str) -> str:
    """The folder of a run: readable, and told apart by the digest of its configuration."""
    return "_".join(map(run_part, (method, variant, without_folders(dataset), preset, f"s{seed}", digest[:8])))


def earlier_run_name(method: str, variant: str, dataset: str, preset: str, seed: int, digest: str) -> str:
    """The same as lmbench named it before: with all folders that lead to the user's own."""
    return "_".join(map(run_part, (method, variant, dataset, preset, f"s{seed}", digest[:8])))


def run_part(name: str) -> str:
    """A name as part of a run's: ``dense64, untrained`` becomes ``dense64-untrained``."""
    return re.sub(r"[^A-Za-z0-9.+-]+", "-", name).strip("-")[:60]


def file_part(name: str) -> str:
    """A name as part of a file name: ``folder:/my/birds`` becomes ``folder-my-birds``. Other names may give the same."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", name).strip("-.")[:LONGEST_PART]


def write_record(folder: Path, record: Record) -> Record:
    """The record as it was written to ``record.json``, with its own digest. Raises StaleError where one is there."""
    path = folder / RECORD
    if path.exists():
        raise StaleError(f"{path} exists; records are never overwritten.")
    document = record.to_json()
    document[SEAL] = seal_of(document)
    write_json(path, document)
    return Record.of(document)


def keep_copy(record: Record, folder: Path) -> Path:
    """A copy of a record in a folder of them, beside leaderboards; one that is there already stays."""
    path = folder / f"{record.run}.json"
    if not path.exists():
        write_json(path, record.to_json())
    return path


def seal_of(document: Mapping[str, Any]) -> str:
    """The digest that a record carries of all else in it."""
    return digest_of({k: v for k, v in document.items() if k != SEAL})


def find_records(runs: Path) -> Iterator[Path]:
    """The record files below a runs folder, in order of their paths."""
    yield from sorted(runs.glob(f"*/{RECORD}"))
