"""What a plugin hands to the core: frozen descriptions with lazy targets, and nothing heavy.

A spec is cheap to make and to list. The code behind it is named by ``target`` (``"package.module:Name"``) and imported
when a run needs it, so that finding twenty plugins imports no torch.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

from lmbench.config.model import Read, Stage
from lmbench.geometry.framing import Framing, Preprocessing
from lmbench.training.cuts import Cuts

API_VERSION = 2
"""The version of the plugin interface. A plugin states the one it was written for as ``LMBENCH_API``."""

Table = Mapping[str, Any]


@dataclass(frozen=True)
class NoSettings:
    """Of a component that has none."""


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What every component has: a name, one line about it, where it comes from, and the code behind it."""

    has_target: ClassVar[bool] = True
    """Whether there is code behind a component of this kind; else it is data alone."""

    name: str
    summary: str
    target: str = ""
    paper: str = ""
    year: int | None = None
    settings: type = NoSettings
    """A frozen dataclass: name, type, range, default, unit and source of each setting. The target receives an object of it."""
    fixed: Table = field(default_factory=dict)
    """What the target takes besides, and nobody can change: the difference between two components of one target."""

    @property
    def kind(self) -> str:
        return next(KIND_OF[t] for t in type(self).__mro__ if t in KIND_OF)

    def load(self, target: str = "") -> Any:
        """The object that a lazy target names, its own unless another is given. Raises ImportError or AttributeError."""
        module, _, attribute = (target or self.target).partition(":")
        return getattr(importlib.import_module(module), attribute)

    def make(self, *given: Any, **more: Any) -> Any:
        """What the target makes of what it is given, and of what is fixed."""
        return self.load()(*given, **self.fixed, **more)


@dataclass(frozen=True)
class MapSpec:
    """One output map of a backbone: its name, channels, and how many input pixels lie between two of its cells.

    ``channels`` and ``stride``: numbers, or the setting of the backbone (or the property of its settings) that holds one.
    """

    name: str
    channels: int | str
    stride: int | str

    def of(self, settings: Any) -> Map:
        """The map with both as numbers."""
        channels, stride = (v if isinstance(v, int) else getattr(settings, v) for v in (self.channels, self.stride))
        return Map(self.name, channels, stride)


@dataclass(frozen=True)
class Map(MapSpec):
    """A map of one network: its channels and stride are numbers."""

    channels: int
    stride: int


@dataclass(frozen=True, kw_only=True)
class BackboneSpec(Spec):
    """A network that turns images in [0, 1] into named feature maps.

    The target is called as ``Target(settings, **fixed)`` and returns an ``nn.Module`` whose ``forward(images)`` gives
    ``dict[name, (B, C, h, w)]`` with the names of ``maps`` (shallow to deep); mean and standard deviation are its own
    business. A name that ends in ``/*`` is a family: the target then also gets ``model=<what follows the slash>``, and the
    network that it returns has an attribute ``maps``, a tuple of MapSpec, where the family cannot state them for all.
    ``min_size`` is the smallest image side that its deepest map survives. ``resizes_to``: the setting, where there is one,
    that holds the side in pixels to which it first brings every image (0: none). ``member_check``: of a family whose members a
    package knows: a lazy target that is called with what follows the slash before anything is computed, and raises UsageError
    for what is none; an ImportError there is left to the target itself.
    """

    maps: tuple[MapSpec, ...] = ()
    min_size: int = 32
    resizes_to: str = ""
    member_check: str = ""


@dataclass(frozen=True, kw_only=True)
class ObjectiveSpec(Spec):
    """A pretraining loss with all it trains beside the backbone.

    The target is an ``Objective`` class, called as ``Target(backbone, parent, settings, **fixed)``.
    ``needs_parent``: it learns from an earlier stage. ``needs_maps``: names of backbone maps it reads.
    ``min_batch``: the smallest batch the loss makes sense for. ``closed_form``: nothing of it is trained by gradients; it
    looks at every batch and solves at its last step, so an untrained control runs it as well. ``cuts``: which of its settings
    cut views out of the frame; without it nobody can say how large the object stands in them. ``views``: how many images that
    pass a network in training a step makes of each image (two views: 2), by which budgets are compared; 0: not stated.
    """

    needs_parent: bool = False
    needs_maps: tuple[str, ...] = ()
    min_batch: int = 1
    closed_form: bool = False
    cuts: Cuts | None = None
    views: int = 0
    earlier: Table = field(default_factory=dict)
    """Settings whose defaults are others today, as they were while records stated only what differed (schema 1)."""


