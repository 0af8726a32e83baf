"""A finished run to ask things of: what it measured and predicted, its frozen network and heads, also on other images."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmbench.config.earlier import upgraded
from lmbench.config.fitting import Named, named_in
from lmbench.config.model import RunConfig, plain
from lmbench.errors import DataError, LmbenchError, StaleError, UsageError
from lmbench.plugins.loading import Plugins, get_plugins
from lmbench.printable import printable
from lmbench.results.reading import read_record
from lmbench.results.record import HEADS, PREDICTIONS, RECORD, Record, TrainedStage
from lmbench.specs import HeadSpec
from lmbench.store import manifests

if TYPE_CHECKING:  # those who ask for numbers alone wait for neither torch nor pyarrow
    import pandas
    from torch import Tensor

    from lmbench.detecting.detector import Detector
    from lmbench.detecting.framer import Framer
    from lmbench.detecting.matching import Matcher, Matches
    from lmbench.detecting.regions import Landmarks
    from lmbench.features import Extractor, FeatureMaps
    from lmbench.heads.base import FittedHeads
    from lmbench.metrics.stored import StoredResult

ANEW = "measure anew with --resume never"
STAGE_KEY = re.compile(r"[0-9a-f]{20,64}")

Annotations = int | str | None


@dataclass(frozen=True, repr=False)
class Run:
    """A run in its folder. All it is asked for is told by the record, so that its data need not be there.

    Whatever lies beside the record is compared with what the record says of it before it is used. Images are paths, PIL images,
    arrays (H, W, 3) or (H, W) of uint8 or of floats in [0, 1], one or several, framed as the run's own images were; ``boxes``
    says where the object is: (left, top, width, height) in pixels, for all images or each, or ``whole`` or ``central`` where it
    fills the image or its central square. Tensors (B, 3, H, W) in [0, 1] are taken as the network's input, framed already.
    """

    folder: Path
    record: Record

    @classmethod
    def open(cls, place: Path | str) -> Run:
        """The run of a folder, or of its record.json. Raises DataError where there is none, else as `read_record`."""
        place = Path(place)
        path = place / RECORD if place.is_dir() else place
        if not path.is_file():
            raise DataError(f"{path}: there is no record. Name the folder of a finished run.")
        return cls(path.parent, read_record(path))

    @property
    def name(self) -> str:
        return self.record.run

    @cached_property
    def config(self) -> RunConfig:
        """The configuration, of whatever version it was written by. Raises UsageError where it is none."""
        from lmbench.config.resolving import config_of

        return config_of(get_plugins(), upgraded(self.record.config, self.record.schema))

    @cached_property
    def plugins(self) -> Plugins:
        """The plugins, with bare names meaning the parts of the method's own distribution."""
        return get_plugins().of_recipe(self.config.method, self.config.variant)

    @cached_property
    def landmark_names(self) -> tuple[str, ...]:
        """What its landmarks are called. Records of lmbench 0.1 leave that to the dataset."""
        if self.record.data.landmarks:
            return self.record.data.landmarks
        named: tuple[str, ...] = self.plugins.find("dataset", self.config.dataset).spec.landmark_names
        return named

    def results(self, plugins: Plugins | None = None) -> Iterator[StoredResult]:
        """All that its tasks stored, in the record's order, as the tasks of ``plugins`` (else its own) read them.

        Raises DataError where one is gone or damaged.
        """
        for entry in self.record.predictions:
            yield self._stored(Path(entry).stem, plugins or self.plugins)

    def predictions(
        self, task: str = "", n_annotations: Annotations = "all", subset: str | None = None
    ) -> StoredResult:
        """What one task stored, the run's first unless it is named: `Predictions` of landmarks, or the type that it brings.

        Raises UsageError naming what there is, DataError where it is gone or damaged.
        """
        from lmbench.metrics.stored import stored_name

        name = stored_name(task or self.config.tasks[0], subset, n_annotations)
        if f"{PREDICTIONS}/{name}.parquet" not in self.record.predictions:
            there = ", ".join(Path(p).stem for p in self.record.predictions) or "none"
            raise UsageError(f"{self.name} has no predictions {name}; there are {there}.")
        return self._stored(name, self.plugins)

    @property
    def metrics(self) -> pandas.DataFrame:
        """Its numbers, a row each: task, metric, subset, n_annotations, value, std, draws, ci95_low, ci95_high, unit,
        higher_is_better, images. What a record does not state is missing there."""
        import pandas

        columns = [
            "task",
            "metric",
            "subset",
            "n_annotations",
            "value",
            "std",
            "draws",
            "ci95_low",
            "ci95_high",
            "unit",
        ]
        rows = [
            {**vars(row), "ci95_low": row.ci95 and row.ci95[0], "ci95_high": row.ci95 and row.ci95[1]}
            for row in self.record.rows
        ]
        return pandas.DataFrame(rows, columns=[*columns, "higher_is_better", "images"])

    def extractor(self, images: Any, boxes: Any = None, device: Any = "auto") -> FeatureMaps:
        """The frozen features of images, read as the run's tasks read them; ``materialise()`` gives (B, dim, H, W).

        Tensors may have any size that the network takes. Raises UsageError for a run without a network and where a box is
        needed, DataError for what is no image.
        """
        from lmbench.detecting.images import network_input

        network = self._network_on(device)
        batch = network_input(images, boxes, self.framer)
        place = next(network.parameters(), batch).device
        try:
            return network.maps(batch.to(place))
        except RuntimeError as error:
            raise UsageError(f"{self.name}: its network takes no images {tuple(batch.shape)} ({error}).") from None

    def predict(
        self, images: Any, boxes: Any = None, n_annotations: Annotations = None, device: Any = "auto"
    ) -> Landmarks:
        """The landmarks of images by the head of all annotations, else the first draw of the most, or of ``n_annotations``.

        Raises UsageError for a run whose head looks at neither maps nor landmarks, and where a box is needed, DataError for
        what is no image.
        """
        return self.detector(device, n_annotations).predict(images, boxes)

    def match(self, reference: Any, points: Any, target: Any, boxes: Any = None, device: Any = "auto") -> Matches:
        """Where ``points`` (P, 2), pixels of the image ``reference``, are in one image or several, by the features alone.

        ``boxes``: of the reference and the targets, in this order. Raises UsageError for points that the network does not see.
        """
        from lmbench.detecting.images import regions_of

        targets = list(target) if isinstance(target, list | tuple) else [target]
        (first, *others), filling = regions_of([reference, *targets], boxes)
        return self.matcher(device).match(first, points, others, filling)[0]

    def frozen(self, device: Any = "auto") -> Extractor:
        """The frozen network on a device, read as the run read it.

        Raises UsageError for a run without a network, DataError where its weights are gone, StaleError where they are others.
        """
        from lmbench.features import Extractor
        from lmbench.training.loop import resolve_device

        config = self.config
        if not config.network:
            named = [part.name for s in config.settings.values() for part in named_in(s) if part.kind == "head"]
            if any(self.plugins.find("head", name).spec.inputs == "images" for name in named):
                why = f"its head {', '.join(named)} is a network of its own, fitted to whole images"
                raise UsageError(f"{self.name} has no frozen network: {why}.")
            raise UsageError(f"{self.name} has no network: its head looks at no image.")
        place = resolve_device(device) if isinstance(device, str) else device
        return Extractor.of(self._network(), config.read.layers, config.read.size, config.read.normalise).to(place)

    @cached_property
    def framer(self) -> Framer:
        """How its images were framed. Raises LmbenchError where the record is damaged there."""
        from lmbench.data.boxes import from_record
        from lmbench.detecting.framer import Framer
        from lmbench.geometry.framing import Preprocessing

        known = {f.name for f in fields(Preprocessing)}
        stated: Any = self.record.data.preprocessing or {}
        try:
            steps = Preprocessing(**{k: v for k, v in stated.items() if k in known})
        except TypeError:
            raise LmbenchError(f"the record's preprocessing is damaged: {stated}.") from None
        framing = self.record.data.framing
        ruled = isinstance(framing, dict) and framing.get("rule")
        own = self.plugins.find("dataset", self.config.dataset).spec.framing if ruled else None
        return Framer(self.name, steps, from_record(framing, own))

    def detector(self, device: Any = "auto", n_annotations: Annotations = None) -> Detector:
        """Its network and one head: of all annotations, else the first draw of the most, or of ``n_annotations``.

        Raises UsageError for a run whose head looks at neither maps nor landmarks, else as `frozen` and `heads`.
        """
        from lmbench.detecting.detector import Detector
        from lmbench.training.loop import resolve_device

        if (found := self._kept.get(key := (str(device), n_annotations))) is not None:
            return found
        place = resolve_device(device) if isinstance(device, str) else device
        extractor, reads = self._network_on(device), self.head.inputs
        if reads not in ("maps", "landmarks"):
            raise UsageError(f"{self.name}: the head {self.head.name} reads neither maps nor landmarks of a network.")
        made = Detector(
            framer=self.framer,
            extractor=extractor,
            heads=self.heads(n_annotations, place if reads == "maps" else "cpu", first=True),
            reads=reads,
            landmark_names=self.landmark_names,
            device=place,
        )
        made.require_fitting()
        self._kept[key] = made
        return made

    def matcher(self, device: Any = "auto") -> Matcher:
        """Its network as its task ``matching`` reads it, else as that task does by default."""
        from lmbench.detecting.matching import Matcher
        from lmbench.tasks.settings import MatchingSettings
        from lmbench.training.loop import resolve_device

        settings = self.config.settings.get("matching", MatchingSettings())
        place = resolve_device(device) if isinstance(device, str) else device
        return Matcher(self.framer, self._network_on(device), settings.reading, place)

    @cached_property
    def _kept(self) -> dict[Any, Any]:
        """Networks by device, and detectors by device and annotations: made once."""
        return {}

    def _network_on(self, device: Any) -> Extractor:
        if (found := self._kept.get(str(device))) is None:
            found = self._kept[str(device)] = self.frozen(device)
        network: Extractor = found
        return network

    def __repr__(self) -> str:
        from lmbench.results.shown import heading

        return printable(f"<{type(self).__name__} {heading(self.record)}: {self.folder}>")

    def __str__(self) -> str:
        from lmbench.results.shown import as_text

        return as_text(self.record)

    def _repr_html_(self) -> str:
        from lmbench.results.shown import as_html

        return as_html(self.record, self.folder)

    @property
    def head(self) -> HeadSpec:
        """The kind of its landmark heads."""
        spec: HeadSpec = self.plugins.find("head", self._headed[1].name).spec
        return spec

    @property
    def _headed(self) -> tuple[str, Named]:
        """The task that heads were fitted for, and how its settings name them. Raises UsageError where there is none."""
        for task, settings in self.config.settings.items():
            for part in named_in(settings):
                if part.kind == "head":
                    return task, part
        raise UsageError(f"{self.name} was judged by no task that fits heads ({', '.join(self.config.tasks)}).")

    def heads(self, n_annotations: Annotations = None, device: Any = "cpu", first: bool = False) -> FittedHeads:
        """The kept landmark heads of a number of annotations, one a draw; of ``all``, else the most, where none is named.

        ``first``: the first draw alone. Raises DataError where none is kept, LmbenchError for what is damaged, UsageError
        for a head that cannot be read back.
        """
        spec, (task, part) = self.head, self._headed
        head = spec.make(getattr(self.config.settings_of(task), part.settings))
        if not hasattr(head, "restored"):
            raise UsageError(f"{self.name}: the head {spec.name} cannot be read back from its tensors.")
        path, state = self._head_state(n_annotations)
        if not all(bool(t.isfinite().all()) for t in state.values() if t.is_floating_point()):
            raise LmbenchError(f"{path} is damaged: it holds values that are no numbers.")
        kept = {k: (v[:1] if first and v.ndim else v).to(device) for k, v in state.items()}
        try:
            fitted: FittedHeads = head.restored(kept)
        except (KeyError, ValueError, TypeError, RuntimeError) as error:
            raise LmbenchError(f"{path} is a head of another run: a {spec.name} is not made of it ({error}).") from None
        return fitted

    def _head_state(self, n_annotations: Annotations) -> tuple[Path, dict[str, Tensor]]:
        """Where the heads of a number of annotations are kept, and their tensors."""
        import safetensors.torch

        path = self._head_file(n_annotations)
        manifests.require(path.parent, path.name, way_out=f"{ANEW[0].upper()}{ANEW[1:]}.")
        if self.record.heads and self.record.heads.get(path.name) != manifests.digest_of_file(path):
            raise DataError(
                f"{path} is a head of another run: its SHA-256 is not the one in the record. Put the run's own there, or {ANEW}."
            )
        try:
            return path, safetensors.torch.load_file(path)
        except Exception as error:
            raise LmbenchError(
                f"{path} is damaged ({str(error).splitlines()[0]}). Give the run's command again with --resume never: stages "
                "are reused, heads are fitted anew."
            ) from None

    def _head_file(self, n_annotations: Annotations) -> Path:
        task = self._headed[0]
        kept = re.compile(rf"{re.escape(task)}-n(all|[0-9]+)\.safetensors")
        found = {m[1]: path for path in (self.folder / HEADS).glob("*") if (m := kept.fullmatch(path.name))}
        if not found:
            raise DataError(f"{self.folder}: no head is kept there ({HEADS}/{task}-n*.safetensors).")
        if n_annotations is None:
            n_annotations = max(found, key=lambda n: float("inf") if n == "all" else int(n))
        if str(n_annotations) not in found:
            raise UsageError(
                f"{self.name} has no head of {n_annotations} annotations; there are {', '.join(sorted(found))}."
            )
        return found[str(n_annotations)]

    def _stored(self, name: str, plugins: Plugins) -> StoredResult:
        from lmbench.results.measuring import read_stored

        found = read_stored(self.folder / PREDICTIONS, name, plugins)
        if found is None:
            raise DataError(
                f"{self.folder / PREDICTIONS / name}.parquet is not there: the predictions are kept with the run itself. "
                "Name the folder of the run itself, not a copy of its record."
            )
        return found

    def _network(self) -> Any:
        return self._trained() if self.record.stages else self._untrained()

    def _trained(self) -> Any:
        """The network of the last stage, with the weights that the run was measured with."""
        from lmbench.training.stages import load_network, open_artifact

        stage: TrainedStage = self.record.stages[-1]
        if stage.name not in self.config.stages or not STAGE_KEY.fullmatch(stage.key):
            raise LmbenchError(
                f"{self.folder / RECORD} is damaged: its last stage {stage.name} is not one of its configuration."
            )
        place = self.folder.parent / "stages" / stage.key[:20]
        if not place.is_dir():
            raise DataError(
                f"{place} is gone: the run's network was kept there. Put it back, or give the run's command again with "
                "--resume never: the stage is trained anew."
            )
        artifact = open_artifact(stage.name, self.config.stages[stage.name], stage.key, place, reused=True)
        if stage.weights_sha256 not in (None, artifact.weights_sha256):
            raise StaleError(
                f"{place} was trained anew after {self.folder.name} was measured: its heads belong to other weights. "
                f"{ANEW[0].upper()}{ANEW[1:]}."
            )
        return load_network(artifact, self.plugins)

    def _untrained(self) -> Any:
        """The network of a run without stages: as it was initialised, or as a file of weights has it."""
        from lmbench.backbones import build_backbone
        from lmbench.seeds import initialising
        from lmbench.training.stages import files_named

        network, then = self.config.network, (self.record.identity or {}).get("files")
        if then is not None and files_named(network.backbone_settings) != then:
            raise StaleError(
                f"the file of weights that {self.folder.name} was measured with is another one now, or gone "
                f"({', '.join(map(str, plain(network.backbone_settings).values()))}). Put it back, or measure anew."
            )
        with initialising(self.config.seed, "weights", network.backbone):
            return build_backbone(network.backbone, network.backbone_settings, self.plugins)