@dataclass(frozen=True, kw_only=True)
class HeadSpec(Spec):
    """A landmark head: called as ``Target(settings, **fixed)``, returns an object with ``fit`` (see ``lmbench.heads``).

    ``inputs`` says what it is fitted on: frozen ``maps``, discovered ``landmarks``, ``nothing``, or the ``images``
    themselves (supervised networks, which nothing frozen stands behind).
    """

    inputs: Literal["maps", "landmarks", "nothing", "images"] = "maps"
    presets: Mapping[str, Table] = field(default_factory=dict)
    """What differs from its settings' defaults in a preset, by the preset's name."""


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """Where a component is used: what the settings of one have to fit that say so by a method ``fits(around)``.

    It is asked before anything is computed and raises UsageError. ``fixed``: of the component's spec. ``backbone`` with its
    settings (their object): what an objective's stage trains, and what a task or a head judges (None: no network).
    ``maps_of``: the maps of any backbone by name, ``{}`` where only the network itself knows them; channels are numbers, of the
    backbone's default settings but for those of ``backbone`` itself. Of a stage: ``frame`` and ``batch_size`` (of as many
    images as there are at most). Of a task or a head: how the network is ``read``, and the ``dataset`` it is judged on.
    """

    maps_of: Callable[[str], Mapping[str, Map]]
    fixed: Mapping[str, Any] = field(default_factory=dict)
    backbone: BackboneSpec | None = None
    backbone_settings: Any = None
    frame: int = 0
    batch_size: int = 0
    read: Read = field(default_factory=Read)
    dataset: DatasetSpec | None = None


@dataclass(frozen=True, kw_only=True)
class DatasetSpec(Spec):
    """Images + landmarks + visibility + identity with named splits.

    The target is called with ``root: Path`` (and the name after ``:`` as ``argument`` for a family ``name:*``) and
    returns ``dict[split, datasets.Dataset]`` in the schema of ``lmbench.data.schema``. ``splits`` holds the expected
    counts (``None``: any). A dataset without landmarks and classes serves pretraining alone and has only a ``train`` split.
    ``version`` changes whenever the loader changes an image, a landmark or a split.
    """

    splits: Mapping[str, int | None]
    preprocessing: Preprocessing
    framing: Framing | None = None
    """What the box of a sample is made of, so that `lmbench predict` frames new images alike; ``None``: not stated."""
    landmark_names: tuple[str, ...] = ()
    object_size: tuple[str, float] | None = None
    """How large the object stands in its frames (the boxes that ``preprocessing`` resizes): a unit of the object, and the
    median of its length as a fraction of the frame's side. Two datasets that name the same unit can be compared."""
    eyes: tuple[int, int] | None = None
    swap_pairs: tuple[tuple[int, int], ...] = ()
    metrics: tuple[str, ...] = ("iod",)
    """The regression metrics it is judged by; the first is the one its papers print."""
    parts: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Groups of landmarks that are also scored apart (``{"wrist": (1, 2)}``)."""
    classes: tuple[str, ...] = ()
    """The names of the labels 0, 1, ... in the column ``mask``, for a dataset that has a class for every pixel."""
    recipes: Mapping[str, Table] = field(default_factory=dict)
    """What the papers change of a recipe of the head ``softargmax_linear`` on it, by the recipe's name: the epoch at which they
    stop (``{"cl_faces": {"epochs": 120}}``), or another recipe in its place."""
    hidden_annotated: bool = False
    """Invisible landmarks keep their true positions (else they are absent, and never looked at)."""
    describe: str = ""
    """For a family whose members differ: a lazy target, called with what follows the colon, that returns the fields which
    this member sets (``{"landmark_names": ...}``)."""
    version: str = "1"
    folder: str = ""
    """The folder below the data root that holds it; empty for an embedded dataset."""
    licence: str = ""
    source: str = ""
    checksums: Mapping[str, str] = field(default_factory=dict)
    """Files as published, by their path below ``folder``: ``md5:...`` or ``sha256:...`` of the bytes, for ``verify``."""
    notes: tuple[str, ...] = ()
    selection_of: str = ""
    """The dataset that papers do not tell it apart from: what stands for that one stands for it too."""
    accepted: tuple[str, ...] = ()
    """What looks wrong in its labels and is meant, by the words of ``lmbench.originals.plausibility``."""

    def member(self, argument: str) -> DatasetSpec:
        """The spec of a family's member; its name stays the family's, so that a folder that was moved is the same data."""
        if not self.describe or not argument:
            return self
        module, _, attribute = self.describe.partition(":")
        return replace(self, **getattr(importlib.import_module(module), attribute)(argument))

    @property
    def has_landmarks(self) -> bool:
        return bool(self.landmark_names)


@dataclass(frozen=True, kw_only=True)
class MetricSpec(Spec):
    """A pure function of what a task stored: called with one of its results, returns values and an aggregate."""

    task: str
    unit: str
    higher_is_better: bool
    normaliser: str = ""


@dataclass(frozen=True, kw_only=True)
class TaskSpec(Spec):
    """An evaluation of frozen output: called as ``Target(context, settings)``, keeps results (see ``TaskContext``).

    Its settings stand in a run's configuration under its name. ``needs``: what method and dataset must have, told before
    anything is computed: a ``network``, annotated ``landmarks``, ``masks`` (a class for every pixel). ``uses``: other tasks
    whose settings it takes; their sections stand in the configuration as well. ``measured_as``: the task whose metrics
    measure this one's results, where it is another. ``leaves``: what it is run for; one of pictures names no metric.

    Lazy targets besides its own, each where there is such a thing:
    ``predictions``: the type of its results, a ``StoredResult``.
    ``rehearse(context, settings)``: perfect results, made before anything is trained, to see that they can be judged.
    ``pictures(context, settings, results, rows)``: draws into ``context.folder`` what it found and what was measured of it.
    ``floors``, by name, ``floor(context, settings)``: results that nothing has to be learnt for, to be read beside its own.
    Neither ``rehearse`` nor a floor is given a network.

    ``control``: whether the same recipe untrained is judged by it and shown beside: ``always``, for it costs little, or where
    it is ``affordable``: takes no more than half of the run's time. A method ``of_control()`` of its settings gives those that
    the control is judged with.
    """

    metrics: tuple[str, ...] = ()
    presets: Mapping[str, Table] = field(default_factory=dict)
    """What differs from its settings' defaults in a preset, by the preset's name."""
    needs: tuple[Literal["network", "landmarks", "masks"], ...] = ()
    uses: tuple[str, ...] = ()
    measured_as: str = ""
    leaves: Literal["numbers", "pictures"] = "numbers"
    predictions: str = "lmbench.metrics.base:Predictions"
    rehearse: str = ""
    pictures: str = ""
    floors: Mapping[str, str] = field(default_factory=dict)
    control: Literal["", "always", "affordable"] = ""


@dataclass(frozen=True, kw_only=True)
class VariantSpec:
    """Which frozen output of a method is judged: after which stages, and which maps of the last one.

    ``layers``: deepest first (the order of a hypercolumn's channels); ``("*",)``: all maps of the backbone.
    ``stages``: names, in order; the last one's network is judged. ``backbone`` and ``backbone_settings``: of a variant without
    stages, whose network is judged as it is built; ``none``: there is no network. ``overrides`` change the run's defaults for
    this variant alone, in the grammar of ``--config``.
    """

    name: str
    summary: str
    layers: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    backbone: str = "{backbone}"
    backbone_settings: Table = field(default_factory=dict)
    overrides: Table = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    """Other distributions whose parts its stages name; without them this variant alone is refused."""


Where = Mapping[str, str | tuple[str, ...]]
"""Column of a paper's rows -> the values it may have, with shell wildcards; every column that is named must fit."""


@dataclass(frozen=True, kw_only=True)
class PublishedRows:
    """Printed numbers that a method's runs are set beside, and the configuration that the papers mean by them.

    ``where`` without ``method``: the rows of the method's own name. ``{column}`` in ``variant`` and ``backbone`` is filled in
    from the row. ``dataset``, ``pretrain_on`` and ``metrics`` stand for what the row prints where they are given (of several
    metrics the first that a run measured counts), ``part`` for the part of a record. ``settings`` go above the preset;
    ``note`` is about the printed number, ``differs`` says what the run lacks beside the paper's in every preset, ``reason``
    why no run can give these rows.
    """

    where: Where = field(default_factory=dict)
    variant: str = ""
    backbone: str = ""
    dataset: str = ""
    pretrain_on: str = ""
    metrics: tuple[str, ...] = ()
    part: str = ""
    settings: Table = field(default_factory=dict)
    note: str = ""
    differs: str = ""
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How some printed numbers of a paper are to be read, whoever's they are; all readings that fit a row count.

    ``metric``: what they are, in a name of this benchmark, where the paper calls it otherwise. ``metrics``: what of a run is
    set beside them, the first that it measured. ``paper_settings``: what the paper's code does besides, in preset ``paper``
    alone. ``note``, ``differs`` and ``reason`` as in ``PublishedRows``; ``off_boards``: leaderboards do not show them.
    """

    where: Where
    metric: str = ""
    metrics: tuple[str, ...] = ()
    paper_settings: Table = field(default_factory=dict)
    note: str = ""
    differs: str = ""
    reason: str = ""
    off_boards: bool = False


@dataclass(frozen=True, kw_only=True)
class PaperSpec(Spec):
    """The printed numbers of a paper, so that runs can be set beside them. Nothing is read before somebody asks.

    ``rows``: the CSV with its numbers, ``package:published.csv`` (columns: ``lmbench.papers.published``). ``notes``: a text
    about them, ``package:published.md``. ``names``: column -> what is printed -> what that is called here
    (``pretrain_dataset``: as ``dataset`` where it has none of its own).
    ``brought_by``: method as printed -> the distribution whose methods alone it is a number of.
    """

    has_target: ClassVar[bool] = False

    rows: str
    notes: str = ""
    names: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    brought_by: Mapping[str, str] = field(default_factory=dict)
    readings: tuple[Reading, ...] = ()


@dataclass(frozen=True, kw_only=True)
class MethodSpec(Spec):
    """A recipe as data: stages + which frozen output is evaluated + defaults + named presets.

    ``presets``: what a preset changes of the run's configuration. ``"package:folder"`` names a folder of ``smoke.toml``,
    ``quick.toml``, ``small.toml`` and ``paper.toml`` in the grammar of ``--config``, as many as the method has; a method in one
    file gives a mapping by the presets' names. ``defaults`` come before them. ``paper_on``: what preset ``paper`` changes
    besides on a dataset that the paper treats otherwise, by the dataset's name (shell wildcards): the name of another file in
    that folder, or a mapping.
    """

    has_target: ClassVar[bool] = False

    variants: tuple[VariantSpec, ...]
    stages: tuple[Stage, ...] = ()
    default_variant: str = ""
    backbone: str = "resnet18"
    defaults: Table = field(default_factory=dict)
    presets: Mapping[str, Table] | str = field(default_factory=dict)
    paper_on: Mapping[str, Table | str] = field(default_factory=dict)
    tasks: tuple[str, ...] = ("regression", "matching")
    supervision: str = "self-supervised"
    """What its features learned from, by which boards rank apart: ``self-supervised`` on the run's own images, ``supervised``
    by the target's labels, ``untrained`` (weights as initialised), ``none`` (nothing learns), or in other words where
    weights come from elsewhere (``supervised on ImageNet``)."""
    choices: Mapping[str, str] = field(default_factory=dict)
    """What the paper leaves open and what was chosen, each with its reason; copied into every record."""
    published: tuple[PublishedRows, ...] | str = ()
    """The printed numbers that ``lmbench reproduce`` sets beside its runs, or the TOML file with them under the method's
    name (``package:published.toml``)."""

    def variant(self, name: str) -> VariantSpec | None:
        return next(
            (v for v in self.variants if v.name == (name or self.default_variant or self.variants[0].name)), None
        )


KIND_OF: dict[type[Spec], str] = {
    BackboneSpec: "backbone",
    ObjectiveSpec: "objective",
    HeadSpec: "head",
    DatasetSpec: "dataset",
    MetricSpec: "metric",
    TaskSpec: "task",
    MethodSpec: "method",
    PaperSpec: "paper",
}
"""Every kind of component with its spec; the hook of a kind is ``lmbench_<kind>s``."""

PRESETS = ("smoke", "quick", "small", "paper")
